"""What a witness keeps: its state in one SQLite file, its keys in another.

The state has one row a log: origin, size, root. A submission is decided
inside one write transaction (``BEGIN IMMEDIATE``), so that reading what was
cosigned and replacing it are one step, for threads and processes alike; its
commit has returned, with ``synchronous=EXTRA``, before anything is answered.
The row is replaced only if it is still the one that was read, and never by a
smaller size.

The key file holds two seeds of 32 bytes, in hexadecimal, mode 0600, as a
server's host key is kept. Whoever can put an older copy of the state file in
place takes the witness back: keep it out of what is restored.
"""

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
)
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PrivateKey,
)

from consent.checkpoint import Checkpoint
from consent.cosignatures import CosignatureSigner
from consent.errors import WitnessStateInvalid
from consent.signed_notes import check_key_name

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cosigned (
    origin TEXT PRIMARY KEY,
    size INTEGER NOT NULL CHECK (size >= 0),
    root BLOB NOT NULL CHECK (length(root) = 32)
) WITHOUT ROWID
"""
_SECONDS = 10
_SEED = re.compile(r"[0-9a-f]{64}", re.ASCII)


class _Held:
    """One log's row, while the file is locked."""

    def __init__(
        self,
        db: sqlite3.Connection,
        origin: str,
        latest: Checkpoint | None,
    ) -> None:
        self._db = db
        self._origin = origin
        self.latest = latest

    def advance(self, checkpoint: Checkpoint) -> None:
        """Replace what was cosigned last.

        Raises:
            WitnessStateInvalid: The row is not the one that was read, or it
                would become smaller.

        """
        new = (checkpoint.size, checkpoint.root)
        if self.latest is None:
            done = self._db.execute(
                "INSERT INTO cosigned (size, root, origin) VALUES (?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (*new, self._origin),
            )
        else:
            done = self._db.execute(
                "UPDATE cosigned SET size = ?, root = ? WHERE origin = ?"
                " AND size = ? AND root = ? AND size <= ?",
                (
                    *new,
                    self._origin,
                    self.latest.size,
                    self.latest.root,
                    checkpoint.size,
                ),
            )
        if done.rowcount != 1:
            msg = f"what was cosigned for {self._origin} has moved"
            raise WitnessStateInvalid(msg)


class WitnessStore:
    """The state of a witness, in an SQLite file.

    Args:
        path: The file; made on first use.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(self._connect()) as db:
            db.execute(_SCHEMA)

    @contextmanager
    def locked(self, origin: str) -> Iterator[_Held]:
        """Lock the state, give what was cosigned for a log, and commit.

        Args:
            origin: The log.

        Yields:
            Its row.

        Raises:
            WitnessStateInvalid: The file cannot be read or written; nothing
                was kept.

        """
        try:
            with closing(self._connect()) as db:
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield _Held(db, origin, _latest(db, origin))
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
        except sqlite3.Error as error:
            msg = f"{self._path}: {type(error).__name__}"
            raise WitnessStateInvalid(msg) from None

    def all(self) -> list[Checkpoint]:
        """Return what was cosigned last for each log, by origin."""
        with closing(self._connect()) as db:
            rows = db.execute(
                "SELECT origin, size, root FROM cosigned ORDER BY origin"
            )
            return [
                Checkpoint(origin=origin, size=size, root=root)
                for origin, size, root in rows
            ]

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._path, timeout=_SECONDS, isolation_level=None
        )
        db.execute("PRAGMA synchronous=EXTRA")
        return db


def _latest(db: sqlite3.Connection, origin: str) -> Checkpoint | None:
    row = db.execute(
        "SELECT size, root FROM cosigned WHERE origin = ?", (origin,)
    ).fetchone()
    if row is None:
        return None
    return Checkpoint(origin=origin, size=row[0], root=row[1])


def create_witness_keys(
    path: Path, name: str, *, random: Callable[[int], bytes]
) -> None:
    """Make a witness's keys.

    Args:
        path: The file; it must not exist.
        name: Of the witness, a URL without scheme.
        random: Like ``os.urandom``.

    Raises:
        NoteMalformed: The name cannot be a key's.
        FileExistsError: There is one; keys are never replaced.

    """
    check_key_name(name)
    document = {
        "name": name,
        "ed25519": random(32).hex(),
        "mldsa44": random(32).hex(),
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())


def load_witness_keys(
    path: Path, clock: Callable[[], int]
) -> tuple[CosignatureSigner, ...]:
    """Open a witness's keys.

    Args:
        path: The file.
        clock: POSIX seconds, now.

    Returns:
        The signers: ML-DSA-44, then Ed25519.

    Raises:
        WitnessStateInvalid: It is no such file.

    """
    try:
        document = json.loads(path.read_text("utf-8"))
        name = str(document["name"])
        seeds = [str(document[use]) for use in ("mldsa44", "ed25519")]
    except (OSError, ValueError, KeyError, TypeError):
        seeds = []
    if not seeds or not all(map(_SEED.fullmatch, seeds)):
        msg = f"{path}: no keys of a witness; `curtilage witness init`"
        raise WitnessStateInvalid(msg)
    new, old = map(bytes.fromhex, seeds)
    return (
        CosignatureSigner(name, MLDSA44PrivateKey.from_seed_bytes(new), clock),
        CosignatureSigner(
            name, Ed25519PrivateKey.from_private_bytes(old), clock
        ),
    )
