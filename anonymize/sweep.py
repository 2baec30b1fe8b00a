"""The sweep: classes closed in the order of what their labels cost.

A group is a node of the lattice and one label of each axis at it. All its
members pay the same, so the pairs of (tuple, node) can be listed by cost
without visiting nodes: the axes are halved, each half lists what its nodes
cost a tuple, and a band of costs is a range in the sums of two short sorted
lists. Within a band the groups that hold k rows are closed from the
cheapest on; what a band leaves open pays more in a later one. So each pair
is looked at once at most, and cheap tuples never see the dear nodes.

Groups are told apart by 64-bit sums of fixed random words, one a label. Two
groups that share a sum by chance would only become one class under a wider
label: labels are folded from the members afterwards.

A level whose label covers, of the leaves that occur, no more than the level
below is passed over for that leaf.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

from anonymize.cube import Axis, Cube, Real, Truth, Whole, number_columns, pack
from anonymize.errors import InvalidSpec, MissingExtra
from anonymize.lattice import MAX_NODES, OPEN
from anonymize.rules import Rules

try:
    import numpy as np
    import numpy.typing as npt
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

Words = npt.NDArray[np.uint64]

_GRID = 64
_PAIRS = 200_000
_SEED = 0x6375727469


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Half:
    """Some of the axes: what each node of theirs is to a part of a tuple.

    Attributes:
        part: part of each tuple, an index into the rows of the others.
        costs: summed cost of each node's labels, rising; parts by nodes.
        words: identity of those labels, in the same order.
        steps: the costs on the grid; nodes passed over stand past the end.
    """

    part: Whole
    costs: Real
    words: Words
    steps: Whole


def sweep(
    cube: Cube,
    k: int,
    *,
    rules: Rules | None = None,
    pairs: int = _PAIRS,
    until: float = math.inf,
    still: Whole | None = None,
) -> Whole:
    """Put tuples into classes of k rows or more, the cheapest labels first.

    Args:
        cube: the counted tuples; at least one axis.
        k: least number of rows in a class.
        rules: what a group must hold to be closed, beside k rows.
        pairs: how many (tuple, node) pairs are held at once, about; it
            bounds memory and hardly changes the result.
        until: the summed cost of labels where to stop.
        still: the tuples that take part; None takes all.

    Returns:
        The class of each tuple, numbered from 0, or `OPEN`.

    Raises:
        InvalidSpec: the lattice has more than `MAX_NODES` nodes.
    """
    count = len(cube.weights)
    classes = np.full(count, OPEN, dtype=np.int64)
    if still is None:
        still = np.arange(count)
    closed = 0
    weights = cube.weights.astype(np.float64)
    hold = _Holding(cube, k, rules)
    alone = hold.each(still)
    classes[still[alone]] = np.arange(np.count_nonzero(alone))
    closed += int(np.count_nonzero(alone))
    still = still[~alone]
    grid = _Bands(*_halves(cube), _far(cube), float(len(cube.axes)))
    low, end = 0, min(grid.end, until * _GRID)
    while low < end and weights[still].sum() >= k:
        high, found = grid.band(still, low, pairs, weights, k)
        low = high
        if found is None:
            continue
        tuples, costs, words = found
        groups = _close(tuples, costs, words, hold)
        if groups is None:
            continue
        members, numbers = groups
        classes[members] = numbers + closed
        closed += int(numbers.max()) + 1
        still = still[classes[still] == OPEN]
    return classes


def _halves(cube: Cube) -> tuple[_Half, _Half]:
    """Split the axes into two halves of about as many nodes."""
    sizes = [axis.levels for axis in cube.axes]
    if math.prod(sizes) > MAX_NODES:
        msg = (
            f"the lattice of the quasi-identifiers has more than {MAX_NODES} "
            "nodes; give them fewer levels, or fewer of them a role"
        )
        raise InvalidSpec(msg)
    order = sorted(range(len(sizes)), key=lambda at: -sizes[at])
    sides: tuple[list[int], list[int]] = ([], [])
    for at in order:
        one, other = (math.prod(sizes[n] for n in side) for side in sides)
        sides[0 if one <= other else 1].append(at)
    chance = np.random.default_rng(_SEED)
    words = [
        chance.integers(
            0, 2**64, (axis.levels, axis.groups.shape[1]), dtype=np.uint64
        )
        for axis in cube.axes
    ]
    first, second = (_half(cube, sorted(side), words) for side in sides)
    return first, second


def _far(cube: Cube) -> int:
    """Steps that no node has."""
    return 4 * len(cube.axes) * _GRID


def _half(cube: Cube, side: list[int], words: list[Words]) -> _Half:
    count = len(cube.weights)
    if not side:
        nothing = np.zeros((1, 1))
        return _Half(
            part=np.zeros(count, np.int64),
            costs=nothing,
            words=nothing.astype(np.uint64),
            steps=nothing.astype(np.int64),
        )
    columns = cube.leaves[:, side].T
    sizes = [cube.axes[at].groups.shape[1] for at in side]
    part = number_columns(pack(columns, sizes))
    first = np.zeros(int(part.max()) + 1, dtype=np.int64)
    first[part[::-1]] = np.arange(count - 1, -1, -1)
    costs = np.zeros((len(first), 1))
    sums = np.zeros((len(first), 1), dtype=np.uint64)
    for at in side:
        axis, leaves = cube.axes[at], cube.leaves[first, at]
        own = np.where(_new(axis), axis.costs, np.inf)[:, leaves].T
        named = words[at][np.arange(axis.levels)[:, None], axis.groups]
        named = named[:, leaves].T
        costs = (costs[:, :, None] + own[:, None, :]).reshape(len(first), -1)
        sums = (sums[:, :, None] + named[:, None, :]).reshape(len(first), -1)
    order = np.argsort(costs, axis=1, kind="stable")
    costs = np.take_along_axis(costs, order, axis=1)
    useful = np.isfinite(costs)
    width = int(useful.sum(axis=1).max())
    costs, useful = costs[:, :width], useful[:, :width]
    far = _far(cube)
    steps = np.where(useful, np.where(useful, costs, 0.0) * _GRID, far)
    return _Half(
        part=part,
        costs=costs,
        words=np.take_along_axis(sums, order, axis=1)[:, :width],
        steps=np.floor(steps).astype(np.int64),
    )


def _new(axis: Axis) -> Truth:
    """Tell, by level and leaf, where a label covers more than below."""
    sizes = [
        np.bincount(groups, minlength=int(groups.max()) + 1)[groups]
        for groups in axis.groups
    ]
    grown = [np.ones(len(sizes[0]), dtype=np.bool_)]
    grown += [above > below for below, above in pairwise(sizes)]
    return np.stack(grown)


class _Holding:
    """Which groups of tuples can be closed."""

    def __init__(self, cube: Cube, k: int, rules: Rules | None) -> None:
        self._k = k
        self._rules = rules
        self._weights = cube.weights.astype(np.float64)
        self._counts = np.ascontiguousarray(cube.counts.T, np.float64)
        self.count = len(cube.weights)

    def each(self, tuples: Whole) -> Truth:
        """Tell which tuples can be closed by themselves."""
        heavy: Truth = self._weights[tuples] >= self._k
        if self._rules is not None:
            counts = self._counts[:, tuples]
            heavy &= self._rules.passes(self._weights[tuples], counts)
        return heavy

    def groups(self, tuples: Whole, groups: Whole, size: int) -> Truth:
        """Tell which groups can be closed.

        Args:
            tuples: the members.
            groups: the group of each.
            size: number of groups.
        """
        weights = np.bincount(groups, self._weights[tuples], minlength=size)
        result: Truth = weights >= self._k
        if self._rules is None:
            return result
        heavy = np.flatnonzero(result)
        into = np.full(size, -1)
        into[heavy] = np.arange(len(heavy))
        numbers = into[groups]
        inside = numbers >= 0
        numbers, members = numbers[inside], tuples[inside]
        counts = np.stack(
            [
                np.bincount(numbers, row[members], minlength=len(heavy))
                for row in self._counts
            ]
        )
        result[heavy] = self._rules.passes(weights[heavy], counts)
        return result


class _Bands:
    """The pairs of tuples and nodes by bands of cost.

    ``_upto`` counts for each part of the second half the nodes that cost
    no more than so many steps, and ``_near`` likewise for the first.
    """

    def __init__(
        self, first: _Half, second: _Half, far: int, blank: float
    ) -> None:
        self._first, self._second = first, second
        last = [int(h.steps[h.steps < far].max()) for h in (first, second)]
        self.end = last[0] + last[1] + 1
        self._near = _counts(first.steps, last[0])
        self._upto = _counts(second.steps, last[1])
        self._step = 8
        self._blank = blank - 1e-9

    def band(
        self, still: Whole, low: int, pairs: int, weights: Real, k: int
    ) -> tuple[int, tuple[Whole, Real, Words] | None]:
        """List the pairs whose cost is from `low` steps on.

        Args:
            still: tuples that are open.
            low: steps from which on.
            pairs: how many pairs to list, about.
            weights: rows of each tuple.
            k: least rows in a group.

        Returns:
            The steps up to which pairs were listed, and for each pair its
            tuple, cost and group.
        """
        one, two = self._first.part[still], self._second.part[still]
        width = self._first.steps.shape[1]
        while True:
            high = min(low + self._step, self.end)
            near = self._near[min(high, len(self._near) - 1)].take(one)
            which, flat = _ranges(one * width, near)
            steps = self._first.steps.take(flat)
            others = two.take(which)
            before = self._count(others, low - 1 - steps)
            many = self._count(others, high - 1 - steps)
            many -= before
            total = int(many.sum())
            if total > 2 * pairs and self._step > 1:
                self._step = max(self._step // 2, 1)
                continue
            if total < pairs // 2:
                self._step *= 2
            break
        if not total:
            return high, None
        others *= self._second.steps.shape[1]
        others += before
        offset = others - (np.cumsum(many) - many)
        place = np.repeat(offset, many)
        place += np.arange(total)
        words = np.repeat(self._first.words.take(flat), many)
        words += self._second.words.take(place)
        heavy = np.repeat(weights.take(still).take(which), many)
        maybe = _crowded(words, heavy, k)
        pair = np.searchsorted(np.cumsum(many), maybe, side="right")
        costs = self._first.costs.take(flat.take(pair))
        costs += self._second.costs.take(place.take(maybe))
        tuples = still.take(which.take(pair))
        words = words.take(maybe)
        says = costs < self._blank  # that is less than * on every axis
        return high, (tuples[says], costs[says], words[says])

    def _count(self, parts: Whole, steps: Whole) -> Whole:
        """Count the nodes of parts up to so many steps."""
        height, width = self._upto.shape
        place = np.minimum(steps, height - 2) + 1  # the first row is naught
        np.maximum(place, 0, out=place)
        place *= width
        place += parts
        return self._upto.take(place)


def _counts(steps: Whole, last: int) -> Whole:
    """Count by row the entries below each number; numbers by rows."""
    size, width = last + 3, len(steps)
    cells = np.minimum(steps, last + 1) + 1
    cells *= width
    cells += np.arange(width)[:, None]
    counts = np.bincount(cells.ravel(), minlength=size * width)
    summed: Whole = counts.reshape(size, width)[:-1]
    for at in range(1, len(summed)):  # numpy's own sum goes by columns
        summed[at] += summed[at - 1]
    return summed


def _ranges(starts: Whole, lengths: Whole) -> tuple[Whole, Whole]:
    """List the numbers of many ranges, each beside the range's number."""
    which = np.repeat(np.arange(len(lengths)), lengths)
    offset = starts - (np.cumsum(lengths) - lengths)
    numbers = offset.take(which)
    numbers += np.arange(len(which))
    return which, numbers


def _crowded(words: Words, heavy: Real, k: int) -> Whole:
    """List the pairs in slots that hold k rows, whatever their groups."""
    bits = min(max(len(words), 2).bit_length() + 1, 18)
    slots = (words >> np.uint64(64 - bits)).view(np.int64)
    sums = np.bincount(slots, heavy, minlength=1 << bits)
    return np.flatnonzero((sums >= k).take(slots))


def _close(
    tuples: Whole, costs: Real, words: Words, hold: "_Holding"
) -> tuple[Whole, Whole] | None:
    """Close groups, the cheapest first; return members and their groups."""
    if not len(tuples):
        return None
    order = np.argsort(words, kind="stable")
    tuples, costs, words = tuples[order], costs[order], words[order]
    starts = np.flatnonzero(np.diff(words, prepend=~words[:1]))
    lengths = np.diff(starts, append=len(words))
    numbers_of = np.repeat(np.arange(len(starts)), lengths)
    large = hold.groups(tuples, numbers_of, len(starts))
    if not large.any():
        return None
    kept = np.flatnonzero(np.repeat(large, lengths))
    starts, lengths = starts[large], lengths[large]
    price = costs[starts].round(9)
    lead = tuples[starts]
    ranked = np.lexsort((words[starts], lead, price))
    rank = np.empty(len(ranked), dtype=np.int64)
    rank[ranked] = np.arange(len(ranked))
    groups = np.repeat(rank, lengths)
    tuples = tuples[kept]
    order = np.argsort(-groups, kind="stable")
    groups, tuples = groups[order], tuples[order]
    best = np.zeros(hold.count, dtype=np.int64)
    members, numbers = [], []
    size = len(ranked)
    while len(groups):
        best[tuples] = groups  # dearest first, so the cheapest stays
        hindered = np.zeros(size, dtype=np.bool_)
        hindered[groups[best[tuples] != groups]] = True
        ready = ~hindered[groups]
        members.append(tuples[ready])
        numbers.append(groups[ready])
        best[tuples[ready]] = -1
        left = best[tuples] != -1
        groups, tuples = groups[left], tuples[left]
        enough = hold.groups(tuples, groups, size)[groups]
        groups, tuples = groups[enough], tuples[enough]
    number = np.unique(np.concatenate(numbers), return_inverse=True)[1]
    return np.concatenate(members), number.astype(np.int64)
