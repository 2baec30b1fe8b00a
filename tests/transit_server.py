"""A stand-in for a transit engine, by its documented wire format.

https://developer.hashicorp.com/vault/api-docs/secret/transit: keys, their
configuration, encrypt and decrypt with ``associated_data``. What it refuses
it refuses with the documented statuses.
"""

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "s.stand-in"


Answer: TypeAlias = tuple[int, dict[str, object] | None]
Body: TypeAlias = dict[str, str]


@dataclass
class Engine:
    """What the server holds, and what it was asked."""

    keys: dict[str, bytes] = field(default_factory=dict)
    deletable: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    ignores_associated_data: bool = False
    redirects_to: str = ""


def _answer(engine: Engine, method: str, path: str, body: Body) -> Answer:
    _, mount, what, name, *more = path.strip("/").split("/")
    assert "transit" == mount
    if what == "keys":
        return _keys(engine, method, name, more, body)
    if name not in engine.keys:
        return 400, {"errors": ["encryption key not found"]}
    aead = AESGCM(engine.keys[name])
    extra = base64.b64decode(body.get("associated_data", ""))
    if engine.ignores_associated_data:
        extra = b""
    if what == "encrypt":
        nonce = os.urandom(12)
        sealed = aead.encrypt(
            nonce, base64.b64decode(body["plaintext"]), extra
        )
        text = base64.b64encode(nonce + sealed).decode()
        return 200, {"data": {"ciphertext": f"vault:v1:{text}"}}
    raw = base64.b64decode(body["ciphertext"].removeprefix("vault:v1:"))
    try:
        opened = aead.decrypt(raw[:12], raw[12:], extra)
    except InvalidTag:
        return 400, {"errors": ["cipher: message authentication failed"]}
    return 200, {"data": {"plaintext": base64.b64encode(opened).decode()}}


def _keys(
    engine: Engine, method: str, name: str, more: list[str], body: Body
) -> Answer:
    if more == ["config"]:
        if body.get("deletion_allowed"):
            engine.deletable.add(name)
        return 200, {"data": {"name": name}}
    if method == "POST":
        assert "aes256-gcm96" == body["type"]
        assert body["exportable"] is False
        engine.keys.setdefault(name, os.urandom(32))
        return 200, {"data": {"name": name}}
    if name not in engine.keys:
        return 404, {"errors": []}
    if method == "GET":
        return 200, {"data": {"name": name, "type": "aes256-gcm96"}}
    if name not in engine.deletable:
        return 400, {"errors": ["deletion is not allowed for this key"]}
    del engine.keys[name]
    return 204, None


@contextmanager
def transit_server() -> Iterator[tuple[str, Engine]]:
    """Run the stand-in on loopback; yields its address and its engine."""
    engine = Engine()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            engine.asked.append((self.command, self.path))
            if engine.redirects_to:
                self.send_response(307)
                self.send_header("Location", engine.redirects_to + self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if self.headers.get("X-Vault-Token") != TOKEN:
                status, found = 403, {"errors": ["permission denied"]}
            else:
                status, found = _answer(engine, self.command, self.path, body)
            raw = b"" if found is None else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", engine
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
