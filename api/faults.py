"""What a database means when it cannot go on, and what is to be done.

Drivers name a failure by a number: SQLite by its result code
(https://www.sqlite.org/rescode.html), PostgreSQL by its SQLSTATE
(PostgreSQL 15, appendix A). Here each becomes one sentence: which database,
what, and what to do. A statement or a value is never in it.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

_NOTE = "database: "
_PRIMARY = 0xFF
_CLASS = 2


class Fault(StrEnum):
    """Why a database cannot go on."""

    LOCKED = "locked"
    FULL = "full"
    READ_ONLY = "read-only"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"
    UNREACHABLE = "unreachable"
    FORBIDDEN = "forbidden"


_SQLITE: Mapping[int, Fault] = MappingProxyType(
    {
        sqlite3.SQLITE_BUSY: Fault.LOCKED,
        sqlite3.SQLITE_LOCKED: Fault.LOCKED,
        sqlite3.SQLITE_FULL: Fault.FULL,
        sqlite3.SQLITE_READONLY: Fault.READ_ONLY,
        sqlite3.SQLITE_CORRUPT: Fault.DAMAGED,
        sqlite3.SQLITE_NOTADB: Fault.DAMAGED,
        sqlite3.SQLITE_IOERR: Fault.UNREADABLE,
        sqlite3.SQLITE_CANTOPEN: Fault.FORBIDDEN,
        sqlite3.SQLITE_PERM: Fault.FORBIDDEN,
    }
)
_POSTGRESQL: Mapping[str, Fault] = MappingProxyType(
    {
        "55P03": Fault.LOCKED,
        "53100": Fault.FULL,
        "25006": Fault.READ_ONLY,
        "XX001": Fault.DAMAGED,
        "XX002": Fault.DAMAGED,
        "58030": Fault.UNREADABLE,
        "42501": Fault.FORBIDDEN,
        "53300": Fault.UNREACHABLE,
        "57P01": Fault.UNREACHABLE,
        "57P02": Fault.UNREACHABLE,
        "57P03": Fault.UNREACHABLE,
    }
)
_BY_CLASS: Mapping[str, Fault] = MappingProxyType(
    {"08": Fault.UNREACHABLE, "28": Fault.FORBIDDEN, "3D": Fault.UNREACHABLE}
)
_SAYS: Mapping[Fault, str] = MappingProxyType(
    {
        Fault.LOCKED: (
            "is locked: another process has held it for ten seconds. Wait "
            "until that one is done, or end it, and try again; nothing was "
            "written"
        ),
        Fault.FULL: (
            "cannot grow: the disk is full. Make room and try again; what "
            "was not committed is not in it"
        ),
        Fault.READ_ONLY: (
            "cannot be written: it, or its folder, is read-only. Let this "
            "account write to both and try again"
        ),
        Fault.DAMAGED: (
            "is damaged: what is stored is not what was written. Stop every "
            "process, keep a copy, and restore the last good backup; "
            "PRAGMA integrity_check tells how far it goes"
        ),
        Fault.UNREADABLE: (
            "could not be read or written. Look at the disk, its room and "
            "the limits of this account, and try again; what was not "
            "committed is not in it"
        ),
        Fault.UNREACHABLE: (
            "does not answer. Look whether the server runs, takes this "
            "address and has connections left, and try again"
        ),
        Fault.FORBIDDEN: (
            "cannot be opened by this account. Give it the right to read "
            "and write the database and its folder"
        ),
    }
)


class DatabaseFaultError(Exception):
    """A database cannot go on; the message says which, and what to do."""


def fault_of(error: BaseException) -> Fault | None:
    """The fault that an error of a driver stands for, if it is one."""
    found: BaseException | None = error
    if isinstance(error, DBAPIError):
        found = error.orig
    if isinstance(found, sqlite3.Error):
        code = getattr(found, "sqlite_errorcode", None)
        if code is None:
            return None
        return _SQLITE.get(code & _PRIMARY)
    if found is None or type(found).__module__.split(".")[0] != "psycopg":
        return None
    state = getattr(found, "sqlstate", None)
    if state is None:
        # The server never spoke, or went away in the middle.
        lost = type(found).__name__ == "OperationalError"
        return Fault.UNREACHABLE if lost else None
    return _POSTGRESQL.get(state, _BY_CLASS.get(state[:_CLASS]))


def note_database(error: BaseException, name: str) -> None:
    """Write on an error which database it is about."""
    error.add_note(f"{_NOTE}{name}")


def sentence(
    error: BaseException, addresses: Mapping[str, str], *, known: str = ""
) -> str:
    """Say what happened and what to do, or nothing for any other error.

    Args:
        error: what was raised.
        addresses: of the databases, by their names.
        known: the name of the one that was asked.

    Returns:
        One sentence without the full stop; empty if it is no fault.

    """
    fault = fault_of(error)
    if fault is None:
        return ""
    name = known or _noted(error) or _damaged(fault, addresses)
    subject = f"the {name} database" if name else "a database"
    file = _file(addresses.get(name, ""))
    where = f" ({file})" if file else ""
    return f"{subject}{where} {_SAYS[fault]}"


def _noted(error: BaseException) -> str:
    for note in getattr(error, "__notes__", ()):
        if note.startswith(_NOTE):
            return str(note.removeprefix(_NOTE))
    return ""


def _damaged(fault: Fault, addresses: Mapping[str, str]) -> str:
    """Look for the damage, where a driver did not say in which file."""
    if fault is not Fault.DAMAGED:
        return ""
    for name, url in addresses.items():
        file = _file(url)
        if file and not is_sound(file):
            return str(name)
    return ""


def is_sound(file: str) -> bool:
    """Whether SQLite finds the file's pages to be in order."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
            (said,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError:
        return False
    return bool(said == "ok")


def _file(url: str) -> str:
    if not url:
        return ""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return ""
    return str(Path(parsed.database))
