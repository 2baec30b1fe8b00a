"""The secrets file: opens with its passphrase, whole, and in no other way."""

import base64
import copy
import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api.secrets import (
    Costs,
    Secrets,
    SecretsUnreadableError,
    _derive,
    add_ledger_mldsa,
    create_secrets,
    load_secrets,
)
from tests.worlds import CHEAP

PASSPHRASE = b"correct horse battery staple"
RAW = ("audit", "mark", "pseudonym", "session", "token")
SIGNERS = ("ledger", "receipt", "release")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A fresh secrets file."""
    made = tmp_path / "secrets" / "secrets.json"
    create_secrets(made, PASSPHRASE, random=os.urandom, costs=CHEAP)
    return made


def keys_of(secrets: Secrets) -> list[bytes]:
    """Every key, in the raw."""
    return [
        *(getattr(secrets, name) for name in RAW),
        *(
            getattr(secrets, name).private_bytes_raw()
            for name in (*SIGNERS, "ledger_mldsa")
        ),
    ]


def test_it_opens_again_with_the_same_keys(path: Path) -> None:
    """Nine keys of 256 bits, each another, the same at each opening."""
    first = keys_of(load_secrets(path, PASSPHRASE))

    assert first == keys_of(load_secrets(path, PASSPHRASE))
    assert 9 == len(set(first))
    assert {32} == {len(one) for one in first}


def test_two_instances_share_no_key(path: Path, tmp_path: Path) -> None:
    """The keys, the salt and the nonce are drawn anew each time."""
    other = tmp_path / "other.json"
    create_secrets(other, PASSPHRASE, random=os.urandom, costs=CHEAP)
    ours, theirs = json.loads(path.read_text()), json.loads(other.read_text())

    assert not set(keys_of(load_secrets(path, PASSPHRASE))) & set(
        keys_of(load_secrets(other, PASSPHRASE))
    )
    assert ours["salt"] != theirs["salt"]
    assert ours["nonce"] != theirs["nonce"]


def test_the_file_is_for_its_owner(path: Path) -> None:
    """Mode 0600 in a folder of mode 0700, whatever the umask is."""
    assert 0o600 == path.stat().st_mode & 0o777
    assert 0o700 == path.parent.stat().st_mode & 0o777


def test_it_is_never_replaced(path: Path) -> None:
    """A second creation fails and leaves every byte."""
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        create_secrets(path, PASSPHRASE, random=os.urandom, costs=CHEAP)

    assert before == path.read_bytes()


def refusal(path: Path, passphrase: bytes = PASSPHRASE) -> str:
    """What the file says when it does not open."""
    with pytest.raises(SecretsUnreadableError) as caught:
        load_secrets(path, passphrase)
    assert None is caught.value.__cause__
    return str(caught.value)


@pytest.mark.parametrize(
    "wrong", [b"", b"correct horse battery stapl", PASSPHRASE + b"\n"]
)
def test_a_wrong_passphrase_is_refused(path: Path, wrong: bytes) -> None:
    """Shorter, longer, none: refused."""
    assert "cannot be opened" in refusal(path, wrong)


def flipped(value: object) -> list[object]:
    """A field's value, wrong in several ways."""
    if isinstance(value, int):
        return [value + 1, -1, 0, 2**31, 2**40, 2**80, "1", None, 1.5, [1]]
    raw = base64.b64decode(str(value), validate=False)
    changed = bytes([raw[0] ^ 1]) + raw[1:] if raw else b""
    return [
        base64.b64encode(changed).decode(),
        base64.b64encode(raw[:-1]).decode(),
        "argon2i",
        "",
        "!",
        None,
        7,
    ]


@pytest.mark.parametrize(
    "field",
    ["v", "kdf", "iterations", "lanes", "memory_kib", "salt", "nonce", "box"],
)
def test_every_changed_field_is_refused_alike(path: Path, field: str) -> None:
    """One wording for all, as for a wrong passphrase, and no long wait."""
    document = json.loads(path.read_text("ascii"))
    wording = refusal(path, b"another passphrase")
    for value in flipped(document[field]):
        path.write_text(json.dumps(document | {field: value}), "ascii")
        assert wording == refusal(path), value
    del document[field]
    path.write_text(json.dumps(document), "ascii")

    assert wording == refusal(path)


def test_every_flipped_bit_of_the_box_is_refused(path: Path) -> None:
    """The box is authenticated as a whole."""
    document = json.loads(path.read_text("ascii"))
    box = base64.b64decode(document["box"])
    for place in (0, len(box) // 2, len(box) - 1):
        for bit in (1, 128):
            changed = bytearray(box)
            changed[place] ^= bit
            text = base64.b64encode(bytes(changed)).decode()
            path.write_text(json.dumps(document | {"box": text}), "ascii")
            refusal(path)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b"{", b"\xff", b'"x"', b"7"]
)
def test_another_file_is_refused_alike(path: Path, content: bytes) -> None:
    """What is no secrets file is refused in the same words."""
    wording = refusal(path, b"another passphrase")
    path.write_bytes(content)

    assert wording == refusal(path)


def test_a_missing_file_is_refused_alike(tmp_path: Path) -> None:
    """The words point at init, and nothing is made."""
    absent = tmp_path / "none.json"

    assert "curtilage init" in refusal(absent)
    assert not absent.exists()


def test_a_box_of_another_purpose_is_refused(path: Path) -> None:
    """The box is bound to what it is for, so another cannot stand in."""
    document = json.loads(path.read_text("ascii"))
    key = _derive(PASSPHRASE, base64.b64decode(document["salt"]), CHEAP)
    nonce = base64.b64decode(document["nonce"])
    box = AESGCM(key).encrypt(nonce, b"{}", b"something else")
    document["box"] = base64.b64encode(box).decode()
    path.write_text(json.dumps(document), "ascii")

    refusal(path)


def test_keys_do_not_print_and_do_not_leave(path: Path) -> None:
    """No key in repr or str; no pickle and no copy."""
    secrets = load_secrets(path, PASSPHRASE)
    for shown in (repr(secrets), str(secrets), f"{secrets}"):
        for key in keys_of(secrets):
            assert key.hex() not in shown
            assert repr(key) not in shown
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="do not leave the process"):
            leave(secrets)
    with pytest.raises(AttributeError):
        secrets.audit = b""


def test_the_passphrase_is_not_in_the_file(path: Path) -> None:
    """Neither the passphrase nor a key stands in the clear."""
    content = path.read_bytes()

    assert PASSPHRASE not in content
    for key in keys_of(load_secrets(path, PASSPHRASE)):
        assert key not in content
        assert base64.b64encode(key) not in content


def test_the_default_costs_are_the_recommended_ones() -> None:
    """RFC 9106, section 4: three passes, four lanes, 64 MiB."""
    assert Costs(iterations=3, lanes=4, memory_kib=65_536) == Costs()


def take_the_key_out(path: Path) -> None:
    """Make the file one of before the ledger had a second key."""
    document = json.loads(path.read_text("ascii"))
    key = _derive(PASSPHRASE, base64.b64decode(document["salt"]), CHEAP)
    nonce, box = (base64.b64decode(document[n]) for n in ("nonce", "box"))
    body = json.loads(AESGCM(key).decrypt(nonce, box, b"curtilage/secrets/1"))
    del body["ledger_mldsa"]
    sealed = AESGCM(key).encrypt(
        nonce, json.dumps(body).encode(), b"curtilage/secrets/1"
    )
    document["box"] = base64.b64encode(sealed).decode()
    path.write_text(json.dumps(document), "ascii")


def test_an_older_file_gets_the_second_key_once(path: Path) -> None:
    """All other keys stay, and whoever comes later finds the same key."""
    take_the_key_out(path)
    before = load_secrets(path, PASSPHRASE)
    added = add_ledger_mldsa(path, PASSPHRASE, random=os.urandom)
    again = add_ledger_mldsa(path, PASSPHRASE, random=os.urandom)

    assert None is before.ledger_mldsa
    assert keys_of(added) == keys_of(again)
    assert keys_of(added) == keys_of(load_secrets(path, PASSPHRASE))
    assert [getattr(before, name) for name in RAW] == [
        getattr(added, name) for name in RAW
    ]
    assert 0o600 == path.stat().st_mode & 0o777


def test_processes_that_start_together_agree_on_the_key(path: Path) -> None:
    """Of eight at once all hold the key that the file holds."""
    take_the_key_out(path)

    def add(_number: int) -> bytes:
        found = add_ledger_mldsa(path, PASSPHRASE, random=os.urandom)
        return keys_of(found)[-1]

    with ThreadPoolExecutor(max_workers=8) as threads:
        added = set(threads.map(add, range(8)))

    assert {keys_of(load_secrets(path, PASSPHRASE))[-1]} == added


def test_a_file_that_cannot_be_replaced_stays(path: Path) -> None:
    """What a crash left is cleared away; what cannot be is an OSError."""
    take_the_key_out(path)
    before = path.read_bytes()
    fresh = path.with_suffix(".new")
    fresh.mkdir()
    with pytest.raises(OSError, match=str(fresh)):
        add_ledger_mldsa(path, PASSPHRASE, random=os.urandom)

    assert before == path.read_bytes()
    fresh.rmdir()
    fresh.write_bytes(b"half of it")
    assert add_ledger_mldsa(path, PASSPHRASE, random=os.urandom).ledger_mldsa


def test_only_the_passphrase_adds_a_key(path: Path) -> None:
    """Another one changes nothing."""
    take_the_key_out(path)
    before = path.read_bytes()
    with pytest.raises(SecretsUnreadableError):
        add_ledger_mldsa(path, b"another", random=os.urandom)

    assert before == path.read_bytes()
