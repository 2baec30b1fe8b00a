"""The data database: who holds which ciphertext.

Only SQL stands here; what the bytes mean is for others. Statements are built
once for each store. Reads of one person are one statement, so state and
values come from one snapshot.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Connection,
    Engine,
    Integer,
    String,
    and_,
    bindparam,
    delete,
    insert,
    literal_column,
    select,
    type_coerce,
    union_all,
    update,
)

from vault.bulk import Bulk, Rows
from vault.reading import Reader
from vault.tables import HISTORY, INDEX, SUBJECT, VALUE


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
    """An index row, and the version of the value that stands today."""

    subject: UUID
    version: int
    binding: bytes
    current: int | None


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
        self._find = self.reader.prepare(
            select(
                INDEX.c.subject,
                INDEX.c.version,
                INDEX.c.binding,
                VALUE.c.version,
            )
            .join_from(
                INDEX,
                VALUE,
                and_(
                    VALUE.c.tenant == INDEX.c.tenant,
                    VALUE.c.subject == INDEX.c.subject,
                    VALUE.c.attribute == INDEX.c.attribute,
                ),
                isouter=True,
            )
            .where(
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
        self._build_writes()

    def one(self, subject: UUID) -> Stored:
        """Read one person's state and current values in one statement."""
        who = self.reader.subject(subject)
        rows = self._one(self.tenant, who, self.tenant, who)
        rows.sort()
        if rows and rows[0][0] == 0:
            _, epoch, state = rows[0]
            del rows[0]
            return Stored(epoch, state, rows)
        return Stored(0, b"", rows)

    def find(
        self, attribute: int, key_version: int, digest: bytes
    ) -> Found | None:
        """Look an index entry up."""
        rows = self._find(self.tenant, attribute, key_version, digest)
        if not rows:
            return None
        subject, version, binding, current = rows[0]
        return Found(self.reader.uuid(subject), version, binding, current)

    def many(
        self, conn: Connection, subjects: Sequence[UUID]
    ) -> dict[UUID, Stored]:
        """Read many people's states and current values, two statements."""
        values: dict[UUID, list[tuple[int, int, bytes]]] = {}
        asked = select(
            VALUE.c.subject, VALUE.c.attribute, VALUE.c.version, VALUE.c.sealed
        ).where(VALUE.c.tenant == self.tenant, VALUE.c.subject.in_(subjects))
        for subject, attribute, version, sealed in conn.execute(asked):
            values.setdefault(subject, []).append((attribute, version, sealed))
        states = self.states(conn, subjects, lock=False)
        found = {}
        for subject in subjects:
            epoch, state = states.get(subject, (0, b""))
            rows = sorted(values.get(subject, ()))
            found[subject] = Stored(epoch, state, rows)
        return found

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

    def index_entries(
        self, conn: Connection, subjects: Sequence[UUID]
    ) -> list[Any]:
        """Read the index entries of some people."""
        asked = select(INDEX).where(
            INDEX.c.tenant == self.tenant, INDEX.c.subject.in_(subjects)
        )
        return list(conn.execute(asked))

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
        asked = (
            select(SUBJECT.c.subject)
            .where(SUBJECT.c.tenant == self.tenant)
            .order_by(SUBJECT.c.subject)
            .limit(limit)
        )
        if after is not None:
            asked = asked.where(SUBJECT.c.subject > after)
        return list(conn.execute(asked).scalars())

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
        for table in (SUBJECT, VALUE, HISTORY, INDEX):
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
        """Remove index entries of values about to be superseded."""
        self._unindex.run(conn, rows)

    def add_index(self, conn: Connection, rows: Rows) -> None:
        """Insert index entries."""
        self._index.run(conn, rows)

    def delete(self, conn: Connection, subject: UUID) -> Removed:
        """Remove everything about a person."""
        counts = {
            table.name: conn.execute(
                delete(table).where(
                    table.c.tenant == self.tenant, table.c.subject == subject
                )
            ).rowcount
            for table in (SUBJECT, VALUE, HISTORY, INDEX)
        }
        return Removed(
            counts[VALUE.name], counts[HISTORY.name], counts[INDEX.name]
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
                INDEX.c.attribute == bindparam("which"),
            ),
        )
        self._add = Bulk(engine, insert(VALUE))
        self._add_state = Bulk(engine, insert(SUBJECT))
        self._index = Bulk(engine, insert(INDEX))
