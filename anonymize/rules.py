"""What the engine asks of classes, computed for many of them at once.

`Rules` takes rows and value counts of classes, one column a class, and
tells which pass, and how far the others are off. It decides nothing about
what is published: that is `anonymize.checker`, which shares no code with
it. The engine is a hair stricter than the bound, so that rounding never
lets a class pass here and fail there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from anonymize.criteria import Criteria
from anonymize.cube import PEOPLE, Cube, Truth, Whole
from anonymize.errors import InvalidSpec, MissingExtra
from anonymize.hierarchies import TableHierarchy
from anonymize.models import (
    Ceiling,
    Closeness,
    Distance,
    EntropyDiversity,
    Likeness,
    Model,
    PopulationMap,
    Presence,
    RecursiveDiversity,
)

try:
    import numpy as np
    import numpy.typing as npt
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

_HAIR = 1e-9

Numbers = npt.NDArray[Any]
Measure = Callable[[Numbers], Numbers]
"""From value counts of a column, values by classes, how far off each is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rule:
    """One model of one column.

    Attributes:
        start: first of the column's values.
        end: last of them plus one; the missing value is the last.
        excess: how far off, 0 or less where the model holds.
    """

    start: int
    end: int
    excess: Measure


class Rules:
    """k and the models of sensitive values."""

    def __init__(
        self,
        cube: Cube,
        criteria: Criteria,
        models: Sequence[Model] = (),
        reference: Whole | None = None,
    ) -> None:
        """Prepare the rules.

        Args:
            cube: the counted tuples.
            criteria: k and l.
            models: further models.
            reference: rows of each value in the reference; None takes all
                rows of the cube.
        """
        self.k = criteria.k
        self._only_distinct = not models
        total = cube.counts.sum(axis=0) if reference is None else reference
        places = dict(zip(cube.sensitive, cube.spans, strict=True))
        self._rules = [
            _Rule(start=at, end=end + 1, excess=_distinct(criteria.l))
            for name, (at, end) in places.items()
            if criteria.l > 1 and name != PEOPLE
        ]
        for model in models:
            column = model.column or PEOPLE
            at, end = places[column]
            values = cube.values[column]
            excess = _excess(model, total[at : end + 1], values)
            self._rules.append(_Rule(start=at, end=end + 1, excess=excess))

    @property
    def only_distinct(self) -> bool:
        """Whether nothing beside k and distinct l is asked."""
        return self._only_distinct

    @property
    def plain(self) -> bool:
        """Whether k is all that is asked."""
        return not self._rules

    def passes(self, weights: Numbers, counts: Numbers) -> Truth:
        """Tell which classes pass.

        Args:
            weights: rows of each class.
            counts: rows of each value, values by classes.
        """
        result: Truth = weights >= self.k
        for rule in self._rules:
            part = counts[rule.start : rule.end]
            result = result & (rule.excess(part) <= 0)
        # People of the population who are not in the table ask for nothing.
        result |= weights == 0
        return result

    def excess(self, weights: Numbers, counts: Numbers) -> Numbers:
        """Tell how far off classes are; 0 where they pass.

        Args:
            weights: rows of each class.
            counts: rows of each value, values by classes.
        """
        total: Numbers = np.maximum(self.k - weights, 0) / self.k
        for rule in self._rules:
            part = counts[rule.start : rule.end]
            total = total + np.maximum(rule.excess(part), 0.0)
        return np.where(weights == 0, 0.0, total)


def _excess(model: Model, total: Whole, values: Sequence[str]) -> Measure:
    match model:
        case EntropyDiversity():
            return _entropy(model.l)
        case RecursiveDiversity():
            return _recursive(model.l, model.c)
        case Ceiling():
            return _ceiling(model, values)
        case Likeness():
            return _likeness(model, total / total.sum())
        case PopulationMap() | Presence():
            return _among(model)
        case Closeness():
            return _closeness(model, total / total.sum(), values)


def _among(model: PopulationMap | Presence) -> Measure:
    """Measure by the people of the class's tuples; its label has no fewer."""

    def mapped(counts: Numbers, least: int) -> Numbers:
        lacking: Numbers = (least - counts[0]) / least
        return lacking

    def present(counts: Numbers, low: float, high: float) -> Numbers:
        share = counts[1] / np.maximum(counts[0], 1)
        off = np.maximum(share - high, low - share)
        return np.where(off == 0, 0.0, off + _HAIR)

    if isinstance(model, PopulationMap):
        return partial(mapped, least=model.k)
    return partial(present, low=model.low, high=model.high)


def _distinct(least: int) -> Measure:
    def excess(counts: Numbers) -> Numbers:
        found = (counts[:-1] > 0).sum(axis=0)
        lacking: Numbers = (least - found) / least
        return lacking

    return excess


def _shares(counts: Numbers) -> Numbers:
    total = counts.sum(axis=0)
    shares: Numbers = counts / np.maximum(total, 1)
    return shares


def _entropy(least: float) -> Measure:
    goal = np.log(least)

    def excess(counts: Numbers) -> Numbers:
        shares = _shares(counts[:-1])
        logs = np.log(np.where(shares > 0, shares, 1.0))
        entropy = -(shares * logs).sum(axis=0)
        lacking = goal - entropy + (_HAIR if goal else 0.0)
        return np.where(counts[:-1].sum(axis=0) > 0, lacking, 1.0 + goal)

    return excess


def _recursive(least: int, factor: float) -> Measure:
    def excess(counts: Numbers) -> Numbers:
        falling = -np.sort(-counts[:-1], axis=0)
        rare = falling[least - 1 :].sum(axis=0)
        most = falling[0] if len(falling) else rare
        size = np.maximum(falling.sum(axis=0), 1)
        lacking: Numbers = (most - factor * rare) / size + _HAIR
        return lacking

    return excess


def _ceiling(model: Ceiling, values: Sequence[str]) -> Measure:
    named = [at for at, v in enumerate(values) if v in {*model.values}]
    chosen = named if model.values else [*range(len(values))]

    def excess(counts: Numbers) -> Numbers:
        shares = _shares(counts[:-1])[chosen]
        most: Numbers = shares.max(axis=0, initial=0.0)
        return most - (model.alpha - _HAIR)

    return excess


def _likeness(model: Likeness, shares: Numbers) -> Measure:
    known = np.maximum(shares, 1e-300)
    bound = np.full(len(shares), model.beta)
    if model.enhanced:
        bound = np.minimum(bound, -np.log(known))
    before = shares[:, None]
    most = (shares * (1 + bound))[:, None]

    def excess(counts: Numbers) -> Numbers:
        found = _shares(counts)
        above = np.where(found > before, found - most, -1.0)
        most_above: Numbers = above.max(axis=0)
        return most_above + _HAIR

    return excess


def _closeness(
    model: Closeness, shares: Numbers, values: Sequence[str]
) -> Measure:
    names = (*values, "")
    if model.distance is Distance.ORDERED:
        measure = _ordered(model, names, shares)
    elif model.hierarchy is not None:
        measure = _hierarchical(model, model.hierarchy, names)
    else:
        measure = _equal

    def excess(counts: Numbers) -> Numbers:
        return measure(_shares(counts) - shares[:, None]) - model.t + _HAIR

    return excess


def _equal(surplus: Numbers) -> Numbers:
    distance: Numbers = np.abs(surplus).sum(axis=0) / 2
    return distance


def _ordered(
    model: Closeness, names: Sequence[str], shares: Numbers
) -> Measure:
    lost = [
        name
        for name, share in zip(names, shares, strict=True)
        if name not in model.order and share > 0
    ]
    if lost:
        msg = (
            f"column {model.column}: {len(lost)} value(s) that occur have no "
            "place in its order; a missing value is the empty text"
        )
        raise InvalidSpec(msg)
    ranks = np.array([_rank(model.order, name) for name in names])
    places = np.arange(len(model.order))
    upto = (ranks[None, :] <= places[:, None]).astype(np.float64)
    scale = 1 / max(len(places) - 1, 1)
    return lambda surplus: np.abs(upto @ surplus).sum(axis=0) * scale


def _rank(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else len(order)


def _hierarchical(
    model: Closeness,
    tree: TableHierarchy,
    names: Sequence[str],
) -> Measure:
    known = [tree.path(name) for name in names]
    paths = [path for path in known if path is not None]
    if len(paths) < len(known):
        msg = f"column {model.column}: its hierarchy lacks values that occur"
        raise InvalidSpec(msg)
    height = tree.levels - 1
    links: list[Numbers] = []
    children = [path[0] for path in paths]
    for level in range(1, height + 1):
        parent = {path[level - 1]: path[level] for path in paths}
        parents = sorted({*parent.values()})
        links.append(
            np.array(
                [[parent[c] == p for c in children] for p in parents],
                dtype=np.float64,
            )
        )
        children = parents

    def distance(surplus: Numbers) -> Numbers:
        total = np.zeros(surplus.shape[1:])
        for level, link in enumerate(links, start=1):
            gained = link @ np.maximum(surplus, 0)
            lost = link @ np.maximum(-surplus, 0)
            total += np.minimum(gained, lost).sum(axis=0) * level / height
            surplus = link @ surplus
        return total

    return distance
