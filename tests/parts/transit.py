"""A server with a transit engine: Vault or OpenBao, where one is installed.

``bao`` or ``vault`` on PATH, or what ``TRANSIT_SERVER`` names. Neither is
among the packages that this project may fetch: OpenBao is in no registry
that was found, and Vault is hundreds of modules to build. So it is never
required; the stand-in of `tests.transit_server` is asked in any case.
"""

import json
import os
import secrets
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.processes import free_port, output_of
from tests.parts.report import MissingPartError, Part
from tests.parts.servers import running

MOUNT = "transit"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitServer:
    """A running server, in memory, with an empty engine.

    Attributes:
        url: where it listens, on loopback.
        token: its root token.
    """

    url: str
    token: str


def find() -> Part:
    """Find the server's executable.

    Raises:
        MissingPartError: there is none.

    """
    named = os.environ.get("TRANSIT_SERVER")
    path = named or shutil.which("bao") or shutil.which("vault")
    if path is None:
        msg = "no bao or vault on PATH, and TRANSIT_SERVER names none"
        raise MissingPartError(msg)
    version = output_of([path, "version"]).split()[1].removeprefix("v")
    how = "TRANSIT_SERVER" if named else "PATH"
    return Part(
        name="transit server", path=Path(path), version=version, how=how
    )


@contextmanager
def server(part: Part) -> Iterator[TransitServer]:
    """Run a server that keeps everything in memory, and mount the engine.

    Args:
        part: what `find` returned.

    Yields:
        The server.

    Raises:
        MissingPartError: it does not start.

    """
    folder = Path(tempfile.mkdtemp(prefix="curtilage-transit-"))
    # Not one that begins as the server's own: it refuses those.
    port, token = free_port(), f"curtilage-{secrets.token_hex(12)}"
    made = TransitServer(url=f"http://127.0.0.1:{port}", token=token)
    command = (
        *(part.path, "server", "-dev", "-dev-no-store-token"),
        f"-dev-root-token-id={token}",
        f"-dev-listen-address=127.0.0.1:{port}",
    )
    with running(command, folder=folder, ready=lambda: _mounted(made)):
        yield made


def _mounted(made: TransitServer) -> bool:
    """Mount the engine once the server takes it; tell whether it did."""
    request = urllib.request.Request(  # noqa: S310 - loopback, over http
        f"{made.url}/v1/sys/mounts/{MOUNT}",
        data=json.dumps({"type": "transit"}).encode(),
        headers={"X-Vault-Token": made.token},
    )
    # No proxy stands between this machine and itself.
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with straight.open(request, timeout=10):
            return True
    except urllib.error.HTTPError as error:
        # Mounted before, by an answer that was lost.
        return error.code == 400
    except OSError:
        return False
