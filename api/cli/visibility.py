"""`curtilage ledger review` and `visibility`: who may see an entry when."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, moment, speaks
from consent import Held, LegalBasis, Visibility

Reason = Annotated[
    str, typer.Option("--because", help="Why; recorded in the ledger.")
]
Entry = Annotated[
    UUID, typer.Argument(help="Id of the entry in `review list`.")
]
_COLUMNS = (
    "id",
    "class",
    "due",
    "overdue",
    "service",
    "purpose",
    "kind",
    "at",
    "rule",
    "extended",
)


def review_commands() -> typer.Typer:
    """The group of the queue."""
    group = typer.Typer(
        help="Entries that people may not see yet: each is lifted, or "
        "extended with a reason and a new date.",
        no_args_is_help=True,
    )
    group.command("list")(queue)
    group.command("lift")(lift)
    group.command("extend")(extend)
    return group


def visibility_commands() -> typer.Typer:
    """The group of the rules."""
    group = typer.Typer(
        help="Rules: when people learn of an activity. One officer "
        "proposes, another confirms.",
        no_args_is_help=True,
    )
    group.command("list")(rules)
    group.command("propose")(propose)
    group.command("confirm")(confirm)
    return group


@speaks
def queue(
    context: typer.Context, actor: Actor = "", *, as_json: Json = False
) -> None:
    """List what is withheld, the most overdue first.

    Example: curtilage ledger review list
    """
    with instance(context).platform() as platform:
        found = asyncio.run(
            platform.visibility.review(officer(actor, "compliance"))
        )
        now = platform.clock()
    Output(as_json=as_json).table(
        "withheld", _COLUMNS, [_row(held, now) for held in found]
    )


@speaks
def lift(
    context: typer.Context,
    entry: Entry,
    because: Reason,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Disclose an entry: the person sees it from now on, with its proof.

    Example: curtilage ledger review lift ID --because "inquiry closed"
    """
    with instance(context).platform() as platform:
        found = asyncio.run(
            platform.visibility.lift(
                officer(actor, "compliance"), entry, reason=because
            )
        )
    Output(as_json=as_json).result(
        {"id": str(entry), "index": found.index, "class": "lifted"},
        f"Entry {found.index} is disclosed to the person.",
    )


@speaks
def extend(
    context: typer.Context,
    entry: Entry,
    until: Annotated[
        datetime,
        typer.Option(formats=["%Y-%m-%d"], help="The new date, UTC."),
    ],
    because: Reason,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Withhold an entry until a later date.

    Example: curtilage ledger review extend ID --until 2027-01-31
    --because "inquiry continues"
    """
    with instance(context).platform() as platform:
        found = asyncio.run(
            platform.visibility.extend(
                officer(actor, "compliance"),
                entry,
                int(until.replace(tzinfo=UTC).timestamp()),
                reason=because,
            )
        )
    Output(as_json=as_json).result(
        {"id": str(entry), "due": _date(found.until)},
        f"Withheld until {_date(found.until)}.",
    )


@speaks
def rules(context: typer.Context, *, as_json: Json = False) -> None:
    """List every rule and proposal, with the law that it names.

    Example: curtilage ledger visibility list
    """
    with instance(context).platform() as platform:
        found = platform.visibility.rules()
    Output(as_json=as_json).table(
        "rules",
        ("number", "service", "purpose", "class", "days", "law", "state"),
        [
            (
                one.number,
                one.service,
                one.purpose,
                one.visibility.value,
                one.days,
                one.law,
                "proposed" if one.since is None else "confirmed",
            )
            for one in found
        ],
    )


@speaks
def propose(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    service: Annotated[str, typer.Argument(help="Id of the service.")],
    purpose: Annotated[str, typer.Argument(help="Id of the purpose.")],
    visibility: Annotated[
        Visibility,
        typer.Option("--class", help="immediate, delayed or sealed."),
    ],
    law: Annotated[str, typer.Option(help="The provision, in words.")],
    basis: Annotated[
        LegalBasis, typer.Option(help="The legal basis; never consent.")
    ] = LegalBasis.LEGAL_OBLIGATION,
    days: Annotated[
        int, typer.Option(help="Days until disclosure or review.")
    ] = 0,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Propose when people learn of an activity.

    Officers' own looks are the service `registrar`, with any purpose.

    Example: curtilage ledger visibility propose registrar fraud-inquiry
    --class sealed --days 90 --law "Inquiries Act, section 4"
    """
    with instance(context).platform() as platform:
        number = asyncio.run(
            platform.visibility.propose(
                officer(actor, "compliance"),
                service=service,
                purpose=purpose,
                visibility=visibility,
                days=days,
                basis=basis,
                law=law,
            )
        )
    Output(as_json=as_json).result(
        {"number": number, "state": "proposed"},
        f"Rule {number} is proposed. Another officer confirms it: "
        f"curtilage ledger visibility confirm {number}",
    )


@speaks
def confirm(
    context: typer.Context,
    number: Annotated[int, typer.Argument(help="Number of the proposal.")],
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Put a rule into force that another officer proposed.

    Example: curtilage ledger visibility confirm 3 --as officer-2
    """
    with instance(context).platform() as platform:
        asyncio.run(
            platform.visibility.confirm(officer(actor, "compliance"), number)
        )
    Output(as_json=as_json).result(
        {"number": number, "state": "confirmed"},
        f"Rule {number} is in force.",
    )


@speaks
def clock(
    context: typer.Context,
    because: Reason,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Say that the clock was ahead before and is right now.

    Nothing starts on a ledger that was written later than the clock says,
    and none of its entries is dated far before its latest one. Where a
    clock that was wrong dated that one, this goes on from the present time,
    and records who said so and why.

    Example: curtilage ledger clock --because "time server was wrong"
    """
    with instance(context).platform(clock_was_ahead=True) as platform:
        at = asyncio.run(
            platform.visibility.set_clock(
                officer(actor, "compliance"), reason=because
            )
        )
        # The newest checkpoint bears the right time as well.
        platform.ledger.checkpoint()
    Output(as_json=as_json).result(
        {"latest": at}, f"The ledger goes on from {moment(at)}."
    )


def _row(held: Held, now: int) -> tuple[object, ...]:
    return (
        str(held.id),
        held.visibility.value,
        _date(held.until),
        held.until <= now,
        held.service,
        held.purpose,
        held.kind.value,
        _date(held.at),
        held.rule,
        len(held.extensions),
    )


def _date(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
