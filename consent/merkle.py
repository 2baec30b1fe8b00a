"""Merkle tree hashing and proofs: RFC 6962 section 2.1, RFC 9162 section 2.1.

Pure functions over SHA-256; no storage, no signatures, no clock. A proof is
described first as the ranges of leaves whose subtree hashes it consists of
(`inclusion_path`, `consistency_path`), so that a store can fetch exactly
those; the hashes are then filled in by a callable.

Stricter than the RFCs: a consistency proof from the empty tree is refused,
and so is a hash that is hashed further and is not 32 bytes long.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

from consent.errors import ProofInvalid

HASH_BYTES = 32
_PAIR = 2 * HASH_BYTES
EMPTY_ROOT = hashlib.sha256(b"").digest()

Leaves = tuple[int, int]
SubtreeHash = Callable[[int, int], bytes]


def hash_leaf(data: bytes) -> bytes:
    """Hash the data of one leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Hash two children into their parent."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split_point(size: int) -> int:
    """Return the largest power of two below ``size`` (which is 2 or more)."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_path(index: int, size: int) -> list[Leaves]:
    """Name the subtrees that prove a leaf, the leaf's sibling first.

    Args:
        index: Position of the leaf, from 0.
        size: Number of leaves in the tree.

    Returns:
        Ranges ``(begin, end)`` of leaves, ``end`` not included.

    Raises:
        ProofInvalid: The tree has no such leaf.

    """
    if not 0 <= index < size:
        msg = f"a tree of {size} has no leaf {index}"
        raise ProofInvalid(msg)
    begin, end, path = 0, size, []
    while end - begin > 1:
        middle = begin + split_point(end - begin)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((begin, middle))
            begin = middle
    path.reverse()
    return path


def consistency_path(old: int, new: int) -> list[Leaves]:
    """Name the subtrees that prove one tree to be the start of another.

    Args:
        old: Leaves in the earlier tree, at least 1.
        new: Leaves in the later tree, at least ``old``.

    Returns:
        Ranges ``(begin, end)`` of leaves; none where the sizes are equal.

    Raises:
        ProofInvalid: There is no proof between these sizes.

    """
    if not 0 < old <= new:
        msg = f"no consistency proof leads from {old} to {new}"
        raise ProofInvalid(msg)
    begin, end, path = 0, new, []
    while old != end:
        middle = begin + split_point(end - begin)
        if old <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((begin, middle))
            begin = middle
    # The old tree itself needs no hash where it is a whole left subtree:
    # the verifier has its root already.
    if begin:
        path.append((begin, end))
    path.reverse()
    return path


def subtree_root(hashes: Sequence[bytes]) -> bytes:
    """Compute the root over consecutive hashes of one level.

    Args:
        hashes: Leaf hashes, or roots of equally high perfect subtrees.

    Returns:
        Their root; the empty tree's root where there are none.

    """
    level = list(hashes)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        # An odd last node moves up as it is: that is the RFC's split.
        odd = level[-1:] if len(level) % 2 else []
        level = [
            hash_node(left, right)
            for left, right in zip(level[::2], level[1::2], strict=False)
        ] + odd
    return level[0]


def levels_above(joined: bytes) -> tuple[bytes, ...]:
    """Hash a level up, as far as perfect subtrees go.

    Args:
        joined: The hashes of one level, joined.

    Returns:
        That level, and those above it: the n-th has the roots of all perfect
        subtrees over 2**n of the hashes, joined.

    """
    levels, sha256 = [joined], hashlib.sha256
    while len(joined) >= _PAIR:
        joined = b"".join(
            [
                sha256(b"\x01" + joined[at : at + _PAIR]).digest()
                for at in range(0, len(joined) // _PAIR * _PAIR, _PAIR)
            ]
        )
        levels.append(joined)
    return tuple(levels)


def over_leaves(hashes: Sequence[bytes]) -> SubtreeHash:
    """Answer subtree hashes from leaf hashes held in memory."""
    return lambda begin, end: subtree_root(hashes[begin:end])


def inclusion_proof(
    index: int, size: int, subtree: SubtreeHash
) -> list[bytes]:
    """Build the proof that a leaf stands in a tree; see `inclusion_path`."""
    return [subtree(*part) for part in inclusion_path(index, size)]


def consistency_proof(old: int, new: int, subtree: SubtreeHash) -> list[bytes]:
    """Build the proof between two sizes; see `consistency_path`."""
    return [subtree(*part) for part in consistency_path(old, new)]


def verify_inclusion(
    *,
    index: int,
    size: int,
    leaf_hash: bytes,
    proof: Sequence[bytes],
    root: bytes,
) -> None:
    """Check that a leaf stands at ``index`` in the tree with this root.

    Args:
        index: Position of the leaf, from 0.
        size: Number of leaves in the tree.
        leaf_hash: What `hash_leaf` gave for the leaf's data.
        proof: Hashes, the leaf's sibling first.
        root: Root of the tree.

    Raises:
        ProofInvalid: It does not, or the proof has the wrong shape.

    """
    _demand_hashes(leaf_hash, root, *proof)
    if not 0 <= index < size:
        msg = f"a tree of {size} has no leaf {index}"
        raise ProofInvalid(msg)
    # Up to where the paths of this leaf and of the last one meet, a
    # sibling stands on the side that the index bit says; above, always left.
    inner = (index ^ (size - 1)).bit_length()
    border = (index >> inner).bit_count()
    if len(proof) != inner + border:
        msg = f"an inclusion proof of {len(proof)} hashes has the wrong length"
        raise ProofInvalid(msg)
    computed = _climb_both(leaf_hash, proof[:inner], index)
    computed = _climb_right(computed, proof[inner:])
    if computed != root:
        msg = f"the inclusion proof of leaf {index} misses the root"
        raise ProofInvalid(msg)


def verify_consistency(
    *,
    old: int,
    new: int,
    proof: Sequence[bytes],
    old_root: bytes,
    new_root: bytes,
) -> None:
    """Check that the tree of ``old`` leaves is the start of that of ``new``.

    Args:
        old: Leaves in the earlier tree, at least 1.
        new: Leaves in the later tree.
        proof: Hashes as RFC 9162 section 2.1.4 orders them.
        old_root: Root of the earlier tree.
        new_root: Root of the later tree.

    Raises:
        ProofInvalid: It is not, or the proof has the wrong shape.

    """
    if not 0 < old <= new:
        msg = f"no consistency proof leads from {old} to {new}"
        raise ProofInvalid(msg)
    if old == new:
        if proof or old_root != new_root:
            msg = f"two trees of {old} leaves differ"
            raise ProofInvalid(msg)
        return
    _demand_hashes(old_root, new_root, *proof)
    seed, path, inner, mask = _consistency_shape(old, new, proof, old_root)
    lower, upper = path[:inner], path[inner:]
    was = seed
    for step, sibling in enumerate(lower):
        if mask >> step & 1:
            was = hash_node(sibling, was)
    was = _climb_right(was, upper)
    now = _climb_right(_climb_both(seed, lower, mask), upper)
    if was != old_root or now != new_root:
        msg = f"the consistency proof from {old} to {new} misses a root"
        raise ProofInvalid(msg)


def _consistency_shape(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes
) -> tuple[bytes, Sequence[bytes], int, int]:
    """Return seed, path, its two-sided length, and the bits of the sides."""
    shift = (old & -old).bit_length() - 1
    inner = ((old - 1) ^ (new - 1)).bit_length()
    border = ((old - 1) >> inner).bit_count()
    inner -= shift
    whole = old == 1 << shift
    if len(proof) != inner + border + (not whole):
        msg = f"a consistency proof of {len(proof)} hashes has a wrong length"
        raise ProofInvalid(msg)
    seed = old_root if whole else proof[0]
    return seed, proof[not whole :], inner, (old - 1) >> shift


def _climb_both(node: bytes, siblings: Iterable[bytes], sides: int) -> bytes:
    for step, sibling in enumerate(siblings):
        if sides >> step & 1:
            node = hash_node(sibling, node)
        else:
            node = hash_node(node, sibling)
    return node


def _climb_right(node: bytes, siblings: Iterable[bytes]) -> bytes:
    for sibling in siblings:
        node = hash_node(sibling, node)
    return node


def _demand_hashes(*hashes: bytes) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        msg = f"every hash of a proof has {HASH_BYTES} bytes"
        raise ProofInvalid(msg)
