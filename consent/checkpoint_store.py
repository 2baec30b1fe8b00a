"""Stored checkpoints: what the ledger has signed about itself.

A ledger never signs a checkpoint that does not continue the one before
(c2sp.org/tlog-checkpoint): before each signature the consistency proof from
the last stored checkpoint is built from the stored tree and verified.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from consent.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from consent.compact_range import CompactRange
from consent.errors import (
    LedgerInconsistent,
    NoteError,
    ProofInvalid,
    UnknownEntry,
)
from consent.ledger_keys import LedgerKeys
from consent.ledger_statements import LedgerStatements
from consent.merkle import EMPTY_ROOT, consistency_proof, verify_consistency
from consent.signed_notes import NoteSigner, NoteVerifier
from consent.tree import StoredTree


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A checkpoint that was signed.

    Attributes:
        size: Number of entries.
        root: Root over them.
        note: The signed note.
        at: When it was signed, POSIX seconds.
    """

    size: int
    root: bytes
    note: str
    at: int


class CheckpointStore:
    """Signs, stores and reads the checkpoints of one ledger.

    Args:
        origin: The ledger.
        keys: Its keys, for the seal over each row.
        sql: Its statements.
        signers: Who signs, the ledger's own key first.
        trusted: Keys by which stored checkpoints are believed.
        clock: POSIX seconds, now.
    """

    def __init__(
        self,
        *,
        origin: str,
        keys: LedgerKeys,
        sql: LedgerStatements,
        signers: Sequence[NoteSigner],
        trusted: Sequence[NoteVerifier],
        clock: Callable[[], int],
    ) -> None:
        self._origin = origin
        self._keys = keys
        self._sql = sql
        self._signers = tuple(signers)
        self._trusted = tuple(trusted)
        self._clock = clock

    def sign(self, conn: Connection, edge: CompactRange) -> str:
        """Sign the tree as it stands; the caller holds the ledger's lock.

        Args:
            conn: Where the transaction runs.
            edge: The tree's right edge.

        Returns:
            The signed note; the stored one where nothing was added.

        Raises:
            LedgerInconsistent: The tree does not continue the last
                checkpoint.

        """
        last, root = self.last(conn), edge.root()
        if last is not None:
            self.demand_continuation(conn, last, edge)
            if last.size == edge.size:
                return last.note
        checkpoint = Checkpoint(origin=self._origin, size=edge.size, root=root)
        note, at = (
            str(sign_checkpoint(checkpoint, self._signers)),
            self._clock(),
        )
        # What a faulty key or machine made is noticed before it is kept.
        if self.open(note) != checkpoint:
            raise LedgerInconsistent(index=None, what="signed another tree")
        seal = self._keys.seal_checkpoint(
            size=edge.size, root=root, note=note, at=at
        )
        conn.execute(
            self._sql.add_checkpoint,
            {
                "size": edge.size,
                "root": root,
                "note": note,
                "at": at,
                "seal": seal,
            },
        )
        return note

    def open(self, note: str) -> Checkpoint:
        """Read one of this ledger's own notes by its trusted keys."""
        return open_checkpoint(
            note.encode(), self._trusted, origin=self._origin
        )

    def last(self, conn: Connection) -> StoredCheckpoint | None:
        """Read the checkpoint of the largest size, if any."""
        row = conn.execute(self._sql.last_checkpoint).one_or_none()
        return None if row is None else self._checked(row)

    def of_size(self, conn: Connection, size: int) -> StoredCheckpoint:
        """Read the checkpoint of a size.

        Args:
            conn: Where to read.
            size: Number of entries.

        Returns:
            The checkpoint.

        Raises:
            UnknownEntry: None of that size was signed.

        """
        where = {"of_size": size}
        row = conn.execute(self._sql.checkpoint_of, where).one_or_none()
        if row is None:
            msg = f"no checkpoint of {size} entries was signed"
            raise UnknownEntry(msg)
        return self._checked(row)

    def page(
        self, conn: Connection, *, after: int, limit: int
    ) -> list[StoredCheckpoint]:
        """Read checkpoints by rising size.

        Args:
            conn: Where to read.
            after: Only larger ones.
            limit: At most so many.

        Returns:
            The checkpoints.

        """
        where = {"after": after, "most": limit}
        rows = conn.execute(self._sql.checkpoints, where)
        return [self._checked(row) for row in rows]

    def _checked(self, row: Row[*tuple[Any, ...]]) -> StoredCheckpoint:
        """Hold a row against its seal and its own note."""
        stored = StoredCheckpoint(
            size=row.size, root=row.root, note=row.note, at=row.at
        )
        seal = self._keys.seal_checkpoint(
            size=row.size, root=row.root, note=row.note, at=row.at
        )
        what = f"checkpoint of {row.size}"
        if seal != row.seal:
            raise LedgerInconsistent(index=None, what=what)
        try:
            said = self.open(row.note)
        except NoteError:
            raise LedgerInconsistent(index=None, what=what) from None
        if (said.size, said.root) != (row.size, row.root):
            raise LedgerInconsistent(index=None, what=what)
        return stored

    def demand_continuation(
        self,
        conn: Connection,
        last: StoredCheckpoint | Checkpoint,
        edge: CompactRange,
    ) -> None:
        """Refuse a tree that does not continue a checkpoint.

        Args:
            conn: Where the tree is read.
            last: The checkpoint, which is trusted.
            edge: The tree's right edge.

        Raises:
            LedgerInconsistent: It does not.

        """
        size, root = edge.size, edge.root()
        if last.size > size:
            raise LedgerInconsistent(
                index=size,
                what=f"entries of the checkpoint of {last.size} are missing",
            )
        if not last.size:
            if last.root != EMPTY_ROOT:
                raise LedgerInconsistent(index=None, what="checkpoint of 0")
            return
        try:
            verify_consistency(
                old=last.size,
                new=size,
                proof=consistency_proof(
                    last.size, size, StoredTree(conn, self._sql, size).subtree
                ),
                old_root=last.root,
                new_root=root,
            )
        except ProofInvalid:
            raise LedgerInconsistent(
                index=None,
                what=f"tree does not continue the checkpoint of {last.size}",
            ) from None
