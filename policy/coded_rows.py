"""Rows of one table that carry a code over their own columns.

What two officers settle waits in a row: who proposed it, what it is, what
became of it. Whoever can write the database alone could otherwise name
another proposer, and one officer would have approved their own (see
`consent.row_macs`). Here a row is inserted, changed and read with its code.
A change is made to the row that was read: where another stands there by
then, nothing is changed, and nothing is vouched for.

A row of earlier that is put back has a right code. That it is not the last
one is the ledger's to tell.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    literal_column,
    select,
    update,
)

from consent import RowMacs
from policy.facts import is_damage


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a row's code is over, and whether the code is right.

    Attributes:
        columns: by name; bytes as their SHA-256, ids as text; None where
            what is stored does not read.
        genuine: whether this instance wrote it so, demanded or not.
        unread: names of the columns that do not read.
    """

    columns: Mapping[str, Any]
    genuine: bool
    unread: tuple[str, ...] = ()


class CodedRows:
    """The rows of a table of one tenant, with their codes.

    Args:
        table: has the columns `tenant` and `mac`.
        macs: makes and checks the codes.
        tenant: whose rows.
        version: of what is covered; another one where columns change.
        but: columns that something else vouches for.
    """

    def __init__(
        self,
        table: Table,
        macs: RowMacs,
        tenant: str,
        *,
        version: int = 1,
        but: Sequence[str] = (),
    ) -> None:
        self.table = table
        self._macs = macs
        self._tenant = tenant
        self._kind = f"{table.name}/{version}"
        left_out = {"tenant", "mac", *but}
        self._covered = [
            one.name for one in table.columns if one.name not in left_out
        ]

    def insert(self, conn: Connection, values: Mapping[str, Any]) -> None:
        """Store a row of this tenant; columns left out are empty."""
        row = {**dict.fromkeys(self._covered), **values}
        row |= {"tenant": self._tenant, "mac": self._code(row)}
        conn.execute(self.table.insert().values(row))

    def free(self, conn: Connection, name: str, *, above: int) -> int:
        """Return the lowest number that no row has.

        Not one above the highest: a row that somebody put there, with the
        highest number that there is, would leave none.

        Args:
            conn: the transaction; no other one gives numbers meanwhile.
            name: the column.
            above: how high they were given before, whatever rows there are.
        """
        column = self.table.c[name]
        taken = frozenset(
            conn.execute(
                select(column).where(
                    self.table.c.tenant == self._tenant, column > above
                )
            ).scalars()
        )
        number = above + 1
        while number in taken:
            number += 1
        return number

    def change(
        self, conn: Connection, row: Row[Any], **changes: object
    ) -> bool:
        """Change a row that was read before.

        Returns:
            Whether it stood there as it was read; else nothing is changed.

        Raises:
            RowForged: it was not as this instance wrote it.
        """
        self.demand(row)
        anew = {**row._asdict(), **changes}
        return self._write(conn, row, {**changes, "mac": self._code(anew)})

    def demand(self, row: Row[Any]) -> None:
        """Make sure that a row is as it was written.

        Raises:
            RowForged: it is not.
        """
        covered = self._columns(row._asdict())
        self._macs.demand(row.mac, self._kind, *covered)

    def is_right(self, row: Row[Any]) -> bool:
        """Whether a row has its code, demanded or not."""
        return isinstance(row.mac, bytes) and hmac.compare_digest(
            row.mac, self._code(row._asdict())
        )

    def counts(self, row: Row[Any]) -> bool:
        """Whether a row has its code, or none is demanded."""
        return not self._macs.required or self.is_right(row)

    def rewrite(
        self, conn: Connection, row: Row[Any], **changes: object
    ) -> None:
        """Change a row that was read before, whoever wrote it.

        For what must not wait until a row is put right, as an erasure. One
        that has no right code gets none.
        """
        stored = row._asdict()
        code = None
        if self.is_right(row):
            code = self._code({**stored, **changes})
        key = [
            one == stored[one.name] for one in self.table.primary_key.columns
        ]
        conn.execute(
            update(self.table)
            .where(and_(self.table.c.tenant == self._tenant, *key))
            .values(**changes, mac=code)
        )

    def all(self, conn: Connection) -> Sequence[Row[Any]]:
        """Return what is covered of every row, by its key, whoever wrote it.

        The codes come with it.
        """
        mine = self.table.c.tenant == self._tenant
        key = self.table.primary_key.columns
        names = (*self._covered, "mac")
        return conn.execute(
            select(*(self.table.c[name] for name in names))
            .where(mine)
            .order_by(*key)
        ).all()

    def standing(self, conn: Connection) -> list[Standing]:
        """Return every row by its key, whoever wrote it.

        One of which a column does not read is returned, too.
        """
        try:
            return [self._standing(row) for row in self.all(conn)]
        except Exception as error:
            if not is_damage(error):
                raise
        # SQLite alone stores what is none of its column's type; a row of it
        # is found by its place, since its key need not read either.
        place: ColumnElement[int] = literal_column("rowid")
        mine = self.table.c.tenant == self._tenant
        key = self.table.primary_key.columns
        covered = [self.table.c[name] for name in (*self._covered, "mac")]
        return [
            self._anyhow(conn, select(*covered).where(place == found))
            for found in conn.execute(
                select(place)
                .select_from(self.table)
                .where(mine)
                .order_by(*key)
            ).scalars()
        ]

    def _standing(self, row: Row[Any]) -> Standing:
        columns = {name: _short(getattr(row, name)) for name in self._covered}
        return Standing(columns=columns, genuine=self.is_right(row))

    def _anyhow(self, conn: Connection, one: Select[Any]) -> Standing:
        try:
            return self._standing(conn.execute(one).one())
        except Exception as error:
            if not is_damage(error):
                raise
        found, unread = legible(conn, one)
        columns = {name: _short(found[name]) for name in self._covered}
        return Standing(columns=columns, genuine=False, unread=unread)

    def vouch(self, conn: Connection) -> int:
        """Make the codes of all rows that lack a right one, as they stand.

        Whoever has this done has looked through them first.

        Returns:
            Of how many rows.
        """
        return sum(
            self._write(conn, row, {"mac": self._code(row._asdict())})
            for row in self.all(conn)
            if not self.is_right(row)
        )

    def _write(
        self, conn: Connection, row: Row[Any], values: Mapping[str, object]
    ) -> bool:
        stored = row._asdict()
        same = [
            self.table.c[name].is_not_distinct_from(stored[name])
            for name in (*self._covered, "mac")
        ]
        done = conn.execute(
            update(self.table)
            .where(and_(self.table.c.tenant == self._tenant, *same))
            .values(**values)
        )
        return bool(done.rowcount)

    def _code(self, values: Mapping[str, Any]) -> bytes:
        return self._macs.of(self._kind, *self._columns(values))

    def _columns(self, values: Mapping[str, Any]) -> list[str | int | bytes]:
        return [_short(values[name]) for name in self._covered]


def legible(
    conn: Connection, one: Select[Any]
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Read a row column by column, as one of them does not read.

    Args:
        conn: the transaction.
        one: selects the row.

    Returns:
        The columns by name, None for those that do not read; their names.
    """
    found: dict[str, Any] = {}
    unread = []
    for column in one.selected_columns:
        try:
            found[column.name] = conn.execute(
                one.with_only_columns(column, maintain_column_froms=True)
            ).scalar_one()
        except Exception as error:
            if not is_damage(error):
                raise
            found[column.name] = None
            unread.append(column.name)
    return found, tuple(unread)


def _short(value: Any) -> Any:  # noqa: ANN401 - any column
    """Cover bytes by their digest, ids as text; the rest as it stands."""
    if isinstance(value, bytes):
        return hashlib.sha256(value).digest()
    if isinstance(value, UUID):
        return str(value)
    return value
