"""The reading half of the ledger: proofs, views, and the sweep.

Reads run in short transactions of their own and see only what is committed.
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine

from consent.chains import rows_of
from consent.checkpoint_store import CheckpointStore, StoredCheckpoint
from consent.compact_range import CompactRange
from consent.entries import EntryKind, Opened
from consent.entry_views import AuditEntry, OwnEntry, read_audit, read_own
from consent.errors import UnknownEntry
from consent.ledger_keys import EntryFields, LedgerKeys, PersonKeys
from consent.ledger_proofs import consistency_document
from consent.ledger_statements import LedgerStatements
from consent.ledger_sweep import Progress, Sweep, VerifiedLedger
from consent.merkle import EMPTY_ROOT, consistency_proof, inclusion_proof
from consent.publishing import Publication
from consent.sealing import open_audit, open_own
from consent.sequencer import read_edge
from consent.tree import StoredTree, UpperTiles
from consent.withheld import Held, WithheldEntries, YearlyCount, told_up_to

_EPOCH = date(1970, 1, 1)
_END = 2**63 - 1


class LedgerReader:
    """What can be read of a ledger. `Ledger` is what is constructed.

    Args:
        engine: The data database.
        origin: The ledger's name.
        keys: Its keys.
        sql: Its statements.
        checkpoints: Its checkpoints.
        publication: How they are shown.
        withheld: What is known of its withheld entries.
        clock: POSIX seconds, now.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        origin: str,
        keys: LedgerKeys,
        sql: LedgerStatements,
        checkpoints: CheckpointStore,
        publication: Publication,
        withheld: WithheldEntries,
        clock: Callable[[], int],
    ) -> None:
        self.engine = engine
        self.origin = origin
        self._reading = engine.execution_options(read_only=True)
        self._keys = keys
        self._sql = sql
        self._checkpoints = checkpoints
        self.publication = publication
        self._withheld = withheld
        self._clock = clock
        self._upper = UpperTiles()

    def size(self) -> int:
        """Return the number of committed entries."""
        with self._reading.connect() as conn:
            return self._size(conn)

    def root_at(self, size: int) -> bytes:
        """Compute the root over the first entries, from what is stored.

        Args:
            size: Number of entries; at most the present one.

        Returns:
            32 bytes.

        Raises:
            UnknownEntry: There are not as many.
            LedgerInconsistent: The stored tree is broken.

        """
        if not size:
            return EMPTY_ROOT
        with self._reading.connect() as conn:
            return self._tree(conn, size).subtree(0, size)

    def checkpoints(
        self, *, after: int = -1, limit: int = 100
    ) -> list[StoredCheckpoint]:
        """List signed checkpoints, smallest first.

        Args:
            after: Only those of more entries than this.
            limit: At most so many.

        Returns:
            The checkpoints.

        """
        with self._reading.connect() as conn:
            return self._checkpoints.page(conn, after=after, limit=limit)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Prove that an entry stands in the ledger of a size.

        Args:
            index: Position of the entry.
            size: Number of entries; at most the present one.

        Returns:
            The proof, the leaf's sibling first.

        Raises:
            UnknownEntry: There is no such entry or size.
            LedgerInconsistent: The stored tree is broken.

        """
        with self._reading.connect() as conn:
            return self._inclusion(conn, index, size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Prove that the ledger only grew between two sizes.

        Args:
            old: The smaller size, at least 1.
            new: The larger size; at most the present one.

        Returns:
            The proof of RFC 9162 section 2.1.4.

        Raises:
            UnknownEntry: There is no such size.
            LedgerInconsistent: The stored tree is broken.

        """
        with self._reading.connect() as conn:
            return self._consistency(conn, old, new)

    def consistency_file(self, old: int, new: int) -> str:
        """Write a proof between two signed checkpoints, for offline use.

        Args:
            old: Size of the earlier checkpoint, at least 1.
            new: Size of the later one.

        Returns:
            A JSON text that the stand-alone verifier takes.

        Raises:
            UnknownEntry: No checkpoint of such a size was signed.

        """
        with self._reading.connect() as conn:
            first = self._checkpoints.of_size(conn, old)
            second = self._checkpoints.of_size(conn, new)
            proof = self._consistency(conn, old, new)
            shown = self.publication.of(conn, first)
            later = self.publication.of(conn, second)
        return consistency_document(shown.note, later.note, proof)

    def own_entries(
        self, log_key: bytes, *, before: int | None = None, limit: int = 50
    ) -> list[OwnEntry]:
        """Show a person the entries about them, the latest first.

        Args:
            log_key: The person's.
            before: Only entries below this index: the last one of the page
                before.
            limit: At most so many.

        Returns:
            The entries.

        Raises:
            EntryUnreadable: A stored entry was changed.

        """
        ceiling = _END if before is None else before
        second = self._keys.second(log_key)
        with self._reading.connect() as conn:
            own = self._first_chain(conn, log_key, ceiling, limit)
            opened = self._withheld.opened(conn, second.tag)
            told = told_up_to(opened)
            lifted = [
                self._own_entry(conn, second, place, told)
                for place in _latest(opened, ceiling, limit)
            ]
        merged = sorted(own + lifted, key=lambda entry: -entry.index)
        return merged[:limit]

    def acts(
        self, conn: Connection, log_key: bytes, kinds: Collection[EntryKind]
    ) -> Iterator[tuple[UUID, OwnEntry]]:
        """Read a person's entries of some kinds, the oldest first.

        What is withheld from the person is not among them, and what is
        pending is not yet. Whether entries are missing is for `verify`.

        Args:
            conn: The transaction to read in.
            log_key: The person's.
            kinds: Of which kinds; of others nothing but that is opened.

        Yields:
            The record that an entry names, and the entry.

        Raises:
            EntryUnreadable: A stored entry was changed.

        """
        keys = self._keys.person(log_key)
        for rows in rows_of(conn, self._sql, keys.tag):
            for row in rows:
                audit = open_audit(
                    self._keys.audit(row.day),
                    row.audit or b"",
                    index=row.idx,
                    leaf=row.leaf,
                )
                if read_audit(audit.body).kind in kinds:
                    opened = self._opened(keys, row)
                    named = json.loads(opened.subject_body)["subject"]
                    yield UUID(named), read_own(row.idx, row.leaf, opened)

    def has_due(self, log_key: bytes) -> bool:
        """Say whether a delayed entry's date has passed, not yet noted.

        Args:
            log_key: The person's.

        Returns:
            Whether `Ledger.open_due` would disclose something.

        """
        tag = self._keys.second(log_key).tag
        with self._reading.connect() as conn:
            return bool(self._withheld.due(conn, tag, self._now(conn)))

    def review(self) -> list[Held]:
        """List what is not disclosed, the most overdue first.

        Returns:
            The withheld entries.

        """
        with self._reading.connect() as conn:
            return self._withheld.queue(conn)

    def yearly_counts(self) -> list[YearlyCount]:
        """Count by year what the body has not disclosed: for everybody.

        Returns:
            One count a year that has ended, with a minimum cell.

        """
        with self._reading.connect() as conn:
            return self._withheld.counts(conn, self._now(conn))

    def audit_entries(
        self,
        *,
        service: str | None = None,
        purpose: str | None = None,
        day_from: date | None = None,
        day_to: date | None = None,
        about_nobody: bool = False,
        few: bool = False,
        after: int = -1,
        limit: int = 50,
        conn: Connection | None = None,
    ) -> list[AuditEntry]:
        """Show the officer entries, the oldest first.

        Args:
            service: Only of this service.
            purpose: Only of this purpose.
            day_from: Only from this day on.
            day_to: Only up to this day, itself included.
            about_nobody: Only those that concern no person, or none any
                more.
            few: Whether few are asked for, among many. Without it, whoever
                wants a first page waits for no other; with it, the cost is
                of those that there are.
            after: Only entries above this index: the last one of the page
                before.
            limit: At most so many.
            conn: The transaction to read in; whoever has one would wait for
                another connection while keeping their own. None reads what
                is committed.

        Returns:
            The entries; an erased one has no body.

        Raises:
            LedgerInconsistent: A stored entry was changed.
            EntryUnreadable: A stored entry was changed.

        """
        query = self._sql.audit_query(
            service=service,
            purpose=purpose,
            day_from=None if day_from is None else (day_from - _EPOCH).days,
            day_to=None if day_to is None else (day_to - _EPOCH).days,
            about_nobody=about_nobody,
            few=few,
            after=after,
            limit=limit,
        )
        with (
            self._reading.connect() if conn is None else nullcontext(conn)
        ) as reading:
            rows = reading.execute(query).all()
            found = [self._audit_entry(row[:8], row.seal) for row in rows]
            return [self._with_visibility(reading, entry) for entry in found]

    def mark(self, subject: UUID, at: int) -> str:
        """Compute the mark that a month's audit entries of a person bear.

        Args:
            subject: The person.
            at: An instant within the month, POSIX seconds.

        Returns:
            32 hexadecimal digits.

        """
        return self._keys.mark(subject, at)

    def tag(self, log_key: bytes) -> bytes:
        """Compute the tag by which a person's entries are found.

        It is random to whoever lacks the log key. A journal of erasures
        keeps it, since after an erasure it cannot be computed again.

        Args:
            log_key: The person's.

        Returns:
            16 bytes.

        """
        return self._keys.person(log_key).tag

    def verify(self, progress: Progress | None = None) -> VerifiedLedger:
        """Recompute the whole ledger from what is stored.

        Args:
            progress: Called now and then with entries done and in all.

        Returns:
            What was verified.

        Raises:
            LedgerInconsistent: Something was changed; it names the first
                entry touched.

        """
        sweep = Sweep(
            self._reading,
            keys=self._keys,
            sql=self._sql,
            store=self._checkpoints,
            withheld=self._withheld,
        )
        return sweep.run(self.origin, progress)

    def _now(self, conn: Connection) -> int:
        """Tell the time, but never an earlier one than an entry's."""
        head = conn.execute(self._sql.read_head).one_or_none()
        return max(self._clock(), 0 if head is None else head.latest)

    def _first_chain(
        self, conn: Connection, log_key: bytes, before: int, limit: int
    ) -> list[OwnEntry]:
        keys = self._keys.person(log_key)
        where = {"of_tag": keys.tag, "before": before, "most": limit}
        return [
            read_own(
                row.idx,
                row.leaf,
                self._opened(keys, EntryFields(*row[:8])),
            )
            for row in conn.execute(self._sql.own_entries, where)
        ]

    def _own_entry(
        self, conn: Connection, keys: PersonKeys, index: int, told: int
    ) -> OwnEntry:
        row = self._row(conn, index)
        return read_own(index, row.leaf, self._opened(keys, row), told=told)

    def _opened(self, keys: PersonKeys, row: EntryFields) -> Opened:
        return open_own(
            keys.cipher,
            row.own or b"",
            day=self._keys.audit(row.day),
            audit=row.audit or b"",
            index=row.idx,
            leaf=row.leaf,
        )

    def _with_visibility(
        self, conn: Connection, entry: AuditEntry
    ) -> AuditEntry:
        if entry.body is None or entry.body.withheld is None:
            return entry
        held = self._withheld.of_leaf(conn, entry.leaf)
        # Without a row: `verify` names it. It is shown as it was made.
        visibility = (held or entry.body.withheld).visibility
        return replace(entry, visibility=visibility)

    def _size(self, conn: Connection) -> int:
        return self._edge(conn).size

    def _edge(self, conn: Connection) -> CompactRange:
        head = conn.exec_driver_sql(self._sql.head_now).one_or_none()
        if head is None:
            return CompactRange()
        origin, size, nodes = head
        return read_edge(origin, self.origin, size, bytes(nodes))

    def _row(self, conn: Connection, index: int) -> EntryFields:
        where = {"at_index": index}
        row = conn.execute(self._sql.read_entry, where).one_or_none()
        if row is None:
            msg = f"the ledger has no entry {index}"
            raise UnknownEntry(msg)
        return EntryFields(*row[:8])

    def _tree(
        self, conn: Connection, size: int, upper: UpperTiles | None = None
    ) -> StoredTree:
        present = self._size(conn)
        if not 0 < size <= present:
            msg = f"the ledger has {present} entries, not {size}"
            raise UnknownEntry(msg)
        return StoredTree(conn, self._sql, present, upper)

    def _inclusion(
        self, conn: Connection, index: int, size: int
    ) -> list[bytes]:
        tree = self._tree(conn, size, self._upper)
        if not 0 <= index < size:
            msg = f"a ledger of {size} has no entry {index}"
            raise UnknownEntry(msg)
        return inclusion_proof(index, size, tree.subtree)

    def _consistency(
        self, conn: Connection, old: int, new: int
    ) -> list[bytes]:
        tree = self._tree(conn, new, self._upper)
        if not 0 < old <= new:
            msg = f"no consistency proof leads from {old} to {new}"
            raise UnknownEntry(msg)
        return consistency_proof(old, new, tree.subtree)

    def _audit_entry(
        self, fields: Sequence[object], seal: bytes
    ) -> AuditEntry:
        row = EntryFields(*fields)  # type: ignore[arg-type]  # the columns in order
        self._keys.check_entry(row, seal)
        body = None
        if row.audit is not None:
            cipher = self._keys.audit(row.day)
            body = read_audit(
                open_audit(
                    cipher, row.audit, index=row.idx, leaf=row.leaf
                ).body
            )
        return AuditEntry(
            index=row.idx,
            leaf=row.leaf,
            service=row.service,
            purpose=row.purpose,
            day=_EPOCH + timedelta(days=row.day),
            body=body,
        )


def _latest(opened: Sequence[Held], before: int, limit: int) -> list[int]:
    """Give the indexes of disclosed entries that a page may show."""
    indexes = sorted(
        (held.index for held in opened if held.index is not None),
        reverse=True,
    )
    return [index for index in indexes if index < before][:limit]
