"""Services ask here for named attributes of one person.

`POST /v1/profile-requests` is a POST because a person's identifier must not
stand in an address. Service and purpose come from the token alone.

`POST /v1/profile-requests/batch` is the same question about up to 1,000
people. Each has a decision, a ledger entry and an answer of their own, and
each answer is what the person's own request would have got: the same code
for whatever depends on the person, and a problem in its place where that
request would have been one.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.callers import service_caller
from api.platform import Platform
from api.problems import told_of
from api.trace_context import caller_trace
from policy import (
    MOST_PEOPLE,
    AccessRequest,
    ById,
    ByIdentifier,
    Credential,
    Disclosure,
    SubjectRef,
)

_LONGEST = 256
_MOST = 64
# Answers that are written between two looks at what else waits.
_WRITTEN = 64
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


class BatchRequest(BaseModel):
    """What a service asks about several people: the same of each."""

    model_config = _STRICT

    people: list[Person] = Field(min_length=1, max_length=MOST_PEOPLE)
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


class ReasonOut(BaseModel):
    """What the service lacks, and what would help."""

    code: str
    remedy: str


class MinimumOut(BaseModel):
    """The least that the service's declaration could lawfully carry."""

    attributes: list[str]
    assurance: int
    understands: list[str]


class GuidanceOut(BaseModel):
    """What is missing on the service's own side; nothing of the person."""

    missing: dict[str, list[ReasonOut]] = Field(
        description="by attribute, where there is anything"
    )
    instead: dict[str, list[str]] = Field(
        description="by attribute, the predicates that would do"
    )
    minimum: MinimumOut | None = Field(
        description="null where nothing is declared"
    )


class ProfileOut(BaseModel):
    """The answer: a partial grant is no error."""

    decision: UUID
    ledger_index: int | None = Field(
        description="null while the entry is pending"
    )
    inclusion_promise: str | None = Field(
        description="then the ledger's signed promise to give it one"
    )
    bundle_revision: str
    decided_at: int = Field(description="POSIX seconds")
    attributes: dict[str, AttributeOut]
    guidance: GuidanceOut | None = Field(
        default=None, description="where anything is withheld"
    )


class ProblemOut(BaseModel):
    """Why there is no answer about one person (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    remedy: str


class BatchItemOut(BaseModel):
    """One person's answer, or their problem; the other is null."""

    status: int = Field(
        description="what the person's own request would have been answered"
    )
    answer: ProfileOut | None
    problem: ProblemOut | None


class BatchOut(BaseModel):
    """One item for each person, in the order asked."""

    answered: int = Field(description="how many of them have an answer")
    results: list[BatchItemOut]


def profile_router(platform: Platform) -> APIRouter:
    """Routes for services."""
    router = APIRouter(prefix="/v1", tags=["services"])
    caller = service_caller(platform)

    @router.post("/profile-requests", response_model=ProfileOut)
    async def ask(
        body: ProfileRequest,
        request: Request,
        credential: Annotated[Credential, Depends(caller)],
    ) -> Response:
        """Ask for attributes of one person, for the credential's purpose."""
        return Response(
            await ask_one(platform, credential, body, caller_trace(request)),
            media_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    @router.post("/profile-requests/batch", response_model=BatchOut)
    async def ask_several(
        body: BatchRequest,
        request: Request,
        credential: Annotated[Credential, Depends(caller)],
    ) -> Response:
        """Ask for the same attributes of up to 1,000 people.

        Each person is decided, recorded and answered apart; a person who
        has a problem in place of an answer can be asked for again alone.
        A person who is named twice is answered twice.
        """
        trace = caller_trace(request)
        outcomes = await platform.batch.disclose(
            [
                _asked(platform, credential, body, person, trace)
                for person in body.people
            ]
        )
        return Response(
            await _several_out(outcomes, request.state.request_id),
            media_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    return router


async def ask_one(
    platform: Platform,
    credential: Credential,
    body: ProfileRequest,
    trace: str | None,
) -> bytes:
    """Ask the gate about one person, and write its answer down."""
    answer = await platform.rounds.disclose(
        _asked(platform, credential, body, body.person, trace)
    )
    return as_json(profile_out(answer))


def _asked(
    platform: Platform,
    credential: Credential,
    body: ProfileRequest | BatchRequest,
    person: Person,
    trace: str | None,
) -> AccessRequest:
    return AccessRequest(
        tenant=platform.settings.tenant,
        service=credential.service,
        purpose=credential.purpose,
        attributes=tuple(body.attributes),
        person=person.reference(),
        understands=frozenset(body.understands),
        assurance=credential.assurance,
        trace=trace,
    )


async def _several_out(
    outcomes: Sequence[Disclosure | Exception], request_id: str
) -> bytes:
    """Write a batch down, letting others in between."""
    items = []
    for place, one in enumerate(outcomes):
        if place % _WRITTEN == _WRITTEN - 1:
            await asyncio.sleep(0)
        items.append(as_json(_item(one, request_id)))
    answered = sum(isinstance(one, Disclosure) for one in outcomes)
    return b'{"answered":%d,"results":[%b]}' % (answered, b",".join(items))


def _item(
    outcome: Disclosure | Exception, request_id: str
) -> dict[str, object]:
    if isinstance(outcome, Disclosure):
        answer = profile_out(outcome)
        return {"status": 200, "answer": answer, "problem": None}
    problem = told_of(outcome, request_id)
    return {"status": problem["status"], "answer": None, "problem": problem}


def as_json(document: object) -> bytes:
    """Write what is plain JSON already, without spaces."""
    return json.dumps(
        document, ensure_ascii=False, separators=(",", ":")
    ).encode()


def profile_out(answer: Disclosure) -> dict[str, object]:
    """A disclosure in the shape of `ProfileOut`, as plain JSON.

    Written by hand, because building and checking the models of what the
    gate has just made costs as much as deciding it.
    """
    return {
        "decision": str(answer.decision),
        "ledger_index": answer.ledger_index,
        "inclusion_promise": answer.promise,
        "bundle_revision": answer.revision,
        "decided_at": answer.at,
        "attributes": {
            one.attribute: {
                "effect": one.effect.value,
                "value": one.value,
                "level": one.level,
                "reason": one.reason,
                "remedy": one.remedy,
                "obligations": [
                    {"type": item.type, "days": item.days}
                    for item in one.obligations
                ],
            }
            for one in answer.attributes
        },
        "guidance": (
            None if answer.guidance is None else answer.guidance.document()
        ),
    }
