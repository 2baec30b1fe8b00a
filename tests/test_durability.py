"""Invariant 1: no data leaves before its ledger entry is on the disk.

A killed process alone cannot show that: its writes survive in the page
cache with syncing off. So the system calls are traced: the sync of the
write-ahead log returns before the first byte of the answer is sent.
"""

import os
import re
import signal
import threading
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts import MissingPartError, strace
from tests.serving import serving
from tests.worlds import ADDRESS, NUMBER, World, build_world, reopen

_ANSWER = re.compile(
    r"(?:write|send|sendto|sendmsg|writev)\(\d+<[^>]*>, .*HTTP/1\.1 200"
)
_ASKED = re.compile(r"(?:read|recv|recvfrom|recvmsg)\(.*POST /v1/profile")
_SYNC = re.compile(r"f(?:data)?sync\(\d+<[^>]*data\.db-wal>")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An instance with its cast."""
    with build_world(tmp_path / "home") as made:
        yield made


def synced_before_answer(trace: str) -> bool:
    """Whether the log was synced between the request and its answer.

    A sync that another thread began counts from the line on which it
    returned (``resumed``), not from the one on which it was called.
    """
    asked = synced = False
    pending: set[str] = set()
    for line in trace.splitlines():
        thread = line.split(None, 1)[0]
        if _ASKED.search(line):
            asked = True
        elif asked and _SYNC.search(line):
            if "<unfinished" in line:
                pending.add(thread)
            else:
                synced = True
        elif thread in pending and "sync resumed" in line:
            pending.discard(thread)
            synced = True
        elif asked and _ANSWER.search(line):
            return synced
    msg = "the trace holds no request with its answer"
    raise AssertionError(msg)


def trace_of(world: World, folder: Path, *, unsafe: bool) -> str:
    """Trace a server that answers one request, and return the trace."""
    try:
        binary = strace.find().path
    except MissingPartError as error:
        pytest.skip(str(error))
    log = folder / "trace"
    calls = "fsync,fdatasync,read,recvfrom,recvmsg,write,writev,sendto,sendmsg"
    before = (
        *(str(binary), "-f", "-y", "-s", "64", "-e", f"trace={calls}"),
        *("-o", str(log)),
    )
    with serving(world, before=before, unsafe=unsafe) as server:
        answer = server.ask(world.values["consenting"][NUMBER])
    assert "release" == answer["attributes"][ADDRESS[0]]["effect"]
    return log.read_text("utf-8", errors="replace")


def test_the_log_is_synced_before_the_answer_is_sent(
    world: World, tmp_path: Path
) -> None:
    """The sync of the write-ahead log returns before the answer's bytes."""
    assert synced_before_answer(trace_of(world, tmp_path, unsafe=False))


def test_the_trace_tells_a_server_that_does_not_sync(
    world: World, tmp_path: Path
) -> None:
    """With synchronous=OFF the same check fails, so it can fail."""
    assert not synced_before_answer(trace_of(world, tmp_path, unsafe=True))


def test_a_killed_server_has_an_entry_for_every_answer(
    world: World,
) -> None:
    """Kill -9 under load: every answer that arrived is in the ledger."""
    answered: list[int] = []
    number = world.values["consenting"][NUMBER]

    with serving(world) as server:

        def ask_on() -> None:
            try:
                while True:
                    answered.append(server.ask(number)["ledger_index"])
            except (urllib.error.URLError, OSError, ValueError):
                return

        askers = [threading.Thread(target=ask_on) for _ in range(4)]
        for one in askers:
            one.start()
        while len(answered) < 20 and server.process.poll() is None:
            server.process.poll()
        os.killpg(server.process.pid, signal.SIGKILL)
        for one in askers:
            one.join()

    platform = reopen(world)
    verified = platform.ledger.verify()
    own = platform.ledger.own_entries(
        platform.vault.log_key(
            platform.vault.holding(world.cast["consenting"])
        ),
        limit=10_000,
    )
    platform.close()
    assert len(set(answered)) == len(answered)
    assert set(answered) <= {one.index for one in own}
    assert verified.size > max(answered)


def test_a_server_that_is_asked_to_end_answers_what_it_took(
    world: World,
) -> None:
    """SIGTERM drains the queue: an accepted request gets its answer."""
    number = world.values["consenting"][NUMBER]
    with serving(world) as server:
        got: list[int] = []
        asker = threading.Thread(
            target=lambda: got.append(server.ask(number)["ledger_index"])
        )
        asker.start()
        asker.join(timeout=240)
        os.killpg(server.process.pid, signal.SIGTERM)
        assert 0 == server.process.wait(timeout=240)

    assert 1 == len(got)
