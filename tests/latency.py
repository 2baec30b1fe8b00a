"""What a service can measure: requests about people of every kind, mixed.

The application is called in process through its ASGI interface, with the
bytes of real requests, so that nothing but its own work is timed. A
classifier that sees the latency alone is as good as its rank AUC: 0.5 is a
coin, 1.0 knows. The order of the kinds is drawn anew in each round, so that
no drift of the machine falls on one of them.
"""

import gc
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message

from api.app import create_app
from tests.doors import ASK, body_about, credential
from tests.worlds import CITY, World

# Names of the cast; somebody who is not in it is unknown.
KINDS: Mapping[str, str] = {
    "unknown": "nobody",
    "no value": "valueless",
    "erased": "erased",
    "refused": "refusing",
    "withdrawn": "withdrawn",
    "sealed": "restricted",
}
# What is each answer's own, whoever it is about.
_OWN = frozenset({"decision", "ledger_index", "decided_at"})
_OWN_HEADERS = frozenset({b"x-request-id"})


@dataclass(slots=True)
class Seen:
    """What was measured about one kind."""

    seconds: list[float] = field(default_factory=list)
    sizes: set[int] = field(default_factory=set)
    answers: set[str] = field(default_factory=set)
    headers: set[str] = field(default_factory=set)


async def call(
    app: ASGIApp, path: str, body: bytes, headers: Sequence[tuple[str, str]]
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Send one request to the application, and take its answer."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(
        {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [
                (name.encode(), value.encode()) for name, value in headers
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        },
        receive,
        send,
    )
    content = b"".join(one.get("body", b"") for one in sent[1:])
    return sent[0]["status"], list(sent[0]["headers"]), content


async def measure(
    world: World,
    rounds: int,
    *,
    around: Callable[[str, Awaitable[Any]], Awaitable[Any]] | None = None,
    warm: int = 20,
) -> dict[str, Seen]:
    """Ask about every kind once a round, in an order drawn each time.

    Args:
        world: a running instance with its cast.
        rounds: how often.
        around: awaits a request with its kind, and may watch it.
        warm: rounds that are not counted.

    Returns:
        What was seen, by kind.

    """
    app = create_app(world.platform)
    token = await _token(app, world)
    headers = (
        ("authorization", f"Bearer {token}"),
        ("content-type", "application/json"),
    )
    bodies = {
        kind: json.dumps(body_about(world, name, CITY)).encode()
        for kind, name in KINDS.items()
    }
    seen = {kind: Seen() for kind in KINDS}
    draw = random.Random(rounds)  # noqa: S311 - an order, not a secret
    for number in range(warm + rounds):
        order = list(KINDS)
        draw.shuffle(order)
        for kind in order:
            request = call(app, ASK, bodies[kind], headers)
            start = time.perf_counter()
            if around is not None and number >= warm:
                answer = await around(kind, request)
            else:
                answer = await request
            took = time.perf_counter() - start
            if number >= warm:
                _note(seen[kind], took, *answer)
    return seen


async def _token(app: ASGIApp, world: World) -> str:
    client, secret = credential(world)
    form = (
        f"grant_type=client_credentials&client_id={client}"
        f"&client_secret={secret}"
    )
    kind = ("content-type", "application/x-www-form-urlencoded")
    _, _, body = await call(app, "/oauth/token", form.encode(), (kind,))
    return str(json.loads(body)["access_token"])


def _note(
    seen: Seen,
    took: float,
    status: int,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
) -> None:
    document = json.loads(body)
    index = document.get("ledger_index", 0)
    seen.seconds.append(took)
    # The index grows by a digit now and then, whoever it is about.
    seen.sizes.add(len(body) - len(str(index)))
    seen.answers.add(
        json.dumps(
            {
                name: value
                for name, value in document.items()
                if name not in _OWN
            },
            sort_keys=True,
        )
    )
    seen.headers.add(
        f"{status} "
        + repr(
            [
                (name, b"" if name == b"content-length" else value)
                for name, value in headers
                if name not in _OWN_HEADERS
            ]
        )
    )


def auc(one: Sequence[float], others: Sequence[float]) -> float:
    """How well a threshold tells two samples apart, by their ranks.

    The area under the ROC curve, by the statistic of Mann and Whitney with
    ties counted half; never below 0.5, since a classifier may be turned
    around.

    Args:
        one: one sample.
        others: the other.

    """
    ranked = sorted(
        [(value, True) for value in one] + [(value, False) for value in others]
    )
    total, start = 0.0, 0
    while start < len(ranked):
        end = start
        while end < len(ranked) and ranked[end][0] == ranked[start][0]:
            end += 1
        middle = (start + 1 + end) / 2
        total += middle * sum(mine for _, mine in ranked[start:end])
        start = end
    wins = total - len(one) * (len(one) + 1) / 2
    area = wins / (len(one) * len(others))
    return max(area, 1 - area)


def one_against_rest(seen: Mapping[str, Seen]) -> dict[str, float]:
    """The AUC of each kind against all others together."""
    return {
        kind: auc(
            found.seconds,
            [
                took
                for other, rest in seen.items()
                if other != kind
                for took in rest.seconds
            ],
        )
        for kind, found in seen.items()
    }


def pairs(seen: Mapping[str, Seen]) -> dict[str, float]:
    """The AUC of each two kinds."""
    names = list(seen)
    return {
        f"{one} / {other}": auc(seen[one].seconds, seen[other].seconds)
        for place, one in enumerate(names)
        for other in names[place + 1 :]
    }


def run(
    world: World,
    rounds: int,
    *,
    around: Callable[[str, Awaitable[Any]], Awaitable[Any]] | None = None,
) -> dict[str, Seen]:
    """`measure` on an event loop, while the platform runs."""
    gc.collect()
    gc.freeze()
    try:
        return world.run(measure(world, rounds, around=around))
    finally:
        gc.unfreeze()
