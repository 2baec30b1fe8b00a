"""The cube: distinct tuples of quasi-identifiers, counted.

Work on a table of people depends on how many different tuples there are,
which the domains of the quasi-identifiers bound, not on how many rows. Each
quasi-identifier becomes an `Axis`: for every leaf that occurs, the number
of its group at each level and what that group's label costs. The rows come
back only for publishing.

Leaves and tuples are put in an order of their own, so that nothing that
follows depends on the order of the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anonymize.errors import MissingExtra, ValueNotCovered
from anonymize.hierarchies import Hierarchy

try:
    import numpy as np
    import numpy.typing as npt
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing


Whole = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]

_WORD = 2**62


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Axis:
    """One quasi-identifier.

    Attributes:
        name: its column.
        labels: for each level the text of each group's label.
        groups: group of a leaf, indexed by level and leaf.
        costs: NCP of that group's label, indexed alike.
    """

    name: str
    labels: tuple[tuple[str, ...], ...]
    groups: Whole
    costs: Real

    @property
    def levels(self) -> int:
        """Number of levels, the leaf and ``*`` included."""
        return len(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cube:
    """A table of people as counted tuples.

    Attributes:
        axes: the quasi-identifiers.
        leaves: leaf of each tuple on each axis, tuples by axes.
        weights: rows of each tuple.
        tuples: tuple of each row.
        present: which sensitive values occur in each tuple, tuples by
            values; the values of all sensitive columns stand side by side.
        spans: first and last plus one of each sensitive column's values.
    """

    axes: tuple[Axis, ...]
    leaves: Whole
    weights: Whole
    tuples: Whole
    present: Truth
    spans: tuple[tuple[int, int], ...]

    @property
    def rows(self) -> int:
        """Rows handed in."""
        return len(self.tuples)


def make_axis(
    name: str, column: Sequence[str], hierarchy: Hierarchy
) -> tuple[Axis, Whole]:
    """Encode a quasi-identifier by the leaves of its hierarchy.

    Args:
        name: the column's name.
        column: its cells; a missing value is the empty text.
        hierarchy: its hierarchy.

    Returns:
        The axis, and the leaf of each row.

    Raises:
        ValueNotCovered: a value has no place in the hierarchy.
    """
    found = {value: hierarchy.path(value) for value in set(column)}
    lost = {value for value, path in found.items() if path is None}
    if lost:
        rows = [at for at, value in enumerate(column, 1) if value in lost]
        raise ValueNotCovered(column=name, count=len(rows), first_row=rows[0])
    paths = sorted(
        (path for path in found.values() if path is not None),
        key=lambda path: path[::-1],
    )
    labels, groups = _grouped(paths, hierarchy.levels)
    costs = np.array(
        [
            [hierarchy.penalty(path, level) for path in paths]
            for level in range(hierarchy.levels)
        ],
        dtype=np.float64,
    )
    leaf_of = {path[0]: leaf for leaf, path in enumerate(paths)}
    codes = np.fromiter(
        map(leaf_of.__getitem__, column), dtype=np.int64, count=len(column)
    )
    axis = Axis(name=name, labels=labels, groups=groups, costs=costs)
    return axis, codes


def _grouped(
    paths: Sequence[tuple[str, ...]], levels: int
) -> tuple[tuple[tuple[str, ...], ...], Whole]:
    groups = np.zeros((levels, len(paths)), dtype=np.int64)
    labels = []
    for level in range(levels):
        numbers: dict[str, int] = {}
        for leaf, path in enumerate(paths):
            groups[level, leaf] = numbers.setdefault(path[level], len(numbers))
        labels.append(tuple(numbers))
    return tuple(labels), groups


def make_cube(
    quasi: Mapping[str, tuple[Sequence[str], Hierarchy]],
    sensitive: Mapping[str, Sequence[str]],
    rows: int,
) -> Cube:
    """Count the distinct tuples of a table.

    Args:
        quasi: for each quasi-identifier its cells and its hierarchy.
        sensitive: for each sensitive column its cells.
        rows: number of rows.

    Raises:
        ValueNotCovered: before anything is counted.
    """
    encoded = [
        make_axis(name, column, hierarchy)
        for name, (column, hierarchy) in quasi.items()
    ]
    axes = tuple(axis for axis, _ in encoded)
    codes = np.stack(
        [np.zeros(rows, np.int64), *(codes for _, codes in encoded)]
    )
    sizes = [1, *(axis.groups.shape[1] for axis in axes)]
    tuples = number_columns(pack(codes, sizes))
    count = int(tuples.max()) + 1
    weights = np.bincount(tuples, minlength=count)
    first = np.zeros(count, dtype=np.int64)
    first[tuples[::-1]] = np.arange(rows - 1, -1, -1)
    present, spans = _presence(sensitive, tuples, count)
    return Cube(
        axes=axes,
        leaves=codes[1:, first].T.copy(),
        weights=weights.astype(np.int64),
        tuples=tuples,
        present=present,
        spans=spans,
    )


def number_columns(words: npt.NDArray[np.integer[Any]]) -> Whole:
    """Number the distinct columns of a matrix in their order.

    Args:
        words: one row a word of the key, one column an item.

    Returns:
        For each column its number from 0; equal columns share one.
    """
    if len(words) == 1:
        numbers: Whole = np.unique(words[0], return_inverse=True)[1]
        return numbers
    order = np.lexsort(words[::-1])
    ordered = words[:, order]
    new = np.any(ordered[:, 1:] != ordered[:, :-1], axis=0)
    result = np.empty(words.shape[1], dtype=np.int64)
    result[order] = np.concatenate(([0], np.cumsum(new)))
    return result


def pack(codes: Whole, sizes: Sequence[int]) -> Whole:
    """Pack codes into as few mixed-radix words as hold them.

    Args:
        codes: one row of codes an axis.
        sizes: how many codes each axis has.

    Returns:
        One row a word. Columns are equal exactly when their codes are.
    """
    words: list[Whole] = []
    room = 1
    for code, size in zip(codes, sizes, strict=True):
        if not words or room * size >= _WORD:
            words.append(code.astype(np.int64))
            room = size
        else:
            words[-1] = words[-1] * size + code
            room *= size
    return np.stack(words)


def _presence(
    sensitive: Mapping[str, Sequence[str]], tuples: Whole, count: int
) -> tuple[Truth, tuple[tuple[int, int], ...]]:
    blocks: list[Truth] = [np.zeros((count, 0), dtype=np.bool_)]
    spans: list[tuple[int, int]] = []
    at = 0
    for column in sensitive.values():
        values = sorted(set(column) - {""})
        numbers = {value: number for number, value in enumerate(values)}
        block = np.zeros((count, len(values) + 1), dtype=np.bool_)
        codes = [numbers.get(value, len(values)) for value in column]
        block[tuples, codes] = True
        blocks.append(block[:, :-1])
        spans.append((at, at + len(values)))
        at += len(values)
    return np.concatenate(blocks, axis=1), tuple(spans)
