"""Merkle hashing and proofs against the vectors of the standard's authors."""

import base64
import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.compact_range import (
    TILE_WIDTH,
    CompactRange,
    join_subtrees,
    perfect_subtrees,
)
from consent.errors import ProofInvalid
from consent.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    hash_leaf,
    hash_node,
    inclusion_proof,
    over_leaves,
    subtree_root,
    verify_consistency,
    verify_inclusion,
)

# transparency-dev/merkle, testonly/constants.go
REFERENCE_LEAVES = [
    bytes.fromhex(each)
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
REFERENCE_ROOTS = {
    0: ("e3b0c442", "b855"),
    1: ("6e340b9c", "a01d"),
    2: ("fac54203", "c125"),
    3: ("aeb6bcfe", "6e77"),
    4: ("d37ee418", "14b7"),
    5: ("4e3bbb1f", "64d4"),
    6: ("76e67dad", "87ef"),
    7: ("ddb89be4", "4c8c"),
    8: (
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        "4328",
    ),
}


def tree_of(size: int) -> list[bytes]:
    """Return the leaf hashes of a tree of numbered leaves."""
    return [hash_leaf(b"%d" % number) for number in range(size)]


def defined_root(hashes: Sequence[bytes]) -> bytes:
    """Compute the root word for word as RFC 9162 section 2.1.1 defines it."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    left, right = defined_root(hashes[:split]), defined_root(hashes[split:])
    return sha256(b"\x01" + left + right).digest()


def decoded(value: str | None) -> bytes:
    """Read base64 that may be absent."""
    return base64.b64decode(value or "")


def cases(corpus: Path, kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Read the vectors of one kind."""
    folder = corpus / "vectors/transparency-dev-merkle/testdata" / kind
    return [
        (str(path.relative_to(folder)), json.loads(path.read_text()))
        for path in sorted(folder.rglob("*.json"))
    ]


@pytest.mark.corpus
def test_published_inclusion_vectors(corpus: Path) -> None:
    """All 98 inclusion cases of transparency-dev come out as they say."""
    wrong = []
    for name, case in cases(corpus, "inclusion"):
        try:
            verify_inclusion(
                index=case["leafIdx"],
                size=case["treeSize"],
                leaf_hash=decoded(case["leafHash"]),
                proof=[decoded(each) for each in case["proof"] or ()],
                root=decoded(case["root"]),
            )
            failed = False
        except ProofInvalid:
            failed = True
        if failed != case["wantErr"]:
            wrong.append(name)

    assert [] == wrong
    assert 98 == len(cases(corpus, "inclusion"))


@pytest.mark.corpus
def test_published_consistency_vectors(corpus: Path) -> None:
    """All 98 consistency cases of transparency-dev come out as they say."""
    wrong = []
    for name, case in cases(corpus, "consistency"):
        try:
            verify_consistency(
                old=case["size1"],
                new=case["size2"],
                proof=[decoded(each) for each in case["proof"] or ()],
                old_root=decoded(case["root1"]),
                new_root=decoded(case["root2"]),
            )
            failed = False
        except ProofInvalid:
            failed = True
        if failed != case["wantErr"]:
            wrong.append(name)

    assert [] == wrong
    assert 98 == len(cases(corpus, "consistency"))


@pytest.mark.parametrize("size", REFERENCE_ROOTS)
def test_reference_roots(size: int) -> None:
    """The roots of RFC 6962's reference leaves are the published ones."""
    edge = CompactRange()
    for leaf in REFERENCE_LEAVES[:size]:
        edge.append(hash_leaf(leaf))
    root = edge.root().hex()

    assert root.startswith(REFERENCE_ROOTS[size][0])
    assert root.endswith(REFERENCE_ROOTS[size][1])
    assert (
        root
        == subtree_root(list(map(hash_leaf, REFERENCE_LEAVES[:size]))).hex()
    )


@given(st.integers(0, 700))
def test_roots_are_as_defined(size: int) -> None:
    """Both ways to a root give what the definition gives."""
    hashes = tree_of(size)
    edge = CompactRange()
    for each in hashes:
        edge.append(each)

    assert defined_root(hashes) == subtree_root(hashes) == edge.root()


@given(st.data())
def test_inclusion_proofs_verify(data: st.DataObject) -> None:
    """A built proof verifies; with any one byte changed it does not."""
    size = data.draw(st.integers(1, 600))
    index = data.draw(st.integers(0, size - 1))
    hashes = tree_of(size)
    proof = inclusion_proof(index, size, over_leaves(hashes))
    root = defined_root(hashes)
    verify_inclusion(
        index=index, size=size, leaf_hash=hashes[index], proof=proof, root=root
    )

    forged = flip(data, [hashes[index], *proof, root])
    with pytest.raises(ProofInvalid):
        verify_inclusion(
            index=index,
            size=size,
            leaf_hash=forged[0],
            proof=forged[1:-1],
            root=forged[-1],
        )


@given(st.data())
def test_consistency_proofs_verify(data: st.DataObject) -> None:
    """A built proof verifies; with any one byte changed it does not."""
    new = data.draw(st.integers(1, 600))
    old = data.draw(st.integers(1, new))
    hashes = tree_of(new)
    proof = consistency_proof(old, new, over_leaves(hashes))
    old_root, new_root = defined_root(hashes[:old]), defined_root(hashes)
    verify_consistency(
        old=old, new=new, proof=proof, old_root=old_root, new_root=new_root
    )

    forged = flip(data, [old_root, *proof, new_root])
    with pytest.raises(ProofInvalid):
        verify_consistency(
            old=old,
            new=new,
            proof=forged[1:-1],
            old_root=forged[0],
            new_root=forged[-1],
        )


def flip(data: st.DataObject, hashes: list[bytes]) -> list[bytes]:
    """Change one byte of one hash."""
    which = data.draw(st.integers(0, len(hashes) - 1))
    place = data.draw(st.integers(0, 31))
    changed = bytearray(hashes[which])
    changed[place] ^= data.draw(st.integers(1, 255))
    return [*hashes[:which], bytes(changed), *hashes[which + 1 :]]


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3), (4, 3)])
def test_no_proof_for_leaves_that_are_not_there(index: int, size: int) -> None:
    """There is no leaf outside the tree, for prover and verifier alike."""
    hashes = tree_of(3)

    with pytest.raises(ProofInvalid):
        inclusion_proof(index, size, over_leaves(hashes))
    with pytest.raises(ProofInvalid):
        verify_inclusion(
            index=index,
            size=size,
            leaf_hash=hashes[0],
            proof=[],
            root=EMPTY_ROOT,
        )


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 3), (4, 3), (-1, 3)])
def test_no_proof_from_nothing_or_backwards(old: int, new: int) -> None:
    """Nothing is consistent with the empty tree, or with a larger one."""
    with pytest.raises(ProofInvalid):
        consistency_proof(old, new, over_leaves(tree_of(4)))
    with pytest.raises(ProofInvalid):
        verify_consistency(
            old=old,
            new=new,
            proof=[],
            old_root=EMPTY_ROOT,
            new_root=EMPTY_ROOT,
        )


def test_proofs_of_a_wrong_shape_are_refused() -> None:
    """Hashes of another length, and proofs of another length, are refused."""
    hashes = tree_of(5)
    root = defined_root(hashes)
    proof = inclusion_proof(1, 5, over_leaves(hashes))
    wrong = {
        "short hash": [*proof[:-1], proof[-1][:-1]],
        "one less": proof[:-1],
        "one more": [*proof, root],
    }

    for each in wrong.values():
        with pytest.raises(ProofInvalid):
            verify_inclusion(
                index=1, size=5, leaf_hash=hashes[1], proof=each, root=root
            )
    for each in ([], [root] * 9):
        with pytest.raises(ProofInvalid):
            verify_consistency(
                old=3, new=5, proof=each, old_root=root, new_root=root
            )


def test_leaves_and_nodes_cannot_be_mistaken() -> None:
    """A leaf that holds two hashes is not hashed as their parent."""
    left, right = tree_of(2)

    assert hash_node(left, right) != hash_leaf(left + right)


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_perfect_subtrees_cover_a_range(begin: int, width: int) -> None:
    """They cover exactly the leaves asked for, from wide to narrow."""
    begin <<= (width or 1).bit_length()
    parts = perfect_subtrees(begin, begin + width)
    leaves = [
        leaf
        for level, number in parts
        for leaf in range(number << level, (number + 1) << level)
    ]

    assert list(range(begin, begin + width)) == leaves
    assert sorted(parts, reverse=True) == parts


def test_compact_range_closes_tiles() -> None:
    """Each full tile is reported once, with its root, level by level."""
    count = TILE_WIDTH * 3 + 7
    hashes = tree_of(count)
    edge = CompactRange()
    closed = [each for leaf in hashes for each in edge.append(leaf)]
    expected = [
        (1, n, defined_root(hashes[n * TILE_WIDTH : (n + 1) * TILE_WIDTH]))
        for n in range(3)
    ]

    assert expected == closed


def test_compact_range_closes_two_levels_at_once() -> None:
    """The leaf that fills a tile of tiles closes both."""
    edge = CompactRange(TILE_WIDTH**2 - 1, [b"%032d" % n for n in range(16)])
    closed = edge.append(b"l" * 32)

    assert [(1, 255), (2, 0)] == [(level, n) for level, n, _ in closed]


def test_compact_range_refuses_an_edge_of_another_size() -> None:
    """An edge has as many hashes as its size has bits."""
    with pytest.raises(ProofInvalid):
        CompactRange(3, [b"x" * 32])


def test_joining_nothing_gives_the_empty_root() -> None:
    """The empty tree has the hash of nothing for its root."""
    assert EMPTY_ROOT == join_subtrees([])
