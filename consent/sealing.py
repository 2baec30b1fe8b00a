"""How the openings of an entry are sealed at rest.

The person's row holds the subject part under a key from their log key; it
dies with it. The officer's row holds the audit part, and the commitment to
the other, under a key of the day; what the person is shown of it is read
there. Layouts are in `LEDGER.md`.

A row is bound to its leaf, not to its index: it is sealed before the index
is known where several workers append. Rows of version 1, which name the
index too, and of version 2, in which the person's row holds the audit part
as well, are still read.

The length of a row must not tell whether its entry is withheld. So all are
filled up as if they were: `spare` is what this one is shorter by.
"""

from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent.entries import (
    AUDIT_DOMAIN,
    SALT_BYTES,
    Opened,
    Place,
    commit,
    leaf_data,
)
from consent.errors import EntryUnreadable, LedgerInconsistent

NONCE_BYTES = 12
_WITH_INDEX = b"\x01"
_FORMAT = b"\x02"
_SUBJECT_ALONE = b"\x03"
_STEP = 32
_KNOWN = b"\x01"
_KNOWN_STEP = 512


class AuditOpening(NamedTuple):
    """What the officer's row holds.

    A tuple, because one is made for every entry.

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
    cipher: AESGCM,
    opened: Opened,
    *,
    leaf: bytes,
    nonce: bytes,
    spare: int = 0,
) -> bytes:
    """Seal the subject part for the person.

    Args:
        cipher: The person's.
        opened: Both bodies with their salts, and the place if any; the
            audit part is left to `seal_audit`.
        leaf: The entry's leaf data.
        nonce: 12 fresh random bytes.
        spare: Bytes by which it is filled up before rounding.

    Returns:
        The sealed row.

    """
    subject_salt, subject, _, _, place = opened
    stands = bytes(place) if place else b""
    plain = b"".join(
        (
            subject_salt,
            len(subject).to_bytes(4, "big"),
            subject,
            len(stands).to_bytes(4, "big"),
            stands,
        )
    )
    return _seal(_SUBJECT_ALONE, cipher, plain, leaf, nonce=nonce, spare=spare)


def open_own(
    cipher: AESGCM,
    sealed: bytes,
    *,
    day: AESGCM,
    audit: bytes,
    index: int,
    leaf: bytes,
) -> Opened:
    """Open what a person may see of their entry; hold it against its leaf.

    Args:
        cipher: The person's.
        sealed: Their sealed row.
        day: The audit cipher of the entry's day.
        audit: The officer's sealed row.
        index: Position of the entry.
        leaf: Its leaf data.

    Returns:
        Both bodies with their salts; they give the leaf.

    Raises:
        EntryUnreadable: Another key, another entry, or changed bytes.

    """
    plain = _open(cipher, sealed, index=index, leaf=leaf)
    if sealed[:1] == _SUBJECT_ALONE:
        subject, rest = _take(plain[SALT_BYTES:], index)
        other = open_audit(day, audit, index=index, leaf=leaf)
        audit_salt, audit_body = other.salt, other.body
    else:
        subject, rest = _take(plain[2 * SALT_BYTES :], index)
        audit_salt = plain[SALT_BYTES : 2 * SALT_BYTES]
        audit_body, rest = _take(rest, index)
    # Of version 1 nothing but zeros, and few of them, follow here.
    place = _take(rest.ljust(4, b"\0"), index)[0]
    opened = Opened(
        subject_salt=plain[:SALT_BYTES],
        subject_body=subject,
        audit_salt=audit_salt,
        audit_body=audit_body,
        place=Place.read(place) if place else None,
    )
    if opened.leaf() != leaf:
        raise _unreadable(index)
    return opened


def reseal_own(
    old: AESGCM,
    new: AESGCM,
    sealed: bytes,
    *,
    index: int,
    leaf: bytes,
    nonce: bytes,
) -> bytes:
    """Seal a person's row under another key, as long as it was.

    Args:
        old: The cipher that sealed it.
        new: The one to seal it with.
        sealed: The sealed row.
        index: Position of the entry.
        leaf: Its leaf data.
        nonce: 12 fresh random bytes.

    Returns:
        The sealed row.

    Raises:
        EntryUnreadable: Another key, another entry, or changed bytes.

    """
    plain = _open(old, sealed, index=index, leaf=leaf)
    version = max(sealed[:1], _FORMAT)
    return version + nonce + new.encrypt(nonce, plain, version + leaf)


def seal_audit(
    cipher: AESGCM,
    opening: AuditOpening,
    *,
    leaf: bytes,
    nonce: bytes,
    spare: int = 0,
) -> bytes:
    """Seal the audit part for the officer.

    Args:
        cipher: That of the entry's day.
        opening: Body, salt and the other commitment.
        leaf: The entry's leaf data.
        nonce: 12 fresh random bytes.
        spare: Bytes by which it is filled up before rounding.

    Returns:
        The sealed row.

    """
    length = len(opening.body).to_bytes(4, "big")
    plain = opening.salt + opening.subject + length + opening.body
    return _seal(_FORMAT, cipher, plain, leaf, nonce=nonce, spare=spare)


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


def seal_known(
    cipher: AESGCM, plain: bytes, *, bound: bytes, nonce: bytes
) -> bytes:
    """Seal what is known of a withheld entry.

    Args:
        cipher: The ledger's for this.
        plain: JSON.
        bound: What of the row must stay beside it.
        nonce: 12 fresh random bytes.

    Returns:
        The sealed text.

    """
    padded = plain + bytes(-len(plain) % _KNOWN_STEP)
    return _KNOWN + nonce + cipher.encrypt(nonce, padded, _KNOWN + bound)


def open_known(cipher: AESGCM, sealed: bytes, *, bound: bytes) -> bytes:
    """Open what is known of a withheld entry.

    Args:
        cipher: The ledger's for this.
        sealed: The sealed text.
        bound: What of the row stands beside it.

    Returns:
        JSON.

    Raises:
        LedgerInconsistent: The row was changed.

    """
    version, rest = sealed[:1], sealed[1:]
    nonce, body = rest[:NONCE_BYTES], rest[NONCE_BYTES:]
    try:
        return cipher.decrypt(nonce, body, version + bound).rstrip(b"\0")
    except (InvalidTag, ValueError, TypeError):
        what = "what is known of a withheld entry"
        raise LedgerInconsistent(index=None, what=what) from None


def _seal(
    version: bytes,
    cipher: AESGCM,
    plain: bytes,
    leaf: bytes,
    *,
    nonce: bytes,
    spare: int,
) -> bytes:
    # Padding hides what the exact length would tell of the kind of entry.
    filled = len(plain) + spare
    padded = plain + bytes(spare + -filled % _STEP)
    return version + nonce + cipher.encrypt(nonce, padded, version + leaf)


def _open(cipher: AESGCM, sealed: bytes, *, index: int, leaf: bytes) -> bytes:
    bound = leaf
    if sealed[:1] == _WITH_INDEX:
        bound = index.to_bytes(8, "big") + leaf
    elif sealed[:1] not in (_FORMAT, _SUBJECT_ALONE):
        raise _unreadable(index)
    try:
        return cipher.decrypt(
            sealed[1 : 1 + NONCE_BYTES],
            sealed[1 + NONCE_BYTES :],
            sealed[:1] + bound,
        )
    except (InvalidTag, ValueError):
        raise _unreadable(index) from None


def _take(data: bytes, index: int) -> tuple[bytes, bytes]:
    """Take one field off; only its writer could have made it malformed."""
    end = 4 + int.from_bytes(data[:4], "big")
    if len(data) < end:
        raise _unreadable(index)
    return data[4:end], data[end:]


def _unreadable(index: int) -> EntryUnreadable:
    msg = f"entry {index} does not open"
    return EntryUnreadable(msg)
