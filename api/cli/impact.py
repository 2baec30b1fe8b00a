"""`curtilage policy impact`: a candidate tried on the past."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, speaks
from api.platform import Platform
from consent import load_yaml
from policy import Candidate, Impact, load_bundle


@speaks
def impact(
    context: typer.Context,
    candidate: Annotated[
        str,
        typer.Argument(
            help="Number of a proposal of policies, a folder of compiled "
            "ones, or a file with a declaration (YAML)."
        ),
    ],
    since: Annotated[
        datetime,
        typer.Option(
            formats=["%Y-%m-%d"], help="A day of the first month (UTC)."
        ),
    ],
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="A day of the last month; the newest that has ended, if "
            "left out.",
        ),
    ] = None,
    actor: Actor = "",
    *,
    fail_any: Annotated[
        bool, typer.Option("--fail-any", help="End with 1 on any change.")
    ] = False,
    fail_if_widens: Annotated[
        bool,
        typer.Option(
            "--fail-if-widens", help="End with 1 if a service gains anything."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Replay history under a candidate: which service gains or loses what.

    Every decision of whole months that have ended is opened and compared
    with what was answered then. Counts are of people and never of somebody:
    rounded to tens, each situation by itself and the same for the same
    people, and only where more than ten people were in it. Somebody counts
    once in each situation and month. A month is counted once, when it is
    first asked about, and then kept in the folder `impact` of the instance
    and in backups of the data: later erasures do not change its counts, and
    without them they would show. What was stopped goes on when asked again,
    or begins anew if somebody was erased meanwhile. A service that chose whom
    to ask about in many slightly different sets may learn more than a single
    count says.

    Examples: curtilage policy impact build/bundle --since 2026-01-01

    curtilage policy impact 3 --since 2026-01-01 --until 2026-03-31
    --fail-if-widens
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        desk = platform.impact
        within = desk.months(
            _instant(since), None if until is None else _instant(until)
        )
        with out.progress("Replaying", desk.total(within)) as advance:
            found = asyncio.run(
                desk.impact(
                    officer(actor, "compliance"),
                    _candidate(platform, candidate),
                    within,
                    advance,
                )
            )
    _show(out, found)
    if (fail_any and found.changes) or (
        fail_if_widens and any(one.gains for one in found.changes)
    ):
        raise typer.Exit(1)


def _instant(day: datetime) -> int:
    return int(day.replace(tzinfo=UTC).timestamp())


def _candidate(platform: Platform, named: str) -> Candidate:
    policies = platform.policies
    path = Path(named)
    if named.isdecimal() and not path.exists():
        return Candidate(bundle=policies.bundle(int(named)))
    if path.is_dir():
        return Candidate(bundle=load_bundle(path))
    if path.is_file():
        return Candidate(
            bundle=policies.bundle(policies.live().number),
            declaration=load_yaml(path.read_bytes(), where=named),
        )
    msg = (
        f"{named}: neither the number of a proposal, nor a folder of compiled "
        "policies, nor a file with a declaration"
    )
    raise ValueError(msg)


def _show(out: Output, found: Impact) -> None:
    if out.as_json:
        out.result(_document(found))
        return
    out.say(
        f"{found.months[0]} to {found.months[-1]}; counts are people, "
        "rounded to tens, in situations of more than ten"
    )
    out.table(
        "replayed",
        ["service", "purpose", "people"],
        [(*who, people) for who, people in found.replayed.items()],
    )
    if not found.changes:
        out.say("No change that may be counted.")
        return
    out.table(
        "changes",
        ["service", "purpose", "attribute", "was", "becomes", "", "people"],
        [
            (
                one.service,
                one.purpose,
                one.attribute,
                one.was,
                one.becomes,
                _word(one.gains),
                one.people,
            )
            for one in found.changes
        ],
    )


def _word(gains: bool | None) -> str:  # noqa: FBT001 - a word for a value
    return {True: "gains", False: "loses", None: "other"}[gains]


def _document(found: Impact) -> dict[str, Any]:
    return {
        "months": list(found.months),
        "replayed": [
            {"service": service, "purpose": purpose, "people": people}
            for (service, purpose), people in found.replayed.items()
        ],
        "changes": [
            {
                "service": one.service,
                "purpose": one.purpose,
                "attribute": one.attribute,
                "was": one.was,
                "becomes": one.becomes,
                "direction": _word(one.gains),
                "people": one.people,
            }
            for one in found.changes
        ],
    }
