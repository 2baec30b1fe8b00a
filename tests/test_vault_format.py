"""The bytes are those of ``vault/FORMAT.md``, on vectors made apart."""

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from vault import (
    Argon2Cost,
    CryptoFailure,
    CustodyProvider,
    FileKeyProvider,
)
from vault import format as fmt
from vault.catalogue import standard_catalogue
from vault.custodians import Kind, SealedKek
from vault.envelope import (
    OpenSubject,
    SubjectKeys,
    WrappedDek,
    commitment,
    mac,
)
from vault.envelope import expand as hkdf
from vault.indexes import BlindIndex
from vault.providers import Kek
from vault.values import prefix_form

ROOT = Path(__file__).parents[1]
GROUPS = json.loads(
    (ROOT / "tests/vectors/vault_format.json").read_text("utf-8")
)["groups"]


def raw(text: str) -> bytes:
    """Read a hexadecimal field."""
    return bytes.fromhex(text)


def keys_of(vector: dict[str, Any]) -> SubjectKeys:
    """Derive the sub-keys that a vector is about."""
    subject = uuid.UUID(vector["subject"])
    context = fmt.subject_context(vector["tenant"], subject, vector["gen"])
    derived = hkdf(raw(vector["dek"]), context, 128)
    return SubjectKeys(vector["tenant"], subject, vector["gen"], derived)


@pytest.mark.parametrize("vector", GROUPS["lp"])
def test_lp(vector: dict[str, Any]) -> None:
    """Fields stand behind their lengths."""
    assert raw(vector["lp"]) == fmt.lp(*map(raw, vector["fields"]))


@pytest.mark.parametrize("vector", GROUPS["padding"])
def test_padding(vector: dict[str, Any]) -> None:
    """Padding is ISO/IEC 7816-4, and nothing else unpads."""
    if vector["result"] == "invalid":
        with pytest.raises(CryptoFailure):
            fmt.unpad(raw(vector["padded"]))
    else:
        assert raw(vector["padded"]) == fmt.pad(raw(vector["data"]))
        assert raw(vector["data"]) == fmt.unpad(raw(vector["padded"]))


@pytest.mark.parametrize("vector", GROUPS["subject_keys"])
def test_subject_keys(vector: dict[str, Any]) -> None:
    """One expansion gives the four sub-keys in order."""
    subject, gen = uuid.UUID(vector["subject"]), vector["gen"]
    context = fmt.subject_context(vector["tenant"], subject, gen)
    derived = hkdf(raw(vector["dek"]), context, 128)

    assert raw(vector["context"]) == context
    parts = ("enc_key", "commitment", "state_key", "log_key")
    assert b"".join(raw(vector[name]) for name in parts) == derived
    assert raw(vector["commitment"]) == commitment(
        vector["tenant"], subject, gen, bytearray(raw(vector["dek"]))
    )
    assert raw(vector["log_key"]) == keys_of(vector).log_key()


class _Opener:
    """A provider of one known KEK."""

    def __init__(self, vector: dict[str, Any]) -> None:
        self.kek = Kek(
            vector["suite"], uuid.uuid4(), bytearray(raw(vector["kek"]))
        )

    def unwrap_into(
        self,
        epoch: int,  # noqa: ARG002 - the protocol's shape
        context: bytes,
        blob: bytes,
        key: bytearray,
    ) -> None:
        """Unwrap under the one KEK."""
        self.kek.unwrap_into(context, blob, key)


@pytest.mark.parametrize("vector", GROUPS["dek_wrap"])
def test_dek_wrap(vector: dict[str, Any]) -> None:
    """A DEK wraps to the vector's row, and only that row opens."""
    subject = uuid.UUID(vector["subject"])
    opener, dek = _Opener(vector), bytearray(raw(vector["dek"]))
    row = WrappedDek(
        vector["tenant"],
        subject,
        vector["gen"],
        vector["kek_epoch"],
        vector["created_at"],
        commitment(vector["tenant"], subject, vector["gen"], dek),
        raw(vector["blob"]),
    )

    assert raw(vector["context"]) == row.context()
    wrapped = opener.kek.wrap(row.context(), dek, raw(vector["nonce"]))
    assert raw(vector["blob"]) == wrapped
    with OpenSubject(opener, row) as keys:
        assert 32 == len(keys.log_key())
    for other in (
        row._replace(tenant="tow"),
        row._replace(subject=uuid.uuid4()),
        row._replace(gen=2),
        row._replace(kek_epoch=4),
        row._replace(created_at=0),
        row._replace(commitment=bytes(32)),
        row._replace(blob=row.blob[:-1]),
        row._replace(blob=row.blob + b"\0"),
    ):
        with pytest.raises(CryptoFailure):
            OpenSubject(opener, other)


def record_of(vector: dict[str, Any]) -> bytes:
    """Write a vector's record down, but for the last padding."""
    head = fmt.record_head(
        vector["recorded_at"],
        vector["source"],
        valid_from=vector["valid_from"],
        valid_until=vector["valid_until"],
        confidence=vector["confidence"],
    )
    return head + vector["text"].encode()


@pytest.mark.parametrize("vector", GROUPS["value"])
def test_value(vector: dict[str, Any]) -> None:
    """A value seals to the vector's bytes and opens to its record."""
    keys = keys_of(vector)
    subject = uuid.UUID(vector["subject"])
    number, version = vector["attribute"], vector["version"]
    record = record_of(vector)

    assert raw(vector["record"]) == fmt.pad(record)
    assert raw(vector["aad"]) == fmt.value_aad(
        fmt.value_prefix(vector["tenant"], subject),
        number,
        version,
        vector["gen"],
        vector["schema"],
    )
    sealed = keys.seal(number, version, record, raw(vector["nonce"]))
    assert raw(vector["sealed"]) == sealed
    opened = keys.open(number, version, sealed)
    assert vector["text"] == fmt.record_text(opened, 2)
    parsed = fmt.parse_record(opened, 2)
    fields = fmt.Record.__dataclass_fields__
    assert {name: vector[name] for name in fields} == {
        name: getattr(parsed, name) for name in fields
    }
    assert fmt.OVERHEAD + len(fmt.pad(record)) == len(sealed)


@pytest.mark.parametrize("vector", GROUPS["value_1"])
def test_a_value_of_schema_1_still_opens(vector: dict[str, Any]) -> None:
    """What was written before has one time and no confidence."""
    keys, sealed = keys_of(vector), raw(vector["sealed"])
    place, version = vector["attribute"], vector["version"]
    plain = keys.open(place, version, sealed)

    assert raw(vector["record"]) == plain
    assert raw(vector["aad"]) == fmt.value_aad(
        fmt.value_prefix(vector["tenant"], keys.subject),
        place,
        version,
        vector["gen"],
        1,
    )
    assert fmt.Record(
        text=vector["text"],
        recorded_at=vector["recorded_at"],
        valid_from=vector["recorded_at"],
        valid_until=None,
        confidence=0,
        source=vector["source"],
    ) == fmt.parse_record(plain, 1)
    row = (place, version, sealed)
    assert {"x": vector["text"]} == keys.open_texts([row], {place: "x"})


@pytest.mark.parametrize("group", ["value", "value_1"])
def test_the_schema_is_under_the_seal(group: str) -> None:
    """A value renamed to the other schema does not open."""
    for vector in GROUPS[group]:
        keys, sealed = keys_of(vector), raw(vector["sealed"])
        renamed = bytes((3 - sealed[0],)) + sealed[1:]
        with pytest.raises(CryptoFailure):
            keys.open(vector["attribute"], vector["version"], renamed)


@pytest.mark.parametrize("group", ["value", "value_1"])
def test_a_value_moves_to_other_keys_as_it_is(group: str) -> None:
    """Sealed again under another generation it is the same record."""
    for vector in GROUPS[group]:
        keys = keys_of(vector)
        newer = keys_of({**vector, "gen": 2, "dek": "42" * 32})
        row = (vector["attribute"], vector["version"], raw(vector["sealed"]))
        moved = newer.reseal(keys, row, bytes(12))

        assert raw(vector["record"]) == newer.open(*row[:2], moved)
        assert row[2][0] == moved[0]
        with pytest.raises(CryptoFailure):
            keys.open(*row[:2], moved)
        with pytest.raises(CryptoFailure):
            newer.reseal(keys, (*row[:2], moved), bytes(12))


@pytest.mark.parametrize("vector", GROUPS["value"] + GROUPS["value_1"])
def test_every_byte_of_a_value_counts(vector: dict[str, Any]) -> None:
    """No changed, cut or lengthened value opens."""
    keys, sealed = keys_of(vector), raw(vector["sealed"])
    number, version = vector["attribute"], vector["version"]
    broken = [sealed[:cut] for cut in range(len(sealed))]
    broken.append(sealed + b"\0")
    for place in range(len(sealed)):
        for bit in range(8):
            one = bytearray(sealed)
            one[place] ^= 1 << bit
            broken.append(bytes(one))

    for one in broken:
        with pytest.raises(CryptoFailure):
            keys.open(number, version, one)
        with pytest.raises(CryptoFailure):
            keys.open_texts([(number, version, one)], {number: "x"})
    for other in ((number + 1, version), (number, version + 1)):
        with pytest.raises(CryptoFailure):
            keys.open(*other, sealed)


@pytest.mark.parametrize("vector", GROUPS["state"])
def test_state(vector: dict[str, Any]) -> None:
    """The manifest is sorted, and the MAC is over epoch and manifest."""
    keys = keys_of(vector)
    entries = [
        (one["attribute"], one["version"], raw(one["tag"]))
        for one in vector["entries"]
    ]
    manifest = fmt.write_manifest(reversed(entries))

    assert raw(vector["manifest"]) == manifest
    assert raw(vector["message"]) == fmt.state_message(
        vector["epoch"], manifest
    )
    assert raw(vector["mac"]) == keys.state_mac(vector["epoch"], manifest)
    code, rest = fmt.split_state(raw(vector["state"]))
    keys.check_state(vector["epoch"], rest, code)
    assert {one[0]: one for one in entries} == fmt.parse_manifest(rest)
    for epoch, listed in ((6, rest), (5, rest[:-28]), (5, rest[28:])):
        with pytest.raises(CryptoFailure):
            keys.check_state(epoch, listed, code)


@pytest.mark.parametrize("vector", GROUPS["tenant_wrap"])
def test_tenant_wrap(vector: dict[str, Any]) -> None:
    """The index root is bound to the tenant, its decoy and its date."""
    context = fmt.tenant_context(
        vector["tenant"],
        uuid.UUID(vector["decoy"]),
        vector["kek_epoch"],
        vector["created_at"],
    )
    kek = _Opener(vector).kek
    root = bytearray(32)

    assert raw(vector["context"]) == context
    kek.unwrap_into(context, raw(vector["blob"]), root)
    assert raw(vector["index_root"]) == root
    assert raw(vector["blob"]) == kek.wrap(context, root, raw(vector["nonce"]))


@pytest.mark.parametrize("vector", GROUPS["index"])
def test_index(vector: dict[str, Any]) -> None:
    """Digest and binding tag come from one key per attribute."""
    attribute = standard_catalogue().numbered(vector["attribute"])
    index = BlindIndex(vector["tenant"], raw(vector["index_root"]))
    subject = uuid.UUID(vector["subject"])
    version = vector["key_version"]
    digest = index.digest(attribute, vector["text"], version)
    place, of = vector["place"], vector["version"]

    assert raw(vector["digest"]) == digest
    assert raw(vector["message"]) == fmt.binding_message(
        subject, digest, of, place
    )
    assert raw(vector["binding"]) == index.binding(
        place, subject, digest, of, version
    )
    assert raw(vector["context"]) == fmt.index_context(
        vector["tenant"], attribute.number, version
    )


@pytest.mark.parametrize("vector", GROUPS["candidate"])
def test_candidate(vector: dict[str, Any]) -> None:
    """A shared entry is cut to its width, over the form's first letters."""
    attribute = standard_catalogue().numbered(vector["attribute"])
    index = BlindIndex(vector["tenant"], raw(vector["index_root"]))
    prefix, bits = vector["prefix"], vector["bits"]
    version = vector["key_version"]
    digest = index.candidate(attribute, prefix, bits, vector["text"], version)

    assert vector["form"] == prefix_form(vector["text"], prefix)
    assert vector["digest"] == (digest and digest.hex())
    assert raw(vector["context"]) == fmt.candidate_context(
        vector["tenant"], attribute.number, prefix, bits, version
    )


@given(st.binary(min_size=32, max_size=32), st.integers(1, 128))
def test_a_digest_is_cut_to_its_bits(digest: bytes, bits: int) -> None:
    """The first bits stay as they are, and no other is set."""
    whole = f"{int.from_bytes(digest):0256b}"
    kept = fmt.cut(digest, bits)

    assert -(-bits // 8) == len(kept)
    assert whole[:bits].ljust(8 * len(kept), "0") == (
        f"{int.from_bytes(kept):0{8 * len(kept)}b}"
    )


@pytest.mark.parametrize("vector", GROUPS["kek_file"])
def test_kek_file(vector: dict[str, Any], tmp_path: Path) -> None:
    """A key file opens to the vector's KEK, and is written byte by byte."""
    path = tmp_path / "kek-00000003"
    path.write_bytes(raw(vector["file"]))
    path.chmod(0o600)
    provider = FileKeyProvider(tmp_path, raw(vector["passphrase"]))

    assert uuid.UUID(vector["key_id"]) == provider.key_id(3)
    key = bytearray(32)
    kek = Kek(vector["suite"], uuid.uuid4(), bytearray(raw(vector["kek"])))
    blob = kek.wrap(b"context", bytes(range(32)), bytes(12))
    provider.unwrap_into(3, b"context", blob, key)
    assert bytes(range(32)) == key

    if vector["suite"] == fmt.AES_256_GCM_SIV:
        drawn = iter(raw(vector[name]) for name in ("kek", "salt", "nonce"))
        again = FileKeyProvider(
            tmp_path / "again",
            raw(vector["passphrase"]),
            cost=Argon2Cost(memory_kib=32, iterations=1, lanes=1),
            random=lambda count: next(drawn, bytes(count)),
        )
        again.create(3, uuid.UUID(vector["key_id"]))
        written = (tmp_path / "again/kek-00000003").read_bytes()
        assert raw(vector["file"]) == written


@given(st.binary(max_size=100))
def test_whatever_unpads_pads_to_the_same(data: bytes) -> None:
    """Malleability: a parser takes exactly what its writer makes."""
    try:
        bare = fmt.unpad(data)
    except CryptoFailure:
        return
    assert data == fmt.pad(bare)


@given(st.binary(max_size=120))
def test_whatever_is_a_manifest_is_written_the_same(data: bytes) -> None:
    """Malleability of manifests."""
    try:
        entries = fmt.parse_manifest(data)
    except CryptoFailure:
        return
    assert data == fmt.write_manifest(entries.values())


@given(
    st.integers(0, 2**40 - 1),
    st.integers(-(2**47), 2**47 - 1),
    st.none() | st.integers(-(2**47), 2**47 - 2),
    st.integers(0, 255),
    st.text(max_size=60).filter(lambda text: len(text.encode()) < 256),
    st.text(max_size=60),
)
def test_records_come_back(  # noqa: PLR0917 - a record has six parts
    recorded_at: int,
    since: int,
    until: int | None,
    confidence: int,
    source: str,
    text: str,
) -> None:
    """Any times, source and text survive; so does the quick reading."""
    record = fmt.Record(
        text=text,
        recorded_at=recorded_at,
        valid_from=since,
        valid_until=until,
        confidence=confidence,
        source=source,
    )
    plain = fmt.pad(
        fmt.record_head(
            recorded_at,
            source,
            valid_from=since,
            valid_until=until,
            confidence=confidence,
        )
        + text.encode()
    )

    assert record == fmt.parse_record(plain, 2)
    assert text == fmt.record_text(plain, 2)


@given(st.binary(max_size=96).map(fmt.pad))
def test_whatever_is_a_record_is_written_the_same(plain: bytes) -> None:
    """Malleability of records, of either schema."""
    for schema in (1, 2):
        try:
            one = fmt.parse_record(plain, schema)
        except CryptoFailure:
            continue
        head = fmt.record_head(
            one.recorded_at,
            one.source,
            valid_from=one.valid_from,
            valid_until=one.valid_until,
            confidence=one.confidence,
        )
        if schema == 1:
            raw_source = one.source.encode()
            length = bytes((len(raw_source),))
            head = fmt.pad(fmt.u64(one.recorded_at) + length + raw_source)
        assert plain == fmt.pad(head + one.text.encode())


@given(
    st.none() | st.integers(0, 2**40),
    st.integers(0, 4),
    st.text("ab", min_size=1, max_size=12),
)
def test_no_length_tells_of_the_head(
    until: int | None, confidence: int, source: str
) -> None:
    """An end, a confidence or a usual source does not change a length."""
    plain = fmt.record_head(
        1, source, valid_from=1, valid_until=until, confidence=confidence
    )

    assert 32 == len(plain)


class _Module:
    """A custodian of kind 01 with the vector's object, in the clear."""

    kind, grace = Kind.PKCS11, 0

    def __init__(self, vector: dict[str, Any]) -> None:
        self._vector = vector
        self._aead = AESGCM(raw(vector["object"]))

    def make(self, name: str, key_id: uuid.UUID) -> None:
        """Hold the name against the vector's."""
        assert (self._vector["name"], self._vector["key_id"]) == (
            name,
            str(key_id),
        )

    def seal(self, _: str, context: bytes, secret: bytes) -> bytes:
        """Seal under the vector's nonce."""
        assert raw(self._vector["context"]) == context
        nonce = raw(self._vector["nonce"])
        return nonce + self._aead.encrypt(nonce, secret, context)

    def open(self, _: str, context: bytes, sealed: bytes) -> bytes:
        """Open."""
        return self._aead.decrypt(sealed[:12], sealed[12:], context)


class _Row:
    """One row, in memory."""

    def __init__(self, key_id: uuid.UUID) -> None:
        self.kek = SealedKek(key_id, None)

    def load(self, _: int) -> SealedKek:
        """Give it."""
        return self.kek

    def add(self, _: int, blob: bytes) -> None:
        """Fill it."""
        self.kek = self.kek._replace(blob=blob)


@pytest.mark.parametrize("vector", GROUPS["kek_blob"])
def test_kek_blob(
    vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sealed KEK opens to the vector's, and is written byte by byte."""
    monkeypatch.setattr(
        "vault.custodians.wrapping_suite", lambda: vector["suite"]
    )
    row = _Row(uuid.UUID(vector["key_id"]))
    provider = CustodyProvider(
        custodian=_Module(vector),
        keks=row,
        tenant=vector["tenant"],
        random=lambda _: raw(vector["kek"]),
    )
    provider.create(vector["epoch"], row.kek.key_id)

    assert raw(vector["blob"]) == row.kek.blob
    same = Kek(vector["suite"], row.kek.key_id, bytearray(raw(vector["kek"])))
    key = bytearray(32)
    provider.unwrap_into(
        vector["epoch"],
        b"context",
        same.wrap(b"context", bytes(range(32)), bytes(12)),
        key,
    )
    assert bytes(range(32)) == key


@pytest.mark.parametrize("vector", GROUPS["kek_states"])
def test_kek_states(vector: dict[str, Any]) -> None:
    """The seal over a tenant's KEK rows."""
    context = fmt.lp(fmt.LABEL_STATES_KEY, vector["tenant"].encode())
    key = bytes(hkdf(raw(vector["index_root"]), context, 32))
    message = fmt.states_message(
        vector["revision"],
        [
            fmt.kek_state(
                row["epoch"],
                uuid.UUID(row["key_id"]),
                row["state"],
                row["dates"],
            )
            for row in vector["rows"]
        ],
    )

    assert raw(vector["seal_key"]) == key
    assert raw(vector["message"]) == message
    assert raw(vector["seal"]) == mac(key, message)


def _labels() -> Iterator[str]:
    for path in (ROOT / "vault").glob("*.py"):
        yield from re.findall(r'b"(pv1/[a-z-]+)"', path.read_text("utf-8"))


def test_the_specification_names_every_label_once() -> None:
    """Labels in code and text are the same, and no two are equal."""
    text = (ROOT / "vault/FORMAT.md").read_text("utf-8")
    used = sorted(_labels())

    assert used == sorted(set(used))
    assert set(used) == set(re.findall(r"\"(pv1/[a-z-]+)\"", text))


def test_the_specification_begins_with_a_vector() -> None:
    """The example is the first vector, byte by byte."""
    text = (ROOT / "vault/FORMAT.md").read_text("utf-8")
    blocks = text.split("```")[1:6:2]
    vector = GROUPS["value"][0]
    shown = [
        "".join(
            "".join(re.findall(r"^(?:[0-9a-f ]+)", line)).replace(" ", "")
            for line in (
                re.split(r"\s{2,}", one)[0] for one in block.splitlines()
            )
        )
        for block in blocks
    ]

    assert vector["sealed"].startswith(shown[0])
    assert [vector["record"], vector["aad"]] == shown[1:]
