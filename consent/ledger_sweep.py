"""The sweep: recompute a ledger from its rows and hold all against all.

Each entry's seal, leaf, side columns and audit part; each tile; the head;
each person's count; each checkpoint's seal, signature and root. It reads in
pages, each in a transaction of its own, so that it can run over millions of
entries beside a writer: what is appended meanwhile is left for the next
sweep.

What the person's row says is known to the person alone; that its bytes are
those that were written is what the seal shows here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import DBAPIError

from consent.checkpoint_store import CheckpointStore, StoredCheckpoint
from consent.compact_range import TILE_HEIGHT, TILE_WIDTH, CompactRange
from consent.entries import EntryKind
from consent.entry_views import AuditBody, read_audit
from consent.errors import EntryUnreadable, LedgerInconsistent
from consent.ledger_keys import SECONDS_A_DAY, EntryFields, LedgerKeys
from consent.ledger_statements import LedgerStatements
from consent.merkle import hash_leaf
from consent.sealing import open_audit
from consent.sequencer import CLOCK_SET, read_edge
from consent.tree import first_entry, split_hashes
from consent.withheld import WithheldEntries

Progress = Callable[[int, int], None]
_PAGE = 1024
_NOTES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedLedger:
    """What a sweep held against each other.

    Attributes:
        size: Number of entries.
        root: Root over them, recomputed.
        erased: How many of them have no openings any more.
        checkpoints: How many signed checkpoints they gave.
        signed: Size of the largest of these; 0 for none.
    """

    size: int
    root: bytes
    erased: int
    checkpoints: int
    signed: int


class Sweep:
    """One run over one ledger; made anew for each.

    Args:
        engine: Where to read.
        keys: The ledger's keys.
        sql: Its statements.
        store: Its checkpoints.
        withheld: What is known of its withheld entries.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        keys: LedgerKeys,
        sql: LedgerStatements,
        store: CheckpointStore,
        withheld: WithheldEntries,
    ) -> None:
        self._withheld = withheld
        self._engine = engine
        self._keys = keys
        self._sql = sql
        self._store = store
        self._edge = CompactRange()
        # The hashes of the tile that is being filled, on each level.
        self._filling: dict[int, list[bytes]] = {0: []}
        self._erased = 0
        self._checkpoints = 0
        self._signed = 0
        # Between these lies the latest time; an erased entry tells its day.
        self._earliest = 0
        self._latest = 0

    def run(self, origin: str, progress: Progress | None) -> VerifiedLedger:
        """Sweep all that is committed now.

        Args:
            origin: The ledger that is expected.
            progress: Called after each page with entries done and in all.

        Returns:
            What was verified.

        Raises:
            LedgerInconsistent: Something was changed; it names the first
                entry touched, or the stored thing that is no entry.

        """
        head, latest = self._head(origin)
        notes = self._notes()
        note = self._hold_note(next(notes, None), notes)
        for row in self._rows(head.size, progress):
            self._entry(row)
            note = self._hold_note(note, notes)
        self._partial_tiles()
        if self._edge.nodes != head.nodes:
            raise LedgerInconsistent(index=None, what="head")
        if latest and not self._earliest <= latest <= self._latest:
            raise LedgerInconsistent(index=None, what="time of the head")
        self._bounds()
        self._once()
        self._people()
        self._known()
        return VerifiedLedger(
            size=head.size,
            root=self._edge.root(),
            erased=self._erased,
            checkpoints=self._checkpoints,
            signed=self._signed,
        )

    def _head(self, origin: str) -> tuple[CompactRange, int]:
        with self._engine.connect() as conn:
            head = conn.execute(self._sql.read_head).one_or_none()
        if head is None:
            return CompactRange(), 0
        edge = read_edge(head.origin, origin, head.size, head.nodes)
        return edge, head.latest

    def _rows(
        self, size: int, progress: Progress | None
    ) -> Iterator[EntryFields]:
        for begin in range(0, size, _PAGE):
            end = min(begin + _PAGE, size)
            with self._engine.connect() as conn:
                rows = _read_page(conn, self._sql, begin, end)
            for index in range(begin, end):
                row = (
                    rows[index - begin] if index - begin < len(rows) else None
                )
                if row is None or row.idx != index:
                    raise LedgerInconsistent(index=index, what="missing")
                yield self._sealed(row)
            if progress is not None:
                progress(end, size)

    def _sealed(self, row: Row[*tuple[Any, ...]]) -> EntryFields:
        fields = EntryFields(*row[:8])
        self._keys.check_entry(fields, row.seal)
        return fields

    def _entry(self, row: EntryFields) -> None:
        if row.audit is None:
            self._erased += 1
            begin = row.day * SECONDS_A_DAY
            self._time(begin, begin + SECONDS_A_DAY - 1)
        else:
            self._hold_audit(row, row.audit)
        hashed = hash_leaf(row.leaf)
        self._fill(0, row.idx, hashed)
        for level, position, root in self._edge.append(hashed):
            self._fill(level, position, root)

    def _hold_audit(self, row: EntryFields, sealed: bytes) -> None:
        cipher = self._keys.audit(row.day)
        try:
            opening = open_audit(cipher, sealed, index=row.idx, leaf=row.leaf)
        except EntryUnreadable:
            raise LedgerInconsistent(index=row.idx, what="audit") from None
        body = read_audit(opening.body)
        stated = (body.service, body.purpose, body.at // SECONDS_A_DAY)
        if stated != (row.service, row.purpose, row.day):
            raise LedgerInconsistent(index=row.idx, what="side columns")
        if body.kind is EntryKind.RECOVERY and body.outcome == CLOCK_SET:
            self._earliest = self._latest = body.at
        self._time(body.at, body.at)
        if body.withheld is not None:
            self._hold_withheld(row)
        if body.kind is EntryKind.VISIBILITY and body.outcome == "lifted":
            self._hold_lifted(row, body)

    def _time(self, earliest: int, latest: int) -> None:
        self._earliest = max(self._earliest, earliest)
        self._latest = max(self._latest, latest)

    def _hold_withheld(self, row: EntryFields) -> None:
        """Demand that a withheld entry stands in the queue, or stood."""
        with self._engine.connect() as conn:
            held = self._withheld.of_leaf(conn, row.leaf)
            if held is None and self._is_erased(conn, row.idx):
                return
        if held is None or held.tag != row.tag:
            raise LedgerInconsistent(index=row.idx, what="withheld unknown")

    def _hold_lifted(self, row: EntryFields, body: AuditBody) -> None:
        """Demand that what an act lifted was not hidden again."""
        name = body.detail.get("entry")
        with self._engine.connect() as conn:
            where = {"at_place": UUID(str(name)).bytes}
            found = conn.execute(self._sql.read_withheld, where).one_or_none()
        # No row: the person was erased since; `_hold_withheld` knows.
        if found is not None and not found.opened:
            raise LedgerInconsistent(index=row.idx, what="hidden again")

    def _is_erased(self, conn: Connection, index: int) -> bool:
        where = {"at_index": index}
        row = conn.execute(self._sql.read_entry, where).one_or_none()
        return row is not None and row.audit is None

    def _fill(self, level: int, position: int, root: bytes) -> None:
        tile = self._filling.setdefault(level, [])
        tile.append(root)
        if len(tile) == TILE_WIDTH:
            self._hold_tile(level, position // TILE_WIDTH, tile)
            tile.clear()

    def _partial_tiles(self) -> None:
        """Hold the tiles that still grow; of level 0 none is stored."""
        for level, tile in self._filling.items():
            if level and tile:
                done = self._edge.size >> (TILE_HEIGHT * level)
                self._hold_tile(level, done // TILE_WIDTH, tile)

    def _hold_tile(self, level: int, number: int, tile: list[bytes]) -> None:
        where = {"at_level": level, "at_number": number}
        with self._engine.connect() as conn:
            row = conn.execute(self._sql.read_tile, where).one_or_none()
        what, first = f"tile {level}/{number}", first_entry(level, number)
        if row is None:
            raise LedgerInconsistent(index=first, what=what)
        # It may have grown since this sweep began, and only grown.
        grown = (row.size >> (TILE_HEIGHT * level)) - number * TILE_WIDTH
        found = split_hashes(row.hashes)
        for position, root in enumerate(tile):
            if found[position : position + 1] != [root]:
                index = first + (position << (TILE_HEIGHT * level))
                raise LedgerInconsistent(index=index, what=what)
        if len(found) != min(grown, TILE_WIDTH):
            raise LedgerInconsistent(index=first, what=what)

    def _notes(self) -> Iterator[StoredCheckpoint]:
        after = -1
        while True:
            with self._engine.connect() as conn:
                page = self._store.page(conn, after=after, limit=_NOTES)
            if not page:
                return
            yield from page
            after = page[-1].size

    def _hold_note(
        self,
        note: StoredCheckpoint | None,
        notes: Iterator[StoredCheckpoint],
    ) -> StoredCheckpoint | None:
        """Hold a checkpoint of the present size; return the next one."""
        if note is None or note.size != self._edge.size:
            return note
        if note.root != self._edge.root():
            # No row gives itself away: whoever wrote it had the keys. It
            # stands between this checkpoint and the one before.
            what = f"entries that the checkpoint of {note.size} covers"
            raise LedgerInconsistent(index=self._signed, what=what)
        self._checkpoints += 1
        self._signed = note.size
        return next(notes, None)

    def _bounds(self) -> None:
        with self._engine.connect() as conn:
            found = conn.execute(self._sql.bounds).one()
        size = found.size or 0
        if (found.signed or 0) > size:
            what = f"missing, the checkpoint of {found.signed} covers it"
            raise LedgerInconsistent(index=size, what=what)
        if size and (found.first, found.last) != (0, size - 1):
            raise LedgerInconsistent(index=found.last, what="beyond the head")
        if not size and found.last is not None:
            raise LedgerInconsistent(index=found.first, what="beyond the head")
        if found.tiles != _tiles_of(size):
            raise LedgerInconsistent(index=None, what="rows beyond the tree")

    def _once(self) -> None:
        with self._engine.connect() as conn:
            twice = conn.execute(self._sql.leaves_twice).scalar()
        if twice is not None:
            raise LedgerInconsistent(index=twice, what="entry stands twice")

    def _known(self) -> None:
        """Open all that is known of withheld entries, and find each one."""
        after = b""
        while True:
            with self._engine.connect() as conn:
                page = self._withheld.page(conn, after, _NOTES)
                for held in page:
                    where = {"of_leaf": held.leaf, "of_tag": held.tag}
                    if self._is_there(conn, where):
                        continue
                    if self._withheld.of_leaf(conn, held.leaf) is not None:
                        what = "withheld entry that does not exist"
                        raise LedgerInconsistent(index=None, what=what)
            if not page:
                return
            after = page[-1].id.bytes

    def _is_there(self, conn: Connection, where: dict[str, bytes]) -> bool:
        """Say whether a chain has a leaf, numbered or pending."""
        return any(
            conn.execute(statement, where).first() is not None
            for statement in (self._sql.place_of_leaf, self._sql.waiting_leaf)
        )

    def _people(self) -> None:
        with self._engine.connect() as conn:
            last = conn.execute(self._sql.people_amiss).scalar()
            stray = conn.execute(self._sql.people_without).scalar_one()
            loose = conn.execute(self._sql.links_amiss).scalar()
        if loose is not None:
            what = "link to the entry before"
            raise LedgerInconsistent(index=loose, what=what)
        if last is not None:
            raise LedgerInconsistent(index=last, what="count of a person")
        if stray:
            raise LedgerInconsistent(index=None, what="count of nobody")


def _read_page(
    conn: Connection, sql: LedgerStatements, begin: int, end: int
) -> list[Row[*tuple[Any, ...]]]:
    """Read rows; one that the driver cannot even decode is named."""
    try:
        within = {"begin": begin, "end": end}
        return list(conn.execute(sql.read_entries, within))
    except (TypeError, ValueError, DBAPIError) as error:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise
        if end - begin == 1:
            raise LedgerInconsistent(index=begin, what="row") from None
    middle = (begin + end) // 2
    return _read_page(conn, sql, begin, middle) + _read_page(
        conn, sql, middle, end
    )


def _tiles_of(size: int) -> int:
    """Count the tiles that are stored for a tree of a size."""
    tiles, above = size // TILE_WIDTH, size >> TILE_HEIGHT
    while above:
        tiles += -(-above // TILE_WIDTH)
        above >>= TILE_HEIGHT
    return tiles
