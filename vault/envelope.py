"""Sealing under a person's data-encryption key, and nothing else.

Follows ``vault/FORMAT.md``, sections 3 to 6. AES-256-GCM does not commit to
its key (one ciphertext can open under two), so a DEK carries a commitment
made by HKDF, and `open_subject` compares it before anything else is opened.

DEKs and the sub-keys that leave no object behind live in buffers that are
zeroed when the ``with`` block ends. What cannot be promised: the copies that
OpenSSL's cipher contexts hold until they are freed, and the ``str`` of an
opened value.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, Protocol, TypeAlias
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from vault import format as fmt
from vault.errors import STRANGE, CryptoFailure

_SHA256 = hashes.SHA256()
_SUB_KEYS = 128
_NO_KEYS = bytes(_SUB_KEYS)
_NO_KEY = bytes(fmt.KEY)


Row: TypeAlias = tuple[Any, ...]
"""A row of either database, as the driver gives it."""


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


class RecordOpener:
    """Opens records of many people of one tenant, one after the other.

    It does for each of them what `OpenSubject` and `SubjectKeys` do for one,
    check for check, and makes once what is the same for all. DEK and
    sub-keys have one buffer each, zeroed after every record. Not for use by
    several threads at once.
    """

    __slots__ = (
        "_aad",
        "_committed",
        "_context",
        "_decrypt_into",
        "_dek",
        "_derived",
        "_label",
        "_state_key",
        "_suite",
        "_suite_field",
        "_value_key",
    )

    def __init__(
        self, tenant: str, suite: bytes, kek: AESGCM | AESGCMSIV
    ) -> None:
        """Take the cipher of the KEK that wraps the people's DEKs.

        Args:
            tenant: whose people.
            suite: the KEK's, one byte.
            kek: its cipher.

        """
        self._suite = suite
        self._suite_field = fmt.lp(suite)
        self._decrypt_into = kek.decrypt_into
        self._context = fmt.dek_head(tenant)
        self._label = fmt.subject_head(tenant)
        self._aad = fmt.value_head(tenant)
        self._dek, self._derived = bytearray(_NO_KEY), bytearray(_NO_KEYS)
        whole = memoryview(self._derived)
        self._value_key, self._committed = whole[:32], whole[32:64]
        self._state_key = whole[64:96]

    def __reduce__(self) -> NoReturn:
        msg = "keys are not serialised"
        raise TypeError(msg)

    def open_texts(
        self,
        subject: UUID,
        dek: Row,
        rows: Sequence[Row],
        state: Row | None,
        wanted: Mapping[int, str],
    ) -> dict[str, str]:
        """Open the wanted ones among a person's rows.

        Args:
            subject: the person.
            dek: the row of their key, as `deks.joined` selects it; the
                caller has seen to it that key and KEK may open.
            rows: theirs, sorted, as `DataRows.each` gives them.
            state: epoch and state, likewise, if there are any.
            wanted: names by attribute number.

        Returns:
            Values by name.

        Raises:
            CryptoFailure: key, state or a value does not open, or they do
                not belong together.

        """
        try:
            self._derive(subject.bytes, dek)
            epoch, code, _ = state or (0, b"", None)
            if epoch or rows:
                self._verify(rows, epoch, code)
            return self._texts(subject.bytes, dek[1], rows, wanted)
        except (InvalidTag, CryptoFailure, *STRANGE):
            raise CryptoFailure(subject) from None
        finally:
            self._dek[:] = _NO_KEY
            self._derived[:] = _NO_KEYS

    def _derive(self, who: bytes, row: Row) -> None:
        """Unwrap, derive, check the commitment; zero the DEK at once."""
        gen, epoch, created_at, committed, blob = row[1:6]
        if len(blob) != fmt.WRAPPED or blob[:1] != self._suite:
            raise CryptoFailure
        tail = fmt.DEK_TAIL.pack(16, who, 4, gen, 4, epoch, 8, created_at)
        dek = self._dek
        self._decrypt_into(
            blob[1:13],
            blob[13:],
            self._context + tail + self._suite_field,
            dek,
        )
        label = self._label + fmt.SUBJECT_TAIL.pack(16, who, 4, gen)
        HKDFExpand(_SHA256, _SUB_KEYS, label).derive_into(dek, self._derived)
        dek[:] = _NO_KEY
        if not bytes_eq(bytes(self._committed), committed):
            raise CryptoFailure

    def _verify(self, rows: Sequence[Row], epoch: int, state: bytes) -> None:
        """Compare the rows with the person's authenticated state."""
        code, manifest = state[:32], state[32:]
        made = mac(self._state_key, fmt.state_message(epoch, manifest))
        if not bytes_eq(made, code):
            raise CryptoFailure
        entry = fmt.ENTRY.pack
        listed = [
            entry(attribute, version, sealed[-16:])
            for attribute, version, sealed, _ in rows
        ]
        if manifest != b"".join(listed):
            raise CryptoFailure

    def _texts(
        self,
        who: bytes,
        gen: int,
        rows: Sequence[Row],
        wanted: Mapping[int, str],
    ) -> dict[str, str]:
        """Open the wanted values, whose state was verified."""
        decrypt = AESGCM(self._value_key).decrypt
        prefix, tail, text = self._aad + who, fmt.VALUE_TAIL, fmt.record_text
        header = fmt.value_header(gen, fmt.SCHEMA)
        older = fmt.value_header(gen, fmt.SCHEMA_1)
        texts = {}
        for number, version, sealed, _ in rows:
            name = wanted.get(number)
            if name is None:
                continue
            head = sealed[:6]
            if head not in (header, older):
                raise CryptoFailure
            schema = head[0]
            aad = prefix + tail.pack(
                4, schema, 4, number, 8, version, 4, gen, 1, fmt.AES_256_GCM
            )
            texts[name] = text(decrypt(sealed[6:18], sealed[18:], aad), schema)
        return texts


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
