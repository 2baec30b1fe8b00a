"""The reason codes of the policies: whose side, what helps, in what words.

One table, `policies/vocabulary/reasons.json`, serves the gate (which codes
a service may hear), the person (plain words in each language) and the Rego
(remedies). A test holds it equal to the codes that the Rego uses.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from policy.bundle import policies_folder


class Side(StrEnum):
    """Whose doing a reason is."""

    SERVICE = "service"
    PERSON = "person"
    POSITIVE = "positive"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonEntry:
    """One code: its side, its remedy, its sentence in each language."""

    code: str
    side: Side
    remedy: str
    text: Mapping[str, str]


class ReasonTable:
    """Look-up of reason codes; an unknown code is the person's side.

    That default withholds information: a code that somebody forgot to
    classify is never told to a service.
    """

    def __init__(self, entries: Mapping[str, ReasonEntry]) -> None:
        self._entries = entries

    def side(self, code: str) -> Side:
        """Whose side `code` is on."""
        found = self._entries.get(code)
        return Side.PERSON if found is None else found.side

    def remedy(self, code: str) -> str:
        """What would help, as a code; ``none`` where nothing would."""
        found = self._entries.get(code)
        return "none" if found is None else found.remedy

    def text(self, code: str, language: str) -> str:
        """The sentence for the person; the code itself if there is none."""
        found = self._entries.get(code)
        if found is None:
            return code
        return found.text.get(language) or found.text["en"]


def reasons_file() -> bytes:
    """Read the table of the policies that this installation carries."""
    return (policies_folder() / "vocabulary" / "reasons.json").read_bytes()


def load_reasons(text: bytes) -> ReasonTable:
    """Read `policies/vocabulary/reasons.json`.

    Args:
        text: the file's content.

    Raises:
        ValueError: the file is not the table that it should be.

    """
    entries = [
        ReasonEntry(
            code=one["code"],
            side=Side(one["side"]),
            remedy=one["remedy"],
            text=one["text"],
        )
        for one in json.loads(text)
    ]
    return ReasonTable({one.code: one for one in entries})
