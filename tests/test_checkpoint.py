"""Checkpoints and proof files, against a real log of another maker."""

import base64
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.checkpoint import (
    Checkpoint,
    ProofFile,
    open_checkpoint,
    parse_decimal,
    sign_checkpoint,
)
from consent.errors import NoteError, NoteMalformed, NoteUntrusted
from consent.merkle import hash_leaf, subtree_root
from consent.signed_notes import VerifierKey
from tests.ledgers import ORIGIN, SIGNER
from tests.test_signed_notes import signer

# From Tessera's own build script of its test log.
TESSERA_VKEY = (
    "example.com/log/testdata+33d7b496+"
    "AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
)
TESSERA = "example.com/log/testdata"
ROOT = sha256(b"root").digest()
CHECKPOINT = Checkpoint(origin=ORIGIN, size=42, root=ROOT)
NOTE = bytes(sign_checkpoint(CHECKPOINT, [SIGNER]))


def entries(bundle: bytes) -> list[bytes]:
    """Split an entry bundle of c2sp.org/tlog-tiles."""
    found = []
    while bundle:
        end = 2 + int.from_bytes(bundle[:2])
        found.append(bundle[2:end])
        bundle = bundle[end:]
    return found


@pytest.mark.corpus
@pytest.mark.parametrize("size", range(16))
def test_checkpoints_of_a_tessera_log(corpus: Path, size: int) -> None:
    """Signature, key id and root of each of the 16 checkpoints hold."""
    log = corpus / "vectors/tessera-log/testdata/log"
    key = VerifierKey.parse(TESSERA_VKEY)
    note = (log / f"checkpoint.{size}").read_bytes()
    checkpoint = open_checkpoint(note, [key], origin=TESSERA)
    hashes: list[bytes] = []
    tile = b""
    if size:
        bundle = (log / f"tile/entries/000.p/{size}").read_bytes()
        hashes = [hash_leaf(entry) for entry in entries(bundle)]
        tile = (log / f"tile/0/000.p/{size}").read_bytes()

    assert size == checkpoint.size
    assert subtree_root(hashes) == checkpoint.root
    assert b"".join(hashes) == tile


def test_a_checkpoint_is_opened_by_its_origin() -> None:
    """The key must bear the origin's name, and the origin be the one meant."""
    stranger = signer("other.example")
    foreign = bytes(sign_checkpoint(CHECKPOINT, [stranger]))
    borrowed = Checkpoint(origin="other.example", size=42, root=ROOT)
    misnamed = bytes(sign_checkpoint(borrowed, [SIGNER]))
    keys = [SIGNER.verifier, stranger.verifier]

    assert CHECKPOINT == open_checkpoint(NOTE, keys, origin=ORIGIN)
    with pytest.raises(NoteUntrusted):
        open_checkpoint(foreign, keys, origin=ORIGIN)
    with pytest.raises(NoteMalformed):
        open_checkpoint(misnamed, keys, origin=ORIGIN)
    with pytest.raises(NoteUntrusted):
        open_checkpoint(NOTE, keys, origin="other.example")


TEXT = CHECKPOINT.text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        TEXT + "\n",
        TEXT + "extension\n",
        TEXT.replace("42", "042"),
        TEXT.replace("42", "+42"),
        TEXT.replace("42", "-1"),
        TEXT.replace("42", "4 2"),
        TEXT.replace("42", ""),
        TEXT.replace("42", "٤٢"),
        TEXT.replace("42", str(1 << 63)),
        TEXT.replace("town", "to wn"),
        TEXT.replace(ORIGIN, ""),
        TEXT.replace("=", ""),
        f"{ORIGIN}\n42\n{base64.b64encode(ROOT[1:]).decode()}\n",
    ],
)
def test_malformed_checkpoints(text: str) -> None:
    """Anything but the one exact form is refused, extension lines too."""
    with pytest.raises(NoteMalformed):
        Checkpoint.parse(text)


@given(st.data())
def test_checkpoints_are_not_malleable(data: st.DataObject) -> None:
    """What parses is written back to the same text."""
    place = data.draw(st.integers(0, len(TEXT)))
    mangled = TEXT[:place] + data.draw(st.text(max_size=2)) + TEXT[place + 1 :]
    try:
        checkpoint = Checkpoint.parse(mangled)
    except NoteMalformed:
        return

    assert mangled == checkpoint.text()


PROOF = ProofFile(
    index=7, hashes=(ROOT, sha256(b"x").digest()), checkpoint=NOTE.decode()
)


def test_proof_files_have_the_published_form() -> None:
    """Header, index, hashes, an empty line, the checkpoint word for word."""
    lines = str(PROOF).split("\n")

    assert ["c2sp.org/tlog-proof@v1", "index 7"] == lines[:2]
    assert "" == lines[4]
    assert NOTE.decode() == "\n".join(lines[5:])


@given(st.data())
def test_proof_files_are_not_malleable(data: st.DataObject) -> None:
    """What parses is written back to the same text."""
    text = str(PROOF)
    place = data.draw(st.integers(0, len(text)))
    mangled = text[:place] + data.draw(st.text(max_size=2)) + text[place + 1 :]
    try:
        proof = ProofFile.parse(mangled)
    except NoteError:
        return

    assert mangled == str(proof)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v2\nindex 1\n\nnote",
        "c2sp.org/tlog-proof@v1\n\nnote",
        "c2sp.org/tlog-proof@v1\nextra AAAA\nindex 1\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 01\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 1\nnote",
        "c2sp.org/tlog-proof@v1\nindex 1\n?\n\nnote",
    ],
)
def test_malformed_proof_files(text: str) -> None:
    """Another version, order or number form is refused."""
    with pytest.raises(NoteMalformed):
        ProofFile.parse(text)


def test_the_largest_number() -> None:
    """Sizes stay below 2**63, which every signed integer holds."""
    assert (1 << 63) - 1 == parse_decimal(str((1 << 63) - 1))
