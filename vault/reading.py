"""Reads on a connection kept open, with statements compiled once.

SQLAlchemy's pool checkout and per-call compilation cost more than the query
of one person's rows. A `Reader` compiles each statement for its database
when it is made, keeps one driver connection a thread outside the pool, and
runs in autocommit, so that every query sees the newest committed state and
no snapshot is ever held open.
"""

import contextlib
import json
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Engine,
    Select,
    SingletonThreadPool,
    StaticPool,
    String,
    Uuid,
    any_,
    bindparam,
    func,
    select,
    union_all,
)
from sqlalchemy.sql.selectable import CompoundSelect
from sqlalchemy.types import TypeEngine

Row: TypeAlias = tuple[Any, ...]
Query: TypeAlias = Callable[..., list[Row]]
QueryEach: TypeAlias = Callable[..., list[list[Row]]]


class _Held:
    """One thread's connection; closed with the thread or the reader."""

    __slots__ = ("__weakref__", "_connection", "_driver", "cursor")

    def __init__(self, engine: Engine) -> None:
        opened = engine.connect().execution_options(look_ups=True)
        connection = opened.connection
        driver: Any = connection.driver_connection
        if not isinstance(engine.pool, (SingletonThreadPool, StaticPool)):
            # Such a pool has the one connection that knows the database.
            connection.detach()
        if engine.dialect.name == "postgresql":
            driver.autocommit = True
        self._driver = driver
        self._connection = opened
        self.cursor: Any = connection.cursor()

    def lost(self) -> bool:
        """Say whether the server went away, as psycopg notes it."""
        return bool(getattr(self._driver, "closed", False))

    def close(self) -> None:
        """Close for good."""
        with contextlib.suppress(Exception):
            self.cursor.close()
            self._connection.close()

    def __del__(self) -> None:
        self.close()


class Listed:
    """Ids as the one parameter of a `ManyQuery`, for several of them."""

    __slots__ = ("value",)

    def __init__(self, reader: "Reader", subjects: Iterable[UUID]) -> None:
        """Take ids of a database."""
        own = [*map(reader.subject, subjects)]
        self.value: object = own if reader.native_uuid else json.dumps(own)


class PreparedQuery:
    """A query compiled once, and run on the caller's connection."""

    __slots__ = ("_names", "_own", "_sql")

    def __init__(self, engine: Engine, statement: Select[Any]) -> None:
        """Compile for the engine's database.

        Args:
            engine: the database.
            statement: its own parameters have names.

        """
        compiled = statement.compile(dialect=engine.dialect)
        self._sql = str(compiled)
        self._names = tuple(compiled.positiontup or ())
        # What SQLAlchemy adds, as the offset beside a limit on SQLite.
        self._own = {
            name: value
            for name, value in compiled.params.items()
            if value is not None
        }

    def rows(
        self,
        conn: Connection,
        **values: Any,  # noqa: ANN401 - whatever the statement takes
    ) -> Sequence[Row]:
        """Run; values come as the driver gives them.

        Args:
            conn: the transaction to read in.
            values: the parameters, as the driver takes them.

        """
        bound: Any = {**self._own, **values}
        if self._names:
            bound = tuple([bound[name] for name in self._names])
        found = conn.exec_driver_sql(self._sql, bound)
        cursor: Any = found.cursor
        # From the driver itself: wrapping each row costs as much as it.
        rows: Sequence[Row] = cursor.fetchall()
        found.close()
        return rows


class ManyQuery:
    """A query about many people, compiled once, on the caller's connection.

    An ``IN`` of hundreds of parameters costs more to compile and to bind
    than to answer, so the ids are one parameter: ``subjects``.
    """

    __slots__ = ("_native", "_query")

    def __init__(self, engine: Engine, statement: Select[Any]) -> None:
        """Compile for the engine's database.

        Args:
            engine: the database.
            statement: with named bind parameters only, one of them that of
                `among` or `each_of`.

        """
        self._query = PreparedQuery(engine, statement)
        self._native = engine.dialect.supports_native_uuid

    def rows(
        self,
        conn: Connection,
        subjects: Iterable[Any] | Listed,
        **more: Any,  # noqa: ANN401 - whatever the statement takes
    ) -> Sequence[Row]:
        """Run for some people; values come as the driver gives them.

        Args:
            conn: the transaction to read in.
            subjects: ids as `Reader.subject` gives them, or listed.
            more: the other parameters.

        """
        if isinstance(subjects, Listed):
            listed: Any = subjects.value
        else:
            listed = [*subjects]
            if not self._native:
                listed = json.dumps(listed)
        return self._query.rows(conn, subjects=listed, **more)


def among(engine: Engine, column: Any) -> Any:  # noqa: ANN401 - clauses of some dialect
    """Say that a column of ids is among the ``subjects`` of a `ManyQuery`."""
    if engine.dialect.name == "postgresql":
        return column == any_(bindparam("subjects", type_=ARRAY(Uuid)))
    return column.in_(select(each_of(engine).c.value))


def each_of(engine: Engine) -> Any:  # noqa: ANN401 - a table of some dialect
    """Give the ``subjects`` of a `ManyQuery` as a table, column `value`."""
    if engine.dialect.name == "postgresql":
        subjects = bindparam("subjects", type_=ARRAY(Uuid))
        return func.unnest(subjects).table_valued("value").render_derived()
    listed = func.json_each(bindparam("subjects", type_=String))
    return listed.table_valued("value")


class Reader:
    """Prepared reads of one database, safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        """Compile nothing and connect nowhere yet."""
        self._engine = engine
        self._local = threading.local()
        self._all: weakref.WeakSet[_Held] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._error: Any = engine.dialect.loaded_dbapi.Error
        self.native_uuid = engine.dialect.supports_native_uuid

    def close(self) -> None:
        """Close every thread's connection; a later read opens a new one."""
        with self._lock:
            held = list(self._all)
            self._local = threading.local()
        for one in held:
            one.close()

    def subject(self, subject: UUID) -> Any:  # noqa: ANN401 - the driver's own form
        """Give a subject id as this database's driver takes it."""
        return subject if self.native_uuid else subject.hex

    def uuid(self, stored: Any) -> UUID:  # noqa: ANN401 - the driver's own form
        """Read a subject id as this database's driver gives it."""
        return stored if isinstance(stored, UUID) else UUID(hex=stored)

    def prepare(
        self, statement: Select[Any] | CompoundSelect[Any], *names: str
    ) -> Query:
        """Compile a query once.

        Args:
            statement: a Core select with named bind parameters only.
            names: the order in which the query takes its arguments.

        Returns:
            A function from arguments (in driver form) to rows.

        """
        dialect = self._engine.dialect
        compiled = statement.compile(dialect=dialect)
        sql = str(compiled)
        if not compiled.positional:
            return lambda *values: self._run(
                sql, dict(zip(names, values, strict=True))
            )
        order = tuple(compiled.positiontup or ())
        if order == names:
            return lambda *values: self._run(sql, values)
        places = [names.index(name) for name in order]
        return lambda *values: self._run(
            sql, tuple([values[place] for place in places])
        )

    def prepare_each(
        self,
        build: Callable[[ColumnElement[Any]], Sequence[Select[Any]]],
        kind: TypeEngine[Any],
        *names: str,
    ) -> QueryEach:
        """Compile a query about several things at once; PostgreSQL only.

        One message and its answer serve all of them. What is listed twice
        is looked up twice, so a stand-in costs what it stands for.

        Args:
            build: makes the selects of the query, given the expression of
                the thing; their rows are put together.
            kind: the thing's type.
            names: the order in which the query takes its other arguments.

        Returns:
            A function from things and arguments to the rows of each.

        """
        selects: list[Select[Any]] = []
        for _ in build(bindparam("unused")):
            listed = (
                func.unnest(bindparam("listed", type_=ARRAY(kind)))
                .table_valued("thing", with_ordinality="place")
                .render_derived()
            )
            one = build(listed.c.thing)[len(selects)]
            selects.append(one.add_columns(listed.c.place))
        statement = selects[0] if len(selects) == 1 else union_all(*selects)
        sql = str(statement.compile(dialect=self._engine.dialect))

        def run(things: Sequence[Any], *values: Any) -> list[list[Row]]:  # noqa: ANN401 - as `Query`
            given = dict(zip(names, values, strict=True))
            found: list[list[Row]] = [[] for _ in things]
            for *row, place in self._run(sql, {**given, "listed": [*things]}):
                found[place - 1].append(tuple(row))
            return found

        return run

    def _run(self, sql: str, values: Any) -> list[Row]:  # noqa: ANN401 - tuple or mapping
        held: _Held | None = getattr(self._local, "held", None)
        if held is None:
            held = self._connect()
        try:
            held.cursor.execute(sql, values)
        except self._error:
            if not held.lost():
                raise
            # The server went away between two reads: once more, on a new
            # connection.
            held = self._connect()
            held.cursor.execute(sql, values)
        rows: list[Row] = held.cursor.fetchall()
        return rows

    def _connect(self) -> _Held:
        held = _Held(self._engine)
        with self._lock:
            self._all.add(held)
            self._local.held = held
        return held
