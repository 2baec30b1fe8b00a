"""How often a person's data was used under each of their counted rules.

One row a rule, service and purpose, which the transaction of the ledger
entry counts up: a use that has no entry is not counted, and an entry that
took a use has counted it. Whoever takes one locks the person's facts first
(`Revisions.lock`), so that the last use that a rule permits is taken once.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    bindparam,
    delete,
    select,
)
from sqlmodel import col

from consent.each import PreparedForEach
from consent.errors import ConsentDamaged
from consent.prepared import STRANGE, PreparedSelect, among, as_uuid
from consent.rule_terms import NO_USES, Uses
from consent.tables import UseRow

_TABLE = UseRow.metadata.tables["consent_use"]
_OF_PURPOSE = select(_TABLE.c.rule, _TABLE.c.total, _TABLE.c.recent).where(
    _TABLE.c.tenant == bindparam("tenant"),
    _TABLE.c.subject == bindparam("subject"),
    _TABLE.c.service == bindparam("service"),
    _TABLE.c.purpose == bindparam("purpose"),
)


def _of_each(
    subject: ColumnElement[Any],
) -> Select[*tuple[Any, ...]]:
    return select(_TABLE.c.rule, _TABLE.c.total, _TABLE.c.recent).where(
        _TABLE.c.tenant == bindparam("tenant"),
        _TABLE.c.subject == subject,
        _TABLE.c.service == bindparam("service"),
        _TABLE.c.purpose == bindparam("purpose"),
    )


class UseCounts:
    """The counted uses of one tenant's people.

    Args:
        engine: the data database.
        tenant: whose people.
    """

    def __init__(self, engine: Engine, tenant: str) -> None:
        self._tenant = tenant
        self._read = PreparedSelect(engine, _OF_PURPOSE)
        self._of_each = PreparedForEach(engine, _of_each)
        self._of_many = PreparedSelect(
            engine,
            select(
                _TABLE.c.subject,
                _TABLE.c.rule,
                _TABLE.c.total,
                _TABLE.c.recent,
            ).where(
                _TABLE.c.tenant == bindparam("tenant"),
                among(engine, _TABLE.c.subject, "subjects"),
                _TABLE.c.service == bindparam("service"),
                _TABLE.c.purpose == bindparam("purpose"),
            ),
        )

    def read(
        self,
        subjects: Sequence[UUID],
        service: str,
        purpose: str,
        conn: Connection | None,
    ) -> Mapping[str, Uses]:
        """Return what was used, by rule id.

        Args:
            subjects: the person, and records merged into theirs, whose uses
                count together.
            service: the service.
            purpose: its purpose.
            conn: a transaction to read in; None reads what is committed.

        Raises:
            ConsentDamaged: a row is not of the form that was written.
        """
        return _summed(
            subjects[0],
            [
                row
                for subject in subjects
                for row in self._read.rows(
                    self._key(subject, service, purpose), conn
                )
            ],
        )

    def of_each(
        self,
        conn: Connection,
        subjects: Sequence[UUID],
        service: str,
        purpose: str,
    ) -> list[Mapping[str, Uses]]:
        """Return what was used of several people, each by rule id.

        Raises:
            ConsentDamaged: as `read`.
        """
        given = {
            "tenant": self._tenant,
            "service": service,
            "purpose": purpose,
        }
        found = self._of_each.rows(conn, subjects, given)
        return [
            _summed(subject, rows)
            for subject, rows in zip(subjects, found, strict=True)
        ]

    def of_many(
        self,
        conn: Connection,
        subjects: object,
        service: str,
        purpose: str,
    ) -> dict[Any, dict[str, Uses]]:
        """Return what was used of many people as `read`, by one statement.

        Args:
            conn: the transaction to read in.
            subjects: what `prepared.listed` made of the people, each by
                themselves.
            service: the service.
            purpose: its purpose.

        Returns:
            By person, as the driver has their id, and rule id; nobody
            without a counted use is in it.

        Raises:
            ConsentDamaged: as `read`.
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
        for subject, *row in rows:
            found.setdefault(subject, []).append(tuple(row))
        return {
            subject: _summed(as_uuid(subject), of_one)
            for subject, of_one in found.items()
        }

    def take(
        self,
        conn: Connection,
        subject: UUID,
        service: str,
        purpose: str,
        *,
        rules: Iterable[str],
        now: int,
    ) -> None:
        """Count one use more under each rule.

        Args:
            conn: the caller's transaction, which holds the person's lock.
            subject: the person.
            service: the service.
            purpose: its purpose.
            rules: ids of the rules that count.
            now: POSIX seconds.
        """
        key = self._key(subject, service, purpose)
        counted = self.read((subject,), service, purpose, conn)
        for rule in rules:
            before = counted.get(rule)
            after = (before or NO_USES).after(now)
            values = {
                "total": after.total,
                "recent": " ".join(map(str, after.recent)),
            }
            if before is None:
                conn.execute(
                    _TABLE.insert().values(**key, rule=rule, **values)
                )
                continue
            conn.execute(
                _TABLE.update()
                .where(*(_TABLE.c[name] == key[name] for name in key))
                .where(_TABLE.c.rule == rule)
                .values(**values)
            )

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Delete what was counted about an erased person."""
        conn.execute(
            delete(UseRow).where(
                col(UseRow.tenant) == self._tenant,
                col(UseRow.subject) == subject,
            )
        )

    def _key(
        self, subject: UUID, service: str, purpose: str
    ) -> dict[str, object]:
        return {
            "tenant": self._tenant,
            "subject": subject,
            "service": service,
            "purpose": purpose,
        }


def _summed(subject: UUID, rows: Sequence[tuple[Any, ...]]) -> dict[str, Uses]:
    try:
        return _added(rows) if rows else {}
    except STRANGE:
        raise ConsentDamaged(subject) from None


def _added(rows: Sequence[tuple[Any, ...]]) -> dict[str, Uses]:
    found: dict[str, Uses] = {}
    for rule, total, recent in rows:
        if type(rule) is not str or type(total) is not int:
            raise TypeError
        before = found.get(rule, NO_USES)
        instants = (*before.recent, *map(int, recent.split()))
        found[rule] = Uses(
            total=before.total + total, recent=tuple(sorted(instants))
        )
    return found
