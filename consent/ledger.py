"""The ledger: one append-only, tamper-evident log for each tenant.

Entries are appended in the caller's transaction and are durable when its
commit has returned; no answer that rests on an entry may leave before
(DESIGN, 1). A leaf says nothing but that there is an entry (DESIGN, 13). The
format is in `LEDGER.md`.

The ledger is in the data database, so that a change and its entry commit
together. Any number of processes may append to it; see `sequencer`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine

from consent import ledger_statements as statements
from consent.checkpoint_store import CheckpointStore, StoredCheckpoint
from consent.entries import Appended, Draft
from consent.entry_views import AuditEntry, OwnEntry, read_audit, read_own
from consent.errors import LedgerInconsistent, UnknownEntry
from consent.ledger_keys import EntryFields, LedgerKeys
from consent.ledger_proofs import (
    consistency_document,
    disclosure_document,
    proof_text,
)
from consent.ledger_sweep import Progress, Sweep, VerifiedLedger
from consent.merkle import consistency_proof, inclusion_proof
from consent.sealing import open_audit, open_own
from consent.sequencer import Batch, Random, lock_head, read_edge
from consent.signed_notes import LedgerSigner, NoteSigner, VerifierKey
from consent.tree import StoredTree

_EPOCH = date(1970, 1, 1)
_END = 2**63 - 1
_PAGE = 500


class Ledger:
    """One tenant's ledger.

    Args:
        engine: The data database, as `api.databases` opens it.
        origin: The ledger's name in its checkpoints, a URL without scheme
            such as ``town.example/access-log``.
        signer: The ledger's own key, named as the origin.
        audit_key: 32 bytes; opens what the officer may see.
        mark_key: 32 bytes; makes the monthly marks of people.
        clock: POSIX seconds, now.
        random: Like `os.urandom`.
        cosigners: Further keys that sign each checkpoint.
        past_keys: Keys that signed earlier checkpoints of this ledger.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        origin: str,
        signer: LedgerSigner,
        audit_key: bytes,
        mark_key: bytes,
        clock: Callable[[], int],
        random: Random,
        cosigners: Sequence[NoteSigner] = (),
        past_keys: Sequence[VerifierKey] = (),
    ) -> None:
        self.engine = engine
        self.origin = origin
        self._reading = engine.execution_options(read_only=True)
        self._keys = LedgerKeys(
            origin=origin, audit_key=audit_key, mark_key=mark_key
        )
        self._random = random
        self._writes = statements.Writes.of(engine.dialect)
        self._checkpoints = CheckpointStore(
            origin=origin,
            keys=self._keys,
            signers=(signer, *cosigners),
            trusted=(signer.verifier, *past_keys),
            clock=clock,
        )
        self._open: dict[Connection, Batch] = {}

    @contextmanager
    def batch(self, conn: Connection) -> Iterator[Batch]:
        """Lock the ledger for a transaction and add to it in steps.

        What is appended or erased through this ledger on the same
        connection meanwhile goes through the batch.

        Args:
            conn: Where the transaction runs; the caller commits it.

        Yields:
            The batch, which is flushed at the end unless an error passes.

        """
        batch = Batch(
            conn,
            origin=self.origin,
            keys=self._keys,
            random=self._random,
            writes=self._writes,
        )
        self._open[conn] = batch
        try:
            yield batch
            batch.flush()
        finally:
            del self._open[conn]

    def lock(self, conn: Connection) -> None:
        """Become the one transaction that may append.

        A transaction that writes other rows before it appends calls this
        first; otherwise two writers on PostgreSQL could wait for each other.

        Args:
            conn: Where the transaction runs.

        """
        lock_head(conn, self.origin)

    def append(
        self, conn: Connection, drafts: Sequence[Draft]
    ) -> list[Appended]:
        """Append entries in the caller's transaction.

        Args:
            conn: Where the transaction runs. Nothing is durable, and no
                answer may leave, before its commit has returned.
            drafts: What is recorded, in order.

        Returns:
            Where each entry stands once the transaction commits.

        Raises:
            DraftInvalid: A draft has no entry format; nothing is appended.
            LedgerInconsistent: The stored tree is broken.

        """
        if (open_batch := self._open.get(conn)) is not None:
            return open_batch.add(drafts)
        with self.batch(conn) as batch:
            return batch.add(drafts)

    def size(self) -> int:
        """Return the number of committed entries."""
        with self._reading.connect() as conn:
            return self._size(conn)

    def checkpoint(self) -> str:
        """Sign the ledger as it stands, unless that has been done.

        Returns:
            The signed note over all entries that are committed.

        Raises:
            LedgerInconsistent: What is stored does not continue the last
                checkpoint; nothing is signed.

        """
        with self.engine.begin() as conn:
            edge = lock_head(conn, self.origin)
            return self._checkpoints.sign(conn, edge)

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

    def disclosure_proof(self, index: int, log_key: bytes) -> str:
        """Write all that a person needs to prove an entry about them.

        Args:
            index: Position of the entry.
            log_key: The person's.

        Returns:
            A JSON text that the stand-alone verifier takes: both parts,
            their salts and a proof file.

        Raises:
            UnknownEntry: There is no such entry.
            EntryUnreadable: It is not about this person, or erased.

        """
        with self._reading.connect() as conn:
            row = self._row(conn, index)
            signed = self._checkpoints.last(conn)
        cipher = self._keys.person(log_key).cipher
        opened = open_own(cipher, row.own or b"", index=index, leaf=row.leaf)
        note = signed.note if signed and signed.size > index else None
        note = note or self.checkpoint()
        checkpoint = self._checkpoints.open(note)
        proof = self.inclusion(index, checkpoint.size)
        return disclosure_document(opened, proof_text(index, proof, note))

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
            rows = conn.execute(statements.OWN_ENTRIES, where).all()
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
        query = statements.audit_query(
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

    def erase(self, conn: Connection, log_key: bytes) -> int:
        """Destroy the openings of all entries about a person.

        The leaves stay, so the ledger still verifies; what they commit to
        can no longer be shown by anybody.

        Args:
            conn: Where the transaction runs; the caller commits it.
            log_key: The person's.

        Returns:
            The number of entries erased.

        """
        return self.erase_tag(conn, self.tag(log_key))

    def erase_tag(self, conn: Connection, tag: bytes) -> int:
        """Do what `erase` does, by the tag: for replay from a journal.

        Args:
            conn: Where the transaction runs; the caller commits it.
            tag: What `tag` gave before the log key was destroyed.

        Returns:
            The number of entries erased.

        """
        batch = self._open.get(conn)
        if batch is None:
            lock_head(conn, self.origin)
        else:
            batch.flush()
        erased, after = 0, -1
        while rows := self._page_of(conn, tag, after):
            conn.execute(
                statements.ERASE_ENTRY,
                [
                    {
                        "at_index": row.idx,
                        "new_seal": self._keys.seal_entry(row),
                    }
                    for row in rows
                ],
            )
            erased += len(rows)
            after = rows[-1].idx
        conn.execute(statements.FORGET_PERSON, {"of_tag": tag})
        if batch is not None:
            batch.forget_people()
        return erased

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
        sweep = Sweep(self._reading, self._keys, self._checkpoints)
        return sweep.run(self.origin, progress)

    def _size(self, conn: Connection) -> int:
        head = conn.execute(statements.READ_HEAD).one_or_none()
        if head is None:
            return 0
        return read_edge(head.origin, self.origin, head.size, head.nodes).size

    def _row(self, conn: Connection, index: int) -> EntryFields:
        where = {"at_index": index}
        row = conn.execute(statements.READ_ENTRY, where).one_or_none()
        if row is None:
            msg = f"the ledger has no entry {index}"
            raise UnknownEntry(msg)
        return EntryFields(*row[:8])

    def _tree(self, conn: Connection, size: int) -> StoredTree:
        present = self._size(conn)
        if not 0 < size <= present:
            msg = f"the ledger has {present} entries, not {size}"
            raise UnknownEntry(msg)
        return StoredTree(conn, present)

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
        if self._keys.seal_entry(row) != seal:
            raise LedgerInconsistent(index=row.idx, what="row")
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

    def _page_of(
        self, conn: Connection, tag: bytes, after: int
    ) -> list[EntryFields]:
        """Read rows of a tag as they will be once erased."""
        where = {"of_tag": tag, "after": after, "most": _PAGE}
        return [
            EntryFields(*row[:8])._replace(tag=None, own=None, audit=None)
            for row in conn.execute(statements.OF_TAG, where)
        ]
