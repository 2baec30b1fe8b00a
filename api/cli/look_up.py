"""`curtilage officer find`: who has an identifier, or a value like this."""

import asyncio
from typing import Annotated

import typer

from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, speaks
from policy import Sought


@speaks
def find(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    attribute: Annotated[
        str,
        typer.Option(help="What is looked up, such as user.identifier.card."),
    ],
    because: Annotated[
        str,
        typer.Option(
            "--because", help="Justification; whoever is found will see it."
        ),
    ],
    value: Annotated[
        str,
        typer.Option(
            envvar="CURTILAGE_IDENTIFIER",
            help="The whole value. Asked for if neither is given, so that it "
            "stays out of the shell's history.",
        ),
    ] = "",
    prefix: Annotated[
        str,
        typer.Option(
            help="What the value begins with; --value does not count then."
        ),
    ] = "",
    limit: Annotated[
        int, typer.Option(min=1, max=100, help="At most so many candidates.")
    ] = 20,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Find people by an identifier, or by a value that is indexed.

    Shows ids, never a value. Everybody found sees in their uses that they
    were, by whom and why. What can be looked up: `curtilage vault index list`.

    Example: curtilage officer find --attribute user.name.family --prefix By
    --because "lost her card"
    """
    if not (value or prefix):
        value = typer.prompt("Value", hide_input=True)
    sought = Sought(
        attribute=attribute,
        text=prefix or value,
        whole=not prefix,
        limit=limit,
    )
    with instance(context).platform() as platform:
        found = asyncio.run(
            platform.records.find(
                officer(actor, "registrar"), sought, justification=because
            )
        )
    listed = [str(one) for one in found.subjects]
    Output(as_json=as_json).result(
        {
            "subjects": listed,
            "count": len(listed),
            "ledger_index": found.index,
        },
        "\n".join(
            [*listed, f"{len(listed)} found (ledger entry {found.index})"]
        ),
    )
