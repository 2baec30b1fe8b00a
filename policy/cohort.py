"""Whose rows may go into an extract: the same policy, asked for each person.

A person is in the cohort exactly when `policies/disclosure` would release
every column of the extract, for the extract's purpose, about them now:
consent where consent is the basis, and no objection or restriction where
law is. So a withdrawal is out of the next extract without anything else
having to know of it (DESIGN.md, invariant 11).

People about whom the facts are equal get one decision. That is exact: the
engine is a function of the document, and the documents are compared whole.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Engine

from policy.decisions import AccessRequest, ById, Effect, parse_decision
from policy.facts import FactSource
from policy.gate import ENTRYPOINT, UNDERSTOOD
from policy.pdp import JSON, PolicyDecisionPoint
from vault import Vault

# The desk's own assurance: an officer asked, and another approved.
ASSURANCE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """The people of an extract, and how many were left out and why."""

    subjects: tuple[UUID, ...]
    left_out: int
    reasons: Mapping[str, int] = field(default_factory=dict)


class CohortSource:
    """Asks the policies about everybody."""

    def __init__(
        self,
        *,
        tenant: str,
        engine: Engine,
        vault: Vault,
        facts: FactSource,
        pdp: PolicyDecisionPoint,
    ) -> None:
        self._tenant = tenant
        self._engine = engine
        self._vault = vault
        self._facts = facts
        self._pdp = pdp

    async def gather(
        self,
        service: str,
        purpose: str,
        columns: tuple[str, ...],
        *,
        now: int,
        progress: Callable[[int], None],
    ) -> Cohort:
        """Select the people whose columns may all be used.

        A column that somebody has no value in does not keep them out.

        Raises:
            NoDecision: the engine failed about anybody; nobody is selected.

        """
        within: list[UUID] = []
        reasons: dict[str, int] = {}
        left_out = 0
        known: dict[str, tuple[str, ...]] = {}
        for subject, document in self._documents(
            service, purpose, columns, now
        ):
            key = json.dumps(document, sort_keys=True)
            against = known.get(key)
            if against is None:
                answer = await self._pdp.decide(ENTRYPOINT, document)
                decision = parse_decision(
                    answer, columns, revision=self._pdp.revision
                )
                against = tuple(
                    sorted(
                        {
                            reason.code
                            for one in decision.attributes.values()
                            if one.effect is not Effect.RELEASE
                            for reason in one.reasons
                        }
                    )
                )
                known[key] = against
            if against:
                left_out += 1
                for code in against:
                    reasons[code] = reasons.get(code, 0) + 1
            else:
                within.append(subject)
            progress(1)
        return Cohort(
            subjects=tuple(within), left_out=left_out, reasons=reasons
        )

    def _documents(
        self, service: str, purpose: str, columns: tuple[str, ...], now: int
    ) -> Iterator[tuple[UUID, Mapping[str, JSON]]]:
        present = frozenset(columns)
        with self._engine.connect().execution_options(read_only=True) as conn:
            for subject in self._vault.subjects():
                request = AccessRequest(
                    tenant=self._tenant,
                    service=service,
                    purpose=purpose,
                    attributes=columns,
                    person=ById(subject=subject),
                    understands=UNDERSTOOD,
                    assurance=ASSURANCE,
                )
                facts = self._facts.about(
                    conn, subject, request, now, known=True, present=present
                )
                document = self._facts.input_document(request, facts, now)
                for one in document["consents"]:
                    # Ids of events say who; they decide nothing.
                    one["event"] = ""
                yield subject, document
