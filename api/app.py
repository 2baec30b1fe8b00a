"""The ASGI application: wiring of routes, problems and the middleware.

`create_app` takes a `Platform` and starts nothing. The lifespan starts the
commit queue and, at SIGTERM, drains it: every request that was accepted is
answered, or its entry never became durable.
"""

import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse

from api.authzen import (
    Denials,
    Limit,
    Metadata,
    Pages,
    RequestDoor,
    ServiceEvaluator,
    authzen_router,
    requests_router,
)
from api.cadence import publishing
from api.callers import service_caller
from api.pages.desk import install_pages
from api.platform import Platform
from api.policy_watch import watching
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
from api.routes.opa import opa_router
from api.routes.p3p import p3p_router
from api.routes.preferences import preferences_router
from api.routes.profiles import profile_router
from api.routes.tiles import tiles_router
from api.routes.webhooks import webhooks_router
from api.shortcut import Shortcut
from api.spans import echoing
from api.webhook_delivery import telling

LARGEST_BODY = 1 << 20
_LONGEST_LENGTH = 18
_LONGEST_REQUEST_ID = 128
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
        if not platform.macs.required:
            structlog.get_logger().warning(
                "rows count without codes", remedy="curtilage vouch"
            )
        # Ends before the queue does, which it signs through.
        async with (
            platform.running(),
            publishing(platform),
            echoing(platform),
            watching(platform),
            telling(platform),
        ):
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
        tiles_router(platform),
        webhooks_router(platform),
        health_router(platform),
        p3p_router(platform),
        opa_router(platform),
        _authzen(platform),
    ):
        app.include_router(router)
    # Until identity lands, nobody can sign in outside demo mode, so the
    # pages and the person's own routes stay off.
    sessions = install_pages(app, platform)
    if sessions is not None:
        app.include_router(consents_router(platform, sessions))
        app.include_router(preferences_router(platform, sessions))
    app.add_middleware(Shortcut, platform=platform)
    app.add_middleware(Envelope, random=platform.random)
    return app


def _authzen(platform: Platform) -> APIRouter:
    settings = platform.settings
    metadata = (
        Metadata(identifier=settings.public_url, asks=True)
        if settings.public_url
        else None
    )
    caller = service_caller(platform)
    limit = Limit(settings.evaluations_per_minute, time.monotonic)
    # A service asks at an https address, or cannot have anybody asked.
    denials = None if metadata is None else _denials(platform, metadata)
    router = authzen_router(
        ServiceEvaluator(platform, denials),
        authenticate=caller,
        metadata=metadata,
        pages=Pages(_derived(platform, b"curtilage/authzen/1")),
        limit=limit,
    )
    if metadata is not None and denials is not None:
        door = RequestDoor(
            platform, denials=denials, metadata=metadata, limit=limit
        )
        router.include_router(requests_router(door, authenticate=caller))
    return router


def _denials(platform: Platform, metadata: Metadata) -> Denials:
    return Denials(
        key=_derived(platform, b"curtilage/authzen/denials/1"),
        issuer=metadata.identifier,
        endpoint=metadata.requests,
        clock=platform.clock,
    )


def _derived(platform: Platform, label: bytes) -> bytes:
    return hmac.digest(platform.secrets.session, label, "sha256")


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
        answer = _Answer(send, _echoed(scope) or request_id)
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


def _echoed(scope: Message) -> str | None:
    """The caller's own request id, if it is one that can be given back.

    It goes out as it came in, and into no log: it is the caller's text.
    """
    for name, value in scope["headers"]:
        if name == b"x-request-id" and 0 < len(value) <= _LONGEST_REQUEST_ID:
            text = value.decode("latin-1")
            return text if text.isascii() and text.isprintable() else None
    return None


def _too_large(request_id: str) -> JSONResponse:
    return problem_response(_TOO_LARGE, extra={"request": request_id})


def _declares_too_much(scope: Message) -> bool:
    return any(
        name == b"content-length"
        and value.isdigit()
        and (len(value) > _LONGEST_LENGTH or int(value) > LARGEST_BODY)
        for name, value in scope["headers"]
    )
