"""A look at hierarchies before they are used.

What a hierarchy makes of the values of a column, level by level, and the
same as a table in the form that `TableHierarchy` and ARX read.
"""

import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from anonymize.errors import ValueNotCovered
from anonymize.hierarchies import Hierarchy


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelPreview:
    """One level of a hierarchy over the values that occur.

    Attributes:
        level: its number; 0 is the values themselves.
        labels: labels that occur at it.
        smallest: rows under the least frequent of them.
        penalty: mean NCP of a cell at this level, from 0 to 1.
        examples: some of the labels, the most frequent first.
    """

    level: int
    labels: int
    smallest: int
    penalty: float
    examples: tuple[str, ...]


def preview_levels(
    name: str, hierarchy: Hierarchy, counts: Mapping[str, int]
) -> list[LevelPreview]:
    """Show what a hierarchy makes of a column.

    Args:
        name: the column.
        hierarchy: its hierarchy.
        counts: rows of each value; a missing one is the empty text.

    Raises:
        ValueNotCovered: a value has no place in the hierarchy.
    """
    paths = _paths(name, hierarchy, counts)
    rows = max(sum(counts.values()), 1)
    levels = []
    for level in range(hierarchy.levels):
        labels: Counter[str] = Counter()
        total = 0.0
        for value, path in paths.items():
            labels[path[level]] += counts[value]
            total += counts[value] * hierarchy.penalty(path, level)
        order = sorted(labels, key=lambda label: (-labels[label], label))
        levels.append(
            LevelPreview(
                level=level,
                labels=len(labels),
                smallest=min(labels.values(), default=0),
                penalty=total / rows,
                examples=tuple(order[:3]),
            )
        )
    return levels


def hierarchy_csv(
    name: str, hierarchy: Hierarchy, counts: Mapping[str, int]
) -> bytes:
    """Write the values that occur with their labels, a row each.

    Args:
        name: the column.
        hierarchy: its hierarchy.
        counts: rows of each value; a missing one is left out.

    Raises:
        ValueNotCovered: a value has no place in the hierarchy.
    """
    paths = _paths(name, hierarchy, counts)
    target = io.StringIO()
    writer = csv.writer(target, delimiter=";", lineterminator="\n")
    listed = [path for value, path in paths.items() if value]
    listed.sort(key=lambda path: path[::-1])
    writer.writerows(listed)
    return target.getvalue().encode("utf-8")


def _paths(
    name: str, hierarchy: Hierarchy, counts: Mapping[str, int]
) -> dict[str, tuple[str, ...]]:
    found = {value: hierarchy.path(value) for value in counts}
    lost = [value for value, path in found.items() if path is None]
    if lost:
        raise ValueNotCovered(
            column=name, count=sum(counts[v] for v in lost), first_row=0
        )
    return {value: path for value, path in found.items() if path is not None}
