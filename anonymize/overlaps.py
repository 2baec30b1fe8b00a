"""Overlapping findings become one list of spans that do not overlap.

Findings are taken by rank, then score, then length. One that overlaps none
taken before is a span of its own; of one that does, the characters that
stick out go to the span it touches. So every character that any finding
covered stays covered, whatever lost, and only the label is the winner's.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum


class Rank(IntEnum):
    """How sure a kind of finding is; a lower number wins."""

    KNOWN = 0
    CHECKED = 1
    PATTERN = 2
    REPEATED = 3
    NAME = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """What a layer found in a folded text.

    Attributes:
        entity: label of its kind, such as PHONE.
        start: first character.
        end: one after the last.
        score: how sure it is, from 0 to 1.
    """

    entity: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something personal found in a text.

    Attributes:
        entity: label of its kind, such as PHONE.
        key: the same for the same value; what labels are numbered by.
        start: first character.
        end: one after the last.
        rank: how sure its kind is.
        score: how sure it is within its kind, from 0 to 1.
    """

    entity: str
    key: str
    start: int
    end: int
    rank: Rank
    score: float


def resolve(findings: Iterable[Finding]) -> list[Finding]:
    """Return spans that do not overlap and cover what the findings cover.

    Args:
        findings: in any order; each has at least one character.

    Returns:
        The spans in the order of the text.
    """
    ordered = sorted(
        findings,
        key=lambda f: (f.rank, -f.score, f.start - f.end, f.start, f.entity),
    )
    spans = _Spans()
    losers = [finding for finding in ordered if not spans.take(finding)]
    for loser in losers:
        for start, end in spans.gaps(loser):
            spans.give(start, end)
    return spans.found


class _Spans:
    """Spans that do not overlap, in the order of the text."""

    def __init__(self) -> None:
        self.found: list[Finding] = []

    def take(self, finding: Finding) -> bool:
        """Take a finding unless it overlaps one taken before."""
        at = self._after(finding.start)
        if at < len(self.found) and self.found[at].start < finding.end:
            return False
        self.found.insert(at, finding)
        return True

    def gaps(self, loser: Finding) -> list[tuple[int, int]]:
        """Return the pieces of a finding that no span covers."""
        pieces = []
        start = loser.start
        for at in range(self._after(loser.start), len(self.found)):
            span = self.found[at]
            if span.start >= loser.end:
                break
            if span.start > start:
                pieces.append((start, span.start))
            start = span.end
        if start < loser.end:
            pieces.append((start, loser.end))
        return pieces

    def give(self, start: int, end: int) -> None:
        """Widen the surest span that touches a piece by that piece."""
        after = self._after(start)
        touching = [
            at
            for at in (after - 1, after)
            if 0 <= at < len(self.found)
            and (self.found[at].end == start or self.found[at].start == end)
        ]
        best = min(
            touching,
            key=lambda at: (self.found[at].rank, -self.found[at].score),
        )
        span = self.found[best]
        self.found[best] = replace(
            span, start=min(span.start, start), end=max(span.end, end)
        )

    def _after(self, place: int) -> int:
        """Return the number of the first span that ends after a place."""
        return bisect_right(self.found, place, key=lambda span: span.end)
