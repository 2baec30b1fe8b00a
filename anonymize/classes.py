"""Equivalence classes and their labels.

The label of a class on an axis is the lowest one that covers its members:
the first level at which all of them have the same group. Classes with equal
labels are one class, because that is what a reader of the table sees.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

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
from anonymize.errors import MissingExtra

try:
    import numpy as np
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classes:
    """A partition of the tuples.

    Attributes:
        member: class of each tuple, numbered from 0.
        levels: level of each label, classes by axes.
        leaves: one leaf under each label, classes by axes.
        weights: rows of each class.
        counts: rows of each sensitive value in each class.
        costs: summed NCP of each class's labels, from 0 to the axes.
    """

    member: Whole
    levels: Whole
    leaves: Whole
    weights: Whole
    counts: Whole
    costs: Real

    def blank(self, axes: tuple[Axis, ...]) -> Truth:
        """Tell which classes say nothing: ``*`` on every axis.

        Args:
            axes: the quasi-identifiers.
        """
        tops = np.array([axis.levels - 1 for axis in axes])
        blank: Truth = np.all(self.levels == tops, axis=1)
        return blank


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """What is published of the classes on one axis.

    Attributes:
        texts: the distinct labels, in their order.
        codes: the label of each class.
    """

    texts: tuple[str, ...]
    codes: Whole

    @classmethod
    def of(cls, texts: Sequence[str], numbers: Whole) -> Self:
        """Put labels in their order.

        Args:
            texts: labels; those that no class has, and those that are there
                twice, are left out.
            numbers: the label of each class among them.
        """
        used = np.flatnonzero(np.bincount(numbers)).tolist()
        ordered = sorted({texts[number] for number in used})
        rank = {text: at for at, text in enumerate(ordered)}
        into = np.zeros(len(texts), dtype=np.int64)
        into[used] = [rank[texts[number]] for number in used]
        return cls(texts=tuple(ordered), codes=into.take(numbers))

    def cells(self) -> list[str]:
        """Return the label of each class."""
        return [*map(self.texts.__getitem__, self.codes.tolist())]


def make_classes(cube: Cube, member: Whole, *, join: bool = True) -> Classes:
    """Label the classes of a partition, and join those labelled alike.

    Args:
        cube: the counted tuples; at least one axis.
        member: class of each tuple, numbered from 0 without gaps.
        join: whether to join them; where other labels are published than
            those of the hierarchies, equal ones say nothing.

    Returns:
        The classes in the order of their labels.
    """
    order = np.argsort(short(member), kind="stable")
    ordered = member[order]
    same = ordered[1:] == ordered[:-1]
    starts = np.flatnonzero(np.concatenate(([True], ~same)))
    leaves = cube.leaves[order[starts]]
    levels = np.zeros_like(leaves)
    groups = np.zeros_like(leaves)
    for at, axis in enumerate(cube.axes):
        own = cube.leaves[:, at].take(order)
        levels[:, at] = _lowest_level(axis, own, ordered, same)
        groups[:, at] = axis.groups[levels[:, at], leaves[:, at]]
    joined = np.arange(len(levels))
    if join:
        sizes = [axis.levels for axis in cube.axes]
        sizes += [axis.groups.shape[1] for axis in cube.axes]
        named = np.concatenate((levels, groups), axis=1).T
        joined = number_columns(pack(named, sizes))
    first = np.unique(joined, return_index=True)[1]
    everyone = joined[member]
    levels, leaves = levels[first], leaves[first]
    return Classes(
        member=everyone,
        levels=levels,
        leaves=leaves,
        weights=_summed(everyone, cube.weights, len(first)),
        counts=_united(everyone, cube.counts, len(first)),
        costs=_label_costs(cube.axes, levels, leaves),
    )


def _lowest_level(
    axis: Axis, leaves: Whole, member: Whole, same: Truth
) -> Whole:
    """Return for each class the first level that its leaves agree on.

    Args:
        axis: the quasi-identifier.
        leaves: class by class.
        member: the class of each of them.
        same: whether each but the first is of the class of the one before.
    """
    lowest = np.zeros(int(member[-1]) + 1, dtype=np.int64)
    at = np.flatnonzero(same)
    for level, groups in enumerate(axis.groups[:-1]):
        # What differs here has differed below.
        at = at[groups.take(leaves[at]) != groups.take(leaves[at + 1])]
        lowest[member[at]] = level + 1
    return lowest


def _summed(member: Whole, weights: Whole, count: int) -> Whole:
    return np.bincount(member, weights, minlength=count).astype(np.int64)


def _united(member: Whole, counts: Whole, count: int) -> Whole:
    united = np.zeros((count, counts.shape[1]), dtype=np.int64)
    for at, column in enumerate(counts.T):
        united[:, at] = np.bincount(member, column, minlength=count)
    return united


def _label_costs(axes: tuple[Axis, ...], levels: Whole, leaves: Whole) -> Real:
    costs = np.zeros(len(levels))
    for at, axis in enumerate(axes):
        costs += axis.costs[levels[:, at], leaves[:, at]]
    return costs
