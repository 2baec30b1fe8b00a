"""Withheld entries: a second chain of which the person sees nothing."""

import asyncio
import json
from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from consent.commit import Commit, GroupCommit
from consent.entries import (
    AUDIT_DOMAIN,
    SUBJECT_DOMAIN,
    Draft,
    EntryKind,
    Place,
    commit,
    leaf_data,
)
from consent.errors import (
    DraftInvalid,
    EntryUnreadable,
    LedgerInconsistent,
    UnknownEntry,
)
from consent.ledger import Ledger
from consent.visibility import Visibility, Withheld
from consent.withheld import MINIMUM_CELL
from tests.ledgers import (
    DATABASES,
    NOON,
    draft,
    make_ledger,
    open_empty,
    person,
    wipe,
)
from tests.test_ledger_sweep import flip_byte

DAY = 86_400
YEAR = 366 * DAY
ANNA = person(1)[1]
SEALED = Withheld(visibility=Visibility.SEALED, until=NOON + 30 * DAY, rule=7)
DELAYED = Withheld(visibility=Visibility.DELAYED, until=NOON + DAY, rule=8)


class Clock:
    """A clock that a test sets."""

    now = NOON

    def __call__(self) -> int:
        """Tell the time."""
        return self.now


@pytest.fixture(scope="module", params=DATABASES)
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Open a database of each kind."""
    engine = open_empty(request.param, tmp_path_factory.mktemp("withheld"))
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    """Return a clock that a test may set."""
    return Clock()


@pytest.fixture
def ledger(opened: Engine, clock: Clock) -> Ledger:
    """Return an empty ledger under that clock."""
    wipe(opened)
    return make_ledger(opened, clock=clock)


def append(ledger: Ledger, *drafts: Draft) -> None:
    """Append in one transaction."""
    with ledger.engine.begin() as conn:
        ledger.append(conn, drafts)


def lift(ledger: Ledger, held: UUID) -> None:
    """Lift one entry."""
    with ledger.engine.begin() as conn:
        ledger.lift(conn, held)


def seen(ledger: Ledger) -> list[tuple[int, int]]:
    """Give index and counter of what Anna sees."""
    return [(e.index, e.counter) for e in ledger.own_entries(ANNA)]


def parts(document: str) -> tuple[dict[str, object], bytes]:
    """Give a document's subject part and the leaf that both parts give."""
    found = json.loads(document)
    hashed = [
        commit(
            domain,
            bytes.fromhex(found[name]["salt"]),
            found[name]["body"].encode(),
        )
        for name, domain in (
            ("subject", SUBJECT_DOMAIN),
            ("audit", AUDIT_DOMAIN),
        )
    ]
    return json.loads(found["subject"]["body"]), leaf_data(*hashed)


@pytest.mark.parametrize("withheld", [SEALED, DELAYED])
def test_nothing_of_a_withheld_entry_shows(
    ledger: Ledger, withheld: Withheld
) -> None:
    """The first chain has no gap, the page no trace, the proof no answer."""
    append(ledger, draft(1), draft(1, withheld=withheld), draft(1))

    assert [(2, 2), (0, 1)] == seen(ledger)
    bodies = [parts(ledger.disclosure_proof(n, ANNA)) for n in (0, 2)]
    assert [1, 2] == [body["counter"] for body, _ in bodies]
    assert bodies[0][1].hex() == bodies[1][0]["previous"]
    append(ledger, draft(2))
    errors = []
    for index in (1, 3):
        with pytest.raises(EntryUnreadable) as caught:
            ledger.disclosure_proof(index, ANNA)
        errors.append(str(caught.value).replace(str(index), "n"))
    assert errors[0] == errors[1]
    assert 4 == ledger.verify().size


def test_pages_are_full_whatever_is_withheld(ledger: Ledger) -> None:
    """Sizes of pages and cursors are those of the first chain alone."""
    one, two = draft(1), draft(1, withheld=SEALED)
    append(ledger, one, two, two, one, two, one)

    first = ledger.own_entries(ANNA, limit=2)
    second = ledger.own_entries(ANNA, before=first[-1].index, limit=2)
    assert [5, 3] == [e.index for e in first]
    assert [0] == [e.index for e in second]


def test_a_look_does_the_same_work(ledger: Ledger) -> None:
    """No statement of a look returns a row because of what is sealed."""
    append(ledger, draft(1), *[draft(1, withheld=SEALED)] * 40)
    with ledger.engine.begin() as conn:
        tag = ledger._keys.second(ANNA).tag
        held = ledger._withheld
        assert [] == held.opened(conn, tag)
        assert [] == held.due(conn, tag, NOON + YEAR)


def test_a_lifted_entry_has_its_own_proof(ledger: Ledger) -> None:
    """It was in the tree from second one: older checkpoints cover it."""
    append(ledger, draft(1), draft(1, withheld=SEALED))
    early = ledger.checkpoint()
    append(ledger, draft(1))
    lift(ledger, ledger.review()[0].id)

    assert [(2, 2), (1, 1), (0, 1)] == seen(ledger)
    document = ledger.disclosure_proof(1, ANNA)
    assert early in json.loads(document)["proof"]
    body, leaf = parts(document)
    entry = ledger.own_entries(ANNA)[1]
    assert leaf == entry.leaf
    assert SEALED == entry.withheld
    assert str(SEALED) in json.loads(document)["audit"]["body"]
    place = json.loads(document)["place"]
    opened = Place(
        salt=bytes.fromhex(place["salt"]),
        counter=place["counter"],
        previous=bytes.fromhex(place["previous"]),
    )
    assert (1, b"") == (opened.counter, opened.previous)
    assert opened.commitment().hex() == body["chain"]
    assert "counter" not in body
    assert 3 == ledger.verify().size


def test_a_lifted_entry_does_not_tell_of_others(ledger: Ledger) -> None:
    """The third alone tells no counter; with the first two it does."""
    sealed = draft(1, withheld=SEALED)
    append(ledger, sealed, sealed, sealed)
    by_counter = {held.counter: held.id for held in ledger.review()}

    lift(ledger, by_counter[3])
    assert [(2, 0)] == seen(ledger)
    assert "place" not in json.loads(ledger.disclosure_proof(2, ANNA))
    lift(ledger, by_counter[1])
    assert [(2, 0), (0, 1)] == seen(ledger)
    lift(ledger, by_counter[2])
    assert [(2, 3), (1, 2), (0, 1)] == seen(ledger)
    third = json.loads(ledger.disclosure_proof(2, ANNA))["place"]
    assert ledger.own_entries(ANNA)[1].leaf.hex() == third["previous"]
    with pytest.raises(UnknownEntry):
        lift(ledger, by_counter[2])


def test_a_delayed_entry_opens_by_itself(ledger: Ledger, clock: Clock) -> None:
    """When the date has passed the reader sees it; no job is needed."""
    append(ledger, draft(1, withheld=DELAYED), draft(2, withheld=DELAYED))
    clock.now = DELAYED.until - 1
    assert not ledger.has_due(ANNA)
    assert [] == seen(ledger)
    clock.now = DELAYED.until
    assert ledger.has_due(ANNA)
    assert [(0, 1)] == seen(ledger)
    assert not ledger.has_due(ANNA)


def test_a_clock_that_goes_back_hides_nothing_again(
    ledger: Ledger, clock: Clock
) -> None:
    """What was disclosed once stays so, whatever the clock says."""
    append(ledger, draft(1, withheld=DELAYED))
    clock.now = DELAYED.until
    assert [(0, 1)] == seen(ledger)
    clock.now = NOON - YEAR

    assert [(0, 1)] == seen(ledger)


def test_a_clock_that_goes_back_is_not_believed(
    ledger: Ledger, clock: Clock
) -> None:
    """An entry of a later time shows that the date has passed."""
    append(ledger, draft(1, withheld=DELAYED))
    append(ledger, draft(2, at=DELAYED.until))
    clock.now = NOON

    assert [(0, 1)] == seen(ledger)


def test_an_extension_needs_a_reason_and_a_later_date(
    ledger: Ledger, clock: Clock
) -> None:
    """Else nothing changes; with both the date moves and the act is kept."""
    append(ledger, draft(1, withheld=SEALED), draft(1, withheld=DELAYED))
    delayed, sealed = ledger.review()
    clock.now = NOON + 31 * DAY
    for until, reason in (
        (clock.now + DAY, " "),
        (SEALED.until, "because"),
        (clock.now, "because"),
        (2**60, "because"),
    ):
        with (
            pytest.raises(DraftInvalid),
            ledger.engine.begin() as conn,
        ):
            ledger.extend(conn, sealed.id, until, reason=reason)
    with pytest.raises(UnknownEntry), ledger.engine.begin() as conn:
        ledger.extend(conn, delayed.id, clock.now + DAY, reason="too late")
    with ledger.engine.begin() as conn:
        longer = ledger.extend(conn, sealed.id, clock.now + DAY, reason="r")

    assert (clock.now + DAY, "r") == (
        longer.until,
        longer.extensions[0].reason,
    )
    assert longer in ledger.review()


def test_the_overdue_come_first(ledger: Ledger) -> None:
    """The queue is sorted by date, whatever the class and the person."""
    append(
        ledger,
        draft(1, withheld=SEALED),
        draft(2, withheld=DELAYED),
        draft(3),
    )
    assert [DELAYED.until, SEALED.until] == [h.until for h in ledger.review()]


@pytest.mark.parametrize("by_tag", [False, True])
def test_erasure_reaches_both_chains(ledger: Ledger, *, by_tag: bool) -> None:
    """Openings and what is known go; by the first tag alone as well."""
    append(ledger, draft(1), *[draft(1, withheld=SEALED)] * 2)
    lift(ledger, ledger.review()[0].id)
    append(ledger, draft(2, withheld=SEALED))
    with ledger.engine.begin() as conn:
        tag = ledger.tag(ANNA)
        assert 3 == (
            ledger.erase_tags(conn, [tag]).total()
            if by_tag
            else ledger.erase(conn, ANNA)
        )
        left = conn.execute(
            text(
                "SELECT idx FROM ledger_entry WHERE own IS NOT NULL"
                " OR audit IS NOT NULL OR tag IS NOT NULL"
            )
        ).scalars()
        known = "SELECT count(*) FROM ledger_withheld"
        people = "SELECT count(*) FROM ledger_person"
        assert [3] == list(left)
        assert 1 == conn.execute(text(known)).scalar_one()
        assert 1 == conn.execute(text(people)).scalar_one()

    assert [] == ledger.own_entries(ANNA)
    assert 3 == ledger.verify().erased


def test_the_class_is_not_readable(ledger: Ledger) -> None:
    """No row holds the word, and lengths do not tell it."""
    number, count = 1, 12
    append(ledger, *[draft(number), draft(2, withheld=DELAYED)] * count)
    append(ledger, *[draft(3, withheld=SEALED)] * count)
    with ledger.engine.begin() as conn:
        rows = conn.execute(
            text("SELECT own, audit FROM ledger_entry ORDER BY idx")
        ).all()
        dumped = b"".join(
            repr(tuple(row)).encode()
            for table in ("ledger_entry", "ledger_withheld", "ledger_person")
            for row in conn.execute(text(f"SELECT * FROM {table}"))
        )
    for word in (b"sealed", b"delayed", b"withheld", b"police"):
        assert word not in dumped
    assert 1 == len({(len(row.own), len(row.audit)) for row in rows})


def test_lengths_are_equal_for_any_person_and_detail(ledger: Ledger) -> None:
    """Counters of several digits and long details change nothing."""
    for extra in ("", "x" * 31, "y" * 300):
        for number, withheld in ((4, None), (5, SEALED), (6, DELAYED)):
            append(
                ledger,
                *[draft(number, withheld=withheld, detail={"d": extra})] * 11,
            )
    with ledger.engine.begin() as conn:
        rows = conn.execute(
            text("SELECT own, audit FROM ledger_entry ORDER BY idx")
        ).all()
    for start in range(0, len(rows), 33):
        sizes = {(len(r.own), len(r.audit)) for r in rows[start : start + 33]}
        assert 1 == len(sizes)


def test_the_officer_sees_the_class(ledger: Ledger) -> None:
    """With the audit key it is read, and how it stands now."""
    append(ledger, draft(1), *[draft(1, withheld=SEALED)] * 2)
    lift(ledger, ledger.review()[0].id)

    assert {Visibility.IMMEDIATE, Visibility.SEALED, Visibility.LIFTED} == {
        entry.visibility for entry in ledger.audit_entries()
    }


def test_people_see_a_yearly_count_with_a_minimum_cell(
    ledger: Ledger, clock: Clock
) -> None:
    """Only of years that have ended; none and nine look the same."""
    append(ledger, draft(1), *[draft(1, withheld=SEALED)] * (MINIMUM_CELL - 1))
    assert [] == ledger.yearly_counts()
    clock.now = NOON + YEAR
    (few,) = ledger.yearly_counts()
    assert few.entries is None
    append(ledger, draft(2, withheld=SEALED))
    (enough,) = ledger.yearly_counts()
    assert MINIMUM_CELL == enough.entries
    append(ledger, draft(3, withheld=DELAYED))
    # Its date has passed, so that it is as good as disclosed.
    assert [enough] == ledger.yearly_counts()


def test_nothing_about_nobody_is_withheld() -> None:
    """There is nobody to withhold it from."""
    with pytest.raises(DraftInvalid):
        draft(0, withheld=SEALED)
    for visibility, until, rule in (
        (Visibility.LIFTED, 1, 1),
        (Visibility.IMMEDIATE, 1, 1),
        (Visibility.SEALED, -1, 1),
        (Visibility.SEALED, 2**40, 1),
        (Visibility.SEALED, 1, 2**31),
    ):
        with pytest.raises(DraftInvalid):
            Withheld(visibility=visibility, until=until, rule=rule)
    with pytest.raises(DraftInvalid):
        Withheld.parse("sealed/1")
    assert SEALED == Withheld.parse(str(SEALED))


@pytest.mark.parametrize(
    "column", ["ledger", "place", "whose", "due", "year", "opened", "sealed"]
)
def test_every_column_of_what_is_known_counts(
    ledger: Ledger, column: str
) -> None:
    """One changed byte is found by the sweep, or by the one who reads."""
    append(ledger, draft(1, withheld=SEALED))
    ledger.verify()
    with ledger.engine.begin() as conn:
        old = conn.execute(
            text(f"SELECT {column} FROM ledger_withheld")
        ).scalar_one()
        conn.execute(
            text(f"UPDATE ledger_withheld SET {column} = :new"),
            {"new": flip_byte(old)},
        )
    with pytest.raises(LedgerInconsistent):
        ledger.verify()


def test_a_lost_row_is_found(ledger: Ledger) -> None:
    """An entry that nobody would ever review again is named."""
    append(ledger, draft(1), draft(1, withheld=SEALED))
    with ledger.engine.begin() as conn:
        conn.execute(text("DELETE FROM ledger_withheld"))
    with pytest.raises(LedgerInconsistent) as caught:
        ledger.verify()
    assert 1 == caught.value.index


def test_what_was_lifted_cannot_be_hidden_again(ledger: Ledger) -> None:
    """An older row put back is found by the entry of the act."""
    append(ledger, draft(1, withheld=SEALED))
    (held,) = ledger.review()
    with ledger.engine.begin() as conn:
        old = conn.execute(text("SELECT * FROM ledger_withheld")).one()
    with ledger.engine.begin() as conn:
        ledger.lift(conn, held.id)
        ledger.append(
            conn,
            [
                draft(
                    0,
                    kind=EntryKind.VISIBILITY,
                    outcome="lifted",
                    detail={"entry": str(held.id)},
                )
            ],
        )
    ledger.verify()
    with ledger.engine.begin() as conn:
        conn.execute(
            text(
                "UPDATE ledger_withheld SET whose = :whose, due = :due,"
                " year = :year, opened = :opened, sealed = :sealed"
            ),
            dict(old._mapping),
        )
    with pytest.raises(LedgerInconsistent, match="hidden again") as caught:
        ledger.verify()
    assert 1 == caught.value.index


def test_another_ledger_opens_nothing(opened: Engine, clock: Clock) -> None:
    """Two origins share neither tags nor names."""
    wipe(opened)
    one = make_ledger(opened, clock=clock)
    other = make_ledger(opened, clock=clock, origin="city.example/log")
    append(one, draft(1, withheld=SEALED))

    assert [] == other.review()
    assert one._keys.second(ANNA).tag != other._keys.second(ANNA).tag
    with pytest.raises(UnknownEntry):
        lift(other, one.review()[0].id)


def test_a_group_commit_takes_both_chains_at_once(
    ledger: Ledger,
) -> None:
    """One batch may hold entries of both chains of one person."""

    async def scene() -> None:
        commits = GroupCommit(ledger)
        drafts = (draft(1), draft(1, withheld=SEALED), draft(1))
        found = await asyncio.gather(
            *(commits.submit(Commit(drafts=drafts)) for _ in range(8))
        )
        await commits.drain()
        assert [(1, 1, 2)] == [tuple(e.counter for e in found[0])]

    asyncio.run(scene())
    assert 16 == len(seen(ledger))
    assert 24 == ledger.verify().size
