"""Reads that are compiled once and run by the driver.

A statement of SQLAlchemy Core costs several times what SQLite needs to run
it. The reads that precede every disclosure are compiled to the dialect's SQL
when the store is made, and then only bound and run.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    Engine,
    String,
    Uuid,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.elements import ClauseElement

STRANGE = (TypeError, ValueError, LookupError, AttributeError, OverflowError)
"""What Python says when a column holds something of another form."""


class PreparedSelect:
    """One select, ready to run.

    Args:
        engine: where it runs when no connection is passed.
        statement: a select whose parameters are all named.
    """

    def __init__(self, engine: Engine, statement: ClauseElement) -> None:
        compiled = statement.compile(dialect=engine.dialect)
        self._engine = engine
        self._sql = str(compiled)
        # The names in order, for drivers that bind by position.
        self._names: list[str] | None = getattr(compiled, "positiontup", None)
        self._hex_ids = engine.dialect.name == "sqlite"

    def rows(
        self, values: Mapping[str, object], conn: Connection | None = None
    ) -> list[tuple[Any, ...]]:
        """Run the select.

        Args:
            values: a value for each parameter.
            conn: the transaction to read in; None reads what is committed.

        Returns:
            The rows, as the driver gives them.
        """
        if conn is not None:
            # The connection is the caller's; only the cursor is ours.
            driver: Any = conn.connection
            return self._run(driver.cursor(), values)
        borrowed = self._engine.raw_connection()
        try:
            return self._run(borrowed.cursor(), values)
        finally:
            borrowed.close()

    def _run(
        self, cursor: DBAPICursor, values: Mapping[str, object]
    ) -> list[tuple[Any, ...]]:
        bound = {name: self._bind(value) for name, value in values.items()}
        try:
            if self._names is None:
                cursor.execute(self._sql, bound)
            else:
                cursor.execute(
                    self._sql, tuple(bound[name] for name in self._names)
                )
            return list(cursor.fetchall())
        finally:
            cursor.close()

    def _bind(self, value: object) -> object:
        if isinstance(value, list):
            return (
                json.dumps([one.hex for one in value])
                if (self._hex_ids)
                else value
            )
        if self._hex_ids and isinstance(value, UUID):
            return value.hex
        return value


def among(engine: Engine, column: Any, name: str) -> Any:  # noqa: ANN401 - clauses of some dialect
    """Say that a column of ids is among a list that is one parameter.

    An ``IN`` of hundreds of parameters costs more to bind than to answer.

    Args:
        engine: whose dialect it is for.
        column: of type ``Uuid``.
        name: of the parameter; `PreparedSelect.rows` takes a list for it.
    """
    if engine.dialect.name == "postgresql":
        return column == any_(bindparam(name, type_=ARRAY(Uuid)))
    listed = func.json_each(bindparam(name, type_=String)).table_valued(
        "value"
    )
    return column.in_(select(listed.c.value))


def listed(own: Sequence[object], *, native: bool) -> object:
    """Give people as the one parameter of `among`, for several statements.

    Args:
        own: their ids as the driver takes them.
        native: whether that is as they are, or else hex.
    """
    return [*own] if native else json.dumps(own)


def id_text(value: object) -> str:
    """Return an id as text, also one that is damaged and none."""
    try:
        return str(value if isinstance(value, UUID) else UUID(hex=str(value)))
    except ValueError:
        return str(value)


def as_uuid(value: UUID | str) -> UUID:
    """Return an id as the driver gave it: PostgreSQL's own type, or hex.

    Args:
        value: a column of type ``Uuid`` in a driver's row.

    Returns:
        The id.
    """
    return value if isinstance(value, UUID) else UUID(hex=value)
