"""The keys database: wrapped DEKs, the decoy, the root of the index keys.

A backup domain of its own. A DEK's row stays after an erasure, with its
dates and an overwritten blob, so that the id cannot be enrolled again. An
erasure is written down here first (*erasing*: from then on nothing opens)
and settled last; `KeyStore.unsettled` is what a crash left in between.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Engine,
    Select,
    Uuid,
    bindparam,
    exists,
    func,
    insert,
    select,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError

from vault import format as fmt
from vault.bulk import Bulk
from vault.deks import (
    StoredDek,
    TenantSecrets,
    joined,
    merged,
    stored_dek,
)
from vault.envelope import OpenSubject, RecordOpener, commitment, zero
from vault.epochs import KekEpochs
from vault.errors import (
    CryptoFailure,
    NotInitialised,
    SubjectHeld,
    UnknownSubject,
)
from vault.journal import Position
from vault.marks import move_mark
from vault.providers import KeyProvider
from vault.reading import (
    Listed,
    ManyQuery,
    Reader,
    Row,
    among,
    each_of,
)
from vault.rewrapping import Rewrapping
from vault.states import open_secrets
from vault.tables import (
    DEK,
    KEYS_MARK,
    KEYS_METADATA,
    OPENS,
    TENANT,
    DekState,
    KekState,
)

_PAGE = 1000
_GEN = 1
_GONE = frozenset({DekState.ERASING, DekState.DESTROYED})
_SHOWN = {one.value: one.value for one in (*OPENS, DekState.NEXT)}


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


def _closed(engine: Engine) -> Select[Any]:
    """Select who of many people has no key that may open.

    The newest decides; a next key counts for nothing beside the one before.
    """
    who, newer = each_of(engine), DEK.alias()
    opening = (
        select(DEK.c.gen)
        .where(
            DEK.c.tenant == bindparam("tenant"),
            DEK.c.subject == who.c.value,
            DEK.c.state.in_([bindparam(one) for one in sorted(OPENS)]),
            ~exists().where(
                newer.c.tenant == DEK.c.tenant,
                newer.c.subject == DEK.c.subject,
                newer.c.gen > DEK.c.gen,
                newer.c.state != bindparam(DekState.NEXT),
            ),
        )
        .correlate(who)
    )
    return select(who.c.value).where(~exists(opening))


class KeyStore:
    """Wrapped keys of one tenant.

    Args:
        engine: the keys database, never the data database.
        provider: custody of the KEKs.
        tenant: whose; at most 64 characters.
        clock: gives POSIX seconds.
        random: as ``os.urandom``.
        open_suspended: let a suspended KEK open what it once wrapped.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        provider: KeyProvider,
        tenant: str,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
        open_suspended: bool = False,
    ) -> None:
        self.tenant = tenant
        self.epochs = KekEpochs(
            engine=engine,
            provider=provider,
            tenant=tenant,
            clock=clock,
            random=random,
            open_suspended=open_suspended,
        )
        self.engine = engine
        self._engine = engine
        self._provider = provider
        self._clock = clock
        self._random = random
        self._reader = Reader(engine)
        self._add = Bulk(engine, insert(DEK))
        mine = (
            DEK.c.tenant == bindparam("tenant"),
            among(engine, DEK.c.subject),
        )
        self._many = ManyQuery(engine, joined().where(*mine))
        self._closed = ManyQuery(engine, _closed(engine))
        # Not one SELECT with IN: SQLite would build a table for the list,
        # which costs as much as all the rest of the query.
        self._pair = self._reader.prepare(
            union_all(*(_one_of(end) for end in ("1", "2"))),
            "tenant1",
            "subject1",
            "tenant2",
            "subject2",
        )

        if self._reader.native_uuid:
            self._each = self._reader.prepare_each(
                lambda who: (
                    joined().where(
                        DEK.c.tenant == bindparam("tenant"),
                        DEK.c.subject == who,
                    ),
                ),
                Uuid(),
                "tenant",
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
        return open_secrets(row, self._provider, self.tenant)

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
        rows = [
            self._new_dek(subject, _GEN, epoch, now) for subject in subjects
        ]
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
        reader, tenant = self._reader, self.tenant
        other = reader.subject(decoy)
        rows = self._pair(tenant, reader.subject(subject), tenant, other)
        return self._chosen(subject, decoy, rows)

    def choose_each(
        self, subjects: Sequence[UUID], decoy: UUID
    ) -> list[Chosen | CryptoFailure]:
        """Look several people up as `choose` does, in few queries.

        Returns:
            For each, what `choose` would return or raise.

        """
        found: list[Chosen | CryptoFailure] = []
        for subject, rows in zip(
            subjects, self._pairs(subjects, decoy), strict=True
        ):
            try:
                found.append(self._chosen(subject, decoy, rows))
            except CryptoFailure as error:
                found.append(error)
        return found

    def _pairs(self, subjects: Sequence[UUID], decoy: UUID) -> list[list[Row]]:
        """Read each person's rows, and the decoy's beside them."""
        reader, tenant = self._reader, self.tenant
        if not reader.native_uuid:
            other = reader.subject(decoy)
            return [
                self._pair(tenant, reader.subject(one), tenant, other)
                for one in subjects
            ]
        *found, theirs = self._each([*subjects, decoy], tenant)
        return [rows + theirs for rows in found]

    def _chosen(self, subject: UUID, decoy: UUID, rows: list[Row]) -> Chosen:
        other = self._reader.subject(decoy)
        erased = False
        mine = [row for row in rows if row[0] != other]
        for row in mine:
            if row[6] in _GONE:
                erased = True
            elif row[6] not in OPENS and row[6] != DekState.NEXT:
                raise CryptoFailure(subject)
        dek = self._opening(subject, mine)
        if dek is not None:
            return Chosen(dek, known=True, erased=False)
        # Asked for by its own id it comes twice, and is judged as once.
        theirs = dict.fromkeys(row for row in rows if row[0] == other)
        dek = self._opening(decoy, list(theirs))
        if dek is None:
            raise CryptoFailure(decoy)
        return Chosen(dek, known=False, erased=erased)

    def _opening(self, subject: UUID, rows: list[Row]) -> StoredDek | None:
        """Make one of somebody's rows, if it is of a key that may open."""
        if len(rows) == 1:
            row = rows[0]
            if row[6] not in OPENS:
                return None
            return stored_dek(self.tenant, subject, row)
        if not rows:
            return None
        dek = self._merged(subject, rows)
        return dek if dek is not None and dek.state in OPENS else None

    def each(self, subjects: Sequence[UUID]) -> list[Row | StoredDek | None]:
        """Look many people up, one statement.

        Returns:
            In the order of `subjects`, for each of them the one row that
            there is, as `deks.joined` selects it, or what is made of
            several, or nothing.

        """
        own = list(map(self._reader.subject, subjects))
        with self._engine.connect().execution_options(read_only=True) as conn:
            rows = self._many.rows(conn, own, tenant=self.tenant)
        found: dict[Any, Row] = {row[0]: row for row in rows}
        if len(found) == len(rows):
            return list(map(found.get, own))
        listed: dict[Any, list[Row]] = {}
        for row in rows:
            listed.setdefault(row[0], []).append(row)
        return [
            self._merged(subject, listed[one])
            if len(listed.get(one, ())) > 1
            else found.get(one)
            for subject, one in zip(subjects, own, strict=True)
        ]

    def many(self, subjects: Sequence[UUID]) -> dict[UUID, StoredDek]:
        """Look many people up; those never enrolled are left out."""
        own = {self._reader.subject(one): one for one in subjects}
        with self._engine.connect().execution_options(read_only=True) as conn:
            rows = self._many.rows(conn, own, tenant=self.tenant)
        listed: dict[UUID, list[StoredDek]] = {}
        for row in rows:
            subject = own[row[0]]
            dek = stored_dek(self.tenant, subject, row)
            listed.setdefault(subject, []).append(dek)
        found = {
            subject: deks[0] if len(deks) == 1 else merged(deks)
            for subject, deks in listed.items()
        }
        return {
            subject: dek for subject, dek in found.items() if dek is not None
        }

    def listed(self, subjects: Sequence[UUID]) -> Listed:
        """List people for `closed`, to be asked about more than once."""
        return Listed(self._reader, subjects)

    def closed(self, subjects: Sequence[UUID] | Listed) -> set[UUID]:
        """Say who of many people has no key that may open, and fetch none."""
        own = (
            subjects if isinstance(subjects, Listed) else self.listed(subjects)
        )
        with self._engine.connect().execution_options(read_only=True) as conn:
            rows = self._closed.rows(conn, own, tenant=self.tenant, **_SHOWN)
        return {self._reader.uuid(row[0]) for row in rows}

    def generation(self, subject: UUID, gen: int) -> StoredDek | None:
        """Give the key of one generation, if what it sealed may open."""
        dek = self.many([subject]).get(subject)
        for one in (dek, dek and dek.rival):
            if one is not None and one.wrapped.gen == gen:
                return one
        return None

    def fitting(
        self, dek: StoredDek, stored: tuple[int, bytes] | None
    ) -> StoredDek:
        """Choose between a key and its rival, by the person's state.

        Args:
            dek: what `many` gave.
            stored: epoch and state, read under the lock of a write, or
                none: then the rival is the one to write under, because the
                other is about to be destroyed.

        """
        rival = dek.rival
        if rival is None or stored is None:
            return rival or dek
        epoch, state = stored
        code, manifest = fmt.split_state(state)
        try:
            with self.open(rival) as keys:
                keys.check_state(epoch, manifest, code)
        except CryptoFailure:
            return dek
        return rival

    def _merged(self, subject: UUID, rows: list[Row]) -> StoredDek | None:
        return merged(stored_dek(self.tenant, subject, row) for row in rows)

    def open(self, stored: StoredDek) -> OpenSubject:
        """Unwrap a live DEK.

        Raises:
            CryptoFailure: it is not live, or does not open.
            KeyUnavailable: its KEK may not be used any more.

        """
        state = stored.state
        if (
            state not in OPENS and state != DekState.NEXT
        ) or stored.kek_state is None:
            raise CryptoFailure(stored.wrapped.subject)
        self.epochs.require_opening(stored.wrapped.kek_epoch, stored.kek_state)
        return OpenSubject(self._provider, stored.wrapped)

    def opener(
        self, subject: UUID, epoch: int, shown: str | None
    ) -> RecordOpener:
        """Give what opens records whose DEKs are wrapped under an epoch.

        Args:
            subject: whose record is to be opened first.
            epoch: which.
            shown: the state of its KEK that a row just read shows.

        Raises:
            CryptoFailure: there is no such KEK.
            KeyUnavailable: its KEK may not be used any more.

        """
        if shown is None:
            raise CryptoFailure(subject)
        self.epochs.require_opening(epoch, shown)
        kek = self._provider.kek(epoch)
        return RecordOpener(self.tenant, kek.suite, kek.aead)

    def page(self, after: UUID | None, *, limit: int = _PAGE) -> list[UUID]:
        """List people with a live DEK, in order of their ids."""
        asked = (
            select(DEK.c.subject)
            .where(DEK.c.tenant == self.tenant, DEK.c.state.in_(sorted(OPENS)))
            .order_by(DEK.c.subject)
            .limit(limit)
        )
        if after is not None:
            asked = asked.where(DEK.c.subject > after)
        with self._engine.connect().execution_options(read_only=True) as conn:
            return list(conn.execute(asked).scalars())

    def begin_erasure(
        self, subject: UUID, position: Position | None = None
    ) -> None:
        """Write the intent down; from the return on, nothing of them opens.

        Args:
            subject: the person.
            position: where the erasure journal has the intent.

        Raises:
            UnknownSubject: nobody with that id was ever enrolled.
            SubjectHeld: a legal hold stands.

        """
        mine = DEK.c.tenant == self.tenant, DEK.c.subject == subject
        with self._engine.begin() as conn:
            states = conn.execute(
                select(DEK.c.state).where(*mine).with_for_update()
            ).scalars()
            found = set(states)
            if not found:
                raise UnknownSubject(subject)
            if DekState.HELD in found:
                raise SubjectHeld(subject)
            conn.execute(
                update(DEK)
                .where(*mine, DEK.c.state.in_([DekState.LIVE, DekState.NEXT]))
                .values(state=DekState.ERASING, erasure_began_at=self._clock())
            )
            if position is not None:
                move_mark(conn, KEYS_MARK, self.tenant, position)

    def destroy_again(self, subject: UUID) -> bool:
        """Destroy a key that a restore, or nothing yet, has left alive.

        A legal hold does not stand against it: the erasure was carried out
        before, and there was no hold then.

        Returns:
            Whether there was anything left to destroy.

        """
        with self._engine.begin() as conn:
            left = conn.execute(
                update(DEK)
                .where(
                    DEK.c.tenant == self.tenant,
                    DEK.c.subject == subject,
                    DEK.c.state.in_(sorted(OPENS | {DekState.NEXT})),
                )
                .values(state=DekState.ERASING, erasure_began_at=self._clock())
            ).rowcount
            known = conn.execute(
                select(DEK.c.state).where(
                    DEK.c.tenant == self.tenant, DEK.c.subject == subject
                )
            ).scalars()
            erasing = DekState.ERASING in set(known)
        if erasing:
            self.destroy_dek(subject)
        return bool(left) or erasing

    def erased(self) -> Iterator[UUID]:
        """List everybody whose key is gone or going, by id."""
        after: UUID | None = None
        while True:
            asked = (
                select(DEK.c.subject)
                .distinct()
                .where(
                    DEK.c.tenant == self.tenant, DEK.c.state.in_(sorted(_GONE))
                )
                .order_by(DEK.c.subject)
                .limit(_PAGE)
            )
            if after is not None:
                asked = asked.where(DEK.c.subject > after)
            with self.engine.connect().execution_options(
                read_only=True
            ) as conn:
                page = list(conn.execute(asked).scalars())
            if not page:
                return
            yield from page
            after = page[-1]

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
                )
                .where(*mine)
                .order_by(DEK.c.gen.desc())
                .limit(1)
            ).one()
        self.drop_log()
        return Erased(*row)

    def destroyed_at(self, subject: UUID) -> int:
        """Say when the last of a person's keys was destroyed; 0 if not."""
        asked = select(func.max(DEK.c.destroyed_at)).where(
            DEK.c.tenant == self.tenant, DEK.c.subject == subject
        )
        with self._engine.connect().execution_options(read_only=True) as conn:
            return int(conn.execute(asked).scalar() or 0)

    def unsettled(self) -> list[tuple[UUID, DekState]]:
        """List erasures whose rows nobody has seen gone yet."""
        asked = select(DEK.c.subject, DEK.c.state).where(
            DEK.c.tenant == self.tenant,
            DEK.c.state.not_in(sorted(OPENS | {DekState.NEXT})),
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

    def rewrap(
        self,
        progress: Callable[[int], None] = lambda _: None,
        *,
        also: frozenset[KekState] = frozenset(),
    ) -> int:
        """Re-wrap every live DEK and the index root in the active epoch.

        Args:
            progress: told after each page how many keys it had.
            also: further states of KEKs that may open, for this run: the
                job that drains a compromised epoch names them.

        Returns:
            How many keys were re-wrapped; those that need none are not
            counted.

        Raises:
            KeyUnavailable: an epoch in use may not unwrap.
            CryptoFailure: a DEK does not open.

        """
        return self._rewrapping(progress, also).run(self.secrets())

    def exposed_people(self, until: int) -> int:
        """Count the people whose DEK was made by an instant."""
        asked = (
            select(func.count())
            .select_from(DEK)
            .where(
                DEK.c.tenant == self.tenant,
                DEK.c.state.in_(sorted(OPENS)),
                DEK.c.created_at <= until,
            )
        )
        with self._engine.connect().execution_options(read_only=True) as conn:
            return int(conn.execute(asked).scalar_one())

    def stale(self) -> int:
        """Count the keys that a re-wrap would move."""
        return self._rewrapping(lambda _: None).left()

    def _rewrapping(
        self,
        progress: Callable[[int], None],
        also: frozenset[KekState] = frozenset(),
    ) -> Rewrapping:
        return Rewrapping(
            engine=self._engine,
            provider=self._provider,
            tenant=self.tenant,
            epochs=self.epochs,
            random=self._random,
            progress=progress,
            also=also,
        )

    def next_dek(self, subject: UUID, gen: int, now: int) -> dict[str, object]:
        """Make the row of a person's next DEK, not yet written.

        It counts as settled, so that no recovery takes it for an erasure.
        """
        with self._engine.connect() as conn:
            epoch = self.epochs.active(conn)
        row = self._new_dek(subject, gen, epoch, now)
        return row | {
            "subject": subject,
            "state": DekState.NEXT.value,
            "settled_at": now,
        }

    def _new_dek(
        self, subject: UUID, gen: int, epoch: int, now: int
    ) -> dict[str, object]:
        dek = bytearray(self._random(fmt.KEY))
        try:
            context = fmt.dek_context(self.tenant, subject, gen, epoch, now)
            return {
                "tenant": self.tenant,
                "subject": self._reader.subject(subject),
                "gen": gen,
                "kek_epoch": epoch,
                "state": DekState.LIVE.value,
                "commitment": commitment(self.tenant, subject, gen, dek),
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
                        revision=0,
                    )
                )
                self.epochs.kek_states.seal(conn)
        finally:
            zero(root)

    def drop_log(self) -> None:
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
