"""What an officer asks of emergency access, and how it is put to the policies.

Names are brought to one spelling before anything is compared or counted, and
what no entry could hold is refused before anybody is looked up.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from policy.authority import Caller
from policy.classification import Classification
from policy.errors import RequestInvalid
from policy.glass_store import Glass, Recent, folded
from policy.pdp import JSON

SCHEMA = "curtilage/glass/1"
_LONGEST_REASON, _LONGEST_CASE, _LONGEST_NAME = 500, 100, 128
# No database and no entry holds a NUL, or half of a pair.
_UNSOUND = re.compile("[\x00\ud800-\udfff]")


class Step(StrEnum):
    """What an officer does; the first three are asked of the policies."""

    REQUEST = "request"
    OPEN = "open"
    APPROVE = "approve"
    END = "end"
    SHOW = "show"


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """Whose attributes are needed, and for what.

    Attributes:
        subject: the person.
        purpose: one that the policies open in an emergency.
        attributes: named one by one.
    """

    subject: UUID
    purpose: str
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What decides a step, and the revision that it was read under.

    Attributes:
        now: POSIX seconds.
        revision: the person's fact revision.
        person: whether they are known.
        restricted: whether use of their data is.
        recent: what limits a request, as far as it is known whose it was.
        forged: rows of which that is not known; each counts in every limit.
    """

    now: int
    revision: int
    person: bool
    restricted: bool
    recent: Recent
    forged: int = 0


# An approval is about a grant; nothing is asked about the person.
NOBODY = Known(
    now=0,
    revision=0,
    person=False,
    restricted=False,
    recent=Recent(officer=0, person=0, alerts=0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One step, as the policies are asked about it."""

    step: Step
    officer: str
    ask: Emergency
    known: Known
    reason: str = ""
    case: str = ""
    glass: Glass | None = None
    same_person: bool = False

    def document(
        self, classification: Mapping[str, Classification]
    ) -> dict[str, JSON]:
        """The document of ``curtilage/glass/1``; no value is in it."""
        return {
            "schema": SCHEMA,
            "now": self.known.now,
            "step": self.step.value,
            "officer": self.officer,
            "request": {
                "purpose": self.ask.purpose,
                "attributes": list(self.ask.attributes),
            },
            "stated": {"reason": self.reason, "case": self.case},
            "catalogue": {
                name: {"sensitivity": found.sensitivity}
                for name in self.ask.attributes
                if (found := classification.get(name)) is not None
            },
            "person": {
                "known": self.known.person,
                "restricted": self.known.restricted,
            },
            "recent": {
                "officer": self.known.recent.officer + self.known.forged,
                "person": self.known.recent.person + self.known.forged,
                "alerts": self.known.recent.alerts,
            },
            "grant": self._grant(),
        }

    def _grant(self) -> dict[str, JSON] | None:
        glass = self.glass
        if glass is None:
            return None
        return {
            "officer": folded(glass.officer),
            "purpose": glass.purpose,
            "attributes": list(glass.attributes),
            "approver": glass.approver,
            "ended": glass.ended_at is not None,
            "same_person": self.same_person,
            "seen": glass.seen,
            "deadline": glass.deadline,
            "ends": glass.ends,
        }


def refuse_unsound(
    officer: str, *, purpose: str = "", reason: str = "", case: str = ""
) -> None:
    """Refuse names and words that no entry could hold.

    Raises:
        RequestInvalid: one is too long, or no text, or the officer's empty.

    """
    if not officer:
        msg = "an officer has a name"
        raise RequestInvalid(msg)
    for said, longest in (
        (officer, _LONGEST_NAME),
        (purpose, _LONGEST_NAME),
        (reason, _LONGEST_REASON),
        (case, _LONGEST_CASE),
    ):
        if len(said) > longest or _UNSOUND.search(said):
            msg = (
                f"a reason has at most {_LONGEST_REASON} characters, the "
                f"reference of a case {_LONGEST_CASE}, and the name of an "
                f"officer or a purpose {_LONGEST_NAME}"
            )
            raise RequestInvalid(msg)


def one_spelling(officer: Caller) -> Caller:
    """The officer by the one spelling that limits and grants go by."""
    return replace(officer, id=folded(officer.id))
