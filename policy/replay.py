"""Replay: the same facts under the same policies give the same answer.

A stored decision is opened with the person's key, its facts are loaded by
reference (immutable events, digests, versions), the input document is built
by the same function that the gate uses, and the engine decides again. A
difference is an incident, named by attribute. After erasure the answer is
``erased``, because the references are sealed with the person's key.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from consent import ConsentStore
from policy.decisions import Json, parse_decision
from policy.errors import ReplayImpossible
from policy.facts import Facts, FactSource
from policy.gate import ENTRYPOINT
from policy.pdp import PolicyDecisionPoint
from policy.reading import Reader
from policy.restraints import Restraints
from policy.store import DecisionStore, StoredDecision, answer_document
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


class Replay:
    """Runs stored decisions again."""

    def __init__(
        self,
        *,
        vault: Vault,
        consents: ConsentStore,
        facts: FactSource,
        decisions: DecisionStore,
        reader: Reader,
    ) -> None:
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
        holding = self._vault.holding(subject)
        notes = NoteBox(self._vault.log_key(holding), random=os.urandom)
        stored = await self._read(
            lambda conn: self._decisions.load(
                conn, decision, holding, notes=notes
            )
        )
        facts = self._reload(stored, holding)
        document = self._facts.input_document(
            stored.request, facts, stored.now
        )
        answer = await pdp.decide(ENTRYPOINT, document)
        again = parse_decision(
            answer, stored.request.attributes, revision=pdp.revision
        )
        return Replayed(
            decision=decision,
            stored_revision=stored.revision,
            revision=pdp.revision,
            stored=stored.answer,
            again=answer_document(again.attributes),
        )

    def _reload(self, stored: StoredDecision, holding: Holding) -> Facts:
        subject = holding.subject
        declaration = None
        if stored.declaration is not None:
            declaration = self._consents.declaration_by_digest(
                stored.declaration
            )
            if declaration is None:
                msg = f"decision {stored.id}: its declaration is gone"
                raise ReplayImpossible(msg)
        by_id = {
            event.id: event for event in self._consents.all_events(subject)
        }
        if not by_id.keys() >= set(stored.events):
            msg = f"decision {stored.id}: a consent event is gone"
            raise ReplayImpossible(msg)
        preferences = self._consents.preferences_at(
            subject, stored.preferences
        )
        if preferences is None:
            msg = f"decision {stored.id}: its preferences are gone"
            raise ReplayImpossible(msg)
        return Facts(
            revision=0,
            known=stored.known,
            declaration=declaration,
            events=tuple(by_id[one] for one in stored.events),
            preferences=stored.preferences,
            verdicts=self._facts.verdicts(preferences, declaration),
            restraints=Restraints(
                restricted=stored.restricted, objected=stored.objected
            ),
            present=frozenset(stored.present),
        )
