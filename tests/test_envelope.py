"""The envelope: buffers are zeroed, keys do not leak, failures are one."""

import contextlib
import os
import pickle
import uuid

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault import CryptoFailure
from vault import format as fmt
from vault.envelope import (
    OpenSubject,
    RecordOpener,
    Row,
    SubjectKeys,
    WrappedDek,
    commitment,
    expand,
    mac,
    zero,
)


class Recording:
    """Unwraps a fixed DEK and keeps the buffer it was asked to fill."""

    def __init__(self, dek: bytes, *, fail: bool = False) -> None:
        self.dek = dek
        self.fail = fail
        self.buffer = bytearray()

    def unwrap_into(
        self,
        epoch: int,  # noqa: ARG002 - the protocol's shape
        context: bytes,  # noqa: ARG002 - the protocol's shape
        blob: bytes,  # noqa: ARG002 - the protocol's shape
        key: bytearray,
    ) -> None:
        """Fill the buffer, and then perhaps fail."""
        key[:] = self.dek
        self.buffer = key
        if self.fail:
            raise CryptoFailure


def row(dek: bytes, *, committed: bytes | None = None) -> WrappedDek:
    """Make a row that commits to a DEK."""
    subject = uuid.uuid4()
    code = commitment("town", subject, 1, bytearray(committed or dek))
    return WrappedDek("town", subject, 1, 1, 0, code, bytes(61))


def test_the_dek_is_zeroed_before_anything_opens() -> None:
    """Inside the block only sub-keys are left; after it, not even they."""
    dek = os.urandom(32)
    opener = Recording(dek)

    with OpenSubject(opener, row(dek)) as keys:
        assert bytes(32) == opener.buffer
        derived = keys._derived
        assert any(derived)

    assert bytes(128) == derived


@pytest.mark.parametrize("how", ["unwrap", "commitment"])
def test_a_refused_dek_is_zeroed_too(how: str) -> None:
    """Failing leaves no key behind either."""
    dek = os.urandom(32)
    opener = Recording(dek, fail=how == "unwrap")
    stored = row(dek, committed=bytes(32) if how == "commitment" else None)
    with pytest.raises(CryptoFailure) as caught:
        OpenSubject(opener, stored)

    assert bytes(32) == opener.buffer
    assert stored.subject == caught.value.subject


def test_an_error_inside_the_block_zeroes_as_well() -> None:
    """The way out does not matter."""
    dek = os.urandom(32)
    derived = bytearray()
    with (
        contextlib.suppress(ZeroDivisionError),
        OpenSubject(Recording(dek), row(dek)) as keys,
    ):
        derived = keys._derived
        raise ZeroDivisionError

    assert bytes(128) == derived


def sealed_record(kek: AESGCM, dek: bytes) -> tuple[uuid.UUID, Row]:
    """Wrap a DEK for a new person, as a row of the keys database has it."""
    subject, nonce = uuid.uuid4(), os.urandom(12)
    aad = fmt.dek_context("town", subject, 1, 1, 0) + fmt.lp(b"\x01")
    blob = b"\x01" + nonce + kek.encrypt(nonce, dek, aad)
    code = commitment("town", subject, 1, bytearray(dek))
    return subject, (subject.hex, 1, 1, 0, code, blob, "live", "active")


def value_of(subject: uuid.UUID, dek: bytes, text: str) -> tuple[Row, Row]:
    """Seal one value, and make the state that names it."""
    label = fmt.subject_context("town", subject, 1)
    keys = SubjectKeys("town", subject, 1, expand(bytearray(dek), label, 128))
    record = fmt.record_head(0, "x") + text.encode()
    sealed = keys.seal(7, 1, record, os.urandom(12))
    manifest = fmt.manifest_of([(7, 1, sealed)])
    state = keys.state_mac(3, manifest) + manifest
    return (7, 1, sealed, subject.hex), (3, state, subject.hex)


def test_opening_many_leaves_no_key_behind() -> None:
    """DEK and sub-keys are zeroed after each record, opened or refused."""
    kek = AESGCM(os.urandom(32))
    opener = RecordOpener("town", b"\x01", kek)
    for text in ("one", "another"):
        dek = os.urandom(32)
        subject, row = sealed_record(kek, dek)
        value, state = value_of(subject, dek, text)

        found = opener.open_texts(subject, row, [value], state, {7: "a"})
        assert {"a": text} == found
        assert not any(opener._dek)
        assert not any(opener._derived)

        forged = (state[0] + 1, *state[1:])
        with pytest.raises(CryptoFailure) as caught:
            opener.open_texts(subject, row, [value], forged, {7: "a"})
        assert str(subject) in str(caught.value)
        assert not any(opener._dek)
        assert not any(opener._derived)


@pytest.mark.parametrize("at", range(6))
def test_opening_many_refuses_another_header(at: int) -> None:
    """Layout, suite and generation are those that are sealed in."""
    kek, dek = AESGCM(os.urandom(32)), os.urandom(32)
    opener = RecordOpener("town", b"\x01", kek)
    subject, row = sealed_record(kek, dek)
    (place, version, sealed, who), state = value_of(subject, dek, "text")
    changed = bytearray(sealed)
    changed[at] ^= 1

    with pytest.raises(CryptoFailure):
        opener.open_texts(
            subject,
            row,
            [(place, version, bytes(changed), who)],
            state,
            {place: "a"},
        )


def test_opening_many_refuses_another_suite_of_the_kek() -> None:
    """A DEK says by what it is wrapped, and must say so truly."""
    kek, dek = AESGCM(os.urandom(32)), os.urandom(32)
    opener = RecordOpener("town", b"\x01", kek)
    subject, row = sealed_record(kek, dek)
    changed = (*row[:5], b"\x02" + row[5][1:], *row[6:])

    assert {} == opener.open_texts(subject, row, [], None, {})
    with pytest.raises(CryptoFailure):
        opener.open_texts(subject, changed, [], None, {})


def test_one_record_does_not_open_another() -> None:
    """What was derived for the person before is of no use for the next."""
    kek = AESGCM(os.urandom(32))
    opener = RecordOpener("town", b"\x01", kek)
    ada, bob = os.urandom(32), os.urandom(32)
    subject, row = sealed_record(kek, ada)
    other, others_row = sealed_record(kek, bob)
    value, state = value_of(subject, ada, "text")
    opener.open_texts(subject, row, [value], state, {7: "a"})

    for who, under in ((other, others_row), (other, row), (subject, row[:1])):
        with pytest.raises(CryptoFailure):
            opener.open_texts(who, under, [value], state, {7: "a"})
    with pytest.raises(TypeError):
        pickle.dumps(opener)


def test_keys_do_not_print_or_pickle() -> None:
    """Neither a log line nor a queue gets a key."""
    keys = SubjectKeys(
        "town", uuid.uuid4(), 1, bytearray(b"secret" * 22)[:128]
    )

    assert "key " not in repr(keys)
    assert not hasattr(keys, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(keys)


def test_only_wanted_rows_are_opened() -> None:
    """A row that no grant names may be anything; it is not touched."""
    keys = SubjectKeys("town", uuid.uuid4(), 1, bytearray(os.urandom(128)))
    record = fmt.record_head(1, "desk") + b"female"
    sealed = keys.seal(8, 1, record, bytes(12))
    rows = [(7, 1, b"garbage"), (8, 1, sealed)]

    assert {"sex": "female"} == keys.open_texts(rows, {8: "sex"})
    with pytest.raises(CryptoFailure):
        keys.open_texts(rows, {7: "born", 8: "sex"})


def test_zero_keeps_the_length() -> None:
    """A buffer is overwritten where it lies."""
    buffer = bytearray(b"secret")
    zero(buffer)

    assert bytes(6) == buffer


def test_sub_keys_are_unrelated() -> None:
    """A change of one input changes all of the derived bytes."""
    subject = uuid.uuid4()
    contexts = [
        fmt.subject_context("town", subject, 1),
        fmt.subject_context("town", subject, 2),
        fmt.subject_context("tow", subject, 1),
        fmt.subject_context("town", uuid.uuid4(), 1),
    ]
    parts = [
        bytes(expand(bytes(32), context, 128))[place : place + 32]
        for context in contexts
        for place in range(0, 128, 32)
    ]

    assert 16 == len(set(parts))
    assert mac(b"k" * 32, b"a") != mac(b"k" * 32, b"b")
