"""How the gate reads: inline where a read is a memory look-up, else aside.

A read of SQLite's page cache takes a few microseconds, so handing it to a
thread would cost more than the read. A read of PostgreSQL waits for a
network answer, so it must not hold the event loop.

Each thread keeps one connection for its reads: taking one from the pool and
giving it back costs as much as the reads themselves, and on a server three
messages more (is it alive, BEGIN, COMMIT). A server is read in autocommit:
its transactions read what is committed at each statement (`api.databases`),
so a transaction around reads alone would promise nothing.
"""

import asyncio
import sqlite3
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ClauseElement

T = TypeVar("T")


class Reader:
    """Runs read-only work on a database without blocking the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._inline = engine.dialect.name == "sqlite"
        self._kept = threading.local()
        # Weak, so that a thread that ends gives its connection back.
        self._all: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._lock = threading.Lock()

    async def __call__(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, as `now` does, and return its result."""
        if self._inline:
            return self.now(work)
        return await asyncio.to_thread(self.now, work)

    def now(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on the calling thread.

        On SQLite all of it sees one state. On a server each statement sees
        what is committed when it begins. Where the connection was lost since
        the last read, `work` is run once more from its beginning.
        """
        try:
            return self._run(work)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        except sqlite3.ProgrammingError:
            # Of a connection that somebody closed; else it comes again.
            pass
        self.release()
        return self._run(work)

    def release(self) -> None:
        """Close the calling thread's own connection, if it keeps one."""
        kept = self._kept.__dict__.pop("connection", None)
        if kept is not None:
            with self._lock:
                self._all.discard(kept)
            kept.close()

    def close(self) -> None:
        """Close every thread's connection; call once nobody reads any more."""
        with self._lock:
            kept = [*self._all]
            self._all.clear()
            self._kept = threading.local()
        for one in kept:
            one.close()

    def _run(self, work: Callable[[Connection], T]) -> T:
        kept = self._own()
        if not self._inline:
            with kept.begin():
                return work(kept)
        # Asked of the driver: SQLAlchemy's own way to begin and to end costs
        # more than a look-up. What only read is as well rolled back.
        driver: Any = kept.connection.driver_connection
        driver.execute("BEGIN")
        try:
            return work(kept)
        finally:
            if kept.in_transaction():
                kept.rollback()
            else:
                driver.rollback()

    def _own(self) -> Connection:
        """The calling thread's own connection."""
        try:
            found: Connection = self._kept.connection
        except AttributeError:
            found = self._kept.connection = self._reading()
            with self._lock:
                self._all.add(found)
        return found

    def _reading(self) -> Connection:
        opened = self._engine.connect().execution_options(read_only=True)
        if self._inline:
            return opened.execution_options(begun=True)
        return opened.execution_options(
            look_ups=True, isolation_level="AUTOCOMMIT"
        )


class DriverStatement:
    """A statement compiled once for a dialect and run by the driver.

    Args:
        engine: whose dialect it is compiled for.
        statement: with named parameters only; no UUID among its results.
    """

    def __init__(self, engine: Engine, statement: ClauseElement) -> None:
        compiled = statement.compile(dialect=engine.dialect)
        self._sql = str(compiled)
        self._names: list[str] | None = getattr(compiled, "positiontup", None)
        self._hex_ids = engine.dialect.name == "sqlite"

    def rows(
        self, conn: Connection, values: Mapping[str, object]
    ) -> list[tuple[Any, ...]]:
        """Run a select in the caller's transaction."""
        cursor = self._run(conn, values)
        try:
            return list(cursor.fetchall())
        finally:
            cursor.close()

    def write(self, conn: Connection, values: Mapping[str, object]) -> None:
        """Run an insert in the caller's transaction."""
        self._run(conn, values).close()

    def write_many(
        self, conn: Connection, rows: Sequence[Mapping[str, object]]
    ) -> None:
        """Run an insert for each of some rows in the caller's transaction."""
        self._write_bound(conn, [self._bound(row) for row in rows])

    def write_tuples(
        self,
        conn: Connection,
        names: Sequence[str],
        rows: Sequence[tuple[object, ...]],
    ) -> None:
        """Run an insert as `write_many`, for rows by the thousand.

        Args:
            conn: the transaction.
            names: of the parameters, in the order in which each row has them.
            rows: of what the driver takes as it is; of an id, what `bind`
                gives.
        """
        bound: Any = rows
        if self._names is None:
            bound = [dict(zip(names, row, strict=True)) for row in rows]
        elif self._names != [*names]:
            bound = map(itemgetter(*map(names.index, self._names)), rows)
        self._write_bound(conn, bound)

    def _write_bound(self, conn: Connection, bound: Any) -> None:  # noqa: ANN401 - tuples or mappings
        driver: Any = conn.connection
        cursor = driver.cursor()
        try:
            cursor.executemany(self._sql, bound)
        finally:
            cursor.close()

    def _run(self, conn: Connection, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - the driver's own cursor
        driver: Any = conn.connection
        cursor = driver.cursor()
        cursor.execute(self._sql, self._bound(values))
        return cursor

    def _bound(self, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - tuple or mapping
        bound = {name: self.bind(value) for name, value in values.items()}
        if self._names is None:
            return bound
        return tuple([bound[name] for name in self._names])

    def bind(self, value: object) -> object:
        """Give a value as the driver takes it."""
        return value.hex if self._hex_ids and type(value) is UUID else value
