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

from sqlalchemy import Connection, Engine

from consent.checkpoint_store import CheckpointStore
from consent.entries import Appended, Draft
from consent.ledger_keys import EntryFields, LedgerKeys
from consent.ledger_proofs import (
    disclosure_document,
    proof_text,
)
from consent.ledger_reading import LedgerReader
from consent.ledger_statements import LedgerStatements
from consent.sealing import open_own
from consent.sequencer import Batch, Random, lock_head
from consent.signed_notes import LedgerSigner, NoteSigner, VerifierKey

_PAGE = 500


class Ledger(LedgerReader):
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
        keys = LedgerKeys(
            origin=origin, audit_key=audit_key, mark_key=mark_key
        )
        sql = LedgerStatements(origin, engine.dialect)
        checkpoints = CheckpointStore(
            origin=origin,
            keys=keys,
            sql=sql,
            signers=(signer, *cosigners),
            trusted=(signer.verifier, *past_keys),
            clock=clock,
        )
        super().__init__(
            engine=engine,
            origin=origin,
            keys=keys,
            sql=sql,
            checkpoints=checkpoints,
        )
        self._random = random
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
            sql=self._sql,
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
        lock_head(conn, self._sql, self.origin)

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

    def checkpoint(self) -> str:
        """Sign the ledger as it stands, unless that has been done.

        Returns:
            The signed note over all entries that are committed.

        Raises:
            LedgerInconsistent: What is stored does not continue the last
                checkpoint; nothing is signed.

        """
        with self.engine.begin() as conn:
            edge = lock_head(conn, self._sql, self.origin)
            return self._checkpoints.sign(conn, edge)

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
            lock_head(conn, self._sql, self.origin)
        else:
            batch.flush()
        erased, after = 0, -1
        while rows := self._page_of(conn, tag, after):
            conn.execute(
                self._sql.erase_entry,
                [
                    {
                        "at_index": row.idx,
                        "sealed": self._keys.seal_entry(row),
                    }
                    for row in rows
                ],
            )
            erased += len(rows)
            after = rows[-1].idx
        conn.execute(self._sql.forget_person, {"of_tag": tag})
        if batch is not None:
            batch.forget_people()
        return erased

    def _page_of(
        self, conn: Connection, tag: bytes, after: int
    ) -> list[EntryFields]:
        """Read rows of a tag as they will be once erased."""
        where = {"of_tag": tag, "after": after, "most": _PAGE}
        return [
            EntryFields(*row[:8])._replace(tag=None, own=None, audit=None)
            for row in conn.execute(self._sql.of_tag, where)
        ]
