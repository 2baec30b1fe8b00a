"""What a log of answers means, against a model that shares no code."""

import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from api.databases import open_database
from consent import (
    ConsentEvent,
    ConsentState,
    ConsentStore,
    ConsentTable,
    DataItem,
    Declaration,
    EventType,
    Purpose,
    RecipientClass,
    Retention,
    Statement,
    StatementPurpose,
    render_notice,
    states,
)
from tests.macs import vouching

ANNA = UUID("11111111-1111-4111-8111-111111111111")
OPTIONAL = ("user.bdate", "user.gender", "user.employer")
ASKED = (
    Statement(
        id="s1",
        purposes=(StatementPurpose(purpose=Purpose.CURRENT),),
        recipients=(RecipientClass.OURS,),
        retention=Retention.STATED_PURPOSE,
        data=tuple(
            DataItem(attribute=name, optional=True) for name in OPTIONAL
        ),
    ),
    Statement(
        id="s2",
        purposes=(StatementPurpose(purpose=Purpose.CONTACT),),
        recipients=(RecipientClass.OURS,),
        retention=Retention.STATED_PURPOSE,
        data=tuple(
            DataItem(attribute=name, optional=True) for name in OPTIONAL
        ),
    ),
)
DECLARED = Declaration(
    service="moving-house",
    purpose="address-change",
    version=1,
    title={"en": "Moving house"},
    purpose_text={"en": "To change your address."},
    statements=ASKED,
)
NOTICE = render_notice(DECLARED, "en")

some_attributes = st.lists(
    st.sampled_from(OPTIONAL), min_size=1, max_size=3, unique=True
).map(tuple)
statement_ids = st.sampled_from(["s1", "s2"])


def answer(
    kind: EventType,
    at: int,
    *,
    statement: str = "s1",
    attributes: tuple[str, ...] = (),
    expires_at: int | None = None,
) -> ConsentEvent:
    """Build an answer to the declaration above."""
    return ConsentEvent(
        id=uuid.uuid4(),
        subject=ANNA,
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
    )


class Answers(RuleBasedStateMachine):
    """A person gives, refuses and withdraws; time passes; a model watches.

    The model holds, for each statement, what is allowed and until when. It
    is what a person would expect: the last answer holds, whole.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        path = Path(self.folder.name) / "data.db"
        self.engine = open_database(f"sqlite:///{path}")
        ConsentTable.metadata.create_all(self.engine)
        self.store = ConsentStore(self.engine, "city", macs=vouching())
        with self.engine.begin() as conn:
            self.store.vouch_registry(conn)
            self.store.register(conn, DECLARED)
            self.store.admit(conn, [ANNA])
        self.now = 1000
        self.revision = 0
        self.allowed: dict[str, tuple[frozenset[str], int | None]] = {}
        self.said_no: set[str] = set()

    def record(self, event: ConsentEvent) -> None:
        """Record an event, and count it."""
        with self.engine.begin() as conn:
            revision = self.store.record(conn, event)
        assert revision == self.revision + 1
        self.revision = revision

    @rule(
        statement=statement_ids,
        attributes=some_attributes,
        lasts=st.none() | st.integers(1, 50),
    )
    def give(
        self, statement: str, attributes: tuple[str, ...], lasts: int | None
    ) -> None:
        """Allow exactly these attributes."""
        end = None if lasts is None else self.now + lasts
        self.record(
            answer(
                EventType.GIVEN,
                self.now,
                statement=statement,
                attributes=attributes,
                expires_at=end,
            )
        )
        self.allowed[statement] = frozenset(attributes), end
        self.said_no.discard(statement)

    @rule(
        statement=statement_ids,
        kind=st.sampled_from([EventType.REFUSED, EventType.WITHDRAWN]),
    )
    def say_no(self, statement: str, kind: EventType) -> None:
        """Allow nothing any more."""
        self.record(answer(kind, self.now, statement=statement))
        self.allowed.pop(statement, None)
        self.said_no.add(statement)

    @rule(statement=statement_ids, attributes=some_attributes)
    def withdraw_then_give(
        self, statement: str, attributes: tuple[str, ...]
    ) -> None:
        """After a withdrawal, a yes to X allows exactly X."""
        self.say_no(statement, EventType.WITHDRAWN)
        self.give(statement, attributes, None)

    @rule(seconds=st.integers(0, 60))
    def wait(self, seconds: int) -> None:
        """Let time pass, perhaps beyond an end."""
        self.now += seconds

    @precondition(lambda self: self.revision > 0)
    @rule()
    def another_process_reads(self) -> None:
        """A store without memory sees the same."""
        fresh = ConsentStore(self.engine, "city", macs=vouching())
        assert self.seen(fresh) == self.seen(self.store)

    def seen(self, store: ConsentStore) -> dict[str, ConsentState]:
        """Return what a store says now."""
        return store.standing(
            ANNA, DECLARED.service, DECLARED.purpose, self.now
        )

    @invariant()
    def exactly_what_was_allowed_is_allowed(self) -> None:
        """No more, no less, and nothing after its end or after a no."""
        found = {
            name: frozenset(state.attributes)
            for name, state in self.seen(self.store).items()
            if state.state is EventType.GIVEN
        }
        expected = {
            name: attributes
            for name, (attributes, end) in self.allowed.items()
            if end is None or self.now < end
        }
        assert expected == found

    @invariant()
    def a_no_is_seen_as_a_no(self) -> None:
        """A refusal or a withdrawal is not the same as no answer."""
        found = {
            name
            for name, state in self.seen(self.store).items()
            if state.state in {EventType.REFUSED, EventType.WITHDRAWN}
        }
        assert self.said_no == found

    def teardown(self) -> None:
        """Close the database."""
        self.engine.dispose()
        self.folder.cleanup()


TestAnswers = Answers.TestCase
TestAnswers.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

ANSWERS = (
    EventType.GIVEN,
    EventType.REFUSED,
    EventType.WITHDRAWN,
    EventType.EXPIRED,
)
events = st.lists(
    st.builds(
        answer,
        st.sampled_from(ANSWERS),
        st.integers(0, 20),
        statement=statement_ids,
        attributes=some_attributes,
        expires_at=st.none() | st.integers(0, 40),
    ),
    max_size=8,
)


@given(log=events, now=st.integers(0, 30))
def test_a_given_state_rests_on_the_last_answer_before_now(
    log: list[ConsentEvent], now: int
) -> None:
    """Whatever the clock did, no yes counts against a no of a later time."""
    for name, state in states(log, now).items():
        past = [e for e in log if e.statement == name and e.at <= now]
        assert state.event in {e.id for e in past}
        if state.state is EventType.GIVEN:
            (event,) = (e for e in past if e.id == state.event)
            later = past[past.index(event) + 1 :]
            noes = [e for e in past if e.type is not EventType.GIVEN]
            assert all(e.type is EventType.GIVEN for e in later)
            assert all(e.at <= event.at for e in noes)
            assert event.attributes == state.attributes
            assert event.expires_at is None or event.expires_at > now
        else:
            assert state.attributes == ()
            assert state.until is None


@given(log=events, now=st.integers(0, 30))
def test_a_withdrawal_at_the_end_always_wins(
    log: list[ConsentEvent], now: int
) -> None:
    """Nothing said before can outlive a withdrawal made now."""
    last = answer(EventType.WITHDRAWN, now)
    found = states([*log, last], now)
    assert (found["s1"].state, found["s1"].event) == (
        EventType.WITHDRAWN,
        last.id,
    )


def test_the_end_is_computed_from_the_clock() -> None:
    """One second before the end it holds, at the end it is expired."""
    log = [
        answer(EventType.GIVEN, 10, attributes=("user.bdate",), expires_at=20)
    ]
    assert states(log, 19)["s1"].state is EventType.GIVEN
    over = states(log, 20)["s1"]
    assert (over.state, over.at, over.attributes) == (
        EventType.EXPIRED,
        20,
        (),
    )


def test_what_was_said_later_is_not_known_earlier() -> None:
    """The state as of an instant does not know the future."""
    log = [
        answer(EventType.GIVEN, 10, attributes=("user.bdate",)),
        answer(EventType.WITHDRAWN, 30),
    ]
    assert states(log, 5) == {}
    assert states(log, 29)["s1"].state is EventType.GIVEN
    assert states(log, 30)["s1"].state is EventType.WITHDRAWN
