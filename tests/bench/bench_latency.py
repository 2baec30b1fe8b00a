"""Whether latency tells a service what an answer does not.

Requests about people of every kind, mixed, in process through the ASGI
interface; the best threshold on the latency as a classifier, each kind
against the rest and each two kinds. An AUC of 0.5 is a coin; the design
asks for at most 0.55. Sizes and headers are compared as well.
"""

import statistics
from collections.abc import Mapping
from pathlib import Path

from api.logs import configure_logs
from tests.bench.room import Needs
from tests.latency import one_against_rest, pairs, run
from tests.worlds import build_world

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=300_000_000, seconds=150),
    True: Needs(bytes=300_000_000, seconds=150),
}
ROUNDS = 5_000
MOST = 0.55


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Measure, and return the figures; both sizes are the same."""
    del full
    configure_logs("error")
    with build_world(folder / "home") as world:
        seen = run(world, ROUNDS)
    alone = one_against_rest(seen)
    return {
        "requests_a_kind": ROUNDS,
        "auc_at_most": MOST,
        "auc_one_against_rest": {
            kind: round(value, 4) for kind, value in alone.items()
        },
        "auc_of_two": {
            kinds: round(value, 4) for kinds, value in pairs(seen).items()
        },
        "median_us": {
            kind: round(statistics.median(found.seconds) * 1e6, 1)
            for kind, found in seen.items()
        },
        "different_sizes": len(
            {one for s in seen.values() for one in s.sizes}
        ),
        "different_answers": len(
            {one for s in seen.values() for one in s.answers}
        ),
        "different_headers": len(
            {one for s in seen.values() for one in s.headers}
        ),
        "passed": max(alone.values()) <= MOST,
    }
