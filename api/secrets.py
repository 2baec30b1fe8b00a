"""The instance's own secrets: signing keys and keys of the ledger's seals.

One JSON file, mode 0600: a salt, Argon2id's costs, and one AES-256-GCM box
under the key that Argon2id (RFC 9106) makes of the passphrase. None of
these keys opens a person's data: those hang under the KEKs (`vault`). The
file is written once, by `curtilage init`; a key that came with a later
version is added to an older file on first need, and what stands in it stays.
"""

import base64
import fcntl
import hmac
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
)
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PrivateKey,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

_VERSION, _KDF = 1, "argon2id"
_AAD = b"curtilage/secrets/1"
# Far above what anybody sets; beyond it the file was tampered with.
_MOST_ITERATIONS, _MOST_LANES, _MOST_MEMORY_KIB = 64, 64, 1 << 20
_NAMES = ("audit", "mark", "pseudonym", "session", "token")
_SIGNERS = ("ledger", "receipt", "release")
# The 32 bytes that FIPS 204 makes the ledger's second key of.
_SEED = "ledger_mldsa"
# Of which keys are made that are no secrets of their own.
_JOURNAL, _BACKUP = b"curtilage/journal/1", b"curtilage/backup/1"
_WEBHOOK = b"curtilage/webhook/1"
_IMPACT = b"curtilage/impact/1"
_ROWS = b"curtilage/rows/1"
# Stands in the box once somebody has vouched for all rows without a code.
_VOUCHED = "vouched"


class SecretsUnreadableError(Exception):
    """The secrets file is missing, damaged, or the passphrase is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Argon2id's costs; the default is RFC 9106's second choice."""

    iterations: int = 3
    lanes: int = 4
    memory_kib: int = 65536


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Secrets:
    """Keys in use. They have no `repr` and compare by identity.

    `ledger_mldsa` is ``None`` in a file of before there was such a key.
    `vouched` says that no row of the data database counts without the code
    that `row_key` makes; in a file of before there were codes it is false.
    """

    audit: bytes
    mark: bytes
    pseudonym: bytes
    session: bytes
    token: bytes
    ledger: Ed25519PrivateKey
    receipt: Ed25519PrivateKey
    release: Ed25519PrivateKey
    ledger_mldsa: MLDSA44PrivateKey | None
    vouched: bool

    def receipt_public_key(self) -> str:
        """The key that verifies consent receipts, in PEM."""
        return (
            self.receipt.public_key()
            .public_bytes(
                serialization.Encoding.PEM,
                serialization.PublicFormat.SubjectPublicKeyInfo,
            )
            .decode("ascii")
        )

    def journal_key(self) -> bytes:
        """The key that chains the erasure journal, 32 bytes."""
        return hmac.digest(self.audit, _JOURNAL, "sha256")

    def backup_key(self) -> bytes:
        """The key that vouches for the manifests of backups, 32 bytes."""
        return hmac.digest(self.audit, _BACKUP, "sha256")

    def webhook_key(self) -> bytes:
        """The key that seals signing secrets and deliveries, 32 bytes."""
        return hmac.digest(self.audit, _WEBHOOK, "sha256")

    def impact_key(self) -> bytes:
        """The key that rounds and seals counts of past decisions, 32 bytes."""
        return hmac.digest(self.audit, _IMPACT, "sha256")

    def row_key(self) -> bytes:
        """The key of the codes of rows that decide, 32 bytes."""
        return hmac.digest(self.audit, _ROWS, "sha256")

    def __reduce__(self) -> str:
        """Refuse to be pickled."""
        msg = "secrets do not leave the process"
        raise TypeError(msg)


def create_secrets(
    path: Path,
    passphrase: bytes,
    *,
    random: Callable[[int], bytes],
    costs: Costs,
) -> None:
    """Make a fresh set of secrets.

    Raises:
        FileExistsError: the instance has them; they are never replaced.

    """
    salt, nonce = random(16), random(12)
    names = (*_NAMES, *_SIGNERS, _SEED)
    body = {name: _text(random(32)) for name in names}
    body[_VOUCHED] = _text(b"1")
    key = _derive(passphrase, salt, costs)
    document = {
        "v": _VERSION,
        "kdf": _KDF,
        "iterations": costs.iterations,
        "lanes": costs.lanes,
        "memory_kib": costs.memory_kib,
        "salt": _text(salt),
    }
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(path, document | _boxed(key, nonce, body))


def add_ledger_mldsa(
    path: Path, passphrase: bytes, *, random: Callable[[int], bytes]
) -> Secrets:
    """Add the ledger's ML-DSA-44 key to a file of before there was one.

    Processes that start together agree on one key; a crash leaves the file
    as it was, or with the key.

    Args:
        path: The secrets file.
        passphrase: That opens it.
        random: Like ``os.urandom``.

    Returns:
        The secrets, the new key among them.

    Raises:
        SecretsUnreadableError: The file does not open.
        OSError: The file cannot be replaced; it is as it was.

    """
    return _added(path, passphrase, _SEED, random(32), random)


def add_vouched(
    path: Path, passphrase: bytes, *, random: Callable[[int], bytes]
) -> Secrets:
    """Note in a file of before that from now on every row needs its code.

    Args:
        path: The secrets file.
        passphrase: That opens it.
        random: Like ``os.urandom``.

    Returns:
        The secrets, with `Secrets.vouched`.

    Raises:
        SecretsUnreadableError: The file does not open.
        OSError: The file cannot be replaced; it is as it was.

    """
    return _added(path, passphrase, _VOUCHED, b"1", random)


def _added(
    path: Path,
    passphrase: bytes,
    name: str,
    what: bytes,
    random: Callable[[int], bytes],
) -> Secrets:
    """Add something to the box, unless it is there."""
    with (path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _opening(path):
            document = json.loads(path.read_text("ascii"))
            key, body = _unboxed(document, passphrase)
            _secrets(body)
        if name not in body:
            body[name] = _text(what)
            fresh = path.with_suffix(".new")
            with suppress(FileNotFoundError):
                fresh.unlink()
            _write(fresh, document | _boxed(key, random(12), body))
            fresh.replace(path)
            _sync_folder(path.parent)
        return _secrets(body)


def _boxed(
    key: bytes, nonce: bytes, body: Mapping[str, str]
) -> dict[str, str]:
    box = AESGCM(key).encrypt(nonce, json.dumps(body).encode(), _AAD)
    return {"nonce": _text(nonce), "box": _text(box)}


def _write(path: Path, document: Mapping[str, object]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_secrets(path: Path, passphrase: bytes) -> Secrets:
    """Open the secrets file.

    Raises:
        SecretsUnreadableError: for every failure alike, so that a damaged
            file and a wrong passphrase cannot be told apart.

    """
    with _opening(path):
        document = json.loads(path.read_text("ascii"))
        return _secrets(_unboxed(document, passphrase)[1])


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    """Take whatever keeps the file from opening for one error."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, InvalidTag):
        msg = (
            f"{path}: cannot be opened. Check the passphrase; if the "
            "instance is new, run `curtilage init` first."
        )
        raise SecretsUnreadableError(msg) from None


def _unboxed(
    document: Mapping[str, Any], passphrase: bytes
) -> tuple[bytes, dict[str, str]]:
    """Open the box; return its key too."""
    if (document["v"], document["kdf"]) != (_VERSION, _KDF):
        msg = "not a secrets file of this version"
        raise ValueError(msg)
    key = _derive(
        passphrase,
        _bytes(document["salt"]),
        Costs(
            iterations=_bounded(document["iterations"], _MOST_ITERATIONS),
            lanes=_bounded(document["lanes"], _MOST_LANES),
            memory_kib=_bounded(document["memory_kib"], _MOST_MEMORY_KIB),
        ),
    )
    opened = AESGCM(key).decrypt(
        _bytes(document["nonce"]), _bytes(document["box"]), _AAD
    )
    return key, dict(json.loads(opened))


def _secrets(body: Mapping[str, str]) -> Secrets:
    seed = body.get(_SEED)
    return Secrets(
        audit=_bytes(body["audit"]),
        mark=_bytes(body["mark"]),
        pseudonym=_bytes(body["pseudonym"]),
        session=_bytes(body["session"]),
        token=_bytes(body["token"]),
        ledger=_signer(body["ledger"]),
        receipt=_signer(body["receipt"]),
        release=_signer(body["release"]),
        ledger_mldsa=None
        if seed is None
        else MLDSA44PrivateKey.from_seed_bytes(_bytes(seed)),
        vouched=_VOUCHED in body,
    )


def _bounded(cost: int, most: int) -> int:
    """Refuse a cost that would take the machine's memory or its day."""
    if not 0 < cost <= most:
        msg = "a cost is out of bounds"
        raise ValueError(msg)
    return cost


def _derive(passphrase: bytes, salt: bytes, costs: Costs) -> bytes:
    return Argon2id(
        salt=salt,
        length=32,
        iterations=costs.iterations,
        lanes=costs.lanes,
        memory_cost=costs.memory_kib,
    ).derive(passphrase)


def _signer(text: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_bytes(text))


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
