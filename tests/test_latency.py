"""To a service all people who are not disclosed look alike, in each respect.

The clock is left to the measurement (``make bench``); what is held here is
what makes it: the same bytes, the same statements, the same cryptography.
"""

import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api.logs import configure_logs
from policy.bundle import load_bundle
from policy.embedded import EmbeddedPdp
from policy.gate import ENTRYPOINT
from tests.databases import Kind
from tests.latency import KINDS, auc, run
from tests.worlds import ADDRESS, World, build_world

# Calls into the driver and into the cryptography, by the names they have.
_WORK = frozenset(
    {"execute", "executemany", "fetchall"}
    | {"encrypt", "decrypt", "encrypt_into", "decrypt_into"}
    | {"derive", "derive_into", "digest", "hmac_digest", "compare_digest"}
)


@pytest.fixture
def world(tmp_path: Path, database: Kind) -> Iterator[World]:
    """An instance with its cast."""
    configure_logs("error")
    with build_world(tmp_path / "home", database=database) as made:
        yield made


@pytest.mark.slow
def test_sizes_headers_and_answers_are_equal(
    world: World, database: Kind
) -> None:
    """Many of each kind: one size, one set of headers, one answer."""
    rounds = 120 if database is Kind.SQLITE else 30
    seen = run(world, rounds)

    for what in ("sizes", "headers", "answers"):
        found = {one for kind in seen.values() for one in getattr(kind, what)}
        assert 1 == len(found), (what, found)
    assert {rounds} == {len(kind.seconds) for kind in seen.values()}


def test_the_work_is_equal(tmp_path: Path) -> None:
    """Every kind makes as many statements and as many calls of each cipher.

    Counted on SQLite, whose calls are all made on the event loop's thread.
    How many hashes an entry adds to the tree depends on its number, whoever
    it is about; so the least that the requests of a kind do is compared.
    """
    configure_logs("error")
    counted: dict[str, list[Counter[str]]] = {kind: [] for kind in KINDS}

    async def watched(kind: str, request: Awaitable[Any]) -> Any:  # noqa: ANN401 - whatever the request gives
        calls: Counter[str] = Counter()

        def note(_frame: object, event: str, called: Any) -> None:  # noqa: ANN401 - a built-in function
            if event == "c_call" and called.__name__ in _WORK:
                calls[called.__name__] += 1

        sys.setprofile(note)
        try:
            answer = await request
        finally:
            sys.setprofile(None)
        counted[kind].append(calls)
        return answer

    with build_world(tmp_path / "home") as world:
        run(world, 30, around=watched)

    least = {
        kind: {name: min(one[name] for one in found) for name in _WORK}
        for kind, found in counted.items()
    }
    assert min(least["unknown"][name] for name in ("encrypt", "execute"))
    assert dict.fromkeys(KINDS, least["unknown"]) == least


def test_the_input_of_nobody_has_the_shape_of_everybodys(
    tmp_path: Path,
) -> None:
    """As many answers, of the same fields, whoever it is about.

    The real answers of those who gave one stay as they are.
    """
    configure_logs("error")
    shapes, stood = {}, {}
    with build_world(tmp_path / "home") as world:
        source, now = world.platform.gate._facts, world.clock()
        for kind in (*KINDS.values(), "silent"):
            request = world.request(kind, *ADDRESS)
            with world.platform.data.connect() as conn:
                _, facts = source.gather(conn, request, now)
            document = source.input_document(request, facts, now)
            shapes[kind] = [
                [(name, type(value)) for name, value in one.items()]
                for one in document["consents"]
            ]
            stood[kind] = [one["state"] for one in document["consents"]]

    assert dict.fromkeys(shapes, shapes["refusing"]) == shapes
    assert {
        "nobody": ["unanswered"],
        "erased": ["unanswered"],
        "silent": ["unanswered"],
        "refusing": ["refused"],
        "withdrawn": ["withdrawn"],
        "valueless": ["given"],
        "restricted": ["given"],
    } == stood


def test_judging_nobody_takes_the_steps_of_judging_somebody(
    tmp_path: Path,
) -> None:
    """Calls that the engine makes, counted: within three in a hundred.

    The first of a service's decisions works out what the others start with,
    whoever it is about; so it takes longer, and for everybody as much.
    """
    configure_logs("error")
    first, later = {}, {}
    with build_world(tmp_path / "home") as world:
        gate, now = world.platform.gate, world.clock()
        for kind in ("nobody", "erased", "silent", "refusing", "withdrawn"):
            request = world.request(kind, *ADDRESS)
            with world.platform.data.connect() as conn:
                _, facts = gate._facts.gather(conn, request, now)
            document = gate._facts.input_document(request, facts, now)
            engine = EmbeddedPdp(load_bundle())
            decide = partial(engine.evaluate, ENTRYPOINT, document)
            first[kind], later[kind] = _calls(decide), _calls(decide)

    for counted in (first, later):
        least, most = min(counted.values()), max(counted.values())
        assert most <= 1.03 * least, counted
    assert max(later.values()) < min(first.values())


def _calls(work: Callable[[], object]) -> int:
    count = 0

    def note(_frame: object, event: str, _called: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_the_classifier_tells_what_can_be_told() -> None:
    """Apart is 1, mixed is 0.5, and ties count half."""
    assert 1.0 == auc([1, 2, 3], [4, 5])
    assert 1.0 == auc([4, 5], [1, 2, 3])
    assert 0.5 == auc([1, 1], [1, 1, 1])
    assert 0.75 == auc([1, 3], [2, 4])
    assert 0.5 == auc([1, 4], [2, 3])
