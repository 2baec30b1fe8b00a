"""What a service does about webhooks: its endpoint, and what it answers.

Every route is about the service and purpose of the caller's own credential.
A service without an endpoint finds here what it would have been sent.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from api.callers import service_caller
from api.platform import Platform
from api.webhook_addresses import AddressRefusedError, allowed
from api.webhook_sending import instant, payload
from api.webhook_signing import public_keys, shown_secret
from consent import LegalBasis
from policy import (
    OVERLAP_SECONDS,
    Credential,
    Delivery,
    Done,
    Endpoint,
    RequestInvalid,
    Scheme,
)

_NO_STORE = {"Cache-Control": "no-store"}
_PAGE = 1000
_LONGEST_OVERLAP = 30 * 86_400


class EndpointIn(BaseModel):
    """Where a service wants to be told, and how it verifies that."""

    model_config = ConfigDict(
        extra="forbid", strict=True, hide_input_in_errors=True
    )

    url: str = Field(min_length=1, max_length=2000)
    scheme: Literal["v1", "v1a"] = "v1"


class RotationIn(BaseModel):
    """How the next secret differs from the one before."""

    model_config = ConfigDict(
        extra="forbid", strict=True, hide_input_in_errors=True
    )

    scheme: Literal["v1", "v1a"] | None = None
    overlap_seconds: int = Field(
        default=OVERLAP_SECONDS, ge=0, le=_LONGEST_OVERLAP
    )


class AcknowledgementIn(BaseModel):
    """What a service did; `ground` says on what basis it keeps the data."""

    model_config = ConfigDict(
        extra="forbid", strict=True, hide_input_in_errors=True
    )

    outcome: Literal["deleted", "stopped", "kept"]
    ground: str | None = Field(default=None, max_length=64)


def webhooks_router(platform: Platform) -> APIRouter:
    """Routes under ``/v1/webhooks``."""
    router = APIRouter(prefix="/v1/webhooks", tags=["services"])
    _about_the_endpoint(router, platform)
    _about_deliveries(router, platform)
    return router


def _about_the_endpoint(router: APIRouter, platform: Platform) -> None:
    desk = platform.webhooks
    settings = platform.settings
    Service = Annotated[  # noqa: N806 - a type
        Credential, Depends(service_caller(platform))
    ]

    @router.put("/endpoint")
    def register(body: EndpointIn, who: Service) -> JSONResponse:
        """Set where to be told; the answer has the secret, this once."""
        reach = allowed(settings.webhook_hosts, settings.webhook_networks)
        try:
            reach.target(body.url)
        except AddressRefusedError as error:
            raise RequestInvalid(str(error)) from None
        made = desk.register(
            who.service, who.purpose, body.url, Scheme(body.scheme)
        )
        return _answer(_with_secret(made))

    @router.post("/endpoint/rotation")
    def rotate(body: RotationIn, who: Service) -> JSONResponse:
        """Make a new secret; the one before signs on for a while."""
        made = desk.rotate(
            who.service,
            who.purpose,
            scheme=None if body.scheme is None else Scheme(body.scheme),
            overlap=body.overlap_seconds,
        )
        return _answer(_with_secret(made))

    @router.get("/endpoint")
    def endpoint(who: Service) -> JSONResponse:
        """Where this service is told, and the public keys that sign."""
        found = desk.endpoint(who.service, who.purpose)
        if found is None:
            return _answer({"url": None, "public_keys": []})
        return _answer(
            {
                "url": found.url,
                "stopped": found.stopped_at is not None,
                "public_keys": public_keys(found, now=platform.clock()),
            }
        )

    @router.delete("/endpoint")
    def remove(who: Service) -> JSONResponse:
        """Be told no more; what is outstanding stays so."""
        desk.remove(who.service, who.purpose)
        return _answer({"url": None})


def _about_deliveries(router: APIRouter, platform: Platform) -> None:
    desk = platform.webhooks
    Service = Annotated[  # noqa: N806 - a type
        Credential, Depends(service_caller(platform))
    ]

    @router.get("/deliveries")
    def deliveries(
        who: Service,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> JSONResponse:
        """What this service has not answered, the earliest deadline first."""
        found = desk.of_service(who.service, who.purpose, limit=limit)
        return _answer({"deliveries": [delivery_view(one) for one in found]})

    @router.get("/deliveries/{delivery}")
    def message(delivery: UUID, who: Service) -> Response:
        """One message again, word for word as it is sent."""
        found, told = desk.told(who.service, who.purpose, delivery)
        return Response(
            payload(found, told),
            media_type="application/json",
            headers=_NO_STORE,
        )

    @router.get("/deliveries/{delivery}/decisions")
    def decisions(
        delivery: UUID,
        who: Service,
        after: Annotated[int, Query(ge=0, le=2**31)] = 0,
    ) -> JSONResponse:
        """All disclosures that a message is about, page by page."""
        _, told = desk.told(who.service, who.purpose, delivery)
        page = told.decisions[after : after + _PAGE]
        more = after + _PAGE < len(told.decisions)
        return _answer(
            {
                "decisions": [str(one) for one in page],
                "in_all": len(told.decisions),
                "next": after + _PAGE if more else None,
            }
        )

    @router.post("/deliveries/{delivery}/acknowledgement")
    def acknowledge(
        delivery: UUID, body: AcknowledgementIn, who: Service
    ) -> JSONResponse:
        """Say what was done: deleted, stopped, or kept on another ground."""
        found = desk.acknowledge(
            who.service,
            who.purpose,
            delivery,
            outcome=Done(body.outcome),
            ground=_ground(body.ground),
        )
        return _answer(delivery_view(found))


def delivery_view(one: Delivery) -> dict[str, Any]:
    """Show how a delivery stands; nothing of the person is in it."""
    return {
        "delivery": str(one.id),
        "type": one.kind.value,
        "at": instant(one.at),
        "deadline": instant(one.deadline),
        "standing": one.standing.value,
        "attempts": one.attempts,
        "outcome": one.outcome or None,
        "ground": one.ground or None,
    }


def _with_secret(made: Endpoint) -> dict[str, Any]:
    return {
        "url": made.url,
        "scheme": made.secrets[0].scheme.value,
        "secret": shown_secret(made.secrets[0]),
    }


def _ground(text: str | None) -> LegalBasis | None:
    if text is None:
        return None
    try:
        return LegalBasis(text)
    except ValueError:
        msg = "ground is one of the legal bases of declarations"
        raise RequestInvalid(msg) from None


def _answer(content: dict[str, Any]) -> JSONResponse:
    return JSONResponse(content, headers=_NO_STORE)
