"""The gate (PEP): decide, record, open, in this order and nowhere else.

1. Facts are gathered under a fact revision; no attribute value is in them.
2. The engine decides. Whatever is not a well-formed decision for exactly
   the attributes asked is `NoDecision`, which is an entry and no answer.
3. The ledger entry and the stored decision are committed. The transaction
   first checks that the person's fact revision is still the one decided
   under; if not, the gate decides again, twice at most.
4. Only then is a grant minted and the vault opened, for the granted
   attributes alone. Generalization happens here, behind the gate, and so do
   predicates, whose source is opened and stays here.

An unknown person takes the same path with the vault's decoy. To a service,
everything that depends on the person is the one code ``not_available``
(DESIGN.md, invariant 6).
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from consent import (
    Appended,
    Commit,
    ConsentStore,
    Declaration,
    Draft,
    EntryKind,
    GroupCommit,
    LedgerUnavailable,
    LogKeyMoved,
    hold_of,
    predicate_of,
    source_of,
)
from policy.classification import Classification
from policy.decisions import (
    AccessRequest,
    AttributeDecision,
    Decision,
    Disclosed,
    Disclosure,
    Effect,
    Guidance,
    Json,
    Reason,
    parse_decision,
)
from policy.errors import RequestInvalid, UnknownAttributes
from policy.evidence import EPOCH
from policy.facts import Facts, FactSource
from policy.guidance import Guide
from policy.pdp import (
    Cause,
    NoDecision,
    PolicyDecisionPoint,
    Ruling,
    decide_within,
)
from policy.predicates import answered
from policy.reading import Reader
from policy.retrying import ATTEMPTS, FactsMovedError
from policy.store import DecisionStore
from policy.undecided import Undecided
from policy.visibility import VisibilityRules
from policy.vocabulary import ReasonTable, Side
from vault import (
    CryptoFailure,
    HistoricValue,
    Holding,
    NoteBox,
    ReadGrant,
    Vault,
)

ENTRYPOINT = "curtilage/disclosure/decision"
NOT_AVAILABLE = "not_available"
BY_CONSENT = "consent_given"
GRANT_SECONDS = 60
MOST_ATTRIBUTES = 64
# What the gate itself carries out or passes on knowingly.
UNDERSTOOD = frozenset({"delete_by", "mask", "notify", "no_onward_transfer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A durable ledger entry, and the values that it allowed to open.

    `index` is None while it is pending; then `promise` is the ledger's
    signed word that it gets one.
    """

    index: int | None
    promise: str | None
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One attribute with its value, source and date."""

    attribute: str
    record: HistoricValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What is recorded of one answer, and what may be opened after that.

    Attributes:
        request: what was asked.
        holding: of the person, or the decoy's.
        revision: the fact revision decided under.
        declaration: of the service and purpose, as it was decided on.
        decision: what was decided.
        granted: the attributes that it lets the vault open; of a predicate
            the one that it is computed from.
        draft: the ledger entry.
        row: the stored decision, sealed.
        uses: takes what the person's rules count; None if none counts.
    """

    request: AccessRequest
    holding: Holding
    revision: int
    declaration: Declaration | None
    decision: Decision
    granted: frozenset[str]
    draft: Draft
    row: Mapping[str, object]
    uses: Callable[[Connection], None] | None


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
        visibility: VisibilityRules,
        zone: tzinfo,
        guide: Guide,
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
        self._zone = zone
        self.guide = guide
        self.visibility = visibility
        self._undecided = Undecided(
            vault=vault,
            facts=facts,
            commits=commits,
            visibility=visibility,
            reader=reader,
            new_id=self.new_id,
        )

    @property
    def pdp(self) -> PolicyDecisionPoint:
        """What decides."""
        return self._pdp

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
                on. Nothing was opened, and an entry says so, if the ledger
                could take one.

        """
        self.refuse_malformed(request.attributes)
        try:
            return await self._disclose(request)
        except NoDecision as none:
            await self.enter_none(request, none)
            raise

    async def enter_none(
        self, request: AccessRequest, none: NoDecision
    ) -> None:
        """Enter that a request ended without a decision, if that is possible.

        Args:
            request: what was asked.
            none: how it ended.

        """
        if none.cause is not Cause.LEDGER:
            await self._undecided.enter(request, self._clock(), none)

    async def _disclose(self, request: AccessRequest) -> Disclosure:
        for _ in range(ATTEMPTS):
            now = self._clock()
            holding, facts = await self._read(
                partial(self._facts.gather, request=request, now=now)
            )
            now = max(now, facts.since)
            decision = await self.decide(request, facts, now)
            try:
                return await self._answer(
                    request, holding, facts, decision, now
                )
            except FactsMovedError:
                continue
        raise NoDecision(Cause.FACTS_MOVING)

    async def decide(
        self, request: AccessRequest, facts: Facts, now: int
    ) -> Decision:
        """Ask the engine; record and open nothing.

        Raises:
            NoDecision: it gave no answer to act on.

        """
        document = self._facts.input_document(request, facts, now)
        return self.read(
            request,
            await decide_within(
                self._pdp, ENTRYPOINT, document, request.trace
            ),
        )

    def read(self, request: AccessRequest, ruling: Ruling) -> Decision:
        """Read a ruling about a request, strictly.

        Raises:
            NoDecision: it is not one to act on.

        """
        return self.within_reach(
            parse_decision(
                ruling.document, request.attributes, revision=ruling.revision
            )
        )

    def within_reach(self, decision: Decision) -> Decision:
        """Withhold what the gate cannot carry out as decided.

        Raises:
            NoDecision: a level is asked that an attribute does not have.

        """
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
        ready = self.prepare(request, holding, facts, decision, now)
        entry = await self.record(
            holding,
            ready.revision,
            ready.draft,
            lambda conn: self._decisions.write(conn, [ready.row]),
            ready.uses,
        )
        answer = self.open(ready, entry)
        if not denied(answer):
            return answer
        return replace(answer, guidance=await self.guidance(ready))

    def prepare(
        self,
        request: AccessRequest,
        holding: Holding,
        facts: Facts,
        decision: Decision,
        now: int,
    ) -> Prepared:
        """Write down what an answer will be; record and open nothing.

        Args:
            request: what was asked.
            holding: of the person.
            facts: what was decided on.
            decision: what was decided.
            now: the instant of the decision, POSIX seconds.

        Raises:
            NoDecision: the person's key does not open.

        """
        granted = decision.granted()
        decision_id = self.new_id()
        try:
            log_key = self._vault.log_key(holding)
        except CryptoFailure as error:
            raise NoDecision(Cause.DAMAGED, str(error)) from None
        row = self._decisions.row(
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
            detail=_detail(decision, self._vault.attest(holding)),
            # Read after the facts, whose declaration is then the present.
            withheld=self.visibility.withheld(
                request.service, request.purpose, now
            ),
            trace=request.trace,
        )
        return Prepared(
            request=request,
            holding=holding,
            revision=facts.revision,
            declaration=facts.declaration,
            decision=decision,
            granted=frozenset(source_of(name) for name in granted),
            draft=draft,
            row=row,
            uses=self._uses(request, holding, facts, decision, now),
        )

    async def guidance(self, ready: Prepared) -> Guidance | None:
        """Say what the service lacks on its own side, where it was denied."""
        return await self.guide.about(
            ready.request, ready.declaration, ready.draft.at
        )

    def open(self, ready: Prepared, entry: Appended) -> Disclosure:
        """Open what a durable entry allows, and make the answer of it.

        Args:
            ready: what `prepare` gave.
            entry: of its draft; its transaction has committed.

        """
        values: Mapping[str, str] = {}
        if ready.granted:
            grant = self._grant(ready.holding, ready.granted, ready.draft)
            values = self._vault.read(grant, ready.holding)
        decision = ready.decision
        return Disclosure(
            decision=ready.draft.decision,
            ledger_index=entry.index,
            promise=self._commits.promise(entry),
            revision=decision.revision,
            at=ready.draft.at,
            attributes=tuple(
                self._disclosed(
                    decision.attributes[name], values, ready.draft.at
                )
                for name in ready.request.attributes
            ),
        )

    def _uses(
        self,
        request: AccessRequest,
        holding: Holding,
        facts: Facts,
        decision: Decision,
        now: int,
    ) -> Callable[[Connection], None] | None:
        """Return what takes one use under each rule that counts them.

        It locks the person's facts, so of two requests that both saw the
        last use as free one takes it, and the other decides again.
        """
        if not any(
            terms.counted for one in facts.verdicts for _, terms in one.terms
        ):
            return None
        by_consent = frozenset(
            name
            for name in decision.granted()
            if any(
                reason.code == BY_CONSENT
                for reason in decision.attributes[name].reasons
            )
        )
        resting = self._facts.resting(facts, by_consent, now)
        if not resting:
            return None
        subject = holding.subject
        members = (subject, *(one.subject for one in holding.others))

        def take(conn: Connection) -> None:
            self._consents.lock(conn, subject)
            used = self._consents.uses(
                members, request.service, request.purpose, conn
            )
            taking: set[str] = set()
            for verdict in resting:
                if hold_of(verdict.terms, facts.uses, now) is not None:
                    continue
                if hold_of(verdict.terms, used, now) is not None:
                    raise FactsMovedError
                taking.update(
                    rule for rule, one in verdict.terms if one.counted
                )
            self._consents.take_use(
                conn,
                subject,
                request.service,
                request.purpose,
                rules=sorted(taking),
                now=now,
            )

        return take

    async def record_then_open(
        self,
        *,
        holding: Holding,
        revision: int,
        draft: Draft,
        granted: frozenset[str],
        store: Callable[[Connection], None] | None = None,
        uses: Callable[[Connection], None] | None = None,
    ) -> Recorded:
        """Make the entry durable, then open what it allows.

        Args:
            holding: of the person.
            revision: the fact revision decided under.
            draft: the entry.
            granted: what is opened.
            store: writes what goes with the entry.
            uses: takes the uses that the person's rules count, before it.

        Raises:
            NoDecision: the entry could not be made durable, so nothing was
                opened.
            FactsChanged: the person's facts moved since `revision`.

        """
        entry = await self.record(holding, revision, draft, store, uses)
        values: Mapping[str, str] = {}
        if granted:
            grant = self._grant(holding, granted, draft)
            values = self._vault.read(grant, holding)
        return Recorded(
            index=entry.index,
            promise=self._commits.promise(entry),
            values=values,
        )

    async def record_then_show(
        self,
        *,
        holding: Holding,
        revision: int,
        draft: Draft,
        uses: Callable[[Connection], None] | None = None,
    ) -> Sequence[Shown]:
        """As `record_then_open`, with source and date of each value.

        What is shown is exactly what the entry names.
        """
        await self.record(holding, revision, draft, uses=uses)
        grant = self._grant(holding, frozenset(draft.attributes), draft)
        found = self._vault.records(grant, holding)
        return [
            Shown(attribute=name, record=found[name])
            for name in draft.attributes
            if name in found
        ]

    async def record(
        self,
        holding: Holding,
        revision: int,
        draft: Draft,
        store: Callable[[Connection], None] | None = None,
        uses: Callable[[Connection], None] | None = None,
    ) -> Appended:
        """Make an entry durable, if the person's facts did not move.

        Raises:
            NoDecision: it could not be made durable.
            FactsMovedError: they moved since `revision`.

        """

        def unmoved(conn: Connection) -> None:
            if uses is not None:
                uses(conn)
            if self._consents.revision(conn, holding.subject) != revision:
                raise FactsMovedError

        def after(conn: Connection, _appended: Sequence[Appended]) -> None:
            if store is not None:
                store(conn)

        try:
            appended = await self._commits.submit(
                Commit(check=unmoved, drafts=(draft,), after=after)
            )
        except LogKeyMoved:
            # Re-encrypted between the look-up and the entry.
            raise FactsMovedError from None
        except LedgerUnavailable:
            raise NoDecision(Cause.LEDGER) from None
        return appended[0]

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
        self, one: AttributeDecision, values: Mapping[str, str], now: int
    ) -> Disclosed:
        value = self._form(one, values, now)
        if one.effect is Effect.WITHHOLD or value is None:
            code, remedy = self.told(one)
            return Disclosed(
                attribute=one.attribute,
                effect=Effect.WITHHOLD,
                value=None,
                level=0,
                reason=code,
                remedy=remedy,
                obligations=(),
            )
        return Disclosed(
            attribute=one.attribute,
            effect=one.effect,
            value=value,
            level=one.level,
            reason=None,
            remedy=None,
            obligations=one.obligations,
        )

    def _form(
        self, one: AttributeDecision, values: Mapping[str, str], now: int
    ) -> str | None:
        """Give what may leave of a value, in the form that was decided."""
        value = values.get(source_of(one.attribute))
        if value is None or one.effect is Effect.WITHHOLD:
            return None
        asked = predicate_of(one.attribute)
        if asked is not None:
            return answered(asked, value, now, self._zone)
        if one.level:
            steps = self._classification[one.attribute].steps
            return steps[one.level - 1](value)
        return value

    def told(self, one: AttributeDecision) -> tuple[str, str]:
        """What a service may hear: its own side, or one code for the rest.

        A reason on the service's side holds whoever the person is, so it
        tells nothing of them. With none, the person decided it.
        """
        for reason in sorted(one.reasons, key=lambda found: found.code):
            if self._reasons.side(reason.code) is Side.SERVICE:
                return reason.code, reason.remedy
        return NOT_AVAILABLE, "none"

    def promise(self, entry: Appended) -> str | None:
        """The ledger's signed word for an entry that is pending."""
        return self._commits.promise(entry)

    def refuse_malformed(self, attributes: Sequence[str]) -> None:
        """Refuse what no answer could be about.

        Raises:
            RequestInvalid: no, too many or repeated attributes.
            UnknownAttributes: a name is not in the catalogue.

        """
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


def denied(answer: Disclosure) -> bool:
    """Whether an answer withholds anything."""
    return any(one.effect is Effect.WITHHOLD for one in answer.attributes)


def _outcome(decision: Decision) -> str:
    effects = {one.effect for one in decision.attributes.values()}
    if effects == {Effect.WITHHOLD}:
        return "refused"
    return "partial" if Effect.WITHHOLD in effects else "released"


def _detail(decision: Decision, epoch: int) -> dict[str, Json]:
    return {
        EPOCH: epoch,
        "attributes": {
            name: {
                "effect": one.effect.value,
                "level": one.level,
                "reasons": [reason.code for reason in one.reasons],
            }
            for name, one in decision.attributes.items()
        },
    }
