"""The certification scenario of AuthZEN's Authorization API 1.0, whole.

Each mandated decision, search condition, format, error, header and transport
case of the OpenID scenario (version of 2026-06-25), at all levels, over HTTPS
on loopback under a throw-away authority. The identifiers are the scenario's.
"""

import ssl
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.authzen_fixture import Harness, certified

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
SUBJECT, RESOURCE, ACTION = (
    f"/access/v1/search/{one}" for one in ("subject", "resource", "action")
)
A = {"type": "user", "id": "alice"}
B = {"type": "user", "id": "bob"}
ADMIN = B | {"properties": {"role": "admin"}}
R1 = {"type": "record", "id": "record-1"}
R2 = {"type": "record", "id": "record-2"}
R1A = R1 | {"properties": {"status": "active"}}
R2X = R2 | {"properties": {"status": "archived"}}
READ, WRITE = {"name": "read"}, {"name": "write"}
CONTEXT = {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}


def asked(
    subject: object, action: object, resource: object, **more: object
) -> dict[str, Any]:
    """Put a question together."""
    return {
        "subject": subject,
        "action": action,
        "resource": resource,
        **more,
    }


FIRST = asked(A, READ, R1)


@pytest.fixture(scope="module")
def harness(
    tmp_path_factory: pytest.TempPathFactory, opa_binary: Path
) -> Iterator[Harness]:
    """The fixture's server, shared."""
    with certified(opa_binary, tmp_path_factory.mktemp("authzen")) as made:
        yield made


SINGLE = {
    "c-2-2-1": (FIRST, True),
    "c-2-2-2": (asked(B, WRITE, R1), False),
    "c-2-2-3": (asked(A, READ, R1, context=CONTEXT), True),
    "c-2-2-4": (asked(A, WRITE, R2X), False),
    "c-2-2-5": (asked(ADMIN, WRITE, R2X), True),
    "c-2-2-6": (
        asked(A, {"name": "delete", "properties": {"soft": True}}, R1),
        True,
    ),
    "c-2-2-7": (
        asked(A, {"name": "delete", "properties": {"soft": False}}, R1),
        False,
    ),
    "c-2-2-8": (
        asked(
            A | {"properties": {"department": "Sales", "role": "manager"}},
            READ | {"properties": {"method": "GET"}},
            R1 | {"properties": {"status": "active", "owner": "bob"}},
        ),
        True,
    ),
    "c-2-2-9": (FIRST | {"foo": "bar", "futureField": {"nested": 1}}, True),
    "rule 2": (asked(A, WRITE, R1), True),
    "rule 3": (asked(B, READ, R1), True),
}


@pytest.mark.parametrize("case", SINGLE)
def test_mandated_decisions(harness: Harness, case: str) -> None:
    """Section 2.2: each has its value, with or without context."""
    body, expected = SINGLE[case]
    for one in (body, body | {"context": {"any": "thing"}}):
        found = harness.send(EVALUATION, one)

        assert 200 == found.status
        assert expected is found.body["decision"]


def test_the_shape_of_an_answer(harness: Harness) -> None:
    """c-2-3-1 and -2: JSON, a boolean decision, a context that is one."""
    found = harness.send(EVALUATION, FIRST)

    assert found.headers["content-type"].startswith("application/json")
    assert bool is type(found.body["decision"])
    assert isinstance(found.body.get("context", {}), dict)


MALFORMED = {
    **{
        f"c-2-4-1 no {name}": {
            key: one for key, one in FIRST.items() if key != name
        }
        for name in FIRST
    },
    "c-2-4-2 subject without type": asked({"id": "alice"}, READ, R1),
    "c-2-4-2 subject without id": asked({"type": "user"}, READ, R1),
    "c-2-4-2 action without name": asked(A, {}, R1),
    "c-2-4-2 resource without type": asked(A, READ, {"id": "record-1"}),
    "c-2-4-2 resource without id": asked(A, READ, {"type": "record"}),
    "c-2-4-4": b"{not json",
    "c-2-4-5": b"",
    "c-2-4-6 subject a string": asked("alice", READ, R1),
    "c-2-4-6 name a number": asked(A, {"name": 123}, R1),
    "an array": b"[]",
    "null": b"null",
    "a member twice": b'{"subject": 1, "subject": 2}',
    "not UTF-8": b'{"subject": "\xff"}',
    "a lone surrogate": b'{"subject": "\\ud800"}',
    "beyond a double": b'{"subject": 1e400}',
    "not a number": b'{"subject": NaN}',
    "nested too deep": b'{"a":' * 60 + b"1" + b"}" * 60,
    "nested far too deep": b"[" * 100_000,
    "properties a list": asked(A | {"properties": []}, READ, R1),
    "context a string": asked(A, READ, R1, context="now"),
    "id empty": asked(A | {"id": ""}, READ, R1),
    "id far too long": asked(A | {"id": "x" * 2000}, READ, R1),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_no_question_is_400(harness: Harness, case: str) -> None:
    """Section 2.4: never 422, never a decision, and nothing is repeated."""
    for path in (EVALUATION, EVALUATIONS):
        found = harness.send(path, MALFORMED[case])

        assert 400 == found.status
        assert "decision" not in found.body
        assert "alice" not in found.text


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", ""])
def test_another_content_type_is_400(harness: Harness, kind: str) -> None:
    """c-2-4-3: also where the body would be one."""
    found = harness.send(EVALUATION, FIRST, headers={"Content-Type": kind})

    assert 400 == found.status


def test_a_charset_does_no_harm(harness: Harness) -> None:
    """The type may have parameters."""
    kind = "application/json; charset=utf-8"
    found = harness.send(EVALUATION, FIRST, headers={"Content-Type": kind})

    assert 200 == found.status


@pytest.mark.parametrize("body", [FIRST, b"{not json"])
def test_the_request_id_comes_back(harness: Harness, body: object) -> None:
    """c-2-5-1 and -2: as it was sent, on errors too; else one of ours."""
    sent = harness.send(EVALUATION, body, headers={"X-Request-ID": "bfe9-eb"})
    without = harness.send(EVALUATION, body)

    assert "bfe9-eb" == sent.headers["x-request-id"]
    assert without.headers["x-request-id"]


@pytest.mark.parametrize("text", ["x" * 129, "caf\u00e9"])
def test_an_odd_request_id_does_not_come_back(
    harness: Harness, text: str
) -> None:
    """Nothing long and nothing outside ASCII is written into a header."""
    headers = {"X-Request-ID": text.encode().decode("latin-1")}
    found = harness.send(EVALUATION, FIRST, headers=headers)

    assert 200 == found.status
    assert headers["X-Request-ID"] != found.headers["x-request-id"]


def test_the_same_question_has_the_same_answer(harness: Harness) -> None:
    """c-2-6: the decision does not drift."""
    found = {harness.send(EVALUATION, FIRST).text for _ in range(5)}

    assert 1 == len(found)


ITEMS = {
    "c-3-2-1": (
        {"subject": A, "action": READ},
        [{"resource": R1}, {"resource": R2}],
        (True, None),
    ),
    "c-3-2-2": (
        {"subject": B, "resource": R1},
        [{"action": READ}, {"action": WRITE}],
        (True, False),
    ),
    "c-3-2-3": (
        {"subject": A, "action": WRITE},
        [{"resource": R1A}, {"resource": R2X}],
        (True, False),
    ),
    "c-3-2-4": (
        {"action": WRITE, "resource": R2X},
        [{"subject": A}, {"subject": ADMIN}],
        (False, True),
    ),
    "c-3-2-5": (
        {},
        [asked(A, READ, R1), asked(B, WRITE, R1)],
        (True, False),
    ),
    "c-3-2-6": (
        {
            "subject": A,
            "action": READ,
            "context": {"time": "2025-06-27T18:03-07:00"},
        },
        [
            {"resource": R1},
            {"resource": R2, "context": {"source": "batch-override"}},
        ],
        (None, None),
    ),
    "c-3-2-7": (
        {"subject": A, "action": WRITE, "resource": R1A},
        [{}, {"resource": R2X}],
        (True, False),
    ),
    "c-3-2-7, nothing is merged": (
        {"subject": ADMIN, "action": WRITE, "resource": R2X},
        [{}, {"subject": B}],
        (True, False),
    ),
    "c-3-4-1": (
        {
            "subject": A,
            "action": READ,
            "options": {"evaluations_semantic": "execute_all"},
        },
        [{"resource": R1}, {}],
        (True, False),
    ),
    "an item that is no object": (
        {"subject": A, "action": READ, "resource": R1},
        [{}, "record-1"],
        (True, False),
    ),
}


@pytest.mark.parametrize("case", ITEMS)
def test_batches(harness: Harness, case: str) -> None:
    """Sections 3.2 to 3.4: as many answers, in order, defaults whole."""
    defaults, items, expected = ITEMS[case]
    found = harness.send(EVALUATIONS, {**defaults, "evaluations": items})

    assert 200 == found.status
    assert ["evaluations"] == list(found.body)
    told = [one["decision"] for one in found.body["evaluations"]]
    assert len(items) == len(told)
    for one, wanted in zip(told, expected, strict=True):
        assert bool is type(one)
        assert wanted in {one, None}


@pytest.mark.parametrize("more", [{}, {"evaluations": []}])
def test_a_batch_of_none_is_one_question(
    harness: Harness, more: dict[str, Any]
) -> None:
    """c-3-4-2 and -3: it behaves as the single API."""
    found = harness.send(EVALUATIONS, FIRST | more)

    assert {"decision": True} == found.body


SHORT = {
    "deny_on_first_deny": ([R1A, R2X, R1A], [True, False]),
    "permit_on_first_permit": ([R2X, R1A, R2X], [False, True]),
}


@pytest.mark.parametrize("semantic", SHORT)
def test_a_batch_may_end_early(harness: Harness, semantic: str) -> None:
    """7.1.2.1: the answers up to the one that ended it."""
    resources, expected = SHORT[semantic]
    found = harness.send(
        EVALUATIONS,
        {
            "subject": A,
            "action": WRITE,
            "options": {"evaluations_semantic": semantic},
            "evaluations": [{"resource": one} for one in resources],
        },
    )

    assert expected == [one["decision"] for one in found.body["evaluations"]]


@pytest.mark.parametrize(
    "more",
    [
        {"evaluations": {}},
        {"evaluations": "all"},
        {"evaluations": [{}] * 101},
        {"options": []},
        {"options": {"evaluations_semantic": "first"}},
    ],
)
def test_a_batch_that_is_none_is_400(
    harness: Harness, more: dict[str, Any]
) -> None:
    """What is wrong with the whole is an HTTP error."""
    found = harness.send(EVALUATIONS, {"evaluations": [{}]} | FIRST | more)

    assert (400, False) == (found.status, "evaluations" in found.body)


FOUND = {
    "c-4-2-1 S1": (
        SUBJECT,
        asked({"type": "user"}, READ, R1),
        [("user", "alice"), ("user", "bob")],
    ),
    "c-4-2-4 S4": (
        SUBJECT,
        asked({"type": "user"}, WRITE, R2X),
        [("user", "bob")],
    ),
    "c-4-3-1 S2": (
        RESOURCE,
        asked(A, READ, {"type": "record"}),
        [("record", "record-1")],
    ),
    "c-4-3-4 S5": (
        RESOURCE,
        asked(ADMIN, WRITE, {"type": "record"}),
        [("record", "record-2")],
    ),
    "c-4-4-1 S3": (ACTION, {"subject": A, "resource": R1}, ["read", "write"]),
    "c-4-4-3 S6": (ACTION, {"subject": ADMIN, "resource": R2X}, ["write"]),
}


@pytest.mark.parametrize("case", FOUND)
def test_searches(harness: Harness, case: str) -> None:
    """The six conditions hold, and a context changes nothing."""
    path, body, expected = FOUND[case]
    found = harness.send(path, body)
    told = harness.send(path, body | {"context": CONTEXT})

    assert 200 == found.status
    assert found.body["results"] == told.body["results"]
    results = [
        one["name"] if path == ACTION else (one["type"], one["id"])
        for one in found.body["results"]
    ]
    assert set(expected) <= set(results)


@pytest.mark.parametrize("case", ["c-4-2-1 S1", "c-4-3-1 S2"])
def test_an_id_of_what_is_sought_is_ignored(
    harness: Harness, case: str
) -> None:
    """c-4-2-3 and c-4-3-3: identical results."""
    path, body, _expected = FOUND[case]
    sought = "subject" if path == SUBJECT else "resource"
    named = body | {sought: A if path == SUBJECT else R1}

    assert harness.send(path, body).text == harness.send(path, named).text


@pytest.mark.parametrize("case", FOUND)
def test_what_is_found_evaluates_to_true(harness: Harness, case: str) -> None:
    """8.1: a result is one that the single API permits."""
    path, body, _expected = FOUND[case]
    for one in harness.send(path, body).body["results"]:
        sought = path.rpartition("/")[2]
        properties = {
            "bob": {"role": "admin"},
            "record-2": {"status": "archived"},
        }.get(one.get("id", ""), {})
        question = body | {sought: one | {"properties": properties}}

        assert harness.send(EVALUATION, question).body["decision"]


def test_pages_follow_one_another(harness: Harness) -> None:
    """c-4-5-1 to -3: a token until the end, then an empty one."""
    body = asked({"type": "user"}, READ, R1)
    first = harness.send(SUBJECT, body | {"page": {"limit": 1}}).body
    token = first["page"]["next_token"]
    second = harness.send(
        SUBJECT, body | {"page": {"limit": 1, "token": token}}
    ).body

    assert token
    assert "" == second["page"]["next_token"]
    assert ["alice", "bob"] == [
        one["id"] for one in (*first["results"], *second["results"])
    ]


@pytest.mark.parametrize(
    "page",
    [
        "next",
        {"limit": 0},
        {"limit": "1"},
        {"limit": True},
        {"token": 1},
        {"token": "WzEsIiJd.forged"},
        {"token": "x"},
    ],
)
def test_a_page_that_is_none_is_400(harness: Harness, page: object) -> None:
    """A forged token among them."""
    body = asked({"type": "user"}, READ, R1, page=page)

    assert 400 == harness.send(SUBJECT, body).status


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SUBJECT, asked({"type": "user"}, WRITE, R1)),
        (SUBJECT, asked({"type": "user"}, READ, R2)),
        (RESOURCE, asked(A, READ, {"type": "record"})),
    ],
)
def test_a_token_is_for_one_question(
    harness: Harness, path: str, body: dict[str, Any]
) -> None:
    """8.2: with other values it is refused."""
    first = harness.send(
        SUBJECT,
        asked({"type": "user"}, READ, R1, page={"limit": 1}),
    ).body
    page = {"limit": 1, "token": first["page"]["next_token"]}

    assert 400 == harness.send(path, body | {"page": page}).status


STRANGERS = {
    "c-4-6-1 subject": (
        SUBJECT,
        asked({"type": "user"}, READ, R1 | {"id": "nothing"}),
    ),
    "c-4-6-1 resource": (
        RESOURCE,
        asked(A | {"id": "nobody"}, READ, {"type": "record"}),
    ),
    "c-4-6-1 action": (
        ACTION,
        {"subject": A | {"id": "nobody"}, "resource": R1},
    ),
    "c-4-6-2 subject": (SUBJECT, asked({"type": "spaceship"}, READ, R1)),
    "c-4-6-2 resource": (RESOURCE, asked(A, READ, {"type": "spaceship"})),
    "c-4-6-2 action": (
        ACTION,
        {"subject": A | {"type": "spaceship"}, "resource": R1},
    ),
}


@pytest.mark.parametrize("case", STRANGERS)
def test_strangers_are_found_nowhere(harness: Harness, case: str) -> None:
    """Section 4.6: no results, and no error."""
    path, body = STRANGERS[case]
    found = harness.send(path, body)

    assert (200, {"results": []}) == (found.status, found.body)


UNFINISHED = {
    "c-4-7-1 subject": (SUBJECT, {"subject": A, "resource": R1}),
    "c-4-7-1 resource": (RESOURCE, {"action": READ, "resource": R1}),
    "c-4-7-1 action": (ACTION, {"subject": A}),
    "c-4-7-2 subject": (SUBJECT, asked(A, READ, {"type": "record"})),
    "c-4-7-2 resource": (RESOURCE, asked({"type": "user"}, READ, R1)),
    "c-4-7-2 action": (ACTION, {"subject": {"type": "user"}, "resource": R1}),
}


@pytest.mark.parametrize("case", UNFINISHED)
def test_a_search_names_what_it_goes_from(harness: Harness, case: str) -> None:
    """Section 4.7: every entity but the sought one is whole, else 400."""
    path, body = UNFINISHED[case]

    assert 400 == harness.send(path, body).status


def test_discovery(harness: Harness) -> None:
    """c-6: the document names this server and https addresses."""
    found = harness.send("/.well-known/authzen-configuration")

    assert (200, "application/json") == (
        found.status,
        found.headers["content-type"],
    )
    assert harness.base == found.body["policy_decision_point"]
    endpoints = {
        name: one
        for name, one in found.body.items()
        if name.endswith("_endpoint")
    }
    assert {
        "access_evaluation_endpoint": EVALUATION,
        "access_evaluations_endpoint": EVALUATIONS,
        "search_subject_endpoint": SUBJECT,
        "search_resource_endpoint": RESOURCE,
        "search_action_endpoint": ACTION,
    } == {name: urlsplit(one).path for name, one in endpoints.items()}
    assert {"https"} == {urlsplit(one).scheme for one in endpoints.values()}


def test_transport_is_authenticated(harness: Harness) -> None:
    """c-5: whoever does not trust the authority gets nothing."""
    stranger = Harness(base=harness.base, trust=ssl.create_default_context())

    with pytest.raises(urllib.error.URLError):
        stranger.send(EVALUATION, FIRST)
