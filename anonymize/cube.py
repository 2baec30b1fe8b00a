"""The cube: distinct tuples of quasi-identifiers, counted.

Work on a table of people depends on how many different tuples there are,
which the domains of the quasi-identifiers bound, not on how many rows. Each
quasi-identifier becomes an `Axis`: for every leaf that occurs, the number
of its group at each level and what that group's label costs. The rows come
back only for publishing.

What is counted are *items*: rows one by one, or rows that were counted
already, wherever that was done, each with how many it stands for. Cubes
add up, so that the rows never need to be in memory together.

Leaves and tuples are put in an order of their own, so that nothing that
follows depends on the order of the rows.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from anonymize.errors import InvalidSpec, MissingExtra, ValueNotCovered
from anonymize.hierarchies import Hierarchy
from anonymize.population import Population

try:
    import numpy as np
    import numpy.typing as npt
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing


Whole = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]

_WORD = 2**62
_TABLE = 2**16
MAX_CELLS = 64_000_000
"""Largest count of sensitive values by tuples."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Axis:
    """One quasi-identifier.

    Attributes:
        name: its column.
        labels: for each level the text of each group's label.
        groups: group of a leaf, indexed by level and leaf.
        costs: NCP of that group's label, indexed alike.
        places: place of each leaf on the scale of its hierarchy, the lowest
            for the missing value; None where the values have no scale.
        bounds: first and last place of the scale, or how many values the
            hierarchy has beside the first.
        weight: how much a label counts beside those of other axes.
    """

    name: str
    labels: tuple[tuple[str, ...], ...]
    groups: Whole
    costs: Real
    places: Whole | None
    bounds: tuple[int, int]
    weight: float = 1.0

    @property
    def levels(self) -> int:
        """Number of levels, the leaf and ``*`` included."""
        return len(self.labels)

    @property
    def span(self) -> float:
        """What a set of values costs 1 by."""
        return float(max(self.bounds[1] - self.bounds[0], 1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cube:
    """A table of people as counted tuples.

    Attributes:
        axes: the quasi-identifiers.
        leaves: leaf of each tuple on each axis, tuples by axes.
        weights: rows of each tuple.
        tuples: tuple of each item.
        counts: rows of each sensitive value in each tuple, tuples by
            values; the values of all sensitive columns stand side by side,
            after those of each column the missing value.
        spans: first and last plus one of each sensitive column's values;
            there stands the missing one.
        values: the values of each sensitive column.
    """

    axes: tuple[Axis, ...]
    leaves: Whole
    weights: Whole
    tuples: Whole
    counts: Whole
    spans: tuple[tuple[int, int], ...]
    values: Mapping[str, tuple[str, ...]]

    @property
    def sensitive(self) -> tuple[str, ...]:
        """The sensitive columns, in the order of `spans`."""
        return tuple(self.values)

    @property
    def rows(self) -> int:
        """Rows handed in."""
        return int(self.weights.sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coded:
    """A sensitive column in numbers.

    Attributes:
        values: its values, but the missing one.
        codes: for each item the number of its value; the missing one's is
            the number of values.
    """

    values: tuple[str, ...]
    codes: Whole


def make_axis(
    name: str,
    values: Collection[str],
    hierarchy: Hierarchy,
    place: Callable[[set[str]], tuple[int, int]],
) -> tuple[Axis, dict[str, int]]:
    """Make the axis of a quasi-identifier.

    Args:
        name: the column's name.
        values: the values that occur; a missing one is the empty text.
        hierarchy: its hierarchy.
        place: tells of values how many rows hold them, and the first.

    Returns:
        The axis, and the leaf of each value.

    Raises:
        ValueNotCovered: a value has no place in the hierarchy.
    """
    found = {value: hierarchy.path(value) for value in values}
    lost = {value for value, path in found.items() if path is None}
    if lost:
        count, first = place(lost)
        raise ValueNotCovered(column=name, count=count, first_row=first)
    # As one text, so that most comparisons are of bytes; no label has a NUL.
    paths = sorted(
        (path for path in found.values() if path is not None),
        key=lambda path: "\0".join(path[::-1]),
    )
    labels, groups = _grouped(paths, hierarchy.levels)
    costs = np.stack(
        [
            _penalties(hierarchy, paths, groups[level], level)
            for level in range(hierarchy.levels)
        ]
    )
    leaf_of = {path[0]: leaf for leaf, path in enumerate(paths)}
    scale = hierarchy.scale
    places = None
    if scale is not None:
        on = [scale.place(p[0]) if p[0] else scale.low for p in paths]
        places = np.array(on, dtype=np.int64)
    axis = Axis(
        name=name,
        labels=labels,
        groups=groups,
        costs=costs,
        places=places,
        bounds=(scale.low, scale.high) if scale else (1, hierarchy.leaves),
    )
    return axis, leaf_of


def _penalties(
    hierarchy: Hierarchy,
    paths: Sequence[tuple[str, ...]],
    groups: Whole,
    level: int,
) -> Real:
    """Return what each leaf's label costs; it is asked of each label once."""
    count = int(groups.max(initial=-1)) + 1
    first = np.zeros(count, dtype=np.int64)
    first[groups[::-1]] = np.arange(len(groups) - 1, -1, -1)
    of_group = [hierarchy.penalty(paths[at], level) for at in first.tolist()]
    costs: Real = np.array(of_group, dtype=np.float64)[groups]
    return costs


def _grouped(
    paths: Sequence[tuple[str, ...]], levels: int
) -> tuple[tuple[tuple[str, ...], ...], Whole]:
    labels = []
    groups = []
    for column in zip(*paths, strict=True) if paths else [()] * levels:
        numbers = {label: at for at, label in enumerate(dict.fromkeys(column))}
        labels.append(tuple(numbers))
        groups.append(_numbered(numbers, column))
    return tuple(labels), np.stack(groups)


PEOPLE = "\0people"
"""Name of the counts of people of the population and rows beside them."""


def make_cube(
    quasi: Mapping[str, tuple[Sequence[str], Hierarchy]],
    sensitive: Mapping[str, Sequence[str]],
    rows: int,
    population: Population | None = None,
) -> Cube:
    """Count the distinct tuples of a table.

    Args:
        quasi: for each quasi-identifier its cells and its hierarchy.
        sensitive: for each sensitive column its cells.
        rows: number of rows.
        population: whom the people of the table are among.

    Raises:
        ValueNotCovered: before anything is counted.
        InvalidSpec: there are too many sensitive values.
    """
    axes = []
    codes = []
    leaves = []
    for name, (column, hierarchy) in quasi.items():
        axis, leaf_of = make_axis(
            name,
            with_people({*column}, name, hierarchy, population),
            hierarchy,
            _finder(column),
        )
        axes.append(axis)
        leaves.append(leaf_of)
        codes.append(_numbered(leaf_of, column))
    coded = {name: _coded(column) for name, column in sensitive.items()}
    weights = np.ones(rows, np.int64)
    if population is not None:
        return count_among(axes, (codes, weights, coded), leaves, population)
    return count_items(axes, codes, weights, coded)


def with_people(
    values: set[str],
    name: str,
    hierarchy: Hierarchy,
    population: Population | None,
) -> set[str]:
    """Return the values of a column that occur in table or population.

    Args:
        values: those of the table.
        name: the column.
        hierarchy: its hierarchy.
        population: whom the people of the table are among, if that is known.

    Raises:
        InvalidSpec: the hierarchy does not cover a value of the population.
    """
    if population is None:
        return values
    others = population.values(name)
    if any(hierarchy.path(value) is None for value in others):
        msg = (
            f"column {name}: the hierarchy does not cover a value of the "
            "population; add it"
        )
        raise InvalidSpec(msg)
    return values | others


def count_among(
    axes: Sequence[Axis],
    items: tuple[Sequence[Whole], Whole, Mapping[str, Coded]],
    leaves: Sequence[Mapping[str, int]],
    population: Population,
) -> Cube:
    """Count the distinct tuples of items and of a population.

    Tuples of the population alone have no rows. Beside the sensitive values
    the people of each tuple are counted, and its rows.

    Args:
        axes: the quasi-identifiers.
        items: codes, weights and sensitive columns as in `count_items`.
        leaves: for each axis the leaf of each value.
        population: the people.

    Raises:
        InvalidSpec: there are too many sensitive values, or the table has
            people that the population has not.
    """
    codes, weights, sensitive = items
    rows = len(weights)
    among = [
        np.concatenate((own, _numbered(of, column)))
        for own, of, column in zip(
            codes,
            leaves,
            zip(*(values for values, _ in population.people), strict=True),
            strict=True,
        )
    ]
    people = np.array([many for _, many in population.people])
    cube = count_items(
        axes,
        among,
        np.concatenate((weights, np.zeros_like(people))),
        {
            name: Coded(
                values=each.values,
                codes=np.concatenate((each.codes, np.zeros_like(people))),
            )
            for name, each in sensitive.items()
        },
    )
    count = len(cube.weights)
    found = np.bincount(cube.tuples[rows:], people, minlength=count)
    if (found < cube.weights).any():
        msg = "the table has people whom the population has not"
        raise InvalidSpec(msg)
    nobody = np.zeros(count, dtype=np.int64)
    beside = np.stack((found.astype(np.int64), cube.weights, nobody), axis=1)
    at = cube.counts.shape[1]
    return replace(
        cube,
        tuples=cube.tuples[:rows],
        counts=np.concatenate((cube.counts, beside), axis=1),
        spans=(*cube.spans, (at, at + 2)),
        values={**cube.values, PEOPLE: ("people", "rows")},
    )


def _finder(column: Sequence[str]) -> Callable[[set[str]], tuple[int, int]]:
    def place(lost: set[str]) -> tuple[int, int]:
        rows = [at for at, value in enumerate(column, 1) if value in lost]
        return len(rows), rows[0]

    return place


def _numbered(numbers: Mapping[str, int], column: Sequence[str]) -> Whole:
    return np.fromiter(
        map(numbers.__getitem__, column), dtype=np.int64, count=len(column)
    )


def _coded(column: Sequence[str]) -> Coded:
    values = tuple(sorted({*column} - {""}))
    numbers = {value: number for number, value in enumerate(values)}
    numbers[""] = len(values)
    return Coded(values=values, codes=_numbered(numbers, column))


def count_items(
    axes: Sequence[Axis],
    codes: Sequence[Whole],
    weights: Whole,
    sensitive: Mapping[str, Coded],
) -> Cube:
    """Count the distinct tuples of items.

    Args:
        axes: the quasi-identifiers.
        codes: for each of them the leaf of each item.
        weights: rows of each item.
        sensitive: the sensitive columns that are counted.

    Raises:
        InvalidSpec: there are too many sensitive values.
    """
    stacked = np.stack([np.zeros(len(weights), np.int64), *codes])
    sizes = [1, *(axis.groups.shape[1] for axis in axes)]
    tuples = number_columns(pack(stacked, sizes))
    count = int(tuples.max(initial=-1)) + 1
    first = np.zeros(count, dtype=np.int64)
    first[tuples[::-1]] = np.arange(len(weights) - 1, -1, -1)
    counts, spans = _counted(sensitive, tuples, weights, count)
    return Cube(
        axes=tuple(axes),
        leaves=stacked[1:, first].T.copy(),
        weights=np.bincount(tuples, weights, minlength=count).astype(np.int64),
        tuples=tuples,
        counts=counts,
        spans=spans,
        values={name: each.values for name, each in sensitive.items()},
    )


def short(numbers: Whole) -> npt.NDArray[np.integer[Any]]:
    """Store numbers so that they are sorted by counting, where they fit.

    Args:
        numbers: from 0 on.
    """
    fits = numbers.max(initial=0) < 2**16
    return numbers.astype(np.uint16) if fits else numbers


def number_columns(words: npt.NDArray[np.integer[Any]]) -> Whole:
    """Number the distinct columns of a matrix in their order.

    Args:
        words: one row a word of the key, one column an item.

    Returns:
        For each column its number from 0; equal columns share one.
    """
    if len(words) == 1:
        word = words[0]
        most = int(word.max(initial=0))
        if most < max(_TABLE, 4 * len(word)):
            there = np.zeros(most + 1, dtype=np.bool_)
            there[word] = True
            dense: Whole = (np.cumsum(there) - 1).take(word.astype(np.int64))
            return dense
        numbers: Whole = np.unique(word, return_inverse=True)[1]
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


def _counted(
    sensitive: Mapping[str, Coded], tuples: Whole, weights: Whole, count: int
) -> tuple[Whole, tuple[tuple[int, int], ...]]:
    width = sum(len(each.values) + 1 for each in sensitive.values())
    if count * width > MAX_CELLS:
        msg = (
            f"{count} distinct tuples of quasi-identifiers and {width} "
            "sensitive values are more than can be counted; group the "
            "sensitive values into fewer first"
        )
        raise InvalidSpec(msg)
    blocks: list[Whole] = [np.zeros((count, 0), dtype=np.int64)]
    spans: list[tuple[int, int]] = []
    at = 0
    for each in sensitive.values():
        size = len(each.values) + 1
        cells = np.bincount(
            tuples * size + each.codes, weights, minlength=count * size
        )
        blocks.append(cells.astype(np.int64).reshape(count, size))
        spans.append((at, at + len(each.values)))
        at += size
    return np.concatenate(blocks, axis=1), tuple(spans)
