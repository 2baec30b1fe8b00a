"""`curtilage policy trace`: how one decision came about."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, speaks
from policy import explained, load_bundle, trace_decision

DISCLOSURE = "curtilage/disclosure/decision"


@speaks
def trace(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            exists=True, dir_okay=False, help="Input document (JSON)."
        ),
    ] = None,
    entrypoint: Annotated[
        str, typer.Option(help="What is asked of the policies.")
    ] = DISCLOSURE,
    decision: Annotated[
        UUID | None, typer.Option(help="Id of a stored decision instead.")
    ] = None,
    person: Annotated[
        UUID | None,
        typer.Option(help="Whom the stored decision is about."),
    ] = None,
    because: Annotated[
        str,
        typer.Option(
            help="Why the stored decision is looked into; the person sees "
            "this with the entry."
        ),
    ] = "",
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Show how a decision came about: rules, answers, and what did not hold.

    Of an input document, which holds facts and no values; or of a stored
    decision, whose look is recorded as any look of an officer is.

    Examples: curtilage policy trace question.json

    curtilage policy trace --decision ID --person ID --because "..."
    """
    if (file is None) == (decision is None):
        msg = "give either an input document or --decision with --person"
        raise ValueError(msg)
    document: Mapping[str, Any]
    if file is not None:
        document = _document(file)
    elif decision is not None and person is not None:
        document = _stored(context, decision, person, because, actor)
    else:
        msg = "--decision needs --person: whom the decision is about"
        raise ValueError(msg)
    found = trace_decision(load_bundle(), entrypoint, document)
    said: dict[str, Any] = asdict(found)
    said["coverage"]["percent"] = round(found.coverage.percent, 1)
    Output(as_json=as_json).result(said, explained(found))


def _document(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_bytes())
    except json.JSONDecodeError as error:
        msg = f"{file}:{error.lineno}:{error.colno}: no JSON ({error.msg})"
        raise ValueError(msg) from None
    if not isinstance(document, dict):
        msg = f"{file}:1: an input document is a JSON object"
        raise ValueError(msg)  # noqa: TRY004 - wrong input, exit code 2
    return document


def _stored(
    context: typer.Context,
    decision: UUID,
    person: UUID,
    because: str,
    actor: str,
) -> Mapping[str, Any]:
    """The input of a stored decision, once the look at it is an entry."""

    async def look() -> Mapping[str, Any]:
        async with platform.running():
            # It opens no value: what is recorded is that somebody looked.
            await platform.registrar.officer_view(
                officer(actor, "compliance"),
                person,
                frozenset(),
                justification=because,
            )
            _, document = await platform.replay.reopened(decision, person)
        return document

    with instance(context).platform() as platform:
        return asyncio.run(look())
