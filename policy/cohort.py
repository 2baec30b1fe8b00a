"""Whose rows may go into an extract: the same policy, asked for each person.

A person is in the cohort exactly when `policies/disclosure` would release
every column of the extract, for the extract's purpose, about them now:
consent where consent is the basis, and no objection or restriction where
law is. Where a person's rule counts uses, they are left out: nobody can count
an extract. So a withdrawal is out of the next extract without anything else
having to know of it (DESIGN.md, invariant 11).

People about whom the facts are equal get one decision. That is exact: the
engine is a function of the document, and the documents are compared whole.
Where an OPA server decides, it compiles the same policy to a condition on
kinds of people (`policy.cohort_filter`).

Facts are read for some hundred people at a time, and where they are alike
(`policy.facts.Gathered`) the document is not even made again. Of records that
are read as one, what was said about any of them counts.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Engine

from policy.cohort_filter import (
    MOST_KINDS,
    Filtering,
    KindFilter,
    key_of,
    text_of,
)
from policy.decisions import (
    AccessRequest,
    ById,
    Decision,
    Effect,
    parse_decision,
)
from policy.facts import Facts, FactSource, Gathered
from policy.gate import ENTRYPOINT, UNDERSTOOD
from policy.live import LivePdp
from policy.pdp import JSON, Cause, NoDecision, PolicyDecisionPoint
from vault import Vault

# The desk's own assurance: an officer asked, and another approved.
ASSURANCE = 3

_Page: TypeAlias = list[tuple[UUID, "Gathered | Facts", tuple[UUID, ...]]]
"""Ids, what was read, and the other records that are read with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """The people of an extract, and how many were left out and why.

    `merged` are the records that are read with those of `subjects`.
    """

    subjects: tuple[UUID, ...]
    left_out: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    merged: tuple[UUID, ...] = ()


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
        bundle: str,
        progress: Callable[[int], None],
    ) -> Cohort:
        """Select the people whose columns may all be used.

        A column that somebody has no value in does not keep them out.
        Everybody is decided on under one bundle: the one of the extract's
        terms, which its report names.

        Raises:
            NoDecision: the engine failed about anybody, or decided under
                other policies than `bundle`; nobody is selected.

        """
        filtering = _filtering(self._pdp)
        if filtering is not None:
            found = await self._filtered(
                filtering, service, purpose, columns, now, bundle, progress
            )
            if found is not None:
                return found
        within: list[UUID] = []
        merged: list[UUID] = []
        reasons: dict[str, int] = {}
        left_out = 0
        asked = _Asked(self._facts, self._pdp, columns, bundle)
        for request, page in self._everybody(service, purpose, columns, now):
            for subject, read, others in page:
                against = asked.known(read, now)
                if against is None:
                    against = await asked.about(read, request, now)
                if against:
                    left_out += 1
                    for code in against:
                        reasons[code] = reasons.get(code, 0) + 1
                else:
                    within.append(subject)
                    merged += others
            progress(len(page))
        return Cohort(
            subjects=tuple(within),
            left_out=left_out,
            reasons=reasons,
            merged=tuple(merged),
        )

    async def _filtered(  # noqa: PLR0917 - as `gather`, and what compiles
        self,
        filtering: Filtering,
        service: str,
        purpose: str,
        columns: tuple[str, ...],
        now: int,
        bundle: str,
        progress: Callable[[int], None],
    ) -> Cohort | None:
        """Select by the condition that the rules compile to.

        Returns:
            None where there are too many kinds of people for it.

        """
        asked = _Asked(self._facts, self._pdp, columns, bundle)
        people: list[tuple[UUID, str]] = []
        merged: dict[UUID, tuple[UUID, ...]] = {}
        for request, page in self._everybody(service, purpose, columns, now):
            for subject, read, others in page:
                people.append((subject, asked.kind(read, request, now)))
                if others:
                    merged[subject] = others
                if len(asked.kinds) > MOST_KINDS:
                    return None
        kinds = KindFilter(filtering, self._engine)
        conditions, against = await kinds.compiled(asked.kinds, bundle)
        within = kinds.within(people, conditions)
        reasons: dict[str, int] = {}
        for _, key in people:
            progress(1)
            for code in against[key]:
                reasons[code] = reasons.get(code, 0) + 1
        return Cohort(
            subjects=tuple(within),
            left_out=len(people) - len(within),
            reasons=reasons,
            merged=tuple(
                other for one in within for other in merged.get(one, ())
            ),
        )

    def _everybody(
        self, service: str, purpose: str, columns: tuple[str, ...], now: int
    ) -> Iterator[tuple[AccessRequest, _Page]]:
        """Read of everybody what may decide, some hundreds at a time."""
        present = frozenset(columns)
        for page, others in self._vault.people():
            if not page:
                continue
            request = self._request(service, purpose, columns, page[0])
            alone = (
                [one for one in page if one not in others] if others else page
            )
            with self._engine.connect().execution_options(
                read_only=True
            ) as conn:
                # An extract takes no use, so it needs none to be free.
                read: _Page = [
                    (one.answered.subject, one, ())
                    for one in self._facts.about_many(
                        conn,
                        alone,
                        request,
                        now,
                        present=present,
                        counts=False,
                    )
                ]
                for subject, merged in others.items():
                    facts = self._facts.about(
                        conn,
                        subject,
                        request,
                        now,
                        known=True,
                        present=present,
                        merged=merged,
                        counts=False,
                    )
                    read.append((subject, facts, merged))
            if others:
                read.sort(key=itemgetter(0))
            yield request, read

    def _request(
        self,
        service: str,
        purpose: str,
        columns: tuple[str, ...],
        subject: UUID,
    ) -> AccessRequest:
        return AccessRequest(
            tenant=self._tenant,
            service=service,
            purpose=purpose,
            attributes=columns,
            person=ById(subject=subject),
            understands=UNDERSTOOD,
            assurance=ASSURANCE,
        )


class _Asked:
    """What the policies said about facts, each document asked once."""

    def __init__(
        self,
        facts: FactSource,
        pdp: PolicyDecisionPoint,
        columns: tuple[str, ...],
        bundle: str,
    ) -> None:
        self._bundle = bundle
        self._facts = facts
        self._pdp = pdp
        self._columns = columns
        # What was read stands beside the answer, for keys name parts of it
        # by identity.
        self._alike: dict[Hashable, tuple[tuple[str, ...], Gathered]] = {}
        self._documents: dict[str, tuple[str, ...]] = {}
        self._keys: dict[Hashable, tuple[str, Gathered]] = {}
        self.kinds: dict[str, Mapping[str, JSON]] = {}

    def kind(
        self, read: Gathered | Facts, request: AccessRequest, now: int
    ) -> str:
        """Return the key of the kind that somebody is of; nobody is asked.

        Its document is then among `kinds`.
        """
        if isinstance(read, Facts):
            return self._kind(read, request, now)
        likeness = read.likeness(now)
        found = self._keys.get(likeness)
        if found is None:
            key = self._kind(read.facts(), request, now)
            found = self._keys[likeness] = key, read
        return found[0]

    def _kind(self, facts: Facts, request: AccessRequest, now: int) -> str:
        document = self._document(facts, request, now)
        key = key_of(text_of(document))
        self.kinds.setdefault(key, document)
        return key

    def _document(
        self, facts: Facts, request: AccessRequest, now: int
    ) -> dict[str, JSON]:
        document = self._facts.input_document(
            request, facts, max(now, facts.since)
        )
        for one in document["consents"]:
            # Ids of events say who; they decide nothing.
            one["event"] = ""
        return document

    def known(
        self, read: Gathered | Facts, now: int
    ) -> tuple[str, ...] | None:
        """Return what `about` does where nobody needs to be asked for it."""
        if isinstance(read, Facts):
            return None
        found = self._alike.get(read.likeness(now))
        return None if found is None else found[0]

    async def about(
        self, read: Gathered | Facts, request: AccessRequest, now: int
    ) -> tuple[str, ...]:
        """Return the codes against a release; nothing where there is none.

        Raises:
            NoDecision: the engine failed.

        """
        if isinstance(read, Facts):
            return await self._ask(read, request, now)
        key = read.likeness(now)
        found = self._alike.get(key)
        if found is None:
            against = await self._ask(read.facts(), request, now)
            found = self._alike[key] = against, read
        return found[0]

    async def _ask(
        self, facts: Facts, request: AccessRequest, now: int
    ) -> tuple[str, ...]:
        document = self._document(facts, request, now)
        text = text_of(document)
        against = self._documents.get(text)
        if against is None:
            ruling = await self._pdp.decide(ENTRYPOINT, document)
            if ruling.revision != self._bundle:
                raise NoDecision(Cause.WRONG_REVISION)
            decision = parse_decision(
                ruling.document, self._columns, revision=ruling.revision
            )
            against = self._documents[text] = _against(decision)
        return against


def _filtering(pdp: PolicyDecisionPoint) -> Filtering | None:
    """What compiles rules to conditions, where the policies run so."""
    if isinstance(pdp, LivePdp):
        return pdp.filtering()
    return pdp if isinstance(pdp, Filtering) else None


def _against(decision: Decision) -> tuple[str, ...]:
    """List the reasons why a person's row stays out."""
    found = {
        reason.code
        for one in decision.attributes.values()
        if one.effect is not Effect.RELEASE
        for reason in one.reasons
    }
    return tuple(sorted(found))
