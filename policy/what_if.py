"""What would each service see if the person chose otherwise.

The question is put to the same facts and the same engine as a request of
the service, with one thing exchanged: the person's rules, an answer taken
back, a signal lifted. Nothing is opened and nothing is written, not even an
entry: there is no use of a value to record. The service's own side is taken
to be in order (it promised what it must, its assurance is enough), because
what is asked is what the person's choice changes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from consent import (
    ConsentEvent,
    ConsentStore,
    Declaration,
    EventType,
    LegalBasis,
    Preferences,
    StoredPreferences,
    covers,
)
from policy.authority import Action, Caller, authorize
from policy.classification import Classification
from policy.decisions import AccessRequest, ById, Decision, Effect
from policy.errors import PersonUnknown
from policy.facts import Facts, FactSource
from policy.gate import UNDERSTOOD, Gate
from policy.pdp import PolicyDecisionPoint
from policy.reading import Reader
from vault import Holding, Vault

ASSURANCE = 3
# Not the id that stands for "never answered".
_HYPOTHETICAL = UUID(int=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """What is supposed; what is left out stays as it is.

    Attributes:
        preferences: the person's rules.
        withdrawn: services and purposes whose every yes is taken back.
        signal: whether the person's browser refuses optional sharing.
    """

    preferences: Preferences | None = None
    withdrawn: frozenset[tuple[str, str]] = frozenset()
    signal: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a service sees of one attribute, and why.

    Attributes:
        effect: released, made coarser or withheld.
        level: how coarse.
        reasons: the codes, as the person may read them.
    """

    effect: Effect
    level: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What one service sees now, and would see then.

    Attributes:
        service: its id.
        purpose: its purpose.
        now: by attribute, as things are.
        then: by attribute, as is supposed.
        runs_now: whether it gets what it cannot do without.
        runs_then: whether it would.
    """

    service: str
    purpose: str
    now: Mapping[str, Sight]
    then: Mapping[str, Sight]
    runs_now: bool
    runs_then: bool

    @property
    def stops(self) -> bool:
        """Whether the service would stop to work for the person."""
        return self.runs_now and not self.runs_then

    @property
    def starts(self) -> bool:
        """Whether the service would begin to work for the person."""
        return self.runs_then and not self.runs_now

    @property
    def changed(self) -> tuple[str, ...]:
        """The attributes of which the service would see another form."""
        return tuple(
            name
            for name, sight in self.now.items()
            if (sight.effect, sight.level)
            != (self.then[name].effect, self.then[name].level)
        )

    def seen(self, attribute: str) -> tuple[str, ...]:
        """What of an attribute the service would see then.

        Args:
            attribute: an element; it means its subtree, and what it is a
                part of.
        """
        return tuple(
            name
            for name, sight in self.then.items()
            if sight.effect is not Effect.WITHHOLD
            and (covers(attribute, name) or covers(name, attribute))
        )


class WhatIf:
    """Asks the gate's engine what it would decide."""

    def __init__(
        self,
        *,
        tenant: str,
        gate: Gate,
        vault: Vault,
        consents: ConsentStore,
        facts: FactSource,
        pdp: PolicyDecisionPoint,
        reader: Reader,
        classification: Mapping[str, Classification],
        clock: Callable[[], int],
    ) -> None:
        self._tenant = tenant
        self._gate = gate
        self._vault = vault
        self._consents = consents
        self._facts = facts
        self._pdp = pdp
        self._read = reader
        self._classification = classification
        self._clock = clock

    async def outlook(
        self, caller: Caller, subject: UUID, hypothesis: Hypothesis
    ) -> list[Outlook]:
        """Say what each declared service sees, and would see.

        Args:
            caller: the person.
            subject: the person.
            hypothesis: what is supposed.

        Returns:
            One outlook for each service and purpose in force, in order.

        Raises:
            NotPermitted: `caller` is somebody else.
            PersonUnknown: there is no such person any more.
            NoDecision: the engine gave no answer about one of them.

        """
        await authorize(
            self._pdp,
            caller,
            Action.OWN_VIEW,
            target={"subject": str(subject)},
        )
        holding = self._vault.holding(subject)
        if not holding.known:
            msg = f"person {subject} is not known here"
            raise PersonUnknown(msg)
        return [
            await self._of(declaration, holding, hypothesis)
            for declaration in self._in_force()
            if any(
                item.attribute in self._classification
                for statement in declaration.statements
                for item in statement.data
            )
        ]

    async def _of(
        self, declaration: Declaration, holding: Holding, supposed: Hypothesis
    ) -> Outlook:
        request = AccessRequest(
            tenant=self._tenant,
            service=declaration.service,
            purpose=declaration.purpose,
            attributes=tuple(
                dict.fromkeys(
                    item.attribute
                    for statement in declaration.statements
                    for item in statement.data
                    if item.attribute in self._classification
                )
            ),
            person=ById(subject=holding.subject),
            understands=UNDERSTOOD,
            assurance=ASSURANCE,
        )
        now = self._clock()
        facts = await self._read(
            lambda conn: self._facts.about(
                conn,
                holding.subject,
                request,
                now,
                known=True,
                present=holding.present,
                merged=tuple(other.subject for other in holding.others),
            )
        )
        now = max(now, facts.since)
        found = await self._gate.decide(request, facts, now)
        then = await self._gate.decide(
            request, self._supposed(facts, holding, supposed, now), now
        )
        return Outlook(
            service=declaration.service,
            purpose=declaration.purpose,
            now=_sights(found),
            then=_sights(then),
            runs_now=_runs(declaration, found),
            runs_then=_runs(declaration, then),
        )

    def _supposed(
        self, facts: Facts, holding: Holding, supposed: Hypothesis, now: int
    ) -> Facts:
        declaration = facts.declaration
        if supposed.preferences is not None:
            stored = StoredPreferences(
                version=facts.preferences, preferences=supposed.preferences
            )
            facts = replace(
                facts, verdicts=self._facts.verdicts(stored, declaration)
            )
        if supposed.signal is not None:
            facts = replace(
                facts,
                restraints=replace(
                    facts.restraints, signalled=supposed.signal
                ),
            )
        if declaration is not None and (
            (declaration.service, declaration.purpose) in supposed.withdrawn
        ):
            facts = replace(
                facts,
                events=(
                    *facts.events,
                    *_withdrawals(declaration, holding.subject, now),
                ),
            )
        return facts

    def _in_force(self) -> Iterable[Declaration]:
        """The version in force of each service and purpose."""
        names = dict.fromkeys(
            (one.service, one.purpose) for one in self._consents.declarations()
        )
        for service, purpose in sorted(names):
            live = self._consents.declaration(service, purpose)
            if live is not None:
                yield live


def _withdrawals(
    declaration: Declaration, subject: UUID, now: int
) -> list[ConsentEvent]:
    """What taking back every yes would add to the log; never stored."""
    return [
        ConsentEvent(
            id=_HYPOTHETICAL,
            subject=subject,
            service=declaration.service,
            purpose=declaration.purpose,
            statement=statement.id,
            declaration=declaration.digest,
            notice="",
            language="",
            type=EventType.WITHDRAWN,
            attributes=(),
            at=now,
        )
        for statement in declaration.statements
        if statement.basis is LegalBasis.CONSENT
    ]


def _sights(decision: Decision) -> dict[str, Sight]:
    return {
        name: Sight(
            effect=one.effect,
            level=one.level,
            reasons=tuple(sorted(reason.code for reason in one.reasons)),
        )
        for name, one in decision.attributes.items()
    }


def _runs(declaration: Declaration, decision: Decision) -> bool:
    """Whether every essential attribute is granted, or else any at all."""
    granted = decision.granted()
    essential = {
        name
        for statement in declaration.statements
        for name in statement.essential
        if name in decision.attributes
    }
    return essential <= granted if essential else bool(granted)
