"""Asking for consent over AuthZEN's access request profile, and its attacks.

A service that is denied has the person asked. Whatever it then does, it
learns of a yes alone: nobody, somebody erased, somebody who said no and
somebody who has not looked are one task (DESIGN.md, invariant 6).
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from httpx2 import Response
from sqlalchemy import event, text

import policy.asking
from api.pages.desk import CAST_NAME, GateDesk
from api.pages.port import Outcome
from consent import EntryKind, EventType
from policy.asking import SECONDS_A_DAY
from tests.databases import Kind
from tests.doors import UNDERSTANDS, Door, assert_problem, at_the_door
from tests.doors import credential as new_credential
from tests.test_consents_api import signed_in
from tests.worlds import (
    ADDRESS,
    BIRTH,
    CITY,
    INCOME,
    MOBILE,
    NUMBER,
    OFFICER,
    PURPOSE,
    SERVICE,
    STREET,
    build_world,
    person_values,
)

PDP = "https://town.example/pdp"
EVALUATION = "/access/v1/evaluation"
REQUESTS = "/access/v1/requests"
URN = "urn:openid:authzen:access-request:error:"
# Whose state a service must not learn.
ALIKE = (
    "nobody",
    "erased",
    "refusing",
    "withdrawn",
    "silent",
    "restricted",
    "valueless",
)


@pytest.fixture(scope="module")
def door(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[Door]:
    """A running application with its cast, shared by what settles nothing."""
    home = tmp_path_factory.mktemp("requests") / "home"
    with opened(home, database) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path, database: Kind) -> Iterator[Door]:
    """An application of the test's own, and one more who never answered."""
    with opened(tmp_path / "home", database, extra=1) as made:
        yield made


@contextmanager
def opened(home: Path, database: Kind, **more: object) -> Iterator[Door]:
    """Run an application that has an address."""
    with build_world(
        home, database=database, **{"public_url": PDP, **more}
    ) as world:
        member = {
            "subject": str(world.cast["silent"]),
            "label": {"en": "Silent", "zh-Hans": "未答复者"},
            "description": None,
        }
        (world.home / CAST_NAME).write_text(json.dumps([member]), "utf-8")
        with at_the_door(world) as made:
            yield made


def question(door: Door, name: str, attribute: str = CITY) -> dict[str, Any]:
    """Ask whether the service may read an attribute of a character."""
    values = door.world.values.get(name) or person_values(977)
    named = {"attribute": NUMBER, "value": values[NUMBER]}
    return {
        "subject": {"type": "service", "id": SERVICE},
        "action": {"name": "read"},
        "resource": {
            "type": "attribute",
            "id": attribute,
            "properties": {"person": {"identifier": named}},
        },
        "context": {"understands": UNDERSTANDS},
    }


def send(
    door: Door, path: str, body: object = None, **headers: str
) -> Response:
    """POST as the service; bytes go as they are, nothing as no body."""
    given = {
        "Authorization": f"Bearer {headers.pop('token', '') or door.token()}",
        "Content-Type": "application/json",
        **{name.replace("_", "-"): one for name, one in headers.items()},
    }
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return door.client.post(
        path, content=b"" if body is None else content, headers=given
    )


def poll(door: Door, task: str, token: str = "") -> Response:
    """GET a task as the service."""
    return door.client.get(
        f"{REQUESTS}/{task}",
        headers={"Authorization": f"Bearer {token or door.token()}"},
    )


def submission(door: Door, name: str, attribute: str = CITY) -> dict[str, Any]:
    """Be denied, and make the request that answers the denial."""
    asked = question(door, name, attribute)
    told = send(door, EVALUATION, asked).json()
    assert not told["decision"]
    return asked | {"denial": denial_of(told["context"])}


def denial_of(context: Mapping[str, Any]) -> dict[str, Any]:
    """What of a denial goes back with a request."""
    offered = context["access_request"]
    return {
        "evaluation_id": context["evaluation_id"],
        "expires_at": offered["expires_at"],
        "reason": context["reason"],
        "binding_token": offered["binding_token"],
    }


def submit(door: Door, name: str, attribute: str = CITY) -> dict[str, Any]:
    """Have a character asked, and return the task."""
    found = send(door, REQUESTS, submission(door, name, attribute))
    assert 202 == found.status_code
    return dict(found.json()["task"])


def say(door: Door, name: str, kind: EventType, *attributes: str) -> None:
    """Let a character answer, as of now."""
    platform = door.world.platform
    with platform.data.begin() as conn:
        platform.consents.record(
            conn, door.world.event(name, kind, *attributes)
        )


def asked_of(door: Door, name: str) -> tuple[str, ...]:
    """What a character's pages say that the service asks for."""
    found = door.world.platform.asking.waiting(door.world.cast[name])
    return found.get((SERVICE, PURPOSE, "address"), ())


def shape(found: Response, *ids: str) -> tuple[object, ...]:
    """All that somebody can see of an answer, but for its random ids."""
    said = found.text
    headers = [
        (key, "" if key == "x-request-id" else value)
        for key, value in found.headers.multi_items()
    ]
    told = str(headers)
    for one in ids:
        said, told = said.replace(one, "-"), told.replace(one, "-")
    return found.status_code, told, said, len(found.content)


_OF_A_PERSON = ("vault_", "consent_")
_SWEPT = "DELETE FROM policy_consent_request"


@contextmanager
def counted(door: Door) -> Iterator[list[str]]:
    """Collect the statements that the data database runs meanwhile."""
    ran: list[str] = []

    def hear(*arguments: object) -> None:
        statement = " ".join(str(arguments[2]).split())
        # The server publishes checkpoints, settles emergency access and
        # sweeps expired tasks beside all requests, whenever due, in
        # transactions of its own.
        if any(
            one in statement for one in _OF_A_PERSON
        ) and not statement.startswith(_SWEPT):
            ran.append(statement)

    engine = door.world.platform.data
    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield ran
    finally:
        event.remove(engine, "before_cursor_execute", hear)


def test_a_denial_that_consent_could_lift_can_be_answered(door: Door) -> None:
    """It says where, until when, and binds itself; a permission does not."""
    told = send(door, EVALUATION, question(door, "silent")).json()["context"]
    good = send(door, EVALUATION, question(door, "consenting")).json()

    offered = told["access_request"]
    assert {"endpoint", "expires_at", "binding_token"} == offered.keys()
    assert f"{PDP}{REQUESTS}" == offered["endpoint"]
    assert 2 == offered["binding_token"].count(".")
    assert "access_request" not in good["context"]


@pytest.mark.parametrize("name", ["silent", "nobody"])
def test_what_consent_could_not_lift_is_not_offered(
    door: Door, name: str
) -> None:
    """What is not declared is the service's own fault, whoever it is about."""
    told = send(door, EVALUATION, question(door, name, INCOME)).json()

    assert "access_request" not in told["context"]
    assert_problem(
        send(door, EVALUATION, question(door, name, INCOME) | {"context": 1}),
        400,
    )


def test_every_denial_offers_it_alike(door: Door) -> None:
    """The offer is as long for anybody, so it tells nothing (invariant 6)."""
    seen = {
        len(
            send(door, EVALUATION, question(door, name)).json()["context"][
                "access_request"
            ]["binding_token"]
        )
        for name in ALIKE
    }

    assert 1 == len(seen)


def test_a_task_is_the_same_for_everybody_and_nobody(door: Door) -> None:
    """Submitted, and polled: status, headers, length and body are one."""
    seen, polled = set(), set()
    for name in ALIKE:
        found = send(door, REQUESTS, submission(door, name))
        task = found.json()["task"]["id"]
        seen.add(shape(found, task))
        polled.add(shape(poll(door, task), task))

    assert 1 == len(seen), seen
    assert 1 == len(polled), polled
    [(status, headers, said, _length)] = seen
    assert 202 == status
    assert "'retry-after', '30'" in str(headers)
    assert "no-store" in str(headers)
    told = json.loads(str(said))["task"]
    assert ("pending", f"{PDP}{REQUESTS}/-") == (
        told["status"],
        told["status_endpoint"],
    )
    assert f"{PDP}{REQUESTS}/-/cancel" == told["links"]["cancel"]


def test_the_work_is_the_same_for_everybody_and_nobody(door: Door) -> None:
    """The same statements run, so that no clock tells them apart."""
    submitted, polled, cancelled = set(), set(), set()
    token = door.token()
    for name in ALIKE:
        body = submission(door, name, BIRTH)
        with counted(door) as ran:
            found = send(door, REQUESTS, body, token=token)
        submitted.add(tuple(ran))
        task = found.json()["task"]["id"]
        with counted(door) as ran:
            poll(door, task, token)
        polled.add(tuple(ran))
        with counted(door) as ran:
            send(door, f"{REQUESTS}/{task}/cancel", token=token)
        cancelled.add(tuple(ran))

    assert any("policy_consent_request" in one for one in min(submitted))
    assert 1 == len(submitted), [len(one) for one in submitted]
    assert 1 == len(polled)
    assert 1 == len(cancelled), [len(one) for one in cancelled]


def test_a_no_looks_as_no_answer(own: Door) -> None:
    """Polls before and after a no, and of nobody, are one answer."""
    task, other = submit(own, "silent")["id"], submit(own, "nobody")["id"]
    before = shape(poll(own, task), task)
    assert (CITY,) == asked_of(own, "silent")
    own.world.clock.now += 60
    say(own, "silent", EventType.REFUSED)

    assert before == shape(poll(own, task), task)
    assert () == asked_of(own, "silent")
    assert before[0] == poll(own, other).status_code
    own.world.clock.now += 30 * SECONDS_A_DAY
    for one in (task, other):
        gone = assert_urn(poll(own, one), 410, "task_expired")
        assert task not in json.dumps(gone)


def test_a_yes_completes_the_task_and_access_is_evaluated_anew(
    own: Door,
) -> None:
    """Approval is no access: the new evaluation is, and it names it."""
    task = submit(own, "silent")["id"]
    own.world.clock.now += 60
    say(own, "silent", EventType.GIVEN)
    body = poll(own, task).json()
    approval = body["result"]["approval"]
    again = question(own, "silent")
    again["context"]["approval"] = approval
    told = send(own, EVALUATION, again).json()

    assert ("approved", "reevaluate") == (
        body["task"]["status"],
        body["result"]["mode"],
    )
    assert "links" not in body["task"]
    assert told["decision"]
    assert {
        "id": approval["id"],
        "approved_until": approval["approved_until"],
    } == told["context"]["approval"]
    log = own.world.platform.consents.all_events(own.world.cast["silent"])
    assert str(log[-1].id) == approval["id"]


def test_a_yes_to_less_does_not_complete_what_it_leaves_out(own: Door) -> None:
    """A task is about one attribute; the yes must allow it."""
    city, mobile = submit(own, "silent"), submit(own, "silent", MOBILE)
    own.world.clock.now += 60
    say(own, "silent", EventType.GIVEN, *ADDRESS)

    assert "approved" == poll(own, city["id"]).json()["task"]["status"]
    assert "pending" == poll(own, mobile["id"]).json()["task"]["status"]


def test_an_approval_opens_nothing_for_anybody_else(own: Door) -> None:
    """Shown about another person, another attribute, or after its end."""
    task = submit(own, "silent")["id"]
    own.world.clock.now += 60
    say(own, "silent", EventType.GIVEN)
    approval = poll(own, task).json()["result"]["approval"]
    told = {}
    for name in ("refusing", "nobody"):
        body = question(own, name)
        body["context"]["approval"] = approval
        told[name] = send(own, EVALUATION, body).json()
    forged = question(own, "refusing")
    forged["context"]["approval"] = {"id": str(UUID(int=7))}
    unknown = send(own, EVALUATION, forged).json()
    other = question(own, "silent", BIRTH)
    other["context"]["approval"] = approval
    elsewhere = send(own, EVALUATION, other).json()

    for one in (*told.values(), unknown):
        assert (False, "approval_unverifiable", "none") == (
            one["decision"],
            one["context"]["reason"],
            one["context"]["next_action"],
        )
    # Consent stands there by itself; the approval is not said to apply.
    assert elsewhere["decision"]
    assert "approval" not in elsewhere["context"]


def test_an_approval_after_a_withdrawal_tells_no_more_than_a_denial(
    own: Door,
) -> None:
    """What the person did since is the one code; its age is its own."""
    task = submit(own, "silent")["id"]
    own.world.clock.now += 60
    say(own, "silent", EventType.GIVEN)
    body = question(own, "silent")
    body["context"]["approval"] = poll(own, task).json()["result"]["approval"]
    own.world.clock.now += 60
    say(own, "silent", EventType.WITHDRAWN)
    now = send(own, EVALUATION, body).json()["context"]
    own.world.clock.now += 30 * SECONDS_A_DAY
    later = send(own, EVALUATION, body).json()["context"]

    assert ("not_available", "request") == (now["reason"], now["next_action"])
    assert ("approval_expired", "request") == (
        later["reason"],
        later["next_action"],
    )
    assert "access_request" in now
    assert "access_request" in later


def test_an_erased_persons_tasks_go_on_as_they_were(own: Door) -> None:
    """Neither a pending nor an approved task shows that somebody is gone."""
    pending = submit(own, "silent", MOBILE)["id"]
    settled = submit(own, "silent")["id"]
    own.world.clock.now += 60
    say(own, "silent", EventType.GIVEN, *ADDRESS)
    before = [shape(poll(own, one), one) for one in (pending, settled)]
    platform, subject = own.world.platform, own.world.cast["silent"]
    asyncio.run(
        platform.registrar.erase(
            OFFICER,
            subject,
            proposer="officer-2",
            justification="asked for it",
        )
    )

    assert before == [shape(poll(own, one), one) for one in (pending, settled)]
    with platform.data.connect() as conn:
        found = conn.execute(
            text("SELECT subject FROM policy_consent_request")
        ).scalars()
        named = {UUID(str(one)) for one in found}
    assert subject not in named
    assert {platform.vault.decoy()} == named


def join(door: Door, survivor: str, absorbed: str) -> None:
    """Let an officer find that two characters are one person."""
    platform, cast = door.world.platform, door.world.cast
    asyncio.run(
        platform.records.merge(
            OFFICER, cast[survivor], cast[absorbed], justification="one card"
        )
    )


def part(door: Door, survivor: str, absorbed: str) -> None:
    """Let an officer find that they are two after all."""
    platform, cast = door.world.platform, door.world.cast
    asyncio.run(
        platform.records.unmerge(
            OFFICER, cast[survivor], cast[absorbed], justification="two cards"
        )
    )


def status(door: Door, task: dict[str, Any]) -> str:
    """How far a task is, as the service reads."""
    return str(poll(door, task["id"]).json()["task"]["status"])


def test_a_merged_record_is_asked_and_answers_as_one(own: Door) -> None:
    """A question put before, and the surviving record's yes settles it."""
    before = submit(own, "extra-0")
    join(own, "silent", "extra-0")
    after = submit(own, "extra-0", MOBILE)
    assert {CITY, MOBILE} == set(asked_of(own, "silent"))
    assert ("pending", "pending") == (status(own, before), status(own, after))
    own.world.clock.now += 60
    say(own, "silent", EventType.GIVEN, *ADDRESS)

    assert ("approved", "pending") == (status(own, before), status(own, after))
    assert () == asked_of(own, "silent")
    body = question(own, "extra-0")
    body["context"]["approval"] = poll(own, before["id"]).json()["result"][
        "approval"
    ]
    assert "approval" in send(own, EVALUATION, body).json()["context"]


def test_a_no_of_the_surviving_record_shows_in_no_task(own: Door) -> None:
    """Merged and refused looks as nobody does (invariant 6)."""
    task, nobody = submit(own, "extra-0")["id"], submit(own, "nobody")["id"]
    join(own, "silent", "extra-0")
    own.world.clock.now += 60
    say(own, "silent", EventType.REFUSED)

    assert () == asked_of(own, "silent")
    assert shape(poll(own, task), task) == shape(poll(own, nobody), nobody)


def test_records_that_are_parted_are_asked_apart_again(own: Door) -> None:
    """Each question is that record's own, also where it was put to both."""
    before = submit(own, "extra-0")
    theirs = submit(own, "silent")
    join(own, "silent", "extra-0")
    meanwhile = submit(own, "extra-0")
    part(own, "silent", "extra-0")
    assert (CITY,) == asked_of(own, "silent")
    assert (CITY,) == asked_of(own, "extra-0")
    own.world.clock.now += 60
    say(own, "silent", EventType.GIVEN)

    assert "approved" == status(own, theirs)
    assert {"pending"} == {status(own, one) for one in (before, meanwhile)}
    assert (CITY,) == asked_of(own, "extra-0")
    say(own, "extra-0", EventType.GIVEN)
    assert ["approved"] * 2 == [
        status(own, one) for one in (before, meanwhile)
    ]


def test_what_was_settled_stays_so_when_records_are_parted(own: Door) -> None:
    """As after a withdrawal: the new evaluation is what denies."""
    task = submit(own, "extra-0")
    join(own, "silent", "extra-0")
    own.world.clock.now += 60
    say(own, "silent", EventType.GIVEN)
    told = poll(own, task["id"]).json()
    part(own, "silent", "extra-0")

    assert told == poll(own, task["id"]).json()
    body = question(own, "extra-0")
    body["context"]["approval"] = told["result"]["approval"]
    found = send(own, EVALUATION, body).json()
    assert not found["decision"]
    assert "not_available" == found["context"]["reason"]
    assert "access_request" in found["context"]


def test_a_yes_that_stands_settles_what_a_merge_brings(own: Door) -> None:
    """Given under the one record, asked under the other, before or after."""
    first, other = submit(own, "silent"), submit(own, "refusing")
    join(own, "consenting", "silent")

    assert ("approved", "pending") == (status(own, first), status(own, other))
    found = poll(own, first["id"]).json()["result"]["approval"]
    log = own.world.platform.consents.all_events(own.world.cast["consenting"])
    assert found["id"] in {str(one.id) for one in log}
    body = question(own, "silent")
    body["context"]["approval"] = found
    assert send(own, EVALUATION, body).json()["decision"]


def test_a_yes_to_several_questions_is_an_approval_of_each(own: Door) -> None:
    """Whichever of them it is shown for."""
    tasks = {one: submit(own, "silent", one) for one in (CITY, STREET)}
    own.world.clock.now += 60
    say(own, "silent", EventType.GIVEN, *ADDRESS)

    for attribute, task in tasks.items():
        body = question(own, "silent", attribute)
        found = poll(own, task["id"]).json()["result"]["approval"]
        body["context"]["approval"] = found
        told = send(own, EVALUATION, body).json()["context"]
        assert found["id"] == told["approval"]["id"]


def test_a_refused_question_is_not_put_again(own: Door) -> None:
    """However often services ask: not for as long as the body says."""
    submit(own, "refusing")
    assert () == asked_of(own, "refusing")
    own.world.clock.now += 100 * SECONDS_A_DAY
    submit(own, "refusing")
    assert () == asked_of(own, "refusing")
    own.world.clock.now += 81 * SECONDS_A_DAY
    submit(own, "refusing")

    assert (CITY,) == asked_of(own, "refusing")


def test_several_questions_are_one_line_to_the_person(own: Door) -> None:
    """Two tasks, one line; the yes completes both."""
    first, second = submit(own, "silent"), submit(own, "silent")
    assert first["id"] != second["id"]
    assert (CITY,) == asked_of(own, "silent")
    own.world.clock.now += 60
    say(own, "silent", EventType.GIVEN)

    assert {"approved"} == {
        poll(own, one["id"]).json()["task"]["status"]
        for one in (first, second)
    }


@pytest.mark.parametrize("name", ["silent", "nobody"])
def test_one_person_is_asked_about_so_often_a_day(
    own: Door, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the service waits, whoever it asks about; others are asked."""
    monkeypatch.setattr(policy.asking, "MOST_A_DAY", 2)
    bodies = [submission(own, name) for _ in range(3)]
    for body in bodies[:2]:
        assert 202 == send(own, REQUESTS, body).status_code
    before = own.size()
    refused = send(own, REQUESTS, bodies[2])

    assert_problem(refused, 429)
    assert str(SECONDS_A_DAY) == refused.headers["retry-after"]
    assert before == own.size()
    submit(own, "refusing")
    own.world.clock.now += SECONDS_A_DAY + 1
    submit(own, name)


@pytest.mark.parametrize("by_id", [True, False])
def test_another_spelling_is_the_same_person(
    own: Door, monkeypatch: pytest.MonkeyPatch, *, by_id: bool
) -> None:
    """A member more, capitals, a blank: the third question is too many."""
    monkeypatch.setattr(policy.asking, "MOST_A_DAY", 2)
    found = []
    for place in range(3):
        asked = question(own, "silent")
        person = asked["resource"]["properties"]["person"]
        if by_id:
            subject = str(own.world.cast["silent"])
            person.clear()
            person["id"] = subject.upper() if place else subject
        else:
            person["identifier"]["value"] += " " * place
        person["extra"] = place
        told = send(own, EVALUATION, asked).json()
        body = asked | {"denial": denial_of(told["context"])}
        found.append(send(own, REQUESTS, body).status_code)

    assert [202, 202, 429] == found


def assert_urn(found: Response, status: int, name: str) -> dict[str, Any]:
    """Hold an answer to a problem of the profile."""
    body: dict[str, Any] = found.json()
    assert (status, URN + name) == (found.status_code, body["type"])
    assert "application/problem+json" == found.headers["content-type"]
    assert "no-store" == found.headers["cache-control"]
    return body


def test_another_services_handle_is_no_handle(door: Door) -> None:
    """Guessed, misspelt, another service's, another purpose's: one answer."""
    task = submit(door, "silent")["id"]
    strangers = [
        door.token(*new_credential(door.world, service, purpose))
        for service, purpose in (
            ("tax-office", PURPOSE),
            (SERVICE, "another"),
        )
    ]
    seen = set()
    for handle, token in (
        (str(UUID(int=5)), door.token()),
        (task.upper(), door.token()),
        (task.replace("-", ""), door.token()),
        *((task, token) for token in strangers),
    ):
        for found in (
            poll(door, handle, token),
            send(door, f"{REQUESTS}/{handle}/cancel", token=token),
        ):
            body = assert_urn(found, 404, "unknown_task")
            body.pop("request")
            seen.add((json.dumps(body), len(found.content)))

    assert 1 == len(seen)
    assert "pending" == poll(door, task).json()["task"]["status"]
    # Another credential of the same service and purpose goes on with it.
    again = door.token(*new_credential(door.world))
    assert 200 == poll(door, task, again).status_code


def test_without_a_token_nobody_is_asked(door: Door) -> None:
    """401 on each of the three, and no entry."""
    body = submission(door, "silent")
    task = submit(door, "silent")["id"]
    before = door.size()
    for found in (
        door.client.post(REQUESTS, json=body),
        door.client.get(f"{REQUESTS}/{task}"),
        door.client.post(f"{REQUESTS}/{task}/cancel"),
    ):
        assert_problem(found, 401)

    assert before == door.size()


def test_a_retry_gets_its_task_and_no_second_entry(door: Door) -> None:
    """Same key and body, in whatever order; another body is 409."""
    body = submission(door, "silent")
    first = send(door, REQUESTS, body, Idempotency_Key="k-1")
    size = door.size()
    turned = dict(reversed(body.items()))
    again = send(door, REQUESTS, turned, Idempotency_Key="k-1")
    other = send(
        door, REQUESTS, submission(door, "refusing"), Idempotency_Key="k-1"
    )

    assert first.json() == again.json()
    assert 202 == again.status_code
    assert_urn(other, 409, "duplicate_request")
    assert size + 1 == door.size()  # the second evaluation's own
    stranger = door.token(*new_credential(door.world, SERVICE, "another"))
    own = send(door, REQUESTS, body, token=stranger, Idempotency_Key="k-1")
    assert_urn(own, 400, "invalid_denial_binding")


def test_one_denial_is_one_task(door: Door) -> None:
    """Answered again without a key it is the same; with another, refused."""
    body = submission(door, "nobody")
    first, again = send(door, REQUESTS, body), send(door, REQUESTS, body)
    keyed = send(door, REQUESTS, body, Idempotency_Key="k-2")

    assert first.json() == again.json()
    assert_urn(keyed, 409, "duplicate_request")


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb"])
def test_a_key_that_is_none_is_400(door: Door, key: str) -> None:
    """It is short, visible ASCII."""
    found = send(
        door,
        REQUESTS,
        submission(door, "silent"),
        Idempotency_Key=key,
    )

    assert "Idempotency-Key" == assert_problem(found, 400)["where"]


def changed(body: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy of a submission with one member put otherwise."""
    copy: dict[str, Any] = json.loads(json.dumps(body))
    place, names = copy, path.split(".")
    for name in names[:-1]:
        place = place[name]
    place[names[-1]] = value
    return copy


FORGED: Mapping[str, tuple[str, object]] = {
    "another attribute": ("resource.id", STREET),
    "another person": (
        "resource.properties.person.identifier.value",
        person_values(3)[NUMBER],
    ),
    "another service": ("subject.id", "tax-office"),
    "another action": ("action.properties", {"purpose": PURPOSE}),
    "a longer life": ("denial.expires_at", "2099-01-01T00:00:00Z"),
    "another evaluation": ("denial.evaluation_id", str(UUID(int=9))),
    "no token": ("denial.binding_token", None),
    "a token of nothing": ("denial.binding_token", "e30.e30."),
    "a token unsigned": (
        "denial.binding_token",
        "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.",
    ),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_request_fits_the_denial_that_it_answers(
    door: Door, case: str
) -> None:
    """Whatever was put otherwise: nobody is looked up, and no entry made."""
    body = submission(door, "silent")
    before = door.size()
    found = send(door, REQUESTS, changed(body, *FORGED[case]))

    assert_urn(found, 400, "invalid_denial_binding")
    assert before == door.size()


def test_an_access_token_binds_no_denial(door: Door) -> None:
    """A token that this instance signed for something else is refused."""
    body = submission(door, "silent")
    forged = changed(body, "denial.binding_token", door.token())

    assert_urn(send(door, REQUESTS, forged), 400, "invalid_denial_binding")


def test_a_denial_can_be_answered_for_ten_minutes(own: Door) -> None:
    """At the last second, and not after it."""
    body = submission(own, "silent")
    own.world.clock.now += 599
    assert 202 == send(own, REQUESTS, body).status_code
    late = submission(own, "silent")
    own.world.clock.now += 600

    assert_urn(send(own, REQUESTS, late), 410, "expired_denial")


def deep() -> bytes:
    """An object that nests further than anything reasonable."""
    return b'{"a":' * 5000 + b"1" + b"}" * 5000


BOMBS: Mapping[str, tuple[Callable[[], bytes], int]] = {
    "deep": (deep, 400),
    "deep lists": (lambda: b'{"a":' + b"[" * 90_000 + b"]" * 90_000, 400),
    "long": (lambda: b'{"a":"' + b"x" * (1 << 20) + b'"}', 413),
    "a member twice": (lambda: b'{"subject":{},"subject":{}}', 400),
    "no object": (lambda: b"[]", 400),
    "nothing": (lambda: b" ", 400),
    "no UTF-8": (lambda: b'{"a":"\xff"}', 400),
    "no number": (lambda: b'{"a":NaN}', 400),
    "a huge number": (lambda: b'{"a":' + b"9" * 5000 + b"}", 400),
    "a lone surrogate": (lambda: b'{"a":"\\ud800"}', 400),
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_bomb_of_a_body_is_refused(door: Door, case: str) -> None:
    """On submission and on cancelling, before anybody is looked up."""
    make, status = BOMBS[case]
    task = submit(door, "nobody")["id"]
    before = door.size()
    for path in (REQUESTS, f"{REQUESTS}/{task}/cancel"):
        assert_problem(send(door, path, make()), status)

    assert before == door.size()
    assert "pending" == poll(door, task).json()["task"]["status"]


@pytest.mark.parametrize("name", ["items", "callback"])
def test_what_is_not_offered_is_said(door: Door, name: str) -> None:
    """Bundles and callbacks are refused, not left out in silence."""
    body = submission(door, "silent") | {name: {}}

    assert name == assert_problem(send(door, REQUESTS, body), 400)["where"]


def test_a_question_can_be_taken_back_once(own: Door) -> None:
    """Cancelled it shows nowhere, and stays cancelled whatever is said."""
    task = submit(own, "silent")["id"]
    before = own.size()
    found = send(own, f"{REQUESTS}/{task}/cancel", {"reason": "not_needed"})
    again = send(own, f"{REQUESTS}/{task}/cancel")
    own.world.clock.now += 60
    say(own, "silent", EventType.GIVEN)

    assert (200, "cancelled") == (
        found.status_code,
        found.json()["task"]["status"],
    )
    assert_urn(again, 409, "invalid_task_state")
    assert before + 1 == own.size()
    assert "cancelled" == poll(own, task).json()["task"]["status"]
    assert () == asked_of(own, "silent")


def test_an_approved_task_is_not_cancelled(own: Door) -> None:
    """What the person said stands."""
    task = submit(own, "silent")["id"]
    own.world.clock.now += 60
    say(own, "silent", EventType.GIVEN)

    assert_urn(
        send(own, f"{REQUESTS}/{task}/cancel"), 409, "invalid_task_state"
    )


@pytest.mark.parametrize("name", ["silent", "nobody"])
def test_each_question_is_one_entry(door: Door, name: str) -> None:
    """Of nobody, too; the person sees who asked, and for what."""
    body = submission(door, name)
    before = door.size()
    found = send(door, REQUESTS, body)

    assert 202 == found.status_code
    assert before + 1 == door.size()
    if name == "nobody":
        return
    platform = door.world.platform
    holding = platform.vault.holding(door.world.cast[name])
    [entry] = platform.ledger.own_entries(
        platform.vault.log_key(holding), before=None, limit=1
    )
    use = GateDesk(platform)._use(entry)
    assert (EntryKind.CONSENT_REQUEST, "requested", (CITY,)) == (
        entry.kind,
        entry.outcome,
        tuple(entry.attributes),
    )
    assert Outcome.ASKED is use.outcome
    assert (SERVICE, PURPOSE) == (use.service, use.purpose)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Waiting for your answer", "You are asked")),
        ("zh-Hans", ("等待您的答复", "正在征求您的意见")),
    ],
)
def test_the_person_sees_the_question_and_answers_it(
    own: Door, language: str, words: tuple[str, str]
) -> None:
    """On the list and on the service's page; once answered it is gone."""
    me = signed_in(own.world, own.client, "silent")
    headers = {"Cookie": me.cookie, "Accept-Language": language}
    place = f"/me/consents/{SERVICE}/{PURPOSE}"
    before = own.client.get("/me/consents", headers=headers).text
    task = submit(own, "silent")["id"]
    listed = own.client.get("/me/consents", headers=headers).text
    shown = own.client.get(place, headers=headers).text
    own.world.clock.now += 60
    assert 201 == me.answer(optional=[]).status_code
    after = own.client.get("/me/consents", headers=headers).text

    assert words[0] not in before
    assert words[0] in listed
    assert words[1] in listed
    assert words[1] in shown
    assert words[0] not in after
    assert "approved" == poll(own, task).json()["task"]["status"]


def test_nothing_the_service_writes_reaches_the_person(own: Door) -> None:
    """Its own words could press or deceive; the notice speaks for it."""
    body = submission(own, "silent") | {
        "requested_access": {"note": "Your-account-will-be-closed"}
    }
    body["context"] = body["context"] | {"note": "Your-account-will-be-closed"}
    assert 202 == send(own, REQUESTS, body).status_code
    me = signed_in(own.world, own.client, "silent")

    for path in (
        "/me/consents",
        f"/me/consents/{SERVICE}/{PURPOSE}",
        "/me/uses",
    ):
        found = own.client.get(path, headers={"Cookie": me.cookie})
        assert 200 == found.status_code
        assert "Your-account-will-be-closed" not in found.text


def test_no_number_of_a_person_is_in_a_row(own: Door) -> None:
    """Rows hold keyed digests of what was sent, and no guessable hash."""
    submit(own, "silent")
    number = own.world.values["silent"][NUMBER]
    with own.world.platform.data.connect() as conn:
        [row] = conn.execute(text("SELECT * FROM policy_consent_request"))

    assert not [one for one in row if number in str(one)]


def test_old_tasks_go(own: Door) -> None:
    """A day after its end a row goes when rows are swept, and no other."""
    old = submit(own, "silent")["id"]
    own.world.clock.now += 31 * SECONDS_A_DAY + 1
    new = submit(own, "silent")["id"]
    assert_urn(poll(own, old), 410, "task_expired")
    assert 1 == asyncio.run(own.world.platform.asking.sweep())
    assert 0 == asyncio.run(own.world.platform.asking.sweep())

    assert_urn(poll(own, old), 404, "unknown_task")
    assert 200 == poll(own, new).status_code


def test_the_metadata_says_where(door: Door) -> None:
    """With the profile's capability."""
    found = door.client.get("/.well-known/authzen-configuration/pdp").json()

    assert f"{PDP}{REQUESTS}" == found["access_request_endpoint"]
    assert ["urn:openid:authzen:capability:access-request"] == (
        found["capabilities"]
    )


def test_without_a_public_address_nobody_can_be_asked(tmp_path: Path) -> None:
    """A task needs an https address: nothing is offered, nothing is there."""
    with opened(tmp_path / "home", Kind.SQLITE, public_url="") as door:
        told = send(door, EVALUATION, question(door, "silent")).json()
        found = send(door, REQUESTS, question(door, "silent"))

        assert "access_request" not in told["context"]
        assert_problem(found, 404)


def test_submitting_and_polling_count_as_questions(tmp_path: Path) -> None:
    """One bucket holds them all, so handles cannot be walked through."""
    home = tmp_path / "home"
    with opened(home, Kind.SQLITE, evaluations_per_minute=3) as door:
        task = submit(door, "silent")["id"]
        assert 200 == poll(door, task).status_code
        found = poll(door, task)

        assert_problem(found, 429)
        assert int(found.headers["retry-after"]) > 0
