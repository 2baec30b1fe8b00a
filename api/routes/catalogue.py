"""What exists: attributes, declarations. Nothing here is about a person."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from api.callers import service_caller
from api.platform import Platform
from consent import example_of, predicate_sources
from policy import Credential


def catalogue_router(platform: Platform) -> APIRouter:
    """Routes for developers of services."""
    router = APIRouter(prefix="/v1", tags=["services"])
    caller = service_caller(platform)

    @router.get("/catalogue")
    async def catalogue() -> JSONResponse:
        """Every attribute: its name, and how coarse it can be made.

        And what can be asked of it in place of its value.
        """
        return JSONResponse(
            {
                "attributes": [
                    {
                        "name": name,
                        "sensitivity": one.sensitivity,
                        "levels": one.levels,
                    }
                    for name, one in sorted(platform.classification.items())
                ],
                "predicates": [
                    {
                        "of": source,
                        "kind": kind.value,
                        "example": example_of(source),
                    }
                    for source, kind in sorted(predicate_sources().items())
                ],
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
