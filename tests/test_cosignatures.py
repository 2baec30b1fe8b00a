"""Cosignatures: the specification's messages, strictness, a log's own key."""

import pickle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from consent.checkpoint import (
    Checkpoint,
    open_checkpoint,
    sign_checkpoint,
)
from consent.cosignatures import (
    COSIGNED_ED25519,
    COSIGNED_MLDSA44,
    CosignatureKey,
    CosignatureSigner,
    cosigned_message,
    read_log_key,
    timed_text,
)
from consent.errors import LedgerInconsistent, NoteMalformed, NoteUntrusted
from consent.ledger import Ledger
from consent.signed_notes import (
    NoteSignature,
    NoteSigner,
    SignedNote,
    VerifierKey,
    join_vkey,
    key_id,
    open_note,
)
from tests.ledgers import NOON, ORIGIN, SIGNER, draft, open_empty
from tests.test_checkpoint import CHECKPOINT, ROOT
from tests.test_signed_notes import signer

# The example note of https://c2sp.org/tlog-cosignature, whose cosigner's key
# is not published; its form and its timestamp are.
PUBLISHED_TEXT = (
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
)
WITNESS = "witness.example/w1"
OLD = CosignatureSigner(
    WITNESS, Ed25519PrivateKey.from_private_bytes(b"w" * 32), lambda: NOON
)
NEW = CosignatureSigner(
    WITNESS, MLDSA44PrivateKey.from_seed_bytes(b"w" * 32), lambda: NOON
)
LOG = CosignatureSigner(
    ORIGIN, MLDSA44PrivateKey.from_seed_bytes(b"l" * 32), lambda: NOON
)
BOTH = pytest.mark.parametrize("cosigner", [OLD, NEW], ids=["0x04", "0x06"])
TEXT = CHECKPOINT.text()


def test_the_published_message() -> None:
    """Header line, time line, then the whole text of the note."""
    expected = f"cosignature/v1\ntime 1679315147\n{PUBLISHED_TEXT}".encode()

    assert expected == timed_text(PUBLISHED_TEXT, 1679315147)


def test_the_structure_by_hand() -> None:
    """Label, name, time, origin, 0, size and root, lengths in one byte."""
    checkpoint = Checkpoint(origin="o", size=258, root=ROOT)
    expected = (
        b"subtree/v1\n\x00"
        b"\x01w"
        b"\x00\x00\x00\x00\x00\x00\x00\x07"
        b"\x01o"
        b"\x00\x00\x00\x00\x00\x00\x00\x00"
        b"\x00\x00\x00\x00\x00\x00\x01\x02"
    ) + ROOT

    assert expected == cosigned_message("w", checkpoint, 7)


@pytest.mark.parametrize("name", ["", "n" * 256, "ü" * 128])
def test_names_that_the_structure_cannot_hold(name: str) -> None:
    """A name has 1 to 255 bytes."""
    with pytest.raises(NoteMalformed):
        cosigned_message(name, CHECKPOINT, 7)


@BOTH
def test_a_cosignature_says_when(cosigner: CosignatureSigner) -> None:
    """What is signed verifies, and tells its time."""
    signature = cosigner.sign(TEXT)

    assert NOON == cosigner.verifier.time_of(TEXT, signature)
    assert {OLD: 72, NEW: 2428}[cosigner] == len(signature)


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("42", "43"),
        TEXT.replace("town", "city"),
        Checkpoint(origin=ORIGIN, size=42, root=bytes(32)).text(),
        "no checkpoint\n",
        "",
    ],
)
def test_another_text_is_refused(
    cosigner: CosignatureSigner, text: str
) -> None:
    """Origin, size and root are signed."""
    signature = cosigner.sign(TEXT)

    with pytest.raises(NoteUntrusted):
        cosigner.verifier.verify(text, signature)


@BOTH
def test_another_time_is_refused(cosigner: CosignatureSigner) -> None:
    """The timestamp is signed; 0 and what no clock says are none."""
    signature = cosigner.sign(TEXT)
    for at in (0, 1, NOON + 1, 1 << 63, (1 << 64) - 1):
        with pytest.raises(NoteUntrusted):
            cosigner.verifier.verify(TEXT, at.to_bytes(8) + signature[8:])


@BOTH
def test_no_time_is_no_time(cosigner: CosignatureSigner) -> None:
    """A cosigner whose clock says 0 is not believed, though it signed."""
    still = CosignatureSigner(WITNESS, cosigner._key, lambda: 0)

    with pytest.raises(NoteUntrusted):
        still.verifier.verify(TEXT, still.sign(TEXT))


@BOTH
@pytest.mark.parametrize("cut", [0, 7, 8, 9, 71, 73, 2427])
def test_another_length_is_refused(
    cosigner: CosignatureSigner, cut: int
) -> None:
    """Too short and too long, both are refused."""
    signature = (cosigner.sign(TEXT) + b"junk")[:cut]

    with pytest.raises(NoteUntrusted):
        cosigner.verifier.verify(TEXT, signature)


@given(st.integers(0, 2427), st.integers(1, 255))
def test_every_byte_counts(place: int, change: int) -> None:
    """A byte changed anywhere spoils either kind."""
    for cosigner in (OLD, NEW):
        signature = bytearray(cosigner.sign(TEXT))
        signature[place % len(signature)] ^= change
        with pytest.raises(NoteUntrusted):
            cosigner.verifier.verify(TEXT, bytes(signature))


def test_extension_lines_are_signed_by_one_kind_only() -> None:
    """Ed25519 signs the whole text; ML-DSA-44 the first three lines."""
    more = TEXT + "extension\n"

    OLD.verifier.verify(more, OLD.sign(more))
    NEW.verifier.verify(TEXT, NEW.sign(more))
    with pytest.raises(NoteUntrusted):
        OLD.verifier.verify(TEXT, OLD.sign(more))


def test_only_one_kind_commits_to_its_name() -> None:
    """The same ML-DSA-44 key under another name is another cosigner."""
    other = CosignatureKey(
        name="witness.example/w2",
        algorithm=COSIGNED_MLDSA44,
        public_key=NEW.verifier.public_key,
    )

    with pytest.raises(NoteUntrusted):
        other.verify(TEXT, NEW.sign(TEXT))


@BOTH
def test_keys_write_back(cosigner: CosignatureSigner) -> None:
    """A vkey that parses is written back to the same text."""
    key = cosigner.verifier

    assert key == CosignatureKey.parse(str(key))
    assert key_id(WITNESS, key.algorithm, key.public_key) == key.key_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        "name+00000000+",
        str(OLD.verifier).replace("w1", "w2"),
        str(OLD.verifier)[:-4],
        str(SIGNER.verifier),
        join_vkey(WITNESS, COSIGNED_ED25519, bytes(31)),
        join_vkey(WITNESS, COSIGNED_MLDSA44, bytes(32)),
        join_vkey(WITNESS, 0x02, bytes(32)),
        join_vkey("a b", COSIGNED_ED25519, bytes(32)),
    ],
)
def test_malformed_keys(text: str) -> None:
    """Another form, type, length or id is refused."""
    with pytest.raises(NoteMalformed):
        CosignatureKey.parse(text)


def test_keys_of_logs() -> None:
    """A log signs with 0x01 and 0x06; a witness's Ed25519 key is no log's."""
    assert isinstance(read_log_key(str(SIGNER.verifier)), VerifierKey)
    assert LOG.verifier == read_log_key(str(LOG.verifier))
    with pytest.raises(NoteMalformed):
        read_log_key(str(OLD.verifier))


@BOTH
def test_signers_do_not_leave(cosigner: CosignatureSigner) -> None:
    """No pickle, and nothing of the private key in its text."""
    with pytest.raises(TypeError):
        pickle.dumps(cosigner)
    assert "w" * 32 not in repr(cosigner)
    assert (b"w" * 32).hex() not in repr(cosigner)


def test_a_checkpoint_under_both_keys_of_its_log() -> None:
    """Each key alone is enough, and neither may fail."""
    note = sign_checkpoint(CHECKPOINT, [SIGNER, LOG])
    for keys in (
        [SIGNER.verifier],
        [LOG.verifier],
        [SIGNER.verifier, LOG.verifier],
    ):
        assert CHECKPOINT == open_checkpoint(bytes(note), keys, origin=ORIGIN)
    first, second = note.signatures
    forged = NoteSignature(
        name=second.name,
        key_id=second.key_id,
        signature=second.signature[:-1] + b"\x00"
        if second.signature[-1]
        else second.signature[:-1] + b"\x01",
    )
    spoiled = bytes(SignedNote(text=note.text, signatures=(first, forged)))
    assert open_note(spoiled, [SIGNER.verifier])
    with pytest.raises(NoteUntrusted):
        open_note(spoiled, [SIGNER.verifier, LOG.verifier])


def make(folder: Path, *cosigners: NoteSigner) -> Ledger:
    """Build a ledger with further keys."""
    return Ledger(
        engine=open_empty("sqlite", folder),
        origin=ORIGIN,
        signer=SIGNER,
        audit_key=b"a" * 32,
        mark_key=b"m" * 32,
        clock=lambda: NOON,
        random=lambda length: b"r" * length,
        cosigners=cosigners,
    )


def append(ledger: Ledger) -> None:
    """Append one entry."""
    with ledger.engine.begin() as conn:
        ledger.append(conn, [draft()])


def test_a_ledger_signs_with_both_keys(tmp_path: Path) -> None:
    """Each checkpoint bears two lines, and both hold."""
    ledger = make(tmp_path, LOG)
    append(ledger)
    note = ledger.checkpoint().encode()

    assert 2 == len(open_note(note, [SIGNER.verifier]).signatures)
    assert 1 == open_checkpoint(note, [LOG.verifier], origin=ORIGIN).size
    assert 1 == ledger.verify().checkpoints


def test_a_ledger_keeps_nothing_that_a_faulty_key_signed(
    tmp_path: Path,
) -> None:
    """A second signature that does not hold is noticed before it is kept."""

    class Faulty(CosignatureSigner):
        def sign(self, text: str) -> bytes:
            *most, last = super().sign(text)
            return bytes([*most, last ^ 1])

    ledger = make(
        tmp_path,
        Faulty(
            ORIGIN, MLDSA44PrivateKey.from_seed_bytes(b"l" * 32), lambda: NOON
        ),
    )
    append(ledger)

    with pytest.raises((NoteUntrusted, LedgerInconsistent)):
        ledger.checkpoint()
    assert [] == ledger.checkpoints()


def test_a_stored_second_signature_is_held_too(tmp_path: Path) -> None:
    """A note whose second signature was changed is found, Ed25519 or not."""
    ledger = make(tmp_path, LOG)
    append(ledger)
    note = ledger.checkpoint()
    other = sign_checkpoint(
        Checkpoint(origin=ORIGIN, size=1, root=bytes(32)), [SIGNER, LOG]
    )
    mixed = note.splitlines(keepends=True)
    mixed[-1] = str(other).splitlines(keepends=True)[-1]

    with pytest.raises(NoteUntrusted):
        open_checkpoint(
            "".join(mixed).encode(),
            [SIGNER.verifier, LOG.verifier],
            origin=ORIGIN,
        )
    assert signer(ORIGIN).verifier != SIGNER.verifier
