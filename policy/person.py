"""What the person does through the gate: look, answer, prefer, restrain.

Every look at values is authorized by `policies/api`, recorded, and only
then opened. A change of consent, preference or restraint commits together
with its ledger entry and bumps the fact revision in the same transaction,
so a decision made before it cannot be acted on after it.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from consent import (
    Appended,
    Commit,
    ConsentEvent,
    ConsentStore,
    Draft,
    EntryKind,
    GroupCommit,
    Ledger,
    LedgerUnavailable,
    LogKeyMoved,
    OwnEntry,
    Preferences,
    UnknownEntry,
    YearlyCount,
)
from policy.answering import Answer, ConsentDesk
from policy.authority import Action, Caller, authorize
from policy.consent_writer import rules_of
from policy.decisions import Json
from policy.errors import FactsChanged, PersonUnknown
from policy.evidence import EPOCH
from policy.gate import Gate, Shown
from policy.pdp import Cause, NoDecision, PolicyDecisionPoint
from policy.reading import Reader
from policy.restraints import RestraintKind, RestraintStore, Signal
from policy.retrying import look_again
from vault import Holding, Vault

OWN_PURPOSE = "own-view"
_PAGE = 200


class PersonDoor:
    """The person's side of the gate."""

    def __init__(
        self,
        *,
        gate: Gate,
        vault: Vault,
        consents: ConsentStore,
        restraints: RestraintStore,
        ledger: Ledger,
        commits: GroupCommit,
        pdp: PolicyDecisionPoint,
        reader: Reader,
        clock: Callable[[], int],
        desk: ConsentDesk,
    ) -> None:
        self._desk = desk
        self._gate = gate
        self._vault = vault
        self._consents = consents
        self._restraints = restraints
        self._ledger = ledger
        self._commits = commits
        self._pdp = pdp
        self._read = reader
        self._clock = clock

    async def own_view(self, caller: Caller, subject: UUID) -> Sequence[Shown]:
        """Everything held about the person, each attribute once.

        Raises:
            NotPermitted: `caller` is somebody else.
            PersonUnknown: there is no such person any more.

        """
        await self._allow(caller, Action.OWN_VIEW, subject)
        return await look_again(partial(self._show, subject))

    async def _show(self, subject: UUID) -> Sequence[Shown]:
        holding = self._known(subject)
        return await self._gate.record_then_show(
            holding=holding,
            revision=self._revision(holding.subject),
            draft=self._draft(
                holding,
                EntryKind.OWN_VIEW,
                purpose=OWN_PURPOSE,
                attributes=tuple(sorted(holding.present)),
                outcome="opened",
                detail={EPOCH: self._vault.attest(holding)},
            ),
        )

    async def answer(
        self, caller: Caller, subject: UUID, answer: Answer
    ) -> ConsentEvent:
        """Record what the person answers; as `ConsentDesk.answer`."""
        return await self._desk.answer(caller, subject, answer)

    async def prefer(
        self,
        caller: Caller,
        subject: UUID,
        preferences: Preferences,
        *,
        expected: int,
    ) -> int:
        """Set the person's standing preferences.

        Args:
            caller: who acts.
            subject: the person.
            preferences: the rules, in the order they are tried.
            expected: the version that the person saw, 0 for none.

        Raises:
            FactsChanged: somebody set them in between.

        """
        await self._allow(caller, Action.PREFERENCE_WRITE, subject)
        holding = self._known(subject)
        draft = self._draft(
            holding,
            EntryKind.PREFERENCE,
            purpose=OWN_PURPOSE,
            outcome="set",
            detail=rules_of(expected + 1, preferences),
        )
        now, subject = draft.at, holding.subject

        def check(_conn: Connection) -> None:
            if self._consents.preferences(subject).version != expected:
                msg = "the preferences were set by another answer since"
                raise FactsChanged(msg)

        await self._write(
            draft,
            lambda conn: self._consents.set_preferences(
                conn, subject, preferences, now
            ),
            check=check,
        )
        return self._consents.preferences(subject).version

    async def restrain(
        self,
        caller: Caller,
        subject: UUID,
        kind: RestraintKind,
        *,
        purpose: str = "",
    ) -> UUID:
        """Restrict all use (GDPR 18) or object to a purpose (GDPR 21)."""
        await self._allow(caller, Action.PREFERENCE_WRITE, subject)
        holding = self._known(subject)
        identity = self._gate.new_id()
        draft = self._draft(
            holding,
            EntryKind.RESTRICTION
            if kind is RestraintKind.RESTRICTION
            else EntryKind.OBJECTION,
            purpose=purpose or OWN_PURPOSE,
            outcome="imposed",
            detail={"restraint": str(identity)},
        )
        subject = holding.subject

        def write(conn: Connection) -> None:
            self._restraints.impose(
                conn,
                subject,
                kind,
                purpose=purpose,
                now=draft.at,
                identity=identity,
            )
            self._consents.bump(conn, subject)

        await self._write(draft, write)
        return identity

    def signals(self, subject: UUID) -> Sequence[Signal]:
        """The signals of the person's browsers, oldest first."""
        return self._read.now(
            lambda conn: self._restraints.signals(conn, subject)
        )

    async def signal(
        self,
        caller: Caller,
        subject: UUID,
        kind: str,
        where: str,
        *,
        again: bool = False,
    ) -> None:
        """Honour a signal of the person's browser, and keep it as evidence.

        A browser repeats itself: only its first word counts, and not against
        the person, who may have lifted it since.

        Args:
            caller: who acts.
            subject: the person.
            kind: which signal, such as ``gpc``.
            where: the route on which it was seen; it names nobody.
            again: whether the person wants a lifted one honoured again.

        """
        await self._allow(caller, Action.PREFERENCE_WRITE, subject)
        holding = self._known(subject)
        identity = self._gate.new_id()
        draft = self._draft(
            holding,
            EntryKind.PREFERENCE,
            purpose=OWN_PURPOSE,
            outcome="signal",
            detail={
                "signal": kind,
                "where": where,
                "restraint": str(identity),
            },
        )
        subject = holding.subject

        def write(conn: Connection) -> None:
            # Counting locks the person, so of two at once one is the first.
            self._consents.bump(conn, subject)
            seen = [
                one
                for one in self._restraints.signals(conn, subject)
                if one.kind == kind
                and not (again and one.lifted_at is not None)
            ]
            if seen:
                msg = "the signal was seen before"
                raise FactsChanged(msg)
            self._restraints.impose(
                conn,
                subject,
                RestraintKind.SIGNAL,
                purpose=kind,
                now=draft.at,
                evidence=where,
                identity=identity,
            )

        with contextlib.suppress(FactsChanged):
            await self._write(draft, write)

    async def lift_signal(
        self, caller: Caller, subject: UUID, kind: str
    ) -> None:
        """Lift a signal: the person's own act, and nobody else's.

        Raises:
            FactsChanged: there is none to lift.

        """
        await self._allow(caller, Action.PREFERENCE_WRITE, subject)
        holding = self._known(subject)
        draft = self._draft(
            holding,
            EntryKind.PREFERENCE,
            purpose=OWN_PURPOSE,
            outcome="signal-lifted",
            detail={"signal": kind},
        )
        subject = holding.subject

        def write(conn: Connection) -> None:
            self._consents.bump(conn, subject)
            standing = [
                one
                for one in self._restraints.signals(conn, subject)
                if one.kind == kind and one.lifted_at is None
            ]
            if not standing:
                msg = "there is no signal to lift"
                raise FactsChanged(msg)
            for one in standing:
                self._restraints.lift(conn, subject, one.id, now=draft.at)

        await self._write(draft, write)

    async def own_uses(
        self, caller: Caller, subject: UUID, *, before: int | None, limit: int
    ) -> Sequence[OwnEntry]:
        """Entries about the person, newest first, refusals included."""
        await self._allow(caller, Action.OWN_VIEW, subject)
        found: list[OwnEntry] = []
        for key in self._log_keys(subject):
            await self._commits.ready(key)
            found += self._ledger.own_entries(key, before=before, limit=limit)
        return sorted(found, key=lambda entry: -entry.index)[:limit]

    def undisclosed(self) -> Sequence[YearlyCount]:
        """Count by year, over the whole body, what is withheld: for all."""
        return self._ledger.yearly_counts()

    async def use(self, caller: Caller, subject: UUID, index: int) -> OwnEntry:
        """One entry about the person.

        Raises:
            UnknownEntry: there is none of that index about them.

        """
        found = await self.own_uses(caller, subject, before=index + 1, limit=1)
        for entry in found:
            if entry.index == index:
                return entry
        msg = f"entry {index} is not about this person"
        raise UnknownEntry(msg)

    async def entry_of(
        self, caller: Caller, subject: UUID, event: UUID
    ) -> int | None:
        """The index of the entry that records an answer, or None."""
        before: int | None = None
        while True:
            page = await self.own_uses(
                caller, subject, before=before, limit=_PAGE
            )
            for entry in page:
                if entry.kind is EntryKind.CONSENT and entry.detail.get(
                    "event"
                ) == str(event):
                    return entry.index
            if len(page) < _PAGE:
                return None
            before = page[-1].index

    async def proof(self, caller: Caller, subject: UUID, index: int) -> str:
        """A self-contained proof of one entry, for offline verification."""
        await self._allow(caller, Action.OWN_VIEW, subject)
        *others, last = self._log_keys(subject)
        for key in (*others, last):
            await self._commits.ready(key)
        # Signed between two batches, so that the proof need not sign.
        await self._commits.checkpoint()
        for key in others:
            with contextlib.suppress(UnknownEntry):
                return self._ledger.disclosure_proof(index, key)
        return self._ledger.disclosure_proof(index, last)

    def _log_keys(self, subject: UUID) -> list[bytes]:
        """Give the key of each record that is read as this person's."""
        holding = self._known(subject)
        listed = (holding, *holding.others)
        return [self._vault.log_key(one) for one in listed]

    async def head(self, caller: Caller, subject: UUID) -> str:
        """A signed statement of how many entries there are about them."""
        await self._allow(caller, Action.OWN_VIEW, subject)
        key = self._vault.log_key(self._known(subject))
        await self._commits.ready(key)
        await self._commits.checkpoint()
        return self._ledger.person_head(subject, key)

    async def _allow(
        self,
        caller: Caller,
        action: Action,
        subject: UUID,
        **target: str,
    ) -> None:
        await authorize(
            self._pdp,
            caller,
            action,
            target={"subject": str(subject), **target},
        )

    def _known(self, subject: UUID) -> Holding:
        holding = self._vault.holding(subject)
        if not holding.known:
            msg = f"person {subject} is not known here"
            raise PersonUnknown(msg)
        return holding

    def _revision(self, subject: UUID) -> int:
        return self._read.now(
            lambda conn: self._consents.revision(conn, subject)
        )

    def _draft(
        self,
        holding: Holding,
        kind: EntryKind,
        *,
        purpose: str,
        outcome: str,
        service: str = "self",
        attributes: tuple[str, ...] = (),
        detail: Mapping[str, Json] | None = None,
    ) -> Draft:
        return Draft(
            kind=kind,
            subject=holding.subject,
            log_key=self._vault.log_key(holding),
            service=service,
            purpose=purpose,
            attributes=attributes,
            outcome=outcome,
            at=self._clock(),
            decision=self._gate.new_id(),
            detail=dict(detail or {}),
        )

    async def _write(
        self,
        draft: Draft,
        write: Callable[[Connection], object],
        *,
        check: Callable[[Connection], None] | None = None,
    ) -> None:
        def after(conn: Connection, _appended: Sequence[Appended]) -> None:
            write(conn)

        subject = draft.subject
        tried = [draft]

        async def submit() -> None:
            last = tried[-1]
            try:
                await self._commits.submit(
                    Commit(check=check, drafts=(last,), after=after)
                )
            except LogKeyMoved:
                # Nothing was written; the answer is theirs all the same.
                if subject is not None:
                    key = self._vault.log_key(self._known(subject))
                    tried.append(replace(last, log_key=key))
                raise

        try:
            await look_again(submit)
        except LedgerUnavailable:
            raise NoDecision(Cause.LEDGER) from None
