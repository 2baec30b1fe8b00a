"""k-member clustering within the parts of Mondrian (Byun et al. 2007).

First come the clusters that are plain to see: tuples that differ on one
scale alone, and there by little. The others are cut into parts of some
hundred rows or more, and in each part
clusters are grown one after the other: the first tuple is the one that
would be dearest to add to the last cluster, the next ones are those that
make the set labels dearer by the least for the rows that they bring, until
there are k rows. What is left of a part goes to the clusters that it costs
least. All parts take their steps together.

Tuples of k rows or more are clusters by themselves.
"""

from dataclasses import replace

from anonymize.criteria import Criteria
from anonymize.cube import (
    Axis,
    Cube,
    Real,
    Truth,
    Whole,
    number_columns,
    pack,
)
from anonymize.errors import MissingExtra
from anonymize.mondrian import mondrian
from anonymize.rules import Numbers, Rules
from anonymize.sets import missing_leaf, set_costs

try:
    import numpy as np
    import numpy.typing as npt
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

LEAF = 2_000
"""Rows of a part, about."""
_QUICK = 4  # times smaller are the parts in the fast mode
_NEAR = 0.2
_NEVER = np.float32(1e30)
_SPARSE = 0.8
_EVERY = 16

Prices = npt.NDArray[np.float32]


def members(cube: Cube, rules: Rules, *, fast: bool = False) -> Whole:
    """Put tuples into clusters of k rows or more.

    Args:
        cube: the counted tuples; at least one axis.
        rules: k is taken of them, and nothing else.
        fast: take smaller parts, which costs a little and is quicker.

    Returns:
        The cluster of each tuple, numbered from 0, or -1 where fewer than
        k rows were left.
    """
    member = np.full(len(cube.weights), -1, dtype=np.int64)
    heavy = np.flatnonzero(cube.weights >= rules.k)
    member[heavy] = np.arange(len(heavy))
    for at, axis in enumerate(cube.axes):
        if axis.places is not None:
            _neighbours(cube, at, axis.places, member, rules.k)
    light = np.flatnonzero(member < 0)
    if cube.weights[light].sum() < rules.k:
        return member
    inner = Cube(
        axes=cube.axes,
        leaves=cube.leaves[light],
        weights=cube.weights[light],
        tuples=np.arange(len(light)),
        counts=np.zeros((len(light), 0), dtype=np.int64),
        spans=(),
        values={},
    )
    leaf = LEAF // _QUICK if fast else LEAF
    alone = Rules(inner, Criteria(k=rules.k))
    part = mondrian(inner, alone, leaf=max(leaf, 2 * rules.k))
    grown = _grow(inner, part, rules.k)
    member[light] = np.where(grown >= 0, grown + member.max() + 1, -1)
    return member


def _neighbours(
    cube: Cube, at: int, places: Whole, member: Whole, k: int
) -> None:
    """Make clusters of tuples that differ on one scale alone, and by little.

    The narrowest come first. What has a cluster already, and what misses
    its value, is left as it is.

    Args:
        cube: the counted tuples.
        at: the axis with the scale.
        places: place of each leaf on it.
        member: the cluster of each tuple, which is changed.
        k: rows of a cluster.
    """
    axis, leaves = cube.axes[at], cube.leaves[:, at]
    open_ = np.flatnonzero((member < 0) & ~missing_leaf(axis)[leaves])
    if cube.weights[open_].sum() < k:
        return
    sizes = [each.groups.shape[1] for each in cube.axes]
    codes = cube.leaves[open_].T.copy()
    codes[at] = 0
    group = number_columns(pack(codes, sizes))
    place = places.clip(*axis.bounds)[leaves[open_]]
    order = np.lexsort((place, group))
    open_, group, place = open_[order], group[order], place[order]
    upto = np.cumsum(cube.weights[open_])
    # The first tuple up to which there are k rows, from each one on.
    last = np.searchsorted(upto, upto - cube.weights[open_] + k)
    begin = np.flatnonzero(last < len(open_))
    last = last[begin]
    width = place[last] - place[begin]
    near = width * axis.weight / axis.span <= _NEAR
    kept = np.flatnonzero(near & (group[last] == group[begin]))
    kept = kept[np.argsort(width[kept], kind="stable")]
    taken = np.zeros(len(open_), dtype=np.bool_)
    number = int(member.max(initial=-1))
    for one, end in zip(
        begin[kept].tolist(), last[kept].tolist(), strict=True
    ):
        if not taken[one] and not taken[end]:
            number += 1
            taken[one : end + 1] = True
            member[open_[one : end + 1]] = number


def _grow(cube: Cube, part: Whole, k: int) -> Whole:
    """Grow clusters in all parts; return that of each tuple, or -1."""
    member = np.full(len(cube.weights), -1, dtype=np.int64)
    tuples, closed = _laid_out(part)
    prices = _Prices(cube, len(tuples))
    keys = prices.keys(cube.leaves, tuples)
    weights = cube.weights[tuples].astype(np.float32)
    base = np.arange(len(tuples))  # the part of each line
    left = np.where(closed, 0, weights).sum(axis=1)
    number = base.copy()
    following = len(base)
    held = np.zeros(len(base), dtype=np.float32)
    cost = np.zeros(len(base), dtype=np.float32)
    going = left + held >= k
    step = 0
    while going.any():
        step += 1
        if not going.all() or (
            step % _EVERY == 0 and _widest(closed) < _SPARSE * closed.shape[1]
        ):
            base, left, number, held, cost = (
                each[going] for each in (base, left, number, held, cost)
            )
            tuples, weights, closed, keys = _pressed(
                going, tuples, weights, closed, keys
            )
        lines = np.arange(len(base))
        fresh = held == 0
        add = prices.of(keys)
        pick = np.argmin(
            _scores(add, weights, closed, (held, cost), k), axis=1
        )
        chosen = tuples[lines, pick]
        member[chosen] = number
        closed[lines, pick] = True
        brought = weights[lines, pick]
        cost = np.where(fresh, 0, cost + add[lines, pick])
        prices.join(base, cube.leaves[chosen], fresh)
        held += brought
        left -= brought
        full = held >= k
        number[full] = following + np.arange(np.count_nonzero(full))
        following += int(np.count_nonzero(full))
        held[full] = 0
        going = (held > 0) | (left >= k)
    member = np.where(member >= 0, member, -1)
    used = np.flatnonzero(member >= 0)
    member[used] = np.unique(member[used], return_inverse=True)[1]
    return _placed(cube, part, member)


def _laid_out(part: Whole) -> tuple[Whole, Truth]:
    """Lay the tuples of each part out in a line; tell what is filling."""
    sizes = np.bincount(part)
    real = np.arange(int(sizes.max())) < sizes[:, None]
    tuples = np.zeros(real.shape, dtype=np.int64)
    tuples[real] = np.argsort(part, kind="stable")
    return tuples, ~real


def _widest(closed: Truth) -> int:
    """Return how many tuples are left in the fullest line."""
    return int((~closed).sum(axis=1).max())


def _pressed(
    going: Truth,
    tuples: Whole,
    weights: Prices,
    closed: Truth,
    keys: list[Whole],
) -> tuple[Whole, Prices, Truth, list[Whole]]:
    """Leave out lines that are done, and tuples that have a cluster."""
    order = _open_first(closed[going])

    def pressed(each: Numbers) -> Numbers:
        taken: Numbers = np.take_along_axis(each[going], order, axis=1)
        return taken

    return (
        pressed(tuples),
        pressed(weights),
        pressed(closed),
        [pressed(each) for each in keys],
    )


def _open_first(closed: Truth) -> Whole:
    """List the open places of each line; a closed one fills it up."""
    lines, places = np.nonzero(~closed)
    sizes = np.bincount(lines, minlength=len(closed))
    starts = np.cumsum(sizes) - sizes
    order = np.repeat(
        np.argmax(closed, axis=1)[:, None], int(sizes.max()), axis=1
    )
    order[lines, np.arange(len(lines)) - starts[lines]] = places
    return order


def _scores(
    add: Prices,
    weights: Prices,
    closed: Truth,
    grown: tuple[Prices, Prices],
    k: int,
) -> Prices:
    """Score the tuples: the lowest of a line is the one to take."""
    held, cost = grown[0][:, None], grown[1][:, None]
    score = held + weights
    score *= add
    score += weights * cost
    score /= np.minimum(weights, k - held)
    fresh = np.flatnonzero(grown[0] == 0)
    score[fresh] = -add[fresh]
    np.putmask(score, closed, _NEVER)
    return score


class _Prices:
    """What each value adds to the cost of the cluster of each part."""

    def __init__(self, cube: Cube, parts: int) -> None:
        self._axes = cube.axes
        sizes = [axis.groups.shape[1] for axis in cube.axes]
        self._starts = np.cumsum([0, *sizes])
        self._table = np.zeros((parts, int(self._starts[-1])), np.float32)
        self._fresh = np.concatenate(
            [
                np.full(size, axis.weight / axis.span, np.float32)
                for axis, size in zip(cube.axes, sizes, strict=True)
            ]
        )
        plain = [n for n, axis in enumerate(cube.axes) if axis.places is None]
        self._plain = np.array(plain, dtype=np.int64)
        self._scaled = [
            (n, axis.places.clip(*axis.bounds))
            for n, axis in enumerate(cube.axes)
            if axis.places is not None
        ]
        self._least = np.zeros((parts, len(sizes)), dtype=np.int64)
        self._most = np.zeros((parts, len(sizes)), dtype=np.int64)

    def keys(self, leaves: Whole, tuples: Whole) -> list[Whole]:
        """Return where the price of each tuple stands, an axis each."""
        width = self._table.shape[1]
        lines = np.arange(len(tuples))[:, None] * width
        return [
            lines + self._starts[at] + leaves[:, at][tuples]
            for at in range(len(self._axes))
        ]

    def of(self, keys: list[Whole]) -> Prices:
        """Return what each tuple would add."""
        flat = self._table.ravel()
        total: Prices = flat.take(keys[0])
        for each in keys[1:]:
            total += flat.take(each)
        return total

    def join(self, parts: Whole, leaves: Whole, fresh: Truth) -> None:
        """Add a tuple to the cluster of each part, or begin with it."""
        self._table[parts[fresh]] = self._fresh
        known = leaves[:, self._plain] + self._starts[self._plain]
        known += (parts * self._table.shape[1])[:, None]
        self._table.put(known, 0)
        for at, places in self._scaled:
            start, end = self._starts[at], self._starts[at + 1]
            own = places[leaves[:, at]]
            least, most = self._least[parts, at], self._most[parts, at]
            least = np.where(fresh, own, np.minimum(least, own))
            most = np.where(fresh, own, np.maximum(most, own))
            self._least[parts, at], self._most[parts, at] = least, most
            away = np.maximum(least[:, None] - places, places - most[:, None])
            price = self._fresh[start]
            self._table[parts, start:end] = away.clip(0) * price


def _placed(cube: Cube, part: Whole, member: Whole) -> Whole:
    """Give what is left over to the clusters that it costs least.

    A cluster that gets two is judged for each as it was.
    """
    lost = np.flatnonzero(member < 0)
    if not len(lost) or member.max() < 0:
        return member
    grown = np.flatnonzero(member >= 0)
    count = int(member.max()) + 1
    home = np.zeros(count, dtype=np.int64)
    home[member[grown]] = part[grown]
    # each lost tuple beside each cluster of its part
    order = np.argsort(home, kind="stable")
    first = np.searchsorted(home[order], part[lost], side="left")
    many = np.searchsorted(home[order], part[lost], side="right") - first
    which = np.repeat(np.arange(len(lost)), many)
    if not len(which):
        return member
    place = np.arange(len(which)) - np.repeat(np.cumsum(many) - many, many)
    near = order[first[which] + place]
    rows = np.bincount(member[grown], cube.weights[grown], minlength=count)
    inner = replace(cube, leaves=cube.leaves[grown])
    before = set_costs(inner, member[grown])[near]
    added = np.zeros(len(near))
    for at, axis in enumerate(cube.axes):
        leaves = cube.leaves[:, at]
        added += _added(
            axis, (member[grown], leaves[grown]), near, leaves[lost[which]]
        )
    weight = cube.weights[lost[which]]
    rise = rows[near] * added + weight * (before + added)
    chosen = np.lexsort((near, rise, which))
    starts = np.flatnonzero(np.diff(which[chosen], prepend=-1))
    best = chosen[starts]
    member = member.copy()
    member[lost[which[best]]] = near[best]
    return member


def _added(
    axis: Axis, held: tuple[Whole, Whole], near: Whole, own: Whole
) -> Real:
    """Return what leaves would add to the cost of clusters.

    Args:
        axis: the quasi-identifier.
        held: clusters, and the leaves of their tuples.
        near: clusters that may be joined.
        own: the leaf that joins each.
    """
    member, leaves = held
    price = axis.weight / axis.span
    if axis.places is None:
        width = axis.groups.shape[1]
        there = np.unique(member * width + leaves)
        wanted = near * width + own
        at = np.searchsorted(there, wanted).clip(max=len(there) - 1)
        new: Real = (there[at] != wanted) * price
        return new
    places = axis.places.clip(*axis.bounds)
    count = int(member.max()) + 1
    least = np.full(count, axis.bounds[1])
    most = np.full(count, axis.bounds[0])
    np.minimum.at(least, member, places[leaves])
    np.maximum.at(most, member, places[leaves])
    away = np.maximum(least[near] - places[own], places[own] - most[near])
    wider: Real = away.clip(0) * price
    return wider
