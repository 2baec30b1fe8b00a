"""The log of answers in the database: appended, read in ranges, never edited.

One person's answers to one service and purpose are one range of the primary
key, so a read costs what it returns, however much else a person answered.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, product
from operator import itemgetter
from types import NoneType
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    bindparam,
    delete,
    insert,
    select,
)
from sqlmodel import col

from consent.each import PreparedForEach
from consent.errors import ConsentDamaged
from consent.fact_parts import Parts, answers_part
from consent.kept import KeptEvent, Owners
from consent.prepared import STRANGE, PreparedSelect, among, as_uuid, id_text
from consent.records import ConsentEvent
from consent.tables import EventRow
from consent.vocabulary import EventType

_TABLE = EventRow.metadata.tables["consent_event"]
# In the order in which `as_event` takes them apart; what decides comes first.
_COLUMNS = (
    "statement",
    "declaration",
    "type",
    "attributes",
    "at",
    "expires_at",
    "id",
    "service",
    "purpose",
    "notice",
    "language",
    "actor",
    "channel",
    "record",
    "recorded_at",
    "served",
    "mandate",
    "officer",
)
# Last what only orders: it is checked, and no part of an event.
_READ = (*(_TABLE.c[name] for name in _COLUMNS), _TABLE.c.revision)
_SERVICE, _PURPOSE = _COLUMNS.index("service"), _COLUMNS.index("purpose")
WIDTH = len(_READ)
"""How many columns of a row are an event's, or order it."""
_ID = (str, UUID)
_FORM: Mapping[str, tuple[type, ...]] = {
    "at": (int,),
    "expires_at": (int, NoneType),
    "id": _ID,
    "record": (*_ID, NoneType),
    "recorded_at": (int, NoneType),
    "served": (str, NoneType),
    "mandate": (*_ID, NoneType),
    "officer": (str, NoneType),
    "revision": (int,),
}
_FORMS = frozenset(product(*(_FORM.get(one.name, (str,)) for one in _READ)))
_ALL = (
    select(*_READ)
    .where(
        _TABLE.c.tenant == bindparam("tenant"),
        _TABLE.c.subject == bindparam("subject"),
    )
    .order_by(_TABLE.c.revision)
)
_OF_PURPOSE = _ALL.where(
    _TABLE.c.service == bindparam("service"),
    _TABLE.c.purpose == bindparam("purpose"),
)


def _of_each(
    subject: ColumnElement[Any],
) -> Select[*tuple[Any, ...]]:
    return (
        select(*_READ)
        .where(
            _TABLE.c.tenant == bindparam("tenant"),
            _TABLE.c.subject == subject,
            _TABLE.c.service == bindparam("service"),
            _TABLE.c.purpose == bindparam("purpose"),
        )
        .order_by(_TABLE.c.revision)
    )


_EVERYONE = (
    select(_TABLE.c.subject, *_READ)
    .where(
        _TABLE.c.tenant == bindparam("tenant"),
        _TABLE.c.service == bindparam("service"),
        _TABLE.c.purpose == bindparam("purpose"),
    )
    .order_by(_TABLE.c.subject, _TABLE.c.revision)
)
_OF_PEOPLE = (
    select(_TABLE.c.subject, *_READ)
    .where(
        _TABLE.c.tenant == bindparam("tenant"),
        _TABLE.c.subject.in_(bindparam("subjects", expanding=True)),
    )
    .order_by(_TABLE.c.subject, _TABLE.c.revision)
)
_TYPES = {kind.value: kind for kind in EventType}


class EventLog:
    """The answers of one tenant's people.

    Args:
        engine: the data database.
        tenant: whose people.
    """

    def __init__(self, engine: Engine, tenant: str) -> None:
        self._tenant = tenant
        self._engine = engine
        self._of_purpose = PreparedSelect(engine, _OF_PURPOSE)
        self._all = PreparedSelect(engine, _ALL)
        self._of_each = PreparedForEach(engine, _of_each)
        self._owners = Owners(engine, _TABLE)
        self._of_many = PreparedSelect(
            engine,
            select(*_READ, _TABLE.c.subject)
            .where(
                _TABLE.c.tenant == bindparam("tenant"),
                among(engine, _TABLE.c.subject, "subjects"),
                _TABLE.c.service == bindparam("service"),
                _TABLE.c.purpose == bindparam("purpose"),
            )
            .order_by(_TABLE.c.subject, _TABLE.c.revision),
        )

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
        values["record"] = event.record or event.id
        values["recorded_at"] = event.known_at
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
        parts: Parts | None = None,
    ) -> list[ConsentEvent]:
        """Return one person's log for one service and purpose, in order.

        Raises:
            ConsentDamaged: a row is not of the form that was written, also
                one whose instant may be later than `until`; or the rows are
                not those that `parts` vouches for.
        """
        rows = self.rows(subject, service, purpose, conn)
        if parts is not None:
            parts.demand(answers_part(service, purpose), rows)
        events = [as_event(subject, row) for row in rows]
        if until is None:
            return events
        # Not in SQL: an instant that is no number would hide a withdrawal.
        return [event for event in events if event.at <= until]

    def rows(
        self,
        subject: UUID,
        service: str,
        purpose: str,
        conn: Connection | None,
    ) -> list[tuple[Any, ...]]:
        """Return the rows of that log, as the driver gives them."""
        return self._of_purpose.rows(
            {
                "tenant": self._tenant,
                "subject": subject,
                "service": service,
                "purpose": purpose,
            },
            conn,
        )

    def of_many(
        self,
        conn: Connection,
        subjects: object,
        service: str,
        purpose: str,
    ) -> dict[Any, list[tuple[Any, ...]]]:
        """Return many people's logs in order, by one statement, as rows.

        Args:
            conn: the transaction to read in.
            subjects: what `prepared.listed` made of some hundred people.
            service: the service.
            purpose: its purpose.

        Returns:
            By person, as the driver has their id, the rows for `as_event`;
            nobody who never answered is in it.

        Raises:
            ConsentDamaged: an instant is no number. The rest of a row is for
                `as_event` to refuse.
        """
        rows = self._of_many.rows(
            {
                "tenant": self._tenant,
                "subjects": subjects,
                "service": service,
                "purpose": purpose,
            },
            conn,
        )
        found: dict[Any, list[tuple[Any, ...]]] = {}
        for row in rows:
            who = row[-1]
            if type(row[4]) is not int:
                raise ConsentDamaged(as_uuid(who))
            if who in found:
                found[who].append(row)
            else:
                found[who] = [row]
        return found

    def of_each(
        self,
        conn: Connection,
        subjects: Sequence[UUID],
        service: str,
        purpose: str,
        parts: Sequence[Parts],
    ) -> list[list[ConsentEvent]]:
        """Return several people's logs, as `of_purpose` does.

        Args:
            conn: the transaction to read in.
            subjects: the people.
            service: the service.
            purpose: its purpose.
            parts: vouch for each person's rows.
        """
        part = answers_part(service, purpose)
        given = {
            "tenant": self._tenant,
            "service": service,
            "purpose": purpose,
        }
        found = self._of_each.rows(conn, subjects, given)
        for vouched, rows in zip(parts, found, strict=True):
            vouched.demand(part, rows)
        return [
            [as_event(subject, row) for row in rows]
            for subject, rows in zip(subjects, found, strict=True)
        ]

    def parts(
        self, conn: Connection, subject: UUID
    ) -> dict[bytes, list[tuple[Any, ...]]]:
        """Return one person's rows, by the part that vouches for them."""
        values = {"tenant": self._tenant, "subject": subject}
        found: dict[bytes, list[tuple[Any, ...]]] = {}
        for row in self._all.rows(values, conn):
            service, purpose = row[_SERVICE], row[_PURPOSE]
            found.setdefault(answers_part(service, purpose), []).append(row)
        return found

    def all(self, subject: UUID) -> list[ConsentEvent]:
        """Return one person's whole log, in order."""
        rows = self._all.rows({"tenant": self._tenant, "subject": subject})
        return [as_event(subject, row) for row in rows]

    def kept(self, conn: Connection, subject: UUID) -> list[KeptEvent]:
        """Return one person's rows, in order, whether or not they read."""
        values = {"tenant": self._tenant, "subject": subject}
        return [_kept(subject, row) for row in self._all.rows(values, conn)]

    def owners(self, conn: Connection, after: object, limit: int) -> list[Any]:
        """List who has a row, as `Owners.page` does."""
        return self._owners.page(conn, self._tenant, after, limit)

    def of_people(
        self, conn: Connection, subjects: Sequence[UUID]
    ) -> dict[UUID, list[ConsentEvent]]:
        """Return many people's whole logs, each in order.

        Args:
            conn: where to read.
            subjects: the people, at most some hundred.

        Returns:
            A log for each who ever answered.
        """
        rows = conn.execute(
            _OF_PEOPLE, {"tenant": self._tenant, "subjects": list(subjects)}
        )
        found: dict[UUID, list[ConsentEvent]] = {}
        for subject, *row in rows:
            found.setdefault(subject, []).append(as_event(subject, tuple(row)))
        return found

    def everyone(
        self, service: str, purpose: str
    ) -> Iterator[tuple[UUID, list[ConsentEvent]]]:
        """Yield everybody's log for one service and purpose.

        Args:
            service: the service.
            purpose: its purpose.

        Yields:
            A person and their events in order; the people by their id. One
            pass over the table, a person at a time in memory.
        """
        with self._engine.connect().execution_options(
            read_only=True, stream_results=True
        ) as conn:
            rows = conn.execute(
                _EVERYONE,
                {
                    "tenant": self._tenant,
                    "service": service,
                    "purpose": purpose,
                },
            )
            for subject, found in groupby(rows, key=itemgetter(0)):
                yield subject, [as_event(subject, tuple(r)[1:]) for r in found]

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Delete an erased person's log."""
        conn.execute(
            delete(EventRow).where(
                col(EventRow.tenant) == self._tenant,
                col(EventRow.subject) == subject,
            )
        )


def as_event(subject: UUID, row: Sequence[Any]) -> ConsentEvent:
    """Make an event of a row of the log, as the driver gave it.

    Args:
        subject: whose it is.
        row: with the columns of `EventLog` in front.

    Raises:
        ConsentDamaged: the row is not of the form that was written.
    """
    # Not all that SQLite holds in a column is of the column's type.
    if tuple(map(type, row[: len(_READ)])) not in _FORMS:
        raise ConsentDamaged(subject)
    try:
        return _event(subject, row)
    except STRANGE:
        raise ConsentDamaged(subject) from None


def _kept(subject: UUID, row: Sequence[Any]) -> KeptEvent:
    name = id_text(row[6])
    try:
        event = as_event(subject, row)
    except ConsentDamaged:
        return KeptEvent(row[-1], name, None)
    return KeptEvent(row[-1], name, event)


def _event(subject: UUID, row: Sequence[Any]) -> ConsentEvent:
    return ConsentEvent(
        id=as_uuid(row[6]),
        subject=subject,
        service=row[7],
        purpose=row[8],
        statement=row[0],
        declaration=row[1],
        notice=row[9],
        language=row[10],
        type=_TYPES[row[2]],
        attributes=tuple(row[3].split()),
        at=row[4],
        expires_at=row[5],
        actor=row[11],
        channel=row[12],
        record=None if row[13] is None else as_uuid(row[13]),
        recorded_at=row[14],
        served=row[15] or "",
        mandate=None if row[16] is None else as_uuid(row[16]),
        officer=row[17] or "",
    )
