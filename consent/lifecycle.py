"""Which event may follow which in one consent record.

A record (ISO/IEC TS 27560) is a log of events under one id. `TRANSITIONS` is
the whole model: what is not in it does not happen. It has no way back from a
record that has ended, so a withdrawn one is never enabled again: a new yes is
a new record.

```
            ┌─ requested ─┬──────────────► refused
  (nothing) ┼─────────────┴─► given ◄────► paused     paused, resumed
            ├─► refused        │ renewed     │
            └─► withdrawn      └──────┬──────┘
                                      ▼
                     withdrawn, revoked, expired, invalidated
```

A no can always be said: where there is nothing to withdraw, a withdrawal is a
record of its own that is over as it begins.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING
from uuid import UUID

from consent.vocabulary import EventType

if TYPE_CHECKING:
    from consent.records import ConsentEvent

_ENDS = frozenset(
    {
        EventType.WITHDRAWN,
        EventType.REVOKED,
        EventType.EXPIRED,
        EventType.INVALIDATED,
    }
)
BEGINNINGS = frozenset(
    {
        EventType.REQUESTED,
        EventType.GIVEN,
        EventType.REFUSED,
        EventType.WITHDRAWN,
    }
)
"""The events that a record may begin with."""

TRANSITIONS: Mapping[EventType, frozenset[EventType]] = MappingProxyType(
    {
        EventType.REQUESTED: frozenset(
            {EventType.GIVEN, EventType.REFUSED, EventType.INVALIDATED}
        ),
        EventType.GIVEN: _ENDS | {EventType.PAUSED, EventType.RENEWED},
        EventType.RENEWED: _ENDS | {EventType.PAUSED, EventType.RENEWED},
        EventType.RESUMED: _ENDS | {EventType.PAUSED, EventType.RENEWED},
        EventType.PAUSED: _ENDS | {EventType.RESUMED},
        EventType.REFUSED: frozenset(),
        # What is over can still turn out to have been void all along.
        EventType.WITHDRAWN: frozenset({EventType.INVALIDATED}),
        EventType.REVOKED: frozenset({EventType.INVALIDATED}),
        EventType.EXPIRED: frozenset({EventType.INVALIDATED}),
        EventType.INVALIDATED: frozenset(),
    }
)
"""The events that may follow, by the record's last event."""

IN_FORCE = frozenset({EventType.GIVEN, EventType.RENEWED, EventType.RESUMED})
"""The last events under which a record allows something."""

OPEN = IN_FORCE | {EventType.PAUSED}
"""The last events after which a yes can still be ended."""

BY_CONTROLLER = frozenset(
    {
        EventType.REQUESTED,
        EventType.REVOKED,
        EventType.EXPIRED,
        EventType.INVALIDATED,
    }
)
"""What the controller does, and never the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRecord:
    """One consent record: every event of it, in the order of the log.

    Attributes:
        id: the record.
        statement: the statement that it is about.
        events: all of them; never empty.
        superseded: the record that took its place, or None.
    """

    id: UUID
    statement: str
    events: tuple["ConsentEvent", ...]
    superseded: UUID | None = None

    def state(self, now: int) -> EventType:
        """Return the state of the record, which its last event names.

        Args:
            now: POSIX seconds.

        Returns:
            The type of the last event; given after a pause, and expired
            once the time of a yes has run out.
        """
        last = self.events[-1].type
        if last in OPEN and ran_out(self.events, now):
            return EventType.EXPIRED
        return EventType.GIVEN if last is EventType.RESUMED else last


def ran_out(events: Iterable["ConsentEvent"], now: int) -> bool:
    """Say whether the time of a record's yes has run out."""
    end = None
    for event in events:
        if event.type in {EventType.GIVEN, EventType.RENEWED}:
            end = event.expires_at
    return end is not None and end <= now


def group_records(
    events: Iterable["ConsentEvent"],
) -> tuple[ConsentRecord, ...]:
    """Group a log into its records.

    Args:
        events: a person's stored events, in the order of the log.

    Returns:
        The records, by their first event. The one that answers a statement
        anew supersedes the one that stood before.
    """
    grouped: dict[UUID, list[ConsentEvent]] = {}
    for event in events:
        grouped.setdefault(event.record or event.id, []).append(event)
    found = [
        ConsentRecord(id=name, statement=log[0].statement, events=tuple(log))
        for name, log in grouped.items()
    ]
    latest: dict[tuple[str, str, str], ConsentRecord] = {}
    after: dict[UUID, UUID] = {}
    for one in found:
        if one.events[-1].type is EventType.REQUESTED:
            continue
        first = one.events[0]
        key = first.service, first.purpose, one.statement
        if key in latest:
            after[latest[key].id] = one.id
        latest[key] = one
    return tuple(
        ConsentRecord(
            id=one.id,
            statement=one.statement,
            events=one.events,
            superseded=after.get(one.id),
        )
        for one in found
    )


def placed(
    event: "ConsentEvent", earlier: Iterable["ConsentEvent"]
) -> tuple[UUID, ConsentRecord | None]:
    """Say which record an event belongs to.

    Args:
        event: the event; where it names a record, that one is meant.
        earlier: the person's log for the service and purpose.

    Returns:
        The record's id, and the record as it stands; None where the event
        begins one.
    """
    own = [
        one
        for one in group_records(earlier)
        if one.statement == event.statement
    ]
    if event.record is not None and event.record != event.id:
        for one in own:
            if one.id == event.record:
                return one.id, one
        return event.record, None
    answers = [one for one in own if one.events[-1].type is not _ASKED]
    asked = [one for one in own if one.events[-1].type is _ASKED]
    if event.type is EventType.REQUESTED:
        return event.id, None
    if event.type in {EventType.GIVEN, EventType.REFUSED}:
        return (asked[-1].id, asked[-1]) if asked else (event.id, None)
    last = answers[-1] if answers else None
    if event.type is EventType.WITHDRAWN and (
        last is None or last.events[-1].type not in OPEN
    ):
        return event.id, None
    return (event.id, None) if last is None else (last.id, last)


_ASKED = EventType.REQUESTED
