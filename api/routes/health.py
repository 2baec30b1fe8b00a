"""Liveness and readiness; no number in them is about a person."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import text

from api.platform import Platform
from policy import ConfirmedRevision, NoDecision


def health_router(platform: Platform) -> APIRouter:
    """`/health/live` and `/health/ready`."""
    router = APIRouter(prefix="/health", tags=["operations"])

    @router.get("/live")
    async def live() -> JSONResponse:
        """The process answers."""
        return JSONResponse({"status": "live"})

    @router.get("/ready")
    async def ready() -> JSONResponse:
        """The database reads, the policies are loaded, entries commit.

        An OPA server counts once it has confirmed the bundle that we expect.
        """
        await platform.reader(lambda conn: conn.execute(text("SELECT 1")))
        status = "draining" if platform.commits.draining else "ready"
        if isinstance(platform.pdp, ConfirmedRevision):
            try:
                await platform.pdp.confirm()
            except NoDecision as error:
                status = f"policies: {error.cause}"
        return JSONResponse(
            {
                "status": status,
                "bundle": platform.pdp.revision,
                "ledger": platform.ledger.size(),
            },
            status_code=200 if status == "ready" else 503,
        )

    return router
