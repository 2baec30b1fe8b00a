"""Restrictions (GDPR 18), objections (GDPR 21) and signals (GPC) as facts.

A restriction freezes every use but storage; an objection concerns one
purpose; a signal of the person's browser refuses optional sharing. Each is
lifted by a date, never by an edit, so that the facts of a past instant can
be read again.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    bindparam,
    or_,
    select,
    update,
)
from sqlmodel import col

from consent import Owners, PreparedForEach, id_text
from policy.errors import RestraintDamaged
from policy.reading import DriverStatement
from policy.tables import RestraintRow

_TABLE = RestraintRow.metadata.tables["policy_restraint"]


class RestraintKind(StrEnum):
    """What the person asked for."""

    RESTRICTION = "restriction"
    OBJECTION = "objection"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restraints:
    """What holds for one person at one instant."""

    restricted: bool
    objected: tuple[str, ...]
    signalled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A signal of a person's browser, as it was seen.

    Attributes:
        id: its own.
        kind: which signal, such as ``gpc``.
        at: POSIX seconds when it was first seen.
        where: the route on which it was seen; it names nobody.
        lifted_at: POSIX seconds when the person lifted it, or None.
    """

    id: UUID
    kind: str
    at: int
    where: str
    lifted_at: int | None


class KeptRestraint(NamedTuple):
    """One row, as it is stored, whether or not it reads.

    Attributes:
        id: its own.
        kind: a `RestraintKind`.
        purpose: of an objection; of a signal, which one it is.
        since: POSIX seconds.
        until: POSIX seconds when it was lifted, or None.
        evidence: where a signal was seen, or None.
    """

    id: str
    kind: object
    purpose: object
    since: object
    until: object
    evidence: object


def union(listed: Sequence[Restraints]) -> Restraints:
    """Give what holds where every one of these holds."""
    if len(listed) == 1:
        return listed[0]
    objected = {purpose for one in listed for purpose in one.objected}
    return Restraints(
        restricted=any(one.restricted for one in listed),
        objected=tuple(sorted(objected)),
        signalled=any(one.signalled for one in listed),
    )


_KINDS = frozenset(one.value for one in RestraintKind)
_BY_ID = attrgetter("int")
NO_RESTRAINTS = Restraints(restricted=False, objected=())
"""What holds of somebody of whom nothing does."""
_AS_OF = select(_TABLE.c.kind, _TABLE.c.purpose).where(
    and_(
        _TABLE.c.tenant == bindparam("tenant"),
        _TABLE.c.subject == bindparam("subject"),
        or_(_TABLE.c.until.is_(None), _TABLE.c.until > bindparam("now")),
    )
)


_KEPT = (
    select(
        _TABLE.c.id,
        _TABLE.c.kind,
        _TABLE.c.purpose,
        _TABLE.c.since,
        _TABLE.c.until,
        _TABLE.c.evidence,
    )
    .where(
        _TABLE.c.tenant == bindparam("tenant"),
        _TABLE.c.subject == bindparam("subject"),
    )
    .order_by(_TABLE.c.since, _TABLE.c.id)
)
_OF_MANY = select(_TABLE.c.subject, _TABLE.c.kind, _TABLE.c.purpose).where(
    _TABLE.c.tenant == bindparam("tenant"),
    _TABLE.c.subject.between(bindparam("first"), bindparam("last")),
    or_(_TABLE.c.until.is_(None), _TABLE.c.until > bindparam("now")),
)


def _restraints(subject: UUID, rows: Sequence[tuple[str, str]]) -> Restraints:
    """Read rows of kind and purpose.

    Raises:
        RestraintDamaged: one is of no kind, and could be of any.
    """
    if not rows:
        return NO_RESTRAINTS
    if any(kind not in _KINDS or type(what) is not str for kind, what in rows):
        raise RestraintDamaged(subject)
    return Restraints(
        restricted=any(kind == RestraintKind.RESTRICTION for kind, _ in rows),
        objected=tuple(
            sorted(
                {
                    purpose
                    for kind, purpose in rows
                    if kind == RestraintKind.OBJECTION
                }
            )
        ),
        signalled=any(kind == RestraintKind.SIGNAL for kind, _ in rows),
    )


def _of_each(
    subject: ColumnElement[Any],
) -> Select[*tuple[Any, ...]]:
    return select(_TABLE.c.kind, _TABLE.c.purpose).where(
        _TABLE.c.tenant == bindparam("tenant"),
        _TABLE.c.subject == subject,
        or_(_TABLE.c.until.is_(None), _TABLE.c.until > bindparam("now")),
    )


Heard = Callable[[Connection, UUID, RestraintKind, str, int], None]
"""Hears, in the same transaction, of each restraint that is imposed."""


def _nobody(*_imposed: object) -> None:
    """Hear of a restraint and write nothing."""


class RestraintStore:
    """The restraints of one tenant's people."""

    def __init__(
        self,
        *,
        tenant: str,
        engine: Engine,
        random: Callable[[int], bytes],
        heard: Heard = _nobody,
    ) -> None:
        self._heard = heard
        self._tenant = tenant
        self._random = random
        self._as_of = DriverStatement(engine, _AS_OF)
        self._of_many = DriverStatement(engine, _OF_MANY)
        self._of_each = PreparedForEach(engine, _of_each)
        self._kept = DriverStatement(engine, _KEPT)
        self._owners = Owners(engine, _TABLE)

    def at(self, conn: Connection, subject: UUID, now: int) -> Restraints:
        """Read what holds for `subject` at the instant `now`.

        One that was imposed by a clock ahead of ours holds already.

        Raises:
            RestraintDamaged: a row is not of the form that was written.
        """
        rows = self._as_of.rows(
            conn,
            {
                "tenant": self._tenant,
                "subject": subject,
                "now": now,
            },
        )
        return _restraints(subject, rows)

    def of_many(
        self, conn: Connection, subjects: Sequence[UUID], now: int
    ) -> dict[UUID, Restraints]:
        """Read what holds for neighbours by id as `at`, by one statement.

        Args:
            conn: the transaction to read in.
            subjects: the people: some hundreds with few others between
                the first and the last of them by id.
            now: the instant.

        Returns:
            By person; nobody of whom nothing holds is in it.

        Raises:
            RestraintDamaged: as `at`.

        """
        if not subjects:
            return {}
        values = {
            "tenant": self._tenant,
            "first": min(subjects, key=_BY_ID),
            "last": max(subjects, key=_BY_ID),
            "now": now,
        }
        rows = self._of_many.rows(conn, values)
        if not rows:  # as of most
            return {}
        # By the driver's own form: a damaged id is nobody's who is asked of.
        asked = {one.hex: one for one in subjects}
        found: dict[UUID, list[tuple[str, str]]] = {}
        for who, kind, purpose in rows:
            person = asked.get(who.hex if isinstance(who, UUID) else who)
            if person is not None:
                found.setdefault(person, []).append((kind, purpose))
        return {one: _restraints(one, held) for one, held in found.items()}

    def of_each(
        self, conn: Connection, subjects: Sequence[UUID], now: int
    ) -> list[Restraints]:
        """Read what holds for each of several people, as `at` does."""
        given = {"tenant": self._tenant, "now": now}
        found = self._of_each.rows(conn, subjects, given)
        return [
            _restraints(subject, rows)
            for subject, rows in zip(subjects, found, strict=True)
        ]

    def kept(self, conn: Connection, subject: UUID) -> list[KeptRestraint]:
        """Return every row of a person's, for a sweep, oldest first."""
        values = {"tenant": self._tenant, "subject": subject}
        return [
            KeptRestraint(id_text(row[0]), *row[1:])
            for row in self._kept.rows(conn, values)
        ]

    def owners(self, conn: Connection, after: object, limit: int) -> list[Any]:
        """List who has a row, as `consent.Owners.page` does."""
        return self._owners.page(conn, self._tenant, after, limit)

    def signals(self, conn: Connection, subject: UUID) -> list[Signal]:
        """Return the signals of a person's browsers, oldest first."""
        rows = conn.execute(
            select(_TABLE)
            .where(
                _TABLE.c.tenant == self._tenant,
                _TABLE.c.subject == subject,
                _TABLE.c.kind == RestraintKind.SIGNAL.value,
            )
            .order_by(_TABLE.c.since, _TABLE.c.id)
        )
        return [
            Signal(
                id=row.id,
                kind=row.purpose,
                at=row.since,
                where=row.evidence or "",
                lifted_at=row.until,
            )
            for row in rows
        ]

    def impose(
        self,
        conn: Connection,
        subject: UUID,
        kind: RestraintKind,
        *,
        purpose: str = "",
        now: int,
        evidence: str | None = None,
        identity: UUID | None = None,
    ) -> UUID:
        """Add a restraint from `now` on; an objection names its purpose.

        `identity` is its id, where an entry names it already.
        """
        if identity is None:
            identity = uuid.UUID(bytes=self._random(16), version=4)
        conn.execute(
            _TABLE.insert().values(
                id=identity,
                tenant=self._tenant,
                subject=subject,
                kind=kind.value,
                purpose=purpose,
                since=now,
                evidence=evidence,
            )
        )
        self._heard(conn, subject, kind, purpose, now)
        return identity

    def lift(
        self, conn: Connection, subject: UUID, identity: UUID, *, now: int
    ) -> None:
        """End a restraint of this person at `now`."""
        conn.execute(
            update(RestraintRow)
            .where(
                col(RestraintRow.id) == identity,
                col(RestraintRow.subject) == subject,
                col(RestraintRow.until).is_(None),
            )
            .values(until=now)
        )

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Delete all of an erased person's restraints."""
        conn.execute(
            _TABLE.delete().where(
                _TABLE.c.tenant == self._tenant,
                _TABLE.c.subject == subject,
            )
        )
