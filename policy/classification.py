"""How each attribute is classified, and how the gate makes it coarser.

Three facts about an attribute reach the policies and never its value:

- `sensitivity`: 1 ordinary, 2 identifying or financial, 3 a special
  category (GDPR article 9, PIPL article 28);
- `levels`: how many steps coarser the gate can make it (0: all or nothing);
- `role`: what it is in an extract (`direct` identifiers never leave).

A generalization is a pure function of the canonical text. It never looks
more than one attribute wide, so that what it keeps can be read off here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

Generalization = Callable[[str], str]


class Role(StrEnum):
    """What an attribute is in an extract."""

    DIRECT = "direct"
    QUASI = "quasi"
    SENSITIVE = "sensitive"
    TEXT = "text"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """One attribute's class; `steps[n - 1]` makes level n of it."""

    sensitivity: int
    role: Role
    steps: tuple[Generalization, ...] = ()

    @property
    def levels(self) -> int:
        """How many levels of generalization there are."""
        return len(self.steps)


def month(date: str) -> str:
    """``1987-04-23`` becomes ``1987-04``."""
    return date[:7]


def year(date: str) -> str:
    """``1987-04-23`` becomes ``1987``."""
    return date[:4]


def decade(date: str) -> str:
    """``1987-04-23`` becomes ``1980-1989``."""
    return f"{date[:3]}0-{date[:3]}9"


def band(width: int) -> Generalization:
    """Integers in bands of `width`: with 10, ``37`` becomes ``30-39``."""

    def step(number: str) -> str:
        low = int(number) // width * width
        return f"{low}-{low + width - 1}"

    return step


def prefix(length: int) -> Generalization:
    """The first `length` characters, then an asterisk."""

    def step(text: str) -> str:
        return f"{text[:length]}*"

    return step


def initial(text: str) -> str:
    """The first character and a full stop."""
    return f"{text[:1]}."


def domain(email: str) -> str:
    """``name@example.org`` becomes ``*@example.org``."""
    return f"*@{email.rpartition('@')[2]}"


def last_four(text: str) -> str:
    """Asterisks and the last four characters."""
    return f"{'*' * max(len(text) - 4, 4)}{text[-4:]}"


_DATE = (month, year, decade)
_ORDINARY = Classification(sensitivity=1, role=Role.OTHER)


def _direct(*steps: Generalization, sensitivity: int = 2) -> Classification:
    return Classification(
        sensitivity=sensitivity, role=Role.DIRECT, steps=steps
    )


def _quasi(*steps: Generalization, sensitivity: int = 1) -> Classification:
    return Classification(
        sensitivity=sensitivity, role=Role.QUASI, steps=steps
    )


def _sensitive(*steps: Generalization, sensitivity: int = 2) -> Classification:
    return Classification(
        sensitivity=sensitivity, role=Role.SENSITIVE, steps=steps
    )


def standard_classification() -> Mapping[str, Classification]:
    """Classify every attribute of the vault's standard catalogue.

    A test holds the two lists equal, so that a new attribute cannot enter
    the vault without somebody having said how delicate it is.
    """
    return _TABLE
