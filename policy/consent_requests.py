"""That services asked for people's consent: one row a question.

A row is the task that a service polls, and what the person's pages show.
Whoever was asked for, the same row is written: for somebody unknown or
erased its subject is the decoy, whose pages nobody opens. A poll reads the
row and nothing of the person, so that it tells nothing of them but a yes
(DESIGN.md, invariant 6).

The subject is the record that the service's identifier leads to, also where
it is read with others as one person's: whatever any of them answers settles
the question, and once they are parted it is that record's own again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from consent import ConsentEvent, EventType
from policy.tables import ConsentRequestRow

KEPT_SECONDS = 86_400
"""How long a task is known to have expired, before its row goes."""

_TABLE = ConsentRequestRow.metadata.tables["policy_consent_request"]
_OPEN = (_TABLE.c.cancelled_at.is_(None), _TABLE.c.approval.is_(None))


class TaskStatus(StrEnum):
    """What a service may know of a question that it had put.

    A no is no status: it looks as no answer does, until the task expires.
    """

    PENDING = "pending"
    APPROVED = "approved"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A yes to a question.

    Attributes:
        id: the consent event's own.
        at: POSIX seconds when it was given.
        until: POSIX seconds until which a service may refer to it.
        asked: keyed digest of subject, resource and action of the question.
    """

    id: UUID
    at: int
    until: int
    asked: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentTask:
    """One question as the service that had it put may see it.

    Attributes:
        id: the task handle; random.
        status: how far it is.
        expires_at: POSIX seconds after which it is over.
        approval: the yes, if there is one.
        key: digest of the idempotency key that it was made with, if any.
        body: keyed digest of the submission that made it.
    """

    id: UUID
    status: TaskStatus
    expires_at: int
    approval: Approval | None
    key: bytes | None
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One question that a person has not answered."""

    id: UUID
    service: str
    purpose: str
    statement: str
    attribute: str
    at: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is written down about one question.

    Attributes:
        service: who asks.
        purpose: for what.
        attribute: what it would read.
        statement: of its declaration, that asks for consent to it.
        evaluation: id of the denial that led to it; one question each.
        key: digest of the submission's idempotency key, if it had one.
        body: keyed digest of the submission.
        asked: keyed digest of the denied subject, resource and action.
        about: keyed digest of the person as the service named them.
    """

    service: str
    purpose: str
    attribute: str
    statement: str
    evaluation: UUID
    key: bytes | None
    body: bytes
    asked: bytes
    about: bytes


class ConsentRequests:
    """The questions of one tenant's services.

    Args:
        tenant: whose.
        engine: the data database.
        members: lists the records that are read as one with somebody's.
    """

    def __init__(
        self,
        *,
        tenant: str,
        engine: Engine,
        members: Callable[[UUID], Sequence[UUID]],
    ) -> None:
        self._tenant = tenant
        self._members = members
        self._insert = (
            sqlite.insert(_TABLE).on_conflict_do_nothing()
            if engine.dialect.name == "sqlite"
            else postgresql.insert(_TABLE).on_conflict_do_nothing()
        )

    def add(  # noqa: PLR0917 - who is asked what, since when, until when
        self,
        conn: Connection,
        task: UUID,
        question: Question,
        subject: UUID,
        now: int,
        expires_at: int,
    ) -> None:
        """Write a question down, unless its denial or key has one already.

        Args:
            conn: the caller's transaction.
            task: the handle.
            question: what is asked.
            subject: the person, or the decoy.
            now: POSIX seconds.
            expires_at: POSIX seconds.
        """
        conn.execute(
            self._insert,
            {
                "id": task,
                "tenant": self._tenant,
                "service": question.service,
                "purpose": question.purpose,
                "subject": subject,
                "attribute": question.attribute,
                "statement": question.statement,
                "evaluation": question.evaluation,
                "key": question.key,
                "body": question.body,
                "asked": question.asked,
                "about": question.about,
                "at": now,
                "expires_at": expires_at,
            },
        )

    def sweep(self, conn: Connection, now: int) -> int:
        """Let the rows go of tasks that expired long enough ago.

        Args:
            conn: the caller's transaction.
            now: POSIX seconds.

        Returns:
            How many went.

        """
        gone = conn.execute(
            delete(_TABLE).where(
                _TABLE.c.tenant == self._tenant,
                _TABLE.c.expires_at < now - KEPT_SECONDS,
            )
        )
        return gone.rowcount

    def same(self, conn: Connection, question: Question) -> ConsentTask | None:
        """Find the task of the same idempotency key, or the same denial."""
        c = _TABLE.c
        ways = [c.evaluation == question.evaluation]
        if question.key is not None:
            ways.insert(0, c.key == question.key)
        for way in ways:
            row = conn.execute(
                select(_TABLE).where(
                    *self._own(question.service, question.purpose), way
                )
            ).one_or_none()
            if row is not None:
                return _task(row)
        return None

    def asked_since(
        self, conn: Connection, question: Question, since: int
    ) -> int:
        """Count what this service asked of whom it names so, since then."""
        found = conn.execute(
            select(func.count())
            .select_from(_TABLE)
            .where(
                *self._own(question.service, question.purpose),
                _TABLE.c.about == question.about,
                _TABLE.c.at > since,
            )
        )
        return int(found.scalar_one())

    def task(
        self, conn: Connection, service: str, purpose: str, task: UUID
    ) -> tuple[ConsentTask, Question, UUID] | None:
        """Find a task of a service, with its question and its subject."""
        row = conn.execute(
            select(_TABLE).where(
                *self._own(service, purpose), _TABLE.c.id == task
            )
        ).one_or_none()
        if row is None:
            return None
        question = Question(
            service=row.service,
            purpose=row.purpose,
            attribute=row.attribute,
            statement=row.statement,
            evaluation=row.evaluation,
            key=row.key,
            body=row.body,
            asked=row.asked,
            about=row.about,
        )
        return _task(row), question, row.subject

    def approval(
        self,
        conn: Connection,
        service: str,
        purpose: str,
        approval: UUID,
        asked: bytes,
    ) -> Approval | None:
        """Find an approval by its id, if this service was given it.

        One yes may have answered several questions; where one of them is
        what `asked` says, it is that one's.
        """
        found = [
            _task(row).approval
            for row in conn.execute(
                select(_TABLE)
                .where(
                    *self._own(service, purpose),
                    _TABLE.c.approval == approval,
                )
                .order_by(_TABLE.c.at, _TABLE.c.id)
            )
        ]
        same = [one for one in found if one and one.asked == asked]
        return next(iter(same or found), None)

    def cancel(self, conn: Connection, task: UUID, now: int) -> bool:
        """Take a question back, if it is still open; say if it was."""
        done = conn.execute(
            update(_TABLE)
            .where(
                _TABLE.c.tenant == self._tenant,
                _TABLE.c.id == task,
                *_OPEN,
            )
            .values(cancelled_at=now)
        )
        return done.rowcount == 1

    def waiting(
        self, conn: Connection, members: Sequence[UUID], now: int
    ) -> list[Waiting]:
        """List what is open about a person, the oldest question first.

        Args:
            conn: the transaction.
            members: every record that is read as theirs.
            now: POSIX seconds.
        """
        rows = conn.execute(
            select(_TABLE)
            .where(
                _TABLE.c.tenant == self._tenant,
                _TABLE.c.subject.in_(members),
                _TABLE.c.expires_at > now,
                *_OPEN,
            )
            .order_by(_TABLE.c.at, _TABLE.c.id)
        )
        return [
            Waiting(
                id=row.id,
                service=row.service,
                purpose=row.purpose,
                statement=row.statement,
                attribute=row.attribute,
                at=row.at,
                expires_at=row.expires_at,
            )
            for row in rows
        ]

    def answered(
        self,
        conn: Connection,
        event: ConsentEvent,
        _earlier: Sequence[ConsentEvent],
    ) -> None:
        """Settle the open questions that a yes answers.

        A no settles none: nothing of it may show in a poll.

        Args:
            conn: of the transaction that records the answer.
            event: the answer.
        """
        if event.type is not EventType.GIVEN:
            return
        now = event.known_at
        asked = (
            _TABLE.c.tenant == self._tenant,
            _TABLE.c.service == event.service,
            _TABLE.c.purpose == event.purpose,
            _TABLE.c.statement == event.statement,
            _TABLE.c.attribute.in_(event.attributes),
            _TABLE.c.expires_at > now,
            *_OPEN,
        )
        # Most answers come where nobody asked, and look nobody up.
        if conn.execute(select(_TABLE.c.id).where(*asked).limit(1)).first():
            mine = _TABLE.c.subject.in_(self._members(event.subject))
            listed = conn.execute(
                select(_TABLE.c.id, _TABLE.c.expires_at).where(*asked, mine)
            )
            for row in listed.all():
                end = min(event.expires_at or row.expires_at, row.expires_at)
                self.approve(conn, row.id, event.id, now, end)

    def approve(
        self, conn: Connection, task: UUID, event: UUID, now: int, until: int
    ) -> None:
        """Settle an open question by a yes.

        Args:
            conn: the caller's transaction.
            task: the question.
            event: that says yes.
            now: POSIX seconds since when it counts for the question.
            until: POSIX seconds until which a service may refer to it.
        """
        conn.execute(
            update(_TABLE)
            .where(
                _TABLE.c.tenant == self._tenant, _TABLE.c.id == task, *_OPEN
            )
            .values(approval=event, approved_at=now, approved_until=until)
        )

    def forget(
        self, conn: Connection, subject: UUID, decoy: Callable[[], UUID]
    ) -> None:
        """Make the questions to an erased person questions to nobody.

        The tasks stay, and look as before.
        """
        conn.execute(
            update(_TABLE)
            .where(
                _TABLE.c.tenant == self._tenant, _TABLE.c.subject == subject
            )
            .values(subject=decoy())
        )

    def _own(self, service: str, purpose: str) -> tuple[Any, ...]:
        return (
            _TABLE.c.tenant == self._tenant,
            _TABLE.c.service == service,
            _TABLE.c.purpose == purpose,
        )


def _task(row: Row[Any]) -> ConsentTask:
    status, approval = TaskStatus.PENDING, None
    if row.approval is not None:
        status = TaskStatus.APPROVED
        approval = Approval(
            id=row.approval,
            at=row.approved_at,
            until=row.approved_until,
            asked=row.asked,
        )
    elif row.cancelled_at is not None:
        status = TaskStatus.CANCELLED
    return ConsentTask(
        id=row.id,
        status=status,
        expires_at=row.expires_at,
        approval=approval,
        key=row.key,
        body=row.body,
    )
