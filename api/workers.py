"""Several workers of one instance: one parent, one socket, one lock.

The parent holds the instance's lock and the listening socket, and hands both
to its workers, so that a second `serve` is refused for as long as one worker
lives. It starts a worker again that ends unasked. A worker whose parent is
gone drains and ends: each holds the reading end of a pipe, a lifeline, whose
only writing end is the parent's, so that even a worker that was still starting
when the parent was killed finds it closed. ``python -m api.workers HOME
SOCKET LIFELINE`` is one worker.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

GRACE_SECONDS = 25
_LOOK = 0.2
# A worker that ends sooner than this was not able to start.
_STARTED = 20.0
_MOST_FAILURES = 3


class WorkersFailedError(OSError):
    """The workers end as soon as they are started."""


def listen(host: str, port: int) -> socket.socket:
    """Open the one socket that all workers accept from.

    Args:
        host: Address to bind.
        port: Port to bind.

    Returns:
        The listening socket.

    Raises:
        OSError: The address is in use, or not this machine's.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
        opened.listen(2048)
    except OSError:
        opened.close()
        raise
    opened.set_inheritable(True)
    return opened


class Supervisor:
    """Keeps a number of worker processes running until it is told to end.

    Args:
        command: Starts one worker.
        count: How many.
        inherited: File descriptors that each one gets.
        environment: Added to each one's environment.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        inherited: Sequence[int],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = list(command)
        self._inherited = tuple(inherited)
        self._count = count
        self._environment = {**os.environ, **(environment or {})}
        self._ending = threading.Event()
        self._running: dict[subprocess.Popen[bytes], float] = {}
        self._failures = 0

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; then let each worker drain.

        Raises:
            WorkersFailedError: Workers end as soon as they are started.

        """
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda *_: self._ending.set())
        try:
            while not self._ending.is_set():
                self._replace()
                self._ending.wait(_LOOK)
        finally:
            self._end()

    def _replace(self) -> None:
        now = time.monotonic()
        for worker, since in list(self._running.items()):
            if worker.poll() is None:
                continue
            del self._running[worker]
            quick = now - since < _STARTED
            self._failures = self._failures + 1 if quick else 0
        if self._failures >= _MOST_FAILURES * self._count:
            msg = (
                f"{self._failures} workers ended as soon as they were "
                "started; what they wrote above says why"
            )
            raise WorkersFailedError(msg)
        while len(self._running) < self._count:
            worker = subprocess.Popen(  # noqa: S603 - our own module
                self._command,
                pass_fds=self._inherited,
                env=self._environment,
            )
            self._running[worker] = now

    def _end(self) -> None:
        for worker in self._running:
            worker.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        for worker in self._running:
            try:
                worker.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


def watch_parent(lifeline: int, gone: Callable[[], None]) -> None:
    """Call `gone` once the parent process has ended, however it ended.

    The parent's process id would not do: whoever reads it after the parent's
    death reads that of the process which adopts orphans, and waits for ever.

    Args:
        lifeline: Reading end of a pipe that the parent alone can write to.
        gone: What then happens, on a thread of its own.

    """

    def look() -> None:
        while os.read(lifeline, 1):
            pass
        gone()

    threading.Thread(target=look, name="parent-watch", daemon=True).start()


def end_without(*, grace: float = GRACE_SECONDS) -> None:
    """End this process, which nobody supervises any more.

    Args:
        grace: Seconds to drain in; what then still runs is killed, as the
            parent would have done.

    """
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os.kill(os.getpid(), signal.SIGKILL)


def supervise(
    home: Path,
    sock: socket.socket,
    lock: int,
    count: int,
    changes: Mapping[str, str] | None = None,
) -> None:
    """Run workers of an instance until told to end.

    Args:
        home: The instance's folder.
        sock: Listens already.
        lock: Descriptor of the instance's lock, which each worker keeps.
        count: How many workers.
        changes: Settings that differ from the instance's own, by name.

    Raises:
        WorkersFailedError: They do not start.

    """
    # Neither end is inherited but the one that workers are given.
    lifeline, held = os.pipe()
    command = (
        *(sys.executable, "-m", "api.workers"),
        *(str(home), str(sock.fileno()), str(lifeline)),
    )
    os.set_inheritable(lock, True)  # noqa: FBT003 - the signature of os
    try:
        Supervisor(
            command,
            count,
            (sock.fileno(), lock, lifeline),
            {
                f"CURTILAGE_{name.upper()}": value
                for name, value in (changes or {}).items()
            },
        ).run()
    finally:
        os.close(held)
        os.close(lifeline)


def main(arguments: Sequence[str]) -> None:
    """Be one worker: serve on an inherited socket until told to end.

    Until the server drains on SIGTERM, the signal ends the process at once.
    """
    watch_parent(int(arguments[2]), end_without)
    # Imported here: the parent supervises and serves nothing itself.
    from api.app import create_app  # noqa: PLC0415 - as said
    from api.bootstrap import bootstrap  # noqa: PLC0415 - as said
    from api.cli.instance import run_server  # noqa: PLC0415 - as said
    from api.logs import configure_logs  # noqa: PLC0415 - as said
    from api.settings import read_settings  # noqa: PLC0415 - as said

    settings = read_settings(Path(arguments[0]))
    configure_logs(settings.log_level)
    platform = bootstrap(settings, direct=False)
    try:
        with socket.socket(fileno=int(arguments[1])) as sock:
            run_server(
                create_app(platform),
                host=settings.host,
                port=settings.port,
                sock=sock,
            )
    finally:
        platform.close()


if __name__ == "__main__":
    main(sys.argv[1:])
