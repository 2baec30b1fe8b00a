"""No decision: the entry that says so, durable before the answer does.

Where the engine gives nothing to act on, nothing was decided about anybody
and nothing is opened. The entry names what was asked and, to the person, the
cause; it has no reasons, since there are none. A request leaves one, as a
refusal does, so failing writes no more than deciding would have.

An unknown person's goes under the decoy, with the same work, and so does that
of a person whose record does not open: it is for the officer alone. Where the
ledger itself cannot commit there is no entry, and the answer is the same.
"""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from consent import Commit, Draft, EntryKind, GroupCommit, LedgerError
from policy.decisions import AccessRequest
from policy.facts import FactSource
from policy.pdp import NoDecision
from policy.reading import Reader
from policy.retrying import look_again
from policy.visibility import VisibilityRules
from vault import CryptoFailure, Holding, Vault

OUTCOME = "no-decision"


class Undecided:
    """Enters that a request ended without a decision.

    Args:
        vault: finds the person's record.
        facts: resolves whom a request names.
        commits: the queue to the ledger.
        visibility: when people learn of what.
        reader: reads beside the event loop.
        new_id: gives the random id of the entry's act.
    """

    def __init__(
        self,
        *,
        vault: Vault,
        facts: FactSource,
        commits: GroupCommit,
        visibility: VisibilityRules,
        reader: Reader,
        new_id: Callable[[], UUID],
    ) -> None:
        self._vault = vault
        self._facts = facts
        self._commits = commits
        self._visibility = visibility
        self._read = reader
        self._new_id = new_id

    async def enter(
        self, request: AccessRequest, now: int, none: NoDecision
    ) -> None:
        """Make the entry durable, if the ledger can.

        It holds whatever the person's facts are by now, so they may move.

        Args:
            request: what was asked.
            now: POSIX seconds of the attempt.
            none: why there is no decision.

        """
        try:
            await look_again(partial(self._submit, request, now, none))
        except (LedgerError, NoDecision):
            return

    async def _submit(
        self, request: AccessRequest, now: int, none: NoDecision
    ) -> None:
        try:
            holding = await self._read(
                lambda _conn: self._facts.holding(request.person)
            )
            draft = self._draft(request, holding, now, none)
        except (NoDecision, CryptoFailure):
            decoy = self._vault.holding(self._vault.decoy())
            draft = self._draft(request, decoy, now, none)
        await self._commits.submit(Commit(drafts=(draft,)))

    def _draft(
        self,
        request: AccessRequest,
        holding: Holding,
        now: int,
        none: NoDecision,
    ) -> Draft:
        return Draft(
            kind=EntryKind.NO_DECISION,
            subject=holding.subject,
            log_key=self._vault.log_key(holding),
            service=request.service,
            purpose=request.purpose,
            attributes=request.attributes,
            outcome=OUTCOME,
            at=now,
            decision=self._new_id(),
            # Its text could quote what an engine answered.
            detail={"cause": none.cause.value},
            withheld=self._visibility.withheld(
                request.service, request.purpose, now
            ),
            trace=request.trace,
        )
