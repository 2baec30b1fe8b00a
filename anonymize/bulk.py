"""Extracts of files of any size that one machine's disk holds.

The rows are never in memory together. The file is streamed once and its
distinct rows are counted; classes are formed of the counts; then every
distinct row is written as often as it occurs, under the labels of its
class. Where columns are published that are neither quasi-identifiers nor
sensitive, and so may differ in every row, the file is streamed once more,
and each row looks its labels up.

The rows are in the order of what is published of them, as in
`extract.build_extract`, which gives the same rows: nothing of the order of
the file is left. What is written is read back from disk by the independent
check before it gets its name.

Whoever counts the rows, here or on a cluster, the classes and the extract
are the same (`Counts`).
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from anonymize.checker import ROWS, Checked, check_counted, count_table
from anonymize.classes import Labels
from anonymize.cube import (
    Coded,
    Cube,
    Whole,
    count_among,
    count_items,
    make_axis,
    number_columns,
    pack,
    with_people,
)
from anonymize.errors import CriteriaNotMet, InvalidRows, MissingExtra
from anonymize.extract import compared, make_report, plan_of, terms_of
from anonymize.notes import Progress
from anonymize.partition import Found, choose, class_labels, counts
from anonymize.report import ReleaseReport
from anonymize.roles import Role
from anonymize.spec import ExtractSpec
from anonymize.tablefile import COUNT, PARQUET, TableFile
from anonymize.trials import (
    LEFT_OUT,
    NO_QUASI,
    Column,
    Items,
    Trials,
    count_published,
    try_release,
)

try:
    import numpy as np
    import numpy.typing as npt
    import polars as pl
except ImportError as missing:
    raise MissingExtra(library="polars") from missing

MOST_ATTACKED = 2_000_000
"""Most distinct rows of a release that is attacked, for want of memory."""
_BATCH = 1_000_000
_CLASS = "\0class"
_TRIGGER = r"^[=+\-@\t\r\n'＝＋－＠]"
_NUMBER = r"^[+-]?[0-9]+(?:\.[0-9]+)?$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An extract in a file.

    Attributes:
        report: its report.
        checked: what the independent check found on disk.
        way: name of the way that formed the classes.
    """

    report: ReleaseReport
    checked: Checked
    way: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The distinct rows of a table, counted.

    Attributes:
        frame: quasi-identifiers, sensitive columns and `tablefile.COUNT`.
        rows: rows in all.
        place: tells of values of a column how many rows hold them, and the
            number of the first, or 0 where that is not known.
    """

    frame: pl.DataFrame = field(repr=False)
    rows: int
    place: Callable[[str, set[str]], tuple[int, int]] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """What is published of the distinct rows.

    Attributes:
        frame: distinct rows of quasi-identifiers and sensitive columns as
            they were handed in and are published, with their `COUNT`; the
            names of the handed-in quasi-identifiers begin with a NUL.
        left_out: distinct rows that are not published, as handed in, with
            their `COUNT`.
        rows: rows handed in.
        reference: rows of each value of the columns that are compared.
        way: name of the way that formed the classes.
    """

    frame: pl.DataFrame = field(repr=False)
    left_out: pl.DataFrame = field(repr=False)
    rows: int
    reference: Mapping[str, Mapping[str, int]]
    way: str


def count_file(spec: ExtractSpec, source: TableFile) -> Counts:
    """Count the distinct rows of a file.

    Args:
        spec: the terms, which name every column.
        source: the file.

    Raises:
        InvalidRows: the rows do not fit the terms.
    """
    check_columns(spec, source.columns)
    names = counted_columns(spec)
    if names:
        frame = source.counted(names)
    else:
        frame = source.counted(source.columns).select(COUNT)
    if spec.person is not None:
        _check_people(spec.person, source)
    for name in spec.of_role(Role.OTHER):
        _refuse_nul(name, source)

    def place(name: str, lost: set[str]) -> tuple[int, int]:
        of_lost = pl.col(name).is_in([*lost])
        numbered = source.rows.select(name).with_row_index("\0n", offset=1)
        found = source.ask(
            numbered.filter(of_lost).select(
                pl.len(), pl.col("\0n").min().alias("first")
            )
        )
        many, first = found.row(0)
        return int(many), int(first)

    return Counts(frame=frame, rows=int(frame[COUNT].sum()), place=place)


def counted_columns(spec: ExtractSpec) -> list[str]:
    """List the columns whose distinct rows are counted.

    Args:
        spec: the terms.
    """
    return [*spec.of_role(Role.QUASI), *spec.of_role(Role.SENSITIVE)]


def label_counts(spec: ExtractSpec, counted: Counts) -> Labelled:
    """Form classes of counted rows, and label the rows.

    Args:
        spec: the terms.
        counted: the rows.

    Raises:
        InvalidRows: a value holds a NUL character.
        ValueNotCovered: a value has no place in its hierarchy.
        CriteriaNotMet: the criteria cannot be met.
        InvalidSpec: there are too many levels or sensitive values.
    """
    columns = _in_numbers(spec, counted.frame)
    if counted.rows < spec.k:
        raise CriteriaNotMet(
            k_asked=spec.k,
            k_reached=0,
            l_asked=spec.l,
            suppressed=counted.rows,
        )
    frame, way = counted.frame, ""
    left_out = frame.clear()
    quasi = spec.of_role(Role.QUASI)
    if quasi:
        cube = _cube(spec, counted, columns)
        best = choose(cube, spec.criteria, plan_of(spec))
        kept = pl.Series(best.kept[best.classes.member[cube.tuples]])
        left_out = frame.filter(~kept)
        frame, way = _labelled(spec, cube, best, frame), best.way
    reference = {
        name: dict(
            counted.frame.group_by(name).agg(pl.col(COUNT).sum()).iter_rows()
        )
        for name in compared(spec)
    }
    return Labelled(
        frame=frame,
        left_out=left_out,
        rows=counted.rows,
        reference=reference,
        way=way,
    )


def write_labelled(
    spec: ExtractSpec,
    labelled: Labelled,
    source: TableFile,
    path: Path,
    *,
    suffix: str,
) -> None:
    """Write an extract.

    Args:
        spec: the terms.
        labelled: the labels.
        source: the file that was handed in, for columns that were not
            counted.
        path: the file to write.
        suffix: ``.parquet`` for Parquet; any other is CSV.
    """
    names = [name for name, role in spec.columns.items() if role.published]
    others = {*names} - {*counted_columns(spec)}
    order = [*spec.of_role(Role.QUASI)]
    order += [name for name in names if name not in order]
    written = list(map(pl.col, names))
    if suffix != PARQUET:
        written = [_guarded(name, labelled.frame) for name in names]
    if others:
        looked_up = _looked_up(spec, labelled, source).select(names)
        lazy = looked_up.sort(order).select(written)
    else:
        summed = labelled.frame.group_by(names).agg(pl.col(COUNT).sum())
        distinct = summed.sort(order).select(*written, COUNT)
        lazy = _repeated(distinct, names)
    if suffix == PARQUET:
        lazy.sink_parquet(path, compression="zstd", compression_level=1)
        return
    lazy.sink_csv(path, separator=spec.delimiter, check_extension=False)


def check_written(
    spec: ExtractSpec,
    labelled: Labelled,
    path: Path,
    *,
    suffix: str,
    attack: bool = True,
) -> Written:
    """Read an extract back from disk, check it, and report.

    Args:
        spec: the terms.
        labelled: what was to be written.
        path: the file.
        suffix: as in `write_labelled`.
        attack: as in `check_table_of`.

    Raises:
        CriteriaNotMet: the file misses the criteria.
        ExtractTampered: the file is not what was to be written.
    """
    packed = suffix == PARQUET
    if packed:
        table = pl.scan_parquet(path, glob=False)
    else:
        table = pl.scan_csv(
            path,
            separator=spec.delimiter,
            infer_schema=False,
            empty_string_is_null=False,
            glob=False,
        )
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return check_table_of(
        spec,
        labelled,
        table,
        sha256=sha256,
        guarded=not packed,
        attack=attack,
    )


def check_table_of(
    spec: ExtractSpec,
    labelled: Labelled,
    table: pl.LazyFrame,
    *,
    sha256: str,
    guarded: bool,
    attack: bool = True,
) -> Written:
    """Check an extract as it is read from disk, and report.

    Args:
        spec: the terms.
        labelled: what was to be written.
        table: the extract.
        sha256: hash of its file.
        guarded: whether formulas were defused.
        attack: whether it is attacked for the report.

    Raises:
        CriteriaNotMet: the file misses the criteria.
        ExtractTampered: the file is not what was to be written.
    """
    terms = terms_of(spec, labelled.rows, labelled.reference)
    counted = count_table(table, terms)
    checked = check_counted(
        counted,
        terms,
        {name: each.describe() for name, each in spec.hierarchies.items()},
        sha256=sha256,
        guarded=guarded,
    )
    names = table.collect_schema().names()
    if {*names, ROWS} == {*counted.columns}:
        alone = counted.filter(pl.col(ROWS) == 1).height
    else:
        once = table.group_by(names).agg(pl.len().alias(ROWS))
        alone = (
            once.filter(pl.col(ROWS) == 1)
            .select(pl.len())
            .collect(engine="streaming")
            .item()
        )
    report = make_report(spec, checked, labelled.rows, int(alone))
    if not attack:
        return Written(report=report, checked=checked, way=labelled.way)
    found = _attacked(spec, labelled, sha256)
    if isinstance(found, Trials):
        report = replace(report, trials=found)
    else:
        report = replace(report, untried=found)
    return Written(report=report, checked=checked, way=labelled.way)


def _attacked(
    spec: ExtractSpec, labelled: Labelled, sha256: str
) -> Trials | str:
    """Attack the release, or say why it is not attacked."""
    if not spec.of_role(Role.QUASI):
        return NO_QUASI
    count = len(labelled.frame) + len(labelled.left_out)
    if count > MOST_ATTACKED:
        return (
            f"{count} distinct rows; releases are attacked up to "
            f"{MOST_ATTACKED} of them, for want of memory"
        )
    return try_release(spec, _items(spec, labelled), sha256)


def _items(spec: ExtractSpec, labelled: Labelled) -> Items:
    """Count what is published as the attacks have it."""
    kept, rest = labelled.frame, labelled.left_out
    quasi = spec.of_role(Role.QUASI)
    true = {name: kept[name] for name in spec.of_role(Role.SENSITIVE)}
    true = {name: kept[f"\0{name}"] for name in quasi} | true
    labels = {name: _column(kept[name]) for name in quasi}
    own = number_columns(
        pack(
            np.stack([one.codes for one in labels.values()]),
            [len(one.texts) for one in labels.values()],
        )
    )
    first = np.zeros(int(own.max(initial=-1)) + 1, dtype=np.int64)
    first[own] = np.arange(len(own))
    return count_published(
        {
            name: _column(pl.concat([cells.alias(name), rest[name]]))
            for name, cells in true.items()
        },
        {name: one.at(first).cells() for name, one in labels.items()},
        np.concatenate((own, np.full(len(rest), LEFT_OUT))),
        pl.concat([kept[COUNT], rest[COUNT]]).to_numpy(),
    )


def _column(cells: pl.Series) -> Column:
    """Number the cells of a column."""
    kind = cells.dtype
    if not isinstance(kind, pl.Enum):
        kind = pl.Enum(sorted(cells.unique()))
    numbers = cells.cast(kind).to_physical().to_numpy()
    return Column(texts=tuple(kind.categories), codes=numbers.astype(np.int64))


def extract_file_in_bulk(
    spec: ExtractSpec,
    source: TableFile,
    path: Path,
    *,
    suffix: str,
    progress: Progress,
    count: Callable[[ExtractSpec, TableFile], Counts] = count_file,
    attack: bool = True,
) -> Written:
    """De-identify a file into another, which gets no name of its own yet.

    Args:
        spec: the terms; no column is free text.
        source: the file.
        path: the file to write.
        suffix: ``.parquet`` for Parquet; any other is CSV.
        progress: told of the stage.
        count: who counts the rows.
        attack: whether the extract is attacked for the report.

    Raises:
        AnonymizeError: as `count_file`, `label_counts`, `check_written`.
    """
    progress("count", 0, 0)
    counted = count(spec, source)
    progress("classes", 0, counted.rows)
    labelled = label_counts(spec, counted)
    progress("write", 0, counted.rows)
    write_labelled(spec, labelled, source, path, suffix=suffix)
    progress("check", 0, counted.rows)
    written = check_written(spec, labelled, path, suffix=suffix, attack=attack)
    progress("check", counted.rows, counted.rows)
    return written


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Numbered:
    """A column in numbers.

    Attributes:
        values: its distinct values, in their order.
        numbers: which of them each row has.
    """

    values: tuple[str, ...] = field(repr=False)
    numbers: npt.NDArray[np.unsignedinteger[Any]] = field(repr=False)


def _in_numbers(
    spec: ExtractSpec, frame: pl.DataFrame
) -> dict[str, _Numbered]:
    """Number the values of the columns that are counted.

    Raises:
        InvalidRows: a value holds a NUL character.
    """
    columns = {}
    for name in counted_columns(spec):
        columns[name] = _numbered(frame[name])
        if any("\0" in value for value in columns[name].values):
            msg = f"column {name}: a NUL character; remove it"
            raise InvalidRows(msg)
    return columns


def _numbered(column: pl.Series) -> _Numbered:
    """Number the values of a column in their order."""
    own = pl.Categorical(pl.Categories.random())
    codes = column.cast(own).to_physical().to_numpy()
    # Each code's last row, and so its value.
    row = np.full(int(codes.max(initial=0)) + 1, -1, dtype=np.int64)
    row[codes] = np.arange(len(codes))
    used = np.flatnonzero(row >= 0)
    found = column.gather(row[used]).to_list()
    order = sorted(range(len(found)), key=found.__getitem__)
    into = np.zeros(len(row), dtype=np.int64)
    into[used[order]] = np.arange(len(order))
    kind = np.min_scalar_type(max(len(order) - 1, 0))
    return _Numbered(
        values=tuple(map(found.__getitem__, order)),
        numbers=into.astype(kind).take(codes),
    )


def _cube(
    spec: ExtractSpec, counted: Counts, columns: Mapping[str, _Numbered]
) -> Cube:
    axes = []
    codes = []
    leaves = []
    for name in spec.of_role(Role.QUASI):
        column = columns[name]
        axis, leaf_of = make_axis(
            name,
            with_people(
                {*column.values},
                name,
                spec.hierarchies[name],
                spec.population,
            ),
            spec.hierarchies[name],
            partial(counted.place, name),
        )
        axes.append(axis)
        leaves.append(leaf_of)
        found = np.array([leaf_of[value] for value in column.values])
        codes.append(found.take(column.numbers))
    coded = {}
    for name in spec.of_role(Role.SENSITIVE):
        if counts(name, spec.criteria, plan_of(spec)):
            coded[name] = _coded(columns[name])
    weights = counted.frame[COUNT].to_numpy()
    if spec.population is not None:
        return count_among(
            axes, (codes, weights, coded), leaves, spec.population
        )
    return count_items(axes, codes, weights, coded)


def _coded(column: _Numbered) -> Coded:
    """Number sensitive values; the missing one comes last."""
    known = [value for value in column.values if value]
    places = {value: at for at, value in enumerate((*known, ""))}
    codes = np.array([places[value] for value in column.values])
    return Coded(values=tuple(known), codes=codes.take(column.numbers))


def _labelled(
    spec: ExtractSpec, cube: Cube, best: Found, frame: pl.DataFrame
) -> pl.DataFrame:
    """Put the labels of their classes beside the rows that are kept."""
    member = best.classes.member[cube.tuples]
    kept = best.kept[member]
    labels = class_labels(cube, best.classes, plan_of(spec))
    numbers = member[kept]
    rows = frame.filter(pl.Series(kept))
    renamed = rows.rename({name: f"\0{name}" for name in labels})
    return renamed.with_columns(
        _categories(name, each, numbers) for name, each in labels.items()
    )


def _categories(name: str, labels: Labels, numbers: Whole) -> pl.Series:
    """Return the labels of the classes with some numbers."""
    codes = labels.codes.astype(np.uint32).take(numbers)
    return pl.Series(name, codes).cat.to(pl.Enum(labels.texts))


def _looked_up(
    spec: ExtractSpec, labelled: Labelled, source: TableFile
) -> pl.LazyFrame:
    """Stream the file again, and look the labels of each row up."""
    quasi = spec.of_role(Role.QUASI)
    if not quasi:
        return source.rows
    raw = [f"\0{name}" for name in quasi]
    book = labelled.frame.select(*raw, *quasi).unique(subset=raw)
    return source.rows.rename(dict(zip(quasi, raw, strict=True))).join(
        book.lazy(), on=raw, how="inner"
    )


def _repeated(frame: pl.DataFrame, names: Sequence[str]) -> pl.LazyFrame:
    """Return each row as often as it is counted, a batch at a time."""
    ends = frame[COUNT].cum_sum().to_numpy()
    total = int(ends[-1]) if len(ends) else 0
    plain = frame.select(names)
    if total <= _BATCH:
        return plain[np.repeat(np.arange(len(plain)), frame[COUNT])].lazy()

    def batches(
        columns: list[str] | None,
        predicate: pl.Expr | None,
        rows: int | None,
        _size: int | None,
    ) -> Iterator[pl.DataFrame]:
        last = total if rows is None else min(rows, total)
        for start in range(0, last, _BATCH):
            wanted = np.arange(start, min(start + _BATCH, last))
            at = np.searchsorted(ends, wanted, side="right")
            batch = plain[at]
            if columns is not None:
                batch = batch.select(columns)
            if predicate is not None:
                batch = batch.filter(predicate)
            yield batch

    return pl.io.plugins.register_io_source(batches, schema=plain.schema)


def _guarded(name: str, labelled: pl.DataFrame) -> pl.Expr:
    """Defuse formulas, as `csvfile.guarded` does.

    Args:
        name: the column to be written.
        labelled: the distinct rows, which tell of labels that none is one.
    """
    if name in labelled.columns:
        kind = labelled.schema[name]
        if isinstance(kind, pl.Enum):
            texts = kind.categories
        else:
            texts = labelled[name].unique()
        runs = texts.str.contains(_TRIGGER) & ~texts.str.contains(_NUMBER)
        if not runs.any():
            return pl.col(name)
    cell = pl.col(name).cast(pl.String)
    runs_here = cell.str.contains(_TRIGGER) & ~cell.str.contains(_NUMBER)
    return pl.when(runs_here).then("'" + cell).otherwise(cell).alias(name)


def check_columns(spec: ExtractSpec, given: Sequence[str]) -> None:
    """Refuse columns without a role, and roles without a column.

    Args:
        spec: the terms.
        given: the columns that were handed in.

    Raises:
        InvalidRows: they do not fit.
    """
    wanted = {*spec.columns} | ({spec.person} - {None})
    unknown, lacking = {*given} - wanted, wanted - {*given}
    if unknown:
        listed = ", ".join(sorted(unknown))
        msg = f"the table has columns without a role: {listed}"
        raise InvalidRows(msg)
    if lacking:
        listed = ", ".join(sorted(map(str, lacking)))
        msg = f"the table lacks columns: {listed}"
        raise InvalidRows(msg)


def _refuse_nul(name: str, source: TableFile) -> None:
    there = pl.col(name).str.contains("\0", literal=True).any()
    if source.ask(source.rows.select(there)).item():
        msg = f"column {name}: a NUL character; remove it"
        raise InvalidRows(msg)


def _check_people(person: str, source: TableFile) -> None:
    key = pl.col(person)
    found = source.ask(
        source.rows.select(
            pl.len().alias("rows"),
            key.n_unique().alias("people"),
            (key == "").any().alias("none"),
        )
    )
    rows, people, none = found.row(0)
    if none:
        msg = "a row has no person's key"
        raise InvalidRows(msg)
    if people < rows:
        msg = (
            f"{rows - people} row(s) belong to a person who has one already; "
            "k counts people, so join the rows of a person first"
        )
        raise InvalidRows(msg)
