"""`curtilage release`: the desk where extracts are asked for and taken."""

import asyncio
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from anonymize import Hierarchy, TableHierarchy
from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, speaks
from api.routes.extracts import extract_folder
from policy import ReleaseRequest


def release_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Extracts from the vault: one officer asks, another takes.",
        no_args_is_help=True,
    )
    group.command("request")(request)
    group.command("take")(take)
    group.command("list")(list_releases)
    return group


@speaks
def request(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    service: Annotated[str, typer.Argument(help="Id of the service.")],
    purpose: Annotated[str, typer.Argument(help="Id of the purpose.")],
    columns: Annotated[
        list[str], typer.Option("--column", help="An attribute; repeat.")
    ],
    recipient: Annotated[str, typer.Option(help="Who receives it.")],
    k: Annotated[int, typer.Option(min=2, help="Smallest class.")] = 5,
    diversity: Annotated[
        int, typer.Option("--l", min=1, help="Sensitive values a class.")
    ] = 1,
    sensitive: Annotated[
        str, typer.Option(help="The column that l is about.")
    ] = "",
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """File a request; the policies decide columns, roles and criteria.

    Example: curtilage release request statistics-office
    population-statistics --column user.gender --column user.bdate
    --recipient statistics-office
    """
    with instance(context).platform() as platform:
        release = asyncio.run(
            platform.releases.request(
                officer(actor, "analyst"),
                ReleaseRequest(
                    service=service,
                    purpose=purpose,
                    recipient=recipient,
                    columns=tuple(columns),
                    k=k,
                    l=diversity,
                    sensitive=sensitive or None,
                ),
            )
        )
    Output(as_json=as_json).result(
        {"release": str(release)},
        f"Release {release} waits for another officer: "
        f"curtilage release take {release}",
    )


@speaks
def take(
    context: typer.Context,
    release: Annotated[UUID, typer.Argument(help="Id of the request.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder to make for the extract. Default: in the "
            "instance, where its recipient can fetch it over HTTP.",
        ),
    ] = None,
    hierarchies: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder of hierarchy files, named ATTRIBUTE.csv.",
        ),
    ] = None,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Approve a request by taking its extract.

    Example: curtilage release take ID --out extract-1
    """
    voice = Output(as_json=as_json)
    given = {} if hierarchies is None else read_hierarchies(hierarchies)
    with (
        instance(context).platform() as platform,
        voice.progress("Taking the extract", None) as advance,
    ):
        folder = out or extract_folder(platform.settings.home, release)
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        taken = asyncio.run(
            platform.releases.take(
                officer(actor, "compliance"),
                release,
                folder,
                hierarchies=given,
                progress=lambda _stage, _done, _total: advance(1),
            )
        )
    voice.result(
        {
            "release": str(taken.release),
            "folder": str(taken.folder),
            "rows_in": taken.rows_in,
            "rows_out": taken.rows_out,
            "left_out": taken.left_out,
            "k": taken.k,
            "l": taken.l,
            "ncp": round(taken.ncp, 4),
            "highest_risk": round(taken.highest_risk, 4),
            "manifest": taken.manifest,
            "ledger_index": taken.ledger_index,
        }
    )


def read_hierarchies(folder: Path) -> dict[str, Hierarchy]:
    """Read every ``ATTRIBUTE.csv`` of a folder."""
    return {
        path.stem: TableHierarchy.from_file(path)
        for path in sorted(folder.glob("*.csv"))
    }


@speaks
def list_releases(context: typer.Context, *, as_json: Json = False) -> None:
    """List requests and how they ended."""
    with instance(context).platform() as platform:
        rows = [
            (str(one.id), one.service, one.purpose, one.outcome, one.rows)
            for one in platform.releases.releases()
        ]
    Output(as_json=as_json).table(
        "releases", ("release", "service", "purpose", "outcome", "rows"), rows
    )
