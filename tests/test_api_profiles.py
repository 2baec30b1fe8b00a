"""Profile requests over HTTP: what a service gets, and what it cannot learn.

Invariant 6 over the wire: whatever depends on the person is one answer with
equal status, headers and length. And whatever is sent, one clear answer
comes back and nothing is half written.
"""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import LARGEST_BODY
from api.routes.profiles import ProfileOut
from policy import Cause, NoDecision
from tests.databases import Kind
from tests.doors import (
    ASK,
    UNDERSTANDS,
    Door,
    assert_problem,
    at_the_door,
    body_about,
)
from tests.worlds import (
    ADDRESS,
    BIRTH,
    EVERYTHING,
    INCOME,
    MOBILE,
    NUMBER,
    STREET,
    build_world,
    person_values,
)

OF_THE_ANSWER = ("decision", "ledger_index", "decided_at")
REFUSED = {
    "effect": "withhold",
    "value": None,
    "level": 0,
    "reason": "not_available",
    "remedy": "none",
    "obligations": [],
}


@pytest.fixture(scope="module")
def door(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[Door]:
    """A running application with its cast, shared."""
    home = tmp_path_factory.mktemp("profiles") / "home"
    with (
        build_world(home, database=database) as world,
        at_the_door(world) as made,
    ):
        yield made


def test_consent_opens_what_was_declared(door: Door) -> None:
    """The answer has values, obligations, decision and ledger index."""
    before = door.size()
    found = door.ask(body_about(door.world, "consenting", *EVERYTHING))

    assert 200 == found.status_code
    assert "no-store" == found.headers["cache-control"]
    body = found.json()
    assert before == body["ledger_index"]
    assert before + 1 == door.size()
    held = door.world.values["consenting"]
    told = body["attributes"]
    assert list(EVERYTHING) == list(told)
    assert {name: held[name] for name in (*ADDRESS, BIRTH, MOBILE)} == {
        name: told[name]["value"] for name in (*ADDRESS, BIRTH, MOBILE)
    }
    assert [{"type": "delete_by", "days": 90}] == told[STREET]["obligations"]
    assert ("withhold", "not_declared", None) == (
        told[INCOME]["effect"],
        told[INCOME]["reason"],
        told[INCOME]["value"],
    )


def test_the_short_way_answers_as_the_route_does(door: Door) -> None:
    """Headers, shape and bytes are one; the model describes both."""
    body = body_about(door.world, "consenting", *EVERYTHING)
    short = door.ask(body)
    # A media type with a parameter is left to the route.
    long = door.ask(
        body, headers={"Content-Type": "application/json; charset=utf-8"}
    )

    shown = [
        [
            (name, "" if name == "x-request-id" else value)
            for name, value in one
        ]
        for one in (short.headers.multi_items(), long.headers.multi_items())
    ]
    assert shown[0] == shown[1]
    told = [
        {
            name: value
            for name, value in one.json().items()
            if name not in OF_THE_ANSWER
        }
        for one in (short, long)
    ]
    assert told[0] == told[1]
    for one in (short, long):
        read = ProfileOut.model_validate_json(one.content)
        assert one.content == read.model_dump_json().encode()


def test_a_person_can_be_named_by_id(door: Door) -> None:
    """The platform's own id means the same person."""
    subject = door.world.cast["consenting"]
    found = door.ask(
        {
            "person": {"id": str(subject)},
            "attributes": [STREET],
            "understands": UNDERSTANDS,
        }
    )

    assert "0 Canary Street" == found.json()["attributes"][STREET]["value"]


def test_limits_of_the_person_hold_over_http(door: Door) -> None:
    """A limited value comes coarser, and says so."""
    found = door.ask(body_about(door.world, "limited", *ADDRESS, BIRTH))

    told = found.json()["attributes"][BIRTH]
    assert ("generalize", "1971", 2) == (
        told["effect"],
        told["value"],
        told["level"],
    )


def test_whatever_depends_on_the_person_is_one_answer(door: Door) -> None:
    """Equal status, headers in order, length and body for all of them."""
    seen = set()
    for name in (
        "nobody",
        "valueless",
        "erased",
        "refusing",
        "silent",
        "withdrawn",
        "restricted",
    ):
        found = door.ask(body_about(door.world, name, *ADDRESS))
        body = found.json()
        assert set(body) > set(OF_THE_ANSWER)
        headers = [
            (key, "" if key == "x-request-id" else value)
            for key, value in found.headers.multi_items()
        ]
        assert dict.fromkeys(ADDRESS, REFUSED) == body["attributes"]
        rest = {
            key: value
            for key, value in body.items()
            if key not in OF_THE_ANSWER
        }
        seen.add(
            (
                found.status_code,
                str(headers),
                json.dumps(rest),
                len(found.content),
            )
        )

    assert 1 == len(seen), seen


def test_an_unknown_id_is_the_same_answer(door: Door) -> None:
    """By id too: nobody, the erased, the decoy and the refusing are one."""
    world = door.world
    answers = []
    for subject in (
        "00000000-0000-0000-0000-000000000000",
        str(world.cast["erased"]),
        str(world.cast["refusing"]),
        str(world.platform.vault.decoy()),
    ):
        found = door.ask(
            {
                "person": {"id": subject},
                "attributes": list(ADDRESS),
                "understands": UNDERSTANDS,
            }
        )
        answers.append((len(found.content), found.json()["attributes"]))

    assert [answers[0]] * 4 == answers


@pytest.mark.parametrize("cause", [Cause.DOWN, Cause.TIMEOUT, Cause.UNDEFINED])
def test_no_decision_is_its_own_answer(tmp_path: Path, cause: Cause) -> None:
    """An engine without an answer is 503 with its cause, and an entry."""

    class Silent:
        revision = "none"

        async def decide(self, _entrypoint: str, _document: object) -> object:
            raise NoDecision(cause, "person 990001")

    with build_world(tmp_path / "home") as world:
        platform = world.platform
        gate = platform.gate
        gate._pdp = Silent()
        with at_the_door(replace(world, platform=platform)) as door:
            before = door.size()
            found = door.ask(body_about(world, "consenting", *ADDRESS))
            body = assert_problem(found, 503)

            assert ("/problems/no-decision", cause.value) == (
                body["type"],
                body["cause"],
            )
            assert "2" == found.headers["retry-after"]
            assert "990001" not in found.text
            assert before + 1 == door.size()


def test_an_unforeseen_error_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug is a 500 problem without its text, and the server hears none."""

    def broken(*_arguments: object) -> None:
        msg = "0 Canary Street"
        raise RuntimeError(msg)

    with build_world(tmp_path / "home") as world, at_the_door(world) as door:
        monkeypatch.setattr(world.platform.vault, "read", broken)
        found = door.ask(body_about(world, "consenting", *ADDRESS))

    assert "/problems/internal" == assert_problem(found, 500)["type"]
    assert "Canary" not in found.text


GOOD: dict[str, Any] = {
    "person": {"identifier": {"attribute": NUMBER, "value": "x"}},
    "attributes": [BIRTH],
    "understands": [],
}
DEEP = b"[" * 2_000 + b"]" * 2_000
UNREADABLE = {
    "nothing": b"",
    "half": b'{"person":',
    "deep": DEEP,
    "deep-inside": b'{"person":' + DEEP + b',"attributes":["user.bdate"]}',
    "open-for-ever": b"[" * 200_000,
    "utf-16": json.dumps(GOOD).encode("utf-16"),
    "latin-1": '{"person":"é"}'.encode("latin-1"),
    "a-number": b"1" * 5_000,
    "a-long-number": b'{"person":1' + b"0" * 40 + b"}",
    "a-longer-number": b'{"person":1' + b"0" * 5_000 + b"}",
    "not-a-number": b'{"person":NaN}',
    "a-list": b"[]",
    "null": b"null",
    "a-text": b'"x"',
    "twice": b'{"person":{"id":"x"},"person":{"id":"y"},"attributes":["a"]}',
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_request_is_one_problem(door: Door, name: str) -> None:
    """Malformed, nested, huge and wrongly encoded JSON: a 4xx, no entry."""
    before = door.size()
    found = door.ask(UNREADABLE[name])

    assert_problem(found, found.status_code)
    assert found.status_code in {400, 422}
    assert before == door.size()


def test_a_body_of_another_kind_is_refused(door: Door) -> None:
    """A form and a body without a type are no requests."""
    for kind in ("application/x-www-form-urlencoded", "text/plain"):
        found = door.ask(
            json.dumps(GOOD).encode(), headers={"Content-Type": kind}
        )
        assert_problem(found, 422)


def test_a_body_that_says_it_is_too_large_is_not_read(door: Door) -> None:
    """Content-Length above the limit is refused before a byte is parsed."""
    found = door.ask(b" " * (LARGEST_BODY + 1))

    assert "/problems/too-large" == assert_problem(found, 413)["type"]


@pytest.mark.parametrize("length", ["9" * 30, "9" * 5_000])
def test_an_absurd_length_is_too_large(door: Door, length: str) -> None:
    """A Content-Length that no integer should hold is refused alike."""
    found = door.client.post(
        ASK, content=b"{}", headers={"Content-Length": length}
    )

    assert_problem(found, 413)


def test_a_body_that_does_not_say_is_cut(door: Door) -> None:
    """Without Content-Length the same limit holds, with the same answer."""

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    found = door.client.post(
        ASK,
        content=endless(),
        headers={
            "Authorization": f"Bearer {door.token()}",
            "Content-Type": "application/json",
        },
    )

    assert "/problems/too-large" == assert_problem(found, 413)["type"]


def test_a_body_of_just_the_limit_is_read(door: Door) -> None:
    """The limit itself is allowed."""
    body = json.dumps(body_about(door.world, "silent", BIRTH)).encode()
    found = door.ask(body.ljust(LARGEST_BODY))

    assert 200 == found.status_code


HOSTILE = {
    "empty": "",
    "nul": "9900\x00",
    "newline": "99\r\nX-Injected: 1",
    "quote": "' OR ''='\"; DROP TABLE vault_value; --",
    "chinese": "搬家" * 20,
    "right-to-left": "\u202e1234",
    "emoji": "\U0001f600",
    "markup": "<script>alert(1)</script>",
    "long": "9" * 257,
    "very-long": "9" * 100_000,
    "digits": str(10**40),
    "spaces": " " * 40,
    "traversal": "../../etc/passwd",
    "format": "%s%n{0}${jndi:x}",
}
PLACES = {
    "value": lambda text: (
        GOOD | {"person": {"identifier": {"attribute": NUMBER, "value": text}}}
    ),
    "attribute": lambda text: (
        GOOD | {"person": {"identifier": {"attribute": text, "value": "x"}}}
    ),
    "id": lambda text: GOOD | {"person": {"id": text}},
    "asked": lambda text: GOOD | {"attributes": [text]},
    "key": lambda text: GOOD | {text: 1},
    "inner-key": lambda text: GOOD | {"person": {text: 1}},
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("place", PLACES)
def test_hostile_text_in_every_field(
    door: Door, place: str, name: str
) -> None:
    """Each is one 4xx that does not repeat what was sent, and no entry."""
    text, before = HOSTILE[name], door.size()
    found = door.ask(PLACES[place](text))

    assert_problem(found, 422)
    assert not text.strip() or text not in found.text
    assert "injected" not in {key.lower() for key in found.headers}
    assert before == door.size()


@pytest.mark.parametrize("name", HOSTILE)
def test_an_obligation_that_nobody_knows_opens_nothing(
    door: Door, name: str
) -> None:
    """What a service claims to understand is compared, and nothing else."""
    found = door.ask(
        body_about(door.world, "consenting", BIRTH)
        | {"understands": [HOSTILE[name]]}
    )

    if len(HOSTILE[name]) > 64:
        assert_problem(found, 422)
    else:
        told = found.json()["attributes"][BIRTH]
        assert ("withhold", "obligation_not_understood") == (
            told["effect"],
            told["reason"],
        )


@pytest.mark.parametrize(
    "escaped", [b"\\ud800", b"\\udfff", b"a\\ud83d", b"\\udc00\\ud800"]
)
@pytest.mark.parametrize("place", [*PLACES, "understands"])
def test_lone_surrogates_in_every_field(
    door: Door, place: str, escaped: bytes
) -> None:
    """Text that is no Unicode is refused where it stands."""
    make = PLACES.get(place, lambda text: GOOD | {"understands": [text]})
    body = json.dumps(make("@@")).encode().replace(b"@@", escaped)
    before = door.size()

    assert_problem(door.ask(body), 422)
    assert before == door.size()


def test_raw_surrogate_bytes_are_refused(door: Door) -> None:
    """Bytes that UTF-8 does not have are refused before parsing."""
    body = json.dumps(PLACES["value"]("@@")).encode()
    found = door.ask(body.replace(b"@@", b"\xed\xa0\x80"))

    assert 400 <= found.status_code < 500
    assert_problem(found, found.status_code)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"person": GOOD["person"]},
        {"attributes": [BIRTH]},
        GOOD | {"person": None},
        GOOD | {"person": {}},
        GOOD | {"person": []},
        GOOD | {"person": "x"},
        GOOD | {"person": {"id": None}},
        GOOD | {"person": {"id": 7}},
        GOOD | {"person": {"id": "zz"}},
        GOOD | {"person": {"id": "00000000-0000-0000-0000-00000000000"}},
        GOOD | {"person": {"id": "0" * 32, "identifier": {}}},
        GOOD | {"person": GOOD["person"] | {"id": "0" * 32}},
        GOOD | {"person": {"identifier": {"attribute": NUMBER}}},
        GOOD | {"person": {"identifier": {"attribute": NUMBER, "value": 7}}},
        GOOD | {"person": {"identifier": {"attribute": 7, "value": "7"}}},
        GOOD | {"person": {"identifier": {"attribute": BIRTH, "value": "x"}}},
        GOOD | {"attributes": []},
        GOOD | {"attributes": None},
        GOOD | {"attributes": BIRTH},
        GOOD | {"attributes": {BIRTH: True}},
        GOOD | {"attributes": [7]},
        GOOD | {"attributes": [None]},
        GOOD | {"attributes": [[BIRTH]]},
        GOOD | {"attributes": [BIRTH] * 65},
        GOOD | {"attributes": [f"user.x{n}" for n in range(65)]},
        GOOD | {"attributes": [10**40]},
        GOOD | {"understands": None},
        GOOD | {"understands": "delete_by"},
        GOOD | {"understands": [7]},
        GOOD | {"understands": ["x"] * 17},
        GOOD | {"understands": ["x" * 65]},
    ],
)
def test_wrong_shapes_are_named_by_place(
    door: Door, body: dict[str, Any]
) -> None:
    """A missing, wrong, doubled or too long part is a 422 without entry."""
    before = door.size()

    assert_problem(door.ask(body), 422)
    assert before == door.size()


def test_a_repeated_attribute_is_refused(door: Door) -> None:
    """Each attribute is named once."""
    body = body_about(door.world, "consenting", BIRTH, BIRTH)

    assert "once" in assert_problem(door.ask(body), 422)["detail"]


def test_an_identifier_in_the_wrong_place_is_not_repeated(door: Door) -> None:
    """A number sent as an attribute's name is counted and not echoed."""
    number = door.world.values["consenting"][NUMBER]
    found = door.ask(body_about(door.world, "consenting", BIRTH, number))

    assert 1 == assert_problem(found, 422)["count"]
    assert number not in found.text


def test_well_formed_strangers_get_the_ordinary_answer(door: Door) -> None:
    """An identifier that could be one, and is nobody's, is no error."""
    for number in (500, 976, 999):
        body = body_about(door.world, "silent", *ADDRESS)
        body["person"]["identifier"]["value"] = person_values(number)[NUMBER]
        assert (
            dict.fromkeys(ADDRESS, REFUSED)
            == door.ask(body).json()["attributes"]
        )


TEXTS = st.text(max_size=300) | st.sampled_from(
    [NUMBER, BIRTH, STREET, *HOSTILE.values()]
)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_leaves=8,
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "person": st.fixed_dictionaries(
            {
                "identifier": st.fixed_dictionaries(
                    {"attribute": TEXTS, "value": TEXTS}
                )
            }
        )
        | JSONS,
        "attributes": st.lists(TEXTS, max_size=4) | JSONS,
        "understands": st.lists(TEXTS, max_size=4) | JSONS,
        "extra": JSONS,
    },
)


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=BODIES)
def test_no_body_breaks_the_door(door: Door, body: dict[str, Any]) -> None:
    """Whatever is sent: an answer with an entry, or a 4xx without one."""
    before = door.size()
    found = door.ask(body)

    if found.status_code == 200:
        assert before + 1 == door.size()
    else:
        assert_problem(found, found.status_code)
        assert 400 <= found.status_code < 500
        assert before == door.size()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", ASK, 405),
        ("DELETE", ASK, 405),
        ("POST", "/v1/catalogue", 405),
        ("GET", "/v1/ledger/inclusion/99999", 404),
        ("GET", "/v1/ledger/inclusion/-1", 404),
        ("GET", "/v1/ledger/inclusion/x", 422),
        ("GET", "/v1/ledger/inclusion/" + "9" * 40, 404),
        ("GET", "/v1/ledger/inclusion/" + "9" * 5000, 422),
        ("GET", "/v1/ledger/inclusion/0?size=" + "9" * 30, 404),
        ("GET", "/v1/ledger/inclusion/0?size=0", 404),
        ("GET", "/v1/ledger/consistency?old=5&new=2", 404),
        ("GET", "/v1/ledger/consistency?old=-5&new=2", 404),
        ("GET", "/v1/ledger/consistency", 422),
    ],
)
def test_every_refusal_has_the_one_shape(
    door: Door, method: str, path: str, status: int
) -> None:
    """Wrong paths, methods and indexes are problems like all others."""
    assert_problem(door.client.request(method, path), status)


def test_the_ledger_shows_itself(door: Door) -> None:
    """Checkpoint, key and proofs are there for anybody."""
    note = door.client.get("/v1/ledger/checkpoint").text
    origin, size = note.splitlines()[:2]
    key = door.client.get("/v1/ledger/key").text
    proof = door.client.get(f"/v1/ledger/inclusion/0?size={size}").json()
    grown = door.client.get(f"/v1/ledger/consistency?old=1&new={size}").json()

    assert door.world.platform.settings.origin == origin
    assert key.startswith(f"{origin}+")
    assert (0, int(size)) == (proof["index"], proof["size"])
    assert all(len(one) == 64 for one in proof["hashes"] + grown["hashes"])


def test_checkpoints_do_not_stop_the_gate(door: Door) -> None:
    """Checkpoints and requests at once: none waits for the other's lock."""
    token = {"Authorization": f"Bearer {door.token()}"}
    body = body_about(door.world, "consenting", *ADDRESS)
    statuses: list[int] = []

    def ask() -> None:
        for _ in range(10):
            found = door.client.post(ASK, json=body, headers=token)
            statuses.append(found.status_code)

    def sign() -> None:
        for _ in range(10):
            found = door.client.get("/v1/ledger/checkpoint")
            statuses.append(found.status_code)

    began = time.monotonic()
    threads = [
        threading.Thread(target=work) for work in (ask, ask, sign, sign)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert [200] * 40 == statuses
    # Who waits for a lock in vain waits ten seconds, and gets no 200.
    assert time.monotonic() - began < 240


def test_a_checkpoint_is_signed_between_two_batches(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never on the event loop, where it would wait for a batch that waits."""
    ledger = door.world.platform.ledger
    real, threads = ledger.checkpoint, list[str]()

    def checkpoint() -> str:
        threads.append(threading.current_thread().name)
        return real()

    monkeypatch.setattr(ledger, "checkpoint", checkpoint)
    door.client.get("/v1/ledger/checkpoint")

    assert ["ledger-commit"] == [one.rpartition("_")[0] for one in threads]


def test_health_tells_readiness(door: Door) -> None:
    """Live, ready, the bundle in force and the ledger's size."""
    ready = door.client.get("/health/ready").json()

    assert {"status": "live"} == door.client.get("/health/live").json()
    assert ("ready", door.world.platform.pdp.revision, door.size()) == (
        ready["status"],
        ready["bundle"],
        ready["ledger"],
    )


def test_a_draining_server_is_not_ready_and_answers_nobody(
    tmp_path: Path,
) -> None:
    """Once the commit queue is closed: 503 from both, and no entry."""
    with build_world(tmp_path / "home") as world, at_the_door(world) as door:
        before = door.size()
        asyncio.run(world.platform.commits.drain())
        found = door.ask(body_about(world, "consenting", *ADDRESS))

        assert "ledger" == assert_problem(found, 503)["cause"]
        assert 503 == door.client.get("/health/ready").status_code
        assert_problem(door.client.get("/v1/ledger/checkpoint"), 503)
        assert before == door.size()


def test_the_catalogue_is_about_nobody(door: Door) -> None:
    """Names, sensitivity and levels; a service reads it without a token."""
    found = door.client.get("/v1/catalogue").json()["attributes"]

    assert {"name", "sensitivity", "levels"} == set(found[0])
    assert STREET in {one["name"] for one in found}


def test_a_service_reads_its_own_declaration(door: Door) -> None:
    """The live declaration of the credential, as it was registered."""
    found = door.client.get(
        "/v1/declaration",
        headers={"Authorization": f"Bearer {door.token()}"},
    ).json()

    assert ("moving-house", "address-change") == (
        found["service"],
        found["purpose"],
    )


def test_the_description_is_openapi_3_1(door: Door) -> None:
    """The description exists and no path in it holds a person."""
    found = door.client.get("/openapi.json").json()

    assert found["openapi"].startswith("3.1")
    assert not [path for path in found["paths"] if "{person" in path]
