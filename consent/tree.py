"""The stored tree: tiles of 256 hashes, written and read.

A tile of leaf hashes is written once, when it is full; the last, partial one
is computed from the entries. A tile above grows by one hash for each tile
below that becomes full. Every hash of a tree of any size up to the present
one is computed from a handful of tiles, so that a proof at a million entries
reads a few rows.

Tiles hold nothing that the entries do not give: `verify` recomputes them.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from consent.compact_range import (
    TILE_HEIGHT,
    TILE_WIDTH,
    join_subtrees,
    perfect_subtrees,
)
from consent.errors import LedgerInconsistent
from consent.ledger_statements import LedgerStatements
from consent.merkle import HASH_BYTES, hash_leaf, levels_above

# Level of a tile, its number on that level, its hashes joined.
Tile = tuple[int, int, bytes]


def split_hashes(joined: bytes) -> list[bytes]:
    """Cut joined hashes apart."""
    return [
        joined[start : start + HASH_BYTES]
        for start in range(0, len(joined), HASH_BYTES)
    ]


def first_entry(level: int, number: int) -> int:
    """Return the index of the first entry under a tile."""
    return (number * TILE_WIDTH) << (TILE_HEIGHT * level)


def full_tiles(
    conn: Connection,
    sql: LedgerStatements,
    *,
    begin: int,
    fresh: Sequence[bytes],
) -> Iterator[Tile]:
    """Make the tiles of leaf hashes that an append completes.

    Args:
        conn: Where the entries before are read.
        sql: The ledger's statements.
        begin: Size of the tree before the append.
        fresh: The leaf hashes appended.

    Yields:
        Full tiles of level 0.

    Raises:
        LedgerInconsistent: Entries before are missing.

    """
    first = begin - begin % TILE_WIDTH
    if begin + len(fresh) - first < TILE_WIDTH:
        return
    within = {"begin": first, "end": begin}
    found = conn.execute(sql.read_leaves, within).scalars()
    hashes = [*map(hash_leaf, found), *fresh]
    if len(hashes) != begin - first + len(fresh):
        raise LedgerInconsistent(index=first, what="entries are missing")
    for start in range(0, len(hashes) - TILE_WIDTH + 1, TILE_WIDTH):
        tile = b"".join(hashes[start : start + TILE_WIDTH])
        yield 0, (first + start) // TILE_WIDTH, tile


def upper_tiles(
    conn: Connection,
    sql: LedgerStatements,
    closed: Sequence[tuple[int, int, bytes]],
) -> Iterator[Tile]:
    """Grow the tiles above by the roots of those that became full.

    Args:
        conn: Where their present hashes are read.
        sql: The ledger's statements.
        closed: Level, position on the level, and root, in order.

    Yields:
        The tiles that changed.

    Raises:
        LedgerInconsistent: A tile does not hold what came before.

    """
    grown: dict[tuple[int, int], list[bytes]] = {}
    for level, position, root in closed:
        number, width = divmod(position, TILE_WIDTH)
        if (level, number) not in grown:
            grown[level, number] = _stored(
                conn, sql, level=level, number=number, width=width
            )
        grown[level, number].append(root)
    for (level, number), hashes in grown.items():
        yield level, number, b"".join(hashes)


def _stored(
    conn: Connection,
    sql: LedgerStatements,
    *,
    level: int,
    number: int,
    width: int,
) -> list[bytes]:
    if not width:
        return []
    hashes = read_tile(conn, sql, level=level, number=number)
    if hashes is None or len(hashes) != width:
        raise LedgerInconsistent(
            index=first_entry(level, number), what=f"tile {level}/{number}"
        )
    return hashes


def read_tile(
    conn: Connection, sql: LedgerStatements, *, level: int, number: int
) -> list[bytes] | None:
    """Read a stored tile; ``None`` where there is no such row."""
    joined = _read_joined(conn, sql, level, number)
    return None if joined is None else split_hashes(joined)


def _read_joined(
    conn: Connection, sql: LedgerStatements, level: int, number: int
) -> bytes | None:
    found = conn.exec_driver_sql(sql.tile_now, (level, number)).scalar()
    return None if found is None else bytes(found)


class UpperTiles:
    """Tiles above the leaf hashes, kept from one proof to the next.

    A hash that stands in a tile stands there for ever; a tile that still
    grows is read again once a proof needs more of it. There is one of these
    tiles for 65,536 entries, and one more for 256 of them.

    Args:
        most: How many are kept, of about 16 kB each.
    """

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._kept: dict[tuple[int, int], tuple[bytes, ...]] = {}

    def get(self, tile: tuple[int, int]) -> tuple[bytes, ...]:
        """Give what is kept of a tile, the hashes above it included."""
        return self._kept.get(tile, ())

    def keep(self, tile: tuple[int, int], levels: tuple[bytes, ...]) -> None:
        """Keep a tile; safe from several threads."""
        if len(self._kept) >= self._most:
            self._kept.clear()
        self._kept[tile] = levels


class StoredTree:
    """Answers subtree hashes from tiles; one for each proof.

    Args:
        conn: Where tiles and entries are read.
        sql: The ledger's statements.
        size: Entries in the ledger; nothing beyond is asked for.
        upper: What earlier proofs read; nothing where all is to be read
            from what is stored now.
    """

    def __init__(
        self,
        conn: Connection,
        sql: LedgerStatements,
        size: int,
        upper: UpperTiles | None = None,
    ) -> None:
        self._conn = conn
        self._sql = sql
        self._size = size
        self._upper = upper or UpperTiles()
        # The last tile of leaf hashes that was asked for, and what is above.
        self._lowest: tuple[int, tuple[bytes, ...]] = (-1, ())

    def subtree(self, begin: int, end: int) -> bytes:
        """Compute the hash over the leaves of one subtree of a path.

        Args:
            begin: First leaf.
            end: One past the last.

        Returns:
            The hash.

        Raises:
            LedgerInconsistent: A stored tile is missing or cut short.

        """
        parts = perfect_subtrees(begin, end)
        return join_subtrees([self._perfect(*part) for part in parts])

    def _perfect(self, level: int, number: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        tile, start = divmod(number << height, TILE_WIDTH)
        begin = (start >> height) * HASH_BYTES
        end = begin + HASH_BYTES
        if tile_level:
            levels = self._upper.get((tile_level, tile))
            if len(levels) <= height or len(levels[height]) < end:
                levels = levels_above(self._read(tile_level, tile))
                self._upper.keep((tile_level, tile), levels)
        else:
            if self._lowest[0] != tile:
                self._lowest = tile, levels_above(self._read(0, tile))
            levels = self._lowest[1]
        if len(levels) <= height or len(levels[height]) < end:
            raise LedgerInconsistent(
                index=first_entry(tile_level, tile),
                what=f"tile {tile_level}/{tile}",
            )
        return levels[height][begin:end]

    def _read(self, level: int, number: int) -> bytes:
        stored = _read_joined(self._conn, self._sql, level, number)
        if stored is not None or level:
            return stored or b""
        begin = number * TILE_WIDTH
        within = (begin, min(begin + TILE_WIDTH, self._size))
        found = self._conn.exec_driver_sql(self._sql.leaves_now, within)
        return b"".join([hash_leaf(bytes(leaf)) for (leaf,) in found])
