"""All values that a vault knows, found in a text whoever it is about.

`known` looks for one person's values in that person's text, in many forms.
This looks for the values of everybody in any text, each in compact form
(`folding.compact`: width, case, accents and separators do not matter), in
one pass that takes no longer for a million values than for a thousand.

Left out are values of one or two characters, and numbers of fewer than four
digits: they match ordinary words. A Latin, Greek or Cyrillic value does not
match inside a word, nor a short number inside a longer one, as in `known`.

The automaton holds personal data in the clear: build it in the process that
may read the values, never write it, and drop it afterwards.
"""

from array import array
from collections.abc import Iterable
from itertools import chain
from typing import NoReturn

from ahocorasick_rs import AhoCorasick

from anonymize.folding import Folded, compact
from anonymize.known import KnownValue, Match, bounded

LEAST = 3
"""Shortest value that is looked for, in folded characters."""
LEAST_DIGITS = 4
"""Shortest value of digits alone."""


class ValueIndex:
    """Finds any of many values. Neither printable nor picklable."""

    __slots__ = ("_entities", "_finder", "_keys", "_names", "count")

    def __init__(
        self,
        values: Iterable[KnownValue],
        forms: Iterable[tuple[KnownValue, str]] = (),
    ) -> None:
        """Build the automaton.

        Args:
            values: in any number; those that are too short are left out,
                and of two that fold to the same the first gives the label.
            forms: other ways to write a value, each with the value, whose
                key and label it has.
        """
        places: dict[str, int] = {}
        names: dict[str, int] = {}
        entities = array("H")
        self._keys: dict[int, str] = {}
        plainly = ((value, value.text) for value in values)
        for value, text in chain(plainly, forms):
            folded = compact(text).text
            if len(folded) < (
                LEAST_DIGITS if folded.isdecimal() else LEAST
            ) and not _is_full_chinese_name(value.entity, folded):
                continue
            if folded not in places:
                key = (
                    folded if text is value.text else compact(value.text).text
                )
                if key != folded:
                    self._keys[len(places)] = key
                places[folded] = len(places)
                entities.append(names.setdefault(value.entity, len(names)))
        self.count = len(places)
        self._entities = entities
        self._names = tuple(names)
        self._finder = AhoCorasick([*places]) if places else None

    def find(self, text: str, folded: Folded | None = None) -> list[Match]:
        """Return every occurrence, overlapping ones too.

        Args:
            text: the text as it stands.
            folded: its compact form, where the caller has it already.
        """
        if self._finder is None:
            return []
        folded = folded or compact(text)
        found = []
        for number, start, end in self._finder.find_matches_as_indexes(
            folded.text, overlapping=True
        ):
            if bounded(text, folded, start, end):
                first, last = folded.original(start, end)
                found.append(
                    Match(
                        entity=self._names[self._entities[number]],
                        key=self._keys.get(number, folded.text[start:end]),
                        start=first,
                        end=last,
                    )
                )
        return found

    def __reduce__(self) -> NoReturn:
        msg = "an index of values is not pickled"
        raise TypeError(msg)


def _is_full_chinese_name(entity: str, folded: str) -> bool:
    """Tell whether two characters are a name: 张伟 is one, 高 is a word."""
    return (
        entity == "PERSON"
        and len(folded) == 2
        and all("\u3400" <= char <= "\u9fff" for char in folded)
    )
