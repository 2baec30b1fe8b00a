"""The only table from error to HTTP status (RFC 9457).

A handler is registered for each package's base error; the row is looked up
by the leaf's type, along its method resolution order, and a test asserts
that every leaf has a row of its own. Bodies carry a stable `type`, a
`remedy`, and ids; never a value, never a trace.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
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
from api.faults import fault_of
from api.logs import place_of
from api.pages import errors as pages

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

    @property
    def is_about_input(self) -> bool:
        """Whether the caller's own input is at fault."""
        return self.status in {400, 422} and self.slug != "unverified-evidence"


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
_STORAGE = Problem(
    status=503,
    slug="storage-unavailable",
    title="The storage of the platform cannot go on",
    remedy="Try again later; nothing was disclosed. The operator's log says "
    "what is wrong.",
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
_MALFORMED = Problem(
    status=400,
    slug="malformed-body",
    title="The body cannot be read",
    remedy="Send what the route's description in /openapi.json asks for.",
)
_UNKNOWN_ATTRIBUTE = Problem(
    status=422,
    slug="unknown-attribute",
    title="The request names an attribute that does not exist",
    remedy="See /v1/catalogue for the names.",
)
_STORED = Problem(
    status=500,
    slug="stored-data-refused",
    title="What is stored did not pass its checks",
    remedy="Report the request id to the operator, who runs "
    "`curtilage vault verify`, `ledger verify`, `consent verify` and "
    "`policy verify`.",
)
_OPERATOR = Problem(
    status=500,
    slug="not-operable",
    title="The platform is not set up for this",
    remedy="Report the request id to the operator.",
)
_KEYS = Problem(
    status=503,
    slug="keys-unavailable",
    title="The keys cannot be used now",
    remedy="Try again after the time in Retry-After.",
)
_FILE = Problem(
    status=422,
    slug="invalid-file",
    title="A file or a specification is malformed",
    remedy="Correct it where the command line points and try again.",
)
_CONFLICT = Problem(
    status=409,
    slug="conflict",
    title="This contradicts what is recorded",
    remedy="Read it again, then decide.",
)
_APART = Problem(
    status=409,
    slug="separate-consent-needed",
    title="This takes a consent of its own",
    remedy="show the notice of this statement alone, then answer it alone",
)
_NOT_SERVED = Problem(
    status=409,
    slug="notice-not-served",
    title="The notice was not served",
    remedy="have the notice served to this person, and name its hash",
)
_NO_MANDATE = Problem(
    status=403,
    slug="mandate-invalid",
    title="There is no mandate for this",
    remedy="have an officer record a mandate that is in force and covers it",
)
_NOT_ASKED = Problem(
    status=422,
    slug="consent-not-asked",
    title="The law is the basis here, so consent is not asked",
    remedy="None: nobody can give or refuse it.",
)
_UNVERIFIED = Problem(
    status=422,
    slug="unverified-evidence",
    title="The evidence does not verify",
    remedy="Get it again from who issued it.",
)


def problem_table() -> Mapping[type[Exception], Problem]:
    """The table itself, from error to problem; the bases have no row."""
    return {
        **_of_the_vault(),
        **_of_consent(),
        **_of_the_ledger(),
        **_of_extracts(),
        **_of_the_gate(),
        **_of_the_pages(),
    }


def _of_the_vault() -> Mapping[type[Exception], Problem]:
    return {
        vault.UnknownAttribute: _UNKNOWN_ATTRIBUTE,
        vault.InvalidValue: Problem(
            status=422,
            slug="invalid-value",
            title="A value is not one of its attribute",
            remedy="Write it as the catalogue describes.",
        ),
        vault.NotIndexed: Problem(
            status=422,
            slug="not-an-identifier",
            title="Nobody can be looked up by this attribute",
            remedy="Use an identifier, such as user.identity.number.",
        ),
        vault.DuplicateIdentifier: Problem(
            status=409,
            slug="duplicate-identifier",
            title="An identifier belongs to somebody already",
            remedy="Correct the person who has it, or the new one.",
        ),
        vault.UnknownSubject: _UNKNOWN,
        vault.UnknownDispute: _UNKNOWN,
        vault.MergedSubject: _CONFLICT,
        vault.IndexRefused: _CONFLICT,
        vault.GrantRefused: _STORED,
        vault.CryptoFailure: _STORED,
        vault.KeyUnavailable: _KEYS,
        vault.NotInitialised: _OPERATOR,
        vault.StatesAltered: _STORED,
        vault.StatesUnsealed: _OPERATOR,
        vault.AdoptionRefused: _CONFLICT,
        vault.KeyJobRuns: _CONFLICT,
        vault.SubjectHeld: _CONFLICT,
        vault.HoldRefused: _CONFLICT,
        vault.JournalUnavailable: _OPERATOR,
        vault.JournalDamaged: _OPERATOR,
        vault.MappingInvalid: _FILE,
        vault.ImportRefused: _FILE,
    }


def _of_consent() -> Mapping[type[Exception], Problem]:
    return {
        consent.DeclarationInvalid: _FILE,
        consent.DeclarationFrozen: _CONFLICT,
        consent.UnknownDeclaration: _UNKNOWN,
        consent.PreferencesInvalid: _INVALID,
        consent.ConsentDamaged: _STORED,
        consent.RowForged: _STORED,
        consent.RecordInvalid: _CONFLICT,
        consent.ConsentNotAsked: _NOT_ASKED,
        consent.SeparateConsentNeeded: _APART,
        consent.NoticeNotServed: _NOT_SERVED,
        consent.MandateInvalid: _NO_MANDATE,
        consent.NoticeUnavailable: _UNKNOWN,
        consent.UnknownNotice: _UNKNOWN,
        consent.ReceiptInvalid: _UNVERIFIED,
    }


def _of_the_ledger() -> Mapping[type[Exception], Problem]:
    return {
        consent.DraftInvalid: _OPERATOR,
        consent.LogKeyMoved: _KEYS,
        consent.LedgerUnavailable: Problem(
            status=503,
            slug="ledger-unavailable",
            title="No entry could be made, so there is no answer",
            remedy="Try again after the time in Retry-After.",
        ),
        consent.UnknownEntry: _UNKNOWN,
        consent.EntryUnreadable: _UNKNOWN,
        consent.TrustPolicyInvalid: _FILE,
        consent.LedgerError: _STORED,
    }


def _of_extracts() -> Mapping[type[Exception], Problem]:
    return {
        anonymize.MissingExtra: _OPERATOR,
        anonymize.InvalidSpec: _FILE,
        anonymize.InvalidHierarchy: _FILE,
        anonymize.InvalidRows: _FILE,
        anonymize.ValueNotCovered: _FILE,
        anonymize.TextTooLong: _FILE,
        anonymize.DocumentUnreadable: _FILE,
        anonymize.InvalidQuery: _FILE,
        anonymize.BudgetExhausted: Problem(
            status=409,
            slug="privacy-budget-exhausted",
            title="The privacy budget does not allow an answer now",
            remedy="Wait until it refreshes, or ask for a smaller epsilon.",
        ),
        anonymize.CriteriaNotMet: Problem(
            status=409,
            slug="model-unsatisfied",
            title="The extract misses its criteria, so there is none",
            remedy="Ask for fewer columns, coarser ones, or a smaller k.",
        ),
        anonymize.SuccessionRefused: Problem(
            status=409,
            slug="too-like-earlier-release",
            title="Beside the earlier releases it would tell of few people",
            remedy="Wait until more people have joined or left, or allow "
            "more suppression.",
        ),
        anonymize.ExtractTampered: _STORED,
        anonymize.OutputExists: _CONFLICT,
    }


def _of_the_gate() -> Mapping[type[Exception], Problem]:
    return {
        policy.RequestInvalid: _INVALID,
        policy.UnknownAttributes: _UNKNOWN_ATTRIBUTE,
        policy.NotPermitted: _NOT_PERMITTED,
        policy.PersonUnknown: _UNKNOWN,
        policy.ErasureWaits: _CONFLICT,
        policy.RecordUnknown: _UNKNOWN,
        policy.RestraintDamaged: _STORED,
        policy.FactsChanged: _STALE,
        policy.CredentialRefused: _UNAUTHENTICATED,
        policy.NotRequestable: Problem(
            status=400,
            slug="not-requestable",
            title="Nobody can be asked for this",
            remedy="Ask only where a denial carries `access_request`.",
        ),
        policy.DuplicateRequest: Problem(
            status=409,
            slug="duplicate-request",
            title="The key or the denial was used for another submission",
            remedy="Send a new Idempotency-Key, and a new denial.",
        ),
        policy.AskedTooOften: Problem(
            status=429,
            slug="person-asked-often",
            title="The service had this person asked often enough",
            remedy="Ask again after the time in Retry-After.",
        ),
        policy.TaskUnknown: Problem(
            status=404,
            slug="unknown-task",
            title="The service has no task of this handle",
            remedy="Use the handle that the submission was answered with.",
        ),
        policy.TaskExpired: Problem(
            status=410,
            slug="task-expired",
            title="The time of the task is over",
            remedy="Evaluate again; a denial may be requestable anew.",
        ),
        policy.TaskSettled: Problem(
            status=409,
            slug="invalid-task-state",
            title="The task is not open any more",
            remedy="None: it is approved, or cancelled already.",
        ),
        policy.ReplayImpossible: Problem(
            status=410,
            slug="erased",
            title="This can no longer be opened",
            remedy="None: it was erased, or it was never here.",
        ),
        policy.ReleaseRefused: _NOT_PERMITTED,
        policy.NoDecision: _UNAVAILABLE,
        policy.EngineError: _OPERATOR,
        policy.BundleInvalid: _OPERATOR,
        policy.CompileFailed: _OPERATOR,
        services.UnderstandingGap: _OPERATOR,
    }


def _of_the_pages() -> Mapping[type[Exception], Problem]:
    """The person's JSON routes share the desk, and so its errors."""
    return {
        pages.NotFound: _UNKNOWN,
        pages.Forbidden: Problem(
            status=403,
            slug="wrong-form-token",
            title="The form token is not this session's",
            remedy="Get it again from /v1/me/consents.",
        ),
        pages.Conflict: _STALE,
        pages.NoDecision: _UNAVAILABLE,
        pages.FormInvalid: _MALFORMED,
        pages.PagesMisconfigured: _OPERATOR,
    }


def problem_of(error: BaseException) -> Problem:
    """The row of an error, or the last resort's."""
    known = row_of(type(error))
    if known is not None:
        return known
    return _INTERNAL if fault_of(error) is None else _STORAGE


def row_of(kind: type[BaseException]) -> Problem | None:
    """The row of a class: its own, or its nearest ancestor's."""
    table = problem_table()
    for ancestor in kind.__mro__:
        found = table.get(ancestor)
        if found is not None:
            return found
    return None


def problem_body(problem: Problem) -> dict[str, Any]:
    """What every problem says of itself."""
    return {
        "type": f"{TYPE_BASE}{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "remedy": problem.remedy,
    }


def told_of(error: Exception, request_id: str) -> dict[str, Any]:
    """The body of an error's problem where it is one among answers."""
    return problem_body(noted(error, request_id)) | _more(error)


def noted(error: Exception, request_id: str) -> Problem:
    """Log an error by its class and place; return its problem."""
    problem = problem_of(error)
    structlog.get_logger().warning(
        "problem",
        error=type(error).__name__,
        place=place_of(error),
        cause=str(getattr(error, "cause", fault_of(error) or "")),
        request=request_id,
        status=problem.status,
    )
    return problem


def problem_response(
    problem: Problem,
    *,
    request: Request | None = None,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An `application/problem+json` answer."""
    body = problem_body(problem)
    if request is not None:
        body["request"] = request.state.request_id
    sent = {"Cache-Control": "no-store", **(headers or {})}
    if problem.status == 503:
        sent["Retry-After"] = str(RETRY_SECONDS)
    if problem.status == 401:
        sent["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        body | dict(extra or {}),
        status_code=problem.status,
        headers=sent,
        media_type=MEDIA_TYPE,
    )


async def on_error(request: Request, error: Exception) -> JSONResponse:
    """Turn any error of ours, or an unforeseen one, into a problem."""
    problem = noted(error, request.state.request_id)
    return problem_response(problem, request=request, extra=_more(error))


# What a problem says beyond its row: attributes of the error, never an input.
_MORE: Mapping[type[Exception], tuple[str, ...]] = MappingProxyType(
    {
        policy.NoDecision: ("cause",),
        policy.NotPermitted: ("reasons",),
        policy.ReleaseRefused: ("reasons",),
        vault.InvalidValue: ("attribute", "reason"),
        vault.NotIndexed: ("attribute",),
        vault.DuplicateIdentifier: ("attribute",),
        anonymize.SuccessionRefused: ("allowed",),
        anonymize.CriteriaNotMet: (
            "k_asked",
            "k_reached",
            "l_asked",
            "l_reached",
        ),
    }
)


def _more(error: Exception) -> dict[str, Any]:
    if isinstance(error, policy.UnknownAttributes):
        # A wrong name may be a value in the wrong place: it is counted.
        return {"count": len(error.names)}
    if isinstance(error, policy.RequestInvalid):
        return {"detail": str(error)}
    return {name: getattr(error, name) for name in _MORE.get(type(error), ())}


async def on_invalid(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's own validation, in the one shape; input is not echoed."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    return problem_response(
        _INVALID,
        request=request,
        extra={
            "errors": [
                {"where": _place(found), "what": found["type"]}
                for found in error.errors()
            ]
        },
    )


def _place(found: Mapping[str, Any]) -> str:
    """Where a fault is: the names of our own fields, and positions.

    The name of a field that is too much is the caller's, so its parent is
    named instead.
    """
    parts = list(found["loc"])
    if found["type"] == "extra_forbidden":
        parts.pop()
    return ".".join(str(part) for part in parts)


async def on_http(request: Request, error: Exception) -> JSONResponse:
    """Starlette's own refusals (404, 405), in the one shape."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    if error.status_code == _NO_SUCH_PAGE.status:
        return problem_response(_NO_SUCH_PAGE, request=request)
    if error.status_code == _MALFORMED.status:
        return problem_response(_MALFORMED, request=request)
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
        pages.PagesError,
        Exception,
    ):
        app.add_exception_handler(base, on_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
