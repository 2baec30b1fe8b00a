"""An OPA server beside ours, started, configured and kept alive by us.

It answers on loopback and runs one signed bundle, which it fetches from our
own `/opa/bundle.tar.gz`; whatever is not signed with the key of this start
it does not load. Through its API it answers decisions and health alone
(`policies/system`). Its decision log holds what the mask lets through.

It ends with us, however we end: a shell between us holds the other end of a
pipe, and stops it when the pipe closes. One that dies is started again.
"""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from policy import SIGNING, SigningKey, build_server_bundle, load_bundle

FOLDER = "opa"
ARCHIVE = "bundle.tar.gz"
_HOST = "127.0.0.1"
_PAUSE, _LONGEST = 0.5, 30.0
_GRACE = 15.0
_WATCH = """
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r _ <&3; kill "$server" 2>/dev/null; } &
helper=$!
wait "$server"
status=$?
kill "$helper" 2>/dev/null
exit "$status"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A running OPA server.

    Attributes:
        url: where it answers.
        log: what it writes.

    """

    url: str
    log: Path


@contextmanager
def sidecar(
    opa: Path, *, home: Path, policies: Path, bundles: str
) -> Iterator[Sidecar]:
    """Keep an OPA server running while the block runs.

    Args:
        opa: the OPA binary.
        home: folder of the instance; ours is `opa` in it.
        policies: folder of the Rego that the bundle is built from.
        bundles: address of our own server, where it fetches the bundle.

    Raises:
        CompileFailed: the binary does not run, or refuses the policies.

    """
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    key = SigningKey(path=folder / "signing.pem")
    key.path.unlink(missing_ok=True)
    public = make_signing_key(key.path)
    build_server_bundle(
        opa,
        policies,
        folder / ARCHIVE,
        revision=load_bundle().revision,
        signing=key,
    )
    # The key is of no use once the bundle is signed.
    key.path.unlink()
    configuration = folder / "configuration.json"
    configuration.write_text(json.dumps(_configuration(bundles, public)))
    port = _free_port()
    log = folder / "opa.log"
    keeper = _Keeper(
        [
            *(str(opa.resolve()), "run", "--server"),
            *("--addr", f"{_HOST}:{port}", "--authorization", "basic"),
            *("--disable-telemetry", "--log-level", "error"),
            *("--config-file", str(configuration)),
        ],
        log,
    )
    keeper.start()
    try:
        yield Sidecar(url=f"http://{_HOST}:{port}", log=log)
    finally:
        keeper.stop()


def make_signing_key(path: Path) -> str:
    """Make a key that signs bundles, readable by its owner alone.

    Returns:
        Its public half in PEM, for the servers' configuration.

    Raises:
        FileExistsError: there is a file; it is left alone.

    """
    key = ec.generate_private_key(ec.SECP256R1())
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo,
    )
    return public.decode("ascii")


def _configuration(bundles: str, public: str) -> Mapping[str, object]:
    name = SigningKey.__dataclass_fields__["name"].default
    return {
        "services": {"curtilage": {"url": bundles}},
        "bundles": {
            "curtilage": {
                "service": "curtilage",
                "resource": f"/{FOLDER}/{ARCHIVE}",
                "polling": {"min_delay_seconds": 1, "max_delay_seconds": 2},
                "signing": {"keyid": name},
            }
        },
        "keys": {name: {"algorithm": SIGNING, "key": public}},
        "decision_logs": {"console": True},
    }


class _Keeper:
    """Starts a command again that ends unasked, later each time."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._command = ["/bin/sh", "-c", _WATCH, "watch", *command]
        self._log = log
        self._ending = threading.Event()
        self._running: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(
            target=self._keep, name="opa-sidecar", daemon=True
        )

    def start(self) -> None:
        self._running = self._begin()
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        running = self._running
        if running is not None and running.stdin is not None:
            running.stdin.close()
        self._thread.join(_GRACE)

    def _begin(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - OPA, with our own arguments
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
            )

    def _keep(self) -> None:
        pause = _PAUSE
        while True:
            running = self._running
            assert running is not None  # noqa: S101 - set before the thread starts
            status = running.wait()
            if self._ending.is_set():
                return
            structlog.get_logger().warning(
                "the OPA server ended", cause=str(status)
            )
            if self._ending.wait(pause):
                return
            pause = min(2 * pause, _LONGEST)
            self._running = self._begin()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
    return port
