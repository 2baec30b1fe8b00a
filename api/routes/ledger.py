"""The ledger's public face: checkpoint and proofs. All of it is hashes."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from api.platform import Platform

_TEXT = "text/plain; charset=utf-8"


def ledger_router(platform: Platform) -> APIRouter:
    """Routes for anybody who wants to hold the ledger to its word."""
    router = APIRouter(prefix="/v1/ledger", tags=["ledger"])

    @router.get("/checkpoint", response_class=PlainTextResponse)
    async def checkpoint() -> Response:
        """The newest checkpoint, a C2SP signed note."""
        # Between two batches: on the event loop, a checkpoint would wait
        # for the batch that waits for the loop.
        note = await platform.commits.checkpoint()
        return Response(note, media_type=_TEXT)

    @router.get("/key", response_class=PlainTextResponse)
    async def key() -> Response:
        """The verifier keys (vkeys) that sign checkpoints, one a line.

        The first is Ed25519, the second ML-DSA-44.
        """
        keys = "".join(f"{each}\n" for each in platform.ledger_vkeys)
        return Response(keys, media_type=_TEXT)

    @router.get("/inclusion/{index}")
    async def inclusion(index: int, size: int | None = None) -> JSONResponse:
        """The inclusion proof of an entry in a tree of `size` entries."""
        whole = platform.ledger.size() if size is None else size
        proof = platform.ledger.inclusion(index, whole)
        return JSONResponse(
            {
                "index": index,
                "size": whole,
                "hashes": [one.hex() for one in proof],
            }
        )

    @router.get("/consistency")
    async def consistency(old: int, new: int) -> JSONResponse:
        """The consistency proof between two sizes."""
        proof = platform.ledger.consistency(old, new)
        return JSONResponse(
            {"old": old, "new": new, "hashes": [one.hex() for one in proof]}
        )

    return router
