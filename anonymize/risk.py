"""Re-identification risk from the sizes of classes (El Emam, as in ARX).

Three attackers. The *prosecutor* knows that the target is in the extract,
the *journalist* only that the target is in the population, the *marketer*
wants as many matches as possible. For a class of f rows that F people of
the population match:

* prosecutor: 1/f a row; highest 1/min f; average (classes)/(rows);
* journalist: 1/F a row; highest 1/min F; average the larger of
  (classes)/(sum of F) and the mean of 1/F over the rows;
* marketer: the mean of 1/F over the rows.

Without a population table F is taken to be f, which bounds the journalist
and the marketer from above. These are risks of a match by the
quasi-identifiers; they say nothing of what the sensitive columns or free
text give away.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from anonymize.errors import InvalidSpec

_EDGES = (1, 2, 3, 4, 5, 10, 20, 50, 100, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """The risk of one kind of attacker, as shares from 0 to 1.

    Attributes:
        highest: of the row most at risk.
        lowest: of the row least at risk.
        average: over the rows.
        above: share of the rows whose risk is above the threshold.
    """

    highest: float
    lowest: float
    average: float
    above: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Risks:
    """The risks of an extract.

    Attributes:
        threshold: the risk that a row should not be above.
        population: whether a population table was used.
        prosecutor: see the module.
        journalist: see the module.
        marketer: expected share of rows matched rightly.
    """

    threshold: float
    population: bool
    prosecutor: Risk
    journalist: Risk
    marketer: float


def measure_risks(
    sizes: Sequence[int],
    *,
    population: Sequence[int] | None = None,
    threshold: float = 0.2,
) -> Risks:
    """Measure the risks of an extract.

    Args:
        sizes: rows of each class, at least one class.
        population: people of the population that match each class, each no
            fewer than the rows; None takes the sizes themselves.
        threshold: the risk that a row should not be above.

    Raises:
        InvalidSpec: sizes and population do not belong together.
    """
    people = sizes if population is None else population
    if not sizes or len(people) != len(sizes):
        msg = "each class has a size and a number of people"
        raise InvalidSpec(msg)
    alike = Counter(zip(sizes, people, strict=True))
    if any(f < 1 or f > big for f, big in alike):
        msg = "a class has rows, and people no fewer than rows"
        raise InvalidSpec(msg)
    rows = sum(sizes)
    matched = sum(many * f / big for (f, big), many in alike.items()) / rows
    return Risks(
        threshold=threshold,
        population=population is not None,
        prosecutor=Risk(
            highest=1 / min(sizes),
            lowest=1 / max(sizes),
            average=len(sizes) / rows,
            above=_above(Counter(zip(sizes, sizes, strict=True)), threshold),
        ),
        journalist=Risk(
            highest=1 / min(people),
            lowest=1 / max(people),
            average=max(len(sizes) / sum(people), matched),
            above=_above(alike, threshold),
        ),
        marketer=matched,
    )


def _above(alike: Mapping[tuple[int, int], int], threshold: float) -> float:
    """Return the share of rows above a risk, of classes counted by size."""
    rows = sum(many * f for (f, _), many in alike.items())
    high = (
        (f, many) for (f, big), many in alike.items() if 1 / big > threshold
    )
    return sum(many * f for f, many in high) / rows


def histogram(sizes: Sequence[int]) -> list[tuple[str, int, int]]:
    """Count classes by size.

    Args:
        sizes: rows of each class.

    Returns:
        For each range of sizes that occurs: the range, its classes and
        their rows.
    """
    classes: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for size, many in Counter(sizes).items():
        classes[_range(size)] += many
        rows[_range(size)] += many * size
    order = [_range(edge) for edge in _EDGES]
    return [(each, classes[each], rows[each]) for each in order if rows[each]]


def _range(size: int) -> str:
    for low, high in pairwise(_EDGES):
        if size < high:
            return str(low) if high == low + 1 else f"{low}-{high - 1}"
    return f"{_EDGES[-1]}+"
