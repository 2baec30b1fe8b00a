"""Pending entries: durable at once, with an index a moment later.

Where several workers serve one ledger, none of them waits for the head row.
Under the lock of the people concerned a worker fixes each entry's leaf,
counter and previous leaf, and writes a pending row. Whoever holds the head
gives pending rows their index, in the order of their numbers; a row's number
is drawn under its person's lock, so that order keeps each chain.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row

from consent.compact_range import CompactRange
from consent.composing import Chain, Composed
from consent.entries import Draft
from consent.errors import LedgerInconsistent
from consent.ledger_keys import EntryFields, LedgerKeys
from consent.ledger_statements import LedgerStatements
from consent.sequencer import Batch, write_chains

_PAGE = 512


class PendingBatch(Batch):
    """A batch whose entries get their index later. See `Batch`."""

    def reload(self) -> None:
        """Forget what is not flushed; read the latest time of an entry.

        Raises:
            LedgerInconsistent: The head row is of another ledger.

        """
        head = self._conn.execute(self._sql.read_head).one_or_none()
        if head is not None and head.origin != self._origin:
            raise LedgerInconsistent(index=None, what="head of another ledger")
        self._edge = CompactRange()
        self._latest = 0 if head is None else head.latest
        self._chains = {}
        self._clear()

    def flush(self) -> None:
        """Write what was added into the transaction."""
        if not self._entries:
            return
        conn, sql = self._conn, self._sql
        sql.write(conn, sql.add_pending, self._entries)
        if self._withheld:
            conn.exec_driver_sql(sql.add_withheld, self._withheld)
        write_chains(conn, sql, self._chains.values(), numbered=False)
        self._clear()

    def _demand_order(self, chains: Iterable[Chain]) -> None:
        """Leave what is pending in a chain: this comes after it anyway."""

    def _place(
        self, entry: Composed, draft: Draft, _chain: Chain | None
    ) -> None:
        """Give an entry no index yet."""
        row = (*entry, draft.at, seal_pending(self._keys, entry, draft.at))
        self._entries.append(row)


def integrate(
    conn: Connection, batch: Batch, sql: LedgerStatements, keys: LedgerKeys
) -> int:
    """Give every pending row that is committed its index.

    Args:
        conn: Where the transaction runs, which holds the head's lock.
        batch: Of this transaction.
        sql: The ledger's statements.
        keys: Its keys.

    Returns:
        How many entries got their index.

    Raises:
        LedgerInconsistent: A pending row was changed.

    """
    done = 0
    lasts: dict[bytes, int | None] = {}
    while rows := conn.execute(sql.read_pending, {"most": _PAGE}).all():
        entries = [(_checked(row, keys), row.at) for row in rows]
        lasts = _lasts(conn, sql, [one for one, _ in entries]) | lasts
        for entry, at in entries:
            before = lasts.get(entry.tag) if entry.tag else None
            index = batch.take(entry, at, before)
            if entry.tag:
                lasts[entry.tag] = index
        batch.flush()
        conn.execute(
            sql.drop_pending, [{"at_number": row.number} for row in rows]
        )
        done += len(rows)
    # Of all pages at once, in the order in which whoever adds to these
    # chains writes their rows: else two would wait for each other.
    moved = [(lasts[tag], tag) for tag in sorted(lasts)]
    if moved:
        conn.exec_driver_sql(sql.move_last, moved)
    return done


def _lasts(
    conn: Connection, sql: LedgerStatements, entries: Sequence[Composed]
) -> dict[bytes, int | None]:
    """Read where the chains of pending entries end so far."""
    tags = sorted({entry.tag for entry in entries if entry.tag})
    found = sql.read_people(conn, tags) if tags else []
    return {tag: last for tag, _, _, _, last in found}


def seal_pending(keys: LedgerKeys, entry: Composed, at: int) -> bytes:
    """Compute the seal over a pending row: of an index that none has."""
    return keys.seal_entry(EntryFields(-1 - at, *entry))


def _checked(row: Row[*tuple[Any, ...]], keys: LedgerKeys) -> Composed:
    entry = Composed(
        leaf=row.leaf,
        tag=row.tag,
        service=row.service,
        purpose=row.purpose,
        day=row.day,
        own=row.own,
        audit=row.audit,
    )
    try:
        keys.check_entry(EntryFields(-1 - row.at, *entry), row.seal)
    except (LedgerInconsistent, TypeError):
        what = f"pending row {row.number}"
        raise LedgerInconsistent(index=None, what=what) from None
    return entry
