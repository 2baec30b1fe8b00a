"""The processing log reaches a collector: whole, once, and nobody's name.

The collector is a real HTTP server on loopback that reads OTLP with the
protocol's own message classes; it may refuse, and then all comes again.
"""

import http.server
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from starlette.requests import Request

from api.processing_log import PROCESSING, ProcessingRow, row_of
from api.spans import (
    PLACE,
    OtlpCollector,
    SpansNotConfirmedError,
    _place,
    activities,
    send,
)
from api.trace_context import caller_trace
from consent import EntryKind, Visibility
from tests.doors import UNDERSTANDS, Door, at_the_door, body_about
from tests.serving import HOST
from tests.worlds import (
    ADDRESS,
    NUMBER,
    PURPOSE,
    SERVICE,
    STREET,
    World,
    build_world,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


@dataclass
class Kept:
    """What a collector has, and how it answers."""

    status: int = 200
    requests: int = 0
    spans: list[Any] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)


@contextmanager
def collector() -> Iterator[tuple[str, Kept]]:
    """Run a collector; give its address and what it keeps."""
    kept = Kept()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.requests += 1
            if kept.status == 200:
                kept.texts.append(body)
                message = ExportTraceServiceRequest.FromString(body)
                for resource in message.resource_spans:
                    for scope in resource.scope_spans:
                        kept.spans += scope.spans
            self.send_response(kept.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            return

    server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}/v1/traces", kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Memory:
    """A collector that keeps rows, or refuses."""

    refuses: bool = False
    rows: list[ProcessingRow] = field(default_factory=list)

    def take(self, page: Sequence[ProcessingRow]) -> None:
        """Keep a page, or do not confirm it."""
        if self.refuses:
            raise SpansNotConfirmedError
        self.rows += page


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An instance with its cast."""
    with build_world(tmp_path / "home") as made:
        yield made


def told(span: Any) -> dict[str, str]:  # noqa: ANN401 - a protocol message
    """The attributes of a span."""
    return {one.key: one.value.string_value for one in span.attributes}


def test_each_processing_is_one_span(world: World) -> None:
    """As many as the ledger has of it, in the standard's names."""
    platform = world.platform
    with collector() as (url, kept), at_the_door(world) as door:
        found = door.ask(
            body_about(world, "consenting", *ADDRESS),
            headers={"traceparent": PARENT},
        )
        assert 200 == found.status_code
        count = send(platform, OtlpCollector(url, version="test"))

    entries = platform.ledger.audit_entries(limit=500)
    expected = [
        one
        for one in entries
        if one.body is None or one.body.kind in PROCESSING
    ]
    assert count == len(expected) == len(kept.spans)
    span = kept.spans[-1]
    assert ("disclosure", TRACE, SPAN) == (
        span.name,
        span.trace_id.hex(),
        span.parent_span_id.hex(),
    )
    assert entries[-1].leaf[:8] == span.span_id
    mark = platform.ledger.mark(world.cast["consenting"], world.clock())
    assert {
        "dpl.core.processing_activity_id": "urn:curtilage:test:"
        f"{SERVICE}:{PURPOSE}:1",
        "dpl.core.data_subject_id": mark,
        "dpl.core.data_subject_id_type": "urn:curtilage:mark:month",
        "dpl.core.foreign_operation.trace_id": TRACE,
        "dpl.core.foreign_operation.span_id": SPAN,
        "dpl.core.foreign_operation.processor": "urn:curtilage:test:"
        f"{SERVICE}",
    } == told(span)
    assert world.clock() * 10**9 == span.start_time_unix_nano


def test_nothing_of_a_person_is_sent(world: World) -> None:
    """No value, no id of the platform's, no officer."""
    with collector() as (url, kept), at_the_door(world) as door:
        door.ask(body_about(world, "consenting", *ADDRESS))
        send(world.platform, OtlpCollector(url, version="test"))

    sent = b"".join(kept.texts)
    assert sent
    for values in world.values.values():
        for value in (values[NUMBER], values[STREET]):
            assert value.encode() not in sent
    for subject in world.cast.values():
        assert str(subject).encode() not in sent
    assert b"officer-1" not in sent


def test_what_is_confirmed_is_not_sent_again(world: World) -> None:
    """And what is new is."""
    memory = Memory()
    first = send(world.platform, memory)
    assert first
    assert 0 == send(world.platform, memory)
    world.run(world.platform.gate.disclose(world.request("consenting")))

    assert 1 == send(world.platform, memory)
    assert len({row.span_id for row in memory.rows}) == len(memory.rows)


def test_what_is_not_confirmed_comes_again_under_its_id(
    world: World,
) -> None:
    """A collector that fails loses nothing and doubles nothing."""
    with collector() as (url, kept):
        otlp = OtlpCollector(url, version="test")
        kept.status = 400
        with pytest.raises(SpansNotConfirmedError):
            send(world.platform, otlp)
        assert not (world.home / PLACE).exists()
        kept.status = 200
        count = send(world.platform, otlp)

    assert count == len(kept.spans) == len({x.span_id for x in kept.spans})


def test_one_process_sends_at_a_time(world: World) -> None:
    """While another holds the place, nothing is sent."""
    memory = Memory()
    with _place(world.home / PLACE) as place:
        assert place is not None
        assert 0 == send(world.platform, memory)

    assert send(world.platform, memory)


def test_a_row_of_an_erased_entry_names_nobody(world: World) -> None:
    """What was erased before it was told of leaves a row all the same."""
    memory = Memory()
    send(world.platform, memory)
    erased = [row for row in memory.rows if row.name == "erased"]

    assert erased
    assert {None} == {row.data_subject for row in erased}
    assert {None} == {row.foreign for row in erased}


def test_the_judgements_of_the_standard_door_carry_their_trace(
    world: World,
) -> None:
    """AuthZEN answers are processing too."""
    memory = Memory()
    with at_the_door(world) as door:
        ask_authzen(door)
        send(world.platform, memory)

    [row] = [
        one for one in memory.rows if one.name == EntryKind.EVALUATION.value
    ]
    assert row.foreign is not None
    assert (TRACE, SPAN) == (row.trace_id, row.foreign.span_id)


@pytest.mark.parametrize(
    ("visibility", "named"),
    [
        (Visibility.IMMEDIATE, True),
        (Visibility.LIFTED, True),
        (Visibility.DELAYED, False),
        (Visibility.SEALED, False),
    ],
)
def test_what_is_withheld_names_nobody_yet(
    world: World, visibility: Visibility, *, named: bool
) -> None:
    """A portal of rows is no faster than the ledger tells the person."""
    world.run(world.platform.gate.disclose(world.request("consenting")))
    entry = world.platform.ledger.audit_entries(limit=500)[-1]
    row = row_of(
        replace(entry, visibility=visibility), activities(world.platform)
    )

    assert row is not None
    assert named is (row.data_subject is not None)


def ask_authzen(door: Door) -> None:
    """Ask one question with a trace."""
    values = door.world.values["consenting"]
    found = door.client.post(
        "/access/v1/evaluation",
        json={
            "subject": {"type": "service", "id": SERVICE},
            "action": {"name": "read"},
            "resource": {
                "type": "attribute",
                "id": STREET,
                "properties": {
                    "person": {
                        "identifier": {
                            "attribute": NUMBER,
                            "value": values[NUMBER],
                        }
                    }
                },
            },
            "context": {"understands": UNDERSTANDS},
        },
        headers={
            "Authorization": f"Bearer {door.token()}",
            "traceparent": PARENT,
        },
    )
    assert found.json()["decision"]


def request(*sent: str) -> Request:
    """A request with so many `traceparent` headers."""
    headers = [(b"traceparent", one.encode("latin-1")) for one in sent]
    return Request({"type": "http", "headers": headers})


@pytest.mark.parametrize(
    "sent",
    [
        (PARENT,),
        (f"01-{TRACE}-{SPAN}-00",),
        (f"01-{TRACE}-{SPAN}-00-what-comes-later",),
    ],
)
def test_a_trace_is_read(sent: tuple[str, ...]) -> None:
    """Of version 0 and, by its known members, of later ones."""
    assert f"{TRACE}-{SPAN}" == caller_trace(request(*sent))


@pytest.mark.parametrize(
    "sent",
    [
        (),
        ("",),
        (PARENT, PARENT),
        (PARENT.upper(),),
        (f"{PARENT}-more",),
        (f"ff-{TRACE}-{SPAN}-01",),
        (f"00-{'0' * 32}-{SPAN}-01",),
        (f"00-{TRACE}-{'0' * 16}-01",),
        (f"00-{TRACE[1:]}-{SPAN}-01",),
        (f"01-{TRACE}-{SPAN}-00-{'x' * 300}",),
        (f"00-{TRACE}-{SPAN}-zz",),
        ('00-"}{-' + "0" * 40,),
    ],
)
def test_a_malformed_trace_is_none(sent: tuple[str, ...]) -> None:
    """As the specification wants, it is as if it had not been sent."""
    assert caller_trace(request(*sent)) is None


def test_a_server_sends_by_itself(tmp_path: Path) -> None:
    """Where the settings name a collector, it gets what is done."""
    with (
        collector() as (url, kept),
        build_world(tmp_path / "home", spans_url=url) as world,
        at_the_door(world),
    ):
        for _ in range(600):
            if kept.spans:
                break
            threading.Event().wait(0.1)

    assert kept.spans
