"""Repair of very many classes: failing ones find partners nearby, together.

The classes are put in several orders by their labels, one that begins with
each quasi-identifier; a failing class looks only at its neighbours in
these, and takes the partner that cures it at the least rise in the summed
cost of labels. Of two that want one partner the cheaper has it, and the
other looks again in the next round. What is left after the rounds is few,
and goes to `repair`, which looks at every class.

Merging breaks no rule that held; see `repair`.
"""

from anonymize.classes import Classes, make_classes
from anonymize.cube import Axis, Cube, Real, Truth, Whole, number_columns
from anonymize.errors import MissingExtra
from anonymize.rules import Rules

try:
    import numpy as np
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

FEW = 300
"""Failing classes that are left to `repair`."""
_NEAR = 18
_ROUNDS = 16
_CHUNK = 4_096
_WIDEST = 4_000


def pair_classes(
    cube: Cube, classes: Classes, rules: Rules, *, join: bool = True
) -> Classes:
    """Merge failing classes with neighbours that cure them.

    Args:
        cube: the counted tuples; at least one axis.
        classes: the partition.
        rules: what a class must hold.
        join: as in `make_classes`.

    Returns:
        A partition in which few classes fail, or those that found nobody.
    """
    if any(axis.groups.shape[1] > _WIDEST for axis in cube.axes):
        return classes
    pairs = _Pairs(cube, classes, rules)
    for _ in range(_ROUNDS):
        failing = pairs.failing()
        if len(failing) <= FEW or not pairs.round(failing):
            break
    if not pairs.merged:
        return classes
    member = number_columns(pairs.member()[None])
    return make_classes(cube, member, join=join)


class _Pairs:
    """The live classes."""

    def __init__(self, cube: Cube, classes: Classes, rules: Rules) -> None:
        self._axes = cube.axes
        self._rules = rules
        self._levels = np.ascontiguousarray(classes.levels.T)
        self._leaves = np.ascontiguousarray(classes.leaves.T)
        # Leaves are few enough, and as short numbers are sorted by counting.
        self._short = self._leaves.astype(np.uint16)
        self._weights = classes.weights.astype(np.float64)
        self._counts = np.ascontiguousarray(classes.counts.T, np.float64)
        self._costs = classes.costs.astype(np.float64)
        self._alive = np.ones(len(classes.weights), dtype=np.bool_)
        self._into = np.arange(len(classes.weights))
        self._member = classes.member
        self._meet = [_meeting_levels(axis) for axis in cube.axes]

    def member(self) -> Whole:
        """Return the class of each tuple."""
        into = self._into
        while True:
            further = into[into]
            if np.array_equal(further, into):
                break
            into = further
        result: Whole = into[self._member]
        return result

    @property
    def merged(self) -> bool:
        """Whether any two are one by now."""
        return not self._alive.all()

    def failing(self) -> Whole:
        """Return the live classes that fail."""
        live = np.flatnonzero(self._alive)
        passes = self._rules.passes(self._weights[live], self._counts[:, live])
        return live[~passes]

    def round(self, failing: Whole) -> int:
        """Let each failing class look for a partner; return how many did."""
        best = np.full(len(failing), np.inf)
        partner = np.full(len(failing), -1, dtype=np.int64)
        live = np.flatnonzero(self._alive)
        for first in range(len(self._axes)):
            order = self._order(live, first)
            place = np.empty(len(self._alive), dtype=np.int64)
            place[order] = np.arange(len(order))
            for start in range(0, len(failing), _CHUNK):
                some = slice(start, start + _CHUNK)
                rise, other = self._nearest(failing[some], order, place)
                better = rise < best[some]
                best[some] = np.where(better, rise, best[some])
                partner[some] = np.where(better, other, partner[some])
        return self._merge(failing, partner, best)

    def _order(self, live: Whole, first: int) -> Whole:
        """Put the live classes in an order that begins with one axis."""
        count = len(self._axes)
        keys = [
            self._short[(first + at) % count].take(live) for at in range(count)
        ]
        ordered: Whole = live[np.lexsort(keys[::-1])]
        return ordered

    def _nearest(
        self, some: Whole, order: Whole, place: Whole
    ) -> tuple[Real, Whole]:
        """Return for each class the neighbour that cures it cheapest."""
        steps = np.concatenate((np.arange(-_NEAR, 0), np.arange(1, _NEAR + 1)))
        at = place[some][:, None] + steps
        inside = (at >= 0) & (at < len(order))
        other = order[at.clip(0, len(order) - 1)]
        mine = np.repeat(some, len(steps))
        flat = other.ravel()
        good = inside.ravel() & self._cured(mine, flat)
        rise = np.full(len(flat), np.inf)
        chosen = np.flatnonzero(good)
        a, b = mine[chosen], flat[chosen]
        one, two = self._weights.take(a), self._weights.take(b)
        rise[chosen] = (
            (one + two) * self._joint_costs(a, b)
            - one * self._costs.take(a)
            - two * self._costs.take(b)
        )
        rise = rise.reshape(other.shape)
        least = np.argmin(rise, axis=1)
        lines = np.arange(len(some))
        return rise[lines, least], other[lines, least]

    def _cured(self, mine: Whole, other: Whole) -> Truth:
        counts = self._counts.take(mine, axis=1)
        counts += self._counts.take(other, axis=1)
        return self._rules.passes(
            self._weights.take(mine) + self._weights.take(other), counts
        )

    def _joint_level(self, at: int, mine: Whole, other: Whole) -> Whole:
        levels, leaves = self._levels[at], self._leaves[at]
        pair = leaves.take(mine)
        pair *= self._axes[at].groups.shape[1]
        pair += leaves.take(other)
        joint: Whole = self._meet[at].take(pair)
        np.maximum(joint, levels.take(mine), out=joint)
        np.maximum(joint, levels.take(other), out=joint)
        return joint

    def _joint_costs(self, mine: Whole, other: Whole) -> Real:
        total = np.zeros(len(mine))
        for at, axis in enumerate(self._axes):
            label = self._joint_level(at, mine, other)
            label *= axis.groups.shape[1]
            label += self._leaves[at].take(mine)
            total += axis.costs.ravel().take(label)
        return total

    def _merge(self, failing: Whole, partner: Whole, rise: Real) -> int:
        """Merge pairs, the cheapest first, no class in two of them."""
        taken: set[int] = set()
        kept = []
        for at in np.argsort(rise, kind="stable").tolist():
            if not np.isfinite(rise[at]):
                break
            pair = int(failing[at]), int(partner[at])
            if taken.isdisjoint(pair):
                taken.update(pair)
                kept.append(pair)
        if not kept:
            return 0
        mine, other = np.array(kept, dtype=np.int64).T
        costs = self._joint_costs(mine, other)
        for at in range(len(self._axes)):
            self._levels[at][mine] = self._joint_level(at, mine, other)
        self._costs[mine] = costs
        self._weights[mine] += self._weights[other]
        self._counts[:, mine] += self._counts[:, other]
        self._alive[other] = False
        self._into[other] = mine
        return len(kept)


def _meeting_levels(axis: Axis) -> Whole:
    """Return for two leaves the first level at which they have one label.

    The pairs stand in one row.
    """
    meet = np.zeros((axis.groups.shape[1],) * 2, dtype=np.int64)
    for groups in axis.groups[:-1]:
        meet += groups[:, None] != groups
    return meet.ravel()
