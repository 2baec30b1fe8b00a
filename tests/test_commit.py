"""Group commit: nothing answered early, nobody hurt by another's fault."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import IntegrityError, OperationalError

from consent.commit import Commit, GroupCommit
from consent.entries import Appended
from consent.errors import DraftInvalid, LedgerBusy, LedgerUnavailable
from consent.ledger import Ledger
from tests.ledgers import (
    DATABASES,
    draft,
    fill,
    make_ledger,
    open_empty,
    person,
    wipe,
)


@pytest.fixture(scope="module", params=DATABASES)
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Open a database of each kind, with a table of the caller's."""
    engine = open_empty(request.param, tmp_path_factory.mktemp("commit"))
    with engine.begin() as conn:
        conn.execute(text("DROP TABLE IF EXISTS uses"))
        conn.execute(text("CREATE TABLE uses (name VARCHAR PRIMARY KEY)"))
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(opened: Engine) -> Ledger:
    """Return an empty ledger."""
    wipe(opened)
    with opened.begin() as conn:
        conn.execute(text("DELETE FROM uses"))
    return make_ledger(opened)


def run(
    ledger: Ledger,
    scene: Callable[[GroupCommit], Awaitable[None]],
    **options: int,
) -> None:
    """Play a scene with a group commit, and drain it."""

    async def play() -> None:
        commits = GroupCommit(ledger, **options)
        try:
            await asyncio.wait_for(scene(commits), 240)
        finally:
            await commits.drain()

    asyncio.run(play())


class Disk:
    """Stands in every commit's way until it is told to let it pass."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.free = threading.Event()
        self.commits = 0
        self.errors: list[Exception] = []

    def __call__(self, _conn: Connection) -> None:
        """Hold a commit that is about to be sent."""
        self.commits += 1
        self.reached.set()
        self.free.wait(240)
        if self.errors:
            raise self.errors.pop()


@contextmanager
def held(engine: Engine) -> Iterator[Disk]:
    """Hold every commit of an engine."""
    disk = Disk()
    event.listen(engine, "commit", disk)
    try:
        yield disk
    finally:
        disk.free.set()
        event.remove(engine, "commit", disk)


async def reached(disk: Disk) -> None:
    """Wait until a commit is held."""
    await asyncio.to_thread(disk.reached.wait, 240)


def use(name: str) -> Callable[[Connection], None]:
    """Make a step that writes to the caller's own table."""
    return lambda conn: (
        conn.execute(text("INSERT INTO uses VALUES (:name)"), {"name": name})
        and None
    )


def uses(ledger: Ledger) -> set[str]:
    """Read the caller's own table."""
    with ledger.engine.begin() as conn:
        return set(conn.execute(text("SELECT name FROM uses")).scalars())


def one(number: int = 1) -> Commit:
    """Make a commit of one entry."""
    return Commit(drafts=(draft(number),))


class Refused(Exception):
    """A caller's own refusal."""


def refuse(_conn: Connection, _appended: Sequence[Appended] = ()) -> None:
    """Refuse."""
    raise Refused


def test_no_answer_before_the_commit_returned(ledger: Ledger) -> None:
    """Invariant 1: while the disk has not answered, nobody is answered."""

    async def scene(commits: GroupCommit) -> None:
        with held(ledger.engine) as disk:
            waiting = asyncio.create_task(commits.submit(one()))
            await reached(disk)
            await asyncio.sleep(0.2)
            assert not waiting.done()
            disk.free.set()
            assert [0] == [each.index for each in await waiting]

    run(ledger, scene)
    assert 1 == ledger.verify().size


def test_whoever_comes_meanwhile_shares_the_next_commit(
    ledger: Ledger,
) -> None:
    """Batches grow with the load, without a timer."""

    async def scene(commits: GroupCommit) -> None:
        with held(ledger.engine) as disk:
            first = asyncio.create_task(commits.submit(one()))
            await reached(disk)
            others = [
                asyncio.create_task(commits.submit(one(n % 3 + 1)))
                for n in range(50)
            ]
            await asyncio.sleep(0)
            disk.free.set()
            await asyncio.gather(first, *others)
            assert 2 == disk.commits
            indexes = [task.result()[0].index for task in others]
            assert list(range(1, 51)) == indexes

    run(ledger, scene)
    assert 51 == ledger.verify().size


def test_batches_have_a_largest_size(ledger: Ledger) -> None:
    """One transaction takes no more than it was told."""

    async def scene(commits: GroupCommit) -> None:
        with held(ledger.engine) as disk:
            disk.free.set()
            await asyncio.gather(*(commits.submit(one()) for _ in range(25)))
            assert 3 == disk.commits

    run(ledger, scene, largest_batch=10)


def test_a_failed_commit_answers_nobody(ledger: Ledger) -> None:
    """All of the batch hear that it is not durable; the next one works."""

    async def scene(commits: GroupCommit) -> None:
        with held(ledger.engine) as disk:
            disk.errors.append(RuntimeError("disk gone"))
            disk.free.set()
            outcomes = await asyncio.gather(
                *(commits.submit(one()) for _ in range(5)),
                return_exceptions=True,
            )
        assert [LedgerUnavailable] * 5 == [type(each) for each in outcomes]
        assert "disk gone" not in str(outcomes)
        assert [0] == [each.index for each in await commits.submit(one())]

    run(ledger, scene)
    assert 1 == ledger.verify().size


class Met(Exception):
    """Two writers waited for each other."""

    sqlstate = "40P01"


@pytest.mark.parametrize("guarded", [False, True])
def test_a_step_that_met_another_writer_is_run_again(
    ledger: Ledger, *, guarded: bool
) -> None:
    """It is the transaction that is lost, and not this caller's step."""
    met = [OperationalError("x", {}, Met())]

    def check(_conn: Connection) -> None:
        if met and not refused:
            raise met.pop()

    refused = [True] if guarded else []

    def spoil(_conn: Connection) -> None:
        refused.clear()
        refuse(_conn)

    async def scene(commits: GroupCommit) -> None:
        first = Commit(check=spoil) if guarded else Commit()
        outcomes = await asyncio.gather(
            commits.submit(first),
            commits.submit(Commit(check=check, drafts=(draft(1),))),
            return_exceptions=True,
        )
        assert [0] == [each.index for each in outcomes[1]]  # type: ignore[union-attr]  # no error

    run(ledger, scene)
    assert [] == met
    assert 1 == ledger.verify().size


def test_writers_that_met_are_run_again(ledger: Ledger) -> None:
    """A deadlock or serialization failure is not the callers' concern."""

    class Met(Exception):
        sqlstate = "40P01"

    async def scene(commits: GroupCommit) -> None:
        with held(ledger.engine) as disk:
            disk.errors += [OperationalError("x", {}, Met())] * 2
            disk.free.set()
            assert [0] == [each.index for each in await commits.submit(one())]
            disk.errors += [OperationalError("x", {}, Met())] * 3
            with pytest.raises(LedgerUnavailable):
                await commits.submit(one())

    run(ledger, scene)
    assert 1 == ledger.verify().size


@pytest.mark.parametrize("step", ["check", "after"])
def test_a_refusal_hits_its_caller_alone(ledger: Ledger, step: str) -> None:
    """What it wrote is undone; the others' indexes close up."""

    def spoil(conn: Connection, _appended: Sequence[Appended] = ()) -> None:
        use("spoiled")(conn)
        refuse(conn)

    async def scene(commits: GroupCommit) -> None:
        bad = Commit(drafts=(draft(1), draft(2)), **{step: spoil})
        good = [
            Commit(
                check=use(f"check {n}"),
                drafts=(draft(1),),
                after=lambda conn, each: use(f"entry {each[0].index}")(conn),
            )
            for n in range(4)
        ]
        outcomes = await asyncio.gather(
            *map(commits.submit, [*good[:2], bad, *good[2:]]),
            return_exceptions=True,
        )
        refused = outcomes.pop(2)
        assert isinstance(refused, Refused)
        told = [
            (each.index, each.counter)
            for outcome in outcomes
            if not isinstance(outcome, BaseException)
            for each in outcome
        ]
        assert [(0, 1), (1, 2), (2, 3), (3, 4)] == told

    run(ledger, scene)
    expected = {f"{what} {n}" for what in ("check", "entry") for n in range(4)}

    assert expected == uses(ledger)
    assert 4 == ledger.verify().size


def test_a_check_sees_the_batch_before_it(ledger: Ledger) -> None:
    """Of ten who ask at once for the three uses left, three get one."""

    def check(conn: Connection) -> None:
        count = conn.execute(text("SELECT count(*) FROM uses")).scalar_one()
        if count >= 3:
            refuse(conn)

    async def scene(commits: GroupCommit) -> None:
        outcomes = await asyncio.gather(
            *(
                commits.submit(
                    Commit(
                        check=check,
                        drafts=(draft(1),),
                        after=lambda conn, _, n=n: use(str(n))(conn),  # type: ignore[misc]  # binds n
                    )
                )
                for n in range(10)
            ),
            return_exceptions=True,
        )
        refused = [each for each in outcomes if isinstance(each, Refused)]
        assert 7 == len(refused)

    run(ledger, scene)
    assert 3 == ledger.verify().size == len(uses(ledger))


def test_a_statement_that_fails_hits_its_caller_alone(ledger: Ledger) -> None:
    """On PostgreSQL it would otherwise take the transaction with it."""

    async def scene(commits: GroupCommit) -> None:
        outcomes = await asyncio.gather(
            *(
                commits.submit(Commit(check=use("same"), drafts=(draft(1),)))
                for _ in range(3)
            ),
            return_exceptions=True,
        )
        assert [list, IntegrityError, IntegrityError] == [
            type(each) for each in outcomes
        ]

    run(ledger, scene)
    assert 1 == ledger.verify().size


def test_a_bad_draft_hits_its_caller_alone(ledger: Ledger) -> None:
    """A draft without an entry format is refused as a check would."""

    async def scene(commits: GroupCommit) -> None:
        bad = Commit(drafts=(draft(1), draft(1, detail={"x": 2**60})))
        outcomes = await asyncio.gather(
            *map(commits.submit, [one(), bad, one()]), return_exceptions=True
        )
        assert [list, DraftInvalid, list] == [type(each) for each in outcomes]

    run(ledger, scene)
    assert 2 == ledger.verify().size


def test_erasing_and_appending_within_a_step(ledger: Ledger) -> None:
    """A step may use the ledger itself: it goes through the open batch."""
    fill(ledger, 4, people=1)
    anna = person(1)[1]

    def erase(conn: Connection, appended: Sequence[Appended]) -> None:
        assert 6 == ledger.erase(conn, anna)
        outcome = ledger.append(conn, [draft(0)])
        assert appended[0].index + 1 == outcome[0].index

    async def scene(commits: GroupCommit) -> None:
        outcomes = await asyncio.gather(
            commits.submit(one()),
            commits.submit(Commit(drafts=(draft(1),), after=erase)),
            commits.submit(one()),
        )
        assert [(4, 5), (5, 6), (7, 1)] == [
            (each.index, each.counter) for (each,) in outcomes
        ]

    run(ledger, scene)
    found = ledger.verify()

    assert (8, 6) == (found.size, found.erased)
    assert [7] == [each.index for each in ledger.own_entries(anna)]


def test_commits_may_hold_no_entry(ledger: Ledger) -> None:
    """Steps alone are committed too."""

    async def scene(commits: GroupCommit) -> None:
        assert [] == await commits.submit(Commit(check=use("alone")))

    run(ledger, scene)
    assert {"alone"} == uses(ledger)


def test_the_queue_is_bounded(ledger: Ledger) -> None:
    """One too many is refused at once, and told why."""

    async def scene(commits: GroupCommit) -> None:
        with held(ledger.engine) as disk:
            first = asyncio.create_task(commits.submit(one()))
            await reached(disk)
            waiting = [
                asyncio.create_task(commits.submit(one())) for _ in range(3)
            ]
            await asyncio.sleep(0)
            with pytest.raises(LedgerBusy, match="3 entries wait"):
                await commits.submit(one())
            disk.free.set()
            await asyncio.gather(first, *waiting)

    run(ledger, scene, capacity=3)
    assert 4 == ledger.size()


def test_a_cancelled_caller_disturbs_nobody(ledger: Ledger) -> None:
    """Before its batch it leaves nothing; within, an entry nobody awaits."""

    async def scene(commits: GroupCommit) -> None:
        with held(ledger.engine) as disk:
            within = asyncio.create_task(commits.submit(one()))
            await reached(disk)
            before = asyncio.create_task(commits.submit(one(2)))
            after = asyncio.create_task(commits.submit(one(3)))
            await asyncio.sleep(0)
            within.cancel()
            before.cancel()
            await asyncio.sleep(0)
            disk.free.set()
            assert [1] == [each.index for each in await after]
            assert within.cancelled()
            assert before.cancelled()

    run(ledger, scene)
    assert 2 == ledger.verify().size
    assert [] == ledger.own_entries(person(2)[1])


def test_draining_finishes_what_was_submitted(ledger: Ledger) -> None:
    """At SIGTERM those who wait are served, and nobody new is let in."""

    async def scene(commits: GroupCommit) -> None:
        with held(ledger.engine) as disk:
            waiting = [
                asyncio.create_task(commits.submit(one())) for _ in range(5)
            ]
            await reached(disk)
            draining = asyncio.create_task(commits.drain())
            await asyncio.sleep(0.05)
            assert not draining.done()
            with pytest.raises(LedgerUnavailable):
                await commits.submit(one())
            disk.free.set()
            await draining
            assert all(task.done() for task in waiting)
        await commits.drain()
        with pytest.raises(LedgerUnavailable):
            await commits.checkpoint()

    run(ledger, scene)
    assert 5 == ledger.verify().size
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("ledger-commit")]


def test_a_loop_that_ends_leaves_nobody_waiting(ledger: Ledger) -> None:
    """If the worker is cancelled, those who wait are refused."""

    async def scene(commits: GroupCommit) -> None:
        with held(ledger.engine) as disk:
            first = asyncio.create_task(commits.submit(one()))
            await reached(disk)
            second = asyncio.create_task(commits.submit(one()))
            await asyncio.sleep(0)
            assert commits._worker is not None
            commits._worker.cancel()
            outcomes = await asyncio.gather(
                first, second, return_exceptions=True
            )
            disk.free.set()
        assert [LedgerUnavailable] * 2 == [type(each) for each in outcomes]

    run(ledger, scene)


def test_checkpoints_between_batches(ledger: Ledger) -> None:
    """A checkpoint is signed on the same thread, so it never waits long."""

    async def scene(commits: GroupCommit) -> None:
        await commits.submit(one())
        note = await commits.checkpoint()
        assert "\n1\n" in note

    run(ledger, scene)
    assert 1 == ledger.verify().checkpoints


def test_checkpoints_wait_their_turn(ledger: Ledger) -> None:
    """One asked for while a transaction is open does not wait for itself.

    The loop is kept from going on until the checkpoint stands in the queue.
    """

    async def scene(commits: GroupCommit) -> None:
        signed: list[asyncio.Task[str]] = []

        def ask(_conn: Connection) -> None:
            loop.call_soon_threadsafe(
                lambda: signed.append(loop.create_task(commits.checkpoint()))
            )

        loop = asyncio.get_running_loop()
        event.listen(ledger.engine, "begin", ask, once=True)
        await asyncio.wait_for(commits.submit(one()), 120)
        assert "\n1\n" in await asyncio.wait_for(signed[0], 120)

    run(ledger, scene)


def test_a_plain_writer_on_the_loop(ledger: Ledger) -> None:
    """It never finds a transaction open that only the loop could finish."""

    async def scene(commits: GroupCommit) -> None:
        if ledger.engine.dialect.name != "sqlite":
            return  # there the transaction runs in its thread to the end
        written: list[int] = []

        def write() -> None:
            fill(ledger, 1)
            written.append(1)

        def ask(_conn: Connection) -> None:
            loop.call_soon_threadsafe(write)

        loop = asyncio.get_running_loop()
        event.listen(ledger.engine, "begin", ask, once=True)
        await asyncio.wait_for(commits.submit(one()), 120)
        await asyncio.sleep(0)
        # One who waits for the lock in vain has written nothing.
        assert [1] == written

    run(ledger, scene)


def test_another_process_that_writes_is_waited_for(ledger: Ledger) -> None:
    """The loop goes on while somebody else holds the ledger."""

    async def scene(commits: GroupCommit) -> None:
        with ledger.engine.begin() as conn:
            ledger.append(conn, [draft(2)])
            waiting = asyncio.create_task(commits.submit(one()))
            await asyncio.sleep(0.3)
            assert not waiting.done()
        (appended,) = await waiting
        assert 1 == appended.index

    run(ledger, scene)
    assert 2 == ledger.verify().size


def test_a_writer_that_never_ends(ledger: Ledger) -> None:
    """Whoever waits too long hears that nothing is durable."""
    if ledger.engine.dialect.name != "sqlite":
        return  # there the server decides how long a lock is waited for

    async def scene(commits: GroupCommit) -> None:
        await commits.submit(one())
        assert commits._conn is not None
        driver = commits._conn.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA busy_timeout = 100")
        with ledger.engine.begin() as conn:
            ledger.lock(conn)
            with pytest.raises(LedgerUnavailable):
                await commits.submit(one())
        assert [1] == [each.index for each in await commits.submit(one())]

    run(ledger, scene)


def test_the_plain_path_beside_it(ledger: Ledger) -> None:
    """A command line may append while a server commits groups."""

    async def scene(commits: GroupCommit) -> None:
        plain = asyncio.to_thread(lambda: [fill(ledger, 3) for _ in range(10)])
        outcomes = await asyncio.gather(
            plain, *(commits.submit(one()) for _ in range(60))
        )
        assert 61 == len(outcomes)

    run(ledger, scene)
    assert 90 == ledger.verify().size
