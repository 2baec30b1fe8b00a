"""Officers ask what a candidate would have changed; the asking is recorded."""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import Connection

from consent import Draft, EntryKind, Ledger
from policy.authority import Action, Caller, authorize
from policy.impact import Candidate, Impact, ImpactStudy
from policy.pdp import PolicyDecisionPoint
from policy.policy_desk import OFFICE, PURPOSE
from policy.situations import Months, months
from vault import Transactions


class ImpactDesk:
    """The officers' way to `ImpactStudy`."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        study: ImpactStudy,
        ledger: Ledger,
        pdp: PolicyDecisionPoint,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._transactions = transactions
        self._study = study
        self._ledger = ledger
        self._pdp = pdp
        self._clock = clock
        self._random = random

    def months(self, since: int, until: int | None) -> Months:
        """The ended months that an interval touches.

        Args:
            since: POSIX seconds within the first.
            until: POSIX seconds within the last; None for the newest.

        Raises:
            RequestInvalid: none of them has ended.
        """
        now = self._clock()
        return months(since, now if until is None else until, now)

    def total(self, within: Months) -> int:
        """How many decisions are opened for these months."""
        return self._study.total(within)

    async def impact(
        self,
        officer: Caller,
        candidate: Candidate,
        within: Months,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Impact:
        """Say what a candidate would have changed in the past.

        Args:
            officer: who asks.
            candidate: what decides.
            within: which months.
            progress: told how many decisions were opened since.

        Raises:
            NotPermitted: not the role that proposes such a candidate.
            CryptoFailure: a stored decision was altered.
            EngineError: the engine does not run the candidate's plan.
        """
        declaration = candidate.declaration
        await authorize(
            self._pdp,
            officer,
            Action.POLICY_PROPOSE
            if declaration is None
            else Action.DECLARATION_PROPOSE,
            target={},
        )
        self._enter(officer, candidate, within)
        return self._study.compare(
            candidate, self._study.scan(within, progress)
        )

    def _enter(
        self, officer: Caller, candidate: Candidate, within: Months
    ) -> None:
        """Who asks about what is recorded before anything is opened."""
        declaration = candidate.declaration
        draft = Draft(
            kind=EntryKind.BUNDLE,
            subject=None,
            log_key=None,
            service=OFFICE,
            purpose=PURPOSE,
            outcome="weighed",
            at=self._clock(),
            decision=UUID(bytes=self._random(16), version=4),
            detail={
                "revision": candidate.bundle.revision,
                "declaration": declaration.digest if declaration else "",
                "months": [within.names[0], within.names[-1]],
                "officer": officer.id,
            },
        )

        def write(conn: Connection) -> None:
            self._ledger.lock(conn)
            self._ledger.append(conn, [draft])

        self._transactions.run(write)
