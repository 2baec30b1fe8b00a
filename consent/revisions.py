"""One person's fact revision, and the code of what their facts are.

The revision counts everything about a person that a decision may rest on.
Whoever writes such a fact counts first: the row's lock then puts the facts
of one person into one order, also between processes. The row is there from
when a person is taken in, so that its absence is noticed too.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    Select,
    Uuid,
    bindparam,
    insert,
    select,
    text,
)
from sqlmodel import col

from consent.each import PreparedForEach
from consent.errors import ConsentDamaged, RowForged
from consent.fact_parts import Parts, Rows, joined
from consent.prepared import PreparedSelect, among
from consent.row_macs import RowMacs
from consent.tables import RevisionRow

_KIND = "consent_revision/1"
_NOBODY = UUID(int=0)
_NUMBER = (col(RevisionRow.revision),)
_WHOLE = (
    col(RevisionRow.revision),
    col(RevisionRow.parts),
    col(RevisionRow.mac),
)


def _of(
    columns: Sequence[Any],
) -> Callable[[ColumnElement[Any]], Select[*tuple[Any, ...]]]:
    def build(subject: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
        return select(*columns).where(
            col(RevisionRow.tenant) == bindparam("tenant"),
            col(RevisionRow.subject) == subject,
        )

    return build


_COUNT = text(
    "INSERT INTO consent_revision (tenant, subject, revision)"
    " VALUES (:tenant, :subject, 1) ON CONFLICT (tenant, subject) DO UPDATE"
    " SET revision = consent_revision.revision + 1"
    " RETURNING revision, parts, mac"
).bindparams(bindparam("subject", type_=Uuid()))
_LOCK = text(
    "INSERT INTO consent_revision (tenant, subject, revision)"
    " VALUES (:tenant, :subject, 0) ON CONFLICT (tenant, subject) DO UPDATE"
    " SET revision = consent_revision.revision RETURNING revision"
).bindparams(bindparam("subject", type_=Uuid()))
_WRITE = text(
    "UPDATE consent_revision SET parts = :parts, mac = :mac"
    " WHERE tenant = :tenant AND subject = :subject"
).bindparams(
    bindparam("subject", type_=Uuid()),
    bindparam("parts", type_=LargeBinary()),
    bindparam("mac", type_=LargeBinary()),
)


class Counted(NamedTuple):
    """A person's fact revision, and what is demanded of their facts.

    Attributes:
        revision: 0 if nothing was ever recorded.
        parts: refuses rows that are not as they were written.
    """

    revision: int
    parts: Parts


class Revisions:
    """The fact revisions of one tenant's people.

    Args:
        engine: the data database.
        tenant: whose people.
        macs: vouches for a row.
    """

    def __init__(self, engine: Engine, tenant: str, macs: RowMacs) -> None:
        self._tenant = tenant
        self._macs = macs
        subject: BindParameter[Any] = bindparam("subject")
        self._number = PreparedSelect(engine, _of(_NUMBER)(subject))
        self._whole = PreparedSelect(engine, _of(_WHOLE)(subject))
        self._number_of_each = PreparedForEach(engine, _of(_NUMBER))
        self._whole_of_each = PreparedForEach(engine, _of(_WHOLE))
        self._whole_of_many = PreparedSelect(
            engine,
            select(col(RevisionRow.subject), *_WHOLE).where(
                col(RevisionRow.tenant) == bindparam("tenant"),
                among(engine, col(RevisionRow.subject), "subjects"),
            ),
        )
        # Somebody unknown costs what somebody known does.
        self._stand_in = (0, b"", self._mac(_NOBODY, 0, b""))

    def read(self, conn: Connection | None, subject: UUID) -> int:
        """Return a person's fact revision; 0 if nothing was ever recorded.

        Args:
            conn: a transaction to read in; None reads what is committed.
            subject: the person.

        Raises:
            ConsentDamaged: it is no number.
        """
        rows = self._number.rows(self._person(subject), conn)
        return _number(subject, rows)

    def of_each(self, conn: Connection, subjects: Sequence[UUID]) -> list[int]:
        """Return several people's fact revisions, as `read` does."""
        found = self._number_of_each.rows(
            conn, subjects, {"tenant": self._tenant}
        )
        return [
            _number(subject, rows)
            for subject, rows in zip(subjects, found, strict=True)
        ]

    def counted(
        self, conn: Connection, subject: UUID, *, known: bool
    ) -> Counted:
        """Return a person's revision, and what vouches for their facts.

        Args:
            conn: the transaction to read in.
            subject: the person.
            known: whether they are one whom the vault knows; of nobody else
                anything is demanded, at the same cost.

        Raises:
            ConsentDamaged: the row is missing, or not as it was written.
        """
        rows = self._whole.rows(self._person(subject), conn)
        return self._checked(subject, rows, known=known)

    def held(self, conn: Connection, subject: UUID) -> Counted:
        """Return what `counted` does, of whoever may be known or not.

        Of somebody without a row there can be no rows of facts either.

        Raises:
            ConsentDamaged: the row is not as it was written.
        """
        rows = self._whole.rows(self._person(subject), conn)
        if self._macs.required and not rows:
            return Counted(0, Parts(subject, b""))
        return self._checked(subject, rows, known=True)

    def counted_each(
        self,
        conn: Connection,
        subjects: Sequence[UUID],
        known: Sequence[bool],
    ) -> list[Counted]:
        """Return of several people what `counted` does."""
        found = self._whole_of_each.rows(
            conn, subjects, {"tenant": self._tenant}
        )
        return [
            self._checked(subject, rows, known=one)
            for subject, rows, one in zip(subjects, found, known, strict=True)
        ]

    def counted_many(
        self, conn: Connection, subjects: object
    ) -> Mapping[Any, Sequence[Any]]:
        """Return many people's rows, for `checked`, by one statement.

        Args:
            conn: the transaction to read in.
            subjects: what `prepared.listed` made of the people.
        """
        values = {"tenant": self._tenant, "subjects": subjects}
        return {
            row[0]: row[1:] for row in self._whole_of_many.rows(values, conn)
        }

    def checked(self, subject: UUID, row: Sequence[Any] | None) -> Counted:
        """Check a known person's row, as `counted` does."""
        return self._checked(subject, [] if row is None else [row], known=True)

    def count(self, conn: Connection, subject: UUID) -> int:
        """Count up a person's fact revision, and return it.

        What was wrong stays wrong: where the code was another row's or none,
        none is made.

        Args:
            conn: the caller's transaction; the row stays locked to its end.
            subject: the person.
        """
        revision, parts, mac = self._counted_up(conn, subject)
        if mac is None:
            return revision
        with suppress(ConsentDamaged):
            self._demand(subject, (revision - 1, parts, mac))
            self._write(conn, subject, revision, parts)
        return revision

    def lock(self, conn: Connection, subject: UUID) -> int:
        """Lock a person's fact revision, and return it uncounted.

        Args:
            conn: the caller's transaction; the row stays locked to its end.
            subject: the person.
        """
        return int(conn.execute(_LOCK, self._person(subject)).scalar_one())

    def admit(self, conn: Connection, subjects: Sequence[UUID]) -> None:
        """Begin the rows of new people, of whom nothing is recorded.

        Args:
            conn: the caller's transaction.
            subjects: the people.
        """
        if not subjects:
            return
        conn.execute(
            insert(RevisionRow),
            [
                {
                    "tenant": self._tenant,
                    "subject": one,
                    "revision": 0,
                    "parts": b"",
                    "mac": self._mac(one, 0, b""),
                }
                for one in subjects
            ],
        )

    def replace(
        self,
        conn: Connection,
        subject: UUID,
        name: bytes,
        before: Rows,
        after: Rows,
    ) -> None:
        """Vouch for a part of a person's facts that is being changed.

        Args:
            conn: the caller's transaction, which holds the row's lock.
            subject: the person.
            name: of the part.
            before: its rows before the change.
            after: its rows after it.

        Raises:
            ConsentDamaged: what stood there before was not as written.
        """
        rows = self._whole.rows(self._person(subject), conn)
        if not self._macs.required and not (rows and rows[0][2]):
            return  # nobody has vouched for this person so far
        counted = self._checked(subject, rows, known=True)
        counted.parts.demand(name, before)
        digests = Parts(subject, rows[0][1]).replaced(name, after)
        self._write(conn, subject, counted.revision, digests)

    def vouch(
        self, conn: Connection, subject: UUID, parts: Mapping[bytes, Rows]
    ) -> None:
        """Make the code of all that is stored of a person, unchecked.

        Args:
            conn: the caller's transaction.
            subject: the person.
            parts: by name, all rows of each part.
        """
        self._write(conn, subject, self.lock(conn, subject), joined(parts))

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Count up an erased person's revision, of whom nothing is left.

        Nothing is demanded: what is wrong with rows holds up no erasure.
        """
        revision, _, _ = self._counted_up(conn, subject)
        self._write(conn, subject, revision, b"")

    def _counted_up(
        self, conn: Connection, subject: UUID
    ) -> tuple[int, Any, Any]:
        row = conn.execute(_COUNT, self._person(subject)).one()
        return int(row[0]), row[1], row[2]

    def _write(
        self, conn: Connection, subject: UUID, revision: int, parts: bytes
    ) -> None:
        conn.execute(
            _WRITE,
            {
                **self._person(subject),
                "parts": parts,
                "mac": self._mac(subject, revision, parts),
            },
        )

    def _checked(
        self, subject: UUID, rows: Sequence[Sequence[Any]], *, known: bool
    ) -> Counted:
        revision = _number(subject, rows)
        if not self._macs.required:
            return Counted(revision, Parts(subject, None))
        if not known:
            self._demand(_NOBODY, self._stand_in)
            return Counted(revision, Parts(subject, None))
        if not rows:
            raise ConsentDamaged(subject)
        self._demand(subject, rows[0])
        return Counted(revision, Parts(subject, rows[0][1]))

    def _demand(self, subject: UUID, row: Sequence[Any]) -> None:
        revision, parts, mac = row
        try:
            self._macs.demand(mac, _KIND, subject.hex, revision, blob=parts)
        except (RowForged, TypeError):
            raise ConsentDamaged(subject) from None

    def _mac(self, subject: UUID, revision: int, parts: bytes) -> bytes:
        return self._macs.of(_KIND, subject.hex, revision, blob=parts)

    def _person(self, subject: UUID) -> Mapping[str, Any]:
        return {"tenant": self._tenant, "subject": subject}


def _number(subject: UUID, rows: Sequence[Sequence[Any]]) -> int:
    found = rows[0][0] if rows else 0
    if type(found) is not int:
        raise ConsentDamaged(subject)
    return found
