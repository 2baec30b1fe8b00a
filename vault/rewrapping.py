"""Re-wrapping every live key in the active epoch, while people read.

Unwraps and wraps outside the write transaction, page by page; each update
names the epoch that it replaces, so a race or a restart is harmless. Once
nothing is wrapped by a past epoch, its KEK can be destroyed, and with it
every backup of the keys database made under it.

A page is small, so that a writer waits for no more than one short
transaction. The keys of a page are prepared while the disk takes the page
before it: a commit is mostly waiting, and half of the time goes into the
keys. Where the machine is busy a page takes longer, and the next is smaller
(`Pace`). SQLite copies its write-ahead log back into the database after some
commit or other, and whoever commits meanwhile waits for the disk; so the job
has it copied often, and little at a time.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from struct import Struct
from typing import Any, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from sqlalchemy import Connection, Engine, Transaction, func, select, update

from vault import format as fmt
from vault.deks import TenantSecrets
from vault.envelope import zero
from vault.epochs import KekEpochs
from vault.errors import CryptoFailure
from vault.providers import Kek, KeyProvider
from vault.reading import Reader
from vault.tables import DEK, OPENS, TENANT, DekState, KekState

PAGE = 500
"""Keys that one transaction takes at most."""
LEAST = 50
HELD_SECONDS = 0.004
_LOG_PAGES, _LOG_PAGES_ELSEWHERE = 128, 1000
WRAPPED = sorted(OPENS | {DekState.NEXT})
"""States of the DEKs that move to a new epoch."""

_TAIL = Struct(">I16sIIIIIQ")
_Row = tuple[Any, ...]


class Pace:
    """How many keys the next transaction takes.

    By how long the last one held the lock before its commit: how long the
    disk takes for a commit does not hang on how much is in it.

    Args:
        most: the largest page.

    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.size = most

    def note(self, seconds: float) -> None:
        """Take in how long the last page held the lock."""
        if seconds > HELD_SECONDS:
            self.size = max(min(LEAST, self._most), self.size // 2)
        elif seconds < HELD_SECONDS / 2:
            self.size = min(self._most, self.size + self.size // 4 + 1)


class Rewrapping:
    """One run over one tenant's keys.

    Args:
        engine: the keys database.
        provider: custody of the KEKs.
        tenant: whose.
        epochs: their states.
        random: as ``os.urandom``.
        progress: told after each page how many keys it had.
        also: further states of KEKs that may open, for this run.
        timer: seconds of a clock that only goes forward.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        provider: KeyProvider,
        tenant: str,
        epochs: KekEpochs,
        random: Callable[[int], bytes],
        progress: Callable[[int], None] = lambda _: None,
        also: frozenset[KekState] = frozenset(),
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._timer = timer
        self._pace = Pace(PAGE)
        self._engine = engine
        self._reader = Reader(engine)
        self._provider = provider
        self._tenant = tenant
        self._epochs = epochs
        self._random = random
        self._progress = progress
        self._also = also
        mark = "?" if engine.dialect.paramstyle == "qmark" else "%s"
        states = ", ".join(f"'{state}'" for state in WRAPPED)
        self._page_sql = (
            "SELECT subject, gen, created_at, blob, state FROM vault_dek"
            f" WHERE tenant = {mark} AND kek_epoch = {mark}"
            f" AND (subject, gen) > ({mark}, {mark})"
            f" AND state IN ({states})"
            f" ORDER BY subject, gen LIMIT {mark}"
        )
        # The state stands here too: an erasure that began meanwhile wins.
        self._update_sql = (
            f"UPDATE vault_dek SET kek_epoch = {mark}, blob = {mark}"
            f" WHERE tenant = {mark} AND subject = {mark} AND gen = {mark}"
            f" AND kek_epoch = {mark} AND state = {mark}"
        )

    def run(self, secrets: TenantSecrets) -> int:
        """Re-wrap everything, and say how much that was."""
        try:
            with self._engine.connect() as conn:
                epoch = self._epochs.active(conn)
            done = self._tenant_row(secrets, epoch)
            for old in self._past(epoch):
                done += self._epoch(old, epoch)
            return done
        finally:
            self._reader.close()

    def left(self) -> int:
        """Count the keys that are not in the active epoch."""
        with self._engine.connect().execution_options(read_only=True) as conn:
            epoch = self._epochs.active(conn)
            return int(
                conn.execute(
                    select(func.count())
                    .select_from(DEK)
                    .where(
                        DEK.c.tenant == self._tenant,
                        DEK.c.kek_epoch != epoch,
                        DEK.c.state.in_(WRAPPED),
                    )
                ).scalar_one()
            )

    def _past(self, epoch: int) -> list[int]:
        asked = (
            select(DEK.c.kek_epoch)
            .distinct()
            .where(
                DEK.c.tenant == self._tenant,
                DEK.c.kek_epoch != epoch,
                DEK.c.state.in_(WRAPPED),
            )
            .order_by(DEK.c.kek_epoch)
        )
        with self._engine.connect().execution_options(read_only=True) as conn:
            return list(conn.execute(asked).scalars())

    def _epoch(self, old: int, epoch: int) -> int:
        self._epochs.require_opening(old, None, also=self._also)
        move = _Move(
            self._provider.kek(old),
            self._provider.kek(epoch),
            self._tenant,
            (old, epoch),
        )
        done = 0
        with (
            self._engine.connect() as conn,
            _log_kept_short(conn),
            _Commits(conn, self._progress) as commits,
        ):
            for page in self._pages(old):
                rows = move.rewrapped(page, self._random)
                commits.settle()
                done += self._write(conn, rows, commits)
            commits.settle()
        return done

    def _write(
        self, conn: Connection, rows: list[_Row], commits: "_Commits"
    ) -> int:
        """Write a page, and leave its commit to run beside the next."""
        transaction = conn.begin()
        since = self._timer()
        written = conn.exec_driver_sql(self._update_sql, rows).rowcount
        self._pace.note(self._timer() - since)
        commits.begin(transaction, len(rows))
        return written

    def _pages(self, old: int) -> Iterator[list[_Row]]:
        after: Any = self._reader.subject(UUID(int=0))
        gen = 0
        while True:
            with self._engine.connect().execution_options(
                read_only=True
            ) as conn:
                asked = conn.exec_driver_sql(
                    self._page_sql,
                    (self._tenant, old, after, gen, self._pace.size),
                )
                # From the driver itself: wrapping each row costs as much
                # as opening its key.
                driver: Any = asked.cursor
                page: list[_Row] = driver.fetchall()
                asked.close()
            if not page:
                return
            yield page
            after, gen = page[-1][:2]

    def _tenant_row(self, secrets: TenantSecrets, epoch: int) -> int:
        context = fmt.tenant_context(
            self._tenant, secrets.decoy, epoch, secrets.created_at
        )
        blob = self._provider.wrap(epoch, context, secrets.index_root)
        with self._engine.begin() as conn:
            return conn.execute(
                update(TENANT)
                .where(
                    TENANT.c.tenant == self._tenant,
                    TENANT.c.kek_epoch < epoch,
                )
                .values(kek_epoch=epoch, blob=blob)
            ).rowcount


class _Commits:
    """Commits one transaction at a time, beside whoever began it.

    On the way out it waits for the one that runs: none ends after its
    connection was given back.

    Args:
        conn: what the transactions run on; lost where a commit fails.
        progress: told how many keys a transaction had, once it is over.

    """

    def __init__(
        self, conn: Connection, progress: Callable[[int], None]
    ) -> None:
        self._conn = conn
        self._progress = progress
        self._beside = ThreadPoolExecutor(1, "rewrap-commit")
        self._running: tuple[Future[None], int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._beside.shutdown()

    def begin(self, transaction: Transaction, keys: int) -> None:
        """Begin to commit; `settle` is called before anything else is."""
        self._running = self._beside.submit(transaction.commit), keys

    def settle(self) -> None:
        """Wait for the commit that runs; raises what it raised."""
        if self._running is not None:
            committed, keys = self._running
            self._running = None
            try:
                committed.result()
            except BaseException:
                # SQLAlchemy sends no ROLLBACK after a failed COMMIT, and
                # the pool would keep a connection that locks the database.
                self._conn.invalidate()
                raise
            self._progress(keys)


@contextmanager
def _log_kept_short(conn: Connection) -> Iterator[None]:
    """Let SQLite copy its log back after fewer pages than elsewhere."""
    driver: Any = conn.connection.driver_connection
    if conn.dialect.name != "sqlite":
        yield
        return
    driver.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    try:
        yield
    finally:
        if not conn.invalidated:
            driver.execute(
                f"PRAGMA wal_autocheckpoint = {_LOG_PAGES_ELSEWHERE}"
            )


class _Move:
    """The loop over one page, from one epoch's KEK to another's."""

    def __init__(
        self, old: Kek, new: Kek, tenant: str, epochs: tuple[int, int]
    ) -> None:
        self._old = old
        self._new = new
        self._tenant = tenant
        self._epochs = epochs
        self._prefix = fmt.lp(fmt.LABEL_DEK, tenant.encode())

    def rewrapped(
        self, page: list[_Row], random: Callable[[int], bytes]
    ) -> list[_Row]:
        """Give the rows of the update, in the order of its marks.

        Raises:
            CryptoFailure: a DEK does not open.

        """
        (before, after), tenant, prefix = (
            self._epochs,
            self._tenant,
            self._prefix,
        )
        unwrap, wrap = self._old.aead.decrypt_into, self._new.aead.encrypt
        was, suite = self._old.suite, self._new.suite
        shut, end = fmt.lp(was), fmt.lp(suite)
        pack, dek = _TAIL.pack, bytearray(fmt.KEY)
        nonces = random(fmt.NONCE * len(page))
        rows, place = [], 0
        try:
            for who, gen, made, blob, state in page:
                raw = (
                    who.bytes if isinstance(who, UUID) else bytes.fromhex(who)
                )
                aad = prefix + pack(16, raw, 4, gen, 4, before, 8, made) + shut
                # A blob of another suite or length fails to open here too.
                unwrap(blob[1:13], blob[13:], aad, dek)
                nonce = nonces[place : place + fmt.NONCE]
                place += fmt.NONCE
                aad = prefix + pack(16, raw, 4, gen, 4, after, 8, made) + end
                fresh = suite + nonce + wrap(nonce, dek, aad)
                rows.append((after, fresh, tenant, who, gen, before, state))
        except (InvalidTag, ValueError):
            raise CryptoFailure(UUID(bytes=raw)) from None
        finally:
            zero(dek)
        return rows
