"""Situations: what past decisions had in common, without whose they were.

A situation is all that a decision rested on and what it came to, in a form
in which nobody is left: the request, the declaration, what the answers meant
then, the preferences, the restraints, which attributes were held, the answer.
Ids of events are gone. Of instants the month is left, and of a remaining
time a step (`STEPS`), so that what compares instants decides the same. The
decisions of many people make one situation, and a candidate decides it once.

Only where a person's own rules have a term in time is the instant part of
the situation; it is then one person's, and too rare to be counted.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from consent import (
    ConsentEvent,
    Declaration,
    EventType,
    Preferences,
    Terms,
    states,
)
from policy.errors import RequestInvalid
from policy.store import StoredDecision, decoded

_DAY = 86_400
STEPS = tuple(_DAY * days for days in (1, 7, 30, 90, 365, 1825))
"""Remaining times that are told apart, in seconds."""

Standing = tuple[tuple[str, str, tuple[str, ...], int | None, str], ...]
"""By statement: its state, what is allowed, until when, which version."""

_NO_TERMS = Terms()
_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Months:
    """Whole calendar months in UTC.

    Attributes:
        starts: POSIX seconds of the beginning of each, and of the end.
    """

    starts: tuple[int, ...]

    @property
    def since(self) -> int:
        """When the first begins."""
        return self.starts[0]

    @property
    def until(self) -> int:
        """When the last ends."""
        return self.starts[-1]

    def start(self, instant: int) -> int:
        """When the month of an instant within them begins."""
        return self.starts[bisect_right(self.starts, instant) - 1]

    @property
    def names(self) -> tuple[str, ...]:
        """As ``2026-03``, in order."""
        return tuple(
            datetime.fromtimestamp(one, UTC).strftime("%Y-%m")
            for one in self.starts[:-1]
        )


def months(since: int, until: int, now: int) -> Months:
    """The months that an interval touches and that have ended.

    Args:
        since: POSIX seconds within the first.
        until: POSIX seconds within the last.
        now: POSIX seconds; the month of it has not ended.

    Raises:
        RequestInvalid: none of them has ended.
    """
    at = datetime.fromtimestamp(since, UTC).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    starts = [int(at.timestamp())]
    while True:
        at = (
            at.replace(year=at.year + 1, month=1)
            if at.month == 12
            else at.replace(month=at.month + 1)
        )
        end = int(at.timestamp())
        if starts[-1] > until or end > now:
            break
        starts.append(end)
    if len(starts) == 1:
        msg = (
            "counts are of whole months that have ended, and none of these "
            "has; what candidates do from now on shows `policy shadow`"
        )
        raise RequestInvalid(msg)
    return Months(starts=tuple(starts))


def instant_of(
    now: int,
    *,
    declaration: Declaration | None,
    preferences: Preferences,
    within: Months,
) -> int:
    """What is left of the instant of a decision, POSIX seconds.

    The beginning of the month, or of the declaration's own time in it; all
    of it where the person's rules have terms.

    Args:
        now: the instant, within the months.
        declaration: what was decided on.
        preferences: likewise.
        within: the months in question.
    """
    if any(rule.terms != _NO_TERMS for rule in preferences.rules):
        return now
    instant = within.start(now)
    if declaration is not None:
        for edge in (declaration.valid_from, declaration.valid_until):
            if edge is not None and instant < edge <= now:
                instant = edge
    return instant


def standing_of(
    events: Iterable[ConsentEvent], now: int, instant: int
) -> Standing:
    """What answers meant at an instant, by statement.

    Args:
        events: one person's, in order.
        now: the instant, POSIX seconds.
        instant: what is left of it; an end is so long after that.
    """
    return tuple(
        (
            one.statement,
            one.state.value,
            tuple(sorted(one.attributes)),
            None if one.until is None else instant + _step(one.until - now),
            one.declaration,
        )
        for _, one in sorted(states(events, now).items())
    )


def situation(
    found: Mapping[str, Any],
    *,
    instant: int,
    standing: Standing,
    preferences: str,
) -> str:
    """The situation of a stored decision, as one canonical text.

    Args:
        found: the document of the decision; its instant, events and
            preferences do not matter.
        instant: as `instant_of` gave it.
        standing: as `standing_of` gave it.
        preferences: digest of the preferences.
    """
    asked = sorted(found["attributes"])
    present = set(found["present"])
    return json.dumps(
        {
            **found,
            "now": instant,
            "attributes": asked,
            "events": standing,
            "preferences": preferences,
            "present": [name for name in asked if name in present],
        },
        sort_keys=True,
        separators=(",", ":"),
    )


def _step(left: int) -> int:
    reached = bisect_right(STEPS, left)
    return STEPS[reached - 1] if reached else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A situation, ready to be decided.

    Attributes:
        stored: the decision that all of its decisions are; about nobody.
        events: answers that mean what theirs meant.
        preferences: digest of the preferences.
    """

    stored: StoredDecision
    events: tuple[ConsentEvent, ...]
    preferences: str


def read_situation(text: str) -> Situation:
    """Take the text of a situation apart."""
    found = json.loads(text)
    stored = decoded(
        _NOBODY,
        "",
        _NOBODY,
        {**found, "events": [], "preferences": 0},
    )
    return Situation(
        stored=stored,
        events=tuple(_events(stored, found["events"])),
        preferences=found["preferences"],
    )


def _events(
    stored: StoredDecision, standing: Sequence[Sequence[Any]]
) -> Iterable[ConsentEvent]:
    """One answer for each statement, given before the decision."""
    one = ConsentEvent(
        id=_NOBODY,
        subject=_NOBODY,
        service=stored.request.service,
        purpose=stored.request.purpose,
        statement="",
        declaration="",
        notice="",
        language="",
        type=EventType.GIVEN,
        attributes=(),
        at=0,
    )
    for number, row in enumerate(standing, start=2):
        statement, state, attributes, until, declaration = row
        yield replace(
            one,
            # The ids that stand for no answer and a supposed one are taken.
            id=UUID(int=number),
            statement=statement,
            declaration=declaration,
            type=EventType(state),
            attributes=tuple(attributes),
            expires_at=until,
        )
