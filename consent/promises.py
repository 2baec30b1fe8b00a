"""Inclusion promises: what an answer holds while its entry has no index.

With several workers an entry is durable before the one sequencer gives it an
index. The answer then carries a promise, as a certificate carries a signed
timestamp (RFC 9162, section 4.8): the ledger's key signs that this leaf hash
stands in its tree within the merge delay. It is a signed note, so that
whoever reads checkpoints reads promises; its first line is no origin.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from consent.errors import NoteMalformed
from consent.merkle import HASH_BYTES, hash_leaf
from consent.signed_notes import (
    NoteSigner,
    NoteVerifier,
    decode_base64,
    encode_base64,
    open_note,
    sign_note,
)

HEADER = "curtilage/ledger/1/promise"
MERGE_DELAY = 60
_LINES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionPromise:
    """That a leaf hash stands in a ledger's tree before long.

    Attributes:
        origin: The ledger.
        leaf_hash: 32 bytes.
        at: When it was promised, POSIX seconds.
        delay: Within so many seconds of it the promise is kept.
    """

    origin: str
    leaf_hash: bytes
    at: int
    delay: int

    def __str__(self) -> str:
        return (
            f"{HEADER}\n{self.origin}\n{encode_base64(self.leaf_hash)}\n"
            f"{self.at}\n{self.delay}\n"
        )


def sign_promise(
    leaf: bytes, *, origin: str, at: int, signer: NoteSigner
) -> str:
    """Promise that an entry that is durable gets its index.

    Args:
        leaf: Its leaf data.
        origin: The ledger.
        at: POSIX seconds, now.
        signer: The ledger's own key.

    Returns:
        A signed note.

    """
    promise = InclusionPromise(
        origin=origin, leaf_hash=hash_leaf(leaf), at=at, delay=MERGE_DELAY
    )
    return str(sign_note(str(promise), [signer]))


def open_promise(
    note: bytes, keys: Sequence[NoteVerifier], *, origin: str
) -> InclusionPromise:
    """Read a promise and trust it by the ledger's keys.

    Args:
        note: The signed note.
        keys: Keys whose word is taken.
        origin: The ledger that is expected.

    Returns:
        The promise.

    Raises:
        NoteMalformed: It is no promise of this ledger, or not in the one
            exact form.
        NoteUntrusted: No known key signed it, or a known key's signature
            fails.

    """
    text = open_note(note, keys).text
    lines = text.split("\n")
    if len(lines) != _LINES + 1 or lines[0] != HEADER or lines[1] != origin:
        msg = "the note is no promise of this ledger"
        raise NoteMalformed(msg)
    promise = InclusionPromise(
        origin=origin,
        leaf_hash=decode_base64(lines[2]),
        at=_number(lines[3]),
        delay=_number(lines[4]),
    )
    if len(promise.leaf_hash) != HASH_BYTES or str(promise) != text:
        msg = "the promise is not in its one exact form"
        raise NoteMalformed(msg)
    return promise


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        msg = "a promise states its times in decimal"
        raise NoteMalformed(msg)
    return int(text)
