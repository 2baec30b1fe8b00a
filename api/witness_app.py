"""A witness over HTTP: ``POST <prefix>/add-checkpoint``, and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog

from consent import LARGEST_SUBMISSION, Witness, WitnessStateInvalid

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
_TEXT = "text/plain; charset=utf-8"


class WitnessApp:
    """A plain ASGI application.

    Args:
        witness: What decides.
        prefix: Path that the submission prefix has on this server.
    """

    def __init__(self, witness: Witness, *, prefix: str = "") -> None:
        self._witness = witness
        self._path = f"{prefix.rstrip('/')}/add-checkpoint"

    async def __call__(
        self, scope: Message, receive: Receive, send: Send
    ) -> None:
        """Serve one request; anything but HTTP is not spoken."""
        if scope["type"] != "http":
            return
        if scope["path"] != self._path:
            status, body, kind = 404, "nothing is served here\n", _TEXT
        elif scope["method"] != "POST":
            status, body, kind = 405, "send it with POST\n", _TEXT
        else:
            status, body, kind = await self._answer(receive)
        structlog.get_logger().info(
            "request", method=scope["method"], status=status
        )
        await _send(send, status, body, kind)

    async def _answer(self, receive: Receive) -> tuple[int, str, str]:
        body = await _body(receive)
        if body is None:
            return 413, f"at most {LARGEST_SUBMISSION} bytes are read\n", _TEXT
        try:
            # In a thread: it waits for the disk.
            found = await asyncio.to_thread(self._witness.add_checkpoint, body)
        except WitnessStateInvalid as error:
            structlog.get_logger().error(
                "witness state", error=type(error).__name__
            )
            return 500, "the witness cannot keep what it cosigns\n", _TEXT
        return found.status, found.body, found.media_type


async def _body(receive: Receive) -> bytes | None:
    """Read a body, or nothing where it is too long."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST_SUBMISSION:
            return None
        if not message.get("more_body"):
            return bytes(body)


async def _send(send: Send, status: int, body: str, kind: str) -> None:
    data = body.encode()
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(data)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if status == 405:
        headers.append((b"allow", b"POST"))
    await send(
        {"type": "http.response.start", "status": status, "headers": headers}
    )
    await send({"type": "http.response.body", "body": data})
