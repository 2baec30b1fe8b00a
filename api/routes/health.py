"""Liveness and readiness; no number in them is about a person."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import text

from api.platform import Platform


def health_router(platform: Platform) -> APIRouter:
    """`/health/live` and `/health/ready`."""
    router = APIRouter(prefix="/health", tags=["operations"])

    @router.get("/live")
    async def live() -> JSONResponse:
        """The process answers."""
        return JSONResponse({"status": "live"})

    @router.get("/ready")
    async def ready() -> JSONResponse:
        """The database reads, the policies are loaded, entries commit."""
        await platform.reader(lambda conn: conn.execute(text("SELECT 1")))
        draining = platform.commits.draining
        return JSONResponse(
            {
                "status": "draining" if draining else "ready",
                "bundle": platform.pdp.revision,
                "ledger": platform.ledger.size(),
            },
            status_code=503 if draining else 200,
        )

    return router
