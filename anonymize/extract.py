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
from anonymize.crossing import Effect, Pair, crossing_effect
from anonymize.csvfile import write_csv
from anonymize.errors import CriteriaNotMet, InvalidSpec, SuccessionRefused
from anonymize.known import KnownValue
from anonymize.labels import LabelBook, ScrubbedText
from anonymize.manifest import make_manifest
from anonymize.models import Closeness, Likeness
from anonymize.notes import Progress, count_mentions, scrub_texts
from anonymize.partition import Plan, Published, published_labels
from anonymize.pseudonyms import Pseudonyms
from anonymize.published import PublishedLabels
from anonymize.report import Basis, ColumnReport, ReleaseReport
from anonymize.risk import measure_risks
from anonymize.roles import Role
from anonymize.spec import PSEUDONYM, ExtractSpec
from anonymize.succession import ABSENT, Past, succeeding_labels
from anonymize.tables import Rows, Table, make_table
from anonymize.trials import NO_QUASI, Trials, count_rows, try_release

if TYPE_CHECKING:
    from anonymize.text import Scrubber
    from anonymize.value_index import ValueIndex

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
        classes: for each published row, by its number in what was handed
            in, the number of its class; to make the next release from.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = field(repr=False)
    report: ReleaseReport
    files: Mapping[str, bytes] = field(repr=False)
    checked: Checked
    classes: Mapping[int, int] = field(default_factory=dict, repr=False)

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
    past: Past | None = None,
    basis: Basis | None = None,
    everybody: "ValueIndex | None" = None,
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
        past: what earlier releases had of these rows; None or none of them
            leaves the classes free.
        basis: what the release rests on, for the report.
        everybody: values to find in every free text, whosever it is: those
            of all people of the release.

    Returns:
        The extract. That it returns means that the criteria are met by the
        bytes of its data file.

    Raises:
        InvalidRows: columns or people do not fit the terms.
        ValueNotCovered: a value has no place in its hierarchy.
        CriteriaNotMet: the criteria cannot be met.
        InvalidSpec: the lattice of the quasi-identifiers is too large.
        TextTooLong: a free text is too long.
        SuccessionRefused: beside the earlier releases too little is left.
    """
    tell = progress or _silent
    table = make_table(spec, rows)
    count = len(next(iter(table.values()), ()))
    if count < spec.k:
        raise CriteriaNotMet(
            k_asked=spec.k, k_reached=0, l_asked=spec.l, suppressed=count
        )
    tell("classes", 0, count)
    found = _form_classes(spec, table, count, past)
    tell("classes", count, count)
    texts = scrub_texts(
        spec,
        table,
        found.rows,
        known=known or {},
        scrubber=scrubber,
        progress=tell,
        everybody=everybody,
    )
    columns, ready = _published_rows(spec, table, found, texts)
    tell("check", 0, count)
    data = write_csv(columns, ready, delimiter=spec.delimiter)
    checked = _check(spec, table, data, count)
    tell("check", count, count)
    tell("attacks", 0, count)
    classes, crossings = _numbered_classes(spec, table, found, past)
    cells = dict(zip(columns, zip(*ready, strict=True), strict=True))
    report = replace(
        make_report(spec, checked, count, _alone(spec, cells)),
        mentions=count_mentions(texts),
        trials=_try(spec, table, found, cells, checked.sha256),
        untried="" if found.labels else NO_QUASI,
        crossings=None if past is None else crossings,
        basis=basis or Basis(),
        losses=_losses(spec, cells),
    )
    tell("attacks", count, count)
    files = {
        DATA: data,
        "report.json": report.to_json(),
        "report.md": report.to_markdown().encode("utf-8"),
    }
    files["manifest.json"] = make_manifest(
        spec, report, checked, files, reference_counts(spec, table)
    )
    return Extract(
        columns=columns,
        rows=ready,
        report=report,
        files=files,
        checked=checked,
        classes=classes,
    )


def for_recipient(spec: ExtractSpec, extract: Extract) -> Extract:
    """Return an extract whose report and manifest count published rows alone.

    How many rows were handed in or suppressed would tell, from one release
    to the next, how many people withdrew. NCP is that of the published rows:
    over all rows it would give the others away.

    Args:
        spec: the terms of the release, without models that compare with
            the input.
        extract: what `build_extract` returned.

    Raises:
        InvalidSpec: a model compares with the rows handed in, whose counts
            the manifest states.
    """
    if compared(spec):
        msg = "the reference counts of a model tell how many rows there were"
        raise InvalidSpec(msg)
    full = extract.report
    lost = full.ncp * full.rows_in - full.suppressed
    report = replace(
        full,
        rows_in=full.rows_out,
        allowed=0,
        ncp=max(0.0, lost / full.rows_out),
        published_only=True,
        basis=replace(full.basis, counted={}),
    )
    files = {
        DATA: extract.files[DATA],
        "report.json": report.to_json(),
        "report.md": report.to_markdown().encode("utf-8"),
    }
    checked = replace(extract.checked, suppressed=0)
    files["manifest.json"] = make_manifest(spec, report, checked, files, {})
    return replace(extract, report=report, files=files, checked=checked)


def _form_classes(
    spec: ExtractSpec, table: Table, count: int, past: Past | None
) -> Published:
    quasi = {
        name: (table[name], spec.hierarchies[name])
        for name in spec.of_role(Role.QUASI)
    }
    sensitive = {name: table[name] for name in spec.of_role(Role.SENSITIVE)}
    plan = plan_of(spec)
    if past is None or not past.classes or not quasi:
        return published_labels(quasi, sensitive, spec.criteria, count, plan)
    return succeeding_labels(quasi, sensitive, spec.criteria, past, plan)


def _numbered_classes(
    spec: ExtractSpec, table: Table, found: Published, past: Past | None
) -> tuple[dict[int, int], tuple[Effect, ...]]:
    """Number the classes, and check them against those of before."""
    labels = [*zip(*found.labels.values(), strict=True)]
    numbers: dict[tuple[str, ...], int] = {}
    classes = {
        row: numbers.setdefault(label, len(numbers))
        for row, label in zip(
            found.rows, labels or [()] * len(found.rows), strict=True
        )
    }
    past = past or Past()
    now = [classes.get(row) for row in range(len(next(iter(table.values()))))]
    effects = tuple(
        crossing_effect(
            Pair(
                sizes=sizes,
                before=[
                    None if number == ABSENT else number
                    for number in past.classes[at]
                ],
                now=now,
                had=past.values[at] if past.values else {},
                has={name: table[name] for name in guarded_columns(spec)},
                release=past.releases[at] if past.releases else "",
            ),
            spec.k,
            spec.l,
        )
        for at, sizes in enumerate(past.sizes)
    )
    if any(effect.small or effect.uniform for effect in effects):
        raise SuccessionRefused(withheld=len(found.rows), allowed=0)
    return classes, effects


def guarded_columns(spec: ExtractSpec) -> tuple[str, ...]:
    """Return the columns whose values are diverse between releases, too.

    Args:
        spec: the terms of the release.
    """
    return spec.of_role(Role.SENSITIVE) if spec.l > 1 else ()


def plan_of(spec: ExtractSpec) -> Plan:
    """Return how classes are to be formed.

    Args:
        spec: the terms of the release.
    """
    return Plan(
        models=spec.models,
        fast=spec.fast,
        weights=spec.weights,
        sets=spec.sets,
        of_people=spec.of_people,
        population=spec.population,
    )


def terms_of(
    spec: ExtractSpec, count: int, reference: Mapping[str, Mapping[str, int]]
) -> Terms:
    """Return what the independent check is to hold an extract to.

    Args:
        spec: the terms of the release.
        count: rows handed in.
        reference: rows of each value of the columns that are compared.
    """
    return Terms(
        quasi=spec.of_role(Role.QUASI),
        sensitive=spec.of_role(Role.SENSITIVE),
        k=spec.k,
        l=spec.l,
        rows_in=count,
        allowed=spec.criteria.allowed(count),
        delimiter=spec.delimiter,
        models=tuple(model.describe() for model in spec.models),
        reference=reference,
        sets=spec.sets,
        people=tuple(model.describe() for model in spec.of_people),
        population=(
            None if spec.population is None else spec.population.people
        ),
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


def _check(
    spec: ExtractSpec, table: Table, data: bytes, count: int
) -> Checked:
    terms = terms_of(spec, count, reference_counts(spec, table))
    return check_bytes(
        data,
        terms,
        {name: each.describe() for name, each in spec.hierarchies.items()},
    )


def reference_counts(
    spec: ExtractSpec, table: Table
) -> dict[str, dict[str, int]]:
    """Count the values of the columns whose models have a reference.

    Args:
        spec: the terms.
        table: the rows that were handed in.
    """
    return {name: dict(Counter(table[name])) for name in compared(spec)}


def compared(spec: ExtractSpec) -> list[str]:
    """List the columns whose models have a reference.

    Args:
        spec: the terms.
    """
    concerned = {
        model.column
        for model in spec.models
        if isinstance(model, Closeness | Likeness)
    }
    return sorted(concerned)


def make_report(
    spec: ExtractSpec, checked: Checked, count: int, alone: int
) -> ReleaseReport:
    """Make the report of an extract.

    Args:
        spec: the terms of the release.
        checked: what the independent check found.
        count: rows handed in.
        alone: rows that equal no other, pseudonyms and text apart.
    """
    columns = [
        ColumnReport(
            name=name,
            role=role.value,
            treatment=(
                "generalized to the values of its class"
                if spec.sets and role is Role.QUASI
                else _TREATMENT[role]
            ),
        )
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
        alone=alone,
        mentions={},
        risks=measure_risks(checked.class_sizes, population=checked.people),
        models=tuple(
            (
                f"{each.model} of {each.column or 'people'}",
                f"{each.reached:.6f}",
                "none" if each.otherwise is None else f"{each.otherwise:.6f}",
            )
            for each in checked.models
        ),
    )


def _person_report(spec: ExtractSpec, person: str) -> ColumnReport:
    named = spec.pseudonym_key is not None
    return ColumnReport(
        name=person,
        role=Role.DIRECT.value,
        treatment=f"replaced by {PSEUDONYM}" if named else "left out",
    )


def _try(
    spec: ExtractSpec,
    table: Table,
    found: Published,
    cells: Mapping[str, Sequence[str]],
    sha256: str,
) -> Trials | None:
    """Attack the release, where there is something to attack by."""
    if not found.labels:
        return None
    return try_release(spec, count_rows(spec, table, found), sha256, cells)


def _losses(
    spec: ExtractSpec, cells: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Return the NCP of the published cells of each quasi-identifier."""
    losses = {}
    for name, each in spec.hierarchies.items():
        reader = PublishedLabels(name, each.describe(), sets=spec.sets)
        labels = Counter(cells[name])
        lost = sum(many * reader.penalty(one) for one, many in labels.items())
        losses[name] = lost / max(labels.total(), 1)
    return losses


def _alone(spec: ExtractSpec, cells: Mapping[str, Sequence[str]]) -> int:
    """Count the rows that equal no other, pseudonyms and text apart."""
    apart = {PSEUDONYM, *spec.of_role(Role.TEXT)}
    kept = [column for name, column in cells.items() if name not in apart]
    counts = Counter(zip(*kept, strict=True))
    return sum(1 for each in counts.values() if each == 1)
