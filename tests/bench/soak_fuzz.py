"""Ten minutes of hostile P3P, YAML, compact policies and rule sets.

See `fuzz_declarations`. Seeds go on from one that the clock gives, so every
soak tries others; a case that breaks names its seed, and is made again by it.
"""

import time
from collections.abc import Mapping
from pathlib import Path

from tests.bench.fuzz_declarations import fuzz
from tests.bench.room import Needs

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=1_000_000, seconds=600),
    True: Needs(bytes=1_000_000, seconds=3600),
}
ENDS_IN_TIME = True
# Memory is weighed for a part of the time, since weighing is slow.
_WEIGHED = 0.2


def measure(
    *, full: bool, folder: Path, seconds: float | None = None
) -> dict[str, object]:
    """Fuzz for the time that there is, and return what came of it.

    Args:
        full: an hour instead of ten minutes.
        folder: not written to.
        seconds: less time, where there is less.

    """
    del folder
    whole = NEEDS[full].seconds if seconds is None else seconds
    first = time.time_ns() // 1000
    light = fuzz(first, seconds=whole * (1 - _WEIGHED))
    heavy = fuzz(first + 10**9, seconds=whole * _WEIGHED, weigh=True)
    return {
        "first_seed": first,
        "cases": light.cases + heavy.cases,
        "read": dict(light.read + heavy.read),
        "refused": dict(light.refused + heavy.refused),
        "slowest_s": round(max(light.slowest, heavy.slowest), 3),
        "heaviest_bytes": heavy.heaviest,
    }
