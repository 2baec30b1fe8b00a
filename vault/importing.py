"""Streaming import of a CSV file: good rows go in, bad rows are named.

RFC 4180 with a chosen delimiter and encoding, read record by record in
bounded memory. A bad row goes to a rejects file by line number, column and
reason, never with a value; that file has mode 0600. Writing a batch is the
caller's business, because a batch and its ledger entry commit together.

Stricter than most readers: a header column must be mapped or ignored by
name, and a quote that is never closed costs its own line and not the rest of
the file.
"""

import csv
import os
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, TextIO, TypeAlias

from vault.catalogue import validate
from vault.errors import DuplicateIdentifier, ImportRefused, InvalidValue
from vault.mapping import ImportMapping

# The csv module's own limit for a field, so that it never speaks first.
_LONGEST_LINE = 128 * 1024
_MOST_LINES = 200
_ESCAPED = re.compile("[\udc80-\udcff]")
_OPEN_QUOTE = "unexpected end of data"

Values: TypeAlias = dict[str, str]
Write: TypeAlias = Callable[[list[Values]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did.

    Attributes:
        rows: data rows read.
        accepted: rows written.
        rejected: rows named in the rejects file.
        reasons: how often each reason came up.

    """

    rows: int
    accepted: int
    rejected: int
    reasons: dict[str, int]


class _Reject(Exception):
    """Internal: why one row is refused."""

    def __init__(self, reason: str, column: str = "") -> None:
        self.reason = reason
        self.column = column
        super().__init__(reason)


class _Record(NamedTuple):
    """One record: where it began, its cells, or why there are none."""

    line: int
    cells: list[str]
    reason: str


class _Pending(NamedTuple):
    """A row that waits for its batch to be written."""

    line: int
    values: Values


def import_csv(
    path: Path,
    mapping: ImportMapping,
    *,
    batch: int = 500,
    write: Write,
    rejects: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> ImportReport:
    """Import a file.

    Args:
        path: the file.
        mapping: what its columns mean.
        batch: rows handed to ``write`` at once, at least 1.
        write: writes a batch of values by attribute name in a transaction
            of its own. If it raises `DuplicateIdentifier`, it must have
            rolled back; it is called again without the rows refused.
        rejects: file to be written, replacing one of the name.
        progress: told the bytes read since it was last told.

    Returns:
        The counts. Rows rejected are no error.

    Raises:
        ImportRefused: the header does not fit the mapping.

    """
    if batch < 1:
        msg = "a batch has at least one row"
        raise ValueError(msg)
    with path.open("rb") as file, _open_rejects(rejects) as out:
        return _Import(mapping, write, out).run(file, batch, progress)


def _open_rejects(path: Path) -> TextIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    handle = os.open(path, flags, 0o600)
    os.fchmod(handle, 0o600)
    return open(handle, "w", encoding="utf-8", newline="")  # noqa: PTH123 - a descriptor, not a path


class _Import:
    """One run over one file."""

    def __init__(
        self, mapping: ImportMapping, write: Write, out: TextIO
    ) -> None:
        self._mapping = mapping
        self._write = write
        self._out = csv.writer(out)
        self._out.writerow(("line", "column", "reason"))
        self._reasons: Counter[str] = Counter()
        self._rows = 0
        self._accepted = 0

    def run(
        self, file: BinaryIO, batch: int, progress: Callable[[int], None]
    ) -> ImportReport:
        records = _records(file, self._mapping, progress)
        header = self._header(next(records, None))
        pending: list[_Pending] = []
        for record in records:
            self._rows += 1
            try:
                values = self._values(record, header)
            except _Reject as reject:
                self._refuse(record.line, reject.column, reject.reason)
                continue
            pending.append(_Pending(record.line, values))
            if len(pending) == batch:
                self._flush(pending)
                pending = []
        self._flush(pending)
        return ImportReport(
            rows=self._rows,
            accepted=self._accepted,
            rejected=self._rows - self._accepted,
            reasons=dict(self._reasons),
        )

    def _header(self, record: _Record | None) -> list[str]:
        """Check the header.

        Names only what the mapping already names: a file without a header
        shows its first person there.
        """
        if record is None:
            msg = "the file is empty"
            raise ImportRefused(msg)
        if record.reason:
            msg = f"the header cannot be read: {record.reason}"
            raise ImportRefused(msg)
        mapping = self._mapping
        missing = [
            name for name in mapping.columns if name not in record.cells
        ]
        if missing:
            msg = (
                f"the header lacks {len(missing)} mapped columns, first "
                f"'{missing[0]}'; check the delimiter and the mapping"
            )
            raise ImportRefused(msg)
        for place, name in enumerate(record.cells, 1):
            if record.cells.count(name) > 1:
                msg = f"column {place} of the header is there twice"
                raise ImportRefused(msg)
            if name not in mapping.columns and name not in mapping.ignored:
                msg = (
                    f"column {place} of the header is neither mapped nor "
                    "ignored; add it to the mapping"
                )
                raise ImportRefused(msg)
        return record.cells

    def _values(self, record: _Record, header: list[str]) -> Values:
        if record.reason:
            raise _Reject(record.reason)
        if len(record.cells) != len(header):
            reason = "wrong-column-count"
            raise _Reject(reason)
        values: Values = {}
        for name, cell in zip(header, record.cells, strict=True):
            column = self._mapping.columns.get(name)
            text = cell.strip()
            if column is None or not text:
                continue
            if column.values is not None:
                if text not in column.values:
                    reason = "unmapped-value"
                    raise _Reject(reason, name)
                values[column.attribute.name] = column.values[text]
                continue
            try:
                values[column.attribute.name] = validate(
                    column.attribute, cell
                )
            except InvalidValue as error:
                raise _Reject(error.reason, name) from None
        if not values:
            reason = "empty-row"
            raise _Reject(reason)
        return {**self._mapping.constants, **values}

    def _flush(self, pending: list[_Pending]) -> None:
        """Write a batch; on a duplicate once more without who was refused."""
        rest = [pending] if pending else []
        while rest:
            rows = rest.pop()
            try:
                self._write([row.values for row in rows])
            except DuplicateIdentifier as error:
                rest += self._without(rows, error)
            else:
                self._accepted += len(rows)

    def _without(
        self, rows: list[_Pending], error: DuplicateIdentifier
    ) -> list[list[_Pending]]:
        """Refuse the rows that an error names; halve if it names none."""
        refused = set(error.positions)
        if not refused and len(rows) > 1:
            half = len(rows) // 2
            return [rows[half:], rows[:half]]
        column = self._column_of(error.attribute)
        for place, row in enumerate(rows):
            if place in refused or not refused:
                self._refuse(row.line, column, "duplicate-identifier")
        kept = [
            row
            for place, row in enumerate(rows)
            if refused and place not in refused
        ]
        return [kept] if kept else []

    def _column_of(self, attribute: str) -> str:
        return next(
            (
                name
                for name, column in self._mapping.columns.items()
                if column.attribute.name == attribute
            ),
            "",
        )

    def _refuse(self, line: int, column: str, reason: str) -> None:
        self._reasons[reason] += 1
        self._out.writerow((line, column, reason))


class _Lines:
    """Numbered lines of bounded length, some of which can be put back."""

    def __init__(
        self, file: BinaryIO, progress: Callable[[int], None]
    ) -> None:
        self._file = file
        self._progress = progress
        self._back: deque[tuple[int, bytes]] = deque()
        self._next = 1

    def read(self) -> tuple[int, bytes] | None:
        """Give the next line, or None at the end. Cut at the bound."""
        if self._back:
            return self._back.popleft()
        raw = self._file.readline(_LONGEST_LINE + 1)
        if not raw:
            return None
        read, last = len(raw), raw
        while last and not last.endswith(b"\n"):
            last = self._file.readline(_LONGEST_LINE)
            read += len(last)
        self._progress(read)
        number = self._next
        self._next += 1
        if read > _LONGEST_LINE:
            raw = raw[: _LONGEST_LINE + 1]
        return number, raw

    def put_back(self, lines: list[tuple[int, bytes]]) -> None:
        """Have these lines read again."""
        self._back.extendleft(reversed(lines))


def _records(
    file: BinaryIO, mapping: ImportMapping, progress: Callable[[int], None]
) -> Iterator[_Record]:
    lines = _Lines(file, progress)
    first = True
    while (line := lines.read()) is not None:
        number, raw = line
        if first:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
            first = False
        elif not raw.strip(b"\r\n"):
            continue  # RFC 4180 says nothing of blank lines; nobody is lost
        yield _record(lines, number, raw, mapping)


def _record(
    lines: _Lines, number: int, raw: bytes, mapping: ImportMapping
) -> _Record:
    """Read one record, over as many lines as its quotes hold open."""
    taken: list[tuple[int, bytes]] = []
    texts: list[str] = []
    size = 0
    while True:
        size += len(raw)
        if size > _LONGEST_LINE:
            lines.put_back(taken)
            return _Record(number, [], "line-too-long")
        # Undecodable bytes do not hide where the record ends.
        texts.append(raw.decode(mapping.encoding, "surrogateescape"))
        try:
            reader = csv.reader(
                texts, delimiter=mapping.delimiter, strict=True
            )
            (cells,) = reader
        except (csv.Error, ValueError) as error:
            if str(error) != _OPEN_QUOTE:
                return _Record(number, [], "malformed-quotes")
        else:
            break
        more = lines.read() if len(taken) < _MOST_LINES else None
        if more is None:
            lines.put_back(taken)
            return _Record(number, [], "unclosed-quote")
        taken.append(more)
        raw = more[1]
    if not all(map(_decoded, texts)):
        return _Record(number, [], "wrong-encoding")
    return _Record(number, cells, "")


def _decoded(text: str) -> bool:
    """Say whether no byte of a line had to be escaped."""
    return text.isascii() or not _ESCAPED.search(text)
