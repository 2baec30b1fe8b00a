"""A server that lives exactly as long as the process that asked for it.

It runs under a shell whose input is a pipe that we hold. When we leave, by
whatever way, kill -9 included, the pipe closes and the shell stops the
server and removes its folder, so no test run leaves anything behind.
"""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.report import MissingPartError

# The shell waits for the server; its helper waits for the end of the pipe,
# and then takes the log away, which tells the shell to tidy up. The log of a
# server that ended by itself stays, to be read.
_WATCH = """
exec 3<&0
"$@" </dev/null >"$CURTILAGE_LOG" 2>&1 3<&- &
server=$!
{
  read -r _ <&3
  rm -f "$CURTILAGE_LOG"
  kill -s "$CURTILAGE_STOP" "$server"
} &
helper=$!
wait "$server"
kill "$helper"
test -e "$CURTILAGE_LOG" || { cd / && rm -rf "$CURTILAGE_FOLDER"; }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The unprivileged account a server runs under, where we are root."""

    uid: int
    gid: int


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    folder: Path,
    ready: Callable[[], bool],
    stop: str = "TERM",
    account: Account | None = None,
    patience: float = 60,
) -> Iterator[None]:
    """Keep a server running while the block runs.

    Args:
        command: the server in the foreground, with its arguments.
        folder: its own working folder, where ``server.log`` is written.
            It is removed at the end.
        ready: tells whether it answers.
        stop: the signal that ends it.
        account: whom it runs as; by default as ourselves.
        patience: seconds within which it must be ready, and be gone.

    Raises:
        MissingPartError: it ended, or was not ready in time.

    """
    log = folder / "server.log"
    watch = subprocess.Popen(
        ["/bin/sh", "-c", _WATCH, "watch", *[str(part) for part in command]],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "CURTILAGE_FOLDER": str(folder),
            "CURTILAGE_LOG": str(log),
            "CURTILAGE_STOP": stop,
        },
        # Ctrl-C reaches us alone; the server ends with our pipe.
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    try:
        _await(watch, ready, log, patience)
        yield
    finally:
        if watch.stdin is not None:
            watch.stdin.close()
        watch.wait(timeout=patience)


def _await(
    watch: subprocess.Popen[bytes],
    ready: Callable[[], bool],
    log: Path,
    patience: float,
) -> None:
    deadline = time.monotonic() + patience
    while not ready():
        if watch.poll() is not None or time.monotonic() > deadline:
            said = log.read_text("utf-8", "replace") if log.exists() else ""
            last = said.strip().splitlines()[-1:] or ["it said nothing"]
            msg = f"the server did not become ready: {last[0]}"
            raise MissingPartError(msg)
        time.sleep(0.05)
