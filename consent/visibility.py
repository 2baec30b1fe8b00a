"""Visibility classes: when the person learns of an entry about them.

An entry is in the tree from second one whatever its class; the class says
when it is disclosed. What is withheld numbers in a chain of its own, so that
nothing of it shows in the one that the person sees (DESIGN, 13). The class
stands in the audit part, which is sealed and committed to; it is never a
column.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from consent.errors import DraftInvalid

LATEST = 253_402_300_799
_LARGEST_RULE = 2**31 - 1
_PARTS = 3


class Visibility(StrEnum):
    """When an entry is disclosed. A name is never given another meaning."""

    IMMEDIATE = "immediate"
    DELAYED = "delayed"
    SEALED = "sealed"
    LIFTED = "lifted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """Why an entry is not disclosed at once.

    Attributes:
        visibility: `DELAYED` or `SEALED`.
        until: POSIX seconds: when a delayed entry is disclosed, or when
            sealing must be reviewed.
        rule: Number of the rule of the body under which it is withheld.
    """

    visibility: Visibility
    until: int
    rule: int

    def __post_init__(self) -> None:
        if self.visibility not in {Visibility.DELAYED, Visibility.SEALED}:
            msg = "what is withheld is delayed or sealed"
            raise DraftInvalid(msg)
        if not 0 <= self.until <= LATEST:
            msg = "a date of disclosure or review is of a year up to 9999"
            raise DraftInvalid(msg)
        if not 0 <= self.rule <= _LARGEST_RULE:
            msg = "the number of a rule has 31 bits"
            raise DraftInvalid(msg)

    def __str__(self) -> str:
        return f"{self.visibility}/{self.until}/{self.rule}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote, out of a body that matched its leaf."""
        parts = text.split("/")
        if len(parts) != _PARTS:
            msg = "what is withheld reads class/until/rule"
            raise DraftInvalid(msg)
        return cls(
            visibility=Visibility(parts[0]),
            until=int(parts[1]),
            rule=int(parts[2]),
        )
