r"""CSV as it is read and as it is published.

Reading is strict: UTF-8, no NUL, one header with distinct names, the same
number of cells in each row. A fault is told by its line, never by a value.

Publishing follows RFC 4180 with ``\n`` line ends; a carriage return in a cell
is quoted too, as Python's own writer does not. A cell that a spreadsheet
would run as a formula is defused: where a cell begins with ``=``, ``+``,
``-``, ``@``, a tab, a carriage return, one of their full-width forms or an
apostrophe, one apostrophe is put before it. Plain numbers such as ``-5``
stay as they are. The rule is undone by taking one leading apostrophe away,
so that different cells stay different; `unguarded` does it.
"""

import csv
import io
import re
from collections.abc import Sequence

from anonymize.errors import InvalidRows

_TRIGGERS = tuple("=+-@\t\r\n'＝＋－＠")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
DELIMITERS = frozenset({",", ";", "\t", "|"})
"""What may stand between cells."""


def read_csv(
    data: bytes, *, where: str, delimiter: str
) -> dict[str, list[str]]:
    """Read a table.

    Args:
        data: the bytes of the file.
        where: its name, for error messages.
        delimiter: one of `DELIMITERS`.

    Returns:
        The cells of each column, under its name.

    Raises:
        InvalidRows: the bytes are no such table.
    """
    text = _decoded(data, where=where)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True
    )
    try:
        header = next(reader, [])
        check_header(header, where=where)
        rows = []
        for row in reader:
            if row:
                _check_width(row, header, where=where, line=reader.line_num)
                rows.append(row)
    except csv.Error:
        msg = f"{where}, line {reader.line_num}: not CSV; check its quotes"
        raise InvalidRows(msg) from None
    columns = zip(*rows, strict=True) if rows else [()] * len(header)
    return {
        name: [*column] for name, column in zip(header, columns, strict=True)
    }


def write_csv(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, delimiter: str
) -> bytes:
    """Write a table for publication, formulas defused.

    Args:
        columns: names of the columns.
        rows: the cells of each row.
        delimiter: one of `DELIMITERS`.

    Returns:
        The bytes of the file, UTF-8.
    """
    cells: set[str] = {*columns}.union(*rows)
    special = re.compile(f'[\r\n"{re.escape(delimiter)}]')
    written = {cell: _quoted(guarded(cell), special) for cell in cells}
    if len(columns) == 1:
        written |= {"": '""'}  # an empty line would be no row
    lines = (
        delimiter.join(map(written.__getitem__, row))
        for row in (columns, *rows)
    )
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def _quoted(cell: str, special: re.Pattern[str]) -> str:
    if special.search(cell):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def guarded(cell: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would run."""
    if cell.startswith(_TRIGGERS) and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell


def unguarded(cell: str) -> str:
    """Take the apostrophe of `guarded` away."""
    return cell.removeprefix("'")


def _decoded(data: bytes, *, where: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        msg = f"{where}, line {line}: not UTF-8; save the file as UTF-8"
        raise InvalidRows(msg) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        msg = f"{where}, line {line}: a NUL character; remove it"
        raise InvalidRows(msg)
    return text


def check_header(header: Sequence[str], *, where: str) -> None:
    """Refuse a header without names, or with one name twice.

    Args:
        header: the names.
        where: name of the file, for error messages.

    Raises:
        InvalidRows: it is no header.
    """
    if not header or not all(header) or len({*header}) != len(header):
        msg = (
            f"{where}, line 1: the header is missing, or has an empty or "
            "repeated name; give each column a name of its own"
        )
        raise InvalidRows(msg)


def _check_width(
    row: Sequence[str], header: Sequence[str], *, where: str, line: int
) -> None:
    if len(row) != len(header):
        msg = (
            f"{where}, line {line}: {len(row)} cells where the header has "
            f"{len(header)}; check the delimiter and the quotes"
        )
        raise InvalidRows(msg)
