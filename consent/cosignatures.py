"""Cosignatures: https://c2sp.org/tlog-cosignature, Ed25519 and ML-DSA-44.

A cosigner states that a checkpoint is consistent with all that it has seen
of that log, and when it said so. Witnesses cosign with type 0x04 or 0x06; a
log's own second signature is a cosignature of type 0x06 by itself.

The ML-DSA-44 message names its cosigner; the Ed25519 one does not, so one
Ed25519 key must never serve two cosigners. It also leaves out extension
lines. FIPS 204 is used with the empty context.

Only checkpoints are signed here: the message's ``start`` is 0. A timestamp
of 0, which the specification lets mean "no statement about time", is
refused: witnesses may not give it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PrivateKey,
    MLDSA44PublicKey,
)

from consent.checkpoint import Checkpoint
from consent.errors import NoteMalformed, NoteUntrusted
from consent.signed_notes import (
    ED25519,
    VerifierKey,
    check_key_name,
    join_vkey,
    key_id,
    split_vkey,
)

COSIGNED_ED25519 = 0x04
COSIGNED_MLDSA44 = 0x06
KEY_BYTES = {COSIGNED_ED25519: 32, COSIGNED_MLDSA44: 1312}
SIGNATURE_BYTES = {COSIGNED_ED25519: 64, COSIGNED_MLDSA44: 2420}
_LABEL = b"subtree/v1\n\x00"
_STAMP_BYTES = 8
_LATEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignatureKey:
    """A cosigner's public key.

    Attributes:
        name: Name of the cosigner.
        algorithm: 0x04 or 0x06.
        public_key: 32 bytes of Ed25519, or 1,312 of ML-DSA-44.
    """

    name: str
    algorithm: int
    public_key: bytes
    _key: Ed25519PublicKey | MLDSA44PublicKey = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        check_key_name(self.name)
        if len(self.public_key) != KEY_BYTES.get(self.algorithm):
            msg = "a cosigner's key has 32 bytes, or 1312 of ML-DSA-44"
            raise NoteMalformed(msg)
        object.__setattr__(
            self, "_key", _public(self.algorithm, self.public_key)
        )

    @property
    def key_id(self) -> bytes:
        """Four bytes over name, type and key."""
        return key_id(self.name, self.algorithm, self.public_key)

    def __str__(self) -> str:
        return join_vkey(self.name, self.algorithm, self.public_key)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a verifier key of type 0x04 or 0x06.

        Args:
            text: ``<name>+<hex id>+<base64>``.

        Returns:
            The key.

        Raises:
            NoteMalformed: It is not in that form, or of another type.

        """
        name, algorithm, public_key = split_vkey(text)
        return cls(name=name, algorithm=algorithm, public_key=public_key)

    def verify(self, text: str, signature: bytes) -> None:
        """Check one cosignature; see `time_of`, which also says when."""
        self.time_of(text, signature)

    def time_of(self, text: str, signature: bytes) -> int:
        """Check a cosignature over a checkpoint, and read when it was made.

        Args:
            text: The checkpoint's note text, its last newline included.
            signature: Timestamp and raw signature.

        Returns:
            POSIX seconds.

        Raises:
            NoteUntrusted: It is not this cosigner's over this checkpoint.

        """
        stamp, raw = signature[:_STAMP_BYTES], signature[_STAMP_BYTES:]
        at = int.from_bytes(stamp)
        msg = f"a cosignature of {self.name} does not hold"
        if not 0 < at <= _LATEST:
            raise NoteUntrusted(msg)
        try:
            self._key.verify(raw, self._message(text, at))
        except (InvalidSignature, NoteMalformed, ValueError):
            raise NoteUntrusted(msg) from None
        return at

    def _message(self, text: str, at: int) -> bytes:
        if self.algorithm == COSIGNED_ED25519:
            return timed_text(text, at)
        return cosigned_message(self.name, Checkpoint.parse_extended(text), at)


class CosignatureSigner:
    """Who cosigns: a witness, or a log with its ML-DSA-44 key.

    Args:
        name: Name of the cosigner; for a log, its origin.
        key: The private key. It is never printed, compared or pickled.
        clock: POSIX seconds, now; at least 1.
    """

    __slots__ = ("_clock", "_key", "key_id", "name", "verifier")

    def __init__(
        self,
        name: str,
        key: Ed25519PrivateKey | MLDSA44PrivateKey,
        clock: Callable[[], int],
    ) -> None:
        self.verifier = CosignatureKey(
            name=name,
            algorithm=COSIGNED_ED25519
            if isinstance(key, Ed25519PrivateKey)
            else COSIGNED_MLDSA44,
            public_key=key.public_key().public_bytes_raw(),
        )
        self.name = name
        self.key_id = self.verifier.key_id
        self._key = key
        self._clock = clock

    def __repr__(self) -> str:
        return f"CosignatureSigner({self.name!r}, {self.key_id.hex()!r})"

    def __reduce__(self) -> str:
        msg = "a signing key is not pickled"
        raise TypeError(msg)

    def sign(self, text: str) -> bytes:
        """Cosign a checkpoint's text, with the present time.

        Args:
            text: The note text, its last newline included.

        Returns:
            Timestamp and raw signature.

        Raises:
            NoteMalformed: The text is no checkpoint.

        """
        checkpoint, at = Checkpoint.parse_extended(text), self._clock()
        if isinstance(self._key, Ed25519PrivateKey):
            raw = self._key.sign(timed_text(text, at))
        else:
            raw = self._key.sign(cosigned_message(self.name, checkpoint, at))
        return at.to_bytes(_STAMP_BYTES) + raw


def read_log_key(text: str) -> VerifierKey | CosignatureKey:
    """Read a verifier key that a log may sign with: type 0x01 or 0x06.

    Args:
        text: ``<name>+<hex id>+<base64>``.

    Returns:
        The key.

    Raises:
        NoteMalformed: It is not in that form, or of another type.

    """
    _, algorithm, _ = split_vkey(text)
    if algorithm == ED25519:
        return VerifierKey.parse(text)
    if algorithm == COSIGNED_MLDSA44:
        return CosignatureKey.parse(text)
    msg = "a log signs with Ed25519 (type 1) or ML-DSA-44 (type 6)"
    raise NoteMalformed(msg)


def timed_text(text: str, at: int) -> bytes:
    """Write what an Ed25519 cosigner signs.

    Args:
        text: The note text, its last newline included.
        at: POSIX seconds.

    Returns:
        The message.

    """
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def cosigned_message(name: str, checkpoint: Checkpoint, at: int) -> bytes:
    """Write what an ML-DSA-44 cosigner signs about a whole tree.

    Args:
        name: Name of the cosigner.
        checkpoint: What is cosigned.
        at: POSIX seconds.

    Returns:
        The structure ``cosigned_message``.

    Raises:
        NoteMalformed: A name is longer than 255 bytes.

    """
    return (
        _LABEL
        + _short(name)
        + at.to_bytes(8)
        + _short(checkpoint.origin)
        + (0).to_bytes(8)
        + checkpoint.size.to_bytes(8)
        + checkpoint.root
    )


def _short(text: str) -> bytes:
    data = text.encode()
    if not 0 < len(data) < 256:
        msg = "a cosigned name has 1 to 255 bytes"
        raise NoteMalformed(msg)
    return bytes([len(data)]) + data


def _public(
    algorithm: int, public_key: bytes
) -> Ed25519PublicKey | MLDSA44PublicKey:
    if algorithm == COSIGNED_ED25519:
        return Ed25519PublicKey.from_public_bytes(public_key)
    try:
        return MLDSA44PublicKey.from_public_bytes(public_key)
    except UnsupportedAlgorithm:
        msg = "this build of OpenSSL has no ML-DSA-44"
        raise NoteMalformed(msg) from None
