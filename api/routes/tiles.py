"""The ledger as a tiled log (https://c2sp.org/tlog-tiles), for monitors.

Paths, content types and caching are the specification's. Bundles are not
compressed: an entry is 32 random bytes.
"""

from fastapi import APIRouter, Response

from api.platform import Platform
from consent import TilePath, UnknownEntry

# Long enough that whoever asks each second is answered by a cache, short
# enough that nobody sees an old head for long.
_HEAD = "public, max-age=1"
_FOR_EVER = "public, max-age=31536000, immutable"


def tiles_router(platform: Platform) -> APIRouter:
    """Routes under the log's prefix, ``/ledger``."""
    router = APIRouter(prefix="/ledger", tags=["ledger"])

    # Plain functions: they run in threads, beside the loop that decides.
    @router.get("/checkpoint", response_class=Response)
    def checkpoint() -> Response:
        """The newest checkpoint, with its witnesses' cosignatures."""
        shown = platform.ledger.publication.newest()
        if shown is None:
            msg = "no checkpoint was signed yet"
            raise UnknownEntry(msg)
        return Response(
            shown.note,
            media_type="text/plain; charset=utf-8",
            headers={"Cache-Control": _HEAD},
        )

    @router.get("/tile/{path:path}", response_class=Response)
    def tile(path: str) -> Response:
        """A tile of hashes, or a bundle of leaf data."""
        found = platform.ledger.tiles.read(TilePath.parse(f"tile/{path}"))
        return Response(
            found,
            media_type="application/octet-stream",
            headers={"Cache-Control": _FOR_EVER},
        )

    return router
