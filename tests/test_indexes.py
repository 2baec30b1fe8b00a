"""Blind indexes: one key per attribute, tags that tie a row to a person."""

import pickle
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault import standard_catalogue
from vault.indexes import BlindIndex

CATALOGUE = standard_catalogue()
EMAIL = CATALOGUE["user.home-info.online.email"]
PASSPORT = CATALOGUE["user.identity.passport"]


def test_a_digest_is_128_bits_and_stable() -> None:
    """Equal values of one attribute meet; nothing else does."""
    index = BlindIndex("town", bytes(32))

    assert 16 == len(index.digest(EMAIL, "a@b.org"))
    assert index.digest(EMAIL, "a@b.org") == index.digest(EMAIL, "A@b.org")
    assert index.digest(PASSPORT, "E1") != index.digest(PASSPORT, "e1")
    assert index.digest(EMAIL, "a@b.org") == BlindIndex(
        "town", bytes(32)
    ).digest(EMAIL, "a@b.org")


@given(st.integers(1, 2**31), st.integers(1, 2**31))
def test_a_binding_is_for_one_version(one: int, other: int) -> None:
    """A tag made for one version of a value fits no other."""
    index, subject = BlindIndex("town", bytes(32)), uuid.UUID(int=1)
    tags = [index.binding(21, subject, bytes(16), n) for n in (one, other)]

    assert (one == other) == (tags[0] == tags[1])


def test_a_binding_is_for_one_person_digest_and_attribute() -> None:
    """Changing any of the three changes the tag."""
    index, ada, bob = BlindIndex("town", bytes(32)), uuid.uuid4(), uuid.uuid4()
    tags = {
        index.binding(attribute, subject, digest, 1)
        for attribute in (21, 30)
        for subject in (ada, bob)
        for digest in (bytes(16), b"x" * 16)
    }

    assert 8 == len(tags)


def test_it_neither_prints_nor_pickles_its_keys() -> None:
    """Index keys stay in the process."""
    index = BlindIndex("town", b"secret" * 5 + b"ab")

    assert "secret" not in repr(index)
    with pytest.raises(TypeError):
        pickle.dumps(index)
