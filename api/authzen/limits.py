"""How often one service may ask: a bucket of tokens for each.

An authorization answer costs the service less than a disclosure and tells
as much about a person, so that somebody could walk through a register with
it. Each worker counts for itself: several together let through as many times
as much.
"""

from collections.abc import Callable
from dataclasses import dataclass

_MOST_KEPT = 10_000


class TooManyError(Exception):
    """A service asked too often (RFC 6585, 429).

    Args:
        seconds: after which it may ask again.

    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"again in {seconds} seconds")
        self.seconds = seconds


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Limit:
    """Lets through so many questions a minute for each service.

    Args:
        a_minute: questions; as many may come at once.
        clock: a monotonic clock in seconds.

    """

    def __init__(self, a_minute: int, clock: Callable[[], float]) -> None:
        self._most = float(a_minute)
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, service: str, questions: int) -> None:
        """Count questions of a service.

        Raises:
            TooManyError: they were too many; none is counted.

        """
        now = self._clock()
        if len(self._buckets) >= _MOST_KEPT:
            self._forget(now)
        bucket = self._buckets.setdefault(service, _Bucket(self._most, now))
        rate = self._most / 60
        left = min(self._most, bucket.left + (now - bucket.at) * rate)
        bucket.at = now
        bucket.left = left
        if left < questions:
            raise TooManyError(int((questions - left) / rate) + 1)
        bucket.left = left - questions

    def _forget(self, now: float) -> None:
        """Drop whoever has waited long enough to be as new."""
        full = [
            service
            for service, one in self._buckets.items()
            if now - one.at >= 60
        ]
        for service in full:
            del self._buckets[service]
