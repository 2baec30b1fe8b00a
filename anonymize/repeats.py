"""What was found once in a document is found wherever else it stands.

A name that a cue gave away in one sentence stands without the cue in the
next. Of a full name each word is looked for by itself too, where it is
capitalized. What the vault knows is not looked for here: `known` has found
all of it already.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from anonymize.folding import Folded
from anonymize.known import KnownValue, KnownValues, Match
from anonymize.overlaps import Finding, Rank

NAMES = frozenset({"PERSON", "LOCATION", "ORGANIZATION", "ADDRESS", "AGE"})
"""Kinds that are told by rule and context rather than by a pattern."""
_SHORTEST = 4
"""Shortest found value that is looked for again, in folded characters."""
_PART = 3
"""Shortest word of a name that is looked for by itself, in characters."""
_PART_SCORE = 0.5
"""Least score of a name whose words are looked for by themselves."""


class Repeats:
    """Finds again what a document's layers found."""

    def __init__(self) -> None:
        self._values: dict[str, Finding] = {}

    def add(self, text: str, found: Iterable[Finding]) -> None:
        """Note what was found in a text of the document.

        Args:
            text: the text.
            found: what was found in it.
        """
        for each in found:
            if each.rank not in {Rank.KNOWN, Rank.REPEATED} and (
                len(each.key) >= _SHORTEST or _is_chinese_name(each)
            ):
                self._values.setdefault(text[each.start : each.end], each)

    def ready(self) -> "RepeatsFinder | None":
        """Return what finds it again; None where there is nothing."""
        return RepeatsFinder(self._values) if self._values else None


class RepeatsFinder:
    """Finds values and the words of full names."""

    def __init__(self, values: dict[str, Finding]) -> None:
        self._whole = KnownValues(
            (
                KnownValue(entity=each.entity, text=value)
                for value, each in values.items()
            ),
            forms_too=False,
        )
        self._owners: dict[str, set[str]] = defaultdict(set)
        for value, each in values.items():
            words = value.split()
            if each.entity != "PERSON" or each.score < _PART_SCORE:
                continue
            for word in words if len(words) > 1 else ():
                if len(word) >= _PART and word[0].isupper():
                    self._owners[word].add(each.key)
        self._words = (
            KnownValues(
                (
                    KnownValue(entity="PERSON", text=word)
                    for word in self._owners
                ),
                forms_too=False,
            )
            if self._owners
            else None
        )

    def find(
        self, text: str, folded: Folded, found: Iterable[Finding]
    ) -> Iterator[Finding]:
        """Yield occurrences that are not among what was found.

        Args:
            text: a text of the document.
            folded: its compact form.
            found: what was found in it already.
        """
        there = {(each.start, each.end, each.entity) for each in found}
        for match in self._whole.find(text, folded):
            if (match.start, match.end, match.entity) not in there:
                # Of a pattern it is surer than a name told by rule.
                is_name = match.entity in NAMES
                rank = Rank.NAME if is_name else Rank.REPEATED
                yield _again(match, match.key, rank)
        if self._words is None:
            return
        for match in self._words.find(text, folded):
            owners = self._owners.get(text[match.start : match.end])
            if owners:
                key = next(iter(owners)) if len(owners) == 1 else match.key
                yield _again(match, key, Rank.NAME)


def _again(match: Match, key: str, rank: Rank) -> Finding:
    return Finding(
        entity=match.entity,
        key=key,
        start=match.start,
        end=match.end,
        rank=rank,
        score=0.0,
    )


def _is_chinese_name(finding: Finding) -> bool:
    return (
        finding.entity == "PERSON"
        and len(finding.key) > 1
        and finding.key[0] > "\u3400"
    )
