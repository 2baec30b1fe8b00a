"""Generalization hierarchies read from a table: one row a leaf.

A hierarchy gives each value its path: the value itself, then ever wider
labels, then ``*``. It also gives each label its penalty, the NCP of one
published cell (Xu et al. 2006): for categories ``(leaves under it - 1) /
(all leaves - 1)``, for whole numbers the width of its bounds within the
domain over the width of the domain. An exact value costs 0 and ``*``
costs 1.

The file has ``;`` between cells, no header, and as many cells in each row::

    Private;Non-Government;*
    Federal-gov;Government;*

Stricter than such files elsewhere: a label has one parent and stands for
one set of leaves, so that a published label can be read in one way only.
A missing value, the empty text, is its own label at every level below
``*``, unless the table has a row for it.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol, Self

from anonymize.canonical import canonical_json, digest
from anonymize.errors import InvalidHierarchy

MAX_DEPTH = 64
"""Most levels of a taxonomy."""
TOP = "*"
"""The label that says nothing."""

Description = Mapping[str, object]
"""A hierarchy as data, for the manifest and the independent check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The scale that the values of a hierarchy stand on.

    Attributes:
        low: place of the first value of the domain.
        high: place of the last one.
        place: place of a value that the hierarchy covers.
    """

    low: int
    high: int
    place: Callable[[str], int]


class Hierarchy(Protocol):
    """What the engine asks of a hierarchy, whatever its form."""

    @property
    def levels(self) -> int:
        """Number of levels, the value and ``*`` included."""

    @property
    def leaves(self) -> int:
        """Number of values that it covers."""

    @property
    def scale(self) -> Scale | None:
        """The scale of numbers or days; None for categories."""

    def path(self, value: str) -> tuple[str, ...] | None:
        """Return the labels of a value from itself up to ``*``.

        Args:
            value: the text of a cell.

        Returns:
            One label a level, or None where the value is not covered.
        """

    def penalty(self, path: tuple[str, ...], level: int) -> float:
        """Return the NCP of the label at a level of a path, from 0 to 1.

        Args:
            path: what `path` returned.
            level: index into it.
        """

    def describe(self) -> Description:
        """Return the hierarchy as data: text, whole numbers and lists."""


def hierarchy_digest(hierarchy: Hierarchy) -> str:
    """Return the SHA-256 of a hierarchy's description in canonical JSON."""
    return digest(canonical_json(hierarchy.describe()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TableHierarchy:
    """A hierarchy with its leaves listed.

    Attributes:
        paths: labels of each leaf from itself up to ``*``.
        domain: inclusive bounds of a numeric hierarchy, or None.
    """

    paths: Mapping[str, tuple[str, ...]]
    domain: tuple[int, int] | None
    _costs: Mapping[str, float]

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Sequence[str]],
        *,
        where: str,
        domain: tuple[int, int] | None = None,
        numeric: bool = False,
    ) -> Self:
        """Build a hierarchy from the rows of its table.

        Args:
            rows: a leaf and its labels up to ``*``, in each row.
            where: name of the table, for error messages.
            domain: bounds that penalties of numbers are measured in; a
                label is clipped to them.
            numeric: whole numbers as leaves; implied by `domain`, and
                without it the domain is that of the leaves.

        Raises:
            InvalidHierarchy: the table is malformed.
        """
        paths = _checked_paths(rows, where=where)
        under = _leaves_under(paths, where=where)
        if numeric or domain is not None:
            bounds = _numeric_bounds(under, where=where)
            low, high = domain if domain is not None else bounds[TOP]
            costs = _numeric_costs(bounds, low, high, where=where)
            return cls(paths=paths, domain=(low, high), _costs=costs)
        span = max(len(paths) - 1, 1)
        costs = {at: (len(each) - 1) / span for at, each in under.items()}
        costs[TOP] = 1.0
        return cls(paths=paths, domain=None, _costs=costs)

    @classmethod
    def from_csv(
        cls,
        data: bytes,
        *,
        where: str,
        domain: tuple[int, int] | None = None,
        numeric: bool = False,
    ) -> Self:
        """Build a hierarchy from the bytes of a ``;``-separated file.

        Args:
            data: the file, UTF-8.
            where: its name, for error messages.
            domain: as in `from_rows`.
            numeric: as in `from_rows`.

        Raises:
            InvalidHierarchy: the file is malformed.
        """
        rows = _parsed(data, where=where)
        return cls.from_rows(rows, where=where, domain=domain, numeric=numeric)

    @classmethod
    def from_file(
        cls,
        path: Path,
        *,
        domain: tuple[int, int] | None = None,
        numeric: bool = False,
    ) -> Self:
        """Build a hierarchy from a file; see `from_csv`."""
        try:
            data = path.read_bytes()
        except OSError as problem:
            raise InvalidHierarchy(
                where=path.name,
                line=None,
                what=f"cannot be read ({type(problem).__name__})",
                remedy="give the path of a hierarchy file",
            ) from None
        return cls.from_csv(
            data, where=path.name, domain=domain, numeric=numeric
        )

    @property
    def levels(self) -> int:
        """Number of levels, the leaf and ``*`` included."""
        return len(next(iter(self.paths.values())))

    @property
    def leaves(self) -> int:
        """Number of leaves."""
        return len(self.paths)

    @property
    def scale(self) -> Scale | None:
        """The domain of a numeric hierarchy."""
        if self.domain is None:
            return None
        return Scale(low=self.domain[0], high=self.domain[1], place=int)

    def path(self, value: str) -> tuple[str, ...] | None:
        """Return the labels of a value; see `Hierarchy.path`."""
        found = self.paths.get(value)
        if found is None and not value:
            return missing_path(self.levels)
        return found

    def penalty(self, path: tuple[str, ...], level: int) -> float:
        """Return the NCP of a label; see `Hierarchy.penalty`."""
        label = path[level]
        return self._costs[label] if label or "" in self.paths else 0.0

    def describe(self) -> Description:
        """Return the table, its rows in order of their text."""
        return {
            "form": "table",
            "domain": None if self.domain is None else list(self.domain),
            "rows": sorted([*path] for path in self.paths.values()),
        }


def flat(values: Iterable[str], *, where: str) -> TableHierarchy:
    """Return the hierarchy that has only the values and ``*``.

    Args:
        values: every value the column may hold.
        where: name of the column, for error messages.

    Raises:
        InvalidHierarchy: a value is repeated, or there is none.
    """
    rows = ((value, TOP) for value in values)
    return TableHierarchy.from_rows(rows, where=where)


def taxonomy(tree: object, *, where: str) -> TableHierarchy:
    """Return the hierarchy of a tree of names.

    Branches need not be of one depth: a leaf of a short branch is its own
    label for longer.

    Args:
        tree: under each name its branches, or a list of its leaves.
        where: name of the column, for error messages.

    Raises:
        InvalidHierarchy: it is no tree, or a name stands in it twice.
    """
    chains = list(_chains(tree, (TOP,), where))
    height = max(map(len, chains), default=0)
    rows = ((c[0],) * (height - len(c)) + c for c in chains)
    return TableHierarchy.from_rows(rows, where=where)


def _chains(
    tree: object, above: tuple[str, ...], where: str
) -> Iterator[tuple[str, ...]]:
    """List the leaves of a tree, each with the names above it."""
    if len(above) > MAX_DEPTH:
        raise _no_tree(where, f"the tree is deeper than {MAX_DEPTH}")
    if isinstance(tree, Mapping) and tree:
        for name, below in tree.items():
            yield from _chains(below, (str(name), *above), where)
    elif isinstance(tree, list) and tree:
        for leaf in tree:
            if not isinstance(leaf, str):
                raise _no_tree(where, "a leaf is not a text")
            yield (leaf, *above)
    else:
        raise _no_tree(where, "a branch has no leaves")


def _no_tree(where: str, what: str) -> InvalidHierarchy:
    return InvalidHierarchy(
        where=where,
        line=None,
        what=what,
        remedy="under each name give its branches, or a list of its leaves",
    )


def missing_path(levels: int) -> tuple[str, ...]:
    """Return the path of a missing value: itself until ``*``."""
    return ("",) * (levels - 1) + (TOP,)


def _parsed(data: bytes, *, where: str) -> list[list[str]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise InvalidHierarchy(
            where=where,
            line=data.count(b"\n", 0, problem.start) + 1,
            what="the bytes are not UTF-8",
            remedy="save the file as UTF-8",
        ) from None
    if "\0" in text:
        raise InvalidHierarchy(
            where=where,
            line=text.count("\n", 0, text.index("\0")) + 1,
            what="there is a NUL character",
            remedy="remove it",
        )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";")
    try:
        return list(reader)
    except csv.Error:
        raise InvalidHierarchy(
            where=where,
            line=reader.line_num,
            what="the line is not CSV",
            remedy="check its quotation marks",
        ) from None


def _checked_paths(
    rows: Iterable[Sequence[str]], *, where: str
) -> dict[str, tuple[str, ...]]:
    paths: dict[str, tuple[str, ...]] = {}
    parents: dict[tuple[int, str], str] = {}
    levels = 0
    for line, row in enumerate(rows, start=1):
        if not row:
            continue
        levels = levels or len(row)
        fault = _row_fault(
            row, levels, known=row[0] in paths
        ) or _parent_fault(row, parents)
        if fault is not None:
            what, remedy = fault
            raise InvalidHierarchy(
                where=where, line=line, what=what, remedy=remedy
            )
        paths[row[0]] = tuple(row)
    if not paths:
        raise InvalidHierarchy(
            where=where,
            line=None,
            what="there is no leaf",
            remedy="give one row for each value, its labels up to *",
        )
    return paths


def _row_fault(
    row: Sequence[str], levels: int, *, known: bool
) -> tuple[str, str] | None:
    if len(row) != levels:
        return (
            f"{len(row)} cells where the first row has {levels}",
            "give every row the same number of levels",
        )
    if levels < 2 or row[-1] != TOP:
        return "the last cell is not *", "end every row with *"
    if TOP in row[:-1]:
        return "* stands below the top", "keep * for the last cell"
    if known:
        return "the leaf stands twice", "keep one row for each leaf"
    if any("\0" in cell for cell in row):
        return "there is a NUL character", "remove it"
    return None


def _parent_fault(
    row: Sequence[str], parents: dict[tuple[int, str], str]
) -> tuple[str, str] | None:
    for level, (label, above) in enumerate(pairwise(row)):
        if parents.setdefault((level, label), above) != above:
            return (
                f"the label in cell {level + 1} has two parents",
                "give each label one parent",
            )
    return None


def _leaves_under(
    paths: Mapping[str, tuple[str, ...]], *, where: str
) -> dict[str, frozenset[str]]:
    grouped: dict[tuple[int, str], set[str]] = {}
    for leaf, path in paths.items():
        for level, label in enumerate(path):
            grouped.setdefault((level, label), set()).add(leaf)
    under: dict[str, frozenset[str]] = {}
    for (level, label), leaves in grouped.items():
        if under.setdefault(label, frozenset(leaves)) != leaves:
            raise InvalidHierarchy(
                where=where,
                line=None,
                what=(
                    f"a label in cell {level + 1} also stands for other "
                    "leaves elsewhere"
                ),
                remedy="give different groups different labels",
            )
    return under


def _numeric_bounds(
    under: Mapping[str, frozenset[str]], *, where: str
) -> dict[str, tuple[int, int]]:
    try:
        return {
            label: (min(map(int, leaves)), max(map(int, leaves)))
            for label, leaves in under.items()
        }
    except ValueError:
        raise InvalidHierarchy(
            where=where,
            line=None,
            what="a leaf is not a whole number",
            remedy="give whole numbers, or leave out numeric and domain",
        ) from None


def _numeric_costs(
    bounds: Mapping[str, tuple[int, int]], low: int, high: int, *, where: str
) -> dict[str, float]:
    if high <= low:
        raise InvalidHierarchy(
            where=where,
            line=None,
            what="the domain is empty",
            remedy="give a domain whose end is above its start",
        )
    costs = {
        label: max(0.0, (min(high, last) - max(low, first)) / (high - low))
        for label, (first, last) in bounds.items()
    }
    costs[TOP] = 1.0
    return costs
