"""The primitives, as the vault uses them, against Wycheproof's vectors."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault import CryptoFailure
from vault import format as fmt
from vault.envelope import expand, mac
from vault.providers import Kek, cipher, wrapping_suite

FOLDER = Path(__file__).parents[1].parent / "shared/corpus/vectors/wycheproof"

pytestmark = pytest.mark.corpus


def cases(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Give a file's groups and tests."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip("../shared has no Wycheproof vectors here")
    for group in json.loads(path.read_text("utf-8"))["testGroups"]:
        for case in group["tests"]:
            yield group, case


def raw(case: dict[str, Any], name: str) -> bytes:
    """Read a hexadecimal field."""
    return bytes.fromhex(case[name])


@pytest.mark.parametrize(
    ("name", "suite"),
    [
        ("aes_gcm_test.json", fmt.AES_256_GCM),
        ("aes_gcm_siv_test.json", fmt.AES_256_GCM_SIV),
    ],
)
def test_ciphers(name: str, suite: int) -> None:
    """Both suites seal to and open the vectors, and refuse the invalid."""
    checked = 0
    for group, case in cases(name):
        if group["ivSize"] != 96 or group["keySize"] != 256:
            continue  # other nonces and keys have no way into the vault
        aead = cipher(suite, raw(case, "key"))
        nonce, aad = raw(case, "iv"), raw(case, "aad")
        sealed = raw(case, "ct") + raw(case, "tag")
        checked += 1
        if case["result"] == "invalid":
            with pytest.raises(InvalidTag):
                aead.decrypt(nonce, sealed, aad)
            continue
        message = raw(case, "msg")
        assert message == aead.decrypt(nonce, sealed, aad), case["tcId"]
        assert sealed == aead.encrypt(nonce, message, aad), case["tcId"]
        buffer = bytearray(len(message))
        aead.decrypt_into(nonce, sealed, aad, buffer)
        assert message == buffer

    assert checked > 60


def test_nonces_of_other_lengths_have_no_way_in() -> None:
    """What the vectors call odd nonces, the wrapped form cannot express."""
    kek = Kek(fmt.AES_256_GCM, uuid.uuid4(), bytearray(32))
    blob = kek.wrap(b"", bytes(32), bytes(12))
    odd = 0
    for group, _ in cases("aes_gcm_test.json"):
        size = group["ivSize"] // 8
        if size == 12:
            continue
        odd += 1
        changed = blob[:1] + bytes(size) + blob[13:]
        with pytest.raises(CryptoFailure):
            kek.unwrap_into(b"", changed, bytearray(32))

    assert odd > 20


def test_hkdf() -> None:
    """The vault's expansion is the second half of HKDF-SHA256."""
    checked = 0
    for _, case in cases("hkdf_sha256_test.json"):
        if case["result"] == "invalid":
            continue  # lengths beyond 255 blocks, never asked for
        salt, info = raw(case, "salt"), raw(case, "info")
        key = mac(salt or bytes(32), raw(case, "ikm"))
        okm = expand(key, info, case["size"])
        checked += 1
        assert raw(case, "okm") == okm, case["tcId"]
        whole = HKDF(hashes.SHA256(), case["size"], salt, info)
        assert okm == whole.derive(raw(case, "ikm"))

    assert checked > 60


def test_hmac() -> None:
    """The vault's MAC is HMAC-SHA256, cut where the vectors cut it."""
    checked = 0
    for group, case in cases("hmac_sha256_test.json"):
        tag = mac(raw(case, "key"), raw(case, "msg"))
        shown = tag[: group["tagSize"] // 8]
        checked += 1
        assert (case["result"] == "valid") == (shown == raw(case, "tag"))

    assert 174 == checked


def test_deks_are_wrapped_by_gcm_siv_here() -> None:
    """The pinned library has GCM-SIV; without it AES-GCM is used."""
    assert fmt.AES_256_GCM_SIV == wrapping_suite()
    assert isinstance(cipher(fmt.AES_256_GCM, bytes(32)), AESGCM)
    with pytest.raises(CryptoFailure):
        cipher(3, bytes(32))
