"""Requests for consent: submit, poll, cancel (AuthZEN ARAP, draft 1).

The service that was denied has the person asked. Each answer is the same in
status, headers, length and work whoever the person is, and whatever they
said, but for a yes (DESIGN.md, invariant 6). An approval is no access: the
service evaluates again, with it, and the policies decide.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from api.authzen.denials import (
    DenialExpiredError,
    Denials,
    DenialUnboundError,
    instant,
)
from api.authzen.entities import (
    BadRequestError,
    Members,
    read_body,
    read_evaluation,
)
from api.authzen.limits import Limit, TooManyError
from api.authzen.metadata import REQUESTS, Metadata
from api.authzen.port import Asker
from api.authzen.services import read_question
from api.platform import Platform
from api.problems import Problem, problem_of, problem_response
from api.trace_context import caller_trace
from policy import (
    AskedTooOften,
    ById,
    ConsentTask,
    Credential,
    DuplicateRequest,
    NotRequestable,
    SubjectRef,
    Submission,
    TaskExpired,
    TaskSettled,
    TaskStatus,
    TaskUnknown,
)

POLL_SECONDS = 30
_URN = "urn:openid:authzen:access-request:error:"
_LONGEST_KEY = 255
_UNBOUND = Problem(
    status=400,
    slug="invalid-denial-binding",
    title="The request does not fit the denial that it names",
    remedy="Send subject, action, resource and denial as they were.",
)
_EXPIRED = Problem(
    status=410,
    slug="expired-denial",
    title="The denial is too old to be answered by a request",
    remedy="Evaluate again, and answer the new denial.",
)
_BAD = Problem(
    status=400,
    slug="access-request",
    title="The request is not one of the access request profile",
    remedy="Put in `where` what `what` says, and send it again.",
)
_TOO_MANY = Problem(
    status=429,
    slug="too-many-questions",
    title="The service asked too often",
    remedy="Ask again after the time in Retry-After.",
)
_NAMED: dict[type[Exception], str] = {
    NotRequestable: "not_requestable",
    DenialUnboundError: "invalid_denial_binding",
    DenialExpiredError: "expired_denial",
    DuplicateRequest: "duplicate_request",
    TaskUnknown: "unknown_task",
    TaskExpired: "task_expired",
    TaskSettled: "invalid_task_state",
}

Authenticate = Callable[[Request], Awaitable[Credential]]
Work = Callable[[Request, Asker], Awaitable[JSONResponse]]


class RequestDoor:
    """The profile's endpoints, on the platform.

    Args:
        platform: whose people are asked.
        denials: proves what was denied.
        metadata: where the endpoints are.
        limit: how often one service may submit, poll and cancel.

    """

    def __init__(
        self,
        platform: Platform,
        *,
        denials: Denials,
        metadata: Metadata,
        limit: Limit,
    ) -> None:
        self._platform = platform
        self._denials = denials
        self._endpoint = metadata.requests
        self._limit = limit

    async def submit(self, request: Request, asker: Asker) -> JSONResponse:
        """Have the person asked."""
        body = read_body(
            await request.body(), request.headers.get("content-type", "")
        )
        sent = self._read(body, request, asker)
        self._limit.take(asker.credential.service, 1)
        task = await self._platform.asking.submit(sent)
        return self._told(task, status=202)

    async def status(self, request: Request, asker: Asker) -> JSONResponse:
        """Say how far a task is."""
        credential = asker.credential
        self._limit.take(credential.service, 1)
        task = await self._platform.asking.status(
            credential.service, credential.purpose, _handle(request)
        )
        return self._told(task)

    async def cancel(self, request: Request, asker: Asker) -> JSONResponse:
        """Take a question back."""
        body = await request.body()
        if body:
            read_body(body, request.headers.get("content-type", ""))
        credential = asker.credential
        self._limit.take(credential.service, 1)
        task = await self._platform.asking.cancel(
            credential.service,
            credential.purpose,
            _handle(request),
            asker.trace,
        )
        return self._told(task)

    def _read(
        self, body: Members, request: Request, asker: Asker
    ) -> Submission:
        """Read a submission, and prove the denial that it answers.

        Raises:
            BadRequestError: it is misshapen.
            DenialUnboundError, DenialExpiredError: as `Denials.prove`.
            NotRequestable: what it asks for is no attribute of a person.

        """
        for name in ("items", "callback"):
            if name in body:
                raise BadRequestError(name, "nothing; it is not offered")
        asked = read_evaluation(body)
        denial = body.get("denial")
        if type(denial) is not dict:
            where, what = "denial", "an object"
            raise BadRequestError(where, what)
        key = _key(request)
        bound = self._denials.prove(asker.credential, asked, denial)
        about = read_question(self._platform, asker, asked)
        return Submission(
            request=about,
            evaluation=bound.evaluation,
            key=None if key is None else self._denials.digest(["key", key]),
            body=self._denials.digest(["body", body]),
            asked=bound.asked,
            about=self._denials.digest(
                ["about", *_name(self._platform.asking.named(about.person))]
            ),
        )

    def _told(self, task: ConsentTask, *, status: int = 200) -> JSONResponse:
        """A task as the profile has it, and the result of an approved one."""
        address = f"{self._endpoint}/{task.id}"
        told: dict[str, Any] = {
            "id": str(task.id),
            "status": task.status.value,
            "status_endpoint": address,
            "expires_at": instant(task.expires_at),
        }
        headers = {"Cache-Control": "no-store", "Location": address}
        if task.status is TaskStatus.PENDING:
            told["links"] = {"cancel": f"{address}/cancel"}
            headers["Retry-After"] = str(POLL_SECONDS)
        body: dict[str, Any] = {"task": told}
        if task.approval is not None:
            body["result"] = {
                "mode": "reevaluate",
                "approval": {
                    "id": str(task.approval.id),
                    "approved_at": instant(task.approval.at),
                    "approved_until": instant(task.approval.until),
                },
            }
        return JSONResponse(body, status_code=status, headers=headers)


def requests_router(
    door: RequestDoor, *, authenticate: Authenticate
) -> APIRouter:
    """Routes of the profile."""
    router = APIRouter(tags=["authzen"])
    one = REQUESTS + "/{task}"
    for path, method, work, name in (
        (REQUESTS, "POST", door.submit, "request-consent"),
        (one, "GET", door.status, "consent-task"),
        (f"{one}/cancel", "POST", door.cancel, "cancel-consent-task"),
    ):
        router.add_api_route(
            path,
            _endpoint(work, authenticate),
            methods=[method],
            name=name,
            openapi_extra=_DESCRIBED if method == "POST" else None,
        )
    return router


_DESCRIBED = {
    "requestBody": {
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


def _endpoint(
    work: Work, authenticate: Authenticate
) -> Callable[..., Awaitable[JSONResponse]]:
    async def endpoint(
        request: Request,
        credential: Annotated[Credential, Depends(authenticate)],
    ) -> JSONResponse:
        asker = Asker(credential=credential, trace=caller_trace(request))
        try:
            return await work(request, asker)
        except BadRequestError as error:
            return problem_response(
                _BAD,
                request=request,
                extra={"where": error.where, "what": error.what},
            )
        except (TooManyError, AskedTooOften) as error:
            return problem_response(
                _TOO_MANY
                if isinstance(error, TooManyError)
                else problem_of(error),
                request=request,
                headers={"Retry-After": str(error.seconds)},
            )
        except tuple(_NAMED) as error:
            return _named(error, request)

    return endpoint


def _named(error: Exception, request: Request) -> JSONResponse:
    """A problem of the profile, under its own type."""
    problem = {
        DenialUnboundError: _UNBOUND,
        DenialExpiredError: _EXPIRED,
    }.get(type(error)) or problem_of(error)
    return problem_response(
        problem,
        request=request,
        extra={"type": _URN + _NAMED[type(error)]},
    )


def _name(person: SubjectRef) -> list[str]:
    """A reference as it was understood, however it was spelt."""
    if isinstance(person, ById):
        return ["id", str(person.subject)]
    return ["identifier", person.attribute, person.value]


def _handle(request: Request) -> UUID:
    """The handle in the address; of another form it is none of ours."""
    text = str(request.path_params["task"])
    try:
        found = UUID(text)
    except ValueError:
        raise TaskUnknown(UUID(int=0)) from None
    if str(found) != text:
        raise TaskUnknown(UUID(int=0))
    return found


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (
        0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()
    ):
        where = "Idempotency-Key"
        raise BadRequestError(where, f"at most {_LONGEST_KEY} letters")
    return key
