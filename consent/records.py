"""Consent records: an append-only log of answers, and what it means at a time.

An event is never changed. What a person allows is read from the log, for an
instant, by `states`: the last answer to a statement holds, whole. A new yes
replaces the old one and adds nothing to it; a no or a withdrawal leaves
nothing. The log's order decides, not its clock: a yes that carries an
earlier time than a no before it in the log does not count, so a late paper
form cannot undo a withdrawal. That a yes has run out is computed.

A yes was given to one version of a declaration. `carried` says what is left
of it under another one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from consent.declarations import Declaration
from consent.statements import Statement, within
from consent.vocabulary import EventType


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentEvent:
    """One thing that happened to a consent record.

    Attributes:
        id: random, unique; a new answer is always a new event.
        subject: the data subject.
        service: the service whose declaration was answered.
        purpose: the declaration's purpose.
        statement: the statement that was answered.
        declaration: digest of the version that was answered.
        notice: SHA-256 of the exact text that was shown. Empty for a
            withdrawal or an expiry, before which nothing need be read.
        language: the language of the notice.
        type: what happened.
        attributes: for a yes, what was allowed; otherwise nothing.
        at: POSIX seconds.
        expires_at: for a yes, POSIX seconds from which it no longer holds,
            or None.
        actor: who acted: ``self``, or a reference to a representative.
        channel: where: ``portal``, ``counter``, ``paper``, ...
    """

    id: UUID
    subject: UUID
    service: str
    purpose: str
    statement: str
    declaration: str
    notice: str
    language: str
    type: EventType
    attributes: tuple[str, ...]
    at: int
    expires_at: int | None = None
    actor: str = "self"
    channel: str = "portal"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentState:
    """What a person's answers to one statement mean at one instant.

    Attributes:
        statement: the statement.
        state: given, refused, withdrawn or expired.
        attributes: what is allowed; nothing unless `state` is given.
        event: the event that says so.
        at: POSIX seconds since when it is so.
        until: POSIX seconds at which it ends by itself, or None.
        declaration: digest of the version that was answered.
    """

    statement: str
    state: EventType
    attributes: tuple[str, ...]
    event: UUID
    at: int
    until: int | None
    declaration: str


def states(
    events: Iterable[ConsentEvent], now: int
) -> dict[str, ConsentState]:
    """Say what a log of answers means at an instant.

    This does not ask whether the version that was answered is still the
    live one; `carried` does.

    Args:
        events: one person's events for one service and purpose, in the
            order of the log.
        now: POSIX seconds. Later events do not count.

    Returns:
        The state by statement id; nothing for a statement never answered.
    """
    last: dict[str, ConsentEvent] = {}
    said_no: dict[str, int] = {}
    for event in events:
        if event.at > now:
            continue
        if event.type is not EventType.GIVEN:
            before = said_no.get(event.statement, event.at)
            said_no[event.statement] = max(before, event.at)
        elif event.at < said_no.get(event.statement, event.at):
            continue
        last[event.statement] = event
    return {name: _state(event, now) for name, event in last.items()}


def _state(event: ConsentEvent, now: int) -> ConsentState:
    end = event.expires_at
    given = event.type is EventType.GIVEN
    over = given and end is not None and end <= now
    return ConsentState(
        statement=event.statement,
        state=EventType.EXPIRED if over else event.type,
        attributes=event.attributes if given and not over else (),
        event=event.id,
        at=end if over and end is not None else event.at,
        until=end if given and not over else None,
        declaration=event.declaration,
    )


def carried(
    found: Mapping[str, ConsentState],
    live: Declaration,
    answered: Callable[[str], Declaration | None],
) -> dict[str, ConsentState]:
    """Say what answers to earlier versions mean under the live one.

    Args:
        found: what `states` returned.
        live: the version in force.
        answered: returns the version that has a digest, or None.

    Returns:
        The states under `live`. A yes keeps the attributes whose flows are
        all within what was agreed to; one that keeps none is left out, so
        that the person is asked again. A no stays a no.
    """
    kept = {}
    for name, state in found.items():
        statement = live.statement(name)
        if statement is None:
            continue
        if state.state is EventType.GIVEN and state.declaration != live.digest:
            old = answered(state.declaration)
            attributes = _still_covered(
                state, statement, None if old is None else old.statement(name)
            )
            if not attributes:
                continue
            kept[name] = replace(state, attributes=attributes)
        else:
            kept[name] = state
    return kept


def _still_covered(
    state: ConsentState, live: Statement, old: Statement | None
) -> tuple[str, ...]:
    agreed = [
        row
        for row in (() if old is None else old.tuples())
        if row.attribute in state.attributes
    ]
    return tuple(
        item.attribute
        for item in live.data
        if all(
            any(within(row, before) for before in agreed)
            for row in live.tuples_of(item)
        )
    )
