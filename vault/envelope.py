"""Sealing under a person's data-encryption key, and nothing else.

Follows ``vault/FORMAT.md``, sections 3 to 6. AES-256-GCM does not commit to
its key (one ciphertext can open under two), so a DEK carries a commitment
made by HKDF, and `open_subject` compares it before anything else is opened.

DEKs and the sub-keys that leave no object behind live in buffers that are
zeroed when the ``with`` block ends. What cannot be promised: the copies that
OpenSSL's cipher contexts hold until they are freed, and the ``str`` of an
opened value.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, NoReturn, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from vault import format as fmt
from vault.errors import CryptoFailure

_SHA256 = hashes.SHA256()
_SUB_KEYS = 128
_NO_KEYS = bytes(_SUB_KEYS)
_NO_KEY = bytes(fmt.KEY)


class DekOpener(Protocol):
    """Unwraps a DEK under the KEK of its epoch."""

    def unwrap_into(
        self, epoch: int, context: bytes, blob: bytes, key: bytearray
    ) -> None:
        """Write the 32 bytes of the key into ``key`` or raise."""


class WrappedDek(NamedTuple):
    """One row of the keys database, as it is stored.

    A tuple, because one is made for every read.
    """

    tenant: str
    subject: UUID
    gen: int
    kek_epoch: int
    created_at: int
    commitment: bytes
    blob: bytes

    def context(self) -> bytes:
        """Give the associated data under which the DEK is wrapped."""
        return fmt.dek_context(
            self.tenant,
            self.subject,
            self.gen,
            self.kek_epoch,
            self.created_at,
        )


def expand(key: bytes | bytearray, context: bytes, length: int) -> bytearray:
    """Derive ``length`` bytes by HKDF-Expand-SHA256 (RFC 5869, 2.3)."""
    derived = bytearray(length)
    HKDFExpand(_SHA256, length, context).derive_into(key, derived)
    return derived


def mac(key: bytes | bytearray | memoryview, message: bytes) -> bytes:
    """Authenticate a message by HMAC-SHA256 (RFC 2104)."""
    authenticator = hmac.HMAC(key, _SHA256)
    authenticator.update(message)
    return authenticator.finalize()


def zero(buffer: bytearray) -> None:
    """Overwrite a buffer in place."""
    buffer[:] = bytes(len(buffer))


def commitment(tenant: str, subject: UUID, gen: int, dek: bytearray) -> bytes:
    """Give the commitment that is stored beside a wrapped DEK."""
    derived = expand(dek, fmt.subject_context(tenant, subject, gen), 128)
    try:
        return bytes(derived[32:64])
    finally:
        zero(derived)


class SubjectKeys:
    """A person's sub-keys, for the length of one ``with`` block.

    Has no ``repr`` of its content, no equality by value, and cannot be
    pickled.
    """

    __slots__ = (
        "_aead",
        "_derived",
        "_gen",
        "_header",
        "_older",
        "_prefix",
        "subject",
    )

    def __init__(
        self, tenant: str, subject: UUID, gen: int, derived: bytearray
    ) -> None:
        """Take over a derived buffer of 128 bytes."""
        self.subject = subject
        self._gen = gen
        self._derived = derived
        self._aead: AESGCM | None = None
        self._header = fmt.value_header(gen, fmt.SCHEMA)
        self._older = fmt.value_header(gen, fmt.SCHEMA_1)
        self._prefix = fmt.value_prefix(tenant, subject)

    def __reduce__(self) -> NoReturn:
        msg = "keys are not serialised"
        raise TypeError(msg)

    def log_key(self) -> bytes:
        """Give the key of the person's ledger entries, 32 bytes."""
        return bytes(self._derived[96:128])

    def state_mac(self, epoch: int, manifest: bytes) -> bytes:
        """Authenticate the list of the person's current values."""
        state_key = memoryview(self._derived)[64:96]
        return mac(state_key, fmt.state_message(epoch, manifest))

    def check_state(self, epoch: int, manifest: bytes, stored: bytes) -> None:
        """Verify a stored state.

        Raises:
            CryptoFailure: it was not made by the holder of this DEK.

        """
        if not bytes_eq(self.state_mac(epoch, manifest), stored):
            raise CryptoFailure(self.subject)

    def seal(
        self, place: int, version: int, record: bytes, nonce: bytes
    ) -> bytes:
        """Seal a record for one place. The caller draws the nonce afresh."""
        return self._sealed(place, version, fmt.pad(record), nonce, fmt.SCHEMA)

    def open(self, place: int, version: int, sealed: bytes) -> bytes:
        """Open a sealed value into its padded record.

        Its first byte is then known to be the record's schema.

        Raises:
            CryptoFailure: the bytes were not sealed for this place.

        """
        head = sealed[:6]
        if head not in (self._header, self._older):
            raise CryptoFailure(self.subject)
        aad = fmt.value_aad(self._prefix, place, version, self._gen, head[0])
        try:
            return self._cipher().decrypt(sealed[6:18], sealed[18:], aad)
        except (InvalidTag, ValueError):
            # ValueError is what the library says to fewer than 16 bytes.
            raise CryptoFailure(self.subject) from None

    def reseal(
        self, source: "SubjectKeys", row: tuple[int, int, bytes], nonce: bytes
    ) -> bytes:
        """Seal what other keys of the person had sealed, as it was.

        Args:
            source: keys of the person's other generation.
            row: place, version, the value sealed under them.
            nonce: drawn afresh.

        Raises:
            CryptoFailure: the row does not open under them.

        """
        place, version, sealed = row
        padded = source.open(place, version, sealed)
        return self._sealed(place, version, padded, nonce, sealed[0])

    def _sealed(
        self,
        place: int,
        version: int,
        padded: bytes,
        nonce: bytes,
        schema: int,
    ) -> bytes:
        aad = fmt.value_aad(self._prefix, place, version, self._gen, schema)
        header = self._header if schema == fmt.SCHEMA else self._older
        return header + nonce + self._cipher().encrypt(nonce, padded, aad)

    def open_texts(
        self,
        rows: Iterable[tuple[int, int, bytes]],
        wanted: Mapping[int, str],
    ) -> dict[str, str]:
        """Open the wanted ones among a person's rows; the path of every read.

        Args:
            rows: attribute number, version, sealed value.
            wanted: names by attribute number.

        Returns:
            Values by name.

        Raises:
            CryptoFailure: one of them was not sealed for its place.

        """
        decrypt = self._cipher().decrypt
        aad, text = fmt.value_aad, fmt.record_text
        prefix, gen = self._prefix, self._gen
        header, older = self._header, self._older
        texts = {}
        try:
            for number, version, sealed in rows:
                if number not in wanted:
                    continue
                head = sealed[:6]
                if head not in (header, older):
                    raise CryptoFailure(self.subject)
                schema = head[0]
                texts[wanted[number]] = text(
                    decrypt(
                        sealed[6:18],
                        sealed[18:],
                        aad(prefix, number, version, gen, schema),
                    ),
                    schema,
                )
        except (InvalidTag, ValueError):
            raise CryptoFailure(self.subject) from None
        return texts

    def _cipher(self) -> AESGCM:
        if self._aead is None:
            self._aead = AESGCM(memoryview(self._derived)[:32])
        return self._aead


class OpenSubject:
    """A context manager that unwraps a DEK and gives its sub-keys.

    Written as a class because a generator costs a microsecond more on the
    path of every read.
    """

    __slots__ = ("_derived", "_keys", "_row")

    def __init__(self, opener: DekOpener, row: WrappedDek) -> None:
        """Unwrap, derive, check the commitment; zero the DEK at once.

        Raises:
            CryptoFailure: the DEK does not open here, or is not the one
                that was committed to.

        """
        dek, derived = bytearray(_NO_KEY), bytearray(_NO_KEYS)
        try:
            opener.unwrap_into(row.kek_epoch, row.context(), row.blob, dek)
            context = fmt.subject_context(row.tenant, row.subject, row.gen)
            HKDFExpand(_SHA256, _SUB_KEYS, context).derive_into(dek, derived)
        except CryptoFailure:
            raise CryptoFailure(row.subject) from None
        finally:
            dek[:] = _NO_KEY
        if not bytes_eq(bytes(derived[32:64]), row.commitment):
            derived[:] = _NO_KEYS
            raise CryptoFailure(row.subject)
        self._derived = derived
        self._row = row

    def keys(self) -> SubjectKeys:
        """Give the sub-keys; of no use once `close` was called."""
        row = self._row
        return SubjectKeys(row.tenant, row.subject, row.gen, self._derived)

    def log_key(self) -> bytes:
        """Give what `SubjectKeys.log_key` gives, without the others."""
        return bytes(self._derived[96:128])

    def close(self) -> None:
        """Zero the sub-keys; again is harmless."""
        self._derived[:] = _NO_KEYS

    def __enter__(self) -> SubjectKeys:
        return self.keys()

    def __exit__(self, *_: object) -> None:
        self.close()
