"""The server's decision point: everything odd is `NoDecision`, by cause."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from policy.opa import OpaPdp, Patience
from policy.pdp import Cause, NoDecision
from tests.engines import Engines, both, exactly, write_policy
from tests.test_embedded import DATA, ECHOED, NAMES, RULES

REVISION = "1" * 64
PROVENANCE = {"version": "1.20.2", "bundles": {"b": {"revision": REVISION}}}
# Nothing but what is to time out may do so, however busy the machine is.
CALM = Patience(seconds=120.0, failures=3, rest=10.0, largest=100_000)
QUICK = Patience(seconds=0.5, failures=3, rest=10.0, largest=100_000)
PATH = "t/answer"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(
    body: bytes | dict[str, Any], status: str = "200 OK", head: str = ""
) -> bytes:
    """Return an HTTP answer."""
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        "Connection: close\r\n"
        f"Content-Length: {len(content)}\r\n{head}\r\n"
    ).encode() + content


def decided(**fields: object) -> bytes:
    """Return the answer of a server that runs the expected bundle."""
    return answer({"provenance": PROVENANCE, **fields})


@asynccontextmanager
async def served(
    replies: list[bytes], seen: list[bytes] | None = None
) -> AsyncIterator[str]:
    """Run a server that gives these answers, one a connection."""
    waiting = iter(replies)

    async def serve(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            if seen is not None:
                seen.append(request)
            reply = next(waiting, b"")
            if reply == b"slow":
                await stopped.wait()
                return
            writer.write(reply)
            await writer.drain()
        finally:
            writer.close()

    stopped = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stopped.set()
        server.close()
        await asyncio.sleep(0.01)


async def cause_of(pdp: OpaPdp, document: object = None) -> Cause:
    """Return the cause of the `NoDecision` that a decision ends in."""
    with pytest.raises(NoDecision) as raised:
        await pdp.decide(PATH, {} if document is None else document)
    return raised.value.cause


REPLIES = {
    "undefined": (decided(), Cause.UNDEFINED),
    "null": (decided(result=None), Cause.MALFORMED),
    "a boolean": (decided(result=True), Cause.MALFORMED),
    "an array": (decided(result=[]), Cause.MALFORMED),
    "no provenance": (answer({"result": {}}), Cause.WRONG_REVISION),
    "provenance of another shape": (
        answer({"result": {}, "provenance": []}),
        Cause.WRONG_REVISION,
    ),
    "another revision": (
        answer(
            {
                "result": {},
                "provenance": {"bundles": {"b": {"revision": "2"}}},
            }
        ),
        Cause.WRONG_REVISION,
    ),
    "two bundles": (
        answer(
            {
                "result": {},
                "provenance": {
                    "bundles": {
                        "a": {"revision": REVISION},
                        "b": {"revision": "2"},
                    }
                },
            }
        ),
        Cause.WRONG_REVISION,
    ),
    "no bundle": (
        answer({"result": {}, "provenance": {"bundles": {}}}),
        Cause.WRONG_REVISION,
    ),
    "another revision without a result": (
        answer({"provenance": {"bundles": {"b": {"revision": "2"}}}}),
        Cause.WRONG_REVISION,
    ),
    "500": (answer({}, "500 Internal Server Error"), Cause.EVALUATION_ERROR),
    "503": (answer({}, "503 Service Unavailable"), Cause.DOWN),
    "502": (answer({}, "502 Bad Gateway"), Cause.MALFORMED),
    "404": (decided(result={}).replace(b"200 OK", b"404 X"), Cause.MALFORMED),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", Cause.MALFORMED),
    "a redirect": (
        decided(result={}).replace(
            b"200 OK\r\n", b"307 X\r\nLocation: http://127.0.0.1:1/\r\n"
        ),
        Cause.MALFORMED,
    ),
    "HTML": (answer(b"<html>allow</html>"), Cause.MALFORMED),
    "an empty body": (answer(b""), Cause.MALFORMED),
    "truncated JSON": (answer(b'{"result": {"al'), Cause.MALFORMED),
    "a body cut short": (
        decided(result={}).replace(b"Length: ", b"Length: 9"),
        Cause.DOWN,
    ),
    "no object": (answer(b"[]"), Cause.MALFORMED),
    "NaN": (
        answer(b'{"result": {"a": NaN}, "provenance": {}}'),
        Cause.MALFORMED,
    ),
    "a lone surrogate": (
        decided(result={"a": "\ud800"}),
        Cause.MALFORMED,
    ),
    "no UTF-8": (answer(b'{"result": "\xff"}'), Cause.MALFORMED),
    "too deep": (answer(b"[" * 50_000 + b"]" * 50_000), Cause.MALFORMED),
    "too large": (decided(result={"a": "x" * 200_000}), Cause.MALFORMED),
    "nothing at all": (b"", Cause.DOWN),
    "no HTTP": (b"hello\r\n\r\n", Cause.DOWN),
    "silence": (b"slow", Cause.TIMEOUT),
}


@pytest.mark.parametrize("name", REPLIES)
def test_odd_answer_is_no_decision_with_its_cause(name: str) -> None:
    """Never an allow, never a deny: no decision, and why."""
    reply, cause = REPLIES[name]
    patience = QUICK if cause is Cause.TIMEOUT else CALM

    async def ask() -> Cause:
        async with (
            served([reply]) as url,
            OpaPdp(url=url, revision=REVISION, patience=patience) as pdp,
        ):
            return await cause_of(pdp)

    assert cause == asyncio.run(ask())


def test_expected_answer_is_the_decision() -> None:
    """An object under the expected revision is returned as it is."""
    seen: list[bytes] = []

    async def ask() -> object:
        async with (
            served([decided(result={"a": [1, 1.0]})], seen) as url,
            OpaPdp(
                url=url, revision=REVISION, token="t", patience=CALM
            ) as pdp,
        ):
            found = await pdp.decide("curtilage/api/decision", {"é": 1})
            assert REVISION == found.revision
            return found.document

    assert exactly({"a": [1, 1.0]}) == exactly(asyncio.run(ask()))
    head = seen[0].decode()
    assert head.startswith(
        "POST /v1/data/curtilage/api/decision?provenance=true "
    )
    assert "Authorization: Bearer t" in head


@pytest.mark.parametrize(
    "path",
    ["decision", "", "a/../b", "a/b?x=1", "a/B", "a//b", "a/b/", "a.b/c/é"],
)
def test_path_that_is_no_constant_is_never_sent(path: str) -> None:
    """No character of a path can change what is asked."""

    async def ask() -> list[bytes]:
        seen: list[bytes] = []
        async with (
            served([decided(result={})], seen) as url,
            OpaPdp(url=url, revision=REVISION, patience=CALM) as pdp,
        ):
            with pytest.raises(NoDecision) as raised:
                await pdp.decide(path, {})
            assert Cause.UNDEFINED == raised.value.cause
        return seen

    assert [] == asyncio.run(ask())


@pytest.mark.parametrize(
    "document",
    [[], {"a": float("inf")}, {"a": "\ud800"}, {"a": "x" * 5_000_000}],
    ids=["array", "infinity", "surrogate", "large"],
)
def test_document_is_refused_before_it_is_sent(document: object) -> None:
    """The door is the embedded engine's."""

    async def ask() -> Cause:
        async with OpaPdp(
            url="http://127.0.0.1:1", revision=REVISION, patience=CALM
        ) as pdp:
            return await cause_of(pdp, document)

    assert Cause.MALFORMED == asyncio.run(ask())


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_refused_connection_is_tried_again_and_then_down() -> None:
    """A server that starts meanwhile answers; one that is down is down."""
    port = free_port()

    async def ask() -> object:
        pdp = OpaPdp(
            url=f"http://127.0.0.1:{port}",
            revision=REVISION,
            patience=Patience(seconds=120.0, attempts=10_000),
        )
        async with pdp:
            pending = asyncio.create_task(pdp.decide(PATH, {}))
            await asyncio.sleep(0.1)

            async def serve(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter
            ) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(decided(result={}))
                await writer.drain()
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", port)
            found = (await pending).document
            server.close()
        down = OpaPdp(
            url=f"http://127.0.0.1:{free_port()}",
            revision=REVISION,
            patience=CALM,
        )
        async with down:
            assert Cause.DOWN == await cause_of(down)
        return found

    assert {} == asyncio.run(ask())


def test_deadline_is_that_of_all_attempts() -> None:
    """However often a connection may be tried, the time ends it."""
    patience = Patience(seconds=0.2, attempts=10_000)

    async def ask() -> Cause:
        async with OpaPdp(
            url=f"http://127.0.0.1:{free_port()}",
            revision=REVISION,
            patience=patience,
        ) as pdp:
            return await cause_of(pdp)

    assert Cause.TIMEOUT == asyncio.run(ask())


def test_request_is_never_sent_twice() -> None:
    """A connection that breaks after the request is not tried again."""
    seen: list[bytes] = []

    async def ask() -> Cause:
        async with (
            served([b"", decided(result={})], seen) as url,
            OpaPdp(url=url, revision=REVISION, patience=CALM) as pdp,
        ):
            return await cause_of(pdp)

    assert Cause.DOWN == asyncio.run(ask())
    assert 1 == len(seen)


def test_circuit_opens_rests_and_closes() -> None:
    """After some failures nothing is sent; after the rest one is tried."""
    now = [0.0]
    seen: list[bytes] = []
    replies = [b"", b"", b"", b"", decided(result={}), decided(result={})]

    async def ask() -> None:
        async with (
            served(replies, seen) as url,
            OpaPdp(
                url=url,
                revision=REVISION,
                patience=CALM,
                clock=lambda: now[0],
            ) as pdp,
        ):
            for _ in range(3):
                assert Cause.DOWN == await cause_of(pdp)
            for _ in range(5):
                assert Cause.OPEN_CIRCUIT == await cause_of(pdp)
            assert 3 == len(seen)
            now[0] = 11.0
            assert Cause.DOWN == await cause_of(pdp)
            assert Cause.OPEN_CIRCUIT == await cause_of(pdp)
            assert 4 == len(seen)
            now[0] = 22.0
            assert {} == (await pdp.decide(PATH, {})).document
            assert {} == (await pdp.decide(PATH, {})).document

    asyncio.run(ask())


def test_answers_of_any_kind_keep_the_circuit_closed() -> None:
    """A server that answers badly is there: each answer has its cause."""

    async def ask() -> list[Cause]:
        async with (
            served([decided()] * 6) as url,
            OpaPdp(url=url, revision=REVISION, patience=CALM) as pdp,
        ):
            return [await cause_of(pdp) for _ in range(6)]

    assert [Cause.UNDEFINED] * 6 == asyncio.run(ask())


def test_closed_decision_point_decides_nothing() -> None:
    """Once closed it is down."""

    async def ask() -> Cause:
        pdp = OpaPdp(
            url="http://127.0.0.1:1", revision=REVISION, patience=CALM
        )
        await pdp.aclose()
        return await cause_of(pdp)

    assert Cause.DOWN == asyncio.run(ask())


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8181",
        "ftp://127.0.0.1",
        "http://",
        "http://127.0.0.1/path",
        "http://a:b@127.0.0.1",
        "http://127.0.0.1/?q",
    ],
)
def test_wrong_address_is_refused_when_it_is_set(url: str) -> None:
    """Nothing but scheme, host and port makes an address."""
    with pytest.raises(ValueError, match="address"):
        OpaPdp(url=url, revision=REVISION)


@pytest.fixture(scope="module")
def engines(
    opa_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engines]:
    """The rules of the embedded engine's tests on a real server, too."""
    source = write_policy(
        tmp_path_factory.mktemp("rules"), {"t.rego": RULES}, json.dumps(DATA)
    )
    names = tuple(f"t/{name}" for name in NAMES)
    with both(opa_binary, source, names) as running:
        yield running


@pytest.mark.opa
@pytest.mark.parametrize("value", ECHOED, ids=repr)
def test_every_json_value_comes_back_from_a_server(
    engines: Engines, value: object
) -> None:
    """What is echoed by OPA is what was sent, with its type."""
    got = engines.asked_server("t/echo", {"value": value})
    assert exactly(value) == exactly(got)


@pytest.mark.opa
@pytest.mark.parametrize(
    ("path", "document", "cause"),
    [
        ("t/nothing", {}, Cause.UNDEFINED),
        ("t/other", {}, Cause.UNDEFINED),
        ("t/two", {"value": 1}, Cause.EVALUATION_ERROR),
        ("t/echo", {}, Cause.UNDEFINED),
    ],
)
def test_both_engines_give_one_cause(
    engines: Engines, path: str, document: dict[str, Any], cause: Cause
) -> None:
    """What is no decision to one engine is none to the other."""
    for ask in (engines.asked_embedded, engines.asked_server):
        with pytest.raises(NoDecision) as raised:
            ask(path, document)
        assert cause == raised.value.cause


@pytest.mark.opa
def test_no_answer_of_a_server_carries_another_request(
    engines: Engines,
) -> None:
    """Hundreds at once share the connections, and none is mixed up."""

    async def ask() -> list[Any]:
        return await asyncio.gather(
            *(
                engines.server.decide(PATH, {"nonce": str(n), "least": 3})
                for n in range(200)
            )
        )

    found = engines.runner.run(ask())
    assert [str(n) for n in range(200)] == [f.document["nonce"] for f in found]


@pytest.mark.opa
def test_server_with_another_bundle_is_a_wrong_revision(
    engines: Engines,
) -> None:
    """A real server is believed only under the revision that we expect."""

    async def ask() -> Cause:
        async with OpaPdp(
            url=engines.address, revision="2" * 64, patience=CALM
        ) as pdp:
            return await cause_of(pdp, {"nonce": "a", "least": 3})

    assert Cause.WRONG_REVISION == asyncio.run(ask())


@pytest.mark.opa
def test_server_past_the_deadline_is_a_timeout(engines: Engines) -> None:
    """Our own deadline ends what the server would go on computing."""

    async def ask() -> Cause:
        impatient = Patience(seconds=0.2)
        async with OpaPdp(
            url=engines.address,
            revision=engines.server.revision,
            patience=impatient,
        ) as pdp:
            with pytest.raises(NoDecision) as raised:
                await pdp.decide("t/slow", {})
            return raised.value.cause

    assert Cause.TIMEOUT == asyncio.run(ask())
