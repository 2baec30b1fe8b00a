"""A document of many passages, or of one very long one, searched as a whole.

Passages (cells, strings, paragraphs) are searched joined, because a search
of one costs as much as a search of a hundred short ones; a long one is
searched in pieces that overlap by `OVERLAP` characters, so that a value of
that length or less is whole in one of them. What is found anywhere is then
found again everywhere (`repeats`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from anonymize.folding import compact
from anonymize.overlaps import Finding, resolve
from anonymize.repeats import Repeats

PIECE = 40_000
"""About how many characters are searched at once."""
OVERLAP = 400
"""Longest value that is found for certain across pieces, in characters."""

Search = Callable[[str], list[Finding]]
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A stretch of a passage inside a piece.

    Attributes:
        passage: which one.
        start: where the stretch starts in it.
        at: where it starts in the piece.
        length: how long it is.
    """

    passage: int
    start: int
    at: int
    length: int


def search_passages(
    passages: Sequence[str], search: Search, tell: Tell
) -> list[list[Finding]]:
    """Search a document.

    Args:
        passages: its texts.
        search: finds what is in one text; spans do not overlap.
        tell: told of characters done and to do.

    Returns:
        For each passage spans that do not overlap, in its own places.
    """
    total = sum(map(len, passages))
    pieces = [*_pieces(passages)]
    found: list[list[Finding]] = [[] for _ in passages]
    repeats = Repeats()
    done = 0
    for text, parts in pieces:
        hits = search(text)
        repeats.add(text, hits)
        _spread(hits, parts, found)
        done += len(text)
        tell("search", min(done, total), total)
    finder = repeats.ready() if len(pieces) > 1 else None
    done = 0
    for text, parts in pieces:
        if finder is None:
            break
        _spread([*finder.find(text, compact(text), ())], parts, found)
        done += len(text)
        tell("repeat", min(done, total), total)
    return [[*_settled(each)] for each in found]


def _pieces(passages: Sequence[str]) -> Iterator[tuple[str, list[_Part]]]:
    texts: list[str] = []
    parts: list[_Part] = []
    at = 0
    for number, passage in enumerate(passages):
        for start in range(0, max(1, len(passage) - OVERLAP), PIECE - OVERLAP):
            stretch = passage[start : start + PIECE]
            if texts and at + len(stretch) > PIECE:
                yield "\n".join(texts), parts
                texts, parts, at = [], [], 0
            texts.append(stretch)
            parts.append(
                _Part(passage=number, start=start, at=at, length=len(stretch))
            )
            at += len(stretch) + 1
    if texts:
        yield "\n".join(texts), parts


def _spread(
    hits: Sequence[Finding],
    parts: Sequence[_Part],
    found: list[list[Finding]],
) -> None:
    """Give each finding to the passages that it lies in."""
    first = 0
    for hit in sorted(hits, key=lambda each: each.start):
        while first < len(parts) and (
            parts[first].at + parts[first].length <= hit.start
        ):
            first += 1
        for number in range(first, len(parts)):
            part = parts[number]
            if part.at >= hit.end:
                break
            start = max(hit.start, part.at)
            end = min(hit.end, part.at + part.length)
            if start < end:
                moved = part.start - part.at
                found[part.passage].append(
                    replace(hit, start=start + moved, end=end + moved)
                )


def _settled(found: list[Finding]) -> Iterator[Finding]:
    """Resolve findings group by group of those that overlap.

    All at once would take the square of their number, which in a long text
    is large.
    """
    group: list[Finding] = []
    end = 0
    for each in sorted(found, key=lambda one: one.start):
        if group and each.start >= end:
            yield from resolve(group) if len(group) > 1 else group
            group = []
        end = max(end, each.end) if group else each.end
        group.append(each)
    yield from resolve(group) if len(group) > 1 else group
