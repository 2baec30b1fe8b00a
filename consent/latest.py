"""The latest instant that a ledger knows: no honest clock stands before it."""

from sqlalchemy import Connection, select

from consent.ledger_keys import SECONDS_A_DAY
from consent.ledger_statements import ledger_number
from consent.ledger_tables import CheckpointRow, EntryRow, HeadRow
from consent.tables import ConsentTable

_CHECKPOINT = ConsentTable.metadata.tables[str(CheckpointRow.__tablename__)]
_HEAD = ConsentTable.metadata.tables[str(HeadRow.__tablename__)]
_ENTRY = ConsentTable.metadata.tables[str(EntryRow.__tablename__)]


def latest_instant(conn: Connection, origin: str) -> int:
    """Read when the ledger was last written, as far as it says.

    Args:
        conn: to the data database.
        origin: the ledger.

    Returns:
        POSIX seconds: of the newest checkpoint, or the beginning of the
        last entry's day if that is later; 0 for an empty ledger.

    """
    number = ledger_number(origin)
    # The newest, not the latest: after a clock that was ahead was set right
    # (`Batch.set_clock`), older ones bear a time that has yet to come.
    signed = conn.execute(
        select(_CHECKPOINT.c.at)
        .where(_CHECKPOINT.c.ledger == number)
        .order_by(_CHECKPOINT.c.size.desc())
        .limit(1)
    ).scalar_one_or_none()
    day = conn.execute(
        select(_ENTRY.c.day)
        .where(_ENTRY.c.ledger == number)
        .order_by(_ENTRY.c.idx.desc())
        .limit(1)
    ).scalar_one_or_none()
    return max(signed or 0, (day or 0) * SECONDS_A_DAY)


def latest_entry(conn: Connection, origin: str) -> int:
    """Read the latest time of an entry, which a new one may not precede.

    It is more exact than `latest_instant`, and under no seal: what is dated
    by it is an entry, never what an entry rests on.

    Args:
        conn: to the data database.
        origin: the ledger.

    Returns:
        POSIX seconds; 0 for an empty ledger.

    """
    found = conn.execute(
        select(_HEAD.c.latest).where(_HEAD.c.ledger == ledger_number(origin))
    ).scalar_one_or_none()
    return found or 0
