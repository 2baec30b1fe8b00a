"""`curtilage glass`: emergency access, its approval and its alerts."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from api.cli.context import Actor, Json, instance, officer
from api.cli.glass_verify import verify
from api.cli.output import Output, speaks
from policy import Emergency, Glass, ListedGlass, ShownGlass

Grant = Annotated[
    UUID, typer.Argument(help="Id of the grant, from `glass list`.")
]
Subject = Annotated[UUID, typer.Argument(help="Id of the person.")]
Purpose = Annotated[
    str,
    typer.Option(
        help="One that the policies open in an emergency: emergency-care, "
        "missing-person, disaster-relief."
    ),
]
Attributes = Annotated[
    list[str], typer.Option("--attribute", help="What is needed; repeat it.")
]
Because = Annotated[
    str, typer.Option("--because", help="Why; the person will see it.")
]


def glass_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Emergency access (break-glass): granted at once for a short "
        "time, and ended unless a second officer approves by the deadline. "
        "The person sees each step; compliance officers get an alert.",
        no_args_is_help=True,
    )
    group.command("request")(request)
    group.command("open")(open_)
    group.command("approve")(approve)
    group.command("end")(end)
    group.command("list")(listed)
    group.command("show")(show)
    group.command("alerts")(alerts)
    group.command("close")(close)
    group.command("verify")(verify)
    return group


@speaks
def request(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    subject: Subject,
    purpose: Purpose,
    attributes: Attributes,
    because: Because,
    case: Annotated[
        str, typer.Option(help="Reference of the case; the person sees it.")
    ],
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Ask for emergency access to named attributes of a person.

    Example: curtilage glass request ID --purpose emergency-care
    --attribute user.bdate --because "found unconscious" --case dispatch-42
    """

    async def ask() -> Glass:
        async with platform.running():
            return await platform.glass.request(
                officer(actor, "emergency"),
                Emergency(
                    subject=subject,
                    purpose=purpose,
                    attributes=tuple(attributes),
                ),
                reason=because,
                case=case,
            )

    with instance(context).platform() as platform:
        made = asyncio.run(ask())
    Output(as_json=as_json).result(
        {
            "id": str(made.id),
            "deadline": _instant(made.deadline),
            "ends": _instant(made.ends),
        },
        f"Granted as {made.id}. It ends at {_instant(made.deadline)} unless "
        f"another officer approves it: curtilage glass approve {made.id}",
    )


@speaks
def open_(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    grant: Grant,
    subject: Subject,
    purpose: Purpose,
    attributes: Attributes,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Open attributes under a grant; person and purpose are named anew.

    Example: curtilage glass open GRANT ID --purpose emergency-care
    --attribute user.bdate
    """

    async def look() -> list[tuple[object, ...]]:
        async with platform.running():
            values = await platform.glass.open(
                officer(actor, "emergency"),
                grant,
                Emergency(
                    subject=subject,
                    purpose=purpose,
                    attributes=tuple(attributes),
                ),
            )
        return [
            (one.attribute, one.record.value, one.record.source)
            for one in values
        ]

    with instance(context).platform() as platform:
        rows = asyncio.run(look())
    Output(as_json=as_json).table(
        "values", ("attribute", "value", "source"), rows
    )


@speaks
def approve(
    context: typer.Context,
    grant: Grant,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Approve a grant of another officer, before its deadline.

    Example: curtilage glass approve GRANT --as officer-2
    """

    async def let() -> Glass:
        async with platform.running():
            return await platform.glass.approve(
                officer(actor, "compliance"), grant
            )

    with instance(context).platform() as platform:
        found = asyncio.run(let())
    Output(as_json=as_json).result(
        {"id": str(grant), "state": "approved", "ends": _instant(found.ends)},
        f"Approved; it ends at {_instant(found.ends)}.",
    )


@speaks
def end(
    context: typer.Context,
    grant: Grant,
    because: Because,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """End a grant before its time.

    Example: curtilage glass end GRANT --because "no longer needed"
    """

    async def stop() -> None:
        async with platform.running():
            await platform.glass.end(
                officer(actor, "emergency", "compliance"),
                grant,
                reason=because,
            )

    with instance(context).platform() as platform:
        asyncio.run(stop())
    Output(as_json=as_json).result(
        {"id": str(grant), "state": "ended"}, "Ended; it opens nothing more."
    )


@speaks
def listed(
    context: typer.Context,
    actor: Actor = "",
    *,
    refused: Annotated[
        bool,
        typer.Option("--refused", help="Steps that were refused, instead."),
    ] = False,
    as_json: Json = False,
) -> None:
    """List every grant, the newest first, without its reason and case.

    Each is genuine or not: whether its row is as this instance wrote it.
    Where codes are demanded, one that is not opens nothing, and counts in
    everybody's limit of a day until it is put right.

    Example: curtilage glass list
    """

    async def look() -> list[ListedGlass]:
        async with platform.running():
            return list(
                await platform.glass.grants(
                    officer(actor, "compliance"), refused=refused
                )
            )

    with instance(context).platform() as platform:
        found = asyncio.run(look())
        demanded = platform.macs.required
    out = Output(as_json=as_json)
    out.table(
        "grants",
        (
            "id",
            "state",
            "person",
            "officer",
            "purpose",
            "attributes",
            "deadline",
            "ends",
            "uses",
            "approver",
            "genuine",
        ),
        [
            (
                str(one.glass.id),
                one.state.value,
                "" if refused else str(one.glass.subject or "erased"),
                one.glass.officer,
                one.glass.purpose,
                ", ".join(one.glass.attributes),
                _instant(one.glass.deadline),
                _instant(one.glass.ends),
                one.glass.uses,
                one.glass.approver,
                out.whether(genuine=one.glass.genuine, demanded=demanded),
            )
            for one in found
        ],
    )


@speaks
def show(
    context: typer.Context,
    grant: Grant,
    because: Annotated[
        str,
        typer.Option("--because", help="Why you look; the person sees it."),
    ],
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Show why a grant was asked for; the look is an entry.

    Example: curtilage glass show GRANT --because "asked to approve it"
    """

    async def look() -> ShownGlass:
        async with platform.running():
            return await platform.glass.show(
                officer(actor, "emergency", "compliance"),
                grant,
                reason=because,
            )

    with instance(context).platform() as platform:
        found = asyncio.run(look())
    Output(as_json=as_json).result(
        {
            "id": str(grant),
            "state": found.state.value,
            "case": found.case,
            "reason": found.reason,
        },
        f"Case {found.case or 'erased'}: {found.reason or 'erased'}",
    )


@speaks
def alerts(
    context: typer.Context,
    actor: Actor = "",
    *,
    closed: Annotated[
        bool, typer.Option("--closed", help="Closed ones, too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List what compliance officers are to look at, the oldest first.

    Each is genuine or not: whether its row and its grant's are as this
    instance wrote them. Where codes are demanded, one that is not cannot be
    closed, and stays listed until it is put right.

    Example: curtilage glass alerts
    """

    async def look() -> list[tuple[object, ...]]:
        async with platform.running():
            found = await platform.glass.alerts(
                officer(actor, "compliance"), closed=closed
            )
        return [
            (
                str(one.id),
                str(one.kind or ""),
                _instant(one.at),
                str(one.grant),
                "" if one.glass is None else one.glass.officer,
                "" if one.glass is None else one.glass.purpose,
                one.closed_by,
                out.whether(
                    genuine=one.genuine, demanded=platform.macs.required
                ),
            )
            for one in found
        ]

    out = Output(as_json=as_json)
    columns = ("id", "kind", "at", "grant", "officer", "purpose", "closed")
    with instance(context).platform() as platform:
        rows = asyncio.run(look())
    out.table("alerts", (*columns, "genuine"), rows)


@speaks
def close(
    context: typer.Context,
    alert: Annotated[
        UUID, typer.Argument(help="Id of the alert, from `glass alerts`.")
    ],
    because: Annotated[
        str, typer.Option("--because", help="What came of looking into it.")
    ],
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Close an alert about another officer's grant.

    Example: curtilage glass close ALERT --because "asked the dispatcher"
    """

    async def shut() -> None:
        async with platform.running():
            await platform.glass.close(
                officer(actor, "compliance"), alert, reason=because
            )

    with instance(context).platform() as platform:
        asyncio.run(shut())
    Output(as_json=as_json).result(
        {"id": str(alert), "state": "closed"}, "Closed."
    )


def _instant(at: int) -> str:
    try:
        found = datetime.fromtimestamp(at, UTC)
    except (OverflowError, ValueError, OSError):
        return str(at)
    return found.isoformat().replace("+00:00", "Z")
