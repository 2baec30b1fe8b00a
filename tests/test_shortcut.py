"""The short way to the gate reads for whom it knows, and keeps one body."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.shortcut import ASK, Message, Receive, Send, Shortcut
from tests.doors import Door, at_the_door, body_about
from tests.worlds import STREET, build_world

CHUNK = 7


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A running application with its cast, shared."""
    home = tmp_path_factory.mktemp("shortcut") / "home"
    with build_world(home) as world, at_the_door(world) as made:
        yield made


class Behind:
    """The application: notes how much was read, and reads what it is left."""

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self.read_before = -1
        self.messages: list[Message] = []
        self.count = 0

    async def __call__(
        self, _scope: Message, receive: Receive, _send: Send
    ) -> None:
        """Read to the end."""
        self.read_before = self.count
        while True:
            message = await receive()
            self.messages.append(message)
            if not message.get("more_body"):
                return


def drive(
    door: Door, body: bytes, headers: list[tuple[bytes, bytes]], *, cut: bool
) -> tuple[Behind, list[Message]]:
    """Send a body in pieces through the short way."""
    behind = Behind()
    pieces = [
        {
            "type": "http.request",
            "body": body[start : start + CHUNK],
            "more_body": cut or start + CHUNK < len(body),
        }
        for start in range(0, len(body), CHUNK)
    ]
    left: list[Message] = [*pieces, {"type": "http.disconnect"}]
    sent: list[Message] = []

    async def receive() -> Message:
        behind.count += 1
        return left.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "path": ASK,
        "method": "POST",
        "headers": headers,
    }
    asyncio.run(Shortcut(behind, door.world.platform)(scope, receive, send))
    return behind, sent


def headers_of(
    token: str, kind: bytes = b"application/json"
) -> list[tuple[bytes, bytes]]:
    """The headers of a profile request."""
    return [
        (b"content-type", kind),
        (b"authorization", f"Bearer {token}".encode()),
    ]


def test_nothing_is_read_for_a_stranger(door: Door) -> None:
    """Without a good token, or as another type, the body is untouched."""
    body = json.dumps(body_about(door.world, "consenting", STREET)).encode()
    for headers in (
        headers_of("forged"),
        headers_of(door.token(), b"text/plain"),
        [(b"content-type", b"application/json")],
    ):
        behind, sent = drive(door, body, headers, cut=False)

        assert 0 == behind.read_before
        assert body == b"".join(one["body"] for one in behind.messages)
        assert [] == sent


def test_what_is_not_understood_goes_on_as_one_message(door: Door) -> None:
    """However many pieces it came in."""
    behind, sent = drive(
        door, b"{" * 1000, headers_of(door.token()), cut=False
    )

    assert [
        {"type": "http.request", "body": b"{" * 1000, "more_body": False}
    ] == behind.messages
    assert [] == sent


def test_who_hangs_up_is_seen_to_hang_up(door: Door) -> None:
    """The application gets what came, and then that nothing more does."""
    body = json.dumps(body_about(door.world, "consenting", STREET)).encode()

    behind, sent = drive(door, body, headers_of(door.token()), cut=True)

    assert [
        {"type": "http.request", "body": body, "more_body": True},
        {"type": "http.disconnect"},
    ] == behind.messages
    assert [] == sent
