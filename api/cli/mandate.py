"""`curtilage mandate`: who may act for whom."""

from datetime import date
from typing import Annotated
from uuid import UUID

import typer

from api.cli.consent import Because, Person, when, within
from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, speaks
from consent import ANYTHING, Mandate, MandateKind, comes_of_age
from policy import RequestInvalid


def mandate_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Mandates of guardians, agents, organs and relatives.",
        no_args_is_help=True,
    )
    group.command("add")(add)
    group.command("list")(list_)
    group.command("end")(end)
    return group


@speaks
def add(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    person: Person,
    representative: Annotated[
        str,
        typer.Argument(help="Who acts: a person's id, or a body's reference."),
    ],
    kind: Annotated[
        MandateKind, typer.Option(help="Why they may act for the person.")
    ],
    proof: Annotated[
        str, typer.Option(help="Reference of the proof that you saw.")
    ],
    because: Because,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="service/purpose it covers; everything if absent."),
    ] = None,
    until: Annotated[str, typer.Option(help="When it ends, if it does.")] = "",
    born: Annotated[
        str,
        typer.Option(help="For a minor: day of birth, such as 2015-01-31."),
    ] = "",
    age: Annotated[
        int, typer.Option(min=1, max=25, help="For a minor: age of consent.")
    ] = 14,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Record a mandate whose proof you have seen.

    A guardian's power over a minor ends when the minor comes of age, and so
    does every yes that the guardian gave.

    Example: curtilage mandate add CHILD PARENT --kind minor
    --born 2015-01-31 --proof "birth certificate 17/2015"
    --because "shown at the counter"
    """
    who = officer(actor, "registrar")
    of_age = None
    if kind is MandateKind.MINOR:
        try:
            of_age = comes_of_age(date.fromisoformat(born), age)
        except ValueError:
            msg = "a minor's mandate needs --born, such as 2015-01-31"
            raise RequestInvalid(msg) from None
    with instance(context).platform() as platform:
        now = platform.clock()
        mandate = Mandate(
            id=UUID(bytes=platform.random(16), version=4),
            subject=person,
            actor=representative,
            kind=kind,
            proof=proof,
            scope=tuple(scope or (ANYTHING,)),
            valid_from=now,
            valid_until=when(until) if until else None,
            of_age=of_age,
            officer=who.id,
            recorded_at=now,
        )
        within(
            platform,
            lambda: platform.assist.mandate(
                who, mandate, justification=because
            ),
        )
    Output(as_json=as_json).result(
        {"mandate": str(mandate.id), "ends": mandate.end},
        f"mandate {mandate.id}"
        + ("" if mandate.end is None else f", until {mandate.end}"),
    )


@speaks
def list_(
    context: typer.Context, person: Person, *, as_json: Json = False
) -> None:
    """List the mandates to act for a person; no value of theirs is shown.

    Example: curtilage mandate list ID
    """
    with instance(context).platform() as platform:
        now = platform.clock()
        found = platform.consent_desk.mandates(person)
    Output(as_json=as_json).table(
        "mandates",
        ("id", "actor", "kind", "proof", "scope", "ends", "in force"),
        [
            (
                str(one.id),
                one.actor,
                one.kind.value,
                one.proof,
                " ".join(one.scope),
                one.end,
                one.holds(now),
            )
            for one in found
        ],
    )


@speaks
def end(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    person: Person,
    mandate: Annotated[UUID, typer.Argument(help="Id of the mandate.")],
    because: Because,
    since: Annotated[
        str, typer.Option(help="Since when it no longer holds; now if absent.")
    ] = "",
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """End a mandate.

    Example: curtilage mandate end ID MANDATE --because "custody changed"
    """
    with instance(context).platform() as platform:
        at = when(since) if since else platform.clock()
        within(
            platform,
            lambda: platform.assist.end_mandate(
                officer(actor, "registrar"),
                person,
                mandate,
                at=at,
                justification=because,
            ),
        )
    Output(as_json=as_json).result(
        {"mandate": str(mandate), "ended": at}, f"mandate {mandate} is over"
    )
