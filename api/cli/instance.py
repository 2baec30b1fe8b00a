"""`curtilage init` and `curtilage serve`."""

import asyncio
import fcntl
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from typing import Annotated

import typer
import uvicorn
from starlette.types import ASGIApp

from api.app import create_app
from api.cli.context import Json, instance
from api.cli.output import Output, speaks
from api.collecting import few_collections
from api.instances import create_instance
from api.logs import configure_logs
from api.opa_sidecar import sidecar
from api.platform import Platform
from api.settings import EngineChoice, Settings, home_folder
from api.workers import listen, supervise
from policy import LivePdp, policies_folder

GRACE_SECONDS = 20


@speaks
def init(
    context: typer.Context,
    tenant: Annotated[
        str, typer.Option(help="Id of the public body.")
    ] = "main",
    origin: Annotated[
        str,
        typer.Option(
            help="Name of the ledger: a URL without scheme, which "
            "checkpoints will carry for ever."
        ),
    ] = "localhost/main/access-log",
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the passphrase of the keys. Made with a random "
            "one if it does not exist. Keep it apart from the databases."
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Make a new instance: folders, keys, secrets, databases.

    Example: curtilage --home /srv/curtilage init --tenant northbank
    """
    out = Output(as_json=as_json)
    home = home_folder(instance(context).home)
    settings = create_instance(
        home,
        tenant=tenant,
        origin=origin,
        passphrase_file=passphrase_file or home / "passphrase",
    )
    out.result(
        {
            "home": str(home),
            "tenant": settings.tenant,
            "origin": settings.origin,
            "passphrase_file": str(settings.passphrase_file),
        },
        f"An instance stands in {home}.\n"
        f"Its keys open with {settings.passphrase_file}: move that file to "
        "another place, and back it up apart.\n"
        "Next: curtilage declaration propose FILE, another officer's "
        "approve, and curtilage service add.",
    )


@speaks
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to bind.")] = "",
    port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65535,
            help="Port to bind; of the settings, if left out.",
            show_default=False,
        ),
    ] = 0,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            max=64,
            help="Processes that answer. With more than one an answer has "
            "a signed inclusion promise in place of its ledger index.",
        ),
    ] = 1,
    *,
    opa: Annotated[
        bool,
        typer.Option(
            "--opa",
            help="Start an OPA server beside, keep it alive, and let it "
            "decide; the gate answers once it has confirmed the policies.",
        ),
    ] = False,
    opa_binary: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="OPA; by default of the PATH."
        ),
    ] = None,
) -> None:
    """Serve HTTP until SIGTERM, which drains the commit queue first.

    Example: curtilage --home /srv/curtilage serve --port 8420 --workers 2
    """
    chosen = instance(context)
    settings = chosen.settings()
    configure_logs(settings.log_level)
    host, port = host or settings.host, port or settings.port
    with (
        only_server(settings) as lock,
        _deciding(
            settings, host, port, opa_binary, beside=opa or bool(opa_binary)
        ) as changes,
    ):
        if workers == 1:
            with chosen.platform(changes=changes) as platform:
                _demand_ready(platform)
                run_server(create_app(platform), host=host, port=port)
            return
        # Opened once before: what a crash left is finished by one process.
        with chosen.platform(changes=changes) as platform:
            _demand_ready(platform)
        with listen(host, port) as sock:
            supervise(settings.home, sock, lock, workers, changes)


def _demand_ready(platform: Platform) -> None:
    """Miss now what would be missed when somebody asks."""
    platform.vault.decoy()
    if isinstance(platform.pdp, LivePdp):
        platform.pdp.demand()


@contextmanager
def _deciding(
    settings: Settings,
    host: str,
    port: int,
    binary: Path | None,
    *,
    beside: bool,
) -> Iterator[dict[str, str]]:
    """Start what decides, if it is not there; give the settings for it.

    Raises:
        FileNotFoundError: there is no OPA.

    """
    if not beside:
        yield {}
        return
    found = binary or shutil.which("opa")
    if found is None:
        msg = "there is no `opa` on the PATH: name it with --opa-binary"
        raise FileNotFoundError(msg)
    local = f"[{host}]" if ":" in host else host
    with sidecar(
        Path(found),
        home=settings.home,
        policies=policies_folder(),
        bundles=f"http://{_reached(local)}:{port}",
    ) as running:
        yield {"engine": EngineChoice.OPA.value, "opa_url": running.url}


def _reached(host: str) -> str:
    """Where a server that binds `host` is reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - recognised, not bound


class DrainingServer(uvicorn.Server):
    """uvicorn, but a drained server ends with 0 and closes its databases.

    uvicorn raises the signal again once it has shut down, which ends the
    process where it stands.
    """

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT ask for the shutdown, and nothing more."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for one in signals:
            loop.add_signal_handler(one, self.handle_exit, one, None)
        try:
            yield
        finally:
            for one in signals:
                loop.remove_signal_handler(one)


def run_server(
    app: ASGIApp, *, host: str, port: int, sock: socket | None = None
) -> None:
    """Run uvicorn in this process, without its access log.

    Args:
        app: The application.
        host: Address to bind.
        port: Port to bind.
        sock: Listens already, in place of these two.

    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with few_collections():
        DrainingServer(config).run(None if sock is None else [sock])


@contextmanager
def only_server(settings: Settings) -> Iterator[int]:
    """Refuse a second server on the same embedded files.

    Yields:
        The descriptor of the lock; it holds as long as anybody has it open.

    Raises:
        RuntimeError: another `serve` holds the instance.

    """
    path = settings.home / "serve.lock"
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"another `curtilage serve` runs on {settings.home}"
            raise OSError(msg) from None
        yield file.fileno()
