"""Policies come into force by two officers, and go back by one.

Like a declaration, a bundle is proposed by one officer and approved by
another, against the revision that was in force when it was proposed. Going
back is for emergencies: one officer may put into force again what two had
approved before, or what the software carries, with a reason. Each act is an
entry of the ledger with the revision, and looks first what the entries
before it say (`policy.settled`): a row that was put back is acted on by
nobody.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection

from consent import Draft, EntryKind, Ledger
from policy.authority import Action, Caller, authorize
from policy.bundle import Bundle, read_bundle
from policy.bundle_store import (
    NONE,
    OURS,
    BundleState,
    BundleStore,
    Flip,
    Live,
    ProposedBundle,
)
from policy.decisions import Json
from policy.embedded import EmbeddedPdp
from policy.errors import FactsChanged, RecordUnknown
from policy.pdp import PolicyDecisionPoint
from policy.settled import ProposalKind, Settled, settled
from vault import Transactions

OFFICE, PURPOSE = "policies", "policies"
_LONGEST_REASON = 500


class PolicyDesk:
    """What officers do about the policies."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        store: BundleStore,
        ours: Bundle,
        ledger: Ledger,
        past: Sequence[Ledger],
        pdp: PolicyDecisionPoint,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._transactions = transactions
        self._store = store
        self._ours = ours
        self._ledger = ledger
        self._ledgers = (*past, ledger)
        self._pdp = pdp
        self._clock = clock
        self._random = random

    def live(self) -> Live:
        """Which bundle is in force, and which runs in its shadow."""
        return self._store.live()

    def proposals(self) -> Sequence[ProposedBundle]:
        """Every proposal by number, decided ones included."""
        return self._store.proposals()

    def bundle(self, number: int) -> Bundle:
        """A bundle by its number; `OURS` is what the software carries.

        Raises:
            RecordUnknown: there is none of that number.
            BundleInvalid: what is stored was changed.
        """
        return self._ours if number == OURS else self._store.load(number)

    def of_revision(self, revision: str) -> Bundle:
        """The bundle that has a revision.

        Raises:
            RecordUnknown: none of that revision is kept here.
        """
        if revision == self._ours.revision:
            return self._ours
        found = self._store.of_revision(revision)
        if found is None:
            msg = (
                f"the policies of revision {revision} are not kept here: "
                "they came with another version of the software, and were "
                "never proposed"
            )
            raise RecordUnknown(msg)
        return found

    def flips(self, number: int) -> Sequence[Flip]:
        """What a candidate decided otherwise in the shadow."""
        return self._store.flips(number)

    async def propose(
        self,
        officer: Caller,
        files: Mapping[str, bytes],
        *,
        archive: bytes | None = None,
    ) -> int:
        """Propose a bundle, for somebody else to approve.

        Args:
            officer: who proposes.
            files: the three files, by name.
            archive: the same policies as a signed bundle for OPA servers.

        Returns:
            The number of the proposal.

        Raises:
            NotPermitted: not this officer's role.
            BundleInvalid: the files are no bundle.
            EngineError: the engine does not run its plan.
        """
        await authorize(self._pdp, officer, Action.POLICY_PROPOSE, target={})
        bundle = read_bundle(files)
        _demand_runs(bundle)

        def write(conn: Connection) -> int:
            told, live = self._begin(conn)
            now, base = self._clock(), self._revision(live)
            number = self._store.add(
                conn,
                files,
                archive=archive,
                base=base,
                proposer=officer.id,
                now=now,
                above=told.highest(ProposalKind.POLICIES),
            )
            self._enter(
                conn,
                "proposed",
                {
                    "proposal": number,
                    "revision": bundle.revision,
                    "proposer": officer.id,
                    "base": base,
                },
                now,
            )
            return number

        return self._transactions.run(write)

    async def publish(self, officer: Caller, number: int) -> ProposedBundle:
        """Put a bundle into force that somebody else proposed.

        Raises:
            NotPermitted: the same officer proposed it, or not their role.
            RecordUnknown: no proposal of that number waits.
            BundleInvalid: the stored files were changed.
            EngineError: the engine does not run the plan any more.
            FactsChanged: another bundle came into force since.
        """
        proposal = self._waiting(number)
        await authorize(
            self._pdp,
            officer,
            Action.POLICY_PUBLISH,
            target={"proposer": proposal.proposer},
        )
        _demand_runs(self._store.load(number, proposal.revision))

        def write(conn: Connection) -> None:
            told, live = self._begin(conn)
            if self._revision(live) != proposal.base:
                msg = (
                    "other policies came into force since proposal "
                    f"{number}; propose it anew"
                )
                raise FactsChanged(msg)
            now = self._clock()
            self._store.decide(
                conn,
                proposal,
                state=BundleState.PUBLISHED,
                officer=officer.id,
                now=now,
            )
            _demand_waited(told, proposal)
            moved = self._point(conn, live, number, proposal.revision)
            self._enter(
                conn,
                "published",
                {
                    "proposal": number,
                    "revision": proposal.revision,
                    "proposer": proposal.proposer,
                    "officer": officer.id,
                    "changes": moved.changes,
                },
                now,
            )

        self._transactions.run(write)
        return self._store.proposal(number)

    async def reject(
        self, officer: Caller, number: int, *, reason: str
    ) -> ProposedBundle:
        """Decide that a proposal does not come into force.

        Raises:
            NotPermitted: no reason, or not this officer's role.
            RecordUnknown: no proposal of that number waits.
        """
        proposal = self._waiting(number)
        await authorize(
            self._pdp,
            officer,
            Action.POLICY_REJECT,
            target={},
            justification=reason,
        )

        def write(conn: Connection) -> None:
            self._ledger.lock(conn)
            now = self._clock()
            self._store.decide(
                conn,
                proposal,
                state=BundleState.REJECTED,
                officer=officer.id,
                now=now,
            )
            _demand_waited(self._told(), proposal)
            self._enter(
                conn,
                "rejected",
                {
                    "proposal": number,
                    "revision": proposal.revision,
                    "officer": officer.id,
                    "reason": reason[:_LONGEST_REASON],
                },
                now,
            )

        self._transactions.run(write)
        return self._store.proposal(number)

    async def roll_back(
        self, officer: Caller, number: int, *, reason: str
    ) -> Bundle:
        """Put into force again what was in force before.

        Args:
            officer: who does it, alone.
            number: a published bundle, or `OURS`.
            reason: why; it is recorded.

        Raises:
            NotPermitted: no reason, or not this officer's role.
            RecordUnknown: no bundle of that number was ever published.
            BundleInvalid: the stored files were changed.
            EngineError: the engine does not run the plan any more.
        """
        if number != OURS:
            found = self._store.proposal(number)
            if found.state is not BundleState.PUBLISHED:
                msg = f"bundle {number} was never in force"
                raise RecordUnknown(msg)
        bundle = self.bundle(number)
        published = {
            "revision": bundle.revision,
            "state": BundleState.PUBLISHED.value,
        }
        await authorize(
            self._pdp,
            officer,
            Action.POLICY_ROLLBACK,
            target={},
            justification=reason,
        )
        _demand_runs(bundle)

        def write(conn: Connection) -> None:
            told, live = self._begin(conn)
            if number != OURS:
                told.demand(ProposalKind.POLICIES, number, published)
            moved = self._point(conn, live, number, bundle.revision)
            self._enter(
                conn,
                "rolled-back",
                {
                    "proposal": number,
                    "revision": bundle.revision,
                    "officer": officer.id,
                    "reason": reason[:_LONGEST_REASON],
                    "changes": moved.changes,
                },
                self._clock(),
            )

        self._transactions.run(write)
        return bundle

    async def shadow(self, officer: Caller, number: int | None) -> None:
        """Run a proposal beside what is in force; None ends it.

        Raises:
            NotPermitted: not this officer's role.
            RecordUnknown: there is none of that number.
            BundleInvalid: the stored files were changed.
            EngineError: the engine does not run the plan any more.
        """
        await authorize(self._pdp, officer, Action.POLICY_PROPOSE, target={})
        chosen, revision = NONE, ""
        if number is not None:
            candidate = self._store.load(number)
            _demand_runs(candidate)
            chosen, revision = number, candidate.revision

        def write(conn: Connection) -> None:
            told, live = self._begin(conn)
            if number is not None:
                kept = {"revision": revision}
                told.demand(ProposalKind.POLICIES, number, kept)
            moved = self._store.point(
                conn,
                live,
                replace(live, shadow=chosen, shadow_revision=revision),
            )
            self._enter(
                conn,
                "shadowed" if revision else "shadow-ended",
                {
                    "revision": revision,
                    "officer": officer.id,
                    "changes": moved.changes,
                },
                self._clock(),
            )

        self._transactions.run(write)

    def _told(self) -> Settled:
        """What the entries say; to be asked under the ledger's lock."""
        return settled(self._ledgers, service=OFFICE, purpose=PURPOSE)

    def _begin(self, conn: Connection) -> tuple[Settled, Live]:
        """Take the ledger's lock, and find the pointer where it was put.

        Raises:
            RowForged: it is another than this instance wrote, or entered.
        """
        self._ledger.lock(conn)
        told, live = self._told(), self._store.live(conn)
        told.demand_pointer(live)
        return told, live

    def _revision(self, live: Live) -> str:
        return self._ours.revision if live.number == OURS else live.revision

    def _point(
        self, conn: Connection, live: Live, number: int, revision: str
    ) -> Live:
        """Move the pointer; what is in force is not its own shadow."""
        after = replace(
            live, number=number, revision="" if number == OURS else revision
        )
        if revision == live.shadow_revision:
            after = replace(after, shadow=NONE, shadow_revision="")
        return self._store.point(conn, live, after)

    def _waiting(self, number: int) -> ProposedBundle:
        found = self._store.proposal(number)
        if found.state is not BundleState.PROPOSED:
            msg = f"bundle {number} is {found.state} already"
            raise RecordUnknown(msg)
        return found

    def _enter(
        self,
        conn: Connection,
        outcome: str,
        detail: Mapping[str, Json],
        now: int,
    ) -> None:
        self._ledger.append(
            conn,
            [
                Draft(
                    kind=EntryKind.BUNDLE,
                    subject=None,
                    log_key=None,
                    service=OFFICE,
                    purpose=PURPOSE,
                    outcome=outcome,
                    at=now,
                    decision=self._new_id(),
                    detail=dict(detail),
                )
            ],
        )

    def _new_id(self) -> UUID:
        return uuid.UUID(bytes=self._random(16), version=4)


def _demand_waited(told: Settled, proposal: ProposedBundle) -> None:
    """Make sure that a proposal waited by the entries, too.

    Raises:
        RowForged: they tell otherwise.
    """
    row = {
        "revision": proposal.revision,
        "base": proposal.base,
        "proposer": proposal.proposer,
        "proposed_at": proposal.proposed_at,
        "state": BundleState.PROPOSED.value,
    }
    told.demand(ProposalKind.POLICIES, proposal.number, row)


def _demand_runs(bundle: Bundle) -> None:
    """Refuse what would stop deciding, or never start.

    An engine of another version may run less than the one at a proposal's.

    Raises:
        EngineError: the engine does not run its plan, or take its data.
    """
    EmbeddedPdp(bundle).close()
