"""The outbox: what ended is written down in the transaction that ends it.

`Outbox.consent_recorded` and `Outbox.restrained` are called by the stores of
consents and restraints, inside the transaction of the change, so that no
withdrawal stands without what it takes to tell the services of it. Nothing
is worked out here: who holds the data is found later, off the person's path
(`policy.telling`).

That a yes runs out by itself is written down with the yes, and is due at its
end; whether it was renewed by then is asked then.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, select

from consent import ConsentEvent
from policy.restraints import RestraintKind
from policy.webhook_tables import HappeningRow

_TABLE = HappeningRow.metadata.tables["policy_webhook_outbox"]
_GIVEN = frozenset({"given", "renewed", "resumed"})
# After these nothing is left that could be lost again.
_OVER = frozenset(
    {"refused", "withdrawn", "revoked", "expired", "terminated", "invalidated"}
)
_ENDS = _OVER | {"paused"}


class HappeningKind(StrEnum):
    """What services are told. A name never gets another meaning."""

    WITHDRAWN = "consent.withdrawn"
    NARROWED = "consent.narrowed"
    REFUSED = "consent.refused"
    PAUSED = "consent.paused"
    REVOKED = "consent.revoked"
    EXPIRED = "consent.expired"
    TERMINATED = "consent.terminated"
    INVALIDATED = "consent.invalidated"
    RESTRICTED = "processing.restricted"
    OBJECTED = "processing.objected"
    ERASED = "person.erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What ended for one person.

    Attributes:
        id: its own.
        subject: the person.
        kind: what ended it.
        service: whose consent it was; empty where it is not about one.
        purpose: of that consent, or of the objection; or empty.
        statement: of the declaration, or empty.
        declaration: digest of the version that was answered, or empty.
        attributes: what is no longer allowed; empty: all.
        cause: the consent event, where it has to be looked at again.
        at: POSIX seconds from which it holds.
    """

    id: UUID
    subject: UUID
    kind: HappeningKind
    service: str = ""
    purpose: str = ""
    statement: str = ""
    declaration: str = ""
    attributes: tuple[str, ...] = ()
    cause: UUID | None = None
    at: int


class Outbox:
    """What waits to be told, of one tenant."""

    def __init__(self, *, tenant: str, random: Callable[[int], bytes]) -> None:
        self._tenant = tenant
        self._random = random

    def consent_recorded(
        self,
        conn: Connection,
        event: ConsentEvent,
        earlier: Sequence[ConsentEvent],
    ) -> None:
        """Write down what an answer takes away, if it does.

        Args:
            conn: of the transaction that records the answer.
            event: the answer.
            earlier: the person's log for this service and purpose before.
        """
        kept = event.attributes if event.type.value in _GIVEN else ()
        lost = set(allowed_before(event.statement, earlier)) - set(kept)
        if lost and (kept or event.type.value in _ENDS):
            kind = "narrowed" if kept else event.type.value
            self._add(conn, event, HappeningKind(f"consent.{kind}"), lost)
        if kept and event.expires_at is not None:
            self._add(
                conn,
                event,
                HappeningKind.EXPIRED,
                set(kept),
                at=event.expires_at,
            )

    def restrained(
        self,
        conn: Connection,
        subject: UUID,
        kind: RestraintKind,
        purpose: str,
        now: int,
    ) -> None:
        """Write down a restriction or an objection.

        Args:
            conn: of the transaction that imposes it.
            subject: the person.
            kind: which of the two.
            purpose: what the objection is to.
            now: POSIX seconds.
        """
        restricted = kind is RestraintKind.RESTRICTION
        self.write(
            conn,
            Happening(
                id=self._new_id(),
                subject=subject,
                kind=HappeningKind.RESTRICTED
                if restricted
                else HappeningKind.OBJECTED,
                purpose="" if restricted else purpose,
                at=now,
            ),
        )

    def write(self, conn: Connection, one: Happening) -> None:
        """Put a happening into the outbox."""
        row = {name: getattr(one, name) for name in Happening.__slots__}
        row["kind"] = one.kind.value
        row["attributes"] = " ".join(one.attributes)
        conn.execute(_TABLE.insert().values(tenant=self._tenant, **row))

    def due(self, conn: Connection, now: int, limit: int) -> list[Happening]:
        """Return what is to be told now, the oldest first."""
        rows = conn.execute(
            select(_TABLE)
            .where(_TABLE.c.tenant == self._tenant, _TABLE.c.at <= now)
            .order_by(_TABLE.c.at, _TABLE.c.id)
            .limit(limit)
        )
        return [_happening(row) for row in rows]

    def take(self, conn: Connection, identity: UUID) -> bool:
        """Remove a happening; say whether it was still there."""
        gone = conn.execute(
            _TABLE.delete().where(
                _TABLE.c.tenant == self._tenant, _TABLE.c.id == identity
            )
        )
        return bool(gone.rowcount)

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Remove all of an erased person, of whom all services are told."""
        conn.execute(
            _TABLE.delete().where(
                _TABLE.c.tenant == self._tenant, _TABLE.c.subject == subject
            )
        )

    def _add(
        self,
        conn: Connection,
        event: ConsentEvent,
        kind: HappeningKind,
        lost: set[str],
        at: int | None = None,
    ) -> None:
        self.write(
            conn,
            Happening(
                id=self._new_id(),
                subject=event.subject,
                kind=kind,
                service=event.service,
                purpose=event.purpose,
                statement=event.statement,
                declaration=event.declaration,
                attributes=tuple(sorted(lost)),
                cause=None if at is None else event.id,
                at=event.at if at is None else at,
            ),
        )

    def _new_id(self) -> UUID:
        return uuid.UUID(bytes=self._random(16), version=4)


def allowed_before(
    statement: str, earlier: Sequence[ConsentEvent]
) -> tuple[str, ...]:
    """Return what a log of answers last allowed and nobody was told of.

    A pause is passed over: what it stopped is still to be told of when the
    consent ends for good.
    """
    for one in reversed(earlier):
        if one.statement != statement:
            continue
        if one.attributes:
            return one.attributes
        if one.type.value in _OVER:
            return ()
    return ()


def _happening(row: object) -> Happening:
    values = {name: getattr(row, name) for name in Happening.__slots__}
    values["kind"] = HappeningKind(values["kind"])
    values["attributes"] = tuple(values["attributes"].split())
    return Happening(**values)
