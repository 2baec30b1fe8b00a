"""Erasing a person: the one order of acts, and how it is taken up again.

0. Which services are to be told is written down, since nothing of it can be
   found afterwards; none is told before step 2.
1. The intent, with what it takes to repeat it, is appended to the erasure
   journal and synced. Where that fails, nothing was done.
2. In one transaction of the data database: the keys database notes the
   intent (from then on nothing of the person opens), rows, consents,
   restraints, stored decisions and ledger openings go, the key is
   overwritten, and the ledger entry is appended. Counts of a scan of past
   decisions that was stopped go with them.
3. The outcome is appended to the journal.

`Eraser.recover` runs at every start: it finishes what passed the second
step's point of no return, and cancels what did not reach it.
`Eraser.replay` carries the journal's erasures out on databases that were
put back from a backup.
"""

import contextlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from consent import ConsentStore, Draft, EntryKind, Ledger, LogKeyMoved
from policy.consent_requests import ConsentRequests
from policy.decisions import Json
from policy.errors import PersonUnknown
from policy.glass_store import GlassStore
from policy.impact_scan import ScanFile
from policy.released import ReleasedStore
from policy.restraints import RestraintStore
from policy.retrying import look_again_now
from policy.store import TAG, DecisionStore
from policy.telling import Telling
from vault import (
    DekState,
    ErasureJournal,
    ErasureReport,
    JournaledErasure,
    JournalUnavailable,
    NoteBox,
    Position,
    SubjectHeld,
    Transactions,
    UnknownSubject,
    Vault,
)

_OPEN = frozenset({DekState.LIVE, DekState.HELD})
PURPOSE = "register-keeping"
# Erasures of which a replay makes one search and one transaction.
_SEARCHED_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What an erasure removed, and the ledger entry that records it."""

    report: ErasureReport
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedErasures:
    """What came of a replay of the journal.

    Attributes:
        erasures: how many the journal has.
        brought_back: how many of them a database had brought back.
    """

    erasures: int
    brought_back: int


class Eraser:
    """Erases people of one tenant, and sees to it that they stay erased."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        vault: Vault,
        journal: ErasureJournal,
        consents: ConsentStore,
        restraints: RestraintStore,
        decisions: DecisionStore,
        glass: GlassStore,
        released: ReleasedStore,
        requests: ConsentRequests,
        ledger: Ledger,
        past: Sequence[Ledger],
        telling: Telling,
        counted: ScanFile,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        """Take the collaborators.

        `past` are ledgers of former names; `counted` is where counts wait
        that the person may be in.
        """
        self._telling = telling
        self._counted = counted
        self._transactions = transactions
        self._vault = vault
        self._journal = journal
        self._consents = consents
        self._restraints = restraints
        self._decisions = decisions
        self._glass = glass
        self._released = released
        self._requests = requests
        self._ledger = ledger
        self._ledgers = (ledger, *past)
        self._clock = clock
        self._random = random

    def erase(self, subject: UUID) -> Erasure:
        """Erase a person; the caller has authorized it.

        Raises:
            PersonUnknown: there is no such person.
            SubjectHeld: a legal hold stands; nothing was done.
            JournalUnavailable: the journal cannot be written; nothing was
                done.

        """
        holding = self._vault.own_holding(subject)
        if not holding.known:
            msg = f"person {subject} is not known here"
            raise PersonUnknown(msg)
        custody = self._vault.custody
        members = self._vault.members(subject)
        for member in members:
            if custody.state(member) is DekState.HELD:
                raise SubjectHeld(member)
        # The surviving record last: until it is gone, it leads to those
        # that a crash left.
        done = {
            member: look_again_now(partial(self._erase_one, member))
            for member in reversed(members)
        }
        return done[subject]

    def _erase_one(self, subject: UUID) -> Erasure:
        holding = self._vault.own_holding(subject)
        custody = self._vault.custody
        log_key = self._vault.log_key(holding)
        notes = NoteBox(log_key, random=self._random)
        # A backup of before a compromise has them under an earlier log key.
        former = self._transactions.run(
            lambda conn: self._decisions.former(conn, notes)
        )
        self._transactions.run(
            lambda conn: self._telling.prepare_erasure(conn, holding)
        )
        position = self._journal.intend(
            subject,
            kek_epoch=custody.kek_epoch(subject),
            note_tags=(notes.tag(TAG), *(one.note for one in former)),
            ledger_tags=(
                *(one.tag(log_key) for one in self._ledgers),
                *(tag for one in former for tag in one.ledgers),
            ),
        )
        try:
            done = self._carry_out(subject, position, log_key)
        except (Exception, KeyboardInterrupt):
            self._cancel_unbegun(subject)
            raise
        custody.drop_logs()
        # A journal that fails now is told the outcome at the next start.
        with contextlib.suppress(JournalUnavailable):
            self._journal.complete(subject, done.index)
        # A scan that began after the intent may have been kept since.
        self._counted.drop()
        return done

    def recover(self) -> int:
        """Finish or cancel what was interrupted. Run at every start.

        Returns:
            How many erasures had something left to do.

        """
        self._journal.refresh()
        custody = self._vault.custody
        begun = []
        for erasure in self._journal.pending():
            if custody.state(erasure.subject) in _OPEN:
                self._journal.cancel(erasure.subject)
            else:
                begun.append(erasure)
        finished = self._all_again(begun)
        for erasure in begun:
            self._journal.complete(erasure.subject)
        if begun:
            self._counted.drop()
        unsettled = [subject for subject, _ in custody.unsettled()]
        finished += self._all_again(
            [self._journal.find(one) or _bare(one) for one in unsettled]
        )
        custody.settle(unsettled)
        if finished:
            custody.drop_logs()
        return finished

    def replay(
        self, progress: Callable[[int, int], None] | None = None
    ) -> ReplayedErasures:
        """Carry out every erasure of the journal again, in both databases.

        Args:
            progress: called with erasures done and in all.

        """
        self._journal.refresh()
        pending = self._journal.pending()
        listed = [*self._journal.completed(), *pending]
        back = self._all_again(listed, progress)
        for erasure in pending:
            self._journal.complete(erasure.subject)
        self._vault.custody.drop_logs()
        return ReplayedErasures(erasures=len(listed), brought_back=back)

    def record_recovery(self, detail: dict[str, Json]) -> int:
        """Write into the ledger that a backup was put in place.

        Returns:
            The index of the entry.

        """

        def write(conn: Connection) -> int:
            draft = self._draft(detail)
            kind, outcome = EntryKind.RECOVERY, "restored"
            draft = replace(draft, kind=kind, outcome=outcome)
            return self._ledger.append(conn, [draft])[0].numbered()

        return self._transactions.run(write)

    def _carry_out(
        self, subject: UUID, position: Position, log_key: bytes
    ) -> Erasure:
        erasure = self._journal.find(subject) or _bare(subject)

        def write(conn: Connection) -> Erasure:
            self._ledger.lock(conn)
            now = self._vault.own_holding(subject)
            if now.known and self._vault.log_key(now) != log_key:
                # The journal has the tags of the key before.
                raise LogKeyMoved
            report = self._vault.erase(conn, subject, position=position)
            self._forget(conn, erasure)
            for ledger in self._ledgers:
                ledger.erase_tags(conn, erasure.ledger_tags)
            appended = self._ledger.append(
                conn, [self._draft({"attributes": report.values})]
            )
            return Erasure(report=report, index=appended[0].numbered())

        try:
            return self._transactions.run(write)
        except UnknownSubject:
            msg = f"person {subject} is not known here"
            raise PersonUnknown(msg) from None

    def _cancel_unbegun(self, subject: UUID) -> None:
        """Cancel an intent that destroyed nothing; else leave it pending."""
        with contextlib.suppress(Exception):
            if self._vault.custody.state(subject) in _OPEN:
                self._journal.cancel(subject)

    def _all_again(
        self,
        listed: Sequence[JournaledErasure],
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Carry erasures out once more; count those that had anything left."""
        back = 0
        for start in range(0, len(listed), _SEARCHED_AT_ONCE):
            some = listed[start : start + _SEARCHED_AT_ONCE]
            opened = self._transactions.run(
                partial(self._erase_openings, erasures=some)
            )
            for done, erasure in enumerate(some, start + 1):
                known = erasure.subject in opened
                back += self._again(erasure, recorded=known) or known
                if progress is not None:
                    progress(done, len(listed))
        return back

    def _erase_openings(
        self, conn: Connection, *, erasures: Sequence[JournaledErasure]
    ) -> set[UUID]:
        """Erase ledger openings again; say of whom there were any.

        Every ledger is asked for every tag: names may have changed since.
        A search reads a whole ledger, so it is made for many at once.
        """
        whose = {
            tag: erasure.subject
            for erasure in erasures
            for tag in erasure.ledger_tags
        }
        self._ledger.lock(conn)
        found = {
            whose[tag]
            for ledger in self._ledgers
            for tag in ledger.erase_tags(conn, whose)
        }
        drafts = [self._draft({"replayed": True}) for _ in found]
        if drafts:
            self._ledger.append(conn, drafts)
        return found

    def _again(self, erasure: JournaledErasure, *, recorded: bool) -> bool:
        """Erase all but ledger openings again; say if something was left.

        Args:
            erasure: The erasure.
            recorded: The ledger says already that it was replayed.

        """
        subject = erasure.subject
        custody = self._vault.custody
        found = custody.destroy(subject)

        def write(conn: Connection) -> bool:
            self._ledger.lock(conn)
            rows = custody.delete_rows(conn, subject)
            self._forget(conn, erasure)
            custody.mark_data(conn, self._journal.position)
            if rows and not recorded:
                self._ledger.append(conn, [self._draft({"replayed": True})])
            return bool(rows)

        return self._transactions.run(write) or found

    def _forget(self, conn: Connection, erasure: JournaledErasure) -> None:
        """Let all forget a person beyond vault and ledger.

        That is the data database, and counts of a scan that was stopped.
        """
        self._counted.drop()
        self._consents.forget(conn, erasure.subject)
        self._consents.bump(conn, erasure.subject)
        self._restraints.forget(conn, erasure.subject)
        self._released.forget(conn, erasure.subject)
        self._glass.forget(conn, erasure.subject)
        self._telling.forget(conn, erasure.subject)
        self._requests.forget(conn, erasure.subject, self._vault.decoy)
        for note_tag in erasure.note_tags:
            self._decisions.forget(conn, note_tag)
            self._telling.forget_tag(conn, note_tag)

    def _draft(self, detail: dict[str, Json]) -> Draft:
        return Draft(
            kind=EntryKind.ERASURE,
            subject=None,
            log_key=None,
            service="registrar",
            purpose=PURPOSE,
            outcome="erased",
            at=self._clock(),
            decision=uuid.UUID(bytes=self._random(16), version=4),
            detail=detail,
        )


def _bare(subject: UUID) -> JournaledErasure:
    """An erasure of before the journal: the tags are not known."""
    return JournaledErasure(
        number=0,
        at=0,
        subject=subject,
        kek_epoch=0,
        note_tags=(),
        ledger_tags=(),
    )
