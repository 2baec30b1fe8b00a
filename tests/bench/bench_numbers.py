"""How long a noisy answer over a million rows takes, its budget included.

The rows are in memory as an extract's would be; reserve, aggregate, noise
and commit are timed together, on the SQL budget of a real instance, and the
same question again. `floor_seconds` is the same aggregation without noise,
budget or entry.
"""

import json
import statistics
import time
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from anonymize import Kind, Query, ask
from policy.budgets import Account, Allowance, SqlBudget
from tests.bench.room import Needs
from tests.databases import Kind as Database
from tests.worlds import World, build_world

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=50_000_000, seconds=30),
    True: Needs(bytes=50_000_000, seconds=60),
}
ROWS = 1_000_000
DELTA = Fraction(1, 10**6)


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Measure.

    Args:
        full: repeat more often.
        folder: the instance stands in it.
    """
    keys = tuple(f"district {n}" for n in range(40))
    frame = pl.DataFrame(
        {
            "district": [keys[n % 40] for n in range(ROWS)],
            "age": pl.Series([n % 90 for n in range(ROWS)], dtype=pl.Int64),
        }
    )
    bounds = {"column": "age", "low": Fraction(0), "high": Fraction(99)}
    forms: dict[Kind, dict[str, object]] = {
        Kind.HISTOGRAM: {"column": "district", "keys": keys},
        Kind.COUNT: {},
        Kind.SUM: bounds,
        Kind.MEAN: bounds,
        Kind.QUANTILE: {
            **bounds,
            "at": Fraction(1, 2),
            "candidates": tuple(Fraction(n) for n in range(100)),
        },
    }
    with build_world(folder / "home", database=Database.SQLITE) as world:
        budget = _budget(world)
        result: dict[str, object] = {
            kind.value: _times(kind, fields, frame, budget, full=full)
            for kind, fields in forms.items()
        }
    before = time.perf_counter()
    frame.group_by("district").len()
    result["floor_seconds"] = round(time.perf_counter() - before, 4)
    return result


def _times(
    kind: Kind,
    fields: Mapping[str, object],
    frame: pl.DataFrame,
    budget: SqlBudget,
    *,
    full: bool,
) -> dict[str, float]:
    """Time new questions, and the same ones again."""
    times: dict[str, list[float]] = {"seconds": [], "again_seconds": []}
    for number in range(20 if full else 7):
        query = Query(
            kind=kind,
            epsilon=Fraction(1, 100) + Fraction(number, 10_000),
            **fields,  # type: ignore[arg-type] # fields by name
        )
        for found in times.values():
            before = time.perf_counter()
            ask(query, lambda: frame, budget, delta=DELTA, context=("bench",))
            found.append(time.perf_counter() - before)
    return {
        name: round(statistics.median(found), 4)
        for name, found in times.items()
    }


def _budget(world: World) -> SqlBudget:
    platform = world.platform
    return SqlBudget(
        tenant=platform.settings.tenant,
        account=Account(
            service="bench", purpose="bench", recipient="bench", snapshot="1"
        ),
        allowance=Allowance(
            recipient=10**15, colluding=10**15, everybody=10**15, days=1
        ),
        transactions=platform.transactions,
        ledger=platform.ledger,
        past=(),
        clock=platform.clock,
        random=platform.random,
    )


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        print(json.dumps(measure(full=True, folder=Path(made)), indent=2))  # noqa: T201 - its output
