"""Short commands run for what they print, and ports to listen on."""

import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.parts.report import MissingPartError


def output_of(
    command: Sequence[str | Path],
    *,
    timeout: float = 30,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a command without input and return what it printed.

    Args:
        command: the program and its arguments.
        timeout: seconds until it is given up.
        env: its whole environment; by default ours.

    Raises:
        MissingPartError: it is not there, failed, or took too long.

    """
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=True,
            env=env,
        )
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip().splitlines()
        last = said[-1] if said else f"exit status {error.returncode}"
        msg = f"{Path(command[0]).name}: {last}"
        raise MissingPartError(msg) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"{Path(command[0]).name}: {error}"
        raise MissingPartError(msg) from error
    return done.stdout


def free_port() -> int:
    """Return a TCP port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
