"""Turns at a database file: who waits to write is not passed by who wrote.

SQLite keeps no queue. Whoever finds the write lock taken sleeps and looks
again, longer each time, and a job that takes the lock page after page is
there sooner (`sqliteDefaultBusyCallback` in SQLite's main.c). So whoever
wants to write first takes the turn, a lock in which the kernel wakes those
who wait, and lets it go once SQLite's own lock is theirs. One who has the turn
and looks for SQLite's lock then waits for the transaction that runs, and for
no other.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Take the turn at the database in a folder; others wait.

    The lock is that of the folder: one of the database's own file could not
    be closed again without SQLite's locks being lost (fcntl(2)).

    Args:
        folder: holds the database, and nothing else that takes turns.

    Raises:
        OSError: the folder is not there.

    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
