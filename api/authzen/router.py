"""The endpoints of the Authorization API 1.0, over any evaluator.

Stricter or looser than the rest of our HTTP where the standard says so: a
bad body is 400 and not 422, members that are unknown are ignored, and a
denial is 200. Errors of one item of a batch stand in that item; whatever is
wrong with the whole, and every missing decision, is an HTTP error.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from api.authzen.entities import (
    BadRequestError,
    Batch,
    Evaluation,
    Members,
    Search,
    Semantic,
    read_action_search,
    read_batch,
    read_body,
    read_evaluation,
    read_resource_search,
    read_subject_search,
)
from api.authzen.limits import Limit, TooManyError
from api.authzen.metadata import EVALUATION, EVALUATIONS, PREFIX, Metadata
from api.authzen.paging import Pages
from api.authzen.port import Answer, Asker, Evaluator
from api.problems import Problem, problem_response
from api.trace_context import caller_trace
from policy import Credential

MOST_ITEMS = 100
_NO_STORE = {"Cache-Control": "no-store"}
_BAD_REQUEST = Problem(
    status=400,
    slug="authzen-request",
    title="The request is not one of the Authorization API",
    remedy="Put in `where` what `what` says, and send it again.",
)
_TOO_MANY = Problem(
    status=429,
    slug="too-many-questions",
    title="The service asked too often",
    remedy="Ask again after the time in Retry-After.",
)

Authenticate = Callable[[Request], Awaitable[Credential]]
Work = Callable[[Members, Asker], Awaitable[dict[str, Any]]]


def authzen_router(
    evaluator: Evaluator,
    *,
    authenticate: Authenticate,
    metadata: Metadata | None,
    pages: Pages,
    limit: Limit,
) -> APIRouter:
    """Routes of the API.

    Args:
        evaluator: what decides.
        authenticate: proves the caller, or raises.
        metadata: where the decision point is reached; None where it has no
            https address, and then there is no document.
        pages: cuts the results of searches.
        limit: how often one service may ask.

    """
    router = APIRouter(tags=["authzen"])

    async def evaluation(body: Members, asker: Asker) -> dict[str, Any]:
        asked = read_evaluation(body)
        limit.take(asker.credential.service, 1)
        return (await evaluator.evaluate(asker, asked)).members()

    async def evaluations(body: Members, asker: Asker) -> dict[str, Any]:
        batch = read_batch(body, most=MOST_ITEMS)
        limit.take(asker.credential.service, max(1, len(batch.items)))
        if batch.single is not None:
            return (await evaluator.evaluate(asker, batch.single)).members()
        answers = await _decide_all(evaluator, asker, batch)
        return {"evaluations": [one.members() for one in answers]}

    def search(read: Callable[[Members], Search]) -> Work:
        async def found(body: Members, asker: Asker) -> dict[str, Any]:
            asked = read(body)
            # Looked at before anything is asked about a person.
            pages.start(body, asker.credential.client_id)
            limit.take(asker.credential.service, 1)
            results = await evaluator.search(asker, asked)
            return pages.cut(body, asker.credential.client_id, results)

        return found

    for path, work in (
        (EVALUATION, evaluation),
        (EVALUATIONS, evaluations),
        (f"{PREFIX}/search/subject", search(read_subject_search)),
        (f"{PREFIX}/search/resource", search(read_resource_search)),
        (f"{PREFIX}/search/action", search(read_action_search)),
    ):
        router.add_api_route(
            path,
            _endpoint(work, authenticate),
            methods=["POST"],
            name=path.rpartition("/")[2],
            openapi_extra=_DESCRIBED,
        )
    if metadata is not None:
        document = metadata.members()

        @router.get(metadata.path)
        async def describe() -> JSONResponse:
            """Where the endpoints of this decision point are."""
            return JSONResponse(document)

    return router


_DESCRIBED = {
    "requestBody": {
        "required": True,
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
        try:
            body = read_body(
                await request.body(), request.headers.get("content-type", "")
            )
            asker = Asker(credential=credential, trace=caller_trace(request))
            found = await work(body, asker)
        except BadRequestError as error:
            return problem_response(
                _BAD_REQUEST,
                request=request,
                extra={"where": error.where, "what": error.what},
            )
        except TooManyError as error:
            return problem_response(
                _TOO_MANY,
                request=request,
                headers={"Retry-After": str(error.seconds)},
            )
        return JSONResponse(found, headers=_NO_STORE)

    return endpoint


async def _decide_all(
    evaluator: Evaluator, asker: Asker, batch: Batch
) -> list[Answer]:
    """Answer each item, in order; a missing decision ends the whole."""
    if batch.semantic is Semantic.EXECUTE_ALL:
        decided = (_decide(evaluator, asker, one) for one in batch.items)
        return list(await asyncio.gather(*decided))
    last = batch.semantic is Semantic.PERMIT_ON_FIRST_PERMIT
    answers = []
    for one in batch.items:
        answers.append(await _decide(evaluator, asker, one))
        if answers[-1].decision is last:
            break
    return answers


async def _decide(
    evaluator: Evaluator,
    asker: Asker,
    asked: Evaluation | BadRequestError,
) -> Answer:
    try:
        if isinstance(asked, BadRequestError):
            raise asked
        return await evaluator.evaluate(asker, asked)
    except BadRequestError as error:
        told = {"status": 400, "message": f"{error.where}: {error.what}"}
        return Answer(decision=False, context={"error": told})
