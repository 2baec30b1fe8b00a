"""The bundle that OPA servers fetch: what this instance decides by.

It is public like the policies themselves, and signed; a server that holds
the public key loads nothing else. `ETag` is the digest of its bytes, so a
server that polls gets it once.
"""

import hashlib
from pathlib import Path

from fastapi import APIRouter, Request, Response

from api.opa_sidecar import ARCHIVE, FOLDER
from api.platform import Platform


def opa_router(platform: Platform) -> APIRouter:
    """`/opa/bundle.tar.gz`, where there is one."""
    router = APIRouter(prefix=f"/{FOLDER}", tags=["operations"])
    path = platform.settings.home / FOLDER / ARCHIVE

    @router.get(f"/{ARCHIVE}")
    def bundle(request: Request) -> Response:
        """The signed bundle of the policies in force."""
        live = platform.bundles.live()
        content = platform.bundles.archive(live.number) or _read(path)
        if content is None:
            return Response(status_code=404)
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(
            content, media_type="application/gzip", headers=headers
        )

    return router


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
