"""The product behind the AuthZEN door: a service asks for itself.

What it may hear is what a disclosure tells it (invariant 6), each answer
about a person is an entry that the person sees, and nothing is opened.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from httpx2 import Response

from api.app import create_app
from api.authzen.limits import Limit, TooManyError
from api.pages.desk import GateDesk
from api.pages.port import Outcome
from consent import EntryKind
from policy import Cause, NoDecision
from tests.databases import Kind
from tests.doors import UNDERSTANDS, Door, assert_problem, at_the_door
from tests.worlds import (
    ADDRESS,
    BIRTH,
    CITY,
    INCOME,
    MOBILE,
    NUMBER,
    PURPOSE,
    SERVICE,
    STREET,
    build_world,
    person_values,
)

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
SEARCH = "/access/v1/search/"
OWN = {"type": "service", "id": SERVICE}
READ = {"name": "read"}
DIFFERS = ("evaluation_id", "evaluated_at", "ledger_index")


@pytest.fixture(scope="module")
def door(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[Door]:
    """A running application with its cast, shared."""
    home = tmp_path_factory.mktemp("authzen") / "home"
    with (
        build_world(
            home, database=database, public_url="https://town.example/pdp"
        ) as world,
        at_the_door(world) as made,
    ):
        yield made


def person(door: Door, name: str) -> dict[str, Any]:
    """Name a character, or nobody, by identity number."""
    values = door.world.values.get(name) or person_values(977)
    return {"identifier": {"attribute": NUMBER, "value": values[NUMBER]}}


def question(
    door: Door, name: str, attribute: str = STREET, **more: object
) -> dict[str, Any]:
    """Ask whether the service may read an attribute of a character."""
    return {
        "subject": OWN,
        "action": READ,
        "resource": {
            "type": "attribute",
            "id": attribute,
            "properties": {"person": person(door, name)},
        },
        "context": {"understands": UNDERSTANDS},
        **more,
    }


def send(door: Door, path: str, body: object) -> Response:
    """POST to the door with the service's token."""
    return door.client.post(
        path,
        content=json.dumps(body),
        headers={
            "Authorization": f"Bearer {door.token()}",
            "Content-Type": "application/json",
        },
    )


def test_consent_makes_it_true(door: Door) -> None:
    """The context has effect, obligations, decision and ledger index."""
    before = door.size()
    found = send(door, EVALUATION, question(door, "consenting"))

    told = found.json()
    assert (200, True) == (found.status_code, told["decision"])
    assert "no-store" == found.headers["cache-control"]
    assert before == told["context"]["ledger_index"]
    assert before + 1 == door.size()
    assert "release" == told["context"]["effect"]
    assert [
        {
            "id": "obl-1",
            "type": "custom",
            "properties": {
                "vendor": "curtilage",
                "name": "delete_by",
                "days": 90,
            },
        }
    ] == told["context"]["obligations"]


def test_nothing_is_opened(door: Door) -> None:
    """No value of the person is anywhere in the answer."""
    found = send(door, EVALUATION, question(door, "consenting"))

    values = door.world.values["consenting"]
    assert not [one for one in values.values() if one in found.text]


def test_a_judgement_opens_nothing_of_the_vault(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is true although the vault would open for nobody."""

    def shut(*_arguments: object) -> object:
        raise AssertionError

    for name in ("read", "records"):
        monkeypatch.setattr(type(door.world.platform.vault), name, shut)
    found = send(door, EVALUATION, question(door, "consenting"))

    assert found.json()["decision"]


def test_a_limit_is_true_and_coarser(door: Door) -> None:
    """The effect and the level say how much would leave."""
    found = send(door, EVALUATION, question(door, "limited", BIRTH)).json()

    assert found["decision"]
    assert ("generalize", 2) == (
        found["context"]["effect"],
        found["context"]["level"],
    )


def test_whatever_depends_on_the_person_is_one_answer(door: Door) -> None:
    """Invariant 6: equal status, headers, length and body."""
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
        found = send(door, EVALUATION, question(door, name, CITY))
        told = found.json()
        for each in DIFFERS:
            told["context"].pop(each)
        for each in ("expires_at", "binding_token"):
            told["context"]["access_request"].pop(each)
        headers = [
            (key, "" if key == "x-request-id" else value)
            for key, value in found.headers.multi_items()
        ]
        seen.add(
            (
                found.status_code,
                str(headers),
                json.dumps(told),
                len(found.content),
            )
        )

    assert 1 == len(seen), seen
    [(_status, _headers, told_text, _length)] = seen
    assert {
        "decision": False,
        "context": {
            "access_request": {
                "endpoint": "https://town.example/pdp/access/v1/requests"
            },
            "bundle_revision": door.world.platform.pdp.revision,
            "effect": "withhold",
            "reason": "not_available",
            "remedy": "none",
            "missing": [],
            "instead": [],
            "minimum": {
                "attributes": sorted(ADDRESS),
                "assurance": 1,
                "understands": ["delete_by"],
            },
        },
    } == json.loads(told_text)


OWN_SIDE = {
    "another service": (
        {"subject": {"type": "service", "id": "tax-office"}},
        "not_own",
    ),
    "a person": ({"subject": {"type": "person", "id": SERVICE}}, "not_own"),
    "another act": ({"action": {"name": "write"}}, "action_unknown"),
    "another purpose": (
        {"action": READ | {"properties": {"purpose": "tax"}}},
        "not_declared",
    ),
}


@pytest.mark.parametrize("case", OWN_SIDE)
def test_a_service_asks_only_as_itself(door: Door, case: str) -> None:
    """Denied with the reason, before anybody is looked up: no entry."""
    more, reason = OWN_SIDE[case]
    before = door.size()
    found = send(door, EVALUATION, question(door, "consenting", **more))

    remedy = door.world.platform.reasons.remedy(reason)
    assert {
        "decision": False,
        "context": {"reason": reason, "remedy": remedy},
    } == found.json()
    assert before == door.size()


def test_its_own_purpose_may_be_repeated(door: Door) -> None:
    """The processing activity may stand in the action, if it is the own."""
    action = READ | {"properties": {"purpose": PURPOSE}}
    found = send(door, EVALUATION, question(door, "consenting", action=action))

    assert found.json()["decision"]


@pytest.mark.parametrize("name", ["consenting", "nobody"])
def test_an_unknown_name_is_the_services_own_fault(
    door: Door, name: str
) -> None:
    """Whoever the person is; and so is an attribute not declared."""
    found = send(door, EVALUATION, question(door, name, "user.shoe-size"))
    undeclared = send(door, EVALUATION, question(door, name, INCOME)).json()

    assert {
        "decision": False,
        "context": {
            "reason": "unknown_attribute",
            "remedy": "correct_request",
        },
    } == found.json()
    assert "not_declared" == undeclared["context"]["reason"]


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"understands": ["mask"]},
        {"understands": UNDERSTANDS, "supported_obligations": []},
        {"understands": UNDERSTANDS, "supported_obligations": "custom"},
        {"understands": UNDERSTANDS, "supported_obligations": ["step-up"]},
        {"understands": UNDERSTANDS, "obligations_supported": []},
        {"understands": UNDERSTANDS, "obligations_supported": ["step-up"]},
    ],
)
def test_an_obligation_nobody_carries_out_is_a_denial(
    door: Door, context: dict[str, Any]
) -> None:
    """What the caller does not declare it understands is withheld."""
    body = question(door, "consenting", context=context)
    found = send(door, EVALUATION, body).json()

    assert (False, "obligation_not_understood") == (
        found["decision"],
        found["context"]["reason"],
    )


def test_types_that_we_do_not_issue_are_ignored(door: Door) -> None:
    """A caller may support more than we ask, custom among it."""
    context = {
        "understands": UNDERSTANDS,
        "supported_obligations": ["step-up", "custom", "of-tomorrow"],
    }
    body = question(door, "consenting", context=context)

    assert send(door, EVALUATION, body).json()["decision"]


def test_each_result_of_a_search_has_its_own_obligations(door: Door) -> None:
    """So who cannot carry one out leaves out that result, and no other."""
    body = question(door, "consenting")
    body["resource"].pop("id")
    results = send(door, SEARCH + "resource", body).json()["results"]
    single = send(door, EVALUATION, question(door, "consenting")).json()
    body["context"] = {"understands": ["mask"]}
    without = send(door, SEARCH + "resource", body).json()["results"]
    subjects = send(
        door,
        SEARCH + "subject",
        question(door, "consenting", subject={"type": "service"}),
    ).json()["results"]

    duties = single["context"]["obligations"]
    assert {5} == {len(results)}
    assert all(duties == one["obligations"] for one in results)
    assert [OWN | {"obligations": duties}] == subjects
    assert [] == without


PEOPLE = {
    "none": None,
    "a string": "990001",
    "both": {"id": "x", "identifier": {}},
    "neither": {},
    "no UUID": {"id": "990001"},
    "a number": {"id": 990001},
    "no value": {"identifier": {"attribute": NUMBER}},
    "value a number": {"identifier": {"attribute": NUMBER, "value": 9}},
    "value empty": {"identifier": {"attribute": NUMBER, "value": ""}},
    "value long": {"identifier": {"attribute": NUMBER, "value": "9" * 300}},
}


@pytest.mark.parametrize("case", PEOPLE)
def test_a_person_that_is_none_is_400(door: Door, case: str) -> None:
    """One clear error that repeats nothing; in a batch, of that item."""
    body = question(door, "consenting")
    body["resource"]["properties"]["person"] = PEOPLE[case]
    before = door.size()
    alone = send(door, EVALUATION, body)
    batch = send(door, EVALUATIONS, {"evaluations": [body]})

    problem = assert_problem(alone, 400)
    assert problem["where"].startswith("resource.properties.person")
    assert "990001" not in alone.text
    [told] = batch.json()["evaluations"]
    assert not told["decision"]
    assert 400 == told["context"]["error"]["status"]
    assert before == door.size()


def test_a_batch_is_one_entry_for_each_item(door: Door) -> None:
    """Each is decided apart, in order, and recorded."""
    before = door.size()
    found = send(
        door,
        EVALUATIONS,
        {
            "subject": OWN,
            "action": READ,
            "context": {"understands": UNDERSTANDS},
            "evaluations": [
                {"resource": question(door, name, at)["resource"]}
                for name, at in (
                    ("consenting", STREET),
                    ("refusing", STREET),
                    ("limited", MOBILE),
                    ("limited", BIRTH),
                )
            ],
        },
    )

    assert [True, False, False, True] == [
        one["decision"] for one in found.json()["evaluations"]
    ]
    assert before + 4 == door.size()


def test_resource_search_finds_what_evaluates_to_true(door: Door) -> None:
    """What a service may see of a person; of a stranger it sees nothing."""
    found = {}
    for name in ("consenting", "limited", "refusing", "nobody", "erased"):
        body = question(door, name)
        body["resource"].pop("id")
        before = door.size()
        told = send(door, SEARCH + "resource", body)
        assert (200, before + 1) == (told.status_code, door.size())
        found[name] = {one["id"] for one in told.json()["results"]}
        for each in (*ADDRESS, MOBILE, BIRTH, INCOME):
            single = send(door, EVALUATION, question(door, name, each)).json()
            assert single["decision"] is (each in found[name])

    assert {*ADDRESS, MOBILE, BIRTH} == found["consenting"]
    assert {*ADDRESS, BIRTH} == found["limited"]
    assert [set(), set(), set()] == [
        found[name] for name in ("refusing", "nobody", "erased")
    ]


@pytest.mark.parametrize(
    ("name", "expected"), [("consenting", 1), ("silent", 0)]
)
def test_subject_and_action_search_find_itself(
    door: Door, name: str, expected: int
) -> None:
    """A service finds itself and reading, or nothing at all."""
    subjects = send(
        door,
        SEARCH + "subject",
        question(door, name, subject={"type": "service"}),
    )
    body = question(door, name)
    body.pop("action")
    actions = send(door, SEARCH + "action", body)

    assert [OWN][:expected] == bare(subjects)
    assert [READ][:expected] == bare(actions)


def bare(found: Response) -> list[dict[str, Any]]:
    """Results without the obligations that go with them."""
    return [
        {name: one for name, one in result.items() if name != "obligations"}
        for result in found.json()["results"]
    ]


def test_searches_of_other_kinds_find_nothing(door: Door) -> None:
    """Other types, and other services, are unknown to a service."""
    body = question(door, "consenting")
    for path, more in (
        ("subject", {"subject": {"type": "person"}}),
        ("resource", {"resource": body["resource"] | {"type": "person"}}),
        ("resource", {"subject": OWN | {"id": "tax-office"}}),
        ("action", {"subject": OWN | {"id": "tax-office"}}),
    ):
        found = send(door, SEARCH + path, body | more)
        assert (200, []) == (found.status_code, found.json()["results"])


def test_pages_of_attributes(door: Door) -> None:
    """Followed to the end, they are the whole; each is looked up anew."""
    body = question(door, "consenting")
    body["resource"].pop("id")
    whole = send(door, SEARCH + "resource", body).json()["results"]
    paged, token = [], None
    while token != "":
        page = {"limit": 2} | ({"token": token} if token else {})
        told = send(door, SEARCH + "resource", body | {"page": page}).json()
        paged += told["results"]
        token = told["page"]["next_token"]

    assert whole == paged
    assert 5 == len(whole)


def test_the_person_sees_that_it_was_asked(door: Door) -> None:
    """An entry of its own kind, with the true reason, and words for it."""
    subject = door.world.cast["refusing"]
    send(door, EVALUATION, question(door, "refusing"))
    platform = door.world.platform
    holding = platform.vault.holding(subject)
    [entry, *_] = platform.ledger.own_entries(
        platform.vault.log_key(holding), before=None, limit=1
    )
    use = GateDesk(platform)._use(entry)

    assert (EntryKind.EVALUATION, SERVICE, PURPOSE) == (
        entry.kind,
        entry.service,
        entry.purpose,
    )
    assert "consent_refused" in entry.detail["attributes"][STREET]["reasons"]
    assert Outcome.JUDGED is use.outcome
    assert [(STREET, "consent_refused")] == [
        (one.attribute, one.reason) for one in use.attributes
    ]


def test_a_judgement_replays(door: Door) -> None:
    """The stored decision of an answer gives the same answer again."""
    told = send(door, EVALUATION, question(door, "limited", BIRTH)).json()
    platform = door.world.platform
    found = asyncio.run(
        platform.replay.replay(
            platform.pdp,
            UUID(told["context"]["evaluation_id"]),
            door.world.cast["limited"],
        )
    )

    assert () == found.differs
    assert [BIRTH] == list(found.again)


def test_without_a_token_nobody_is_asked(door: Door) -> None:
    """401, and no entry."""
    before = door.size()
    found = door.client.post(EVALUATION, json=question(door, "consenting"))

    assert_problem(found, 401)
    assert before == door.size()


def test_discovery_names_the_public_address(door: Door) -> None:
    """The well-known part goes between host and path."""
    found = door.client.get("/.well-known/authzen-configuration/pdp")

    assert "https://town.example/pdp" == found.json()["policy_decision_point"]
    assert ["custom"] == found.json()["supported_obligations"]
    assert (
        "https://town.example/pdp/access/v1/evaluation"
        == found.json()["access_evaluation_endpoint"]
    )


def test_no_decision_is_no_denial(tmp_path: Path) -> None:
    """503 for the question, and for the whole of a batch; each an entry."""

    class Silent:
        revision = "none"

        async def decide(self, _entrypoint: str, _document: object) -> object:
            raise NoDecision(Cause.DOWN)

    with build_world(tmp_path / "home") as world:
        world.platform.gate._pdp = Silent()
        with at_the_door(world) as door:
            body = question(door, "consenting")
            item = question(door, "consenting")
            item["resource"]["properties"] = {}
            body_of_resources = question(door, "consenting")
            body_of_resources["resource"].pop("id")
            for path, sent in (
                (EVALUATION, body),
                (EVALUATIONS, {"evaluations": [item, body]}),
                (SEARCH + "resource", body_of_resources),
            ):
                before = door.size()
                found = assert_problem(send(door, path, sent), 503)
                assert "down" == found["cause"]
                assert before + 1 == door.size()


def test_a_service_cannot_walk_through_the_register(tmp_path: Path) -> None:
    """Beyond its questions a minute a service waits, and nothing is asked."""
    with build_world(tmp_path / "home") as world:
        settings = world.platform.settings.model_copy(
            update={"evaluations_per_minute": 3}
        )
        platform = replace(world.platform, settings=settings)
        with at_the_door(replace(world, platform=platform)) as door:
            before = door.size()
            body = question(door, "nobody")
            for _ in range(3):
                assert 200 == send(door, EVALUATION, body).status_code
            found = send(door, EVALUATION, body)
            assert_problem(found, 429)
            assert int(found.headers["retry-after"]) > 0
            assert before + 3 == door.size()


def test_without_a_public_address_there_is_no_document(
    tmp_path: Path,
) -> None:
    """The identifier is an https address or there is none."""
    with build_world(tmp_path / "home") as world, at_the_door(world) as door:
        found = door.client.get("/.well-known/authzen-configuration")

        assert_problem(found, 404)
        assert create_app(world.platform) is not None


def test_the_bucket_fills_again() -> None:
    """So many a minute, not more at once, and each service for itself."""
    now = [0.0]
    limit = Limit(60, lambda: now[0])
    limit.take("a", 60)
    limit.take("b", 60)
    with pytest.raises(TooManyError) as refused:
        limit.take("a", 2)
    assert 3 >= refused.value.seconds >= 2
    now[0] += 2
    limit.take("a", 2)
    with pytest.raises(TooManyError):
        limit.take("a", 1)
    now[0] += 10_000
    limit.take("a", 60)
    with pytest.raises(TooManyError):
        limit.take("a", 1)
