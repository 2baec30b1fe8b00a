"""A witness: https://c2sp.org/tlog-witness, the witness's side.

A witness keeps one checkpoint for each log that it follows. It cosigns a
newer one only if a consistency proof leads there from the one that it keeps,
so that no log can show it, and thereby anybody who trusts it, two histories.

It needs no instance and reads nothing of one: it works from what is
submitted, from the logs' public keys and from its own small state. What it
answers is decided while its state is locked, and leaves only after the new
checkpoint is durable; two submissions at once cannot take it back.

The optional ``sign-subtree`` is not offered.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from consent.checkpoint import Checkpoint, parse_decimal
from consent.cosignatures import CosignatureSigner
from consent.errors import NoteMalformed, NoteUntrusted, ProofInvalid
from consent.merkle import EMPTY_ROOT, verify_consistency
from consent.signed_notes import (
    NoteVerifier,
    SignedNote,
    decode_base64,
    encode_base64,
    open_note,
    parse_note_untrusted,
    sign_note,
)

TEXT = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"
MOST_PROOF_LINES = 63
LARGEST_SUBMISSION = 1 << 18
_OLD = re.compile(r"old ([0-9]+)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessAnswer:
    """What is answered over HTTP.

    Attributes:
        status: Of the answer.
        body: Its text; ends in a newline.
        media_type: Its content type.
    """

    status: int
    body: str
    media_type: str = TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a log submits; nothing about it is trusted yet.

    Attributes:
        old: The size that the proof starts from.
        proof: The consistency proof.
        note: The signed checkpoint.
        checkpoint: What it says.
    """

    old: int
    proof: tuple[bytes, ...]
    note: SignedNote
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, body: bytes) -> "Submission":
        """Read the body of a request.

        Args:
            body: Old size, proof lines, an empty line, the checkpoint.

        Returns:
            The submission.

        Raises:
            NoteMalformed: It is not in the one exact form.

        """
        head, _, note = body.partition(b"\n\n")
        try:
            first, *lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            msg = "the old size and the proof are ASCII"
            raise NoteMalformed(msg) from None
        old = _OLD.fullmatch(first)
        if old is None or len(lines) > MOST_PROOF_LINES:
            msg = f"old size, then at most {MOST_PROOF_LINES} hashes"
            raise NoteMalformed(msg)
        signed = parse_note_untrusted(note)
        return cls(
            old=parse_decimal(old[1]),
            proof=tuple(map(decode_base64, lines)),
            note=signed,
            checkpoint=Checkpoint.parse_extended(signed.text),
        )

    def __bytes__(self) -> bytes:
        return submission(self.old, self.proof, str(self.note))


class Held(Protocol):
    """The state of one log while nobody else can change it."""

    @property
    def latest(self) -> Checkpoint | None:
        """The checkpoint that was cosigned last."""

    def advance(self, checkpoint: Checkpoint) -> None:
        """Replace it; durable when the lock has been given back."""


class WitnessState(Protocol):
    """Where a witness keeps what it cosigned."""

    def locked(self, origin: str) -> AbstractContextManager[Held]:
        """Lock the state of a log.

        When the block ends without an error, what it did is durable;
        otherwise nothing of it is kept.
        """


class Witness:
    """Decides about submissions.

    Args:
        signers: The witness's keys, at least one.
        logs: Keys of the logs that it follows, by origin.
        state: What it cosigned.
    """

    def __init__(
        self,
        *,
        signers: Sequence[CosignatureSigner],
        logs: Mapping[str, Sequence[NoteVerifier]],
        state: WitnessState,
    ) -> None:
        self._signers = tuple(signers)
        self._logs = dict(logs)
        self._state = state

    def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """Take a submission, check it in the order of the specification.

        Args:
            body: Of the request.

        Returns:
            The cosignature lines, or why there are none.

        """
        try:
            asked = Submission.parse(body)
        except NoteMalformed as error:
            return _refusal(400, str(error))
        keys = self._logs.get(asked.checkpoint.origin)
        if keys is None:
            return _refusal(404, "this log is not followed here")
        try:
            open_note(bytes(asked.note), keys)
        except NoteUntrusted as error:
            return _refusal(403, str(error))
        if asked.old > asked.checkpoint.size:
            return _refusal(400, "the old size is beyond the checkpoint's")
        return self._decide(asked)

    def _decide(self, asked: Submission) -> WitnessAnswer:
        new = asked.checkpoint
        with self._state.locked(new.origin) as held:
            latest = held.latest
            size = 0 if latest is None else latest.size
            if asked.old != size:
                return WitnessAnswer(
                    status=409, body=f"{size}\n", media_type=SIZE
                )
            try:
                _demand_growth(latest, asked)
            except ProofInvalid as error:
                return _refusal(422, str(error))
            # Signed under the lock: while it says that this is the largest
            # it has seen, no larger one can come in between.
            signed = sign_note(asked.note.text, self._signers)
            held.advance(new)
        return WitnessAnswer(
            status=200, body="".join(map(str, signed.signatures))
        )


def submission(old: int, proof: Sequence[bytes], note: str) -> bytes:
    """Write the body of a request, for whoever submits.

    Args:
        old: The size that the witness cosigned last.
        proof: The consistency proof from there.
        note: The signed checkpoint.

    Returns:
        The body.

    """
    # The lines of a proof are those of a proof file.
    lines = "".join(f"{encode_base64(each)}\n" for each in proof)
    return f"old {old}\n{lines}\n{note}".encode()


def _demand_growth(latest: Checkpoint | None, asked: Submission) -> None:
    """Refuse what is not shown to continue what was cosigned.

    Raises:
        ProofInvalid: It is not.

    """
    new = asked.checkpoint
    if new.size == 0 and new.root != EMPTY_ROOT:
        msg = "the root of an empty tree is another"
        raise ProofInvalid(msg)
    if asked.old == 0:
        if asked.proof:
            msg = "nothing is proved from the empty tree"
            raise ProofInvalid(msg)
        return
    if latest is None:  # pragma: no cover - then its size, 0, was asked for
        msg = "nothing was cosigned yet"
        raise ProofInvalid(msg)
    verify_consistency(
        old=asked.old,
        new=new.size,
        proof=asked.proof,
        old_root=latest.root,
        new_root=new.root,
    )


def _refusal(status: int, why: str) -> WitnessAnswer:
    return WitnessAnswer(status=status, body=f"{why}\n")
