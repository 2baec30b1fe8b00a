"""Key-encryption keys in files: written whole, opened by one passphrase."""

import os
import stat
import uuid
from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from vault import Argon2Cost, CryptoFailure, FileKeyProvider, KeyUnavailable
from vault import format as fmt
from vault.providers import wrapping_suite

CHEAP = Argon2Cost(memory_kib=32, iterations=1, lanes=1)


def make(folder: Path, passphrase: bytes = b"passphrase") -> FileKeyProvider:
    """Open a folder of keys with the cheapest cost."""
    return FileKeyProvider(folder, passphrase, cost=CHEAP)


def unwrapped(
    provider: FileKeyProvider, epoch: int, context: bytes, blob: bytes
) -> bytes:
    """Unwrap into a buffer and copy it."""
    key = bytearray(32)
    provider.unwrap_into(epoch, context, blob, key)
    return bytes(key)


def test_a_key_wraps_and_unwraps_after_a_restart(tmp_path: Path) -> None:
    """What one process wrapped, the next unwraps."""
    key_id, dek = uuid.uuid4(), os.urandom(32)
    provider = make(tmp_path / "keks")
    provider.create(1, key_id)
    blob = provider.wrap(1, b"context", dek)

    again = make(tmp_path / "keks")

    assert key_id == again.key_id(1)
    assert dek == unwrapped(again, 1, b"context", blob)
    assert fmt.WRAPPED == len(blob)


def test_a_wrapped_key_is_bound_to_its_context(tmp_path: Path) -> None:
    """The same blob under another context is refused, opaquely."""
    provider = make(tmp_path)
    provider.create(1, uuid.uuid4())
    provider.create(2, uuid.uuid4())
    blob = provider.wrap(1, b"context", bytes(32))

    for epoch, context in ((1, b"contexts"), (1, b""), (2, b"context")):
        with pytest.raises(CryptoFailure):
            unwrapped(provider, epoch, context, blob)


def test_files_are_private_and_leave_nothing_behind(tmp_path: Path) -> None:
    """Folder 0700, file 0600 whatever the umask, no temporary file."""
    old = os.umask(0)
    try:
        make(tmp_path / "keks").create(1, uuid.uuid4())
    finally:
        os.umask(old)

    (path,) = (tmp_path / "keks").iterdir()
    assert "kek-00000001" == path.name
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)


def test_file_and_folder_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key is said to be there only when the disk has it."""
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(
        os,
        "fsync",
        lambda fd: (
            synced.append(stat.S_ISDIR(os.fstat(fd).st_mode)),
            fsync(fd),
        )[1],
    )

    make(tmp_path / "keks").create(1, uuid.uuid4())

    assert [False, True] == synced


@pytest.mark.parametrize("step", ["fsync", "link"])
def test_a_failed_write_leaves_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Half a file never has the name of a key."""

    def fail(*_: object, **__: object) -> None:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(OSError):  # noqa: PT011 - any failure of the disk
            make(tmp_path).create(1, uuid.uuid4())

    assert [] == list(tmp_path.iterdir())
    make(tmp_path).create(1, uuid.uuid4())


def test_a_wrong_passphrase_and_a_damaged_file_look_alike(
    tmp_path: Path,
) -> None:
    """Nothing tells which of the two it was."""
    make(tmp_path).create(1, uuid.uuid4())
    path = tmp_path / "kek-00000001"
    content = path.read_bytes()
    messages = set()
    with pytest.raises(KeyUnavailable) as caught:
        make(tmp_path, b"wrong").key_id(1)
    messages.add(str(caught.value))
    assert caught.value.__suppress_context__
    for place in range(len(content)):
        # The high bits of a cost would ask for gigabytes.
        bit = 0x80 if 26 <= place < 38 and place % 4 == 2 else 1
        changed = bytearray(content)
        changed[place] ^= bit
        path.write_bytes(changed)
        with pytest.raises(KeyUnavailable) as caught:
            make(tmp_path).key_id(1)
        messages.add(str(caught.value))
    for changed in (content[:-1], content + b"\0", b""):
        path.write_bytes(changed)
        with pytest.raises(KeyUnavailable) as caught:
            make(tmp_path).key_id(1)
        messages.add(str(caught.value))

    assert {"the key file of epoch 1 does not open"} == messages


def test_absurd_costs_are_refused_before_they_are_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted file cannot make the start hang."""
    make(tmp_path).create(1, uuid.uuid4())
    path = tmp_path / "kek-00000001"
    content = path.read_bytes()
    monkeypatch.setattr("vault.providers.Argon2id", None)
    for place in (26, 30, 34):
        for value in (b"\xff\xff\xff\xff", b"\0\0\0\0"):
            path.write_bytes(content[:place] + value + content[place + 4 :])
            with pytest.raises(KeyUnavailable):
                make(tmp_path).key_id(1)


def test_a_file_under_another_epochs_name_is_refused(tmp_path: Path) -> None:
    """An old key cannot stand in for a new one by renaming."""
    make(tmp_path).create(1, uuid.uuid4())
    (tmp_path / "kek-00000001").rename(tmp_path / "kek-00000002")

    with pytest.raises(KeyUnavailable):
        make(tmp_path).key_id(2)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Careless permissions are noticed at the start."""
    make(tmp_path).create(1, uuid.uuid4())
    (tmp_path / "kek-00000001").chmod(0o640)

    with pytest.raises(KeyUnavailable, match="0600"):
        make(tmp_path).key_id(1)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A key file is a file."""
    make(tmp_path / "a").create(1, uuid.uuid4())
    (tmp_path / "b").mkdir()
    (tmp_path / "b/kek-00000001").symlink_to(tmp_path / "a/kek-00000001")

    with pytest.raises(KeyUnavailable):
        make(tmp_path / "b").key_id(1)


def test_creating_again_needs_the_same_id(tmp_path: Path) -> None:
    """After a crash creation is repeated; a stranger's key is never used."""
    key_id = uuid.uuid4()
    provider = make(tmp_path)
    provider.create(1, key_id)
    before = (tmp_path / "kek-00000001").read_bytes()

    provider.create(1, key_id)

    assert before == (tmp_path / "kek-00000001").read_bytes()
    with pytest.raises(KeyUnavailable):
        provider.create(1, uuid.uuid4())


def test_a_destroyed_key_is_gone_at_once(tmp_path: Path) -> None:
    """File and opened key go together; destroying again is harmless."""
    provider = make(tmp_path)
    provider.create(1, uuid.uuid4())
    blob = provider.wrap(1, b"", bytes(32))

    provider.destroy(1)
    provider.destroy(1)

    assert [] == list(tmp_path.iterdir())
    with pytest.raises(KeyUnavailable):
        unwrapped(provider, 1, b"", blob)


def test_a_closed_provider_opens_nothing(tmp_path: Path) -> None:
    """After closing, the passphrase is gone."""
    provider = make(tmp_path)
    provider.create(1, uuid.uuid4())
    provider.close()

    with pytest.raises(KeyUnavailable):
        provider.key_id(1)


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    """No passphrase is no protection."""
    with pytest.raises(KeyUnavailable):
        FileKeyProvider(tmp_path, b"")


def test_nothing_shows_the_passphrase(tmp_path: Path) -> None:
    """Neither printing nor its attributes' printing names it."""
    provider = make(tmp_path, b"correct horse")

    assert "horse" not in repr(provider)
    assert "horse" not in str(provider)


def test_without_gcm_siv_the_other_suite_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library without GCM-SIV wraps under AES-256-GCM."""

    def absent(_: bytes) -> None:
        msg = "not in this library"
        raise UnsupportedAlgorithm(msg)

    monkeypatch.setattr("vault.providers.AESGCMSIV", absent)
    provider = make(tmp_path)
    provider.create(1, uuid.uuid4())

    assert fmt.AES_256_GCM == wrapping_suite()
    blob = provider.wrap(1, b"context", bytes(range(32)))
    assert fmt.AES_256_GCM == blob[0]
    assert bytes(range(32)) == unwrapped(provider, 1, b"context", blob)


def test_the_standard_cost_is_the_rfcs_second_choice() -> None:
    """64 MiB, three passes, four lanes (RFC 9106, section 4)."""
    assert Argon2Cost(memory_kib=65536, iterations=3, lanes=4) == Argon2Cost()
