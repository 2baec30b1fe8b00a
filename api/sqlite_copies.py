"""Copies of SQLite files: whole, while others write, and without a log.

The online backup interface copies page by page. Within a read transaction
of its own it keeps to one snapshot, so writers neither wait nor make it
begin again (https://sqlite.org/backup.html; `sqlite3_backup_step`).
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

_PAGES = 512


def copy_database(
    source: Path, target: Path, progress: Callable[[int, int], None]
) -> None:
    """Copy a database into one new file, synced on return.

    Args:
        source: in use or not.
        target: must not exist.
        progress: called with pages done and pages in all.

    Raises:
        OSError: the file cannot be written, or the disk is full.

    """
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.close(handle)
    try:
        with (
            closing(sqlite3.connect(source, timeout=10)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.isolation_level = None
            old.execute("BEGIN")
            old.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            old.backup(
                new,
                pages=_PAGES,
                progress=lambda _, left, total: progress(total - left, total),
            )
            new.execute("PRAGMA journal_mode=DELETE").fetchone()
        sync(target)
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        msg = f"{target}: {error}"
        raise OSError(msg) from None
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def check_database(path: Path) -> str | None:
    """Say what is wrong with a database file; None if it is whole."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        return str(error)
    return None if found == "ok" else "a page is corrupt"


def drop_log(path: Path) -> None:
    """Make a database that nobody uses one file, and sync it.

    Raises:
        OSError: somebody uses it.

    """
    try:
        with closing(sqlite3.connect(path, timeout=1)) as db:
            mode = db.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    except sqlite3.Error as error:
        mode = str(error)
    if mode != "delete":
        msg = f"{path}: another process uses this database ({mode}). Stop it"
        raise OSError(msg)
    sync(path)


def sync(path: Path) -> None:
    """Sync a file and its folder."""
    for place, flags in ((path, os.O_RDONLY), (path.parent, os.O_DIRECTORY)):
        handle = os.open(place, os.O_RDONLY | flags)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
