"""The ledger's SQL: portable between SQLite and PostgreSQL, built once.

One database may hold several ledgers; each statement here is about one of
them. What runs on the way of every entry is text in the driver's own
placeholders and goes to the driver as it is; the rest is SQLAlchemy Core.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Dialect,
    Select,
    Subquery,
    Table,
    bindparam,
    case,
    func,
    literal,
    null,
    select,
    text,
    union_all,
    update,
)
from sqlmodel import SQLModel

from consent.ledger_tables import (
    CheckpointRow,
    EntryRow,
    HeadRow,
    PendingRow,
    PersonRow,
    TileRow,
    WithheldRow,
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
_PENDING = _table(PendingRow)
_WITHHELD = _table(WithheldRow)
# Above every index: where pending rows stand when chains are counted.
_BEYOND = 1 << 62
# First half of the key of PostgreSQL's lock for whoever numbers entries.
_INTEGRATING = 0x6C656467


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
        self._dialect = dialect
        self._mark = "?" if dialect.paramstyle == "qmark" else "%s"
        # SQLite locks the database as a whole, when a transaction begins.
        self._locks_rows = dialect.name != "sqlite"
        self._build_writes()
        self._build_reads()
        self._build_views()
        self._build_checks()
        self._build_pending()
        self._build_withheld()

    def _build_writes(self) -> None:
        """What appends and erases; texts go to the driver, with tuples."""
        self.add_entries = self._insert_many(_ENTRY)
        counted = (
            " ON CONFLICT (ledger, tag) DO UPDATE SET"
            " counter = excluded.counter, previous = excluded.previous"
        )
        self.set_people = (
            f"{self._insert_many(_PERSON)}{counted}, last = excluded.last"
        )
        # Whoever numbers entries may be moving the link meanwhile.
        self.count_people = self._insert_many(_PERSON, without="last") + (
            counted
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
            f"UPDATE ledger_head SET size = {mark}, nodes = {mark},"
            f" latest = {mark}"
            f" WHERE ledger = {self.number}"
        )
        self.move_last = (
            f"UPDATE ledger_person SET last = {mark}"
            f" WHERE ledger = {self.number} AND tag = {mark}"
        )
        self.add_checkpoint = _CHECKPOINT.insert().values(ledger=self.number)
        self.erase_entry = (
            update(_ENTRY)
            .where(self._of(_ENTRY), _ENTRY.c.idx == bindparam("at_index"))
            .values(
                tag=None,
                own=None,
                audit=None,
                before=None,
                seal=bindparam("sealed"),
            )
        )
        self.move_entry = (
            update(_ENTRY)
            .where(self._of(_ENTRY), _ENTRY.c.idx == bindparam("at_index"))
            .values(
                tag=bindparam("to_tag"),
                own=bindparam("to_own"),
                seal=bindparam("sealed"),
            )
        )
        self.forget_person = _PERSON.delete().where(
            self._of(_PERSON), _PERSON.c.tag == bindparam("of_tag")
        )

    def _build_reads(self) -> None:
        """What the sequencer, the tree and the checkpoints read."""
        self.read_head = select(
            _HEAD.c.origin, _HEAD.c.size, _HEAD.c.nodes, _HEAD.c.latest
        ).where(self._of(_HEAD))
        self.lock_head = (
            "SELECT origin, size, nodes, latest FROM ledger_head"
            f" WHERE ledger = {self.number}"
        )
        if self._locks_rows:
            self.lock_head += " FOR UPDATE"
        # A look-up a tag on PostgreSQL too: where it has no statistics yet
        # it would read all people of the ledger, and leave most of them out.
        count = (
            "SELECT tag, counter, previous, EXISTS (SELECT 1 FROM"
            f" ledger_pending WHERE ledger_pending.ledger = {self.number}"
            " AND ledger_pending.tag = ledger_person.tag), last"
            " FROM ledger_person"
            f" WHERE ledger = {self.number} AND tag"
        )
        self._read_people = (
            "SELECT found.* FROM unnest(%b::bytea[]) AS wanted (tag),"
            f" LATERAL ({count} = wanted.tag LIMIT 1) AS found"
            if self._locks_rows
            else f"{count} IN "
        )
        mark = self._mark
        # These three run for every proof, so they go to the driver.
        self.head_now = (
            "SELECT origin, size, nodes FROM ledger_head"
            f" WHERE ledger = {self.number}"
        )
        self.tile_now = (
            f"SELECT hashes FROM ledger_tile WHERE ledger = {self.number}"
            f" AND level = {mark} AND number = {mark}"
        )
        self.leaves_now = (
            f"SELECT leaf FROM ledger_entry WHERE ledger = {self.number}"
            f" AND idx >= {mark} AND idx < {mark} ORDER BY idx"
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
        entry = [
            column
            for column in _ENTRY.c
            if column.name not in {"ledger", "before"}
        ]
        self._entries = select(*entry).where(self._of(_ENTRY))
        self.read_entry = self._entries.where(
            _ENTRY.c.idx == bindparam("at_index")
        )
        self.read_entries = self._between(select(*entry))
        # Of one chain: a page of it, the latest first; all its indexes; and
        # these again without the links.
        page = self._chain(bindparam("before"), bindparam("most"))
        self.own_entries = (
            select(*entry)
            .select_from(page)
            .join(_ENTRY, _ENTRY.c.idx == page.c.idx)
            .where(self._of(_ENTRY), page.c.idx < bindparam("before"))
            .order_by(page.c.idx.desc())
            .limit(bindparam("most"))
        )
        whole = self._chain()
        self.linked = select(whole.c.idx).order_by(whole.c.idx)
        self.tagged = (
            select(_ENTRY.c.idx)
            .where(
                self._of(_ENTRY),
                _ENTRY.c.tag.in_(bindparam("of_tags", expanding=True)),
            )
            .order_by(_ENTRY.c.idx)
        )
        self.entries_at = self._entries.where(
            _ENTRY.c.idx.in_(bindparam("places", expanding=True))
        ).order_by(_ENTRY.c.idx)
        self.place_of_leaf = (
            select(_ENTRY.c.idx)
            .select_from(whole)
            .join(_ENTRY, _ENTRY.c.idx == whole.c.idx)
            .where(self._of(_ENTRY), _ENTRY.c.leaf == bindparam("of_leaf"))
        )

    def _chain(
        self,
        before: ColumnElement[int] | None = None,
        most: ColumnElement[int] | None = None,
    ) -> CTE:
        """Follow a chain from its last entry, or from one of it, backwards.

        Args:
            before: Begin under this index, which may be of an entry of the
                chain; all of it if not given.
            most: Follow it no further than so many under `before`.

        Returns:
            The indexes of its entries. Links that rise are not followed, so
            a circle, which the ledger never makes, has an end.

        """
        ceiling = literal(_BEYOND) if before is None else before
        limit = literal(_BEYOND) if most is None else most
        tag: ColumnElement[Any] = bindparam("of_tag")
        entry, known, following = (
            _ENTRY.alias(),
            _ENTRY.alias(),
            _ENTRY.alias(),
        )
        start = func.coalesce(
            select(known.c.before)
            .where(self._of(known), known.c.idx == ceiling, known.c.tag == tag)
            .scalar_subquery(),
            select(_PERSON.c.last)
            .where(self._of(_PERSON), _PERSON.c.tag == tag)
            .scalar_subquery(),
        )

        def counted(index: ColumnElement[int]) -> ColumnElement[int]:
            return case((index < ceiling, 1), else_=0)

        chain = (
            select(
                entry.c.idx,
                entry.c.before,
                counted(entry.c.idx).label("shown"),
            )
            .where(self._of(entry), entry.c.idx == start, entry.c.tag == tag)
            .cte("chain", recursive=True)
        )
        return chain.union_all(
            select(
                following.c.idx,
                following.c.before,
                chain.c.shown + counted(following.c.idx),
            )
            .select_from(chain)
            .join(following, following.c.idx == chain.c.before)
            .where(
                self._of(following),
                following.c.tag == tag,
                following.c.idx < chain.c.idx,
                chain.c.shown < limit,
            )
        )

    def _build_checks(self) -> None:
        """What a sweep asks of the tables as wholes.

        One statement each, so that a writer cannot move the ledger in
        between.
        """
        people = self._grouped()
        last, waiting = _ENTRY.alias(), _PENDING.alias()
        leaf = func.coalesce(last.c.leaf, waiting.c.leaf)
        # A chain's row counts its entries and names the last one's leaf.
        self.people_amiss = (
            select(people.c.last)
            .select_from(people)
            .outerjoin(last, (last.c.idx == people.c.last) & self._of(last))
            .outerjoin(
                waiting,
                (waiting.c.number == people.c.last - _BEYOND)
                & self._of(waiting),
            )
            .outerjoin(
                _PERSON, (_PERSON.c.tag == people.c.tag) & self._of(_PERSON)
            )
            .where(
                _PERSON.c.tag.is_(None)
                | (_PERSON.c.counter != people.c.entries)
                | _PERSON.c.last.is_distinct_from(people.c.numbered)
                | (_PERSON.c.previous != leaf)
            )
            .order_by(people.c.last)
            .limit(1)
        )
        self.people_without = (
            select(func.count())
            .select_from(_PERSON)
            .outerjoin(people, people.c.tag == _PERSON.c.tag)
            # A negative counter is the mark of a chain that moved.
            .where(
                self._of(_PERSON),
                people.c.tag.is_(None),
                _PERSON.c.counter >= 0,
            )
        )
        earlier = func.lag(_ENTRY.c.idx).over(
            partition_by=_ENTRY.c.tag, order_by=_ENTRY.c.idx
        )
        links = (
            select(
                _ENTRY.c.idx,
                _ENTRY.c.before,
                case((_ENTRY.c.tag.is_not(None), earlier)).label("earlier"),
            )
            .where(self._of(_ENTRY))
            .subquery()
        )
        self.links_amiss = (
            select(links.c.idx)
            .where(links.c.before.is_distinct_from(links.c.earlier))
            .order_by(links.c.idx)
            .limit(1)
        )
        # Salted leaves are never equal: one that stands twice is a pending
        # row that somebody put back after it had got its index.
        self.leaves_twice = (
            select(func.max(_ENTRY.c.idx).label("index"))
            .where(self._of(_ENTRY))
            .group_by(_ENTRY.c.leaf)
            .having(func.count() > 1)
            .order_by("index")
            .limit(1)
        )
        self.bounds = select(
            self._size("size"),
            self._one(_ENTRY, func.min(_ENTRY.c.idx), "first"),
            self._one(_ENTRY, func.max(_ENTRY.c.idx), "last"),
            self._one(_TILE, func.count(), "tiles"),
            self._one(_CHECKPOINT, func.max(_CHECKPOINT.c.size), "signed"),
        )

    def _build_pending(self) -> None:
        """What adds entries that have no index yet, and gives them one."""
        self.add_pending = self._insert_many(_PENDING, without="number")
        pending = select(_PENDING).where(self._of(_PENDING))
        self.read_pending = pending.order_by(_PENDING.c.number).limit(
            bindparam("most")
        )
        self.any_pending = (
            select(_PENDING.c.number).where(self._of(_PENDING)).limit(1)
        )
        self.drop_pending = _PENDING.delete().where(
            self._of(_PENDING), _PENDING.c.number == bindparam("at_number")
        )

    def _build_withheld(self) -> None:
        """What is known of withheld entries."""
        table = _WITHHELD.c
        self.add_withheld = self._insert(_WITHHELD)
        known = select(
            table.place,
            table.whose,
            table.due,
            table.year,
            table.opened,
            table.sealed,
        ).where(self._of(_WITHHELD))
        self.read_withheld = known.where(table.place == bindparam("at_place"))
        self.withheld_of = known.where(table.whose == bindparam("of_whom"))
        self.withheld_due = self.withheld_of.where(
            table.due <= bindparam("until")
        )
        closed = known.where(table.opened == 0)
        self.withheld_queue = closed.order_by(table.due, table.place)
        self.withheld_overdue = closed.where(table.due <= bindparam("until"))
        self.withheld_page = (
            known.where(table.place > bindparam("after"))
            .order_by(table.place)
            .limit(bindparam("most"))
        )
        self.withheld_count = (
            select(table.year, func.count())
            .where(
                self._of(_WITHHELD),
                table.opened == 0,
                table.due > bindparam("until"),
            )
            .group_by(table.year)
        )
        self.first_day = select(_ENTRY.c.day).where(
            self._of(_ENTRY), _ENTRY.c.idx == 0
        )
        self.waiting_leaf = select(_PENDING.c.number).where(
            self._of(_PENDING),
            _PENDING.c.tag == bindparam("of_tag"),
            _PENDING.c.leaf == bindparam("of_leaf"),
        )
        self.set_withheld = (
            update(_WITHHELD)
            .where(self._of(_WITHHELD), table.place == bindparam("at_place"))
            .values(
                whose=bindparam("to_whose"),
                due=bindparam("to_due"),
                year=bindparam("to_year"),
                opened=bindparam("to_opened"),
                sealed=bindparam("to_sealed"),
            )
        )
        self.forget_withheld = _WITHHELD.delete().where(
            self._of(_WITHHELD), table.whose == bindparam("of_whom")
        )

    def read_people(
        self, conn: Connection, tags: Sequence[bytes]
    ) -> list[tuple[bytes, int, bytes, bool, int | None]]:
        """Read where people's counts stand.

        Args:
            conn: Where to read.
            tags: Tags of their chains; an unknown one gives no row.

        Returns:
            Tag, counter, leaf data of the last entry, whether any of the
            chain is pending, and the index of the last that is not.

        """
        found: list[tuple[bytes, int, bytes, bool, int | None]] = []
        for start in range(0, len(tags), _LARGEST_IN):
            some = tuple(tags[start : start + _LARGEST_IN])
            if self._locks_rows:
                rows = conn.exec_driver_sql(self._read_people, (list(some),))
            else:
                marks = ", ".join([self._mark] * len(some))
                rows = conn.exec_driver_sql(
                    f"{self._read_people}({marks})", some
                )
            found += [
                (bytes(tag), count, bytes(leaf), bool(pending), last)
                for tag, count, leaf, pending, last in rows
            ]
        return found

    def may_integrate(self, conn: Connection, *, wait: bool) -> bool:
        """Say whether this transaction is the one to number entries.

        On SQLite the writer's lock has said so. On PostgreSQL it is a lock
        of its own, so that workers do not queue up behind the head.

        Args:
            conn: Where the transaction runs.
            wait: For whoever does it now.

        """
        if not self._locks_rows:
            return True
        wanted = (_INTEGRATING, self.number)
        if wait:
            conn.exec_driver_sql(
                "SELECT pg_advisory_xact_lock(%s, %s)", wanted
            )
            return True
        found = conn.exec_driver_sql(
            "SELECT pg_try_advisory_xact_lock(%s, %s)", wanted
        )
        return bool(found.scalar())

    def lock_people(self, conn: Connection, tags: Iterable[bytes]) -> None:
        """Become the one transaction that adds to these people's chains.

        SQLite has locked the database already. On PostgreSQL it is a lock
        of the transaction on the tag, since a person's first entry finds no
        row to lock; in one order, so that nobody waits in a circle.

        Args:
            conn: Where the transaction runs.
            tags: Tags of their first chains.

        """
        if not self._locks_rows:
            return
        keys = sorted(
            int.from_bytes(tag[:8], "big", signed=True) for tag in tags
        )
        for start in range(0, len(keys), _LARGEST_IN):
            some = keys[start : start + _LARGEST_IN]
            conn.exec_driver_sql(
                "SELECT count(pg_advisory_xact_lock(key)) FROM"
                " (SELECT unnest(CAST(%s AS bigint[])) AS key) AS keys",
                (some,),
            )

    def lock_rows(self, conn: Connection, tags: Sequence[bytes]) -> None:
        """Lock the rows there are of chains, by rising tag.

        Args:
            conn: Where the transaction runs.
            tags: Of the chains.

        """
        if self._locks_rows and tags:
            conn.exec_driver_sql(
                "SELECT tag FROM ledger_person"
                f" WHERE ledger = {self.number} AND tag = ANY(%b::bytea[])"
                " ORDER BY tag FOR UPDATE",
                (list(tags),),
            )

    def audit_query(
        self,
        *,
        service: str | None,
        purpose: str | None,
        day_from: int | None,
        day_to: int | None,
        about_nobody: bool,
        few: bool,
        after: int,
        limit: int,
    ) -> Select[*tuple[Any, ...]]:
        """Select entries by their side columns, the oldest first.

        Args:
            service: Only of this service.
            purpose: Only of this purpose.
            day_from: Only from this day on, in days since 1970-01-01.
            day_to: Only up to this day, itself included.
            about_nobody: Only those with no person's tag.
            few: Whether few are asked for, among many: then they are found
                by their side columns, and put in order after.
            after: Only above this index.
            limit: At most so many.

        Returns:
            The query.

        """
        # As an expression it keeps a database from walking all entries in
        # order, to find the few.
        order = _ENTRY.c.idx + 0 if few else _ENTRY.c.idx
        query = self._entries.where(order > after)
        if service is not None:
            query = query.where(_ENTRY.c.service == service)
        if purpose is not None:
            query = query.where(_ENTRY.c.purpose == purpose)
        if day_from is not None:
            query = query.where(_ENTRY.c.day >= day_from)
        if day_to is not None:
            query = query.where(_ENTRY.c.day <= day_to)
        if about_nobody:
            query = query.where(_ENTRY.c.tag.is_(None))
        return query.order_by(order).limit(limit)

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
        place: ColumnElement[int] = _PENDING.c.number + _BEYOND
        every = union_all(
            select(
                _ENTRY.c.tag, _ENTRY.c.idx.label("place"), _ENTRY.c.idx
            ).where(self._of(_ENTRY), _ENTRY.c.tag.is_not(None)),
            select(_PENDING.c.tag, place, null()).where(
                self._of(_PENDING), _PENDING.c.tag.is_not(None)
            ),
        ).subquery()
        return (
            select(
                every.c.tag,
                func.count().label("entries"),
                func.max(every.c.place).label("last"),
                func.max(every.c.idx).label("numbered"),
            )
            .group_by(every.c.tag)
            .subquery()
        )

    def write(
        self, conn: Connection, insert: str, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Run an insert that `_insert_many` wrote.

        Args:
            conn: Where the transaction runs.
            insert: The statement.
            rows: Its rows, at least one; no key occurs in two of them.

        """
        if self._locks_rows:
            columns = tuple(map(list, zip(*rows, strict=True)))
            conn.exec_driver_sql(insert, columns)
        else:
            conn.exec_driver_sql(insert, list(rows))

    def _insert_many(self, table: Table, *, without: str = "") -> str:
        """Write what `write` runs: PostgreSQL gets columns, not rows.

        One statement with an array a column takes the server and the driver
        less than half of what a statement a row does; `%b` sends binary.
        """
        columns = [
            column for column in table.columns if column.name != without
        ]
        names = ", ".join(column.name for column in columns)
        into = f"INSERT INTO {table.name} ({names})"
        if not self._locks_rows:
            marks = ", ".join([self._mark] * (len(columns) - 1))
            return f"{into} VALUES ({self.number}, {marks})"
        # A cast to a length would cut what is longer; the column refuses it.
        kinds = [
            column.type.compile(dialect=self._dialect).partition("(")[0]
            for column in columns
            if column.name != "ledger"
        ]
        arrays = ", ".join(f"%b::{kind}[]" for kind in kinds)
        return f"{into} SELECT {self.number}, * FROM unnest({arrays})"

    def _insert(self, table: Table) -> str:
        """Write an insert whose first column, the ledger, stands fixed."""
        columns = [column.name for column in table.columns]
        marks = ", ".join([self._mark] * (len(columns) - 1))
        return (
            f"INSERT INTO {table.name} ({', '.join(columns)})"
            f" VALUES ({self.number}, {marks})"
        )
