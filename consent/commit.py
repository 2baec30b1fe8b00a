"""Group commit: many callers, one fsync, and no answer before it returned.

A batch closes when the commit before it has returned, so batches grow with
the load by themselves and nobody waits for a timer. The commits run one
after the other on one connection of their own; the event loop never waits
for the disk.

On PostgreSQL a whole transaction runs in one thread. On SQLite only its
COMMIT, which waits for the disk, runs there. What stands before is memory
work of microseconds; in a thread each of its statements would wait for the
interpreter's lock, which a busy event loop gives up only every few
milliseconds.

On SQLite the loop is never given up between BEGIN and the order to commit.
Else whoever wrote synchronously on the loop meanwhile would wait for a lock
that only the loop could release. So BEGIN does not wait there: where another
process writes, the wait for it runs in the thread, and BEGIN is tried again.

Within a batch the callers' steps run strictly in turn (check, append, after;
then the next caller's), so that a check sees what those before it in the
same batch have written. If a step raises, the whole transaction is rolled
back and run once more with a savepoint around each caller, and only the
caller whose step raises again is refused. Steps may therefore run twice, and
must leave no trace outside the transaction.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, RootTransaction
from sqlalchemy.exc import DBAPIError, OperationalError

from consent.entries import Appended, Draft
from consent.errors import LedgerBusy, LedgerUnavailable
from consent.integrator import Integrator
from consent.ledger import Ledger
from consent.sequencer import Batch

T = TypeVar("T")
# Two writers met in a circle, or a serialization failure: run again.
_TRANSIENT = frozenset({"40001", "40P01"})
_ATTEMPTS = 3
_CLOSING = "the ledger is closing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What one caller wants committed.

    Attributes:
        check: Runs first, inside the transaction; what it raises is raised
            to this caller, and nothing of this commit is kept.
        drafts: What is appended.
        after: Runs next, in the same transaction, with what was appended;
            it writes what must not stand without the entry. What it raises
            refuses this commit as `check` does.
    """

    check: Callable[[Connection], None] | None = None
    drafts: tuple[Draft, ...] = ()
    after: Callable[[Connection, Sequence[Appended]], None] | None = None


Outcome = list[Appended] | Exception


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    commit: Commit
    answer: asyncio.Future[list[Appended]]


class _StepFailed(Exception):
    """A caller's own step raised; the batch is to be run with savepoints."""


class GroupCommit:
    """Commits what callers submit, in batches. One for each event loop.

    Args:
        ledger: Where entries are appended.
        capacity: How many may wait; one more is refused at once.
        largest_batch: How many one transaction takes.
        direct: Whether entries have their index when `submit` returns.
            Else, as one of several workers, they are pending then, and a
            thread from `start` on gives all workers' entries their index.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        capacity: int = 4096,
        largest_batch: int = 256,
        direct: bool = True,
    ) -> None:
        self._ledger = ledger
        self._direct = direct
        self._integrator = None if direct else Integrator(ledger)
        self._capacity = capacity
        self._largest_batch = largest_batch
        self._waiting: deque[_Waiting] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._closed = False
        # Held while a transaction is open: in the thread a checkpoint that
        # came before the COMMIT would wait for the lock that it releases.
        self._turn = asyncio.Lock()
        self._conn: Connection | None = None
        self._inline = ledger.engine.dialect.name == "sqlite"
        self._thread = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="ledger-commit"
        )

    @property
    def draining(self) -> bool:
        """Whether nothing more is taken."""
        return self._closed

    def start(self) -> None:
        """Number what was pending at the end, and go on doing so."""
        if self._integrator is None:
            self._ledger.settle()
        else:
            self._integrator.start()

    async def submit(self, commit: Commit) -> list[Appended]:
        """Commit, and return only when the commit has returned.

        A caller that is cancelled before its batch began leaves nothing; one
        that is cancelled later leaves an entry for an answer that never
        went out.

        Args:
            commit: What is committed.

        Returns:
            Where each draft stands, durably.

        Raises:
            LedgerBusy: Too many wait already.
            LedgerUnavailable: The commit failed or the ledger is closing.
                Nothing may be answered; an entry may or may not exist.
            Exception: What `check` or `after` of this commit raised.

        """
        if self._closed:
            raise LedgerUnavailable(_CLOSING)
        if len(self._waiting) >= self._capacity:
            msg = f"{self._capacity} entries wait for the ledger already"
            raise LedgerBusy(msg)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Appended]] = loop.create_future()
        self._waiting.append(_Waiting(commit, answer))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await answer

    def promise(self, entry: Appended) -> str | None:
        """Promise an entry's index where it is pending, as `Ledger` does."""
        return self._ledger.promise(entry)

    async def checkpoint(self) -> str:
        """Sign the ledger as it stands, between two batches.

        On the event loop's thread this is the only way: on SQLite
        `Ledger.checkpoint` there could wait for the very batch whose steps
        wait for the loop.

        Returns:
            The signed note.

        Raises:
            LedgerInconsistent: As `Ledger.checkpoint` does.
            LedgerUnavailable: The ledger is closing.

        """
        async with self._turn:
            if self._closed:
                raise LedgerUnavailable(_CLOSING)
            return await self._aside(self._ledger.checkpoint)

    async def ready(self, log_key: bytes) -> None:
        """Write down what is due before a person looks, off the loop.

        Args:
            log_key: The person's.

        Raises:
            LedgerUnavailable: The ledger is closing.

        """
        due = self._ledger.has_due(log_key)
        if not due and not self._ledger.has_pending():
            return
        async with self._turn:
            if self._closed:
                raise LedgerUnavailable(_CLOSING)
            await self._aside(self._ledger.settle)
            await self._aside(self._ledger.note_due, log_key)

    async def drain(self) -> None:
        """Refuse new commits, wait for those submitted, end the thread.

        Safe to call again.
        """
        self._closed = True
        if self._worker is not None:
            await asyncio.shield(self._worker)
        loop = asyncio.get_running_loop()
        if self._integrator is not None:
            await loop.run_in_executor(None, self._integrator.stop)
        await loop.run_in_executor(None, self._release)

    async def _work(self) -> None:
        try:
            while self._waiting:
                # One turn of the loop lets callers that are ready join.
                await asyncio.sleep(0)
                await self._next_batch()
        finally:
            self._worker = None
            # Nothing is left here but by an error or a cancelled loop.
            _refuse(self._waiting)
            self._waiting.clear()

    async def _next_batch(self) -> None:
        batch = self._take()
        if not batch:
            return
        commits = [waiting.commit for waiting in batch]
        try:
            async with self._turn:
                if self._inline:
                    outcomes = await self._commit_inline(commits)
                else:
                    outcomes = await self._aside(self._commit, commits)
        except BaseException:
            _refuse(batch)
            raise
        _answer(batch, outcomes)

    async def _aside(self, work: Callable[..., T], *given: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, work, *given)

    async def _commit_inline(self, commits: Sequence[Commit]) -> list[Outcome]:
        """As `_commit`, with the steps on the event loop's own thread."""
        try:
            return await self._transact_inline(commits)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is durable and each caller must hear
            await self._aside(self._disconnect)
            return [_lost(error) for _ in commits]
        except BaseException:
            # The loop is ending; the thread may still be in the commit.
            self._thread.submit(self._disconnect)
            raise

    async def _transact_inline(
        self, commits: Sequence[Commit]
    ) -> list[Outcome]:
        guarded = False
        for attempt in range(_ATTEMPTS):
            try:
                return await self._attempt_inline(commits, guarded=guarded)
            except _StepFailed:
                guarded = True
            except DBAPIError as error:
                if not _may_pass(error) or attempt == _ATTEMPTS - 1:
                    raise
                await self._aside(self._disconnect)
        return await self._attempt_inline(commits, guarded=guarded)

    async def _attempt_inline(
        self, commits: Sequence[Commit], *, guarded: bool
    ) -> list[Outcome]:
        conn, transaction = await self._begin_inline()
        try:
            outcomes = self._steps_of(conn, commits, guarded=guarded)
        except _StepFailed:
            await self._aside(transaction.rollback)
            raise
        await self._aside(transaction.commit)
        return outcomes

    async def _begin_inline(self) -> tuple[Connection, RootTransaction]:
        while True:
            try:
                return self._begin_at_once()
            except OperationalError as error:
                if not _is_busy(error):
                    raise
            await self._aside(self._await_writer)

    def _begin_at_once(self) -> tuple[Connection, RootTransaction]:
        """Begin, or raise without waiting where somebody else writes."""
        conn = self._connected()
        driver: Any = conn.connection.driver_connection
        (patience,) = driver.execute("PRAGMA busy_timeout").fetchone()
        driver.execute("PRAGMA busy_timeout = 0")
        try:
            return conn, conn.begin()
        finally:
            driver.execute(f"PRAGMA busy_timeout = {patience}")

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self._largest_batch:
            waiting = self._waiting.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
        return batch

    def close(self) -> None:
        """End the thread and its connection where no loop is left to drain.

        Nothing may be waiting. Safe to call again, and after `drain`.
        """
        self._closed = True
        if self._integrator is not None:
            self._integrator.stop()
        self._release()

    def _release(self) -> None:
        self._thread.shutdown(wait=True)
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    # What follows runs in the one thread.

    def _commit(self, commits: Sequence[Commit]) -> list[Outcome]:
        """Commit a batch; every caller gets an outcome, whatever happens."""
        try:
            return self._transact(commits)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is durable and each caller must hear
            self._disconnect()
            return [_lost(error) for _ in commits]

    def _transact(self, commits: Sequence[Commit]) -> list[Outcome]:
        guarded = False
        for attempt in range(_ATTEMPTS):
            try:
                return self._attempt(commits, guarded=guarded)
            except _StepFailed:
                guarded = True
            except DBAPIError as error:
                if not _may_pass(error) or attempt == _ATTEMPTS - 1:
                    raise
                # SQLAlchemy sends no ROLLBACK after a failed COMMIT.
                self._disconnect()
        return self._attempt(commits, guarded=guarded)

    def _attempt(
        self, commits: Sequence[Commit], *, guarded: bool
    ) -> list[Outcome]:
        conn, transaction = self._begin()
        with transaction:
            return self._steps_of(conn, commits, guarded=guarded)

    def _begin(self) -> tuple[Connection, RootTransaction]:
        conn = self._connected()
        return conn, conn.begin()

    def _await_writer(self) -> None:
        """Wait, as long as the driver does, until nobody else writes."""
        self._connected().begin().rollback()

    def _connected(self) -> Connection:
        if self._conn is None:
            self._conn = self._ledger.engine.connect().execution_options(
                look_ups=True
            )
        return self._conn

    def _steps_of(
        self, conn: Connection, commits: Sequence[Commit], *, guarded: bool
    ) -> list[Outcome]:
        with self._ledger.batch(conn, pending=not self._direct) as batch:
            batch.expect(
                draft for commit in commits for draft in commit.drafts
            )
            if guarded:
                batch.lock_rows()
                return [_guarded(conn, batch, each) for each in commits]
            return [_plain(conn, batch, each) for each in commits]

    def _disconnect(self) -> None:
        if self._conn is not None:
            conn, self._conn = self._conn, None
            conn.invalidate()
            conn.close()


def _lost(error: Exception | None) -> LedgerUnavailable:
    # The driver's message could quote what was written.
    cause = "" if error is None else f" ({type(error).__name__})"
    return LedgerUnavailable(f"the ledger could not commit{cause}")


def _plain(conn: Connection, batch: Batch, commit: Commit) -> Outcome:
    try:
        return _steps(conn, batch, commit)
    except Exception as error:
        if _is_fatal(error):
            raise
        raise _StepFailed from None


def _guarded(conn: Connection, batch: Batch, commit: Commit) -> Outcome:
    batch.flush()
    savepoint = conn.begin_nested()
    try:
        appended = _steps(conn, batch, commit)
    except Exception as error:
        if _is_fatal(error):
            raise
        savepoint.rollback()
        batch.reload()
        return error
    batch.flush()
    savepoint.commit()
    return appended


def _steps(conn: Connection, batch: Batch, commit: Commit) -> list[Appended]:
    if commit.check is not None:
        commit.check(conn)
    appended = batch.add(commit.drafts)
    if commit.after is not None:
        commit.after(conn, appended)
    return appended


def _may_pass(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) in _TRANSIENT


def _is_busy(error: OperationalError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_BUSY


def _is_fatal(error: Exception) -> bool:
    """Whether the transaction as a whole is lost, not one caller's step."""
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or _may_pass(error)


def _refuse(batch: Iterable[_Waiting]) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(LedgerUnavailable(_CLOSING))


def _answer(batch: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
    for waiting, outcome in zip(batch, outcomes, strict=True):
        if waiting.answer.done():
            continue
        if isinstance(outcome, Exception):
            waiting.answer.set_exception(outcome)
        else:
            waiting.answer.set_result(outcome)
