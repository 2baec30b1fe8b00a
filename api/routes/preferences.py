"""The person's own rules in JSON, for programs in the person's session.

`PUT` and `POST` carry the session's form token in ``X-Form-Token``, as in
`api.routes.consents`. ``POST /v1/me/what-if`` changes nothing and writes
nothing; it is a POST because a hypothesis does not fit into an address.
"""

import json
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from api.pages.rules_desk import GateRulesDesk
from api.pages.sessions import Session, Sessions
from api.pages.signals import says_no, where_of
from api.platform import Platform
from consent import Preferences, load_preferences, rule_text
from policy import CredentialRefused, Hypothesis, Outlook, Signal

_NO_STORE = {"Cache-Control": "no-store"}
_WHERE = "preferences"


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, hide_input_in_errors=True
    )


class RulesIn(_Strict):
    """Rules as in a file, and the version that the person saw."""

    preferences: dict[str, Any]
    version: int = Field(ge=0)


class ActivityIn(_Strict):
    """A service and its purpose."""

    service: str = Field(max_length=128)
    purpose: str = Field(max_length=128)


class WhatIfIn(_Strict):
    """What is supposed, and which attribute is asked about."""

    preferences: dict[str, Any] | None = None
    withdraw: list[ActivityIn] = Field(default_factory=list, max_length=64)
    signal: bool | None = None
    attribute: str | None = Field(default=None, max_length=256)


class SignalIn(_Strict):
    """What becomes of the browser's signal."""

    signal: Literal["lift", "honour"]


def preferences_router(platform: Platform, sessions: Sessions) -> APIRouter:
    """Routes about a person's rules; mounted in demo mode only.

    Args:
        platform: the instance.
        sessions: those of the pages, which know who has signed out.

    """
    router = APIRouter(prefix="/v1/me", tags=["person"])
    desk = GateRulesDesk(platform)

    async def signed_in(request: Request) -> UUID:
        session = sessions.read(request)
        if session is None or session.subject is None:
            msg = "nobody is signed in"
            raise CredentialRefused(msg)
        if says_no(request):
            await desk.note_signal(session.subject, where_of(request))
        return session.subject

    def changing(
        request: Request,
        x_form_token: Annotated[str, Header(max_length=512)] = "",
    ) -> Session | None:
        session = sessions.read(request)
        sessions.check(session, x_form_token)
        return session

    Person = Annotated[UUID, Depends(signed_in)]  # noqa: N806 - a type
    Changing = Depends(changing)  # noqa: N806 - a dependency

    @router.get("/preferences")
    async def preferences(subject: Person, request: Request) -> JSONResponse:
        """The person's rules, in JSON and in words, and their signals."""
        stored = desk.rules(subject)
        session = sessions.read(request)
        return JSONResponse(
            {
                "form_token": None
                if session is None
                else sessions.token(session),
                "version": stored.version,
                "preferences": json.loads(stored.preferences.text()),
                "words": {
                    language: [
                        rule_text(rule, language)
                        for rule in stored.preferences.rules
                    ]
                    for language in ("en", "zh-Hans")
                },
                "signals": [_signal(one) for one in desk.signals(subject)],
            },
            headers=_NO_STORE,
        )

    @router.put("/preferences", dependencies=[Changing])
    async def put(body: RulesIn, subject: Person) -> JSONResponse:
        """Put rules in force."""
        version = await desk.set_rules(
            subject, _read(body.preferences), body.version
        )
        return JSONResponse({"version": version}, headers=_NO_STORE)

    @router.post("/what-if", dependencies=[Changing])
    async def what_if(body: WhatIfIn, subject: Person) -> JSONResponse:
        """What each service sees now, and would see."""
        found = await desk.outlook(
            subject,
            Hypothesis(
                preferences=None
                if body.preferences is None
                else _read(body.preferences),
                withdrawn=frozenset(
                    (one.service, one.purpose) for one in body.withdraw
                ),
                signal=body.signal,
            ),
        )
        return JSONResponse(
            {"services": [outlook_row(one, body.attribute) for one in found]},
            headers=_NO_STORE,
        )

    @router.post("/signal", dependencies=[Changing])
    async def signal(body: SignalIn, subject: Person) -> JSONResponse:
        """Lift the browser's signal, or honour it again."""
        if body.signal == "lift":
            await desk.lift_signal(subject)
        else:
            await desk.honour_signal(subject, "/v1/me/signal")
        return JSONResponse(
            {"signals": [_signal(one) for one in desk.signals(subject)]},
            headers=_NO_STORE,
        )

    return router


def outlook_row(one: Outlook, attribute: str | None) -> dict[str, Any]:
    """Write an outlook as JSON.

    Args:
        one: the outlook.
        attribute: an element asked about, or None.

    """
    row: dict[str, Any] = {
        "service": one.service,
        "purpose": one.purpose,
        "stops": one.stops,
        "starts": one.starts,
        "attributes": {
            name: {
                "now": sight.effect.value,
                "now_level": sight.level,
                "then": one.then[name].effect.value,
                "then_level": one.then[name].level,
                "reasons": list(one.then[name].reasons),
            }
            for name, sight in one.now.items()
        },
    }
    if attribute is not None:
        row["sees"] = list(one.seen(attribute))
    return row


def _read(document: dict[str, Any]) -> Preferences:
    text = json.dumps(document, ensure_ascii=False)
    return load_preferences(text.encode("utf-8"), where=_WHERE)


def _signal(one: Signal) -> dict[str, Any]:
    return {
        "signal": one.kind,
        "at": one.at,
        "where": one.where,
        "lifted_at": one.lifted_at,
    }
