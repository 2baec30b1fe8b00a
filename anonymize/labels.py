"""Numbered labels in place of what was found: ``<PERSON_3>``.

A number stands for one value in one release, and no two values share one.
Numbers are given in the order of publication, when the order of the rows is
no longer that of the vault.
"""

from collections.abc import Iterable
from dataclasses import dataclass


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

    def __init__(self) -> None:
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

    def _label(self, mention: Mention) -> str:
        number = self._numbers.get(mention)
        if number is None:
            number = self._counts.get(mention.entity, 0) + 1
            self._counts[mention.entity] = number
            self._numbers[mention] = number
        return f"<{mention.entity}_{number}>"
