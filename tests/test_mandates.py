"""Who may act for whom, and when that ends."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import (
    ANYTHING,
    ConsentEvent,
    EntryKind,
    EventType,
    Mandate,
    MandateInvalid,
    MandateKind,
    NoticeNotServed,
    comes_of_age,
)
from policy import Answer, NotPermitted, RecordUnknown
from tests.towns import (
    CLINIC,
    REMINDERS,
    Town,
    build_town,
    themselves,
)
from tests.worlds import OFFICER, STREET

DAY = 86_400


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One town for all tests: each takes people of its own."""
    with build_town(tmp_path_factory.mktemp("town") / "home") as made:
        yield made


def mandate(
    town: Town,
    subject: UUID,
    actor: object,
    kind: MandateKind = MandateKind.POWER,
    **more: object,
) -> Mandate:
    """Record a mandate, as an officer who saw the proof."""
    now = town.world.clock.now
    fields = {
        "id": uuid4(),
        "subject": subject,
        "actor": str(actor),
        "kind": kind,
        "proof": "deed 17/2026",
        "scope": (ANYTHING,),
        "valid_from": now,
        "officer": OFFICER.id,
        "recorded_at": now,
        "of_age": now + 10 * DAY if kind is MandateKind.MINOR else None,
    }
    made = Mandate(**(fields | more))  # type: ignore[arg-type] # vary by test
    town.run(
        town.world.platform.assist.mandate(
            OFFICER, made, justification="shown at the counter"
        )
    )
    return made


def answer_for(
    town: Town, subject: UUID, actor: UUID, name: UUID, **changes: object
) -> Answer:
    """Have the notice served to a representative, and make their yes."""
    town.tick()
    made = town.run(
        town.view(subject, "letters", caller=themselves(actor), mandate=name)
    )
    return replace(made, **changes)  # type: ignore[arg-type] # vary by test


def act(
    town: Town, subject: UUID, actor: UUID, name: UUID, answer: Answer
) -> ConsentEvent:
    """Answer for somebody."""
    return town.run(
        town.world.platform.consent_desk.answer(
            themselves(actor), subject, answer, mandate=name
        )
    )


def test_subject_and_actor_are_two_fields(town: Town) -> None:
    """In the event, in the ledger and in what was served."""
    platform = town.world.platform
    subject, number = town.person()
    agent, _ = town.person()
    made = mandate(town, subject, agent)
    event = act(
        town,
        subject,
        agent,
        made.id,
        answer_for(town, subject, agent, made.id),
    )
    assert (event.subject, event.actor) == (subject, str(agent))
    assert event.mandate == made.id
    assert platform.consents.served(subject, event.served).viewer == str(agent)
    assert town.ask(subject, number, STREET)[0] == {STREET}
    entries = town.run(
        platform.person.own_uses(
            themselves(subject), subject, before=None, limit=5
        )
    )
    (consent,) = (one for one in entries if one.outcome == "given")
    assert consent.detail["actor"] == str(agent)
    assert consent.detail["mandate"] == str(made.id)
    (recorded,) = (one for one in entries if one.outcome == "recorded")
    assert recorded.kind is EntryKind.CONSENT
    assert recorded.detail["proof"] == "deed 17/2026"
    assert not town.run(
        platform.person.own_uses(
            themselves(agent), agent, before=None, limit=5
        )
    )


def test_without_a_mandate_nobody_acts_for_another(town: Town) -> None:
    """No mandate, another's, somebody else's, one for something else."""
    desk = town.world.platform.consent_desk
    subject, _ = town.person()
    agent, _ = town.person()
    stranger, _ = town.person()
    made = mandate(town, subject, agent)
    other = mandate(town, stranger, agent)
    narrow = mandate(town, subject, stranger, scope=("tax/assessment",))
    answer = answer_for(town, subject, agent, made.id)
    for caller, name in (
        (agent, None),
        (agent, uuid4()),
        (agent, other.id),
        (stranger, made.id),
        (stranger, narrow.id),
        (subject, made.id),
    ):
        with pytest.raises(NotPermitted):
            town.run(
                desk.answer(themselves(caller), subject, answer, mandate=name)
            )
        with pytest.raises(NotPermitted):
            town.run(
                town.view(
                    subject,
                    "letters",
                    caller=themselves(caller),
                    mandate=name,
                )
            )
    assert town.state(subject, "letters") == "none"


def test_a_forged_actor_is_refused_by_the_store(town: Town) -> None:
    """Whoever calls: the actor holds the mandate, and read the notice."""
    platform = town.world.platform
    subject, _ = town.person()
    agent, _ = town.person()
    made = mandate(town, subject, agent)
    true = act(
        town,
        subject,
        agent,
        made.id,
        answer_for(town, subject, agent, made.id),
    )
    fresh = {"id": uuid4(), "record": None, "served": ""}
    for change in (
        {"actor": "guardian:7", "mandate": None},
        {"actor": str(uuid4())},
        {"mandate": uuid4()},
        {"mandate": None},
        {"actor": "self"},
    ):
        with pytest.raises(MandateInvalid), platform.data.begin() as conn:
            platform.consents.record(conn, replace(true, **(fresh | change)))
    own = {**fresh, "actor": "self", "mandate": None, "served": true.served}
    with pytest.raises(NoticeNotServed), platform.data.begin() as conn:
        platform.consents.record(conn, replace(true, **own))


def test_an_expired_mandate_is_not_used_again(town: Town) -> None:
    """Neither at the desk nor with an event dated back."""
    platform = town.world.platform
    subject, _ = town.person()
    agent, _ = town.person()
    made = mandate(
        town, subject, agent, valid_until=town.world.clock.now + DAY
    )
    answer = answer_for(town, subject, agent, made.id)
    event = act(town, subject, agent, made.id, answer)
    town.tick(2 * DAY)
    with pytest.raises(NotPermitted):
        act(town, subject, agent, made.id, answer)
    back = replace(
        event,
        id=uuid4(),
        record=None,
        served="",
        at=event.at + 5,
        recorded_at=town.world.clock.now,
    )
    with pytest.raises(MandateInvalid), platform.data.begin() as conn:
        platform.consents.record(conn, back)


def test_an_ended_mandate_stops_at_once(town: Town) -> None:
    """What was done under it stays, and nothing more is."""
    assist = town.world.platform.assist
    subject, number = town.person()
    agent, _ = town.person()
    made = mandate(town, subject, agent)
    answer = answer_for(town, subject, agent, made.id)
    act(town, subject, agent, made.id, answer)
    with pytest.raises(NotPermitted):
        town.run(
            assist.end_mandate(
                OFFICER,
                subject,
                made.id,
                at=town.world.clock.now,
                justification="",
            )
        )
    with pytest.raises(RecordUnknown):
        town.run(
            assist.end_mandate(
                OFFICER,
                agent,
                made.id,
                at=town.world.clock.now,
                justification="revoked",
            )
        )
    town.run(
        assist.end_mandate(
            OFFICER,
            subject,
            made.id,
            at=town.world.clock.now,
            justification="revoked",
        )
    )
    with pytest.raises(NotPermitted):
        act(town, subject, agent, made.id, answer)
    assert town.ask(subject, number, STREET)[0] == {STREET}


def test_a_guardian_answers_until_the_minor_is_of_age(town: Town) -> None:
    """Then the guardian's yes ends, and the person is asked again."""
    desk = town.world.platform.consent_desk
    subject, number = town.person()
    parent, _ = town.person()
    made = mandate(town, subject, parent, MandateKind.MINOR)
    assert made.of_age is not None
    own = town.run(town.view(subject, "letters"))
    with pytest.raises(MandateInvalid):
        town.run(desk.answer(themselves(subject), subject, own))
    event = act(
        town,
        subject,
        parent,
        made.id,
        answer_for(town, subject, parent, made.id),
    )
    assert event.expires_at is None
    (stored,) = town.world.platform.consents.all_events(subject)
    assert stored.expires_at == made.of_age
    assert town.ask(subject, number, STREET)[0] == {STREET}
    town.world.clock.now = made.of_age
    assert town.ask(subject, number, STREET)[2] == {"consent_expired"}
    with pytest.raises(NotPermitted):
        town.run(
            town.view(
                subject,
                "letters",
                caller=themselves(parent),
                mandate=made.id,
            )
        )
    town.run(town.give(subject, "letters"))
    assert town.ask(subject, number, STREET)[0] == {STREET}
    # The entry of the guardian's yes tells no end of its own.
    found = town.world.platform.fact_sweep().run()
    assert subject not in {one.subject for one in found}


def test_a_minor_may_always_say_no(town: Town) -> None:
    """Taking back needs nobody's leave."""
    subject, _ = town.person()
    parent, _ = town.person()
    made = mandate(town, subject, parent, MandateKind.MINOR)
    act(
        town,
        subject,
        parent,
        made.id,
        answer_for(town, subject, parent, made.id),
    )
    answer = town.run(town.view(subject, "letters"))
    town.tick()
    town.run(
        town.world.platform.consent_desk.answer(
            themselves(subject),
            subject,
            replace(answer, type=EventType.WITHDRAWN, attributes=()),
        )
    )
    assert town.state(subject, "letters") == "withdrawn"


def test_relatives_of_the_dead_end_and_allow_nothing(town: Town) -> None:
    """They withdraw and refuse; they do not consent in the dead's place."""
    subject, _ = town.person()
    relative, _ = town.person()
    town.run(town.give(subject, "letters"))
    made = mandate(town, subject, relative, MandateKind.DECEASED)
    answer = answer_for(town, subject, relative, made.id)
    with pytest.raises(MandateInvalid):
        act(town, subject, relative, made.id, answer)
    act(
        town,
        subject,
        relative,
        made.id,
        replace(answer, type=EventType.WITHDRAWN),
    )
    assert town.state(subject, "letters") == "withdrawn"


def test_a_companys_organ_acts_within_its_scope(town: Town) -> None:
    """For what the mandate names, and nothing else."""
    subject, _ = town.person()
    organ, _ = town.person()
    made = mandate(
        town,
        subject,
        organ,
        MandateKind.COMPANY,
        scope=(f"{CLINIC}/{REMINDERS}",),
    )
    act(
        town,
        subject,
        organ,
        made.id,
        answer_for(town, subject, organ, made.id),
    )
    assert town.state(subject, "letters") == "given"
    with pytest.raises(NotPermitted):
        town.run(
            town.view(
                subject,
                "address",
                caller=themselves(organ),
                mandate=made.id,
                service="moving-house",
                purpose="address-change",
            )
        )


def test_an_officer_without_a_reason_records_no_mandate(town: Town) -> None:
    """Justification and role, as for each act about a person."""
    subject, _ = town.person()
    with pytest.raises(NotPermitted):
        town.run(
            town.world.platform.assist.mandate(
                replace(OFFICER, roles=("auditor",)),
                Mandate(
                    id=uuid4(),
                    subject=subject,
                    actor=str(uuid4()),
                    kind=MandateKind.WARD,
                    proof="order 3",
                    scope=(ANYTHING,),
                    valid_from=0,
                    officer="x",
                    recorded_at=0,
                ),
                justification="order 3",
            )
        )


SOUND = {
    "id": UUID(int=1),
    "subject": UUID(int=2),
    "actor": str(UUID(int=3)),
    "kind": MandateKind.WARD,
    "proof": "order 3",
    "scope": (ANYTHING,),
    "valid_from": 10,
    "officer": "x",
    "recorded_at": 10,
}


@pytest.mark.parametrize(
    "change",
    [
        {"actor": str(UUID(int=2))},
        {"actor": "self"},
        {"actor": "controller"},
        {"actor": ""},
        {"proof": " "},
        {"scope": ()},
        {"kind": MandateKind.MINOR},
        {"of_age": 20},
        {"valid_until": 10},
        {"kind": MandateKind.MINOR, "of_age": 5},
    ],
)
def test_a_mandate_that_says_nothing_is_none(
    change: dict[str, object],
) -> None:
    """Two people, a proof, a scope, and an end after its beginning."""
    assert Mandate(**SOUND).holds(10)  # type: ignore[arg-type] # sound
    with pytest.raises(MandateInvalid):
        Mandate(**(SOUND | change))  # type: ignore[arg-type] # vary by test


def test_coming_of_age_has_a_day() -> None:
    """The birthday, in UTC; on 1 March for the 29th of February."""

    def at(day: date, years: int) -> str:
        stamp = datetime.fromtimestamp(comes_of_age(day, years), UTC)
        return stamp.isoformat()

    assert at(date(2012, 5, 3), 14) == "2026-05-03T00:00:00+00:00"
    assert at(date(2012, 2, 29), 14) == "2026-03-01T00:00:00+00:00"
    assert at(date(2012, 2, 29), 16) == "2028-02-29T00:00:00+00:00"


@given(
    st.dates(min_value=date(1900, 1, 1), max_value=date(2100, 12, 31)),
    st.integers(1, 25),
)
def test_nobody_is_of_age_before_the_birthday(born: date, years: int) -> None:
    """At least so many full years have passed, and at most a day more."""
    day = datetime.fromtimestamp(comes_of_age(born, years), UTC).date()
    assert (day.year - born.year) == years
    assert (day.month, day.day) >= (born.month, born.day)
    assert (day - date(day.year, born.month, min(born.day, 28))).days <= 3
