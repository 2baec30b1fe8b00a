"""Grants of emergency access in SQL, and the alerts about them.

Each change is one conditional statement, so that of two that race one finds
nothing left to change. A grant that ended stays ended, whatever a clock says
afterwards: the end is written down when it is first noticed.

A step that was refused is a row, too, that opens nothing and is about nobody:
by it the officer's limit counts the step, and a list can tell whose it was.

Every row has a code (`policy.coded_rows`). Nothing is opened, approved, ended
or closed by one that is not as it was written, and in a limit it counts
against everybody, for nobody knows whose it was. A row of earlier that is put
back has a right code; that, and a row that was deleted, is the ledger's to
tell (`policy.glass_told`, `policy.glass_sweep`).
"""

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, or_, select, update

from consent import RowMacs
from policy.coded_rows import CodedRows, Standing
from policy.errors import RecordUnknown
from policy.facts import is_damage
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


_KINDS = {one.value: one for one in AlertKind}


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
        genuine: whether its row is as this instance wrote it. Where codes
            are demanded, one that is not can only be looked at.
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
    genuine: bool = True

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
        alerts: grants of this officer that nobody approved in time, or
            whose row was changed, and that no compliance officer has looked
            into yet.
    """

    officer: int
    person: int
    alerts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert, with the grant that it is about.

    Attributes:
        id: its own.
        kind: what it tells; None where the row has no such kind.
        at: POSIX seconds when it opened.
        closed_by: who closed it; empty while nobody did.
        closed_at: when, or None.
        grant: id of the grant.
        glass: the grant, or None where there is none of that id.
        own: whether its row is as this instance wrote it.
        genuine: whether that of the grant is, too. Where codes are demanded,
            one that is not can only be looked at.
    """

    id: UUID
    kind: AlertKind | None
    at: int
    closed_by: str
    closed_at: int | None
    grant: UUID
    glass: Glass | None
    own: bool
    genuine: bool


class GlassStore:
    """The grants of one tenant.

    Args:
        tenant: whose.
        macs: makes and checks the codes.
        random: as ``os.urandom``.
    """

    def __init__(
        self, *, tenant: str, macs: RowMacs, random: Callable[[int], bytes]
    ) -> None:
        self._tenant = tenant
        self._grants = CodedRows(_TABLE, macs, tenant)
        self._alerts = CodedRows(_ALERT, macs, tenant)
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
        self._grants.insert(
            conn,
            {
                "id": glass.id,
                "subject": glass.subject,
                "once": once,
                "officer": glass.officer,
                "purpose": glass.purpose,
                "attributes": json.dumps(glass.attributes),
                "at": glass.at,
                "deadline": glass.deadline,
                "ends": glass.ends,
                "seen": glass.seen,
                "uses": glass.uses,
                "approver": glass.approver,
                "ended_by": glass.ended_by,
                "ended_at": glass.ended_at,
                "sealed": glass.sealed,
            },
        )

    def find(self, conn: Connection, identity: UUID) -> Glass:
        """Read one grant.

        Raises:
            RecordUnknown: there is none of that id.
            RowForged: it is not as this instance wrote it.
        """
        return self._glass(self._row(conn, identity))

    def _row(self, conn: Connection, identity: UUID) -> Row[Any]:
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
        self._grants.demand(row)
        return row

    def all(self, conn: Connection, *, refused: bool = False) -> list[Glass]:
        """Every grant, the newest first; or every step that was refused.

        Those whose row is not as it was written are there, too.
        """
        c = _TABLE.c
        which = c.ended_by == REFUSED if refused else c.ended_by != REFUSED
        rows = conn.execute(
            select(_TABLE)
            .where(c.tenant == self._tenant, which)
            .order_by(c.at.desc(), c.id)
        )
        return [self._glass(row) for row in rows]

    def due(self, conn: Connection, now: int) -> list[Glass]:
        """Grants past their deadline that nobody approved or ended.

        One whose row is not as it was written is left out: it opens nothing,
        and keeps nobody else waiting.
        """
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
        return [self._glass(row) for row in rows if self._grants.counts(row)]

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
        c = _TABLE.c
        within = select(_TABLE).where(
            c.tenant == self._tenant,
            c.at > now - DAY,
            or_(c.officer == officer, c.subject.in_(members)),
        )
        day = [row for row in conn.execute(within) if self._grants.counts(row)]
        return Recent(
            officer=sum(row.officer == officer for row in day),
            person=sum(row.subject in members for row in day),
            alerts=len(self._unexplained(conn, officer, now)),
        )

    def forged(self, conn: Connection) -> int:
        """Count the grants and refused steps that are not as written.

        Each counts in every limit: whose it was, and when, is not known.
        """
        return sum(
            not self._grants.counts(row) for row in self._grants.all(conn)
        )

    def _unexplained(
        self, conn: Connection, officer: str, now: int
    ) -> set[UUID]:
        """Find the grants about which an officer owes an answer.

        Grant and alert each tell of a lapse, so that neither row alone can
        be changed, or deleted, for it to be forgotten. What is due was
        settled before: one that still is was put back.
        """
        c, own = _TABLE.c, _ALERT.c
        mine = select(_TABLE).where(
            c.tenant == self._tenant,
            c.officer == officer,
            c.ended_by != REFUSED,
        )
        grants = conn.execute(mine).all()
        sound = {row.id for row in grants if self._grants.counts(row)}
        owed = {
            row.id
            for row in grants
            if row.id not in sound or _lapsed(row) or _due(row, now)
        }
        answered = set()
        listed = select(_ALERT).where(
            own.tenant == self._tenant,
            or_(
                own.officer == officer,
                own.glass.in_(mine.with_only_columns(c.id)),
            ),
        )
        for alert in conn.execute(listed):
            if not self._alerts.counts(alert):
                continue
            lapsed = alert.kind == AlertKind.LAPSED
            if alert.closed_at is not None:
                answered |= {alert.glass} if lapsed else set()
            elif lapsed or alert.glass not in sound:
                owed.add(alert.glass)
        return owed - answered

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
        row = self._row(conn, glass.id)
        if (row.uses, row.approver, row.ended_at) != (
            glass.uses,
            glass.approver,
            None,
        ):
            return False
        return self._grants.change(
            conn, row, seen=max(now, glass.seen), **values
        )

    def alert(
        self, conn: Connection, glass: Glass, kind: AlertKind, now: int
    ) -> None:
        """Open an alert about a grant."""
        self._alerts.insert(
            conn,
            {
                "id": UUID(bytes=self._random(16), version=4),
                "glass": glass.id,
                "kind": kind.value,
                "at": now,
                "closed_by": "",
                "officer": glass.officer,
            },
        )

    def alerts(self, conn: Connection, *, closed: bool) -> list[Alert]:
        """The alerts that are open, or all of them; the oldest first.

        One whose row is not as it was written counts as open.
        """
        listed = (
            select(_ALERT)
            .where(_ALERT.c.tenant == self._tenant)
            .order_by(_ALERT.c.at, _ALERT.c.kind, _ALERT.c.id)
        )
        about = {one.id: one for one in self.all(conn)}
        return [
            self._alert(row, about.get(row.glass))
            for row in conn.execute(listed)
            if closed or row.closed_at is None or not self._alerts.counts(row)
        ]

    def open_alert(
        self, conn: Connection, identity: UUID
    ) -> tuple[AlertKind, Glass]:
        """Read what an open alert tells, and of which grant.

        Raises:
            RecordUnknown: none of that id is, or its grant is gone.
            RowForged: it, or the grant, is not as this instance wrote it.
        """
        row = self._open(conn, identity)
        return AlertKind(row.kind), self.find(conn, row.glass)

    def close(
        self, conn: Connection, identity: UUID, officer: str, now: int
    ) -> None:
        """Close an alert that is open.

        Raises:
            RecordUnknown, RowForged: as `open_alert`.
        """
        row = self._open(conn, identity)
        if not self._alerts.change(
            conn, row, closed_by=officer, closed_at=now
        ):
            raise _none_open(identity)

    def _open(self, conn: Connection, identity: UUID) -> Row[Any]:
        row = conn.execute(
            select(_ALERT).where(
                _ALERT.c.tenant == self._tenant, _ALERT.c.id == identity
            )
        ).one_or_none()
        if row is None:
            raise _none_open(identity)
        self._alerts.demand(row)
        if row.closed_at is not None:
            raise _none_open(identity)
        return row

    def _alert(self, row: Row[Any], glass: Glass | None) -> Alert:
        own = self._alerts.is_right(row)
        return Alert(
            id=row.id,
            kind=_KINDS.get(row.kind),
            at=row.at,
            closed_by=row.closed_by,
            closed_at=row.closed_at,
            grant=row.glass,
            glass=glass,
            own=own,
            genuine=own and glass is not None and glass.genuine,
        )

    def rekey(
        self, conn: Connection, subject: UUID, old: NoteBox, new: NoteBox
    ) -> None:
        """Seal what is kept about a person anew, under their next log key.

        What does not open stays as it is, and nobody's keys wait for it: a
        row of earlier that somebody put back is under keys that are gone.
        """
        listed = select(_TABLE).where(
            _TABLE.c.tenant == self._tenant,
            _TABLE.c.subject == subject,
            _TABLE.c.sealed.is_not(None),
        )
        for row in conn.execute(listed).all():
            try:
                body = old.unseal(_label(row.id), row.sealed)
                case = json.loads(body)["case"]
            except Exception as error:
                if not is_damage(error):
                    raise
                continue
            self._grants.rewrite(
                conn,
                row,
                sealed=new.seal(_label(row.id), body),
                # No other row's tag, whatever a forged one names.
                once=_once(new, row.officer, row.purpose, case)
                if self._grants.counts(row)
                else self._random(16),
            )

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Take an erased person out of their grants; those stay counted."""
        about = (_TABLE.c.tenant == self._tenant, _TABLE.c.subject == subject)
        gone = {"subject": None, "sealed": None}
        for row in _readable(conn, select(_TABLE).where(*about)):
            self._grants.rewrite(conn, row, **gone, once=self._random(16))
        # What does not even read is about nobody, too.
        conn.execute(update(_TABLE).where(*about).values(**gone, mac=None))

    def changed(self, conn: Connection) -> frozenset[UUID]:
        """Return the ids of rows that do not count, whichever they are."""
        return frozenset(
            row.id
            for rows in (self._grants, self._alerts)
            for row in rows.all(conn)
            if not rows.counts(row)
        )

    def grants_standing(self, conn: Connection) -> list[Standing]:
        """Return the grants and refused steps, whoever wrote them."""
        return self._grants.standing(conn)

    def alerts_standing(self, conn: Connection) -> list[Standing]:
        """Return the alerts, whoever wrote them."""
        return self._alerts.standing(conn)

    def vouch(self, conn: Connection) -> int:
        """Vouch for grants and alerts as they stand, whoever wrote them.

        Whoever has this done has looked through them first.

        Returns:
            For how many a code was made.
        """
        return self._grants.vouch(conn) + self._alerts.vouch(conn)

    def _glass(self, row: Row[Any]) -> Glass:
        return Glass(
            id=row.id,
            subject=row.subject,
            officer=row.officer,
            purpose=row.purpose,
            attributes=_names(row.attributes),
            at=row.at,
            deadline=row.deadline,
            ends=row.ends,
            seen=row.seen,
            uses=row.uses,
            approver=row.approver,
            ended_by=row.ended_by,
            ended_at=row.ended_at,
            sealed=row.sealed,
            genuine=self._grants.is_right(row),
        )


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


def _names(text: str) -> tuple[str, ...]:
    """Read the names of a grant; a row that was changed may have none."""
    try:
        found = json.loads(text)
    except ValueError:
        return ()
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _due(row: Row[Any], now: int) -> bool:
    """Whether a grant waits for an approval that can come no more."""
    return row.ended_at is None and not row.approver and row.deadline <= now


def _lapsed(row: Row[Any]) -> bool:
    """Whether a grant ended without the approval that it owed."""
    return (
        row.ended_at is not None
        and not row.approver
        and (row.uses > 0 or row.ended_at >= row.deadline)
    )


def _readable(
    conn: Connection, statement: Select[tuple[Any, ...]]
) -> Sequence[Row[Any]]:
    """Return rows, or none where one of them has no form that reads."""
    try:
        return conn.execute(statement).all()
    except Exception as error:
        if not is_damage(error):
            raise
        return ()


def _none_open(identity: UUID) -> RecordUnknown:
    return RecordUnknown(f"no alert {identity} is open")
