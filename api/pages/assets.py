"""The pages' own static files, served from memory under one digest.

All files of ``api/static`` are read once. Their address begins with a digest
over all of them, so it changes when any of them does and an answer may be
kept for ever; a script can import its neighbour by a relative address. Only
what was read is served: no path of a request ever reaches the file system.

``vendor/`` holds third-party files out of their pinned packages. Without
them the pages would look broken, so their absence stops the start.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from starlette.responses import Response

from api.pages.errors import NotFound, PagesMisconfigured
from api.pages.headers import IMMUTABLE

STATIC = Path(__file__).parents[1] / "static"
REQUIRED = (
    "vendor/govuk-frontend.min.css",
    "vendor/govuk-frontend.min.js",
)
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """The static files, and the digest in their address."""

    digest: str
    files: Mapping[str, bytes]

    def url(self, name: str) -> str:
        """Return the address of a static file.

        Args:
            name: its path under ``api/static``.

        Returns:
            The path of the address.

        Raises:
            KeyError: there is no such file.

        """
        if name not in self.files:
            raise KeyError(name)
        return f"/static/{self.digest}/{name}"

    def answer(self, digest: str, name: str) -> Response:
        """Answer a request for a static file.

        Args:
            digest: the digest in the address.
            name: the path after it.

        Returns:
            The file, to be kept for ever.

        Raises:
            NotFound: no such file, or another digest.

        """
        if digest != self.digest or name not in self.files:
            msg = "no such static file"
            raise NotFound(msg)
        return Response(
            self.files[name],
            media_type=_TYPES[Path(name).suffix],
            headers={"Cache-Control": IMMUTABLE},
        )


def load_assets(folder: Path = STATIC) -> Assets:
    """Read the static files.

    Args:
        folder: where they lie.

    Returns:
        The files of the types that the pages use, and their digest.

    Raises:
        PagesMisconfigured: a third-party file is missing.

    """
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES
    }
    for name in REQUIRED:
        if name not in files:
            msg = f"the page asset {name} is missing: run `make assets`"
            raise PagesMisconfigured(msg)
    digest = hashlib.sha256()
    for name, data in files.items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    return Assets(
        digest=digest.hexdigest()[:16], files=MappingProxyType(files)
    )
