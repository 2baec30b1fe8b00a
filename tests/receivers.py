"""A service's own receiver of webhooks, on loopback, with its own verifier.

The verifier follows the text of Standard Webhooks 1.0.0 and shares nothing
with the code that signs.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HOST = "127.0.0.1"
LIMIT = 60.0


class NotVerifiedError(Exception):
    """A receiver must not act on this message."""


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: int | None = None,
    tolerance: int = 300,
) -> None:
    """Verify a message as its receiver: by the spec, and nothing of ours."""
    identity = headers["webhook-id"]
    stamp = headers["webhook-timestamp"]
    if now is not None and abs(now - int(stamp)) > tolerance:
        msg = "too old or too new"
        raise NotVerifiedError(msg)
    signed = identity.encode() + b"." + stamp.encode() + b"." + body
    kind, _, text = secret.partition("_")
    key = base64.b64decode(text, validate=True)
    for one in headers["webhook-signature"].split(" "):
        version, _, given = one.partition(",")
        signature = base64.b64decode(given)
        if (kind, version) == ("whsec", "v1"):
            expected = hmac.new(key, signed, hashlib.sha256).digest()
            if hmac.compare_digest(expected, signature):
                return
        if (kind, version) == ("whpk", "v1a"):
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(
                    signature, signed
                )
            except InvalidSignature:
                continue
            return
    msg = "no signature of this secret"
    raise NotVerifiedError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        """Its webhook-id."""
        return self.headers["webhook-id"]

    @property
    def data(self) -> dict[str, Any]:
        """Its payload's data."""
        found: dict[str, Any] = json.loads(self.body)["data"]
        return found

    @property
    def type(self) -> str:
        """Its payload's type."""
        return str(json.loads(self.body)["type"])


@dataclass(slots=True)
class Receiver:
    """A running receiver. `answer` decides what becomes of a message."""

    port: int
    messages: list[Message] = field(default_factory=list)
    answer: Callable[[BaseHTTPRequestHandler, int], None] = field(
        default=lambda handler, _number: reply(handler, 204)
    )
    arrived: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}/hook"

    @property
    def host(self) -> str:
        """As the setting webhook_hosts names it."""
        return f"{HOST}:{self.port}"

    def wait(self, count: int) -> Sequence[Message]:
        """Wait until so many messages arrived."""
        with self.arrived:
            if not self.arrived.wait_for(
                lambda: len(self.messages) >= count, LIMIT
            ):
                msg = f"{len(self.messages)} of {count} messages arrived"
                raise TimeoutError(msg)
        return self.messages


def reply(
    handler: BaseHTTPRequestHandler,
    status: int,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Answer with a status and nothing else."""
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Keep the message, then answer as the test wants."""
            length = int(self.headers["Content-Length"])
            message = Message(
                path=self.path,
                headers={k.lower(): v for k, v in self.headers.items()},
                body=self.rfile.read(length),
                at=time.monotonic(),
            )
            with receiver.arrived:
                receiver.messages.append(message)
                number = len(receiver.messages)
                receiver.arrived.notify_all()
            receiver.answer(self, number)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """A sender that hung up is no news."""

    server = Server((HOST, 0), Handler)
    receiver = Receiver(port=server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
