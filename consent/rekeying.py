"""Moving a person's entries to a new log key, when their DEK is replaced.

Leaves, indexes and counters stay; what changes is the key under which the
person's own rows are sealed, and the tags by which they are found. Where a
chain was, a mark stays: its counter is -1 and its `previous` the new tag. A
writer who still has the old key is refused, and an erasure by the old tag
finds the chain.
"""

from collections.abc import Callable

from sqlalchemy import Connection

from consent.chains import rows_of
from consent.errors import LedgerBusy
from consent.ledger_keys import LedgerKeys, PersonKeys
from consent.ledger_statements import LedgerStatements
from consent.sealing import NONCE_BYTES, reseal_own
from consent.withheld import WithheldEntries

MOVED = -1
"""The counter of a chain that goes on under another key."""


def move_person(
    conn: Connection,
    *,
    sql: LedgerStatements,
    keys: LedgerKeys,
    random: Callable[[int], bytes],
    old_log_key: bytes,
    new_log_key: bytes,
) -> int:
    """Move both chains of a person; the caller holds the ledger's lock.

    Returns:
        How many entries were sealed anew.

    Raises:
        LedgerBusy: An entry about them has no index yet.
        EntryUnreadable: A row is not sealed under the old key.

    """
    old = keys.person(old_log_key), keys.second(old_log_key)
    new = keys.person(new_log_key), keys.second(new_log_key)
    sql.lock_people(conn, [old[0].tag, new[0].tag])
    withheld = WithheldEntries(keys, sql, random)
    withheld.move(conn, old[1].tag, new[1].tag)
    return sum(
        _move_chain(conn, sql, keys, random, pair)
        for pair in zip(old, new, strict=True)
    )


def _move_chain(
    conn: Connection,
    sql: LedgerStatements,
    keys: LedgerKeys,
    random: Callable[[int], bytes],
    pair: tuple[PersonKeys, PersonKeys],
) -> int:
    old, new = pair
    found = sql.read_people(conn, [old.tag])
    if not found or found[0][1] == MOVED:
        return 0
    [(_, counter, previous, pending, last)] = found
    if pending:
        msg = "an entry about this person has no index yet; try again"
        raise LedgerBusy(msg)
    moved = 0
    for rows in rows_of(conn, sql, old.tag):
        fresh = []
        for row in rows:
            own = reseal_own(
                old.cipher,
                new.cipher,
                row.own or b"",
                index=row.idx,
                leaf=row.leaf,
                nonce=random(NONCE_BYTES),
            )
            now = row._replace(tag=new.tag, own=own)
            fresh.append(
                {
                    "at_index": row.idx,
                    "to_tag": new.tag,
                    "to_own": own,
                    "sealed": keys.seal_entry(now),
                }
            )
        conn.execute(sql.move_entry, fresh)
        moved += len(rows)
    sql.write(
        conn,
        sql.set_people,
        [
            (new.tag, counter, previous, last),
            (old.tag, MOVED, new.tag, None),
        ],
    )
    return moved
