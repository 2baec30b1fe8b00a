"""Checkpoints: https://c2sp.org/tlog-checkpoint, and their proof files.

A checkpoint is a signed note that states a ledger's origin, the number of
its entries and the root over them. A proof file
(https://c2sp.org/tlog-proof, version 1) is an inclusion proof with the
checkpoint that it leads to; it is checked without the ledger.

Stricter than the specification: a note that is read as a checkpoint carries
a signature by a key named as its origin, and no extension lines, which
monitors cannot audit.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from consent.errors import NoteMalformed
from consent.merkle import HASH_BYTES
from consent.signed_notes import (
    NoteSigner,
    NoteVerifier,
    SignedNote,
    check_key_name,
    decode_base64,
    encode_base64,
    open_note,
    sign_note,
)

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_PROOF_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a ledger says about itself at one size.

    Attributes:
        origin: The ledger's own name.
        size: Number of entries.
        root: Merkle root over them.
    """

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the note text that is signed."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a note text as a checkpoint.

        Args:
            text: Three lines.

        Returns:
            The checkpoint, whose `text` is the same again.

        Raises:
            NoteMalformed: It is not in the one exact form.

        """
        if text.count("\n") != 3:
            msg = "a checkpoint reads origin, size, root and no more"
            raise NoteMalformed(msg)
        return cls.parse_extended(text)

    @classmethod
    def parse_extended(cls, text: str) -> Self:
        """Read a note text as a checkpoint that may say more.

        Other makers' logs may add extension lines. A witness takes them,
        since it vouches for the first three lines only; nobody else here
        does.

        Args:
            text: Three lines or more, none empty.

        Returns:
            What the first three say.

        Raises:
            NoteMalformed: It is not in the one exact form.

        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            msg = "a checkpoint reads origin, size, root"
            raise NoteMalformed(msg)
        check_key_name(lines[0])
        root = decode_base64(lines[2])
        if len(root) != HASH_BYTES:
            msg = f"the root of a checkpoint has {HASH_BYTES} bytes"
            raise NoteMalformed(msg)
        return cls(origin=lines[0], size=parse_decimal(lines[1]), root=root)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofFile:
    """An inclusion proof with the checkpoint that it leads to.

    Attributes:
        index: Position of the entry, from 0.
        hashes: The proof, the leaf's sibling first.
        checkpoint: The signed checkpoint, word for word.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str

    def __str__(self) -> str:
        proof = "".join(f"{encode_base64(each)}\n" for each in self.hashes)
        return (
            f"{_PROOF_HEADER}\nindex {self.index}\n{proof}\n{self.checkpoint}"
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a proof file; its checkpoint is not trusted yet.

        Args:
            text: The file, without an ``extra`` line.

        Returns:
            The proof, which writes back to the same text.

        Raises:
            NoteMalformed: It is not in the one exact form.

        """
        head, separator, checkpoint = text.partition("\n\n")
        header, *lines = head.split("\n")
        if header != _PROOF_HEADER or not separator or not lines:
            msg = f"a proof file begins with {_PROOF_HEADER}"
            raise NoteMalformed(msg)
        word, _, index = lines[0].partition(" ")
        if word != "index":
            msg = "the second line of a proof file is its index"
            raise NoteMalformed(msg)
        return cls(
            index=parse_decimal(index),
            hashes=tuple(map(decode_base64, lines[1:])),
            checkpoint=checkpoint,
        )


def sign_checkpoint(
    checkpoint: Checkpoint, signers: Iterable[NoteSigner]
) -> SignedNote:
    """Sign a checkpoint. The caller has proved it consistent with the last.

    Args:
        checkpoint: What is stated.
        signers: The ledger's key, then any others.

    Returns:
        The signed note.

    """
    return sign_note(checkpoint.text(), signers)


def open_checkpoint(
    data: bytes, keys: Sequence[NoteVerifier], *, origin: str
) -> Checkpoint:
    """Read a checkpoint and trust it by the keys of its ledger.

    Args:
        data: The signed note.
        keys: Keys of the ledger.
        origin: The ledger that is expected.

    Returns:
        The checkpoint.

    Raises:
        NoteMalformed: It is no checkpoint, or one of another ledger.
        NoteUntrusted: No key named as the origin signed it, or a known
            key's signature fails.

    """
    own = [key for key in keys if key.name == origin]
    checkpoint = Checkpoint.parse(open_note(data, own).text)
    if checkpoint.origin != origin:
        msg = "the checkpoint is of another ledger"
        raise NoteMalformed(msg)
    return checkpoint


def parse_decimal(text: str) -> int:
    """Read an unsigned decimal below 2**63, without leading zeros.

    Args:
        text: ASCII digits.

    Returns:
        The number.

    Raises:
        NoteMalformed: It is written in another way, or too large.

    """
    if not _DECIMAL.fullmatch(text) or int(text) >= 1 << 63:
        msg = "a number is decimal, without leading zeros"
        raise NoteMalformed(msg)
    return int(text)
