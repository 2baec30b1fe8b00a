"""Rows in, de-identified extract and report out.

The order: refuse what is malformed; scrub free text; find classes; publish
labels; write the bytes; let the independent checker read them; report what
it found. Rows that no class can take are dropped within the limit. If the
criteria are missed there is no extract, only `CriteriaNotMet`.

The rows are published in the order of their published text, and labels in
text are numbered in that order, so that nothing of the order in which the
vault handed them over is left. The same rows, in any order, and the same
terms give the same bytes.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from anonymize.canonical import digest
from anonymize.checker import Checked, Terms, check_bytes
from anonymize.csvfile import write_csv
from anonymize.errors import CriteriaNotMet
from anonymize.known import KnownValue
from anonymize.labels import LabelBook, ScrubbedText
from anonymize.manifest import make_manifest
from anonymize.notes import Progress, count_mentions, scrub_texts
from anonymize.partition import Published, published_labels
from anonymize.pseudonyms import Pseudonyms
from anonymize.report import ColumnReport, ReleaseReport
from anonymize.risk import measure_risks
from anonymize.roles import Role
from anonymize.spec import PSEUDONYM, ExtractSpec
from anonymize.tables import Rows, Table, make_table

if TYPE_CHECKING:
    from anonymize.text import Scrubber

DATA = "data.csv"
"""Name of the data file of an extract."""
_TREATMENT = {
    Role.DIRECT: "left out",
    Role.QUASI: "generalized by its hierarchy",
    Role.SENSITIVE: "as it was; counted for l",
    Role.TEXT: "findings replaced by numbered labels",
    Role.OTHER: "as it was",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """A checked extract.

    Attributes:
        columns: names of the published columns.
        rows: the published cells, before formulas are defused.
        report: the report.
        files: content of each file of the extract, by its name.
        checked: what the independent check found.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = field(repr=False)
    report: ReleaseReport
    files: Mapping[str, bytes] = field(repr=False)
    checked: Checked

    @property
    def manifest_digest(self) -> str:
        """SHA-256 of the manifest, for the ledger entry."""
        return digest(self.files["manifest.json"])


def build_extract(
    spec: ExtractSpec,
    rows: Rows,
    *,
    known: Mapping[str, Sequence[KnownValue]] | None = None,
    scrubber: "Scrubber | None" = None,
    progress: Progress | None = None,
) -> Extract:
    """De-identify rows.

    Args:
        spec: the terms of the release.
        rows: exactly the columns that `spec` names, its person's column
            too. Nothing of them is kept.
        known: by the person's key, values to find in the person's text
            besides those of the same row.
        scrubber: one with recognizers of its own; None builds the usual.
        progress: told of how far the work is.

    Returns:
        The extract. That it returns means that the criteria are met by the
        bytes of its data file.

    Raises:
        InvalidRows: columns or people do not fit the terms.
        ValueNotCovered: a value has no place in its hierarchy.
        CriteriaNotMet: the criteria cannot be met.
        InvalidSpec: the lattice of the quasi-identifiers is too large.
        TextTooLong: a free text is too long.
    """
    tell = progress or _silent
    table = make_table(spec, rows)
    count = len(next(iter(table.values()), ()))
    if count < spec.k:
        raise CriteriaNotMet(
            k_asked=spec.k, k_reached=0, l_asked=spec.l, suppressed=count
        )
    tell("classes", 0, count)
    found = published_labels(
        {n: (table[n], spec.hierarchies[n]) for n in spec.of_role(Role.QUASI)},
        {name: table[name] for name in spec.of_role(Role.SENSITIVE)},
        spec.criteria,
        count,
    )
    tell("classes", count, count)
    texts = scrub_texts(
        spec,
        table,
        found.rows,
        known=known or {},
        scrubber=scrubber,
        progress=tell,
    )
    columns, ready = _published_rows(spec, table, found, texts)
    tell("check", 0, count)
    data = write_csv(columns, ready, delimiter=spec.delimiter)
    checked = _check(spec, data, count)
    report = _report(spec, checked, count, (columns, ready))
    report = replace(report, mentions=count_mentions(texts))
    tell("check", count, count)
    files = {
        DATA: data,
        "report.json": report.to_json(),
        "report.md": report.to_markdown().encode("utf-8"),
    }
    files["manifest.json"] = make_manifest(spec, report, checked, files)
    return Extract(
        columns=columns,
        rows=ready,
        report=report,
        files=files,
        checked=checked,
    )


def _silent(stage: str, done: int, total: int) -> None:
    """Tell nobody of progress."""


def _published_rows(
    spec: ExtractSpec,
    table: Table,
    found: Published,
    texts: Mapping[str, Sequence[ScrubbedText]],
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return the columns and rows to publish, in the order of their text."""
    names = [name for name, role in spec.columns.items() if role.published]
    cells: dict[str, Sequence[str]] = {}
    for name in names:
        if name in texts:
            cells[name] = [text.outline() for text in texts[name]]
        elif name in found.labels:
            cells[name] = found.labels[name]
        else:
            cells[name] = [table[name][row] for row in found.rows]
    if spec.pseudonym_key is not None and spec.person is not None:
        pseudonyms = Pseudonyms(spec.pseudonym_key)
        people = table[spec.person]
        cells[PSEUDONYM] = [pseudonyms.name(people[n]) for n in found.rows]
    order = _order(spec, cells, texts)
    book = LabelBook()
    for name in texts:
        written = [""] * len(order)
        for number in order:
            written[number] = book.write(texts[name][number])
        cells[name] = written
    columns = (*({PSEUDONYM} & {*cells}), *names)
    listed = [
        [column[number] for number in order]
        for column in (cells[name] for name in columns)
    ]
    return columns, tuple(zip(*listed, strict=True))


def _order(
    spec: ExtractSpec,
    cells: Mapping[str, Sequence[str]],
    texts: Mapping[str, Sequence[ScrubbedText]],
) -> list[int]:
    """Order the rows by what is published of them.

    Rows that differ only in whom their texts mention are put in the order
    of a hash of it: neither that of the vault nor that of the names.
    """
    first = [cells[name] for name in spec.of_role(Role.QUASI)]
    rest = [cells[name] for name in cells if name not in spec.hierarchies]
    count = len(next(iter(cells.values()), ()))
    ties = [b""] * count
    for column in texts.values():
        for number, text in enumerate(column):
            said = repr([(m.entity, m.key) for m in text.mentions()])
            salted = (spec.pseudonym_key or b"") + ties[number]
            ties[number] = hashlib.sha256(salted + said.encode()).digest()
    keys = [*zip(*first, *rest, ties, strict=True)]
    return sorted(range(count), key=keys.__getitem__)


def _check(spec: ExtractSpec, data: bytes, count: int) -> Checked:
    terms = Terms(
        quasi=spec.of_role(Role.QUASI),
        sensitive=spec.of_role(Role.SENSITIVE),
        k=spec.k,
        l=spec.l,
        rows_in=count,
        allowed=spec.criteria.allowed(count),
        delimiter=spec.delimiter,
    )
    return check_bytes(
        data,
        terms,
        {name: each.describe() for name, each in spec.hierarchies.items()},
    )


def _report(
    spec: ExtractSpec,
    checked: Checked,
    count: int,
    published: tuple[tuple[str, ...], tuple[tuple[str, ...], ...]],
) -> ReleaseReport:
    columns = [
        ColumnReport(name=name, role=role.value, treatment=_TREATMENT[role])
        for name, role in spec.columns.items()
    ]
    if spec.person is not None:
        columns.append(_person_report(spec, spec.person))
    return ReleaseReport(
        purpose=spec.purpose,
        recipient=spec.recipient,
        columns=tuple(columns),
        k=spec.k,
        l=spec.l,
        allowed=spec.criteria.allowed(count),
        rows_in=count,
        rows_out=checked.rows,
        k_reached=checked.k,
        l_reached=checked.l,
        class_sizes=checked.class_sizes,
        ncp=checked.ncp or 0.0,
        alone=_alone(spec, *published),
        mentions={},
        risks=measure_risks(checked.class_sizes),
    )


def _person_report(spec: ExtractSpec, person: str) -> ColumnReport:
    named = spec.pseudonym_key is not None
    return ColumnReport(
        name=person,
        role=Role.DIRECT.value,
        treatment=f"replaced by {PSEUDONYM}" if named else "left out",
    )


def _alone(
    spec: ExtractSpec,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
) -> int:
    """Count the rows that equal no other, pseudonyms and text apart."""
    apart = {PSEUDONYM, *spec.of_role(Role.TEXT)}
    kept = [
        column
        for name, column in zip(columns, zip(*rows, strict=True), strict=True)
        if name not in apart
    ]
    counts = Counter(zip(*kept, strict=True))
    return sum(1 for each in counts.values() if each == 1)
