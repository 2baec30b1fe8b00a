"""Replay: the same facts under the same policies give the same answer.

A stored decision is opened with the person's key, its facts are loaded by
reference (immutable events, digests, versions), the input document is built
by the same function that the gate uses, and the engine decides again. A
difference is an incident, named by attribute. After erasure the answer is
``erased``, because the references are sealed with the person's key.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from consent import (
    ConsentEvent,
    ConsentStore,
    Declaration,
    Preferences,
    Verdict,
)
from policy.decisions import Json, parse_decision
from policy.errors import ReplayImpossible
from policy.facts import Facts, FactSource
from policy.gate import ENTRYPOINT, Gate
from policy.pdp import JSON, PolicyDecisionPoint
from policy.reading import Reader
from policy.restraints import Restraints
from policy.store import (
    TAG,
    DecisionStore,
    KeptDecision,
    StoredDecision,
    answer_document,
)
from vault import Holding, NoteBox, Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A stored answer and the one given today.

    `differs` names the attributes whose decision changed; it is empty when
    the replay is faithful.
    """

    decision: UUID
    stored_revision: str
    revision: str
    stored: Mapping[str, Json]
    again: Mapping[str, Json]

    @property
    def differs(self) -> tuple[str, ...]:
        """Attributes decided differently, in order."""
        return tuple(
            name
            for name in sorted(self.stored)
            if self.stored[name] != self.again.get(name)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """A stored decision, and what it was made on.

    Attributes:
        stored: as it was sealed.
        facts: by reference and from the rest.
        preferences: the person's rules of then.
    """

    stored: StoredDecision
    facts: Facts
    preferences: Preferences


class Replay:
    """Runs stored decisions again."""

    def __init__(
        self,
        *,
        gate: Gate,
        vault: Vault,
        consents: ConsentStore,
        facts: FactSource,
        decisions: DecisionStore,
        reader: Reader,
    ) -> None:
        self._gate = gate
        self._vault = vault
        self._consents = consents
        self._facts = facts
        self._decisions = decisions
        self._read = reader

    async def replay(
        self, pdp: PolicyDecisionPoint, decision: UUID, subject: UUID
    ) -> Replayed:
        """Decide a stored decision again on `pdp`.

        Raises:
            ReplayImpossible: ``erased``, ``unknown``, or a reference that
                no longer resolves.
            NoDecision: the engine gave no answer.

        """
        stored, document = await self.reopened(decision, subject)
        ruling = await pdp.decide(ENTRYPOINT, document)
        again = self._gate.within_reach(
            parse_decision(
                ruling.document,
                stored.request.attributes,
                revision=ruling.revision,
            )
        )
        return Replayed(
            decision=decision,
            stored_revision=stored.revision,
            revision=ruling.revision,
            stored=stored.answer,
            again=answer_document(again.attributes),
        )

    async def reopened(
        self, decision: UUID, subject: UUID
    ) -> tuple[StoredDecision, Mapping[str, JSON]]:
        """A stored decision, and the input document that it was made of.

        Whoever asks has recorded the look before.

        Raises:
            ReplayImpossible: ``erased``, ``unknown``, or a reference that
                no longer resolves.

        """
        found = await self.reloaded(decision, subject)
        stored = found.stored
        return stored, self._facts.input_document(
            stored.request, found.facts, stored.now
        )

    async def reloaded(self, decision: UUID, subject: UUID) -> Reloaded:
        """A stored decision, and the facts that it was made on.

        Whoever asks has recorded the look before.

        Raises:
            ReplayImpossible: as `reopened`.

        """
        kept = await self.kept(decision)
        holding = self._vault.holding(subject)
        if not holding.known and subject != self._vault.decoy():
            msg = f"decision {decision}: erased"
            raise ReplayImpossible(msg)
        record, notes = self._record(holding, kept)
        stored = await self._read(
            lambda conn: self._decisions.load(
                conn, decision, holding, notes=notes
            )
        )
        return self._reload(stored, holding, record)

    async def kept(self, decision: UUID) -> KeptDecision:
        """What stands of a decision without opening it.

        Raises:
            ReplayImpossible: ``unknown``.

        """
        return await self._read(
            lambda conn: self._decisions.kept(conn, decision)
        )

    def whose(
        self, kept: KeptDecision, looked: Callable[[int], None]
    ) -> UUID | None:
        """Find whom a decision is about, by trying everybody's key.

        A decision bears no id of its person, so this takes a while: some
        ten thousand people a second.

        Args:
            kept: the decision.
            looked: told how many people were tried since the last time.

        Returns:
            The record whose key fits; the decoy's where nobody was known;
            None where no key fits any more.

        """
        if kept.tag is None:
            return None
        for subject, keys in self._vault.keyring():
            looked(1)
            if any(self._box(key).tag(TAG) == kept.tag for key in keys):
                return subject
        return None

    def _record(
        self, holding: Holding, kept: KeptDecision
    ) -> tuple[UUID, NoteBox]:
        """The one of a person's records that a decision was made about."""
        for one in (holding, *holding.others):
            for key in self._vault.log_keys(one.subject):
                notes = self._box(key)
                if notes.tag(TAG) == kept.tag:
                    return one.subject, notes
        return holding.subject, self._box(self._vault.log_key(holding))

    def _box(self, log_key: bytes) -> NoteBox:
        return NoteBox(log_key, random=os.urandom)

    def _reload(
        self, stored: StoredDecision, holding: Holding, record: UUID
    ) -> Reloaded:
        declaration = None
        if stored.declaration is not None:
            declaration = self._consents.declaration_by_digest(
                stored.declaration
            )
            if declaration is None:
                msg = f"decision {stored.id}: its declaration is gone"
                raise ReplayImpossible(msg)
        members = (holding.subject, *(one.subject for one in holding.others))
        by_id = {
            event.id: event
            for one in members
            for event in self._consents.all_events(one)
        }
        if not by_id.keys() >= set(stored.events):
            msg = f"decision {stored.id}: a consent event is gone"
            raise ReplayImpossible(msg)
        preferences = self._consents.preferences_at(record, stored.preferences)
        if preferences is None:
            msg = f"decision {stored.id}: its preferences are gone"
            raise ReplayImpossible(msg)
        return Reloaded(
            stored=stored,
            facts=facts_of(
                stored,
                declaration=declaration,
                events=tuple(by_id[one] for one in stored.events),
                verdicts=self._facts.verdicts(preferences, declaration),
            ),
            preferences=preferences.preferences,
        )


def facts_of(
    stored: StoredDecision,
    *,
    declaration: Declaration | None,
    events: tuple[ConsentEvent, ...],
    verdicts: tuple[Verdict, ...],
) -> Facts:
    """The facts that a decision was made on.

    Args:
        stored: what was sealed of it.
        declaration: what it refers to.
        events: likewise.
        verdicts: of the preferences that it refers to.
    """
    return Facts(
        revision=0,
        known=stored.known,
        declaration=declaration,
        events=events,
        preferences=stored.preferences,
        verdicts=verdicts,
        restraints=Restraints(
            restricted=stored.restricted,
            objected=stored.objected,
            signalled=stored.signalled,
        ),
        present=frozenset(stored.present),
        uses=stored.uses,
    )
