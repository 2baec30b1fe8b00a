"""Texts brought to one form, with the way back to the original places.

Two forms. `plain` is for patterns: compatibility forms (NFKC, so full-width
digits become ASCII), digits of every script as ASCII digits, every dash as
a hyphen, invisible format characters gone. `compact` is for known values:
besides, case is folded, accents and separators are gone and a run of stars
is one star. Texts that are equal under NFKC and case folding are equal in
compact form.

Each character is folded by itself, so each folded character knows the one
that it came from.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, compress

_SEPARATORS = frozenset(" \t\n\r\x0b\x0c-_.,/+()[]·•'’\"")
_STARS = frozenset("*×●")
_CACHE = 8192
_COMPACT = re.compile(r"[0-9a-z\u4e00-\u9fff]*")
_GONE = "\U0010fffe"  # no character: stands for one that folds to nothing
_MORE = "\U0010ffff"  # no character either: for one that folds to several


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text.

    Attributes:
        text: the folded text.
        places: for each of its characters the place in the original that
            it came from; None where both are the same.
    """

    text: str
    places: Sequence[int] | None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the original for a span of the folded text.

        Args:
            start: first character.
            end: one after the last; above `start`.
        """
        if self.places is None:
            return start, end
        return self.places[start], self.places[end - 1] + 1


def plain(text: str) -> Folded:
    """Fold a text for patterns."""
    if text.isascii():
        return Folded(text, None)
    return _folded(text, _table(_plain))


def compact(text: str) -> Folded:
    """Fold a text for known values."""
    if _COMPACT.fullmatch(text):
        return Folded(text, None)
    folded = _folded(text, _table(_compact))
    if "**" not in folded.text:
        return folded
    pieces = [*map(_compact, text)]
    _one_star(pieces)
    return _of_pieces(pieces)


class _Table(dict[int, str]):
    """What `str.translate` asks: one character for each, or a stand-in."""

    __slots__ = ("fold",)

    def __init__(self, fold: Callable[[str], str]) -> None:
        self.fold = fold

    def __missing__(self, code: int) -> str:
        folded = self.fold(chr(code))
        if len(folded) != 1:
            folded = _MORE if folded else _GONE
        elif folded in {_GONE, _MORE}:
            folded = _MORE
        self[code] = folded
        return folded


@lru_cache(2)
def _table(fold: Callable[[str], str]) -> _Table:
    """Give each way to fold its one table."""
    return _Table(fold)


def _folded(text: str, table: _Table) -> Folded:
    """Fold in one pass where no character becomes several."""
    folded = text.translate(table)
    if _MORE in folded:
        return _of_pieces([*map(table.fold, text)])
    if _GONE not in folded:
        return Folded(folded, None)
    kept = folded.replace(_GONE, "")
    # The place of each kept piece, piece by piece: pieces are few.
    runs = folded.split(_GONE)
    places: list[int] = []
    for run, start in zip(
        runs,
        accumulate((len(run) + 1 for run in runs), initial=0),
        strict=False,
    ):
        places.extend(range(start, start + len(run)))
    return Folded(kept, places)


def _one_star(pieces: list[str]) -> None:
    """Leave one star of each run, whatever separators stand in it."""
    last = ""
    for at, piece in enumerate(pieces):
        if piece == "*" == last:
            pieces[at] = ""
        last = piece or last


def _of_pieces(pieces: list[str]) -> Folded:
    folded = "".join(pieces)
    longest = max(map(len, pieces), default=0)
    if longest <= 1 and len(folded) == len(pieces):
        return Folded(folded, None)
    if longest <= 1:
        return Folded(folded, tuple(compress(range(len(pieces)), pieces)))
    places = (at for at, piece in enumerate(pieces) for _ in range(len(piece)))
    return Folded(folded, tuple(places))


@lru_cache(_CACHE)
def _plain(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cf":
        return ""
    if category == "Pd" or char == "\N{MINUS SIGN}":
        return "-"
    if category == "Nd":
        return str(unicodedata.decimal(char))
    return unicodedata.normalize("NFKC", char)


@lru_cache(_CACHE)
def _compact(char: str) -> str:
    if char in _STARS:
        return "*"
    wide = unicodedata.normalize("NFKD", _plain(char)).casefold()
    bare = (
        each
        for each in unicodedata.normalize("NFKD", wide)
        if each not in _SEPARATORS
        and not unicodedata.category(each).startswith(("M", "Z", "Pd"))
    )
    return "".join(bare)
