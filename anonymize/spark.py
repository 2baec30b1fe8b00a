"""Extracts of more rows than one machine holds, counted by Spark.

The same cube as of a file: Spark counts the distinct rows, which come to
the driver, where `bulk` forms the classes; then Spark joins the labels to
the rows and writes them, a folder of Parquet files in the order of what is
published. Partial counts add up, so that it makes no difference who
counted: the release is the same.

What goes between the driver and Spark stands in a folder of its own beside
the result, readable by its owner alone, and is removed whatever happens; it
holds quasi-identifiers, so it belongs on encrypted storage.

`local_session` runs Spark in this machine: it listens on the loopback
address alone and shows no web pages. A session of a cluster is made by
whoever runs the cluster.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from anonymize.bulk import (
    Counts,
    Labelled,
    Written,
    check_columns,
    check_table_of,
    counted_columns,
    label_counts,
)
from anonymize.errors import InvalidRows, MissingExtra, OutputExists
from anonymize.notes import Progress
from anonymize.roles import Role
from anonymize.spec import ExtractSpec
from anonymize.tablefile import COUNT, PARQUET

try:
    import polars as pl
    from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # no types are shipped
    from pyspark.errors import PySparkException
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql import functions as sf
except ImportError as missing:
    raise MissingExtra(library="pyspark") from missing

_N = "count_"
_LOOPBACK = "127.0.0.1"
_BAD = "\N{REPLACEMENT CHARACTER}"
LOCAL: Mapping[str, str] = {
    "spark.driver.bindAddress": _LOOPBACK,
    "spark.driver.host": _LOOPBACK,
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.caseSensitive": "true",
    "spark.sql.shuffle.partitions": "8",
    # A row of too few cells is a fault, whichever columns are asked for.
    "spark.sql.csv.parser.columnPruning.enabled": "false",
    # Cells are compared as they are, whatever they look like.
    "spark.sql.ansi.enabled": "true",
}
"""Settings of a session in this machine."""


def local_session(*, memory: str = "2g") -> SparkSession:
    """Start Spark in this machine, on the loopback address alone.

    Args:
        memory: of the Java process, such as ``2g``.
    """
    builder = SparkSession.builder.master("local[*]").appName("curtilage")
    for key, value in {**LOCAL, "spark.driver.memory": memory}.items():
        builder = builder.config(key, value)
    session: SparkSession = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


def extract_with_spark(
    session: SparkSession,
    spec: ExtractSpec,
    path: Path,
    out: Path,
    progress: Progress,
) -> Written:
    """De-identify a file, or a folder of files, into a folder of Parquet.

    Args:
        session: the cluster.
        spec: the terms; no column is free text, and no person's key is
            given.
        path: CSV, or Parquet by the suffix.
        out: the folder to make.
        progress: told of the stage.

    Raises:
        AnonymizeError: as `bulk.label_counts` and `bulk.check_table_of`.
        InvalidRows: the rows are no such table, or do not fit the terms.
        OutputExists: the folder is there already.
    """
    if out.exists() or out.is_symlink():
        msg = f"{out} exists; give a folder that does not"
        raise OutputExists(msg)
    if spec.of_role(Role.TEXT) or spec.person is not None:
        msg = "free text and people's keys are not taken by Spark"
        raise InvalidRows(msg)
    with tempfile.TemporaryDirectory(
        prefix=f".{out.name}.", dir=out.parent
    ) as folder:
        between = Path(folder)
        try:
            rows = _read(session, spec, path)
            check_columns(spec, rows.columns)
            progress("count", 0, 0)
            counted = _count(spec, rows, between / "counts")
            progress("classes", 0, counted.rows)
            labelled = label_counts(spec, counted)
            progress("write", 0, counted.rows)
            _write(session, spec, labelled, rows, between)
        except (PySparkException, Py4JJavaError) as problem:
            msg = f"{path.name} cannot be read ({type(problem).__name__})"
            raise InvalidRows(msg) from None
        progress("check", 0, counted.rows)
        parts = between / "rows"
        for each in parts.iterdir():
            if each.suffix != PARQUET:
                each.unlink()  # marks and sums of Spark's own
        written = check_table_of(
            spec,
            labelled,
            pl.scan_parquet(sorted(parts.glob("*.parquet"))),
            sha256=_digest(parts),
            guarded=False,
        )
        parts.rename(out)
    progress("check", counted.rows, counted.rows)
    return written


def _read(session: SparkSession, spec: ExtractSpec, path: Path) -> DataFrame:
    if path.suffix == PARQUET:
        frame = session.read.parquet(str(path))
    else:
        reader = session.read.option("columnPruning", value=False)
        frame = reader.csv(
            str(path),
            sep=spec.delimiter,
            header=True,
            inferSchema=False,
            quote='"',
            escape='"',
            mode="FAILFAST",
            emptyValue="",
            multiLine=False,
        )
    if len({*frame.columns}) != len(frame.columns):
        msg = f"{path.name} has two columns of one name"
        raise InvalidRows(msg)
    return frame.select(
        [
            sf.coalesce(frame[f"`{name}`"].cast("string"), sf.lit("")).alias(
                name
            )
            for name in frame.columns
        ]
    )


def _count(spec: ExtractSpec, rows: DataFrame, folder: Path) -> Counts:
    names = counted_columns(spec)
    quoted = [f"`{name}`" for name in names]
    counted = rows.groupBy(*quoted).agg(sf.count(sf.lit(1)).alias(_N))
    counted.write.parquet(str(folder))
    frame = pl.read_parquet(sorted(folder.glob("*.parquet")))
    frame = frame.rename({_N: COUNT}).sort(names)
    for name in names:
        if frame[name].str.contains(_BAD, literal=True).any():
            msg = f"column {name}: text that is not UTF-8; correct it"
            raise InvalidRows(msg)

    def place(name: str, lost: set[str]) -> tuple[int, int]:
        rows = frame.filter(pl.col(name).is_in([*lost]))[COUNT].sum()
        return int(rows), 0

    return Counts(frame=frame, rows=int(frame[COUNT].sum()), place=place)


def _write(
    session: SparkSession,
    spec: ExtractSpec,
    labelled: Labelled,
    rows: DataFrame,
    between: Path,
) -> None:
    quasi = spec.of_role(Role.QUASI)
    names = [name for name, role in spec.columns.items() if role.published]
    if quasi:
        raw = [f"\0{name}" for name in quasi]
        book = labelled.frame.select(
            *(
                pl.col(name).cast(pl.String).alias(f"raw {at}")
                for at, name in enumerate(raw)
            ),
            *(
                pl.col(name).cast(pl.String).alias(f"label {at}")
                for at, name in enumerate(quasi)
            ),
        ).unique()
        book.write_parquet(between / "book.parquet")
        labels = sf.broadcast(
            session.read.parquet(str(between / "book.parquet"))
        )
        for at, name in enumerate(quasi):
            rows = rows.withColumnRenamed(name, f"raw {at}")
        rows = rows.join(labels, [f"raw {at}" for at in range(len(quasi))])
        for at, name in enumerate(quasi):
            rows = rows.withColumnRenamed(f"label {at}", name)
    order = [*quasi, *(name for name in names if name not in quasi)]
    rows.select(*(f"`{name}`" for name in names)).orderBy(
        *(f"`{name}`" for name in order)
    ).write.parquet(str(between / "rows"))


def _digest(folder: Path) -> str:
    """Hash the files of a folder, in the order of their names."""
    whole = hashlib.sha256()
    for path in sorted(folder.glob("*.parquet")):
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()
