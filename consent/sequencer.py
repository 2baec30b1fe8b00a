"""The sequencer: gapless indexes, handed out under the lock of the head row.

On SQLite `BEGIN IMMEDIATE` has already made the writer the only one; on
PostgreSQL `SELECT ... FOR UPDATE` on the head row does. The head row carries
the right edge of the tree, so a writer keeps nothing in memory between
transactions: another process may append in between, and a rollback leaves
nothing stale.

Whoever appends locks the head before any other row of its transaction, and
then the people concerned, so that no two writers wait for each other.

An entry's time is what its draft says, and entries are not sorted by it:
those that are decided at once may be committed in another order. But a draft
that lies `CLOCK_SLACK` behind the latest entry was dated by a clock that
went backwards. It is refused; the ledger neither takes such a time nor puts
another in its place.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row

from consent.compact_range import CompactRange
from consent.composing import Chain, Composed, Composer, Random, chain_name
from consent.entries import Appended, Draft
from consent.errors import ClockBehind, LedgerInconsistent
from consent.ledger_keys import EntryFields, LedgerKeys
from consent.ledger_statements import LedgerStatements
from consent.merkle import HASH_BYTES, hash_leaf
from consent.tree import full_tiles, split_hashes, upper_tiles
from consent.withheld import WithheldEntries

CLOCK_SLACK = 300
# Outcome of the entry by which an officer says that the clock was wrong.
CLOCK_SET = "clock-set"


class Batch:
    """Entries of one transaction, from the lock to `flush`.

    Nothing is in the database before `flush`, and nothing is durable before
    the caller's commit.

    Args:
        conn: Where the transaction runs; the caller commits it.
        origin: The ledger; a database holds one.
        keys: Its keys.
        random: Source of salts and nonces, like `os.urandom`.
        sql: The ledger's statements.
        integrate: Gives pending entries their index.

    Raises:
        LedgerInconsistent: The head row is broken, or of another ledger.
    """

    def __init__(
        self,
        conn: Connection,
        *,
        origin: str,
        keys: LedgerKeys,
        random: Random,
        sql: LedgerStatements,
        integrate: Callable[["Batch"], object],
    ) -> None:
        self._integrate = integrate
        self.conn = self._conn = conn
        self._origin = origin
        self._keys = keys
        self._random = random
        self._sql = sql
        self._composer = Composer(keys, random)
        self.reload()

    def reload(self) -> None:
        """Forget what is not flushed; read and lock where the ledger stands.

        After a savepoint was rolled back this is where the batch goes on.

        Raises:
            LedgerInconsistent: The head row is broken, or of another
                ledger.

        """
        self._edge, self._latest = lock_whole(
            self._conn, self._sql, self._origin
        )
        self._chains: dict[bytes, Chain] = {}
        self._clear()

    def expect(self, drafts: Iterable[Draft]) -> None:
        """Lock the drafts' people and fetch what is needed, in few queries.

        Args:
            drafts: Drafts that may be added later.

        """
        fresh: dict[bytes, Chain] = {}
        for draft in drafts:
            name = chain_name(draft)
            if name and name not in self._chains and name not in fresh:
                fresh[name] = self._composer.chain(draft)
        if fresh:
            if read_chains(self._conn, self._sql, fresh.values()):
                self._demand_order(fresh.values())
            self._chains.update(fresh)

    def lock_rows(self) -> None:
        """Lock the rows of all who are expected, in one order.

        Whoever flushes in steps calls this first: the rows of each step
        would be locked in the order of the steps, and whoever numbers
        pending entries writes them in that of the tags.
        """
        tags = sorted(chain.keys.tag for chain in self._chains.values())
        self._sql.lock_rows(self._conn, tags)

    def add(self, drafts: Sequence[Draft]) -> list[Appended]:
        """Give each draft its index and seal it.

        Args:
            drafts: What is recorded, in order.

        Returns:
            Where each entry stands once the transaction commits.

        Raises:
            ClockBehind: A draft is dated far before the latest entry.
            DraftInvalid: A draft has no entry format; the batch must then
                not be flushed.

        """
        self.expect(drafts)
        return [self._add(draft) for draft in drafts]

    def set_clock(self, draft: Draft) -> Appended:
        """Take a draft's time as the latest, though there is a later one.

        Args:
            draft: What is recorded of this act: a `RECOVERY` with the
                outcome `CLOCK_SET`.

        Returns:
            Where it stands once the transaction commits.

        """
        self._latest = draft.at
        return self.add([draft])[0]

    def flush(self) -> None:
        """Write what was added into the transaction.

        Raises:
            LedgerInconsistent: The stored tree does not hold what came
                before.

        """
        if not self._entries:
            return
        conn, sql = self._conn, self._sql
        sql.write(conn, sql.add_entries, self._entries)
        if self._withheld:
            conn.exec_driver_sql(sql.add_withheld, self._withheld)
        write_chains(conn, sql, self._chains.values(), numbered=True)
        tiles = [
            *full_tiles(conn, sql, begin=self._begin, fresh=self._hashes),
            *upper_tiles(conn, sql, self._closed),
        ]
        if tiles:
            conn.exec_driver_sql(sql.set_tiles, tiles)
        edge = (self._edge.size, b"".join(self._edge.nodes), self._latest)
        conn.exec_driver_sql(sql.move_head, edge)
        self._clear()

    def forget_people(self) -> None:
        """Read people's counts anew: someone else has changed them.

        The caller has flushed.
        """
        self._chains.clear()

    def _clear(self) -> None:
        self._begin = self._edge.size
        self._entries: list[tuple[object, ...]] = []
        self._withheld: list[tuple[object, ...]] = []
        self._hashes: list[bytes] = []
        self._closed: list[tuple[int, int, bytes]] = []

    def _add(self, draft: Draft) -> Appended:
        demand_clock(draft, self._latest)
        name = chain_name(draft)
        chain = self._chains[name] if name else None
        entry = self._composer.compose(draft, chain)
        index = self._place(entry, draft, chain)
        self._latest = max(self._latest, draft.at)
        if chain is None:
            return Appended(index=index, leaf=entry.leaf, counter=0)
        if draft.withheld is not None:
            known = WithheldEntries(self._keys, self._sql, self._random)
            row = known.row(draft, draft.withheld, entry, chain.counter)
            self._withheld.append(row)
        return Appended(index=index, leaf=entry.leaf, counter=chain.counter)

    def take(self, entry: Composed, at: int, before: int | None) -> int:
        """Give an entry that was pending the next index.

        Args:
            entry: What its row held.
            at: Its time, POSIX seconds.
            before: Index of the entry before it in its chain, if any.

        Returns:
            The index.

        """
        self._latest = max(self._latest, at)
        return self._number(entry, before)

    def _demand_order(self, chains: Iterable[Chain]) -> None:
        """Let what is pending in chains come before what is added now."""
        self._integrate(self)
        read_chains(self._conn, self._sql, chains)

    def _place(
        self, entry: Composed, _draft: Draft, chain: Chain | None
    ) -> int | None:
        if chain is None:
            return self._number(entry, None)
        index = chain.last = self._number(entry, chain.last)
        return index

    def _number(self, entry: Composed, before: int | None) -> int:
        """Give an entry the next index."""
        index = self._edge.size
        row = EntryFields(index, *entry)
        self._entries.append((*row, self._keys.seal_entry(row), before))
        hashed = hash_leaf(entry.leaf)
        self._hashes.append(hashed)
        self._closed += self._edge.append(hashed)
        return index


def demand_clock(draft: Draft, latest: int) -> None:
    """Refuse a draft that a clock dated that went backwards.

    Args:
        draft: What should be recorded.
        latest: The latest time of an entry, POSIX seconds.

    Raises:
        ClockBehind: It is dated more than `CLOCK_SLACK` before that.

    """
    if draft.at + CLOCK_SLACK < latest:
        msg = (
            f"the clock says {draft.at} and the ledger has an entry of "
            f"{latest}: set the clock right, or, if it was wrong before, "
            "run `curtilage ledger clock`"
        )
        raise ClockBehind(msg)


def read_chains(
    conn: Connection, sql: LedgerStatements, chains: Iterable[Chain]
) -> bool:
    """Lock people, and read where their chains stand.

    Args:
        conn: Where the transaction runs.
        sql: The ledger's statements.
        chains: Not read yet; filled in.

    Returns:
        Whether any entry of these chains is pending.

    """
    waiting = False
    by_tag = {chain.keys.tag: chain for chain in chains}
    sql.lock_people(conn, {chain.person for chain in by_tag.values()})
    for tag, counter, previous, pending, last in sql.read_people(
        conn, list(by_tag)
    ):
        chain = by_tag[tag]
        chain.counter, chain.previous, chain.last = counter, previous, last
        waiting = waiting or pending
    return waiting


def write_chains(
    conn: Connection,
    sql: LedgerStatements,
    chains: Iterable[Chain],
    *,
    numbered: bool,
) -> None:
    """Write where the chains stand that entries were added to.

    Args:
        conn: Where the transaction runs.
        sql: The ledger's statements.
        chains: All of the transaction.
        numbered: Whether what was added has its index.

    """
    moved: list[tuple[object, ...]] = []
    # In the order in which whoever numbers pending entries moves the links.
    for chain in sorted(chains, key=lambda chain: chain.keys.tag):
        if chain.touched:
            row = (chain.keys.tag, chain.counter, chain.previous)
            moved.append((*row, chain.last) if numbered else row)
            chain.touched = False
    if moved:
        sql.write(
            conn, sql.set_people if numbered else sql.count_people, moved
        )


def lock_head(
    conn: Connection, sql: LedgerStatements, origin: str
) -> CompactRange:
    """Lock the head row, made on first use, and read the tree's right edge.

    Args:
        conn: Where the transaction runs.
        sql: The ledger's statements.
        origin: The ledger that is expected.

    Returns:
        The edge.

    Raises:
        LedgerInconsistent: The row is broken, or of another ledger.

    """
    return lock_whole(conn, sql, origin)[0]


def lock_whole(
    conn: Connection, sql: LedgerStatements, origin: str
) -> tuple[CompactRange, int]:
    """Do what `lock_head` does, and read the latest time of an entry."""
    head: Row[*tuple[Any, ...]] | None = conn.exec_driver_sql(
        sql.lock_head
    ).one_or_none()
    if head is None:
        first = {"origin": origin, "nodes": b""}
        conn.execute(sql.first_head, first)
        head = conn.exec_driver_sql(sql.lock_head).one()
    edge = read_edge(head.origin, origin, head.size, head.nodes)
    return edge, head.latest


def read_edge(
    found: str, origin: str, size: int, nodes: bytes
) -> CompactRange:
    """Read the right edge of the tree out of the head row's columns.

    Args:
        found: Origin in the row.
        origin: Origin that is expected.
        size: Entries.
        nodes: Roots of the perfect subtrees, joined.

    Returns:
        The edge.

    Raises:
        LedgerInconsistent: The parts do not fit together.

    """
    if found != origin:
        raise LedgerInconsistent(index=None, what="head of another ledger")
    if size < 0 or len(nodes) != size.bit_count() * HASH_BYTES:
        raise LedgerInconsistent(index=None, what="head without its edge")
    return CompactRange(size, split_hashes(nodes))
