"""The log of answers in the database: appended, read in ranges, never edited.

One person's answers to one service and purpose are one range of the primary
key, so a read costs what it returns, however much else a person answered.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, bindparam, delete, insert, select
from sqlmodel import col

from consent.prepared import PreparedSelect, as_uuid
from consent.records import ConsentEvent
from consent.tables import EventRow
from consent.vocabulary import EventType

_TABLE = EventRow.metadata.tables["consent_event"]
# In the order in which `_event` takes them apart.
_COLUMNS = (
    "id",
    "service",
    "purpose",
    "statement",
    "declaration",
    "notice",
    "language",
    "type",
    "attributes",
    "at",
    "expires_at",
    "actor",
    "channel",
)
_ALL = (
    select(*(_TABLE.c[name] for name in _COLUMNS))
    .where(
        _TABLE.c.tenant == bindparam("tenant"),
        _TABLE.c.subject == bindparam("subject"),
    )
    .order_by(_TABLE.c.revision)
)
_OF_PURPOSE = _ALL.where(
    _TABLE.c.service == bindparam("service"),
    _TABLE.c.purpose == bindparam("purpose"),
    _TABLE.c.at <= bindparam("until"),
)
_END_OF_TIME = 2**62
_TYPES = {kind.value: kind for kind in EventType}


class EventLog:
    """The answers of one tenant's people.

    Args:
        engine: the data database.
        tenant: whose people.
    """

    def __init__(self, engine: Engine, tenant: str) -> None:
        self._tenant = tenant
        self._of_purpose = PreparedSelect(engine, _OF_PURPOSE)
        self._all = PreparedSelect(engine, _ALL)

    def append(
        self, conn: Connection, event: ConsentEvent, revision: int
    ) -> None:
        """Append an event that was checked.

        Args:
            conn: the caller's transaction.
            event: what happened.
            revision: the person's new fact revision, which orders the log.
        """
        values = {name: getattr(event, name) for name in _COLUMNS}
        values["type"] = event.type.value
        values["attributes"] = " ".join(event.attributes)
        conn.execute(
            insert(EventRow).values(
                tenant=self._tenant,
                subject=event.subject,
                revision=revision,
                **values,
            )
        )

    def of_purpose(
        self,
        subject: UUID,
        service: str,
        purpose: str,
        *,
        until: int | None,
        conn: Connection | None,
    ) -> list[ConsentEvent]:
        """Return one person's log for one service and purpose, in order."""
        rows = self._of_purpose.rows(
            {
                "tenant": self._tenant,
                "subject": subject,
                "service": service,
                "purpose": purpose,
                "until": _END_OF_TIME if until is None else until,
            },
            conn,
        )
        return [_event(subject, row) for row in rows]

    def all(self, subject: UUID) -> list[ConsentEvent]:
        """Return one person's whole log, in order."""
        rows = self._all.rows({"tenant": self._tenant, "subject": subject})
        return [_event(subject, row) for row in rows]

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Delete an erased person's log."""
        conn.execute(
            delete(EventRow).where(
                col(EventRow.tenant) == self._tenant,
                col(EventRow.subject) == subject,
            )
        )


def _event(subject: UUID, row: tuple[Any, ...]) -> ConsentEvent:
    return ConsentEvent(
        id=as_uuid(row[0]),
        subject=subject,
        service=row[1],
        purpose=row[2],
        statement=row[3],
        declaration=row[4],
        notice=row[5],
        language=row[6],
        type=_TYPES[row[7]],
        attributes=tuple(row[8].split()),
        at=row[9],
        expires_at=row[10],
        actor=row[11],
        channel=row[12],
    )
