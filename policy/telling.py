"""From what ended to who is told: the outbox becomes deliveries.

This runs off the person's path, in whichever process delivers. It finds who
holds the data from the stored decisions, which only the person's own log key
opens; so an erasure, which ends that key, prepares its deliveries before it
begins, and sets them free in the transaction that erases.
"""

import uuid
from collections.abc import Callable
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from consent import ConsentStore, EventType, states
from policy.deliveries import Deliveries
from policy.happenings import Happening, HappeningKind, Outbox
from policy.reading import Reader
from policy.recipients import Holder, PastDisclosure, holders
from policy.store import TAG, DecisionStore
from policy.visibility import VisibilityRules
from vault import Holding, NoteBox, Transactions, Vault

_MOST = 64


class Telling:
    """Finds out who is to be told."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        reader: Reader,
        vault: Vault,
        consents: ConsentStore,
        decisions: DecisionStore,
        visibility: VisibilityRules,
        outbox: Outbox,
        deliveries: Deliveries,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._transactions = transactions
        self._reader = reader
        self._vault = vault
        self._consents = consents
        self._decisions = decisions
        self._visibility = visibility
        self._outbox = outbox
        self._deliveries = deliveries
        self._clock = clock
        self._random = random

    def spread(self) -> int:
        """Turn what is due in the outbox into deliveries.

        Each happening is one transaction: after a crash it is still there,
        or all its deliveries are.

        Returns:
            How many deliveries were made.
        """
        made = 0
        while True:
            now = self._clock()
            due = self._reader.now(partial(self._due, now))
            for one in due:
                made += self._spread_one(one, now)
            if len(due) < _MOST:
                return made

    def prepare_erasure(self, conn: Connection, holding: Holding) -> None:
        """Write down who is to be told of an erasure, once it comes about.

        Args:
            conn: a transaction of its own, before the erasure begins.
            holding: the record that is to be erased, alone.
        """
        now = self._clock()
        notes = self._notes(holding)
        self._deliveries.unprepare(conn, notes.tag(TAG))
        happening = Happening(
            id=uuid.UUID(bytes=self._random(16), version=4),
            subject=holding.subject,
            kind=HappeningKind.ERASED,
            at=now,
        )
        past = list(self._decisions.disclosures(conn, notes))
        for holder in holders(happening, past):
            self._deliveries.add(
                conn,
                happening,
                holder,
                tag=notes.tag(TAG),
                hidden=True,
                now=now,
                prepared=True,
            )

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Drop what waits about an erased person."""
        self._outbox.forget(conn, subject)

    def forget_tag(self, conn: Connection, tag: bytes) -> None:
        """Send what was prepared about an erased person; untie the rest."""
        self._deliveries.erased(conn, tag, self._clock())

    def rekey(self, conn: Connection, old: NoteBox, new: NoteBox) -> None:
        """Move a person's deliveries to the tag of their next log key."""
        self._deliveries.rekey(conn, old.tag(TAG), new.tag(TAG))

    def _due(self, now: int, conn: Connection) -> list[Happening]:
        return self._outbox.due(conn, now, _MOST)

    def _spread_one(self, one: Happening, now: int) -> int:
        told = self._reader.now(partial(self._who, one, now))
        return self._transactions.run(partial(self._write, one, told, now))

    def _who(self, one: Happening, now: int, conn: Connection) -> list[Holder]:
        """Find who is told; what ended is committed, so no more hold it."""
        holding = self._vault.holding(one.subject)
        if not holding.known or not self._stands(conn, one, now):
            return []
        past: list[PastDisclosure] = []
        for each in (holding, *holding.others):
            past += self._decisions.disclosures(conn, self._notes(each))
        return holders(one, past)

    def _write(
        self, one: Happening, told: list[Holder], now: int, conn: Connection
    ) -> int:
        if not self._outbox.take(conn, one.id):
            return 0  # another process was there before
        # Again: the person's key may have moved, or be gone.
        holding = self._vault.holding(one.subject)
        if not holding.known:
            return 0
        tag = self._notes(holding).tag(TAG)
        for holder in told:
            withheld = self._visibility.withheld_now(
                holder.service, holder.purpose, now
            )
            self._deliveries.add(
                conn,
                one,
                holder,
                tag=tag,
                hidden=withheld is not None,
                now=now,
            )
        return len(told)

    def _stands(self, conn: Connection, one: Happening, now: int) -> bool:
        """Whether a yes that was to run out has, by itself."""
        if one.cause is None:
            return True
        events = self._consents.events(
            one.subject, one.service, one.purpose, until=now, conn=conn
        )
        state = states(events, now).get(one.statement)
        return (
            state is not None
            and state.state is EventType.EXPIRED
            and state.event == one.cause
        )

    def _notes(self, holding: Holding) -> NoteBox:
        return NoteBox(self._vault.log_key(holding), random=self._random)
