"""`curtilage demo`: an instance with synthetic people, and its story."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from api.app import create_app
from api.bootstrap import bootstrap
from api.cli.context import Json
from api.cli.instance import run_server
from api.cli.output import Output, speaks
from api.demo.story import Stage, tell
from api.demo.world import (
    HERO,
    World,
    enter_forms,
    fill_vault,
    register_services,
    write_cast,
)
from api.instances import create_instance
from api.logs import configure_logs
from api.pages.desk import CAST_NAME
from api.platform import Platform
from api.settings import Settings

HOME = Path("var/demo")
_MARK = "made-by-curtilage-demo"


@speaks
def demo(
    people: Annotated[
        int, typer.Option(min=100, max=1_000_000, help="How many people.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the generator.")] = 20260101,
    home: Annotated[
        Path, typer.Option(help="Folder of the demo; made anew each time.")
    ] = HOME,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the server.")
    ] = 8420,
    *,
    serve: Annotated[
        bool, typer.Option(help="Serve HTTP and the pages at the end.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Fill an instance with synthetic people and tell its story.

    Example: curtilage demo --no-serve
    """
    configure_logs("error")
    out = Output(as_json=as_json)
    console = Console(quiet=as_json, highlight=False)
    settings = _fresh(home, port)
    platform = bootstrap(settings)
    console.print(
        f"A new instance in {home}: SQLite, a file key provider, policies "
        f"{platform.pdp.revision[:12]} run in process."
    )
    world = _fill(platform, people, seed, console)
    facts = asyncio.run(
        tell(
            Stage(
                platform=platform,
                world=world,
                console=console,
                bars=partial(_bars, console, people),
            )
        )
    )
    platform.close()
    out.result(
        {
            "people": people,
            "entries": facts["entries"],
            "extract": facts["extract"],
            "home": str(home),
        },
        "\nThe story is told.",
    )
    if serve:
        _serve(settings, world, console)


def _fresh(home: Path, port: int) -> Settings:
    """Remove the last demo, and nothing that the demo did not make."""
    if home.exists():
        if not (home / _MARK).exists():
            msg = f"{home} was not made by the demo: name another --home"
            raise FileExistsError(msg)
        shutil.rmtree(home)
    home.mkdir(parents=True)
    (home / _MARK).touch()
    return create_instance(
        home,
        tenant="demo",
        origin="localhost/demo/access-log",
        passphrase_file=home / "passphrase",
        demo=True,
        secure_cookies=False,
        port=port,
    )


def _fill(
    platform: Platform, count: int, seed: int, console: Console
) -> World:
    with _bars(console, count) as progress:
        done = 0

        def people(step: int) -> None:
            nonlocal done
            done += step
            progress("People into the vault", done, count)

        subjects, everybody = fill_vault(platform, count, seed, people)
        credentials = register_services(platform)
        done = 0

        def forms(step: int) -> None:
            nonlocal done
            done += step
            progress("Preferences and consents", done, count)

        entries = enter_forms(platform, subjects, everybody, seed, forms)
    write_cast(platform.settings.home / CAST_NAME, subjects)
    console.print(
        f"{count} people, {len(credentials)} services, {entries} answers "
        "and preferences."
    )
    return World(
        subjects=tuple(subjects),
        hero=subjects[HERO],
        hero_number=everybody[HERO].values["user.identity.number"],
        credentials=credentials,
    )


@contextmanager
def _bars(console: Console, people: int) -> Iterator["_Bars"]:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        disable=console.quiet,
    ) as progress:
        yield _Bars(progress, people)


class _Bars:
    """One bar for each stage of work, made when it is first heard of.

    Who does not know the end of a stage goes through everybody.
    """

    def __init__(self, progress: Progress, people: int) -> None:
        self._progress = progress
        self._people = people
        self._tasks: dict[str, object] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        task = self._tasks.get(stage)
        if task is None:
            task = self._progress.add_task(stage)
            self._tasks[stage] = task
        self._progress.update(
            task,  # type: ignore[arg-type] # rich's own id
            completed=done,
            total=total or self._people,
        )


def _serve(settings: Settings, world: World, console: Console) -> None:
    client, secret = world.credentials["moving-house"]
    address = f"http://{settings.host}:{settings.port}"
    console.print(
        f"\nPages: {address}/  (sign in as one of the synthetic people)\n"
        f"API:   {address}/openapi.json\n"
        f"A credential of the moving-house service:\n"
        f"  client_id={client}\n  client_secret={secret}\n"
        "Stop with Ctrl-C.",
        markup=False,
    )
    platform = bootstrap(settings)
    try:
        run_server(
            create_app(platform), host=settings.host, port=settings.port
        )
    finally:
        platform.close()
