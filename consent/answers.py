"""What an answer must be, to be recorded as evidence.

Consent that nobody may be asked for, that goes beyond what was asked, that
names a text nobody was shown, or that would undo a later no, is not
recorded at all.
"""

from collections.abc import Sequence
from typing import NoReturn

from consent.declarations import Declaration
from consent.errors import ConsentNotAsked, RecordInvalid
from consent.lifecycle import (
    BEGINNINGS,
    BY_CONTROLLER,
    IN_FORCE,
    OPEN,
    TRANSITIONS,
    placed,
    ran_out,
)
from consent.records import ConsentEvent, states
from consent.statements import Statement
from consent.vocabulary import EventType, LegalBasis

CONTROLLER = "controller"
"""The actor of what the controller itself does."""

ASSISTED = frozenset({"counter", "phone"})
"""Channels where an officer writes down what the person says."""

PAPER = "paper"
"""The channel of a form, which holds the notice itself."""

NEEDS_NOTICE = frozenset(
    {EventType.GIVEN, EventType.REFUSED, EventType.RENEWED}
)
"""The answers that count only if it is known what the person had read."""

_ALLOWING = frozenset({EventType.GIVEN, EventType.RENEWED})
_WITH_ATTRIBUTES = _ALLOWING | {EventType.REQUESTED}


def check_answer(
    event: ConsentEvent,
    declaration: Declaration,
    earlier: Sequence[ConsentEvent],
) -> None:
    """Refuse an event that contradicts its declaration, itself or the log.

    Args:
        event: the event to record.
        declaration: the version that it names by its digest.
        earlier: the person's log for this service and purpose.

    Raises:
        ConsentNotAsked: the statement's legal basis is not consent.
        RecordInvalid: anything else is wrong.
    """
    if (event.service, event.purpose) != (
        declaration.service,
        declaration.purpose,
    ):
        _fail(event, "it names a declaration of another service or purpose")
    statement = declaration.statement(event.statement)
    if statement is None:
        _fail(event, f"there is no statement {event.statement}")
    if statement.basis is not LegalBasis.CONSENT:
        msg = (
            f"event {event.id}: statement {statement.id} rests on"
            f" {statement.basis}, so nobody is asked for consent"
        )
        raise ConsentNotAsked(msg)
    _check_actor(event)
    if event.type in _WITH_ATTRIBUTES:
        _check_allowed(event, statement)
    elif event.attributes or event.expires_at is not None:
        _fail(event, f"an event {event.type} allows nothing and never ends")
    if event.type in _UPHOLDING:
        _check_not_overruled(event, earlier)
    if event.type is EventType.RENEWED:
        _check_renewed(event, earlier)
    if event.type is EventType.EXPIRED:
        _check_expired(event, earlier)
    _check_place(event, earlier)


def _check_actor(event: ConsentEvent) -> None:
    own = event.actor == CONTROLLER
    if event.type in BY_CONTROLLER - {EventType.EXPIRED} and not (
        own and event.officer
    ):
        _fail(event, f"an officer of the controller says {event.type}")
    if own and event.type not in BY_CONTROLLER:
        _fail(event, f"the controller cannot say {event.type} for a person")


def _check_place(event: ConsentEvent, earlier: Sequence[ConsentEvent]) -> None:
    """Refuse what the record's state does not allow, now or at its time."""
    name, record = placed(event, earlier)
    if record is None:
        if event.channel in ASSISTED and event.type is EventType.GIVEN:
            _fail(event, "an assisted yes is asked first, and then confirmed")
        if event.type not in BEGINNINGS or name != event.id:
            _fail(event, f"there is no record that {event.type} could follow")
        return
    last = record.events[-1].type
    if event.type not in TRANSITIONS[last]:
        _fail(event, f"its record is {last}, and {event.type} cannot follow")
    over = last in OPEN and ran_out(record.events, event.at)
    if over and event.type not in _AFTER_THE_END:
        _fail(event, f"its record has run out, and {event.type} cannot follow")
    if last is EventType.REQUESTED and event.type is EventType.GIVEN:
        _check_confirmed(event, record.events[-1], earlier)


def _check_confirmed(
    event: ConsentEvent,
    asked: ConsentEvent,
    earlier: Sequence[ConsentEvent],
) -> None:
    """An officer's confirmation is of what was said, and of no more."""
    if not event.officer:
        return
    if event.attributes != asked.attributes:
        _fail(event, "an officer confirms what was asked, and no more")
    at = [one.id for one in earlier].index(asked.id)
    for one in earlier[at + 1 :]:
        if one.statement == event.statement and one.type not in _UPHOLDING:
            _fail(event, "the person has answered since")


def _check_allowed(event: ConsentEvent, statement: Statement) -> None:
    allowed = frozenset(event.attributes)
    if len(allowed) != len(event.attributes) or not allowed:
        _fail(event, "a yes names each attribute once, and at least one")
    if not allowed <= frozenset(statement.attributes):
        _fail(event, "it allows what the statement does not ask for")
    if not statement.essential <= allowed:
        _fail(event, "the essential attributes are allowed together")
    if event.expires_at is not None and event.expires_at <= event.at:
        _fail(event, "it ends before it begins")


def _check_not_overruled(
    event: ConsentEvent, earlier: Sequence[ConsentEvent]
) -> None:
    if any(
        other.statement == event.statement
        and other.type not in _UPHOLDING
        and other.type is not EventType.REQUESTED
        and other.at > event.at
        for other in earlier
    ):
        _fail(event, "an answer of a later time already stands")


def _check_renewed(
    event: ConsentEvent, earlier: Sequence[ConsentEvent]
) -> None:
    state = states(earlier, event.at).get(event.statement)
    if state is None or state.state is not EventType.GIVEN:
        _fail(event, "nothing is in force that could be renewed")
    if not frozenset(event.attributes) <= frozenset(state.attributes):
        _fail(event, "a renewal allows nothing new")


def _check_expired(
    event: ConsentEvent, earlier: Sequence[ConsentEvent]
) -> None:
    state = states(earlier, event.at).get(event.statement)
    if state is None or state.state is not EventType.EXPIRED:
        _fail(event, "nothing has run out at that time")


_UPHOLDING = IN_FORCE
# A yes whose time is over can be ended or found void, and nothing else.
_AFTER_THE_END = frozenset(
    {
        EventType.EXPIRED,
        EventType.INVALIDATED,
        EventType.WITHDRAWN,
        EventType.REVOKED,
    }
)


def _fail(event: ConsentEvent, why: str) -> NoReturn:
    msg = f"event {event.id}: {why}"
    raise RecordInvalid(msg)
