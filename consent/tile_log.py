"""The ledger as a tiled log: https://c2sp.org/tlog-tiles.

Tiles and bundles are answered from what is stored, and only as far as the
last signed checkpoint goes: nothing is shown that nobody vouches for. What
was answered once is answered the same for ever, partial tiles included, so
whoever caches it may keep it.

An entry's data is its leaf, 32 bytes; a bundle tells no more than the tile
beside it. Nothing is ever pruned: the minimum index is 0.
"""

from sqlalchemy import Connection, Engine

from consent.compact_range import TILE_WIDTH
from consent.errors import LedgerInconsistent, UnknownEntry
from consent.ledger_statements import LedgerStatements
from consent.merkle import hash_leaf
from consent.tile_paths import TilePath
from consent.tree import first_entry, read_tile


class TileLog:
    """Reads the tiles of one ledger.

    Args:
        engine: Where to read.
        sql: The ledger's statements.
    """

    def __init__(self, engine: Engine, sql: LedgerStatements) -> None:
        self._engine = engine
        self._sql = sql

    def read(self, path: TilePath) -> bytes:
        """Read a tile or a bundle.

        Args:
            path: Which.

        Returns:
            Its bytes.

        Raises:
            UnknownEntry: No signed checkpoint covers it.
            LedgerInconsistent: What is stored is not whole.

        """
        with self._engine.connect() as conn:
            last = conn.execute(self._sql.last_checkpoint).one_or_none()
            if last is None or path.end > last.size:
                msg = f"no checkpoint covers {path}"
                raise UnknownEntry(msg)
            if path.level is None:
                return self._bundle(conn, path)
            return b"".join(self._tile(conn, path.level, path))

    def _bundle(self, conn: Connection, path: TilePath) -> bytes:
        leaves = self._leaves(conn, path)
        return b"".join(len(each).to_bytes(2) + each for each in leaves)

    def _tile(
        self, conn: Connection, level: int, path: TilePath
    ) -> list[bytes]:
        stored = read_tile(conn, self._sql, level=level, number=path.number)
        if stored is None and level == 0:
            # The last tile of leaf hashes is stored once it is full.
            return [hash_leaf(leaf) for leaf in self._leaves(conn, path)]
        hashes = (stored or [])[: path.width]
        if len(hashes) != path.width:
            raise LedgerInconsistent(
                index=first_entry(level, path.number),
                what=f"tile {level}/{path.number}",
            )
        return hashes

    def _leaves(self, conn: Connection, path: TilePath) -> list[bytes]:
        begin = path.number * TILE_WIDTH
        within = {"begin": begin, "end": begin + path.width}
        found = conn.execute(self._sql.read_leaves, within).scalars().all()
        if len(found) != path.width:
            raise LedgerInconsistent(index=begin, what="entries are missing")
        return list(found)
