"""Ledger entries as they are read back: by the person, and by the officer.

Both are read from bodies that have just been held against the leaf.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from consent.canonical import Json
from consent.entries import EntryKind, Opened, Place
from consent.visibility import Visibility, Withheld


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEntry:
    """An entry as the person sees it.

    Attributes:
        index: Position in the ledger.
        counter: The how many-th entry of its chain, from 1; 0 for one that
            was withheld, as long as another before it still may be.
        withheld: Why it was not shown at once; ``None`` if it was.
        leaf: The 32 bytes of leaf data.
        kind: What happened.
        service: Who asked or acted.
        purpose: For which purpose.
        attributes: Names of the attributes concerned.
        outcome: How it ended.
        at: POSIX seconds.
        decision: The decision or act.
        detail: What is told to the person alone.
    """

    index: int
    counter: int
    leaf: bytes
    kind: EntryKind
    service: str
    purpose: str
    attributes: tuple[str, ...]
    outcome: str
    at: int
    decision: UUID
    detail: Mapping[str, Json]
    withheld: Withheld | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An entry as the officer sees it.

    Attributes:
        index: Position in the ledger.
        leaf: The 32 bytes of leaf data.
        service: Who asked or acted.
        purpose: For which purpose.
        day: The day, UTC.
        body: The rest; ``None`` once the entry's openings are erased.
        visibility: Whether the person may see it, and if not, why.
    """

    index: int
    leaf: bytes
    service: str
    purpose: str
    day: date
    body: "AuditBody | None"
    visibility: Visibility = Visibility.IMMEDIATE

    @property
    def erased(self) -> bool:
        """Whether nothing but the side columns is left."""
        return self.body is None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditBody:
    """What only the audit key opens.

    Attributes:
        kind: What happened.
        service: Who asked or acted; equal to the side column.
        purpose: For which purpose; equal to the side column.
        attributes: Names of the attributes concerned.
        outcome: How it ended.
        at: POSIX seconds.
        decision: The decision or act.
        mark: Hexadecimal mark of the person for this month; empty where
            nobody is concerned.
        detail: Where nobody is concerned, what else was recorded.
        withheld: Why the person was not told at once, if they were not.
        trace: The caller's own trace and span, if they came.
    """

    kind: EntryKind
    service: str
    purpose: str
    attributes: tuple[str, ...]
    outcome: str
    at: int
    decision: UUID
    mark: str
    detail: Mapping[str, Json]
    withheld: Withheld | None = None
    trace: str | None = None


def read_own(
    index: int, leaf: bytes, opened: Opened, *, told: int = 0
) -> OwnEntry:
    """Read the two bodies of an entry that is known to match its leaf.

    Args:
        index: Position of the entry.
        leaf: Its leaf data.
        opened: Its bodies.
        told: Up to which counter the second chain is disclosed.

    Returns:
        The entry.

    """
    own = json.loads(opened.subject_body)
    audit = json.loads(opened.audit_body)
    place = opened.place
    return OwnEntry(
        index=index,
        counter=own["counter"] if place is None else _told(place, told),
        leaf=leaf,
        kind=EntryKind(audit["kind"]),
        service=audit["service"],
        purpose=audit["purpose"],
        attributes=tuple(audit["attributes"]),
        outcome=audit["outcome"],
        at=audit["time"],
        decision=UUID(audit["decision"]),
        detail=own["detail"],
        withheld=_withheld(audit),
    )


def read_audit(body: bytes) -> AuditBody:
    """Read an audit body that is known to match its leaf."""
    audit = json.loads(body)
    return AuditBody(
        kind=EntryKind(audit["kind"]),
        service=audit["service"],
        purpose=audit["purpose"],
        attributes=tuple(audit["attributes"]),
        outcome=audit["outcome"],
        at=audit["time"],
        decision=UUID(audit["decision"]),
        mark=audit["mark"],
        detail=audit.get("detail", {}),
        withheld=_withheld(audit),
        trace=audit.get("trace"),
    )


def _told(place: Place, told: int) -> int:
    return place.counter if place.counter <= told else 0


def _withheld(audit: Mapping[str, str]) -> Withheld | None:
    text = audit.get("withheld")
    return None if text is None else Withheld.parse(text)
