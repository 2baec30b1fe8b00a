"""Tables on disk, read column by column and no more of them than needed.

CSV and Parquet (by its suffix) are scanned by Polars, which streams what
does not fit in memory. Where Polars would read a CSV file in another way
than `csvfile` does, that is, where the file has rows of too few cells or
empty lines, `csvfile` reads it, or says what is wrong and where.

Compressed CSV is refused: a small file can unfold to any size. A Parquet
file states its rows, and one with too many is refused before it is read.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from anonymize.csvfile import check_header, read_csv
from anonymize.errors import InvalidRows, MissingExtra

try:
    import polars as pl
except ImportError as missing:
    raise MissingExtra(library="polars") from missing

PARQUET = ".parquet"
"""Suffix of Parquet files; any other is CSV."""
MAX_COLUMNS = 4_096
"""Most columns that a file may have."""
MAX_ROWS = 2_000_000_000
"""Most rows that a file may have."""
COUNT = "\0count"
"""Name of the column of counts; no column of a file has it."""
_ODD = "\0odd"
_HEAD = 1_000_000
_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"BZh", b"\xfd7z")
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


class TableFile:
    """A table on disk: every cell as text, a missing one as empty text."""

    def __init__(self, path: Path, *, delimiter: str) -> None:
        """Look at a file, and read little of it.

        Args:
            path: the file.
            delimiter: what stands between the cells of CSV.

        Raises:
            InvalidRows: the file is no such table.
        """
        self._path = path
        self._delimiter = delimiter
        if path.suffix == PARQUET:
            self.rows = _scan_parquet(path)
            self._odd = pl.lit(value=False)
        else:
            header = _header(path, delimiter)
            self.rows = _scan_csv(path, delimiter)
            self._odd = pl.col(header[-1]) == ""
            if len(header) > 1:
                self._odd |= pl.col(header[0]).str.contains("^\\s*$")
        self.columns: Sequence[str] = self.rows.collect_schema().names()

    def counted(self, names: Sequence[str]) -> pl.DataFrame:
        """Count the distinct rows of some columns.

        Args:
            names: the columns, at least one.

        Returns:
            Those columns and their `COUNT`.

        Raises:
            InvalidRows: the file is no such table.
        """
        found = self._ask(
            self.rows.group_by([*names, self._odd.alias(_ODD)]).agg(
                pl.len().cast(pl.Int64).alias(COUNT)
            )
        )
        if found[_ODD].any():
            self._read_again()
            return self.counted(names)
        return found.drop(_ODD)

    def ask(self, query: pl.LazyFrame) -> pl.DataFrame:
        """Collect a query over `rows`.

        Args:
            query: the query.

        Raises:
            InvalidRows: the file is no such table.
        """
        return self._ask(query)

    def _ask(self, query: pl.LazyFrame) -> pl.DataFrame:
        try:
            return query.collect(engine="streaming")
        except pl.exceptions.PolarsError as problem:
            if self._path.suffix != PARQUET:
                _read_strictly(self._path, self._delimiter)
            msg = f"{self._path.name}: {type(problem).__name__} on reading"
            raise InvalidRows(msg) from None

    def _read_again(self) -> None:
        """Read the file by the letter: it has cells that may be no cells."""
        table = _read_strictly(self._path, self._delimiter)
        schema = dict.fromkeys(table, pl.String)
        self.rows = pl.DataFrame(table, schema=schema).lazy()
        self._odd = pl.lit(value=False)


def _scan_csv(path: Path, delimiter: str) -> pl.LazyFrame:
    return pl.scan_csv(
        path,
        separator=delimiter,
        infer_schema=False,
        empty_string_is_null=False,
        glob=False,
    )


def _read_strictly(path: Path, delimiter: str) -> dict[str, list[str]]:
    return read_csv(path.read_bytes(), where=path.name, delimiter=delimiter)


def _header(path: Path, delimiter: str) -> Sequence[str]:
    """Read the names of the columns from the beginning of the file."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as problem:
        msg = f"{path.name} cannot be read ({type(problem).__name__})"
        raise InvalidRows(msg) from None
    if head.startswith((*_PACKED, *_ZLIB)):
        msg = f"{path.name} is compressed; unpack it first"
        raise InvalidRows(msg)
    text = head.decode("utf-8-sig", errors="replace")
    try:
        header = next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
    except csv.Error:
        msg = f"{path.name}, line 1: not CSV; check its quotes"
        raise InvalidRows(msg) from None
    _refuse_wide(path, len(header))
    if "\N{REPLACEMENT CHARACTER}" in "".join(header):
        _read_strictly(path, delimiter)
    check_header(header, where=path.name)
    return header


def _refuse_wide(path: Path, columns: int) -> None:
    if columns > MAX_COLUMNS:
        msg = f"{path.name} has more than {MAX_COLUMNS} columns"
        raise InvalidRows(msg)


def _scan_parquet(path: Path) -> pl.LazyFrame:
    try:
        lazy = pl.scan_parquet(path, glob=False)
        names = lazy.collect_schema().names()
        _refuse_wide(path, len(names))
        rows = lazy.select(pl.len()).collect().item()
    except (OSError, pl.exceptions.PolarsError) as problem:
        msg = f"{path.name} is not Parquet ({type(problem).__name__})"
        raise InvalidRows(msg) from None
    if rows > MAX_ROWS:
        msg = f"{path.name} has more than {MAX_ROWS} rows"
        raise InvalidRows(msg)
    nested = [
        name
        for name, kind in lazy.collect_schema().items()
        if kind.is_nested() or kind in {pl.Binary, pl.Object}
    ]
    if nested:
        msg = f"{path.name}: column {nested[0]} does not hold single values"
        raise InvalidRows(msg)
    return lazy.select(pl.all().cast(pl.String).fill_null(""))


def count_values(path: Path, column: str, *, delimiter: str) -> dict[str, int]:
    """Count the rows of each value of a column of a file.

    Args:
        path: the file.
        column: the column.
        delimiter: what stands between the cells of CSV.

    Raises:
        InvalidRows: the file is no such table, or lacks the column.
    """
    table = TableFile(path, delimiter=delimiter)
    if column not in table.columns:
        msg = f"{path.name} lacks columns: {column}"
        raise InvalidRows(msg)
    return dict(table.counted([column]).select(column, COUNT).iter_rows())
