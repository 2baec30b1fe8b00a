"""What published labels mean: the independent check's own reading of them.

It reads the description of a hierarchy, the data that
`Hierarchy.describe` gives and the manifest names, and shares no code with
the hierarchies or the engine.
"""

import calendar
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from anonymize.errors import ExtractTampered

_STAR = "*"

Description = Mapping[str, Any]


class PublishedLabels:
    """What the labels of one column mean, read from its description."""

    def __init__(
        self, column: str, description: Description, *, sets: bool
    ) -> None:
        """Read a description.

        Args:
            column: its name, for errors.
            description: the hierarchy as data.
            sets: whether labels are sets and intervals of values.
        """
        self._column = column
        self._sets = sets
        self._description = description
        self._form = description["form"]
        self._under: dict[str, set[str]] = {}
        if self._form == "table":
            for row in description["rows"]:
                for label in row:
                    self._under.setdefault(label, set()).add(row[0])

    def penalty(self, label: str) -> float:
        """Return the penalty of a label, from 0 to 1.

        Args:
            label: as published, without a guard against formulas.

        Raises:
            ExtractTampered: it is none of this hierarchy.
        """
        if label == _STAR:
            return 1.0
        if not label and label not in self._under:
            return 0.0
        try:
            if self._sets:
                return self._of_set(label)
            if self._form == "table":
                return self._of_table(label)
            if self._form == "prefixes":
                return self._of_prefix(label)
            return self._of_bounds(*self._bounds(label))
        except (KeyError, ValueError, IndexError):
            msg = f"column {self._column}: a label outside its hierarchy"
            raise ExtractTampered(msg) from None

    def covers(self, label: str, value: str) -> bool:
        """Tell whether a label stands for a value, among others.

        Args:
            label: as published, without a guard against formulas.
            value: a value of the column.

        Raises:
            ExtractTampered: the label is none of this hierarchy.
        """
        if label in {_STAR, value}:
            return True
        try:
            return self._covers(label, value)
        except (KeyError, ValueError, IndexError):
            msg = f"column {self._column}: a label outside its hierarchy"
            raise ExtractTampered(msg) from None

    def _covers(self, label: str, value: str) -> bool:
        if self._sets and label.startswith("{"):
            return value in label[1:-1].split("|")
        if self._form == "table" and not self._sets:
            return value in self._under[label]
        if not value or not label:
            return False
        if self._form == "prefixes":
            fixed = label.rstrip(_STAR)
            return len(value) == len(label) and value.startswith(fixed)
        if not self._scaled():
            return False
        if self._sets:
            first, last = map(self._place, _ends(label))
        else:
            first, last = self._bounds(label)
        return first <= self._place(value) <= last

    def _place(self, value: str) -> int:
        if self._form == "dates":
            return dt.date.fromisoformat(value).toordinal()
        return int(value)

    def _of_set(self, label: str) -> float:
        """Return the penalty of an interval or a set of leaves."""
        if label.startswith("{") and label.endswith("}"):
            leaves = label[1:-1].split("|")
            if len({*leaves}) != len(leaves) or len(leaves) < 2:
                raise ValueError
        elif self._scaled():
            return self._of_scale(*_ends(label))
        else:
            leaves = [label]
        if self._form == "prefixes":
            size: int = self._description["alphabet"]
            length: int = self._description["length"]
            if any(len(leaf) != length for leaf in leaves):
                raise ValueError
            everything: int = size**length
            return (len(leaves) - 1) / (everything - 1)
        if any(self._under[leaf] != {leaf} for leaf in leaves):
            raise ValueError
        return (len(leaves) - 1) / max(len(self._under[_STAR]) - 1, 1)

    def _scaled(self) -> bool:
        if self._form == "table":
            return bool(self._description["domain"])
        return bool(self._form != "prefixes")

    def _of_scale(self, first: str, last: str) -> float:
        ordinals = self._place(first), self._place(last)
        if ordinals[0] > ordinals[1]:
            raise ValueError
        if self._form == "table":
            low, high = self._description["domain"]
            return _share(*ordinals, low, high)
        return self._of_bounds(*ordinals)

    def _of_table(self, label: str) -> float:
        leaves = self._under[label]
        if self._description["domain"] is None:
            everything = len(self._under[_STAR])
            return (len(leaves) - 1) / max(everything - 1, 1)
        numbers = sorted(int(leaf) for leaf in leaves)
        low, high = self._description["domain"]
        return _share(numbers[0], numbers[-1], low, high)

    def _of_prefix(self, label: str) -> float:
        if len(label) != self._description["length"]:
            raise ValueError
        size = self._description["alphabet"]
        stars = len(label) - len(label.rstrip(_STAR))
        hidden: int = size**stars
        everything: int = size ** len(label)
        return (hidden - 1) / (everything - 1)

    def _of_bounds(self, first: int, last: int) -> float:
        stated = self._description
        if self._form == "dates":
            low = dt.date.fromisoformat(stated["first"]).toordinal()
            high = dt.date.fromisoformat(stated["last"]).toordinal()
            return _share(first, last, low, high)
        return _share(first, last, stated["low"], stated["high"])

    def _bounds(self, label: str) -> tuple[int, int]:
        if self._form == "intervals":
            parts = [int(part) for part in label.split("-")]
            return parts[0], parts[-1]
        year = int(label[:4]) if len(label) > 4 and label[4] == "-" else None
        if label.endswith("s"):
            start = int(label[:-1])
            return _day(max(start, 1), 1, 1), _day(start + 9, 12, 31)
        if year is None:
            return _day(int(label), 1, 1), _day(int(label), 12, 31)
        month = int(label[5:7])
        if len(label) == 7:
            end = calendar.monthrange(year, month)[1]
            return _day(year, month, 1), _day(year, month, end)
        day = int(label[8:10])
        return _day(year, month, day), _day(year, month, day)


def _ends(label: str) -> tuple[str, str]:
    """Split an interval; a single value is both of its ends."""
    first, dots, last = label.partition("..")
    if dots:
        return first, last
    first, dash, last = label.partition("-")
    if dash and first and last.isdigit():
        return first, last
    return label, label


def _day(year: int, month: int, day: int) -> int:
    return dt.date(year, month, day).toordinal()


def _share(first: int, last: int, low: int, high: int) -> float:
    inside = min(last, high) - max(first, low)
    return max(inside, 0) / (high - low)


def population_of_classes(
    classes: Sequence[Sequence[str]],
    readers: Sequence[PublishedLabels],
    population: Sequence[tuple[Sequence[str], int]],
) -> list[int]:
    """Count the people of the population that each class's label matches.

    Args:
        classes: the labels of each class, without a guard.
        readers: the columns of those labels.
        population: distinct values of the same columns, and how many
            people have them.
    """
    everyone = sum(people for _, people in population)
    spots = [(0, 0)] * len(population)
    at = 0
    for number, (_, people) in enumerate(population):
        spots[number] = (at, (1 << people) - 1)
        at += people
    matches: list[dict[str, int]] = []
    for column, reader in enumerate(readers):
        of_value: dict[str, int] = {}
        for (values, _), (start, ones) in zip(population, spots, strict=True):
            value = values[column]
            of_value[value] = of_value.get(value, 0) | ones << start
        found = {}
        for label in {labels[column] for labels in classes}:
            found[label] = 0
            for value, people in of_value.items():
                if reader.covers(label, value):
                    found[label] |= people
        matches.append(found)
    counted = []
    for labels in classes:
        people = (1 << everyone) - 1
        for label, found in zip(labels, matches, strict=True):
            people &= found[label]
        counted.append(people.bit_count())
    return counted
