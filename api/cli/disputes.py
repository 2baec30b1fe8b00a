"""`curtilage officer dispute`: what a person says against a value."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, speaks
from vault import DisputeOutcome

Person = Annotated[UUID, typer.Argument(help="Id of the person.")]
Which = Annotated[UUID, typer.Argument(help="Id of the dispute.")]
Attribute = Annotated[
    str, typer.Option("--attribute", help="What is disputed.")
]


def dispute_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="What a person says against a value; it stays beside it.",
        no_args_is_help=True,
    )
    group.command("enter")(enter)
    group.command("withdraw")(withdraw)
    group.command("resolve")(resolve)
    return group


@speaks
def enter(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    subject: Person,
    attribute: Attribute,
    statement: Annotated[
        str,
        typer.Option(
            prompt="The person's words",
            help="What they say, at most 2,000 characters. Asked for if left "
            "out.",
        ),
    ],
    version: Annotated[
        int,
        typer.Option(min=0, help="Version of the value; 0 for the current."),
    ] = 0,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Write down that a person says a value is wrong.

    Example: curtilage officer dispute enter ID --attribute user.bdate
    """
    with instance(context).platform() as platform:
        made = asyncio.run(
            platform.records.dispute(
                officer(actor, "registrar"),
                subject,
                attribute,
                statement,
                version=version or None,
            )
        )
    Output(as_json=as_json).result(
        {
            "subject": str(subject),
            "attribute": attribute,
            "dispute": str(made.id),
            "version": made.version,
        },
        f"dispute {made.id} stands beside version {made.version} of "
        f"{attribute}",
    )


@speaks
def withdraw(
    context: typer.Context,
    subject: Person,
    dispute: Which,
    attribute: Attribute,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Write down that the person no longer says so.

    Example: curtilage officer dispute withdraw ID DISPUTE --attribute
    user.bdate
    """
    _close(context, subject, dispute, attribute, actor, None, as_json=as_json)


@speaks
def resolve(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    subject: Person,
    dispute: Which,
    attribute: Attribute,
    outcome: Annotated[
        DisputeOutcome,
        typer.Option(help="How it was found to be."),
    ],
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Close a dispute with its outcome. It stays to be read.

    Corrects nothing by itself: enter the right value first.

    Example: curtilage officer dispute resolve ID DISPUTE --attribute
    user.bdate --outcome corrected
    """
    _close(
        context, subject, dispute, attribute, actor, outcome, as_json=as_json
    )


def _close(  # noqa: PLR0917 - passes a command's options on
    context: typer.Context,
    subject: UUID,
    dispute: UUID,
    attribute: str,
    actor: str,
    outcome: DisputeOutcome | None,
    *,
    as_json: bool,
) -> None:
    with instance(context).platform() as platform:
        index = asyncio.run(
            platform.records.close_dispute(
                officer(actor, "registrar"),
                subject,
                attribute,
                dispute,
                outcome=outcome,
            )
        )
    done = "withdrawn" if outcome is None else outcome.value
    Output(as_json=as_json).result(
        {"dispute": str(dispute), "outcome": done, "ledger_index": index},
        f"dispute {dispute} is closed: {done} (ledger entry {index})",
    )
