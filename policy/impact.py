"""What a candidate would have decided otherwise, in the past.

Every stored decision of whole months is opened once and counted by its
situation (`policy.impact_scan`); the counts are guarded, each by itself
(`policy.impact_guard`, which states the rule), and kept for whatever is asked
later (`policy.impact_months`); and the candidate decides each situation that
is left, once. So the figures say what services would have
gained or lost, and of nobody that it was them.

A candidate is compared with what was answered then. A declaration is taken
to have been in force, and answers to the versions before it mean under it
what they would mean when it is published.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from consent import (
    ConsentStore,
    Declaration,
    Preferences,
    StoredPreferences,
    read_preferences,
)
from policy.bundle import Bundle
from policy.decisions import Effect, parse_decision
from policy.embedded import EmbeddedPdp
from policy.facts import FactSource
from policy.gate import ENTRYPOINT, Gate
from policy.impact_guard import Guard
from policy.impact_months import MonthTables, Table
from policy.impact_scan import Scan, ScanFile, Scanner
from policy.pdp import NoDecision
from policy.replay import facts_of
from policy.situations import Months, Situation, read_situation
from policy.store import answer_document

NO_DECISION = "no decision"
_SAVED_EVERY = 10.0  # seconds
_LONGEST_LEVEL = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What is tried on the past.

    Attributes:
        bundle: the policies that decide.
        declaration: a version of a declaration that stands in place of
            those of its service and purpose; None leaves all as they were.
    """

    bundle: Bundle
    declaration: Declaration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the past was, as far as it may be counted.

    Attributes:
        months: by name.
        people: guarded count of each situation that has one.
        rules: preferences in situations, by their digest.
    """

    months: tuple[str, ...]
    people: Mapping[str, int]
    rules: Mapping[str, Preferences]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What services would have got of one attribute instead.

    Attributes:
        service: who asked.
        purpose: for what.
        attribute: its name.
        was: what was decided: an effect, with its level if coarser.
        becomes: what the candidate decides, or `NO_DECISION`.
        gains: whether the service gets more; None where neither is more.
        people: a guarded count; somebody counts in each situation and month.
    """

    service: str
    purpose: str
    attribute: str
    was: str
    becomes: str
    gains: bool | None
    people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What a candidate would have changed.

    Attributes:
        months: that were replayed, by name.
        replayed: guarded count of people, by service and purpose.
        changes: what services would have gained or lost.
    """

    months: tuple[str, ...]
    replayed: Mapping[tuple[str, str], int]
    changes: tuple[Change, ...]


class ImpactStudy:
    """Replays history under a candidate.

    Args:
        scanner: counts situations.
        guard: rounds their counts.
        file: where a scan waits that was stopped.
        tables: where guarded counts are kept.
        gate: what it would have carried out.
        facts: makes the documents that are decided.
        consents: where declarations and preferences are.
    """

    def __init__(
        self,
        *,
        scanner: Scanner,
        guard: Guard,
        file: ScanFile,
        tables: MonthTables,
        gate: Gate,
        facts: FactSource,
        consents: ConsentStore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scanner = scanner
        self._guard = guard
        self._file = file
        self._tables = tables
        self._gate = gate
        self._facts = facts
        self._consents = consents
        self._clock = clock

    def total(self, within: Months) -> int:
        """How many decisions there are to open; none in months kept."""
        left = self._left(within)
        return 0 if left is None else self._scanner.total(left)

    def scan(self, within: Months, progress: Callable[[int], None]) -> History:
        """Say what can be counted of these months.

        A month is counted once and for all. It may be stopped anywhere, and
        goes on from there, unless somebody was erased meanwhile.

        Args:
            within: the months.
            progress: told how many decisions were opened since.

        Raises:
            CryptoFailure: a decision, or what is kept of a month, was
                altered.
            JournalUnavailable: the erasure journal cannot be read.
        """
        left = self._left(within)
        if left is not None:
            self._count(left, progress)
        tables = [
            table
            for name in within.names
            if (table := self._tables.find(name)) is not None
        ]
        return History(
            months=within.names,
            people={
                text: people
                for table in tables
                for text, people in table.people.items()
            },
            rules={
                digest: read_preferences(text)
                for table in tables
                for digest, text in table.rules.items()
            },
        )

    def _left(self, within: Months) -> Months | None:
        """The shortest interval with every month that is not kept yet."""
        left = [
            number
            for number, name in enumerate(within.names)
            if self._tables.find(name) is None
        ]
        if not left:
            return None
        return Months(starts=within.starts[left[0] : left[-1] + 2])

    def _count(self, within: Months, progress: Callable[[int], None]) -> None:
        scan = self._file.load(within.names)
        progress(scan.opened)
        saved = self._clock()
        try:
            for opened in self._scanner.pages(scan, within):
                progress(opened)
                if self._clock() - saved > _SAVED_EVERY:
                    self._file.save(scan)
                    saved = self._clock()
        except BaseException:
            if scan.after is not None:
                self._file.save(scan)
            raise
        for table in self._guarded(scan, within):
            self._tables.keep(table)
        self._file.drop()

    def _guarded(self, scan: Scan, within: Months) -> Iterator[Table]:
        counted: dict[int, dict[str, int]] = {
            start: {} for start in within.starts[:-1]
        }
        digests: dict[int, set[str]] = {start: set() for start in counted}
        for text, count in scan.people.items():
            if people := self._guard.published(scan.cells[text], count):
                found = json.loads(text)
                start = within.start(found["now"])
                counted[start][text] = people
                digests[start].add(found["preferences"])
        for start, name in zip(counted, within.names, strict=True):
            yield Table(
                month=name,
                people=counted[start],
                rules={one: scan.rules[one] for one in digests[start]},
            )

    def compare(self, candidate: Candidate, history: History) -> Impact:
        """Let a candidate decide each situation once.

        Args:
            candidate: what decides.
            history: as `scan` gave it.

        Raises:
            EngineError: the engine does not run the candidate's plan.
        """
        pdp = EmbeddedPdp(candidate.bundle)
        replayed: Counter[tuple[str, str]] = Counter()
        changes: Counter[tuple[str, str, str, str, str]] = Counter()
        for text, people in history.people.items():
            found = read_situation(text)
            request = found.stored.request
            who = (request.service, request.purpose)
            replayed[who] += people
            for flip in self._flips(pdp, candidate, found, history.rules):
                changes[(*who, *flip)] += people
        return Impact(
            months=history.months,
            replayed=dict(sorted(replayed.items())),
            changes=tuple(
                Change(
                    service=service,
                    purpose=purpose,
                    attribute=attribute,
                    was=was,
                    becomes=becomes,
                    gains=_gains(was, becomes),
                    people=people,
                )
                for (
                    service,
                    purpose,
                    attribute,
                    was,
                    becomes,
                ), people in sorted(changes.items())
            ),
        )

    def _flips(
        self,
        pdp: EmbeddedPdp,
        candidate: Candidate,
        found: Situation,
        rules: Mapping[str, Preferences],
    ) -> Iterator[tuple[str, str, str]]:
        was = {name: _effect(one) for name, one in found.stored.answer.items()}
        becomes = dict.fromkeys(was, NO_DECISION)
        with suppress(NoDecision):
            again = self._decided(
                pdp,
                found,
                self.document(
                    candidate.declaration,
                    found,
                    rules[found.preferences],
                ),
            )
            becomes = {name: _effect(one) for name, one in again.items()}
        for name in sorted(was):
            if was[name] != becomes[name]:
                yield name, was[name], becomes[name]

    def _decided(
        self,
        pdp: EmbeddedPdp,
        found: Situation,
        document: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        decision = parse_decision(
            _mapping(pdp.evaluate(ENTRYPOINT, document)),
            found.stored.request.attributes,
            revision="",
        )
        return answer_document(self._gate.within_reach(decision).attributes)

    def document(
        self,
        candidate: Declaration | None,
        found: Situation,
        preferences: Preferences,
    ) -> dict[str, Any]:
        """The input document that a situation stands for.

        Args:
            candidate: a declaration in place of those of its service and
                purpose, or None.
            found: the situation.
            preferences: those that its digest names.
        """
        stored = found.stored
        declaration = (
            None
            if stored.declaration is None
            else self._consents.declaration_by_digest(stored.declaration)
        )
        if candidate is not None and (
            candidate.service,
            candidate.purpose,
        ) == (stored.request.service, stored.request.purpose):
            declaration = replace(candidate, valid_from=0, valid_until=None)
        return self._facts.input_document(
            stored.request,
            facts_of(
                stored,
                declaration=declaration,
                events=found.events,
                verdicts=self._facts.verdicts(
                    StoredPreferences(
                        version=0,
                        preferences=preferences,
                    ),
                    declaration,
                ),
            ),
            stored.now,
        )


def _mapping(found: Any) -> Mapping[str, Any]:  # noqa: ANN401 - any JSON
    return found if isinstance(found, Mapping) else {}


def _effect(one: Any) -> str:  # noqa: ANN401 - one attribute's JSON
    return f"{one['effect']} {one['level']}" if one["level"] else one["effect"]


def _gains(was: str, becomes: str) -> bool | None:
    before, after = _reach(was), _reach(becomes)
    return None if before == after else after > before


def _reach(effect: str) -> int:
    """How much an effect lets through; the whole value is the most."""
    word, _, level = effect.partition(" ")
    if word == Effect.RELEASE:
        return _LONGEST_LEVEL + 1
    return _LONGEST_LEVEL - int(level) if level else 0
