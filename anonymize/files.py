"""An extract in a folder: written aside, checked from disk, then renamed.

The folder appears whole or not at all. Everything is written into a folder
of another name beside it, read back and checked by `checker.check_folder`,
flushed to disk, and only then given its name. Whatever goes wrong, nothing
is left.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from anonymize.checker import Checked, check_folder
from anonymize.csvfile import read_csv
from anonymize.errors import InvalidRows, InvalidSpec, OutputExists
from anonymize.extract import Extract, build_extract
from anonymize.notes import Progress
from anonymize.published import Description
from anonymize.spec import ExtractSpec
from anonymize.specfile import read_spec


def write_extract(
    extract: Extract,
    folder: Path,
    hierarchies: Mapping[str, Description] | None = None,
) -> Checked:
    """Write the files of an extract into a new folder.

    Args:
        extract: what `build_extract` returned.
        folder: the folder to make; its parent exists. An empty folder is
            taken, too.
        hierarchies: description of each hierarchy, to recompute the penalty
            from disk; None leaves that out.

    Returns:
        What the check found on disk.

    Raises:
        OutputExists: the folder exists and is not empty.
        CriteriaNotMet: what was read back misses the criteria.
        ExtractTampered: what was read back is not what was written.
    """
    _refuse_taken(folder)
    aside = Path(
        tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent)
    )
    try:
        for name, content in extract.files.items():
            _write(aside / name, content)
        checked = check_folder(aside, hierarchies)
        _flush(aside)
        _refuse_taken(folder)
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _flush(folder.parent)
    return checked


def extract_file(
    path: Path,
    spec_yaml: Path,
    out_dir: Path,
    progress: Progress | None = None,
    *,
    pseudonym_key: bytes | None = None,
) -> Extract:
    """De-identify a CSV file into a folder.

    Args:
        path: the CSV file, with the delimiter that the specification names.
        spec_yaml: the specification; see `specfile`. Hierarchy files are
            looked up beside it.
        out_dir: the folder to make: data.csv, report.json, report.md and
            manifest.json.
        progress: told of the stage and how far it is.
        pseudonym_key: derived key for pseudonyms.

    Returns:
        The extract as it was written.

    Raises:
        AnonymizeError: as `read_spec`, `build_extract`, `write_extract`.
    """
    _refuse_taken(out_dir)
    spec = read_spec(
        _read(spec_yaml, InvalidSpec),
        folder=spec_yaml.parent,
        pseudonym_key=pseudonym_key,
    )
    table = read_csv(
        _read(path, InvalidRows), where=path.name, delimiter=spec.delimiter
    )
    extract = build_extract(spec, table, progress=progress)
    write_extract(extract, out_dir, descriptions(spec))
    return extract


def descriptions(spec: ExtractSpec) -> dict[str, Description]:
    """Return the hierarchies of a specification as data.

    Args:
        spec: the terms.
    """
    return {name: each.describe() for name, each in spec.hierarchies.items()}


def _read(path: Path, refusal: type[InvalidSpec | InvalidRows]) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        msg = f"{path.name} cannot be read ({type(problem).__name__})"
        raise refusal(msg) from None


def _refuse_taken(folder: Path) -> None:
    if not folder.parent.is_dir():
        msg = (
            f"{folder}: the folder {folder.parent} does not exist; make it, "
            "or name another place"
        )
        raise OutputExists(msg)
    if folder.is_symlink() or (
        folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    ):
        msg = f"{folder} exists; give a folder that does not"
        raise OutputExists(msg)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
