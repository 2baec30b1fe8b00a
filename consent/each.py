"""Reads about several people who are each answered apart, in one go.

Unlike the reads of `consent.many`, whoever is listed twice is looked up twice,
and the order is kept: a stand-in for somebody unknown costs what they would.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    Uuid,
    bindparam,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine.interfaces import DBAPICursor


class PreparedForEach:
    """One select about one person, run about several in one go.

    On SQLite it is run for each: a statement there is a call of a function.
    On PostgreSQL it is one statement, joined with the list of people,
    because there a statement is a message and its answer. Somebody who is
    listed twice is looked up twice, so a stand-in costs what it stands for.

    Args:
        engine: for whose dialect it is compiled.
        build: makes the select, given the expression of the person's id; its
            other parameters are all named.
    """

    def __init__(
        self,
        engine: Engine,
        build: Callable[[ColumnElement[Any]], Select[*tuple[Any, ...]]],
    ) -> None:
        self._together = engine.dialect.name == "postgresql"
        if self._together:
            listed = (
                func.unnest(bindparam("subjects", type_=ARRAY(Uuid())))
                .table_valued("subject", with_ordinality="place")
                .render_derived()
            )
            statement = build(listed.c.subject).add_columns(listed.c.place)
        else:
            statement = build(bindparam("subject"))
        compiled = statement.compile(dialect=engine.dialect)
        self._sql = str(compiled)
        self._names: list[str] | None = getattr(compiled, "positiontup", None)

    def rows(
        self,
        conn: Connection,
        subjects: Sequence[UUID],
        values: Mapping[str, object],
    ) -> list[list[tuple[Any, ...]]]:
        """Run the select in the caller's transaction.

        Args:
            conn: the transaction.
            subjects: the people.
            values: a value for each other parameter.

        Returns:
            The rows of each person, in the order of `subjects`, as the
            driver gives them; within one person in the order of the select.
        """
        driver: Any = conn.connection
        cursor = driver.cursor()
        try:
            if self._together:
                return self._joined(cursor, subjects, values)
            return self._each(cursor, subjects, values)
        finally:
            cursor.close()

    def _joined(
        self,
        cursor: DBAPICursor,
        subjects: Sequence[UUID],
        values: Mapping[str, object],
    ) -> list[list[tuple[Any, ...]]]:
        cursor.execute(self._sql, {**values, "subjects": list(subjects)})
        found: list[list[tuple[Any, ...]]] = [[] for _ in subjects]
        for *row, place in cursor.fetchall():
            found[place - 1].append(tuple(row))
        return found

    def _each(
        self,
        cursor: DBAPICursor,
        subjects: Sequence[UUID],
        values: Mapping[str, object],
    ) -> list[list[tuple[Any, ...]]]:
        names = self._names or []
        bound = [values.get(name) for name in names]
        place = names.index("subject")
        found: list[list[tuple[Any, ...]]] = []
        for subject in subjects:
            bound[place] = subject.hex
            cursor.execute(self._sql, bound)
            found.append(list(cursor.fetchall()))
        return found
