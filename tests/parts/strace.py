"""strace: found on this machine, or taken from Debian's packages."""

import shutil
from pathlib import Path

from tests.parts.debian import install_packages
from tests.parts.processes import output_of
from tests.parts.report import MissingPartError, Part


def find() -> Part:
    """Find a strace that may trace its own child.

    Raises:
        MissingPartError: there is none, or tracing is forbidden here.

    """
    path = shutil.which("strace")
    if path is None:
        msg = "no strace on PATH"
        raise MissingPartError(msg)
    # In some containers the binary is there and the system call is not.
    output_of([path, "-o", "/dev/null", "true"])
    version = output_of([path, "--version"]).split()[3]
    return Part(name="strace", path=Path(path), version=version, how="PATH")


def obtain() -> Part:
    """Find strace, or install Debian's package of it.

    Raises:
        MissingPartError: neither works here.

    """
    try:
        return find()
    except MissingPartError as absent:
        try:
            install_packages("strace")
        except MissingPartError as refused:
            msg = f"{absent}; {refused}"
            raise MissingPartError(msg) from refused
        return find()
