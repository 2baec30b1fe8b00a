"""One file of text in, the same without what is personal out, and a report.

The report holds counts and never a value. Nothing is written until all of
the file has been searched, and an existing file is not overwritten.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from anonymize.dates import DateShift
from anonymize.documents import read_document
from anonymize.documents_child import Limits
from anonymize.errors import DocumentUnreadable, InvalidSpec, OutputExists
from anonymize.known import KnownValue
from anonymize.labels import LabelBook, Style
from anonymize.overlaps import Rank
from anonymize.text import Scrubber, replaced
from anonymize.value_index import ValueIndex

Progress = Callable[[str, int, int], None]
_HAN = ("\u3400", "\u9fff")
_SAMPLE = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubTerms:
    """How a file is scrubbed.

    Attributes:
        columns: of a CSV file those to search; none named means all.
        person: of a CSV file the column with the opaque key of the person;
            it does not leave.
        language: ``en`` or ``zh``; empty looks what the file is written in.
        encoding: of text, CSV and JSON.
        style: how labels are written.
        known: values of the people whose file it is, in many forms.
        everybody: values of everybody, in compact form.
        shift_key: derived key of 32 bytes; None labels dates.
        shift_within: farthest that dates move, in days.
        day_first: how 03/04/2021 is read; None labels what is ambiguous.
        limits: what is refused.
    """

    columns: Sequence[str] = ()
    person: str | None = None
    language: str = ""
    encoding: str = "utf-8"
    style: Style = Style.WORDS
    known: Sequence[KnownValue] = ()
    everybody: ValueIndex | None = None
    shift_key: bytes | None = None
    shift_within: int = 365
    day_first: bool | None = None
    limits: Limits | None = None


def scrub_file(
    source: Path,
    out: Path,
    report: Path | None,
    terms: ScrubTerms,
    progress: Progress,
    *,
    scrubber: Scrubber | None = None,
) -> dict[str, object]:
    """Scrub a file.

    Args:
        source: the file; its suffix says what it is (`documents`).
        out: the file to make.
        report: the JSON report to make, if any.
        terms: how.
        progress: told of the stage, and of characters done and to do.
        scrubber: one with further recognizers; None builds a plain one.

    Returns:
        The report.

    Raises:
        OutputExists: a file to make is there.
        TextTooLong, DocumentUnreadable, MissingExtra: as `read_document`.
        InvalidSpec: the terms clash.
    """
    for path in (out, report):
        if path is not None and path.exists():
            msg = f"{path} exists; name another file"
            raise OutputExists(msg)
    document = read_document(
        source,
        columns=terms.columns,
        person=terms.person,
        encoding=terms.encoding,
        limits=terms.limits,
    )
    passages = document.passages
    found = (scrubber or Scrubber()).find_all(
        passages,
        language=terms.language or _language(passages),
        known=terms.known,
        everybody=terms.everybody,
        tell=progress,
    )
    book = LabelBook(terms.style)
    shifts = _shifts(terms, document.people)
    written = []
    moved = 0
    for text, hits, person in zip(
        passages, found, document.people, strict=True
    ):
        scrubbed = replaced(text, hits, shifts.get(person))
        moved += len(hits) - sum(1 for _ in scrubbed.mentions())
        written.append(book.write(scrubbed))
    summary: dict[str, object] = {
        "passages": len(passages),
        "characters": sum(map(len, passages)),
        "characters_replaced": sum(
            hit.end - hit.start for hits in found for hit in hits
        ),
        "findings": dict(
            sorted(Counter(h.entity for hits in found for h in hits).items())
        ),
        "known_values_found": sum(
            hit.rank is Rank.KNOWN for hits in found for hit in hits
        ),
        "labels": book.values(),
        "dates_moved": moved,
    }
    _write(out, document.write(written))
    if report is not None:
        _write(report, json.dumps(summary, indent=2).encode() + b"\n")
    return summary


def read_known(path: Path) -> list[KnownValue]:
    """Read known values: lines of a kind, a tab and a value, in UTF-8.

    Args:
        path: the file.

    Raises:
        DocumentUnreadable: a line is none, named by its number alone.
    """
    values = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        msg = f"{path.name} is not UTF-8"
        raise DocumentUnreadable(msg) from None
    for number, line in enumerate(lines, start=1):
        entity, tab, value = line.partition("\t")
        if not tab or not entity.isidentifier() or not value.strip():
            msg = (
                f"{path.name}, line {number}: a kind such as PERSON, a tab "
                "and a value are needed"
            )
            raise DocumentUnreadable(msg)
        values.append(KnownValue(entity=entity.upper(), text=value))
    return values


def _language(passages: Sequence[str]) -> str:
    sample = "".join(passages)[:_SAMPLE]
    first, last = _HAN
    return "zh" if any(first <= char <= last for char in sample) else "en"


def _shifts(terms: ScrubTerms, people: Sequence[str]) -> dict[str, DateShift]:
    if terms.shift_key is None:
        return {}
    if terms.person is not None and "" in people:
        msg = "a row has no person's key: its dates cannot be moved"
        raise InvalidSpec(msg)
    return {
        person: DateShift(
            terms.shift_key,
            person,
            within=terms.shift_within,
            day_first=terms.day_first,
        )
        for person in {*people}
    }


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, readable to its owner alone."""
    temporary = path.with_name(f".{path.name}.part")
    handle = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600
    )
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
