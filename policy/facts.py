"""PIP: what is known about a request, as facts and never as values.

`gather` reads the stores; `input_document` is a pure function from facts to
the versioned document that the engine sees. A replay calls the same
function on facts that were loaded by reference, so the two cannot drift.

The fact revision is read first. Whatever is read after it may be newer, and
then the writer finds the revision changed and the gate decides again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from consent import (
    ConsentEvent,
    ConsentStore,
    Declaration,
    StoredPreferences,
    Verdict,
    carried,
    match,
    states,
)
from policy.classification import Classification
from policy.decisions import SCHEMA, AccessRequest, ById, Json, SubjectRef
from policy.restraints import Restraints, RestraintStore
from vault import Holding, Vault

_VERDICTS_KEPT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that may decide one request, and the revision it was read under."""

    revision: int
    known: bool
    declaration: Declaration | None
    events: tuple[ConsentEvent, ...]
    preferences: int
    verdicts: tuple[Verdict, ...]
    restraints: Restraints
    present: frozenset[str]


class FactSource:
    """Gathers facts from the vault's rows and the consent store."""

    def __init__(
        self,
        *,
        vault: Vault,
        consents: ConsentStore,
        restraints: RestraintStore,
        classification: Mapping[str, Classification],
    ) -> None:
        self._vault = vault
        self._consents = consents
        self._restraints = restraints
        self._classification = classification
        self._matched: dict[tuple[str, str], tuple[Verdict, ...]] = {}

    def resolve(self, person: SubjectRef) -> UUID:
        """Find the person, or the decoy when there is none."""
        if isinstance(person, ById):
            return person.subject
        found = self._vault.find(person.attribute, person.value)
        return self._vault.decoy() if found is None else found

    def gather(
        self, conn: Connection, request: AccessRequest, now: int
    ) -> tuple[Holding, Facts]:
        """Read everything that can decide `request` at the instant `now`.

        The same statements run for a known and for an unknown person.
        """
        holding = self._vault.holding(self.resolve(request.person))
        facts = self.about(
            conn,
            holding.subject,
            request,
            now,
            known=holding.known,
            present=holding.present,
        )
        return holding, facts

    def about(
        self,
        conn: Connection,
        subject: UUID,
        request: AccessRequest,
        now: int,
        *,
        known: bool,
        present: frozenset[str],
    ) -> Facts:
        """Read what consent, preferences and restraints say of a person."""
        revision = self._consents.revision(conn, subject)
        declaration = self._consents.declaration(
            request.service, request.purpose
        )
        events = self._consents.events(
            subject,
            request.service,
            request.purpose,
            until=now,
            conn=conn,
        )
        stored = self._consents.preferences(subject, conn)
        return Facts(
            revision=revision,
            known=known,
            declaration=declaration,
            events=tuple(events),
            preferences=stored.version,
            verdicts=self.verdicts(stored, declaration),
            restraints=self._restraints.at(conn, subject, now),
            present=present,
        )

    def verdicts(
        self, stored: StoredPreferences, declaration: Declaration | None
    ) -> tuple[Verdict, ...]:
        """Match preferences with a declaration, each pair once.

        Both are immutable under their digests, so a kept result is exact.
        The store is emptied when full: its size bounds memory, not truth.
        """
        if declaration is None:
            return ()
        key = (stored.preferences.digest, declaration.digest)
        found = self._matched.get(key)
        if found is None:
            if len(self._matched) >= _VERDICTS_KEPT:
                self._matched.clear()
            found = match(stored.preferences, declaration)
            self._matched[key] = found
        return found

    def input_document(
        self, request: AccessRequest, facts: Facts, now: int
    ) -> dict[str, Any]:
        """The document of ``curtilage/disclosure/1``; no value is in it."""
        return {
            "schema": SCHEMA,
            "now": now,
            "service": {
                "id": request.service,
                "purpose": request.purpose,
                "assurance": request.assurance,
                "understands": sorted(request.understands),
            },
            "request": {"attributes": list(request.attributes)},
            "declaration": (
                None if facts.declaration is None else facts.declaration.facts
            ),
            "catalogue": {
                name: {
                    "sensitivity": found.sensitivity,
                    "levels": found.levels,
                }
                for name in request.attributes
                if (found := self._classification.get(name)) is not None
            },
            "consents": self._standing(facts, now),
            "preferences": _preferences(facts.verdicts, request.attributes),
            "person": {
                "known": facts.known,
                "present": [
                    name
                    for name in request.attributes
                    if name in facts.present
                ],
                "restricted": facts.restraints.restricted,
                "objected": list(facts.restraints.objected),
            },
        }

    def _standing(self, facts: Facts, now: int) -> list[Json]:
        """What the answers mean now, under the version in force."""
        if facts.declaration is None:
            return []
        standing = carried(
            states(facts.events, now),
            facts.declaration,
            self._consents.declaration_by_digest,
        )
        return [
            {
                "statement": one.statement,
                "state": one.state.value,
                "attributes": list(one.attributes),
                "until": one.until,
                "event": str(one.event),
            }
            for one in standing.values()
        ]


def _preferences(
    verdicts: Sequence[Verdict], asked: Sequence[str]
) -> list[Json]:
    wanted = frozenset(asked)
    return [
        {
            "statement": one.statement,
            "attribute": one.attribute,
            "behavior": one.behavior.value,
            "level": one.level,
            "rule": one.rule,
        }
        for one in verdicts
        if one.attribute in wanted
    ]
