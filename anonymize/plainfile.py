"""One file in, one de-identified file out: CSV or Parquet by its suffix.

For trying an extract without a vault, and for files of any size. What is
written is read back from disk and checked before it gets its name. A file
appears whole or not at all, and never in the place of another.

Files with columns of free text are scrubbed in memory; all others are
streamed (`bulk`).
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anonymize.bulk import Written, extract_file_in_bulk
from anonymize.csvfile import read_csv
from anonymize.errors import (
    ExtractTampered,
    InvalidRows,
    InvalidSpec,
    MissingExtra,
    OutputExists,
)
from anonymize.extract import DATA, build_extract
from anonymize.notes import Progress
from anonymize.report import ReleaseReport
from anonymize.roles import Role
from anonymize.spec import ExtractSpec
from anonymize.specfile import read_spec
from anonymize.tablefile import PARQUET, TableFile

try:
    import polars as pl
except ImportError as missing:
    raise MissingExtra(library="polars") from missing


def extract_plain(
    path: Path,
    spec_yaml: Path,
    out: Path,
    report: Path | None = None,
    progress: Progress | None = None,
    *,
    cluster: bool = False,
) -> Written:
    """De-identify one file into another.

    Args:
        path: the file with rows.
        spec_yaml: the specification; hierarchy files lie beside it.
        out: the file to make.
        report: where the report goes, JSON or Markdown (``.md``); an
            extract without free text is attacked for a report only.
        progress: told of the stage and how far it is.
        cluster: have Spark count and write the rows; ``out`` is a folder of
            Parquet files then.

    Returns:
        What was written.

    Raises:
        AnonymizeError: as `read_spec`, `build_extract` and `bulk`.
        OutputExists: a file to make is there already.
    """
    made = [each for each in (out, report) if each is not None]
    for each in made:
        _refuse_taken(each)
    if len({each.resolve() for each in made}) < len(made):
        msg = "data and report need files of their own"
        raise OutputExists(msg)
    spec = read_spec(_spec_bytes(spec_yaml), folder=spec_yaml.parent)
    tell = progress or _silent
    if cluster:
        return _on_cluster(spec, path, out, report, tell)
    with _aside(out) as aside:
        if spec.of_role(Role.TEXT):
            written = _in_memory(spec, path, out.suffix, aside, tell)
        else:
            written = extract_file_in_bulk(
                spec,
                TableFile(path, delimiter=spec.delimiter),
                aside,
                suffix=out.suffix,
                progress=tell,
                attack=report is not None,
            )
        if report is not None:
            write_report(written.report, report)
        try:
            _name(aside, out)
        except BaseException:
            if report is not None:
                report.unlink()
            raise
    return written


def _on_cluster(
    spec: ExtractSpec,
    path: Path,
    out: Path,
    report: Path | None,
    progress: Progress,
) -> Written:
    from anonymize import spark  # noqa: PLC0415 - an extra of its own

    session = spark.local_session()
    try:
        written = spark.extract_with_spark(session, spec, path, out, progress)
    finally:
        session.stop()
    if report is not None:
        write_report(written.report, report)
    return written


def write_report(found: ReleaseReport, path: Path) -> None:
    """Write a report, as Markdown where the suffix is ``.md``, else JSON.

    Args:
        found: the report.
        path: the file to make.

    Raises:
        OutputExists: the file is there already.
    """
    markdown = path.suffix == ".md"
    data = found.to_markdown().encode() if markdown else found.to_json()
    with _aside(path) as aside:
        aside.write_bytes(data)
        _name(aside, path)


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Tell nobody of progress."""


def _in_memory(
    spec: ExtractSpec,
    path: Path,
    suffix: str,
    aside: Path,
    progress: Progress,
) -> Written:
    """Scrub free text, too; the rows are in memory for that."""
    if path.suffix == PARQUET:
        rows = TableFile(path, delimiter=spec.delimiter)
        frame = rows.ask(rows.rows)
        table = {name: frame[name].to_list() for name in frame.columns}
    else:
        table = read_csv(
            _bytes(path), where=path.name, delimiter=spec.delimiter
        )
    extract = build_extract(spec, table, progress=progress)
    if suffix != PARQUET:
        aside.write_bytes(extract.files[DATA])
    else:
        frame = pl.DataFrame(
            [*extract.rows],
            schema=dict.fromkeys(extract.columns, pl.String),
            orient="row",
        )
        frame.write_parquet(aside)
        if pl.read_parquet(aside).rows() != [*extract.rows]:
            msg = "the Parquet file does not hold the checked rows"
            raise ExtractTampered(msg)
    return Written(report=extract.report, checked=extract.checked, way="")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        msg = f"{path.name} cannot be read ({type(problem).__name__})"
        raise InvalidRows(msg) from None


def _spec_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        msg = f"{path.name} cannot be read ({type(problem).__name__})"
        raise InvalidSpec(msg) from None


def _refuse_taken(path: Path) -> None:
    if not path.parent.is_dir():
        msg = (
            f"{path}: the folder {path.parent} does not exist; make it, or "
            "name another place"
        )
        raise OutputExists(msg)
    if path.is_symlink() or path.exists():
        msg = f"{path} exists; give a file that does not"
        raise OutputExists(msg)


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """Give an empty file beside a path, which is gone at the end."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink()


def _name(aside: Path, path: Path) -> None:
    """Flush a file, and link it to its name."""
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    try:
        path.hardlink_to(aside)  # unlike a rename, never over another file
    except FileExistsError:
        _refuse_taken(path)
        raise
