"""The consent store: the log, the registry, the rules, on real databases."""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from api.databases import open_database
from consent import (
    PRESETS,
    ConsentEvent,
    ConsentNotAsked,
    ConsentStore,
    ConsentTable,
    DataItem,
    Declaration,
    DeclarationFrozen,
    DeclarationInvalid,
    EventType,
    LegalBasis,
    PreferencesInvalid,
    Purpose,
    RecipientClass,
    RecordInvalid,
    Retention,
    Statement,
    StatementPurpose,
    UnknownDeclaration,
    UnknownNotice,
    render_notice,
)
from tests.macs import vouching

ANNA = UUID("11111111-1111-4111-8111-111111111111")
BRUNO = UUID("22222222-2222-4222-8222-222222222222")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Open an empty database of each kind."""
    url = f"sqlite:///{tmp_path}/data.db"
    if request.param == "postgresql":
        url = os.environ.get("CURTILAGE_TEST_POSTGRESQL", "")
        if not url:
            pytest.skip("CURTILAGE_TEST_POSTGRESQL names no server")
    opened = open_database(url)
    ConsentTable.metadata.drop_all(opened)
    ConsentTable.metadata.create_all(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def store(engine: Engine) -> ConsentStore:
    """Make a store in which the declaration below is in force."""
    made = ConsentStore(engine, "city", macs=vouching())
    with engine.begin() as conn:
        made.vouch_registry(conn)
        made.register(conn, declaration())
        made.admit(conn, [ANNA, BRUNO])
    return made


def declaration(
    version: int = 1,
    *,
    service: str = "moving-house",
    purposes: tuple[Purpose, ...] = (Purpose.CURRENT,),
    retention: Retention = Retention.STATED_PURPOSE,
    title: str = "Moving house",
) -> Declaration:
    """Build a declaration: one statement asks, the other rests on law."""
    asks = Statement(
        id="s1",
        purposes=tuple(StatementPurpose(purpose=p) for p in purposes),
        recipients=(RecipientClass.OURS,),
        retention=retention,
        data=(
            DataItem(attribute="user.name.given"),
            DataItem(attribute="user.bdate", optional=True),
        ),
    )
    return Declaration(
        service=service,
        purpose="address-change",
        version=version,
        title={"en": title, "zh-Hans": "搬家"},
        purpose_text={"en": "To change your address.", "zh-Hans": "变更。"},
        statements=(
            asks,
            replace(asks, id="law", basis=LegalBasis.PUBLIC_TASK),
        ),
    )


def event(
    kind: EventType = EventType.GIVEN,
    *,
    at: int = 100,
    of: Declaration | None = None,
    **changes: object,
) -> ConsentEvent:
    """Build an event that can be recorded."""
    answered = of or declaration()
    given = kind is EventType.GIVEN
    made = ConsentEvent(
        id=uuid.uuid4(),
        subject=ANNA,
        service=answered.service,
        purpose=answered.purpose,
        statement="s1",
        declaration=answered.digest,
        notice=render_notice(answered, "en").digest,
        language="en",
        type=kind,
        attributes=("user.name.given",) if given else (),
        at=at,
    )
    return replace(made, **changes)  # type: ignore[arg-type] # vary by test


def stored(one: ConsentEvent) -> ConsentEvent:
    """Say of an answer what the log adds: its own record, known at once."""
    return replace(one, record=one.id, recorded_at=one.at)


def record(engine: Engine, store: ConsentStore, *events: ConsentEvent) -> int:
    """Record events, each in a transaction of its own."""
    revision = 0
    for one in events:
        with engine.begin() as conn:
            revision = store.record(conn, one)
    return revision


# --- the log --------------------------------------------------------------


def test_what_was_recorded_is_read_back(
    engine: Engine, store: ConsentStore
) -> None:
    """Every field survives, in the order of the log."""
    first = stored(event(expires_at=500, officer="o-7", channel="paper"))
    second = replace(
        event(EventType.WITHDRAWN, at=200, notice=""),
        record=first.id,
        recorded_at=250,
    )
    record(engine, store, first, second)
    assert store.events(
        ANNA, "moving-house", "address-change", until=None
    ) == [first, second]
    assert store.all_events(ANNA) == [first, second]


def test_only_matching_events_are_selected(
    engine: Engine, store: ConsentStore
) -> None:
    """Another service, person, tenant or time is not read."""
    other = declaration(service="tax")
    neighbour = ConsentStore(engine, "county", macs=vouching("county"))
    with engine.begin() as conn:
        store.register(conn, other)
        neighbour.vouch_registry(conn)
        neighbour.register(conn, declaration())
        neighbour.admit(conn, [ANNA])
    wanted = stored(event(at=100))
    record(engine, store, event(of=other), wanted, event(at=300))
    record(engine, store, event(subject=BRUNO))
    record(engine, neighbour, event())
    assert [wanted] == store.events(
        ANNA, "moving-house", "address-change", until=200
    )


def test_a_rolled_back_answer_leaves_nothing(
    engine: Engine, store: ConsentStore
) -> None:
    """Event and revision are one transaction."""
    with engine.connect() as conn:
        assert store.record(conn, event()) == 1
        assert store.revision(conn, ANNA) == 1
        conn.rollback()
    assert store.revision(None, ANNA) == 0
    assert store.all_events(ANNA) == []


def test_every_answer_and_every_choice_of_rules_counts_up(
    engine: Engine, store: ConsentStore
) -> None:
    """The fact revision moves with each, and for that person alone."""
    assert record(engine, store, event(), event(EventType.WITHDRAWN)) == 2
    with engine.begin() as conn:
        assert store.set_preferences(conn, ANNA, PRESETS["careful"], 5) == 3
        assert store.bump(conn, ANNA) == 4
    assert store.revision(None, ANNA) == 4
    assert store.revision(None, BRUNO) == 0


def test_one_event_is_recorded_once(
    engine: Engine, store: ConsentStore
) -> None:
    """A new answer is a new event; the old one cannot be sent again."""
    from sqlalchemy.exc import IntegrityError  # noqa: PLC0415 - used once

    once = event()
    record(engine, store, once, event(EventType.WITHDRAWN))
    with pytest.raises(IntegrityError):
        record(engine, store, once)


WRONG: dict[str, Callable[[], ConsentEvent]] = {
    "another service": lambda: event(service="tax"),
    "another purpose": lambda: event(purpose="tax"),
    "no such statement": lambda: event(statement="s9"),
    "more than asked": lambda: event(
        attributes=("user.name.given", "user.gender")
    ),
    "nothing allowed": lambda: event(attributes=()),
    "the same twice": lambda: event(attributes=("user.name.given",) * 2),
    "without the essential": lambda: event(attributes=("user.bdate",)),
    "ends before it begins": lambda: event(expires_at=100),
    "a refusal that allows": lambda: event(
        EventType.REFUSED, attributes=("user.bdate",)
    ),
    "a withdrawal that ends": lambda: event(
        EventType.WITHDRAWN, expires_at=900
    ),
    "a notice nobody saw": lambda: event(notice="0" * 64),
    "no notice": lambda: event(notice=""),
    "a refusal without notice": lambda: event(EventType.REFUSED, notice=""),
    "the notice in another language": lambda: event(language="zh-Hans"),
    "an expiry of nothing": lambda: event(EventType.EXPIRED),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_that_contradicts_is_not_recorded(
    name: str, engine: Engine, store: ConsentStore
) -> None:
    """Nothing is repaired, and no revision is counted."""
    with pytest.raises(RecordInvalid):
        record(engine, store, WRONG[name]())
    assert store.revision(None, ANNA) == 0


def test_the_notice_of_another_declaration_does_not_serve(
    engine: Engine, store: ConsentStore
) -> None:
    """What was read must be about what was answered."""
    other = declaration(service="tax")
    with engine.begin() as conn:
        store.register(conn, other)
    wrong = event(notice=render_notice(other, "en").digest)
    with pytest.raises(RecordInvalid):
        record(engine, store, wrong)


@pytest.mark.parametrize("kind", EventType)
def test_nobody_is_asked_where_the_law_is_the_basis(
    kind: EventType, engine: Engine, store: ConsentStore
) -> None:
    """A statement that rests on the law has no consent records."""
    with pytest.raises(ConsentNotAsked):
        record(engine, store, event(kind, statement="law"))


def test_an_answer_to_an_unknown_declaration_is_not_recorded(
    engine: Engine, store: ConsentStore
) -> None:
    """The version that is answered must be there."""
    with pytest.raises(UnknownDeclaration):
        record(engine, store, event(declaration="0" * 64))


def test_a_late_yes_does_not_undo_a_later_no(
    engine: Engine, store: ConsentStore
) -> None:
    """A paper form of yesterday does not beat today's withdrawal."""
    record(engine, store, event(at=100), event(EventType.WITHDRAWN, at=200))
    with pytest.raises(RecordInvalid):
        record(engine, store, event(at=150))
    record(engine, store, event(at=200))
    found = store.standing(ANNA, "moving-house", "address-change", 300)
    assert found["s1"].state is EventType.GIVEN


def test_an_expiry_is_recorded_only_when_something_ran_out(
    engine: Engine, store: ConsentStore
) -> None:
    """A sweep that comes after a renewal does not end the renewal."""
    record(engine, store, event(at=100, expires_at=200))
    record(engine, store, event(EventType.EXPIRED, at=200, notice=""))
    record(engine, store, event(at=250, expires_at=400))
    with pytest.raises(RecordInvalid):
        record(engine, store, event(EventType.EXPIRED, at=300, notice=""))


# --- declarations -----------------------------------------------------------


def test_an_answered_version_is_frozen(
    engine: Engine, store: ConsentStore
) -> None:
    """Until the first answer a version may change, afterwards never."""
    with engine.begin() as conn:
        store.register(conn, declaration(title="Move"))
    changed = store.declaration("moving-house", "address-change")
    assert changed == declaration(title="Move")
    record(engine, store, event(of=declaration(title="Move")))
    with engine.begin() as conn, pytest.raises(DeclarationFrozen):
        store.register(conn, declaration(title="Again"))
    with engine.begin() as conn:
        store.register(conn, declaration(title="Move"))


def test_the_database_itself_keeps_an_answered_version(
    engine: Engine, store: ConsentStore
) -> None:
    """Even without our code the row of an answered version stays."""
    from sqlalchemy.exc import IntegrityError  # noqa: PLC0415 - used once

    record(engine, store, event())
    with engine.begin() as conn, pytest.raises(IntegrityError):
        conn.execute(text("DELETE FROM consent_declaration"))


def test_the_highest_version_is_in_force(
    engine: Engine, store: ConsentStore
) -> None:
    """Older versions stay, under their digests."""
    newer, older = declaration(3), declaration(2)
    with engine.begin() as conn:
        store.register(conn, newer)
        store.register(conn, older)
    assert store.declaration("moving-house", "address-change") == newer
    assert store.declaration_by_digest(older.digest) == older
    assert [d.version for d in store.declarations()] == [1, 2, 3]
    assert store.declaration("moving-house", "tax") is None
    assert store.declaration_by_digest("0" * 64) is None


def test_another_process_sees_a_new_version_at_once(
    engine: Engine, store: ConsentStore
) -> None:
    """A cache is believed only under the revision that it was read at."""
    other = ConsentStore(engine, "city", macs=vouching())
    assert other.declaration("moving-house", "address-change") is not None
    with engine.begin() as conn:
        store.register(conn, declaration(2))
    found = other.declaration("moving-house", "address-change")
    assert found == declaration(2)


def test_the_cached_declaration_is_one_object(store: ConsentStore) -> None:
    """What decisions read is built once."""
    first = store.declaration("moving-house", "address-change")
    assert store.declaration("moving-house", "address-change") is first


def test_a_declaration_that_was_edited_in_the_database_is_not_used(
    engine: Engine, store: ConsentStore
) -> None:
    """Who edits the row does not widen what a service may do."""
    with engine.begin() as conn:
        conn.execute(
            text(
                "UPDATE consent_declaration SET text ="
                " replace(text, 'stated-purpose', 'indefinitely')"
            )
        )
    with pytest.raises(DeclarationInvalid):
        store.declaration("moving-house", "address-change")


def test_a_declaration_row_that_is_no_declaration_is_not_used(
    engine: Engine, store: ConsentStore
) -> None:
    """A broken row is an error, not an absent declaration."""
    with engine.begin() as conn:
        conn.execute(text("UPDATE consent_declaration SET text = '{}'"))
    with pytest.raises(DeclarationInvalid):
        store.declaration("moving-house", "address-change")


def test_notices_are_stored_with_their_declaration(
    engine: Engine, store: ConsentStore
) -> None:
    """Both languages are there, under the hash of their text."""
    for language in ("en", "zh-Hans"):
        notice = render_notice(declaration(), language)
        assert store.notice(notice.digest) == notice
    with engine.begin() as conn:
        conn.execute(text("UPDATE consent_notice SET text = 'yes to all'"))
    with pytest.raises(UnknownNotice):
        store.notice(render_notice(declaration(), "en").digest)


# --- widening ---------------------------------------------------------------


def standing_after(
    engine: Engine, store: ConsentStore, newer: Declaration
) -> dict[str, tuple[str, ...]]:
    """Give version 1, register another, return what is still allowed."""
    record(engine, store, event(attributes=("user.name.given", "user.bdate")))
    with engine.begin() as conn:
        store.register(conn, newer)
    found = store.standing(ANNA, "moving-house", "address-change", 200)
    return {name: state.attributes for name, state in found.items()}


def test_a_narrower_version_keeps_consent(
    engine: Engine, store: ConsentStore
) -> None:
    """Nobody is asked again for less."""
    newer = declaration(2, retention=Retention.NONE)
    assert standing_after(engine, store, newer) == {
        "s1": ("user.name.given", "user.bdate")
    }


@pytest.mark.parametrize(
    "newer",
    [
        declaration(2, purposes=(Purpose.CURRENT, Purpose.CONTACT)),
        declaration(2, retention=Retention.INDEFINITELY),
    ],
    ids=["purpose", "retention"],
)
def test_a_wider_version_asks_again(
    newer: Declaration, engine: Engine, store: ConsentStore
) -> None:
    """A yes to less is not a yes to more."""
    assert standing_after(engine, store, newer) == {}


def test_only_what_widened_is_asked_again(
    engine: Engine, store: ConsentStore
) -> None:
    """A new attribute leaves the yes to the old ones as it is."""
    base = declaration(2)
    first = base.statements[0]
    more = (*first.data, DataItem(attribute="user.gender", optional=True))
    newer = replace(base, statements=(replace(first, data=more),))
    assert standing_after(engine, store, newer) == {
        "s1": ("user.name.given", "user.bdate")
    }


def test_a_no_stays_a_no_under_a_new_version(
    engine: Engine, store: ConsentStore
) -> None:
    """Who refused is not taken to have never been asked."""
    record(engine, store, event(EventType.REFUSED))
    with engine.begin() as conn:
        store.register(conn, declaration(2))
    found = store.standing(ANNA, "moving-house", "address-change", 200)
    assert found["s1"].state is EventType.REFUSED


def test_a_statement_that_went_away_has_no_state(
    engine: Engine, store: ConsentStore
) -> None:
    """What the live version does not say, nobody has answered."""
    newer = declaration(2)
    only = replace(newer, statements=newer.statements[1:])
    assert standing_after(engine, store, only) == {}


def test_nothing_stands_without_a_declaration(store: ConsentStore) -> None:
    """A service that declares nothing has no consent."""
    assert store.standing(ANNA, "tax", "return", 200) == {}


# --- rules ------------------------------------------------------------------


def test_rules_have_versions(engine: Engine, store: ConsentStore) -> None:
    """The latest holds, every one can be read, 0 is no choice."""
    for name in ("careful", "only-needed"):
        with engine.begin() as conn:
            store.set_preferences(conn, ANNA, PRESETS[name], 5)
    assert store.preferences(ANNA).version == 2
    assert store.preferences(ANNA).preferences == PRESETS["only-needed"]
    first = store.preferences_at(ANNA, 1)
    assert first is not None
    assert first.preferences == PRESETS["careful"]
    assert store.preferences_at(ANNA, 9) is None
    assert store.preferences_at(ANNA, 0) == store.preferences(BRUNO)
    assert store.preferences(BRUNO).preferences == PRESETS["each-time"]


def test_rules_that_were_edited_in_the_database_are_not_used(
    engine: Engine, store: ConsentStore
) -> None:
    """Broken rules are an error; nobody falls back to the default."""
    with engine.begin() as conn:
        store.set_preferences(conn, ANNA, PRESETS["careful"], 5)
        conn.execute(text("UPDATE consent_preferences SET text = '{}'"))
    with pytest.raises(PreferencesInvalid):
        store.preferences(ANNA)


def test_few_parsed_rule_sets_are_kept(
    engine: Engine, store: ConsentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory does not grow with the number of people."""
    monkeypatch.setattr("consent.people._PARSED", 1)
    for subject, name in ((ANNA, "careful"), (BRUNO, "only-needed")):
        with engine.begin() as conn:
            store.set_preferences(conn, subject, PRESETS[name], 5)
        assert store.preferences(subject).preferences == PRESETS[name]
    assert len(store._rules._parsed) == 1


# --- erasure ----------------------------------------------------------------


def test_nothing_but_a_count_is_left_of_an_erased_person(
    engine: Engine, store: ConsentStore
) -> None:
    """Log and rules go; the count moves on, so old decisions are noticed."""
    record(engine, store, event(), event(subject=BRUNO))
    with engine.begin() as conn:
        store.set_preferences(conn, ANNA, PRESETS["careful"], 5)
        store.forget(conn, ANNA)
    assert store.all_events(ANNA) == []
    assert store.preferences(ANNA).version == 0
    assert store.revision(None, ANNA) == 3
    assert len(store.all_events(BRUNO)) == 1


# --- cost -------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_read_costs_what_it_returns(engine: Engine) -> None:
    """Twenty answers over a hundred services: one select finds its one."""
    store = ConsentStore(engine, "city", macs=vouching())
    declared = [declaration(service=f"service-{n}") for n in range(100)]
    with engine.begin() as conn:
        store.vouch_registry(conn)
        for one in declared:
            store.register(conn, one)
        store.admit(conn, [ANNA, BRUNO])
    with engine.begin() as conn:
        for one in declared[:20]:
            store.record(conn, event(of=one))
    plan = store._log._of_purpose
    with engine.connect() as conn:
        values = ("city", ANNA.hex, "service-7", "address-change")
        explained = conn.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {plan._sql}", values
        ).all()
    (step,) = (row[3] for row in explained)
    assert step == (
        "SEARCH consent_event USING PRIMARY KEY"
        " (tenant=? AND subject=? AND service=? AND purpose=?)"
    )
    with engine.begin() as conn:
        store.record(conn, event(of=declared[7], subject=BRUNO))
    many, one_only = (
        min(timed(store, subject) for _ in range(5))
        for subject in (ANNA, BRUNO)
    )
    assert many < 3 * one_only


def timed(store: ConsentStore, subject: UUID) -> float:
    """Return the processor seconds that two hundred reads take."""
    start = time.process_time()
    for _ in range(200):
        found = store.events(
            subject, "service-7", "address-change", until=None
        )
        assert len(found) == 1
    return time.process_time() - start
