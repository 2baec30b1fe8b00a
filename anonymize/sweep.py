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
from anonymize.rules import Numbers, Rules

try:
    import numpy as np
    import numpy.typing as npt
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

Words = npt.NDArray[np.uint64]

_GRID = 64
_PAIRS = 200_000
_SHRUNK = 0.5
_SEED = 0x6375727469


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Half:
    """Some of the axes: what each node of theirs is to a part of a tuple.

    Attributes:
        part: part of each tuple, an index into the rows of the others.
        steps: summed cost of each node's labels on the grid, rising; parts
            by nodes. Nodes passed over stand past the end.
        costs: that cost itself, in the same order.
        words: identity of those labels, likewise.
    """

    part: Whole
    steps: Whole
    costs: Real
    words: Words


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
    grid = _Bands(_halves(cube), _far(cube), float(len(cube.axes)))
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
    steps = np.floor(np.minimum(costs * _GRID, _far(cube))).astype(np.int64)
    nodes = costs.shape[1]
    steps *= nodes
    steps += np.arange(nodes)
    steps.sort(axis=1)  # no two are equal: there is one order
    order = steps % nodes
    return _Half(
        part=part,
        steps=steps // nodes,
        costs=np.take_along_axis(costs, order, axis=1),
        words=np.take_along_axis(sums, order, axis=1),
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

    A group has no more rows than its labels on one half of the axes have
    alone. So what fewer than k rows of the open tuples have on one half is
    left out, again and again while tuples close (Agrawal and Srikant 1994).
    """

    def __init__(
        self, halves: tuple[_Half, _Half], far: int, blank: float
    ) -> None:
        self._parts = halves[0].part, halves[1].part
        self.end = 1 + sum(int(h.steps[h.steps < far].max()) for h in halves)
        self._near = _nodes(halves[0], far), _nodes(halves[1], far)
        self._table = _Table(self._near[1])
        self._seen = len(halves[0].part)
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
        first, second = self._pruned(still, weights, k)
        one = self._parts[0].take(still)
        two = self._table.row(self._parts[1].take(still))
        starts, rows = first.starts.take(one), weights.take(still)
        while True:
            high = min(low + self._step, self.end)
            near = first.upto(high).take(one) - starts
            which, flat = _ranges(starts, near)
            steps = first.steps.take(flat)
            others = two.take(which)
            begin = self._table.place(others, low - steps)
            many = self._table.place(others, high - steps)
            many -= begin
            total = int(many.sum())
            if total > 2 * pairs and self._step > 1:
                self._step = max(self._step // 2, 1)
                continue
            if total < pairs // 2:
                self._step *= 2
            break
        if not total:
            return high, None
        ends = np.cumsum(many)
        begin -= ends
        begin += many
        place = np.repeat(begin, many)
        place += np.arange(total)
        words = np.repeat(first.words.take(flat), many)
        words += second.words.take(place)
        maybe = _crowded(words, np.repeat(rows.take(which), many), k)
        pair = np.searchsorted(ends, maybe, side="right")
        costs = first.costs.take(flat.take(pair))
        costs += second.costs.take(place.take(maybe))
        tuples = still.take(which.take(pair))
        words = words.take(maybe)
        says = costs < self._blank  # that is less than * on every axis
        return high, (tuples[says], costs[says], words[says])

    def _pruned(
        self, still: Whole, weights: Real, k: int
    ) -> tuple["_Nodes", "_Nodes"]:
        """Return what is left of the halves."""
        if len(still) < _SHRUNK * self._seen:
            self._seen = len(still)
            rows = weights.take(still)
            first, second = (
                _prune(nodes, part.take(still), rows, k)
                for nodes, part in zip(self._near, self._parts, strict=True)
            )
            self._near = first, second
            self._table = _Table(second)
        return self._near


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Nodes:
    """What is left of a half: nodes one after the other, part by part.

    Attributes:
        part: the part of each node.
        places: that times `far`, and its steps; rising.
        steps: as in `_Half`, of each node.
        costs: likewise.
        words: likewise.
        starts: of each part the first node.
        far: more steps than any node has.
    """

    part: Whole
    places: Whole
    steps: Whole
    costs: Real
    words: Words
    starts: Whole
    far: int

    def upto(self, steps: int) -> Whole:
        """Return of each part the first node that costs so much or more."""
        return _begins(self.places, len(self.starts), self.far, steps)

    def only(self, kept: Whole) -> "_Nodes":
        """Return some of the nodes, in their order."""
        places = self.places.take(kept)
        return _Nodes(
            part=self.part.take(kept),
            places=places,
            steps=self.steps.take(kept),
            costs=self.costs.take(kept),
            words=self.words.take(kept),
            starts=_begins(places, len(self.starts), self.far, 0),
            far=self.far,
        )


def _begins(places: Whole, parts: int, far: int, steps: int) -> Whole:
    ends = np.arange(0, parts * far, far)
    ends += steps
    begins: Whole = np.searchsorted(places, ends)
    return begins


class _Table:
    """Where nodes that cost as much or more begin, by part and steps."""

    def __init__(self, nodes: _Nodes) -> None:
        self._last = int(nodes.steps.max(initial=0)) + 1
        width = self._last + 1
        at = nodes.part * width
        at += nodes.steps
        at += 1
        self._upto = np.cumsum(
            np.bincount(at, minlength=len(nodes.starts) * width)
        )

    def row(self, parts: Whole) -> Whole:
        """Return where the table begins for parts."""
        return parts * (self._last + 1)

    def place(self, rows: Whole, steps: Whole) -> Whole:
        """Return the first nodes that cost so many steps or more."""
        at = np.clip(steps, 0, self._last)
        at += rows
        return self._upto.take(at)


def _nodes(half: _Half, far: int) -> _Nodes:
    """List the nodes of a half."""
    parts, width = half.steps.shape
    part = np.repeat(np.arange(parts), width)
    steps = half.steps.ravel()
    all_ = _Nodes(
        part=part,
        places=part * far + steps,
        steps=steps,
        costs=half.costs.ravel(),
        words=half.words.ravel(),
        starts=np.arange(0, parts * width, width),
        far=far,
    )
    return all_.only(np.flatnonzero(steps < far))


def _prune(nodes: _Nodes, parts: Whole, weights: Real, k: int) -> _Nodes:
    """Leave out nodes whose labels fewer than k rows of the parts have."""
    heavy = np.bincount(parts, weights, minlength=len(nodes.starts))
    rows: Numbers = heavy.take(nodes.part)
    kept = np.flatnonzero(rows)
    kept = kept[_crowded(nodes.words[kept], rows[kept], k)]
    return nodes.only(kept)


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
