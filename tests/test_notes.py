"""Notes about a person, sealed under the person's log key."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import CryptoFailure
from vault.notes import NoteBox

KEY = bytes(range(32))


def box(key: bytes = KEY) -> NoteBox:
    """A box with fresh nonces."""
    return NoteBox(key, random=os.urandom)


@given(body=st.binary(max_size=200), label=st.text(max_size=40))
def test_a_note_opens_again(body: bytes, label: str) -> None:
    """What was sealed under a label opens under it."""
    assert body == box().unseal(label, box().seal(label, body))


@given(where=st.integers(min_value=0), bit=st.integers(0, 7))
def test_every_flipped_bit_is_noticed(where: int, bit: int) -> None:
    """No bit of a sealed note can change without a failure."""
    sealed = bytearray(box().seal("decision/1", b"an answer"))
    sealed[where % len(sealed)] ^= 1 << bit
    with pytest.raises(CryptoFailure):
        box().unseal("decision/1", bytes(sealed))


def test_a_note_does_not_move() -> None:
    """A note opens neither under another label nor for another person."""
    sealed = box().seal("decision/1", b"an answer")
    with pytest.raises(CryptoFailure):
        box().unseal("decision/2", sealed)
    with pytest.raises(CryptoFailure):
        box(bytes(32)).unseal("decision/1", sealed)


def test_tags_tell_kinds_and_people_apart() -> None:
    """A tag is stable for a kind and person, and differs for any other."""
    assert box().tag("decision") == box().tag("decision")
    assert box().tag("decision") != box().tag("guard")
    assert box().tag("decision") != box(bytes(32)).tag("decision")
