"""Known values: what the vault knows of a person, found in their texts.

Every occurrence of a person's own values is found, whatever its case,
width, accents, spaces and hyphens, and in these forms besides: the parts of
a name and its orders, glued or with an initial; a Chinese name with its
given name masked (张*) or as surname and form of address (张先生); numbers
and addresses of mail with their middle masked (138****1234); a telephone
number with its country code. Other scripts of a name, such as pinyin, are
for the caller to add.

Boundaries: a value that begins or ends with a Latin, Greek or Cyrillic
letter does not match inside a longer word, and a number of fewer than seven
digits does not match inside a longer number. A surname of one Chinese
character is an ordinary word (高, 马, 王): by itself it is not looked for,
only in a full name or in the forms above.

The automaton holds personal data: it lives for one text and is dropped.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations

from anonymize.errors import MissingExtra
from anonymize.folding import Folded, compact

try:
    from ahocorasick_rs import AhoCorasick
except ImportError as missing:
    raise MissingExtra(library="ahocorasick-rs") from missing

PERSON = "PERSON"
_ADDRESS = "ADDRESS"
_PHONE = "PHONE"
_LETTERS_END = 0x0530  # Latin, Greek and Cyrillic stand below
_EXTENDED = range(0x1E00, 0x2000)  # Latin and Greek with more accents
_LONG_NUMBER = 7
_NAMES = 6
_PARTICLES = frozenset(
    {
        "al",
        "bin",
        "da",
        "das",
        "de",
        "del",
        "den",
        "der",
        "di",
        "dos",
        "du",
        "el",
        "het",
        "la",
        "le",
        "les",
        "och",
        "of",
        "san",
        "the",
        "und",
        "van",
        "von",
        "y",
        "zu",
    }
)
_FORMS_OF_ADDRESS = (
    "*", "某", "先生", "女士", "小姐", "太太", "老师", "医生", "同志",
)  # fmt: skip
_MASKS = ((3, 4), (6, 4), (4, 4), (3, 2), (3, 3), (2, 2), (1, 1), (0, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownValue:
    """A value that is known of a person.

    Attributes:
        entity: label that it gets in a text, such as PERSON or PHONE.
        text: the value.
    """

    entity: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """An occurrence of a known value in a text.

    Attributes:
        entity: its label.
        key: the same for all forms of a value.
        start: first character in the text.
        end: one after the last.
    """

    entity: str
    key: str
    start: int
    end: int


class KnownValues:
    """Finds the values of one person."""

    def __init__(
        self, values: Iterable[KnownValue], *, forms_too: bool = True
    ) -> None:
        """Prepare the forms of the values.

        Args:
            values: what is known of the person; empty ones are passed over.
            forms_too: look for the forms besides the values.
        """
        listed = [*values]
        wanted = _forms(listed) if forms_too else _plainly(listed)
        forms: dict[str, tuple[str, str]] = {}
        for entity, key, form in wanted:
            folded = compact(form).text
            if folded and folded != "*":
                forms.setdefault(folded, (entity, key))
        self._of = [*forms.values()]
        self._finder = AhoCorasick([*forms]) if forms else None

    def find(self, text: str, folded: Folded | None = None) -> list[Match]:
        """Return every occurrence, overlapping ones too.

        Args:
            text: the text as it stands.
            folded: its compact form, where the caller has it already.
        """
        if self._finder is None:
            return []
        folded = folded or compact(text)
        found = self._finder.find_matches_as_indexes(
            folded.text, overlapping=True
        )
        return [
            self._match(folded, number, start, end)
            for number, start, end in found
            if bounded(text, folded, start, end)
        ]

    def _match(
        self, folded: Folded, number: int, start: int, end: int
    ) -> Match:
        entity, key = self._of[number]
        first, last = folded.original(start, end)
        return Match(entity=entity, key=key, start=first, end=last)


def bounded(text: str, folded: Folded, start: int, end: int) -> bool:
    """Tell whether an occurrence is not the inside of something longer."""
    first, last = folded.original(start, end)
    found = folded.text[start:end]
    before = text[first - 1] if first else ""
    after = text[last : last + 1]
    if _is_letter(before) and _is_letter(text[first]):
        return False
    if _is_letter(after) and _is_letter(text[last - 1]):
        return False
    if sum(map(str.isdecimal, found)) >= _LONG_NUMBER:
        return True
    return not (
        (before.isdecimal() and found[0].isdecimal())
        or (after.isdecimal() and found[-1].isdecimal())
    )


def _is_letter(char: str) -> bool:
    return char.isalpha() and (
        ord(char) < _LETTERS_END or ord(char) in _EXTENDED
    )


def _plainly(values: Sequence[KnownValue]) -> Iterable[tuple[str, str, str]]:
    for value in values:
        yield value.entity, compact(value.text).text, value.text


def _forms(values: Sequence[KnownValue]) -> Iterable[tuple[str, str, str]]:
    """Yield entity, key and text of every form of the values."""
    names = [value.text for value in values if value.entity == PERSON]
    for value in values:
        key = compact(value.text).text
        if value.entity == PERSON:
            forms = _name_forms(value.text)
        else:
            forms = _value_forms(value)
        for form in forms:
            yield value.entity, key, form
    for first, second in permutations(names[:_NAMES], 2):
        key = compact(" ".join(sorted((first, second)))).text
        for form in _joined(first, second):
            yield PERSON, key, form


def _name_forms(name: str) -> Iterable[str]:
    folded = compact(name).text
    if not folded:
        return
    if _is_chinese(folded):
        yield from _chinese_forms(folded)
        return
    yield name
    parts = [part for part in re.split(r"[\s,·・]+", name) if part]
    for part in parts:
        if len(part) > 1 and part.casefold() not in _PARTICLES:
            yield part
    if len(parts) > 1:
        yield from _joined(parts[0], parts[-1])
        yield from _joined(parts[-1], parts[0])


def _joined(first: str, second: str) -> Iterable[str]:
    yield first + second
    if not _is_chinese(compact(first + second).text):
        for short in (first[0], first[0] + "*"):
            yield short + second
            yield second + short
        yield first[0] + "*" + second[0] + "*"


def _chinese_forms(name: str) -> Iterable[str]:
    if len(name) == 1:
        yield from (name + form for form in _FORMS_OF_ADDRESS)
        return
    yield name
    surnames = [name[:1]] if len(name) < 4 else [name[:2], name[:1]]
    for surname in surnames:
        yield from (surname + form for form in _FORMS_OF_ADDRESS)
    yield "*" + name[-1]
    yield name[0] + "*" + name[-1]


def _value_forms(value: KnownValue) -> Iterable[str]:
    text = value.text
    yield text
    if value.entity == _ADDRESS:
        parts = re.split(r"[\n,;，；]+", text)
        yield from (part for part in parts if len(compact(part).text) > 4)
        return
    bare = compact(text).text
    name, at, domain = text.partition("@")
    if at:
        yield from (name[:kept] + "*" + at + domain for kept in (0, 1, 2, 3))
        return
    numbers = [bare, *(_national(bare) if value.entity == _PHONE else ())]
    for number in numbers:
        yield number
        if len(number) > _LONG_NUMBER and number.isalnum():
            for head, tail in _MASKS:
                yield number[:head] + "*" + number[-tail:]


def _national(number: str) -> Iterable[str]:
    """Yield what a number is without its country code or its leading 0."""
    if not number.isdecimal() or len(number) <= _LONG_NUMBER:
        return
    bare = number.lstrip("0")
    yield bare
    for code in range(1, 4):
        if len(bare) - code >= _LONG_NUMBER:
            yield bare[code:]


def _is_chinese(text: str) -> bool:
    return bool(text) and all("\u3400" <= c <= "\u9fff" for c in text)
