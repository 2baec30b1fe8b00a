"""The right edge of a growing Merkle tree, and perfect subtrees.

A tree of n leaves is a row of perfect subtrees, one for each bit of n,
falling from left to right. Their roots are all that a sequencer needs to
append a leaf and to know the root. Every 256 hashes of one level make a tile
(c2sp.org/tlog-tiles); the root of a full tile is a hash of the level above.
"""

from collections.abc import Iterable, Sequence

from consent.errors import ProofInvalid
from consent.merkle import EMPTY_ROOT, hash_node

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT


def perfect_subtrees(begin: int, end: int) -> list[tuple[int, int]]:
    """Split a subtree of a path into perfect ones, left to right.

    Args:
        begin: First leaf; a multiple of the widest perfect subtree.
        end: One past the last leaf.

    Returns:
        Pairs ``(level, number)``: the subtree over the leaves from
        ``number << level`` on, ``1 << level`` of them.

    """
    parts = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        parts.append((level, begin >> level))
        begin += 1 << level
    return parts


def join_subtrees(hashes: Sequence[bytes]) -> bytes:
    """Hash the roots of falling perfect subtrees, left to right, into one."""
    if not hashes:
        return EMPTY_ROOT
    joined = hashes[-1]
    for left in reversed(hashes[:-1]):
        joined = hash_node(left, joined)
    return joined


class CompactRange:
    """The right edge of a growing tree: its perfect subtrees, left to right.

    It is all that a sequencer needs to append and to know the root.
    """

    __slots__ = ("nodes", "size")

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.nodes = list(nodes)
        if len(self.nodes) != size.bit_count():
            msg = f"a tree of {size} has {size.bit_count()} perfect subtrees"
            raise ProofInvalid(msg)

    def append(self, leaf_hash: bytes) -> list[tuple[int, int, bytes]]:
        """Append one leaf.

        Args:
            leaf_hash: What `hash_leaf` gave for the leaf's data.

        Returns:
            The tile roots that this leaf completed, lowest first: the tile
            level that the hash belongs to (1 and up), its number on that
            level, and the hash.

        """
        index = self.size
        node, level, closed = leaf_hash, 0, []
        while index >> level & 1:
            node = hash_node(self.nodes.pop(), node)
            level += 1
            if not level % TILE_HEIGHT:
                closed.append((level // TILE_HEIGHT, index >> level, node))
        self.nodes.append(node)
        self.size = index + 1
        return closed

    def root(self) -> bytes:
        """Return the root of the tree as it stands."""
        return join_subtrees(self.nodes)
