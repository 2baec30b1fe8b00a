"""Proofs about subtrees: draft-ietf-plants-merkle-tree-certs, section 4.

A subtree is a range of leaves that stands as one node in every tree that is
large enough: its start is a multiple of the power of two that its width fits
into. Pure functions, as in `merkle`.

The ledger hands out no subtree proofs; what reads the tiles of this or of
another log can check them here.
"""

from collections.abc import Sequence

from consent.errors import ProofInvalid
from consent.merkle import (
    HASH_BYTES,
    Leaves,
    SubtreeHash,
    hash_node,
    inclusion_path,
    split_point,
    verify_inclusion,
)


def demand_subtree(start: int, end: int) -> None:
    """Refuse a range of leaves that is no subtree.

    Args:
        start: First leaf.
        end: One past the last.

    Raises:
        ProofInvalid: It is none.

    """
    if not 0 <= start < end or start % (1 << (end - start - 1).bit_length()):
        msg = f"the leaves from {start} to {end} are no subtree"
        raise ProofInvalid(msg)


def subtree_inclusion_path(index: int, start: int, end: int) -> list[Leaves]:
    """Name the subtrees that prove a leaf in a subtree.

    Args:
        index: The leaf, counted from the start of the tree.
        start: First leaf of the subtree.
        end: One past its last.

    Returns:
        Ranges of leaves, the leaf's sibling first.

    Raises:
        ProofInvalid: There is no such leaf or subtree.

    """
    demand_subtree(start, end)
    path = inclusion_path(index - start, end - start)
    return [(start + first, start + last) for first, last in path]


def verify_subtree_inclusion(
    *,
    index: int,
    start: int,
    end: int,
    leaf_hash: bytes,
    proof: Sequence[bytes],
    root: bytes,
) -> None:
    """Check that a leaf stands in a subtree with this root.

    Args:
        index: The leaf, counted from the start of the tree.
        start: First leaf of the subtree.
        end: One past its last.
        leaf_hash: Of the leaf.
        proof: Hashes, the leaf's sibling first.
        root: Root of the subtree.

    Raises:
        ProofInvalid: It does not, or the proof has the wrong shape.

    """
    demand_subtree(start, end)
    verify_inclusion(
        index=index - start,
        size=end - start,
        leaf_hash=leaf_hash,
        proof=proof,
        root=root,
    )


def subtree_consistency_proof(
    start: int, end: int, size: int, subtree: SubtreeHash
) -> list[bytes]:
    """Build the proof that a subtree stands in a tree.

    Args:
        start: First leaf of the subtree.
        end: One past its last.
        size: Leaves in the tree.
        subtree: Answers the hash over a range of leaves.

    Returns:
        The proof.

    Raises:
        ProofInvalid: There is no such subtree in the tree.

    """
    demand_subtree(start, end)
    if end > size:
        msg = f"a tree of {size} has no leaf {end - 1}"
        raise ProofInvalid(msg)
    first, last, path, known = 0, size, [], True
    while (first, last) != (start, end):
        middle = first + split_point(last - first)
        if end <= middle:
            path.append((middle, last))
            last = middle
        elif start >= middle:
            path.append((first, middle))
            first = middle
        else:
            # The subtree begins where this node does and ends within it,
            # so what is left of it no longer has a hash that is known.
            path.append((first, middle))
            first = start = middle
            known = False
    if not known:
        path.append((first, last))
    path.reverse()
    return [subtree(*part) for part in path]


def verify_subtree_consistency(
    *,
    start: int,
    end: int,
    size: int,
    proof: Sequence[bytes],
    subtree_root: bytes,
    root: bytes,
) -> None:
    """Check that a subtree stands in the tree with this root.

    Args:
        start: First leaf of the subtree.
        end: One past its last.
        size: Leaves in the tree.
        proof: What `subtree_consistency_proof` gave.
        subtree_root: Root of the subtree.
        root: Root of the tree.

    Raises:
        ProofInvalid: It does not, or the proof has the wrong shape.

    """
    demand_subtree(start, end)
    if end > size or any(
        len(each) != HASH_BYTES for each in (*proof, subtree_root, root)
    ):
        msg = f"no proof leads from the leaves {start} to {end} to {size}"
        raise ProofInvalid(msg)
    first, last, tree = _seed_place(start, end - 1, size - 1)
    path = [subtree_root, *proof] if first == last else list(proof)
    was = now = path[0] if path else b""
    for sibling in path[1:]:
        if tree and (last & 1 or last == tree):
            if first < last:
                was = hash_node(sibling, was)
            now = hash_node(sibling, now)
            skip = (last & -last).bit_length() - 1
            first, last, tree = first >> skip, last >> skip, tree >> skip
        elif tree:
            now = hash_node(now, sibling)
        else:
            msg = "the proof of a subtree is too long"
            raise ProofInvalid(msg)
        first, last, tree = first >> 1, last >> 1, tree >> 1
    if tree or was != subtree_root or now != root:
        msg = f"the proof of the subtree from {start} to {end} misses a root"
        raise ProofInvalid(msg)


def _seed_place(first: int, last: int, tree: int) -> tuple[int, int, int]:
    """Climb to the node that a proof starts from.

    That is the subtree's own node, or the last one that its right edge does
    not share with the tree's path.
    """
    on_the_edge = last == tree
    while first != last and (on_the_edge or last & 1):
        first, last, tree = first >> 1, last >> 1, tree >> 1
    return first, last, tree
