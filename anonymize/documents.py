"""Passages of text out of files, and back into files of text.

A file is text, CSV, JSON, DOCX or PDF, by its suffix. Text, CSV and JSON
come back in their own form; of DOCX and PDF only the text comes back, since
their metadata, comments, revisions and images can hold what no search of
the text would find.

Everything read is bounded, before or while it is read: `Limits` says by what.
Office and PDF files are read in a process of their own (`documents_child`)
that has a limit of memory and of time, so that one made to exhaust either
ends in an error and not in a machine that stands still.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from anonymize.documents_child import Limits, extract_apart
from anonymize.errors import DocumentUnreadable, TextTooLong

SUFFIXES = (".txt", ".md", ".log", ".csv", ".json", ".docx", ".pdf")
"""Files that can be read."""
_DEPTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file's passages, and how to write them.

    Attributes:
        passages: its texts, in order.
        people: for each passage the opaque key of the person, or empty.
        write: returns the file's bytes for passages in the same order.
    """

    passages: Sequence[str]
    people: Sequence[str]
    write: Callable[[Sequence[str]], bytes]


def read_document(
    path: Path,
    *,
    columns: Sequence[str] = (),
    person: str | None = None,
    encoding: str = "utf-8",
    limits: Limits | None = None,
) -> Document:
    """Read a file.

    Args:
        path: the file; its suffix says what it is.
        columns: of a CSV file those to search; all, where none is named.
        person: of a CSV file the column with the opaque key of the person,
            which is replaced by nothing: leave it out or name pseudonyms.
        encoding: of text, CSV and JSON.
        limits: what is refused; None takes the defaults.

    Raises:
        TextTooLong: the file, or the text in it, is larger than allowed.
        DocumentUnreadable: it is not what its suffix says, or not in that
            encoding.
        MissingExtra: DOCX or PDF without the extra ``documents``.
    """
    limits = limits or Limits()
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        msg = f"{path.name}: files are {', '.join(SUFFIXES)}"
        raise DocumentUnreadable(msg)
    size = path.stat().st_size
    if size > limits.file_bytes:
        msg = (
            f"{path.name} has {size} bytes, more than {limits.file_bytes}; "
            "split it"
        )
        raise TextTooLong(msg)
    if kind in {".docx", ".pdf"}:
        return _plain(extract_apart(path, limits))
    text = _decoded(path, encoding)
    if kind == ".csv":
        return _csv(path.name, text, columns, person)
    if kind == ".json":
        return _json(path.name, text)
    return _plain([text])


def _plain(passages: Sequence[str]) -> Document:
    return Document(
        passages=passages,
        people=[""] * len(passages),
        write=lambda texts: "\n".join(texts).encode("utf-8"),
    )


def _decoded(path: Path, encoding: str) -> str:
    try:
        text = path.read_bytes().decode(encoding)
    except UnicodeDecodeError as problem:
        msg = (
            f"{path.name} is not {encoding} at byte {problem.start}; name "
            "its encoding (gb18030 is usual for older Chinese files)"
        )
        raise DocumentUnreadable(msg) from None
    except LookupError:
        msg = f"there is no encoding {encoding}"
        raise DocumentUnreadable(msg) from None
    if "\0" in text:
        msg = f"{path.name} has bytes of 0: it is no text in {encoding}"
        raise DocumentUnreadable(msg)
    return text.removeprefix("\ufeff")


def _csv(
    name: str, text: str, columns: Sequence[str], person: str | None
) -> Document:
    try:
        rows = [*csv.reader(io.StringIO(text, newline=""), strict=True)]
    except csv.Error as problem:
        msg = f"{name} is no CSV file: {problem}"
        raise DocumentUnreadable(msg) from None
    if not rows or not rows[0]:
        msg = f"{name} has no header"
        raise DocumentUnreadable(msg)
    header, *body = rows
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            msg = (
                f"{name}, row {number}: {len(row)} cells where the header "
                f"has {len(header)}"
            )
            raise DocumentUnreadable(msg)
    wanted = [*columns] or [each for each in header if each != person]
    missing = {*wanted, *([person] if person else [])} - {*header}
    if missing or len({*header}) != len(header):
        what = ", ".join(sorted(missing)) or "a name twice"
        msg = f"{name}: the header has not the columns asked for: {what}"
        raise DocumentUnreadable(msg)
    places = [header.index(each) for each in wanted]
    of = header.index(person) if person is not None else None

    def write(texts: Sequence[str]) -> bytes:
        given = iter(texts)
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\r\n")
        kept = [n for n in range(len(header)) if n != of]
        writer.writerow([header[n] for n in kept])
        for row in body:
            cells = [*row]
            for place in places:
                cells[place] = next(given)
            writer.writerow([cells[n] for n in kept])
        return out.getvalue().encode("utf-8")

    return Document(
        passages=[row[place] for row in body for place in places],
        people=[
            row[of] if of is not None else "" for row in body for _ in places
        ],
        write=write,
    )


def _json(name: str, text: str) -> Document:
    """Search strings and numbers, names of members too."""
    try:
        found = json.loads(text, parse_int=_Number, parse_float=_Number)
    except (json.JSONDecodeError, RecursionError) as problem:
        where = getattr(problem, "lineno", None)
        place = "too deep" if where is None else f"line {where}"
        msg = f"{name} is no JSON file: {place}"
        raise DocumentUnreadable(msg) from None
    if _depth(found) > _DEPTH:
        msg = f"{name} is nested more than {_DEPTH} deep"
        raise DocumentUnreadable(msg)
    passages = [*_leaves(found)]

    def write(texts: Sequence[str]) -> bytes:
        given = iter(texts)
        built = _rebuilt(found, given)
        return json.dumps(built, ensure_ascii=False, indent=1).encode("utf-8")

    return Document(
        passages=[str(each) for each in passages],
        people=[""] * len(passages),
        write=write,
    )


class _Number(str):
    """The text of a number, which stays one where nothing is found in it."""

    __slots__ = ()


def _depth(value: object, level: int = 0) -> int:
    if level > _DEPTH:
        return level
    if isinstance(value, dict):
        return max((_depth(v, level + 1) for v in value.values()), default=0)
    if isinstance(value, list):
        return max((_depth(v, level + 1) for v in value), default=0)
    return level


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)


def _rebuilt(value: object, given: Iterator[str]) -> object:
    if isinstance(value, _Number):
        text = next(given)
        return json.loads(text) if text == value else text
    if isinstance(value, str):
        return next(given)
    if isinstance(value, dict):
        return {next(given): _rebuilt(each, given) for each in value.values()}
    if isinstance(value, list):
        return [_rebuilt(each, given) for each in value]
    return value
