"""What an answer must be, to be recorded as evidence.

Consent that nobody may be asked for, that goes beyond what was asked, that
names a text nobody was shown, or that would undo a later no, is not
recorded at all.
"""

from collections.abc import Sequence
from typing import NoReturn

from consent.declarations import Declaration
from consent.errors import ConsentNotAsked, RecordInvalid
from consent.records import ConsentEvent, states
from consent.statements import Statement
from consent.vocabulary import EventType, LegalBasis

NEEDS_NOTICE = frozenset({EventType.GIVEN, EventType.REFUSED})
"""The answers that count only if it is known what the person had read."""


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
    if event.type is EventType.GIVEN:
        _check_given(event, statement, earlier)
    elif event.attributes or event.expires_at is not None:
        _fail(event, f"an event {event.type} allows nothing and never ends")
    if event.type is EventType.EXPIRED:
        _check_expired(event, earlier)


def _check_given(
    event: ConsentEvent,
    statement: Statement,
    earlier: Sequence[ConsentEvent],
) -> None:
    allowed = frozenset(event.attributes)
    if len(allowed) != len(event.attributes) or not allowed:
        _fail(event, "a yes names each attribute once, and at least one")
    if not allowed <= frozenset(statement.attributes):
        _fail(event, "it allows what the statement does not ask for")
    if not statement.essential <= allowed:
        _fail(event, "the essential attributes are allowed together")
    if event.expires_at is not None and event.expires_at <= event.at:
        _fail(event, "it ends before it begins")
    if any(
        other.statement == event.statement
        and other.type is not EventType.GIVEN
        and other.at > event.at
        for other in earlier
    ):
        _fail(event, "an answer of a later time already stands")


def _check_expired(
    event: ConsentEvent, earlier: Sequence[ConsentEvent]
) -> None:
    state = states(earlier, event.at).get(event.statement)
    if state is None or state.state is not EventType.EXPIRED:
        _fail(event, "nothing has run out at that time")


def _fail(event: ConsentEvent, why: str) -> NoReturn:
    msg = f"event {event.id}: {why}"
    raise RecordInvalid(msg)
