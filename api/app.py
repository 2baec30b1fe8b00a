"""The ASGI application: wiring of routes, problems and the middleware.

`create_app` takes a `Platform` and starts nothing. The lifespan starts the
commit queue and, at SIGTERM, drains it: every request that was accepted is
answered, or its entry never became durable.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from api.pages.desk import install_pages
from api.platform import Platform
from api.problems import Problem, install_problems, problem_response
from api.routes.catalogue import catalogue_router
from api.routes.consents import consents_router
from api.routes.extracts import extracts_router
from api.routes.health import health_router
from api.routes.ledger import ledger_router
from api.routes.oauth import oauth_router
from api.routes.profiles import profile_router

LARGEST_BODY = 1 << 20
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
    if platform.settings.demo:
        # Until identity lands, nobody can sign in outside demo mode, so
        # the pages and the person's own routes stay off.
        app.include_router(consents_router(platform))
        install_pages(app, platform)
    app.add_middleware(Envelope, random=platform.random)
    return app


class Envelope:
    """Request ids, the limit on bodies, and one log line a request.

    The log line has the route's template and never the address itself. A
    plain ASGI class: Starlette's BaseHTTPMiddleware would cost a task and
    two memory streams a request.
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
        if _declared_length(scope) > LARGEST_BODY:
            await _too_large(request_id)(scope, receive, send)
            return
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append(
                    (b"x-request-id", request_id.encode())
                )
            await send(message)

        await self._app(scope, _limited(receive), sending)
        route = scope.get("route")
        structlog.get_logger().info(
            "request",
            method=scope["method"],
            path=getattr(route, "path", ""),
            request=request_id,
            status=status,
        )


def _too_large(request_id: str) -> JSONResponse:
    return problem_response(_TOO_LARGE, extra={"request": request_id})


def _declared_length(scope: Message) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _limited(receive: Receive) -> Receive:
    """Cut a body that is longer than it said, or said nothing."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > LARGEST_BODY:
            return {"type": "http.disconnect"}
        return message

    return limited
