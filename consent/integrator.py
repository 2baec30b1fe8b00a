"""The integrator: the thread of a worker that gives entries their index.

Every worker has one, and any of them may number all pending entries: where
one dies, another goes on. On PostgreSQL the one that holds the advisory lock
works and the others pass; on SQLite the writer's lock lets one in at a time.
What one has begun and not committed is pending still.
"""

import logging
import threading
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from consent.errors import LedgerError

SECONDS = 0.1
_LOG = logging.getLogger(__name__)


class Numbering(Protocol):
    """A ledger, as far as it is needed here."""

    def settle(self, *, wait: bool) -> int:
        """Give every pending entry its index."""


class Integrator:
    """Numbers a ledger's pending entries until it is stopped.

    Args:
        ledger: Whose.
        seconds: Between two looks.
    """

    def __init__(self, ledger: Numbering, *, seconds: float = SECONDS) -> None:
        self._ledger = ledger
        self._seconds = seconds
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; safe to call again."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="ledger-integrate", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Look once more, and end."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            last = self._stopping.wait(self._seconds)
            try:
                self._ledger.settle(wait=last)
            except (LedgerError, SQLAlchemyError) as error:
                # The driver's message could quote what was written. The
                # entries stay pending and are tried again.
                _LOG.warning("entries stay pending: %s", type(error).__name__)
            if last:
                return
