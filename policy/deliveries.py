"""What each service is told, and how that stands: the rows and their moves.

A delivery is *waiting* until the service received it (any 2xx), and
*outstanding* until the service says what it did. Its id never changes, so a
service that gets it twice knows. What it says of the person is sealed under
a key of the instance, and it is found for the person by the tag of their log
key alone; an erasure takes that tag away.
"""

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, and_, select, update
from sqlalchemy.exc import IntegrityError

from policy.happenings import Happening, HappeningKind
from policy.recipients import Holder
from policy.webhook_tables import DeliveryRow, LeaseRow
from vault import NoteBox

_TABLE = DeliveryRow.metadata.tables["policy_webhook_delivery"]
_LEASE = LeaseRow.metadata.tables["policy_webhook_lease"]


class Done(StrEnum):
    """What a service says that it did."""

    DELETED = "deleted"
    STOPPED = "stopped"
    KEPT = "kept"


class Standing(StrEnum):
    """How a delivery stands."""

    WAITING = "waiting"
    UNREACHABLE = "unreachable"
    RECEIVED = "received"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What one service is told of one happening.

    Attributes:
        id: the same in every attempt.
        kind: what happened.
        service: who is told.
        purpose: for which it holds the data.
        at: POSIX seconds of the happening.
        deadline: POSIX seconds until which it is to say what it did.
        hidden: whether people do not learn of this service's uses yet.
        attempts: how often it was sent.
        next_at: POSIX seconds of the next attempt, or None.
        received_at: POSIX seconds of the first 2xx, or None.
        given_up_at: POSIX seconds at which sending ended, or None.
        done_at: POSIX seconds at which the service answered, or None.
        outcome: what it did; empty until then.
        ground: on which legal basis it keeps what it keeps.
        fault: what the last attempt met; empty if all went well.
    """

    id: UUID
    kind: HappeningKind
    service: str
    purpose: str
    at: int
    deadline: int
    hidden: bool
    attempts: int
    next_at: int | None
    received_at: int | None
    given_up_at: int | None
    done_at: int | None
    outcome: str
    ground: str
    fault: str

    @property
    def standing(self) -> Standing:
        """How it stands."""
        if self.done_at is not None:
            return Standing.DONE
        if self.received_at is not None:
            return Standing.RECEIVED
        if self.given_up_at is not None:
            return Standing.UNREACHABLE
        return Standing.WAITING


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a delivery says, opened. `subject` never leaves the platform."""

    subject: UUID | None
    statement: str
    declaration: str
    attributes: tuple[str, ...]
    decisions: tuple[UUID, ...]


class Deliveries:
    """The deliveries of one tenant.

    Args:
        tenant: whose.
        box: seals under a key of the instance.
        random: as ``os.urandom``.
        seconds: from a happening to the deadline of its deliveries.
    """

    def __init__(
        self,
        *,
        tenant: str,
        box: NoteBox,
        random: Callable[[int], bytes],
        seconds: int,
    ) -> None:
        self._tenant = tenant
        self._box = box
        self._random = random
        self._seconds = seconds

    # --- what is made ----------------------------------------------------

    def add(
        self,
        conn: Connection,
        happening: Happening,
        holder: Holder,
        *,
        tag: bytes,
        hidden: bool,
        now: int,
        prepared: bool = False,
    ) -> UUID:
        """Write down that a holder is to be told.

        Args:
            conn: the caller's transaction.
            happening: of what.
            holder: who, and what it holds.
            tag: the person's, by their log key.
            hidden: whether the person does not learn of this service yet.
            now: POSIX seconds.
            prepared: not to be sent before `erased` says so.
        """
        identity = uuid.UUID(bytes=self._random(16), version=4)
        told = {
            "subject": None if prepared else str(happening.subject),
            "statement": happening.statement,
            "declaration": happening.declaration,
            "attributes": list(holder.attributes),
            "decisions": [str(one) for one in holder.decisions],
        }
        conn.execute(
            _TABLE.insert().values(
                id=identity,
                tenant=self._tenant,
                happening=happening.id,
                kind=happening.kind.value,
                service=holder.service,
                purpose=holder.purpose,
                at=happening.at,
                deadline=max(now, happening.at) + self._seconds,
                prepared=prepared,
                hidden=hidden,
                attempts=0,
                next_at=None if prepared else now,
                outcome="",
                ground="",
                fault="",
                tag=tag,
                sealed=self._box.seal(
                    _label(identity), json.dumps(told).encode()
                ),
            )
        )
        return identity

    def erased(self, conn: Connection, tag: bytes, now: int) -> None:
        """Let go of an erased person; send what was prepared about them.

        What was told of them before is kept without the tag, and without
        what it said where nothing is left to be sent.

        Args:
            conn: of the transaction that erases.
            tag: the person's.
            now: POSIX seconds.
        """
        mine = (_TABLE.c.tenant == self._tenant) & (_TABLE.c.tag == tag)
        for row in conn.execute(select(_TABLE).where(mine)).all():
            told = self._open(row)
            values: dict[str, Any] = {"tag": None}
            if row.prepared:
                values |= {"prepared": False, "next_at": now}
            else:
                # The erasure is what the service is told instead.
                told = told | {"subject": None, "decisions": []}
                values |= {"next_at": None}
                if row.done_at is None:
                    values |= {"done_at": now, "outcome": "erased"}
            values["sealed"] = self._box.seal(
                _label(row.id), json.dumps(told).encode()
            )
            conn.execute(
                update(_TABLE).where(_TABLE.c.id == row.id).values(**values)
            )

    def unprepare(self, conn: Connection, tag: bytes) -> None:
        """Remove what an erasure prepared that did not come about."""
        conn.execute(
            _TABLE.delete().where(
                _TABLE.c.tenant == self._tenant,
                _TABLE.c.tag == tag,
                _TABLE.c.prepared.is_(True),
            )
        )

    def rekey(self, conn: Connection, old: bytes, new: bytes) -> None:
        """Find a person's deliveries by their next tag from now on."""
        conn.execute(
            update(_TABLE)
            .where(_TABLE.c.tenant == self._tenant, _TABLE.c.tag == old)
            .values(tag=new)
        )

    # --- what is read ----------------------------------------------------

    def due(self, conn: Connection, now: int, limit: int) -> list[Delivery]:
        """Return what is to be sent, some for each service.

        Args:
            conn: where to read.
            now: POSIX seconds.
            limit: at most so many a service and purpose.
        """
        ready = self._where(_TABLE.c.next_at <= now)
        services = conn.execute(
            select(_TABLE.c.service, _TABLE.c.purpose).where(ready).distinct()
        ).all()
        found: list[Delivery] = []
        for service, purpose in services:
            rows = conn.execute(
                select(_TABLE)
                .where(
                    ready,
                    _TABLE.c.service == service,
                    _TABLE.c.purpose == purpose,
                )
                .order_by(_TABLE.c.next_at, _TABLE.c.at)
                .limit(limit)
            )
            found += map(_delivery, rows)
        return found

    def listed(
        self,
        conn: Connection,
        *,
        service: str | None = None,
        purpose: str | None = None,
        open_only: bool = False,
        limit: int = 1000,
    ) -> list[Delivery]:
        """Return deliveries, the earliest deadline first.

        Args:
            conn: where to read.
            service: only to this service.
            purpose: only for this purpose.
            open_only: only those that nobody said to be done.
            limit: at most so many.
        """
        conditions: list[ColumnElement[bool]] = [_TABLE.c.prepared.is_(False)]
        if service is not None:
            conditions.append(_TABLE.c.service == service)
        if purpose is not None:
            conditions.append(_TABLE.c.purpose == purpose)
        if open_only:
            conditions.append(_TABLE.c.done_at.is_(None))
        rows = conn.execute(
            select(_TABLE)
            .where(self._where(*conditions))
            .order_by(_TABLE.c.deadline, _TABLE.c.id)
            .limit(limit)
        )
        return [_delivery(row) for row in rows]

    def of_person(
        self, conn: Connection, tags: Sequence[bytes]
    ) -> list[Delivery]:
        """Return what was told of a person, the latest first."""
        rows = conn.execute(
            select(_TABLE)
            .where(
                self._where(
                    _TABLE.c.tag.in_(tags),
                    _TABLE.c.hidden.is_(False),
                    _TABLE.c.prepared.is_(False),
                )
            )
            .order_by(_TABLE.c.at.desc(), _TABLE.c.service)
        )
        return [_delivery(row) for row in rows]

    def find(
        self, conn: Connection, identity: UUID
    ) -> tuple[Delivery, Told] | None:
        """Return one delivery with what it says, or None."""
        row = conn.execute(
            select(_TABLE).where(
                self._where(
                    _TABLE.c.id == identity, _TABLE.c.prepared.is_(False)
                )
            )
        ).one_or_none()
        if row is None:
            return None
        told = self._open(row)
        return _delivery(row), Told(
            subject=told["subject"] and UUID(told["subject"]),
            statement=told["statement"],
            declaration=told["declaration"],
            attributes=tuple(told["attributes"]),
            decisions=tuple(UUID(one) for one in told["decisions"]),
        )

    # --- how it moves ----------------------------------------------------

    def move(
        self,
        conn: Connection,
        identity: UUID,
        *where: ColumnElement[bool],
        **values: object,
    ) -> bool:
        """Change one delivery where the conditions hold; say whether."""
        changed = conn.execute(
            update(_TABLE)
            .where(self._where(_TABLE.c.id == identity, *where))
            .values(**values)
        )
        return bool(changed.rowcount)

    def received(self, conn: Connection, identity: UUID, now: int) -> bool:
        """Note a 2xx; say whether it is the first."""
        self.move(
            conn,
            identity,
            attempts=_TABLE.c.attempts + 1,
            next_at=None,
            given_up_at=None,
            fault="",
        )
        return self.move(
            conn,
            identity,
            _TABLE.c.received_at.is_(None),
            received_at=now,
        )

    def postpone(
        self,
        conn: Connection,
        one: Delivery,
        fault: str,
        *,
        until: int,
        now: int,
    ) -> None:
        """Try later: this one, and what waits for the same service.

        Args:
            conn: the caller's transaction.
            one: which was tried.
            fault: what it met.
            until: POSIX seconds of the next attempt.
            now: POSIX seconds.
        """
        self.move(conn, one.id, attempts=_TABLE.c.attempts + 1, fault=fault)
        conn.execute(
            update(_TABLE)
            .where(
                self._where(
                    _TABLE.c.service == one.service,
                    _TABLE.c.purpose == one.purpose,
                    _TABLE.c.next_at <= now,
                    _TABLE.c.deadline > now,
                )
            )
            .values(next_at=until, fault=fault)
        )

    def give_up(self, conn: Connection, identity: UUID, now: int) -> bool:
        """Send no more; say whether that is new."""
        return self.move(
            conn,
            identity,
            _TABLE.c.received_at.is_(None),
            _TABLE.c.next_at.is_not(None),
            given_up_at=now,
            next_at=None,
        )

    def send_again(self, conn: Connection, identity: UUID, now: int) -> bool:
        """Send once more, under the same id; say whether it is there."""
        return self.move(
            conn,
            identity,
            _TABLE.c.done_at.is_(None),
            _TABLE.c.prepared.is_(False),
            next_at=now,
            given_up_at=None,
        )

    def wake(
        self, conn: Connection, service: str, purpose: str, now: int
    ) -> None:
        """Send what waits for a service now, which has a new endpoint."""
        conn.execute(
            update(_TABLE)
            .where(
                self._where(
                    _TABLE.c.service == service,
                    _TABLE.c.purpose == purpose,
                    _TABLE.c.received_at.is_(None),
                    _TABLE.c.done_at.is_(None),
                    _TABLE.c.prepared.is_(False),
                )
            )
            .values(next_at=now, given_up_at=None)
        )

    def acknowledged(
        self,
        conn: Connection,
        identity: UUID,
        *,
        outcome: Done,
        ground: str,
        now: int,
    ) -> None:
        """Note what a service says that it did."""
        self.move(
            conn, identity, _TABLE.c.received_at.is_(None), received_at=now
        )
        self.move(
            conn,
            identity,
            done_at=now,
            outcome=outcome.value,
            ground=ground,
            next_at=None,
            given_up_at=None,
            fault="",
        )

    # --- who sends -------------------------------------------------------

    def lease(
        self, conn: Connection, holder: str, *, now: int, seconds: int
    ) -> bool:
        """Become, or stay, the one process that sends.

        Args:
            conn: the caller's transaction.
            holder: which process.
            now: POSIX seconds.
            seconds: how long nobody else may; 0 gives it back.

        Returns:
            Whether it is this one.
        """
        taken = conn.execute(
            update(_LEASE)
            .where(
                _LEASE.c.tenant == self._tenant,
                (_LEASE.c.holder == holder) | (_LEASE.c.until <= now),
            )
            .values(holder=holder, until=now + seconds)
        )
        if taken.rowcount:
            return True
        there = select(_LEASE.c.tenant).where(_LEASE.c.tenant == self._tenant)
        if conn.execute(there).first() is not None:
            return False
        try:
            with conn.begin_nested():
                conn.execute(
                    _LEASE.insert().values(
                        tenant=self._tenant,
                        holder=holder,
                        until=now + seconds,
                    )
                )
        except IntegrityError:
            return False
        return True

    def _where(self, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        return and_(_TABLE.c.tenant == self._tenant, *conditions)

    def _open(self, row: Row[Any]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self._box.unseal(_label(row.id), row.sealed)
        )
        return found


def _label(identity: UUID) -> str:
    return f"webhook-delivery/{identity}"


def _delivery(row: Row[Any]) -> Delivery:
    shown = {
        name: getattr(row, name)
        for name in Delivery.__slots__
        if name != "kind"
    }
    return Delivery(kind=HappeningKind(row.kind), **shown)
