"""`curtilage declaration`: read, show and publish declarations."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, speaks
from consent import Declaration, load_p3p, load_yaml

File = Annotated[
    Path,
    typer.Argument(
        exists=True, dir_okay=False, help="YAML or P3P XML declaration."
    ),
]


def declaration_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="What services say they do, as YAML or P3P XML.",
        no_args_is_help=True,
    )
    group.command("lint")(lint)
    group.command("show")(show)
    group.command("register")(register)
    group.command("list")(list_registered)
    return group


def read(path: Path) -> tuple[Declaration, ...]:
    """Read a declaration file by its ending.

    Raises:
        DeclarationInvalid: with file, line, column, what and remedy.

    """
    text = path.read_bytes()
    if path.suffix.lower() == ".xml":
        return tuple(load_p3p(text, where=str(path)))
    return (load_yaml(text, where=str(path)),)


@speaks
def lint(file: File, *, as_json: Json = False) -> None:
    """Say whether a declaration reads, or where it does not.

    Example: curtilage declaration lint moving-house.yaml
    """
    found = read(file)
    Output(as_json=as_json).result(
        {
            "file": str(file),
            "declarations": len(found),
            "digests": [one.digest for one in found],
        },
        f"{file}: {len(found)} declaration(s), no error",
    )


@speaks
def show(file: File, *, as_json: Json = False) -> None:
    """Show what a declaration does, one row a flow of data."""
    rows = [
        (
            row.attribute,
            row.purpose.value,
            row.recipient.value,
            row.retention.value,
            row.required.value,
            "optional" if row.optional else "essential",
            row.basis.value,
        )
        for one in read(file)
        for row in sorted(
            one.tuples(), key=lambda row: (row.attribute, row.purpose)
        )
    ]
    Output(as_json=as_json).table(
        "flows",
        (
            "attribute",
            "purpose",
            "recipient",
            "retention",
            "required",
            "need",
            "basis",
        ),
        sorted(set(rows)),
    )


@speaks
def register(
    context: typer.Context,
    file: File,
    proposer: Annotated[
        str,
        typer.Option(help="Who proposed it; must be somebody else than --as."),
    ],
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Put a declaration into force.

    Example: curtilage declaration register moving.yaml --proposer dev-team
    """
    declarations = read(file)
    with instance(context).platform() as platform:
        for one in declarations:
            asyncio.run(
                platform.registrar.publish(
                    officer(actor, "compliance"), one, proposer=proposer
                )
            )
    Output(as_json=as_json).table(
        "registered",
        ("service", "purpose", "version", "digest"),
        [
            (one.service, one.purpose, one.version, one.digest)
            for one in declarations
        ],
    )


@speaks
def list_registered(context: typer.Context, *, as_json: Json = False) -> None:
    """List the declarations in force."""
    with instance(context).platform() as platform:
        rows = [
            (one.service, one.purpose, one.version, one.digest[:16])
            for one in platform.consents.declarations()
        ]
    Output(as_json=as_json).table(
        "declarations", ("service", "purpose", "version", "digest"), rows
    )
