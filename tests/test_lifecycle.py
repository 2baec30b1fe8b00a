"""The states of a consent record, against an oracle that shares no code."""

import itertools
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import Engine

from api.databases import open_database
from consent import (
    TRANSITIONS,
    ConsentEvent,
    ConsentState,
    ConsentStore,
    ConsentTable,
    DataItem,
    Declaration,
    EventType,
    MandateInvalid,
    Purpose,
    RecipientClass,
    RecordInvalid,
    Retention,
    Statement,
    StatementPurpose,
    group_records,
    render_notice,
    states,
)
from tests.macs import vouching

PERSON = UUID("11111111-1111-4111-8111-111111111111")
NAMES = ("user.bdate", "user.gender", "user.employer")
DECLARED = Declaration(
    service="moving-house",
    purpose="address-change",
    version=1,
    title={"en": "Moving house"},
    purpose_text={"en": "To change your address."},
    statements=tuple(
        Statement(
            id=name,
            purposes=(StatementPurpose(purpose=Purpose.CURRENT),),
            recipients=(RecipientClass.OURS,),
            retention=Retention.STATED_PURPOSE,
            data=tuple(
                DataItem(attribute=one, optional=True) for one in NAMES
            ),
        )
        for name in ("s1", "s2")
    ),
)
NOTICE = render_notice(DECLARED, "en")
OFFICIAL = {
    EventType.REQUESTED,
    EventType.REVOKED,
    EventType.EXPIRED,
    EventType.INVALIDATED,
}
# The whole model a second time, in words: state, then what may be said.
LAW = {
    "nothing": {"requested", "given", "refused", "withdrawn"},
    "requested": {"requested", "given", "refused", "withdrawn", "invalidated"},
    "given": {
        *("requested", "given", "refused", "paused", "renewed"),
        *("withdrawn", "revoked", "invalidated"),
    },
    "paused": {
        *("requested", "given", "refused", "resumed"),
        *("withdrawn", "revoked", "invalidated"),
    },
    "over": {
        *("requested", "given", "refused"),
        *("withdrawn", "revoked", "invalidated", "expired"),
    },
    "ended": {"requested", "given", "refused", "withdrawn", "invalidated"},
    "shut": {"requested", "given", "refused", "withdrawn"},
}


def said(
    kind: EventType,
    at: int,
    *,
    statement: str = "s1",
    attributes: tuple[str, ...] = (),
    expires_at: int | None = None,
    recorded_at: int | None = None,
    record: UUID | None = None,
) -> ConsentEvent:
    """Build an event about the declaration above."""
    official = kind in OFFICIAL
    return ConsentEvent(
        id=uuid.uuid4(),
        subject=PERSON,
        service=DECLARED.service,
        purpose=DECLARED.purpose,
        statement=statement,
        declaration=DECLARED.digest,
        notice=NOTICE.digest,
        language="en",
        type=kind,
        attributes=attributes,
        at=at,
        expires_at=expires_at,
        recorded_at=recorded_at,
        record=record,
        actor="controller" if official else "self",
        officer="officer-1" if official else "",
    )


@contextmanager
def empty_store() -> Iterator[tuple[Engine, ConsentStore]]:
    """Open a store in which the declaration stands."""
    with TemporaryDirectory() as folder:
        engine = open_database(f"sqlite:///{Path(folder) / 'data.db'}")
        ConsentTable.metadata.create_all(engine)
        store = ConsentStore(engine, "city", macs=vouching())
        with engine.begin() as conn:
            store.vouch_registry(conn)
            store.register(conn, DECLARED)
            store.admit(conn, [PERSON])
        yield engine, store
        engine.dispose()


@dataclass
class Model:
    """What a person would expect of one statement."""

    state: str = "nothing"
    name: str = "nothing"
    allowed: frozenset[str] = frozenset()
    until: int | None = None
    asked: bool = False

    def place(self, now: int) -> str:
        """The row of the law that holds now."""
        if self.state in {"given", "paused"} and self.is_over(now):
            return "over"
        return self.state

    def is_over(self, now: int) -> bool:
        """Whether its time has run out."""
        return self.until is not None and self.until <= now


@dataclass
class Remembered:
    """An answer about the past, as it was given once."""

    at: int
    known: int
    answer: dict[str, ConsentState] = field(default_factory=dict)


class Life(RuleBasedStateMachine):
    """Everybody says anything at any time; the law says what counts."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = empty_store()
        self.engine, self.store = self.opened.__enter__()
        self.now = 1000
        self.models = {"s1": Model(), "s2": Model()}
        self.remembered: list[Remembered] = []

    @rule(
        statement=st.sampled_from(["s1", "s2"]),
        kind=st.sampled_from(EventType),
        attributes=st.lists(
            st.sampled_from(NAMES), min_size=1, unique=True
        ).map(tuple),
        lasts=st.none() | st.integers(1, 40),
    )
    def say(
        self,
        statement: str,
        kind: EventType,
        attributes: tuple[str, ...],
        lasts: int | None,
    ) -> None:
        """Say something; it counts exactly where the law has it."""
        model = self.models[statement]
        grows = kind in {EventType.GIVEN, EventType.RENEWED}
        end = None if lasts is None or not grows else self.now + lasts
        named = grows or kind is EventType.REQUESTED
        lawful = kind.value in LAW[model.place(self.now)]
        if kind is EventType.RENEWED:
            lawful = lawful and set(attributes) <= model.allowed
        if kind is EventType.INVALIDATED and model.state == "requested":
            lawful = False
        event = said(
            kind,
            self.now,
            statement=statement,
            attributes=attributes if named else (),
            expires_at=end,
        )
        if not lawful:
            with pytest.raises(RecordInvalid), self.engine.begin() as conn:
                self.store.record(conn, event)
            return
        with self.engine.begin() as conn:
            self.store.record(conn, event)
        self.learn(model, kind, frozenset(attributes), end)

    def learn(
        self,
        model: Model,
        kind: EventType,
        attributes: frozenset[str],
        end: int | None,
    ) -> None:
        """Follow what was said."""
        if kind is EventType.REQUESTED:
            if model.state in {"nothing", "ended", "shut", "requested"}:
                model.name = "requested"
            if model.state == "nothing":
                model.state = "requested"
            return
        if kind in {EventType.GIVEN, EventType.RENEWED}:
            model.allowed, model.until = attributes, end
        if kind in {EventType.GIVEN, EventType.RENEWED, EventType.RESUMED}:
            model.state = model.name = "given"
            return
        model.name = kind.value
        if kind is EventType.PAUSED:
            model.state = "paused"
        elif kind in {EventType.REFUSED, EventType.INVALIDATED}:
            model.state = "shut"
        else:
            model.state = "ended"

    @rule(seconds=st.integers(0, 30))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.now += seconds

    @rule(back=st.integers(0, 60))
    def look_back(self, back: int) -> None:
        """Ask about a past instant, by what is known now."""
        at = self.now - back
        found = self.store.as_of(
            PERSON,
            DECLARED.service,
            DECLARED.purpose,
            at=at,
            known=self.now - 1,
        )
        self.remembered.append(
            Remembered(at=at, known=self.now - 1, answer=found)
        )

    @rule(back=st.integers(1, 60), statement=st.sampled_from(["s1", "s2"]))
    def a_paper_arrives_late(self, back: int, statement: str) -> None:
        """A refusal of long ago is recorded now, and counts from then on."""
        with self.engine.begin() as conn:
            self.store.record(
                conn,
                said(
                    EventType.REFUSED,
                    self.now - back,
                    statement=statement,
                    recorded_at=self.now,
                ),
            )
        model = self.models[statement]
        model.state, model.name = "shut", "refused"

    @invariant()
    def what_was_answered_about_the_past_stays(self) -> None:
        """By what was known then, nothing recorded later changes it."""
        for one in self.remembered[-5:]:
            assert one.answer == self.store.as_of(
                PERSON,
                DECLARED.service,
                DECLARED.purpose,
                at=one.at,
                known=one.known,
            )

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        """State and attributes agree, in every process."""
        found = self.store.standing(
            PERSON, DECLARED.service, DECLARED.purpose, self.now
        )
        for name, model in self.models.items():
            over = model.state in {"given", "paused"} and model.is_over(
                self.now
            )
            expected = "expired" if over else model.name
            state = found.get(name)
            assert expected == ("nothing" if state is None else state.state)
            allowed = () if state is None else state.attributes
            holds = model.state == "given" and not over
            assert frozenset(allowed) == (
                model.allowed if holds else frozenset()
            )

    @invariant()
    def what_has_ended_never_goes_on(self) -> None:
        """No record holds an event beyond its end but one that voids it."""
        log = self.store.all_events(PERSON)
        for one in group_records(log):
            kinds = [event.type for event in one.events]
            for before, after in itertools.pairwise(kinds):
                assert after in TRANSITIONS[before]
            ended = [
                at
                for at, kind in enumerate(kinds)
                if kind in {EventType.WITHDRAWN, EventType.REVOKED}
            ]
            for at in ended:
                assert kinds[at + 1 :] in ([], [EventType.INVALIDATED])

    def teardown(self) -> None:
        """Close the database."""
        self.opened.__exit__(None, None, None)


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_a_withdrawn_record_is_never_enabled_again() -> None:
    """Naming the old record does not help; a new yes has a record of its own.

    A withdrawal is not undone by replaying the yes, resuming or renewing.
    """
    with empty_store() as (engine, store):
        first = said(EventType.GIVEN, 10, attributes=NAMES[:1])
        with engine.begin() as conn:
            store.record(conn, first)
            store.record(conn, said(EventType.WITHDRAWN, 20))
        for kind in (EventType.GIVEN, EventType.RENEWED, EventType.RESUMED):
            again = said(
                kind,
                30,
                attributes=() if kind is EventType.RESUMED else NAMES[:1],
                record=first.id,
            )
            with pytest.raises(RecordInvalid), engine.begin() as conn:
                store.record(conn, again)
        with pytest.raises(Exception, match="UNIQUE"), engine.begin() as conn:
            store.record(conn, replace(first, at=30))
        with engine.begin() as conn:
            store.record(conn, said(EventType.GIVEN, 40, attributes=NAMES[1:]))
        old, new = group_records(store.all_events(PERSON))
        assert (old.id, old.state(50)) == (first.id, EventType.WITHDRAWN)
        assert (old.superseded, new.state(50)) == (new.id, EventType.GIVEN)


def test_an_answer_joins_the_record_that_asked() -> None:
    """A request and its answer are one record with both events in it."""
    with empty_store() as (engine, store):
        with engine.begin() as conn:
            store.record(
                conn, said(EventType.REQUESTED, 10, attributes=NAMES[:1])
            )
            store.record(conn, said(EventType.GIVEN, 20, attributes=NAMES[:1]))
        (one,) = group_records(store.all_events(PERSON))
        assert [event.type for event in one.events] == [
            EventType.REQUESTED,
            EventType.GIVEN,
        ]


def test_a_refusal_is_a_record() -> None:
    """A no has a record of its own, and it is shut."""
    with empty_store() as (engine, store):
        with engine.begin() as conn:
            store.record(conn, said(EventType.REFUSED, 10))
        (one,) = group_records(store.all_events(PERSON))
        assert one.state(20) is EventType.REFUSED


@pytest.mark.parametrize("kind", sorted(OFFICIAL - {EventType.EXPIRED}))
def test_only_an_officer_speaks_for_the_controller(kind: EventType) -> None:
    """The person cannot revoke or void, and nobody can without a name."""
    with empty_store() as (engine, store):
        attributes = NAMES[:1] if kind is EventType.REQUESTED else ()
        with engine.begin() as conn:
            store.record(conn, said(EventType.GIVEN, 10, attributes=NAMES[:1]))
        true = said(kind, 20, attributes=attributes)
        for forged in (
            replace(true, actor="self"),
            replace(true, officer=""),
        ):
            with pytest.raises(RecordInvalid), engine.begin() as conn:
                store.record(conn, forged)
        with engine.begin() as conn:
            store.record(conn, true)


def test_the_controller_cannot_say_yes() -> None:
    """What is the person's to say is nobody else's, mandates aside."""
    with empty_store() as (engine, store):
        for kind in (EventType.GIVEN, EventType.WITHDRAWN, EventType.PAUSED):
            forged = replace(
                said(
                    kind,
                    10,
                    attributes=NAMES[:1] if kind is EventType.GIVEN else (),
                ),
                actor="controller",
                officer="officer-1",
            )
            with pytest.raises(MandateInvalid), engine.begin() as conn:
                store.record(conn, forged)


def test_what_a_court_voids_was_never_allowed() -> None:
    """By what is known now it was not allowed; by what was known, it was."""
    log = [
        said(EventType.GIVEN, 100, attributes=NAMES[:1]),
        said(EventType.INVALIDATED, 100, recorded_at=500),
    ]
    assert states(log, 200, known=200)["s1"].state is EventType.GIVEN
    assert states(log, 200)["s1"].state is EventType.INVALIDATED
    assert states(log, 200, known=499)["s1"].state is EventType.GIVEN
    assert states(log, 200, known=500)["s1"].state is EventType.INVALIDATED


kinds = st.lists(
    st.tuples(
        st.sampled_from(EventType), st.integers(0, 20), st.integers(0, 20)
    ),
    max_size=10,
)


@given(log=kinds, at=st.integers(0, 25), known=st.integers(0, 25))
def test_what_is_recorded_later_changes_no_answer_of_before(
    log: list[tuple[EventType, int, int]], at: int, known: int
) -> None:
    """Whatever is appended with a later record time, the old answer stays."""
    events = [
        said(
            kind,
            when,
            attributes=NAMES[:1],
            recorded_at=max(when, learnt),
        )
        for kind, when, learnt in log
    ]
    before = [one for one in events if one.known_at <= known]
    assert states(events, at, known=known) == states(before, at)
    assert states(events, at, known=100) == states(events, at)
