"""Regal: the linter of the policies, found or built by Go.

Nothing else is decided by it, so it is never required: where it cannot be
had, that check says so. It is built in a throw-away module, because
``go install`` also asks for the list of all versions, which not every proxy
of modules gives.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.parts.pins import TOOLS, regal_pin
from tests.parts.processes import output_of
from tests.parts.report import MissingPartError, Part

OURS = TOOLS / "bin" / "regal"


def find() -> Part:
    """Find Regal: ``REGAL``, then ``.tools/bin``, then the PATH.

    Raises:
        MissingPartError: none is here, or none starts.

    """
    pin = regal_pin()
    reasons = [f"Regal {pin.version} is not here"]
    for path, how in _candidates():
        try:
            output_of([path, "version"])
        except MissingPartError as error:
            reasons.append(str(error))
            continue
        return Part(name="Regal", path=path, version=pin.version, how=how)
    raise MissingPartError("; ".join(reasons))


def obtain() -> Part:
    """Find Regal, or build the pinned one into ``.tools/bin``.

    Raises:
        MissingPartError: there is no Go, or it cannot build it.

    """
    try:
        return find()
    except MissingPartError as absent:
        go = shutil.which("go")
        if go is None:
            msg = f"{absent}; Go is not installed"
            raise MissingPartError(msg) from absent
    _build(Path(go))
    return find()


def _build(go: Path) -> None:
    pin = regal_pin()
    env = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}
    print(f"  building Regal {pin.version}: some minutes, once", flush=True)  # noqa: T201 - progress of a command
    OURS.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="curtilage-regal-") as folder:
        module = Path(folder) / "go.mod"
        module.write_text(
            f"module build\n\nrequire {pin.module} v{pin.version}\n", "ascii"
        )
        output_of(
            [
                *(go, "build", "-C", folder, "-trimpath"),
                *("-o", OURS, pin.module),
            ],
            timeout=2400,
            env=env,
        )


def _candidates() -> Iterator[tuple[Path, str]]:
    named = os.environ.get("REGAL")
    if named:
        yield Path(named), "REGAL"
    if OURS.exists():
        yield OURS, "built before"
    found = shutil.which("regal")
    if found:
        yield Path(found), "PATH"
