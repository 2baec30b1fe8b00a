"""Subtree proofs against the published vectors and against brute force."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.errors import ProofInvalid
from consent.merkle import over_leaves
from consent.subtrees import (
    demand_subtree,
    subtree_consistency_proof,
    subtree_inclusion_path,
    verify_subtree_consistency,
    verify_subtree_inclusion,
)
from tests.test_merkle import cases, decoded, flip, tree_of


@pytest.mark.corpus
def test_published_subtree_inclusion_vectors(corpus: Path) -> None:
    """All 204 cases of transparency-dev come out as they say."""
    found = cases(corpus, "subtreeinclusion")
    wrong = [
        name
        for name, case in found
        if fails_inclusion(case) != case["wantErr"]
    ]

    assert [] == wrong
    assert 204 == len(found)


def fails_inclusion(case: dict[str, Any]) -> bool:
    """Whether a case is refused."""
    try:
        verify_subtree_inclusion(
            index=case["leafIdx"],
            start=case["start"],
            end=case["end"],
            leaf_hash=decoded(case["leafHash"]),
            proof=[decoded(each) for each in case["proof"] or ()],
            root=decoded(case["root"]),
        )
    except ProofInvalid:
        return True
    return False


@pytest.mark.corpus
def test_published_subtree_consistency_vectors(corpus: Path) -> None:
    """Of 118 cases 111 come out as they say; 7 are refused on purpose.

    Six prove nothing about an empty subtree, whatever the roots are; one
    has roots of 12 bytes.
    """
    found = cases(corpus, "subtreeconsistency")
    stricter = [
        name
        for name, case in found
        if not case["wantErr"]
        and (case["start"] == case["end"] or len(decoded(case["root1"])) != 32)
    ]
    wrong = [
        name
        for name, case in found
        if fails_consistency(case) != case["wantErr"]
    ]

    assert stricter == wrong
    assert (118, 7) == (len(found), len(wrong))


def fails_consistency(case: dict[str, Any]) -> bool:
    """Whether a case is refused."""
    try:
        verify_subtree_consistency(
            start=case["start"],
            end=case["end"],
            size=case["size"],
            proof=[decoded(each) for each in case["proof"] or ()],
            subtree_root=decoded(case["root1"]),
            root=decoded(case["root2"]),
        )
    except ProofInvalid:
        return True
    return False


def drawn_subtree(data: st.DataObject, size: int) -> tuple[int, int]:
    """Draw a subtree of a tree."""
    width = data.draw(st.integers(1, size))
    step = 1 << (width - 1).bit_length()
    start = step * data.draw(st.integers(0, (size - width) // step))
    return start, start + width


@given(st.data())
def test_proofs_of_every_subtree_hold(data: st.DataObject) -> None:
    """What is built verifies, and nothing else does in its place."""
    size = data.draw(st.integers(1, 130))
    start, end = drawn_subtree(data, size)
    subtree = over_leaves(tree_of(size))
    proof = subtree_consistency_proof(start, end, size, subtree)
    parts = [subtree(start, end), subtree(0, size), *proof]

    def check(one: bytes, whole: bytes, *path: bytes) -> None:
        verify_subtree_consistency(
            start=start,
            end=end,
            size=size,
            proof=path,
            subtree_root=one,
            root=whole,
        )

    check(*parts)
    with pytest.raises(ProofInvalid):
        check(*flip(data, parts))
    with pytest.raises(ProofInvalid):
        check(*parts, bytes(32))
    if proof:
        with pytest.raises(ProofInvalid):
            check(*parts[:-1])


@given(st.data())
def test_leaves_of_a_subtree(data: st.DataObject) -> None:
    """A leaf is counted from the start of the tree, not of the subtree."""
    size = data.draw(st.integers(1, 130))
    start, end = drawn_subtree(data, size)
    index = data.draw(st.integers(start, end - 1))
    hashes = tree_of(size)
    subtree = over_leaves(hashes)
    path = subtree_inclusion_path(index, start, end)

    verify_subtree_inclusion(
        index=index,
        start=start,
        end=end,
        leaf_hash=hashes[index],
        proof=[subtree(*part) for part in path],
        root=subtree(start, end),
    )


@pytest.mark.parametrize(
    ("start", "end"), [(-1, 1), (0, 0), (1, 3), (2, 5), (3, 2), (4, 12)]
)
def test_ranges_that_are_no_subtree(start: int, end: int) -> None:
    """A subtree stands as one node in every tree that is large enough."""
    with pytest.raises(ProofInvalid):
        demand_subtree(start, end)


def test_no_proof_leads_beyond_the_tree() -> None:
    """A subtree that ends beyond the tree is none of it."""
    with pytest.raises(ProofInvalid):
        subtree_consistency_proof(0, 5, 4, over_leaves(tree_of(5)))
