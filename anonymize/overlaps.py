"""Overlapping findings become one list of spans that do not overlap.

Findings are taken by rank, then score, then length. One that overlaps none
taken before is a span of its own; of one that does, the characters that
stick out go to the span it touches. So every character that any finding
covered stays covered, whatever lost, and only the label is the winner's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Rank(IntEnum):
    """How sure a kind of finding is; a lower number wins."""

    KNOWN = 0
    CHECKED = 1
    PATTERN = 2
    REPEATED = 3


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
    clusters: list[list[Finding]] = []
    reach = -1
    for finding in sorted(findings, key=lambda f: f.start):
        if finding.start >= reach:
            clusters.append([])
        clusters[-1].append(finding)
        reach = max(reach, finding.end)
    return [span for cluster in clusters for span in _resolved(cluster)]


def _resolved(cluster: list[Finding]) -> list[Finding]:
    """Resolve findings that hang together by their overlaps."""
    ordered = sorted(
        cluster,
        key=lambda f: (f.rank, -f.score, f.start - f.end, f.start, f.entity),
    )
    taken: list[Finding] = []
    losers: list[Finding] = []
    for finding in ordered:
        if any(_overlap(finding, each) for each in taken):
            losers.append(finding)
        else:
            taken.append(finding)
    for loser in losers:
        for start, end in _uncovered(loser, taken):
            _give(taken, start, end)
    return sorted(taken, key=lambda f: f.start)


def _overlap(one: Finding, other: Finding) -> bool:
    return one.start < other.end and other.start < one.end


def _uncovered(
    loser: Finding, taken: Iterable[Finding]
) -> list[tuple[int, int]]:
    """Pieces of a finding that no span covers."""
    pieces = []
    at = loser.start
    for span in sorted(taken, key=lambda f: f.start):
        if not _overlap(loser, span):
            continue
        if span.start > at:
            pieces.append((at, span.start))
        at = max(at, span.end)
    if at < loser.end:
        pieces.append((at, loser.end))
    return pieces


def _give(taken: list[Finding], start: int, end: int) -> None:
    """Widen the surest span that touches a piece by that piece."""
    touching = [
        number
        for number, span in enumerate(taken)
        if end == span.start or start == span.end
    ]
    best = min(touching, key=lambda n: (taken[n].rank, -taken[n].score, n))
    span = taken[best]
    taken[best] = Finding(
        entity=span.entity,
        key=span.key,
        start=min(span.start, start),
        end=max(span.end, end),
        rank=span.rank,
        score=span.score,
    )
