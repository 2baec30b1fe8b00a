"""The vault's bytes: fields, associated data, padding, records, states.

Follows ``vault/FORMAT.md`` section by section and knows no cryptography:
this module only says which bytes go in and how they are taken apart again.
It is stricter than it must be: a parser accepts exactly what its writer
makes, so whatever parses serialises to the same bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from struct import error as struct_error
from typing import TypeAlias
from uuid import UUID

from vault.errors import CryptoFailure

VALUE_VERSION = 1
SCHEMA = 1
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
LABEL_BINDING = b"pv1/index-binding"
LABEL_KEK = b"pv1/kek"
LABEL_KEK_FILE = b"pv1/kek-file"

_U32 = Struct(">I")
_U64 = Struct(">Q")
_VALUE_HEADER = Struct(">BBI")
# The constant ends of some LP texts, lengths written in.
_SUBJECT_TAIL = Struct(">I16sII")
_DEK_TAIL = Struct(">I16sIIIIIQ")
_VALUE_TAIL = Struct(">IIIIIQIIIB")
_ENTRY = Struct(">IQ16s")

Entry: TypeAlias = tuple[int, int, bytes]
"""Attribute number, version, the sealed value's tag."""


def lp(*fields: bytes) -> bytes:
    """Join fields, each behind its length as four bytes, big-endian."""
    pack = _U32.pack
    return b"".join([pack(len(field)) + field for field in fields])


def u32(number: int) -> bytes:
    """Encode a number in four bytes, big-endian."""
    return _U32.pack(number)


def u64(number: int) -> bytes:
    """Encode a number in eight bytes, big-endian."""
    return _U64.pack(number)


def subject_context(tenant: str, subject: UUID, gen: int) -> bytes:
    """Give the label under which a DEK's sub-keys are expanded."""
    tail = _SUBJECT_TAIL.pack(16, subject.bytes, 4, gen)
    return lp(LABEL_SUBJECT, tenant.encode()) + tail


def dek_context(
    tenant: str, subject: UUID, gen: int, kek_epoch: int, created_at: int
) -> bytes:
    """Give the associated data of a wrapped DEK."""
    tail = _DEK_TAIL.pack(
        16, subject.bytes, 4, gen, 4, kek_epoch, 8, created_at
    )
    return lp(LABEL_DEK, tenant.encode()) + tail


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


def index_context(tenant: str, attribute: int, key_version: int) -> bytes:
    """Give the label under which one index's keys are expanded."""
    return lp(LABEL_INDEX, tenant.encode(), u32(attribute), u32(key_version))


def binding_message(subject: UUID, digest: bytes, version: int) -> bytes:
    """Give what an index row's binding tag is made over."""
    return lp(LABEL_BINDING, subject.bytes, digest, u64(version))


def value_prefix(tenant: str, subject: UUID) -> bytes:
    """Give the part of a value's associated data that names the person."""
    return lp(LABEL_VALUE, tenant.encode(), subject.bytes)


def value_aad(prefix: bytes, attribute: int, version: int, gen: int) -> bytes:
    """Complete a value's associated data.

    Args:
        prefix: what `value_prefix` gave.
        attribute: the attribute's number.
        version: the value's version, from one.
        gen: the DEK's generation.

    """
    return prefix + _VALUE_TAIL.pack(
        4, SCHEMA, 4, attribute, 8, version, 4, gen, 1, AES_256_GCM
    )


def value_header(gen: int) -> bytes:
    """Give the six bytes that open a sealed value."""
    return _VALUE_HEADER.pack(VALUE_VERSION, AES_256_GCM, gen)


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
        source: where it came from, at most 255 bytes of UTF-8.

    """

    text: str
    recorded_at: int
    source: str


def record_prefix(recorded_at: int, source: str) -> bytes:
    """Give the part of a record that all values of one write share.

    Padded by itself, so that the length of the source does not decide on
    which side of a 16-byte step the length of the value falls.
    """
    raw = source.encode()
    return pad(_U64.pack(recorded_at) + bytes((len(raw),)) + raw)


def record_text(plaintext: bytes) -> str:
    """Read the value alone out of an opened, padded record.

    Checks less than `parse_record`: what has opened was made by `pad` and
    `record_prefix`.
    """
    bare = plaintext.rstrip(b"\0")
    return bare[(25 + bare[8]) // BLOCK * BLOCK : -1].decode()


def parse_record(plaintext: bytes) -> Record:
    """Read an opened, padded record.

    Raises:
        CryptoFailure: the bytes are no record.

    """
    bare = unpad(plaintext)
    try:
        (recorded_at,) = _U64.unpack_from(bare)
        end = 9 + bare[8]
        start = (end // BLOCK + 1) * BLOCK
        if bare[:start] != pad(bare[:end]):
            raise CryptoFailure
        return Record(
            text=bare[start:].decode(),
            recorded_at=recorded_at,
            source=bare[9:end].decode(),
        )
    except (struct_error, IndexError, UnicodeDecodeError):
        raise CryptoFailure from None


def write_manifest(entries: Iterable[Entry]) -> bytes:
    """List a person's current values, sorted by attribute number."""
    return b"".join(_ENTRY.pack(*entry) for entry in sorted(entries))


def parse_manifest(manifest: bytes) -> dict[int, Entry]:
    """Read a manifest into entries by attribute number.

    Raises:
        CryptoFailure: its length or order is not a manifest's.

    """
    try:
        entries = list(_ENTRY.iter_unpack(manifest))
    except struct_error:
        raise CryptoFailure from None
    numbers = [entry[0] for entry in entries]
    if sorted(set(numbers)) != numbers:
        raise CryptoFailure
    return {entry[0]: entry for entry in entries}


def state_message(epoch: int, manifest: bytes) -> bytes:
    """Give what a person's state MAC is made over."""
    return lp(LABEL_STATE, u64(epoch), manifest)


def split_state(state: bytes) -> tuple[bytes, bytes]:
    """Take a stored state apart into its MAC and its manifest."""
    return state[:32], state[32:]


def manifest_of(values: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Give the manifest that stored rows, sorted by attribute, amount to."""
    pack = _ENTRY.pack
    return b"".join(
        [
            pack(attribute, version, sealed[-TAG:])
            for attribute, version, sealed in values
        ]
    )
