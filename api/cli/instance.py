"""`curtilage init` and `curtilage serve`."""

import asyncio
import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from starlette.types import ASGIApp

from api.app import create_app
from api.cli.context import Json, instance
from api.cli.output import Output, speaks
from api.instances import create_instance
from api.logs import configure_logs
from api.settings import Settings, home_folder

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
        "Next: curtilage declaration register FILE; curtilage service add.",
    )


@speaks
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to bind.")] = "",
    port: Annotated[int, typer.Option(help="Port to bind.")] = 0,
) -> None:
    """Serve HTTP until SIGTERM, which drains the commit queue first.

    Example: curtilage --home /srv/curtilage serve --port 8420
    """
    chosen = instance(context)
    settings = chosen.settings()
    configure_logs(settings.log_level)
    with only_server(settings), chosen.platform() as platform:
        run_server(
            create_app(platform),
            host=host or settings.host,
            port=port or settings.port,
        )


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


def run_server(app: ASGIApp, *, host: str, port: int) -> None:
    """Run uvicorn in this process, without its access log."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    DrainingServer(config).run()


@contextmanager
def only_server(settings: Settings) -> Iterator[None]:
    """Refuse a second server on the same embedded files.

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
        yield
