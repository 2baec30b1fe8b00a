"""The envelope: buffers are zeroed, keys do not leak, failures are one."""

import contextlib
import os
import pickle
import uuid

import pytest

from vault import CryptoFailure
from vault import format as fmt
from vault.envelope import (
    OpenSubject,
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
