"""Counting past decisions by their situation, a page of people at a time.

Nothing of a stored decision can be read but by its person's key, so this
goes through the people: a page of keys is unwrapped, the decisions under
their tags and the answers that they refer to are read in one query each, and
of every person each situation counts once. What is kept is the count, the
combined mark of whose it is, and where the scan stands.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from consent import ConsentEvent, ConsentStore, Declaration, StoredPreferences
from policy.reading import Reader
from policy.situations import (
    Months,
    Standing,
    instant_of,
    situation,
    standing_of,
)
from policy.store import TAG, DecisionStore, Parted, parted
from vault import CryptoFailure, NoteBox, Position, Vault

PAGE = 400
_MOST_KEPT = 50_000
_SCHEMA = "curtilage/impact-scan/2"
_LABEL = "impact-scan"


@dataclass(slots=True, kw_only=True)
class Scan:
    """What was counted so far.

    Attributes:
        months: which months, by name.
        erasures: where the erasure journal stood when it began.
        after: the last person counted; None before the first.
        opened: how many decisions were opened.
        people: how many people each situation had.
        cells: exclusive or of the marks of each situation's people.
        rules: text of the preferences in them, by digest.
    """

    months: tuple[str, ...]
    erasures: Position
    after: UUID | None = None
    opened: int = 0
    people: Counter[str] = field(default_factory=Counter)
    cells: dict[str, int] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)


class ScanFile:
    """Where a scan that was stopped waits, sealed.

    It holds what is about single people, so no erasure leaves it: `drop` is
    a step of each, and a scan that began before one is never kept after.

    Args:
        path: the file.
        key: 32 bytes that seal it: exact counts are nobody's to read.
        erasures: says where the erasure journal stands, whoever wrote to it.
    """

    def __init__(
        self, path: Path, key: bytes, erasures: Callable[[], Position]
    ) -> None:
        self._path = path
        self._unfinished = path.with_suffix(".part")
        self._box = NoteBox(key, random=os.urandom)
        self._erasures = erasures

    def load(self, names: tuple[str, ...]) -> Scan:
        """The scan of these months that was stopped, or a new one.

        Any other that is found, and one of before an erasure, is dropped.

        Raises:
            JournalUnavailable: the erasure journal cannot be read.
        """
        erasures = self._erasures()
        with suppress(FileNotFoundError, CryptoFailure):
            found = json.loads(
                self._box.unseal(_LABEL, self._path.read_bytes())
            )
            if [found["schema"], found["months"], found["erasures"]] == [
                _SCHEMA,
                list(names),
                _place(erasures),
            ]:
                return Scan(
                    months=names,
                    erasures=erasures,
                    after=UUID(found["after"]),
                    opened=found["opened"],
                    people=Counter(found["people"]),
                    cells=found["cells"],
                    rules=found["rules"],
                )
        self.drop()
        return Scan(months=names, erasures=erasures)

    def save(self, scan: Scan) -> None:
        """Keep a scan, whole or not at all.

        Not if somebody was erased since it began: they may be in it.

        Raises:
            JournalUnavailable: the erasure journal cannot be read.
        """
        if self._erasures() != scan.erasures:
            self.drop()
            return
        body = json.dumps(
            {
                "schema": _SCHEMA,
                "months": scan.months,
                "erasures": _place(scan.erasures),
                "after": str(scan.after),
                "opened": scan.opened,
                "people": scan.people,
                "cells": scan.cells,
                "rules": scan.rules,
            }
        )
        self._unfinished.touch(0o600)
        self._unfinished.write_bytes(self._box.seal(_LABEL, body.encode()))
        # An erasure meanwhile may have dropped it.
        with suppress(FileNotFoundError):
            self._unfinished.replace(self._path)
        # One whose drop came before this file did is in the journal by now.
        if self._erasures() != scan.erasures:
            self.drop()

    def drop(self) -> None:
        """Forget it; again is harmless."""
        self._path.unlink(missing_ok=True)
        self._unfinished.unlink(missing_ok=True)


def _place(position: Position) -> list[int | str]:
    return [position.number, position.mac.hex()]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    """One person's answers, while their decisions are counted."""

    subject: UUID
    log: dict[str, ConsentEvent]
    referred: dict[bytes, list[ConsentEvent] | None] = field(
        default_factory=dict
    )


class Scanner:
    """Counts the situations of one tenant's past decisions.

    Args:
        vault: whose people.
        consents: where their answers and preferences are.
        decisions: where their decisions are.
        reader: reads them.
        mark: gives the mark of a person (`policy.impact_guard`).
        page: of how many people a page is.
    """

    def __init__(
        self,
        *,
        vault: Vault,
        consents: ConsentStore,
        decisions: DecisionStore,
        reader: Reader,
        mark: Callable[[UUID], int],
        page: int = PAGE,
    ) -> None:
        self._vault = vault
        self._consents = consents
        self._decisions = decisions
        self._reader = reader
        self._mark = mark
        self._size = page
        self._rules: dict[tuple[UUID, int], StoredPreferences | None] = {}
        # Immutable under their digests.
        self._declared: dict[str, Declaration | None] = {}
        # Most decisions are like others; kept texts bound time, not truth.
        self._rests: dict[bytes, Mapping[str, Any]] = {}
        self._texts: dict[tuple[bytes, int, Standing, str], str] = {}

    def total(self, within: Months) -> int:
        """How many decisions there are to open."""
        return self._reader.now(
            lambda conn: self._decisions.count(
                conn, within.since, within.until
            )
        )

    def pages(self, scan: Scan, within: Months) -> Iterator[int]:
        """Count on, from where a scan stands.

        Args:
            scan: is added to.
            within: its months.

        Yields:
            After each page of people: how many decisions it had. The scan
            may be kept then.

        Raises:
            CryptoFailure: a decision was altered.
        """
        ring = self._vault.keyring(scan.after)
        while page := list(islice(ring, self._size)):
            opened = self._reader.now(
                partial(self._page, page=page, scan=scan, within=within)
            )
            scan.after = page[-1][0]
            scan.opened += opened
            yield opened

    def _page(
        self,
        conn: Connection,
        page: list[tuple[UUID, list[bytes]]],
        scan: Scan,
        within: Months,
    ) -> int:
        owners: dict[bytes, tuple[UUID, NoteBox]] = {}
        for subject, keys in page:
            for key in keys:
                box = NoteBox(key, random=os.urandom)
                owners[box.tag(TAG)] = subject, box
        found: dict[UUID, list[Parted]] = {}
        for tag, label, sealed in self._decisions.sealed(
            conn, list(owners), within.since, within.until
        ):
            subject, box = owners[tag]
            found.setdefault(subject, []).append(
                parted(box.unseal(label, sealed))
            )
        logs = self._consents.logs(conn, list(found))
        self._rules.clear()
        for subject, documents in found.items():
            person = _Person(
                subject=subject,
                log={str(one.id): one for one in logs.get(subject, ())},
            )
            texts = {
                text
                for one in documents
                if (text := self._situation(person, one, scan, within))
            }
            scan.people.update(texts)
            mark = self._mark(subject)
            for text in texts:
                scan.cells[text] = scan.cells.get(text, 0) ^ mark
        return sum(map(len, found.values()))

    def _situation(
        self, person: "_Person", one: Parted, scan: Scan, within: Months
    ) -> str | None:
        """The situation of a decision; None where a reference is gone."""
        found = self._rest(one.rest)
        events = self._events(person, one.events)
        stored = self._rules_of(person.subject, found["preferences"])
        digest = found["declaration"]
        declaration = None if digest is None else self._declaration(digest)
        if (
            stored is None
            or events is None
            or (digest is not None and declaration is None)
        ):
            return None
        preferences = stored.preferences
        instant = instant_of(
            one.now,
            declaration=declaration,
            preferences=preferences,
            within=within,
        )
        standing = standing_of(events, one.now, instant)
        key = (one.rest, instant, standing, preferences.digest)
        text = self._texts.get(key)
        if text is None:
            if len(self._texts) >= _MOST_KEPT:
                self._texts.clear()
            text = self._texts[key] = situation(
                found,
                instant=instant,
                standing=standing,
                preferences=preferences.digest,
            )
            scan.rules.setdefault(preferences.digest, preferences.text())
        return text

    def _rest(self, rest: bytes) -> Mapping[str, Any]:
        found = self._rests.get(rest)
        if found is None:
            if len(self._rests) >= _MOST_KEPT:
                self._rests.clear()
            found = self._rests[rest] = json.loads(rest)
        return found

    def _events(
        self, person: "_Person", listed: bytes
    ) -> list[ConsentEvent] | None:
        """The answers that a decision refers to; None where one is gone."""
        if listed in person.referred:
            return person.referred[listed]
        wanted = json.loads(listed)
        log = person.log
        if not log.keys() >= set(wanted):
            # Of a person with several records, another may have answered.
            for one in self._vault.members(person.subject):
                log |= {
                    str(event.id): event
                    for event in self._consents.all_events(one)
                }
        found = None
        if log.keys() >= set(wanted):
            found = [log[one] for one in wanted]
        person.referred[listed] = found
        return found

    def _declaration(self, digest: str) -> Declaration | None:
        if digest not in self._declared:
            self._declared[digest] = self._consents.declaration_by_digest(
                digest
            )
        return self._declared[digest]

    def _rules_of(
        self, subject: UUID, version: int
    ) -> StoredPreferences | None:
        key = (subject, version)
        if version == 0:
            key = (UUID(int=0), 0)
        if key not in self._rules:
            self._rules[key] = self._consents.preferences_at(subject, version)
        return self._rules[key]
