"""Legal holds through the gate: two officers, an entry, and what waits.

Who may decide an erasure decides its delay: the policies are asked as for an
erasure, which takes two. A request to erase somebody under a hold is
recorded and waits; meanwhile all use of the person's data is restricted, as
under article 18 of the GDPR, so processing stops while the key is kept. The
end of the last hold runs the erasure.

A hold is on one record, and holds every record that is read with it: an
erasure of any waits for it, and they are not parted meanwhile
(`policy.records`).
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection

from consent import ConsentStore, Draft, EntryKind, Ledger
from policy.authority import Action, Caller, authorize
from policy.erasing import PURPOSE, Eraser
from policy.errors import ErasureWaits, PersonUnknown
from policy.gate import Gate
from policy.pdp import PolicyDecisionPoint
from policy.restraints import RestraintKind, RestraintStore
from vault import (
    CryptoFailure,
    Hold,
    Holding,
    Holds,
    NoteBox,
    Transactions,
    Vault,
    reason_label,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedHold:
    """A hold, with its reason opened."""

    hold: Hold
    reason: str


class HoldDesk:
    """The officers' side of legal holds."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        gate: Gate,
        vault: Vault,
        holds: Holds,
        eraser: Eraser,
        consents: ConsentStore,
        restraints: RestraintStore,
        ledger: Ledger,
        pdp: PolicyDecisionPoint,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._transactions = transactions
        self._gate = gate
        self._vault = vault
        self._holds = holds
        self._eraser = eraser
        self._consents = consents
        self._restraints = restraints
        self._ledger = ledger
        self._pdp = pdp
        self._clock = clock
        self._random = random

    async def propose(
        self, officer: Caller, subject: UUID, *, reason: str, review_at: int
    ) -> UUID:
        """Propose a hold; somebody else confirms it.

        Raises:
            NotPermitted: by the policies, or without a reason.
            PersonUnknown: there is no such person.

        """
        await authorize(
            self._pdp,
            officer,
            Action.OFFICER_VIEW,
            target={"subject": str(subject)},
            justification=reason,
        )
        holding = self._own(subject)
        log_key = self._vault.log_key(holding)
        identity = self._holds.new_id()
        notes = NoteBox(log_key, random=self._random)
        sealed = notes.seal(reason_label(identity), reason.encode())

        def write(conn: Connection) -> None:
            self._enter(conn, holding, officer, "hold-proposed", identity)
            self._holds.propose(
                identity,
                subject,
                officer=officer.id,
                reason=sealed,
                review_at=review_at,
            )

        self._transactions.run(write)
        return identity

    async def confirm(self, officer: Caller, identity: UUID) -> Hold:
        """Put a hold in force.

        Raises:
            NotPermitted: the same officer proposed it.
            HoldRefused: there is none to confirm.

        """
        hold = self._holds.one(identity)
        await self._two(officer, hold.subject, hold.proposer)
        holding = self._own(hold.subject)

        def write(conn: Connection) -> Hold:
            self._enter(conn, holding, officer, "held", identity)
            return self._holds.confirm(identity, officer=officer.id)

        return self._transactions.run(write)

    async def lift(self, officer: Caller, identity: UUID) -> Hold:
        """Propose to lift a hold, or lift what another officer proposed.

        A request to erase that waited is carried out with the last hold.

        Raises:
            NotPermitted: the same officer proposed the lifting.
            HoldRefused: it is not in force.

        """
        hold = self._holds.one(identity)
        holding = self._own(hold.subject)
        if hold.lift_proposer is None:
            await self._two(officer, hold.subject, f"not {officer.id}")
            return self._lift(holding, officer, identity, proposing=True)
        await self._two(officer, hold.subject, hold.lift_proposer)
        lifted = self._lift(holding, officer, identity, proposing=False)
        proposer = self._holds.one(identity).erasure_proposer
        if proposer is not None:
            standing = self._standing(hold.subject)
            for member in standing:
                # The request waits on for what still stands.
                self._holds.ask_erasure(member, proposer=proposer)
            if not standing:
                self._eraser.erase(hold.subject)
        return lifted

    async def listed(self, officer: Caller) -> Sequence[ListedHold]:
        """List holds that are not over, with their reasons.

        Raises:
            NotPermitted: not this officer's role.

        """
        await authorize(self._pdp, officer, Action.LEDGER_AUDIT, target={})
        return [
            ListedHold(hold=hold, reason=self._reason(hold))
            for hold in self._holds.listed()
        ]

    def erase(self, subject: UUID, *, proposer: str) -> None:
        """Let an authorized erasure wait, where a hold stands against it.

        Raises:
            ErasureWaits: one stands; the request is recorded, and all use
                of the person's data is restricted.

        """
        standing = self._standing(subject)
        if not standing:
            return
        members = self._vault.members(subject)
        holdings = [self._own(member) for member in members]
        now = self._clock()

        def write(conn: Connection) -> None:
            self._ledger.lock(
                conn, *(self._vault.log_key(one) for one in holdings)
            )
            asked = [
                self._holds.ask_erasure(member, proposer=proposer)
                for member in standing
            ]
            made = {
                member: self._restraints.impose(
                    conn, member, RestraintKind.RESTRICTION, now=now
                )
                for member in (members if any(asked) else ())
            }
            for member in made:
                self._consents.bump(conn, member)
            first = str(made.get(members[0], ""))
            drafts = [
                self._draft(
                    holdings[0],
                    EntryKind.ERASURE,
                    "waiting",
                    {"proposer": proposer, "restraint": first},
                ),
                *(
                    self._draft(
                        one,
                        EntryKind.RESTRICTION,
                        "imposed",
                        {"restraint": str(made[one.subject])},
                    )
                    for one in holdings[1:]
                    if one.subject in made
                ),
            ]
            self._ledger.append(
                conn, [replace(draft, at=now) for draft in drafts]
            )

        self._transactions.run(write)
        raise ErasureWaits(subject)

    def _lift(
        self,
        holding: Holding,
        officer: Caller,
        identity: UUID,
        *,
        proposing: bool,
    ) -> Hold:
        act = self._holds.propose_lift if proposing else self._holds.lift
        outcome = "lift-proposed" if proposing else "hold-lifted"

        def write(conn: Connection) -> Hold:
            self._enter(conn, holding, officer, outcome, identity)
            return act(identity, officer=officer.id)

        return self._transactions.run(write)

    async def _two(
        self, officer: Caller, subject: UUID, proposer: str
    ) -> None:
        await authorize(
            self._pdp,
            officer,
            Action.ERASE,
            target={"subject": str(subject), "proposer": proposer},
            justification="legal hold",
        )

    def _reason(self, hold: Hold) -> str:
        label = reason_label(hold.id)
        *others, last = self._vault.log_keys(hold.subject) or [b""]
        if not last:
            return ""  # erased
        for log_key in others:
            notes = NoteBox(log_key, random=self._random)
            with suppress(CryptoFailure):
                return notes.unseal(label, hold.reason).decode()
        notes = NoteBox(last, random=self._random)
        return notes.unseal(label, hold.reason).decode()

    def _enter(
        self,
        conn: Connection,
        holding: Holding,
        officer: Caller,
        outcome: str,
        identity: UUID,
    ) -> None:
        detail = {"officer": officer.id, "hold": str(identity)}
        draft = self._draft(holding, EntryKind.KEY, outcome, detail)
        self._ledger.append(conn, [draft])

    def _draft(
        self,
        holding: Holding,
        kind: EntryKind,
        outcome: str,
        detail: dict[str, str],
    ) -> Draft:
        return Draft(
            kind=kind,
            subject=holding.subject,
            log_key=self._vault.log_key(holding),
            service="registrar",
            purpose=PURPOSE,
            outcome=outcome,
            at=self._clock(),
            decision=self._gate.new_id(),
            detail=dict(detail),
        )

    def _standing(self, subject: UUID) -> list[UUID]:
        """List the records of a person on which a hold stands."""
        members = self._vault.members(subject)
        return [one for one in members if self._holds.standing(one)]

    def _own(self, subject: UUID) -> Holding:
        """Fetch one record alone: what is sealed for it stays its own."""
        holding = self._vault.own_holding(subject)
        if not holding.known:
            msg = f"person {subject} is not known here"
            raise PersonUnknown(msg)
        return holding
