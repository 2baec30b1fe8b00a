"""The stored tree past its third level of tiles."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from consent.compact_range import TILE_WIDTH, CompactRange
from consent.errors import LedgerInconsistent
from consent.ledger_statements import LedgerStatements
from consent.merkle import (
    consistency_proof,
    hash_leaf,
    inclusion_proof,
    levels_above,
    verify_consistency,
    verify_inclusion,
)
from consent.tree import (
    StoredTree,
    UpperTiles,
    first_entry,
    full_tiles,
    read_tile,
    upper_tiles,
)
from tests.ledgers import ORIGIN, open_empty
from tests.test_merkle import defined_root

SIZE = TILE_WIDTH**2 + TILE_WIDTH + 44


class Grown:
    """A tree of bare leaves, stored in steps as the ledger stores it."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.sql = LedgerStatements(ORIGIN, conn.dialect)
        self.hashes: list[bytes] = []
        self.edge = CompactRange()
        self.roots: dict[int, bytes] = {}

    def grow(self, size: int) -> None:
        """Append leaves up to a size in one step."""
        begin = len(self.hashes)
        leaves = [b"%032d" % number for number in range(begin, size)]
        fresh = [hash_leaf(leaf) for leaf in leaves]
        closed = [each for leaf in fresh for each in self.edge.append(leaf)]
        self.sql.write(
            self.conn,
            self.sql.add_entries,
            [
                (begin + n, leaf, None, "", "", 0, None, None, b"", None)
                for n, leaf in enumerate(leaves)
            ],
        )
        tiles = [
            *full_tiles(self.conn, self.sql, begin=begin, fresh=fresh),
            *upper_tiles(self.conn, self.sql, closed),
        ]
        if tiles:
            self.conn.exec_driver_sql(self.sql.set_tiles, tiles)
        self.hashes += fresh

    def root(self, size: int) -> bytes:
        """Compute a root once, as the definition has it."""
        if size not in self.roots:
            self.roots[size] = defined_root(self.hashes[:size])
        return self.roots[size]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grown]:
    """Grow a tree past 65,536 leaves, in uneven steps."""
    engine = open_empty("sqlite", tmp_path_factory.mktemp("tree"))
    with engine.begin() as conn:
        tree = Grown(conn)
        for size in (1, 250, 257, 1000, 60_000, TILE_WIDTH**2, SIZE):
            tree.grow(size)
        yield tree
    engine.dispose()


@pytest.mark.parametrize(
    "index", [0, 255, 256, 59_999, 65_535, 65_536, 65_792, SIZE - 1]
)
@pytest.mark.parametrize("size", [SIZE, 65_793, 65_536, 60_001, 257])
def test_inclusion_across_levels(grown: Grown, index: int, size: int) -> None:
    """Proofs at the edges of tiles verify against the defined root."""
    if index >= size:
        return
    tree = StoredTree(grown.conn, grown.sql, SIZE)
    verify_inclusion(
        index=index,
        size=size,
        leaf_hash=grown.hashes[index],
        proof=inclusion_proof(index, size, tree.subtree),
        root=grown.root(size),
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [(1, SIZE), (256, SIZE), (65_535, 65_536), (65_537, SIZE), (300, 60_001)],
)
def test_consistency_across_levels(grown: Grown, old: int, new: int) -> None:
    """Proofs between sizes on several levels verify."""
    tree = StoredTree(grown.conn, grown.sql, SIZE)
    verify_consistency(
        old=old,
        new=new,
        proof=consistency_proof(old, new, tree.subtree),
        old_root=grown.root(old),
        new_root=grown.root(new),
    )


def test_tiles_are_those_of_the_standard(grown: Grown) -> None:
    """Widths of c2sp.org/tlog-tiles; level 0 keeps full tiles alone."""

    def width(level: int, number: int) -> int | None:
        tile = read_tile(grown.conn, grown.sql, level=level, number=number)
        return None if tile is None else len(tile)

    assert [256, 256, None] == [width(0, n) for n in (0, 256, 257)]
    assert [256, 1, None] == [width(1, n) for n in (0, 1, 2)]
    assert [1, None] == [width(2, n) for n in (0, 1)]
    assert [0, 256, 65_536, 65_536] == [
        first_entry(0, 0),
        first_entry(0, 1),
        first_entry(1, 1),
        first_entry(0, 256),
    ]


def test_a_proof_reads_a_handful_of_rows(grown: Grown) -> None:
    """It does not grow with the number of entries, nor does what is kept."""
    upper = UpperTiles()
    tree = StoredTree(grown.conn, grown.sql, SIZE, upper)
    inclusion_proof(30_000, SIZE, tree.subtree)

    assert len(upper._kept) <= 3


def test_upper_tiles_are_read_once(grown: Grown) -> None:
    """The next proof needs them no more, and is the same."""
    upper = UpperTiles()
    proofs = []
    with grown.conn.begin_nested() as savepoint:
        for _ in range(2):
            tree = StoredTree(grown.conn, grown.sql, SIZE, upper)
            proofs.append(inclusion_proof(30_000, SIZE, tree.subtree))
            grown.conn.exec_driver_sql(
                "DELETE FROM ledger_tile WHERE level > 0"
            )
        savepoint.rollback()

    assert proofs[0] == proofs[1]


def test_a_tile_that_has_grown_is_read_again(grown: Grown) -> None:
    """What is kept of it answers only as far as it went."""
    upper = UpperTiles()
    tile = read_tile(grown.conn, grown.sql, level=1, number=0) or []
    upper.keep((1, 0), levels_above(b"".join(tile[:3])))
    tree = StoredTree(grown.conn, grown.sql, SIZE, upper)

    assert defined_root(grown.hashes[:512]) == tree.subtree(0, 512)
    assert 3 == len(upper.get((1, 0))[0]) // 32
    assert grown.root(TILE_WIDTH**2) == tree.subtree(0, TILE_WIDTH**2)
    tree.subtree(TILE_WIDTH**2 - 512, TILE_WIDTH**2)
    assert 256 == len(upper.get((1, 0))[0]) // 32


def test_kept_tiles_are_limited() -> None:
    """Beyond the limit they are read again, and memory stays bounded."""
    upper = UpperTiles(most=4)
    for number in range(50):
        upper.keep((1, number), (b"",))
        assert len(upper._kept) <= 4


def test_a_tile_cut_short_is_named(grown: Grown) -> None:
    """By the first entry under it."""
    with grown.conn.begin_nested() as savepoint:
        grown.conn.exec_driver_sql(grown.sql.set_tiles, [(1, 0, b"x" * 64)])
        tree = StoredTree(grown.conn, grown.sql, SIZE)
        with pytest.raises(LedgerInconsistent) as caught:
            tree.subtree(0, TILE_WIDTH**2 // 2)
        savepoint.rollback()

    assert 0 == caught.value.index
