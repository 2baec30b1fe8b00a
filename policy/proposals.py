"""Declarations come into force by two officers: one proposes, one approves.

A proposal holds the whole text and never changes. It is approved against
the version that was in force when it was made: where another came into force
since, what the officers compared is no longer what would change, and the
proposal has to be made anew. Each act is an entry of the ledger with the
digest, so who proposed and who approved what can be proved.

`policies/api` keeps the two apart: an approval names the proposer as the
store has it, never as the caller says, and the row has a code over both. That
the row is the last one the entries say (`policy.settled`).
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, select

from consent import (
    Asked,
    ConsentStore,
    Declaration,
    DeclarationInvalid,
    DeclarationPlan,
    Draft,
    EntryKind,
    Ledger,
    RowForged,
    RowMacs,
    read_declaration,
    write_declaration,
)
from policy.authority import Action, Caller, authorize
from policy.coded_rows import CodedRows, Standing
from policy.decisions import Guidance, Json
from policy.errors import FactsChanged, RecordUnknown
from policy.guidance import Guide
from policy.pdp import PolicyDecisionPoint
from policy.settled import (
    Key,
    ProposalKind,
    ReadAhead,
    Settled,
    read_ahead,
)
from policy.tables import ProposalRow
from vault import Transactions

OFFICE = "registrar"
_TABLE = ProposalRow.metadata.tables["policy_proposal"]
_LONGEST_REASON = 500


class ProposalState(StrEnum):
    """What became of a proposal."""

    PROPOSED = "proposed"
    PUBLISHED = "published"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A declaration that somebody wants in force.

    Attributes:
        number: Names it for ever, within the body.
        declaration: What would be in force.
        base: Digest of the version that was in force when it was proposed;
            empty where there was none.
        proposer: The officer who proposed it.
        proposed_at: POSIX seconds.
        state: What became of it.
        officer: Who decided; empty as long as nobody did.
        decided_at: POSIX seconds; ``None`` likewise.
    """

    number: int
    declaration: Declaration
    base: str
    proposer: str
    proposed_at: int
    state: ProposalState
    officer: str = ""
    decided_at: int | None = None


class DeclarationDesk:
    """What officers do about declarations."""

    def __init__(
        self,
        *,
        tenant: str,
        engine: Engine,
        transactions: Transactions,
        consents: ConsentStore,
        ledger: Ledger,
        past: Sequence[Ledger],
        macs: RowMacs,
        pdp: PolicyDecisionPoint,
        guide: Guide,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._tenant = tenant
        self._engine = engine
        self._transactions = transactions
        self._consents = consents
        self._ledger = ledger
        self._ledgers = (*past, ledger)
        self._rows = CodedRows(_TABLE, macs, tenant)
        self._pdp = pdp
        self._guide = guide
        self._clock = clock
        self._random = random

    def plan(self, declaration: Declaration) -> tuple[DeclarationPlan, Asked]:
        """Say what a version changes, and how many people it asks again.

        The numbers are of nobody in particular, so nothing is recorded.

        Raises:
            DeclarationInvalid: as `propose`.

        """
        return self._consents.asked_again(declaration, self._clock())

    async def advise(self, declaration: Declaration) -> Guidance | None:
        """Say of which values a version has more than its purpose needs.

        It is asked about nobody, so nothing is recorded.

        Returns:
            The guidance; None where the engine has no answer.

        """
        return await self._guide.on(declaration)

    def listed(self) -> Sequence[Standing]:
        """Every proposal by number, decided ones and forged ones included.

        They are as they stand in their rows: of one that is not genuine, any
        column may be anything.
        """
        with self._reading() as conn:
            return self.standing(conn)

    def proposal(self, number: int) -> Proposal:
        """Return one proposal.

        Raises:
            RecordUnknown: there is none of that number.
            RowForged: its row is not as this instance wrote it.
            DeclarationInvalid: its text is not the one of its digest.

        """
        with self._reading() as conn:
            return self._proposal(self._demanded(conn, number))

    def intact(self, conn: Connection, number: int) -> None:
        """Make sure that a text is the one of its digest.

        Raises:
            RecordUnknown: there is none of that number.
            DeclarationInvalid: it is not.

        """
        _declaration(self._row(conn, number))

    def vouch(self, conn: Connection) -> int:
        """Vouch for the proposals as they stand, whoever wrote them.

        Whoever has this done has looked through them first.

        Returns:
            For how many a code was made.

        """
        return self._rows.vouch(conn)

    def standing(self, conn: Connection) -> list[Standing]:
        """Return the proposals, whoever wrote them."""
        return self._rows.standing(conn)

    async def propose(self, officer: Caller, declaration: Declaration) -> int:
        """Propose a version, for somebody else to approve.

        Args:
            officer: who proposes.
            declaration: the version.

        Returns:
            The number of the proposal.

        Raises:
            NotPermitted: not this officer's role.
            DeclarationFrozen: another text of this version was answered,
                or a higher version is in force.
            DeclarationInvalid: with its other purposes the service would ask
                so much about an attribute that it tells the value.

        """
        await authorize(
            self._pdp,
            officer,
            Action.DECLARATION_PROPOSE,
            target={
                "service": declaration.service,
                "purpose": declaration.purpose,
            },
        )

        # Of all services: a number names one proposal of the body.
        ahead = read_ahead(self._ledgers)
        self._look_up(declaration)

        def write(conn: Connection) -> int:
            self._ledger.lock(conn)
            self._consents.demand_open(conn, declaration)
            ahead.on(conn=conn)
            told = ahead.told
            highest = told.highest(ProposalKind.DECLARATION)
            number = self._rows.free(conn, "number", above=highest)
            now, base = self._clock(), self._base(declaration, conn)
            told.demand_published(declaration, base)
            self._rows.insert(
                conn,
                {
                    "number": number,
                    "service": declaration.service,
                    "purpose": declaration.purpose,
                    "version": declaration.version,
                    "digest": declaration.digest,
                    "base": base,
                    "text": write_declaration(declaration),
                    "proposer": officer.id,
                    "proposed_at": now,
                    "officer": "",
                    "state": ProposalState.PROPOSED.value,
                },
            )
            self._enter(
                conn,
                declaration,
                ProposalState.PROPOSED,
                {"proposal": number, "proposer": officer.id, "base": base},
                now,
            )
            return number

        return self._transactions.run(write)

    async def approve(self, officer: Caller, number: int) -> Proposal:
        """Put a version into force that somebody else proposed.

        Args:
            officer: who approves.
            number: of the proposal.

        Returns:
            The proposal, published.

        Raises:
            NotPermitted: the same officer proposed it, or not their role.
            RecordUnknown: no proposal of that number waits.
            DeclarationInvalid: the stored text was changed, or as `propose`.
            FactsChanged: another version came into force since.
            DeclarationFrozen: somebody answered another text of it since.

        """
        proposal = self._waiting(number)
        declaration = proposal.declaration
        await authorize(
            self._pdp,
            officer,
            Action.DECLARATION_PUBLISH,
            target={
                "service": declaration.service,
                "purpose": declaration.purpose,
                "proposer": proposal.proposer,
            },
        )
        self._look_up(declaration)
        ahead = self._ahead(declaration)

        def write(conn: Connection) -> None:
            self._ledger.lock(conn)
            if self._base(declaration, conn) != proposal.base:
                msg = (
                    f"another version of {declaration.service}/"
                    f"{declaration.purpose} came into force since proposal "
                    f"{number}; propose it anew"
                )
                raise FactsChanged(msg)
            ahead.on(conn=conn)
            ahead.told.demand_published(declaration, proposal.base)
            self._consents.register(conn, declaration)
            now = self._clock()
            self._decide(conn, proposal, officer, ProposalState.PUBLISHED, now)
            _demand_waited(ahead.told, proposal)
            self._enter(
                conn,
                declaration,
                ProposalState.PUBLISHED,
                {
                    "proposal": number,
                    "proposer": proposal.proposer,
                    "officer": officer.id,
                },
                now,
            )

        self._transactions.run(write)
        return self.proposal(number)

    async def reject(
        self, officer: Caller, number: int, *, reason: str
    ) -> Proposal:
        """Decide that a proposal does not come into force.

        Args:
            officer: who decides; the proposer may take it back.
            number: of the proposal.
            reason: why; it is recorded.

        Returns:
            The proposal, rejected.

        Raises:
            NotPermitted: no reason, or not this officer's role.
            RecordUnknown: no proposal of that number waits.

        """
        proposal = self._waiting(number)
        declaration = proposal.declaration
        await authorize(
            self._pdp,
            officer,
            Action.DECLARATION_REJECT,
            target={
                "service": declaration.service,
                "purpose": declaration.purpose,
            },
            justification=reason,
        )

        ahead = self._ahead(declaration)

        def write(conn: Connection) -> None:
            self._ledger.lock(conn)
            now = self._clock()
            self._decide(conn, proposal, officer, ProposalState.REJECTED, now)
            ahead.on(conn=conn)
            _demand_waited(ahead.told, proposal)
            self._enter(
                conn,
                declaration,
                ProposalState.REJECTED,
                {
                    "proposal": number,
                    "proposer": proposal.proposer,
                    "officer": officer.id,
                    "reason": reason[:_LONGEST_REASON],
                },
                now,
            )

        self._transactions.run(write)
        return self.proposal(number)

    def _waiting(self, number: int) -> Proposal:
        found = self.proposal(number)
        if found.state is not ProposalState.PROPOSED:
            msg = f"proposal {number} is {found.state.value} already"
            raise RecordUnknown(msg)
        return found

    def _look_up(self, declaration: Declaration) -> None:
        """Let what is in force be read before a transaction looks for it.

        There it is read only where it changed since, by another connection.
        """
        self._consents.declaration(declaration.service, declaration.purpose)

    def _base(self, declaration: Declaration, conn: Connection) -> str:
        live = self._consents.declaration(
            declaration.service, declaration.purpose, conn
        )
        return "" if live is None else live.digest

    def _decide(
        self,
        conn: Connection,
        proposal: Proposal,
        officer: Caller,
        state: ProposalState,
        now: int,
    ) -> None:
        row = self._demanded(conn, proposal.number)
        if self._proposal(row) != proposal or not self._rows.change(
            conn, row, officer=officer.id, decided_at=now, state=state.value
        ):
            msg = f"proposal {proposal.number} was decided in between"
            raise RecordUnknown(msg)

    def _row(self, conn: Connection, number: int) -> Row[Any]:
        statement = select(_TABLE).where(
            _TABLE.c.tenant == self._tenant, _TABLE.c.number == number
        )
        row = conn.execute(statement).one_or_none()
        if row is None:
            msg = f"there is no proposal {number}; look at those there are"
            raise RecordUnknown(msg)
        return row

    def _demanded(self, conn: Connection, number: int) -> Row[Any]:
        row = self._row(conn, number)
        self._rows.demand(row)
        return row

    def _ahead(self, declaration: Declaration) -> ReadAhead:
        """Read what the entries say, before the ledger's lock is taken."""
        return read_ahead(
            self._ledgers,
            service=declaration.service,
            purpose=declaration.purpose,
        )

    def _proposal(self, row: Row[Any]) -> Proposal:
        declaration = _declaration(row)
        return Proposal(
            number=row.number,
            declaration=declaration,
            base=row.base,
            proposer=row.proposer,
            proposed_at=row.proposed_at,
            state=_state(row),
            officer=row.officer,
            decided_at=row.decided_at,
        )

    def _reading(self) -> Connection:
        return self._engine.connect().execution_options(read_only=True)

    def _enter(
        self,
        conn: Connection,
        declaration: Declaration,
        state: ProposalState,
        told: Mapping[str, Json],
        now: int,
    ) -> None:
        draft = Draft(
            kind=EntryKind.DECLARATION,
            subject=None,
            log_key=None,
            service=declaration.service,
            purpose=declaration.purpose,
            outcome=state.value,
            at=now,
            decision=self._new_id(),
            detail={
                "digest": declaration.digest,
                "version": declaration.version,
                **told,
            },
        )
        self._ledger.append(conn, [draft])

    def _new_id(self) -> UUID:
        return uuid.UUID(bytes=self._random(16), version=4)


def _state(row: Row[Any]) -> ProposalState:
    """Read what became of a proposal, which is anything.

    Raises:
        RowForged: it is nothing that can become of one.
    """
    try:
        return ProposalState(row.state)
    except ValueError:
        raise RowForged(_TABLE.name) from None


def _demand_waited(told: Settled, proposal: Proposal) -> None:
    """Make sure that a proposal waited by the entries, too.

    Raises:
        RowForged: they tell otherwise.

    """
    row = {
        "digest": proposal.declaration.digest,
        "base": proposal.base,
        "proposer": proposal.proposer,
        "proposed_at": proposal.proposed_at,
        "state": ProposalState.PROPOSED.value,
    }
    key = Key(
        ProposalKind.DECLARATION,
        proposal.number,
        proposal.declaration.service,
        proposal.declaration.purpose,
    )
    told.demand(key, row)


def _declaration(row: Row[Any]) -> Declaration:
    where = f"proposal {row.number}"
    declaration = read_declaration(row.text, where=where)
    if declaration.digest != row.digest:
        raise DeclarationInvalid(
            where=where,
            line=0,
            column=0,
            what="it has the text of another declaration",
            remedy="restore it from a backup; it was changed",
        )
    return declaration
