"""Emergency access (break-glass): opened at once, and never unseen.

An officer who holds the office asks for named attributes of one person, with
a reason and a case. `policies/glass` grants it for a short time. A second
officer approves; without that, by the deadline, the grant ends and an alert
opens. That is evaluated whenever a grant is acted on, from what is stored and
the time: no job has to run for it, and none that stops keeps a grant alive.

Each step is a ledger entry under the person, who sees it at once unless a
class of visibility delays it, also one that was refused or had no decision
(`policy.glass_attempts`), and each grant, use and lapse is an alert of
its own to the compliance officers, in the same transaction. So whoever could
keep the person from being told kept themselves from opening anything.

A grant opens nothing where its row is not as it was written, and the step is
one without a decision (`policy.glass_store`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from consent import (
    Appended,
    Commit,
    ConsentStore,
    Draft,
    EntryKind,
    EntryUnreadable,
    GroupCommit,
    Ledger,
    LedgerInconsistent,
    LedgerUnavailable,
    LogKeyMoved,
    RowForged,
    Withheld,
    latest_entry,
    latest_instant,
)
from policy.authority import Action, Caller, authorize
from policy.classification import Classification
from policy.decisions import Json
from policy.errors import NotPermitted, RecordUnknown, RequestInvalid
from policy.evidence import EPOCH
from policy.facts import settled
from policy.gate import Gate, Shown
from policy.glass_attempts import Attempt, Attempts
from policy.glass_question import (
    NOBODY,
    SCHEMA,
    Emergency,
    Known,
    Question,
    Step,
    one_spelling,
    refuse_unsound,
)
from policy.glass_store import (
    DEADLINE,
    Alert,
    AlertKind,
    Glass,
    GlassState,
    GlassStore,
    folded,
    why,
)
from policy.glass_told import GlassTold, glass_told
from policy.pdp import Cause, NoDecision, PolicyDecisionPoint
from policy.reading import Reader
from policy.restraints import Restraints, RestraintStore, union
from policy.retrying import FactsMovedError, look_again
from policy.visibility import OFFICE
from vault import CryptoFailure, Holding, NoteBox, Vault

ENTRYPOINT = "curtilage/glass/decision"
# Of a step about a grant that there is not.
_NO_PURPOSE = "break-glass"
# Why the desk itself refuses, beside the codes of the policies.
LOOKED = "looked"
UNKNOWN, ENDED, REPEATED = "grant_unknown", "glass_ended", "case_repeated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedGlass:
    """A grant as a list has it: nothing that anybody wrote of the person."""

    glass: Glass
    state: GlassState


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownGlass:
    """A grant with its reason and case, which go with the person.

    Both are empty where the person is erased or their record is damaged.
    """

    glass: Glass
    state: GlassState
    reason: str = field(repr=False)
    case: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """One request, as it came."""

    officer: Caller
    ask: Emergency
    reason: str
    case: str

    @property
    def attempt(self) -> Attempt:
        """The request, as an entry tells of it where nothing comes of it."""
        return Attempt(
            kind=self.officer.kind,
            step=Step.REQUEST.value,
            officer=self.officer.id,
            subject=self.ask.subject,
            purpose=self.ask.purpose,
            attributes=self.ask.attributes,
            words={"reason": self.reason, "case": self.case},
        )


class GlassDesk:
    """The officers' side of emergency access.

    Every method settles first what ended by itself, and raises
    `RequestInvalid` at names and words that no entry could hold, before
    anybody is looked up. A step about a grant or an alert whose row is not
    as it was written ends with `RowForged`. The platform's commit queue has
    to run.
    """

    def __init__(
        self,
        *,
        origin: str,
        gate: Gate,
        vault: Vault,
        consents: ConsentStore,
        restraints: RestraintStore,
        store: GlassStore,
        commits: GroupCommit,
        pdp: PolicyDecisionPoint,
        classification: Mapping[str, Classification],
        ledgers: Sequence[Ledger],
        reader: Reader,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        """Take the collaborators.

        `origin` names the ledger, `ledgers` are all of them, the present one
        last.
        """
        self._origin = origin
        self._gate = gate
        self._vault = vault
        self._consents = consents
        self._restraints = restraints
        self._store = store
        self._commits = commits
        self._pdp = pdp
        self._classification = classification
        self._ledgers = tuple(ledgers)
        self._read = reader
        self._clock = clock
        self._random = random
        self._attempts = Attempts(
            origin=origin,
            gate=gate,
            vault=vault,
            consents=consents,
            store=store,
            commits=commits,
            reader=reader,
            clock=clock,
        )

    async def request(
        self, officer: Caller, ask: Emergency, *, reason: str, case: str
    ) -> Glass:
        """Grant emergency access, for as long as the policies say.

        Args:
            officer: who asks, and alone may open.
            ask: whose attributes, for what.
            reason: why; the person sees it.
            case: reference of the case; the person sees it. One officer has
                a person opened for a purpose once in a case.

        Raises:
            NotPermitted: by the policies, with their codes.
            RequestInvalid: the request is malformed, or came before.
            NoDecision: the engine or the ledger gave no answer; nothing was
                granted.

        """
        officer = one_spelling(officer)
        self._refuse_malformed(ask, officer.id, reason, case)
        wanted = _Wanted(officer=officer, ask=ask, reason=reason, case=case)
        return await self._attempts.watch(
            wanted.attempt, partial(self._request, wanted)
        )

    async def _request(self, wanted: _Wanted) -> Glass:
        await self._authorize(
            wanted.attempt,
            wanted.officer,
            Action.BREAK_GLASS,
            target={"subject": str(wanted.ask.subject)},
            justification=wanted.reason,
        )
        await self.settle()
        return await look_again(partial(self._grant, wanted))

    async def _grant(self, wanted: _Wanted) -> Glass:
        officer, ask = wanted.officer.id, wanted.ask
        holding, known = await self._known(ask.subject, officer)
        # After what is known of the others: what is changed in between is
        # missed there.
        known = replace(known, forged=await self._read(self._store.forged))

        def unmoved(conn: Connection) -> None:
            members = _members(holding)
            counted = self._store.recent(conn, officer, members, known.now)
            if counted != known.recent:
                raise FactsMovedError

        seconds, approval = await self._decide(
            Question(
                step=Step.REQUEST,
                officer=officer,
                ask=ask,
                known=known,
                reason=wanted.reason,
                case=wanted.case,
            ),
            wanted.attempt,
            unmoved,
        )
        own, *_ = _named_first(holding, ask.subject)
        made = Glass(
            id=self._gate.new_id(),
            subject=own.subject,
            officer=officer,
            purpose=ask.purpose,
            attributes=ask.attributes,
            at=known.now,
            deadline=known.now + approval,
            ends=known.now + seconds,
            seen=known.now,
        )
        await self._store_granted(wanted, made, holding, known, unmoved)
        return made

    async def _store_granted(
        self,
        wanted: _Wanted,
        made: Glass,
        holding: Holding,
        known: Known,
        unmoved: Callable[[Connection], None],
    ) -> None:
        notes, *merged = [
            self._notes(one) for one in _named_first(holding, made.subject)
        ]
        words = {"reason": wanted.reason, "case": wanted.case}

        def take(conn: Connection) -> None:
            unmoved(conn)
            if not self._store.add(
                conn, made, notes=notes, merged=merged, **words
            ):
                raise _RepeatedError
            self._store.alert(conn, made, AlertKind.GRANTED, known.now)

        draft = self._draft(
            holding,
            made,
            AlertKind.GRANTED.value,
            known.now,
            {"officer": made.officer, **words},
        )
        try:
            await self._gate.record(holding, known.revision, draft, uses=take)
        except _RepeatedError:
            await self._attempts.refuse_as_read(
                wanted.attempt, (REPEATED,), unmoved
            )
            msg = "this officer had this person opened in this case"
            raise RequestInvalid(msg) from None

    async def open(
        self, officer: Caller, identity: UUID, ask: Emergency
    ) -> Sequence[Shown]:
        """Open attributes under a grant that stands.

        Args:
            officer: whose grant it is.
            identity: of the grant.
            ask: the person, purpose and attributes, named anew: a grant
                opens what it names, for whom it names.

        Raises:
            NotPermitted: by the policies, with their codes.
            RecordUnknown: there is no such grant.
            NoDecision: the engine or the ledger gave no answer; nothing was
                opened.

        """
        officer = one_spelling(officer)
        self._refuse_malformed(ask, officer.id)
        attempt = Attempt(
            kind=officer.kind,
            step=Step.OPEN.value,
            officer=officer.id,
            subject=ask.subject,
            purpose=ask.purpose,
            attributes=ask.attributes,
            grant=identity,
        )
        return await self._attempts.watch(
            attempt, partial(self._open, officer, identity, ask, attempt)
        )

    async def _open(
        self, officer: Caller, identity: UUID, ask: Emergency, attempt: Attempt
    ) -> Sequence[Shown]:
        glass = await self._find_for(attempt, identity)
        await self._authorize(
            attempt,
            officer,
            Action.BREAK_GLASS,
            target={"subject": str(ask.subject)},
            # Of a person who was erased since, no reason is left.
            justification=self._why(glass)[0] or str(identity),
        )
        await self.settle()
        return await look_again(
            partial(self._show, officer, identity, ask, attempt)
        )

    async def _show(
        self, officer: Caller, identity: UUID, ask: Emergency, attempt: Attempt
    ) -> Sequence[Shown]:
        glass = await self._find(identity)
        holding, known = await self._known(ask.subject, officer.id)
        same = self._is_about(glass, holding)
        if not same:
            # Of whom they have no grant for, an officer learns nothing.
            known = await self._known_of_grant(glass, officer.id)
        await self._decide(
            Question(
                step=Step.OPEN,
                officer=officer.id,
                ask=ask,
                known=known,
                glass=glass,
                same_person=same,
            ),
            attempt,
        )
        return await self._record_then_show(glass, ask, holding, known)

    async def _record_then_show(
        self, glass: Glass, ask: Emergency, holding: Holding, known: Known
    ) -> Sequence[Shown]:
        names = tuple(
            name for name in ask.attributes if name in holding.present
        )
        reason, case = self._why(glass)
        draft = self._draft(
            holding,
            replace(glass, attributes=names),
            AlertKind.OPENED.value,
            known.now,
            {
                "officer": glass.officer,
                "reason": reason,
                "case": case,
                EPOCH: self._vault.attest(holding),
            },
        )

        def take(conn: Connection) -> None:
            if not self._store.use(conn, glass, self._now(conn)):
                raise FactsMovedError
            # As it was read, and maybe put back to that since.
            self._tells(conn, glass).demand_newest(glass)
            self._store.alert(conn, glass, AlertKind.OPENED, known.now)

        return await self._gate.record_then_show(
            holding=holding,
            revision=known.revision,
            draft=draft,
            uses=take,
        )

    async def approve(self, officer: Caller, identity: UUID) -> Glass:
        """Approve a grant of somebody else, before its deadline.

        Raises:
            NotPermitted: it is the officer's own, has ended, or is approved.
            RecordUnknown: there is no such grant.

        """
        officer = one_spelling(officer)
        refuse_unsound(officer.id)
        attempt = await self._attempt_at(Step.APPROVE, officer, identity)
        return await self._attempts.watch(
            attempt, partial(self._approve, officer, identity, attempt)
        )

    async def _approve(
        self, officer: Caller, identity: UUID, attempt: Attempt
    ) -> Glass:
        glass = await self._find_for(attempt, identity)
        await self._authorize(
            attempt,
            officer,
            Action.GLASS_APPROVE,
            target={"proposer": _proposer(officer, glass.officer)},
        )
        await self.settle()

        async def let() -> Glass:
            glass = await self._find(identity)
            now = await self._read(self._now)
            await self._decide(
                Question(
                    step=Step.APPROVE,
                    officer=officer.id,
                    ask=Emergency(
                        subject=identity,
                        purpose=glass.purpose,
                        attributes=glass.attributes,
                    ),
                    known=replace(NOBODY, now=now),
                    glass=glass,
                ),
                attempt,
            )

            def write(conn: Connection) -> None:
                if not self._store.approve(
                    conn, glass, officer.id, self._now(conn)
                ):
                    raise FactsMovedError
                self._tells(conn, glass).demand_newest(glass)

            await self._enter(
                glass, "approved", now, {"officer": officer.id}, write
            )
            return replace(glass, approver=officer.id)

        return await look_again(let)

    async def end(
        self, officer: Caller, identity: UUID, *, reason: str
    ) -> Glass:
        """End a grant before its time.

        One that was used and that nobody approved opens the alert of a
        lapse, too: ending it spares its officer no question.

        Raises:
            NotPermitted: no reason, or not this officer's role.
            RecordUnknown: there is no such grant, or it has ended.

        """
        officer = one_spelling(officer)
        refuse_unsound(officer.id, reason=reason)
        attempt = await self._attempt_at(Step.END, officer, identity)
        attempt = replace(attempt, words={"reason": reason})
        return await self._attempts.watch(
            attempt, partial(self._end, officer, identity, reason, attempt)
        )

    async def _end(
        self, officer: Caller, identity: UUID, reason: str, attempt: Attempt
    ) -> Glass:
        await self._authorize(
            attempt,
            officer,
            Action.GLASS_END,
            target={},
            justification=reason,
        )
        await self.settle()

        async def stop() -> Glass:
            glass = await self._find_for(attempt, identity)
            now = await self._read(self._now)
            # The deadline may have passed since all was settled.
            late = not glass.approver and now >= glass.deadline
            if glass.ended_at is not None or (
                late and await self._lapse(glass, now)
            ):
                await self._attempts.refuse_as_read(attempt, (ENDED,))
                msg = f"emergency access {identity} has ended"
                raise RecordUnknown(msg)

            def write(conn: Connection) -> None:
                if not self._store.end(conn, glass, officer.id, now):
                    raise FactsMovedError
                if glass.uses and not glass.approver:
                    self._store.alert(conn, glass, AlertKind.LAPSED, now)

            detail = {"officer": officer.id, "reason": reason}
            await self._enter(glass, "ended", now, detail, write)
            return replace(glass, ended_by=officer.id, ended_at=now)

        return await look_again(stop)

    async def grants(
        self, officer: Caller, *, refused: bool = False
    ) -> Sequence[ListedGlass]:
        """Every grant, the newest first, without its reason and case.

        Those are there, too, whose row is not as it was written.

        Args:
            officer: who looks.
            refused: whether the steps that were refused are listed instead:
                whose they were, and about nobody.

        Raises:
            NotPermitted: neither auditor nor compliance officer.

        """
        await authorize(self._pdp, officer, Action.GLASS_LIST, target={})
        await self.settle()
        now = await self._read(self._now)
        return [
            ListedGlass(glass=one, state=one.state(now))
            for one in await self._read(
                partial(self._store.all, refused=refused)
            )
        ]

    async def show(
        self, officer: Caller, identity: UUID, *, reason: str
    ) -> ShownGlass:
        """Open why one grant was asked for, with an entry before.

        Args:
            officer: who looks, as one does who is to approve it.
            identity: the grant.
            reason: why they look; the person sees it.

        Raises:
            NotPermitted: no reason, or not their role.
            RecordUnknown: no such grant.
            NoDecision: the policies, or the ledger, gave no answer.

        """
        officer = one_spelling(officer)
        refuse_unsound(officer.id, reason=reason)
        attempt = await self._attempt_at(Step.SHOW, officer, identity)
        attempt = replace(attempt, words={"reason": reason})
        return await self._attempts.watch(
            attempt, partial(self._tell, officer, identity, reason, attempt)
        )

    async def _tell(
        self, officer: Caller, identity: UUID, reason: str, attempt: Attempt
    ) -> ShownGlass:
        await self._authorize(
            attempt,
            officer,
            Action.GLASS_SHOW,
            target={},
            justification=reason,
        )
        await self.settle()

        async def look() -> ShownGlass:
            glass = await self._find_for(attempt, identity)
            now = await self._read(self._now)

            def still(conn: Connection) -> None:
                self._store.find(conn, identity)

            detail = {"officer": officer.id, "reason": reason}
            await self._enter(glass, LOOKED, now, detail, still)
            why, case = self._why(glass)
            return ShownGlass(
                glass=glass, state=glass.state(now), reason=why, case=case
            )

        return await look_again(look)

    async def alerts(
        self, officer: Caller, *, closed: bool = False
    ) -> Sequence[Alert]:
        """What compliance officers are to look at, the oldest first.

        One whose row is not as it was written stays open until it is put
        right.

        Args:
            officer: who looks.
            closed: whether those are listed too that somebody closed.

        Raises:
            NotPermitted: neither auditor nor compliance officer.

        """
        await authorize(self._pdp, officer, Action.GLASS_LIST, target={})
        await self.settle()
        return await self._read(partial(self._store.alerts, closed=closed))

    async def close(
        self, officer: Caller, identity: UUID, *, reason: str
    ) -> None:
        """Close an alert about somebody else's grant.

        Raises:
            NotPermitted: no reason, one's own grant, or not their role.
            RecordUnknown: no such alert is open.

        """
        officer = one_spelling(officer)
        refuse_unsound(officer.id, reason=reason)
        kind, glass = await self._read(
            partial(self._store.open_alert, identity=identity)
        )
        await authorize(
            self._pdp,
            officer,
            Action.GLASS_CLOSE,
            target={"proposer": _proposer(officer, glass.officer)},
            justification=reason,
        )
        now = await self._read(self._now)

        def write(conn: Connection) -> None:
            self._store.close(conn, identity, officer.id, now)

        # About the officers alone: nothing of it is about the person.
        detail = {
            "alert": str(identity),
            "grant": str(glass.id),
            "kind": kind.value,
            "officer": officer.id,
            "reason": reason,
        }
        draft = Draft(
            kind=EntryKind.GLASS,
            subject=None,
            log_key=None,
            service=OFFICE,
            purpose=glass.purpose,
            outcome="alert-closed",
            at=now,
            decision=self._gate.new_id(),
            detail=detail,
        )
        await self._submit(draft, write)

    async def settle(self) -> int:
        """Write down which grants ended because nobody approved in time.

        They have ended whether this runs or not; it makes the entry and
        opens the alert, once each.

        Returns:
            How many.

        """
        settled = 0
        now = await self._read(self._now)
        for glass in await self._read(partial(self._store.due, now=now)):
            # One that was put back ended before, or was approved; it opens
            # nothing as it stands.
            if await self._may_lapse(glass):
                settled += await look_again(partial(self._lapse, glass, now))
        return settled

    async def _may_lapse(self, glass: Glass) -> bool:
        try:
            return (await self._told(glass)).may_lapse(glass.id)
        except NoDecision:
            return True  # a lapse opens nothing, and keeps nobody waiting

    async def _lapse(self, glass: Glass, now: int) -> bool:
        done: list[bool] = []

        def write(conn: Connection) -> None:
            done[:] = [self._store.end(conn, glass, DEADLINE, now)]
            if not done[0]:
                raise _AlreadyError
            self._store.alert(conn, glass, AlertKind.LAPSED, now)

        detail = {"officer": glass.officer}
        try:
            await self._enter(glass, "lapsed", now, detail, write)
        except _AlreadyError:
            return False
        return True

    def _refuse_malformed(
        self, ask: Emergency, officer: str, reason: str = "", case: str = ""
    ) -> None:
        """Refuse what no entry could tell of; nothing was looked up."""
        self._gate.refuse_malformed(ask.attributes)
        refuse_unsound(officer, purpose=ask.purpose, reason=reason, case=case)

    async def _attempt_at(
        self, step: Step, officer: Caller, identity: UUID
    ) -> Attempt:
        """Give a step about a grant, as far as there is one.

        Of one whose row is not as it was written nothing is taken over, as
        it may name anybody.
        """
        attempt = Attempt(
            kind=officer.kind,
            step=step.value,
            officer=officer.id,
            subject=None,
            purpose=_NO_PURPOSE,
            grant=identity,
        )
        find = partial(self._store.find, identity=identity)
        try:
            glass = await self._read(find)
        except (RecordUnknown, RowForged):
            return attempt
        return replace(
            attempt,
            subject=glass.subject,
            purpose=glass.purpose,
            attributes=glass.attributes,
        )

    async def _find_for(self, attempt: Attempt, identity: UUID) -> Glass:
        try:
            return await self._find(identity)
        except RecordUnknown:
            await self._attempts.refuse(attempt, (UNKNOWN,))
            raise

    async def _authorize(
        self,
        attempt: Attempt,
        officer: Caller,
        action: Action,
        *,
        target: Mapping[str, Json],
        justification: str | None = None,
    ) -> None:
        try:
            await authorize(
                self._pdp,
                officer,
                action,
                target=target,
                justification=justification,
            )
        except NotPermitted as refused:
            await self._attempts.refuse(attempt, refused.reasons)
            raise

    async def _decide(
        self,
        question: Question,
        attempt: Attempt,
        unmoved: Callable[[Connection], None] | None = None,
    ) -> tuple[int, int]:
        """Ask the policies; a refusal is durable, and counted, before told.

        Raises:
            NotPermitted, NoDecision: as `_judge`.
            FactsMovedError: `unmoved` says so of what a refusal rests on.

        """
        try:
            return await self._judge(question)
        except NotPermitted as refused:
            await self._attempts.refuse_as_read(
                attempt, refused.reasons, unmoved
            )
            raise

    async def _find(self, identity: UUID) -> Glass:
        """Read a grant that is the last one that the entries tell of.

        Raises:
            RecordUnknown: there is none of that id.
            RowForged: it is not as this instance wrote it, or from before
                the last step about it.
            NoDecision: an entry of its purpose was changed.
        """
        find = partial(self._store.find, identity=identity)
        glass = await self._read(find)
        told = await self._told(glass)
        # After the entries: what changed meanwhile is no contradiction.
        glass = await self._read(find)
        told.demand_newest(glass)
        return glass

    async def _told(self, glass: Glass) -> GlassTold:
        return await self._read(partial(self._tells, glass=glass))

    def _tells(self, conn: Connection, glass: Glass) -> GlassTold:
        """Read what the entries tell of a grant.

        Raises:
            NoDecision: one of them was changed.
        """
        try:
            return glass_told(self._ledgers, glass, conn)
        except (LedgerInconsistent, EntryUnreadable) as error:
            raise NoDecision(Cause.DAMAGED, str(error)) from None

    async def _known(
        self, subject: UUID, officer: str
    ) -> tuple[Holding, Known]:
        def look(conn: Connection) -> tuple[Holding, Known]:
            holding = self._vault.holding(subject)
            now = self._now(conn)
            members = _members(holding)
            # Before what it counts: a change in between is noticed later.
            revision = self._consents.revision(conn, holding.subject)
            held = settled(
                self._consents,
                conn,
                members,
                lambda: self._held(conn, holding, members, now),
            )
            return holding, Known(
                now=now,
                person=holding.known,
                revision=revision,
                restricted=held.restricted,
                recent=self._store.recent(conn, officer, members, now),
            )

        return await self._read(look)

    def _held(
        self,
        conn: Connection,
        holding: Holding,
        members: Sequence[UUID],
        now: int,
    ) -> Restraints:
        found = []
        for one in members:
            counted = self._consents.counted(
                conn, one, known=holding.known or one != holding.subject
            )
            found.append(self._restraints.at(conn, one, now, counted.parts))
        return union(found)

    async def _known_of_grant(self, glass: Glass, officer: str) -> Known:
        """What is known of the person of a grant, and nobody once erased."""
        if glass.subject is None:
            return replace(NOBODY, now=await self._read(self._now))
        return (await self._known(glass.subject, officer))[1]

    def _now(self, conn: Connection) -> int:
        """The time, and never before what the ledger was written at."""
        return max(self._clock(), latest_instant(conn, self._origin))

    def _is_about(self, glass: Glass, holding: Holding) -> bool:
        """Whether a grant is about the person that was looked up."""
        return (
            glass.subject is not None
            and self._vault.holding(glass.subject).subject == holding.subject
        )

    async def _judge(self, question: Question) -> tuple[int, int]:
        """Ask the policies; return how long a grant and its approval last.

        Raises:
            NotPermitted: they refuse.
            NoDecision: they gave no answer to act on.

        """
        document = question.document(self._classification)
        answer = (await self._pdp.decide(ENTRYPOINT, document)).document
        allow, reasons = answer.get("allow"), answer.get("reasons")
        terms = answer.get("terms")
        if (
            answer.get("schema") != SCHEMA
            or type(allow) is not bool
            or not isinstance(reasons, list)
            or not isinstance(terms, Mapping)
            or allow is bool(reasons)
        ):
            raise NoDecision(Cause.MALFORMED)
        if not allow:
            codes = [
                str(one["code"]) for one in reasons if isinstance(one, Mapping)
            ]
            asked = f"emergency access, {question.step}"
            raise NotPermitted(asked, codes)
        seconds, approval = terms.get("seconds"), terms.get("approval_seconds")
        if not (
            type(seconds) is int
            and type(approval) is int
            and 0 < approval <= seconds
        ):
            raise NoDecision(Cause.MALFORMED)
        return seconds, approval

    def _why(self, glass: Glass) -> tuple[str, str]:
        """Reason and case, as long as the person's record opens."""
        if glass.subject is None or glass.sealed is None:
            return "", ""
        try:
            holding = self._vault.own_holding(glass.subject)
            if holding.known:
                return why(glass, self._notes(holding))
        except CryptoFailure:
            # One damaged record keeps nobody from the others.
            pass
        return "", ""

    def _notes(self, holding: Holding) -> NoteBox:
        return NoteBox(self._vault.log_key(holding), random=self._random)

    async def _enter(
        self,
        glass: Glass,
        outcome: str,
        now: int,
        detail: Mapping[str, Json],
        write: Callable[[Connection], None],
    ) -> None:
        """Write, with an entry under the person, if they are still there.

        Where their record is damaged, the entry is about nobody: what ends
        and who is alerted does not depend on it. Nor does it on a clock that
        was set back: the entry is not before the last one.
        """
        at = max(now, await self._read(self._latest))
        try:
            holding, revision = await self._read(
                partial(self._look_up, subject=glass.subject)
            )
            draft = self._draft(holding, glass, outcome, at, detail)
        except CryptoFailure:
            holding, revision = None, 0
            draft = self._draft(None, glass, outcome, at, detail)

        def check(conn: Connection) -> None:
            write(conn)
            # Else an entry could follow the erasure of whom it is about.
            if holding is not None and revision != self._consents.revision(
                conn, holding.subject
            ):
                raise FactsMovedError

        await self._submit(draft, check)

    def _latest(self, conn: Connection) -> int:
        return latest_entry(conn, self._origin)

    def _look_up(
        self, conn: Connection, subject: UUID | None
    ) -> tuple[Holding | None, int]:
        if subject is None:
            return None, 0
        holding = self._vault.holding(subject)
        return holding, self._consents.revision(conn, holding.subject)

    async def _submit(
        self, draft: Draft, write: Callable[[Connection], None]
    ) -> Sequence[Appended]:
        try:
            return await self._commits.submit(
                Commit(check=write, drafts=(draft,))
            )
        except LogKeyMoved:
            raise FactsMovedError from None
        except LedgerUnavailable:
            raise NoDecision(Cause.LEDGER) from None

    def _draft(
        self,
        holding: Holding | None,
        glass: Glass,
        outcome: str,
        now: int,
        detail: Mapping[str, Json],
    ) -> Draft:
        told = holding if holding is not None and holding.known else None
        return Draft(
            kind=EntryKind.GLASS,
            subject=None if told is None else told.subject,
            log_key=None if told is None else self._vault.log_key(told),
            service=OFFICE,
            purpose=glass.purpose,
            attributes=glass.attributes,
            outcome=outcome,
            at=now,
            # By which the entries tell of a grant; see `policy.glass_told`.
            # Whoever looked changed nothing, and may have been months after.
            decision=self._gate.new_id() if outcome == LOOKED else glass.id,
            detail={"grant": str(glass.id), **detail},
            withheld=None if told is None else self._withheld(glass, now),
        )

    def _withheld(self, glass: Glass, now: int) -> Withheld | None:
        return self._gate.visibility.withheld_now(OFFICE, glass.purpose, now)


class _AlreadyError(Exception):
    """Another process wrote it down."""


class _RepeatedError(Exception):
    """The officer had this person opened for this purpose in this case."""


def _members(holding: Holding) -> tuple[UUID, ...]:
    """Every record that is read as this person's."""
    return (holding.subject, *(one.subject for one in holding.others))


def _named_first(holding: Holding, named: UUID | None) -> list[Holding]:
    """Every record that is read as a person's, that which was named first.

    A grant is about that one: it goes with it where records are parted.
    """
    members = (holding, *holding.others)
    return sorted(members, key=lambda one: one.subject != named)


def _proposer(officer: Caller, proposer: str) -> str:
    """Whose act it was, as the policies compare it: no second spelling."""
    same = folded(officer.id) == folded(proposer)
    return officer.id if same else proposer
