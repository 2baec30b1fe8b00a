"""Numbered labels in place of what was found.

Two styles: ``<PERSON_3>`` for machines, which extracts have, and
``Person 3`` for people. A number stands for one value in one release, and
no two values share one. Numbers are given in the order of publication, when
the order of the rows is no longer that of the vault.

A text that reads like a label already would collide with one of ours, so it
is found (`LITERAL`) and gets a label of its own.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

QUOTED = "QUOTED"
"""Kind of a text that reads like a label."""
_WORDS = {
    "CN_ID": "Identity number",
    "IP_ADDRESS": "Network address",
    "US_SSN": "Social security number",
    "ZIP_CODE": "Postcode",
    "LOCATION": "Place",
    "PLATE": "Licence plate",
    "QUOTED": "Quotation",
    "EMAIL": "Mail address",
    "IBAN": "Bank account",
}
LITERAL = re.compile(
    r"<[A-Z][A-Z_]{0,40}_[0-9]{1,9}>"
    r"|(?<![A-Za-z])(?:Person|Phone|Date|Address|Organization|Age|Card"
    r"|Account|Passport|Permit|Identifier|Attribute|House"
    rf"|{'|'.join(_WORDS.values())}) [0-9]{{1,7}}(?![ .-]?[0-9])"
)
"""What reads like a label in either style."""
LITERAL_HINT = re.compile(r"<[A-Z]|[A-Za-z] [0-9]")
"""What every such text has: quicker to look for."""


class Style(StrEnum):
    """How labels are written."""

    TAGS = "tags"
    WORDS = "words"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A place in a text where something personal stood.

    Attributes:
        entity: label of its kind, such as PERSON.
        key: what is the same for the same value; personal data.
    """

    entity: str
    key: str


@dataclass(frozen=True, slots=True)
class ScrubbedText:
    """A text without what was found in it.

    Attributes:
        pieces: text that stays, and mentions, in order.
    """

    pieces: tuple[str | Mention, ...]

    def outline(self) -> str:
        """Return the text with labels that have no number yet."""
        return "".join(
            piece if isinstance(piece, str) else f"<{piece.entity}>"
            for piece in self.pieces
        )

    def mentions(self) -> Iterable[Mention]:
        """Return the mentions in the order of the text."""
        return (each for each in self.pieces if isinstance(each, Mention))


class LabelBook:
    """Gives out the numbers of one release."""

    def __init__(self, style: Style = Style.TAGS) -> None:
        self._style = style
        self._numbers: dict[Mention, int] = {}
        self._counts: dict[str, int] = {}

    def write(self, text: ScrubbedText) -> str:
        """Return a text with numbered labels.

        Args:
            text: the scrubbed text.
        """
        return "".join(
            piece if isinstance(piece, str) else self._label(piece)
            for piece in text.pieces
        )

    def values(self) -> dict[str, int]:
        """Return how many different values got a label, by kind."""
        return dict(sorted(self._counts.items()))

    def _label(self, mention: Mention) -> str:
        number = self._numbers.get(mention)
        if number is None:
            number = self._counts.get(mention.entity, 0) + 1
            self._counts[mention.entity] = number
            self._numbers[mention] = number
        if self._style is Style.TAGS:
            return f"<{mention.entity}_{number}>"
        return f"{word_of(mention.entity)} {number}"


def word_of(entity: str) -> str:
    """Return the word for a kind: ``Person`` for PERSON.

    Args:
        entity: label of a kind.
    """
    return _WORDS.get(entity, entity.replace("_", " ").capitalize())
