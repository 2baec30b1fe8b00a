"""The privacy models, measured on a published table by plain counting.

Part of the independent check: it shares no code with the engine, takes a
model as the data that the manifest has, and counts in Python what Polars
grouped. One class at a time, by the textbook.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anonymize.errors import ExtractTampered

_SLACK = 1e-12

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a model comes to.

    Attributes:
        model: its name.
        column: its column; empty where it is of people.
        holds: whether each class holds it, by the reference it names.
        reached: the worst value of any class.
        otherwise: the worst value by the other reference; None where the
            model has none.
    """

    model: str
    column: str
    holds: bool
    reached: float
    otherwise: float | None


def measure_model(
    classes: Sequence[Counts],
    model: Mapping[str, Any],
    input_counts: Counts | None,
) -> Measured:
    """Measure one model on the rows that were published.

    Args:
        classes: for each class the rows of each value of the column.
        model: the model as data.
        input_counts: rows of each value of the column in the table that
            was handed in; needed where the model has a reference.

    Raises:
        ExtractTampered: the model is not one that is known, or lacks what
            it is measured by.
    """
    try:
        return _measure(classes, model, input_counts)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        msg = "a privacy model of the manifest cannot be measured"
        raise ExtractTampered(msg) from None


def _measure(
    classes: Sequence[Counts],
    model: Mapping[str, Any],
    input_counts: Counts | None,
) -> Measured:
    name, column = str(model["model"]), str(model["column"])
    if "reference" not in model:
        worst, holds = _WITHOUT[name](classes, model)
        return Measured(
            model=name,
            column=column,
            holds=holds,
            reached=worst,
            otherwise=None,
        )
    published: dict[str, int] = defaultdict(int)
    for each in classes:
        for value, rows in each.items():
            published[value] += rows
    if input_counts is None:
        msg = "no reference"
        raise ValueError(msg)
    measure = _WITH[name]
    found = {
        "input": measure(classes, model, input_counts),
        "published": measure(classes, model, published),
    }
    stated = str(model["reference"])
    other = "published" if stated == "input" else "input"
    worst, holds = found[stated]
    return Measured(
        model=name,
        column=column,
        holds=holds,
        reached=worst,
        otherwise=found[other][0],
    )


def measure_people(
    sizes: Sequence[int], people: Sequence[int], model: Mapping[str, Any]
) -> Measured:
    """Measure a model of the people that labels match.

    Args:
        sizes: rows of each class.
        people: people of the population that its label matches.
        model: the model as data.

    Raises:
        ExtractTampered: the model is not one that is known.
    """
    name = str(model.get("model"))
    if name == "k-map":
        reached = float(min(people, default=0))
        holds = reached >= int(model["k"])
    elif name == "delta-presence":
        shares = [
            rows / many if many else math.inf
            for rows, many in zip(sizes, people, strict=True)
        ]
        reached = max(shares, default=0.0)
        low, high = float(model["low"]), float(model["high"])
        least = min(shares, default=low)
        holds = reached <= high + _SLACK and least >= low - _SLACK
    else:
        msg = "a privacy model of the manifest cannot be measured"
        raise ExtractTampered(msg)
    return Measured(
        model=name, column="", holds=holds, reached=reached, otherwise=None
    )


def _there(histogram: Counts) -> list[int]:
    """Rows of each value that is not missing."""
    return [rows for value, rows in histogram.items() if value and rows]


def _entropy(
    classes: Sequence[Counts], model: Mapping[str, Any]
) -> tuple[float, bool]:
    worst = math.inf
    for each in classes:
        rows = _there(each)
        total = sum(rows)
        entropy = -sum(n / total * math.log(n / total) for n in rows)
        worst = min(worst, math.exp(entropy) if rows else 0.0)
    return worst, worst >= float(model["l"]) - _SLACK


def _recursive(
    classes: Sequence[Counts], model: Mapping[str, Any]
) -> tuple[float, bool]:
    """Return the largest r1 / (rl + ... + rm), which is below c."""
    worst = 0.0
    for each in classes:
        rows = sorted(_there(each), reverse=True)
        rest = sum(rows[int(model["l"]) - 1 :])
        worst = max(worst, rows[0] / rest if rest else math.inf)
    return worst, worst < float(model["c"])


def _ceiling(
    classes: Sequence[Counts], model: Mapping[str, Any]
) -> tuple[float, bool]:
    worst = 0.0
    named = {*model["values"]}
    for each in classes:
        total = sum(_there(each))
        for value, rows in each.items():
            if value and (not named or value in named):
                worst = max(worst, rows / total)
    return worst, worst <= float(model["alpha"]) + _SLACK


def _likeness(
    classes: Sequence[Counts], model: Mapping[str, Any], reference: Counts
) -> tuple[float, bool]:
    worst, holds = 0.0, True
    everyone = sum(reference.values())
    beta = float(model["beta"])
    for each in classes:
        total = sum(each.values())
        for value, rows in each.items():
            p, q = rows / total, reference.get(value, 0) / everyone
            if p <= q:
                continue
            gain = (p - q) / q if q else math.inf
            bound = beta
            if model["enhanced"] and q:
                bound = min(beta, -math.log(q))
            worst = max(worst, gain)
            holds = holds and gain <= bound + _SLACK
    return worst, holds


def _closeness(
    classes: Sequence[Counts], model: Mapping[str, Any], reference: Counts
) -> tuple[float, bool]:
    worst = 0.0
    everyone = sum(reference.values())
    q = {value: rows / everyone for value, rows in reference.items()}
    far = _DISTANCES[str(model["distance"])]
    for each in classes:
        total = sum(each.values())
        surplus = {
            value: each.get(value, 0) / total - q.get(value, 0.0)
            for value in {*each, *q}
        }
        worst = max(worst, far(surplus, model))
    return worst, worst <= float(model["t"]) + _SLACK


def _equal(surplus: Mapping[str, float], _: Mapping[str, Any]) -> float:
    return sum(abs(each) for each in surplus.values()) / 2


def _ordered(surplus: Mapping[str, float], model: Mapping[str, Any]) -> float:
    order = [str(value) for value in model["order"]]
    if any(each and value not in order for value, each in surplus.items()):
        raise ValueError
    total = carried = 0.0
    for value in order:
        carried += surplus.get(value, 0.0)
        total += abs(carried)
    return total / max(len(order) - 1, 1)


def _hierarchical(
    surplus: Mapping[str, float], model: Mapping[str, Any]
) -> float:
    rows = {row[0]: row for row in model["hierarchy"]["rows"]}
    height = len(next(iter(rows.values()))) - 1
    rows.setdefault("", [""] * height + ["*"])
    total = 0.0
    for level in range(1, height + 1):
        children: dict[tuple[str, str], float] = defaultdict(float)
        for value, each in surplus.items():
            path = rows[value]
            children[path[level], path[level - 1]] += each
        gained: dict[str, float] = defaultdict(float)
        lost: dict[str, float] = defaultdict(float)
        for (parent, _), each in children.items():
            gained[parent] += max(each, 0.0)
            lost[parent] += max(-each, 0.0)
        moved = sum(min(gained[parent], lost[parent]) for parent in gained)
        total += level / height * moved
    return total


_Without = Callable[[Sequence[Counts], Mapping[str, Any]], tuple[float, bool]]
_With = Callable[
    [Sequence[Counts], Mapping[str, Any], Counts], tuple[float, bool]
]
_WITHOUT: Mapping[str, _Without] = {
    "entropy-l": _entropy,
    "recursive-l": _recursive,
    "alpha-k": _ceiling,
}
_WITH: Mapping[str, _With] = {
    "t-closeness": _closeness,
    "beta-likeness": _likeness,
}
_DISTANCES: Mapping[
    str, Callable[[Mapping[str, float], Mapping[str, Any]], float]
] = {"equal": _equal, "ordered": _ordered, "hierarchical": _hierarchical}
