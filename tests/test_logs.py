"""Logs: what is not on the list never appears, nor does an error's text."""

import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from api.logs import (
    ALLOWED,
    LibraryHandler,
    configure_logs,
    drop_unlisted,
    place_of,
)
from tests.doors import at_the_door, body_about
from tests.worlds import ADDRESS, EVERYTHING, NUMBER, build_world

CANARY = "0 Canary Street"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Standard error with the logs configured, and as it was afterwards."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    server = logging.getLogger("uvicorn")
    access = logging.getLogger("uvicorn.access")
    before = (server.level, access.disabled)
    # A server that an earlier test ran in this process set its own up.
    kept = {
        one: (list(one.handlers), one.propagate)
        for one in (server, logging.getLogger("uvicorn.error"))
    }
    for one in kept:
        one.handlers, one.propagate = [], True
    configure_logs("debug")
    try:
        yield stream
    finally:
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
        for one, (handlers, propagate) in kept.items():
            one.handlers, one.propagate = handlers, propagate
        server.setLevel(before[0])
        access.disabled = before[1]
        root = logging.getLogger()
        for handler in list(root.handlers):
            if isinstance(handler, LibraryHandler):
                root.removeHandler(handler)


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    """Every line, as the JSON object that it is."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_only_listed_fields_appear(lines: io.StringIO) -> None:
    """A field outside the list is dropped with its value."""
    structlog.get_logger().info(
        "request", status=200, street=CANARY, body={"a": CANARY}
    )

    (line,) = read(lines)
    assert {"event", "level", "timestamp", "status"} == line.keys()
    assert "Canary" not in lines.getvalue()


@given(st.dictionaries(st.text(), st.text(), max_size=6))
def test_nothing_unlisted_passes(fields: dict[str, str]) -> None:
    """Whatever the fields are called, only listed ones remain."""
    assert {
        key: value for key, value in fields.items() if key in ALLOWED
    } == drop_unlisted(None, "info", dict(fields))


def test_exceptions_and_stacks_are_dropped(lines: io.StringIO) -> None:
    """Asking for a trace gives none: its text may quote a value."""
    try:
        raise RuntimeError(CANARY)  # noqa: TRY301 - caught at once
    except RuntimeError:
        structlog.get_logger().exception("failed")
        structlog.get_logger().error("again", exc_info=True, stack_info=True)

    assert ["failed", "again"] == [one["event"] for one in read(lines)]
    assert "Canary" not in lines.getvalue()
    assert "Traceback" not in lines.getvalue()


def test_a_level_is_a_floor(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the level nothing is written."""
    monkeypatch.setattr(sys, "stderr", lines)
    configure_logs("error")
    structlog.get_logger().warning("quiet")
    structlog.get_logger().error("loud")

    assert ["loud"] == [one["event"] for one in read(lines)]


def test_libraries_are_told_by_place(lines: io.StringIO) -> None:
    """A library's message may quote a value, so place and level stand."""
    logging.getLogger("sqlalchemy.engine").warning("bound %s", CANARY)
    try:
        raise ValueError(CANARY)  # noqa: TRY301 - caught at once
    except ValueError:
        logging.getLogger("asyncio").exception("never retrieved %s", CANARY)
        logging.getLogger("uvicorn.error").exception("in ASGI %s", CANARY)

    found = read(lines)
    assert [
        ("library", "warning", ""),
        *[("library", "error", "ValueError")] * 2,
    ] == [(one["event"], one["level"], one["error"]) for one in found]
    assert all("test_logs.py" in one["place"] for one in found)
    assert "Canary" not in lines.getvalue()


def test_the_server_may_say_what_is_wrong(lines: io.StringIO) -> None:
    """An address in use is the operator's to know."""
    logging.getLogger("uvicorn.error").error("address already in use")

    assert ["address already in use"] == [one["event"] for one in read(lines)]


def test_the_access_log_is_off(lines: io.StringIO) -> None:
    """It would print addresses with their query strings."""
    logging.getLogger("uvicorn.access").error("GET /?%s", CANARY)

    assert "" == lines.getvalue()


def test_warnings_are_told_by_place(lines: io.StringIO) -> None:
    """A warning's text stays out as well."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(CANARY, UserWarning, stacklevel=1)

    assert ["library"] == [one["event"] for one in read(lines)]
    assert "Canary" not in lines.getvalue()


def test_configuring_twice_does_not_double(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record, one line."""
    monkeypatch.setattr(sys, "stderr", lines)
    configure_logs("debug")
    logging.getLogger("any").error("x")

    assert 1 == len(read(lines))


def test_a_place_is_file_line_and_function() -> None:
    """Where, and nothing of what."""
    try:
        raise RuntimeError(CANARY)  # noqa: TRY301 - caught at once
    except RuntimeError as error:
        place = place_of(error)

    assert place.startswith("test_logs.py:")
    assert place.endswith(" test_a_place_is_file_line_and_function")
    assert "unknown" == place_of(RuntimeError(CANARY))


def test_no_value_is_anywhere_outside(
    tmp_path: Path, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 2: not in a log, a problem, a database file or its WAL."""
    with build_world(tmp_path / "home") as world, at_the_door(world) as door:
        values = world.values["consenting"]
        told = [
            door.ask(body_about(world, "consenting", *EVERYTHING)),
            door.ask(body_about(world, "silent", *EVERYTHING)),
            door.ask(body_about(world, "limited", *EVERYTHING)),
        ]
        assert CANARY in told[0].text
        assert "Canary" not in told[1].text
        problems = [
            door.ask(body_about(world, "consenting", values[NUMBER])),
            door.ask({"person": {"id": values[NUMBER]}, "attributes": []}),
            door.ask({values[NUMBER]: CANARY}),
            door.ask(CANARY.encode()),
            door.client.get(f"/v1/{values[NUMBER]}?street={CANARY}"),
            door.client.get(
                "/v1/declaration", headers={"Authorization": CANARY}
            ),
        ]

        def broken(*_arguments: object) -> None:
            raise RuntimeError(CANARY, values)

        monkeypatch.setattr(world.platform.vault, "read", broken)
        problems.append(door.ask(body_about(world, "consenting", *ADDRESS)))
        outside = {
            path.relative_to(world.home): path.read_bytes()
            for path in world.home.rglob("*")
            if path.is_file()
        }

    names = {path.name for path in outside}
    assert {"data.db", "data.db-wal", "keys.db", "secrets.json"} <= names
    texts = {
        **outside,
        "logs": lines.getvalue().encode(),
        "problems": "".join(
            f"{one.headers}{one.text}" for one in problems
        ).encode(),
    }
    assert all(one.status_code >= 400 for one in problems)
    assert b'"event": "request"' in texts["logs"]
    for held in world.values.values():
        for attribute, value in held.items():
            if len(value) < 8:
                continue  # too short to be no coincidence
            for form in (value.encode(), value.encode("utf-16-le")):
                for where, content in texts.items():
                    assert form not in content, (attribute, where)
