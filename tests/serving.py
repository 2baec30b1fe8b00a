"""A real server process on a small instance, for tests that kill or trace.

``python -m tests.serving HOME PORT [--unsafe]`` serves the instance that a
test made. ``--unsafe`` switches SQLite's syncing off, which exists to see
the durability test fail.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api import databases
from api.app import create_app
from api.bootstrap import bootstrap
from api.cli.instance import run_server
from api.settings import read_settings
from tests.worlds import ADDRESS, CHEAP, NUMBER, PURPOSE, SERVICE, World

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running server, and a token of the moving-house service."""

    process: subprocess.Popen[bytes]
    port: int
    token: str

    def ask(self, number: str) -> dict[str, Any]:
        """Ask for the address of the person with an identity number."""
        body = json.dumps(
            {
                "person": {
                    "identifier": {"attribute": NUMBER, "value": number}
                },
                "attributes": ADDRESS,
                "understands": ["delete_by", "mask", "notify"],
            }
        ).encode()
        request = urllib.request.Request(
            f"http://{HOST}:{self.port}/v1/profile-requests",
            data=body,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            found: dict[str, Any] = json.load(answer)
        return found


def running(process: int) -> bool:
    """Whether a process still runs: one that nobody has reaped does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] not in {"Z", "X"}


def until(
    true: Callable[[], bool], what: str, *, seconds: float = 240.0
) -> None:
    """Wait for something that happens sooner or later.

    Args:
        true: whether it has happened.
        what: it, in words.
        seconds: after which it never will; far beyond what a busy machine
            takes.

    Raises:
        AssertionError: it has not happened by then.

    """
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not after {seconds:.0f} s: {what}"
        time.sleep(0.05)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def serving(
    world: World,
    *,
    before: Sequence[str] = (),
    unsafe: bool = False,
    workers: int = 1,
    by_command: bool = False,
    options: Sequence[str] = (),
) -> Iterator[Served]:
    """Serve a world's instance in a process of its own.

    Args:
        world: its databases stay open here, which SQLite allows.
        before: a command that the server runs under, such as strace.
        unsafe: switch syncing off.
        workers: more than one are started by `curtilage serve`.
        by_command: so is one.
        options: further ones of `curtilage serve`, which then starts it.

    """
    with world.platform.data.begin() as conn:
        client, secret = world.platform.registry.issue(
            conn, service=SERVICE, purpose=PURPOSE, assurance=2
        )
    port = free_port()
    command = [
        *before,
        sys.executable,
        "-m",
        "tests.serving",
        str(world.home),
        str(port),
        *(["--unsafe"] if unsafe else []),
    ]
    if workers > 1 or by_command or options:
        command = [
            *(sys.executable, "-c", "from api.cli.main import main; main()"),
            *("--home", str(world.home), "serve", "--port", str(port)),
            *("--workers", str(workers)),
            *options,
        ]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        _wait(process, port)
        token = _token(port, client, secret)
        yield Served(process=process, port=port, token=token)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=120)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(3000):
        if process.poll() is not None:
            msg = f"the server ended with {process.returncode}"
            raise RuntimeError(msg)
        try:
            urllib.request.urlopen(
                f"http://{HOST}:{port}/health/live", timeout=30
            ).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    msg = "the server did not come up"
    raise RuntimeError(msg)


def _token(port: int, client: str, secret: str) -> str:
    body = (
        f"grant_type=client_credentials&client_id={client}"
        f"&client_secret={secret}"
    ).encode()
    request = urllib.request.Request(
        f"http://{HOST}:{port}/oauth/token", data=body
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
        token: str = json.load(answer)["access_token"]
    return token


def main(arguments: Sequence[str]) -> None:
    """Serve the instance of a test."""
    home, port = Path(arguments[0]), int(arguments[1])
    if "--unsafe" in arguments:
        databases._PRAGMAS = tuple(
            one.replace("synchronous=FULL", "synchronous=OFF")
            for one in databases._PRAGMAS
        )
    platform = bootstrap(read_settings(home), costs=CHEAP)
    try:
        run_server(create_app(platform), host=HOST, port=port)
    finally:
        platform.close()


if __name__ == "__main__":
    main(sys.argv[1:])
