"""What exists: attributes, declarations. Nothing here is about a person."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from api.callers import service_caller
from api.platform import Platform
from policy import Credential


def catalogue_router(platform: Platform) -> APIRouter:
    """Routes for developers of services."""
    router = APIRouter(prefix="/v1", tags=["services"])
    caller = service_caller(platform)

    @router.get("/catalogue")
    async def catalogue() -> JSONResponse:
        """Every attribute: its name, and how coarse it can be made."""
        return JSONResponse(
            {
                "attributes": [
                    {
                        "name": name,
                        "sensitivity": one.sensitivity,
                        "levels": one.levels,
                    }
                    for name, one in sorted(platform.classification.items())
                ]
            }
        )

    @router.get("/declaration")
    async def declaration(
        credential: Annotated[Credential, Depends(caller)],
    ) -> JSONResponse:
        """The live declaration of the caller's own service and purpose."""
        found = platform.consents.declaration(
            credential.service, credential.purpose
        )
        return JSONResponse(None if found is None else found.document())

    return router
