"""Pending entries: durable at once, promised, and numbered by anybody."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, Engine, text

from consent.commit import Commit, GroupCommit
from consent.entries import Appended, Draft
from consent.errors import (
    EntryUnreadable,
    LedgerInconsistent,
    LedgerUnavailable,
    NoteMalformed,
    NoteUntrusted,
    UnknownEntry,
)
from consent.integrator import Integrator
from consent.ledger import Ledger
from consent.merkle import hash_leaf
from consent.promises import MERGE_DELAY, open_promise, sign_promise
from consent.sequencer import Batch
from consent.signed_notes import sign_note
from consent.visibility import Visibility, Withheld
from tests.ledgers import (
    DATABASES,
    NOON,
    ORIGIN,
    SIGNER,
    draft,
    make_ledger,
    open_empty,
    person,
    wipe,
)
from tests.serving import until
from tests.test_ledger_sweep import flip_byte
from tests.test_signed_notes import signer

ANNA = person(1)[1]
KEYS = [SIGNER.verifier]
SEALED = Withheld(visibility=Visibility.SEALED, until=NOON + 9, rule=1)


@pytest.fixture(scope="module", params=DATABASES)
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Open a database of each kind."""
    engine = open_empty(request.param, tmp_path_factory.mktemp("pending"))
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(opened: Engine) -> Ledger:
    """Return an empty ledger."""
    wipe(opened)
    return make_ledger(opened)


def pend(ledger: Ledger, *drafts: Draft) -> list[Appended]:
    """Commit pending entries in one transaction."""
    with ledger.engine.begin() as conn, ledger.batch(conn, pending=True):
        return ledger.append(conn, drafts)


def leaves(ledger: Ledger) -> list[bytes]:
    """Read the leaves past the ledger's own code."""
    with ledger.engine.begin() as conn:
        rows = conn.execute(text("SELECT leaf FROM ledger_entry ORDER BY idx"))
        return [bytes(leaf) for (leaf,) in rows]


def test_a_pending_entry_is_durable_and_gets_its_index(ledger: Ledger) -> None:
    """Counter and leaf are fixed at once, the index comes in their order."""
    first = pend(ledger, draft(1), draft(2), draft(1))
    second = pend(ledger, draft(1))

    assert [None] * 4 == [each.index for each in first + second]
    assert [1, 1, 2, 3] == [each.counter for each in first + second]
    assert 0 == ledger.size()
    assert ledger.has_pending()
    with pytest.raises(LedgerUnavailable):
        first[0].numbered()
    assert 4 == ledger.settle()
    assert [each.leaf for each in first + second] == leaves(ledger)
    assert not ledger.has_pending()
    assert 0 == ledger.settle()
    assert 4 == ledger.verify().size
    assert [3, 2, 1] == [each.counter for each in ledger.own_entries(ANNA)]


def test_a_promise_is_the_ledgers_word(ledger: Ledger) -> None:
    """Its key signs origin, leaf hash, time and delay, and it is kept."""
    (entry,) = pend(ledger, draft(1))
    note = ledger.promise(entry)
    assert note is not None
    promise = open_promise(note.encode(), KEYS, origin=ORIGIN)

    assert (ORIGIN, hash_leaf(entry.leaf), NOON, MERGE_DELAY) == (
        promise.origin,
        promise.leaf_hash,
        promise.at,
        promise.delay,
    )
    ledger.settle()
    assert promise.leaf_hash in map(hash_leaf, leaves(ledger))
    with ledger.engine.begin() as conn:
        (direct,) = ledger.append(conn, [draft(1)])
    assert ledger.promise(direct) is None


def test_a_promise_in_another_form_is_refused() -> None:
    """Another key, ledger, header, number or length is no promise."""
    good = sign_promise(b"l" * 32, origin=ORIGIN, at=7, signer=SIGNER)
    words = good.split("\n\n")[0] + "\n"
    open_promise(good.encode(), KEYS, origin=ORIGIN)

    with pytest.raises(NoteMalformed):
        open_promise(good.encode(), KEYS, origin="city.example/log")
    with pytest.raises(NoteUntrusted):
        open_promise(good.encode(), [signer(ORIGIN).verifier], origin=ORIGIN)
    with pytest.raises(NoteUntrusted):
        open_promise(good.replace("\n7\n", "\n8\n").encode(), KEYS, origin="")
    lines = words.split("\n")
    for number, changed in (
        (0, ORIGIN),
        (2, "AAAA"),
        (3, "07"),
        (3, "x"),
        (4, "٦"),
        (4, "60\nmore"),
    ):
        spoiled = [*lines]
        spoiled[number] = changed
        note = str(sign_note("\n".join(spoiled), [SIGNER]))
        with pytest.raises(NoteMalformed):
            open_promise(note.encode(), KEYS, origin=ORIGIN)


def test_a_promise_is_no_checkpoint(ledger: Ledger) -> None:
    """The same key signs both; neither reads as the other."""
    (entry,) = pend(ledger, draft(1))
    note = ledger.promise(entry) or ""
    with pytest.raises(NoteMalformed):
        ledger._checkpoints.open(note)
    with pytest.raises(NoteMalformed):
        open_promise(ledger.checkpoint().encode(), KEYS, origin=ORIGIN)


def test_a_direct_append_lets_the_chain_before_it_come_first(
    ledger: Ledger,
) -> None:
    """A person's index rises with their counter, whoever appends."""
    pend(ledger, draft(1), draft(2))
    with ledger.engine.begin() as conn:
        found = ledger.append(conn, [draft(3), draft(1), draft(1)])
    pend(ledger, draft(1))

    assert [2, 3, 4] == [each.index for each in found]
    own = ledger.own_entries(ANNA)
    assert [(5, 4), (4, 3), (3, 2), (0, 1)] == [
        (each.index, each.counter) for each in own
    ]
    assert 6 == ledger.verify().size


def test_views_and_proofs_number_what_is_pending(ledger: Ledger) -> None:
    """Whoever looks sees what is durable, with its index and proof."""
    pend(ledger, draft(1), draft(1, withheld=SEALED), draft(2))

    assert [(0, 1)] == [
        (each.index, each.counter) for each in ledger.own_entries(ANNA)
    ]
    pend(ledger, draft(1))
    assert ledger.disclosure_proof(3, ANNA)
    with pytest.raises(EntryUnreadable):
        ledger.disclosure_proof(1, ANNA)
    pend(ledger, draft(1, withheld=SEALED))
    with ledger.engine.begin() as conn:
        lifted = ledger.lift(conn, ledger.review()[1].id)
    assert lifted.index in {1, 4}
    assert 5 == ledger.verify().size


def test_erasure_reaches_what_is_pending(ledger: Ledger) -> None:
    """The row gets its index and loses its openings."""
    pend(ledger, draft(1), draft(1, withheld=SEALED), draft(2))
    with ledger.engine.begin() as conn:
        assert 2 == ledger.erase(conn, ANNA)

    assert not ledger.has_pending()
    assert 2 == ledger.verify().erased
    assert [] == ledger.own_entries(ANNA)
    assert [] == ledger.review()


def test_an_erasure_is_not_made_among_pending_entries(ledger: Ledger) -> None:
    """It needs the head, which a worker's batch does not hold."""
    with (
        pytest.raises(LedgerUnavailable),
        ledger.engine.begin() as conn,
        ledger.batch(conn, pending=True),
    ):
        ledger.erase(conn, ANNA)


def test_what_one_began_to_number_another_finishes(ledger: Ledger) -> None:
    """A sequencer that dies before its commit has numbered nothing."""
    pend(ledger, *[draft(n % 3 + 1) for n in range(20)])
    with ledger.engine.connect() as conn, conn.begin() as transaction:
        assert 20 == ledger._integrate(ledger._batch(conn, Batch))
        transaction.rollback()

    assert 0 == ledger.size()
    other = make_ledger(ledger.engine)
    assert 20 == other.settle()
    assert 20 == ledger.verify().size


def test_the_sweep_counts_pending_entries(ledger: Ledger) -> None:
    """A chain that goes on in pending rows is no gap, and a lost row is."""
    pend(ledger, draft(1))
    ledger.settle()
    pend(ledger, draft(1), draft(2))
    assert 1 == ledger.verify().size
    with ledger.engine.begin() as conn:
        conn.execute(
            text(
                "DELETE FROM ledger_pending WHERE number ="
                " (SELECT min(number) FROM ledger_pending)"
            )
        )
    with pytest.raises(LedgerInconsistent):
        ledger.verify()


@pytest.mark.parametrize("number", [0, 1], ids=["nobody", "somebody"])
def test_a_pending_row_that_is_put_back_is_found(
    ledger: Ledger, number: int
) -> None:
    """Its seal still holds, and it gets a second index: the sweep says so."""
    pend(ledger, draft(number), draft(2))
    columns = "ledger, leaf, tag, service, purpose, day, own, audit, at, seal"
    with ledger.engine.begin() as conn:
        conn.execute(text("CREATE TABLE kept AS SELECT * FROM ledger_pending"))
    ledger.settle()
    ledger.verify()
    with ledger.engine.begin() as conn:
        conn.execute(
            text(
                f"INSERT INTO ledger_pending ({columns}) SELECT {columns}"
                " FROM kept ORDER BY number LIMIT 1"
            )
        )
        conn.execute(text("DROP TABLE kept"))
    ledger.settle()

    with pytest.raises(LedgerInconsistent, match="entry 2: entry stands"):
        ledger.verify()


@pytest.mark.parametrize(
    "column",
    ["leaf", "tag", "service", "purpose", "day", "own", "audit", "at", "seal"],
)
def test_a_changed_pending_row_is_not_numbered(
    ledger: Ledger, column: str
) -> None:
    """It is named, and nothing is signed that holds it."""
    pend(ledger, draft(1))
    with ledger.engine.begin() as conn:
        old = conn.execute(
            text(f"SELECT {column} FROM ledger_pending")
        ).scalar_one()
        conn.execute(
            text(f"UPDATE ledger_pending SET {column} = :new"),
            {"new": flip_byte(old)},
        )
    with pytest.raises(LedgerInconsistent, match="pending row"):
        ledger.settle()
    assert 0 == ledger.size()


def test_pending_rows_tell_no_class(ledger: Ledger) -> None:
    """Of both chains they have the same lengths."""
    pend(ledger, draft(1), draft(1, withheld=SEALED))
    with ledger.engine.begin() as conn:
        rows = conn.execute(text("SELECT own, audit FROM ledger_pending"))
        assert 1 == len({(len(row.own), len(row.audit)) for row in rows})


def test_a_pending_entry_takes_no_earlier_time(ledger: Ledger) -> None:
    """The latest time counts for pending entries too, once numbered."""
    pend(ledger, draft(1, at=NOON + 400))
    ledger.settle()
    with pytest.raises(LedgerUnavailable, match="set the clock right"):
        pend(ledger, draft(1, at=NOON))


def test_workers_number_all_of_each_others_entries(ledger: Ledger) -> None:
    """Several queues and integrators: no gap, no double, all promised."""
    others = [make_ledger(ledger.engine) for _ in range(3)]

    async def worker(mine: Ledger) -> list[bytes]:
        commits = GroupCommit(mine, direct=False)
        commits.start()
        answers = await asyncio.gather(
            *(
                commits.submit(Commit(drafts=(draft(n % 4 + 1), draft(0))))
                for n in range(60)
            )
        )
        assert commits.promise(answers[0][0])
        await commits.drain()
        return [each.leaf for found in answers for each in found]

    told: list[bytes] = []
    threads = [
        threading.Thread(
            target=lambda mine=mine: told.extend(asyncio.run(worker(mine)))
        )
        for mine in others
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert 360 == len(told) == len(set(told))
    assert set(told) == set(leaves(ledger))
    assert 360 == ledger.verify().size
    for number in range(1, 5):
        own = ledger.own_entries(person(number)[1], limit=200)
        assert list(range(45, 0, -1)) == [each.counter for each in own]


@pytest.mark.postgresql
@pytest.mark.parametrize("opened", ["postgresql"], indirect=True)
def test_the_check_runs_under_the_persons_lock(ledger: Ledger) -> None:
    """A check sees what another worker committed about this person."""
    order: list[str] = []
    held = threading.Event()

    def slow() -> None:
        with (
            ledger.engine.connect() as other,
            ledger.engine.begin() as conn,
            ledger.batch(conn, pending=True) as batch,
        ):
            batch.expect([draft(1)])
            held.set()
            until(lambda: is_waited_for(other), "the second waits")
            batch.add([draft(1)])
            order.append("first")

    first = threading.Thread(target=slow)
    first.start()
    held.wait()
    with (
        ledger.engine.begin() as conn,
        ledger.batch(conn, pending=True) as batch,
    ):
        # Nobody waits for another person's lock, or for the head.
        batch.add([draft(2)])
        order.append("other")
        batch.expect([draft(1)])
        order.append("second")
        assert [2] == [each.counter for each in batch.add([draft(1)])]
    first.join()

    assert ["other", "first", "second"] == order


def two(ledger: Ledger) -> list[int]:
    """Number two people, by rising tag."""
    return sorted((1, 2), key=lambda one: ledger.tag(person(one)[1]))


def caller_by_caller(ledger: Ledger, *people: int) -> None:
    """Add them in a batch that is run again, under savepoints."""

    def fail(conn: Connection) -> None:
        raise UnknownEntry(str(conn.closed))

    async def submit() -> None:
        commits = GroupCommit(ledger, direct=False)
        wanted = [
            Commit(check=fail),
            *(Commit(drafts=(draft(one),)) for one in people),
        ]
        commits.start()
        refused, *done = await asyncio.gather(
            *map(commits.submit, wanted), return_exceptions=True
        )
        await commits.drain()
        assert isinstance(refused, UnknownEntry)
        assert len(people) == sum(isinstance(one, list) for one in done)

    asyncio.run(submit())


@pytest.mark.postgresql
@pytest.mark.parametrize("opened", ["postgresql"], indirect=True)
@pytest.mark.parametrize("act", ["one step", "callers", "numbering"])
def test_rows_of_people_are_locked_by_rising_tag(
    ledger: Ledger, act: str
) -> None:
    """Who waits for the first row holds no later one: no deadlock."""
    first, last = two(ledger)
    pend(ledger, draft(first), draft(last))
    ledger.settle()
    acts: dict[str, Callable[[], object]] = {
        "one step": lambda: pend(ledger, draft(last), draft(first)),
        "callers": lambda: caller_by_caller(ledger, last, first),
        "numbering": ledger.settle,
    }
    if act == "numbering":
        pend(ledger, *[draft(last)] * 600, draft(first))
    failed: list[BaseException] = []

    def run() -> None:
        try:
            acts[act]()
        except BaseException as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    thread = threading.Thread(target=run)
    row = "SELECT 1 FROM ledger_person WHERE tag = :tag FOR UPDATE"
    tags = {number: ledger.tag(person(number)[1]) for number in (first, last)}
    with ledger.engine.connect() as holder, ledger.engine.connect() as other:
        holder.execute(text(row), {"tag": tags[first]})
        thread.start()
        until(lambda: is_waited_for(other), "a wait", seconds=60)
        other.execute(text(f"{row} NOWAIT"), {"tag": tags[last]})
        other.rollback()
    thread.join()

    assert [] == failed
    ledger.settle()
    ledger.verify()


@pytest.mark.postgresql
@pytest.mark.parametrize("opened", ["postgresql"], indirect=True)
def test_numbering_waits_for_a_batch_of_savepoints(ledger: Ledger) -> None:
    """A worker that has flushed one person's row gets the other's too."""
    first, last = two(ledger)
    pend(ledger, draft(first), draft(last))
    with (
        ledger.engine.connect() as other,
        ledger.engine.begin() as conn,
        ledger.batch(conn, pending=True) as batch,
    ):
        drafts = [draft(last), draft(first)]
        batch.expect(drafts)
        batch.lock_rows()
        batch.add(drafts[:1])
        batch.flush()
        thread = threading.Thread(target=ledger.settle)
        thread.start()
        until(lambda: is_waited_for(other), "a wait", seconds=60)
        batch.add(drafts[1:])
        batch.flush()
    thread.join()

    ledger.settle()
    assert 4 == ledger.verify().size


def is_waited_for(conn: Connection) -> bool:
    """Say whether anybody here waits for a row or a person."""
    found = conn.execute(
        text(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE NOT granted AND datname = current_database()"
            " AND locktype IN ('transactionid', 'tuple', 'advisory')"
        )
    ).scalar_one()
    conn.rollback()
    return bool(found)


def test_the_integrator_goes_on_after_an_error(ledger: Ledger) -> None:
    """What it cannot do now it does later, and at the end once more."""
    real, calls = ledger.settle, list[bool]()

    class Failing:
        def settle(self, *, wait: bool) -> int:
            calls.append(wait)
            if len(calls) < 3:
                raise LedgerUnavailable
            return real(wait=wait)

    pend(ledger, draft(1))
    integrator = Integrator(Failing(), seconds=0.01)
    integrator.start()
    integrator.start()
    until(lambda: ledger.size() > 0, "the integrator numbers it")
    integrator.stop()

    assert 1 == ledger.size()
    assert calls[-1]
    assert not any(calls[:-1])
