"""The clock, which does not go back.

An instant decides whether a consent is in force, a grant is fresh and a
retention date is over. A clock that was set back would bring expired
consents to life again, so within a process time never goes back, and a
start with a clock that stands before the ledger's last checkpoint or entry
is refused.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Engine

from consent import latest_instant

# Clocks of two hosts differ, and a checkpoint carries the other's.
_TOLERATED_SECONDS = 60


class ClockBehindError(Exception):
    """The machine's clock stands before what was recorded already."""


class SteadyClock:
    """POSIX seconds of another clock, but never fewer than before.

    Args:
        clock: the one that is read.

    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._latest = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        """Tell the time."""
        now = int(self._clock())
        if now < self._latest:
            return self._latest
        with self._lock:
            self._latest = max(self._latest, now)
            return self._latest


def refuse_clock_behind(data: Engine, *, origin: str, now: int) -> None:
    """Compare the clock with what the ledger knows.

    Args:
        data: the data database.
        origin: the ledger.
        now: POSIX seconds by the clock.

    Raises:
        ClockBehindError: the clock was set back by more than a minute.

    """
    with data.connect().execution_options(read_only=True) as conn:
        latest = latest_instant(conn, origin)
    if now < latest - _TOLERATED_SECONDS:
        msg = (
            f"the clock stands at {_text(now)}, and the ledger was written "
            f"at {_text(latest)}: set the clock and start again. Expired "
            "consents would come to life otherwise"
        )
        raise ClockBehindError(msg)


def _text(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
