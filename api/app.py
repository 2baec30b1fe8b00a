"""The ASGI application: wiring of routes, problems and the middleware.

`create_app` takes a `Platform` and starts nothing. The lifespan starts the
commit queue and, at SIGTERM, drains it: every request that was accepted is
answered, or its entry never became durable.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from api.pages.desk import install_pages
from api.platform import Platform
from api.problems import (
    Problem,
    install_problems,
    on_error,
    problem_response,
)
from api.routes.catalogue import catalogue_router
from api.routes.consents import consents_router
from api.routes.extracts import extracts_router
from api.routes.health import health_router
from api.routes.ledger import ledger_router
from api.routes.oauth import oauth_router
from api.routes.profiles import profile_router

LARGEST_BODY = 1 << 20
_LONGEST_LENGTH = 18
_TOO_LARGE = Problem(
    status=413,
    slug="too-large",
    title="The body is too large",
    remedy=f"Send at most {LARGEST_BODY} bytes.",
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]


def create_app(platform: Platform) -> FastAPI:
    """Wire the application of one platform."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with platform.running():
            yield

    app = FastAPI(
        title="Curtilage",
        version=platform.version,
        description="Personal data behind consent, law and policy.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    install_problems(app)
    for router in (
        oauth_router(platform),
        profile_router(platform),
        catalogue_router(platform),
        extracts_router(platform),
        ledger_router(platform),
        health_router(platform),
    ):
        app.include_router(router)
    # Until identity lands, nobody can sign in outside demo mode, so the
    # pages and the person's own routes stay off.
    sessions = install_pages(app, platform)
    if sessions is not None:
        app.include_router(consents_router(platform, sessions))
    app.add_middleware(Envelope, random=platform.random)
    return app


class Envelope:
    """Request ids, the limit on bodies, and one log line a request.

    The log line has the route's template and never the address itself. An
    error that no handler took ends here as a problem: further out, the
    server would log it with its text, which may quote a value. A plain ASGI
    class: Starlette's BaseHTTPMiddleware would cost a task and two memory
    streams a request.
    """

    def __init__(self, app: Asgi, random: Callable[[int], bytes]) -> None:
        self._app = app
        self._random = random

    async def __call__(
        self, scope: Message, receive: Receive, send: Send
    ) -> None:
        """Serve one request inside the envelope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._random(8).hex()
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        if _declares_too_much(scope):
            await _too_large(request_id)(scope, receive, answer.send)
        else:
            await self._serve(scope, receive, answer, request_id)
        route = scope.get("route")
        structlog.get_logger().info(
            "request",
            method=scope["method"],
            path=getattr(route, "path", ""),
            request=request_id,
            status=answer.status,
        )

    async def _serve(
        self, scope: Message, receive: Receive, answer: "_Answer", request: str
    ) -> None:
        body = _Limited(receive)

        async def send(message: Message) -> None:
            # What the application makes of a body that was cut is no
            # answer to what the caller sent.
            if not body.cut:
                await answer.send(message)

        try:
            await self._app(scope, body.receive, send)
        except Exception as error:  # noqa: BLE001 - whatever it is, its text must not reach the server's log
            problem = await on_error(Request(scope), error)
            if not answer.status and not body.cut:
                await problem(scope, receive, answer.send)
        if body.cut and not answer.status:
            await _too_large(request)(scope, receive, answer.send)


class _Answer:
    """Sends an answer with its request id, and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id.encode()
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"].append((b"x-request-id", self._request_id))
        await self._send(message)


class _Limited:
    """Cuts a body that is longer than it said, or said nothing."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._received = 0
        self.cut = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > LARGEST_BODY:
            self.cut = True
            return {"type": "http.disconnect"}
        return message


def _too_large(request_id: str) -> JSONResponse:
    return problem_response(_TOO_LARGE, extra={"request": request_id})


def _declares_too_much(scope: Message) -> bool:
    return any(
        name == b"content-length"
        and value.isdigit()
        and (len(value) > _LONGEST_LENGTH or int(value) > LARGEST_BODY)
        for name, value in scope["headers"]
    )
