"""KEKs held elsewhere: a custodian's key seals each, and it is opened once.

A custodian (hardware module, transit service, cloud KMS) keeps one **provider
object** an epoch: a key that never leaves it. The epoch's KEK, 32 random
bytes, is sealed by that object and stands in the keys database, beside the
epoch's state; it is opened once a process, so that a DEK costs no call.
Destroying the object kills the KEK in the row and in every backup of it.
``vault/FORMAT.md``, section 8, says why the row is a safe place.
"""

import hashlib
import threading
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple, NoReturn, Protocol
from uuid import UUID

from cryptography.hazmat.primitives.constant_time import bytes_eq

from vault import format as fmt
from vault.envelope import zero
from vault.errors import CryptoFailure, KeyUnavailable
from vault.providers import Kek, OpenedKeks, wrapping_suite

_VERSION = 1
_HEAD = 3
_BINDING = 16


class Kind(IntEnum):
    """Who sealed a KEK; the third byte of what is stored."""

    PKCS11 = 1
    TRANSIT = 2
    AWS_KMS = 3


_CLIENTS = {
    Kind.PKCS11: ("python-pkcs11", "pkcs11"),
    Kind.TRANSIT: ("hvac", "transit"),
    Kind.AWS_KMS: ("boto3", "aws-kms"),
}


class Custodian(Protocol):
    """Custody of keys that never leave, by name.

    Every method may raise `KeyUnavailable`; its message says what to do and
    shows neither key nor credential.
    """

    @property
    def kind(self) -> Kind:
        """Which custodian this is."""

    @property
    def grace(self) -> int:
        """Seconds from `destroy` until nobody can undo it."""

    def make(self, name: str, key_id: UUID) -> None:
        """Make a key of a name; harmless where it is there."""

    def seal(self, name: str, context: bytes, secret: bytes) -> bytes:
        """Seal a secret under a key, bound to a context."""

    def open(self, name: str, context: bytes, sealed: bytes) -> bytes:
        """Open what `seal` made for the same name and context."""

    def destroy(self, name: str) -> None:
        """Destroy a key for good; harmless where there is none."""

    def close(self) -> None:
        """Let the connection go."""


class SealedKek(NamedTuple):
    """What the keys database holds about an epoch's KEK."""

    key_id: UUID
    blob: bytes | None


class SealedKeks(Protocol):
    """Where sealed KEKs stand: the rows of their epochs."""

    def load(self, epoch: int) -> SealedKek | None:
        """Give an epoch's row, if it is there."""

    def add(self, epoch: int, blob: bytes) -> None:
        """Write an epoch's sealed KEK, unless it has one."""


def object_name(epoch: int, key_id: UUID) -> str:
    """Name the provider object of an epoch.

    The random id makes it unique, also where an older backup of the keys
    database counts its epochs again.
    """
    return f"curtilage-{epoch:08d}-{key_id.hex}"


def binding_of(context: bytes) -> bytes:
    """Give the 16 bytes that are sealed beside a KEK.

    A custodian that ignores its associated data would let a blob be moved;
    this is compared after opening, whatever the custodian promised.
    """
    return hashlib.sha256(context).digest()[:_BINDING]


class CustodyProvider(OpenedKeks):
    """The KEKs of one tenant, each sealed by a custodian's own key.

    Args:
        custodian: who holds the provider objects.
        keks: where the sealed KEKs stand.
        tenant: whose.
        random: as ``os.urandom``.

    """

    def __init__(
        self,
        *,
        custodian: Custodian,
        keks: SealedKeks,
        tenant: str,
        random: Callable[[int], bytes],
    ) -> None:
        self._custodian = custodian
        self._keks = keks
        self._tenant = tenant
        self._random = random
        self._opened: dict[int, Kek] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> NoReturn:
        msg = "keys are not serialised"
        raise TypeError(msg)

    @property
    def grace(self) -> int:
        """Seconds from `destroy` until nobody can undo it."""
        return self._custodian.grace

    def close(self) -> None:
        """Forget every opened KEK, and let the custodian go."""
        with self._lock:
            self._opened.clear()
        self._custodian.close()

    def create(self, epoch: int, key_id: UUID) -> None:
        """Make the epoch's provider object and its sealed KEK.

        The epoch's row must be there, without a KEK or with one.

        Raises:
            KeyUnavailable: the custodian refuses, or the row is another's.

        """
        row = self._row(epoch)
        if row.key_id != key_id:
            msg = f"another key already stands for epoch {epoch}"
            raise KeyUnavailable(msg)
        if row.blob is None:
            name, suite = object_name(epoch, key_id), wrapping_suite()
            self._custodian.make(name, key_id)
            context = fmt.kek_context(self._tenant, key_id, epoch, suite)
            key = bytearray(self._random(fmt.KEY))
            try:
                secret = bytes(key) + binding_of(context)
                sealed = self._custodian.seal(name, context, secret)
            finally:
                zero(key)
            head = bytes((_VERSION, suite, self._custodian.kind))
            # Of two processes the first writes; both then use that one.
            self._keks.add(epoch, head + sealed)
        self._kek(epoch)

    def key_id(self, epoch: int) -> UUID:
        """Say which KEK stands for an epoch, having opened it.

        Raises:
            KeyUnavailable: there is none, or it does not open.

        """
        # Not from memory: a restored row may name another object.
        row = self._row(epoch)
        kek = self._kek(epoch)
        if kek.key_id != row.key_id:
            msg = f"the key of epoch {epoch} was replaced while it was open"
            raise KeyUnavailable(msg)
        return kek.key_id

    def destroy(self, epoch: int) -> None:
        """Destroy an epoch's provider object, and forget its KEK.

        Raises:
            KeyUnavailable: the custodian refuses.

        """
        with self._lock:
            self._opened.pop(epoch, None)
        row = self._row(epoch)
        self._custodian.destroy(object_name(epoch, row.key_id))

    def _row(self, epoch: int) -> SealedKek:
        row = self._keks.load(epoch)
        if row is None:
            msg = f"there is no row of epoch {epoch}"
            raise KeyUnavailable(msg)
        return row

    def _kek(self, epoch: int) -> Kek:
        kek = self._opened.get(epoch)
        if kek is None:
            with self._lock:
                kek = self._opened.get(epoch)
                if kek is None:
                    kek = self._opened[epoch] = self._open(epoch)
        return kek

    def _open(self, epoch: int) -> Kek:
        key_id, blob = self._row(epoch)
        head, sealed = (blob or b"")[:_HEAD], (blob or b"")[_HEAD:]
        if len(head) < _HEAD or head[0] != _VERSION or not sealed:
            raise _unopened(epoch)
        if head[2] != self._custodian.kind:
            msg = (
                f"the key of epoch {epoch} is with another custodian than "
                "CURTILAGE_KEY_PROVIDER names"
            )
            raise KeyUnavailable(msg)
        context = fmt.kek_context(self._tenant, key_id, epoch, head[1])
        name = object_name(epoch, key_id)
        secret = bytearray(self._custodian.open(name, context, sealed))
        try:
            right = len(secret) == fmt.KEY + _BINDING and bytes_eq(
                bytes(secret[fmt.KEY :]), binding_of(context)
            )
            if not right:
                raise _unopened(epoch)
            del secret[fmt.KEY :]
            return Kek(head[1], key_id, secret)
        except CryptoFailure:  # a suite that is none
            raise _unopened(epoch) from None
        finally:
            zero(secret)


def _unopened(epoch: int) -> KeyUnavailable:
    return KeyUnavailable(f"the sealed key of epoch {epoch} does not open")


def driver_missing(kind: Kind) -> KeyUnavailable:
    """Say that a custodian's client is not installed, and what to do."""
    client, extra = _CLIENTS[kind]
    return KeyUnavailable(
        f"the client {client} is not installed; install curtilage[{extra}]"
    )
