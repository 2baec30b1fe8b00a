"""Services ask here for named attributes of one person.

`POST /v1/profile-requests` is a POST because a person's identifier must not
stand in an address. Service and purpose come from the token alone.
"""

from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.callers import service_caller
from api.platform import Platform
from policy import (
    AccessRequest,
    ById,
    ByIdentifier,
    Credential,
    Disclosed,
    Disclosure,
    SubjectRef,
)

_LONGEST = 256
_MOST = 64
_STRICT = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class Identifier(BaseModel):
    """An indexed attribute and its value, such as an identity number."""

    model_config = _STRICT

    attribute: str = Field(max_length=_LONGEST)
    value: str = Field(min_length=1, max_length=_LONGEST)


class Person(BaseModel):
    """Who is meant: by the platform's id, or by an identifier."""

    model_config = _STRICT

    id: str | None = Field(default=None, max_length=36)
    identifier: Identifier | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.id is None) == (self.identifier is None):
            msg = "name the person by `id` or by `identifier`, not both"
            raise ValueError(msg)
        if self.id is not None:
            UUID(self.id)
        return self

    def reference(self) -> SubjectRef:
        """The same as the gate's own value."""
        if self.identifier is not None:
            return ByIdentifier(
                attribute=self.identifier.attribute,
                value=self.identifier.value,
            )
        return ById(subject=UUID(self.id))


class ProfileRequest(BaseModel):
    """What a service asks.

    `understands` names the obligations that the service carries out; an
    attribute with another one is withheld.
    """

    model_config = _STRICT

    person: Person
    attributes: list[Annotated[str, Field(max_length=_LONGEST)]] = Field(
        min_length=1, max_length=_MOST
    )
    understands: list[Annotated[str, Field(max_length=64)]] = Field(
        default_factory=list, max_length=16
    )


class ObligationOut(BaseModel):
    """A promise that goes with a value."""

    type: str
    days: int | None = None


class AttributeOut(BaseModel):
    """One attribute of the answer; withheld ones have no value."""

    effect: Literal["release", "generalize", "withhold"]
    value: str | None = None
    level: int = 0
    reason: str | None = None
    remedy: str | None = None
    obligations: list[ObligationOut] = Field(default_factory=list)


class ProfileOut(BaseModel):
    """The answer: a partial grant is no error."""

    decision: UUID
    ledger_index: int
    bundle_revision: str
    decided_at: int = Field(description="POSIX seconds")
    attributes: dict[str, AttributeOut]


def profile_router(platform: Platform) -> APIRouter:
    """Routes for services."""
    router = APIRouter(prefix="/v1", tags=["services"])
    caller = service_caller(platform)

    @router.post("/profile-requests", response_model=ProfileOut)
    async def ask(
        body: ProfileRequest,
        credential: Annotated[Credential, Depends(caller)],
    ) -> Response:
        """Ask for attributes of one person, for the credential's purpose."""
        answer = await platform.gate.disclose(
            AccessRequest(
                tenant=platform.settings.tenant,
                service=credential.service,
                purpose=credential.purpose,
                attributes=tuple(body.attributes),
                person=body.person.reference(),
                understands=frozenset(body.understands),
                assurance=credential.assurance,
            )
        )
        return Response(
            profile_out(answer).model_dump_json(),
            media_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    return router


def profile_out(answer: Disclosure) -> ProfileOut:
    """A disclosure in the API's shape."""
    return ProfileOut(
        decision=answer.decision,
        ledger_index=answer.ledger_index,
        bundle_revision=answer.revision,
        decided_at=answer.at,
        attributes={one.attribute: _out(one) for one in answer.attributes},
    )


def _out(one: Disclosed) -> AttributeOut:
    return AttributeOut(
        effect=one.effect.value,
        value=one.value,
        level=one.level,
        reason=one.reason,
        remedy=one.remedy,
        obligations=[
            ObligationOut(type=item.type, days=item.days)
            for item in one.obligations
        ],
    )
