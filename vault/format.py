"""The vault's bytes: fields, associated data, padding, records, states.

Follows ``vault/FORMAT.md`` section by section and knows no cryptography:
this module only says which bytes go in and how they are taken apart again.
It is stricter than it must be: a parser accepts exactly what its writer
makes, so whatever parses serialises to the same bytes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import Struct
from struct import error as struct_error
from typing import TypeAlias
from uuid import UUID

from vault.errors import CryptoFailure
from vault.places import NUMBERS

SCHEMA = 2
SCHEMA_1 = 1
AES_256_GCM = 1
AES_256_GCM_SIV = 2

NONCE = 12
TAG = 16
KEY = 32
BLOCK = 16
HEADER = 6
OVERHEAD = HEADER + NONCE + TAG
WRAPPED = 1 + NONCE + KEY + TAG
DIGEST = 16

LABEL_SUBJECT = b"pv1/sub"
LABEL_DEK = b"pv1/dek"
LABEL_VALUE = b"pv1/attr"
LABEL_STATE = b"pv1/state"
LABEL_TENANT = b"pv1/tenant"
LABEL_INDEX = b"pv1/index"
LABEL_CANDIDATE = b"pv1/candidate"
LABEL_BINDING = b"pv1/index-binding"
LABEL_KEK = b"pv1/kek"
LABEL_KEK_FILE = b"pv1/kek-file"
LABEL_KEK_BLOB = b"pv1/kek-blob"
LABEL_STATES_KEY = b"pv1/kek-states-key"
LABEL_STATES = b"pv1/kek-states"

_U32 = Struct(">I")
_U64 = Struct(">Q")
_VALUE_HEADER = Struct(">BBI")
# The constant ends of some LP texts, lengths written in.
SUBJECT_TAIL = Struct(">I16sII")
DEK_TAIL = Struct(">I16sIIIIIQ")
VALUE_TAIL = Struct(">IIIIIQIIIB")
ENTRY = Struct(">IQ16s")
_STATE_TAIL = Struct(">IQI")
_SIXTEEN = _U32.pack(16)
_OPEN = 2**47 - 1
EARLIEST = -62_135_596_800
LATEST = 253_402_300_799

Entry: TypeAlias = tuple[int, int, bytes]
"""Attribute number, version, the sealed value's tag."""


def lp(*fields: bytes) -> bytes:
    """Join fields, each behind its length as four bytes, big-endian."""
    pack = _U32.pack
    return b"".join([pack(len(field)) + field for field in fields])


# What the texts of every read begin with, lengths written in.
_SUBJECT_HEAD = lp(LABEL_SUBJECT)
_DEK_HEAD = lp(LABEL_DEK)
_VALUE_HEAD = lp(LABEL_VALUE)
_STATE_HEAD = lp(LABEL_STATE)


def u32(number: int) -> bytes:
    """Encode a number in four bytes, big-endian."""
    return _U32.pack(number)


def u64(number: int) -> bytes:
    """Encode a number in eight bytes, big-endian."""
    return _U64.pack(number)


def subject_head(tenant: str) -> bytes:
    """Give what the labels of a tenant's sub-keys begin with."""
    return _SUBJECT_HEAD + lp(tenant.encode())


def dek_head(tenant: str) -> bytes:
    """Give what the associated data of a tenant's wrapped DEKs begins with."""
    return _DEK_HEAD + lp(tenant.encode())


def value_head(tenant: str) -> bytes:
    """Give what the associated data of a tenant's values begins with.

    The 16 bytes of the person's id follow.
    """
    return _VALUE_HEAD + lp(tenant.encode()) + _SIXTEEN


def subject_context(tenant: str, subject: UUID, gen: int) -> bytes:
    """Give the label under which a DEK's sub-keys are expanded."""
    name = tenant.encode()
    tail = SUBJECT_TAIL.pack(16, subject.bytes, 4, gen)
    return _SUBJECT_HEAD + _U32.pack(len(name)) + name + tail


def dek_context(
    tenant: str, subject: UUID, gen: int, kek_epoch: int, created_at: int
) -> bytes:
    """Give the associated data of a wrapped DEK."""
    name = tenant.encode()
    tail = DEK_TAIL.pack(
        16, subject.bytes, 4, gen, 4, kek_epoch, 8, created_at
    )
    return _DEK_HEAD + _U32.pack(len(name)) + name + tail


def tenant_context(
    tenant: str, decoy: UUID, kek_epoch: int, created_at: int
) -> bytes:
    """Give the associated data of a tenant's wrapped index root."""
    return lp(
        LABEL_TENANT,
        tenant.encode(),
        decoy.bytes,
        u32(kek_epoch),
        u64(created_at),
    )


def kek_context(tenant: str, key_id: UUID, epoch: int, suite: int) -> bytes:
    """Give what a KEK is bound to where a custodian sealed it."""
    return lp(
        LABEL_KEK_BLOB,
        tenant.encode(),
        key_id.bytes,
        u32(epoch),
        bytes((suite,)),
    )


def kek_state(
    epoch: int, key_id: UUID, state: str, dates: Sequence[int | None]
) -> bytes:
    """Write one KEK's row as its seal covers it."""
    return lp(
        u32(epoch),
        key_id.bytes,
        state.encode(),
        *(b"" if date is None else u64(date) for date in dates),
    )


def states_message(revision: int, rows: Sequence[bytes]) -> bytes:
    """Give what the seal over a tenant's KEK rows is made over."""
    return lp(LABEL_STATES, u64(revision), *rows)


def index_context(tenant: str, attribute: int, key_version: int) -> bytes:
    """Give the label under which one index's keys are expanded."""
    return lp(LABEL_INDEX, tenant.encode(), u32(attribute), u32(key_version))


def candidate_context(
    tenant: str, attribute: int, prefix: int, bits: int, key_version: int
) -> bytes:
    """Give the label under which the key of a shared index is expanded."""
    return lp(
        LABEL_CANDIDATE,
        tenant.encode(),
        u32(attribute),
        u32(prefix),
        u32(bits),
        u32(key_version),
    )


def cut(digest: bytes, bits: int) -> bytes:
    """Keep the first bits of a digest; the rest of the last byte is zero."""
    kept = bytearray(digest[: (bits + 7) // 8])
    if bits % 8:
        kept[-1] &= 0xFF << 8 - bits % 8 & 0xFF
    return bytes(kept)


def binding_message(
    subject: UUID, digest: bytes, version: int, place: int
) -> bytes:
    """Give what an index row's binding tag is made over."""
    fields = (LABEL_BINDING, subject.bytes, digest, u64(version))
    if place < NUMBERS:
        return lp(*fields)
    return lp(*fields, u32(place))


def value_prefix(tenant: str, subject: UUID) -> bytes:
    """Give the part of a value's associated data that names the person."""
    name, who = tenant.encode(), subject.bytes
    return _VALUE_HEAD + _U32.pack(len(name)) + name + _SIXTEEN + who


def value_aad(
    prefix: bytes, place: int, version: int, gen: int, schema: int
) -> bytes:
    """Complete a value's associated data.

    Args:
        prefix: what `value_prefix` gave.
        place: the attribute's number, or another place (`vault.places`).
        version: the value's version, from one.
        gen: the DEK's generation.
        schema: how the record is laid out, 1 or 2.

    """
    return prefix + VALUE_TAIL.pack(
        4, schema, 4, place, 8, version, 4, gen, 1, AES_256_GCM
    )


def value_header(gen: int, schema: int) -> bytes:
    """Give the six bytes that open a sealed value."""
    return _VALUE_HEADER.pack(schema, AES_256_GCM, gen)


def pad(data: bytes) -> bytes:
    """Pad to a multiple of 16 bytes: 80, then 00s (ISO/IEC 7816-4)."""
    return data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)


def unpad(data: bytes) -> bytes:
    """Take the padding off again.

    Raises:
        CryptoFailure: the bytes were not padded by `pad`.

    """
    bare = data.rstrip(b"\0")
    if (
        len(data) % BLOCK
        or len(data) - len(bare) >= BLOCK
        or not bare.endswith(b"\x80")
    ):
        raise CryptoFailure
    return bare[:-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is sealed for one version of one attribute.

    Attributes:
        text: the canonical value.
        recorded_at: when it was written, POSIX seconds.
        valid_from: since when it holds, POSIX seconds.
        valid_until: from when it no longer holds, or none.
        confidence: the code of how sure it is; 0 where it was not said.
        source: where it came from, at most 255 bytes of UTF-8.

    """

    text: str
    recorded_at: int
    valid_from: int
    valid_until: int | None
    confidence: int
    source: str


def record_head(
    recorded_at: int,
    source: str,
    *,
    valid_from: int | None = None,
    valid_until: int | None = None,
    confidence: int = 0,
) -> bytes:
    """Give the part of a record that all values of one write share.

    The times have fixed lengths, and the whole is padded by itself, so that
    neither an end nor the length of the source decides on which side of a
    16-byte step the length of the value falls.
    """
    since = recorded_at if valid_from is None else valid_from
    until = _OPEN if valid_until is None else valid_until
    raw = source.encode()
    return pad(
        recorded_at.to_bytes(5, "big")
        + since.to_bytes(6, "big", signed=True)
        + until.to_bytes(6, "big", signed=True)
        + bytes((confidence, len(raw)))
        + raw
    )


def record_text(plaintext: bytes, schema: int) -> str:
    """Read the value alone out of an opened, padded record.

    Checks less than `parse_record`: what has opened was made by `pad` and
    `record_head`.
    """
    bare = plaintext.rstrip(b"\0")
    at = 18 if schema == SCHEMA else 8
    return bare[(17 + at + bare[at]) // BLOCK * BLOCK : -1].decode()


def parse_record(plaintext: bytes, schema: int) -> Record:
    """Read an opened, padded record.

    Raises:
        CryptoFailure: the bytes are no record.

    """
    bare = unpad(plaintext)
    at = 18 if schema == SCHEMA else 8
    try:
        end = at + 1 + bare[at]
        start = (end // BLOCK + 1) * BLOCK
        if bare[:start] != pad(bare[:end]):
            raise CryptoFailure
        if schema == SCHEMA:
            recorded_at, since, until = _times(bare)
        else:
            (recorded_at,) = _U64.unpack_from(bare)
            since, until = recorded_at, _OPEN
        return Record(
            text=bare[start:].decode(),
            recorded_at=recorded_at,
            valid_from=since,
            valid_until=None if until == _OPEN else until,
            confidence=bare[17] if schema == SCHEMA else 0,
            source=bare[at + 1 : end].decode(),
        )
    except (struct_error, IndexError, UnicodeDecodeError):
        raise CryptoFailure from None


def _times(head: bytes) -> tuple[int, int, int]:
    """Read the three times that open a record of schema 2."""
    return (
        int.from_bytes(head[:5], "big"),
        int.from_bytes(head[5:11], "big", signed=True),
        int.from_bytes(head[11:17], "big", signed=True),
    )


def write_manifest(entries: Iterable[Entry]) -> bytes:
    """List a person's current values, sorted by attribute number."""
    return b"".join(ENTRY.pack(*entry) for entry in sorted(entries))


def parse_manifest(manifest: bytes) -> dict[int, Entry]:
    """Read a manifest into entries by attribute number.

    Raises:
        CryptoFailure: its length or order is not a manifest's.

    """
    try:
        entries = list(ENTRY.iter_unpack(manifest))
    except struct_error:
        raise CryptoFailure from None
    numbers = [entry[0] for entry in entries]
    if sorted(set(numbers)) != numbers:
        raise CryptoFailure
    return {entry[0]: entry for entry in entries}


def state_message(epoch: int, manifest: bytes) -> bytes:
    """Give what a person's state MAC is made over."""
    return _STATE_HEAD + _STATE_TAIL.pack(8, epoch, len(manifest)) + manifest


def split_state(state: bytes) -> tuple[bytes, bytes]:
    """Take a stored state apart into its MAC and its manifest."""
    return state[:32], state[32:]


def manifest_of(values: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Give the manifest that stored rows, sorted by attribute, amount to."""
    pack = ENTRY.pack
    return b"".join(
        [
            pack(attribute, version, sealed[-TAG:])
            for attribute, version, sealed in values
        ]
    )
