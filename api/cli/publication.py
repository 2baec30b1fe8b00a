"""`curtilage declaration plan|propose|approve|...`: into force, by two."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from api.cli.context import Actor, Json, instance, officer
from api.cli.declaration_files import File, read
from api.cli.output import Output, speaks
from consent import (
    Asked,
    Asking,
    Change,
    DeclarationPlan,
    StatementPlan,
    Tuple,
)
from policy import Guidance

Number = Annotated[
    int, typer.Argument(help="Number of the proposal in `proposals`.")
]


def add_publication(group: typer.Typer) -> None:
    """Add the commands to the group `declaration`."""
    group.command("plan")(plan)
    group.command("propose")(propose)
    group.command("proposals")(proposals)
    group.command("approve")(approve)
    group.command("reject")(reject)


@speaks
def plan(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            exists=True, dir_okay=False, help="YAML or P3P XML declaration."
        ),
    ] = None,
    proposal: Annotated[
        int, typer.Option(help="Plan this proposal instead of a file.")
    ] = 0,
    *,
    as_json: Json = False,
) -> None:
    """Say what a version changes, and who would be asked again.

    Statement by statement, against the version in force. Who agreed is
    asked again for what is wider, and for nothing else; who refused is not
    asked again. Where a value is more than the purpose needs, the predicate
    is named that would do. Nothing is changed by looking.

    Example: curtilage declaration plan library.yaml --json
    """
    if (file is None) != bool(proposal):
        msg = "name a file, or a proposal by --proposal, and not both"
        raise ValueError(msg)
    with instance(context).platform() as platform:
        desk = platform.declarations
        wanted = (
            (desk.proposal(proposal).declaration,)
            if file is None
            else read(file)
        )
        found = [
            (*desk.plan(one), _instead(asyncio.run(desk.advise(one))))
            for one in wanted
        ]
    output = Output(as_json=as_json)
    for what, asked, instead in found:
        for line in (*_told(what, asked), *_hints(instead)):
            output.say(line)
    if as_json:
        output.result(
            {
                "plans": [
                    _document(what, asked) | {"instead": instead}
                    for what, asked, instead in found
                ]
            }
        )


@speaks
def propose(
    context: typer.Context,
    file: File,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Propose a declaration, for another officer to approve.

    Example: curtilage declaration propose library.yaml --as officer-2
    """
    rows = []
    with instance(context).platform() as platform:
        for one in read(file):
            number = asyncio.run(
                platform.declarations.propose(
                    officer(actor, "compliance"), one
                )
            )
            rows.append(
                (number, one.service, one.purpose, one.version, one.digest)
            )
    output = Output(as_json=as_json)
    output.table(
        "proposed",
        ("number", "service", "purpose", "version", "digest"),
        rows,
    )
    for number, *_ in rows:
        output.say(
            "Another officer puts it into force: "
            f"curtilage declaration approve {number}"
        )


@speaks
def proposals(context: typer.Context, *, as_json: Json = False) -> None:
    """List every proposal: by whom, when, and what became of it.

    Each is genuine or not: whether its row is as this instance wrote it.
    Where codes are demanded, one that is not can only be looked at.

    Example: curtilage declaration proposals
    """
    with instance(context).platform() as platform:
        found = platform.declarations.listed()
        demanded = platform.macs.required
    out = Output(as_json=as_json)
    out.table(
        "proposals",
        (
            *("number", "service", "purpose", "version", "state"),
            *("proposer", "proposed", "officer", "decided", "digest"),
            "genuine",
        ),
        [
            (
                *_row(one.columns),
                out.whether(genuine=one.genuine, demanded=demanded),
            )
            for one in found
        ],
    )


@speaks
def approve(
    context: typer.Context,
    number: Number,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Put a declaration into force that another officer proposed.

    Look first at what it changes: `declaration plan --proposal NUMBER`.

    Example: curtilage declaration approve 3
    """
    with instance(context).platform() as platform:
        done = asyncio.run(
            platform.declarations.approve(officer(actor, "compliance"), number)
        )
    said = done.declaration
    Output(as_json=as_json).result(
        {
            "number": number,
            "state": done.state.value,
            "service": said.service,
            "purpose": said.purpose,
            "version": said.version,
            "digest": said.digest,
        },
        f"{said.service}/{said.purpose} version {said.version} is in force.",
    )


@speaks
def reject(
    context: typer.Context,
    number: Number,
    because: Annotated[
        str, typer.Option("--because", help="Why; recorded in the ledger.")
    ],
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Decide that a proposal does not come into force.

    Example: curtilage declaration reject 3 --because "retention is unclear"
    """
    with instance(context).platform() as platform:
        done = asyncio.run(
            platform.declarations.reject(
                officer(actor, "compliance"), number, reason=because
            )
        )
    Output(as_json=as_json).result(
        {"number": number, "state": done.state.value},
        f"Proposal {number} is rejected.",
    )


def _instead(guidance: Guidance | None) -> dict[str, list[str]]:
    found = {} if guidance is None else guidance.instead
    return {name: list(names) for name, names in found.items()}


def _hints(instead: Mapping[str, list[str]]) -> Iterator[str]:
    for name, names in instead.items():
        yield (
            f"  {name} is more than the purpose needs: "
            f"{' or '.join(names)} would do"
        )


def _row(one: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        one["number"],
        one["service"],
        one["purpose"],
        one["version"],
        one["state"],
        one["proposer"],
        _day(one["proposed_at"]),
        one["officer"],
        "" if one["decided_at"] is None else _day(one["decided_at"]),
        str(one["digest"])[:16],
    )


def _day(at: object) -> str:
    """Show a day; what is none, as it stands."""
    with suppress(TypeError, ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(cast("int", at), UTC).date().isoformat()
    return str(at)


def _told(what: DeclarationPlan, asked: Asked) -> Iterator[str]:
    new, old = what.new, what.old
    before = "nothing is in force" if old is None else f"from {old.version}"
    yield (f"{new.service}/{new.purpose}: to version {new.version}, {before}")
    if old is not None and old.digest == new.digest:
        yield "  It is in force already."
        return
    for name in what.given_up:
        yield (
            f"  {name}: what held is given up; everybody who agreed is asked"
        )
    for statement in what.statements:
        yield from _told_of(statement, asked.statements.get(statement.id))
    if what.words:
        yield (f"  words changed, which asks nobody: {', '.join(what.words)}")
    yield f"  {asked.people} people would be asked again."


def _told_of(one: StatementPlan, asking: Asking | None) -> Iterator[str]:
    yield f"  {one.id} ({one.basis.value}): {one.change.value}"
    for sign, rows in (("+", one.wider), ("-", one.narrower)):
        for line in _flows(rows):
            yield f"    {sign} {line}"
    for term in one.terms:
        yield f"    + {term}"
    if one.words:
        yield f"    words changed, which asks nobody: {', '.join(one.words)}"
    if asking is None or one.change is Change.ADDED:
        return
    if asking.again:
        about = ", ".join(
            f"{name} ({count})"
            for name, count in sorted(asking.attributes.items())
        )
        yield f"    {asking.again} people are asked again, about {about}"
    if asking.kept:
        yield f"    {asking.kept} people keep what they allowed"
    if asking.ended:
        yield f"    what {asking.ended} people allowed ends"


def _flows(rows: Iterable[Tuple]) -> list[str]:
    return sorted(
        {
            f"{row.attribute}: {row.purpose.value} ({row.required.value}), "
            f"{row.recipient.value}, {row.retention.value}"
            + ("" if row.retention_days is None else f" {row.retention_days}d")
            + (", optional" if row.optional else "")
            for row in rows
        }
    )


def _document(what: DeclarationPlan, asked: Asked) -> dict[str, Any]:
    new, old = what.new, what.old
    return {
        "service": new.service,
        "purpose": new.purpose,
        "from": None
        if old is None
        else {"version": old.version, "digest": old.digest},
        "to": {"version": new.version, "digest": new.digest},
        "given_up": list(what.given_up),
        "words": list(what.words),
        "people_asked_again": asked.people,
        "statements": [
            _statement(one, asked.statements.get(one.id))
            for one in what.statements
        ],
    }


def _statement(one: StatementPlan, asking: Asking | None) -> dict[str, Any]:
    counted = asking or Asking()
    return {
        "id": one.id,
        "change": one.change.value,
        "basis": one.basis.value,
        "asks": one.asks,
        "wider": _tuples(one.wider),
        "narrower": _tuples(one.narrower),
        "added": list(one.added),
        "removed": list(one.removed),
        "words": list(one.words),
        "terms": list(one.terms),
        "asked_again": counted.again,
        "keep": counted.kept,
        "end": counted.ended,
        "asked_about": dict(sorted(counted.attributes.items())),
    }


def _tuples(rows: Iterable[Tuple]) -> list[dict[str, Any]]:
    found = [
        {
            "attribute": row.attribute,
            "purpose": row.purpose.value,
            "recipient": row.recipient.value,
            "retention": row.retention.value,
            "retention_days": row.retention_days,
            "required": row.required.value,
            "optional": row.optional,
            "category": row.category.value,
            "basis": row.basis.value,
        }
        for row in rows
    ]
    return sorted(found, key=lambda row: tuple(map(str, row.values())))
