"""Steps of emergency access that came to nothing: never unseen, and counted.

A step that is refused is an entry, as one that is granted is, durable before
the officer hears of it, and counts in their limit. So nobody can try out who
is known here, or what the policies would say, without a trace. Where there
is no decision the entry says that, and counts nothing.

It stands under the person whom the officer named; who is unknown or erased
has the decoy, and none of the officer's words, which might be about them.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from consent import (
    Commit,
    ConsentStore,
    Draft,
    EntryKind,
    GroupCommit,
    LedgerUnavailable,
    Withheld,
    latest_entry,
)
from policy.authority import CallerKind
from policy.decisions import Json
from policy.facts import is_damage
from policy.gate import Gate
from policy.glass_store import GlassStore
from policy.pdp import Cause, NoDecision
from policy.reading import Reader
from policy.retrying import look_again
from policy.undecided import OUTCOME
from policy.visibility import OFFICE
from vault import CryptoFailure, Holding, Vault

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One step of one officer, as far as it is known before it is decided.

    Attributes:
        kind: what the officer is to the platform. Nobody but an officer
            comes to this door, or is named in an entry as one.
        step: which: ``request``, ``open``, ``approve``, ``end`` or ``show``.
        officer: who, in one spelling.
        subject: whom it is about; None for nobody.
        purpose: for what.
        attributes: what would be opened.
        grant: the grant that was named, if any.
        words: what the officer wrote, by name; the person sees it.
    """

    kind: CallerKind
    step: str
    officer: str
    subject: UUID | None
    purpose: str
    attributes: tuple[str, ...] = ()
    grant: UUID | None = None
    words: Mapping[str, str] = field(default_factory=dict, repr=False)


class Attempts:
    """Enters what came to nothing.

    Args:
        origin: names the ledger.
        gate: makes entries durable.
        vault: finds the person's record.
        consents: the fact revision of a person.
        store: counts refusals.
        commits: the queue to the ledger.
        reader: reads beside the event loop.
        clock: POSIX seconds.
    """

    def __init__(
        self,
        *,
        origin: str,
        gate: Gate,
        vault: Vault,
        consents: ConsentStore,
        store: GlassStore,
        commits: GroupCommit,
        reader: Reader,
        clock: Callable[[], int],
    ) -> None:
        self._origin = origin
        self._gate = gate
        self._vault = vault
        self._consents = consents
        self._store = store
        self._commits = commits
        self._read = reader
        self._clock = clock

    async def refuse(self, one: Attempt, reasons: Sequence[str]) -> None:
        """Enter and count a refusal that rests on the officer's side alone.

        Args:
            one: what was refused.
            reasons: the codes.

        Raises:
            NoDecision: it could not be made durable, so nothing is told.

        """
        await look_again(partial(self.refuse_as_read, one, reasons))

    async def refuse_as_read(
        self,
        one: Attempt,
        reasons: Sequence[str],
        unmoved: Callable[[Connection], None] | None = None,
    ) -> None:
        """Enter and count a refusal, if what it rests on is as it was read.

        Args:
            one: what was refused.
            reasons: the codes.
            unmoved: raises `FactsMovedError` where something has moved, in
                the transaction of the entry.

        Raises:
            FactsMovedError: decide again.
            NoDecision: it could not be made durable, so nothing is told.

        """
        row = self._gate.new_id()

        def take(conn: Connection, at: int) -> None:
            if unmoved is not None:
                unmoved(conn)
            self._store.refuse(
                conn, row, one.officer, one.purpose, one.attributes, at
            )

        detail: dict[str, Json] = {"reasons": list(reasons)}
        await self._enter(one, "refused", row, detail, take)

    async def watch(self, one: Attempt, work: Callable[[], Awaitable[T]]) -> T:
        """Await a step; where it ends without a decision, enter that.

        So ends one, too, that meets a damaged record or a forged row.
        """
        try:
            return await work()
        except NoDecision as none:
            # The ledger, too: what it did not take may be dated wrong alone.
            await self._undecide(one, none.cause.value)
            raise
        except Exception as error:
            if is_damage(error):
                await self._undecide(one, Cause.DAMAGED.value)
            raise

    async def _undecide(self, one: Attempt, cause: str) -> None:
        """Make the entry of a step without a decision, if the ledger can."""
        detail: dict[str, Json] = {"cause": cause}
        enter = partial(self._enter, one, OUTCOME, self._gate.new_id(), detail)
        try:
            await look_again(enter)
        except NoDecision:
            return

    async def _enter(
        self,
        one: Attempt,
        outcome: str,
        identity: UUID,
        detail: Mapping[str, Json],
        take: Callable[[Connection, int], None] | None = None,
    ) -> None:
        if one.kind is not CallerKind.OFFICER:
            return
        holding, revision, at = await self._read(
            partial(self._look, subject=one.subject)
        )
        draft = self._draft(one, outcome, identity, holding, at, detail)

        def uses(conn: Connection) -> None:
            if take is not None:
                take(conn, at)

        if holding is not None:
            await self._gate.record(holding, revision, draft, uses=uses)
            return
        try:
            await self._commits.submit(Commit(check=uses, drafts=(draft,)))
        except LedgerUnavailable:
            raise NoDecision(Cause.LEDGER) from None

    def _look(
        self, conn: Connection, subject: UUID | None
    ) -> tuple[Holding | None, int, int]:
        """Give whom it is about, their revision, and the entry's time.

        The time is never before the ledger's last: a clock that was set back
        hides no refusal.
        """
        at = max(self._clock(), latest_entry(conn, self._origin))
        if subject is None:
            return None, 0, at
        try:
            holding = self._vault.holding(subject)
            self._vault.log_key(holding)
        except CryptoFailure:
            # A damaged record hides no refusal either.
            return None, 0, at
        return holding, self._consents.revision(conn, holding.subject), at

    def _draft(  # noqa: PLR0917 - the parts of one entry
        self,
        one: Attempt,
        outcome: str,
        identity: UUID,
        holding: Holding | None,
        at: int,
        detail: Mapping[str, Json],
    ) -> Draft:
        told: dict[str, Json] = {"officer": one.officer, "step": one.step}
        if one.grant is not None:
            told["grant"] = str(one.grant)
        if holding is not None and holding.known:
            told.update(one.words)
        return Draft(
            kind=EntryKind.GLASS,
            subject=None if holding is None else holding.subject,
            log_key=None if holding is None else self._vault.log_key(holding),
            service=OFFICE,
            purpose=one.purpose,
            attributes=one.attributes,
            outcome=outcome,
            at=at,
            decision=identity,
            detail={**told, **detail},
            withheld=None if holding is None else self._withheld(one, at),
        )

    def _withheld(self, one: Attempt, at: int) -> Withheld | None:
        return self._gate.visibility.withheld_now(OFFICE, one.purpose, at)
