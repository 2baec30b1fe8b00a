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
from types import NoneType
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    bindparam,
    select,
    update,
)
from sqlmodel import col

from consent import (
    RESTRAINTS_PART,
    ConsentDamaged,
    ConsentStore,
    Owners,
    Parts,
    PreparedForEach,
    id_text,
)
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


_INSTANT = (int, NoneType)
_KINDS = frozenset(one.value for one in RestraintKind)
_BY_ID = attrgetter("int")
NO_RESTRAINTS = Restraints(restricted=False, objected=())
"""What holds of somebody of whom nothing does."""
_COLUMNS = (
    _TABLE.c.id,
    _TABLE.c.kind,
    _TABLE.c.purpose,
    _TABLE.c.since,
    _TABLE.c.until,
    _TABLE.c.evidence,
)


def _of(subject: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    # Also what was lifted: a date that somebody set ends nothing unnoticed.
    return (
        select(*_COLUMNS)
        .where(
            _TABLE.c.tenant == bindparam("tenant"),
            _TABLE.c.subject == subject,
        )
        .order_by(_TABLE.c.since, _TABLE.c.id)
    )


_OF_MANY = (
    select(_TABLE.c.subject, *_COLUMNS)
    .where(
        _TABLE.c.tenant == bindparam("tenant"),
        _TABLE.c.subject.between(bindparam("first"), bindparam("last")),
    )
    .order_by(_TABLE.c.since, _TABLE.c.id)
)
_UNTIL = 4  # among `_COLUMNS`
_Row = Sequence[Any]
"""With the columns of `_COLUMNS`."""


def restraints_of(
    subject: UUID, rows: Sequence[_Row], now: int, parts: Parts
) -> Restraints:
    """Say what holds of somebody at an instant.

    Args:
        subject: the person.
        rows: all of theirs, as the store gives them.
        now: POSIX seconds.
        parts: vouches for the rows.

    Raises:
        RestraintDamaged: one is of no kind, and could be of any.
        ConsentDamaged: the rows are not those that were written.
    """
    parts.demand(RESTRAINTS_PART, rows)
    if not rows:
        return NO_RESTRAINTS
    if any(
        kind not in _KINDS
        or type(what) is not str
        or type(until) not in _INSTANT
        for _, kind, what, _, until, _ in rows
    ):
        raise RestraintDamaged(subject)
    rows = [
        (kind, purpose)
        for _, kind, purpose, _, until, _ in rows
        if until is None or until > now
    ]
    if not rows:
        return NO_RESTRAINTS
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


Heard = Callable[[Connection, UUID, RestraintKind, str, int], None]
"""Hears, in the same transaction, of each restraint that is imposed."""


def _nobody(*_imposed: object) -> None:
    """Hear of a restraint and write nothing."""


class RestraintStore:
    """The restraints of one tenant's people.

    Args:
        tenant: whose people.
        engine: the data database.
        consents: vouches for what is stored, with the rest of their facts.
        random: like ``os.urandom``.
        heard: hears of each that is imposed.
    """

    def __init__(
        self,
        *,
        tenant: str,
        engine: Engine,
        consents: ConsentStore,
        random: Callable[[int], bytes],
        heard: Heard = _nobody,
    ) -> None:
        self._heard = heard
        self._tenant = tenant
        self._random = random
        self._consents = consents
        self._of_many = DriverStatement(engine, _OF_MANY)
        self._of_each = PreparedForEach(engine, _of)
        self._kept = DriverStatement(engine, _of(bindparam("subject")))
        self._owners = Owners(engine, _TABLE)

    def at(
        self, conn: Connection, subject: UUID, now: int, parts: Parts
    ) -> Restraints:
        """Read what holds for `subject` at the instant `now`.

        One that was imposed by a clock ahead of ours holds already.

        Raises:
            RestraintDamaged: a row is not of the form that was written.
            ConsentDamaged: `parts` does not vouch for the rows.
        """
        return restraints_of(subject, self.rows(conn, subject), now, parts)

    def rows(self, conn: Connection, subject: UUID) -> list[tuple[Any, ...]]:
        """Return every row of a person's, oldest first."""
        values = {"tenant": self._tenant, "subject": subject}
        return self._kept.rows(conn, values)

    def of_many(
        self, conn: Connection, subjects: Sequence[UUID]
    ) -> dict[UUID, list[_Row]]:
        """Read the rows of neighbours by id, by one statement.

        Args:
            conn: the transaction to read in.
            subjects: the people: some hundreds with few others between
                the first and the last of them by id.

        Returns:
            By person, for `restraints_of`; who has none is not in it.

        """
        if not subjects:
            return {}
        values = {
            "tenant": self._tenant,
            "first": min(subjects, key=_BY_ID),
            "last": max(subjects, key=_BY_ID),
        }
        rows = self._of_many.rows(conn, values)
        if not rows:  # as of most
            return {}
        # By the driver's own form: a damaged id is nobody's who is asked of.
        asked = {one.hex: one for one in subjects}
        found: dict[UUID, list[_Row]] = {}
        for who, *row in rows:
            person = asked.get(who.hex if isinstance(who, UUID) else who)
            if person is not None:
                found.setdefault(person, []).append(row)
        return found

    def of_each(
        self,
        conn: Connection,
        subjects: Sequence[UUID],
        now: int,
        parts: Sequence[Parts],
    ) -> list[Restraints]:
        """Read what holds for each of several people, as `at` does."""
        found = self._of_each.rows(conn, subjects, {"tenant": self._tenant})
        return [
            restraints_of(subject, rows, now, vouched)
            for subject, rows, vouched in zip(
                subjects, found, parts, strict=True
            )
        ]

    def kept(self, conn: Connection, subject: UUID) -> list[KeptRestraint]:
        """Return every row of a person's, for a sweep, oldest first."""
        return [
            KeptRestraint(id_text(row[0]), *row[1:])
            for row in self.rows(conn, subject)
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
        before = self.rows(conn, subject)
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
        after = self.rows(conn, subject)
        # A server shows here what others committed since, past our lock.
        others = [row for row in after if id_text(row[0]) != str(identity)]
        self._vouch(conn, subject, before, after, as_expected=others == before)
        self._heard(conn, subject, kind, purpose, now)
        return identity

    def lift(
        self, conn: Connection, subject: UUID, identity: UUID, *, now: int
    ) -> None:
        """End a restraint of this person at `now`."""
        before = self.rows(conn, subject)
        expected = [
            (*row[:_UNTIL], now, *row[_UNTIL + 1 :])
            if id_text(row[0]) == str(identity) and row[_UNTIL] is None
            else row
            for row in before
        ]
        conn.execute(
            update(RestraintRow)
            .where(
                col(RestraintRow.id) == identity,
                col(RestraintRow.subject) == subject,
                col(RestraintRow.until).is_(None),
            )
            .values(until=now)
        )
        after = self.rows(conn, subject)
        self._vouch(
            conn, subject, before, after, as_expected=after == expected
        )

    def _vouch(
        self,
        conn: Connection,
        subject: UUID,
        before: Sequence[_Row],
        after: Sequence[_Row],
        *,
        as_expected: bool,
    ) -> None:
        if not as_expected:
            raise ConsentDamaged(subject)
        self._consents.replace_part(
            conn, subject, RESTRAINTS_PART, before, after
        )

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Delete all of an erased person's restraints."""
        conn.execute(
            _TABLE.delete().where(
                _TABLE.c.tenant == self._tenant,
                _TABLE.c.subject == subject,
            )
        )
