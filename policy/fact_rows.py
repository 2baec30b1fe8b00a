"""Rows of a person's facts beside what ledger entries say of them.

A row that decides something has an entry in the person's chain, written in
the row's transaction. Both are brought here into one form, so that they can
be compared: what an entry leaves unsaid is not compared. Entries of earlier
versions say less: of a restraint and of a version of rules only when, of an
answer neither its end nor its language.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from uuid import UUID

from consent import (
    ConsentEvent,
    EntryKind,
    EventType,
    Kept,
    KeptMandate,
    OwnEntry,
)
from policy.decisions import Json
from policy.person import OWN_PURPOSE
from policy.restraints import KeptRestraint, RestraintKind

KINDS = frozenset(
    {
        EntryKind.CONSENT,
        EntryKind.PREFERENCE,
        EntryKind.RESTRICTION,
        EntryKind.OBJECTION,
        EntryKind.ERASURE,
        EntryKind.MERGE,
    }
)
"""Kinds of entries that may say that a row was written."""
UNNAMED_WITHIN = 5
"""Seconds between a row and an entry that does not name it."""
_MANDATE = (
    "id",
    "subject",
    "actor",
    "kind",
    "proof",
    "scope",
    "officer",
    "valid_from",
    "valid_until",
    "of_age",
    "recorded_at",
)
_ALLOWING = {EventType.GIVEN.value, EventType.RENEWED.value}


class FactKind(StrEnum):
    """What a row is."""

    ANSWER = "answer"
    RULES = "rules"
    RESTRAINT = "restraint"
    MANDATE = "mandate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A row, or what an entry says of one.

    Attributes:
        kind: what it is.
        subject: whose it is.
        name: id of an answer or a restraint, number of a version of rules;
            empty where an entry names no restraint.
        columns: by name; of an entry those that it tells.
        entry: index of the entry; None for a row.
        place: of a row, where it stands among the person's answers.
    """

    kind: FactKind
    subject: UUID
    name: str
    columns: Mapping[str, object]
    entry: int | None = None
    place: object = None


@dataclass(slots=True)
class Told:
    """What a chain tells.

    Attributes:
        facts: rows that must be there, in the order of the entries.
        frozen_at: when a waiting erasure restricted use, by entries that do
            not say which rows did.
        merged_at: when rules were perhaps carried over, likewise.
    """

    facts: list[Fact] = field(default_factory=list)
    frozen_at: list[int] = field(default_factory=list)
    merged_at: list[int] = field(default_factory=list)


def stored(
    subject: UUID, kept: Kept, restraints: Sequence[KeptRestraint]
) -> list[Fact]:
    """Give a person's rows; one that does not read has no columns."""
    return [
        *(
            Fact(
                kind=FactKind.ANSWER,
                subject=subject,
                name=name,
                columns={} if event is None else _answer(event),
                place=place,
            )
            for place, name, event in kept.events
        ),
        *(
            Fact(
                kind=FactKind.RULES,
                subject=subject,
                name=str(version),
                columns={"at": at, "text": _digest(text)},
            )
            for version, at, text in kept.rules
        ),
        *(
            Fact(
                kind=FactKind.MANDATE,
                subject=subject,
                name=one.id,
                columns=_mandate(one),
            )
            for one in kept.mandates
        ),
        *(
            Fact(
                kind=FactKind.RESTRAINT,
                subject=subject,
                name=one.id,
                columns={
                    "kind": one.kind,
                    "purpose": one.purpose,
                    "since": one.since,
                    "until": one.until,
                    "evidence": one.evidence,
                },
            )
            for one in restraints
        ),
    ]


def told(
    entries: Iterable[tuple[UUID, OwnEntry]],
    rows: Iterable[Fact],
) -> Told:
    """Say which rows a person's entries demand.

    Args:
        entries: of the kinds `KINDS`, the oldest first.
        rows: the person's; of mandates whose entries do not tell when a
            minor comes of age, and what a guardian allows ends with that.
    """
    found = Told()
    ages = {
        one.name: one.columns.get("of_age")
        for one in rows
        if one.kind is FactKind.MANDATE
    }
    versions: dict[UUID, int] = {}
    for subject, entry in entries:
        if entry.kind is EntryKind.CONSENT:
            _consented(found, subject, entry, ages)
        elif entry.kind is EntryKind.MERGE:
            _carried(found, subject, entry, versions)
        elif entry.kind is EntryKind.PREFERENCE and entry.outcome == "set":
            _chosen(found, subject, entry, versions)
        elif entry.outcome == "signal-lifted":
            found.facts[:] = _lifted(found.facts, subject, entry)
        elif _freezes_unnamed(entry):
            found.frozen_at.append(entry.at)
        else:
            found.facts += _restrained(subject, entry)
    return found


def differing(row: Fact, entry: Fact) -> tuple[str, ...]:
    """Name the columns of a row that are not as its entry tells them.

    Of a row that does not read that is all of them.
    """
    renumbered = row.kind is FactKind.RULES and row.name != entry.name
    return (
        *(("version",) if renumbered else ()),
        *(
            name
            for name, value in entry.columns.items()
            if row.columns.get(name, _ABSENT) != value
        ),
    )


_ABSENT = object()


def _freezes_unnamed(entry: OwnEntry) -> bool:
    named = "restraint" in entry.detail
    return entry.kind is EntryKind.ERASURE and not named


def _consented(
    found: Told, subject: UUID, entry: OwnEntry, ages: dict[str, object]
) -> None:
    """Take up an answer, or a mandate that was recorded or ended."""
    detail = entry.detail
    if "event" in detail:
        found.facts.append(_answered(subject, entry, ages))
    elif entry.outcome == "ended":
        found.facts[:] = _ended(found.facts, entry)
    else:
        found.facts.append(_mandated(subject, entry))
        if "of_age" in detail:
            ages[str(detail["mandate"])] = detail["of_age"]


def _chosen(
    found: Told, subject: UUID, entry: OwnEntry, versions: dict[UUID, int]
) -> None:
    columns: dict[str, object] = {"at": entry.at}
    if "rules" in entry.detail:
        columns["text"] = entry.detail["rules"]
    number = versions[subject] = versions.get(subject, 0) + 1
    found.facts.append(
        _fact(FactKind.RULES, subject, entry, str(number), columns)
    )


def _fact(
    kind: FactKind,
    subject: UUID,
    entry: OwnEntry,
    name: str,
    columns: Mapping[str, object],
) -> Fact:
    return Fact(
        kind=kind,
        subject=subject,
        name=name,
        columns=columns,
        entry=entry.index,
    )


def _answer(event: ConsentEvent) -> dict[str, object]:
    return {
        "service": event.service,
        "purpose": event.purpose,
        "statement": event.statement,
        "declaration": event.declaration,
        "notice": event.notice,
        "served": event.served,
        "type": event.type.value,
        "attributes": event.attributes,
        "at": event.at,
        "expires_at": event.expires_at,
        "actor": event.actor,
        "channel": event.channel,
        "mandate": "" if event.mandate is None else str(event.mandate),
        "officer": event.officer,
        "language": event.language,
        "recorded_at": event.known_at,
    }


def _answered(
    subject: UUID, entry: OwnEntry, ages: Mapping[str, object]
) -> Fact:
    detail = entry.detail
    columns: dict[str, object] = {
        "service": entry.service,
        "purpose": entry.purpose,
        "type": entry.outcome,
        "attributes": entry.attributes,
        "at": detail["since"],
        **{
            name: detail[name]
            for name in (
                "statement",
                "declaration",
                "notice",
                "served",
                "actor",
                "channel",
                "mandate",
                "officer",
            )
        },
    }
    if "until" in detail:
        age = ages.get(str(detail["mandate"]))
        columns["expires_at"] = _end(detail["until"], entry.outcome, age)
        columns["language"] = detail["language"]
        columns["recorded_at"] = detail["recorded"]
    name = str(detail["event"])
    return _fact(FactKind.ANSWER, subject, entry, name, columns)


def _end(until: Json, outcome: str, of_age: object) -> object:
    """When an answer ends: what a guardian allows, once a minor is of age."""
    if not isinstance(of_age, int) or outcome not in _ALLOWING:
        return until
    return min(until, of_age) if isinstance(until, int) else of_age


def _mandate(row: KeptMandate) -> dict[str, object]:
    try:
        document = json.loads(str(row.text))
        return {
            **{name: document[name] for name in _MANDATE},
            "ended_at": row.ended_at,
            "ended_recorded_at": row.ended_recorded_at,
        }
    except (ValueError, LookupError, TypeError):
        return {}


def _mandated(subject: UUID, entry: OwnEntry) -> Fact:
    detail = entry.detail
    told_as = {
        "valid_from": "since",
        "valid_until": "until",
        "of_age": "of_age",
        "recorded_at": "recorded",
    }
    columns: dict[str, object] = {
        "id": detail["mandate"],
        "subject": str(subject),
        **{
            name: detail[name]
            for name in ("actor", "kind", "proof", "scope", "officer")
        },
        **{
            name: detail[member]
            for name, member in told_as.items()
            if member in detail
        },
        "ended_at": None,
        "ended_recorded_at": None,
    }
    name = str(detail["mandate"])
    return _fact(FactKind.MANDATE, subject, entry, name, columns)


def _ended(facts: Iterable[Fact], entry: OwnEntry) -> Iterator[Fact]:
    """Let a mandate end as its entry says."""
    for one in list(facts):
        if (one.kind, one.name) == (FactKind.MANDATE, entry.detail["mandate"]):
            columns = {**one.columns, "ended_recorded_at": entry.at}
            del columns["ended_at"]
            if "until" in entry.detail:
                columns["ended_at"] = entry.detail["until"]
            yield replace(one, columns=columns)
        else:
            yield one


def _carried(
    found: Told, subject: UUID, entry: OwnEntry, versions: dict[UUID, int]
) -> None:
    if "preferences" not in entry.detail:
        found.merged_at.append(entry.at)
    elif isinstance(carried := entry.detail["preferences"], Mapping):
        number = versions[subject] = versions.get(subject, 0) + 1
        columns = {"text": carried["rules"]}
        found.facts.append(
            _fact(FactKind.RULES, subject, entry, str(number), columns)
        )


def _restrained(subject: UUID, entry: OwnEntry) -> Iterator[Fact]:
    """Say which restraint an entry imposed, if it did."""
    detail = entry.detail
    purpose, evidence = "", None
    if entry.kind is EntryKind.OBJECTION:
        kind = RestraintKind.OBJECTION
        purpose = "" if entry.purpose == OWN_PURPOSE else entry.purpose
    elif entry.outcome == "signal":
        kind = RestraintKind.SIGNAL
        purpose, evidence = str(detail["signal"]), detail["where"]
    elif entry.kind is EntryKind.RESTRICTION or detail.get("restraint"):
        kind = RestraintKind.RESTRICTION
    else:
        return
    columns = {
        "kind": kind.value,
        "purpose": purpose,
        "since": entry.at,
        "until": None,
        "evidence": evidence,
    }
    name = str(detail.get("restraint", ""))
    yield _fact(FactKind.RESTRAINT, subject, entry, name, columns)


def _lifted(
    facts: Iterable[Fact], subject: UUID, entry: OwnEntry
) -> Iterator[Fact]:
    """Let what stood of a signal end with the entry that lifts it."""
    standing = {
        "kind": RestraintKind.SIGNAL.value,
        "purpose": entry.detail["signal"],
        "until": None,
    }
    for one in list(facts):
        if one.subject == subject and standing.items() <= one.columns.items():
            yield replace(one, columns={**one.columns, "until": entry.at})
        else:
            yield one


def _digest(text: object) -> str:
    if isinstance(text, str):
        return hashlib.sha256(text.encode()).hexdigest()
    return ""
