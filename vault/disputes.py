"""What the person says against a value, kept with it.

A dispute is the person's own statement about one version of one attribute
(GDPR 16 and 18(1)(a); PIPL 46). It is sealed at a place of its own beside
the value, so the person's manifest covers it: a dispute taken away is
noticed as a value taken away would be. A dispute is never edited. It is
withdrawn, or resolved with an outcome, and stays to be read.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from uuid import UUID

from vault.errors import CryptoFailure, InvalidValue, UnknownDispute
from vault.values import Kind, Unfit, canonical

LONGEST = 2000
_STEP = 512
_MOST = 64


class DisputeState(StrEnum):
    """How a dispute stands."""

    OPEN = "open"
    WITHDRAWN = "withdrawn"
    RESOLVED = "resolved"


class DisputeOutcome(StrEnum):
    """How a dispute was resolved."""

    CORRECTED = "corrected"
    CONFIRMED = "confirmed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """One statement against one version of a value.

    Attributes:
        id: random.
        version: the version of the value that is disputed.
        statement: the person's words.
        at: when it was made, POSIX seconds.
        by: who entered it, such as ``self`` or an officer's id.
        state: how it stands.
        outcome: how it was resolved, where it was.
        closed_at: when it was withdrawn or resolved, POSIX seconds.

    """

    id: UUID
    version: int
    statement: str
    at: int
    by: str
    state: DisputeState = DisputeState.OPEN
    outcome: DisputeOutcome | None = None
    closed_at: int | None = None

    def closed(
        self, at: int, state: DisputeState, outcome: DisputeOutcome | None
    ) -> "Dispute":
        """Give the dispute as it stands after it was closed."""
        return replace(self, state=state, outcome=outcome, closed_at=at)

    def known_at(self, instant: int) -> "Dispute":
        """Give the dispute as it stood at an instant."""
        if self.closed_at is None or self.closed_at <= instant:
            return self
        return replace(
            self, state=DisputeState.OPEN, outcome=None, closed_at=None
        )


def added(disputes: Sequence[Dispute], one: Dispute) -> list[Dispute]:
    """Put a new dispute behind the others.

    Raises:
        InvalidValue: the statement is empty, too long or no text, or there
            are too many already. The message never shows it.

    """
    field = "statement"
    if len(disputes) >= _MOST:
        reason = "too-many"
        raise InvalidValue(field, reason)
    try:
        text = canonical(Kind.NOTE, one.statement, LONGEST)
    except Unfit as unfit:
        raise InvalidValue(field, unfit.reason) from None
    return [*disputes, replace(one, statement=text)]


def closed(
    disputes: Sequence[Dispute],
    dispute: UUID,
    *,
    at: int,
    outcome: DisputeOutcome | None,
) -> list[Dispute]:
    """Withdraw an open dispute, or resolve it with an outcome.

    Raises:
        UnknownDispute: there is no open one of that id.

    """
    state = DisputeState.RESOLVED if outcome else DisputeState.WITHDRAWN
    found = [
        one.closed(at, state, outcome)
        if one.id == dispute and one.state is DisputeState.OPEN
        else one
        for one in disputes
    ]
    if found == list(disputes):
        raise UnknownDispute(dispute)
    return found


def encode(disputes: Iterable[Dispute]) -> str:
    """Write disputes down as one text, in steps of 512 characters.

    In long steps, because the length of what somebody says against an
    entry should not show outside of the seal.
    """
    listed = [{**asdict(one), "id": str(one.id)} for one in disputes]
    text = json.dumps(listed, separators=(",", ":"), sort_keys=True)
    return text + " " * (-len(text) % _STEP)


def decode(text: str) -> list[Dispute]:
    """Read what `encode` wrote.

    Raises:
        CryptoFailure: the text is something else.

    """
    try:
        return [
            Dispute(
                **{
                    **one,
                    "id": UUID(one["id"]),
                    "state": DisputeState(one["state"]),
                    "outcome": one["outcome"]
                    and DisputeOutcome(one["outcome"]),
                }
            )
            for one in json.loads(text)
        ]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CryptoFailure from None
