"""The person's own routes, for programs that act in the person's session.

The same door as the pages, in JSON. A request that changes something
carries the session's form token in ``X-Form-Token``, which
``GET /v1/me/consents`` hands out; the cookie alone is not enough.
"""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from api.pages.desk import GateDesk
from api.pages.port import Choice
from api.pages.sessions import Session, Sessions
from api.platform import Platform
from policy import CredentialRefused

_LAST_INDEX = 2**62
_NO_STORE = {"Cache-Control": "no-store"}


class AnswerIn(BaseModel):
    """An answer to one statement, and what was shown before it."""

    model_config = ConfigDict(
        extra="forbid", strict=True, hide_input_in_errors=True
    )

    service: str = Field(max_length=128)
    purpose: str = Field(max_length=128)
    statement: str = Field(max_length=128)
    choice: Literal["give", "refuse", "withdraw", "pause", "resume"]
    optional: list[str] = Field(default_factory=list, max_length=64)
    declaration: str = Field(min_length=64, max_length=64)
    notice: str = Field(min_length=64, max_length=64)
    language: Literal["en", "zh-Hans"]
    served: str = Field(default="", max_length=64)


class TogetherIn(BaseModel):
    """Several answers as one act; none of them is asked apart."""

    model_config = ConfigDict(
        extra="forbid", strict=True, hide_input_in_errors=True
    )

    answers: list[AnswerIn] = Field(min_length=1, max_length=64)


class ServeIn(BaseModel):
    """Which notice is to be served."""

    model_config = ConfigDict(
        extra="forbid", strict=True, hide_input_in_errors=True
    )

    service: str = Field(max_length=128)
    purpose: str = Field(max_length=128)
    statement: str = Field(default="", max_length=128)
    language: Literal["en", "zh-Hans"]


def consents_router(platform: Platform, sessions: Sessions) -> APIRouter:
    """Routes under ``/v1/me``; mounted in demo mode only.

    Args:
        platform: the instance.
        sessions: those of the pages, which know who has signed out.

    """
    router = APIRouter(prefix="/v1/me", tags=["person"])
    desk = GateDesk(platform)

    def signed_in(request: Request) -> Session:
        session = sessions.read(request)
        if session is None or session.subject is None:
            msg = "nobody is signed in"
            raise CredentialRefused(msg)
        return session

    Signed = Annotated[Session, Depends(signed_in)]  # noqa: N806 - a type

    @router.get("/consents")
    async def consents(session: Signed) -> JSONResponse:
        """Every service and purpose, with the person's answers."""
        found = await desk.own_services(_subject(session))
        return JSONResponse(
            {
                "form_token": sessions.token(session),
                "services": [
                    {
                        "service": one.service,
                        "purpose": one.purpose,
                        "declaration": one.declaration_digest,
                        "statements": [
                            {
                                "id": statement.id,
                                "basis": statement.basis,
                                "state": statement.state.value,
                                "essential": list(statement.essential),
                                "optional": list(statement.optional),
                                "given": list(statement.given_attributes),
                                "asked_again": list(statement.asked_again),
                                "apart": statement.apart,
                            }
                            for statement in one.statements
                        ],
                    }
                    for one in found
                ],
            },
            headers=_NO_STORE,
        )

    @router.post("/consents", status_code=201)
    async def answer(
        body: AnswerIn,
        session: Signed,
        x_form_token: Annotated[str, Header(max_length=512)] = "",
    ) -> JSONResponse:
        """Give, refuse, withdraw, pause or resume one consent."""
        sessions.check(session, x_form_token)
        event = await desk.decide(
            _subject(session),
            body.service,
            body.purpose,
            body.statement,
            Choice(body.choice),
            tuple(body.optional),
            body.declaration,
            body.notice,
            body.language,
            body.served,
        )
        return JSONResponse(
            {"event": str(event)}, status_code=201, headers=_NO_STORE
        )

    @router.post("/notices", status_code=201)
    async def serve(
        body: ServeIn,
        session: Signed,
        x_form_token: Annotated[str, Header(max_length=512)] = "",
    ) -> JSONResponse:
        """Serve a notice; its hash goes into the answer."""
        sessions.check(session, x_form_token)
        notice = await desk.serve(
            _subject(session),
            body.service,
            body.purpose,
            body.language,
            body.statement,
        )
        return JSONResponse(
            {
                "text": notice.text,
                "notice": notice.digest,
                "served": notice.served,
            },
            status_code=201,
            headers=_NO_STORE,
        )

    @router.post("/consents/together", status_code=201)
    async def together(
        body: TogetherIn,
        session: Signed,
        x_form_token: Annotated[str, Header(max_length=512)] = "",
    ) -> JSONResponse:
        """Answer several statements as one act, all of them or none."""
        sessions.check(session, x_form_token)
        events = await desk.decide_together(
            _subject(session),
            [
                desk.answer_of(
                    one.service,
                    one.purpose,
                    one.statement,
                    Choice(one.choice),
                    tuple(one.optional),
                    one.declaration,
                    one.notice,
                    one.language,
                    one.served,
                )
                for one in body.answers
            ],
        )
        return JSONResponse(
            {"events": [str(one) for one in events]},
            status_code=201,
            headers=_NO_STORE,
        )

    @router.get("/uses")
    async def uses(
        session: Signed,
        before: Annotated[int | None, Query(ge=0, le=_LAST_INDEX)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> JSONResponse:
        """Who used the person's data, newest first."""
        page = await desk.own_uses(_subject(session), before, limit)
        return JSONResponse(
            {
                "entries": [
                    {
                        "index": one.index,
                        "at": one.at,
                        "service": one.service,
                        "purpose": one.purpose,
                        "outcome": one.outcome.value,
                        "attributes": {
                            item.attribute: {
                                "effect": item.effect.value,
                                "reason": item.reason,
                            }
                            for item in one.attributes
                        },
                    }
                    for one in page.entries
                ],
                "older": page.older,
            },
            headers=_NO_STORE,
        )

    return router


def _subject(session: Session) -> UUID:
    if session.subject is None:
        msg = "nobody is signed in"
        raise CredentialRefused(msg)
    return session.subject
