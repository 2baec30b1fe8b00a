"""Both databases held against the erasure journal, and brought up to it.

Finishing what a crash interrupted, carrying an erasure out once more after a
restore, and telling whether a database was put back from a copy: everything
here may be done again without harm.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from uuid import UUID

from sqlalchemy import Connection, Engine, select

from vault.journal import Position
from vault.keystore import KeyStore
from vault.marks import move_mark, read_mark
from vault.rows import DataRows
from vault.tables import (
    CANDIDATE,
    DATA_MARK,
    INDEX,
    KEYS_MARK,
    RETENTION,
    SUBJECT,
    VALUE,
    DekState,
)

_CHUNK = 500


class Custody:
    """One tenant's two databases, as erasures see them.

    Args:
        data: the data database.
        keys: the keys database's store.
        rows: the data database's rows.

    """

    def __init__(
        self, *, data: Engine, keys: KeyStore, rows: DataRows
    ) -> None:
        self._data = data
        self._keys = keys
        self._rows = rows

    def state(self, subject: UUID) -> DekState | None:
        """Say what a person's key is; None for nobody's."""
        found = self._keys.many([subject]).get(subject)
        return None if found is None else DekState(found.state)

    def kek_epoch(self, subject: UUID) -> int:
        """Say which KEK wraps, or wrapped, a person's key; 0 for nobody's."""
        found = self._keys.many([subject]).get(subject)
        return 0 if found is None else found.wrapped.kek_epoch

    def destroyed_at(self, subject: UUID) -> int:
        """Say when a person's key was destroyed, POSIX seconds; 0 if not."""
        return self._keys.destroyed_at(subject)

    def drop_logs(self) -> None:
        """Empty SQLite's write-ahead logs of what was overwritten.

        Where a reader is in the way, the next checkpoint does it.
        """
        self._keys.drop_log()
        if self._data.dialect.name != "sqlite":
            return
        with closing(self._data.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.fetchall()
            cursor.close()

    def unsettled(self) -> list[tuple[UUID, DekState]]:
        """List erasures that nobody has seen through yet."""
        return self._keys.unsettled()

    def settle(self, subjects: Iterable[UUID]) -> None:
        """Note that nothing of these people is left."""
        self._keys.settle(subjects)

    def delete_rows(self, conn: Connection, subject: UUID) -> int:
        """Delete everything that the vault holds of a person; count it."""
        return sum(self._rows.delete(conn, subject))

    def destroy(self, subject: UUID) -> bool:
        """Destroy a person's key, whatever its state; say if it was there."""
        return self._keys.destroy_again(subject)

    def erased(self) -> Iterator[UUID]:
        """List everybody whose key is gone or going."""
        return self._keys.erased()

    def survivors(self, subjects: Sequence[UUID]) -> list[str]:
        """Name the databases that still hold any of these erased people."""
        found = []
        for start in range(0, len(subjects), _CHUNK):
            chunk = subjects[start : start + _CHUNK]
            deks = self._keys.many(chunk)
            if any(one.state != DekState.DESTROYED for one in deks.values()):
                found.append("keys")
            if self._any_rows(chunk):
                found.append("data")
        return sorted(set(found))

    def leftovers(self, conn: Connection, subject: UUID) -> bool:
        """Say whether the data database has a row of a person."""
        return self._rows_in(conn, [subject])

    def marks(self) -> dict[str, Position]:
        """Read what each database knows of the journal, by its name."""
        found = {}
        for name, engine, table in (
            ("data", self._data, DATA_MARK),
            ("keys", self._keys.engine, KEYS_MARK),
        ):
            with engine.connect().execution_options(read_only=True) as conn:
                mark = read_mark(conn, table, self._keys.tenant)
            if mark is not None:
                found[name] = mark
        return found

    def mark(self, position: Position) -> None:
        """Let both databases know how far the journal has come."""
        known = self.marks()
        for name, engine, table in (
            ("data", self._data, DATA_MARK),
            ("keys", self._keys.engine, KEYS_MARK),
        ):
            mark = known.get(name)
            if mark is None or mark.number < position.number:
                with engine.begin() as conn:
                    move_mark(conn, table, self._keys.tenant, position)

    def mark_data(self, conn: Connection, position: Position) -> None:
        """Let the data database know, in the caller's transaction."""
        move_mark(conn, DATA_MARK, self._keys.tenant, position)

    def _any_rows(self, subjects: Sequence[UUID]) -> bool:
        with self._data.connect().execution_options(read_only=True) as conn:
            return self._rows_in(conn, subjects)

    def _rows_in(self, conn: Connection, subjects: Sequence[UUID]) -> bool:
        for table in (SUBJECT, VALUE, INDEX, CANDIDATE, RETENTION):
            asked = (
                select(table.c.subject)
                .where(
                    table.c.tenant == self._keys.tenant,
                    table.c.subject.in_(subjects),
                )
                .limit(1)
            )
            if conn.execute(asked).first() is not None:
                return True
        return False
