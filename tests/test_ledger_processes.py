"""The ledger under several writers, and under writers that die."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from consent.ledger import Ledger
from tests.ledgers import (
    DATABASES,
    draft,
    make_ledger,
    open_empty,
    person,
)
from tests.serving import until

ROOT = Path(__file__).parents[1]


@pytest.fixture(params=DATABASES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Open an empty database of each kind."""
    opened = open_empty(request.param, tmp_path)
    yield opened
    opened.dispose()


def child(
    engine: Engine, count: int, width: int, *options: str
) -> "subprocess.Popen[str]":
    """Start a process that appends."""
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.ledger_child"]
    return subprocess.Popen(
        [*command, url, str(count), str(width), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def acknowledged(process: "subprocess.Popen[str]") -> list[int]:
    """Read the indexes that a process printed in full lines."""
    output, _ = process.communicate()
    return [int(line) for line in output.split("\n")[:-1]]


def check(ledger: Ledger, seen: list[int]) -> None:
    """Hold a ledger against the indexes that its writers were told."""
    size = ledger.verify().size
    with ledger.engine.begin() as conn:
        stored = list(
            conn.execute(
                text("SELECT idx FROM ledger_entry ORDER BY idx")
            ).scalars()
        )

    assert len(set(seen)) == len(seen)
    assert list(range(size)) == stored
    assert set(seen) <= set(stored)


@pytest.mark.slow
def test_killed_writers(engine: Engine) -> None:
    """Attack 23: after kill -9 no index told is missing, none doubled."""
    ledger = make_ledger(engine)
    seen: list[int] = []
    for lines in (1, 100):
        process = child(engine, 0, 8)
        assert process.stdout is not None
        seen += [int(process.stdout.readline()) for _ in range(lines)]
        process.kill()
        seen += acknowledged(process)
        check(ledger, seen)
    ledger.checkpoint()

    assert len(seen) >= 101


@pytest.mark.long
@pytest.mark.slow
def test_killed_workers_keep_their_promises(engine: Engine) -> None:
    """Attack 23: kill -9 of the one that numbers; another goes on."""
    ledger = make_ledger(engine)
    promised: list[str] = []
    workers = [child(engine, 0, 4, "--pending") for _ in range(3)]
    for worker in workers:
        assert worker.stdout is not None
        promised += [worker.stdout.readline().strip() for _ in range(20)]
    for worker in workers[:2]:
        worker.kill()
        output, _ = worker.communicate()
        promised += output.split("\n")[:-1]
    # The one that is left numbers what the dead had promised.
    owed, last = set(promised), workers[2]

    def numbered() -> bool:
        with engine.begin() as conn:
            rows = conn.execute(text("SELECT leaf FROM ledger_entry"))
            stored = {bytes(leaf).hex() for (leaf,) in rows}
        return owed <= stored

    until(numbered, "what the dead promised is numbered")
    last.kill()
    output, _ = last.communicate()
    promised += output.split("\n")[:-1]
    ledger.settle()
    check(ledger, [])
    with engine.begin() as conn:
        rows = conn.execute(text("SELECT leaf FROM ledger_entry"))
        every = [bytes(leaf).hex() for (leaf,) in rows]

    assert len(set(promised)) == len(promised) >= 60
    assert set(promised) <= set(every)
    assert len(set(every)) == len(every)
    for number in range(1, 5):
        own = ledger.own_entries(person(number)[1], limit=10**6)
        assert list(range(len(own), 0, -1)) == [one.counter for one in own]


@pytest.mark.slow
def test_threads_and_processes_at_once(engine: Engine) -> None:
    """Four threads and two processes append; each person's count is whole."""
    ledger = make_ledger(engine)
    processes = [child(engine, 12, 3) for _ in range(2)]

    def write(number: int) -> list[int]:
        told = []
        for step in range(12):
            with engine.begin() as conn:
                drafts = [draft(number)] * (1 + step % 3)
                told += [e.index for e in ledger.append(conn, drafts)]
            if step % 5 == 0:
                ledger.checkpoint()
        return told

    with ThreadPoolExecutor(4) as threads:
        seen = [i for told in threads.map(write, range(1, 5)) for i in told]
    for process in processes:
        seen += acknowledged(process)
        assert 0 == process.returncode
    check(ledger, seen)

    assert 4 * 24 + 2 * 36 == len(seen) == ledger.size()
    for number, count in ((1, 48), (3, 48), (4, 24)):
        entries = ledger.own_entries(person(number)[1], limit=1000)
        assert list(range(count, 0, -1)) == [e.counter for e in entries]
