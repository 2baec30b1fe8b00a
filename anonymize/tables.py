"""The rows that were handed in, as columns of text.

Refused before anything is computed: columns without a role, columns that
are missing, cells that are not text, NUL characters, text that is no
Unicode, and a person with more than one row, since k counts people.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from anonymize.errors import InvalidRows
from anonymize.spec import ExtractSpec

Rows = Mapping[str, Sequence[str | None]] | Iterable[Mapping[str, str | None]]
"""Columns of cells, or rows of cells. A missing value is None or empty."""
Table = dict[str, list[str]]


def make_table(spec: ExtractSpec, rows: Rows) -> Table:
    """Bring rows into columns of text.

    Args:
        spec: the terms, which name every column.
        rows: columns of cells, or rows of cells.

    Raises:
        InvalidRows: the rows do not fit the terms.
    """
    names = [*spec.columns]
    if spec.person is not None:
        names.append(spec.person)
    if isinstance(rows, Mapping):
        _check_names(names, rows, "the table")
        columns = {name: [*rows[name]] for name in names}
    else:
        columns = {name: [] for name in names}
        for number, row in enumerate(rows, start=1):
            _check_names(names, row, f"row {number}")
            for name in names:
                columns[name].append(row[name])
    if any(len(a) != len(b) for a, b in pairwise(columns.values())):
        msg = "the columns are not of one length"
        raise InvalidRows(msg)
    table = {name: _texts(name, cells) for name, cells in columns.items()}
    if spec.person is not None:
        _check_people(table[spec.person])
    return table


def _check_names(
    names: Sequence[str], given: Iterable[str], where: str
) -> None:
    wanted, found = {*names}, {*given}
    if found - wanted:
        listed = ", ".join(sorted(found - wanted))
        msg = f"{where} has columns without a role: {listed}"
        raise InvalidRows(msg)
    if wanted - found:
        listed = ", ".join(sorted(wanted - found))
        msg = f"{where} lacks columns: {listed}"
        raise InvalidRows(msg)


def _texts(name: str, cells: Sequence[str | None]) -> list[str]:
    if {*map(type, cells)} - {str, type(None)}:
        msg = f"column {name}: a cell is not text"
        raise InvalidRows(msg)
    texts = [cell or "" for cell in cells]
    everything = "\n".join(texts)
    if "\0" in everything:
        msg = f"column {name}: a NUL character; remove it"
        raise InvalidRows(msg)
    try:
        everything.encode("utf-8")
    except UnicodeEncodeError:
        msg = f"column {name}: text that is not Unicode; correct it"
        raise InvalidRows(msg) from None
    return texts


def _check_people(people: Sequence[str]) -> None:
    if not all(people):
        msg = f"row {people.index('') + 1}: the person's key is missing"
        raise InvalidRows(msg)
    again = len(people) - len({*people})
    if again:
        msg = (
            f"{again} row(s) belong to a person who has one already; k "
            "counts people, so join the rows of a person first"
        )
        raise InvalidRows(msg)
