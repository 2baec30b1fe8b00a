"""Class-merge repair: any partition becomes one that meets the criteria.

The classes that fail are taken in turn, cheapest labels first, and of equal
ones the largest, which is dearest to generalize. Each is merged with the
class whose merger raises the summed cost of labels least, among those with
which it passes. Merging breaks neither k nor l, so a class that passes goes
on passing. Two failing classes may cure one another.

A class that can only be merged into a label that says nothing is suppressed
instead where the limit has room: it would drag its partner down with it.

Each step looks at all classes, so the work is (failing classes) times
(classes): well under a second for thousands, long for many tens of
thousands.
"""

from anonymize.classes import Classes, diverse, make_classes, meet_criteria
from anonymize.criteria import Criteria
from anonymize.cube import Cube, Real, Truth
from anonymize.errors import MissingExtra

try:
    import numpy as np
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

_DECIMALS = 9
_ROUNDING = 1e-9


def repair(cube: Cube, classes: Classes, criteria: Criteria) -> Classes:
    """Merge failing classes until all pass, where that is possible.

    Args:
        cube: the counted tuples; at least one axis.
        classes: the partition; tuples that are still open stand in it as
            classes of their own.
        criteria: k, l and the suppression limit.

    Returns:
        A partition. Classes that still fail, or whose label says nothing,
        are for the caller to suppress.
    """
    failing = np.flatnonzero(~meet_criteria(classes, criteria, cube.spans))
    cost = classes.costs[failing].round(_DECIMALS)
    order = np.lexsort((failing, -classes.weights[failing], cost))
    merger = _Merger(cube, classes, criteria)
    for number in failing[order]:
        merger.cure(int(number))
    into = merger.into[classes.member]
    member = np.unique(into, return_inverse=True)[1].astype(np.int64)
    return make_classes(cube, member)


class _Ladder:
    """The axes' levels below the top, one after the other.

    Attributes:
        axis: axis of each rung.
        level: level of each rung.
        groups: group of each class on each rung.
        below: cost of a class's label on the rung.
        above: cost of it one level higher.
    """

    def __init__(self, cube: Cube, classes: Classes) -> None:
        spans = [np.arange(axis.levels - 1) for axis in cube.axes]
        self.axis = np.repeat(np.arange(len(spans)), [*map(len, spans)])
        self.level = np.concatenate(spans)
        columns = [*zip(cube.axes, classes.leaves.T, strict=True)]
        self.groups = np.concatenate(
            [axis.groups[:-1][:, leaves] for axis, leaves in columns]
        ).astype(np.int32)
        self.below = np.concatenate(
            [axis.costs[:-1][:, leaves] for axis, leaves in columns]
        )
        self.above = np.concatenate(
            [axis.costs[1:][:, leaves] for axis, leaves in columns]
        )


class _Merger:
    """The live classes while they are merged.

    ``into`` names for each class the one it is now part of. On the rungs
    below the level of its label a class has a group of its own, so that two
    classes differ on exactly the rungs below their joint label.
    """

    def __init__(
        self, cube: Cube, classes: Classes, criteria: Criteria
    ) -> None:
        count = len(classes.weights)
        self.into = np.arange(count)
        self._criteria = criteria
        self._budget = criteria.allowed(cube.rows)
        self._spans = cube.spans
        self._axes = len(cube.axes)
        self._levels = classes.levels.copy()
        self._weights = classes.weights.astype(np.float64)
        self._present = classes.present.T.copy()
        self._costs = classes.costs.copy()
        self._alive = np.ones(count, dtype=np.bool_)
        self._ladder = ladder = _Ladder(cube, classes)
        own = ladder.level[:, None] < self._levels.T[ladder.axis]
        self._groups = np.where(
            own, -1 - np.arange(count, dtype=np.int32), ladder.groups
        )

    def cure(self, number: int) -> None:
        """Merge a class until it passes, or give it up."""
        while self._alive[number] and not self._passes(number):
            costs = self._joint_costs(number)
            partner = self._partner(number, costs)
            if partner is None:
                return
            blank = costs[partner] >= self._axes - _ROUNDING
            if blank and self._weights[number] <= self._budget:
                self._budget -= int(self._weights[number])
                return
            self._merge(number, partner, float(costs[partner]))

    def _passes(self, number: int) -> bool:
        values = self._present[:, number : number + 1]
        enough = self._weights[number] >= self._criteria.k
        return bool(enough and self._diverse(values)[0])

    def _diverse(self, present: Truth) -> Truth:
        return diverse(present, self._criteria.l, self._spans, axis=0)

    def _joint_costs(self, number: int) -> Real:
        """Return the summed NCP of the joint label with every class."""
        ladder = self._ladder
        top = self._levels[number][ladder.axis] - 1
        above, below = ladder.above[:, number], ladder.below[:, number]
        steps = np.where(ladder.level > top, above - below, 0.0)
        # Below its own level a class differs from every other, so the last
        # of those rungs carries what its label costs already.
        steps = np.where(ladder.level == top, above, steps)
        differ = self._groups != self._groups[:, number, None]
        costs: Real = steps @ differ
        return costs

    def _partner(self, number: int, costs: Real) -> int | None:
        """Return the class to merge with, None where there is none left."""
        weight = self._weights[number]
        joint = weight + self._weights
        rise = joint * costs - self._weights * self._costs
        others = self._alive.copy()
        others[number] = False
        united = self._present | self._present[:, number, None]
        good = others & (joint >= self._criteria.k) & self._diverse(united)
        choice = good if good.any() else others
        if not choice.any():
            return None
        rise[~choice] = np.inf
        return int(np.argmin(rise.round(_DECIMALS)))

    def _merge(self, number: int, partner: int, cost: float) -> None:
        differ = self._groups[:, number] != self._groups[:, partner]
        self._levels[number] = np.bincount(
            self._ladder.axis, differ, minlength=self._axes
        )
        self._groups[differ, number] = -1 - number
        self._weights[number] += self._weights[partner]
        self._present[:, number] |= self._present[:, partner]
        self._costs[number] = cost
        self._alive[partner] = False
        self.into[self.into == partner] = number
