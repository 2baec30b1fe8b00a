"""Which earlier classes are published again, which together, and which not.

People who were published together ever since are a *cell*; cells are never
cut. Published again, each alone, they would tell of an earlier class that
lost one to k - 1 people what those people's rows were. Two cures:

* *coarsen*: classes that lost people are published as one, so that what is
  missing of them together is at least k people, with at least l values that
  any of them can have had;
* *withhold*: a whole cell is left out, so that it is missing too.

The cheaper is taken, by the NCP that it costs; where more rows would be
withheld than may be, coarsening comes first.

What can be told from two releases is told of their *connected* classes:
classes of the one and of the other that have people in common, directly or
through others. Within those nobody can say which class somebody is missing
from, but for the values that a class had: who left a class had a value that
is missing and that the class had. So values are counted class by class.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from anonymize.classes import Classes
from anonymize.cube import Axis, Real, Whole
from anonymize.errors import MissingExtra

try:
    import numpy as np
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

_TWO = 2
WITHHELD = -1
"""In place of a class, of a cell that is not published."""
Values = Mapping[str, Mapping[str, int]]
"""For each sensitive column the rows of each value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """One earlier release.

    Attributes:
        number: for each cell the class there, or None for none.
        sizes: people of each class.
        values: values of each class; classes whose values are not known are
            not in it.
    """

    number: Sequence[int | None]
    sizes: Mapping[int, int]
    values: Mapping[int, Values] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The cells of today that could be published, each by itself.

    Attributes:
        weights: rows of each.
        values: values of each.
    """

    weights: Sequence[int]
    values: Sequence[Values]


def settle(
    cells: Cells,
    before: Sequence[Before],
    labels: "Labels",
    *,
    k: int,
    l: int,  # noqa: E741 - the literature's own name for it
    may_withhold: int,
) -> list[int]:
    """Decide what becomes of each cell.

    Args:
        cells: what could be published.
        before: the earlier releases.
        labels: what classes of several cells cost.
        k: the smallest set of people that is none.
        l: fewest values that somebody who is missing can have had.
        may_withhold: rows that may be withheld, beside those that are in no
            cell.

    Returns:
        For each cell the number of its class, or `WITHHELD`.
    """
    free = _Settling(cells, before, labels, k=k, l=l)
    free.settle(price=1.0)
    if free.withheld() > may_withhold:
        dear = _Settling(cells, before, labels, k=k, l=l)
        dear.settle(price=float("inf"))
        if dear.withheld() < free.withheld():
            return dear.classes()
    return free.classes()


class Labels:
    """The labels of classes that are made of others, and what they cost."""

    def __init__(self, axes: Sequence[Axis], classes: Classes) -> None:
        """Take the labels of single cells.

        Args:
            axes: the quasi-identifiers.
            classes: the cells, each a class of its own.
        """
        self._axes = tuple(axes)
        self._levels = classes.levels.copy()
        self._leaves = classes.leaves
        self.costs = classes.costs.copy()

    def joint(self, one: int, others: Sequence[int]) -> tuple[Whole, Real]:
        """Return the joint label of a class with each of others.

        Args:
            one: a class.
            others: other ones.

        Returns:
            Its level on each axis, others by axes; what it costs, infinite
            where it says nothing.
        """
        levels = np.zeros((len(others), len(self._axes)), dtype=np.int64)
        costs = np.zeros(len(others))
        blank = np.ones(len(others), dtype=np.bool_)
        for at, axis in enumerate(self._axes):
            leaf, theirs = self._leaves[one, at], self._leaves[others, at]
            level = np.maximum(self._levels[one, at], self._levels[others, at])
            apart = axis.groups[:, theirs] != axis.groups[:, [leaf]]
            # From the first level on at which they agree they go on doing so.
            level = np.maximum(level, apart.sum(axis=0))
            levels[:, at] = level
            costs += axis.costs[level, leaf]
            blank &= level == axis.levels - 1
        return levels, np.where(blank, np.inf, costs)

    def join(self, one: int, other: int) -> None:
        """Give a class the joint label with another.

        Args:
            one: a class; it stands for both from now on.
            other: the other.
        """
        levels, costs = self.joint(one, [other])
        self._levels[one] = levels[0]
        self.costs[one] = costs[0]

    def copy(self) -> "Labels":
        """Return labels that can be joined without these."""
        other = Labels.__new__(Labels)
        other._axes = self._axes  # noqa: SLF001 - of its own kind
        other._levels = self._levels.copy()  # noqa: SLF001 - the same
        other._leaves = self._leaves  # noqa: SLF001 - the same
        other.costs = self.costs.copy()
        return other

    @property
    def most(self) -> float:
        """What a withheld row costs."""
        return float(len(self._axes))


@dataclass(slots=True, kw_only=True)
class _Part:
    """Connected classes of an earlier release and of this one."""

    groups: list[int]
    classes: list[int]


class _Settling:
    """Classes of cells, joined and withheld until nothing small is told."""

    def __init__(
        self,
        cells: Cells,
        before: Sequence[Before],
        labels: Labels,
        *,
        k: int,
        l: int,  # noqa: E741 - the literature's own name for it
    ) -> None:
        self._cells = cells
        self._before = before
        self._labels = labels.copy()
        self._k, self._l = k, l
        count = len(cells.weights)
        self._group = [*range(count)]
        self._members: dict[int, list[int]] = {n: [n] for n in range(count)}
        self._out = [False] * count
        self._index: list[dict[int, list[int]]] = []
        for each in before:
            index: dict[int, list[int]] = defaultdict(list)
            for cell, old in enumerate(each.number):
                if old is not None:
                    index[old].append(cell)
            self._index.append(index)

    def classes(self) -> list[int]:
        """Return the class of each cell."""
        return [
            WITHHELD if out else group
            for out, group in zip(self._out, self._group, strict=True)
        ]

    def withheld(self) -> int:
        """Count the rows of withheld cells."""
        weights = self._cells.weights
        return sum(
            many for many, out in zip(weights, self._out, strict=True) if out
        )

    def settle(self, price: float) -> None:
        """Cure what tells of too few, until nothing does.

        Args:
            price: how dear a withheld row is, in what it costs by NCP.
        """
        while True:
            changed = False
            for at in range(len(self._before)):
                changed |= self._cure(at, price)
            if not changed:
                return

    def _cure(self, at: int, price: float) -> bool:
        """Cure each part of one earlier release once; tell of any change."""
        parts = [*self._parts(at)]
        bad = [part for part in parts if not self._holds(at, part.classes)]
        if not bad:
            return False
        weigh = self._weight_of
        bad.sort(key=lambda part: (weigh(part.groups[0]), part.groups[0]))
        partners = [
            part
            for part in parts
            if any(self._missing(at, old) for old in part.classes)
        ]
        done: set[int] = set()
        for part in bad:
            if part.groups[0] in done:
                continue
            found = self._coarsening(at, part, partners, done, price)
            if found is None:
                self._withhold(part)
                done.add(part.groups[0])
                continue
            done |= {each.groups[0] for each in (part, *found)}
            for each in found:
                self._join(part.groups[0], each.groups[0])
        return True

    def _coarsening(
        self,
        at: int,
        part: _Part,
        partners: Sequence[_Part],
        done: set[int],
        price: float,
    ) -> list[_Part] | None:
        """Return the parts that cure one for less than is saved, or None."""
        labels = self._labels
        trial = labels.copy()
        first = part.groups[0]
        weight, loss = self._weight_of(first), labels.costs[first]
        rise, saved = 0.0, self._price_of(part, price)
        classes, found = [*part.classes], list[_Part]()
        left = [
            each
            for each in partners
            if each is not part and each.groups[0] not in done
        ]
        while not self._holds(at, classes):
            if not left:
                return None
            others = [each.groups[0] for each in left]
            costs = trial.joint(first, others)[1]
            weights = np.array([self._weight_of(each) for each in others])
            rises = (
                (weight + weights) * costs
                - weight * loss
                - weights * labels.costs[others]
            )
            best = int(np.argmin(rises))
            if not np.isfinite(rises[best]):
                return None
            one = left.pop(best)
            if not self._holds(at, one.classes):
                saved += self._price_of(one, price)
            rise += float(rises[best])
            weight += int(weights[best])
            trial.join(first, one.groups[0])
            loss = trial.costs[first]
            classes += one.classes
            found.append(one)
        return found if rise <= saved else None

    def _price_of(self, part: _Part, price: float) -> float:
        cell = self._lightest(part)
        cost = self._labels.most - self._labels.costs[self._group[cell]]
        return price * self._cells.weights[cell] * float(cost)

    def _lightest(self, part: _Part) -> int:
        """Return the smallest cell of a part: it would be withheld."""
        weights = self._cells.weights
        inside = [
            cell
            for group in part.groups
            for cell in self._members[group]
            if not self._out[cell]
        ]
        return min(inside, key=lambda cell: (weights[cell], cell))

    def _withhold(self, part: _Part) -> None:
        cell = self._lightest(part)
        self._out[cell] = True
        self._members[self._group[cell]].remove(cell)

    def _join(self, one: int, other: int) -> None:
        self._labels.join(one, other)
        for cell in self._members[other]:
            self._group[cell] = one
        self._members[one] += self._members.pop(other)

    def _weight_of(self, group: int) -> int:
        weights = self._cells.weights
        return sum(weights[cell] for cell in self._members[group])

    def _parts(self, at: int) -> Iterator[_Part]:
        """Put together what has people in common, directly or not."""
        number = self._before[at].number
        home: dict[int, int] = {}
        parts: dict[int, _Part] = {}
        for group, members in sorted(self._members.items()):
            if not members:
                continue
            olds = {
                old for cell in members if (old := number[cell]) is not None
            }
            if not olds:
                continue
            part = _Part(groups=[group], classes=sorted(olds))
            for root in {home[old] for old in olds if old in home}:
                other = parts.pop(root)
                part.groups += other.groups
                part.classes = sorted({*part.classes, *other.classes})
            part.groups.sort()
            parts[group] = part
            home.update(dict.fromkeys(part.classes, group))
        yield from parts.values()

    def _holds(self, at: int, classes: Sequence[int]) -> bool:
        """Tell whether what is missing of connected classes tells nothing."""
        missing = sum(self._missing(at, old) for old in classes)
        if not missing:
            return True
        return missing >= self._k and (
            self._l < _TWO or self._diverse(at, classes)
        )

    def _missing(self, at: int, old: int) -> int:
        still = sum(self._cells.weights[cell] for cell in self._there(at, old))
        return self._before[at].sizes[old] - still

    def _there(self, at: int, old: int) -> list[int]:
        """List the cells of an earlier class that are published."""
        return [
            cell
            for cell in self._index[at].get(old, ())
            if not self._out[cell]
        ]

    def _diverse(self, at: int, classes: Sequence[int]) -> bool:
        """Tell whether who is missing can have had l values each."""
        lost: dict[str, Counter[str]] = defaultdict(Counter)
        short = []
        for old in classes:
            known = self._before[at].values.get(old)
            if known is None:
                # All of it or nothing, where its values are not known.
                if self._there(at, old) and self._missing(at, old):
                    return False
                continue
            for column, counted in known.items():
                left = Counter(counted)
                for cell in self._there(at, old):
                    left.subtract(self._cells.values[cell][column])
                lost[column].update(+left)
            if self._missing(at, old):
                short.append(known)
        return all(
            len({v for v in counted if v and lost[column][v] > 0}) >= self._l
            for known in short
            for column, counted in known.items()
        )
