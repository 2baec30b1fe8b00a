"""`curtilage release`: the desk where extracts are asked for and taken."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from anonymize import (
    Copy,
    Hierarchy,
    TableHierarchy,
    report_html,
    report_parts,
    report_pdf,
)
from api.cli.context import KEY_IS_VKEY, Actor, Json, instance, officer
from api.cli.output import Output, speaks
from api.collecting import few_collections
from api.routes.extracts import extract_folder, put_aside
from consent import run_verifier
from policy import ReleaseRequest


def release_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Extracts from the vault: one officer asks, another takes.",
        no_args_is_help=True,
    )
    group.command("request")(request)
    group.command("approve")(approve)
    group.command("take")(take)
    group.command("recall")(recall)
    group.command("verify", context_settings=KEY_IS_VKEY)(verify)
    group.command("report")(report)
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
    days: Annotated[
        int, typer.Option(min=1, help="How long it may be used.")
    ] = 365,
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
                    days=days,
                ),
            )
        )
    Output(as_json=as_json).result(
        {"release": str(release)},
        f"Release {release} waits for another officer: "
        f"curtilage release approve {release} (or take, at once)",
    )


@speaks
def approve(
    context: typer.Context,
    release: Annotated[UUID, typer.Argument(help="Id of the request.")],
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Approve a request that another officer filed.

    Example: curtilage release approve ID --as compliance-officer
    """
    with instance(context).platform() as platform:
        index = asyncio.run(
            platform.releases.approve(officer(actor, "compliance"), release)
        )
    Output(as_json=as_json).result(
        {"release": str(release), "ledger_index": index},
        f"Release {release} is approved: curtilage release take {release}",
    )


@speaks
def recall(
    context: typer.Context,
    release: Annotated[UUID, typer.Argument(help="Id of the release.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")],
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Call an extract back: nobody can fetch it any more.

    Where it stands in the instance, its folder is kept as `ID.recalled`.
    What was fetched before is the recipient's to delete; tell them.

    Example: curtilage release recall ID --reason "wrong hierarchy"
    """
    with instance(context).platform() as platform:
        index = asyncio.run(
            platform.releases.recall(
                officer(actor, "compliance"), release, reason=reason
            )
        )
        put_aside(platform.settings.home, release)
    Output(as_json=as_json).result(
        {"release": str(release), "ledger_index": index},
        f"Release {release} is recalled; tell its recipient.",
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
        few_collections(),
    ):
        folder = out or extract_folder(platform.settings.home, release)
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        taken = asyncio.run(
            platform.releases.take(
                officer(actor, "compliance", "analyst"),
                release,
                folder,
                hierarchies=given,
                progress=_stages(advance),
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


def _stages(advance: Callable[[int], None]) -> Callable[..., None]:
    """Advance by how much further the stage is, whichever it is."""
    before = "", 0

    def tell(stage: str, done: int, _total: int) -> None:
        nonlocal before
        since = before[1] if before[0] == stage else 0
        advance(max(0, done - since))
        before = stage, done

    return tell


@speaks
def verify(
    folder: Annotated[
        Path,
        typer.Argument(exists=True, file_okay=False, help="The extract."),
    ],
    key: Annotated[
        str, typer.Option("--vkey", help="The ledger's verifier key (vkey).")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Check an extract offline: signature, ledger proof, files, criteria.

    Needs no instance. `python verifier.py FOLDER/proof.json --vkey KEY`
    checks the same but the criteria, without Curtilage.

    Example: curtilage release verify extract-1 --vkey "$(cat ledger.vkey)"
    """
    from anonymize import check_folder  # noqa: PLC0415 - needs the extra

    check_folder(folder)
    arguments = [str(folder / "proof.json"), "--vkey", key]
    raise typer.Exit(run_verifier([*arguments, *(["--json"] * as_json)]))


@speaks
def report(
    folder: Annotated[
        Path,
        typer.Argument(exists=True, file_okay=False, help="The extract."),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="File to write: .html or .pdf.")
    ],
    whose: Annotated[
        Copy,
        typer.Option("--copy", help="The recipient's has no exact counts."),
    ] = Copy.RECIPIENT,
    *,
    as_json: Json = False,
) -> None:
    """Write the report of an extract as a page or a PDF.

    Example: curtilage release report extract-1 --out report.pdf
    """
    if out.suffix not in {".html", ".pdf"}:
        msg = f"{out.name}: the name ends in .html or .pdf"
        raise typer.BadParameter(msg)
    from anonymize import check_folder  # noqa: PLC0415 - needs the extra

    check_folder(folder)
    parts = report_parts(folder, whose)
    content = (
        report_pdf(parts)
        if out.suffix == ".pdf"
        else report_html(parts).encode()
    )
    out.write_bytes(content)
    Output(as_json=as_json).result(
        {"file": str(out), "copy": whose.value, "bytes": len(content)}
    )


def read_hierarchies(folder: Path) -> dict[str, Hierarchy]:
    """Read every ``ATTRIBUTE.csv`` of a folder."""
    return {
        path.stem: TableHierarchy.from_file(path)
        for path in sorted(folder.glob("*.csv"))
    }


@speaks
def list_releases(context: typer.Context, *, as_json: Json = False) -> None:
    """List requests and how they ended.

    Each is genuine or not: whether its row is as this instance wrote it.
    Where codes are demanded, one that is not can only be looked at.

    Example: curtilage release list
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        desk, demanded = platform.releases, platform.macs.required
        rows = [
            (
                *(str(one.id), one.service, one.purpose, one.outcome),
                one.rows,
                out.whether(genuine=desk.genuine(one), demanded=demanded),
            )
            for one in desk.releases()
        ]
    out.table(
        "releases",
        ("release", "service", "purpose", "outcome", "rows", "genuine"),
        rows,
    )
