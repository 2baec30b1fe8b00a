"""SoftHSM2: a PKCS#11 module in software, and a throw-away token.

``SOFTHSM2_MODULE`` names another library than the ones looked for here.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.debian import install_packages
from tests.parts.processes import output_of
from tests.parts.report import MissingPartError, Part

PIN = "4711"
_PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token of the module, with nothing in it yet."""

    module: Path
    label: str
    pin: str


def find() -> Part:
    """Find the module and the tool that makes tokens.

    Raises:
        MissingPartError: one of them is not here.

    """
    tool = shutil.which("softhsm2-util")
    named = os.environ.get("SOFTHSM2_MODULE")
    module = next(
        (one for one in (named, *_PLACES) if one and Path(one).is_file()), None
    )
    if tool is None or module is None:
        msg = "no SoftHSM2 (softhsm2-util and libsofthsm2.so) was found"
        raise MissingPartError(msg)
    version = output_of([tool, "--version"]).strip()
    return Part(
        name="SoftHSM2",
        path=Path(module),
        version=version,
        how="SOFTHSM2_MODULE" if named == module else "installed package",
    )


def obtain() -> Part:
    """Find SoftHSM2, or install Debian's package.

    Raises:
        MissingPartError: neither works here.

    """
    try:
        return find()
    except MissingPartError as absent:
        try:
            install_packages("softhsm2")
        except MissingPartError as refused:
            msg = f"{absent}; {refused}"
            raise MissingPartError(msg) from refused
        return find()


@contextmanager
def token(part: Part, label: str = "curtilage") -> Iterator[Token]:
    """Make a token in a folder of its own, removed with the block.

    The module reads its configuration once in the life of a process, by the
    variable ``SOFTHSM2_CONF``, which this sets.

    Args:
        part: what `find` returned.
        label: of the token.

    Yields:
        The token.

    """
    folder = Path(tempfile.mkdtemp(prefix="curtilage-hsm-"))
    configuration = folder / "softhsm2.conf"
    (folder / "tokens").mkdir()
    configuration.write_text(
        f"directories.tokendir = {folder}/tokens\n"
        "objectstore.backend = file\nlog.level = ERROR\n",
        "utf-8",
    )
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    try:
        output_of(
            [
                *("softhsm2-util", "--init-token", "--free"),
                *("--label", label, "--so-pin", "0815-0815", "--pin", PIN),
            ]
        )
        yield Token(module=part.path, label=label, pin=PIN)
    finally:
        if before is None:
            del os.environ["SOFTHSM2_CONF"]
        else:
            os.environ["SOFTHSM2_CONF"] = before
        shutil.rmtree(folder, ignore_errors=True)
