"""The keys of one ledger, and the seal over its rows.

Two long-lived keys come in, the audit key and the mark key; a person's log
key comes with each draft. All others follow by HKDF-Expand (RFC 5869), with
the ledger's origin in each, so that two ledgers share nothing.

A day's key keeps AES-GCM with random nonces far from its bound, and lets an
audit row open only under the day that its side column states. The seal (a
MAC) over a row tells an erasure from a deletion by someone who has the
database alone.
"""

import hmac
import struct
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from consent.errors import LedgerInconsistent

TAG_BYTES = 16
MARK_BYTES = 16
SEAL_BYTES = 16
_SHA256 = SHA256()
_PERSON_BYTES = 32 + TAG_BYTES
SECONDS_A_DAY = 86_400
_ENTRY_SEAL = struct.Struct(">5sqqiiiiii")


class EntryFields(NamedTuple):
    """The columns of an entry before its seal, in order.

    Attributes:
        idx: Position of the entry.
        leaf: Its leaf data.
        tag: Tag of the person; ``None`` for nobody, or once erased.
        service: Side column.
        purpose: Side column.
        day: Side column, days since 1970-01-01, UTC.
        own: The person's sealed row; ``None`` as `tag`.
        audit: The officer's sealed row; ``None`` once erased.
    """

    idx: int
    leaf: bytes
    tag: bytes | None
    service: str
    purpose: str
    day: int
    own: bytes | None
    audit: bytes | None


def field_list(*parts: bytes) -> bytes:
    """Join byte strings injectively: each after its length in 4 bytes."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _mac(keyed: HMAC, data: bytes) -> bytes:
    """Compute HMAC-SHA-256 from a state that has taken its key in.

    Setting a key up costs twice what a short message does.
    """
    state = keyed.copy()
    state.update(data)
    return state.finalize()


class PersonKeys(NamedTuple):
    """What a log key gives: the tag of a person's rows, and their cipher.

    A tuple, because one is made for every entry.

    Attributes:
        tag: 16 bytes by which the person's rows are found.
        cipher: Seals and opens them.
    """

    tag: bytes
    cipher: AESGCM

    def __repr__(self) -> str:
        return "<PersonKeys>"


class LedgerKeys:
    """Derives every key of one ledger; holds the two long-lived ones.

    Args:
        origin: The ledger; keys of two ledgers have nothing in common.
        audit_key: 32 bytes, opens what the officer may see.
        mark_key: 32 bytes, makes the monthly marks of people.
    """

    def __init__(
        self, *, origin: str, audit_key: bytes, mark_key: bytes
    ) -> None:
        if len(audit_key) != 32 or len(mark_key) != 32:
            msg = "the audit key and the mark key have 32 bytes each"
            raise ValueError(msg)
        self._origin = origin.encode()
        self._audit_key = audit_key
        self._mark_key = mark_key
        self._own_info = self._info(b"own")
        self._row_mac = HMAC(self._expand(audit_key, b"row"), _SHA256)
        # Of the last day asked for; a tuple is replaced whole, so that two
        # threads never see a key beside another day.
        self._day: tuple[int, AESGCM] = (-1, self._day_cipher(-1))
        self._month_of: tuple[int, HMAC] = (-1, self._row_mac)

    def person(self, log_key: bytes) -> PersonKeys:
        """Derive a person's cipher and tag from their log key."""
        keys = HKDFExpand(_SHA256, _PERSON_BYTES, self._own_info).derive(
            log_key
        )
        return PersonKeys(keys[32:], AESGCM(keys[:32]))

    def second(self, log_key: bytes) -> PersonKeys:
        """Derive cipher and tag of what is withheld from a person.

        The cipher dies with the log key. The tag follows from the first
        one under the ledger's own key, so that whoever replays an erasure
        from the first tag finds it, and the log key alone does not.
        """
        info = self._info(b"second")
        cipher = AESGCM(HKDFExpand(SHA256(), 32, info).derive(log_key))
        return PersonKeys(self.second_tag(self.person(log_key).tag), cipher)

    def second_tag(self, tag: bytes) -> bytes:
        """Compute the tag of a person's second chain from the first's."""
        return self.keyed(b"second", tag)

    def keyed(self, use: bytes, *parts: bytes) -> bytes:
        """Name something by 16 bytes that only the ledger's key relates."""
        named = field_list(use, *parts)
        return _mac(self._row_mac, named)[:TAG_BYTES]

    def withheld(self) -> AESGCM:
        """Return the cipher of what is known of withheld entries."""
        return AESGCM(self._expand(self._audit_key, b"withheld"))

    def audit(self, day: int) -> AESGCM:
        """Return the audit cipher of a day.

        Args:
            day: Days since 1970-01-01, UTC.

        Returns:
            The cipher.

        """
        known, cipher = self._day
        if known != day:
            cipher = self._day_cipher(day)
            self._day = (day, cipher)
        return cipher

    def mark(self, subject: UUID, at: int) -> str:
        """Compute the mark of a person in the month of an instant.

        Args:
            subject: The person.
            at: POSIX seconds.

        Returns:
            32 hexadecimal digits: equal for one person within one month,
            unlinkable across months.

        """
        day = at // SECONDS_A_DAY
        known, key = self._month_of
        if known != day:
            month = datetime.fromtimestamp(at, UTC).strftime("%Y-%m")
            key = HMAC(
                self._expand(self._mark_key, b"mark", month.encode()), _SHA256
            )
            self._month_of = (day, key)
        return _mac(key, subject.bytes)[:MARK_BYTES].hex()

    def seal_entry(self, row: EntryFields) -> bytes:
        """Compute the seal over an entry's row as a whole.

        Args:
            row: Its columns.

        Returns:
            16 bytes.

        """
        idx, leaf, tag, service, purpose, day, own, audit = row
        named, declared = service.encode(), purpose.encode()
        # Every length stands in the fixed part, and -1 tells a missing
        # field from an empty one: no two rows give the same bytes.
        fixed = _ENTRY_SEAL.pack(
            b"entry",
            idx,
            day,
            len(leaf),
            -1 if tag is None else len(tag),
            len(named),
            len(declared),
            -1 if own is None else len(own),
            -1 if audit is None else len(audit),
        )
        data = b"".join(
            (
                fixed,
                leaf,
                tag or b"",
                named,
                declared,
                own or b"",
                audit or b"",
            )
        )
        return _mac(self._row_mac, data)[:SEAL_BYTES]

    def check_entry(self, row: EntryFields, seal: bytes) -> None:
        """Hold an entry's row against its seal.

        Args:
            row: Its columns before the seal, as the database gave them.
            seal: The column itself.

        Raises:
            LedgerInconsistent: Something in the row was changed.

        """
        try:
            held = hmac.compare_digest(self.seal_entry(row), seal)
        except (AttributeError, TypeError, ValueError, struct.error):
            # SQLite keeps in a column what was put there, of any type.
            held = False
        if not held:
            raise LedgerInconsistent(index=row.idx, what="row")

    def seal_checkpoint(
        self, *, size: int, root: bytes, note: str, at: int
    ) -> bytes:
        """Compute the seal over a stored checkpoint.

        Args:
            size: Number of entries.
            root: Root over them.
            note: The signed note.
            at: When it was signed, POSIX seconds.

        Returns:
            16 bytes.

        """
        row = field_list(
            b"checkpoint", b"%d" % size, root, note.encode(), b"%d" % at
        )
        return _mac(self._row_mac, row)[:SEAL_BYTES]

    def _day_cipher(self, day: int) -> AESGCM:
        name = day.to_bytes(8, "big", signed=True)
        return AESGCM(self._expand(self._audit_key, b"audit", name))

    def _expand(self, key: bytes, use: bytes, name: bytes = b"") -> bytes:
        return HKDFExpand(SHA256(), 32, self._info(use, name)).derive(key)

    def _info(self, use: bytes, name: bytes = b"") -> bytes:
        return field_list(b"curtilage/ledger/1", self._origin, use, name)
