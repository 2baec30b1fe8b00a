"""How the openings of an entry are sealed at rest.

The person's row holds both parts under a key from their log key; it dies
with it. The officer's row holds the audit part, and the commitment to the
other, under a key of the day. Layouts are in `LEDGER.md`.
"""

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent.entries import (
    AUDIT_DOMAIN,
    SALT_BYTES,
    Opened,
    commit,
    leaf_data,
)
from consent.errors import EntryUnreadable

NONCE_BYTES = 12
_FORMAT = b"\x01"
_STEP = 32


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AuditOpening:
    """What the officer's row holds.

    Attributes:
        salt: 16 bytes.
        body: Canonical JSON of the audit part.
        subject: Commitment to the subject part, which says nothing of it.
    """

    salt: bytes
    body: bytes
    subject: bytes

    def commitment(self) -> bytes:
        """Commit to the audit part."""
        return commit(AUDIT_DOMAIN, self.salt, self.body)

    def leaf(self) -> bytes:
        """Compute the leaf data over both parts."""
        return leaf_data(self.subject, self.commitment())


def seal_own(
    cipher: AESGCM, opened: Opened, *, index: int, leaf: bytes, nonce: bytes
) -> bytes:
    """Seal both parts for the person.

    Args:
        cipher: The person's.
        opened: Both bodies with their salts.
        index: Position of the entry.
        leaf: Its leaf data.
        nonce: 12 fresh random bytes.

    Returns:
        The sealed row.

    """
    plain = (
        opened.subject_salt
        + opened.audit_salt
        + len(opened.subject_body).to_bytes(4, "big")
        + opened.subject_body
        + len(opened.audit_body).to_bytes(4, "big")
        + opened.audit_body
    )
    return _seal(cipher, plain, index=index, leaf=leaf, nonce=nonce)


def open_own(
    cipher: AESGCM, sealed: bytes, *, index: int, leaf: bytes
) -> Opened:
    """Open a person's row and hold it against its leaf.

    Args:
        cipher: The person's.
        sealed: The sealed row.
        index: Position of the entry.
        leaf: Its leaf data.

    Returns:
        Both bodies with their salts; they give the leaf.

    Raises:
        EntryUnreadable: Another key, another entry, or changed bytes.

    """
    plain = _open(cipher, sealed, index=index, leaf=leaf)
    subject, rest = _take(plain[2 * SALT_BYTES :], index)
    opened = Opened(
        subject_salt=plain[:SALT_BYTES],
        subject_body=subject,
        audit_salt=plain[SALT_BYTES : 2 * SALT_BYTES],
        audit_body=_take(rest, index)[0],
    )
    if opened.leaf() != leaf:
        raise _unreadable(index)
    return opened


def seal_audit(
    cipher: AESGCM,
    opening: AuditOpening,
    *,
    index: int,
    leaf: bytes,
    nonce: bytes,
) -> bytes:
    """Seal the audit part for the officer.

    Args:
        cipher: That of the entry's day.
        opening: Body, salt and the other commitment.
        index: Position of the entry.
        leaf: Its leaf data.
        nonce: 12 fresh random bytes.

    Returns:
        The sealed row.

    """
    length = len(opening.body).to_bytes(4, "big")
    plain = opening.salt + opening.subject + length + opening.body
    return _seal(cipher, plain, index=index, leaf=leaf, nonce=nonce)


def open_audit(
    cipher: AESGCM, sealed: bytes, *, index: int, leaf: bytes
) -> AuditOpening:
    """Open the officer's row and hold it against its leaf.

    Args:
        cipher: That of the entry's day.
        sealed: The sealed row.
        index: Position of the entry.
        leaf: Its leaf data.

    Returns:
        Body, salt and the other commitment; they give the leaf.

    Raises:
        EntryUnreadable: Another key, another entry, or changed bytes.

    """
    plain = _open(cipher, sealed, index=index, leaf=leaf)
    opening = AuditOpening(
        salt=plain[:SALT_BYTES],
        subject=plain[SALT_BYTES : SALT_BYTES + 32],
        body=_take(plain[SALT_BYTES + 32 :], index)[0],
    )
    if opening.leaf() != leaf:
        raise _unreadable(index)
    return opening


def _seal(
    cipher: AESGCM, plain: bytes, *, index: int, leaf: bytes, nonce: bytes
) -> bytes:
    # Padding hides what the exact length would tell of the kind of entry.
    padded = plain + bytes(-len(plain) % _STEP)
    return _FORMAT + nonce + cipher.encrypt(nonce, padded, _bind(index, leaf))


def _open(cipher: AESGCM, sealed: bytes, *, index: int, leaf: bytes) -> bytes:
    try:
        if sealed[:1] != _FORMAT:
            raise _unreadable(index)
        return cipher.decrypt(
            sealed[1 : 1 + NONCE_BYTES],
            sealed[1 + NONCE_BYTES :],
            _bind(index, leaf),
        )
    except (InvalidTag, ValueError):
        raise _unreadable(index) from None


def _bind(index: int, leaf: bytes) -> bytes:
    return _FORMAT + index.to_bytes(8, "big") + leaf


def _take(data: bytes, index: int) -> tuple[bytes, bytes]:
    """Take one field off; only its writer could have made it malformed."""
    end = 4 + int.from_bytes(data[:4], "big")
    if len(data) < end:
        raise _unreadable(index)
    return data[4:end], data[end:]


def _unreadable(index: int) -> EntryUnreadable:
    msg = f"entry {index} does not open"
    return EntryUnreadable(msg)
