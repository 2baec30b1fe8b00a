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
below is passed over for that leaf. Who has no time passes over more: what
few rows have beside those that have cheaper labels seldom closes.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

from anonymize.cube import (
    Axis,
    Cube,
    Real,
    Truth,
    Whole,
    number_columns,
    pack,
    short,
)
from anonymize.errors import InvalidSpec, MissingExtra
from anonymize.lattice import MAX_NODES, OPEN
from anonymize.rules import Rules

try:
    import numpy as np
    import numpy.typing as npt
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

Words = npt.NDArray[np.uint64]
_Nodes = tuple[Whole, Real, Words]  # part, cost and words of each

_GRID = 64
_PAIRS = 200_000
_SHRUNK = 0.3
_REACH = 64
_FURTHER = 2
_ROWS = 33  # bits that the rows of a table fit
_SEED = 0x6375727469


def sweep(
    cube: Cube,
    k: int,
    *,
    rules: Rules | None = None,
    pairs: int = _PAIRS,
    until: float = math.inf,
    still: Whole | None = None,
    share: float = 0.0,
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
        share: the labels of half of the axes are passed over where fewer
            than this share of the rows have them that have cheaper ones; 0
            passes none over, and 1 is quickest.

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
    bands = _Bands(cube)
    low, end = 0, min(bands.end, until * _GRID)
    while low < end and weights[still].sum() >= k:
        open_ = _Open(
            tuples=still, weights=weights.take(still), k=k, share=share
        )
        high, found = bands.band(open_, low, pairs)
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


def _sides(cube: Cube) -> tuple[list[int], list[int]]:
    """Split the axes into two halves of about as many parts by nodes."""
    sizes = [axis.levels for axis in cube.axes]
    if math.prod(sizes) > MAX_NODES:
        msg = (
            f"the lattice of the quasi-identifiers has more than {MAX_NODES} "
            "nodes; give them fewer levels, or fewer of them a role"
        )
        raise InvalidSpec(msg)
    spread = [
        math.log(size) + _entropy(cube.leaves[:, at], cube.weights)
        for at, size in enumerate(sizes)
    ]
    sides: tuple[list[int], list[int]] = ([], [])
    for at in sorted(range(len(sizes)), key=lambda at: -spread[at]):
        one, other = (sum(spread[n] for n in side) for side in sides)
        sides[0 if one <= other else 1].append(at)
    return sides


def _entropy(leaves: Whole, weights: Whole) -> float:
    """Return how evenly rows are spread over leaves, in nats."""
    rows = np.bincount(leaves, weights)
    share = rows[rows > 0] / rows.sum()
    return float(-(share @ np.log(share)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Half:
    """Some of the axes: what each node of theirs is to a part of a tuple.

    Nodes stand part by part, the cheapest first.

    Attributes:
        part: part of each tuple that was open.
        parts: how many there are.
        owner: part of each node.
        steps: summed cost of the node's labels on the grid.
        costs: that cost itself.
        words: identity of those labels.
    """

    part: Whole
    parts: int
    owner: Whole
    steps: Whole
    costs: Real
    words: Words

    def upto(self, steps: int) -> Whole:
        """Return of each part the first node that costs so much or more."""
        far = int(self.steps.max(initial=0)) + 1
        wanted = np.arange(self.parts) * far + min(steps, far)
        first: Whole = np.searchsorted(self.owner * far + self.steps, wanted)
        return first


class _Table:
    """Where nodes that cost as much or more begin, by part and steps."""

    def __init__(self, half: _Half) -> None:
        self._last = int(half.steps.max(initial=0)) + 1
        at = self.row(half.owner)
        at += half.steps
        at += 1
        length = half.parts * (self._last + 1)
        self._upto = np.cumsum(np.bincount(at, minlength=length))

    def row(self, parts: Whole) -> Whole:
        """Return where the table begins for parts."""
        return parts * (self._last + 1)

    def place(self, rows: Whole, steps: Whole) -> Whole:
        """Return the first nodes that cost so many steps or more."""
        at = np.clip(steps, 0, self._last)
        at += rows
        return self._upto.take(at)


def _half(
    cube: Cube,
    side: list[int],
    labels: list[tuple[Real, Words]],
    open_: "_Open",
    below: float,
) -> _Half:
    """List the nodes of some axes that cost less than a bound.

    A group has no more rows than its labels on these axes have alone. So
    what fewer than k rows of the open tuples have is left out (Agrawal and
    Srikant 1994). With a share a node is passed over, too, that has few
    rows beside a cheaper one of its part; and both is done after each axis,
    as there is little left then.
    """
    leaves = cube.leaves[open_.tuples][:, side]
    sizes = [1, *(cube.axes[at].groups.shape[1] for at in side)]
    codes = np.zeros((len(sizes), len(leaves)), dtype=np.int64)
    codes[1:] = leaves.T
    number = number_columns(pack(codes, sizes))
    parts = int(number.max()) + 1
    first = np.zeros(parts, dtype=np.int64)
    first[number[::-1]] = np.arange(len(number) - 1, -1, -1)
    rows: Real = np.bincount(number, open_.weights).astype(np.float64)
    nodes = (
        np.arange(parts), np.zeros(parts), np.zeros(parts, dtype=np.uint64)
    )  # fmt: skip
    for at, of_part in zip(side, leaves[first].T, strict=True):
        nodes = _grown(nodes, labels[at], of_part, below)
        if open_.share or at == side[-1]:
            nodes = _useful(nodes, rows, open_)
    owner, costs, words = nodes
    part = np.zeros(len(cube.weights), dtype=np.int64)
    part[open_.tuples] = number
    return _Half(
        part=part,
        parts=parts,
        owner=owner,
        steps=(costs * _GRID).astype(np.int64),
        costs=costs,
        words=words,
    )


def _grown(
    nodes: _Nodes, labels: tuple[Real, Words], of_part: Whole, below: float
) -> _Nodes:
    """Give nodes the labels of a further axis that cost less than a bound.

    Args:
        nodes: on the axes before.
        labels: costs and names of the axis's labels, by level and leaf.
        of_part: the leaf of each part.
        below: the cost that a node is to be below.
    """
    owner, costs, words = nodes
    leaf = of_part.take(owner)
    grown = []
    for price, name in zip(*labels, strict=True):
        summed = price.take(leaf)
        summed += costs
        cheap = np.flatnonzero(summed < below)
        further = name.take(leaf.take(cheap))
        further += words.take(cheap)
        grown.append((owner.take(cheap), summed.take(cheap), further))
    owner, costs, words = map(np.concatenate, zip(*grown, strict=True))
    return owner, costs, words


def _useful(nodes: _Nodes, rows: Real, open_: "_Open") -> _Nodes:
    """Leave nodes out that close no group, or hardly ever one.

    Args:
        nodes: part, cost and words of each.
        rows: open rows of each part.
        open_: the open tuples.

    Returns:
        The others, part by part, the cheapest first.
    """
    owner, costs, words = nodes
    heavy = _slots(words, rows.take(owner))
    order = np.flatnonzero(heavy >= open_.k)
    own = owner.take(order)
    steps = (costs.take(order) * _GRID).astype(np.int64)
    order = order.take(np.lexsort((short(steps), short(own))))
    if open_.share:
        own = owner.take(order) << _ROWS
        rows = heavy.take(order)
        most = np.maximum.accumulate(own + rows.astype(np.int64)) - own
        order = order.take(np.flatnonzero(rows >= most * open_.share))
    return owner.take(order), costs.take(order), words.take(order)


def _labels(cube: Cube) -> list[tuple[Real, Words]]:
    """Return for each axis the costs and names of labels, by level and leaf.

    A label that covers no more than the one below costs too much to be used.
    """
    chance = np.random.default_rng(_SEED)
    labels = []
    for axis in cube.axes:
        shape = axis.levels, axis.groups.shape[1]
        words = chance.integers(0, 2**64, shape, dtype=np.uint64)
        prices = np.where(_new(axis), axis.costs, np.inf)
        labels.append((prices, np.take_along_axis(words, axis.groups, axis=1)))
    return labels


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Open:
    """The tuples that are open.

    Attributes:
        tuples: which.
        weights: rows of each of them.
        k: least rows in a group.
        share: as in `sweep`.
    """

    tuples: Whole
    weights: Real
    k: int
    share: float


class _Bands:
    """The pairs of tuples and nodes by bands of cost.

    The halves are listed up to a cost, and anew beyond it or when enough
    tuples have closed.
    """

    def __init__(self, cube: Cube) -> None:
        self._labels = _labels(cube)
        self._cube = cube
        self._sides = _sides(cube)
        self._step = 8
        self._seen = math.inf
        self._end = 0
        self._blank = len(cube.axes) - 1e-9
        self.end = sum(
            math.ceil(axis.costs.max() * _GRID) + 1 for axis in cube.axes
        )

    def band(
        self, open_: _Open, low: int, pairs: int
    ) -> tuple[int, tuple[Whole, Real, Words] | None]:
        """List the pairs whose cost is from `low` steps on.

        Args:
            open_: tuples that are open.
            low: steps from which on.
            pairs: how many pairs to list, about.

        Returns:
            The steps up to which pairs were listed, and for each pair its
            tuple, cost and group.
        """
        self._list(open_, low)
        still = open_.tuples
        first, second = self._halves
        one = first.part.take(still)
        two = self._table.row(second.part.take(still))
        starts = first.upto(0).take(one)
        while True:
            high = min(low + self._step, self._end)
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
        begin -= np.cumsum(many)
        begin += many
        entry = np.repeat(np.arange(len(many)), many)
        place = begin.take(entry)
        place += np.arange(total)
        words = first.words.take(flat).take(entry)
        words += second.words.take(place)
        rows = open_.weights.take(which).take(entry)
        maybe = np.flatnonzero(_slots(words, rows) >= open_.k)
        entry = entry.take(maybe)
        costs = first.costs.take(flat.take(entry))
        costs += second.costs.take(place.take(maybe))
        tuples = still.take(which.take(entry))
        words = words.take(maybe)
        says = costs < self._blank  # that is less than * on every axis
        return high, (tuples[says], costs[says], words[says])

    def _list(self, open_: _Open, low: int) -> None:
        """List the halves anew where that is due."""
        shrunk = len(open_.tuples) < _SHRUNK * self._seen
        if low < self._end and not shrunk:
            return
        self._seen = len(open_.tuples)
        self._end = _FURTHER * low + _REACH
        below = self._end / _GRID
        first, second = (
            _half(self._cube, side, self._labels, open_, below)
            for side in self._sides
        )
        self._halves = first, second
        self._table = _Table(second)


def _ranges(starts: Whole, lengths: Whole) -> tuple[Whole, Whole]:
    """List the numbers of many ranges, each beside the range's number."""
    which = np.repeat(np.arange(len(lengths)), lengths)
    offset = starts - (np.cumsum(lengths) - lengths)
    numbers = offset.take(which)
    numbers += np.arange(len(which))
    return which, numbers


def _slots(words: Words, heavy: Real) -> Real:
    """Return the rows in the slot of each group: no fewer than its own."""
    bits = min(max(len(words), 2).bit_length() + 1, 18)
    slots = (words >> np.uint64(64 - bits)).view(np.int64)
    sums = np.bincount(slots, heavy, minlength=1 << bits)
    return sums.take(slots).astype(np.float64, copy=False)


def _close(
    tuples: Whole, costs: Real, words: Words, hold: "_Holding"
) -> tuple[Whole, Whole] | None:
    """Close groups, the cheapest first; return members and their groups."""
    if not len(tuples):
        return None
    # Three quarters of a word are sorted by counting. Where two groups agree
    # in them by chance they stand in pieces, each of which has to be enough.
    order = np.lexsort(words.view(np.uint16).reshape(-1, 4)[:, :3].T)
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
    order = np.argsort(short(groups.max() - groups), kind="stable")
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
    number = number_columns(np.concatenate(numbers)[None])
    return np.concatenate(members), number
