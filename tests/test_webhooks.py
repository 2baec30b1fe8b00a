"""From a no to the service that holds the data, and back: end to end."""

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from api.processing_log import row_of
from api.webhook_addresses import allowed
from api.webhook_delivery import Pass, deliverer
from api.webhook_sending import Sender, parent
from api.webhook_signing import shown_secret
from consent import (
    EntryKind,
    EventType,
    LegalBasis,
    load_yaml,
    render_notice,
)
from policy import (
    AccessRequest,
    Delivery,
    Done,
    Form,
    NotPermitted,
    RecordUnknown,
    RequestInvalid,
    RestraintKind,
    Scheme,
    Standing,
)
from tests.databases import Kind
from tests.receivers import Receiver, receiving, reply, verify
from tests.worlds import (
    ADDRESS,
    CITY,
    DECLARATION,
    MOBILE,
    OFFICER,
    PURPOSE,
    SERVICE,
    World,
    build_world,
)

LOOPBACK = "127.0.0.0/8"
OTHER = DECLARATION.replace("moving-house", "library").replace(
    "address-change", "lending"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A world, a service's receiver, and the secret that it verifies with."""

    world: World
    receiver: Receiver
    secret: str
    one: str
    two: str

    def ask(self, name: str, *attributes: str, service: str = SERVICE) -> str:
        """Have a service ask about a character; give the decision's id."""
        purpose = PURPOSE if service == SERVICE else "lending"
        asked = self.world.request(name, *(attributes or ADDRESS))
        found = self.loop(
            self.world.platform.gate.disclose(
                AccessRequest(
                    **{
                        field: getattr(asked, field)
                        for field in AccessRequest.__slots__
                    }
                    | {"service": service, "purpose": purpose}
                )
            )
        )
        return str(found.decision)

    def loop(self, work: Any) -> Any:  # noqa: ANN401 - whatever it gives
        """Run one piece of work on a loop of its own."""
        return asyncio.run(work)

    def answer(self, name: str, kind: EventType, *attributes: str) -> None:
        """Record an answer of a character."""
        event = self.world.event(name, kind, *attributes)
        self.world.platform.registrar.enter_forms_now(
            [Form(subject=event.subject, answers=(event,), preferences=None)]
        )

    def deliver(self, *, seconds: float = 10.0) -> Pass:
        """Do one pass, as another process would."""
        settings = self.world.platform.settings
        return deliverer(
            self.world.platform,
            sender=Sender(
                allowed=allowed(
                    settings.webhook_hosts, settings.webhook_networks
                ),
                clock=self.world.clock,
                seconds=seconds,
            ),
        ).run()

    def listed(self, *, everything: bool = True) -> list[Delivery]:
        """What the officer sees."""
        return list(
            self.loop(
                self.world.platform.webhooks.outstanding(
                    OFFICER, everything=everything
                )
            )
        )

    def entries(self, name: str) -> list[tuple[str, str]]:
        """Entries about a character that tell of messages, oldest first."""
        platform = self.world.platform
        key = platform.vault.log_key(
            platform.vault.holding(self.world.cast[name])
        )
        return [
            (one.outcome, str(one.detail["about"]))
            for one in reversed(platform.ledger.own_entries(key, limit=200))
            if one.kind is EntryKind.NOTIFICATION
        ]


_people = itertools.count()


@pytest.fixture(scope="module")
def world(
    database: Kind, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, Receiver]]:
    """One instance for the module, on each kind of database."""
    home = tmp_path_factory.mktemp("webhooks") / "home"
    with (
        receiving() as receiver,
        build_world(
            home,
            database=database,
            extra=80,
            webhook_hosts=receiver.host,
            webhook_networks=LOOPBACK,
        ) as built,
    ):
        with built.platform.data.begin() as conn:
            built.platform.consents.register(
                conn, load_yaml(OTHER.encode(), where="test")
            )
        yield built, receiver


@pytest.fixture
def there(world: tuple[World, Receiver]) -> Iterator[Town]:
    """Two people who consent, an endpoint, and nothing outstanding."""
    built, receiver = world
    desk = built.platform.webhooks
    receiver.answer = lambda handler, _: reply(handler, 204)
    made = desk.register(SERVICE, PURPOSE, receiver.url, Scheme.SYMMETRIC)
    found = Town(
        world=built,
        receiver=receiver,
        secret=shown_secret(made.secrets[0]),
        one=f"extra-{next(_people) % 80}",
        two=f"extra-{next(_people) % 80}",
    )
    for name in (found.one, found.two):
        found.answer(name, EventType.GIVEN)
    for one in found.listed(everything=False):
        desk.acknowledge(
            one.service, one.purpose, one.id, outcome=Done.STOPPED, ground=None
        )
    receiver.messages.clear()
    yield found
    with suppress(RecordUnknown):
        desk.remove("library", "lending")


def test_a_delivery_is_sent_under_a_trace_of_its_own(there: Town) -> None:
    """The processing log has it under that, and no caller's trace goes out."""
    platform = there.world.platform
    platform.webhooks.register(
        SERVICE, PURPOSE, there.receiver.url, Scheme.SYMMETRIC
    )
    there.ask(there.one)
    there.answer(there.one, EventType.WITHDRAWN)
    there.deliver()
    (message,) = there.receiver.messages
    (one,) = there.listed(everything=False)
    entry = platform.ledger.audit_entries(limit=500)[-1]
    row = row_of(entry, lambda service, _purpose, _at: service)

    assert parent(one.id) == message.headers["traceparent"]
    version, trace, span, flags = message.headers["traceparent"].split("-")
    assert ("00", 32, 16, "01") == (version, len(trace), len(span), flags)
    assert trace.strip("0")
    assert span.strip("0")
    assert row is not None
    assert (EntryKind.NOTIFICATION.value, trace) == (row.name, row.trace_id)


@pytest.mark.parametrize("scheme", list(Scheme))
def test_a_withdrawal_reaches_the_service(there: Town, scheme: Scheme) -> None:
    """It is signed, names what was disclosed, and the answer is recorded."""
    made = there.world.platform.webhooks.register(
        SERVICE, PURPOSE, there.receiver.url, scheme
    )
    decisions = [there.ask(there.one), there.ask(there.one, CITY)]
    there.ask(there.two)
    there.answer(there.one, EventType.WITHDRAWN)
    done = there.deliver()
    (message,) = there.receiver.messages
    verify(
        shown_secret(made.secrets[0]),
        message.headers,
        message.body,
        now=there.world.clock(),
    )
    (one,) = there.listed(everything=False)
    first = there.entries(there.one)
    after = there.world.platform.webhooks.acknowledge(
        SERVICE, PURPOSE, one.id, outcome=Done.DELETED, ground=None
    )

    assert (1, 1, 0) == (done.told, done.received, done.failed)
    assert "consent.withdrawn" == message.type
    assert sorted(decisions) == sorted(message.data["decisions"])
    assert 2 == message.data["decisions_in_all"]
    assert "delete" == message.data["asked"]
    assert "address" == message.data["statement"]
    assert (Standing.RECEIVED, Standing.DONE) == (
        one.standing,
        after.standing,
    )
    assert [("received", "consent.withdrawn")] == first
    assert [
        ("received", "consent.withdrawn"),
        ("deleted", "consent.withdrawn"),
    ] == there.entries(there.one)
    assert [] == there.entries(there.two)
    assert [] == there.listed(everything=False)
    there.world.platform.ledger.verify()


def test_no_value_and_no_id_of_the_person_is_sent(there: Town) -> None:
    """A message holds ids that the service had, and names."""
    there.ask(there.one)
    there.answer(there.one, EventType.WITHDRAWN)
    there.deliver()
    (message,) = there.receiver.messages
    sent = message.body.decode() + json.dumps(dict(message.headers))
    person = there.world.cast[there.one]

    assert str(person) not in sent
    assert person.hex not in sent
    for value in there.world.values[there.one].values():
        assert value not in sent
    with there.world.platform.data.connect() as conn:
        rows = conn.exec_driver_sql(
            "SELECT * FROM policy_webhook_delivery"
        ).all()
    assert person.hex not in repr(rows).replace("-", "")


def test_what_was_refused_is_named_to_nobody(there: Town) -> None:
    """A decision that gave nothing stays the same as an unknown person's."""
    there.ask(there.one, "user.income.annual")
    there.answer(there.one, EventType.WITHDRAWN)
    there.ask(there.one)
    there.ask("valueless", MOBILE)
    there.answer("valueless", EventType.WITHDRAWN)
    there.deliver()

    assert 2 == len(there.receiver.messages)
    assert [[], []] == [
        one.data["decisions"] for one in there.receiver.messages
    ]


def test_less_than_before_tells_what_is_gone(there: Town) -> None:
    """A narrower yes names what it no longer allows; the same yes nothing."""
    there.ask(there.one, MOBILE, CITY)
    there.answer(there.one, EventType.GIVEN)
    there.answer(there.one, EventType.GIVEN, *ADDRESS, MOBILE)
    there.answer(there.one, EventType.GIVEN, *ADDRESS)
    there.answer(there.one, EventType.WITHDRAWN)
    there.answer(there.one, EventType.WITHDRAWN)
    while there.deliver().received:
        continue
    told = [
        (one.type, one.data["attributes"]) for one in there.receiver.messages
    ]

    assert [
        ("consent.narrowed", ["user.bdate"]),
        ("consent.narrowed", [MOBILE]),
        ("consent.withdrawn", sorted(ADDRESS)),
    ] == sorted(told)


def test_restriction_and_objection_reach_who_holds_data(there: Town) -> None:
    """Every service that got anything is told, and no other."""
    platform = there.world.platform
    platform.webhooks.register(
        "library", "lending", there.receiver.url, Scheme.SYMMETRIC
    )
    there.ask(there.one)
    there.ask(there.one, service="library")

    for kind, purpose in (
        (RestraintKind.RESTRICTION, ""),
        (RestraintKind.OBJECTION, "lending"),
    ):
        there.loop(
            platform.person.restrain(
                there.world.caller(there.one),
                there.world.cast[there.one],
                kind,
                purpose=purpose,
            )
        )
    there.deliver()
    told = [
        (one.type, one.data["service"], one.data["asked"])
        for one in there.receiver.messages
    ]

    # The library has no consent, so it got nothing and holds nothing.
    assert [("processing.restricted", SERVICE, "stop")] == told


def test_a_yes_that_runs_out_is_told_unless_renewed(there: Town) -> None:
    """At its end and not before; a renewal before it cancels the message."""
    clock, registrar = there.world.clock, there.world.platform.registrar
    for name in (there.one, there.two):
        event = replace(
            there.world.event(name, EventType.GIVEN),
            expires_at=clock() + 100,
        )
        registrar.enter_forms_now(
            [Form(subject=event.subject, answers=(event,))]
        )
        there.ask(name)
    there.deliver()
    before = list(there.receiver.messages)
    there.answer(there.two, EventType.GIVEN)
    clock.now += 100
    there.deliver()
    (message,) = there.receiver.messages

    assert [] == before
    assert "consent.expired" == message.type
    assert [] == there.entries(there.two)
    assert [("received", "consent.expired")] == there.entries(there.one)


def test_an_erasure_is_told_without_the_person(there: Town) -> None:
    """The service learns which disclosures; nothing leads to the person."""
    decision = there.ask(there.one)
    platform = there.world.platform
    subject = there.world.cast[there.one]
    there.answer(there.one, EventType.WITHDRAWN)
    asyncio.run(
        platform.registrar.erase(
            OFFICER, subject, proposer="proposer", justification="x"
        )
    )
    there.deliver()
    (message,) = there.receiver.messages
    (one,) = there.listed(everything=False)
    platform.webhooks.acknowledge(
        SERVICE, PURPOSE, one.id, outcome=Done.DELETED, ground=None
    )
    with platform.data.connect() as conn:
        tags = conn.exec_driver_sql(
            "SELECT count(*) FROM policy_webhook_delivery"
            " WHERE tag IS NOT NULL AND kind = 'person.erased'"
        ).scalar()
        waiting = conn.exec_driver_sql(
            "SELECT count(*) FROM policy_webhook_outbox"
        ).scalar()

    assert "person.erased" == message.type
    assert [decision] == message.data["decisions"]
    assert (0, 0) == (tags, waiting)
    assert subject.hex not in message.body.decode().replace("-", "")
    platform.ledger.verify()


def test_failures_are_tried_again_under_the_same_id(there: Town) -> None:
    """500, a redirect, a hang, a drip, a huge answer: then 2xx, one entry."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 ")
        for _ in range(200):
            handler.wfile.write(b"O")
            handler.wfile.flush()
            time.sleep(0.1)

    def huge(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(500)
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b"x" * 65536)

    answers = {
        1: lambda handler: reply(handler, 500),
        2: lambda handler: reply(
            handler, 302, {"Location": f"http://{there.receiver.host}/other"}
        ),
        3: lambda _handler: time.sleep(8),
        4: drip,
        5: huge,
        6: lambda handler: handler.wfile.write(b"SSH-2.0-x\r\n\r\n"),
        7: lambda handler: reply(handler, 204),
    }
    there.receiver.answer = lambda handler, number: answers[number](handler)
    there.ask(there.one)
    there.answer(there.one, EventType.WITHDRAWN)
    faults = []
    for _ in answers:
        begun = time.monotonic()
        done = there.deliver(seconds=4.0)
        took = time.monotonic() - begun
        (one,) = there.listed(everything=False)
        faults.append(one.fault)
        there.world.clock.now += 6 * 3600

        assert 1 == done.received + done.failed
        assert took < 30

    assert [
        "status-500",
        "status-302",
        "timeout",
        "timeout",
        "status-500",
        "not-http",
        "",
    ] == faults
    assert 1 == len({one.id for one in there.receiver.messages})
    assert {"/hook"} == {one.path for one in there.receiver.messages}
    assert 7 == len(
        {one.headers["webhook-timestamp"] for one in (there.receiver.messages)}
    )
    assert [("received", "consent.withdrawn")] == there.entries(there.one)


def test_pauses_grow_and_differ(there: Town) -> None:
    """Each pause is longer than half the one before; none above the limit."""
    there.receiver.answer = lambda handler, _: reply(handler, 503)
    there.answer(there.one, EventType.WITHDRAWN)
    pauses = []
    for _ in range(9):
        there.deliver()
        (one,) = there.listed(everything=False)
        assert one.next_at is not None
        pauses.append(one.next_at - there.world.clock())
        assert Pass(held=True, told=0, received=0, failed=0) == (
            there.deliver()
        )
        there.world.clock.now = one.next_at

    assert pauses[0] <= 5
    assert pauses == sorted(pauses) or max(pauses) <= 6 * 3600
    assert 3 * 3600 <= pauses[-1] <= 6 * 3600


def test_what_nobody_took_by_the_deadline_is_given_up(there: Town) -> None:
    """It stays outstanding, is an entry once, and can be sent again."""
    there.receiver.answer = lambda handler, _: reply(handler, 500)
    there.ask(there.one)
    there.answer(there.one, EventType.WITHDRAWN)
    there.deliver()
    there.world.clock.now += 72 * 3600
    there.deliver()
    (lost,) = there.listed(everything=False)
    again = there.deliver()
    there.receiver.answer = lambda handler, _: reply(handler, 200)
    there.loop(there.world.platform.webhooks.send_again(OFFICER, lost.id))
    there.deliver()
    (found,) = there.listed(everything=False)

    assert Standing.UNREACHABLE is lost.standing
    assert 0 == again.failed
    assert Standing.RECEIVED is found.standing
    assert [
        ("unreachable", "consent.withdrawn"),
        ("received", "consent.withdrawn"),
    ] == there.entries(there.one)
    assert 1 == len({one.id for one in there.receiver.messages})


def test_a_service_that_hangs_holds_up_no_other(there: Town) -> None:
    """Another service's message arrives while the first one's hangs."""
    with receiving() as other:
        platform = there.world.platform
        reach = allowed(f"{there.receiver.host},{other.host}", LOOPBACK)
        platform.webhooks.register(
            "library", "lending", other.url, Scheme.SYMMETRIC
        )
        release = []

        def hang(handler: BaseHTTPRequestHandler, _number: int) -> None:
            # Ends only once the other one has its message.
            other.wait(1)
            release.append(1)
            reply(handler, 200)

        there.receiver.answer = hang
        there.answer(there.one, EventType.WITHDRAWN)
        event = there.world.event(there.two, EventType.GIVEN)
        declared = platform.consents.declaration("library", "lending")
        assert declared is not None
        for kind in (EventType.GIVEN, EventType.WITHDRAWN):
            given = kind is EventType.GIVEN
            answered = replace(
                event,
                id=platform.gate.new_id(),
                service="library",
                purpose="lending",
                declaration=declared.digest,
                notice=render_notice(declared, "en").digest,
                type=kind,
                attributes=ADDRESS if given else (),
            )
            platform.registrar.enter_forms_now(
                [Form(subject=event.subject, answers=(answered,))]
            )
        done = deliverer(
            platform,
            sender=Sender(
                allowed=reach, clock=there.world.clock, seconds=60.0
            ),
        ).run()

        assert 2 == done.received
        assert [1] == release


def test_one_process_sends_at_a_time(there: Town) -> None:
    """A lease keeps the second away, ends by itself, and is given back."""
    desk = there.world.platform.webhooks
    there.answer(there.one, EventType.WITHDRAWN)

    assert desk.hold_lease("first")
    assert desk.hold_lease("first")
    assert not desk.hold_lease("second")
    assert not there.deliver().held
    assert [] == there.receiver.messages
    there.world.clock.now += 61
    assert desk.hold_lease("second")
    assert not desk.hold_lease("first")
    assert desk.hold_lease("second", seconds=0)
    assert 1 == there.deliver().received


def test_a_gone_endpoint_is_sent_nothing_more(there: Town) -> None:
    """410 ends it; a new registration wakes what waited."""
    desk = there.world.platform.webhooks
    there.receiver.answer = lambda handler, _: reply(handler, 410)
    there.answer(there.one, EventType.WITHDRAWN)
    there.deliver()
    there.world.clock.now += 6 * 3600
    there.deliver()
    found = desk.endpoint(SERVICE, PURPOSE)
    assert found is not None

    assert found.stopped_at is not None
    assert 1 == len(there.receiver.messages)
    there.receiver.answer = lambda handler, _: reply(handler, 200)
    made = desk.register(
        SERVICE, PURPOSE, there.receiver.url, Scheme.ASYMMETRIC
    )
    assert 1 == there.deliver().received
    last = there.receiver.messages[-1]
    verify(shown_secret(made.secrets[0]), last.headers, last.body)


def test_rotation_keeps_both_secrets_for_the_overlap(there: Town) -> None:
    """A receiver may change over at its leisure, and no longer than that."""
    desk = there.world.platform.webhooks
    new = desk.rotate(SERVICE, PURPOSE, overlap=3600)
    secret = shown_secret(new.secrets[0])
    there.answer(there.one, EventType.WITHDRAWN)
    there.deliver()
    there.world.clock.now += 3600
    there.answer(there.two, EventType.WITHDRAWN)
    there.deliver()
    both, after = there.receiver.messages
    verify(there.secret, both.headers, both.body)
    verify(secret, both.headers, both.body)
    verify(secret, after.headers, after.body)

    assert 2 == both.headers["webhook-signature"].count("v1,")
    assert 1 == after.headers["webhook-signature"].count("v1,")
    with pytest.raises(RecordUnknown):
        desk.rotate("nobody", PURPOSE, overlap=0)


def test_answers_that_are_none(there: Town) -> None:
    """Another service's, a ground that is none, an unknown id."""
    desk = there.world.platform.webhooks
    there.ask(there.one)
    there.answer(there.one, EventType.WITHDRAWN)
    there.deliver()
    (one,) = there.listed(everything=False)
    ground = LegalBasis.LEGAL_OBLIGATION

    for service, purpose in (("library", PURPOSE), (SERVICE, "lending")):
        with pytest.raises(RecordUnknown):
            desk.acknowledge(
                service, purpose, one.id, outcome=Done.DELETED, ground=None
            )
    for outcome, basis in (
        (Done.KEPT, None),
        (Done.KEPT, LegalBasis.CONSENT),
        (Done.DELETED, ground),
    ):
        with pytest.raises(RequestInvalid):
            desk.acknowledge(
                SERVICE, PURPOSE, one.id, outcome=outcome, ground=basis
            )
    for _ in range(2):
        desk.acknowledge(
            SERVICE, PURPOSE, one.id, outcome=Done.KEPT, ground=ground
        )
    (kept,) = [each for each in there.listed() if each.id == one.id]

    assert ("kept", ground.value) == (kept.outcome, kept.ground)
    # The same answer twice is one entry.
    assert ["received", "kept"] == [
        outcome for outcome, _ in there.entries(there.one)
    ]


def test_the_person_sees_their_own_and_nobody_elses(there: Town) -> None:
    """Which services were told, and whether they answered."""
    desk, cast = there.world.platform.webhooks, there.world.cast
    there.ask(there.one)
    there.answer(there.one, EventType.WITHDRAWN)
    there.deliver()
    mine = there.loop(desk.own(there.world.caller(there.one), cast[there.one]))
    theirs = there.loop(
        desk.own(there.world.caller(there.two), cast[there.two])
    )

    assert [(SERVICE, Standing.RECEIVED)] == [
        (one.service, one.standing) for one in mine
    ]
    assert [] == theirs
    with pytest.raises(NotPermitted):
        there.loop(desk.own(there.world.caller(there.two), cast[there.one]))


def test_a_withdrawal_and_its_message_stand_or_fall_together(
    there: Town,
) -> None:
    """A transaction that is rolled back leaves neither."""
    consents = there.world.platform.consents
    event = there.world.event(there.one, EventType.WITHDRAWN)
    with there.world.platform.data.connect() as conn:
        consents.record(conn, event)
        conn.rollback()
    there.deliver()

    assert [] == there.receiver.messages
    assert EventType.WITHDRAWN not in {
        one.type for one in consents.all_events(event.subject)
    }


def test_what_was_only_judged_is_not_held(there: Town) -> None:
    """A decision that opened nothing is no disclosure, whatever it grants."""
    platform = there.world.platform
    asked = there.world.request(there.one, *ADDRESS)
    there.loop(platform.judge.judge(asked))
    there.answer(there.one, EventType.WITHDRAWN)
    there.deliver()
    (message,) = there.receiver.messages

    assert [] == message.data["decisions"]


def test_a_service_that_stays_hidden_is_not_shown(there: Town) -> None:
    """Where uses are withheld from people, so is that the service was told."""
    platform = there.world.platform
    there.ask(there.one)
    there.answer(there.one, EventType.WITHDRAWN)
    platform.webhooks.spread()
    with platform.data.begin() as conn:
        conn.exec_driver_sql(
            "UPDATE policy_webhook_delivery SET hidden = true"
            " WHERE done_at IS NULL"
        )
    shown = there.loop(
        platform.webhooks.own(
            there.world.caller(there.one), there.world.cast[there.one]
        )
    )

    assert [] == list(shown)
    assert there.listed(everything=False)
