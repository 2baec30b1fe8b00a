"""The ledger's SQL: portable between SQLite and PostgreSQL, built once.

One database may hold several ledgers; each statement here is about one of
them. What runs on the way of every entry is text in the driver's own
placeholders and goes to the driver as it is; the rest is SQLAlchemy Core.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Select,
    Subquery,
    Table,
    bindparam,
    func,
    select,
    text,
    update,
)
from sqlmodel import SQLModel

from consent.ledger_tables import (
    CheckpointRow,
    EntryRow,
    HeadRow,
    PersonRow,
    TileRow,
)

_LARGEST_IN = 500


def _table(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]  # SQLModel sets it
    return table


_ENTRY = _table(EntryRow)
_HEAD = _table(HeadRow)
_PERSON = _table(PersonRow)
_TILE = _table(TileRow)
_CHECKPOINT = _table(CheckpointRow)


def ledger_number(origin: str) -> int:
    """Return the number that stands for an origin in the tables' keys.

    Two origins with one number would find each other's head row, which
    names its origin, and be refused.
    """
    return int.from_bytes(hashlib.sha256(origin.encode()).digest()[:4]) >> 1


class LedgerStatements:
    """The statements of one ledger.

    Args:
        origin: The ledger.
        dialect: Of the database.
    """

    def __init__(self, origin: str, dialect: Dialect) -> None:
        self.number = ledger_number(origin)
        self._mark = "?" if dialect.paramstyle == "qmark" else "%s"
        # SQLite locks the database as a whole, when a transaction begins.
        self._locks_rows = dialect.name != "sqlite"
        self._build_writes()
        self._build_reads()
        self._build_views()
        self._build_checks()

    def _build_writes(self) -> None:
        """What appends and erases; texts go to the driver, with tuples."""
        self.add_entries = self._insert(_ENTRY)
        self.set_people = self._insert(_PERSON) + (
            " ON CONFLICT (ledger, tag) DO UPDATE SET"
            " counter = excluded.counter, previous = excluded.previous"
        )
        self.set_tiles = self._insert(_TILE) + (
            " ON CONFLICT (ledger, level, number) DO UPDATE SET"
            " hashes = excluded.hashes"
        )
        self.first_head = text(
            "INSERT INTO ledger_head (ledger, origin, size, nodes)"
            f" VALUES ({self.number}, :origin, 0, :nodes)"
            " ON CONFLICT (ledger) DO NOTHING"
        )
        mark = self._mark
        self.move_head = (
            f"UPDATE ledger_head SET size = {mark}, nodes = {mark}"
            f" WHERE ledger = {self.number}"
        )
        self.add_checkpoint = _CHECKPOINT.insert().values(ledger=self.number)
        self.erase_entry = (
            update(_ENTRY)
            .where(self._of(_ENTRY), _ENTRY.c.idx == bindparam("at_index"))
            .values(tag=None, own=None, audit=None, seal=bindparam("sealed"))
        )
        self.forget_person = _PERSON.delete().where(
            self._of(_PERSON), _PERSON.c.tag == bindparam("of_tag")
        )

    def _build_reads(self) -> None:
        """What the sequencer, the tree and the checkpoints read."""
        self.read_head = select(
            _HEAD.c.origin, _HEAD.c.size, _HEAD.c.nodes
        ).where(self._of(_HEAD))
        self.lock_head = (
            "SELECT origin, size, nodes FROM ledger_head"
            f" WHERE ledger = {self.number}"
        )
        if self._locks_rows:
            self.lock_head += " FOR UPDATE"
        self._read_people = (
            "SELECT tag, counter, previous FROM ledger_person"
            f" WHERE ledger = {self.number} AND tag IN "
        )
        self.read_leaves = self._between(select(_ENTRY.c.leaf))
        self.read_tile = select(_TILE.c.hashes, self._size("size")).where(
            self._of(_TILE),
            _TILE.c.level == bindparam("at_level"),
            _TILE.c.number == bindparam("at_number"),
        )
        checkpoints = select(_CHECKPOINT).where(self._of(_CHECKPOINT))
        self.last_checkpoint = checkpoints.order_by(
            _CHECKPOINT.c.size.desc()
        ).limit(1)
        self.checkpoint_of = checkpoints.where(
            _CHECKPOINT.c.size == bindparam("of_size")
        )
        self.checkpoints = (
            checkpoints.where(_CHECKPOINT.c.size > bindparam("after"))
            .order_by(_CHECKPOINT.c.size)
            .limit(bindparam("most"))
        )

    def _build_views(self) -> None:
        """What reads entries, for one person, the officer, or a sweep."""
        entry = [column for column in _ENTRY.c if column.name != "ledger"]
        self._entries = select(*entry).where(self._of(_ENTRY))
        self.read_entry = self._entries.where(
            _ENTRY.c.idx == bindparam("at_index")
        )
        self.read_entries = self._between(select(*entry))
        tagged = self._entries.where(_ENTRY.c.tag == bindparam("of_tag"))
        self.own_entries = (
            tagged.where(_ENTRY.c.idx < bindparam("before"))
            .order_by(_ENTRY.c.idx.desc())
            .limit(bindparam("most"))
        )
        self.of_tag = (
            tagged.where(_ENTRY.c.idx > bindparam("after"))
            .order_by(_ENTRY.c.idx)
            .limit(bindparam("most"))
        )

    def _build_checks(self) -> None:
        """What a sweep asks of the tables as wholes.

        One statement each, so that a writer cannot move the ledger in
        between.
        """
        people = self._grouped()
        last = _ENTRY.alias()
        # A person's row counts their entries and names the last one's leaf.
        self.people_amiss = (
            select(people.c.last)
            .select_from(people)
            .join(last, (last.c.idx == people.c.last) & self._of(last))
            .outerjoin(
                _PERSON, (_PERSON.c.tag == people.c.tag) & self._of(_PERSON)
            )
            .where(
                _PERSON.c.tag.is_(None)
                | (_PERSON.c.counter != people.c.entries)
                | (_PERSON.c.previous != last.c.leaf)
            )
            .order_by(people.c.last)
            .limit(1)
        )
        self.people_without = (
            select(func.count())
            .select_from(_PERSON)
            .outerjoin(people, people.c.tag == _PERSON.c.tag)
            .where(self._of(_PERSON), people.c.tag.is_(None))
        )
        self.bounds = select(
            self._size("size"),
            self._one(_ENTRY, func.min(_ENTRY.c.idx), "first"),
            self._one(_ENTRY, func.max(_ENTRY.c.idx), "last"),
            self._one(_TILE, func.count(), "tiles"),
            self._one(_CHECKPOINT, func.max(_CHECKPOINT.c.size), "signed"),
        )

    def read_people(
        self, conn: Connection, tags: Sequence[bytes]
    ) -> list[tuple[bytes, int, bytes]]:
        """Read where people's counts stand.

        Args:
            conn: Where to read.
            tags: Their tags; an unknown one gives no row.

        Returns:
            Tag, counter and leaf data of the last entry.

        """
        found: list[tuple[bytes, int, bytes]] = []
        for start in range(0, len(tags), _LARGEST_IN):
            some = tuple(tags[start : start + _LARGEST_IN])
            marks = ", ".join([self._mark] * len(some))
            rows = conn.exec_driver_sql(f"{self._read_people}({marks})", some)
            found += [(tag, count, leaf) for tag, count, leaf in rows]
        return found

    def audit_query(
        self,
        *,
        service: str | None,
        purpose: str | None,
        day_from: int | None,
        day_to: int | None,
        after: int,
        limit: int,
    ) -> Select[*tuple[Any, ...]]:
        """Select entries by their side columns, the oldest first.

        Args:
            service: Only of this service.
            purpose: Only of this purpose.
            day_from: Only from this day on, in days since 1970-01-01.
            day_to: Only up to this day, itself included.
            after: Only above this index.
            limit: At most so many.

        Returns:
            The query.

        """
        query = self._entries.where(_ENTRY.c.idx > after)
        if service is not None:
            query = query.where(_ENTRY.c.service == service)
        if purpose is not None:
            query = query.where(_ENTRY.c.purpose == purpose)
        if day_from is not None:
            query = query.where(_ENTRY.c.day >= day_from)
        if day_to is not None:
            query = query.where(_ENTRY.c.day <= day_to)
        return query.order_by(_ENTRY.c.idx).limit(limit)

    def _of(self, table: Any) -> ColumnElement[bool]:  # noqa: ANN401 - a table or an alias of one
        condition: ColumnElement[bool] = table.c.ledger == self.number
        return condition

    def _between(
        self, query: Select[*tuple[Any, ...]]
    ) -> Select[*tuple[Any, ...]]:
        return query.where(
            self._of(_ENTRY),
            _ENTRY.c.idx >= bindparam("begin"),
            _ENTRY.c.idx < bindparam("end"),
        ).order_by(_ENTRY.c.idx)

    def _one(
        self, table: Table, value: ColumnElement[Any], label: str
    ) -> ColumnElement[Any]:
        query = select(value).select_from(table).where(self._of(table))
        return query.scalar_subquery().label(label)

    def _size(self, label: str) -> ColumnElement[Any]:
        return self._one(_HEAD, _HEAD.c.size, label)

    def _grouped(self) -> Subquery:
        return (
            select(
                _ENTRY.c.tag,
                func.count().label("entries"),
                func.max(_ENTRY.c.idx).label("last"),
            )
            .where(self._of(_ENTRY), _ENTRY.c.tag.is_not(None))
            .group_by(_ENTRY.c.tag)
            .subquery()
        )

    def _insert(self, table: Table) -> str:
        """Write an insert whose first column, the ledger, stands fixed."""
        columns = [column.name for column in table.columns]
        marks = ", ".join([self._mark] * (len(columns) - 1))
        return (
            f"INSERT INTO {table.name} ({', '.join(columns)})"
            f" VALUES ({self.number}, {marks})"
        )
