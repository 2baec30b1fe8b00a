"""Trying again what looked a person up a moment too early.

Whoever reads a person's record, and then waits for the ledger's lock, may
find that the person was given new keys meanwhile, or that their facts moved.
Nothing was written then, and nothing opened: the work looks again, from the
look-up on, a few times at most, as the gate decides again.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from consent import LogKeyMoved
from policy.errors import FactsChanged
from policy.pdp import Cause, NoDecision

T = TypeVar("T")
ATTEMPTS = 3


class FactsMovedError(FactsChanged):
    """The facts changed between the look-up and its entry."""


_MOVED = (FactsMovedError, LogKeyMoved)


async def look_again(work: Callable[[], Awaitable[T]]) -> T:
    """Await `work`, again where what it looked up has moved.

    Args:
        work: looks up, then records; all of it is done again.

    Raises:
        NoDecision: it moved each time.

    """
    for _ in range(ATTEMPTS):
        try:
            return await work()
        except _MOVED:
            continue
    raise NoDecision(Cause.FACTS_MOVING)


def look_again_now(work: Callable[[], T]) -> T:
    """Run `work` as `look_again` awaits it."""
    for _ in range(ATTEMPTS):
        try:
            return work()
        except _MOVED:
            continue
    raise NoDecision(Cause.FACTS_MOVING)
