"""The gate (PEP): decide, record, open, in this order and nowhere else.

1. Facts are gathered under a fact revision; no attribute value is in them.
2. The engine decides. Whatever is not a well-formed decision for exactly
   the attributes asked is `NoDecision`.
3. The ledger entry and the stored decision are committed. The transaction
   first checks that the person's fact revision is still the one decided
   under; if not, the gate decides again, twice at most.
4. Only then is a grant minted and the vault opened, for the granted
   attributes alone. Generalization happens here, behind the gate.

An unknown person takes the same path with the vault's decoy. To a service,
everything that depends on the person is the one code ``not_available``
(DESIGN.md, invariant 6).
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from consent import (
    Appended,
    Commit,
    ConsentStore,
    Draft,
    EntryKind,
    GroupCommit,
    LedgerUnavailable,
)
from policy.classification import Classification
from policy.decisions import (
    AccessRequest,
    AttributeDecision,
    Decision,
    Disclosed,
    Disclosure,
    Effect,
    Json,
    Reason,
    parse_decision,
)
from policy.errors import FactsChanged, RequestInvalid, UnknownAttributes
from policy.facts import Facts, FactSource
from policy.pdp import Cause, NoDecision, PolicyDecisionPoint
from policy.reading import Reader
from policy.store import DecisionStore
from policy.vocabulary import ReasonTable, Side
from vault import HistoricValue, Holding, NoteBox, ReadGrant, Vault

ENTRYPOINT = "curtilage/disclosure/decision"
NOT_AVAILABLE = "not_available"
GRANT_SECONDS = 60
MOST_ATTRIBUTES = 64
_ATTEMPTS = 3
# What the gate itself carries out or passes on knowingly.
UNDERSTOOD = frozenset({"delete_by", "mask", "notify", "no_onward_transfer"})


class _FactsMovedError(FactsChanged):
    """The facts changed between the decision and its entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A durable ledger entry, and the values that it allowed to open."""

    index: int
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One attribute with its value, source and date."""

    attribute: str
    record: HistoricValue


class Gate:
    """The one way to a person's data."""

    def __init__(
        self,
        *,
        tenant: str,
        vault: Vault,
        consents: ConsentStore,
        facts: FactSource,
        pdp: PolicyDecisionPoint,
        commits: GroupCommit,
        decisions: DecisionStore,
        classification: Mapping[str, Classification],
        reasons: ReasonTable,
        reader: Reader,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._tenant = tenant
        self._vault = vault
        self._consents = consents
        self._facts = facts
        self._pdp = pdp
        self._commits = commits
        self._decisions = decisions
        self._classification = classification
        self._reasons = reasons
        self._read = reader
        self._clock = clock
        self._random = random

    async def disclose(self, request: AccessRequest) -> Disclosure:
        """Answer a service about one person.

        Args:
            request: with service and purpose from its credential.

        Returns:
            One `Disclosed` per attribute asked, in the order asked. The
            ledger entry of this answer is durable.

        Raises:
            UnknownAttributes: a name is not in the catalogue.
            RequestInvalid: no, too many or repeated attributes.
            NoDecision: the engine, or the ledger, gave no answer to act
                on. Nothing was opened.

        """
        self._refuse_malformed(request.attributes)
        for _ in range(_ATTEMPTS):
            now = self._clock()
            holding, facts = await self._read(
                partial(self._facts.gather, request=request, now=now)
            )
            decision = await self._decide(request, facts, now)
            try:
                return await self._answer(
                    request, holding, facts, decision, now
                )
            except _FactsMovedError:
                continue
        raise NoDecision(Cause.FACTS_MOVING)

    async def _decide(
        self, request: AccessRequest, facts: Facts, now: int
    ) -> Decision:
        document = self._facts.input_document(request, facts, now)
        answer = await self._pdp.decide(ENTRYPOINT, document)
        decision = parse_decision(
            answer, request.attributes, revision=self._pdp.revision
        )
        return replace(
            decision,
            attributes={
                name: self._within_reach(one)
                for name, one in decision.attributes.items()
            },
        )

    def _within_reach(self, one: AttributeDecision) -> AttributeDecision:
        """Refuse what the gate cannot carry out as decided."""
        levels = self._classification[one.attribute].levels
        if one.level > levels:
            raise NoDecision(Cause.MALFORMED)
        if all(item.type in UNDERSTOOD for item in one.obligations):
            return one
        code = "obligation_not_understood"
        return replace(
            one,
            effect=Effect.WITHHOLD,
            level=0,
            reasons=(Reason(code=code, remedy=self._reasons.remedy(code)),),
            obligations=(),
        )

    async def _answer(
        self,
        request: AccessRequest,
        holding: Holding,
        facts: Facts,
        decision: Decision,
        now: int,
    ) -> Disclosure:
        granted = decision.granted()
        decision_id = self.new_id()
        log_key = self._vault.log_key(holding)
        store = self._decisions.writer(
            decision_id,
            request,
            facts,
            decision,
            now,
            notes=NoteBox(log_key, random=self._random),
        )
        draft = Draft(
            kind=EntryKind.DISCLOSURE if granted else EntryKind.REFUSAL,
            subject=holding.subject,
            log_key=log_key,
            service=request.service,
            purpose=request.purpose,
            attributes=request.attributes,
            outcome=_outcome(decision),
            at=now,
            decision=decision_id,
            detail=_detail(decision),
        )
        recorded = await self.record_then_open(
            holding=holding,
            revision=facts.revision,
            draft=draft,
            granted=granted,
            store=store,
        )
        return Disclosure(
            decision=decision_id,
            ledger_index=recorded.index,
            revision=decision.revision,
            at=now,
            attributes=tuple(
                self._disclosed(decision.attributes[name], recorded.values)
                for name in request.attributes
            ),
        )

    async def record_then_open(
        self,
        *,
        holding: Holding,
        revision: int,
        draft: Draft,
        granted: frozenset[str],
        store: Callable[[Connection], None] | None = None,
    ) -> Recorded:
        """Make the entry durable, then open what it allows.

        Raises:
            NoDecision: the entry could not be made durable, so nothing was
                opened.
            FactsChanged: the person's facts moved since `revision`.

        """
        index = await self._record(holding, revision, draft, store)
        values: Mapping[str, str] = {}
        if granted:
            grant = self._grant(holding, granted, draft)
            values = self._vault.read(grant, holding)
        return Recorded(index=index, values=values)

    async def record_then_show(
        self, *, holding: Holding, revision: int, draft: Draft
    ) -> Sequence[Shown]:
        """As `record_then_open`, with source and date of each value.

        What is shown is exactly what the entry names.
        """
        await self._record(holding, revision, draft, None)
        grant = self._grant(holding, frozenset(draft.attributes), draft)
        found = self._vault.records(grant, holding)
        return [
            Shown(attribute=name, record=found[name])
            for name in draft.attributes
            if name in found
        ]

    async def _record(
        self,
        holding: Holding,
        revision: int,
        draft: Draft,
        store: Callable[[Connection], None] | None,
    ) -> int:
        def unmoved(conn: Connection) -> None:
            if self._consents.revision(conn, holding.subject) != revision:
                raise _FactsMovedError

        def after(conn: Connection, _appended: Sequence[Appended]) -> None:
            if store is not None:
                store(conn)

        try:
            appended = await self._commits.submit(
                Commit(check=unmoved, drafts=(draft,), after=after)
            )
        except LedgerUnavailable:
            raise NoDecision(Cause.LEDGER) from None
        return appended[0].index

    def _grant(
        self, holding: Holding, granted: frozenset[str], draft: Draft
    ) -> ReadGrant:
        return ReadGrant(
            tenant=self._tenant,
            subject=holding.subject,
            attributes=granted,
            purpose=draft.purpose,
            decision=draft.decision,
            expires_at=draft.at + GRANT_SECONDS,
        )

    def _disclosed(
        self, one: AttributeDecision, values: Mapping[str, str]
    ) -> Disclosed:
        value = values.get(one.attribute)
        if one.effect is Effect.WITHHOLD or value is None:
            code, remedy = self._told(one)
            return Disclosed(
                attribute=one.attribute,
                effect=Effect.WITHHOLD,
                value=None,
                level=0,
                reason=code,
                remedy=remedy,
                obligations=(),
            )
        if one.level:
            steps = self._classification[one.attribute].steps
            value = steps[one.level - 1](value)
        return Disclosed(
            attribute=one.attribute,
            effect=one.effect,
            value=value,
            level=one.level,
            reason=None,
            remedy=None,
            obligations=one.obligations,
        )

    def _told(self, one: AttributeDecision) -> tuple[str, str]:
        """What a service may hear: its own side, or one code for the rest.

        A reason on the service's side holds whoever the person is, so it
        tells nothing of them. With none, the person decided it.
        """
        for reason in sorted(one.reasons, key=lambda found: found.code):
            if self._reasons.side(reason.code) is Side.SERVICE:
                return reason.code, reason.remedy
        return NOT_AVAILABLE, "none"

    def _refuse_malformed(self, attributes: Sequence[str]) -> None:
        if not 0 < len(attributes) <= MOST_ATTRIBUTES:
            msg = f"a request names 1 to {MOST_ATTRIBUTES} attributes"
            raise RequestInvalid(msg)
        if len(set(attributes)) != len(attributes):
            msg = "a request names each attribute once"
            raise RequestInvalid(msg)
        unknown = [
            name for name in attributes if name not in self._classification
        ]
        if unknown:
            raise UnknownAttributes(unknown)

    def new_id(self) -> UUID:
        """A random id for a decision, an event or an entry."""
        return uuid.UUID(bytes=self._random(16), version=4)


def _outcome(decision: Decision) -> str:
    effects = {one.effect for one in decision.attributes.values()}
    if effects == {Effect.WITHHOLD}:
        return "refused"
    return "partial" if Effect.WITHHOLD in effects else "released"


def _detail(decision: Decision) -> dict[str, Json]:
    return {
        "attributes": {
            name: {
                "effect": one.effect.value,
                "level": one.level,
                "reasons": [reason.code for reason in one.reasons],
            }
            for name, one in decision.attributes.items()
        }
    }
