"""Chinese names of people who are not known, by rule and dictionary.

A candidate begins at each character that can be a surname and has one or two
characters more. It is weighed by the surname, by its characters, and by what
stands before and after: a sum of small numbers, written down in this module,
so that a finding can be explained. Of candidates that overlap the heavier is
taken. Names of several parts with a middle dot (those of Uyghurs, Tibetans
and foreigners) and surnames with a form of address are found besides.

A name in a place where nothing points at one, made of characters that are
rare in names, is missed; a word that looks like a name is sometimes taken.
`tests/test_names.py` measures both, on names that are in no list of ours.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from anonymize.chinese_lexicon import (
    AFTER,
    BEFORE,
    COMPOUND,
    GIVEN,
    NOT_GIVEN,
    SURNAMES,
    TITLES,
    WORDLIKE,
    WORDS,
)
from anonymize.overlaps import Hit

PERSON = "PERSON"
LEAST = 4
"""Weight from which a candidate is taken for a name."""
_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_TITLED = "某某|某|" + "|".join(
    sorted(set(TITLES) - {"总"}, key=len, reverse=True)
)


class ChineseNames:
    """Finds names. Holds its lists as sets and nothing of any text."""

    def __init__(self) -> None:
        unusual = "".join(sorted(NOT_GIVEN - GIVEN))
        doubles = "|".join(sorted(COMPOUND, key=len, reverse=True))
        singles = "".join(sorted(SURNAMES))
        # A set of characters is looked at first: most places fail it.
        starts = "".join(sorted({*SURNAMES, *(one[0] for one in COMPOUND)}))
        titles = "".join(sorted({one[0] for one in TITLES} | {"某"}))
        self._surname = re.compile(
            rf"(?=[{starts}][{_HAN}])(?:(?P<double>{doubles})|[{singles}])"
            rf"(?=[{_HAN}])(?![{unusual}])"
        )
        self._titled = re.compile(
            rf"(?:[{singles}](?=[{titles}])|(?:{doubles})(?=[{titles}]))"
            rf"(?:{_TITLED})(?![学院])"
        )
        self._dotted = re.compile(
            rf"(?<![{_HAN}·])([{_HAN}]{{1,9}})(?:·[{_HAN}]{{2,8}}){{1,3}}"
        )
        self._given = _given_weights()
        self._before = _by_length(tuple(BEFORE))
        self._before_ends = frozenset(word[-1] for word in BEFORE)
        self._after = _by_length(tuple(AFTER))
        self._titles = _by_length(tuple(TITLES))
        self._after_starts = frozenset(word[0] for word in (*AFTER, *TITLES))

    def find(self, text: str) -> list[Hit]:
        """Return the names in a text in folded form (`folding.plain`).

        Args:
            text: the text; what is not Chinese in it is passed over.
        """
        if text.isascii():
            return []
        heaviest = [*_heaviest(self._weighed(text))]
        hits = [
            Hit(entity=PERSON, start=start, end=end, score=_score(weight))
            for start, end, weight in heaviest
        ]
        ends = {end - 1 for _, end, _ in heaviest}
        if "·" in text:
            hits += self._several(text)
        hits += (
            _hit(match, 0.55)
            for match in self._titled.finditer(text)
            if match[0][:2] not in WORDS and match.start() not in ends
        )
        return hits

    def _several(self, text: str) -> Iterator[Hit]:
        """Find names of several parts, and leave what stands round them."""
        for match in self._dotted.finditer(text):
            start, end = match.span()
            for at in range(start + 1, match.end(1)):
                if any(
                    text[at - length : at] in self._before[length]
                    for length in range(1, at - match.start() + 1)
                    if length < 6
                ):
                    start = at
            last = text.rfind("·", start, end) + 1
            for at in range(last + 1, end):
                if text[at] in NOT_GIVEN or text[at] in self._after[1]:
                    end = at
                    break
            if match.end(1) - start > 1:
                yield Hit(entity=PERSON, start=start, end=end, score=0.6)

    def _weighed(self, text: str) -> Iterator[tuple[int, int, int]]:
        for match in self._surname.finditer(text):
            start, end = match.span()
            if text[start : start + 2] in WORDS:
                continue
            weight = 1 if text[start] in WORDLIKE else 4
            if match["double"] is not None:
                weight = 5
            weight += self._left(text, start)
            best = self._best(text, end, weight)
            if best is not None:
                yield start, best[0], best[1]

    def _best(
        self, text: str, end: int, weight: int
    ) -> tuple[int, int] | None:
        """Choose between one character and two after a surname."""
        best = None
        first = self._given.get(text[end])
        if first is None:
            return None
        total = weight + first + self._right(text, end + 1)
        if total >= LEAST:
            best = end + 1, total
        pair = text[end : end + 2]
        second = self._given.get(pair[1:])
        if second is not None:
            if pair in WORDS or pair in self._after[2]:
                second -= 3
            total = weight + first + second + self._right(text, end + 2)
            if total >= LEAST and (best is None or total >= best[1]):
                best = end + 2, total
        return best

    def _left(self, text: str, start: int) -> int:
        """Weigh what stands before a candidate."""
        if start == 0:
            return 1
        before = text[start - 1]
        if before in self._before_ends:
            for length in (5, 4, 3, 2, 1):
                word = text[max(0, start - length) : start]
                if word in self._before[length]:
                    return 3 if length > 1 else 2
        if not _is_han(before):
            return 3 if self._labelled(text, start) else 1
        return -5 if text[start - 1 : start + 1] in WORDS else -1

    def _labelled(self, text: str, start: int) -> bool:
        """Tell whether a label and a colon, or a comma, stand before."""
        at = start - 1
        return text[at] in ":、 (" and any(
            text[max(0, at - length) : at] in self._before[length]
            for length in (4, 3, 2)
        )

    def _right(self, text: str, end: int) -> int:
        """Weigh what stands after a candidate."""
        after = text[end : end + 1]
        if after in self._after_starts:
            for length in (3, 2, 1):
                if text[end : end + length] in self._titles[length]:
                    return 3
            for length in (3, 2):
                if text[end : end + length] in self._after[length]:
                    return 2
            return 1 if after in self._after[1] else -1
        return -1 if after and _is_han(after) else 1


@lru_cache(1)
def _given_weights() -> dict[str, int]:
    """Weigh each Chinese character as one of a given name.

    Those outside the first level of GB 2312, which holds the 3,755 of
    ordinary writing, hardly occur but in names.
    """
    weights = {}
    for code in (*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000)):
        char = chr(code)
        usual, unusual = char in GIVEN, char in NOT_GIVEN
        if usual != unusual:
            weights[char] = 2 if usual else -4
        else:
            weights[char] = 0 if unusual or _is_ordinary(char) else 1
    return weights


def _is_ordinary(char: str) -> bool:
    try:
        return char.encode("gb2312")[0] < 0xD8
    except UnicodeEncodeError:
        return False


def _hit(match: re.Match[str], score: float) -> Hit:
    start, end = match.span()
    return Hit(entity=PERSON, start=start, end=end, score=score)


def _heaviest(
    weighed: Iterable[tuple[int, int, int]],
) -> Iterator[tuple[int, int, int]]:
    """Of candidates that overlap keep the heavier, then the earlier."""
    kept: tuple[int, int, int] | None = None
    for each in weighed:
        if kept is None or each[0] >= kept[1]:
            if kept is not None:
                yield kept
            kept = each
        elif each[2] > kept[2]:
            kept = each
    if kept is not None:
        yield kept


def _score(weight: int) -> float:
    return min(0.85, 0.3 + 0.05 * weight)


def _is_han(char: str) -> bool:
    return "\u4e00" <= char <= "\u9fff" or "\u3400" <= char <= "\u4dbf"


@lru_cache(8)
def _by_length(words: tuple[str, ...]) -> dict[int, frozenset[str]]:
    return {
        length: frozenset(word for word in words if len(word) == length)
        for length in range(1, 7)
    }
