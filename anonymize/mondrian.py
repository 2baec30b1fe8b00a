"""Mondrian: tuples cut in two, again and again (LeFevre et al. 2006).

A part is cut between two neighbouring values of one quasi-identifier where
both sides hold all rules, as near to the middle as that allows; of the
quasi-identifiers the one is taken whose labels then cost least. All parts
of a depth are cut together. The rules are in the cut, so that the parts
hold whatever the whole table holds, and nothing is suppressed. Equal
values never go to both sides.

Values of categories stand in the order of their hierarchy, so that
neighbours are siblings.
"""

from dataclasses import dataclass

from anonymize.cube import Axis, Cube, Real, Truth, Whole, short
from anonymize.errors import MissingExtra
from anonymize.rules import Rules

try:
    import numpy as np
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

_ROOM = 4  # cells of a table, for each tuple


def mondrian(cube: Cube, rules: Rules, *, leaf: int = 0) -> Whole:
    """Cut tuples into parts.

    Args:
        cube: the counted tuples; at least one axis.
        rules: what each part must hold.
        leaf: rows from which on a part is cut; 0 cuts as far as it goes.

    Returns:
        The part of each tuple, numbered from 0 without gaps.
    """
    values = np.stack(
        [
            _places(axis).take(cube.leaves[:, at])
            for at, axis in enumerate(cube.axes)
        ]
    )
    counts = np.ascontiguousarray(cube.counts.T, np.float64)
    weights = cube.weights.astype(np.float64)
    part = np.zeros(len(weights), dtype=np.int64)
    open_ = np.arange(len(weights))
    total = 1
    while len(open_):
        numbers, inside = _renumbered(part.take(open_), total)
        own = weights.take(open_)
        heavy = np.bincount(inside, own) >= leaf
        front = _Front(
            part=inside,
            parts=len(numbers),
            values=values.take(open_, axis=1),
            weights=own,
            counts=counts.take(open_, axis=1),
        )
        axis, cut = _cuts(cube.axes, front, rules)
        axis[~heavy] = -1
        chosen = axis.take(inside)
        going = np.flatnonzero(chosen >= 0)
        open_, inside = open_.take(going), inside.take(going)
        right = values[chosen.take(going), open_] > cut.take(inside)
        fresh = np.full(len(numbers), -1, dtype=np.int64)
        split = np.flatnonzero(axis >= 0)
        fresh[split] = total + np.arange(len(split))
        total += len(split)
        part[open_[right]] = fresh[inside[right]]
    return _renumbered(part, total)[1]


def _renumbered(part: Whole, count: int) -> tuple[Whole, Whole]:
    """Return the parts that occur, and for each number its place in them."""
    there = np.bincount(part, minlength=count) > 0
    return np.flatnonzero(there), (np.cumsum(there) - 1).take(part)


def _places(axis: Axis) -> Whole:
    """Order the leaves: by the scale, or as they stand in the hierarchy."""
    if axis.places is None:
        return np.arange(axis.groups.shape[1])
    return np.unique(axis.places, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Front:
    """The tuples whose parts may be cut.

    Attributes:
        part: the part of each tuple, numbered from 0 without gaps.
        parts: how many there are.
        values: the place of each tuple's value, axes by tuples.
        weights: rows of each tuple.
        counts: rows of each sensitive value, values by tuples.
    """

    part: Whole
    parts: int
    values: Whole
    weights: Real
    counts: Real

    def sums(self, at: int) -> tuple[Whole, Whole, list[Real]]:
        """Count the rows of each value in each part.

        Args:
            at: the axis.

        Returns:
            Parts and values in the order of both, and of each pair the
            rows, and those of each sensitive value.
        """
        value = self.values[at]
        width = int(value.max()) + 1
        cell = self.part * width
        cell += value
        rows = [self.weights, *self.counts]
        summed: list[Real]
        if self.parts * width <= _ROOM * len(cell):
            there = np.flatnonzero(np.bincount(cell))
            found = [np.bincount(cell, row).take(there) for row in rows]
            summed = [row.astype(np.float64, copy=False) for row in found]
        else:
            order = np.lexsort((short(value), short(self.part)))
            cell = cell.take(order)
            first = np.flatnonzero(np.diff(cell, prepend=-1))
            there = cell.take(first)
            summed = [np.add.reduceat(row.take(order), first) for row in rows]
        return there // width, there % width, summed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Runs:
    """Tuples of one part and one value, in the order of both.

    Attributes:
        part: the part of each run.
        value: the place of its value.
        left: rows of its part up to the run and with it.
        all_: rows of its part.
        tally: rows of each sensitive value up to the run and with it.
        whole: the same of its part.
        first: the first run of each part.
        last: the last one.
        seen: whether any row has the value, and not people alone.
    """

    part: Whole
    value: Whole
    left: Real
    all_: Real
    tally: Real
    whole: Real
    first: Whole
    last: Whole
    seen: Truth


def _cuts(
    axes: tuple[Axis, ...], front: _Front, rules: Rules
) -> tuple[Whole, Whole]:
    """Choose for each part the axis, -1 for none, and where to cut it."""
    count = front.parts
    chosen = np.full(count, -1, dtype=np.int64)
    where = np.zeros(count, dtype=np.int64)
    best = np.zeros(count)
    for at, axis in enumerate(axes):
        runs = _runs(front, at)
        parts, cut = _balanced(runs, rules)
        gain = _saved(axis, runs, cut)
        better = gain > best[parts] + 1e-9
        parts, cut, gain = parts[better], cut[better], gain[better]
        chosen[parts], where[parts] = at, runs.value[cut]
        best[parts] = gain
    return chosen, where


def _runs(front: _Front, at: int) -> _Runs:
    """Count along an axis."""
    part, value, (rows, *counts) = front.sums(at)
    first = np.flatnonzero(np.diff(part, prepend=-1))
    last = np.append(first[1:], len(part)) - 1

    def upto(row: Real) -> tuple[Real, Real]:
        summed = np.cumsum(row)
        before = np.append(0.0, summed[last[:-1]])
        own: Real = summed - before.take(part)
        return own, own.take(last).take(part)

    left, all_ = upto(rows)
    tallies = [upto(row) for row in counts]
    shape = len(counts), len(part)
    return _Runs(
        part=part,
        value=value,
        left=left,
        all_=all_,
        tally=np.array([own for own, _ in tallies]).reshape(shape),
        whole=np.array([whole for _, whole in tallies]).reshape(shape),
        first=first,
        last=last,
        seen=rows > 0,
    )


def _balanced(runs: _Runs, rules: Rules) -> tuple[Whole, Whole]:
    """Return the parts that can be cut, and the run nearest to the middle.

    Both sides hold all rules; the run is the last one of the left side.
    """
    right = runs.all_ - runs.left
    maybe = np.flatnonzero((runs.left > 0) & (right > 0))
    sides = (
        (runs.left[maybe], runs.tally[:, maybe]),
        (right[maybe], runs.whole[:, maybe] - runs.tally[:, maybe]),
    )
    good = rules.passes(*sides[0]) & rules.passes(*sides[1])
    maybe = maybe[good]
    small = np.minimum(runs.left, right)[maybe]
    best = np.zeros(len(runs.first))
    np.maximum.at(best, runs.part[maybe], small)
    maybe = maybe[small == best[runs.part[maybe]]][::-1]
    cut = np.full(len(runs.first), -1, dtype=np.int64)
    cut[runs.part[maybe]] = maybe  # the first of equal ones stays
    parts = np.flatnonzero(cut >= 0)
    return parts, cut[parts]


def _saved(axis: Axis, runs: _Runs, cut: Whole) -> Real:
    """Return what each cut takes off the summed cost of set labels."""
    part = runs.part[cut]
    begin, end = runs.first[part], runs.last[part]
    if axis.places is None:
        kinds = np.cumsum(runs.seen)
        before = kinds[begin] - runs.seen[begin]
        whole, one = kinds[end] - before, kinds[cut] - before
        sizes = (whole - 1, one - 1, whole - one - 1)
    else:
        scale = np.unique(axis.places).clip(*axis.bounds)[runs.value]
        at = np.arange(len(scale))
        upto = np.maximum.accumulate(np.where(runs.seen, at, 0))
        after = np.minimum.accumulate(
            np.where(runs.seen, at, len(scale) - 1)[::-1]
        )[::-1]
        least, most = scale[after[begin]], scale[upto[end]]
        sizes = (
            most - least,
            scale[upto[cut]] - least,
            most - scale[after[cut + 1]],
        )
    all_, first = runs.all_[cut], runs.left[cut]
    kept, one, two = (each.clip(0) for each in sizes)
    saved = all_ * kept - first * one - (all_ - first) * two
    result: Real = saved * (axis.weight / axis.span)
    return result
