"""What the ledger shows of its checkpoints, with what witnesses said.

Where a trust policy asks for a quorum, the newest checkpoint that has it is
shown, so that whoever reads by the same policy can use what they get; a
newer one without it waits. Until there is one, the newest signed is shown.

A checkpoint is committed before it is announced, and another thread or
process may read it in between. So whatever leaves here is announced first,
whoever signed it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from consent.checkpoint import Checkpoint
from consent.checkpoint_store import CheckpointStore, StoredCheckpoint
from consent.cosignature_store import CosignatureStore
from consent.cosignatures import CosignatureKey
from consent.errors import NoteUntrusted, UnknownEntry
from consent.signed_notes import (
    NoteSignature,
    SignedNote,
    parse_note_untrusted,
)
from consent.tlog_policy import TrustPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A checkpoint as it is shown.

    Attributes:
        size: Number of entries.
        note: The signed note, cosignature lines included.
        witnesses: Names in the policy of those who cosigned.
        quorum: Whether they are enough for the policy.
    """

    size: int
    note: str
    witnesses: tuple[str, ...]
    quorum: bool


class Publication:
    """Joins one ledger's checkpoints with their cosignatures.

    Args:
        engine: Where to read and write.
        checkpoints: The ledger's checkpoints.
        cosignatures: What witnesses said about them.
        policy: Whose word counts; ``None`` for nobody's.
        announce: Told of a checkpoint before it is given away; what it
            raises keeps the checkpoint here.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        checkpoints: CheckpointStore,
        cosignatures: CosignatureStore,
        policy: TrustPolicy | None,
        announce: Callable[[Checkpoint], None] | None = None,
    ) -> None:
        self.policy = policy
        self._announce = announce
        self._announced = -1
        self._engine = engine
        self._reading = engine.execution_options(read_only=True)
        self._checkpoints = checkpoints
        self._cosignatures = cosignatures

    def newest(self, *, above: int = -1) -> Published | None:
        """Find the checkpoint to show.

        Args:
            above: Only one of more entries than this.

        Returns:
            The newest one that the quorum cosigned, else the newest; none
            where none is large enough.

        """
        with self._reading.connect() as conn:
            last = self._checkpoints.last(conn)
            if last is None or last.size <= above:
                return None
            newest = self.of(conn, last)
            if newest.quorum:
                return newest
            for size in self._cosignatures.sizes(conn):
                if above < size < last.size:
                    shown = self._at(conn, size)
                    if shown is not None and shown.quorum:
                        return shown
        return newest

    def of(self, conn: Connection, stored: StoredCheckpoint) -> Published:
        """Join a stored checkpoint with what witnesses said about it.

        It may be given away when this returns.
        """
        self.announce(stored.size, stored.note)
        if self.policy is None:
            return Published(
                size=stored.size, note=stored.note, witnesses=(), quorum=True
            )
        note = parse_note_untrusted(stored.note.encode())
        names = {
            each.key: each.name for each in self.policy.witnesses.values()
        }
        lines = self._cosignatures.of_size(conn, stored.size, note.text, names)
        shown = SignedNote(
            text=note.text,
            signatures=(*note.signatures, *(line for line, _ in lines)),
        )
        witnesses = tuple(names[key] for _, key in lines)
        return Published(
            size=stored.size,
            note=str(shown),
            witnesses=witnesses,
            quorum=self.policy.is_quorum(witnesses),
        )

    def last(self) -> StoredCheckpoint | None:
        """Read the newest signed checkpoint, as the ledger signed it.

        It is not to be given away: see `to_give`.
        """
        with self._reading.connect() as conn:
            return self._checkpoints.last(conn)

    def to_give(self) -> StoredCheckpoint | None:
        """Read the newest signed checkpoint, announced, as it was signed."""
        last = self.last()
        if last is not None:
            self.announce(last.size, last.note)
        return last

    def announce(self, size: int, note: str) -> None:
        """Announce a checkpoint, unless it or a larger one has been."""
        if self._announce is not None and size > self._announced:
            self._announce(self._checkpoints.open(note))
            self._announced = size

    def largest(self, key: CosignatureKey) -> int | None:
        """Read the largest size that a witness cosigned, if any."""
        with self._reading.connect() as conn:
            return self._cosignatures.largest(conn, key)

    def keep(
        self,
        size: int,
        text: str,
        lines: list[NoteSignature],
        key: CosignatureKey,
    ) -> int:
        """Verify and keep what a witness answered.

        Args:
            size: Of the checkpoint.
            text: Its note text.
            lines: The answer's lines; those of other keys are ignored.
            key: The witness's key.

        Returns:
            When it cosigned, POSIX seconds.

        Raises:
            NoteUntrusted: No line is of that key, or one does not hold.

        """
        signed = [
            (line, key.time_of(text, line.signature))
            for line in lines
            if (line.name, line.key_id) == (key.name, key.key_id)
        ]
        if not signed:
            msg = f"the answer bears no cosignature of {key.name}"
            raise NoteUntrusted(msg)
        with self._engine.begin() as conn:
            self._cosignatures.add(conn, size, signed)
        return max(at for _, at in signed)

    def _at(self, conn: Connection, size: int) -> Published | None:
        try:
            return self.of(conn, self._checkpoints.of_size(conn, size))
        except UnknownEntry:
            return None
