"""Write transactions that are run again when two of them met badly.

PostgreSQL ends one of two transactions that wait for each other (40P01), or
that could not have run one after the other (40001, under REPEATABLE READ
and SERIALIZABLE); its manual asks the client to run the whole of it again
(PostgreSQL 15, section 13.5). Nothing of the first run is left, so the work
must only not have acted outside the transaction in a way that it cannot
repeat.

On SQLite a writer holds the lock from its beginning, and neither happens.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")
SERIALIZATION_FAILURE, DEADLOCK = "40001", "40P01"
_TRANSIENT = frozenset({SERIALIZATION_FAILURE, DEADLOCK})
_ATTEMPTS = 8
# The longest pause before the second attempt; it doubles from there.
_FIRST_PAUSE = 0.01


class Transactions:
    """Runs write transactions on one database.

    Args:
        engine: the database.
        random: as ``os.urandom``; two that met badly pause differently.
        sleep: waits so many seconds.

    """

    def __init__(
        self,
        engine: Engine,
        *,
        random: Callable[[int], bytes],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = engine
        self._random = random
        self._sleep = sleep

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction and commit it.

        Args:
            work: everything the transaction does; it may be run eight times,
                each time with nothing of the time before in the database.

        Returns:
            What `work` returned in the run that was committed.

        Raises:
            DBAPIError: the last of eight attempts met another transaction
                badly too, or the database failed otherwise.

        """
        attempt = 0
        while True:
            try:
                with self._engine.begin() as conn:
                    return work(conn)
            except DBAPIError as error:
                attempt += 1
                if attempt == _ATTEMPTS or not is_transient(error):
                    raise
            self._sleep(self._pause(attempt))

    def _pause(self, attempt: int) -> float:
        """Seconds, evenly between nothing and twice as long each time."""
        share: float = int.from_bytes(self._random(4)) / (1 << 32)
        return share * _FIRST_PAUSE * (1 << (attempt - 1))


def is_transient(error: DBAPIError) -> bool:
    """Whether the transaction may succeed if it is run once more."""
    return getattr(error.orig, "sqlstate", None) in _TRANSIENT
