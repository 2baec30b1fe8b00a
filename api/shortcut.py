"""The short way to the gate: the hottest route without the framework.

Solving a route's dependencies, building its models and unwinding its stacks
costs several times what reading the body does. What is an ordinary profile
request is answered here; whatever else comes goes on to the application with
what was read of it, so that each refusal is the route's own. Nothing is read
for anybody without a good token. The
route stays where it is: it describes itself in /openapi.json, and answers
what this leaves to it with the same functions.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request

from api.callers import bearer
from api.platform import Platform
from api.routes.profiles import ProfileRequest, ask_one
from api.trace_context import caller_trace
from policy import Credential, CredentialRefused

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]
ASK = "/v1/profile-requests"
_JSON = b"application/json"


@dataclass(frozen=True, slots=True)
class _Route:
    """What the log line asks of a route."""

    path: str


class Shortcut:
    """Answers profile requests; hands everything else on.

    Args:
        app: the application.
        platform: whose gate answers.
    """

    def __init__(self, app: Asgi, platform: Platform) -> None:
        self._app = app
        self._platform = platform
        self._route = _Route(ASK)

    async def __call__(
        self, scope: Message, receive: Receive, send: Send
    ) -> None:
        """Serve one request."""
        if (
            scope["type"] != "http"
            or scope["path"] != ASK
            or scope["method"] != "POST"
        ):
            await self._app(scope, receive, send)
            return
        credential = await self._caller(scope)
        if credential is None:
            await self._app(scope, receive, send)
            return
        body, end = await _read(receive)
        asked = None if end is not None else _understood(body)
        if asked is None:
            await self._app(scope, _again(body, end, receive), send)
            return
        scope["route"] = self._route
        answer = await ask_one(
            self._platform, credential, asked, caller_trace(Request(scope))
        )
        await _send(send, answer)

    async def _caller(self, scope: Message) -> Credential | None:
        """Who asks, before any of the body is read; None for anybody else."""
        # Of several headers of a name the first counts, as it does there.
        sent = dict(reversed(scope["headers"]))
        if sent.get(b"content-type") != _JSON:
            return None
        try:
            token = bearer(sent.get(b"authorization", b"").decode("latin-1"))
            return await self._platform.tokens.live(token)
        except (CredentialRefused, ValueError):
            return None


def _understood(body: bytes) -> ProfileRequest | None:
    """What is asked; None for what the route itself should refuse."""
    try:
        return ProfileRequest.model_validate(json.loads(body))
    except (RecursionError, ValidationError, ValueError):
        return None


async def _read(receive: Receive) -> tuple[bytes, Message | None]:
    """Read a body to its end, or to what came in its place."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body), message
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body), None


def _again(body: bytes, end: Message | None, receive: Receive) -> Receive:
    """Give what was read once more, as one message, and then what comes."""
    left: list[Message] = [
        {"type": "http.request", "body": body, "more_body": end is not None}
    ]
    if end is not None:
        left.append(end)

    async def again() -> Message:
        return left.pop(0) if left else await receive()

    return again


async def _send(send: Send, body: bytes) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"cache-control", b"no-store"),
                (b"content-length", str(len(body)).encode()),
                (b"content-type", _JSON),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
