"""Ledger entries as they are read back: by the person, and by the officer.

Both are read from bodies that have just been held against the leaf.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from consent.canonical import Json
from consent.entries import EntryKind, Opened


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEntry:
    """An entry as the person sees it.

    Attributes:
        index: Position in the ledger.
        counter: The how many-th entry about this person, from 1.
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
    """

    index: int
    leaf: bytes
    service: str
    purpose: str
    day: date
    body: "AuditBody | None"

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


def read_own(index: int, leaf: bytes, opened: Opened) -> OwnEntry:
    """Read the two bodies of an entry that is known to match its leaf."""
    own = json.loads(opened.subject_body)
    audit = json.loads(opened.audit_body)
    return OwnEntry(
        index=index,
        counter=own["counter"],
        leaf=leaf,
        kind=EntryKind(audit["kind"]),
        service=audit["service"],
        purpose=audit["purpose"],
        attributes=tuple(audit["attributes"]),
        outcome=audit["outcome"],
        at=audit["time"],
        decision=UUID(audit["decision"]),
        detail=own["detail"],
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
    )
