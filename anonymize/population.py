"""The population that a table's people are part of, as counted tuples.

For k-map, delta-presence and the journalist's risk. It holds nothing but
quasi-identifiers and how many people have them, and it is not published.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from anonymize.canonical import canonical_json, digest
from anonymize.csvfile import read_csv
from anonymize.errors import InvalidSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """People, by their quasi-identifiers.

    Attributes:
        columns: the quasi-identifiers.
        people: distinct tuples of their values, in the order of their text,
            and how many people have them.
    """

    columns: tuple[str, ...]
    people: tuple[tuple[tuple[str, ...], int], ...] = field(repr=False)

    @classmethod
    def of_table(
        cls, table: Mapping[str, Sequence[str]], columns: Sequence[str]
    ) -> Self:
        """Count the people of a table.

        Args:
            table: cells by column; columns beside those named are left out.
            columns: the quasi-identifiers.

        Raises:
            InvalidSpec: a column is not there, or nobody is.
        """
        lacking = sorted({*columns} - {*table})
        if lacking:
            msg = f"the population lacks columns: {', '.join(lacking)}"
            raise InvalidSpec(msg)
        named = [table[name] for name in columns]
        counted = Counter(zip(*named, strict=True))
        if not counted:
            msg = "the population has nobody"
            raise InvalidSpec(msg)
        return cls(
            columns=tuple(columns), people=tuple(sorted(counted.items()))
        )

    @classmethod
    def from_file(
        cls, path: Path, columns: Sequence[str], *, delimiter: str
    ) -> Self:
        """Count the people of a CSV file; see `of_table`.

        Args:
            path: the file.
            columns: the quasi-identifiers.
            delimiter: what stands between its cells.

        Raises:
            InvalidRows: the file is no such table.
            InvalidSpec: as `of_table`, or the file cannot be read.
        """
        try:
            data = path.read_bytes()
        except OSError as problem:
            msg = f"{path.name} cannot be read ({type(problem).__name__})"
            raise InvalidSpec(msg) from None
        table = read_csv(data, where=path.name, delimiter=delimiter)
        return cls.of_table(table, columns)

    def values(self, column: str) -> set[str]:
        """Return the values that occur in a column.

        Args:
            column: one of the columns.
        """
        at = self.columns.index(column)
        return {values[at] for values, _ in self.people}

    @property
    def digest(self) -> str:
        """SHA-256 of the counted tuples in canonical JSON."""
        people = [[[*values], many] for values, many in self.people]
        return digest(
            canonical_json({"columns": [*self.columns], "people": people})
        )
