"""The keys database: wrapped DEKs, the decoy, the root of the index keys.

A backup domain of its own. A DEK's row stays after an erasure, with its
dates and an overwritten blob, so that the id cannot be enrolled again. An
erasure is written down here first (*erasing*: from then on nothing opens)
and settled last; `KeyStore.unsettled` is what a crash left in between.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Engine,
    Select,
    bindparam,
    func,
    insert,
    select,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError

from vault import format as fmt
from vault.bulk import Bulk
from vault.deks import StoredDek, TenantSecrets, joined, stored_dek
from vault.envelope import OpenSubject, commitment, zero
from vault.epochs import UNWRAPS, KekEpochs
from vault.errors import (
    CryptoFailure,
    KeyUnavailable,
    NotInitialised,
    UnknownSubject,
)
from vault.providers import KeyProvider
from vault.reading import Reader
from vault.rewrapping import Rewrapping
from vault.tables import (
    DEK,
    KEYS_METADATA,
    TENANT,
    DekState,
)

_PAGE = 1000
_GEN = 1
_GONE = frozenset({DekState.ERASING, DekState.DESTROYED})


class Chosen(NamedTuple):
    """The DEK that a look-up works with, the decoy's for an unknown person."""

    dek: StoredDek
    known: bool
    erased: bool


class Erased(NamedTuple):
    """The dates of an erasure, and the epoch that must die for backups."""

    kek_epoch: int
    began_at: int
    destroyed_at: int


def _one_of(end: str) -> Select[Any]:
    return joined().where(
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
        self._add = Bulk(engine, insert(DEK))
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
        context = fmt.tenant_context(
            self.tenant, row.decoy, row.kek_epoch, row.created_at
        )
        root = bytearray(fmt.KEY)
        self._provider.unwrap_into(row.kek_epoch, context, row.blob, root)
        return TenantSecrets(
            decoy=row.decoy,
            created_at=row.created_at,
            index_root=bytes(root),
        )

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
                    self._add.run(conn, rows)
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
                    stored_dek(self.tenant, subject, row),
                    known=True,
                    erased=False,
                )
            elif row[6] in _GONE:
                erased = True
            else:
                raise CryptoFailure(subject)
        if spare is None:
            raise CryptoFailure(decoy)
        return Chosen(
            stored_dek(self.tenant, decoy, spare), known=False, erased=erased
        )

    def many(self, subjects: Sequence[UUID]) -> dict[UUID, StoredDek]:
        """Look many people up; those never enrolled are left out."""
        asked = joined().where(
            DEK.c.tenant == self.tenant, DEK.c.subject.in_(subjects)
        )
        with self._engine.connect().execution_options(read_only=True) as conn:
            rows = conn.execute(asked).all()
        return {row[0]: stored_dek(self.tenant, row[0], row) for row in rows}

    def open(self, stored: StoredDek) -> OpenSubject:
        """Unwrap a live DEK.

        Raises:
            CryptoFailure: it is not live, or does not open.
            KeyUnavailable: its KEK may not be used any more.

        """
        if stored.state != DekState.LIVE or stored.kek_state is None:
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

        Returns:
            How many keys were re-wrapped; those that need none are not
            counted.

        Raises:
            KeyUnavailable: an epoch in use may not unwrap.
            CryptoFailure: a DEK does not open.

        """
        return Rewrapping(
            engine=self._engine,
            provider=self._provider,
            tenant=self.tenant,
            epochs=self.epochs,
        ).run(self.secrets())

    def _new_dek(
        self, subject: UUID, epoch: int, now: int
    ) -> dict[str, object]:
        dek = bytearray(self._random(fmt.KEY))
        try:
            context = fmt.dek_context(self.tenant, subject, _GEN, epoch, now)
            return {
                "tenant": self.tenant,
                "subject": self._reader.subject(subject),
                "gen": _GEN,
                "kek_epoch": epoch,
                "state": DekState.LIVE.value,
                "commitment": commitment(self.tenant, subject, _GEN, dek),
                "blob": self._provider.wrap(epoch, context, dek),
                "created_at": now,
                "erasure_began_at": None,
                "destroyed_at": None,
                "settled_at": None,
            }
        finally:
            zero(dek)

    def _write_tenant(self, decoy: UUID) -> None:
        root = bytearray(self._random(fmt.KEY))
        now = self._clock()
        try:
            with self._engine.begin() as conn:
                epoch = self.epochs.active(conn)
                context = fmt.tenant_context(self.tenant, decoy, epoch, now)
                conn.execute(
                    TENANT.insert().values(
                        tenant=self.tenant,
                        decoy=decoy,
                        kek_epoch=epoch,
                        blob=self._provider.wrap(epoch, context, root),
                        created_at=now,
                    )
                )
        finally:
            zero(root)

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
