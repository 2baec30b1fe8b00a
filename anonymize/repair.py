"""Class repair: any partition becomes one that meets the rules.

The classes that fail are taken in turn, cheapest labels first, and of equal
ones the largest, which is dearest to generalize. Each is either merged with
another class, or is given a tuple of a class that can do without it: the
donor stays within the rules, and only the receiver's label widens. What
raises the summed cost of labels least is done. Where nothing cures at once,
what comes nearest for its price is done, until the class passes.

Merging breaks no rule that held, so a class that passes goes on passing,
and giving is done only where it breaks none. Two failing classes may cure
one another.

A class that can only be merged into a label that says nothing is suppressed
instead where the limit has room: it would drag its partner down with it.

Giving is left out above `GIVING` classes, where it would take long; there
failing classes first look for partners nearby, all together (`pairing`).
"""

from anonymize.classes import Classes, make_classes
from anonymize.cube import Axis, Cube, Real, Whole, number_columns
from anonymize.errors import MissingExtra
from anonymize.pairing import pair_classes
from anonymize.rules import Rules

try:
    import numpy as np
    import numpy.typing as npt
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

GIVING = 12_000
"""Classes up to which tuples may change their class."""
_DECIMALS = 9
_ROUNDING = 1e-9


def repair(
    cube: Cube,
    classes: Classes,
    rules: Rules,
    allowed: int,
    *,
    give: bool = True,
    join: bool = True,
) -> Classes:
    """Merge failing classes until all pass, where that is possible.

    Args:
        cube: the counted tuples; at least one axis.
        classes: the partition; tuples that are still open stand in it as
            classes of their own.
        rules: what a class must hold.
        allowed: rows that may be suppressed.
        give: whether tuples may change their class.
        join: whether classes labelled alike are one, as in `make_classes`.

    Returns:
        A partition. Classes that still fail, or whose label says nothing,
        are for the caller to suppress.
    """
    if len(classes.weights) > GIVING:
        classes = pair_classes(cube, classes, rules, join=join)
    failing = np.flatnonzero(~rules.passes(classes.weights, classes.counts.T))
    if not len(failing):
        return classes
    cost = classes.costs[failing].round(_DECIMALS)
    order = np.lexsort((failing, -classes.weights[failing], cost))
    give = give and len(classes.weights) <= GIVING
    merger = _Merger(cube, classes, rules, allowed, give=give)
    for number in failing[order]:
        merger.cure(int(number))
    member = np.unique(merger.member(), return_inverse=True)[1]
    return make_classes(cube, member.astype(np.int64), join=join)


def number_rows(rows: Whole) -> tuple[Whole, Whole]:
    """Number the distinct rows of a matrix.

    Args:
        rows: the matrix.

    Returns:
        The first row of each number, and the number of each row.
    """
    numbers = number_columns(rows.T)
    first = np.unique(numbers, return_index=True)[1]
    return first.astype(np.int64), numbers


class _Ladder:
    """What joint labels on one axis cost.

    A label is named by a place: its level and a leaf under it.
    """

    def __init__(self, axis: Axis) -> None:
        self._axis = axis
        self.width = axis.groups.shape[1]
        self._costs: dict[int, npt.NDArray[np.float32]] = {}

    def costs(self, place: int) -> npt.NDArray[np.float32]:
        """Return the cost of the joint label with every place."""
        found = self._costs.get(place)
        if found is None:
            found = self._costs[place] = self._joint(place)
        return found

    def _joint(self, place: int) -> npt.NDArray[np.float32]:
        axis = self._axis
        level, leaf = divmod(place, self.width)
        costs = np.ones((axis.levels, self.width), dtype=np.float64)
        for at in range(axis.levels - 1, level - 1, -1):
            same = axis.groups[at] == axis.groups[at, leaf]
            costs[: at + 1, same] = axis.costs[at, leaf]
        return costs.ravel().astype(np.float32)

    def joint(self, place: int, other: int) -> int:
        """Return the place of the joint label of two."""
        level, leaf = divmod(place, self.width)
        again, there = divmod(other, self.width)
        level = max(level, again)
        groups = self._axis.groups
        while groups[level, leaf] != groups[level, there]:
            level += 1
        return level * self.width + leaf


class _Merger:
    """The live classes while they are merged, and what they can give."""

    def __init__(
        self,
        cube: Cube,
        classes: Classes,
        rules: Rules,
        allowed: int,
        *,
        give: bool,
    ) -> None:
        count = len(classes.weights)
        self._rules = rules
        self._budget = allowed
        self._ladders = [_Ladder(axis) for axis in cube.axes]
        widths = np.array([each.width for each in self._ladders])
        self._places = np.ascontiguousarray(
            (classes.levels * widths + classes.leaves).T
        )
        self._weights = classes.weights.astype(np.float64)
        self._counts = np.ascontiguousarray(classes.counts.T, np.float64)
        self._costs = classes.costs.astype(np.float64)
        self._alive = np.ones(count, dtype=np.bool_)
        self._into = np.arange(count)
        # tuples
        self._member = classes.member.copy()
        self._leaves = np.ascontiguousarray(cube.leaves.T)
        self._tuple_weights = cube.weights.astype(np.float64)
        self._tuple_counts = np.ascontiguousarray(cube.counts.T, np.float64)
        kinds = np.concatenate((cube.weights[:, None], cube.counts), axis=1)
        first, self._kind = number_rows(kinds)
        self._kind_weights = self._tuple_weights[first]
        self._kind_counts = self._tuple_counts[:, first]
        self._give = give
        self._members: dict[int, list[int]] = {}
        self._loose = np.zeros(len(cube.weights), dtype=np.bool_)
        if give:
            order = np.argsort(classes.member, kind="stable")
            ends = np.cumsum(np.bincount(classes.member))
            self._members = dict(
                enumerate(map(np.ndarray.tolist, np.split(order, ends[:-1])))
            )
            self._loosen(np.arange(len(cube.weights)))

    def member(self) -> Whole:
        """Return the class of each tuple."""
        result: Whole = self._into[self._member]
        return result

    def cure(self, number: int) -> None:
        """Merge a class, or give it tuples, until it passes."""
        while self._alive[number] and not self._passes(number):
            partner, price, joint = self._partner(number)
            donor, donation = self._donor(number, price)
            if donor is not None:
                self._receive(number, donor, donation)
                continue
            if partner is None:
                return
            blank = joint >= len(self._ladders) - _ROUNDING
            if blank and self._weights[number] <= self._budget:
                self._budget -= int(self._weights[number])
                return
            self._merge(number, partner)

    def _passes(self, number: int) -> bool:
        at = slice(number, number + 1)
        counts = self._counts[:, at]
        return bool(self._rules.passes(self._weights[at], counts)[0])

    def _joint_costs(
        self, number: int, places: Whole
    ) -> npt.NDArray[np.float32]:
        own = self._places[:, number]
        total: npt.NDArray[np.float32]
        total = self._ladders[0].costs(int(own[0])).take(places[0])
        for at in range(1, len(own)):
            total += self._ladders[at].costs(int(own[at])).take(places[at])
        return total

    def _partner(self, number: int) -> tuple[int | None, float, float]:
        """Choose the class to merge with, its price and the joint cost."""
        costs = self._joint_costs(number, self._places)
        weight = self._weights[number]
        joint = weight + self._weights
        rise = joint * costs - self._weights * self._costs
        rise -= weight * self._costs[number]
        counts = self._counts + self._counts[:, number, None]
        good = self._alive & self._rules.passes(joint, counts)
        good[number] = False
        if not good.any():
            return self._nearer(number, rise, joint, counts, costs)
        rise[~good] = np.inf
        best = int(np.argmin(rise))
        return best, float(rise[best]), float(costs[best])

    def _nearer(
        self,
        number: int,
        rise: Real,
        joint: Real,
        counts: Real,
        costs: npt.NDArray[np.float32],
    ) -> tuple[int | None, float, float]:
        """Choose what comes nearest to passing for its price."""
        others = self._alive.copy()
        others[number] = False
        if not others.any():
            return None, np.inf, np.inf
        now = self._rules.excess(
            self._weights[number : number + 1],
            self._counts[:, number : number + 1],
        )[0]
        gain = (now - self._rules.excess(joint, counts)) / max(now, 1e-12)
        helps = others & (gain > 0)
        if helps.any():
            price = np.where(
                helps, np.maximum(rise, 1e-6) / np.maximum(gain, 1e-9), np.inf
            )
        else:
            price = np.where(others, np.maximum(rise, 1e-6) * 1e9, np.inf)
        best = int(np.argmin(price))
        return best, float(price[best]), float(costs[best])

    def _donor(self, number: int, price: float) -> tuple[int | None, float]:
        """Choose a tuple that cures for less than the price."""
        if not self._give:
            return None, np.inf
        # Whether the class passes with a tuple depends on the tuple's
        # counts alone, of which there are few kinds.
        good = self._rules.passes(
            self._weights[number] + self._kind_weights,
            self._counts[:, number, None] + self._kind_counts,
        )
        if not good.any():
            return None, np.inf
        loose = np.flatnonzero(good.take(self._kind) & self._loose)
        loose = loose[self._member.take(loose) != number]
        if not len(loose):
            return None, np.inf
        costs = self._joint_costs(number, self._leaves[:, loose])
        own = self._tuple_weights.take(loose)
        rise = (own + self._weights[number]) * costs
        rise -= self._weights[number] * self._costs[number]
        giver = self._member.take(loose)
        rise -= own * self._costs.take(giver)
        best = int(np.argmin(rise))
        if rise[best] >= price:
            return None, np.inf
        return int(loose[best]), float(costs[best])

    def _receive(self, number: int, donor: int, cost: float) -> None:
        giver = int(self._member[donor])
        self._weights[giver] -= self._tuple_weights[donor]
        self._counts[:, giver] -= self._tuple_counts[:, donor]
        self._weights[number] += self._tuple_weights[donor]
        self._counts[:, number] += self._tuple_counts[:, donor]
        self._member[donor] = number
        self._members[giver].remove(donor)
        self._members[number].append(donor)
        for at, ladder in enumerate(self._ladders):
            self._places[at, number] = ladder.joint(
                int(self._places[at, number]), int(self._leaves[at, donor])
            )
        self._costs[number] = cost
        self._loosen(np.array(self._members[giver]))
        self._loosen(np.array(self._members[number]))

    def _merge(self, number: int, partner: int) -> None:
        cost = 0.0
        for at, ladder in enumerate(self._ladders):
            one, other = self._places[at, number], self._places[at, partner]
            place = ladder.joint(int(one), int(other))
            self._places[at, number] = place
            cost += float(ladder.costs(place)[place])
        self._weights[number] += self._weights[partner]
        self._counts[:, number] += self._counts[:, partner]
        self._costs[number] = cost
        self._alive[partner] = False
        if self._give:
            moved = self._members.pop(partner)
            self._member[moved] = number
            self._members[number] += moved
            self._loosen(np.array(self._members[number]))
        else:
            self._into[self._into == partner] = number

    def _loosen(self, tuples: Whole) -> None:
        """Find out which tuples their classes can do without."""
        classes = self._member[tuples]
        rest = self._weights[classes] - self._tuple_weights[tuples]
        counts = self._counts[:, classes] - self._tuple_counts[:, tuples]
        # The last tuple stays: a class of none would hold any rule.
        self._loose[tuples] = self._rules.passes(rest, counts) & (rest > 0)
