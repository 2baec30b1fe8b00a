"""Putting a backup in place, so that nobody who was erased comes back.

Offline, and in this order: the erasure journal is verified; the backup is
held against its manifest; counts of past months are put back where there are
none; it is copied beside the database (PostgreSQL: put in the place of the
rows, in one transaction); every erasure of the journal
is carried out on it; the ledger goes on under a new name where it is older
than a checkpoint that was given away, as the journal or a witness knows it;
an entry records it; and only then is it swapped in. `restore.state` in the
home folder stands from before the first change to after the last, and a
start refuses while it does.
"""

import hmac
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from sqlalchemy.engine import make_url

from api.agreement import STATE_NAME, continues
from api.anchors import Anchors
from api.backups import (
    month_tables,
    path_of,
    read_counts,
    server_settings,
    tables_of,
    url_of,
)
from api.bootstrap import assemble
from api.manifests import BackupRefusedError, Manifest, digest, read_manifest
from api.migrations import Chain, head
from api.platform import Platform
from api.postgresql_copies import load
from api.secrets import Costs, Secrets, load_secrets
from api.settings import CONFIG_NAME, Settings
from api.sqlite_copies import check_database, copy_database, drop_log, sync
from api.witnesses import WitnessFailedError, witness_clients
from consent import Ledger
from vault import ErasureJournal, JournalUnavailable, KeyUnavailable, Position

_STAGED, _BEFORE = ".restoring", ".before-restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did.

    Attributes:
        kind: ``data``, ``keys``, or ``replay``.
        origin: the ledger's name from now on.
        renamed: whether that is a new one.
        erasures: how many the journal has.
        brought_back: how many of them had to be carried out again.
        index: of the ledger entry that records it.
        unasked: why witnesses could not be compared with, a sentence each.

    """

    kind: str
    origin: str
    renamed: bool
    erasures: int
    brought_back: int
    index: int
    unasked: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Time, randomness and costs, as the entry points bring them."""

    clock: Callable[[], int]
    random: Callable[[int], bytes]
    costs: Costs | None = None


Steps = Callable[[str, int, int], None]


def restore(
    settings: Settings,
    chain: Chain,
    file: Path,
    *,
    around: Surroundings,
    steps: Steps,
) -> Restored:
    """Put a backup in place. The caller holds the instance's lock.

    Args:
        settings: of the instance.
        chain: which database.
        file: the backup, or its manifest.
        around: time, randomness, costs.
        steps: told what is done, how far, and of how much.

    Raises:
        BackupRefusedError: it is not this instance's, not whole, or nothing
            in it can be opened any more.
        JournalUnavailable, JournalDamaged: there is no journal to replay.
        OSError: a file cannot be written; what was there is there.

    """
    secrets = load_secrets(settings.secrets_path, settings.opened_passphrase())
    manifest = read_manifest(file, secrets.backup_key())
    source = file.with_name(manifest.file)
    journal = _journal(settings, secrets, around)
    _check(settings, chain, manifest, source, journal, steps)
    settings = _under_its_name(settings, journal)
    with _unfinished(settings, chain, manifest):
        _put_counts_back(settings, secrets, manifest, source)
        if manifest.database == "sqlite":
            done = _swap(settings, chain, source, manifest, around, steps)
        else:
            done = _load(settings, chain, source, manifest, around, steps)
    return done


def replay(
    settings: Settings, *, around: Surroundings, steps: Steps
) -> Restored:
    """Bring databases that were put back by other means up to the journal.

    For a disk's or a server's own snapshots. As `restore`, in place.
    """
    secrets = load_secrets(settings.secrets_path, settings.opened_passphrase())
    settings = _under_its_name(settings, _journal(settings, secrets, around))
    with _unfinished(settings, None, None):
        return _bring_up(settings, "replay", None, around, steps)


def _journal(
    settings: Settings, secrets: Secrets, around: Surroundings
) -> ErasureJournal:
    path = settings.journal_path
    if not path.exists():
        msg = (
            f"{path}: there is no erasure journal, and without it people "
            "who were erased would come back. Put its newest copy in place, "
            "or name it in CURTILAGE_JOURNAL"
        )
        raise JournalUnavailable(msg)
    return ErasureJournal(
        path,
        key=secrets.journal_key(),
        tenant=settings.tenant,
        clock=around.clock,
    )


def _check(  # noqa: PLR0917 - one look at all that must hold
    settings: Settings,
    chain: Chain,
    manifest: Manifest,
    source: Path,
    journal: ErasureJournal,
    steps: Steps,
) -> None:
    """Refuse what cannot be restored, before anything is touched."""
    problem = _mismatch(settings, chain, manifest, source)
    if problem:
        msg = f"{source}: {problem}"
        raise BackupRefusedError(msg)
    done = 0

    def count(step: int) -> None:
        nonlocal done
        done += step
        steps("Checking", done, manifest.length)

    if not hmac.compare_digest(digest(source, count), manifest.sha256):
        msg = f"{source}: the file is not the one that its manifest names"
        raise BackupRefusedError(msg)
    if manifest.journal != str(journal.id):
        msg = f"{source}: the erasure journal in place is another instance's"
        raise BackupRefusedError(msg)
    position = Position(
        number=manifest.record, mac=bytes.fromhex(manifest.mac)
    )
    journal.demand(position, held_by="the backup")
    _check_counts(manifest, source)
    if manifest.database == "sqlite":
        wrong = check_database(source)
        if wrong:
            msg = f"{source}: {wrong}"
            raise BackupRefusedError(msg)


def _check_counts(manifest: Manifest, source: Path) -> None:
    if not manifest.impact:
        return
    counts = source.with_name(manifest.impact)
    if not counts.is_file() or not hmac.compare_digest(
        digest(counts), manifest.impact_sha256
    ):
        msg = (
            f"{counts}: the counts of past months are not those that the "
            "manifest names. Without them months would be counted anew, and "
            "show who was erased: keep the files of a backup together"
        )
        raise BackupRefusedError(msg)


def _put_counts_back(
    settings: Settings, secrets: Secrets, manifest: Manifest, source: Path
) -> None:
    """Keep the counts of the backup of months that have none in place."""
    if manifest.impact:
        tables = month_tables(settings, secrets)
        counts = read_counts(source.with_name(manifest.impact))
        for month, sealed in counts.items():
            tables.put_back(month, sealed)


def _mismatch(
    settings: Settings, chain: Chain, manifest: Manifest, source: Path
) -> str:
    """Say what a manifest and this instance disagree about, first one."""
    database = make_url(url_of(settings, chain)).get_backend_name()
    newest = head(chain)
    length = source.stat().st_size if source.is_file() else -1
    other = database == "postgresql" and manifest.revision != newest
    reasons = (
        (
            manifest.chain is not chain,
            f"this is a backup of the {manifest.kind} database",
        ),
        (
            manifest.tenant != settings.tenant,
            "this is a backup of another tenant",
        ),
        (
            manifest.database != database,
            f"this is a backup of {manifest.database}, not of {database}",
        ),
        (length < 0, "the file is not there"),
        (length != manifest.length, "the file has another length than it had"),
        (
            manifest.revision > newest,
            "it was made by a newer version; install that first",
        ),
        (
            other,
            (
                f"its schema is revision {manifest.revision}: restore it with "
                f"version {manifest.version}, then upgrade"
            ),
        ),
    )
    return next((reason for wrong, reason in reasons if wrong), "")


def _swap(  # noqa: PLR0917 - as `restore`
    settings: Settings,
    chain: Chain,
    source: Path,
    manifest: Manifest,
    around: Surroundings,
    steps: Steps,
) -> Restored:
    target = path_of(url_of(settings, chain))
    staged = target.with_name(target.name + _STAGED)
    before = target.with_name(target.name + _BEFORE)
    if before.exists() and not target.exists():
        before.replace(target)
    for left in (staged, before):
        _remove(left)
    copy_database(
        source, staged, lambda done, total: steps("Copying", done, total)
    )
    field = "data_url" if chain is Chain.DATA else "keys_url"
    aside = settings.model_copy(update={field: f"sqlite:///{staged}"})
    done = _bring_up(aside, chain.value, manifest, around, steps)
    drop_log(staged)
    if target.exists():
        drop_log(target)
        target.replace(before)
    staged.replace(target)
    sync(target)
    _remove(before)
    return done


def _load(  # noqa: PLR0917 - as `restore`
    settings: Settings,
    chain: Chain,
    source: Path,
    manifest: Manifest,
    around: Surroundings,
    steps: Steps,
) -> Restored:
    platform = _assemble(settings, around)
    try:
        reach = server_settings(platform)
    finally:
        _close(platform)
    load(url_of(settings, chain), tables_of(chain), source, reach)
    return _bring_up(settings, chain.value, manifest, around, steps)


def _bring_up(
    settings: Settings,
    kind: str,
    manifest: Manifest | None,
    around: Surroundings,
    steps: Steps,
) -> Restored:
    """Carry the journal out, and record it in the ledger."""
    platform = _assemble(settings, around)
    try:
        _demand_keys(platform)
        found = platform.eraser.replay(
            lambda done, total: steps("Erasing again", done, total)
        )
        anchors = Anchors(platform.journal, around.clock)
        unasked: tuple[str, ...] = ()
        renamed = not continues(anchors, platform.ledger)
        if not renamed:
            renamed, unasked = _witnessed(platform.ledger)
        old = settings.origin
        origin = _next_name(platform.journal) if renamed else old
        if renamed:
            platform.journal.opened(origin)
            settings = settings.model_copy(update={"origin": origin})
            _close(platform)
            platform = _assemble(settings, around)
        newest = anchors.newest(old)
        index = platform.eraser.record_recovery(
            {
                "restored": kind,
                "backup": manifest.sha256 if manifest else "",
                "made_at": manifest.made_at if manifest else 0,
                "erasures": found.erasures,
                "brought_back": found.brought_back,
                "ledger": old,
                "given_away": newest.size if newest else 0,
            },
        )
        platform.keys_desk.restored()
        if manifest is not None:
            platform.journal.restored(
                kind, bytes.fromhex(manifest.sha256), manifest.made_at
            )
        platform.vault.custody.mark(platform.journal.position)
    finally:
        _close(platform)
    _write_name(settings)
    return Restored(
        kind=kind,
        origin=origin,
        renamed=renamed,
        erasures=found.erasures,
        brought_back=found.brought_back,
        index=index,
        unasked=unasked,
    )


def _witnessed(ledger: Ledger) -> tuple[bool, tuple[str, ...]]:
    """Say whether a witness knows more, and which could not be asked."""
    unasked: list[str] = []
    for client in witness_clients(ledger):
        try:
            if client.ahead():
                return True, tuple(unasked)
        except WitnessFailedError as error:
            unasked.append(str(error))
    return False, tuple(unasked)


def _demand_keys(platform: Platform) -> None:
    """Refuse a keys database of which nothing opens any more."""
    try:
        platform.vault.check_keys()
    except KeyUnavailable as error:
        msg = (
            f"nothing in this keys database opens: {error}. Its "
            "key-encryption key was destroyed since, so that backups of "
            "before die; restore a later backup of the keys"
        )
        raise BackupRefusedError(msg) from None


def _next_name(journal: ErasureJournal) -> str:
    """The ledger's first name with the number of its life."""
    return f"{journal.origins[0]}/{len(journal.origins) + 1}"


def _under_its_name(settings: Settings, journal: ErasureJournal) -> Settings:
    """The settings, with the ledger's name as the journal has it."""
    name = journal.origins[-1] if journal.origins else settings.origin
    return settings.model_copy(update={"origin": name})


def _write_name(settings: Settings) -> None:
    """Keep the ledger's name where `init` wrote it."""
    path = settings.home / CONFIG_NAME
    if not path.is_file():
        return
    written = yaml.safe_load(path.read_text("utf-8")) or {}
    if written.get("origin") == settings.origin:
        return
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(
        yaml.safe_dump({**written, "origin": settings.origin}), "utf-8"
    )
    fresh.chmod(0o600)
    sync(fresh)
    fresh.replace(path)
    sync(path)


@contextmanager
def _unfinished(
    settings: Settings, chain: Chain | None, manifest: Manifest | None
) -> Iterator[None]:
    """Let a start know, from before the first change to after the last."""
    path = settings.home / STATE_NAME
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(
        json.dumps(
            {
                "restoring": chain.value if chain else "replay",
                "file": manifest.file if manifest else "",
            }
        ),
        "utf-8",
    )
    sync(fresh)
    fresh.replace(path)
    sync(path)
    try:
        yield
    except Exception:
        # Before the swap of a file nothing that was in place has changed.
        if chain and manifest and manifest.database == "sqlite":
            target = path_of(url_of(settings, chain))
            before = target.with_name(target.name + _BEFORE)
            if target.exists() and not before.exists():
                path.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)
    sync(settings.home)


def _assemble(settings: Settings, around: Surroundings) -> Platform:
    return assemble(
        settings,
        clock=around.clock,
        random=around.random,
        costs=around.costs,
    )


def _close(platform: Platform) -> None:
    """Let every connection go, those kept for reading too."""
    platform.vault.close()
    platform.close()


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        with_name = path.with_name(name)
        if with_name.exists():
            os.unlink(with_name)  # noqa: PTH108 - one call for each of three
