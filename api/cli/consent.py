"""`curtilage consent`: records, as of a day, differences, and officers' acts.

Every look at a person's records names its reason and is an entry that the
person sees.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer

from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, Tally, everybody, speaks
from api.platform import Platform
from consent import ConsentState, EventType
from policy import Answer, FactFinding, Place, RequestInvalid

T = TypeVar("T")
Person = Annotated[UUID, typer.Argument(help="Id of the person.")]
Service = Annotated[str, typer.Argument(help="The service.")]
Purpose = Annotated[str, typer.Argument(help="Its purpose.")]
Statement = Annotated[str, typer.Argument(help="The statement.")]
Because = Annotated[
    str,
    typer.Option("--because", help="Justification; the person will see it."),
]
_CHANNELS = ("counter", "phone")


def consent_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Consent records: what was allowed when, by what was known; "
        "what officers write down, ask and end; and whether the ledger "
        "bears all that is stored.",
        no_args_is_help=True,
    )
    for name, command in (
        ("as-of", as_of),
        ("records", records),
        ("diff", diff),
        ("assist", assist),
        ("confirm", confirm),
        ("ask", ask),
        ("end", end),
        ("verify", verify),
    ):
        group.command(name)(command)
    return group


def when(text: str) -> int:
    """Read a day, an ISO time or POSIX seconds; a day is its end, in UTC.

    Raises:
        RequestInvalid: it is none of these.

    """
    if re.fullmatch(r"[0-9]{1,12}", text, re.ASCII):
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        msg = f"neither a day nor a time: {text!r}; write 2026-05-03"
        raise RequestInvalid(msg) from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    whole_day = re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII)
    return int(at.timestamp()) + (86_399 if whole_day else 0)


def _refuse_undeclared(platform: Platform, service: str, purpose: str) -> None:
    """Refuse what nobody can have answered, before a look is entered.

    Raises:
        ValueError: nothing of that service and purpose was ever declared.
        DeclarationInvalid: what is stored of it was changed.

    """
    if platform.consents.declaration(service, purpose) is None:
        msg = (
            f"{service}/{purpose} is not declared; `curtilage declaration "
            "list` names what is"
        )
        raise ValueError(msg)


def within(
    platform: Platform, work: Callable[[], Coroutine[Any, Any, T]]
) -> T:
    """Run one piece of work while the platform runs."""

    async def running() -> T:
        async with platform.running():
            return await work()

    return asyncio.run(running())


@speaks
def verify(context: typer.Context, *, as_json: Json = False) -> None:
    """Hold answers, rules, mandates and restraints to their ledger entries.

    Names each that was deleted, moved, altered, or added without an entry,
    by the person and the entry; never what it says. Ends with 1 where there
    is one. An entry that is gone too is for `curtilage ledger verify`.

    Example: curtilage consent verify
    """
    out = Output(as_json=as_json)
    with (
        instance(context).platform() as platform,
        out.progress("Verifying consents", None) as advance,
    ):
        tally = Tally(advance)
        found = list(platform.fact_sweep().run(tally))
        size = platform.ledger.size()
    if not found and not as_json:
        out.say(
            f"Nothing is wrong: what {everybody(tally.seen)} answered and "
            f"set is as the ledger's {size} entries tell it."
        )
        return
    show_findings(out, found)
    if found:
        raise typer.Exit(1)


def show_findings(out: Output, found: Sequence[FactFinding]) -> None:
    """Show what the sweep over facts found wrong."""
    out.table(
        "findings",
        ("fault", "subject", "kind", "name", "entry", "columns", "found"),
        [
            (
                one.fault.value,
                _text(one.subject),
                None if one.kind is None else one.kind.value,
                one.name,
                one.entry,
                list(one.columns) if out.as_json else ", ".join(one.columns),
                _text(one.found),
            )
            for one in found
        ],
    )


def _text(subject: UUID | None) -> str | None:
    return None if subject is None else str(subject)


@speaks
def as_of(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    person: Person,
    service: Service,
    purpose: Purpose,
    at: Annotated[
        str,
        typer.Option(
            help="The time asked about: a day (its end, UTC), an ISO time, "
            "or POSIX seconds."
        ),
    ],
    because: Because,
    known: Annotated[
        str,
        typer.Option(help="What was known then: until this time, not --at."),
    ] = "",
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Say what was allowed at a time, by what was known then and is now.

    Example: curtilage consent as-of ID moving-house address-change
    --at 2026-05-03 --because "complaint 17"
    """
    instant = when(at)
    before = when(known) if known else None
    with instance(context).platform() as platform:
        _refuse_undeclared(platform, service, purpose)
        found = within(
            platform,
            lambda: platform.history.as_of(
                officer(actor, "compliance"),
                person,
                service,
                purpose,
                instant,
                before,
                justification=because,
            ),
        )
    names = sorted(found.then.keys() | found.now.keys())
    rows = [
        (name, *_said(found.then.get(name)), *_said(found.now.get(name)))
        for name in names
    ]
    if as_json:
        Output(as_json=True).result(
            {
                "at": found.at,
                "known": found.known,
                "by_what_was_known_then": {
                    one.statement: _state(one) for one in found.then.values()
                },
                "by_what_is_known_now": {
                    one.statement: _state(one) for one in found.now.values()
                },
            },
            "",
        )
        return
    Output(as_json=False).table(
        "states",
        ("statement", "known then", "allowed", "known now", "allowed now"),
        rows,
    )


def _said(state: ConsentState | None) -> tuple[str, str]:
    if state is None:
        return "never answered", "-"
    return state.state.value, ", ".join(state.attributes) or "-"


def _state(state: ConsentState) -> dict[str, object]:
    return {
        "state": state.state.value,
        "allowed": state.state is EventType.GIVEN,
        "attributes": list(state.attributes),
        "since": state.at,
        "until": state.until,
        "event": str(state.event),
        "declaration": state.declaration,
    }


@speaks
def records(
    context: typer.Context,
    person: Person,
    because: Because,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """List a person's consent records with all of their events.

    Example: curtilage consent records ID --because "request 4"
    """
    with instance(context).platform() as platform:
        now = platform.clock()
        found = within(
            platform,
            lambda: platform.history.records(
                officer(actor, "compliance"), person, justification=because
            ),
        )
    Output(as_json=as_json).table(
        "events",
        (
            *("record", "state", "service", "purpose", "statement", "event"),
            *("at", "recorded_at", "subject", "actor", "channel"),
        ),
        [
            (
                str(one.id),
                one.state(now).value,
                event.service,
                event.purpose,
                event.statement,
                event.type.value,
                event.at,
                event.known_at,
                str(event.subject),
                event.actor,
                event.channel,
            )
            for one in found
            for event in one.events
        ],
    )


@speaks
def diff(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    person: Person,
    service: Service,
    purpose: Purpose,
    because: Because,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Compare what a person agreed to with what is declared now.

    Example: curtilage consent diff ID moving-house address-change
    --because "request 4"
    """
    with instance(context).platform() as platform:
        _refuse_undeclared(platform, service, purpose)
        found = within(
            platform,
            lambda: platform.history.difference(
                officer(actor, "compliance"),
                person,
                service,
                purpose,
                justification=because,
            ),
        )
    document = [
        {
            "statement": one.statement,
            "event": one.event,
            "asked_again": one.asked_again,
            "declaration": {"agreed": one.before, "now": one.now},
            "notice": {"agreed": one.notice_before, "now": one.notice_now},
            "allowed": list(one.allowed),
            "still_covered": list(one.covered),
            "wider": [
                {
                    "attribute": row.attribute,
                    "purpose": row.purpose.value,
                    "recipient": row.recipient.value,
                    "retention": row.retention.value,
                    "days": row.retention_days,
                }
                for row in one.wider
            ],
            "lines": list(one.lines),
        }
        for one in found
    ]
    text = "\n".join(
        f"{one.statement}: "
        + ("asked again" if one.asked_again else "as agreed")
        + "".join(f"\n  {line}" for line in one.lines)
        for one in found
    )
    Output(as_json=as_json).result(
        {"answers": document}, text or "nothing was answered"
    )


@speaks
def assist(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    person: Person,
    service: Service,
    purpose: Purpose,
    statement: Statement,
    answer: Annotated[
        str, typer.Argument(help="yes, no, withdraw, pause or resume.")
    ],
    channel: Annotated[str, typer.Option(help="counter or phone.")],
    attributes: Annotated[
        list[str] | None,
        typer.Option("--attribute", help="With yes: what is allowed; all."),
    ] = None,
    language: Annotated[str, typer.Option(help="en or zh-Hans.")] = "en",
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Serve the notice, and write down what a person says to it.

    A yes waits until `curtilage consent confirm` says that the person was
    given what is printed here. Everything else counts at once.

    Example: curtilage consent assist ID moving-house address-change
    new-address yes --channel counter
    """
    kinds = {
        "yes": EventType.GIVEN,
        "no": EventType.REFUSED,
        "withdraw": EventType.WITHDRAWN,
        "pause": EventType.PAUSED,
        "resume": EventType.RESUMED,
    }
    if answer not in kinds or channel not in _CHANNELS:
        msg = "say yes, no, withdraw, pause or resume, at counter or phone"
        raise RequestInvalid(msg)
    place = Place(service=service, purpose=purpose, statement=statement)
    who = officer(actor, "registrar")
    with instance(context).platform() as platform:
        live = platform.consents.declaration(service, purpose)
        asked = None if live is None else live.statement(statement)

        async def write_down() -> Any:  # noqa: ANN401 - the desk's own
            served = await platform.assist.serve(
                who, person, place, language=language, channel=channel
            )
            return await platform.assist.write_down(
                who,
                person,
                Answer(
                    service=service,
                    purpose=purpose,
                    statement=statement,
                    type=kinds[answer],
                    attributes=tuple(attributes or ())
                    or (() if asked is None else asked.attributes),
                    declaration=served.declaration,
                    notice=served.notice,
                    language=language,
                    channel=channel,
                    served=served.digest,
                ),
            )

        done = within(platform, write_down)
    Output(as_json=as_json).result(
        {
            "event": str(done.event.id),
            "pending": done.pending,
            "summary": done.summary,
        },
        done.summary
        + (
            f"\nIt waits for: curtilage consent confirm {person} "
            f"{done.event.id} --how handed"
            if done.pending
            else ""
        ),
    )


@speaks
def confirm(
    context: typer.Context,
    person: Person,
    request: Annotated[UUID, typer.Argument(help="Id of what waits.")],
    how: Annotated[
        str, typer.Option(help="handed, sent or read-back to the person.")
    ],
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Let a yes count: the person was given what was written down.

    Example: curtilage consent confirm ID EVENT --how handed
    """
    if how not in {"handed", "sent", "read-back"}:
        msg = "say handed, sent or read-back"
        raise RequestInvalid(msg)
    with instance(context).platform() as platform:
        event = within(
            platform,
            lambda: platform.assist.confirm(
                officer(actor, "registrar"), person, request, how=how
            ),
        )
    Output(as_json=as_json).result(
        {"event": str(event.id)}, f"it counts: event {event.id}"
    )


@speaks
def ask(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    person: Person,
    service: Service,
    purpose: Purpose,
    statement: Statement,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Ask a person anew, such as one who came of age.

    Example: curtilage consent ask ID moving-house address-change new-address
    """
    with instance(context).platform() as platform:
        event = within(
            platform,
            lambda: platform.assist.ask(
                officer(actor, "registrar"),
                person,
                Place(service=service, purpose=purpose, statement=statement),
            ),
        )
    Output(as_json=as_json).result(
        {"event": str(event.id)}, f"the person is asked: event {event.id}"
    )


@speaks
def end(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    person: Person,
    service: Service,
    purpose: Purpose,
    statement: Statement,
    because: Because,
    void_since: Annotated[
        str,
        typer.Option(
            help="It was void since then: a day, an ISO time or POSIX "
            "seconds; without it, it is revoked from now on."
        ),
    ] = "",
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """End a consent as the controller: revoke it, or have it stand as void.

    Example: curtilage consent end ID moving-house address-change
    new-address --because "court order 9" --void-since 2026-05-03
    """
    since = when(void_since) if void_since else None
    with instance(context).platform() as platform:
        event = within(
            platform,
            lambda: platform.assist.end(
                officer(actor, "compliance"),
                person,
                Place(service=service, purpose=purpose, statement=statement),
                justification=because,
                void_since=since,
            ),
        )
    Output(as_json=as_json).result(
        {"event": str(event.id), "state": event.type.value},
        f"{event.type.value}: event {event.id}",
    )
