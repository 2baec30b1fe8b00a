"""Pseudonyms."""

import hashlib
import hmac
import pickle
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymize import InvalidSpec, Pseudonyms

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))


@given(st.text())
def test_a_pseudonym_is_hmac_sha256_cut_to_128_bits(person: str) -> None:
    """The value is the one that the standard library's HMAC gives."""
    message = b"curtilage/pseudonym/1\x00" + person.encode("utf-8")
    expected = hmac.digest(KEY, message, hashlib.sha256)[:16].hex()
    assert expected == Pseudonyms(KEY).name(person)


def test_two_recipients_cannot_join() -> None:
    """Under different keys no pseudonym of a thousand people is shared."""
    people = [str(uuid.UUID(int=n)) for n in range(1000)]
    one = {Pseudonyms(KEY).name(person) for person in people}
    other = {Pseudonyms(OTHER).name(person) for person in people}

    assert 1000 == len(one)
    assert set() == one & other


def test_trying_identifiers_without_the_key_finds_nobody() -> None:
    """Hashing every identifier of a small space does not match any."""
    published = Pseudonyms(KEY).name("4711")
    guesses = {
        hash_(str(number).encode()).hexdigest()[:32]
        for number in range(10_000)
        for hash_ in (hashlib.sha256, hashlib.md5, hashlib.sha1)
    }
    assert published not in guesses


@pytest.mark.parametrize("key", [b"", b"short", bytes(31)])
def test_a_short_key_is_refused(key: bytes) -> None:
    """A key that could be tried through is not taken."""
    with pytest.raises(InvalidSpec):
        Pseudonyms(key)


def test_a_key_is_neither_printed_nor_pickled() -> None:
    """The key does not get out by way of repr or pickle."""
    pseudonyms = Pseudonyms(KEY)
    with pytest.raises(TypeError):
        pickle.dumps(pseudonyms)
    assert KEY.hex() not in repr(pseudonyms)
    assert not hasattr(pseudonyms, "__dict__")
