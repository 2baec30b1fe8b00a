"""The cohort by the compile API: equal to deciding person by person.

With a real OPA server, on both databases, on populations made at random. What
comes back is bound and never written into a statement, and whatever is not
exactly one answer for each kind of people is no decision about anybody.
"""

import asyncio
import json
import random
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from consent import EventType
from policy import EmbeddedPdp, OpaPdp, RestraintKind, load_bundle
from policy.cohort import Cohort, CohortSource
from policy.cohort_filter import FIELD, RULE, KindFilter, rows_of
from policy.compiling import build_server_bundle
from policy.conditions import read_condition, to_sql
from policy.gate import ENTRYPOINT
from policy.opa import Patience
from policy.pdp import JSON, Cause, NoDecision, PolicyDecisionPoint
from tests.databases import Kind
from tests.engines import unhurried
from tests.parts import ROOT, opa
from tests.test_cohort import (
    COLUMNS,
    count_use,
    request_of,
    restrain,
    source_of,
)
from tests.worlds import LIMITED, MOBILE, PURPOSE, SERVICE, World, build_world

CALM = Patience(seconds=120.0, compiling=400.0)
PEOPLE = 24
HOSTILE = (
    "plain",
    "'; DROP TABLE vault_subject; --",
    "' OR '1'='1",
    'a"b',
    "a\\'b",
    "%_",
    "$1 :x ?",
    "J\u00f5hvi \u4f4f\u5740 \U0001f3e0",
    "e\u0301",
    "\u00e9",
    "",
    " ",
)


@pytest.fixture(scope="module")
def server(
    opa_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A real OPA server with the policies of the tree."""
    archive = tmp_path_factory.mktemp("opa") / "server.tar.gz"
    build_server_bundle(
        opa_binary,
        ROOT / "policies",
        archive,
        revision=load_bundle().revision,
    )
    hardened = ["--authorization", "basic", "--bundle", archive]
    with opa.serve(opa_binary, hardened) as url:
        yield url


@pytest.fixture(scope="module")
def open_server(
    opa_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The same, answering whatever it is asked."""
    archive = tmp_path_factory.mktemp("open") / "server.tar.gz"
    build_server_bundle(
        opa_binary, ROOT / "policies", archive, revision="3" * 64
    )
    with opa.serve(opa_binary, ["--bundle", archive]) as url:
        yield url


@pytest.fixture(scope="module", params=[1, 2])
def world(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    database: Kind,
) -> Iterator[World]:
    """An instance with a population made at random, from a seed."""
    home = tmp_path_factory.mktemp("population") / "home"
    with build_world(home, extra=PEOPLE, database=database) as made:
        populate(made, random.Random(request.param))  # noqa: S311 - a population, no secret
        yield made


def populate(world: World, dice: random.Random) -> None:
    """Let people answer, prefer, object, restrict and use as it falls."""
    consents = world.platform.consents
    for number in range(PEOPLE):
        name = f"extra-{number}"
        for _ in range(dice.randrange(3)):
            world.clock.now += dice.randrange(1, 50)
            kind = dice.choice(
                [EventType.GIVEN, EventType.GIVEN, EventType.WITHDRAWN]
            )
            some = [] if dice.random() < 0.5 else [MOBILE]
            needed = world.declaration.statements[0].attributes[:3]
            chosen = (*needed, *some) if dice.random() < 0.4 else ()
            with world.platform.data.begin() as conn:
                consents.record(conn, world.event(name, kind, *chosen))
        if dice.random() < 0.2:
            with world.platform.data.begin() as conn:
                consents.set_preferences(
                    conn, world.cast[name], LIMITED, world.clock()
                )
        if dice.random() < 0.2:
            restrain(world, name, dice.choice(list(RestraintKind)))
        if dice.random() < 0.2:
            count_use(world, name)


def gathered(world: World, pdp: PolicyDecisionPoint) -> Cohort:
    """The cohort, as one decision point gives it."""
    own = source_of(world)[1]
    source = CohortSource(
        tenant=own._tenant,
        engine=own._engine,
        vault=own._vault,
        facts=own._facts,
        pdp=pdp,
    )

    async def work() -> Cohort:
        try:
            return await source.gather(
                SERVICE,
                PURPOSE,
                COLUMNS,
                now=world.clock(),
                bundle=load_bundle().revision,
                progress=lambda _people: None,
            )
        finally:
            if isinstance(pdp, OpaPdp):
                await pdp.aclose()

    return asyncio.run(work())


def one_by_one(world: World) -> list[UUID]:
    """The cohort by reading and deciding about each person alone."""
    facts, _ = source_of(world)
    engine = unhurried()

    async def work() -> list[UUID]:
        chosen = []
        for subject in world.platform.vault.subjects():
            asked = request_of(world, subject)
            with world.platform.data.connect() as conn:
                one = facts.about(
                    conn,
                    subject,
                    asked,
                    world.clock(),
                    known=True,
                    present=frozenset(COLUMNS),
                    counts=False,
                )
            document = facts.input_document(
                asked, one, max(world.clock(), one.since)
            )
            ruling = await engine.decide(ENTRYPOINT, document)
            answers: Any = ruling.document["attributes"]
            if {"release"} == {each["effect"] for each in answers.values()}:
                chosen.append(subject)
        return chosen

    return asyncio.run(work())


def server_at(url: str, revision: str = "") -> OpaPdp:
    """A decision point there, that is waited for."""
    return OpaPdp(
        url=url, revision=revision or load_bundle().revision, patience=CALM
    )


@pytest.mark.opa
def test_the_condition_selects_whom_deciding_each_selects(
    world: World, server: str
) -> None:
    """Compiled, by kinds, person by person: the same people and reasons."""
    compiled = gathered(world, server_at(server))
    decided = gathered(world, unhurried())

    assert decided == compiled
    assert one_by_one(world) == list(compiled.subjects)
    assert 0 < len(compiled.subjects)
    assert 0 < compiled.left_out
    assert 2 < len(compiled.reasons)


def compile_there(
    url: str, path: str, document: Mapping[str, Any], unknown: str
) -> dict[str, Any]:
    """What OPA's compile API answers, an error included."""
    body = {"input": document, "unknowns": [unknown]}
    asked = urllib.request.Request(  # noqa: S310 - the test's own server
        f"{url}/v1/compile/{path}",
        json.dumps(body).encode(),
        {
            "Accept": "application/vnd.opa.ucast.all+json",
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(asked) as answer:  # noqa: S310 - as above
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        return dict(json.load(error))


@pytest.mark.opa
@pytest.mark.parametrize("part", ["person", "consents", "preferences"])
def test_the_rules_alone_compile_to_no_condition(
    world: World, open_server: str, part: str
) -> None:
    """That is why kinds of people are asked about: OPA says what it lacks."""
    facts, _ = source_of(world)
    subject = next(iter(world.platform.vault.subjects()))
    asked = request_of(world, subject)
    with world.platform.data.connect() as conn:
        one = facts.about(
            conn,
            subject,
            asked,
            world.clock(),
            known=True,
            present=frozenset(COLUMNS),
        )
    document = facts.input_document(asked, one, world.clock())
    known = {name: each for name, each in document.items() if name != part}
    found = compile_there(open_server, ENTRYPOINT, known, f"input.{part}")

    assert {"pe_fragment_error"} == {one["code"] for one in found["errors"]}


@pytest.mark.opa
def test_other_policies_select_nobody(world: World, server: str) -> None:
    """A server under another revision is not believed."""
    with pytest.raises(NoDecision) as raised:
        gathered(world, server_at(server, "2" * 64))

    assert Cause.WRONG_REVISION == raised.value.cause


@pytest.mark.opa
def test_a_kind_that_is_not_decided_is_no_decision(server: str) -> None:
    """Junk among the documents has no answer, and is not passed over."""

    async def ask() -> JSON:
        pdp = server_at(server)
        try:
            _, found = await pdp.filter(
                RULE, {"documents": {"a": {"junk": 1}}}
            )
            return found
        finally:
            await pdp.aclose()

    with pytest.raises(NoDecision) as raised:
        asyncio.run(ask())
    assert Cause.UNDEFINED == raised.value.cause


class Fixed:
    """Compiles to whatever a test wants."""

    def __init__(self, answer: JSON) -> None:
        """Take the answer."""
        self.answer = answer

    async def filter(
        self, _path: str, _document: Mapping[str, JSON]
    ) -> tuple[str, JSON]:
        """Give it."""
        return "r", self.answer


def equals(value: object, field: str = FIELD) -> dict[str, Any]:
    """One equality, in UCAST."""
    return {"type": "field", "operator": "eq", "field": field, "value": value}


def some_of(*parts: object, operator: str = "or") -> dict[str, Any]:
    """Several conditions, in UCAST."""
    return {"type": "compound", "operator": operator, "value": list(parts)}


WRONG: Mapping[str, JSON] = {
    "nothing": None,
    "everybody": {},
    "a list": [],
    "one kind of two": equals("a "),
    "a kind twice": some_of(equals("a "), equals("b "), equals("a x")),
    "a kind of nobody": some_of(equals("a "), equals("c ")),
    "no codes": some_of(equals("a"), equals("b ")),
    "another field": some_of(equals("a ", "facts.subject"), equals("b ")),
    "both at once": some_of(equals("a "), equals("b "), operator="and"),
    "a negation": some_of(equals("a "), some_of(equals("b "), operator="not")),
    "another operator": some_of(
        equals("a "), equals("b ") | {"operator": "startswith"}
    ),
    "another compound": some_of(equals("a "), equals("b "), operator="xor"),
    "no part": some_of(),
    "a number": some_of(equals(1), equals("b ")),
    "another type": equals("a ") | {"type": "document"},
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_one_answer_a_kind_is_no_decision(case: str) -> None:
    """Nothing is guessed, and nobody is selected."""
    kinds: Mapping[str, Mapping[str, JSON]] = {"a": {}, "b": {}}
    with pytest.raises(NoDecision) as raised:
        asyncio.run(
            KindFilter(Fixed(WRONG[case]), None).compiled(kinds, "r")  # type: ignore[arg-type]  # no database is asked
        )

    assert Cause.MALFORMED == raised.value.cause


def test_a_condition_of_other_policies_is_no_decision() -> None:
    """Also where they are believed, while servers load the new ones."""
    with pytest.raises(NoDecision) as raised:
        asyncio.run(
            KindFilter(Fixed(equals("a ")), None).compiled({"a": {}}, "n")  # type: ignore[arg-type]  # no database is asked
        )

    assert Cause.WRONG_REVISION == raised.value.cause


def deep(levels: int) -> JSON:
    """A condition inside conditions."""
    found: JSON = equals("a ")
    for _ in range(levels):
        found = some_of(found)
    return found


def test_a_bomb_of_a_condition_is_none() -> None:
    """Nested beyond reason, or longer than any list of kinds."""
    for bomb in (deep(50), some_of(*[equals("a ")] * 30_000)):
        with pytest.raises(NoDecision):
            read_condition(bomb)


def select_where(world: World, found: JSON, rows: Sequence[str]) -> list[str]:
    """The rows that a condition selects, in the world's own database."""
    table = rows_of([(uuid4(), one) for one in rows])
    met = to_sql(read_condition(found), {FIELD: table.c.kind})
    statement = select(table.c.kind).where(met)
    engine = world.platform.data
    for one in HOSTILE[1:4]:
        assert one not in str(met.compile(engine))
    with engine.connect() as conn:
        return sorted(conn.execute(statement).scalars())


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_value_is_bound_and_never_text(world: World, hostile: str) -> None:
    """Quotes, wildcards, parameters, any script: it finds itself alone."""
    assert [hostile] == select_where(world, equals(hostile), HOSTILE)
    negated = some_of(equals(hostile), operator="not")
    assert sorted(set(HOSTILE) - {hostile}) == select_where(
        world, negated, HOSTILE
    )


def test_no_text_has_a_nul(world: World) -> None:
    """It meets nothing, and the rest of the condition stands."""
    found = some_of(equals("plain\0"), equals("\0"), equals("plain"))

    assert ["plain"] == select_where(world, found, HOSTILE)


def test_a_field_without_a_column_is_refused() -> None:
    """A name is looked up, and never written."""
    found = read_condition(equals("a", "facts.kind; --"))
    with pytest.raises(NoDecision):
        to_sql(found, {})


def test_many_kinds_are_decided_instead(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit nothing is compiled, and the cohort is the same."""
    monkeypatch.setattr("policy.cohort.MOST_KINDS", 1)

    class Unasked(EmbeddedPdp):
        """Decides, and must not be asked for a condition."""

        async def filter(self, *_arguments: object) -> tuple[str, JSON]:
            """Fail."""
            raise AssertionError

    assert gathered(world, unhurried()) == gathered(
        world, Unasked(load_bundle())
    )
