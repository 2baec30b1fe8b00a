"""Giving people new DEKs, and sealing what is theirs anew under them.

For people whose DEK a compromised KEK has wrapped, re-wrapping is not
enough: whoever has the KEK and an old copy of the keys database has the DEK.
One page of people at a time:

1. each gets a *next* DEK, one generation up, committed in the keys database;
2. one data transaction seals values, history and state under it, and tells
   the caller, who moves what hangs on the log key in the same transaction;
3. the next DEK becomes live, the reasons of legal holds, which are beside
   it, move with it, and the old one is overwritten and removed.

After a crash at any point the next run goes on: the person's state says
under which of the two it stands. A reader between 2 and 3 takes the DEK of
the generation that the stored values name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from vault import format as fmt
from vault.deks import StoredDek
from vault.envelope import SubjectKeys
from vault.errors import CryptoFailure
from vault.holds import reseal_reasons, with_holds
from vault.keystore import KeyStore
from vault.notes import NoteBox
from vault.rows import DataRows, Stored
from vault.tables import DEK, HISTORY, OPENS, VALUE, DekState

PAGE = 100
Moved = Callable[[Connection, UUID, bytes, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekeyed:
    """What a run did.

    Attributes:
        people: how many have a new DEK.
        refused: whose record does not verify; they keep the old DEK.

    """

    people: int
    refused: tuple[UUID, ...]


class Rekeying:
    """One run over one tenant's people.

    Args:
        data: the data database.
        engine: the keys database.
        rows: of the data database.
        keys: wrapped keys.
        clock: gives POSIX seconds.
        random: as ``os.urandom``.
        begin: called first in each data transaction, for the caller's lock.
        moved: called for each person in the transaction that seals them
            anew, with id, old and new log key.
        progress: told after each page how many people it had.

    """

    def __init__(
        self,
        *,
        data: Engine,
        engine: Engine,
        rows: DataRows,
        keys: KeyStore,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
        begin: Callable[[Connection], None],
        moved: Moved,
        progress: Callable[[int], None],
    ) -> None:
        self._data = data
        self._engine = engine
        self._rows = rows
        self._keys = keys
        self._clock = clock
        self._random = random
        self._begin = begin
        self._moved = moved
        self._progress = progress
        self._refused: list[UUID] = []

    def run(self, until: int) -> Rekeyed:
        """Give a new DEK to everybody whose own was made by an instant."""
        done, after = 0, UUID(int=0)
        while page := self._exposed(after, until):
            self._plan(page, until)
            sealed = [one for one in page if self._seal(one)]
            done += self._promote(sealed)
            self._progress(len(page))
            after = page[-1]
        self._keys.drop_log()
        return Rekeyed(people=done, refused=tuple(self._refused))

    def _exposed(self, after: UUID, until: int) -> list[UUID]:
        asked = (
            select(DEK.c.subject)
            .where(
                DEK.c.tenant == self._keys.tenant,
                DEK.c.subject > after,
                DEK.c.state.in_(sorted(OPENS)),
                DEK.c.created_at <= until,
            )
            .order_by(DEK.c.subject)
            .limit(PAGE)
        )
        with self._engine.connect().execution_options(read_only=True) as conn:
            return list(conn.execute(asked).scalars())

    def _plan(self, page: list[UUID], until: int) -> None:
        """Commit a next DEK for whoever has none yet."""
        now = max(self._clock(), until + 1)
        deks = self._keys.many(page)
        rows = [
            self._keys.next_dek(subject, deks[subject].wrapped.gen + 1, now)
            for subject in page
            if subject in deks and deks[subject].rival is None
        ]
        if not rows:
            return
        try:
            with self._engine.begin() as conn:
                conn.execute(insert(DEK), rows)
        except IntegrityError:
            # Another run planned some of these; each is then looked at
            # alone, and a person without a next DEK waits for the next run.
            return

    def _seal(self, subject: UUID) -> bool:
        """Seal one person anew, unless that was done; say if it stands."""
        with self._data.begin() as conn:
            self._begin(conn)
            self._rows.states(conn, [subject], lock=True)
            dek = self._keys.many([subject]).get(subject)
            if dek is None or dek.rival is None or dek.state not in OPENS:
                return False  # erased meanwhile, or done by another run
            stored = self._rows.many(conn, [subject])[subject]
            try:
                with (
                    self._keys.open(dek) as old,
                    self._keys.open(dek.rival) as new,
                ):
                    if _stands(new, stored):
                        return True
                    self._reseal(conn, old, new, stored)
                    self._moved(conn, subject, old.log_key(), new.log_key())
            except CryptoFailure:
                conn.rollback()
                self._refused.append(subject)
                return False
            return True

    def _reseal(
        self,
        conn: Connection,
        old: SubjectKeys,
        new: SubjectKeys,
        stored: Stored,
    ) -> None:
        subject = new.subject
        history = self._rows.history(conn, subject)
        if stored.epoch or stored.values:
            code, manifest = fmt.split_state(stored.state)
            old.check_state(stored.epoch, manifest, code)
            if manifest != fmt.manifest_of(stored.values):
                raise CryptoFailure(subject)
        entries = []
        for table, rows in ((VALUE, stored.values), (HISTORY, history)):
            for row in rows:
                place, version, sealed = row
                fresh = new.reseal(
                    old, (place, version, sealed), self._random(fmt.NONCE)
                )
                if table is VALUE:
                    entries.append((place, version, fresh[-fmt.TAG :]))
                conn.execute(
                    update(table)
                    .where(
                        table.c.tenant == self._keys.tenant,
                        table.c.subject == subject,
                        table.c.attribute == place,
                        table.c.version == version,
                    )
                    .values(sealed=fresh)
                )
        if not stored.epoch:
            return
        manifest = fmt.write_manifest(entries)
        epoch = stored.epoch + 1
        row_: dict[str, Any] = {
            "tenant": self._keys.tenant,
            "who": self._rows.reader.subject(subject),
            "old": stored.epoch,
            "new": epoch,
            "cipher": new.state_mac(epoch, manifest) + manifest,
        }
        if not self._rows.set_states(conn, [row_]):
            raise CryptoFailure(subject)

    def _promote(self, page: list[UUID]) -> int:
        """Make next DEKs live; overwrite and remove those before them."""
        done = 0
        deks = self._keys.many(page)
        with self._engine.begin() as conn:
            held = with_holds(conn, self._keys.tenant, page)
            for subject in page:
                dek = deks.get(subject)
                if dek is not None and dek.rival is not None:
                    if subject in held:
                        self._move_reasons(conn, dek, dek.rival)
                    done += self._replace(conn, dek, dek.rival)
        return done

    def _move_reasons(
        self, conn: Connection, dek: StoredDek, rival: StoredDek
    ) -> None:
        with self._keys.open(dek) as old, self._keys.open(rival) as new:
            reseal_reasons(
                conn,
                self._keys.tenant,
                dek.wrapped.subject,
                NoteBox(old.log_key(), random=self._random),
                NoteBox(new.log_key(), random=self._random),
            )

    def _replace(
        self, conn: Connection, dek: StoredDek, rival: StoredDek
    ) -> bool:
        mine = (
            DEK.c.tenant == self._keys.tenant,
            DEK.c.subject == dek.wrapped.subject,
        )
        # Overwritten first: a page that is freed keeps what it held where
        # the database does not clear it. An erasure that began wins.
        old = (*mine, DEK.c.gen == dek.wrapped.gen, DEK.c.state == dek.state)
        over = (
            update(DEK)
            .where(*old)
            .values(blob=bytes(fmt.WRAPPED), commitment=bytes(32))
        )
        if conn.execute(over).rowcount != 1:
            return False
        conn.execute(delete(DEK).where(*old))
        conn.execute(
            update(DEK)
            .where(
                *mine,
                DEK.c.gen == rival.wrapped.gen,
                DEK.c.state == DekState.NEXT,
            )
            .values(state=dek.state, settled_at=None)
        )
        return True


def _stands(keys: SubjectKeys, stored: Stored) -> bool:
    """Say whether a record is sealed under these keys already."""
    if not stored.epoch:
        return False
    code, manifest = fmt.split_state(stored.state)
    try:
        keys.check_state(stored.epoch, manifest, code)
    except CryptoFailure:
        return False
    return True
