"""Policies come into force by two officers, and go back by one.

Like a declaration, a bundle is proposed by one officer and approved by
another, against the revision that was in force when it was proposed. Going
back is for emergencies: one officer may put into force again what two had
approved before, or what the software carries, with a reason. Each act is an
entry of the ledger with the revision, and looks first what the entries
before it say (`policy.settled`): a row that was put back is acted on by
nobody. Where that row is the pointer, going back is the way out: it goes on
from where the entries put it, whatever the row says. Who may do what is asked
of the policies that the entries put into force, on an engine of its own.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection

from consent import Draft, EntryKind, Ledger, RowForged
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
from policy.facts import is_damage
from policy.settled import PUT_RIGHT, Key, ProposalKind, Settled, settled
from vault import Transactions

OFFICE, PURPOSE = "policies", "policies"
_LONGEST_REASON = 500
_LONGEST_FOUND = 40


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
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._transactions = transactions
        self._store = store
        self._ours = ours
        self._ledger = ledger
        self._ledgers = (*past, ledger)
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
        await self._authorize(officer, Action.POLICY_PROPOSE, target={})
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
        await self._authorize(
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
        await self._authorize(
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
            _demand_waited(self._told(conn), proposal)
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

        Where the pointer is not where the entries put it, this puts it
        right: its row is counted for nothing, what ran in the shadow ends,
        and the entry says so. It leads to nothing else than ever: what two
        officers put into force by the entries, or the software's own.

        Args:
            officer: who does it, alone.
            number: a published bundle, or `OURS`.
            reason: why; it is recorded.

        Raises:
            NotPermitted: no reason, or not this officer's role.
            RecordUnknown: no bundle of that number was ever published.
            BundleInvalid: the stored files were changed.
            EngineError: the engine does not run the plan any more.
            RowForged: the row of that bundle is not as this instance wrote
                it, or entered.
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
        await self._authorize(
            officer,
            Action.POLICY_ROLLBACK,
            target={},
            justification=reason,
        )
        _demand_runs(bundle)

        def write(conn: Connection) -> None:
            told, live, found = self._begin_anew(conn)
            if number != OURS:
                told.demand(Key(ProposalKind.POLICIES, number), published)
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
                    **found,
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
        await self._authorize(officer, Action.POLICY_PROPOSE, target={})
        chosen, revision = NONE, ""
        if number is not None:
            candidate = self._store.load(number)
            _demand_runs(candidate)
            chosen, revision = number, candidate.revision

        def write(conn: Connection) -> None:
            told, live = self._begin(conn)
            if number is not None:
                kept = {"revision": revision}
                told.demand(Key(ProposalKind.POLICIES, number), kept)
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

    def _told(self, conn: Connection | None = None) -> Settled:
        """What the entries say; to be asked under the ledger's lock."""
        return settled(
            self._ledgers, service=OFFICE, purpose=PURPOSE, conn=conn
        )

    def _begin(self, conn: Connection) -> tuple[Settled, Live]:
        """Take the ledger's lock, and find the pointer where it was put.

        Raises:
            RowForged: it is another than this instance wrote, or entered.
        """
        self._ledger.lock(conn)
        told = self._told(conn)
        return told, self._placed(told, conn)

    def _begin_anew(
        self, conn: Connection
    ) -> tuple[Settled, Live, Mapping[str, Json]]:
        """Take the ledger's lock, and go on from where the pointer was put.

        Returns:
            What the entries say, where they put the pointer, and what the
            next one has to say of a row that is elsewhere.
        """
        self._ledger.lock(conn)
        told = self._told(conn)
        try:
            return told, self._placed(told, conn), {}
        except RowForged:
            # Anything may stand there, and an entry takes a short text.
            stood = str(self._store.pointer(conn).columns["number"])
            return told, told.pointed.live, {PUT_RIGHT: stood[:_LONGEST_FOUND]}

    def _placed(self, told: Settled, conn: Connection | None = None) -> Live:
        """Find the pointer where the entries put it.

        Raises:
            RowForged: it is not there, or not as this instance wrote it.
        """
        try:
            live = self._store.live(conn)
        except Exception as error:
            if not isinstance(error, RowForged) and not is_damage(error):
                raise
            raise told.misplaced() from None
        told.demand_pointer(live)
        return live

    async def _authorize(
        self,
        officer: Caller,
        action: Action,
        *,
        target: Mapping[str, Json],
        justification: str | None = None,
    ) -> None:
        """Ask the policies that the entries put into force.

        Not what decides elsewhere: a process that starts may have taken
        earlier ones from a pointer that was put back for that moment.

        Raises:
            NotPermitted: they refuse.
            NoDecision: they gave no answer to act on.
            RowForged, RecordUnknown, BundleInvalid: they are not there as
                they came into force.
        """
        with closing(EmbeddedPdp(self._in_force(self._told()))) as pdp:
            await authorize(
                pdp,
                officer,
                action,
                target=target,
                justification=justification,
            )

    def _in_force(self, told: Settled) -> Bundle:
        """The bundle that the entries put into force by two officers."""
        live = told.pointed.live
        if live.number == OURS:
            return self._ours
        published = {
            "revision": live.revision,
            "state": BundleState.PUBLISHED.value,
        }
        try:
            told.demand(Key(ProposalKind.POLICIES, live.number), published)
        except RowForged:
            # Put into force out of a row that somebody had put back.
            return self._ours
        return self._store.load(live.number, live.revision)

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
    told.demand(Key(ProposalKind.POLICIES, proposal.number), row)


def _demand_runs(bundle: Bundle) -> None:
    """Refuse what would stop deciding, or never start.

    An engine of another version may run less than the one at a proposal's.

    Raises:
        EngineError: the engine does not run its plan, or take its data.
    """
    EmbeddedPdp(bundle).close()
