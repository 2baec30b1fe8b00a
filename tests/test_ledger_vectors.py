"""The ledger's format, against vectors and against LEDGER.md's own words."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent.merkle import verify_consistency, verify_inclusion
from tests.ledger_vectors import FOLDER, make

ENTRIES: dict[str, Any] = json.loads(
    (FOLDER / "ledger_entries.json").read_text("utf-8")
)
TREES: dict[str, Any] = json.loads(
    (FOLDER / "ledger_trees.json").read_text("utf-8")
)
PERSONAL = [each for each in ENTRIES["entries"] if each["own"]]


@pytest.mark.parametrize("name", sorted(made := make()))
def test_the_format_has_not_changed(name: str) -> None:
    """What is made today is what was written then, to the byte."""
    assert made[name] == (FOLDER / name).read_text("utf-8")


def fields(*parts: bytes) -> bytes:
    """Join fields, each after its length."""
    return b"".join(len(each).to_bytes(4) + each for each in parts)


def expand(key: bytes, use: bytes, name: bytes, length: int) -> bytes:
    """Expand a key as RFC 5869 section 2.3 says, with the ledger's info."""
    info = fields(b"curtilage/ledger/1", ENTRIES["origin"].encode(), use, name)
    out, block = b"", b""
    while len(out) < length:
        counter = bytes([len(out) // 32 + 1])
        block = hmac.digest(key, block + info + counter, "sha256")
        out += block
    return out[:length]


def open_row(
    key: bytes, row: bytes, vector: dict[str, Any], version: bytes
) -> bytes:
    """Open a sealed row."""
    bound = version + bytes.fromhex(vector["leaf"])
    assert version == row[:1]
    return AESGCM(key).decrypt(row[1:13], row[13:], bound)


@pytest.mark.parametrize("vector", PERSONAL, ids=lambda v: str(v["index"]))
def test_the_persons_row_by_hand(vector: dict[str, Any]) -> None:
    """Key, tag, layout, salts, bodies and leaf, as LEDGER.md has them."""
    keys = expand(bytes.fromhex(vector["log_key"]), b"own", b"", 48)
    row = bytes.fromhex(vector["own"])
    plain = open_row(keys[:32], row, vector, b"\x03")
    own = vector["subject_body"].encode()
    audit = vector["audit_body"].encode()
    expected = bytes.fromhex(vector["subject_salt"]) + fields(own, b"")
    commitments = b""
    for part, body in (("subject", own), ("audit", audit)):
        salt = bytes.fromhex(vector[f"{part}_salt"])
        domain = f"curtilage/ledger/1/{part}\0".encode()
        commitments += hashlib.sha256(domain + salt + body).digest()
    leaf = hashlib.sha256(b"curtilage/ledger/1/leaf\0" + commitments)

    assert keys[32:].hex() == vector["tag"]
    assert expected == plain[: len(expected)]
    assert not any(plain[len(expected) :])
    assert 0 == len(plain) % 32
    assert leaf.hexdigest() == vector["leaf"]
    assert (
        vector["leaf_hash"]
        == hashlib.sha256(b"\0" + leaf.digest()).hexdigest()
    )


@pytest.mark.parametrize(
    "vector", ENTRIES["entries"], ids=lambda v: str(v["index"])
)
def test_the_officers_row_by_hand(vector: dict[str, Any]) -> None:
    """Key of the day, layout, and the seal over the whole row."""
    day = vector["day"].to_bytes(8, signed=True)
    audit_key = bytes.fromhex(ENTRIES["audit_key"])
    sealed = bytes.fromhex(vector["audit"])
    day_key = expand(audit_key, b"audit", day, 32)
    plain = open_row(day_key, sealed, vector, b"\x02")
    length = int.from_bytes(plain[48:52])
    audit = json.loads(plain[52 : 52 + length])
    subject = hashlib.sha256(
        b"curtilage/ledger/1/audit\0" + plain[:16] + plain[52 : 52 + length]
    ).digest()
    leaf = hashlib.sha256(
        b"curtilage/ledger/1/leaf\0" + plain[16:48] + subject
    )

    assert leaf.hexdigest() == vector["leaf"]
    assert (vector["service"], vector["purpose"], vector["day"]) == (
        audit["service"],
        audit["purpose"],
        audit["time"] // 86_400,
    )
    assert vector.get("mark", "") == audit["mark"]
    assert vector["seal"] == seal_by_hand(vector)


def seal_by_hand(vector: dict[str, Any]) -> str:
    """Compute a row's seal from the columns in the vector."""

    def raw(name: str) -> bytes | None:
        return None if vector[name] is None else bytes.fromhex(vector[name])

    def length(part: bytes | None) -> bytes:
        return (-1 if part is None else len(part)).to_bytes(4, signed=True)

    parts = [
        raw("leaf"),
        raw("tag"),
        vector["service"].encode(),
        vector["purpose"].encode(),
        raw("own"),
        raw("audit"),
    ]
    row = (
        b"entry"
        + vector["index"].to_bytes(8)
        + vector["day"].to_bytes(8)
        + b"".join(map(length, parts))
        + b"".join(part or b"" for part in parts)
    )
    key = expand(bytes.fromhex(ENTRIES["audit_key"]), b"row", b"", 32)
    return hmac.digest(key, row, "sha256")[:16].hex()


def test_marks_by_hand() -> None:
    """The mark is a keyed hash of the person under a key of the month."""
    vector = PERSONAL[0]
    subject = json.loads(vector["subject_body"])["subject"].replace("-", "")
    key = expand(bytes.fromhex(ENTRIES["mark_key"]), b"mark", b"2026-09", 32)
    mark = hmac.digest(key, bytes.fromhex(subject), "sha256")[:16].hex()

    assert mark == vector["mark"]


def test_chains_of_people() -> None:
    """Each entry about a person names their count and the leaf before."""
    theirs = [
        each for each in PERSONAL if each["log_key"] == PERSONAL[0]["log_key"]
    ]
    bodies = [json.loads(each["subject_body"]) for each in theirs]

    assert [1, 2, 3] == [body["counter"] for body in bodies]
    assert ["", theirs[0]["leaf"], theirs[1]["leaf"]] == [
        body["previous"] for body in bodies
    ]


def test_trees() -> None:
    """The proofs in the vectors verify."""
    roots = {n: bytes.fromhex(each) for n, each in TREES["roots"].items()}
    for case in TREES["inclusion"]:
        leaf = bytes([case["index"]]) * 32
        verify_inclusion(
            index=case["index"],
            size=case["size"],
            leaf_hash=hashlib.sha256(b"\0" + leaf).digest(),
            proof=[bytes.fromhex(each) for each in case["proof"]],
            root=roots[str(case["size"])],
        )
    for case in TREES["consistency"]:
        verify_consistency(
            old=case["old"],
            new=case["new"],
            proof=[bytes.fromhex(each) for each in case["proof"]],
            old_root=roots[str(case["old"])],
            new_root=roots[str(case["new"])],
        )

    assert 15 == len(TREES["inclusion"])
    assert 21 == len(TREES["consistency"])


COSIGNED: dict[str, Any] = json.loads(
    (FOLDER / "ledger_cosignatures.json").read_text("utf-8")
)


@pytest.mark.parametrize(
    "vector", COSIGNED["cosignatures"], ids=lambda v: v["vkey"][:30]
)
def test_a_cosignature_by_hand(vector: dict[str, Any]) -> None:
    """Key id, timestamp and signature over the message, as LEDGER.md says."""
    name, identity, blob = vector["vkey"].split("+", 2)
    raw = base64.b64decode(blob)
    signature = bytes.fromhex(vector["signature"])
    hashed = hashlib.sha256(name.encode() + b"\n" + raw)
    key = {
        0x04: Ed25519PublicKey.from_public_bytes,
        0x06: MLDSA44PublicKey.from_public_bytes,
    }[raw[0]](raw[1:])

    assert hashed.hexdigest()[:8] == identity
    assert COSIGNED["time"] == int.from_bytes(signature[:8])
    key.verify(signature[8:], bytes.fromhex(vector["message"]))
