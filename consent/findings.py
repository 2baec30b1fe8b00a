"""What a reader noticed in a text that it could read all the same.

A fault that leaves no safe reading is an error and ends the reading. For
everything else there is one rule: read what stands there as the widest that
it can mean, and say so. A strict reader stops at the first finding that is
an error by the letter of the specification (`Severity.ERROR`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Severity(StrEnum):
    """How much a finding matters.

    Attributes:
        ERROR: the specification does not allow it; a strict reader stops.
        WARNING: it is allowed, and hardly what the author meant.
        NOTE: nothing is wrong; the reader should know it.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was noticed.

    Attributes:
        where: the file or other source.
        line: from 1.
        column: from 1.
        code: what kind of thing, stable, such as ``no-data``.
        message: what it is and how it was read, in one sentence.
        severity: how much it matters.
    """

    where: str
    line: int
    column: int
    code: str
    message: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        """Return the finding as one line."""
        return (
            f"{self.where}:{self.line}:{self.column}: "
            f"{self.severity.value}: {self.message} [{self.code}]"
        )


class Place(Protocol):
    """Where something stands in a text."""

    @property
    def line(self) -> int:
        """The line, from 1."""

    @property
    def column(self) -> int:
        """The column, from 1."""


Note = Callable[[Place, str, str], None]
"""Reports a finding: at which place, its code, its message."""

# Codes that are no breach of a specification.
_SEVERITIES = {
    "absolute-pattern": Severity.WARNING,
    "always-said-twice": Severity.WARNING,
    "both-optional": Severity.WARNING,
    "expired": Severity.WARNING,
    "extension-dropped": Severity.NOTE,
    "identifiable": Severity.WARNING,
    "kept-and-not-kept": Severity.WARNING,
    "no-category-text": Severity.WARNING,
    "no-cover": Severity.WARNING,
    "odd-pattern": Severity.WARNING,
    "other-base": Severity.WARNING,
    "p3p-1.1": Severity.NOTE,
    "shadowed": Severity.WARNING,
    "test": Severity.NOTE,
    "unsaid": Severity.NOTE,
}


def notes_in(where: str, found: list[Finding]) -> Note:
    """Return what reports findings of one file into a list.

    Args:
        where: what to call the file.
        found: the list that grows.

    Returns:
        A function of a place, a code and a message.
    """

    def note(at: Place, code: str, message: str) -> None:
        found.append(
            Finding(
                where=where,
                line=at.line,
                column=at.column,
                code=code,
                message=message,
                severity=_SEVERITIES.get(code, Severity.ERROR),
            )
        )

    return note
