"""Asking the person: a denial that consent could lift becomes a question.

A service that was told ``not_available`` may have the person asked, where
its declaration asks for consent. What it gets is a task, and from it one
thing alone: a yes that the person gave after that, or before under another
record that turned out to be theirs since. Nobody, somebody erased,
somebody who said no and somebody who has not looked are one pending task
that expires (DESIGN.md, invariant 6). Each question is an entry.

Nobody is pressed. The person sees one line for a statement however often
services ask, and none for so many days after they answered it. What the
service wrote is never shown: the notice of its declaration speaks for it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from consent import (
    ConsentEvent,
    ConsentState,
    ConsentStore,
    Draft,
    EntryKind,
    EventType,
    LegalBasis,
)
from policy.consent_requests import (
    Approval,
    ConsentRequests,
    ConsentTask,
    Question,
    TaskStatus,
    Waiting,
)
from policy.decisions import AccessRequest, ById, Json, SubjectRef
from policy.errors import (
    AskedTooOften,
    DuplicateRequest,
    NotRequestable,
    TaskExpired,
    TaskSettled,
    TaskUnknown,
)
from policy.evidence import EPOCH
from policy.facts import Facts, FactSource
from policy.gate import Gate
from policy.pdp import Cause, NoDecision
from policy.reading import Reader
from policy.retrying import ATTEMPTS, FactsMovedError
from vault import Holding, Transactions, Vault

SECONDS_A_DAY = 86_400
MOST_A_DAY = 64
"""Questions that a service may have put about one person, as it names them."""
# What a person does about a statement, and is then left in peace.
_ANSWERS = frozenset(
    {
        EventType.GIVEN,
        EventType.REFUSED,
        EventType.WITHDRAWN,
        EventType.PAUSED,
        EventType.RESUMED,
        EventType.RENEWED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a service sends to have a person asked.

    Attributes:
        request: about one attribute of one person, from its credential.
        evaluation: id of the denial, which its sender proved.
        key: digest of its idempotency key, if it gave one.
        body: keyed digest of the whole submission.
        asked: keyed digest of the denied subject, resource and action.
        about: keyed digest of the person as the service named them.
    """

    request: AccessRequest
    evaluation: UUID
    key: bytes | None
    body: bytes
    asked: bytes
    about: bytes


class AskDesk:
    """Puts services' questions to people."""

    def __init__(
        self,
        *,
        requests: ConsentRequests,
        transactions: Transactions,
        gate: Gate,
        facts: FactSource,
        vault: Vault,
        consents: ConsentStore,
        reader: Reader,
        days: int,
        quiet_days: int,
        clock: Callable[[], int],
    ) -> None:
        """Take the collaborators.

        Args:
            requests: where questions are kept.
            transactions: of the data database.
            gate: makes entries durable.
            facts: looks people up.
            vault: their keys.
            consents: declarations and answers.
            reader: of the data database.
            days: after so many a task expires.
            quiet_days: for so many after an answer the person is not asked
                about the same statement.
            clock: POSIX seconds.
        """
        self._requests = requests
        self._transactions = transactions
        self._gate = gate
        self._facts = facts
        self._vault = vault
        self._consents = consents
        self._read = reader
        self._seconds = days * SECONDS_A_DAY
        self._quiet = quiet_days * SECONDS_A_DAY
        self._clock = clock

    def named(self, person: SubjectRef) -> SubjectRef:
        """Spell a reference as every other spelling of it is spelt."""
        return self._facts.named(person)

    async def submit(self, sent: Submission) -> ConsentTask:
        """Have a person asked; the entry is durable when this returns.

        One that repeats an earlier one, key and all, gets its task.

        Raises:
            NotRequestable: the declaration asks for no consent to this.
            DuplicateRequest: its key was used for something else, or its
                denial with another key.
            AskedTooOften: so much was asked of this person today already.
            NoDecision: the ledger could not be written.

        """
        question = self._question(sent)
        again = await self._same(question)
        if again is not None:
            return again
        await self._demand_few(question)
        for _ in range(ATTEMPTS):
            now = self._clock()
            holding, facts = await self._read(
                partial(self._facts.gather, request=sent.request, now=now)
            )
            try:
                await self._write(sent, question, holding, facts, now)
            except FactsMovedError:
                continue
            found = await self._same(question)
            if found is not None:
                return found
        raise NoDecision(Cause.FACTS_MOVING)

    async def status(
        self, service: str, purpose: str, task: UUID
    ) -> ConsentTask:
        """Say how far a task of this service is.

        Raises:
            TaskUnknown: there is none of that handle, for this service.
            TaskExpired: its time is over, whatever came of it.

        """
        return (await self._found(service, purpose, task))[0]

    async def approval(
        self, service: str, purpose: str, approval: UUID, asked: bytes
    ) -> Approval | None:
        """Find an approval that this service was given, of what it asked."""
        return await self._read(
            partial(
                self._requests.approval,
                service=service,
                purpose=purpose,
                approval=approval,
                asked=asked,
            )
        )

    async def cancel(
        self, service: str, purpose: str, task: UUID, trace: str | None
    ) -> ConsentTask:
        """Take a question back; an entry of its own.

        Raises:
            TaskUnknown, TaskExpired: as `status`.
            TaskSettled: it is approved, or cancelled already.
            NoDecision: the ledger could not be written.

        """
        for _ in range(ATTEMPTS):
            found, question, subject = await self._found(
                service, purpose, task
            )
            if found.status is not TaskStatus.PENDING:
                raise TaskSettled(task)
            try:
                await self._take_back(task, question, subject, trace)
            except FactsMovedError:
                continue
            return await self.status(service, purpose, task)
        raise NoDecision(Cause.FACTS_MOVING)

    async def sweep(self) -> int:
        """Let go of the tasks that expired more than a day ago.

        Nothing else removes them, so a server does it now and then.

        Returns:
            How many went.

        """
        sweep = partial(self._requests.sweep, now=self._clock())
        return await asyncio.to_thread(self._transactions.run, sweep)

    def waiting(
        self, subject: UUID
    ) -> Mapping[tuple[str, str, str], tuple[str, ...]]:
        """Say what a person is asked now.

        Returns:
            Attributes by service, purpose and statement. One is left out
            where the person answered its statement lately, where what they
            answered stands, and where the activity is withheld from them.

        """
        now = self._clock()
        members = self._vault.members(subject)
        found = self._read.now(
            partial(self._requests.waiting, members=members, now=now)
        )
        asked: dict[tuple[str, str, str], tuple[str, ...]] = {}
        for one in found:
            key = (one.service, one.purpose, one.statement)
            if one.attribute not in asked.get(key, ()) and self._shows(
                members, one, now
            ):
                asked[key] = (*asked.get(key, ()), one.attribute)
        return asked

    def joined(
        self, conn: Connection, members: Sequence[UUID], now: int
    ) -> None:
        """Settle what a standing yes answers, since records became one.

        When they are parted again nothing of that is taken back: a service
        has been told, and asks anew before it reads anything.

        Args:
            conn: the transaction that joins them.
            members: every record that is now read as one, the surviving
                record first.
            now: POSIX seconds.
        """
        for one in self._requests.waiting(conn, members, now):
            state = self._standing(members, one, now, conn)
            # Of any answer but a yes nothing is allowed.
            if state is not None and one.attribute in state.attributes:
                end = min(state.until or one.expires_at, one.expires_at)
                self._requests.approve(conn, one.id, state.event, now, end)

    def _standing(
        self,
        members: Sequence[UUID],
        one: Waiting,
        now: int,
        conn: Connection | None = None,
    ) -> ConsentState | None:
        subject, *merged = members
        return self._consents.standing(
            subject, one.service, one.purpose, now, merged, conn
        ).get(one.statement)

    def _shows(self, members: Sequence[UUID], one: Waiting, now: int) -> bool:
        live = self._consents.declaration(one.service, one.purpose)
        if live is None or self._gate.visibility.withheld(
            one.service, one.purpose, now
        ):
            return False
        statement = live.statement(one.statement)
        if statement is None or one.attribute not in statement.attributes:
            return False
        events = [
            event
            for subject in members
            for event in self._consents.events(
                subject, one.service, one.purpose, until=None
            )
        ]
        events.sort(key=lambda event: event.at)
        state = self._standing(members, one, now)
        return not rests(events, one, state, now - self._quiet)

    def _question(self, sent: Submission) -> Question:
        request = sent.request
        [attribute] = request.attributes
        live = self._consents.declaration(request.service, request.purpose)
        for statement in () if live is None else live.statements:
            if (
                statement.basis is LegalBasis.CONSENT
                and attribute in statement.attributes
            ):
                return Question(
                    service=request.service,
                    purpose=request.purpose,
                    attribute=attribute,
                    statement=statement.id,
                    evaluation=sent.evaluation,
                    key=sent.key,
                    body=sent.body,
                    asked=sent.asked,
                    about=sent.about,
                )
        raise NotRequestable(request.service, request.purpose)

    async def _same(self, question: Question) -> ConsentTask | None:
        found = await self._read(
            partial(self._requests.same, question=question)
        )
        if found is not None and (found.key, found.body) != (
            question.key,
            question.body,
        ):
            raise DuplicateRequest(found.id)
        return found

    async def _demand_few(self, question: Question) -> None:
        since = self._clock() - SECONDS_A_DAY
        asked = await self._read(
            partial(self._requests.asked_since, question=question, since=since)
        )
        if asked >= MOST_A_DAY:
            raise AskedTooOften(SECONDS_A_DAY)

    async def _write(
        self,
        sent: Submission,
        question: Question,
        holding: Holding,
        facts: Facts,
        now: int,
    ) -> None:
        task = self._gate.new_id()
        expires_at = now + self._seconds

        # The record that was named, not the whole that it may be a part of.
        record = await self._read(
            lambda _conn: self._facts.record_of(sent.request.person)
        )
        whom = record if holding.known else holding.subject

        def store(conn: Connection) -> None:
            self._requests.add(conn, task, question, whom, now, expires_at)

        await self._gate.record(
            holding,
            facts.revision,
            self._draft(
                holding,
                question,
                "requested",
                now,
                sent.request.trace,
                {"statement": question.statement, "until": expires_at},
            ),
            store,
        )

    async def _take_back(
        self,
        task: UUID,
        question: Question,
        subject: UUID,
        trace: str | None,
    ) -> None:
        now = self._clock()

        def look(conn: Connection) -> tuple[Holding, int]:
            holding = self._vault.holding(
                self._facts.resolve(ById(subject=subject))
            )
            return holding, self._consents.revision(conn, holding.subject)

        def cancel(conn: Connection) -> None:
            if not self._requests.cancel(conn, task, now):
                raise FactsMovedError

        holding, revision = await self._read(look)
        await self._gate.record(
            holding,
            revision,
            self._draft(
                holding,
                question,
                "cancelled",
                now,
                trace,
                {"statement": question.statement},
            ),
            uses=cancel,
        )

    def _draft(  # noqa: PLR0917 - the parts of one entry
        self,
        holding: Holding,
        question: Question,
        outcome: str,
        now: int,
        trace: str | None,
        detail: Mapping[str, Json],
    ) -> Draft:
        return Draft(
            kind=EntryKind.CONSENT_REQUEST,
            subject=holding.subject,
            log_key=self._vault.log_key(holding),
            service=question.service,
            purpose=question.purpose,
            attributes=(question.attribute,),
            outcome=outcome,
            at=now,
            decision=question.evaluation,
            detail={EPOCH: self._vault.attest(holding), **detail},
            withheld=self._gate.visibility.withheld(
                question.service, question.purpose, now
            ),
            trace=trace,
        )

    async def _found(
        self, service: str, purpose: str, task: UUID
    ) -> tuple[ConsentTask, Question, UUID]:
        found = await self._read(
            partial(
                self._requests.task,
                service=service,
                purpose=purpose,
                task=task,
            )
        )
        if found is None:
            raise TaskUnknown(task)
        if found[0].expires_at <= self._clock():
            raise TaskExpired(task)
        return found


def rests(
    events: Sequence[ConsentEvent],
    one: Waiting,
    state: ConsentState | None,
    since: int,
) -> bool:
    """Say whether a person is not to be asked a question now.

    Args:
        events: their log for the service and purpose.
        one: the question.
        state: what their answer to its statement means now.
        since: POSIX seconds; who answered after that, and did not allow
            what is asked, is left in peace.

    """
    if state is not None and (
        state.state is EventType.PAUSED or one.attribute in state.attributes
    ):
        return True
    answers = [
        event
        for event in events
        if event.statement == one.statement and event.type in _ANSWERS
    ]
    if not answers:
        return False
    allowed = {
        name
        for event in answers
        for name in event.attributes
        if event.type is EventType.GIVEN
    }
    last = answers[-1]
    ran_out = (
        state is not None
        and state.state is EventType.EXPIRED
        and one.attribute in allowed
    )
    return last.known_at > since and not ran_out
