"""The reading half of the ledger: proofs, views, and the sweep.

Reads run in short transactions of their own and see only what is committed.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine

from consent.checkpoint_store import CheckpointStore, StoredCheckpoint
from consent.entry_views import AuditEntry, OwnEntry, read_audit, read_own
from consent.errors import UnknownEntry
from consent.ledger_keys import EntryFields, LedgerKeys
from consent.ledger_proofs import consistency_document
from consent.ledger_statements import LedgerStatements
from consent.ledger_sweep import Progress, Sweep, VerifiedLedger
from consent.merkle import consistency_proof, inclusion_proof
from consent.sealing import open_audit, open_own
from consent.sequencer import read_edge
from consent.tree import StoredTree

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
    """

    def __init__(
        self,
        *,
        engine: Engine,
        origin: str,
        keys: LedgerKeys,
        sql: LedgerStatements,
        checkpoints: CheckpointStore,
    ) -> None:
        self.engine = engine
        self.origin = origin
        self._reading = engine.execution_options(read_only=True)
        self._keys = keys
        self._sql = sql
        self._checkpoints = checkpoints

    def size(self) -> int:
        """Return the number of committed entries."""
        with self._reading.connect() as conn:
            return self._size(conn)

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
        return consistency_document(first.note, second.note, proof)

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
        keys = self._keys.person(log_key)
        where = {
            "of_tag": keys.tag,
            "before": _END if before is None else before,
            "most": limit,
        }
        with self._reading.connect() as conn:
            rows = conn.execute(self._sql.own_entries, where).all()
        return [
            read_own(
                row.idx,
                row.leaf,
                open_own(
                    keys.cipher, row.own or b"", index=row.idx, leaf=row.leaf
                ),
            )
            for row in rows
        ]

    def audit_entries(
        self,
        *,
        service: str | None = None,
        purpose: str | None = None,
        day_from: date | None = None,
        day_to: date | None = None,
        after: int = -1,
        limit: int = 50,
    ) -> list[AuditEntry]:
        """Show the officer entries, the oldest first.

        Args:
            service: Only of this service.
            purpose: Only of this purpose.
            day_from: Only from this day on.
            day_to: Only up to this day, itself included.
            after: Only entries above this index: the last one of the page
                before.
            limit: At most so many.

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
            after=after,
            limit=limit,
        )
        with self._reading.connect() as conn:
            rows = conn.execute(query).all()
        return [self._audit_entry(row[:8], row.seal) for row in rows]

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
        )
        return sweep.run(self.origin, progress)

    def _size(self, conn: Connection) -> int:
        head = conn.execute(self._sql.read_head).one_or_none()
        if head is None:
            return 0
        return read_edge(head.origin, self.origin, head.size, head.nodes).size

    def _row(self, conn: Connection, index: int) -> EntryFields:
        where = {"at_index": index}
        row = conn.execute(self._sql.read_entry, where).one_or_none()
        if row is None:
            msg = f"the ledger has no entry {index}"
            raise UnknownEntry(msg)
        return EntryFields(*row[:8])

    def _tree(self, conn: Connection, size: int) -> StoredTree:
        present = self._size(conn)
        if not 0 < size <= present:
            msg = f"the ledger has {present} entries, not {size}"
            raise UnknownEntry(msg)
        return StoredTree(conn, self._sql, present)

    def _inclusion(
        self, conn: Connection, index: int, size: int
    ) -> list[bytes]:
        tree = self._tree(conn, size)
        if not 0 <= index < size:
            msg = f"a ledger of {size} has no entry {index}"
            raise UnknownEntry(msg)
        return inclusion_proof(index, size, tree.subtree)

    def _consistency(
        self, conn: Connection, old: int, new: int
    ) -> list[bytes]:
        tree = self._tree(conn, new)
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
