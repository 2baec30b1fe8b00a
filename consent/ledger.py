"""The ledger: one append-only, tamper-evident log for each tenant.

Entries are appended in the caller's transaction and are durable when its
commit has returned; no answer that rests on an entry may leave before
(DESIGN, 1). A leaf says nothing but that there is an entry (DESIGN, 13). The
format is in `LEDGER.md`.

The ledger is in the data database, so that a change and its entry commit
together. Any number of processes may append to it; see `sequencer`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection, Engine

from consent.chains import rows_tagged
from consent.checkpoint import Checkpoint
from consent.checkpoint_store import CheckpointStore
from consent.composing import Random
from consent.cosignature_store import CosignatureStore
from consent.entries import Appended, Draft, EntryKind, Opened
from consent.entry_views import OwnEntry, read_audit
from consent.errors import (
    DraftInvalid,
    LedgerInconsistent,
    LedgerUnavailable,
    UnknownEntry,
)
from consent.ledger_keys import EntryFields, LedgerKeys
from consent.ledger_proofs import (
    disclosure_document,
    head_document,
    head_text,
    proof_text,
    release_document,
    release_text,
)
from consent.ledger_reading import LedgerReader
from consent.ledger_statements import LedgerStatements
from consent.pending import PendingBatch, integrate
from consent.promises import sign_promise
from consent.publishing import Publication
from consent.rekeying import MOVED, move_person
from consent.sealing import open_audit
from consent.sequencer import Batch, lock_head
from consent.signed_notes import (
    LedgerSigner,
    NoteSigner,
    NoteVerifier,
    sign_note,
)
from consent.tile_log import TileLog
from consent.tlog_policy import TrustPolicy
from consent.visibility import LATEST, Visibility
from consent.withheld import (
    Extension,
    Held,
    WithheldEntries,
    told_up_to,
)

_END = 2**63 - 1


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
        cosigners: Further keys of the ledger that sign each checkpoint.
        past_keys: Keys that signed earlier checkpoints of this ledger.
        trust: Whose cosignatures are shown, and how many are enough.
        announce: Told of each checkpoint once it is stored and before it
            is given away; what it raises keeps the checkpoint here.
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
        past_keys: Sequence[NoteVerifier] = (),
        trust: TrustPolicy | None = None,
        announce: Callable[[Checkpoint], None] | None = None,
    ) -> None:
        keys = LedgerKeys(
            origin=origin, audit_key=audit_key, mark_key=mark_key
        )
        sql = LedgerStatements(origin, engine.dialect)
        withheld = WithheldEntries(keys, sql, random)
        checkpoints = CheckpointStore(
            origin=origin,
            keys=keys,
            sql=sql,
            signers=(signer, *cosigners),
            trusted=(
                signer.verifier,
                *(each.verifier for each in cosigners),
                *past_keys,
            ),
            clock=clock,
        )
        super().__init__(
            engine=engine,
            origin=origin,
            keys=keys,
            sql=sql,
            checkpoints=checkpoints,
            publication=Publication(
                engine=engine,
                checkpoints=checkpoints,
                cosignatures=CosignatureStore(origin, engine.dialect),
                policy=trust,
                announce=announce,
            ),
            withheld=withheld,
            clock=clock,
        )
        self._signer = signer
        self.tiles = TileLog(self._reading, sql)
        self._random = random
        self._signer = signer
        self._open: dict[Connection, Batch] = {}

    @contextmanager
    def batch(
        self, conn: Connection, *, pending: bool = False
    ) -> Iterator[Batch]:
        """Lock the ledger for a transaction and add to it in steps.

        What is appended or erased through this ledger on the same
        connection meanwhile goes through the batch.

        Args:
            conn: Where the transaction runs; the caller commits it.
            pending: Lock the people alone; entries get their index later.

        Yields:
            The batch, which is flushed at the end unless an error passes.

        """
        batch = self._batch(conn, PendingBatch if pending else Batch)
        self._open[conn] = batch
        try:
            yield batch
            batch.flush()
        finally:
            del self._open[conn]

    def lock(self, conn: Connection, *log_keys: bytes) -> None:
        """Become the one transaction that may append.

        A transaction that writes other rows before it appends calls this
        first; otherwise two writers on PostgreSQL could wait for each other.

        Args:
            conn: Where the transaction runs.
            log_keys: Of the people whose rows it will write.

        """
        lock_head(conn, self._sql, self.origin)
        self._sql.lock_people(
            conn, {self._keys.person(key).tag for key in log_keys}
        )

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
            note = self._checkpoints.sign(conn, edge)
        self.publication.announce(edge.size, note)
        return note

    def promise(self, entry: Appended) -> str | None:
        """Promise that a durable entry without an index gets one.

        Args:
            entry: What a commit returned.

        Returns:
            A signed note that `open_promise` reads; ``None`` for an entry
            that has its index.

        """
        if entry.index is not None:
            return None
        return sign_promise(
            entry.leaf,
            origin=self.origin,
            at=self._clock(),
            signer=self._signer,
        )

    def has_pending(self) -> bool:
        """Say whether entries wait for their index."""
        with self._reading.connect() as conn:
            return conn.execute(self._sql.any_pending).first() is not None

    def settle(self, *, wait: bool = True) -> int:
        """Give every pending entry its index, in a transaction of its own.

        Args:
            wait: For another that does the same; else it is left to them.

        Returns:
            How many entries got their index.

        Raises:
            LedgerInconsistent: A pending row was changed.

        """
        if not self.has_pending():
            return 0
        with self.engine.begin() as conn:
            if not self._sql.may_integrate(conn, wait=wait):
                return 0
            return self._integrate(self._batch(conn, Batch))

    def continues(self, note: bytes) -> int:
        """Hold a checkpoint that was given away against the ledger.

        Args:
            note: A signed note of this ledger.

        Returns:
            Its size; the stored tree continues it.

        Raises:
            NoteError: It is no checkpoint of this ledger.
            LedgerInconsistent: The stored tree does not continue it.

        """
        given = self._checkpoints.open(note.decode("utf-8", "replace"))
        with self._reading.connect() as conn:
            self._checkpoints.demand_continuation(
                conn, given, self._edge(conn)
            )
        return given.size

    def own_entries(
        self, log_key: bytes, *, before: int | None = None, limit: int = 50
    ) -> list[OwnEntry]:
        """Show a person the entries about them, the latest first.

        What was delayed until now is written down as disclosed first.

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
        self.settle()
        self.note_due(log_key)
        return super().own_entries(log_key, before=before, limit=limit)

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
        self.settle()
        self.note_due(log_key)
        with self._reading.connect() as conn:
            row = self._row(conn, index)
            opened, told = self._open_own(conn, row, log_key)
        shown = self.publication.newest(above=index)
        note = self.checkpoint() if shown is None else shown.note
        checkpoint = self._checkpoints.open(note)
        proof = self.inclusion(index, checkpoint.size)
        return disclosure_document(
            opened, proof_text(index, proof, note), told=told
        )

    def release_proof(self, index: int) -> str:
        """Sign an extract's manifest, and prove its entry.

        Args:
            index: Position of the entry that names the manifest.

        Returns:
            A JSON text that the stand-alone verifier takes, beside the
            extract's files.

        Raises:
            UnknownEntry: There is no such entry, or it names no manifest.
            EntryUnreadable: It was changed.

        """
        self.settle()
        with self._reading.connect() as conn:
            row = self._row(conn, index)
        cipher = self._keys.audit(row.day)
        opening = open_audit(
            cipher, row.audit or b"", index=row.idx, leaf=row.leaf
        )
        body = read_audit(opening.body)
        manifest = body.detail.get("manifest")
        if body.kind is not EntryKind.RELEASE or not manifest:
            msg = f"entry {index} names no extract's manifest"
            raise UnknownEntry(msg)
        shown = self.publication.newest(above=index)
        note = self.checkpoint() if shown is None else shown.note
        checkpoint = self._checkpoints.open(note)
        proof = self.inclusion(index, checkpoint.size)
        statement = release_text(
            checkpoint.origin, body.decision, str(manifest)
        )
        return release_document(
            str(sign_note(statement, [self._signer])),
            opening,
            proof_text(index, proof, note),
        )

    def person_head(self, subject: UUID, log_key: bytes) -> str:
        """State, signed, how many entries there are about a person.

        With this and all their disclosure proofs a person knows that none
        is kept from them, the latest included. It counts the first chain,
        below the size of the checkpoint that is shown now.

        Args:
            subject: The person.
            log_key: Theirs.

        Returns:
            A JSON text that the stand-alone verifier takes.

        Raises:
            EntryUnreadable: A stored entry was changed.
            LedgerInconsistent: The latest entry is not the last counted.

        """
        shown = self.publication.newest()
        note = self.checkpoint() if shown is None else shown.note
        checkpoint = self._checkpoints.open(note)
        with self._reading.connect() as conn:
            self._demand_count(conn, log_key)
            last = self._first_chain(conn, log_key, checkpoint.size, 1)
            now = self._now(conn)
        statement = head_text(
            checkpoint,
            subject=subject,
            counter=last[0].counter if last else 0,
            leaf=last[0].leaf if last else b"",
            at=now,
        )
        return head_document(str(sign_note(statement, [self._signer])), note)

    def _demand_count(self, conn: Connection, log_key: bytes) -> None:
        """Refuse where a person's latest entries are no longer theirs.

        Else whoever takes an entry's tag away would have the ledger sign
        that it never was.
        """
        counted = self._sql.read_people(conn, [self.tag(log_key)])
        last = self._first_chain(conn, log_key, _END, 1)
        found = last[0].counter if last else 0
        if any(count > found and not late for _, count, _, late, _ in counted):
            raise LedgerInconsistent(index=None, what="count of a person")

    def open_due(self, conn: Connection, log_key: bytes) -> int:
        """Write down that a person may see what was delayed until now.

        Once noted it stays disclosed, whatever a clock says later.

        Args:
            conn: Where the transaction runs; the caller commits it.
            log_key: The person's.

        Returns:
            How many entries were disclosed.

        """
        self._settle(conn)
        tag = self._keys.second(log_key).tag
        due = self._withheld.due(conn, tag, self._now(conn))
        for held in due:
            self._withheld.open(conn, held, self._index_of(conn, held))
        return len(due)

    def lift(self, conn: Connection, held: UUID) -> Held:
        """Disclose a withheld entry to the person.

        The caller appends the entry of the act in the same transaction.

        Args:
            conn: Where the transaction runs; the caller commits it.
            held: Its id in `review`.

        Returns:
            What is known of it now.

        Raises:
            UnknownEntry: Nothing is withheld under this id any more.

        """
        self._settle(conn)
        found = self._closed(conn, held)
        return self._withheld.open(conn, found, self._index_of(conn, found))

    def extend(
        self, conn: Connection, held: UUID, until: int, *, reason: str
    ) -> Held:
        """Withhold an entry for longer.

        The caller appends the entry of the act in the same transaction.

        Args:
            conn: Where the transaction runs; the caller commits it.
            held: Its id in `review`.
            until: The new date of disclosure or review, POSIX seconds.
            reason: Why; kept with it.

        Returns:
            What is known of it now.

        Raises:
            UnknownEntry: Nothing is withheld under this id any more.
            DraftInvalid: The date is not after the present one and now, or
                there is no reason.

        """
        self._settle(conn)
        found, now = self._closed(conn, held), self._now(conn)
        if not max(found.until, now) < until <= LATEST or not reason.strip():
            msg = (
                f"{held}: an extension needs a reason and a date after "
                "today and after the present one"
            )
            raise DraftInvalid(msg)
        extension = Extension(at=now, until=until, reason=reason)
        longer = replace(
            found, until=until, extensions=(*found.extensions, extension)
        )
        self._withheld.write(conn, longer)
        return longer

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
        return self.erase_tags(conn, [self.tag(log_key)]).total()

    def erase_tags(
        self, conn: Connection, tags: Collection[bytes]
    ) -> Counter[bytes]:
        """Do what `erase` does, by tags: for replay from a journal.

        All entries are searched once, however many tags there are. What
        leads to a chain, its links and the person's row, is under no seal,
        and an erasure believes none of it.

        Args:
            conn: Where the transaction runs; the caller commits it.
            tags: What `tag` gave before the log keys were destroyed.

        Returns:
            The number of entries erased, by the tag that led to them.

        """
        erased: Counter[bytes] = Counter()
        if not tags:
            return erased
        batch = self._settle(conn, *tags)
        chains = self._chains_of(conn, tags)
        for rows in rows_tagged(conn, self._sql, list(chains)):
            erased.update(chains[row.tag] for row in rows if row.tag)
            self._erase_rows(conn, rows)
        for tag in chains:
            conn.execute(self._sql.forget_person, {"of_tag": tag})
            self._withheld.forget(conn, tag)
        if batch is not None:
            batch.forget_people()
        return erased

    def _chains_of(
        self, conn: Connection, tags: Collection[bytes]
    ) -> dict[bytes, bytes]:
        """Name all chains of people, each with the tag that led to it.

        Where a chain moved to another key, its mark leads to the rest.
        """
        chains: dict[bytes, bytes] = {}
        fresh = {tag: tag for tag in tags}
        while fresh:
            seconds = {
                self._keys.second_tag(tag): by for tag, by in fresh.items()
            }
            some = seconds | fresh
            chains |= some
            self._sql.lock_people(conn, fresh)
            fresh = {
                to: some[tag]
                for tag, counter, to, _, _ in self._sql.read_people(
                    conn, list(some)
                )
                if counter == MOVED and to not in chains
            }
        return chains

    def rekey(
        self, conn: Connection, old_log_key: bytes, new_log_key: bytes
    ) -> int:
        """Move a person's entries from one log key to another.

        Args:
            conn: Where the transaction runs; the caller commits it.
            old_log_key: Under which their rows are sealed.
            new_log_key: Under which they will be.

        Returns:
            How many rows were sealed anew.

        Raises:
            LedgerBusy: An entry about them has no index yet.
            EntryUnreadable: A row is not sealed under the old key.

        """
        people = {self.tag(old_log_key), self.tag(new_log_key)}
        batch = self._settle(conn, *people)
        moved = move_person(
            conn,
            sql=self._sql,
            keys=self._keys,
            random=self._random,
            old_log_key=old_log_key,
            new_log_key=new_log_key,
        )
        if batch is not None:
            batch.forget_people()
        return moved

    def note_due(self, log_key: bytes) -> None:
        """Do `open_due` in a transaction, where there is anything to do."""
        if self.has_due(log_key):
            with self.engine.begin() as conn:
                self.open_due(conn, log_key)

    def _batch(self, conn: Connection, kind: type[Batch]) -> Batch:
        return kind(
            conn,
            origin=self.origin,
            keys=self._keys,
            random=self._random,
            sql=self._sql,
            integrate=self._integrate,
        )

    def _integrate(self, batch: Batch) -> int:
        return integrate(batch.conn, batch, self._sql, self._keys)

    def _settle(self, conn: Connection, *people: bytes) -> Batch | None:
        """Lock the ledger and people; leave nothing unwritten or pending."""
        batch = self._open.get(conn)
        if isinstance(batch, PendingBatch):
            msg = "this change is made directly, not among pending entries"
            raise LedgerUnavailable(msg)
        if batch is None:
            lock_head(conn, self._sql, self.origin)
        else:
            batch.flush()
        self._sql.lock_people(conn, people)
        if conn.execute(self._sql.any_pending).first() is not None:
            self._integrate(batch or self._batch(conn, Batch))
        return batch

    def _closed(self, conn: Connection, held: UUID) -> Held:
        found = self._withheld.of_id(conn, held)
        passed = found.until <= self._now(conn)
        delayed = found.visibility is Visibility.DELAYED
        if found.opened or (delayed and passed):
            msg = f"{held} is disclosed already"
            raise UnknownEntry(msg)
        return found

    def _index_of(self, conn: Connection, held: Held) -> int:
        """Find the index of an entry by its chain and leaf."""
        where = {"of_tag": held.tag, "of_leaf": held.leaf}
        place: int | None = conn.execute(
            self._sql.place_of_leaf, where
        ).scalar()
        if place is None:
            what = "a withheld entry is gone"
            raise LedgerInconsistent(index=None, what=what)
        return place

    def _open_own(
        self, conn: Connection, row: EntryFields, log_key: bytes
    ) -> tuple[Opened, int]:
        """Open an entry that the person may see; say what is told of it.

        One that is still withheld is as unreadable as anybody else's.
        """
        second = self._keys.second(log_key)
        opened = self._withheld.opened(conn, second.tag)
        lifted = row.idx in {held.index for held in opened}
        keys = second if lifted else self._keys.person(log_key)
        return self._opened(keys, row), told_up_to(opened)

    def _erase_rows(
        self, conn: Connection, rows: Sequence[EntryFields]
    ) -> None:
        gone = [row._replace(tag=None, own=None, audit=None) for row in rows]
        sealed = [
            {"at_index": row.idx, "sealed": self._keys.seal_entry(row)}
            for row in gone
        ]
        conn.execute(self._sql.erase_entry, sealed)
