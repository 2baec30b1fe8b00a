"""The ledger's SQL, built once: portable between SQLite and PostgreSQL.

What runs once an entry is written in the driver's own placeholders and goes
to the driver as tuples; the rest is SQLAlchemy Core.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Dialect,
    Select,
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


ENTRY = _table(EntryRow)
HEAD = _table(HeadRow)
PERSON = _table(PersonRow)
TILE = _table(TileRow)
CHECKPOINT = _table(CheckpointRow)

READ_HEAD = select(HEAD.c.origin, HEAD.c.size, HEAD.c.nodes).where(
    HEAD.c.id == 1
)
LOCK_HEAD = READ_HEAD.with_for_update()
FIRST_HEAD = text(
    "INSERT INTO ledger_head (id, origin, size, nodes)"
    " VALUES (1, :origin, 0, :nodes) ON CONFLICT (id) DO NOTHING"
)
MOVE_HEAD = (
    update(HEAD)
    .where(HEAD.c.id == 1)
    .values(size=bindparam("to"), nodes=bindparam("edge"))
)
READ_LEAVES = (
    select(ENTRY.c.leaf)
    .where(ENTRY.c.idx >= bindparam("begin"), ENTRY.c.idx < bindparam("end"))
    .order_by(ENTRY.c.idx)
)
READ_ENTRIES = (
    select(ENTRY)
    .where(ENTRY.c.idx >= bindparam("begin"), ENTRY.c.idx < bindparam("end"))
    .order_by(ENTRY.c.idx)
)
READ_ENTRY = select(ENTRY).where(ENTRY.c.idx == bindparam("at_index"))
READ_TILE = select(TILE.c.hashes).where(
    TILE.c.level == bindparam("at_level"),
    TILE.c.number == bindparam("at_number"),
)
LAST_CHECKPOINT = (
    select(CHECKPOINT).order_by(CHECKPOINT.c.size.desc()).limit(1)
)
OWN_ENTRIES = (
    select(ENTRY.c.idx, ENTRY.c.leaf, ENTRY.c.own)
    .where(
        ENTRY.c.tag == bindparam("of_tag"), ENTRY.c.idx < bindparam("before")
    )
    .order_by(ENTRY.c.idx.desc())
    .limit(bindparam("most"))
)
OF_TAG = (
    select(ENTRY)
    .where(
        ENTRY.c.tag == bindparam("of_tag"), ENTRY.c.idx > bindparam("after")
    )
    .order_by(ENTRY.c.idx)
    .limit(bindparam("most"))
)
ERASE_ENTRY = (
    update(ENTRY)
    .where(ENTRY.c.idx == bindparam("at_index"))
    .values(tag=None, own=None, audit=None, seal=bindparam("new_seal"))
)
FORGET_PERSON = PERSON.delete().where(PERSON.c.tag == bindparam("of_tag"))
_read_people = select(PERSON.c.tag, PERSON.c.counter, PERSON.c.previous).where(
    PERSON.c.tag.in_(bindparam("tags", expanding=True))
)

_grouped = (
    select(
        ENTRY.c.tag,
        func.count().label("entries"),
        func.max(ENTRY.c.idx).label("last"),
    )
    .where(ENTRY.c.tag.is_not(None))
    .group_by(ENTRY.c.tag)
    .subquery()
)
_last = ENTRY.alias()
# Each person's row must count their entries and name the last one's leaf.
PEOPLE_AMISS = (
    select(_grouped.c.last)
    .select_from(_grouped)
    .join(_last, _last.c.idx == _grouped.c.last)
    .outerjoin(PERSON, PERSON.c.tag == _grouped.c.tag)
    .where(
        PERSON.c.tag.is_(None)
        | (PERSON.c.counter != _grouped.c.entries)
        | (PERSON.c.previous != _last.c.leaf)
    )
    .order_by(_grouped.c.last)
    .limit(1)
)
PEOPLE_WITHOUT = (
    select(func.count())
    .select_from(PERSON)
    .outerjoin(_grouped, _grouped.c.tag == PERSON.c.tag)
    .where(_grouped.c.tag.is_(None))
)
CHECKPOINTS = (
    select(CHECKPOINT)
    .where(CHECKPOINT.c.size > bindparam("after"))
    .order_by(CHECKPOINT.c.size)
    .limit(bindparam("most"))
)
CHECKPOINT_OF = select(CHECKPOINT).where(
    CHECKPOINT.c.size == bindparam("of_size")
)
ADD_CHECKPOINT = CHECKPOINT.insert()
# One statement each, so that a writer cannot move the ledger in between.
_size = select(HEAD.c.size).where(HEAD.c.id == 1).scalar_subquery()
BOUNDS = select(
    _size.label("size"),
    select(func.min(ENTRY.c.idx)).scalar_subquery().label("first"),
    select(func.max(ENTRY.c.idx)).scalar_subquery().label("last"),
    select(func.count()).select_from(TILE).scalar_subquery().label("tiles"),
    select(func.max(CHECKPOINT.c.size)).scalar_subquery().label("signed"),
    select(func.count()).select_from(HEAD).scalar_subquery().label("heads"),
)
TILE_AND_SIZE = select(TILE.c.hashes, _size.label("size")).where(
    TILE.c.level == bindparam("at_level"),
    TILE.c.number == bindparam("at_number"),
)


def audit_query(
    *,
    service: str | None,
    purpose: str | None,
    day_from: int | None,
    day_to: int | None,
    after: int,
    limit: int,
) -> Select[Any]:
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
    query = select(ENTRY).where(ENTRY.c.idx > after)
    if service is not None:
        query = query.where(ENTRY.c.service == service)
    if purpose is not None:
        query = query.where(ENTRY.c.purpose == purpose)
    if day_from is not None:
        query = query.where(ENTRY.c.day >= day_from)
    if day_to is not None:
        query = query.where(ENTRY.c.day <= day_to)
    return query.order_by(ENTRY.c.idx).limit(limit)


@dataclass(frozen=True, slots=True)
class Writes:
    """Statements that take many rows at once, as tuples."""

    entry: str
    person: str
    tile: str

    @classmethod
    def of(cls, dialect: Dialect) -> "Writes":
        """Write them in a dialect's placeholders.

        Args:
            dialect: Of the database.

        Returns:
            The statements.

        """
        return cls(
            entry=_insert(dialect, ENTRY),
            person=_insert(dialect, PERSON)
            + " ON CONFLICT (tag) DO UPDATE SET"
            " counter = excluded.counter, previous = excluded.previous",
            tile=_insert(dialect, TILE)
            + " ON CONFLICT (level, number) DO UPDATE SET"
            " hashes = excluded.hashes",
        )


def read_people(
    conn: Connection, tags: Sequence[bytes]
) -> Iterator[tuple[bytes, int, bytes]]:
    """Read where people's counts stand.

    Args:
        conn: Where to read.
        tags: Their tags; an unknown one gives no row.

    Yields:
        Tag, counter and leaf data of the last entry.

    """
    for start in range(0, len(tags), _LARGEST_IN):
        some = tags[start : start + _LARGEST_IN]
        for row in conn.execute(_read_people, {"tags": some}):
            yield row.tag, row.counter, row.previous


def _insert(dialect: Dialect, table: Table) -> str:
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    columns = [column.name for column in table.columns]
    marks = ", ".join([mark] * len(columns))
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})"
