"""`curtilage decision`: decisions of the past, as officers look at them."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, speaks
from policy import (
    ChangeKind,
    Counterfactual,
    ExplainedDecision,
    PastDecision,
    Supposition,
)

Which = Annotated[UUID, typer.Argument(help="Id of the decision.")]
Person = Annotated[
    UUID | None,
    typer.Option(
        help="Whom it is about, where you know; else everybody's key is tried."
    ),
]
Because = Annotated[
    str,
    typer.Option(
        "--because",
        help="Why you look; the person sees this with the entry.",
    ),
]


def decision_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Decisions of the past: replayed from what was stored.",
        no_args_is_help=True,
    )
    group.callback()(_group)
    group.command("replay")(replay)
    group.command("explain")(explain)
    return group


def _group() -> None:
    """Decisions of the past: replayed from what was stored."""


@speaks
def replay(
    context: typer.Context,
    decision: Which,
    because: Because = "",
    person: Person = None,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Decide again on the facts of then, under the policies of then.

    The answer is `same`, or `differs`, which is an incident and ends with 1,
    or `erased`. Where the policies of then are not kept, it says so. The look
    is an entry that the person sees.

    Example: curtilage decision replay ID --because "complaint 17"
    """
    out = Output(as_json=as_json)
    with (
        instance(context).platform() as platform,
        out.progress("Finding the person", None) as advance,
    ):

        async def run() -> PastDecision:
            async with platform.running():
                return await platform.decision_desk.replay(
                    officer(actor, "compliance"),
                    decision,
                    justification=because,
                    person=person,
                    looked=advance,
                )

        past = asyncio.run(run())
    said = _said(past)
    out.result(said, _told(said))
    if said["answer"] == "differs":
        raise typer.Exit(1)


def _said(past: PastDecision) -> dict[str, Any]:
    said: dict[str, Any] = {
        "decision": str(past.kept.id),
        "at": past.kept.at,
        "revision": past.kept.revision,
        "answer": "erased",
    }
    if past.stored is None or past.replayed is None:
        return said
    then, again = past.replayed.stored, past.replayed.again
    return {
        **said,
        "answer": "differs" if past.replayed.differs else "same",
        "service": past.stored.request.service,
        "purpose": past.stored.request.purpose,
        "known": past.stored.known,
        "attributes": {
            name: {"then": then[name], "again": again.get(name)}
            for name in past.stored.request.attributes
        },
        "differs": list(past.replayed.differs),
    }


def _told(said: Mapping[str, Any]) -> str:
    when = datetime.fromtimestamp(said["at"], UTC).isoformat()
    lines = [
        f"decision {said['decision']} of {when}",
        f"policies {said['revision']}",
    ]
    if said["answer"] == "erased":
        lines.append("erased: the person is gone, and the decision with them")
        return "\n".join(lines)
    lines.append(f"{said['service']}, {said['purpose']}")
    if not said["known"]:
        lines.append("about nobody: the service named somebody unknown")
    for name, one in said["attributes"].items():
        lines.append(f"  {name}: {_effect(one['then'])}")
        if name in said["differs"]:
            lines.append(f"    now: {_effect(one['again'])}")
    lines.append(
        "The same answer again."
        if said["answer"] == "same"
        else "Another answer now. This is an incident."
    )
    return "\n".join(lines)


def _effect(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return "nothing"
    level = f" {one['level']}" if one["level"] else ""
    return f"{one['effect']}{level} ({', '.join(one['reasons'])})"


@speaks
def explain(
    context: typer.Context,
    decision: Which,
    because: Because = "",
    person: Person = None,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Say what would have turned each attribute of a decision over.

    The smallest changes, each found by deciding again: of an answer, a rule,
    a restriction, a value, a promise, a declaration, the time. All of it is
    for officers. What a service may be told stands apart, and is the same
    whoever the person is. The look is an entry that the person sees.

    Example: curtilage decision explain ID --because "complaint 17"
    """
    out = Output(as_json=as_json)
    with (
        instance(context).platform() as platform,
        out.progress("Finding the person", None) as advance,
    ):

        async def run() -> ExplainedDecision:
            async with platform.running():
                return await platform.decision_desk.explain(
                    officer(actor, "compliance"),
                    decision,
                    justification=because,
                    person=person,
                    looked=advance,
                )

        found = asyncio.run(run())
    stored = found.stored
    out.result(
        {
            "decision": str(decision),
            "at": found.kept.at,
            "revision": found.kept.revision,
            "service": stored.request.service,
            "purpose": stored.request.purpose,
            "attributes": [_turned(one) for one in found.officer],
            "service_may_hear": [_turned(one) for one in found.service],
        },
        "\n".join(
            [
                f"{stored.request.service}, {stored.request.purpose}",
                *(line for one in found.officer for line in _lines(one)),
                "",
                "The service may be told this much:",
                *(line for one in found.service for line in _own(one)),
            ]
        ),
    )


def _turned(one: Counterfactual) -> dict[str, Any]:
    return {
        "attribute": one.attribute,
        "effect": one.effect.value,
        "reasons": list(one.reasons),
        "smallest": one.smallest,
        "changes": [
            [
                {
                    "kind": change.kind.value,
                    "what": change.what,
                    "number": change.number,
                    "within": change.within,
                    "side": change.side.value,
                    "text": sentence(change),
                }
                for change in changes
            ]
            for changes in one.changes
        ],
    }


def _lines(one: Counterfactual) -> list[str]:
    lines = [f"{one.attribute}: {one.effect} ({', '.join(one.reasons)})"]
    if not one.changes:
        lines.append("  nothing that is known here would have changed that")
    lines += [f"  otherwise if {_all(changes)}" for changes in one.changes]
    if not one.smallest:
        lines.append("  (nothing can be left out; there may be smaller ones)")
    return lines


def _own(one: Counterfactual) -> list[str]:
    if not one.changes:
        return [f"  {one.attribute}: nothing of its own side"]
    return [
        f"  {one.attribute}: it lacks that {_all(changes)}"
        for changes in one.changes
    ]


def _all(changes: Sequence[Supposition]) -> str:
    return ", and ".join(map(sentence, changes))


def sentence(change: Supposition) -> str:
    """One change in words, as the end of "if ..."."""
    what, number = change.what, change.number
    said = {
        ChangeKind.PROMISE: f"the service promised {what}",
        ChangeKind.UNPROMISE: f"the service did not promise {what}",
        ChangeKind.ASSURANCE: f"the service proved itself at level {number}",
        ChangeKind.DECLARE: f"{what} was declared in {change.within}",
        ChangeKind.UNDECLARE: f"{what} was not declared",
        ChangeKind.OPTIONAL: f"{what} was declared as optional",
        ChangeKind.CONSENT: f"the person had agreed to {what}",
        ChangeKind.WITHDRAW: f"the person had withdrawn {what}",
        ChangeKind.ALLOW: f"the person's rules allowed {what}",
        ChangeKind.REFUSE: f"the person's rules refused {what}",
        ChangeKind.RESTRICT: "the person had restricted all use",
        ChangeKind.UNRESTRICT: "the restriction had been lifted",
        ChangeKind.OBJECT: f"the person had objected to {what}",
        ChangeKind.UNOBJECT: f"the objection to {what} had been withdrawn",
        ChangeKind.UNSIGNAL: "the browser's signal had been lifted",
        ChangeKind.PROVIDE: f"a value of {what} was held",
    }
    if change.kind is ChangeKind.TIME:
        return f"it was {datetime.fromtimestamp(number, UTC).isoformat()}"
    return said[change.kind]
