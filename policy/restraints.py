"""Restrictions (GDPR 18) and objections (GDPR 21) as facts.

A restriction freezes every use but storage; an objection concerns one
purpose. Both are lifted by a date, never by an edit, so that the facts of a
past instant can be read again.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    Connection,
    Engine,
    and_,
    bindparam,
    or_,
    select,
    update,
)
from sqlmodel import col

from policy.reading import DriverStatement
from policy.tables import RestraintRow

_TABLE = RestraintRow.metadata.tables["policy_restraint"]


class RestraintKind(StrEnum):
    """What the person asked for."""

    RESTRICTION = "restriction"
    OBJECTION = "objection"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restraints:
    """What holds for one person at one instant."""

    restricted: bool
    objected: tuple[str, ...]


_AS_OF = select(_TABLE.c.kind, _TABLE.c.purpose).where(
    and_(
        _TABLE.c.tenant == bindparam("tenant"),
        _TABLE.c.subject == bindparam("subject"),
        _TABLE.c.since <= bindparam("now"),
        or_(_TABLE.c.until.is_(None), _TABLE.c.until > bindparam("now")),
    )
)


class RestraintStore:
    """The restraints of one tenant's people."""

    def __init__(
        self,
        *,
        tenant: str,
        engine: Engine,
        random: Callable[[int], bytes],
    ) -> None:
        self._tenant = tenant
        self._random = random
        self._as_of = DriverStatement(engine, _AS_OF)

    def at(self, conn: Connection, subject: UUID, now: int) -> Restraints:
        """Read what holds for `subject` at the instant `now`."""
        rows = self._as_of.rows(
            conn,
            {
                "tenant": self._tenant,
                "subject": subject,
                "now": now,
            },
        )
        return Restraints(
            restricted=any(
                kind == RestraintKind.RESTRICTION for kind, _ in rows
            ),
            objected=tuple(
                sorted(
                    {
                        purpose
                        for kind, purpose in rows
                        if kind == RestraintKind.OBJECTION
                    }
                )
            ),
        )

    def impose(
        self,
        conn: Connection,
        subject: UUID,
        kind: RestraintKind,
        *,
        purpose: str = "",
        now: int,
    ) -> UUID:
        """Add a restraint from `now` on; an objection names its purpose."""
        identity = uuid.UUID(bytes=self._random(16), version=4)
        conn.execute(
            _TABLE.insert().values(
                id=identity,
                tenant=self._tenant,
                subject=subject,
                kind=kind.value,
                purpose=purpose,
                since=now,
            )
        )
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
