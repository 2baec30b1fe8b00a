"""A person's chain in the tables: from its last entry, link by link.

An entry names the one before it in its chain, and the person's row the last
one, so that an append touches no index over tags. Links only find; what they
find is held against the tag, and the counters inside the sealed rows show
whether any is missing. A sweep holds the links against the tags.

An erasure follows no link: it searches all entries for the tags.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from consent.ledger_keys import EntryFields
from consent.ledger_statements import LedgerStatements

_PAGE = 500


def rows_of(
    conn: Connection, sql: LedgerStatements, tag: bytes
) -> Iterator[list[EntryFields]]:
    """Read all entries of a chain that have an index, the oldest first.

    Where fewer are linked than the person's row counts, somebody has cut the
    chain; all entries are then searched.

    Args:
        conn: Where to read. Pages may be changed as they come.
        sql: The ledger's statements.
        tag: The chain's.

    Yields:
        Pages of rows.

    """
    found = sql.read_people(conn, [tag])
    if not found:
        return
    [(_, counter, _, pending, _)] = found
    places = list(conn.execute(sql.linked, {"of_tag": tag}).scalars())
    if len(places) < counter and not pending:
        yield from rows_tagged(conn, sql, [tag])
    else:
        yield from _pages(conn, sql, places)


def rows_tagged(
    conn: Connection, sql: LedgerStatements, tags: Sequence[bytes]
) -> Iterator[list[EntryFields]]:
    """Search all entries, once, for those of some chains.

    Args:
        conn: Where to read. Pages may be changed as they come.
        sql: The ledger's statements.
        tags: The chains'.

    Yields:
        Pages of rows, the oldest first.

    """
    places = conn.execute(sql.tagged, {"of_tags": tags}).scalars()
    yield from _pages(conn, sql, list(places))


def _pages(
    conn: Connection, sql: LedgerStatements, places: Sequence[int]
) -> Iterator[list[EntryFields]]:
    for start in range(0, len(places), _PAGE):
        where = {"places": places[start : start + _PAGE]}
        rows = conn.execute(sql.entries_at, where)
        yield [EntryFields(*row[:8]) for row in rows]
