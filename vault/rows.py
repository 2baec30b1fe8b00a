"""The data database: who holds which ciphertext.

Only SQL stands here; what the bytes mean is for others. Statements are built
once for each store. Reads of one person are one statement, so state and
values come from one snapshot.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Connection,
    Engine,
    Integer,
    LargeBinary,
    RowMapping,
    String,
    Uuid,
    and_,
    any_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from vault.bulk import Bulk, Rows
from vault.places import ABSORBED, ALIAS
from vault.reading import (
    Listed,
    ManyQuery,
    PreparedQuery,
    Reader,
    Row,
    among,
)
from vault.tables import (
    CANDIDATE,
    HISTORY,
    INDEX,
    RETENTION,
    SUBJECT,
    VALUE,
)


class Sealed(NamedTuple):
    """One stored version of one attribute."""

    attribute: int
    version: int
    sealed: bytes


class Stored(NamedTuple):
    """A person's current rows; epoch 0 and no state if never written."""

    epoch: int
    state: bytes
    values: Sequence[tuple[int, int, bytes]]


class Found(NamedTuple):
    """An index row, the version of the value today, and the person's alias."""

    subject: UUID
    version: int
    binding: bytes
    place: int
    current: int | None
    alias: tuple[int, bytes] | None = None


class Removed(NamedTuple):
    """How many rows an erasure took away."""

    values: int
    versions: int
    index_entries: int


class DataRows:
    """The rows of one tenant."""

    def __init__(self, engine: Engine, tenant: str) -> None:
        """Compile the statements of the hot path."""
        self.engine = engine
        self.tenant = tenant
        self.reader = Reader(engine)
        self._one = self.reader.prepare(
            union_all(
                select(
                    literal_column("0", Integer).label("attribute"),
                    SUBJECT.c.epoch,
                    SUBJECT.c.state,
                ).where(
                    SUBJECT.c.tenant == bindparam("tenant"),
                    SUBJECT.c.subject == bindparam("subject"),
                ),
                select(
                    VALUE.c.attribute, VALUE.c.version, VALUE.c.sealed
                ).where(
                    VALUE.c.tenant == bindparam("tenant2"),
                    VALUE.c.subject == bindparam("subject2"),
                ),
            ),
            "tenant",
            "subject",
            "tenant2",
            "subject2",
        )
        # Two statements, so that each is answered by one worker where the
        # index is spread by its value and the values by the person.
        self._find = self.reader.prepare(
            select(
                INDEX.c.subject,
                INDEX.c.version,
                INDEX.c.binding,
                INDEX.c.place,
            ).where(
                INDEX.c.tenant == bindparam("tenant"),
                INDEX.c.attribute == bindparam("attribute"),
                INDEX.c.key_version == bindparam("key_version"),
                INDEX.c.digest == bindparam("digest"),
            ),
            "tenant",
            "attribute",
            "key_version",
            "digest",
        )
        self._current = self.reader.prepare(
            select(VALUE.c.attribute, VALUE.c.version, VALUE.c.sealed).where(
                VALUE.c.tenant == bindparam("tenant"),
                VALUE.c.subject == bindparam("subject"),
                VALUE.c.attribute.in_(
                    [bindparam("place"), bindparam("alias")]
                ),
            ),
            "tenant",
            "subject",
            "place",
            "alias",
        )
        self._values = ManyQuery(
            engine,
            select(
                VALUE.c.attribute,
                VALUE.c.version,
                VALUE.c.sealed,
                VALUE.c.subject,
            ).where(
                VALUE.c.tenant == bindparam("tenant"),
                among(engine, VALUE.c.subject),
            ),
        )
        self._states = ManyQuery(
            engine,
            select(SUBJECT.c.epoch, SUBJECT.c.state, SUBJECT.c.subject).where(
                SUBJECT.c.tenant == bindparam("tenant"),
                among(engine, SUBJECT.c.subject),
            ),
        )
        self._written = PreparedQuery(
            engine,
            select(SUBJECT.c.subject)
            .where(
                SUBJECT.c.tenant == bindparam("tenant"),
                SUBJECT.c.subject > bindparam("after"),
            )
            .order_by(SUBJECT.c.subject)
            .limit(bindparam("limit")),
        )
        self._counted = ManyQuery(
            engine,
            select(func.count())
            .select_from(SUBJECT)
            .where(
                SUBJECT.c.tenant == bindparam("tenant"),
                among(engine, SUBJECT.c.subject),
            ),
        )
        self._merged = ManyQuery(
            engine,
            select(VALUE.c.subject, VALUE.c.attribute).where(
                VALUE.c.tenant == bindparam("tenant"),
                among(engine, VALUE.c.subject),
                VALUE.c.attribute.between(
                    bindparam("first"), bindparam("last")
                ),
            ),
        )
        if self.reader.native_uuid:
            self._build_each()
        self._build_writes()

    def _build_each(self) -> None:
        self._ones = self.reader.prepare_each(
            lambda who: (
                select(
                    literal_column("0", Integer).label("attribute"),
                    SUBJECT.c.epoch,
                    SUBJECT.c.state,
                ).where(
                    SUBJECT.c.tenant == bindparam("tenant"),
                    SUBJECT.c.subject == who,
                ),
                select(
                    VALUE.c.attribute, VALUE.c.version, VALUE.c.sealed
                ).where(
                    VALUE.c.tenant == bindparam("tenant"),
                    VALUE.c.subject == who,
                ),
            ),
            Uuid(),
            "tenant",
        )
        self._find_each = self.reader.prepare_each(
            lambda digest: (
                select(
                    INDEX.c.subject,
                    INDEX.c.version,
                    INDEX.c.binding,
                    INDEX.c.place,
                ).where(
                    INDEX.c.tenant == bindparam("tenant"),
                    INDEX.c.attribute == bindparam("attribute"),
                    INDEX.c.key_version == bindparam("key_version"),
                    INDEX.c.digest == digest,
                ),
            ),
            LargeBinary(),
            "tenant",
            "attribute",
            "key_version",
        )
        self._current_each = self.reader.prepare_each(
            lambda who: (
                select(
                    VALUE.c.attribute, VALUE.c.version, VALUE.c.sealed
                ).where(
                    VALUE.c.tenant == bindparam("tenant"),
                    VALUE.c.subject == who,
                    VALUE.c.attribute
                    == any_(bindparam("places", type_=ARRAY(Integer()))),
                ),
            ),
            Uuid(),
            "tenant",
            "places",
        )

    def ones(self, subjects: Sequence[UUID]) -> list[Stored]:
        """Read as `one` about several people, in one statement if it pays."""
        if not self.reader.native_uuid:
            return [self.one(subject) for subject in subjects]
        return [_stored(rows) for rows in self._ones(subjects, self.tenant)]

    def find_each(
        self,
        attribute: int,
        key_version: int,
        digests: Sequence[bytes],
        decoy: UUID,
    ) -> list[Found | None]:
        """Look up as `find` does, several entries, in two statements."""
        if not self.reader.native_uuid:
            return [
                self.find(attribute, key_version, digest, decoy)
                for digest in digests
            ]
        nobody = (decoy, 0, b"", attribute)
        entries = [
            rows[0] if rows else None
            for rows in self._find_each(
                digests, self.tenant, attribute, key_version
            )
        ]
        shown = [one or nobody for one in entries]
        places = sorted({place for *_, place in shown} | {ALIAS})
        values = self._current_each(
            [one[0] for one in shown], self.tenant, places
        )
        return [
            None if one is None else _found(one, rows)
            for one, rows in zip(entries, values, strict=True)
        ]

    def one(self, subject: UUID) -> Stored:
        """Read one person's state and current values in one statement."""
        who = self.reader.subject(subject)
        return _stored(self._one(self.tenant, who, self.tenant, who))

    def find(
        self, attribute: int, key_version: int, digest: bytes, decoy: UUID
    ) -> Found | None:
        """Look an index entry up, and then the value that it is of.

        For want of an entry the decoy's value is looked up, and dropped.
        The two are not of one moment: where the versions differ, the value
        may have been replaced in between.
        """
        rows = self._find(self.tenant, attribute, key_version, digest)
        nobody = (self.reader.subject(decoy), 0, b"", attribute)
        subject, version, binding, place = rows[0] if rows else nobody
        held = {
            row[0]: row
            for row in self._current(self.tenant, subject, place, ALIAS)
        }
        current, alias = held.get(place), held.get(ALIAS)
        found = Found(
            self.reader.uuid(subject),
            version,
            binding,
            place,
            None if current is None else current[1],
            None if alias is None else (alias[1], alias[2]),
        )
        return found if rows else None

    def each(
        self, conn: Connection, subjects: Sequence[UUID]
    ) -> list[tuple[list[Row], Row | None]]:
        """Read what many people have, two statements.

        Returns:
            In the order of `subjects`: rows of current values, in no order,
            and of the state, if there is one. In each the id of the person,
            as the driver gives it, comes last.

        """
        own = list(map(self.reader.subject, subjects))
        found: dict[Any, list[Row]] = {}
        # They mostly come a person at a time.
        for who, rows in groupby(
            self._values.rows(conn, own, tenant=self.tenant), itemgetter(3)
        ):
            if who in found:
                found[who] += rows
            else:
                found[who] = list(rows)
        states = {
            row[2]: row
            for row in self._states.rows(conn, own, tenant=self.tenant)
        }
        return [(found.get(one, []), states.get(one)) for one in own]

    def many(
        self, conn: Connection, subjects: Sequence[UUID]
    ) -> dict[UUID, Stored]:
        """Read many people's states and current values, two statements."""
        stored = {}
        for subject, (rows, state) in zip(
            subjects, self.each(conn, subjects), strict=True
        ):
            epoch, code, _ = state or (0, b"", None)
            values = sorted(row[:3] for row in rows)
            stored[subject] = Stored(epoch, code, values)
        return stored

    def states(
        self, conn: Connection, subjects: Sequence[UUID], *, lock: bool
    ) -> dict[UUID, tuple[int, bytes]]:
        """Read epochs and states, locked against other writers if asked."""
        asked = select(
            SUBJECT.c.subject, SUBJECT.c.epoch, SUBJECT.c.state
        ).where(
            SUBJECT.c.tenant == self.tenant, SUBJECT.c.subject.in_(subjects)
        )
        if lock:
            asked = asked.order_by(SUBJECT.c.subject).with_for_update()
        return {row[0]: (row[1], row[2]) for row in conn.execute(asked)}

    def history(
        self, conn: Connection, subject: UUID, attribute: int | None = None
    ) -> list[Sealed]:
        """Read superseded versions, oldest first."""
        asked = (
            select(HISTORY.c.attribute, HISTORY.c.version, HISTORY.c.sealed)
            .where(HISTORY.c.tenant == self.tenant)
            .where(HISTORY.c.subject == subject)
            .order_by(HISTORY.c.attribute, HISTORY.c.version)
        )
        if attribute is not None:
            asked = asked.where(HISTORY.c.attribute == attribute)
        return [Sealed(*row) for row in conn.execute(asked)]

    def histories(
        self, conn: Connection, subjects: Sequence[UUID]
    ) -> dict[UUID, list[Sealed]]:
        """Read the superseded versions of many people, one statement."""
        asked = (
            select(
                HISTORY.c.subject,
                HISTORY.c.attribute,
                HISTORY.c.version,
                HISTORY.c.sealed,
            )
            .where(HISTORY.c.tenant == self.tenant)
            .where(HISTORY.c.subject.in_(subjects))
            .order_by(
                HISTORY.c.subject, HISTORY.c.attribute, HISTORY.c.version
            )
        )
        found: dict[UUID, list[Sealed]] = {}
        for subject, *row in conn.execute(asked):
            found.setdefault(subject, []).append(Sealed(*row))
        return found

    def index_entries(
        self, conn: Connection, subjects: Sequence[UUID]
    ) -> list[RowMapping]:
        """Read the unique index entries of some people."""
        asked = select(INDEX).where(
            INDEX.c.tenant == self.tenant, INDEX.c.subject.in_(subjects)
        )
        return list(conn.execute(asked).mappings())

    def candidate_entries(
        self, conn: Connection, subjects: Sequence[UUID]
    ) -> list[RowMapping]:
        """Read the entries of some people in the indexes that many share."""
        asked = select(CANDIDATE).where(
            CANDIDATE.c.tenant == self.tenant,
            CANDIDATE.c.subject.in_(subjects),
        )
        return list(conn.execute(asked).mappings())

    def candidates(
        self,
        attribute: int,
        prefix: int,
        digests: Sequence[tuple[int, bytes]],
        *,
        after: UUID | None,
        limit: int,
    ) -> list[UUID]:
        """List who has an entry under a key version and its digest, by id."""
        asked = (
            select(CANDIDATE.c.subject)
            .distinct()
            .where(
                CANDIDATE.c.tenant == self.tenant,
                CANDIDATE.c.attribute == attribute,
                CANDIDATE.c.prefix == prefix,
                or_(
                    *(
                        and_(
                            CANDIDATE.c.key_version == version,
                            CANDIDATE.c.digest == digest,
                        )
                        for version, digest in digests
                    )
                ),
            )
            .order_by(CANDIDATE.c.subject)
            .limit(limit)
        )
        if after is not None:
            asked = asked.where(CANDIDATE.c.subject > after)
        with self.engine.connect().execution_options(read_only=True) as conn:
            return list(conn.execute(asked).scalars())

    def holders(self, conn: Connection, attribute: int) -> int:
        """Count the people who hold an attribute."""
        asked = (
            select(func.count())
            .select_from(VALUE)
            .where(
                VALUE.c.tenant == self.tenant, VALUE.c.attribute == attribute
            )
        )
        return conn.execute(asked).scalar_one()

    def taken(
        self,
        conn: Connection,
        attribute: int,
        key_version: int,
        digests: Sequence[bytes],
    ) -> set[bytes]:
        """Say which digests somebody already has."""
        asked = select(INDEX.c.digest).where(
            INDEX.c.tenant == self.tenant,
            INDEX.c.attribute == attribute,
            INDEX.c.key_version == key_version,
            INDEX.c.digest.in_(digests),
        )
        return {bytes(digest) for digest in conn.execute(asked).scalars()}

    def written(
        self, conn: Connection, after: UUID | None, limit: int
    ) -> list[UUID]:
        """List people who have a state, in order of their ids."""
        rows = self._written.rows(
            conn,
            tenant=self.tenant,
            # No id is lower, and nobody has it.
            after=self.reader.subject(after or UUID(int=0)),
            limit=limit,
        )
        return [self.reader.uuid(row[0]) for row in rows]

    def count(self, conn: Connection, subjects: Listed) -> int:
        """Count who of some different people has a state."""
        rows = self._counted.rows(conn, subjects, tenant=self.tenant)
        return int(rows[0][0])

    def merged(
        self, conn: Connection, subjects: Sequence[UUID]
    ) -> list[tuple[UUID, int]]:
        """Say which of some people are part of a whole, and by which place.

        Returns:
            People, each with `ALIAS` or `ABSORBED`.

        """
        listed = map(self.reader.subject, subjects)
        rows = self._merged.rows(
            conn, listed, tenant=self.tenant, first=ALIAS, last=ABSORBED
        )
        return [(self.reader.uuid(who), place) for who, place in rows]

    def subjects(
        self,
        conn: Connection,
        after: Any,  # noqa: ANN401 - the driver's own form
        limit: int,
    ) -> list[Any]:
        """List whoever has any row at all, in the driver's own form.

        Not as UUIDs, because a damaged id may be none.
        """
        seen: set[Any] = set()
        for table in (SUBJECT, VALUE, HISTORY, INDEX, CANDIDATE):
            who: Any = table.c.subject
            if not self.reader.native_uuid:
                who = type_coerce(who, String)
            asked = (
                select(who)
                .distinct()
                .where(table.c.tenant == self.tenant)
                .order_by(who)
                .limit(limit)
            )
            if after is not None:
                asked = asked.where(who > after)
            seen.update(conn.execute(asked).scalars())
        return sorted(seen)[:limit]

    def supersede(self, conn: Connection, rows: Rows) -> bool:
        """Move current versions to the history and replace them.

        Returns:
            Whether every row to replace was there.

        """
        self._to_history.run(conn, rows)
        return self._replace.run(conn, rows) == len(rows)

    def add(self, conn: Connection, rows: Rows) -> None:
        """Insert first versions."""
        self._add.run(conn, rows)

    def add_states(self, conn: Connection, rows: Rows) -> None:
        """Insert states of people never written before."""
        self._add_state.run(conn, rows)

    def set_states(self, conn: Connection, rows: Rows) -> bool:
        """Replace states; says whether every row was there unchanged."""
        return self._set_state.run(conn, rows) == len(rows)

    def drop_index(self, conn: Connection, rows: Rows) -> None:
        """Remove unique entries of values about to be superseded."""
        self._unindex.run(conn, rows)

    def drop_candidates(self, conn: Connection, rows: Rows) -> None:
        """Remove shared entries of values about to be superseded."""
        self._unlist.run(conn, rows)

    def add_index(self, conn: Connection, rows: Rows) -> None:
        """Insert unique entries."""
        self._index.run(conn, rows)

    def add_candidates(self, conn: Connection, rows: Rows) -> None:
        """Insert shared entries."""
        self._list.run(conn, rows)

    def remove(
        self, conn: Connection, subject: UUID, places: Sequence[int]
    ) -> None:
        """Remove some values of a person, their history and index entries."""
        for table, place in (
            (VALUE, VALUE.c.attribute),
            (HISTORY, HISTORY.c.attribute),
            (INDEX, INDEX.c.place),
            (CANDIDATE, CANDIDATE.c.place),
        ):
            conn.execute(
                delete(table).where(
                    table.c.tenant == self.tenant,
                    table.c.subject == subject,
                    place.in_(places),
                )
            )

    def delete(self, conn: Connection, subject: UUID) -> Removed:
        """Remove everything about a person."""
        counts = {
            table.name: conn.execute(
                delete(table).where(
                    table.c.tenant == self.tenant, table.c.subject == subject
                )
            ).rowcount
            for table in (
                SUBJECT,
                VALUE,
                HISTORY,
                INDEX,
                CANDIDATE,
                RETENTION,
            )
        }
        return Removed(
            counts[VALUE.name],
            counts[HISTORY.name],
            counts[INDEX.name] + counts[CANDIDATE.name],
        )

    def _build_writes(self) -> None:
        engine = self.engine
        here = (
            VALUE.c.tenant == bindparam("tenant"),
            VALUE.c.subject == bindparam("who"),
            VALUE.c.attribute == bindparam("which"),
            VALUE.c.version == bindparam("old"),
        )
        columns = ("tenant", "subject", "attribute", "version", "sealed")
        old = select(*(VALUE.c[name] for name in columns)).where(*here)
        self._to_history = Bulk(
            engine, insert(HISTORY).from_select(columns, old)
        )
        self._replace = Bulk(
            engine,
            update(VALUE)
            .where(*here)
            .values(version=bindparam("new"), sealed=bindparam("cipher")),
        )
        self._set_state = Bulk(
            engine,
            update(SUBJECT)
            .where(
                SUBJECT.c.tenant == bindparam("tenant"),
                SUBJECT.c.subject == bindparam("who"),
                SUBJECT.c.epoch == bindparam("old"),
            )
            .values(epoch=bindparam("new"), state=bindparam("cipher")),
        )
        self._unindex = Bulk(
            engine,
            delete(INDEX).where(
                INDEX.c.tenant == bindparam("tenant"),
                INDEX.c.subject == bindparam("who"),
                INDEX.c.place == bindparam("which"),
            ),
        )
        self._unlist = Bulk(
            engine,
            delete(CANDIDATE).where(
                CANDIDATE.c.tenant == bindparam("tenant"),
                CANDIDATE.c.subject == bindparam("who"),
                CANDIDATE.c.place == bindparam("which"),
            ),
        )
        self._add = Bulk(engine, insert(VALUE))
        self._add_state = Bulk(engine, insert(SUBJECT))
        self._index = Bulk(engine, insert(INDEX))
        self._list = Bulk(engine, insert(CANDIDATE))


def _stored(rows: list[Row]) -> Stored:
    """Take the rows of one person apart."""
    rows.sort()
    if rows and rows[0][0] == 0:
        _, epoch, state = rows[0]
        del rows[0]
        return Stored(epoch, state, rows)
    return Stored(0, b"", rows)


def _found(entry: Row, rows: list[Row]) -> Found:
    """Put an index entry and the current values of its person together."""
    subject, version, binding, place = entry
    held = {row[0]: row for row in rows}
    current, alias = held.get(place), held.get(ALIAS)
    return Found(
        subject,
        version,
        binding,
        place,
        None if current is None else current[1],
        None if alias is None else (alias[1], alias[2]),
    )
