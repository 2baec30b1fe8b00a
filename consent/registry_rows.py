"""What stands under one tenant's registry, and the code over all of it.

A declaration is immutable under its digest, so nobody who edits one widens
it. But which declarations there are decides as well: one version more or
less, and another one is in force. So the row that counts the changes carries
a code over the count and over every row that stands under it: what is added,
taken away or moved is noticed, and so is the row of an earlier count.

Rows and code are read in one statement, hence of one state of the database.
Whoever changes something holds the row's lock from before the change, finds
the code right, and says which rows they changed: the code is then written
over what stood there and those. What somebody else put there in the meantime
is under no code, and refused from then on.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Connection,
    Engine,
    Select,
    bindparam,
    cast,
    literal_column,
    null,
    select,
    text,
    union_all,
)
from sqlmodel import col

from consent.prepared import PreparedSelect
from consent.row_macs import RowMacs
from consent.tables import DeclarationRow, RegistryRow

KIND = "consent_registry"
_TENANT: BindParameter[str] = bindparam("tenant")
_MARK = select(col(RegistryRow.revision), col(RegistryRow.mac)).where(
    col(RegistryRow.tenant) == _TENANT
)
_DECLARATIONS = select(
    col(DeclarationRow.digest),
    col(DeclarationRow.version),
    col(DeclarationRow.service),
    col(DeclarationRow.purpose),
    col(DeclarationRow.text),
).where(col(DeclarationRow.tenant) == _TENANT)
_LOCK = text(
    "INSERT INTO consent_registry (tenant, revision) VALUES (:tenant, 0)"
    " ON CONFLICT (tenant) DO UPDATE SET revision = consent_registry.revision"
)
_WRITE = text(
    "UPDATE consent_registry SET revision = :revision, mac = :mac"
    " WHERE tenant = :tenant"
)


class Mark(NamedTuple):
    """The count of changes, and the code that stands beside it."""

    revision: int
    mac: bytes | None


class DeclarationFields(NamedTuple):
    """The columns of a declaration's row."""

    digest: str
    version: int
    service: str
    purpose: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that stands under the registry, of one state of the database.

    Attributes:
        mark: the count that it stands under.
        declarations: the declarations.
        beside: the rows of others that the count is about as well.
    """

    mark: Mark
    declarations: Sequence[DeclarationFields]
    beside: Sequence[tuple[Any, ...]]


class Change:
    """What is to stand under the registry once a change is done.

    Args:
        before: what stood there.
    """

    def __init__(self, before: Standing) -> None:
        self._mark = before.mark
        self._declarations = {one.digest: one for one in before.declarations}
        self._beside = [tuple(one) for one in before.beside]

    def declared(self, row: DeclarationFields) -> None:
        """Say that a declaration was added."""
        self._declarations[row.digest] = row

    def withdrawn(self, digest: str) -> None:
        """Say that a declaration was taken away."""
        self._declarations.pop(digest, None)

    def beside(self) -> Sequence[tuple[Any, ...]]:
        """Return the rows of others, as they are to stand there."""
        return self._beside

    def put(
        self, row: tuple[Any, ...], before: tuple[Any, ...] | None = None
    ) -> None:
        """Say that a row of others was added, or changed from another.

        Args:
            row: all of its columns.
            before: what it was; None for a new one.

        Raises:
            ValueError: no such row stood there.
        """
        if before is not None:
            self._beside.remove(before)
        self._beside.append(row)

    def standing(self) -> Standing:
        """Return all that is to stand there, under the next count."""
        return Standing(
            mark=Mark(self._mark.revision + 1, None),
            declarations=[*self._declarations.values()],
            beside=self._beside,
        )


class RegistryRows:
    """Reads what stands under a tenant's registry, and vouches for it.

    Args:
        engine: the data database.
        tenant: whose registry.
        macs: makes and checks the code.
        beside: selects rows of others that stand under the same count, by a
            parameter `tenant`; None where there are none.
    """

    def __init__(
        self,
        engine: Engine,
        tenant: str,
        macs: RowMacs,
        beside: Select[Any] | None,
    ) -> None:
        self._macs = macs
        self._whose = {"tenant": tenant}
        self._mark = PreparedSelect(engine, _MARK)
        parts = [_MARK, _DECLARATIONS, *([] if beside is None else [beside])]
        self._all = PreparedSelect(engine, _at_once(parts))
        self._widths = [len(one.selected_columns) for one in parts]

    def mark(self, conn: Connection | None = None) -> Mark:
        """Return the count and its code, unchecked; cheaper than `read`."""
        rows = self._mark.rows(self._whose, conn)
        return Mark(*rows[0]) if rows else Mark(0, None)

    def read(self, conn: Connection | None = None) -> Standing:
        """Return what stands there.

        Args:
            conn: a transaction to read in; None reads what is committed.

        Raises:
            RowForged: it is not what was written under this count.
        """
        found = self._found(conn)
        self._macs.demand(found.mark.mac, KIND, *_covered(found))
        return found

    def unchecked(self, conn: Connection) -> Standing:
        """Return what stands there, whoever wrote it."""
        return self._found(conn)

    @contextmanager
    def change(self, conn: Connection) -> Iterator[Change]:
        """Count what is changed inside, and vouch for it.

        None of ours changes anything between here and the end of the
        caller's transaction. Where the change raises, nothing is counted.

        Args:
            conn: the caller's transaction.

        Yields:
            What hears of each row that is changed.

        Raises:
            RowForged: what stands there before is not what was written.
        """
        conn.execute(_LOCK, self._whose)
        change = Change(self.read(conn))
        yield change
        self._write(conn, change.standing())

    def vouch(self, conn: Connection) -> Standing:
        """Vouch for what stands there, whoever wrote it.

        Args:
            conn: the caller's transaction.

        Returns:
            What was vouched for; by now something else may stand there.
        """
        conn.execute(_LOCK, self._whose)
        standing = Change(self._found(conn)).standing()
        self._write(conn, standing)
        return standing

    def _write(self, conn: Connection, standing: Standing) -> None:
        revision = standing.mark.revision
        mac = self._macs.of(KIND, *_covered(standing))
        conn.execute(_WRITE, {**self._whose, "revision": revision, "mac": mac})

    def _found(self, conn: Connection | None) -> Standing:
        marks, declarations, beside = self._split(
            self._all.rows(self._whose, conn)
        )
        return Standing(
            mark=Mark(*marks[0]) if marks else Mark(0, None),
            declarations=[DeclarationFields(*row) for row in declarations],
            beside=beside,
        )

    def _split(
        self, rows: Iterable[tuple[Any, ...]]
    ) -> list[list[tuple[Any, ...]]]:
        """Give each part its rows back, and no row where there is no part."""
        ends = [1]
        for width in self._widths:
            ends.append(ends[-1] + width)
        found: list[list[tuple[Any, ...]]] = [[], [], []]
        for row in rows:
            part = row[0]
            found[part].append(tuple(row[ends[part] : ends[part + 1]]))
        return found


def _at_once(parts: Sequence[Select[Any]]) -> CompoundSelect[Any]:
    """Select several things in one statement.

    Each row says first of which it is, and is empty in others' columns.
    """
    tables = [one.subquery() for one in parts]
    return union_all(
        *[
            select(
                literal_column(str(place)),
                *[
                    column if table is own else cast(null(), column.type)
                    for table in tables
                    for column in table.columns
                ],
            )
            for place, own in enumerate(tables)
        ]
    )


def _covered(found: Standing) -> list[Any]:
    """All that the code is over; how many rows there are comes before them.

    Of a declaration its text is left out: the digest is of it.
    """
    declared = sorted([one[:-1] for one in found.declarations], key=repr)
    beside = sorted([tuple(one) for one in found.beside], key=repr)
    return [
        found.mark.revision,
        len(declared),
        *chain.from_iterable(declared),
        len(beside),
        *chain.from_iterable(beside),
    ]
