"""The caller's trace, handed on to who decides, and to nobody else."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from policy import FailoverPdp, OpaPdp, load_bundle
from policy.opa import Patience
from policy.pdp import Cause, NoDecision
from tests.doors import Door, at_the_door, body_about
from tests.engines import unhurried
from tests.test_spans import PARENT, SPAN, TRACE, ask_authzen
from tests.worlds import ADDRESS, build_world

CALM = Patience(seconds=60.0)
OTHER = "a" * 32, "b" * 16


@dataclass
class Server:
    """What stands where an OPA server would, and what it was sent."""

    url: str
    sent: list[tuple[str, list[str], bytes]] = field(default_factory=list)

    def traces(self, rule: str) -> list[list[str]]:
        """The `traceparent` headers of each request for a rule."""
        return [traces for path, traces, _ in self.sent if rule in path]


@contextmanager
def serving() -> Iterator[Server]:
    """Decide over loopback with the bundle of the tree; keep the headers."""
    bundle = load_bundle()
    engine = unhurried(bundle)
    server = Server("")

    class Handler(BaseHTTPRequestHandler):
        """Answers as OPA's data API does."""

        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Decide one document."""
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            traces = self.headers.get_all("traceparent") or []
            server.sent.append((self.path, traces, body))
            told: dict[str, Any] = {
                "provenance": {
                    "bundles": {"main": {"revision": bundle.revision}}
                }
            }
            path = self.path.partition("?")[0].removeprefix("/v1/data/")
            try:
                found = asyncio.run(
                    engine.decide(path, json.loads(body)["input"])
                )
                told["result"] = found.document
            except NoDecision as error:
                assert error.cause is Cause.UNDEFINED  # noqa: PT017 - what OPA says by no result
            content = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def opa(server: Server) -> OpaPdp:
    """A decision point there."""
    return OpaPdp(
        url=server.url, revision=load_bundle().revision, patience=CALM
    )


@contextmanager
def asked(tmp_path: Path, server: Server) -> Iterator[Door]:
    """An application whose policies are decided there."""
    with build_world(tmp_path / "home") as world:
        # Its connections belong to the application's event loop.
        pdp = FailoverPdp([opa(server)])
        world.platform.gate._pdp = pdp
        platform = replace(world.platform, pdp=pdp)
        with at_the_door(replace(world, platform=platform)) as door:
            yield door


def test_a_disclosure_hands_the_callers_trace_to_the_server(
    tmp_path: Path,
) -> None:
    """As it came in, once, on the decision; it is no part of the input."""
    with serving() as server, asked(tmp_path, server) as door:
        found = door.ask(
            body_about(door.world, "consenting", *ADDRESS),
            headers={"traceparent": PARENT},
        )
        ask_authzen(door)

    assert 200 == found.status_code
    assert [[PARENT], [PARENT]] == server.traces("curtilage/disclosure")
    assert not [one for _, _, one in server.sent if TRACE.encode() in one]


@pytest.mark.parametrize(
    "headers", [{}, {"traceparent": f"00-{TRACE}-{SPAN}-01\t-x"}]
)
def test_without_a_trace_none_goes_out(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    """What is malformed is as if it had not come."""
    with serving() as server, asked(tmp_path, server) as door:
        found = door.ask(
            body_about(door.world, "consenting", *ADDRESS), headers=headers
        )

    assert 200 == found.status_code
    assert [[]] == server.traces("curtilage/disclosure")


def test_two_callers_traces_are_not_mixed_up() -> None:
    """On one client, at once, and beside a decision that has none."""
    probe = "curtilage/api/decision"
    traces = [f"{TRACE}-{SPAN}", "-".join(OTHER)]
    document = {
        "schema": "curtilage/api/1",
        "caller": {"kind": "service", "id": "a", "roles": []},
        "action": "own-view",
        "target": {},
        "justification": "",
    }

    async def decide(server: Server) -> None:
        async with opa(server) as pdp:
            await asyncio.gather(
                *(
                    pdp.decide_within(probe, document, traces[at % 2])
                    for at in range(20)
                ),
                *(pdp.decide(probe, document) for _ in range(10)),
            )

    with serving() as server:
        asyncio.run(decide(server))

    seen = sorted(str(one) for one in server.traces("api"))
    expected = [[f"00-{one}-01"] for one in traces] * 10 + [[]] * 10
    assert sorted(str(one) for one in expected) == seen


@pytest.mark.parametrize("trace", ["", "x", f"{TRACE}-{SPAN}\r\nx: y"])
def test_what_is_no_trace_is_sent_to_nobody(trace: str) -> None:
    """A header is not for anybody's text: no decision, and no request."""

    async def decide(server: Server) -> Cause:
        async with opa(server) as pdp:
            with pytest.raises(NoDecision) as raised:
                await pdp.decide_within("curtilage/api/decision", {}, trace)
            return raised.value.cause

    with serving() as server:
        assert Cause.MALFORMED == asyncio.run(decide(server))

    assert [] == server.sent
