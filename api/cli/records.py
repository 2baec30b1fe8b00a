"""`curtilage vault link|unlink|merge|unmerge`: one record for one person."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, speaks

Person = Annotated[UUID, typer.Argument(help="Id of the person's record.")]
Kind = Annotated[
    str,
    typer.Argument(
        help="Attribute of the identifier, such as user.identifier.card."
    ),
]
Value = Annotated[
    str,
    typer.Option(
        prompt="Identifier",
        hide_input=True,
        envvar="CURTILAGE_IDENTIFIER",
        help="The identifier itself. Asked for, so that it stays out of the "
        "shell's history.",
    ),
]
Reason = Annotated[
    str,
    typer.Option(
        "--because", help="Why; recorded in the ledger, for the person too."
    ),
]


def add_record_commands(group: typer.Typer) -> None:
    """Add them to the vault's group."""
    group.command("link")(link)
    group.command("unlink")(unlink)
    group.command("merge")(merge)
    group.command("unmerge")(unmerge)


@speaks
def link(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    person: Person,
    kind: Kind,
    value: Value,
    source: Annotated[
        str, typer.Option(help="Where it comes from; kept with it.")
    ] = "counter",
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Let one more identifier of a channel lead to a person.

    Example: curtilage vault link 6f1c... user.identifier.card
    """
    with instance(context).platform() as platform:
        index = asyncio.run(
            platform.records.link(
                officer(actor, "registrar"),
                person,
                (kind, value),
                source=source,
            )
        )
    Output(as_json=as_json).result(
        {"subject": str(person), "linked": kind, "ledger_index": index},
        f"{kind} leads to {person} (ledger entry {index})",
    )


@speaks
def unlink(
    context: typer.Context,
    person: Person,
    kind: Kind,
    value: Value,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Let an identifier no longer lead to a person, and forget it.

    Example: curtilage vault unlink 6f1c... user.identifier.card
    """
    with instance(context).platform() as platform:
        index = asyncio.run(
            platform.records.unlink(
                officer(actor, "registrar"), person, (kind, value)
            )
        )
    Output(as_json=as_json).result(
        {"subject": str(person), "unlinked": kind, "ledger_index": index},
        f"{kind} no longer leads to {person} (ledger entry {index})",
    )


@speaks
def merge(
    context: typer.Context,
    survivor: Person,
    absorbed: Person,
    because: Reason,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Read two records as one person's; nothing of either is changed.

    The first goes on and takes all writes. `unmerge` gives both back as they
    were.

    Example: curtilage vault merge 6f1c... 0d2f... --because "same passport"
    """
    with instance(context).platform() as platform:
        index = asyncio.run(
            platform.records.merge(
                officer(actor, "registrar"),
                survivor,
                absorbed,
                justification=because,
            )
        )
    Output(as_json=as_json).result(
        {
            "survivor": str(survivor),
            "absorbed": str(absorbed),
            "ledger_index": index,
        },
        f"{absorbed} is read with {survivor} (ledger entry {index})",
    )


@speaks
def unmerge(
    context: typer.Context,
    survivor: Person,
    absorbed: Person,
    because: Reason,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Read two merged records apart again, each as it was.

    Example: curtilage vault unmerge 6f1c... 0d2f... --because "two people"
    """
    with instance(context).platform() as platform:
        index = asyncio.run(
            platform.records.unmerge(
                officer(actor, "registrar"),
                survivor,
                absorbed,
                justification=because,
            )
        )
    Output(as_json=as_json).result(
        {
            "survivor": str(survivor),
            "parted": str(absorbed),
            "ledger_index": index,
        },
        f"{absorbed} stands for itself again (ledger entry {index})",
    )
