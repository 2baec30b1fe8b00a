"""The independent check of an extract.

It shares no code with the engine and believes nothing it said: it reads the
published bytes with another library, puts equal labels together, counts,
and compares with what was asked for and with what the manifest states. A
recipient can run it too. Missing values are not counted as sensitive
values. Rows whose quasi-identifiers all read ``*`` count as suppressed and
form no class.

Penalties are recomputed from the hierarchies as data, the form that
`Hierarchy.describe` gives.
"""

import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from anonymize.errors import CriteriaNotMet, ExtractTampered, MissingExtra
from anonymize.published import (
    Description,
    PublishedLabels,
    population_of_classes,
)
from anonymize.recheck import Measured, measure_model, measure_people

try:
    import polars as pl
except ImportError as missing:
    raise MissingExtra(library="polars") from missing

CHECKER = "curtilage-check/2"
"""Name and version of the checker, for the manifest."""
ROWS = "\0rows"
"""Name of the column of counts."""
_STAR = "*"
_TOLERANCE = 2e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an extract must hold.

    Attributes:
        quasi: published names of the quasi-identifiers.
        sensitive: published names of the sensitive columns.
        k: smallest class, in rows.
        l: fewest distinct sensitive values in a class.
        rows_in: rows that were handed in.
        allowed: rows that may be suppressed.
        delimiter: what stands between cells.
        models: privacy models beside k and distinct l, as data.
        reference: for the columns of models that have a reference, the rows
            of each value in the table that was handed in.
        sets: whether labels are sets and intervals of values, rather than
            nodes of the hierarchies.
        people: models of the people that a label matches, as data.
        population: distinct quasi-identifiers of the population and how
            many people have them; None leaves those models out.
    """

    quasi: tuple[str, ...]
    sensitive: tuple[str, ...]
    k: int
    l: int  # noqa: E741 - the literature's own name for it
    rows_in: int
    allowed: int
    delimiter: str
    models: tuple[Mapping[str, Any], ...] = ()
    reference: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    sets: bool = False
    people: tuple[Mapping[str, Any], ...] = ()
    population: tuple[tuple[tuple[str, ...], int], ...] | None = field(
        default=None, repr=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the check found.

    Attributes:
        k: rows of the smallest class.
        l: fewest distinct sensitive values in a class; None where no column
            is sensitive.
        rows: rows published, without suppressed ones.
        suppressed: rows handed in and not published, or all ``*``.
        class_sizes: rows of each class, rising.
        ncp: mean penalty over all rows handed in and all
            quasi-identifiers, from 0 to 1; None without hierarchies.
        sha256: hash of the bytes.
        models: what each further model comes to.
        people: people of the population that each class's label matches, in
            the order of `class_sizes`; None without a population.
    """

    k: int
    l: int | None  # noqa: E741 - the literature's own name for it
    rows: int
    suppressed: int
    class_sizes: tuple[int, ...]
    ncp: float | None
    sha256: str
    models: tuple[Measured, ...] = ()
    people: tuple[int, ...] | None = None


def check_bytes(
    data: bytes,
    terms: Terms,
    hierarchies: Mapping[str, Description] | None = None,
) -> Checked:
    """Check the bytes of an extract against its terms.

    Args:
        data: the published file.
        terms: what it must hold.
        hierarchies: description of each quasi-identifier's hierarchy; None
            leaves the penalty out.

    Returns:
        What was found. That it returns means that the terms are met.

    Raises:
        CriteriaNotMet: k, l or the suppression limit is missed.
        ExtractTampered: the bytes are no such table.
    """
    return check_table(
        _read(data, terms).lazy(),
        terms,
        hierarchies,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def check_table(
    table: pl.LazyFrame,
    terms: Terms,
    hierarchies: Mapping[str, Description] | None = None,
    *,
    sha256: str = "",
    guarded: bool = True,
) -> Checked:
    """Check a published table, which need not fit in memory.

    Args:
        table: the table as it was read from where it was published.
        terms: what it must hold.
        hierarchies: as in `check_bytes`.
        sha256: hash of the file, which is handed on.
        guarded: whether formulas were defused in it.

    Raises:
        CriteriaNotMet: k, l, a model or the suppression limit is missed.
        ExtractTampered: it is no such table.
    """
    counted = count_table(table, terms)
    return check_counted(
        counted, terms, hierarchies, sha256=sha256, guarded=guarded
    )


def count_table(table: pl.LazyFrame, terms: Terms) -> pl.DataFrame:
    """Count the distinct rows of a published table, in one reading of it.

    Args:
        table: the table as it was read from where it was published.
        terms: names its quasi-identifiers and sensitive columns.

    Returns:
        Those columns, and how many rows there are of each.
    """
    names = [*dict.fromkeys((*terms.quasi, *terms.sensitive))]
    counted = pl.len().cast(pl.Int64).alias(ROWS)
    if names:
        found = table.group_by(names).agg(counted)
    else:
        found = table.select(counted)
    return found.collect(engine="streaming")


def check_counted(
    counted: pl.DataFrame,
    terms: Terms,
    hierarchies: Mapping[str, Description] | None = None,
    *,
    sha256: str = "",
    guarded: bool = True,
) -> Checked:
    """Check the counts of a published table.

    Args:
        counted: as `count_table` returns it.
        terms: what the table must hold.
        hierarchies: as in `check_bytes`.
        sha256: hash of the file, which is handed on.
        guarded: whether formulas were defused in it.

    Raises:
        CriteriaNotMet: k, l, a model or the suppression limit is missed.
        ExtractTampered: it is no such table.
    """
    kept = counted
    if terms.quasi:
        starred = pl.all_horizontal(pl.col(terms.quasi) == _STAR)
        kept = counted.filter(~starred)
    classes = _classes(kept, terms)
    sizes = classes[ROWS].to_list()
    histograms = {
        name: _histograms(kept, terms, name) for name in terms.sensitive
    }
    diversity = _diversity(histograms, classes, terms)
    rows = sum(sizes)
    suppressed = terms.rows_in - rows
    smallest = min(sizes, default=0)
    if (
        smallest < terms.k
        or (terms.l > 1 and (diversity is None or diversity < terms.l))
        or not 0 <= suppressed <= terms.allowed
    ):
        raise CriteriaNotMet(
            k_asked=terms.k,
            k_reached=smallest,
            l_asked=terms.l,
            l_reached=diversity,
            suppressed=suppressed,
            allowed=terms.allowed,
        )
    models = tuple(
        measure_model(
            _of_classes(histograms, terms, model),
            model,
            terms.reference.get(model["column"]),
        )
        for model in terms.models
    )
    people = None
    if terms.population is not None and hierarchies is not None:
        people = _people(classes, terms, hierarchies, guarded=guarded)
        models += tuple(
            measure_people(sizes, people, model) for model in terms.people
        )
    missed = [each for each in models if not each.holds]
    if missed:
        raise CriteriaNotMet(
            k_asked=terms.k,
            k_reached=smallest,
            l_asked=terms.l,
            l_reached=diversity,
            suppressed=suppressed,
            allowed=terms.allowed,
            missed=tuple(
                f"{m.model} of {m.column}" if m.column else m.model
                for m in missed
            ),
        )
    ncp = None
    if hierarchies is not None:
        ncp = _penalty(classes, terms, hierarchies, guarded=guarded)
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    return Checked(
        k=smallest,
        l=diversity,
        rows=rows,
        suppressed=suppressed,
        class_sizes=tuple(sizes[at] for at in order),
        people=None if people is None else tuple(people[at] for at in order),
        ncp=ncp,
        sha256=sha256,
        models=models,
    )


def check_folder(
    folder: Path,
    hierarchies: Mapping[str, Description] | None = None,
    population: tuple[tuple[tuple[str, ...], int], ...] | None = None,
) -> Checked:
    """Check an extract in a folder against its own manifest.

    The manifest itself is to be checked by its hash or signature, which the
    ledger entry of the release holds.

    Args:
        folder: where data, reports and manifest lie.
        hierarchies: description of each quasi-identifier's hierarchy; None
            leaves the penalty out.
        population: as in `Terms`; with hierarchies it has the models of
            people checked, too.

    Returns:
        What was found.

    Raises:
        CriteriaNotMet: the criteria of the manifest are missed.
        ExtractTampered: a file is not what the manifest says.
    """
    manifest = _manifest(folder)
    try:
        terms = _terms(manifest)
        files = dict(manifest["files"])
        stated = dict(manifest["reached"])
        digests = dict(manifest["hierarchies"])
    except (AttributeError, KeyError, TypeError, ValueError):
        msg = "manifest.json lacks what the check needs"
        raise ExtractTampered(msg) from None
    data = b""
    for name in sorted(files):
        content = _content(folder, name, files[name])
        data = content if name == "data.csv" else data
    if hierarchies is not None:
        _check_digests(hierarchies, digests)
    terms = replace(terms, population=population)
    checked = check_bytes(data, terms, hierarchies)
    _compare(checked, stated)
    return checked


def _read(data: bytes, terms: Terms) -> pl.DataFrame:
    try:
        table = pl.read_csv(
            io.BytesIO(data),
            separator=terms.delimiter,
            infer_schema=False,
            empty_string_is_null=False,
        )
    except pl.exceptions.PolarsError as problem:
        msg = f"the data cannot be read ({type(problem).__name__})"
        raise ExtractTampered(msg) from None
    lost = {*terms.quasi, *terms.sensitive} - {*table.columns}
    if lost:
        msg = "columns are missing: " + ", ".join(sorted(lost))
        raise ExtractTampered(msg)
    return table


def _classes(kept: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Count the rows of each class."""
    counted = pl.col(ROWS).sum()
    if terms.quasi:
        return kept.group_by(terms.quasi).agg(counted)
    return kept.select(counted).filter(pl.col(ROWS) > 0)


def _histograms(kept: pl.DataFrame, terms: Terms, column: str) -> pl.DataFrame:
    """Count the rows of each value of a column in each class."""
    names = [*dict.fromkeys((*terms.quasi, column))]
    if {*names, ROWS} == {*kept.columns}:
        return kept
    return kept.group_by(names).agg(pl.col(ROWS).sum())


def _diversity(
    histograms: Mapping[str, pl.DataFrame],
    classes: pl.DataFrame,
    terms: Terms,
) -> int | None:
    """Return the fewest distinct values of any column in any class."""
    if not terms.sensitive:
        return None
    if not classes.height:
        return 0
    fewest = []
    for name, counted in histograms.items():
        there = (pl.col(name) != "").sum().alias("values")
        if terms.quasi:
            found = counted.group_by(terms.quasi).agg(there)
        else:
            found = counted.select(there)
        fewest += found["values"].to_list()
    return min(map(int, fewest))


def _of_classes(
    histograms: Mapping[str, pl.DataFrame],
    terms: Terms,
    model: Mapping[str, Any],
) -> list[dict[str, int]]:
    """Return the rows of each value in each class, for one model."""
    column = str(model["column"])
    if column not in histograms:
        msg = "a privacy model of the manifest cannot be measured"
        raise ExtractTampered(msg)
    counted = histograms[column]
    if not terms.quasi:
        return [dict(counted.select(column, ROWS).iter_rows())]
    grouped = counted.group_by(terms.quasi).agg(
        pl.col(column).alias("values"), pl.col(ROWS)
    )
    return [
        dict(zip(values, rows, strict=True))
        for values, rows in grouped.select("values", ROWS).iter_rows()
    ]


def _people(
    classes: pl.DataFrame,
    terms: Terms,
    hierarchies: Mapping[str, Description],
    *,
    guarded: bool,
) -> list[int]:
    """Count the people that each class's label matches."""
    names = [*terms.quasi]
    labels = [
        tuple(each.removeprefix("'") if guarded else each for each in row)
        for row in classes.select(names).iter_rows()
    ]
    readers = [
        PublishedLabels(name, hierarchies[name], sets=terms.sets)
        for name in names
    ]
    return population_of_classes(labels, readers, terms.population or ())


def _penalty(
    classes: pl.DataFrame,
    terms: Terms,
    hierarchies: Mapping[str, Description],
    *,
    guarded: bool,
) -> float:
    if not terms.quasi:
        return 0.0
    rows = int(classes[ROWS].sum())
    lost = [float(terms.rows_in - rows) * len(terms.quasi)]
    lazy = classes.lazy()
    rows_of = pl.collect_all(
        lazy.group_by(name).agg(pl.col(ROWS).sum()) for name in terms.quasi
    )
    for name, summed in zip(terms.quasi, rows_of, strict=True):
        penalty = PublishedLabels(name, hierarchies[name], sets=terms.sets)
        for label, many in summed.iter_rows():
            # An apostrophe may stand there against formulas.
            plain = label.removeprefix("'") if guarded else label
            lost.append(many * penalty.penalty(plain))
    # Groups come in any order; an exact sum does not depend on it.
    return math.fsum(lost) / (terms.rows_in * len(terms.quasi))


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError):
        msg = f"{folder}: manifest.json is missing or not JSON"
        raise ExtractTampered(msg) from None
    if not isinstance(manifest, dict):
        msg = "manifest.json is not an object"
        raise ExtractTampered(msg)
    return manifest


def _terms(manifest: Mapping[str, Any]) -> Terms:
    columns: Sequence[Mapping[str, str]] = manifest["columns"]
    criteria, rows = manifest["criteria"], manifest["rows"]
    return Terms(
        quasi=tuple(c["name"] for c in columns if c["role"] == "quasi"),
        sensitive=tuple(
            c["name"] for c in columns if c["role"] == "sensitive"
        ),
        k=int(criteria["k"]),
        l=int(criteria["l"]),
        rows_in=int(rows["in"]),
        allowed=int(rows["allowed"]),
        delimiter=str(manifest["delimiter"]),
        models=tuple(criteria.get("models", ())),
        reference={
            str(column): {str(v): int(n) for v, n in counts.items()}
            for column, counts in criteria.get("reference", {}).items()
        },
        sets=manifest.get("labels") == "S",
        people=tuple(criteria.get("of_people", ())),
    )


def _content(folder: Path, name: str, sha256: object) -> bytes:
    if Path(name).name != name:
        msg = "the manifest names a file outside its folder"
        raise ExtractTampered(msg)
    try:
        content = (folder / name).read_bytes()
    except OSError:
        msg = f"{name} is missing"
        raise ExtractTampered(msg) from None
    if hashlib.sha256(content).hexdigest() != sha256:
        msg = f"{name} is not the file that the manifest names"
        raise ExtractTampered(msg)
    return content


def _check_digests(
    hierarchies: Mapping[str, Description], digests: Mapping[str, object]
) -> None:
    for name, stated in digests.items():
        text = json.dumps(
            hierarchies.get(name),
            ensure_ascii=False,
            separators=(",", ":"),
            sort_keys=True,
        )
        if hashlib.sha256(text.encode("utf-8")).hexdigest() != stated:
            msg = f"column {name}: not the hierarchy that the manifest names"
            raise ExtractTampered(msg)


def _compare(checked: Checked, stated: Mapping[str, object]) -> None:
    found = {
        "k": checked.k,
        "l": checked.l,
        "rows": checked.rows,
        "suppressed": checked.suppressed,
        "classes": len(checked.class_sizes),
    }
    wrong = [name for name, each in found.items() if stated.get(name) != each]
    reached = stated.get("models", [])
    measured = [f"{m.reached:.6f}" for m in checked.models if m.column]
    if reached != measured:
        wrong.append("models")
    if checked.ncp is not None:
        difference = abs(float(str(stated.get("ncp", "nan"))) - checked.ncp)
        if not difference <= _TOLERANCE:
            wrong.append("ncp")
    if wrong:
        msg = "the data do not reach what is stated: " + ", ".join(wrong)
        raise ExtractTampered(msg)
