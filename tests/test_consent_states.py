"""What people and officers do with consents, and what the gate makes of it."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from api.pages.desk import GateDesk
from consent import (
    EntryKind,
    EventType,
    MandateInvalid,
    NoticeNotServed,
    RecordInvalid,
    SeparateConsentNeeded,
    check_act,
    load_yaml,
    notice_for,
    separate_grounds,
)
from policy import (
    FactsChanged,
    Form,
    NotPermitted,
    Place,
    RecordUnknown,
    WrittenDown,
)
from tests.towns import (
    CLINIC,
    REMINDERS,
    TEXT,
    Town,
    build_town,
    clinic,
    themselves,
)
from tests.worlds import MOBILE, OFFICER, STREET

LETTERS = Place(service=CLINIC, purpose=REMINDERS, statement="letters")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One town for all tests: each takes a person of its own."""
    with build_town(tmp_path_factory.mktemp("town") / "home") as made:
        yield made


def say(town: Town, subject: UUID, kind: EventType, statement: str) -> None:
    """Say something that needs no notice."""
    town.tick()
    answer = town.run(town.view(subject, statement))
    town.run(
        town.world.platform.consent_desk.answer(
            themselves(subject),
            subject,
            replace(answer, type=kind, attributes=()),
        )
    )


# --- the gate obeys each state --------------------------------------------


def test_the_gate_withholds_in_each_state_for_its_own_reason(
    town: Town,
) -> None:
    """The person hears why; the service hears one code for all of it."""
    desk = town.world.platform.assist
    subject, number = town.person()
    town.run(town.give(subject, "letters"))
    assert town.ask(subject, number, STREET)[0] == {STREET}

    say(town, subject, EventType.PAUSED, "letters")
    paused = town.ask(subject, number, STREET)
    assert paused == (set(), {"not_available"}, {"consent_paused"})

    say(town, subject, EventType.RESUMED, "letters")
    assert town.ask(subject, number, STREET)[0] == {STREET}

    town.run(desk.end(OFFICER, subject, LETTERS, justification="order 1"))
    revoked = town.ask(subject, number, STREET)
    assert revoked == (set(), {"not_available"}, {"consent_revoked"})

    town.run(town.give(subject, "letters"))
    given = town.world.clock.now
    assert town.ask(subject, number, STREET)[0] == {STREET}
    town.run(
        desk.end(
            OFFICER,
            subject,
            LETTERS,
            justification="court order 9",
            void_since=given,
        )
    )
    void = town.ask(subject, number, STREET)
    assert void == (set(), {"not_available"}, {"consent_invalidated"})


def test_a_request_allows_nothing(town: Town) -> None:
    """Being asked is not having said yes."""
    subject, number = town.person()
    town.run(town.world.platform.assist.ask(OFFICER, subject, LETTERS))
    assert town.state(subject, "letters") == "requested"
    assert town.ask(subject, number, STREET) == (
        set(),
        {"not_available"},
        {"consent_missing"},
    )


def test_a_yes_runs_out_by_itself(town: Town) -> None:
    """At its end it is expired, without anybody's doing."""
    subject, number = town.person()
    answer = town.run(town.view(subject, "letters"))
    end = town.world.clock.now + 50
    town.run(
        town.world.platform.consent_desk.answer(
            themselves(subject), subject, replace(answer, expires_at=end)
        )
    )
    assert town.ask(subject, number, STREET)[0] == {STREET}
    town.tick(60)
    assert town.ask(subject, number, STREET) == (
        set(),
        {"not_available"},
        {"consent_expired"},
    )


def test_a_renewal_lasts_longer_and_allows_nothing_new(town: Town) -> None:
    """It needs the notice again, and a yes that is in force."""
    desk = town.world.platform.consent_desk
    subject, number = town.person()
    answer = town.run(town.view(subject, "letters"))
    town.run(
        desk.answer(
            themselves(subject),
            subject,
            replace(
                answer,
                attributes=(STREET,),
                expires_at=town.world.clock.now + 50,
            ),
        )
    )
    town.tick(10)
    again = replace(
        town.run(town.view(subject, "letters")),
        type=EventType.RENEWED,
        attributes=(STREET,),
        expires_at=town.world.clock.now + 500,
    )
    with pytest.raises(RecordInvalid):
        town.run(
            desk.answer(
                themselves(subject),
                subject,
                replace(again, attributes=answer.attributes),
            )
        )
    town.run(desk.answer(themselves(subject), subject, again))
    town.tick(100)
    assert town.ask(subject, number, STREET)[0] == {STREET}


def test_ending_names_a_reason_and_an_officer(town: Town) -> None:
    """No justification, no revocation; and the person sees it."""
    subject, _ = town.person()
    town.run(town.give(subject, "letters"))
    desk = town.world.platform.assist
    with pytest.raises(NotPermitted):
        town.run(desk.end(OFFICER, subject, LETTERS, justification=" "))
    with pytest.raises(NotPermitted):
        town.run(
            desk.end(
                themselves(subject), subject, LETTERS, justification="mine"
            )
        )
    town.run(desk.end(OFFICER, subject, LETTERS, justification="order 2"))
    (entry,) = town.run(
        town.world.platform.person.own_uses(
            themselves(subject), subject, before=None, limit=1
        )
    )
    assert (entry.kind, entry.outcome) == (EntryKind.CONSENT, "revoked")
    assert entry.detail["justification"] == "order 2"
    assert entry.detail["actor"] == "controller"
    with pytest.raises(RecordInvalid):
        town.run(desk.end(OFFICER, subject, LETTERS, justification="again"))


# --- what was served ------------------------------------------------------


def test_an_answer_refers_to_what_was_served(town: Town) -> None:
    """Nothing served, somebody else's view, another notice: no answer."""
    desk = town.world.platform.consent_desk
    subject, _ = town.person()
    other, _ = town.person()
    answer = town.run(town.view(subject, "letters"))
    theirs = town.run(town.view(other, "letters"))
    moving = town.run(
        town.view(
            subject,
            "address",
            service="moving-house",
            purpose="address-change",
        )
    )
    for served in ("", "0" * 64, theirs.served, moving.served):
        with pytest.raises(NoticeNotServed):
            town.run(
                desk.answer(
                    themselves(subject),
                    subject,
                    replace(answer, served=served),
                )
            )
    event = town.run(desk.answer(themselves(subject), subject, answer))
    proof = town.world.platform.consents.served(subject, event.served)
    assert (proof.subject, proof.viewer) == (subject, "self")
    assert proof.notice == event.notice
    assert proof.digest == event.served
    (entry,) = town.run(
        town.world.platform.person.own_uses(
            themselves(subject), subject, before=None, limit=1
        )
    )
    assert entry.detail["served"] == proof.digest


def test_a_view_of_long_ago_is_not_answered(town: Town) -> None:
    """After thirty days the notice is served again."""
    subject, _ = town.person()
    answer = town.run(town.view(subject, "letters"))
    town.tick(31 * 86_400)
    with pytest.raises(NoticeNotServed):
        town.run(
            town.world.platform.consent_desk.answer(
                themselves(subject), subject, answer
            )
        )


def test_a_changed_row_is_no_proof(town: Town) -> None:
    """What was served is read back by its hash, or not at all."""
    platform = town.world.platform
    subject, _ = town.person()
    answer = town.run(town.view(subject, "letters"))
    with platform.data.begin() as conn:
        conn.exec_driver_sql(
            "UPDATE consent_served SET text = replace(text, 'web', 'tab')"
            " WHERE digest = ?",
            (answer.served,),
        )
    with pytest.raises(NoticeNotServed):
        platform.consents.served(subject, answer.served)


# --- separate consent -----------------------------------------------------


def test_several_questions_are_answered_as_one_act(town: Town) -> None:
    """Plain ones go together: all of them, or none."""
    desk = town.world.platform.consent_desk
    subject, _ = town.person()
    letters = town.run(town.view(subject, "letters"))
    calls = town.run(town.view(subject, "calls"))
    broken = replace(calls, attributes=("user.bdate",))
    with pytest.raises(RecordInvalid):
        town.run(
            desk.answer_together(
                themselves(subject), subject, [letters, broken]
            )
        )
    assert town.state(subject, "letters") == "none"
    town.run(
        desk.answer_together(themselves(subject), subject, [letters, calls])
    )
    assert town.state(subject, "letters") == "given"
    assert town.state(subject, "calls") == "given"


def test_what_is_asked_apart_is_in_no_batch(town: Town) -> None:
    """Not beside others, not by a form, not by the notice of the whole."""
    platform = town.world.platform
    desk = platform.consent_desk
    subject, _ = town.person()
    town.tick()
    letters = town.run(town.view(subject, "letters"))
    abroad = town.run(town.view(subject, "abroad"))
    for batch in ([letters, abroad], [abroad, letters], [abroad, abroad]):
        with pytest.raises(SeparateConsentNeeded):
            town.run(desk.answer_together(themselves(subject), subject, batch))
    assert town.state(subject, "letters") == "none"
    whole = replace(abroad, notice=letters.notice, served=letters.served)
    with pytest.raises(FactsChanged):
        town.run(desk.answer(themselves(subject), subject, whole))
    form = (
        town.run(town.give(subject, "letters")),
        town.run(town.give(subject, "abroad")),
    )
    other, _ = town.person()
    paper = tuple(
        replace(
            one,
            id=uuid4(),
            subject=other,
            record=None,
            served="",
            channel="paper",
        )
        for one in form
    )
    with pytest.raises(SeparateConsentNeeded):
        platform.registrar.enter_forms_now(
            [Form(subject=other, answers=paper)]
        )
    assert town.state(other, "letters") == "none"
    for one in paper:
        platform.registrar.enter_forms_now(
            [Form(subject=other, answers=(one,))]
        )
    assert town.state(other, "abroad") == "given"


def test_one_view_is_one_separate_yes(town: Town) -> None:
    """After a withdrawal, the old view cannot be used for a new yes."""
    desk = town.world.platform.consent_desk
    subject, _ = town.person()
    town.tick()
    abroad = town.run(town.view(subject, "abroad"))
    town.run(desk.answer(themselves(subject), subject, abroad))
    say(town, subject, EventType.WITHDRAWN, "abroad")
    town.tick()
    with pytest.raises(SeparateConsentNeeded):
        town.run(desk.answer(themselves(subject), subject, abroad))
    assert town.state(subject, "abroad") == "withdrawn"
    town.run(town.give(subject, "abroad"))
    assert town.state(subject, "abroad") == "given"


def test_the_store_holds_it_whoever_calls(town: Town) -> None:
    """Below the desk the same is refused: own notice, and served."""
    platform = town.world.platform
    subject, _ = town.person()
    true = town.run(town.give(subject, "abroad"))
    live = clinic()
    whole = replace(
        true,
        id=uuid4(),
        record=None,
        served="",
        notice=notice_for(live, "en", "letters").digest,
    )
    unserved = replace(true, id=uuid4(), record=None, served="")
    for forged, error in (
        (whole, SeparateConsentNeeded),
        (unserved, NoticeNotServed),
    ):
        with pytest.raises(error), platform.data.begin() as conn:
            platform.consents.record(conn, forged)


LAWS = {
    ("ZZ", "[ours]", "user.name.given"): set(),
    ("ZZ", "[ours, public]", "user.name.given"): set(),
    ("ZZ", "[ours]", "user.health.note"): {"sensitive"},
    ("CN", "[ours]", "user.name.given"): set(),
    ("CN", "[ours, same]", "user.name.given"): {"provision"},
    ("CN-31", "[ours, public]", "user.name.given"): {"publication"},
    ("CN", "[same, public]", "user.health.note"): {
        *("provision", "publication", "sensitive"),
    },
}


@pytest.mark.parametrize("case", LAWS)
def test_the_law_says_what_is_asked_apart(case: tuple[str, str, str]) -> None:
    """GDPR 9 everywhere; PIPL 23, 25 and 29 for bodies under it."""
    jurisdiction, recipients, attribute = case
    text = TEXT.format(version=1, recipients=recipients)
    text = text.replace("ZZ", jurisdiction).replace(
        "user.home-info.telecom.mobile", attribute
    )
    declared = load_yaml(text.encode(), where="test")
    calls = declared.statement("calls")
    assert calls is not None
    assert separate_grounds(declared, calls) == LAWS[case]


def test_a_no_needs_no_act_of_its_own() -> None:
    """Refusing all at once is everybody's right."""
    declared = clinic()
    check_act(
        [
            (declared, _Said("letters", EventType.GIVEN)),
            (declared, _Said("abroad", EventType.REFUSED)),
        ]
    )


class _Said:
    def __init__(self, statement: str, kind: EventType) -> None:
        self.statement = statement
        self.type = kind


# --- the counter and the phone --------------------------------------------


def test_an_assisted_yes_waits_for_the_confirmation(town: Town) -> None:
    """Until the person was given what was written down, nothing leaves."""
    platform = town.world.platform
    subject, number = town.person()
    done = _written_down(town, subject, EventType.GIVEN)
    assert done.pending
    assert str(done.event.id) in done.summary
    assert town.state(subject, "letters") == "requested"
    assert town.ask(subject, number, STREET)[0] == set()
    event = town.run(
        platform.assist.confirm(OFFICER, subject, done.event.id, how="handed")
    )
    assert town.ask(subject, number, STREET)[0] == {STREET}
    assert (event.actor, event.officer) == ("self", OFFICER.id)
    assert event.channel == "counter"
    with pytest.raises(RecordInvalid):
        town.run(
            platform.assist.confirm(
                OFFICER, subject, done.event.id, how="handed"
            )
        )


def test_an_assisted_no_counts_at_once(town: Town) -> None:
    """A withdrawal by phone does not wait for paper."""
    subject, number = town.person()
    town.run(town.give(subject, "letters"))
    town.tick()
    done = _written_down(town, subject, EventType.WITHDRAWN, "phone")
    assert not done.pending
    assert town.ask(subject, number, STREET)[2] == {"consent_withdrawn"}


@pytest.mark.parametrize("kind", [EventType.WITHDRAWN, EventType.REFUSED])
def test_a_no_in_between_is_not_overruled(town: Town, kind: EventType) -> None:
    """What the person says meanwhile, anywhere, stands."""
    platform = town.world.platform
    subject, number = town.person()
    done = _written_down(town, subject, EventType.GIVEN)
    town.tick()
    if kind is EventType.REFUSED:
        answer = town.run(town.view(subject, "letters"))
        town.run(
            platform.consent_desk.answer(
                themselves(subject), subject, replace(answer, type=kind)
            )
        )
    else:
        say(town, subject, kind, "letters")
    town.tick()
    with pytest.raises(RecordInvalid):
        town.run(
            platform.assist.confirm(
                OFFICER, subject, done.event.id, how="sent"
            )
        )
    assert town.ask(subject, number, STREET)[0] == set()


def test_nobody_confirms_anothers_request(town: Town) -> None:
    """Neither for another person, nor as one's own officer."""
    platform = town.world.platform
    subject, _ = town.person()
    other, _ = town.person()
    done = _written_down(town, subject, EventType.GIVEN)
    with pytest.raises(RecordUnknown):
        town.run(
            platform.assist.confirm(
                OFFICER, other, done.event.id, how="handed"
            )
        )
    with pytest.raises(NotPermitted):
        town.run(
            platform.assist.confirm(
                themselves(subject), subject, done.event.id, how="handed"
            )
        )


def test_an_officer_cannot_write_a_yes_past_the_request(town: Town) -> None:
    """The store refuses an assisted yes that was never asked."""
    platform = town.world.platform
    subject, _ = town.person()
    true = town.run(town.give(subject, "letters"))
    other, _ = town.person()
    served = town.run(town.view(other, "letters")).served
    forged = replace(
        true,
        id=uuid4(),
        subject=other,
        record=None,
        served=served,
        channel="counter",
        officer="officer-1",
    )
    with pytest.raises(RecordInvalid), platform.data.begin() as conn:
        platform.consents.record(conn, forged)
    forged = replace(forged, actor="officer-1", channel="portal")
    with pytest.raises(MandateInvalid), platform.data.begin() as conn:
        platform.consents.record(conn, forged)


def _written_down(
    town: Town, subject: UUID, kind: EventType, channel: str = "counter"
) -> WrittenDown:
    assist = town.world.platform.assist
    served = town.run(
        assist.serve(OFFICER, subject, LETTERS, language="en", channel=channel)
    )
    answer = town.run(town.view(subject, "letters"))
    return town.run(
        assist.write_down(
            OFFICER,
            subject,
            replace(
                answer,
                type=kind,
                channel=channel,
                served=served.digest,
                attributes=answer.attributes
                if kind is EventType.GIVEN
                else (),
            ),
        )
    )


# --- a wider version ------------------------------------------------------


def test_a_wider_version_asks_for_the_difference(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """What was agreed to stays; what is new is shown, and asked."""
    with build_town(tmp_path_factory.mktemp("wider") / "home") as town:
        platform = town.world.platform
        subject, number = town.person()
        town.run(town.give(subject, "letters"))
        town.run(town.give(subject, "calls"))
        town.register(clinic(2, "[ours, same]"))
        assert town.ask(subject, number, STREET)[0] == {STREET}
        assert town.ask(subject, number, MOBILE)[2] == {"consent_missing"}
        found = {
            one.statement: one
            for one in town.run(
                platform.history.difference(
                    themselves(subject), subject, CLINIC, REMINDERS
                )
            )
        }
        assert not found["letters"].asked_again
        assert found["letters"].covered == found["letters"].allowed
        calls = found["calls"]
        assert calls.asked_again
        assert {row.recipient.value for row in calls.wider} == {"same"}
        assert any("others who follow" in line for line in calls.lines)
        (shown,) = (
            one
            for one in town.run(GateDesk(platform).own_services(subject))
            if one.service == CLINIC
        )
        lines = {one.id: one.changed for one in shown.statements}
        assert any(
            new and "others who follow" in line for new, line in lines["calls"]
        )
        assert lines["abroad"] == ()
        town.run(town.give(subject, "calls"))
        assert town.ask(subject, number, MOBILE)[0] == {MOBILE}
