"""How soon a withdrawal holds, and how soon the service hears of it.

A server of one and of two workers, over HTTP on loopback. A person withdraws
while the service asks again and again, each time on a new connection, which
any worker may take. Figures from the moment the withdrawal is sent: to its
own answer, to the answer of the first read that was refused, and to the
arrival of the webhook at the service's receiver, whose signature is verified.
A round begins when the webhook of the one before has arrived, so the last
figure has nearly the whole pause between two looks of the server in it. What
must never be is counted: a read that was sent after the withdrawal was
answered, and still got the data.
"""

import json
import statistics
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.pages.sessions import Sessions
from api.webhook_signing import shown_secret
from policy import Scheme
from tests.bench.room import Needs
from tests.receivers import Receiver, receiving, verify
from tests.serving import HOST, Served, serving
from tests.worlds import NUMBER, PURPOSE, SERVICE, World, build_world

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=200_000_000, seconds=90),
    True: Needs(bytes=200_000_000, seconds=240),
}
ROUNDS = {False: 20, True: 100}
WORKERS = (1, 2)
REFUSED_AT_MOST_MS = 50.0
WHO = "consenting"


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Measure, and return the figures."""
    found = {
        f"workers_{count}": _with_workers(
            folder / f"home-{count}", count, ROUNDS[full]
        )
        for count in WORKERS
    }
    return {
        **found,
        "refused_at_most_ms": REFUSED_AT_MOST_MS,
        "passed": all(
            one["refused_after_the_answer_ms"]["p95"] <= REFUSED_AT_MOST_MS
            and not one["reads_served_after_the_answer"]
            for one in found.values()
        ),
    }


def _with_workers(home: Path, workers: int, rounds: int) -> dict[str, Any]:
    with (
        receiving() as receiver,
        build_world(
            home,
            webhook_hosts=receiver.host,
            webhook_networks="127.0.0.0/8",
        ) as world,
    ):
        made = world.platform.webhooks.register(
            SERVICE, PURPOSE, receiver.url, Scheme.SYMMETRIC
        )
        secret = shown_secret(made.secrets[0])
        with serving(world, workers=workers, by_command=True) as served:
            me = Me(world=world, port=served.port, cookie=_cookie(world))
            receiver.wait(1)  # what the cast said before there was a server
            seen = [
                _round(world, served, me, receiver, secret)
                for _ in range(rounds)
            ]
    return {
        "rounds": rounds,
        "answered_after_ms": _spread([one.answered for one in seen]),
        "refused_after_ms": _spread([one.refused for one in seen]),
        "refused_after_the_answer_ms": _spread(
            [max(0.0, one.refused - one.answered) for one in seen]
        ),
        "webhook_after_ms": _spread([one.arrived for one in seen]),
        "reads_served_after_the_answer": sum(one.late for one in seen),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One withdrawal, in seconds from when it was sent."""

    answered: float
    refused: float
    arrived: float
    late: int


@dataclass(slots=True)
class Reads:
    """Reads of the service: when sent, when answered, whether served."""

    seen: list[tuple[float, float, bool]] = field(default_factory=list)
    refused: threading.Event = field(default_factory=threading.Event)

    def run(self, served: Served, number: str) -> None:
        """Ask until a read is refused."""
        while not self.refused.is_set():
            sent = time.monotonic()
            answer = served.ask(number)
            got = any(
                one["value"] is not None
                for one in answer["attributes"].values()
            )
            self.seen.append((sent, time.monotonic(), got))
            if not got:
                self.refused.set()


def _round(
    world: World, served: Served, me: "Me", receiver: Receiver, secret: str
) -> Round:
    me.answer("give", me.form_token())
    token = me.form_token()
    number = world.values[WHO][NUMBER]
    reads = Reads()
    reader = threading.Thread(target=reads.run, args=(served, number))
    before = len(receiver.messages)
    reader.start()
    while len(reads.seen) < 3 and reader.is_alive():
        time.sleep(0.001)
    if not reader.is_alive():
        msg = "the service was refused before anybody withdrew"
        raise RuntimeError(msg)
    sent = time.monotonic()
    me.answer("withdraw", token)
    answered = time.monotonic()
    reader.join()
    message = receiver.wait(before + 1)[-1]
    verify(secret, message.headers, message.body)
    return Round(
        answered=answered - sent,
        refused=max(0.0, reads.seen[-1][1] - sent),
        arrived=message.at - sent,
        late=sum(got for begun, _, got in reads.seen if begun > answered),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """The person, in a session of their own."""

    world: World
    port: int
    cookie: str

    def form_token(self) -> str:
        """The token that an answer must carry."""
        return str(self._send("GET", "consents", {}, None)["form_token"])

    def answer(self, choice: str, token: str) -> None:
        """Answer the one statement of the service."""
        about = {
            "service": SERVICE,
            "purpose": PURPOSE,
            "statement": "address",
            "language": "en",
        }
        headers = {"X-Form-Token": token}
        served = self._send("POST", "notices", headers, about)
        body = {
            **about,
            "choice": choice,
            "optional": [],
            "declaration": self.world.declaration.digest,
            "notice": served["notice"],
            "served": served["served"],
        }
        self._send("POST", "consents", headers, body)

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, object] | None,
    ) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://{HOST}:{self.port}/v1/me/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Cookie": self.cookie,
                "Content-Type": "application/json",
                **headers,
            },
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            found: dict[str, Any] = json.load(answer)
        return found


def _cookie(world: World) -> str:
    """The cookie of a session, as signing in makes it."""
    platform = world.platform
    sessions = Sessions(
        secret=platform.secrets.session,
        secure=False,
        clock=lambda: int(time.time()),
        random=platform.random,
    )
    text = sessions._cookies.dumps(
        [
            platform.random(16).hex(),
            int(time.time()),
            world.cast[WHO].hex,
            None,
        ]
    )
    return f"{sessions.cookie}={text}"


def _spread(seconds: list[float]) -> dict[str, float]:
    found = sorted(one * 1000 for one in seconds)
    return {
        "median": round(statistics.median(found), 2),
        "p95": round(found[int(len(found) * 0.95) - 1], 2),
        "largest": round(found[-1], 2),
    }
