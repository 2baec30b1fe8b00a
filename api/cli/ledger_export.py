"""`curtilage ledger export`: the ledger as a static tree of files.

What is written is what ``/ledger`` serves. Tiles never change, so a later
run writes only what is new. The checkpoint is written last: at every moment
the folder holds all that its checkpoint covers.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import Json, instance
from api.cli.output import Output, speaks
from consent import Ledger, TilePath, tiles_of

_ENTRY_BYTES, _HASH_BYTES = 34, 32


@speaks
def export(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(file_okay=False)],
    *,
    as_json: Json = False,
) -> None:
    """Write the ledger as files: tiles, leaf data, checkpoint.

    Any web server can serve the folder, and anybody can hold the ledger
    against it later. Run it again to add what is new. It is refused where
    the folder holds another ledger, or one that this does not continue.

    Example: curtilage ledger export /srv/www/access-log
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        ledger = platform.ledger
        ledger.checkpoint()
        shown = ledger.publication.newest()
        assert shown is not None  # noqa: S101 - one was signed just above
        before = _size_of(folder, ledger)
        paths = tiles_of(shown.size) if shown.size >= before else []
        with out.progress("Exporting the ledger", len(paths)) as advance:
            written = write_tiles(folder, paths, ledger.tiles.read, advance)
        if shown.size >= before:
            replace_file(folder / "checkpoint", shown.note.encode())
    out.result(
        {
            "folder": str(folder),
            "size": shown.size,
            "files": len(paths),
            "written": written,
            "witnesses": list(shown.witnesses),
        },
        f"{shown.size} entries stand in {folder}; {written} of "
        f"{len(paths)} files are new.",
    )


def write_tiles(
    folder: Path,
    paths: list[TilePath],
    read: Callable[[TilePath], bytes],
    advance: Callable[[int], None],
) -> int:
    """Write the tiles that are not there yet.

    Args:
        folder: Where the tree stands.
        paths: All that it should hold.
        read: Gives the bytes of each.
        advance: Called after each with 1.

    Returns:
        How many were written.

    """
    written = 0
    for path in paths:
        file = folder / str(path)
        if not _is_whole(file, path):
            replace_file(file, read(path))
            written += 1
        if path.width == TilePath(level=0, number=0).width:
            # The full tile stands for every partial one before it.
            shutil.rmtree(f"{file}.p", ignore_errors=True)
        advance(1)
    return written


def replace_file(file: Path, data: bytes) -> None:
    """Put a file in its place, whole and durable, or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.new")
    with fresh.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)


def _is_whole(file: Path, path: TilePath) -> bool:
    each = _ENTRY_BYTES if path.level is None else _HASH_BYTES
    try:
        return file.stat().st_size == each * path.width
    except FileNotFoundError:
        return False


def _size_of(folder: Path, ledger: Ledger) -> int:
    """How many entries the folder holds; what it holds must be continued."""
    file = folder / "checkpoint"
    return ledger.continues(file.read_bytes()) if file.exists() else 0
