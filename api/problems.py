"""The only table from error to HTTP status (RFC 9457).

A handler is registered for each package's base error; the row is looked up
by the leaf's type, along its method resolution order, and a test asserts
that every leaf has a row of its own. Bodies carry a stable `type`, a
`remedy`, and ids; never a value, never a trace.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

import anonymize
import consent
import policy
import services
import vault
from api.logs import place_of

MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "/problems/"
RETRY_SECONDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What one error becomes: status, slug, title and what to do."""

    status: int
    slug: str
    title: str
    remedy: str


_INTERNAL = Problem(
    status=500,
    slug="internal",
    title="The platform refused to answer",
    remedy="Report the request id to the operator; nothing was disclosed.",
)
_UNAVAILABLE = Problem(
    status=503,
    slug="no-decision",
    title="No decision could be made",
    remedy="Try again after the time in Retry-After.",
)
_INVALID = Problem(
    status=422,
    slug="invalid-request",
    title="The request is malformed",
    remedy="Correct the places named in `errors` and send it again.",
)
_UNAUTHENTICATED = Problem(
    status=401,
    slug="unauthenticated",
    title="The caller did not prove who it is",
    remedy="Get an access token at /oauth/token and send it as a bearer.",
)
_NOT_PERMITTED = Problem(
    status=403,
    slug="not-permitted",
    title="The policies do not permit this",
    remedy="See `reasons`; ask the compliance officer.",
)
_STALE = Problem(
    status=409,
    slug="stale",
    title="What you saw has changed",
    remedy="Read it again, then decide.",
)
_UNKNOWN = Problem(
    status=404,
    slug="unknown-record",
    title="No such record",
    remedy="Check the id.",
)
_NO_SUCH_PAGE = Problem(
    status=404,
    slug="no-such-route",
    title="Nothing is served here",
    remedy="See /openapi.json.",
)


def problem_table() -> Mapping[type[Exception], Problem]:
    """The table itself, from leaf error to problem."""
    return {
        policy.RequestInvalid: _INVALID,
        policy.UnknownAttributes: Problem(
            status=422,
            slug="unknown-attribute",
            title="The request names an attribute that does not exist",
            remedy="See /v1/catalogue for the names.",
        ),
        policy.NotPermitted: _NOT_PERMITTED,
        policy.PersonUnknown: _UNKNOWN,
        policy.RecordUnknown: _UNKNOWN,
        policy.FactsChanged: _STALE,
        policy.CredentialRefused: _UNAUTHENTICATED,
        policy.ReplayImpossible: Problem(
            status=410,
            slug="erased",
            title="This can no longer be opened",
            remedy="None: it was erased, or it was never here.",
        ),
        policy.ReleaseRefused: _NOT_PERMITTED,
        policy.NoDecision: _UNAVAILABLE,
    }


def problem_of(error: BaseException) -> Problem:
    """The row of an error: its own, or its nearest ancestor's."""
    table = problem_table()
    for ancestor in type(error).__mro__:
        found = table.get(ancestor)
        if found is not None:
            return found
    return _INTERNAL


def problem_response(
    problem: Problem,
    *,
    request: Request | None = None,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An `application/problem+json` answer."""
    body: dict[str, Any] = {
        "type": f"{TYPE_BASE}{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "remedy": problem.remedy,
    }
    if request is not None:
        body["request"] = request.state.request_id
    sent = {"Cache-Control": "no-store", **(headers or {})}
    if problem.status == _UNAVAILABLE.status:
        sent["Retry-After"] = str(RETRY_SECONDS)
    if problem.status == _UNAUTHENTICATED.status:
        sent["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        body | dict(extra or {}),
        status_code=problem.status,
        headers=sent,
        media_type=MEDIA_TYPE,
    )


async def on_error(request: Request, error: Exception) -> JSONResponse:
    """Turn any error of ours, or an unforeseen one, into a problem."""
    problem = problem_of(error)
    structlog.get_logger().warning(
        "problem",
        error=type(error).__name__,
        place=place_of(error),
        cause=str(getattr(error, "cause", "")),
        request=request.state.request_id,
        status=problem.status,
    )
    extra: dict[str, Any] = {}
    if isinstance(error, policy.UnknownAttributes):
        extra["attributes"] = list(error.names)
    elif isinstance(error, policy.NoDecision):
        extra["cause"] = error.cause.value
    elif isinstance(error, policy.NotPermitted | policy.ReleaseRefused):
        extra["reasons"] = list(error.reasons)
    elif isinstance(error, policy.RequestInvalid):
        extra["detail"] = str(error)
    return problem_response(problem, request=request, extra=extra)


async def on_invalid(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's own validation, in the one shape; input is not echoed."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    return problem_response(
        _INVALID,
        request=request,
        extra={
            "errors": [
                {
                    "where": ".".join(str(part) for part in found["loc"]),
                    "what": found["type"],
                }
                for found in error.errors()
            ]
        },
    )


async def on_http(request: Request, error: Exception) -> JSONResponse:
    """Starlette's own refusals (404, 405), in the one shape."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    if error.status_code == _NO_SUCH_PAGE.status:
        return problem_response(_NO_SUCH_PAGE, request=request)
    return problem_response(
        Problem(
            status=error.status_code,
            slug=f"http-{error.status_code}",
            title=str(error.detail),
            remedy="See /openapi.json.",
        ),
        request=request,
        headers=error.headers,
    )


def install_problems(app: FastAPI) -> None:
    """Register one handler per package base, and the last resort."""
    for base in (
        vault.VaultError,
        consent.ConsentError,
        anonymize.AnonymizeError,
        policy.PolicyError,
        services.ServiceError,
        Exception,
    ):
        app.add_exception_handler(base, on_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
