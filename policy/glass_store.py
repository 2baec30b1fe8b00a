"""Grants of emergency access in SQL, and the alerts about them.

Each change is one conditional statement, so that of two that race one finds
nothing left to change. A grant that ended stays ended, whatever a clock says
afterwards: the end is written down when it is first noticed.

A step that was refused is a row, too, that opens nothing and is about nobody:
by it the officer's limit counts the step, and a list can tell whose it was.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, update

from policy.errors import RecordUnknown
from policy.glass_tables import GlassAlertRow, GlassRow
from vault import NoteBox

DAY = 86_400
# Who ended a grant that nobody approved in time.
DEADLINE = "deadline"
# What ended a row that never was a grant; no officer's one spelling has a
# capital letter.
REFUSED = "REFUSED"
_TABLE = GlassRow.metadata.tables["policy_glass"]
_ALERT = GlassAlertRow.metadata.tables["policy_glass_alert"]


# What no eye sees, beside formats and controls: joiners, fillers, selectors.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0000-\U000e0fff]"
)


class GlassState(StrEnum):
    """How a grant stands."""

    WAITING = "waiting"
    APPROVED = "approved"
    LAPSED = "lapsed"
    ENDED = "ended"
    OVER = "over"
    REFUSED = "refused"


class AlertKind(StrEnum):
    """What a compliance officer is to look at."""

    GRANTED = "granted"
    OPENED = "opened"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Glass:
    """One grant.

    Attributes:
        id: its own.
        subject: the person; None once they are erased.
        officer: who asked, and may open.
        purpose: for what.
        attributes: what may be opened.
        at: POSIX seconds when it was granted.
        deadline: by when a second officer approves; unapproved, it ends.
        ends: when it ends in any case.
        seen: the last instant at which it was acted on.
        uses: how often something was opened.
        approver: who approved; empty while nobody did.
        ended_by: who ended it; ``deadline`` where nobody approved in time,
            and ``REFUSED`` where it never was one.
        ended_at: when, or None.
        sealed: reason and case, or None once the person is erased.
    """

    id: UUID
    subject: UUID | None
    officer: str
    purpose: str
    attributes: tuple[str, ...]
    at: int
    deadline: int
    ends: int
    seen: int
    uses: int = 0
    approver: str = ""
    ended_by: str = ""
    ended_at: int | None = None
    sealed: bytes | None = None

    @property
    def until(self) -> int:
        """Until when a decision about it, as it is, can be acted on."""
        return self.ends if self.approver else min(self.deadline, self.ends)

    def state(self, now: int) -> GlassState:
        """How it stands at an instant, to be shown."""
        if self.ended_by == REFUSED:
            return GlassState.REFUSED
        if self.ended_by == DEADLINE:
            return GlassState.LAPSED
        if self.ended_at is not None:
            return GlassState.ENDED
        if now < self.until:
            return GlassState.APPROVED if self.approver else GlassState.WAITING
        return GlassState.OVER if self.approver else GlassState.LAPSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """What was granted before, as far as it limits what is granted now.

    Attributes:
        officer: grants of this officer within a day, and steps of theirs
            that were refused.
        person: grants about this person within a day, over every record that
            is read as theirs.
        alerts: grants of this officer that nobody approved in time, and
            that no compliance officer has looked into yet.
    """

    officer: int
    person: int
    alerts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert, with the grant that it is about."""

    id: UUID
    kind: AlertKind
    at: int
    closed_by: str
    closed_at: int | None
    glass: Glass


class GlassStore:
    """The grants of one tenant.

    Args:
        tenant: whose.
        random: as ``os.urandom``.
    """

    def __init__(self, *, tenant: str, random: Callable[[int], bytes]) -> None:
        self._tenant = tenant
        self._random = random

    def add(
        self,
        conn: Connection,
        glass: Glass,
        *,
        case: str,
        reason: str,
        notes: NoteBox,
        merged: Sequence[NoteBox] = (),
    ) -> bool:
        """Store a grant, unless this officer had it in this case before.

        What a request that comes again is recognized by is a tag under the
        person's log key: the reference of a case is easily guessed.

        Args:
            conn: the transaction.
            glass: the grant.
            case: reference of the case.
            reason: why.
            notes: of the person's record.
            merged: of the records that are merged into it.

        Returns:
            Whether it was stored.
        """
        once, *others = (
            _once(one, glass.officer, glass.purpose, case)
            for one in (notes, *merged)
        )
        known = select(_TABLE.c.id).where(
            _TABLE.c.tenant == self._tenant,
            _TABLE.c.once.in_([once, *others]),
        )
        if conn.execute(known).first() is not None:
            return False
        body = json.dumps({"reason": reason, "case": case}).encode()
        self._insert(
            conn,
            replace(glass, sealed=notes.seal(_label(glass.id), body)),
            once,
        )
        return True

    def refuse(  # noqa: PLR0917 - the parts of one row
        self,
        conn: Connection,
        identity: UUID,
        officer: str,
        purpose: str,
        attributes: tuple[str, ...],
        now: int,
    ) -> None:
        """Count a step of an officer that was refused; it names nobody."""
        row = Glass(
            id=identity,
            subject=None,
            officer=officer,
            purpose=purpose,
            attributes=attributes,
            at=now,
            deadline=now,
            ends=now,
            seen=now,
            ended_by=REFUSED,
            ended_at=now,
        )
        self._insert(conn, row, self._random(16))

    def _insert(self, conn: Connection, glass: Glass, once: bytes) -> None:
        conn.execute(
            _TABLE.insert().values(
                id=glass.id,
                tenant=self._tenant,
                subject=glass.subject,
                once=once,
                officer=glass.officer,
                purpose=glass.purpose,
                attributes=json.dumps(glass.attributes),
                at=glass.at,
                deadline=glass.deadline,
                ends=glass.ends,
                seen=glass.seen,
                uses=glass.uses,
                approver=glass.approver,
                ended_by=glass.ended_by,
                ended_at=glass.ended_at,
                sealed=glass.sealed,
            )
        )

    def find(self, conn: Connection, identity: UUID) -> Glass:
        """Read one grant.

        Raises:
            RecordUnknown: there is none of that id.
        """
        row = conn.execute(
            select(_TABLE).where(
                _TABLE.c.tenant == self._tenant,
                _TABLE.c.id == identity,
                _TABLE.c.ended_by != REFUSED,
            )
        ).one_or_none()
        if row is None:
            msg = f"there is no emergency access {identity}"
            raise RecordUnknown(msg)
        return _glass(row)

    def all(self, conn: Connection, *, refused: bool = False) -> list[Glass]:
        """Every grant, the newest first; or every step that was refused."""
        c = _TABLE.c
        which = c.ended_by == REFUSED if refused else c.ended_by != REFUSED
        rows = conn.execute(
            select(_TABLE)
            .where(c.tenant == self._tenant, which)
            .order_by(c.at.desc(), c.id)
        )
        return [_glass(row) for row in rows]

    def due(self, conn: Connection, now: int) -> list[Glass]:
        """Grants past their deadline that nobody approved or ended."""
        rows = conn.execute(
            select(_TABLE)
            .where(
                _TABLE.c.tenant == self._tenant,
                _TABLE.c.approver == "",
                _TABLE.c.ended_at.is_(None),
                _TABLE.c.deadline <= now,
            )
            .order_by(_TABLE.c.at, _TABLE.c.id)
        )
        return [_glass(row) for row in rows]

    def recent(
        self,
        conn: Connection,
        officer: str,
        members: Sequence[UUID],
        now: int,
    ) -> Recent:
        """Count what limits the next grant; a clock ahead of ours counts.

        Args:
            conn: the transaction.
            officer: who asks.
            members: every record that is read as the person's.
            now: POSIX seconds.
        """
        within = (_TABLE.c.tenant == self._tenant) & (_TABLE.c.at > now - DAY)
        lapsed = (
            select(func.count())
            .select_from(_ALERT.join(_TABLE, _ALERT.c.glass == _TABLE.c.id))
            .where(
                _TABLE.c.tenant == self._tenant,
                _TABLE.c.officer == officer,
                _ALERT.c.tenant == self._tenant,
                _ALERT.c.kind == AlertKind.LAPSED.value,
                _ALERT.c.closed_at.is_(None),
            )
        )
        return Recent(
            officer=self._count(conn, within, _TABLE.c.officer == officer),
            person=self._count(conn, within, _TABLE.c.subject.in_(members)),
            alerts=conn.execute(lapsed).scalar_one(),
        )

    def use(self, conn: Connection, glass: Glass, now: int) -> bool:
        """Count a use of a grant that stands as it was read."""
        return self._change(
            conn, glass, now, uses=glass.uses + 1, bound=glass.until
        )

    def approve(
        self, conn: Connection, glass: Glass, officer: str, now: int
    ) -> bool:
        """Approve a grant that stands as it was read."""
        return self._change(
            conn, glass, now, approver=officer, bound=glass.until
        )

    def end(
        self, conn: Connection, glass: Glass, officer: str, now: int
    ) -> bool:
        """End a grant that has not ended."""
        return self._change(conn, glass, now, ended_by=officer, ended_at=now)

    def _change(
        self,
        conn: Connection,
        glass: Glass,
        now: int,
        *,
        bound: int | None = None,
        **values: object,
    ) -> bool:
        """Change a grant if nobody else did since it was read, and in time."""
        if bound is not None and now >= bound:
            return False
        done = conn.execute(
            update(_TABLE)
            .where(
                _TABLE.c.tenant == self._tenant,
                _TABLE.c.id == glass.id,
                _TABLE.c.uses == glass.uses,
                _TABLE.c.approver == glass.approver,
                _TABLE.c.ended_at.is_(None),
            )
            .values(seen=max(now, glass.seen), **values)
        )
        return done.rowcount == 1

    def alert(
        self, conn: Connection, identity: UUID, kind: AlertKind, now: int
    ) -> None:
        """Open an alert about a grant."""
        conn.execute(
            _ALERT.insert().values(
                id=UUID(bytes=self._random(16), version=4),
                tenant=self._tenant,
                glass=identity,
                kind=kind.value,
                at=now,
                closed_by="",
            )
        )

    def alerts(self, conn: Connection, *, closed: bool) -> list[Alert]:
        """The alerts that are open, or all of them; the oldest first."""
        listed = (
            select(_ALERT)
            .where(_ALERT.c.tenant == self._tenant)
            .order_by(_ALERT.c.at, _ALERT.c.kind, _ALERT.c.id)
        )
        if not closed:
            listed = listed.where(_ALERT.c.closed_at.is_(None))
        about = {one.id: one for one in self.all(conn)}
        return [
            Alert(
                id=row.id,
                kind=AlertKind(row.kind),
                at=row.at,
                closed_by=row.closed_by,
                closed_at=row.closed_at,
                glass=about[row.glass],
            )
            for row in conn.execute(listed)
        ]

    def close(
        self, conn: Connection, identity: UUID, officer: str, now: int
    ) -> bool:
        """Close an alert that is open."""
        done = conn.execute(
            update(_ALERT)
            .where(
                _ALERT.c.tenant == self._tenant,
                _ALERT.c.id == identity,
                _ALERT.c.closed_at.is_(None),
            )
            .values(closed_by=officer, closed_at=now)
        )
        return done.rowcount == 1

    def rekey(
        self, conn: Connection, subject: UUID, old: NoteBox, new: NoteBox
    ) -> None:
        """Seal what is kept about a person anew, under their next log key."""
        listed = select(_TABLE).where(
            _TABLE.c.tenant == self._tenant,
            _TABLE.c.subject == subject,
            _TABLE.c.sealed.is_not(None),
        )
        for row in conn.execute(listed).all():
            body = old.unseal(_label(row.id), row.sealed)
            case = json.loads(body)["case"]
            conn.execute(
                update(_TABLE)
                .where(_TABLE.c.tenant == self._tenant, _TABLE.c.id == row.id)
                .values(
                    sealed=new.seal(_label(row.id), body),
                    once=_once(new, row.officer, row.purpose, case),
                )
            )

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Take an erased person out of their grants; those stay counted."""
        listed = select(_TABLE.c.id).where(
            _TABLE.c.tenant == self._tenant, _TABLE.c.subject == subject
        )
        for row in conn.execute(listed).all():
            conn.execute(
                update(_TABLE)
                .where(_TABLE.c.tenant == self._tenant, _TABLE.c.id == row.id)
                .values(subject=None, sealed=None, once=self._random(16))
            )

    def _count(self, conn: Connection, *where: Any) -> int:  # noqa: ANN401 - SQLAlchemy's own expressions
        listed = select(func.count()).select_from(_TABLE).where(*where)
        counted: int = conn.execute(listed).scalar_one()
        return counted


def why(glass: Glass, notes: NoteBox) -> tuple[str, str]:
    """Open the reason and the case of a grant; empty once erased."""
    if glass.sealed is None:
        return "", ""
    found = json.loads(notes.unseal(_label(glass.id), glass.sealed))
    return found["reason"], found["case"]


def folded(text: str) -> str:
    """Spell a name or a reference in the one way that limits go by.

    Neither case nor width nor blanks nor what is not seen tells two apart.
    """
    seen = "".join(
        one
        for one in _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
        if one.isspace() or unicodedata.category(one) not in {"Cf", "Cc"}
    )
    even = unicodedata.normalize("NFKC", seen.casefold())
    return " ".join(even.split())


def _once(notes: NoteBox, officer: str, purpose: str, case: str) -> bytes:
    named = json.dumps([officer, purpose, folded(case)])
    return notes.tag(f"glass/{named}")


def _label(identity: UUID) -> str:
    return f"glass/{identity}"


def _glass(row: Row[Any]) -> Glass:
    return Glass(
        id=row.id,
        subject=row.subject,
        officer=row.officer,
        purpose=row.purpose,
        attributes=tuple(json.loads(row.attributes)),
        at=row.at,
        deadline=row.deadline,
        ends=row.ends,
        seen=row.seen,
        uses=row.uses,
        approver=row.approver,
        ended_by=row.ended_by,
        ended_at=row.ended_at,
        sealed=row.sealed,
    )
