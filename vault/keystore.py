"""The keys database: wrapped DEKs, the decoy, the root of the index keys.

A backup domain of its own. A DEK's row stays after an erasure, with its
dates and an overwritten blob, so that the id cannot be enrolled again. An
erasure is written down here first (*erasing*: from then on nothing opens)
and settled last; `KeyStore.unsettled` is what a crash left in between.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn
from uuid import UUID

from sqlalchemy import (
    Engine,
    Select,
    and_,
    bindparam,
    func,
    select,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError

from vault import format as fmt
from vault.envelope import OpenSubject, WrappedDek, commitment, zero
from vault.epochs import UNWRAPS, KekEpochs
from vault.errors import (
    CryptoFailure,
    KeyUnavailable,
    NotInitialised,
    UnknownSubject,
)
from vault.providers import KeyProvider
from vault.reading import Reader
from vault.tables import (
    DEK,
    KEK,
    KEYS_METADATA,
    TENANT,
    DekState,
)

_PAGE = 1000
_GEN = 1
_GONE = frozenset({DekState.ERASING, DekState.DESTROYED})


class StoredDek(NamedTuple):
    """A DEK row and the state of the KEK that wraps it."""

    wrapped: WrappedDek
    state: str
    kek_state: str


class Chosen(NamedTuple):
    """The DEK that a look-up works with, the decoy's for an unknown person."""

    dek: StoredDek
    known: bool
    erased: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TenantSecrets:
    """What the vault keeps of its tenant while it runs."""

    decoy: UUID
    index_root: bytes = field(repr=False)

    def __reduce__(self) -> NoReturn:
        msg = "keys are not serialised"
        raise TypeError(msg)


class Erased(NamedTuple):
    """The dates of an erasure, and the epoch that must die for backups."""

    kek_epoch: int
    began_at: int
    destroyed_at: int


def _joined() -> Select[Any]:
    return select(
        DEK.c.subject,
        DEK.c.gen,
        DEK.c.kek_epoch,
        DEK.c.created_at,
        DEK.c.commitment,
        DEK.c.blob,
        DEK.c.state,
        KEK.c.state.label("kek_state"),
    ).join_from(
        DEK,
        KEK,
        and_(KEK.c.tenant == DEK.c.tenant, KEK.c.epoch == DEK.c.kek_epoch),
        isouter=True,
    )


def _one_of(end: str) -> Select[Any]:
    return _joined().where(
        DEK.c.tenant == bindparam(f"tenant{end}"),
        DEK.c.subject == bindparam(f"subject{end}"),
    )


class KeyStore:
    """Wrapped keys of one tenant.

    Args:
        engine: the keys database, never the data database.
        provider: custody of the KEKs.
        tenant: whose; at most 64 characters.
        clock: gives POSIX seconds.
        random: as ``os.urandom``.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        provider: KeyProvider,
        tenant: str,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self.tenant = tenant
        self.epochs = KekEpochs(
            engine=engine,
            provider=provider,
            tenant=tenant,
            clock=clock,
            random=random,
        )
        self._engine = engine
        self._provider = provider
        self._clock = clock
        self._random = random
        self._reader = Reader(engine)
        # Not one SELECT with IN: SQLite would build a table for the list,
        # which costs as much as all the rest of the query.
        self._pair = self._reader.prepare(
            union_all(*(_one_of(end) for end in ("1", "2"))),
            "tenant1",
            "subject1",
            "tenant2",
            "subject2",
        )

    def create_all(self) -> None:
        """Create the tables where there is no migration to do it."""
        KEYS_METADATA.create_all(self._engine)

    def close(self) -> None:
        """Close the connections kept for reading."""
        self._reader.close()

    def initialise(self) -> TenantSecrets:
        """Make first KEK, decoy and index root; again is harmless."""
        self.epochs.initialise()
        self.epochs.check()
        try:
            return self.secrets()
        except NotInitialised:
            (decoy,) = self.create_deks(1)
            self._write_tenant(decoy)
            return self.secrets()

    def secrets(self) -> TenantSecrets:
        """Unwrap the index root and name the decoy.

        Raises:
            NotInitialised: the tenant has none.
            CryptoFailure: the row is not the one that was written.

        """
        with self._engine.connect() as conn:
            row = conn.execute(
                select(TENANT).where(TENANT.c.tenant == self.tenant)
            ).first()
        if row is None:
            msg = f"tenant {self.tenant} is not initialised"
            raise NotInitialised(msg)
        context = fmt.tenant_context(self.tenant, row.decoy, row.kek_epoch)
        root = bytearray(fmt.KEY)
        self._provider.unwrap_into(row.kek_epoch, context, row.blob, root)
        return TenantSecrets(decoy=row.decoy, index_root=bytes(root))

    def create_deks(self, count: int) -> list[UUID]:
        """Enrol new people: commit a fresh DEK for each.

        Raises:
            CryptoFailure: the random source repeated an id, also one of a
                person long erased.

        """
        now = self._clock()
        subjects = [
            UUID(bytes=self._random(16), version=4) for _ in range(count)
        ]
        with self._engine.connect() as conn:
            epoch = self.epochs.active(conn)
        rows = [self._new_dek(subject, epoch, now) for subject in subjects]
        try:
            with self._engine.begin() as conn:
                if rows:
                    conn.execute(DEK.insert(), rows)
        except IntegrityError:
            raise CryptoFailure from None
        return subjects

    def choose(self, subject: UUID, decoy: UUID) -> Chosen:
        """Look a person up, or the decoy for want of them, in one query.

        Raises:
            CryptoFailure: the row's state is none that was ever written, or
                the decoy's row is gone.

        """
        reader = self._reader
        other = reader.subject(decoy)
        spare, erased = None, False
        tenant, who = self.tenant, reader.subject(subject)
        for row in self._pair(tenant, who, tenant, other):
            if row[0] == other:
                spare = row
            elif row[6] == DekState.LIVE:
                return Chosen(
                    self._stored(subject, row), known=True, erased=False
                )
            elif row[6] in _GONE:
                erased = True
            else:
                raise CryptoFailure(subject)
        if spare is None:
            raise CryptoFailure(decoy)
        return Chosen(self._stored(decoy, spare), known=False, erased=erased)

    def many(self, subjects: Sequence[UUID]) -> dict[UUID, StoredDek]:
        """Look many people up; those never enrolled are left out."""
        asked = _joined().where(
            DEK.c.tenant == self.tenant, DEK.c.subject.in_(subjects)
        )
        with self._engine.connect().execution_options(read_only=True) as conn:
            rows = conn.execute(asked).all()
        return {row[0]: self._stored(row[0], row) for row in rows}

    def open(self, stored: StoredDek) -> OpenSubject:
        """Unwrap a live DEK.

        Raises:
            CryptoFailure: it is not live, or does not open.
            KeyUnavailable: its KEK may not be used any more.

        """
        if stored.state != DekState.LIVE:
            raise CryptoFailure(stored.wrapped.subject)
        if stored.kek_state not in UNWRAPS:
            msg = f"the key of epoch {stored.wrapped.kek_epoch} may not open"
            raise KeyUnavailable(msg)
        return OpenSubject(self._provider, stored.wrapped)

    def page(self, after: UUID | None, *, limit: int = _PAGE) -> list[UUID]:
        """List people with a live DEK, in order of their ids."""
        asked = (
            select(DEK.c.subject)
            .where(DEK.c.tenant == self.tenant, DEK.c.state == DekState.LIVE)
            .order_by(DEK.c.subject)
            .limit(limit)
        )
        if after is not None:
            asked = asked.where(DEK.c.subject > after)
        with self._engine.connect().execution_options(read_only=True) as conn:
            return list(conn.execute(asked).scalars())

    def begin_erasure(self, subject: UUID) -> None:
        """Write the intent down; from the return on, nothing of them opens.

        Raises:
            UnknownSubject: nobody with that id was ever enrolled.

        """
        mine = DEK.c.tenant == self.tenant, DEK.c.subject == subject
        with self._engine.begin() as conn:
            found = conn.execute(
                select(func.count()).select_from(DEK).where(*mine)
            ).scalar_one()
            if not found:
                raise UnknownSubject(subject)
            conn.execute(
                update(DEK)
                .where(*mine, DEK.c.state == DekState.LIVE)
                .values(state=DekState.ERASING, erasure_began_at=self._clock())
            )

    def destroy_dek(self, subject: UUID) -> Erased:
        """Overwrite a wrapped DEK whose erasure has begun; keep its dates."""
        mine = DEK.c.tenant == self.tenant, DEK.c.subject == subject
        with self._engine.begin() as conn:
            conn.execute(
                update(DEK)
                .where(*mine, DEK.c.state == DekState.ERASING)
                .values(
                    state=DekState.DESTROYED,
                    blob=bytes(fmt.WRAPPED),
                    commitment=bytes(32),
                    destroyed_at=self._clock(),
                )
            )
            row = conn.execute(
                select(
                    DEK.c.kek_epoch,
                    DEK.c.erasure_began_at,
                    DEK.c.destroyed_at,
                ).where(*mine)
            ).one()
        self._drop_log()
        return Erased(*row)

    def unsettled(self) -> list[tuple[UUID, DekState]]:
        """List erasures whose rows nobody has seen gone yet."""
        asked = select(DEK.c.subject, DEK.c.state).where(
            DEK.c.tenant == self.tenant,
            DEK.c.state != DekState.LIVE,
            DEK.c.settled_at.is_(None),
        )
        with self._engine.connect().execution_options(read_only=True) as conn:
            return [
                (row.subject, DekState(row.state))
                for row in conn.execute(asked)
            ]

    def settle(self, subjects: Iterable[UUID]) -> None:
        """Note that nothing of these erased people is left."""
        rows = [{"who": subject} for subject in subjects]
        if not rows:
            return
        with self._engine.begin() as conn:
            conn.execute(
                update(DEK)
                .where(
                    DEK.c.tenant == self.tenant,
                    DEK.c.subject == bindparam("who"),
                    DEK.c.state == DekState.DESTROYED,
                )
                .values(settled_at=self._clock()),
                rows,
            )

    def rewrap(self) -> int:
        """Re-wrap every live DEK and the index root in the active epoch.

        Unwraps and wraps outside the write transaction; each update names
        the epoch that it replaces, so a race or a restart is harmless.

        Returns:
            How many keys were re-wrapped.

        Raises:
            KeyUnavailable: an epoch in use may not unwrap.

        """
        done = self._rewrap_tenant()
        after: UUID | None = None
        while True:
            page = self._stale_page(after)
            if not page:
                return done
            done += self._rewrap_page(page)
            after = page[-1].wrapped.subject

    def _new_dek(
        self, subject: UUID, epoch: int, now: int
    ) -> dict[str, object]:
        dek = bytearray(self._random(fmt.KEY))
        try:
            context = fmt.dek_context(self.tenant, subject, _GEN, epoch, now)
            return {
                "tenant": self.tenant,
                "subject": subject,
                "gen": _GEN,
                "kek_epoch": epoch,
                "state": DekState.LIVE,
                "commitment": commitment(self.tenant, subject, _GEN, dek),
                "blob": self._provider.wrap(epoch, context, dek),
                "created_at": now,
            }
        finally:
            zero(dek)

    def _write_tenant(self, decoy: UUID) -> None:
        root = bytearray(self._random(fmt.KEY))
        try:
            with self._engine.begin() as conn:
                epoch = self.epochs.active(conn)
                context = fmt.tenant_context(self.tenant, decoy, epoch)
                conn.execute(
                    TENANT.insert().values(
                        tenant=self.tenant,
                        decoy=decoy,
                        kek_epoch=epoch,
                        blob=self._provider.wrap(epoch, context, root),
                        created_at=self._clock(),
                    )
                )
        finally:
            zero(root)

    def _stored(self, subject: UUID, row: Sequence[Any]) -> StoredDek:
        _, gen, epoch, created_at, committed, blob, state, kek_state = row
        wrapped = WrappedDek(
            self.tenant, subject, gen, epoch, created_at, committed, blob
        )
        return StoredDek(wrapped, state, kek_state)

    def _stale_page(self, after: UUID | None) -> list[StoredDek]:
        with self._engine.connect().execution_options(read_only=True) as conn:
            asked = (
                _joined()
                .where(
                    DEK.c.tenant == self.tenant,
                    DEK.c.kek_epoch < self.epochs.active(conn),
                    DEK.c.state == DekState.LIVE,
                )
                .order_by(DEK.c.subject)
                .limit(_PAGE)
            )
            if after is not None:
                asked = asked.where(DEK.c.subject > after)
            rows = conn.execute(asked).all()
        return [self._stored(row[0], row) for row in rows]

    def _rewrap_page(self, page: list[StoredDek]) -> int:
        with self._engine.connect() as conn:
            epoch = self.epochs.active(conn)
        rows = [self._rewrapped(stored, epoch) for stored in page]
        statement = (
            update(DEK)
            .where(
                DEK.c.tenant == self.tenant,
                DEK.c.subject == bindparam("who"),
                DEK.c.gen == bindparam("which"),
                DEK.c.kek_epoch == bindparam("old"),
                DEK.c.state == DekState.LIVE,
            )
            .values(kek_epoch=epoch, blob=bindparam("new"))
        )
        with self._engine.begin() as conn:
            return conn.execute(statement, rows).rowcount

    def _rewrapped(self, stored: StoredDek, epoch: int) -> dict[str, object]:
        wrapped = stored.wrapped
        if stored.kek_state not in UNWRAPS:
            msg = f"the key of epoch {wrapped.kek_epoch} may not open"
            raise KeyUnavailable(msg)
        dek = bytearray(fmt.KEY)
        context = fmt.dek_context(
            self.tenant,
            wrapped.subject,
            wrapped.gen,
            epoch,
            wrapped.created_at,
        )
        try:
            self._provider.unwrap_into(
                wrapped.kek_epoch, wrapped.context(), wrapped.blob, dek
            )
            new = self._provider.wrap(epoch, context, dek)
        finally:
            zero(dek)
        return {
            "who": wrapped.subject,
            "which": wrapped.gen,
            "old": wrapped.kek_epoch,
            "new": new,
        }

    def _rewrap_tenant(self) -> int:
        secrets = self.secrets()
        with self._engine.begin() as conn:
            epoch = self.epochs.active(conn)
            context = fmt.tenant_context(self.tenant, secrets.decoy, epoch)
            blob = self._provider.wrap(epoch, context, secrets.index_root)
            return conn.execute(
                update(TENANT)
                .where(
                    TENANT.c.tenant == self.tenant,
                    TENANT.c.kek_epoch < epoch,
                )
                .values(kek_epoch=epoch, blob=blob)
            ).rowcount

    def _drop_log(self) -> None:
        """Empty SQLite's write-ahead log of the overwritten blob."""
        if self._engine.dialect.name != "sqlite":
            return
        connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.fetchall()
            cursor.close()
        finally:
            connection.close()
