"""Consent records: an append-only log of answers, and what it means at a time.

An event is never changed. What a person allows is read from the log, for an
instant, by `states`: the last answer to a statement holds, whole. A new yes
replaces the old one and adds nothing to it; a no, a pause or a withdrawal
leaves nothing. The log's order decides, not its clock: a yes that carries an
earlier time than a no before it in the log does not count, so a late paper
form cannot undo a withdrawal. That a yes has run out is computed.

An event has two times: since when it holds (`at`), and when it became known
(`recorded_at`). `states` reads the log as it was known at an instant, so an
answer about the past, by what was known then, stays what it was however much
is recorded later. Which event may follow which is in `lifecycle`.

A yes was given to one version of a declaration. `carried` says what is left
of it under another one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from consent.declarations import Declaration
from consent.lifecycle import IN_FORCE, OPEN
from consent.vocabulary import EventType
from consent.wideness import kept


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
        attributes: for a yes, what was allowed; for a request, what is
            asked for; otherwise nothing.
        at: POSIX seconds since when it holds.
        expires_at: for a yes, POSIX seconds from which it no longer holds,
            or None.
        actor: who acted: ``self``, ``controller``, or whom the mandate
            names. Never the same field as `subject`.
        channel: where: ``portal``, ``counter``, ``paper``, ...
        record: the consent record that it belongs to; None leaves it to the
            log (`lifecycle.placed`).
        recorded_at: POSIX seconds when it became known; None means `at`.
        served: hash of the `Served` that proves what was shown, or nothing.
        mandate: the mandate under which somebody else acted, or None.
        officer: the officer who wrote it down or decided it, or nothing.
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
    record: UUID | None = None
    recorded_at: int | None = None
    served: str = ""
    mandate: UUID | None = None
    officer: str = ""

    @property
    def known_at(self) -> int:
        """POSIX seconds when the event became known."""
        return self.at if self.recorded_at is None else self.recorded_at


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentState:
    """What a person's answers to one statement mean at one instant.

    Attributes:
        statement: the statement.
        state: given, refused, requested, paused, withdrawn, revoked,
            expired or invalidated. A renewed or resumed yes is given.
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
    events: Iterable[ConsentEvent], now: int, *, known: int | None = None
) -> dict[str, ConsentState]:
    """Say what a log of answers means at an instant.

    This does not ask whether the version that was answered is still the
    live one; `carried` does.

    Args:
        events: one person's events for one service and purpose, in the
            order of the log.
        now: POSIX seconds. Later events do not count.
        known: POSIX seconds. What was recorded later does not count; None
            counts everything.

    Returns:
        The state by statement id; nothing for a statement never answered.
    """
    last: dict[str, ConsentEvent] = {}
    grants: dict[str, ConsentEvent] = {}
    said_no: dict[str, int] = {}
    for event in events:
        if event.at > now or (known is not None and event.known_at > known):
            continue
        name = event.statement
        if event.type is EventType.GIVEN:
            if event.at < said_no.get(name, event.at):
                continue
            grants[name] = event
        elif event.type in _UPHOLDING:
            if not _upholds(
                event, last.get(name), grants.get(name), said_no.get(name)
            ):
                continue
            if event.type is EventType.RENEWED:
                grants[name] = event
        elif event.type is EventType.REQUESTED:
            # A question takes nothing from an answer that stands.
            if name in last and last[name].type in OPEN:
                continue
        else:
            before = said_no.get(name, event.at)
            said_no[name] = max(before, event.at)
        last[name] = event
    return {
        name: _state(event, grants.get(name), now)
        for name, event in last.items()
    }


_UPHOLDING = frozenset({EventType.RESUMED, EventType.RENEWED})


def _upholds(
    event: ConsentEvent,
    last: ConsentEvent | None,
    grant: ConsentEvent | None,
    said_no: int | None,
) -> bool:
    """Whether a resumption or a renewal has something to uphold."""
    if last is None or grant is None:
        return False
    if said_no is not None and event.at < said_no:
        return False
    end = grant.expires_at
    if end is not None and end <= event.at:
        return False
    if event.type is EventType.RESUMED:
        return last.type is EventType.PAUSED
    return last.type in IN_FORCE


def _state(
    event: ConsentEvent, grant: ConsentEvent | None, now: int
) -> ConsentState:
    end = None if grant is None else grant.expires_at
    over = event.type in OPEN and end is not None and end <= now
    if grant is not None and event.type in IN_FORCE and not over:
        return ConsentState(
            statement=event.statement,
            state=EventType.GIVEN,
            attributes=grant.attributes,
            event=event.id,
            at=event.at,
            until=end,
            declaration=grant.declaration,
        )
    return ConsentState(
        statement=event.statement,
        state=EventType.EXPIRED if over else event.type,
        attributes=(),
        event=event.id,
        at=end if over and end is not None else event.at,
        until=None,
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
        that the person is asked again, as is one that was not given apart
        where that is asked for now. A no stays a no.
    """
    left = {}
    for name, state in found.items():
        statement = live.statement(name)
        if statement is None:
            continue
        if state.state is EventType.GIVEN and state.declaration != live.digest:
            attributes = kept(
                state.attributes, answered(state.declaration), live, name
            )
            if not attributes:
                continue
            left[name] = replace(state, attributes=attributes)
        else:
            left[name] = state
    return left
