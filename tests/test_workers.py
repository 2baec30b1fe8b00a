"""Several workers: one lock, one socket, and a parent that replaces them."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from api.cli.instance import only_server
from api.platform import Platform
from api.workers import Supervisor, WorkersFailedError, listen
from consent import VerifierKey
from consent.merkle import hash_leaf
from consent.promises import open_promise
from tests.databases import Kind
from tests.serving import HOST, Served, free_port, running, serving, until
from tests.worlds import NUMBER, World, build_world, reopen


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An instance with its cast."""
    with build_world(tmp_path / "home") as made:
        yield made


def children(parent: int) -> list[int]:
    """Return the processes that a process started."""
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(one) for one in path.read_text("ascii").split()]


def serve_again(home: Path) -> subprocess.CompletedProcess[str]:
    """Run a second `serve` on an instance."""
    code = "from api.cli.main import main; main()"
    return subprocess.run(
        [
            *(sys.executable, "-c", code, "--home", str(home)),
            *("serve", "--port", str(free_port())),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )


def ask_until_answered(server: Served, number: str) -> dict[str, object]:
    """Ask; a worker that was just killed may have taken the request."""
    answers: list[dict[str, object]] = []

    def answered() -> bool:
        try:
            answers.append(server.ask(number))
        except OSError:
            return False
        return True

    until(answered, "a worker answers")
    return answers[0]


def leaves_of(
    answers: list[dict[str, object]], platform: Platform
) -> set[bytes]:
    """The leaf hashes that answers promise."""
    key = VerifierKey.parse(platform.ledger_vkey)
    return {
        open_promise(
            str(one["inclusion_promise"]).encode(),
            [key],
            origin=platform.settings.origin,
        ).leaf_hash
        for one in answers
    }


def test_two_workers_keep_what_they_answer(
    tmp_path: Path, database: Kind
) -> None:
    """Killed workers are replaced; every index or promise stands."""
    with build_world(tmp_path / "home", database=database) as world:
        answers = answered_by_two(world)
        again = reopen(world)
        try:
            # Whoever was asked to end had numbered what it answered.
            assert not again.ledger.has_pending()
            again.ledger.verify()
            with again.data.begin() as conn:
                rows = conn.execute(
                    text("SELECT idx, leaf FROM ledger_entry")
                ).all()
        finally:
            again.close()
        assert 10 == len(answers)
        if database is Kind.SQLITE:
            assert {None} == {one["inclusion_promise"] for one in answers}
            given = {one["ledger_index"] for one in answers}
            assert 10 == len(given)
            assert given <= {index for index, _ in rows}
        else:
            assert {None} == {one["ledger_index"] for one in answers}
            promised = leaves_of(answers, world.platform)
            assert 10 == len(promised)
            assert promised <= {hash_leaf(bytes(leaf)) for _, leaf in rows}


def answered_by_two(world: World) -> list[dict[str, object]]:
    """Ask two workers; kill one in between, and see it replaced."""
    number = world.values["consenting"][NUMBER]
    with serving(world, workers=2) as server:
        answers = [ask_until_answered(server, number) for _ in range(5)]
        before = children(server.process.pid)
        assert 2 == len(before)
        os.kill(before[0], signal.SIGKILL)
        answers += [ask_until_answered(server, number) for _ in range(5)]
        second = serve_again(world.home)
        assert 0 != second.returncode
        assert "another `curtilage serve` runs" in second.stderr
        until(
            lambda: (
                2 == len(after := children(server.process.pid))
                and before[0] not in after
            ),
            "another worker stands in for the killed one",
        )
        server.process.send_signal(signal.SIGTERM)
        assert 0 == server.process.wait(timeout=240)
    return answers


def lock_is_free(world: World) -> bool:
    """Whether a server could be started on an instance."""
    try:
        with only_server(world.platform.settings):
            return True
    except OSError:
        return False


def test_workers_end_with_their_parent(world: World) -> None:
    """A killed parent leaves no worker behind, and the lock is free."""
    with serving(world, workers=2) as server:
        left = children(server.process.pid)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        until(lambda: not any(map(running, left)), "the workers end")
    # A process counts as ended before the last of its threads lets go.
    until(lambda: lock_is_free(world), "the lock is free")


@pytest.mark.parametrize("started", [False, True])
def test_worker_of_a_parent_long_dead_ends(
    world: World, *, started: bool
) -> None:
    """A parent may be killed before its worker has read a line of code."""
    lifeline, held = os.pipe()
    with listen(HOST, 0) as sock:
        if not started:
            os.close(held)
        worker = subprocess.Popen(
            [
                *(sys.executable, "-m", "api.workers", str(world.home)),
                *(str(sock.fileno()), str(lifeline)),
            ],
            pass_fds=(sock.fileno(), lifeline),
        )
        try:
            if started:
                address = f"http://{HOST}:{sock.getsockname()[1]}/health/live"
                urllib.request.urlopen(address, timeout=240).close()
                assert running(worker.pid)
                os.close(held)
            assert worker.wait(timeout=240) in {0, -signal.SIGTERM}
        finally:
            worker.kill()
            worker.wait()
            os.close(lifeline)


def test_worker_that_does_not_drain_is_ended(tmp_path: Path) -> None:
    """A parent that is gone kills nobody any more: the worker does."""
    said = tmp_path / "said"
    lifeline, held = os.pipe()
    code = (
        "import pathlib, signal, sys, threading\n"
        "from api.workers import end_without, watch_parent\n"
        "def on(*_):\n"
        "    pathlib.Path(sys.argv[2]).write_text('draining')\n"
        "signal.signal(signal.SIGTERM, on)\n"
        "watch_parent(int(sys.argv[1]), lambda: end_without(grace=5))\n"
        "while True: threading.Event().wait(0.1)\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(lifeline), str(said)],
        pass_fds=(lifeline,),
    )
    os.close(lifeline)
    os.close(held)
    assert -signal.SIGKILL == worker.wait(timeout=240)
    assert "draining" == said.read_text("utf-8")


def test_workers_that_do_not_start_are_one_error(tmp_path: Path) -> None:
    """They are not started for ever."""
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    with pytest.raises(WorkersFailedError, match="as soon as"):
        Supervisor(command, 1, ()).run()
    assert [] == list(tmp_path.iterdir())


def test_a_port_in_use_is_refused() -> None:
    """Before any worker starts."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            listen(HOST, taken.getsockname()[1])


def test_one_worker_answers_with_the_index(world: World) -> None:
    """The direct way stays: an index, and no promise."""
    with serving(world) as server:
        answer = server.ask(world.values["consenting"][NUMBER])
        health = urllib.request.urlopen(
            f"http://{HOST}:{server.port}/health/live", timeout=60
        )
        health.close()
    assert isinstance(answer["ledger_index"], int)
    assert answer["inclusion_promise"] is None
    assert json.dumps(answer)
