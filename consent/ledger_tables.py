"""The ledger's tables. They stand in the data database (DESIGN, 1).

An entry's columns beside the leaf are exactly what DESIGN allows: service,
purpose and day, a keyed tag by which a person's own entries are found, the
two sealed openings, and a seal over the row. Statements of the hot path are
in `sequencer`; the schema is here.
"""

from sqlalchemy import (
    BigInteger,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    text,
)
from sqlmodel import Field, SQLModel

LEDGER_METADATA = MetaData()
# SQLite makes a column its row number only under the name INTEGER, which
# has 64 bits there.
_ROW_NUMBER = BigInteger().with_variant(Integer, "sqlite")


class LedgerTable(SQLModel):
    """Base that keeps the ledger's tables in a metadata of their own."""

    metadata = LEDGER_METADATA


class HeadRow(LedgerTable, table=True):
    """The one row that whoever appends locks first.

    It holds the size and the right edge of the tree, so that a writer needs
    no memory of its own and several may take turns.
    """

    __tablename__ = "ledger_head"

    id: int = Field(
        primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    origin: str = Field(max_length=255)
    size: int = Field(sa_type=BigInteger)
    nodes: bytes = Field(sa_type=LargeBinary)


class EntryRow(LedgerTable, table=True):
    """One entry: its leaf data, side columns and sealed openings."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        Index(
            "ledger_entry_tag",
            "tag",
            "idx",
            sqlite_where=text("tag IS NOT NULL"),
            postgresql_where=text("tag IS NOT NULL"),
        ),
        Index("ledger_entry_side", "service", "purpose", "day"),
        Index("ledger_entry_day", "day"),
    )

    idx: int = Field(
        primary_key=True,
        sa_type=_ROW_NUMBER,
        sa_column_kwargs={"autoincrement": False},
    )
    leaf: bytes = Field(sa_type=LargeBinary)
    tag: bytes | None = Field(default=None, sa_type=LargeBinary)
    service: str = Field(max_length=128)
    purpose: str = Field(max_length=128)
    day: int
    own: bytes | None = Field(default=None, sa_type=LargeBinary)
    audit: bytes | None = Field(default=None, sa_type=LargeBinary)
    seal: bytes = Field(sa_type=LargeBinary)


class PersonRow(LedgerTable, table=True):
    """How many entries there are about a person, and the last one's leaf."""

    __tablename__ = "ledger_person"
    __table_args__ = {"sqlite_with_rowid": False}

    tag: bytes = Field(primary_key=True, sa_type=LargeBinary)
    counter: int = Field(sa_type=BigInteger)
    previous: bytes = Field(sa_type=LargeBinary)


class TileRow(LedgerTable, table=True):
    """Up to 256 hashes of one level: https://c2sp.org/tlog-tiles.

    A row of level 0 is written once its 256 entries are there; until then
    the entries themselves give it. The rows above grow.
    """

    __tablename__ = "ledger_tile"

    level: int = Field(
        primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    number: int = Field(
        primary_key=True,
        sa_type=BigInteger,
        sa_column_kwargs={"autoincrement": False},
    )
    hashes: bytes = Field(sa_type=LargeBinary)


class CheckpointRow(LedgerTable, table=True):
    """A checkpoint that was signed, at most one a size."""

    __tablename__ = "ledger_checkpoint"

    size: int = Field(
        primary_key=True,
        sa_type=_ROW_NUMBER,
        sa_column_kwargs={"autoincrement": False},
    )
    root: bytes = Field(sa_type=LargeBinary)
    note: str
    at: int = Field(sa_type=BigInteger)
    seal: bytes = Field(sa_type=LargeBinary)
