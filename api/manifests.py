"""What stands beside a backup: which instance, when, how far, which bytes.

A manifest is one JSON document, closed with a MAC under a key of the
instance, so that a backup of another tenant, an altered one, or one made
elsewhere is refused before anything is replaced. It holds no key.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from api.migrations import Chain

FORMAT = "curtilage/backup/1"
_CHUNK = 1 << 20


class BackupRefusedError(Exception):
    """A backup cannot be made here, or cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One backup.

    Attributes:
        kind: ``data`` or ``keys``.
        tenant: whose.
        origin: the ledger's name at the time.
        database: ``sqlite`` or ``postgresql``.
        revision: of the schema.
        version: of the package that made it.
        made_at: POSIX seconds.
        size: entries of the ledger under its newest checkpoint.
        root: their root, in hexadecimal.
        journal: id of the erasure journal.
        record: its last record at the time.
        mac: the chain up to that record, in hexadecimal.
        file: name of the backup's file, beside the manifest.
        length: in bytes.
        sha256: its digest, in hexadecimal.
        impact: name of the file with the counts of past months, beside the
            manifest; empty where none were kept.
        impact_sha256: its digest, in hexadecimal.

    """

    kind: str
    tenant: str
    origin: str
    database: str
    revision: str
    version: str
    made_at: int
    size: int
    root: str
    journal: str
    record: int
    mac: str
    file: str
    length: int
    sha256: str
    impact: str = ""
    impact_sha256: str = ""

    def text(self, key: bytes) -> str:
        """Write it, closed with its MAC."""
        body = {"format": FORMAT, **asdict(self)}
        return json.dumps({**body, "seal": _seal(body, key)}, indent=1) + "\n"

    @property
    def chain(self) -> Chain:
        """Which database it is of."""
        return Chain(self.kind)


def read_manifest(path: Path, key: bytes) -> Manifest:
    """Read a manifest, given itself or the file that it is about.

    Raises:
        BackupRefusedError: there is none, or it is not this instance's.

    """
    place = path if path.suffix == ".json" else path.with_suffix(".json")
    try:
        body: dict[str, Any] = json.loads(place.read_text("utf-8"))
        seal = body.pop("seal")
        genuine = hmac.compare_digest(_seal(body, key), seal)
        version = body.pop("format")
        found = Manifest(**body)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        genuine, version, found = False, "", None
    if not genuine or version != FORMAT or found is None:
        msg = (
            f"{place}: no manifest of a backup of this instance. Keep the "
            "files of a backup together, and restore with the instance's own "
            "secrets"
        )
        raise BackupRefusedError(msg)
    return found


def digest(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
            if progress is not None:
                progress(len(chunk))
    return hashed.hexdigest()


def _seal(body: dict[str, Any], key: bytes) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, canonical.encode(), "sha256").hex()
