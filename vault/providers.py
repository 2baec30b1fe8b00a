"""Where key-encryption keys live: one object an epoch, outside the databases.

A `KeyProvider` never hands a KEK out; it wraps and unwraps. `FileKeyProvider`
keeps one file an epoch under a folder, each wrapped by a passphrase through
Argon2id (RFC 9106) as laid down in ``vault/FORMAT.md``, section 8. A wrong
passphrase and a damaged file are the same error. The folder is to be held
apart from both databases and left out of every backup: destroying the file
of a past epoch is what makes an erasure final.
"""

import os
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import NoReturn, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from vault import format as fmt
from vault.envelope import expand, zero
from vault.errors import CryptoFailure, KeyUnavailable

_MAGIC = b"CKEK"
_HEAD = Struct(">4sBBI16sIII16s")
_COMMITMENT = 32
_LENGTH = _HEAD.size + _COMMITMENT + fmt.NONCE + fmt.KEY + fmt.TAG
_MOST_MEMORY = 4 * 1024 * 1024
_MOST_ITERATIONS = 64
_MOST_LANES = 64

Cipher = AESGCM | AESGCMSIV


class KeyProvider(Protocol):
    """Custody of a tenant's KEKs, one an epoch."""

    @property
    def grace(self) -> int:
        """Seconds from `destroy` until nobody can undo it."""

    def create(self, epoch: int, key_id: UUID) -> None:
        """Make the KEK of an epoch durable; again with one id is harmless."""

    def key_id(self, epoch: int) -> UUID:
        """Say which KEK stands for an epoch."""

    def wrap(
        self, epoch: int, context: bytes, key: bytes | bytearray
    ) -> bytes:
        """Wrap 32 bytes of key, bound to a context."""

    def unwrap_into(
        self, epoch: int, context: bytes, blob: bytes, key: bytearray
    ) -> None:
        """Unwrap into a buffer of 32 bytes."""

    def kek(self, epoch: int) -> "Kek":
        """Give the opened KEK of an epoch, for work on many keys."""

    def destroy(self, epoch: int) -> None:
        """Destroy the KEK of an epoch for good; again is harmless."""

    def close(self) -> None:
        """Forget every opened KEK."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argon2Cost:
    """What a guess at the passphrase costs.

    The defaults are the second choice of RFC 9106, section 4.

    Attributes:
        memory_kib: memory in KiB.
        iterations: passes over it.
        lanes: degree of parallelism.

    """

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 4


def wrapping_suite() -> int:
    """Choose how DEKs are wrapped: GCM-SIV where the library has it."""
    try:
        AESGCMSIV(bytes(fmt.KEY))
    except UnsupportedAlgorithm:
        return fmt.AES_256_GCM
    return fmt.AES_256_GCM_SIV


def cipher(suite: int, key: bytes | bytearray | memoryview) -> Cipher:
    """Set up the cipher of a suite.

    Raises:
        CryptoFailure: there is no such suite.

    """
    if suite == fmt.AES_256_GCM_SIV:
        return AESGCMSIV(key)
    if suite == fmt.AES_256_GCM:
        return AESGCM(key)
    raise CryptoFailure


class Kek:
    """One opened KEK: wraps and unwraps, and shows nothing."""

    __slots__ = ("aead", "key_id", "suite")

    def __init__(self, suite: int, key_id: UUID, key: bytearray) -> None:
        """Take the key's cipher; the caller zeroes its buffer.

        `aead` and `suite`, one byte, are for loops over many keys.
        """
        self.key_id = key_id
        self.suite = bytes((suite,))
        self.aead = cipher(suite, key)

    def __reduce__(self) -> NoReturn:
        msg = "keys are not serialised"
        raise TypeError(msg)

    def wrap(
        self, context: bytes, key: bytes | bytearray, nonce: bytes
    ) -> bytes:
        """Wrap 32 bytes of key."""
        aad = context + fmt.lp(self.suite)
        return self.suite + nonce + self.aead.encrypt(nonce, key, aad)

    def unwrap_into(self, context: bytes, blob: bytes, key: bytearray) -> None:
        """Unwrap into a buffer.

        Raises:
            CryptoFailure: the blob was not made by this KEK for this context.

        """
        if len(blob) != fmt.WRAPPED or blob[:1] != self.suite:
            raise CryptoFailure
        aad = context + fmt.lp(self.suite)
        try:
            self.aead.decrypt_into(blob[1:13], blob[13:], aad, key)
        except InvalidTag:
            raise CryptoFailure from None


class OpenedKeks(ABC):
    """What every provider does with a KEK that it has opened."""

    _random: Callable[[int], bytes]

    def wrap(
        self, epoch: int, context: bytes, key: bytes | bytearray
    ) -> bytes:
        """Wrap 32 bytes of key under an epoch's KEK, bound to a context.

        Raises:
            KeyUnavailable: as for `key_id`.

        """
        return self._kek(epoch).wrap(context, key, self._random(fmt.NONCE))

    def unwrap_into(
        self, epoch: int, context: bytes, blob: bytes, key: bytearray
    ) -> None:
        """Unwrap what `wrap` made into a buffer of 32 bytes.

        Raises:
            KeyUnavailable: as for `key_id`.
            CryptoFailure: the blob was not made for this context.

        """
        self._kek(epoch).unwrap_into(context, blob, key)

    def kek(self, epoch: int) -> Kek:
        """Give an epoch's opened KEK, for work on many keys.

        Raises:
            KeyUnavailable: as for `key_id`.

        """
        return self._kek(epoch)

    @abstractmethod
    def _kek(self, epoch: int) -> Kek:
        """Open an epoch's KEK, or give the one that is open."""


class FileKeyProvider(OpenedKeks):
    """KEKs in files, one an epoch, under one passphrase.

    Args:
        folder: of one tenant; made with mode 0700 when the first KEK is.
        passphrase: at least one byte; copied, and zeroed by `close`.
        cost: Argon2id's cost for files written from now on. Files tell
            their own cost when they are opened.
        random: as ``os.urandom``.

    """

    def __init__(
        self,
        folder: Path,
        passphrase: bytes | bytearray | memoryview,
        *,
        cost: Argon2Cost | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._folder = folder
        self._passphrase = bytearray(passphrase)
        if not self._passphrase:
            msg = "the passphrase of the key files is empty"
            raise KeyUnavailable(msg)
        self._cost = cost or Argon2Cost()
        self._random = random
        self._opened: dict[int, Kek] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> NoReturn:
        msg = "keys are not serialised"
        raise TypeError(msg)

    @property
    def grace(self) -> int:
        """A file that is gone is gone."""
        return 0

    def close(self) -> None:
        """Forget the passphrase and every opened KEK."""
        with self._lock:
            zero(self._passphrase)
            self._passphrase.clear()
            self._opened.clear()

    def create(self, epoch: int, key_id: UUID) -> None:
        """Make a new KEK durable: file and folder are synced on return.

        Raises:
            KeyUnavailable: another KEK already stands for the epoch.

        """
        if self._path(epoch).exists():
            if self.key_id(epoch) != key_id:
                msg = f"another key already stands for epoch {epoch}"
                raise KeyUnavailable(msg)
            return
        key = bytearray(self._random(fmt.KEY))
        try:
            content = self._sealed_file(epoch, key_id, key)
        finally:
            zero(key)
        self._write(self._path(epoch), content)

    def key_id(self, epoch: int) -> UUID:
        """Say which KEK stands for an epoch.

        Raises:
            KeyUnavailable: there is none, or the file does not open.

        """
        return self._kek(epoch).key_id

    def destroy(self, epoch: int) -> None:
        """Overwrite and remove an epoch's file, and forget its KEK.

        On media that remap blocks the overwriting is a courtesy; what stays
        there is still wrapped by the passphrase.
        """
        with self._lock:
            self._opened.pop(epoch, None)
        path = self._path(epoch)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        try:
            os.write(handle, bytes(os.fstat(handle).st_size))
            os.fsync(handle)
        finally:
            os.close(handle)
        path.unlink()
        self._sync_folder()

    def _path(self, epoch: int) -> Path:
        return self._folder / f"kek-{epoch:08d}"

    def _kek(self, epoch: int) -> Kek:
        kek = self._opened.get(epoch)
        if kek is None:
            with self._lock:
                kek = self._opened.get(epoch)
                if kek is None:
                    kek = self._opened[epoch] = self._open(epoch)
        return kek

    def _open(self, epoch: int) -> Kek:
        content = self._read(epoch)
        try:
            return self._unsealed_file(epoch, content)
        except CryptoFailure:
            # One wording for a wrong passphrase and for a damaged file.
            msg = f"the key file of epoch {epoch} does not open"
            raise KeyUnavailable(msg) from None

    def _read(self, epoch: int) -> bytes:
        try:
            handle = os.open(self._path(epoch), os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            msg = f"there is no readable key file for epoch {epoch}"
            raise KeyUnavailable(msg) from None
        with open(handle, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
                msg = (
                    f"the key file of epoch {epoch} is open to others; set "
                    "its mode to 0600 and consider the key compromised"
                )
                raise KeyUnavailable(msg)
            return file.read(_LENGTH + 1)

    def _sealed_file(self, epoch: int, key_id: UUID, key: bytearray) -> bytes:
        cost = self._cost
        suite = wrapping_suite()
        head = _HEAD.pack(
            _MAGIC,
            1,
            suite,
            epoch,
            key_id.bytes,
            cost.memory_kib,
            cost.iterations,
            cost.lanes,
            self._random(16),
        )
        derived = self._derived(head)
        nonce = self._random(fmt.NONCE)
        try:
            aead = cipher(suite, memoryview(derived)[:32])
            aad = fmt.lp(fmt.LABEL_KEK_FILE, head)
            sealed = aead.encrypt(nonce, key, aad)
            return head + bytes(derived[32:]) + nonce + sealed
        finally:
            zero(derived)

    def _unsealed_file(self, epoch: int, content: bytes) -> Kek:
        if len(content) != _LENGTH:
            raise CryptoFailure
        head = content[: _HEAD.size]
        magic, version, suite, named, key_id, *_ = _HEAD.unpack(head)
        if (magic, version, named) != (_MAGIC, 1, epoch):
            raise CryptoFailure
        derived = self._derived(head)
        key = bytearray(fmt.KEY)
        stored = content[_HEAD.size : _HEAD.size + _COMMITMENT]
        sealed = content[_HEAD.size + _COMMITMENT :]
        try:
            # A passphrase-derived key under a cipher that does not commit
            # would let one file test many passphrases at once.
            if not bytes_eq(bytes(derived[32:]), stored):
                raise CryptoFailure
            aead = cipher(suite, memoryview(derived)[:32])
            aad = fmt.lp(fmt.LABEL_KEK_FILE, head)
            aead.decrypt_into(sealed[:12], sealed[12:], aad, key)
            return Kek(suite, UUID(bytes=key_id), key)
        except InvalidTag:
            raise CryptoFailure from None
        finally:
            zero(derived)
            zero(key)

    def _derived(self, head: bytes) -> bytearray:
        """Give wrapping key and commitment from the passphrase, 64 bytes."""
        *_, memory, iterations, lanes, salt = _HEAD.unpack(head)
        if (
            not 1 <= lanes <= _MOST_LANES
            or not 8 * lanes <= memory <= _MOST_MEMORY
            or not 1 <= iterations <= _MOST_ITERATIONS
            or not self._passphrase
        ):
            raise CryptoFailure
        stretched = bytearray(fmt.KEY)
        Argon2id(
            salt=salt,
            length=fmt.KEY,
            iterations=iterations,
            lanes=lanes,
            memory_cost=memory,
        ).derive_into(self._passphrase, stretched)  # type: ignore[arg-type] # the stub says bytes, any buffer is taken
        try:
            return expand(stretched, fmt.lp(fmt.LABEL_KEK, head), 64)
        finally:
            zero(stretched)

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file that appears whole, and never over another."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{self._random(8).hex()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        handle = os.open(temporary, flags, 0o600)
        try:
            with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
                os.fchmod(handle, 0o600)
                file.write(content)
                file.flush()
                os.fsync(handle)
            os.link(temporary, path)
        except FileExistsError:
            msg = f"another key appeared as {path.name}"
            raise KeyUnavailable(msg) from None
        finally:
            temporary.unlink()
        self._sync_folder()

    def _sync_folder(self) -> None:
        handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
