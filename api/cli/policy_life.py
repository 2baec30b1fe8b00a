"""`curtilage policy propose|publish|...`: policies come into force."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, speaks
from api.cli.policy_verify import verify
from policy import NONE, OURS, Flip, bundle_files, load_bundle

Folder = Annotated[
    Path,
    typer.Argument(
        exists=True,
        file_okay=False,
        help="Folder of a compiled bundle, as `policy build` writes it.",
    ),
]
Number = Annotated[int, typer.Argument(help="Number of the proposal.")]
Because = Annotated[
    str, typer.Option("--because", help="Why; it is recorded.")
]
_FEWEST = 10


def add_life(group: typer.Typer) -> None:
    """Add the commands to the policy group."""
    group.command("plan")(plan)
    group.command("propose")(propose)
    group.command("proposals")(proposals)
    group.command("publish")(publish)
    group.command("reject")(reject)
    group.command("rollback")(rollback)
    group.command("shadow")(shadow)
    group.command("verify")(verify)


@speaks
def plan(
    context: typer.Context, folder: Folder, *, as_json: Json = False
) -> None:
    """Say what a bundle would change against the one in force.

    Which sources differ, and which base documents. What it would decide
    otherwise is for `policy shadow` and `policy impact` to say.

    Example: curtilage policy plan build/bundle
    """
    candidate = load_bundle(folder)
    theirs = json.loads(bundle_files(folder)["manifest.json"])["sources"]
    with instance(context).platform() as platform:
        live = platform.policies.live()
        now = platform.policies.bundle(live.number)
        ours = platform.bundles.sources(live.number)
    changed = {
        "revision": candidate.revision,
        "in_force": now.revision,
        "added": sorted(theirs.keys() - ours.keys()),
        "removed": sorted(ours.keys() - theirs.keys()),
        "changed": sorted(
            name
            for name in theirs.keys() & ours.keys()
            if theirs[name] != ours[name]
        ),
        "data": _paths(now.data, candidate.data),
    }
    Output(as_json=as_json).result(changed)


@speaks
def propose(
    context: typer.Context,
    folder: Folder,
    actor: Actor = "",
    *,
    archive: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="The same policies as `policy sign` wrote them, for OPA "
            "servers.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Propose compiled policies, for another officer to publish.

    Example: curtilage policy propose build/bundle --as officer-1
    """
    with instance(context).platform() as platform:
        number = asyncio.run(
            platform.policies.propose(
                officer(actor, "compliance"),
                bundle_files(folder),
                archive=None if archive is None else archive.read_bytes(),
            )
        )
        revision = platform.policies.bundle(number).revision
    Output(as_json=as_json).result(
        {"proposal": number, "revision": revision},
        f"Proposal {number}: revision {revision}.\n"
        f"Another officer: curtilage policy publish {number}",
    )


@speaks
def proposals(context: typer.Context, *, as_json: Json = False) -> None:
    """List proposed policies, and which are in force.

    Each is genuine or not: whether its row is as this instance wrote it.
    Where codes are demanded, one that is not can only be looked at.

    Example: curtilage policy proposals --json
    """
    with instance(context).platform() as platform:
        live = platform.policies.live()
        listed = platform.policies.proposals()
        ours = platform.policies.bundle(OURS).revision
        demanded = platform.macs.required
    out = Output(as_json=as_json)
    carried = "carried by the software"
    rows = [(OURS, ours[:12], carried, "", "", out.whether(genuine=True))]
    rows += [
        (
            one.number,
            one.revision[:12],
            str(one.state),
            one.proposer,
            one.officer,
            out.whether(genuine=one.genuine, demanded=demanded),
        )
        for one in listed
    ]
    out.table(
        "policies",
        [
            "number",
            "revision",
            "state",
            "proposer",
            "officer",
            "genuine",
            "now",
        ],
        [(*row, _now(row[0], live.number, live.shadow)) for row in rows],
    )


@speaks
def publish(
    context: typer.Context,
    number: Number,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Put policies into force that another officer proposed.

    Servers take them within about a second; no request is decided by half
    of them.

    Example: curtilage policy publish 3 --as officer-2
    """
    with instance(context).platform() as platform:
        found = asyncio.run(
            platform.policies.publish(officer(actor, "compliance"), number)
        )
    Output(as_json=as_json).result(
        {"proposal": number, "revision": found.revision},
        f"Revision {found.revision} is in force.",
    )


@speaks
def reject(
    context: typer.Context,
    number: Number,
    because: Because,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Decide that proposed policies do not come into force.

    Example: curtilage policy reject 3 --because "too wide"
    """
    with instance(context).platform() as platform:
        asyncio.run(
            platform.policies.reject(
                officer(actor, "compliance"), number, reason=because
            )
        )
    Output(as_json=as_json).result(
        {"proposal": number, "state": "rejected"},
        f"Proposal {number} is rejected.",
    )


@speaks
def rollback(
    context: typer.Context,
    because: Because,
    to: Annotated[
        int,
        typer.Option(
            help="Number of policies that were in force before; 0 for those "
            "that the software carries."
        ),
    ] = OURS,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Put policies into force again that were before, at once and alone.

    Also the way out where somebody moved in the database what is in force:
    it goes on from what the ledger tells.

    Example: curtilage policy rollback --to 2 --because "3 withholds too much"
    """
    with instance(context).platform() as platform:
        found = asyncio.run(
            platform.policies.roll_back(
                officer(actor, "compliance"), to, reason=because
            )
        )
    Output(as_json=as_json).result(
        {"number": to, "revision": found.revision},
        f"Revision {found.revision} is in force again.",
    )


@speaks
def shadow(
    context: typer.Context,
    number: Annotated[
        int | None,
        typer.Argument(help="Number of the proposal that runs beside."),
    ] = None,
    actor: Actor = "",
    *,
    off: Annotated[
        bool, typer.Option("--off", help="End it; the counts stay.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Show what flipped so far.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a proposal beside what is in force, and count what flips.

    Its answers go nowhere. Counts below ten are shown as such: a difference
    that concerns one person is theirs.

    Example: curtilage policy shadow 3; later: curtilage policy shadow 3 --show
    """
    out = Output(as_json=as_json)
    if (number is None) is not off:
        msg = "name a proposal, or --off"
        raise ValueError(msg)
    with instance(context).platform() as platform:
        if show and number is not None:
            out.table(
                "flips",
                ["service", "purpose", "attribute", "was", "becomes", "times"],
                [_flip(one) for one in platform.policies.flips(number)],
            )
            return
        asyncio.run(
            platform.policies.shadow(officer(actor, "compliance"), number)
        )
    out.result(
        {"shadow": number},
        "Nothing runs in the shadow."
        if number is None
        else f"Proposal {number} runs in the shadow.",
    )


def _flip(one: Flip) -> tuple[object, ...]:
    times = str(one.times) if one.times >= _FEWEST else "fewer than ten"
    what = one.attribute or "(decisions compared)"
    return (one.service, one.purpose, what, one.was, one.becomes, times)


def _now(number: int, live: int, beside: int) -> str:
    if number == live:
        return "in force"
    return "in the shadow" if number == beside != NONE else ""


def _paths(was: Any, becomes: Any, where: str = "") -> list[str]:  # noqa: ANN401 - any JSON
    """Paths at which two documents differ."""
    if isinstance(was, dict) and isinstance(becomes, dict):
        return [
            path
            for name in sorted({*was, *becomes})
            for path in _paths(
                was.get(name), becomes.get(name), f"{where}/{name}"
            )
        ]
    return [] if was == becomes else [where or "/"]
