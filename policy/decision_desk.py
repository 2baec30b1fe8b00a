"""What officers do with decisions of the past: replay and explain them.

Each is a look at a person: `policies/api` allows it with a justification,
and the look is an entry that the person sees, made before anything of the
decision is opened. A decision of an erased person opens for nobody, and the
answer is ``erased``; the entry is then about nobody, as it is where the
decision was about somebody unknown.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from consent import Draft, EntryKind, Ledger
from policy.authority import Action, Caller, authorize
from policy.bundle import Bundle
from policy.counterfactual import Counterfactual, Counterfactuals
from policy.decisions import AccessRequest, Decision, Json, parse_decision
from policy.embedded import EmbeddedPdp
from policy.errors import RecordUnknown, ReplayImpossible
from policy.facts import Facts, FactSource
from policy.gate import ENTRYPOINT, Gate
from policy.pdp import Cause, NoDecision, PolicyDecisionPoint
from policy.policy_desk import PolicyDesk
from policy.registrar import VIEW_PURPOSE, RegistrarDoor
from policy.replay import Reloaded, Replay, Replayed
from policy.store import KeptDecision, StoredDecision
from policy.supposing import Supposed
from policy.visibility import OFFICE
from vault import Transactions, Vault


def _unwatched(_looked: int) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDecision:
    """A decision of the past, and what replaying it gave.

    Attributes:
        kept: what stands of it.
        stored: as it was; None once the person is erased.
        replayed: then and again, under the policies of then; None likewise.
    """

    kept: KeptDecision
    stored: StoredDecision | None
    replayed: Replayed | None

    @property
    def erased(self) -> bool:
        """Whether the person is erased, and the decision closed."""
        return self.replayed is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedDecision:
    """A decision of the past, and what would have turned it over.

    Attributes:
        kept: what stands of it.
        stored: as it was.
        officer: by attribute; for officers alone.
        service: by attribute; the same whoever the person is.
    """

    kept: KeptDecision
    stored: StoredDecision
    officer: tuple[Counterfactual, ...]
    service: tuple[Counterfactual, ...]


class DecisionDesk:
    """The officers' way to stored decisions."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        ledger: Ledger,
        vault: Vault,
        gate: Gate,
        facts: FactSource,
        replay: Replay,
        policies: PolicyDesk,
        registrar: RegistrarDoor,
        pdp: PolicyDecisionPoint,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._transactions = transactions
        self._ledger = ledger
        self._vault = vault
        self._gate = gate
        self._facts = facts
        self._replay = replay
        self._policies = policies
        self._registrar = registrar
        self._pdp = pdp
        self._clock = clock
        self._random = random

    async def replay(
        self,
        officer: Caller,
        decision: UUID,
        *,
        justification: str,
        person: UUID | None = None,
        looked: Callable[[int], None] = _unwatched,
    ) -> PastDecision:
        """Decide again on the facts of then, under the policies of then.

        Args:
            officer: who looks.
            decision: id of the decision.
            justification: why; the person sees it with the entry.
            person: whom it is about, where that is known; else everybody's
                key is tried.
            looked: told how many people were tried since the last time.

        Raises:
            NotPermitted: no justification, or not this officer's role.
            ReplayImpossible: no such decision, a reference that no longer
                resolves, or policies of a revision that is not kept.
            CryptoFailure: the decision is not about `person`.
            NoDecision: the engine gave no answer.

        """
        kept, subject = await self._opened_to(
            officer, decision, justification, person, looked
        )
        looked_at = _looked_at("replay", decision)
        if subject is None:
            self._enter(officer, justification, "erased", looked_at)
            return PastDecision(kept=kept, stored=None, replayed=None)
        bundle = self._bundle(kept)
        await self._look(officer, subject, justification, looked_at)
        found = await self._replay.reloaded(decision, subject)
        return PastDecision(
            kept=kept,
            stored=found.stored,
            replayed=await self._replay.replay(
                EmbeddedPdp(bundle), decision, subject
            ),
        )

    async def explain(
        self,
        officer: Caller,
        decision: UUID,
        *,
        justification: str,
        person: UUID | None = None,
        looked: Callable[[int], None] = _unwatched,
    ) -> ExplainedDecision:
        """Say what would have turned each attribute of a decision over.

        Decided again on changed facts of then, under the policies of then.
        All of it is for officers; `ExplainedDecision.service` alone may be
        told to the service.

        Args:
            officer: as `replay`.
            decision: as `replay`.
            justification: as `replay`.
            person: as `replay`.
            looked: as `replay`.

        Raises:
            NotPermitted: as `replay`.
            ReplayImpossible: as `replay`, and ``erased``.
            CryptoFailure: as `replay`.
            NoDecision: the policies give no answer on the facts of then.

        """
        kept, subject = await self._opened_to(
            officer, decision, justification, person, looked
        )
        looked_at = _looked_at("explain", decision)
        if subject is None:
            self._enter(officer, justification, "erased", looked_at)
            msg = f"decision {decision}: erased"
            raise ReplayImpossible(msg)
        bundle = self._bundle(kept)
        await self._look(officer, subject, justification, looked_at)
        found = await self._replay.reloaded(decision, subject)
        finder = self._finder(EmbeddedPdp(bundle), found)
        names = found.stored.request.attributes
        return ExplainedDecision(
            kept=kept,
            stored=found.stored,
            officer=tuple(finder.of(name) for name in names),
            service=tuple(finder.for_the_service(name) for name in names),
        )

    def _finder(self, pdp: EmbeddedPdp, found: Reloaded) -> Counterfactuals:
        def decide(request: AccessRequest, facts: Facts, now: int) -> Decision:
            answer = pdp.evaluate(
                ENTRYPOINT, self._facts.input_document(request, facts, now)
            )
            if not isinstance(answer, Mapping):
                raise NoDecision(Cause.MALFORMED)
            return self._gate.within_reach(
                parse_decision(
                    answer, request.attributes, revision=pdp.revision
                )
            )

        return Counterfactuals(
            Supposed(
                request=found.stored.request,
                facts=found.facts,
                now=found.stored.now,
                preferences=found.preferences,
            ),
            facts=self._facts,
            decide=decide,
        )

    def _bundle(self, kept: KeptDecision) -> Bundle:
        try:
            return self._policies.of_revision(kept.revision)
        except RecordUnknown as unknown:
            msg = f"decision {kept.id}: {unknown}"
            raise ReplayImpossible(msg) from None

    async def _look(
        self,
        officer: Caller,
        subject: UUID,
        justification: str,
        looked_at: Mapping[str, Json],
    ) -> None:
        if subject == self._vault.decoy():
            self._enter(officer, justification, "opened", looked_at)
            return
        await self._registrar.officer_view(
            officer,
            subject,
            frozenset(),
            justification=justification,
            of=looked_at,
        )

    def _enter(
        self,
        officer: Caller,
        justification: str,
        outcome: str,
        looked_at: Mapping[str, Json],
    ) -> None:
        """Record a look that is at nobody."""
        draft = Draft(
            kind=EntryKind.OFFICER_VIEW,
            subject=None,
            log_key=None,
            service=OFFICE,
            purpose=VIEW_PURPOSE,
            outcome=outcome,
            at=self._clock(),
            decision=uuid.UUID(bytes=self._random(16), version=4),
            detail={
                **looked_at,
                "officer": officer.id,
                "justification": justification,
            },
        )

        def write(conn: Connection) -> None:
            self._ledger.lock(conn)
            self._ledger.append(conn, [draft])

        self._transactions.run(write)

    async def _opened_to(
        self,
        officer: Caller,
        decision: UUID,
        justification: str,
        person: UUID | None,
        looked: Callable[[int], None],
    ) -> tuple[KeptDecision, UUID | None]:
        """The decision and whom it is about; nobody once they are erased."""
        await authorize(
            self._pdp,
            officer,
            Action.OFFICER_VIEW,
            target={},
            justification=justification,
        )
        kept = await self._replay.kept(decision)
        if kept.tag is None:
            return kept, None
        return kept, person or self._replay.whose(kept, looked)


def _looked_at(act: str, decision: UUID) -> dict[str, Json]:
    """What the entry says of the look: which decision, and what was done."""
    return {"act": act, "decision": str(decision)}
