"""`curtilage officer`: find and look at a person, audit, dispute, erase."""

import asyncio
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated
from uuid import UUID

import typer

from api.cli.context import Actor, Json, instance, officer
from api.cli.disputes import dispute_commands
from api.cli.look_up import find
from api.cli.output import Output, speaks
from vault import Dispute, DisputeState

Subject = Annotated[UUID, typer.Argument(help="Id of the person.")]
Because = Annotated[
    str,
    typer.Option("--because", help="Justification; the person will see it."),
]


def officer_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Acts of officers; each leaves an entry.", no_args_is_help=True
    )
    group.command("view")(view)
    group.command("find")(find)
    group.command("audit")(audit)
    group.command("erase")(erase)
    group.add_typer(dispute_commands(), name="dispute")
    return group


@speaks
def view(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    subject: Subject,
    attributes: Annotated[
        list[str], typer.Option("--attribute", help="What to open.")
    ],
    because: Because,
    purpose: Annotated[
        str,
        typer.Option(
            help="Purpose of the look; one other than the usual has a rule "
            "of `ledger visibility`."
        ),
    ] = "officer-view",
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Open attributes of a person, for a stated reason.

    Example: curtilage officer view ID --attribute user.bdate --because "..."
    """

    async def look() -> list[tuple[object, ...]]:
        async with platform.running():
            values = await platform.registrar.officer_view(
                officer(actor, "compliance"),
                subject,
                frozenset(attributes),
                justification=because,
                purpose=purpose,
            )
        return [
            (
                one.attribute,
                one.record.value,
                one.record.source,
                _disputed(one.record.disputes),
            )
            for one in values
        ]

    with instance(context).platform() as platform:
        _refuse_unknown(attributes, list(platform.vault.catalogue))
        rows = asyncio.run(look())
    Output(as_json=as_json).table(
        "values", ("attribute", "value", "source", "disputed"), rows
    )


def _refuse_unknown(asked: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a misspelt name, before the look is entered."""
    for name in asked:
        if name in names:
            continue
        near = get_close_matches(name, names, n=1)
        msg = f"no attribute is called {name!r}; " + (
            f"{near[0]!r} is"
            if near
            else "the server lists them at /v1/catalogue"
        )
        raise ValueError(msg)


def _disputed(disputes: Sequence[Dispute]) -> str:
    """Say which disputes stand against a value, or how they ended."""
    return "; ".join(
        f"{one.id} {one.outcome or one.state}: {one.statement}"
        for one in disputes
        if one.state is not DisputeState.WITHDRAWN
    )


@speaks
def audit(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    service: Annotated[str, typer.Option(help="Only this service.")] = "",
    purpose: Annotated[str, typer.Option(help="Only this purpose.")] = "",
    after: Annotated[
        int, typer.Option(help="Only entries above this index.")
    ] = -1,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, help="At most so many.")
    ] = 50,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """List ledger entries as the officer may see them: no person in them.

    Example: curtilage officer audit --service moving-house --limit 20
    """
    with instance(context).platform() as platform:
        entries = asyncio.run(
            platform.registrar.audit(
                officer(actor, "auditor"),
                service=service or None,
                purpose=purpose or None,
                after=after,
                limit=limit,
            )
        )
    rows = [
        (
            one.index,
            one.service,
            one.purpose,
            one.body.kind.value if one.body else "erased",
            one.body.outcome if one.body else "",
            ", ".join(one.body.attributes) if one.body else "",
            one.visibility.value,
        )
        for one in entries
    ]
    Output(as_json=as_json).table(
        "entries",
        (
            "index",
            "service",
            "purpose",
            "kind",
            "outcome",
            "attributes",
            "visibility",
        ),
        rows,
    )


@speaks
def erase(
    context: typer.Context,
    subject: Subject,
    because: Because,
    proposer: Annotated[
        str, typer.Option(help="Who asked; somebody else than --as.")
    ],
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Destroy a person's key and everything under it. There is no undo.

    Example: curtilage officer erase ID --proposer ID --because "asked for it"
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        report = asyncio.run(
            platform.registrar.erase(
                officer(actor, "compliance"),
                subject,
                proposer=proposer,
                justification=because,
            )
        )
    out.result({"subject": str(subject), "values": report.values})
