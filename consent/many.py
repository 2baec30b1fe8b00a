"""What many people answered, read for hundreds of them at a time.

A release asks about everybody. Most people said the same, so nothing is made
of a person's rows but a key (`Answered.likeness`): under equal keys the same
holds of both, and the events are made for one of them alone.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from consent.event_log import as_event
from consent.people import StoredPreferences
from consent.records import ConsentEvent
from consent.rule_terms import Uses

LIKENESS = ("statement", "declaration", "type", "attributes")
"""What decides of an event, beside when it began and ends."""
_AT, _ENDS = len(LIKENESS), len(LIKENESS) + 1


class Answered(NamedTuple):
    """What a person answered and wants, as far as a purpose is concerned.

    A tuple, because one is made for everybody.

    Attributes:
        subject: the person.
        rows: their answers to the purpose in the order of the log: what
            `LIKENESS` names, instant, end, and the whole row.
        preferences: their rules.
        uses: what was used under their counted rules, by rule id.
        revision: the row that vouches for the rest, unchecked.
    """

    subject: UUID
    rows: Sequence[tuple[Any, ...]]
    preferences: StoredPreferences
    uses: Mapping[str, Uses]
    revision: Sequence[Any] | None = None

    def events(self) -> tuple[ConsentEvent, ...]:
        """Make the events of the rows."""
        return tuple(as_event(self.subject, row) for row in self.rows)

    def since(self) -> int:
        """Say when the newest answer began to hold; 0 where there is none."""
        rows = self.rows
        if len(rows) == 1:  # as most people's are
            instant: int = rows[0][_AT]
            return instant
        return max((row[_AT] for row in rows), default=0)

    def likeness(self) -> Hashable:
        """Give a key: under equal keys the same answers hold of two people.

        That is: `states` and `carried` say the same of both, at any instant
        that is not before either's `since`, but for ids of events and the
        instants that they began at. Those differ from person to person and
        decide nothing beyond their order, unless an answer ends by itself.
        """
        rows = self.rows
        if not rows:
            return ()
        if len(rows) == 1 and rows[0][_ENDS] is None:
            return rows[0][:_AT]
        if any(row[_ENDS] is not None for row in rows):
            return tuple(row[: _ENDS + 1] for row in rows)
        order = sorted({row[_AT] for row in rows})
        return tuple((*row[:_AT], order.index(row[_AT])) for row in rows)
