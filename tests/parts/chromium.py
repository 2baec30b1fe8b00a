"""Chromium: found on this machine, or taken from Debian's packages."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.parts.debian import install_packages
from tests.parts.processes import output_of
from tests.parts.report import MissingPartError, Part

_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
# Noto's CJK fonts: without them Chinese pages are laid out as empty boxes.
_PACKAGES = ("chromium", "fonts-noto-cjk")


def find() -> Part:
    """Find a Chromium that answers.

    ``CHROMIUM`` names one; otherwise the PATH and then the cache that
    Playwright keeps are searched.

    Raises:
        MissingPartError: none is here, or none starts.

    """
    reasons = []
    for path, how in _candidates():
        try:
            said = output_of([path, "--version"])
        except MissingPartError as error:
            # Ubuntu's package is a door to a snap that may not be there.
            reasons.append(str(error))
            continue
        version = re.search(r"\d+(\.\d+)+", said)
        if version:
            return Part(
                name="Chromium", path=path, version=version[0], how=how
            )
    msg = "; ".join(
        [f"no Chromium: {' and '.join(_NAMES)} are not on PATH", *reasons]
    )
    raise MissingPartError(msg)


def obtain() -> Part:
    """Find Chromium, or install Debian's package of it.

    Raises:
        MissingPartError: neither works here.

    """
    try:
        return find()
    except MissingPartError as absent:
        try:
            install_packages(*_PACKAGES)
        except MissingPartError as refused:
            msg = f"{absent}; {refused}"
            raise MissingPartError(msg) from refused
        return find()


def _candidates() -> Iterator[tuple[Path, str]]:
    named = os.environ.get("CHROMIUM")
    if named:
        yield Path(named), "CHROMIUM"
    for name in _NAMES:
        found = shutil.which(name)
        if found:
            yield Path(found), "PATH"
    cache = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    folder = Path(cache) if cache else Path("~/.cache/ms-playwright")
    for path in sorted(
        folder.expanduser().glob("chromium-*/chrome-linux*/chrome"),
        reverse=True,
    ):
        yield path, "Playwright's cache"
