"""Judging: may a service read an attribute, asked without reading it.

An authorization answer is about a person as much as a value is, so it walks
as a disclosure does: facts, decision, a durable entry, then the answer. But
nothing is opened. Each attribute is decided apart, in a request of its own,
so that an answer is the same alone, in a batch and in a search (AuthZEN
Authorization API 1.0, 7 and 8); one entry names them all.

A judgement is no use of data: it takes no frequency and no use count.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from consent import Draft, EntryKind, LegalBasis
from policy.decisions import (
    AccessRequest,
    AttributeDecision,
    Decision,
    Effect,
    Guidance,
    Json,
    Obligation,
)
from policy.evidence import EPOCH
from policy.facts import Facts, FactSource
from policy.gate import NOT_AVAILABLE, Gate
from policy.pdp import Cause, NoDecision
from policy.reading import Reader
from policy.retrying import ATTEMPTS, FactsMovedError
from policy.store import DecisionStore
from vault import Holding, NoteBox, Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was decided about one attribute, as a service may hear it.

    Attributes:
        attribute: its name.
        decision: id of the stored decision.
        effect: release, generalize or withhold.
        level: of generalization; 0 is the whole value.
        reason: `None` where it would leave; else the one code that the
            service may see (DESIGN.md, invariant 6).
        remedy: what the service could do, ``none`` for the person's side.
        obligations: what would go with the value.
        asks_consent: whether a declared statement that asks for consent
            offers the attribute; that is a fact about the declaration.

    """

    attribute: str
    decision: UUID
    effect: Effect
    level: int
    reason: str | None
    remedy: str | None
    obligations: tuple[Obligation, ...]
    asks_consent: bool

    @property
    def requestable(self) -> bool:
        """Whether asking the person could lift the denial.

        Told by the declaration and by the code that everybody gets alike,
        so it says nothing of the person.
        """
        return self.reason == NOT_AVAILABLE and self.asks_consent


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The answer to one question; its ledger entry is durable.

    `index` is None while the entry is pending; then `promise` is the
    ledger's signed word that it gets one. `guidance` goes with every answer
    in which anything is denied.
    """

    at: int
    revision: str
    index: int | None
    promise: str | None
    attributes: tuple[Judged, ...]
    guidance: Guidance | None = None


class Judge:
    """Answers whether, and opens nothing."""

    def __init__(
        self,
        *,
        gate: Gate,
        facts: FactSource,
        vault: Vault,
        decisions: DecisionStore,
        reader: Reader,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._gate = gate
        self._facts = facts
        self._vault = vault
        self._decisions = decisions
        self._read = reader
        self._clock = clock
        self._random = random

    async def judge(self, request: AccessRequest) -> Judgement:
        """Decide each attribute of a request apart, and record it.

        Args:
            request: with service and purpose from its credential.

        Raises:
            UnknownAttributes: a name is not in the catalogue.
            RequestInvalid: no, too many or repeated attributes.
            NoDecision: the engine, or the ledger, gave no answer to act on.

        """
        self._gate.refuse_malformed(request.attributes)
        try:
            return await self._judge(request)
        except NoDecision as none:
            await self._gate.enter_none(request, none)
            raise

    async def _judge(self, request: AccessRequest) -> Judgement:
        for _ in range(ATTEMPTS):
            now = self._clock()
            holding, facts = await self._read(
                partial(self._facts.gather, request=request, now=now)
            )
            now = max(now, facts.since)
            apart = [
                replace(request, attributes=(name,))
                for name in request.attributes
            ]
            decided = [
                (one, await self._gate.decide(one, facts, now))
                for one in apart
            ]
            try:
                return await self._answer(
                    request, holding, facts, decided, now
                )
            except FactsMovedError:
                continue
        raise NoDecision(Cause.FACTS_MOVING)

    async def _answer(
        self,
        request: AccessRequest,
        holding: Holding,
        facts: Facts,
        decided: list[tuple[AccessRequest, Decision]],
        now: int,
    ) -> Judgement:
        log_key = self._vault.log_key(holding)
        notes = NoteBox(log_key, random=self._random)
        ids = [self._gate.new_id() for _ in decided]
        writers = [
            self._decisions.writer(
                id_, one, facts, made, now, notes=notes, opened=False
            )
            for id_, (one, made) in zip(ids, decided, strict=True)
        ]
        found = {
            name: (id_, made.attributes[name])
            for id_, (one, made) in zip(ids, decided, strict=True)
            for name in one.attributes
        }

        def store(conn: Connection) -> None:
            for write in writers:
                write(conn)

        entry = await self._gate.record(
            holding,
            facts.revision,
            Draft(
                kind=EntryKind.EVALUATION,
                subject=holding.subject,
                log_key=log_key,
                service=request.service,
                purpose=request.purpose,
                attributes=request.attributes,
                outcome="judged",
                at=now,
                decision=ids[0],
                detail=_detail(found, self._vault.attest(holding)),
                withheld=self._gate.visibility.withheld(
                    request.service, request.purpose, now
                ),
                trace=request.trace,
            ),
            store,
        )
        judged = tuple(
            self._judged(*found[name], asks=_asks(facts, name))
            for name in request.attributes
        )
        return Judgement(
            at=now,
            revision=decided[0][1].revision,
            index=entry.index,
            promise=self._gate.promise(entry),
            attributes=judged,
            guidance=(
                await self._gate.guide.about(request, facts.declaration, now)
                if any(one.effect is Effect.WITHHOLD for one in judged)
                else None
            ),
        )

    def _judged(
        self, decision: UUID, one: AttributeDecision, *, asks: bool
    ) -> Judged:
        withheld = one.effect is Effect.WITHHOLD
        reason, remedy = self._gate.told(one) if withheld else (None, None)
        return Judged(
            attribute=one.attribute,
            decision=decision,
            effect=one.effect,
            level=one.level,
            reason=reason,
            remedy=remedy,
            obligations=one.obligations,
            asks_consent=asks,
        )


def _asks(facts: Facts, name: str) -> bool:
    return facts.declaration is not None and any(
        one.basis is LegalBasis.CONSENT and name in one.attributes
        for one in facts.declaration.statements
    )


def _detail(
    found: Mapping[str, tuple[UUID, AttributeDecision]], epoch: int
) -> dict[str, Json]:
    return {
        EPOCH: epoch,
        "attributes": {
            name: {
                "effect": one.effect.value,
                "level": one.level,
                "reasons": [reason.code for reason in one.reasons],
                "decision": str(decision),
            }
            for name, (decision, one) in found.items()
        },
    }
