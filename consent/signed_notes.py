"""Signed notes: https://c2sp.org/signed-note, with Ed25519 (type 0x01).

A note is a text and one or more signature lines under it. A reader knows
keys by name and 32-bit id; it ignores the lines of keys that it does not
know, and trusts the note only if at least one known key signed it and no
known key's signature fails.

Stricter than the specification: base64 must be in its one canonical form, so
that a note that parses is written back to the very same bytes; a verifier
key of another type than 0x01 is refused; at most 64 signatures are read.

Another algorithm is another pair of classes with the members of `NoteSigner`
and `NoteVerifier`; what a signature says beyond the text, such as a
timestamp, is inside its bytes. `cosignatures` has those of witnesses, and
the ML-DSA-44 that logs sign with.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from consent.errors import NoteMalformed, NoteUntrusted

ED25519 = 0x01
LARGEST_NOTE = 1 << 20
MOST_SIGNATURES = 64
_DASH = "\u2014 "


class NoteVerifier(Protocol):
    """A public key by which notes are trusted."""

    @property
    def name(self) -> str:
        """The key's name."""

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""

    def verify(self, text: str, signature: bytes) -> None:
        """Check one signature over a note's text.

        Raises:
            NoteUntrusted: It is not this key's over this text.

        """


class NoteSigner(Protocol):
    """Whoever signs notes: a log, its second key, or a witness."""

    @property
    def name(self) -> str:
        """The key's name; for a log, its origin."""

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""

    @property
    def verifier(self) -> NoteVerifier:
        """The public half."""

    def sign(self, text: str) -> bytes:
        """Sign a note's text, its last newline included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line.

    Attributes:
        name: Name of the key.
        key_id: Four bytes.
        signature: What the key's algorithm made.
    """

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        blob = encode_base64(self.key_id + self.signature)
        return f"{_DASH}{self.name} {blob}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedNote:
    """A text with its signature lines, trusted by nobody yet.

    Attributes:
        text: The signed text; ends in a newline.
        signatures: One or more.
    """

    text: str
    signatures: tuple[NoteSignature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    def __bytes__(self) -> bytes:
        return str(self).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key by which notes are trusted.

    Attributes:
        name: Name of the key.
        public_key: 32 bytes of Ed25519.
    """

    name: str
    public_key: bytes
    _key: Ed25519PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_key_name(self.name)
        if len(self.public_key) != 32:
            msg = "an Ed25519 public key has 32 bytes"
            raise NoteMalformed(msg)
        key = Ed25519PublicKey.from_public_bytes(self.public_key)
        object.__setattr__(self, "_key", key)

    @property
    def key_id(self) -> bytes:
        """Four bytes over name, type and key."""
        return key_id(self.name, ED25519, self.public_key)

    def __str__(self) -> str:
        return join_vkey(self.name, ED25519, self.public_key)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``<name>+<hex id>+<base64>``.

        Args:
            text: The verifier key, as an operator publishes it.

        Returns:
            The key.

        Raises:
            NoteMalformed: It is not in that form, of another algorithm, or
                its id is not that of its key.

        """
        name, algorithm, public_key = split_vkey(text)
        if algorithm != ED25519:
            msg = "a verifier key of this type is not known here"
            raise NoteMalformed(msg)
        return cls(name=name, public_key=public_key)

    def verify(self, text: str, signature: bytes) -> None:
        """Check one signature over a note's text.

        Args:
            text: The text, its last newline included.
            signature: 64 bytes.

        Raises:
            NoteUntrusted: The signature is not this key's over this text.

        """
        try:
            self._key.verify(signature, text.encode())
        except InvalidSignature:
            msg = f"a signature of {self.name} does not hold"
            raise NoteUntrusted(msg) from None


class LedgerSigner:
    """The key of one ledger, by which its checkpoints are signed.

    Args:
        name: Name of the key; for a ledger, its origin.
        key: The private key. It is never printed, compared or pickled.
    """

    __slots__ = ("_key", "key_id", "name", "verifier")

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.verifier = VerifierKey(
            name=name, public_key=key.public_key().public_bytes_raw()
        )
        self.name = name
        self.key_id = self.verifier.key_id
        self._key = key

    def __repr__(self) -> str:
        return f"LedgerSigner({str(self.verifier)!r})"

    def __reduce__(self) -> str:
        msg = "a signing key is not pickled"
        raise TypeError(msg)

    def sign(self, text: str) -> bytes:
        """Sign a note's text, its last newline included."""
        return self._key.sign(text.encode())


def sign_note(text: str, signers: Iterable[NoteSigner]) -> SignedNote:
    """Sign a text with every key given.

    Args:
        text: Ends in a newline; no control character but newline.
        signers: At least one.

    Returns:
        The note.

    Raises:
        NoteMalformed: The text cannot be a note's, or nobody signs.

    """
    _check_text(text)
    signatures = tuple(
        NoteSignature(
            name=signer.name, key_id=signer.key_id, signature=signer.sign(text)
        )
        for signer in signers
    )
    if not signatures:
        msg = "a note needs a signature"
        raise NoteMalformed(msg)
    return SignedNote(text=text, signatures=signatures)


def parse_note_untrusted(data: bytes) -> SignedNote:
    """Read the form of a note. Nothing about it is trusted yet.

    Args:
        data: The note's bytes.

    Returns:
        The note, which writes back to the same bytes.

    Raises:
        NoteMalformed: It is not in the one exact form.

    """
    if len(data) > LARGEST_NOTE:
        msg = "the note is too long"
        raise NoteMalformed(msg)
    try:
        note = data.decode()
    except UnicodeDecodeError:
        msg = "a note is UTF-8"
        raise NoteMalformed(msg) from None
    # The text may hold empty lines itself: the last one separates.
    text, separator, lines = note.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        msg = "a note is a text, an empty line and signature lines"
        raise NoteMalformed(msg)
    _check_text(text + "\n")
    signatures = tuple(map(parse_signature_line, lines[:-1].split("\n")))
    if len(signatures) > MOST_SIGNATURES:
        msg = "the note has too many signatures"
        raise NoteMalformed(msg)
    return SignedNote(text=text + "\n", signatures=signatures)


def open_note(data: bytes, keys: Sequence[NoteVerifier]) -> SignedNote:
    """Read a note and trust it by the keys that are known.

    Args:
        data: The note's bytes.
        keys: The keys whose word is taken.

    Returns:
        The note; at least one of the keys signed its text.

    Raises:
        NoteMalformed: It is not in the one exact form.
        NoteUntrusted: No known key signed it, or a known key's signature
            fails.

    """
    note = parse_note_untrusted(data)
    known = {(key.name, key.key_id): key for key in keys}
    held = False
    for line in note.signatures:
        if key := known.get((line.name, line.key_id)):
            key.verify(note.text, line.signature)
            held = True
    if not held:
        msg = "no known key signed the note"
        raise NoteUntrusted(msg)
    return note


def key_id(name: str, algorithm: int, public_key: bytes) -> bytes:
    """Compute the four bytes that name a key beside its name.

    Args:
        name: Name of the key.
        algorithm: The signature type byte.
        public_key: The key in the type's own encoding.

    Returns:
        Four bytes.

    """
    named = name.encode() + b"\n" + bytes([algorithm]) + public_key
    return hashlib.sha256(named).digest()[:4]


def join_vkey(name: str, algorithm: int, public_key: bytes) -> str:
    """Write a verifier key: ``<name>+<hex id>+<base64>``.

    Args:
        name: Name of the key.
        algorithm: The signature type byte.
        public_key: The key in the type's own encoding.

    Returns:
        The text, as an operator publishes it.

    """
    identity = key_id(name, algorithm, public_key).hex()
    blob = encode_base64(bytes([algorithm]) + public_key)
    return f"{name}+{identity}+{blob}"


def split_vkey(text: str) -> tuple[str, int, bytes]:
    """Read a verifier key of any type.

    Args:
        text: ``<name>+<hex id>+<base64>``; the base64 may hold more plus
            signs.

    Returns:
        Name, type byte, and the key in the type's own encoding.

    Raises:
        NoteMalformed: It is not in that form, or its id is not that of its
            key.

    """
    name, plus, rest = text.partition("+")
    hexadecimal, second, blob = rest.partition("+")
    if not plus or not second:
        msg = "a verifier key reads name+id+key"
        raise NoteMalformed(msg)
    check_key_name(name)
    raw = decode_base64(blob)
    if not raw or key_id(name, raw[0], raw[1:]).hex() != hexadecimal:
        msg = "the id in the verifier key is not that of its key"
        raise NoteMalformed(msg)
    return name, raw[0], raw[1:]


def parse_signature_line(line: str) -> NoteSignature:
    """Read one signature line, without its newline.

    Args:
        line: Dash, name, base64.

    Returns:
        The signature, trusted by nobody yet.

    Raises:
        NoteMalformed: It is not in the one exact form.

    """
    name, space, blob = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        msg = "a signature line reads: dash, name, base64"
        raise NoteMalformed(msg)
    check_key_name(name)
    raw = decode_base64(blob)
    if len(raw) < 5:
        msg = "a signature line holds a key id and a signature"
        raise NoteMalformed(msg)
    return NoteSignature(name=name, key_id=raw[:4], signature=raw[4:])


def check_key_name(name: str) -> None:
    """Refuse a key name that a signature line could not carry.

    Args:
        name: Name of the key.

    Raises:
        NoteMalformed: It is empty or holds a space, a plus sign or a
            control character.

    """
    if not name or any(c.isspace() or c == "+" or c < " " for c in name):
        msg = "a key name is not empty and holds no space and no plus sign"
        raise NoteMalformed(msg)


def encode_base64(data: bytes) -> str:
    """Write RFC 4648 section 4 base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Read base64 in its one canonical form.

    Args:
        text: RFC 4648 section 4, padded, unused bits zero.

    Returns:
        The bytes.

    Raises:
        NoteMalformed: It is in another form.

    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        msg = "this is not base64"
        raise NoteMalformed(msg) from None
    if encode_base64(data) != text:
        msg = "base64 is not in its canonical form"
        raise NoteMalformed(msg)
    return data


def _check_text(text: str) -> None:
    if not text.endswith("\n") or any(c < " " and c != "\n" for c in text):
        msg = "a note's text ends in a newline and has no control characters"
        raise NoteMalformed(msg)
