"""The sweep over facts: rows of consent and restraints against the ledger.

Whoever writes the data database alone can delete a withdrawal, or give a
refusal to somebody else, and nothing in the row's table shows it. The entry
of each act is in the ledger, sealed under the person's log key and named by
the tree: so a row without its entry, an entry without its row, and a row
that says other than its entry are found, by person.

What this rests on is `Ledger.verify`: an entry that was taken out of the
ledger together with its row is for that sweep to name. Rows that are as
their entries tell have to have their code as well, or nobody decides by them
(`policy.vouching`). Not compared is what entries do not tell: to which record
an answer belongs, and how often a rule's uses were counted.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine

from consent import ConsentStore, EntryUnreadable, Ledger
from policy.fact_rows import (
    KINDS,
    UNNAMED_WITHIN,
    Fact,
    FactKind,
    Told,
    differing,
    stored,
    told,
)
from policy.facts import is_damage, settled
from policy.restraints import RestraintKind, RestraintStore
from policy.vouching import Vouching
from vault import Vault, VaultError

_PAGE = 500
_LOOKS = 3
_KEY = frozenset({"service", "purpose"})
_CLOSED = (VaultError, EntryUnreadable)
_STRANGE = (TypeError, ValueError, LookupError, AttributeError)


class FactFault(StrEnum):
    """What the sweep can find wrong."""

    MISSING = "missing"
    MOVED = "moved"
    ALTERED = "altered"
    ADDED = "added"
    UNREADABLE = "unreadable"
    UNVOUCHED = "unvouched"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactFinding:
    """One thing that the sweep found wrong.

    Attributes:
        fault: what.
        subject: whose the row was, by the ledger; of one that was added, at
            whose place it stands. None where the id is none.
        kind: what the row is; None where nothing of the person reads.
        name: id of an answer or a restraint, number of a version of rules.
        entry: index of the entry that tells of it, or None.
        columns: of one that was altered or moved, what differs.
        found: of one that was moved to somebody else, to whom.

    """

    fault: FactFault
    subject: UUID | None
    kind: FactKind | None = None
    name: str = ""
    entry: int | None = None
    columns: tuple[str, ...] = ()
    found: UUID | None = None


@dataclass(slots=True)
class _Person:
    """What a look at one person found.

    Attributes:
        findings: what is wrong for certain.
        missing: what entries demand and no row of theirs gives.
        extra: rows that no entry of theirs demands.
        told: what their chain tells.
    """

    findings: list[FactFinding]
    missing: list[Fact]
    extra: list[Fact]
    told: Told

    def sound(self) -> bool:
        return not (self.findings or self.missing or self.extra)


class FactSweep:
    """One sweep over one tenant; made anew for each.

    Args:
        engine: the data database.
        vault: gives the log keys of everybody with a live key.
        consents: answers and rules.
        restraints: restraints.
        vouching: checks the code of what is stored of somebody.
        ledgers: those of former names first, the present one last.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        vault: Vault,
        consents: ConsentStore,
        restraints: RestraintStore,
        vouching: Vouching,
        ledgers: Sequence[Ledger],
    ) -> None:
        self._vouching = vouching
        self._engine = engine
        self._vault = vault
        self._consents = consents
        self._restraints = restraints
        self._ledgers = ledgers
        # Held until all people were seen: a row may stand elsewhere.
        self._missing: list[Fact] = []
        self._extra: list[Fact] = []
        self._frozen_at: list[int] = []

    def run(
        self, progress: Callable[[int], None] = lambda _: None
    ) -> Iterator[FactFinding]:
        """Compare everybody's rows with their entries.

        Runs beside a writer: what differs is looked at again, once entries
        that were pending have their index.

        Args:
            progress: told how many people a page had.

        Yields:
            Findings by subject id, entry and row id, never a value.

        """
        after: UUID | None = None
        while page := self._vault.keys.page(after, limit=_PAGE):
            for subject in page:
                yield from self._person(subject)
            progress(len(page))
            after = page[-1]
        yield from self._nobodys()
        yield from self._elsewhere()

    def _person(self, subject: UUID) -> Iterator[FactFinding]:
        for _ in range(_LOOKS):
            try:
                found = self._look(subject)
            except Exception as error:
                if not (is_damage(error) or isinstance(error, _CLOSED)):
                    raise
                found = None
            if found is not None and found.sound():
                break
            # An entry may be pending, and a person just erased.
            self._ledgers[-1].settle()
        if found is None:
            yield FactFinding(fault=FactFault.UNREADABLE, subject=subject)
            return
        if found.sound() and subject != self._vault.decoy():
            yield from self._unvouched(subject)
        yield from found.findings
        self._missing += found.missing
        self._extra += found.extra
        self._frozen_at += found.told.frozen_at

    def _unvouched(self, subject: UUID) -> Iterator[FactFinding]:
        """Find somebody whose rows are right, and the code of them is not."""
        with self._engine.connect().execution_options(read_only=True) as conn:
            if not self._vault.epoch(conn, subject):
                return  # enrolled, and never taken in
            try:
                settled(
                    self._consents,
                    conn,
                    (subject,),
                    lambda: self._vouching.demand(conn, subject),
                )
            except Exception as error:
                if not is_damage(error):
                    raise
                yield FactFinding(fault=FactFault.UNVOUCHED, subject=subject)

    def _look(self, subject: UUID) -> _Person:
        keys: list[bytes] = []
        if subject != self._vault.decoy:
            keys = self._vault.log_keys(subject)
        with self._engine.connect().execution_options(read_only=True) as conn:
            entries = [
                one
                for ledger in self._ledgers
                for key in keys
                for one in ledger.acts(conn, key, KINDS)
            ]
            rows = self._rows(conn, subject)
        said = told(entries, rows)
        return _compared(subject, rows, said)

    def _rows(self, conn: Connection, subject: UUID) -> list[Fact]:
        return stored(
            subject,
            self._consents.kept(conn, subject),
            self._restraints.kept(conn, subject),
        )

    def _nobodys(self) -> Iterator[FactFinding]:
        """Take up rows of people whom no key opens."""
        for owners in (*self._consents.owners(), self._restraints.owners):
            after: Any = None
            while True:
                with self._engine.connect().execution_options(
                    read_only=True
                ) as conn:
                    page = owners(conn, after, _PAGE)
                if not page:
                    break
                after = page[-1]
                yield from self._without_key(page)

    def _without_key(self, page: Sequence[Any]) -> Iterator[FactFinding]:
        people: list[UUID] = []
        for raw in page:
            try:
                people.append(raw if isinstance(raw, UUID) else UUID(hex=raw))
            except _STRANGE:
                yield FactFinding(fault=FactFault.ADDED, subject=None)
        known = {one.subject for one in self._extra}
        closed = self._vault.keys.closed(people)
        for subject in people:
            if subject not in closed or subject in known:
                continue
            # Read after the key: an erasure under way took both by now.
            with self._engine.connect().execution_options(
                read_only=True
            ) as conn:
                self._extra += self._rows(conn, subject)

    def _elsewhere(self) -> Iterator[FactFinding]:
        """Pair rows that nobody's entry demands with what is missing."""
        waiting = {id(one): one for one in self._missing}
        by_name = {_identity(one): one for one in self._missing if one.name}
        by_text = {
            _content(one): one
            for one in self._missing
            if one.kind is FactKind.RULES
        }
        for row in self._extra:
            entry = by_name.get(_identity(row)) or by_text.get(_content(row))
            if entry is None or waiting.pop(id(entry), None) is None:
                if not self._unnamed(row):
                    yield FactFinding(
                        fault=FactFault.ADDED,
                        subject=row.subject,
                        kind=row.kind,
                        name=row.name,
                    )
                continue
            yield from _changed(row, entry)
        for entry in waiting.values():
            yield FactFinding(
                fault=FactFault.MISSING,
                subject=entry.subject,
                kind=entry.kind,
                name=entry.name,
                entry=entry.entry,
            )

    def _unnamed(self, row: Fact) -> bool:
        """Whether an old entry may have restricted use by this row."""
        return row.columns.get("kind") == RestraintKind.RESTRICTION and any(
            _near(row.columns["since"], at) for at in self._frozen_at
        )


def _compared(subject: UUID, rows: Sequence[Fact], said: Told) -> _Person:
    found = _Person([], [], [], said)
    left = {_identity(row): row for row in rows}
    pairs: list[tuple[Fact, Fact]] = []
    for entry in said.facts:
        row = left.pop(_identity(entry), None) if entry.name else None
        if row is None and not entry.name:
            row = _like(left, entry)
        if row is None:
            found.missing.append(entry)
        else:
            pairs.append((row, entry))
            found.findings += _changed(row, entry)
    found.findings += _out_of_order(subject, pairs)
    found.extra += [
        row
        for row in left.values()
        if not (
            row.kind is FactKind.RULES
            and any(_near(row.columns["at"], at) for at in said.merged_at)
        )
    ]
    return found


def _like(left: dict[tuple[Any, ...], Fact], entry: Fact) -> Fact | None:
    """Take the row that an entry means without naming it."""
    for key, row in left.items():
        if not {"kind", "purpose", "since"} & {*differing(row, entry)}:
            return left.pop(key)
    return None


def _changed(row: Fact, entry: Fact) -> Iterator[FactFinding]:
    columns = differing(row, entry)
    elsewhere = row.subject != entry.subject
    if not columns and not elsewhere:
        return
    # A row that does not read may still stand where it stood.
    moved = elsewhere or (row.columns and not _KEY.isdisjoint(columns))
    yield FactFinding(
        fault=FactFault.MOVED if moved else FactFault.ALTERED,
        subject=entry.subject,
        kind=entry.kind,
        name=entry.name or row.name,
        entry=entry.entry,
        columns=columns,
        found=row.subject if elsewhere else None,
    )


def _out_of_order(
    subject: UUID, pairs: Sequence[tuple[Fact, Fact]]
) -> Iterator[FactFinding]:
    """Name answers that do not stand in the order they were given."""
    answers = [
        (row.place, entry)
        for row, entry in pairs
        if entry.kind is FactKind.ANSWER
    ]
    for (before, _), (place, entry) in pairwise(answers):
        if not (
            isinstance(before, int)
            and isinstance(place, int)
            and before < place
        ):
            yield FactFinding(
                fault=FactFault.ALTERED,
                subject=subject,
                kind=entry.kind,
                name=entry.name,
                entry=entry.entry,
                columns=("revision",),
            )


def _identity(fact: Fact) -> tuple[Any, ...]:
    """What a row is found by: rules by their number, all else by an id."""
    if fact.kind is FactKind.RULES:
        return fact.kind, fact.subject, fact.name
    return fact.kind, fact.name


def _content(fact: Fact) -> tuple[Any, ...]:
    """What rules are found by where they got another number or owner."""
    return fact.kind, fact.columns.get("text"), fact.columns.get("at")


def _near(at: object, entry: int) -> bool:
    return isinstance(at, int) and 0 <= entry - at <= UNNAMED_WITHIN
