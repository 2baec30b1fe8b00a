"""k-member clustering within the parts of Mondrian (Byun et al. 2007).

First come the clusters that are plain to see: tuples that differ on one
scale alone, and there by little. The others are cut into parts of a
thousand rows or more, and in each part clusters are grown around the rarest
tuples (`growth`): those join that make the set labels dearer by the least
for the rows that they bring, until there are k rows. What is left of a part
goes to the clusters that it costs least. All parts take their steps
together.

Tuples of k rows or more are clusters by themselves.
"""

from dataclasses import replace

from anonymize.criteria import Criteria
from anonymize.cube import (
    Axis,
    Cube,
    Real,
    Whole,
    number_columns,
    pack,
)
from anonymize.errors import MissingExtra
from anonymize.growth import grow
from anonymize.mondrian import mondrian
from anonymize.rules import Rules
from anonymize.sets import missing_leaf, set_costs

try:
    import numpy as np
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

_LEAF = 4_000  # rows of a part, about
_SEEDS = 1
_QUICK = 1_400, 8  # the same in the fast mode
_NEAR = 0.2


def members(cube: Cube, rules: Rules, *, fast: bool = False) -> Whole:
    """Put tuples into clusters of k rows or more.

    Args:
        cube: the counted tuples; at least one axis.
        rules: k is taken of them, and nothing else.
        fast: take smaller parts, and grow more clusters of a part at once,
            which costs a little and is quicker.

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
    light = np.flatnonzero((member < 0) & (cube.weights > 0))
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
    leaf, seeds = _QUICK if fast else (_LEAF, _SEEDS)
    alone = Rules(inner, Criteria(k=rules.k))
    part = mondrian(inner, alone, leaf=max(leaf, 2 * rules.k))
    grown = grow(inner, part, rules.k, seeds=seeds)
    grown = _placed(inner, part, grown)
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
