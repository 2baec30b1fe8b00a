"""Backups of the data and of the keys: apart, whole, and without a KEK.

A backup is the file of one database and its manifest; with the data's go the
sealed counts of past months, if any were made (`policy.impact_months`), since
counted anew they would show who was erased. The keys' backups are
to be kept for days, the data's for as long as wanted: they are opaque
without the others. What opens either - KEKs, passphrase, the instance's
secrets - is in neither, and the erasure journal is no part of a backup: a
restore demands the newest.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url

from api.anchors import Anchors
from api.manifests import BackupRefusedError, Manifest, digest, read_manifest
from api.migrations import Chain, metadata
from api.platform import Platform
from api.postgresql_copies import dump
from api.secrets import Secrets
from api.settings import Settings
from api.sqlite_copies import copy_database, sync
from consent import ledger_number
from policy import MonthTables

_SUFFIX = {"sqlite": ".db", "postgresql": ".dump"}


def back_up(
    platform: Platform,
    chain: Chain,
    folder: Path,
    progress: Callable[[int, int], None],
) -> Path:
    """Back one database up, while others write to it.

    Args:
        platform: the instance.
        chain: which database.
        folder: where to; made if it is not there.
        progress: called with steps done and in all.

    Returns:
        The backup's file; its manifest stands beside it.

    Raises:
        BackupRefusedError: the folder is no place for this backup.
        OSError: it cannot be written; nothing is left of it.

    """
    settings = platform.settings
    key = platform.secrets.backup_key()
    _refuse_place(settings, chain, folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _refuse_mixture(folder, chain, key)
    url = url_of(settings, chain)
    database = make_url(url).get_backend_name()
    now = platform.clock()
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    name = f"{settings.tenant}-{chain}-{stamp}"
    target = folder / f"{name}{_SUFFIX[database]}"
    part = target.with_suffix(".part")
    if target.exists():
        raise FileExistsError(target)
    part.unlink(missing_ok=True)
    platform.ledger.checkpoint()
    anchors = Anchors(platform.journal, platform.clock)
    anchors.settle(settings.origin)
    anchor = anchors.newest(settings.origin)
    position = platform.journal.position
    if database == "sqlite":
        copy_database(path_of(url), part, progress)
    else:
        dump(url, tables_of(chain), part, server_settings(platform))
        sync(part)
    counts = _counts(platform, target) if chain is Chain.DATA else None
    manifest = Manifest(
        kind=chain.value,
        tenant=settings.tenant,
        origin=settings.origin,
        database=database,
        revision=revision_of(platform, chain),
        version=platform.version,
        made_at=now,
        size=anchor.size if anchor else 0,
        root=anchor.root.hex() if anchor else "",
        journal=str(platform.journal.id),
        record=position.number,
        mac=position.mac.hex(),
        file=target.name,
        length=part.stat().st_size,
        sha256=digest(part),
        impact=counts.name if counts else "",
        impact_sha256=digest(counts) if counts else "",
    )
    beside = target.with_suffix(".json")
    beside.write_text(manifest.text(key), "utf-8")
    beside.chmod(0o600)
    part.replace(target)
    sync(beside)
    return target


def month_tables(settings: Settings, secrets: Secrets) -> MonthTables:
    """Where an instance keeps the counts of past months."""
    return MonthTables(settings.home / "impact", secrets.impact_key())


def read_counts(path: Path) -> dict[str, bytes]:
    """Read the file of counts that stands beside a backup."""
    found = json.loads(path.read_text("utf-8"))
    return {month: b64decode(sealed) for month, sealed in found.items()}


def _counts(platform: Platform, target: Path) -> Path | None:
    sealed = month_tables(platform.settings, platform.secrets).sealed()
    if not sealed:
        return None
    path = target.with_suffix(".impact")
    path.write_text(
        json.dumps(
            {month: b64encode(one).decode() for month, one in sealed.items()}
        ),
        "utf-8",
    )
    path.chmod(0o600)
    sync(path)
    return path


def url_of(settings: Settings, chain: Chain) -> str:
    """The address of a database."""
    return settings.data if chain is Chain.DATA else settings.keys


def path_of(url: str) -> Path:
    """The file of an SQLite database."""
    return Path(make_url(url).database or "")


def tables_of(chain: Chain) -> list[str]:
    """The tables of a database, parents before children."""
    return [
        table.name for one in metadata(chain) for table in one.sorted_tables
    ]


def revision_of(platform: Platform, chain: Chain) -> str:
    """The schema's revision."""
    engine = platform.data if chain is Chain.DATA else platform.keys
    with engine.connect().execution_options(read_only=True) as conn:
        asked = text(f"SELECT version_num FROM {chain}_revision")
        return str(conn.execute(asked).scalar_one())


def server_settings(platform: Platform) -> dict[str, str]:
    """What a connection to PostgreSQL must say to see the tenant's rows."""
    numbers = [
        ledger_number(one)
        for one in (platform.settings.origin, *platform.journal.origins)
    ]
    return {
        "curtilage.tenant": platform.settings.tenant,
        "curtilage.ledger": ",".join(map(str, dict.fromkeys(numbers))),
    }


def _refuse_place(settings: Settings, chain: Chain, folder: Path) -> None:
    there = folder.resolve()
    for what, place in (
        ("the KEK files", settings.kek_path),
        ("the erasure journal", settings.journal_path.parent),
        ("the secrets", settings.secrets_path.parent),
    ):
        if there == place.resolve() or place.resolve().is_relative_to(there):
            msg = (
                f"{folder} holds {what}: a backup there would stand beside "
                "what opens it. Name another folder"
            )
            raise BackupRefusedError(msg)
    other = Chain.KEYS if chain is Chain.DATA else Chain.DATA
    url = url_of(settings, other)
    if make_url(url).get_backend_name() == "sqlite":
        beside = path_of(url).resolve().parent
        if there == beside or there.is_relative_to(beside):
            msg = f"{folder} is the folder of the {other} database"
            raise BackupRefusedError(msg)


def _refuse_mixture(folder: Path, chain: Chain, key: bytes) -> None:
    """Keep data and keys in two folders, as their backups live apart."""
    for path in sorted(folder.glob("*.json")):
        try:
            found = read_manifest(path, key)
        except BackupRefusedError:
            continue
        if found.chain is not chain:
            msg = (
                f"{folder} holds backups of the {found.kind} database: data "
                "and keys are kept apart, since together they open. Name "
                "another folder"
            )
            raise BackupRefusedError(msg)
