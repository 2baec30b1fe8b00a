"""Notes about a person end with the person's log key."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_vault import World, world
from vault import CryptoFailure, NoteBox
from vault import format as fmt
from vault.envelope import mac

__all__ = ["world"]


def box(key: bytes = bytes(32)) -> NoteBox:
    """Make a box under a key."""
    return NoteBox(key, random=os.urandom)


@given(st.text(max_size=20), st.binary(max_size=200))
def test_a_note_comes_back(label: str, body: bytes) -> None:
    """Any body under any label, each time in other bytes."""
    sealed = box().seal(label, body)

    assert body == box().unseal(label, sealed)
    assert sealed != box().seal(label, body)


def test_a_note_opens_for_its_key_and_label_only() -> None:
    """Altered, shortened, relabelled or somebody else's is one failure."""
    sealed = box().seal("decision", b"body")
    broken = [sealed[:cut] for cut in range(len(sealed))]
    for place in range(len(sealed)):
        one = bytearray(sealed)
        one[place] ^= 1
        broken.append(bytes(one))

    for one in broken:
        with pytest.raises(CryptoFailure):
            box().unseal("decision", one)
    with pytest.raises(CryptoFailure):
        box().unseal("decisions", sealed)
    with pytest.raises(CryptoFailure):
        box(b"x" * 32).unseal("decision", sealed)


def test_a_tag_is_the_specified_one() -> None:
    """Tags differ by label and by person, and are those of FORMAT.md."""
    assert (
        mac(bytes(32), fmt.lp(b"pv1/note-tag", b"decision"))[:16]
        == box().tag("decision")
        != box().tag("guard")
    )
    assert box().tag("decision") != box(b"x" * 32).tag("decision")


def test_after_an_erasure_a_note_opens_no_more(world: World) -> None:
    """The log key went with the DEK; what is derived now is the decoy's."""
    subject = world.person()
    key = world.vault.log_key(world.vault.holding(subject))
    sealed = box(key).seal("decision", b"body")
    with world.data.begin() as conn:
        world.vault.erase(conn, subject)
    after = world.vault.log_key(world.vault.holding(subject))

    with pytest.raises(CryptoFailure):
        box(after).unseal("decision", sealed)
