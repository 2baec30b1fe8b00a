"""Writes of many rows with a statement compiled once.

SQLAlchemy prepares the parameters of every row anew; for an import that is
a third of the work. A `Bulk` compiles its statement for the database when it
is made and hands rows to the driver as they are, so ids must be in the
driver's own form (`vault.reading.Reader.subject`).
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine
from sqlalchemy.sql.dml import UpdateBase

Rows: TypeAlias = Sequence[dict[str, Any]]


class Bulk:
    """One statement, run for many rows in the caller's transaction."""

    __slots__ = ("_cells", "_sql")

    def __init__(self, engine: Engine, statement: UpdateBase) -> None:
        """Compile for the engine's database."""
        compiled = statement.compile(dialect=engine.dialect)
        self._sql = str(compiled)
        names = tuple(compiled.positiontup or ())
        self._cells = itemgetter(*names) if compiled.positional else None

    def run(self, conn: Connection, rows: Rows) -> int:
        """Run for each row; at least one must be given.

        Returns:
            How many rows of the table were touched in all.

        """
        cells = self._cells
        given: Any = rows if cells is None else [cells(row) for row in rows]
        return conn.exec_driver_sql(self._sql, list(given)).rowcount
