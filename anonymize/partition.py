"""From a table's columns to the published labels of its rows.

Walk, then repair, then what cannot be published is left out: classes that
still fail, and those whose labels say nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anonymize.classes import Classes, make_classes, meet_criteria
from anonymize.criteria import Criteria
from anonymize.cube import Cube, Truth, Whole, make_cube
from anonymize.errors import CriteriaNotMet, MissingExtra
from anonymize.hierarchies import Hierarchy
from anonymize.lattice import OPEN, walk
from anonymize.repair import repair

try:
    import numpy as np
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What the engine publishes.

    Attributes:
        rows: numbers of the rows that are published, rising.
        labels: for each quasi-identifier the label of each of those rows.
    """

    rows: tuple[int, ...]
    labels: Mapping[str, tuple[str, ...]]


def published_labels(
    quasi: Mapping[str, tuple[Sequence[str], Hierarchy]],
    sensitive: Mapping[str, Sequence[str]],
    criteria: Criteria,
    count: int,
) -> Published:
    """Generalize the quasi-identifiers of a table.

    Args:
        quasi: for each quasi-identifier its cells and its hierarchy.
        sensitive: for each sensitive column its cells.
        criteria: k, l and the suppression limit.
        count: number of rows, 1 or more.

    Raises:
        ValueNotCovered: a value has no place in its hierarchy.
        CriteriaNotMet: more rows than allowed would be left out, or all.
        InvalidSpec: the lattice is too large.
    """
    cube = make_cube(quasi, sensitive, count)
    if not quasi:
        return Published(rows=tuple(range(count)), labels={})
    classes = _classes(cube, criteria)
    kept = _publishable(cube, classes, criteria)
    left_out = int(classes.weights[~kept].sum())
    if left_out > criteria.allowed(count) or left_out == count:
        raise CriteriaNotMet(
            k_asked=criteria.k,
            k_reached=int(classes.weights[kept].min(initial=count))
            if kept.any()
            else 0,
            l_asked=criteria.l,
            suppressed=left_out,
            allowed=criteria.allowed(count),
        )
    member = classes.member[cube.tuples]
    rows = np.flatnonzero(kept[member])
    labels = {
        axis.name: _texts(cube, classes, at, member[rows])
        for at, axis in enumerate(cube.axes)
    }
    return Published(rows=tuple(rows.tolist()), labels=labels)


def _classes(cube: Cube, criteria: Criteria) -> Classes:
    """Walk, and repair where the walk does not suffice."""
    member = walk(cube, criteria.k)
    alone = np.flatnonzero(member == OPEN)
    member[alone] = np.arange(len(alone)) + member.max(initial=OPEN) + 1
    classes = make_classes(cube, member)
    kept = _publishable(cube, classes, criteria)
    left_out = int(classes.weights[~kept].sum())
    few = left_out <= criteria.allowed(cube.rows)
    if few and criteria.l == 1:
        return classes
    return repair(cube, classes, criteria)


def _publishable(cube: Cube, classes: Classes, criteria: Criteria) -> Truth:
    meets = meet_criteria(classes, criteria, cube.spans)
    return meets & ~classes.blank(cube.axes)


def _texts(
    cube: Cube, classes: Classes, at: int, member: Whole
) -> tuple[str, ...]:
    axis = cube.axes[at]
    levels, leaves = classes.levels[:, at], classes.leaves[:, at]
    texts = [
        axis.labels[level][axis.groups[level, leaf]]
        for level, leaf in zip(levels.tolist(), leaves.tolist(), strict=True)
    ]
    return tuple(texts[each] for each in member.tolist())
