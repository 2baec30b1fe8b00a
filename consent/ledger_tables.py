"""The ledger's tables. They stand in the data database (DESIGN, 1).

An entry's columns beside the leaf are exactly what DESIGN allows: service,
purpose and day, a keyed tag by which a person's own entries are found, the
two sealed openings, and a seal over the row. The number of the ledger
(`ledger_statements.ledger_number`) begins every key, so that tenants who
share a database never meet.
"""

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, text
from sqlmodel import Field

from consent.tables import ConsentTable

_GIVEN = {"autoincrement": False}


class HeadRow(ConsentTable, table=True):
    """The row that whoever appends to a ledger locks first.

    It holds the size and the right edge of the tree, so that a writer needs
    no memory of its own and several may take turns; and the latest time of
    an entry, by which a clock that goes backwards is noticed.
    """

    __tablename__ = "ledger_head"

    ledger: int = Field(primary_key=True, sa_column_kwargs=_GIVEN)
    origin: str = Field(max_length=255)
    size: int = Field(sa_type=BigInteger)
    nodes: bytes = Field(sa_type=LargeBinary)
    latest: int = Field(
        sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")}
    )


class EntryRow(ConsentTable, table=True):
    """One entry: its leaf data, side columns and sealed openings.

    `before` is the index of the entry before it in its chain: the person's
    row names the last one, and from there each names the next (`chains`).
    """

    __tablename__ = "ledger_entry"
    __table_args__ = (
        Index("ledger_entry_side", "ledger", "service", "purpose", "day"),
        Index("ledger_entry_day", "ledger", "day"),
        # What is about nobody is rare, and officers' acts look it up.
        Index(
            "ledger_entry_nobody",
            "ledger",
            "service",
            "purpose",
            "idx",
            sqlite_where=text("tag IS NULL"),
            postgresql_where=text("tag IS NULL"),
        ),
    )

    ledger: int = Field(primary_key=True, sa_column_kwargs=_GIVEN)
    idx: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs=_GIVEN
    )
    leaf: bytes = Field(sa_type=LargeBinary)
    tag: bytes | None = Field(default=None, sa_type=LargeBinary)
    service: str = Field(max_length=128)
    purpose: str = Field(max_length=128)
    day: int
    own: bytes | None = Field(default=None, sa_type=LargeBinary)
    audit: bytes | None = Field(default=None, sa_type=LargeBinary)
    seal: bytes = Field(sa_type=LargeBinary)
    before: int | None = Field(default=None, sa_type=BigInteger)


class PendingRow(ConsentTable, table=True):
    """An entry that is durable and has no index yet.

    Its leaf is fixed. `number` rises along each person's chain, and is used
    again once the row was integrated.
    """

    __tablename__ = "ledger_pending"
    __table_args__ = (
        Index("ledger_pending_order", "ledger", "number"),
        Index("ledger_pending_tag", "ledger", "tag"),
    )

    number: int | None = Field(
        default=None,
        primary_key=True,
        sa_type=BigInteger().with_variant(Integer, "sqlite"),
    )
    ledger: int
    leaf: bytes = Field(sa_type=LargeBinary)
    tag: bytes | None = Field(default=None, sa_type=LargeBinary)
    service: str = Field(max_length=128)
    purpose: str = Field(max_length=128)
    day: int
    own: bytes | None = Field(default=None, sa_type=LargeBinary)
    audit: bytes | None = Field(default=None, sa_type=LargeBinary)
    at: int = Field(sa_type=BigInteger)
    seal: bytes = Field(sa_type=LargeBinary)


class WithheldRow(ConsentTable, table=True):
    """What is known of one withheld entry, for its disclosure and review.

    No column names the entry, the person or the class: `place` and `whose`
    are keyed. `due` is the day of disclosure or of review, `year` the
    entry's; `opened` says that the person may see it now.
    """

    __tablename__ = "ledger_withheld"
    __table_args__ = (
        Index("ledger_withheld_whose", "ledger", "whose", "due"),
        Index("ledger_withheld_due", "ledger", "opened", "due"),
        {"sqlite_with_rowid": False},
    )

    ledger: int = Field(primary_key=True, sa_column_kwargs=_GIVEN)
    place: bytes = Field(primary_key=True, sa_type=LargeBinary)
    whose: bytes = Field(sa_type=LargeBinary)
    due: int = Field(sa_type=BigInteger)
    year: int
    opened: int
    sealed: bytes = Field(sa_type=LargeBinary)


class PersonRow(ConsentTable, table=True):
    """How many entries a chain of a person has, and the last one's leaf.

    `last` is the index of the last one that has an index.
    """

    __tablename__ = "ledger_person"
    __table_args__ = ({"sqlite_with_rowid": False},)

    ledger: int = Field(primary_key=True, sa_column_kwargs=_GIVEN)
    tag: bytes = Field(primary_key=True, sa_type=LargeBinary)
    counter: int = Field(sa_type=BigInteger)
    previous: bytes = Field(sa_type=LargeBinary)
    last: int | None = Field(default=None, sa_type=BigInteger)


class TileRow(ConsentTable, table=True):
    """Up to 256 hashes of one level: https://c2sp.org/tlog-tiles.

    A row of level 0 is written once its 256 entries are there; until then
    the entries themselves give it. The rows above grow.
    """

    __tablename__ = "ledger_tile"

    ledger: int = Field(primary_key=True, sa_column_kwargs=_GIVEN)
    level: int = Field(primary_key=True, sa_column_kwargs=_GIVEN)
    number: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs=_GIVEN
    )
    hashes: bytes = Field(sa_type=LargeBinary)


class CheckpointRow(ConsentTable, table=True):
    """A checkpoint that was signed, at most one a size."""

    __tablename__ = "ledger_checkpoint"

    ledger: int = Field(primary_key=True, sa_column_kwargs=_GIVEN)
    size: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs=_GIVEN
    )
    root: bytes = Field(sa_type=LargeBinary)
    note: str
    at: int = Field(sa_type=BigInteger)
    seal: bytes = Field(sa_type=LargeBinary)
