"""The witness: every answer in its order, one history, no way back."""

import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Self

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from consent.checkpoint import Checkpoint, sign_checkpoint
from consent.cosignatures import CosignatureKey, CosignatureSigner
from consent.errors import NoteMalformed, WitnessStateInvalid
from consent.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    hash_leaf,
    over_leaves,
    subtree_root,
)
from consent.signed_notes import (
    LedgerSigner,
    NoteSigner,
    encode_base64,
    parse_signature_line,
    sign_note,
)
from consent.witness import (
    SIZE,
    Submission,
    Witness,
    WitnessAnswer,
    submission,
)
from consent.witness_store import (
    WitnessStore,
    create_witness_keys,
    load_witness_keys,
)
from tests.ledgers import NOON, ORIGIN, SIGNER
from tests.test_signed_notes import signer

NAME = "witness.example/w1"
LEAVES = [hash_leaf(b"%d" % number) for number in range(300)]
FORKED = [*LEAVES[:4], hash_leaf(b"another"), *LEAVES[5:]]
LOG = CosignatureSigner(
    ORIGIN, MLDSA44PrivateKey.from_seed_bytes(b"l" * 32), lambda: NOON
)


@pytest.fixture
def store(tmp_path: Path) -> WitnessStore:
    """Return the state of a new witness."""
    return WitnessStore(tmp_path / "state.db")


@pytest.fixture
def keys(tmp_path: Path) -> tuple[CosignatureSigner, ...]:
    """Return the keys of a new witness, from their file."""
    path = tmp_path / "keys.json"
    create_witness_keys(path, NAME, random=lambda length: b"w" * length)
    return load_witness_keys(path, lambda: NOON)


@pytest.fixture
def witness(
    store: WitnessStore, keys: tuple[CosignatureSigner, ...]
) -> Witness:
    """Return a witness that follows one log, by both of its keys."""
    return Witness(
        signers=keys,
        logs={ORIGIN: [SIGNER.verifier, LOG.verifier]},
        state=store,
    )


def note_of(
    size: int,
    leaves: Sequence[bytes] = LEAVES,
    *,
    signers: Sequence[NoteSigner] = (SIGNER,),
    root: bytes | None = None,
) -> str:
    """Sign a checkpoint."""
    found = subtree_root(leaves[:size]) if root is None else root
    checkpoint = Checkpoint(origin=ORIGIN, size=size, root=found)
    return str(sign_checkpoint(checkpoint, signers))


def proof_of(
    old: int, new: int, leaves: Sequence[bytes] = LEAVES
) -> list[bytes]:
    """Build a consistency proof."""
    return consistency_proof(old, new, over_leaves(leaves)) if old else []


def body(old: int, new: int, leaves: Sequence[bytes] = LEAVES) -> bytes:
    """Build a sound submission."""
    return submission(old, proof_of(old, new, leaves), note_of(new, leaves))


def cosigned(witness: Witness, size: int) -> WitnessAnswer:
    """Bring a witness to a size."""
    found = witness.add_checkpoint(body(0, size))
    assert 200 == found.status
    return found


def test_a_cosigned_checkpoint(
    witness: Witness, keys: tuple[CosignatureSigner, ...]
) -> None:
    """The answer is one line a key, each over this checkpoint, now."""
    found = cosigned(witness, 5)
    lines = [parse_signature_line(one) for one in found.body.splitlines()]
    text = note_of(5).partition("\n\n")[0] + "\n"

    assert [key.key_id for key in keys] == [line.key_id for line in lines]
    for key, line in zip(keys, lines, strict=True):
        assert NOON == key.verifier.time_of(text, line.signature)
    assert [6, 4] == [key.verifier.algorithm for key in keys]
    assert "text/plain; charset=utf-8" == found.media_type


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=6).map(sorted),
)
def test_a_log_that_grows_is_followed(sizes: list[int]) -> None:
    """Any rising sizes, the same again and the empty tree among them."""
    witness = Witness(
        signers=[LOG], logs={ORIGIN: [SIGNER.verifier]}, state=InMemory()
    )
    old = 0
    for size in sizes:
        assert 200 == witness.add_checkpoint(body(old, size)).status
        old = size


class InMemory:
    """A state for one thread."""

    def __init__(self) -> None:
        """Begin with nothing cosigned."""
        self.latest: Checkpoint | None = None

    def locked(self, _origin: str) -> "InMemory":
        """Give itself."""
        return self

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Keep what was done."""

    def advance(self, checkpoint: Checkpoint) -> None:
        """Replace what was cosigned."""
        self.latest = checkpoint


# --- The table of answers, in its order -------------------------------------

FOREIGN = signer("other.example")


def test_an_unknown_origin_is_404_before_all_else(witness: Witness) -> None:
    """Whoever signed it, and whatever else is wrong with it."""
    checkpoint = Checkpoint(origin="other.example", size=3, root=bytes(32))
    note = str(sign_checkpoint(checkpoint, [FOREIGN]))

    assert 404 == witness.add_checkpoint(submission(9, [], note)).status


@pytest.mark.parametrize(
    "signers",
    [
        (signer(ORIGIN, 9),),
        (FOREIGN,),
        (LedgerSigner("town.example/other", SIGNER._key),),
    ],
    ids=["another key", "another name", "another name, the log's key"],
)
def test_a_forged_checkpoint_is_403(
    witness: Witness, signers: Sequence[NoteSigner]
) -> None:
    """Attack 24, forged checkpoint: no trusted key, no cosignature."""
    cosigned(witness, 3)
    note = note_of(7, signers=signers)

    # The old size is wrong too: the signature is looked at first.
    assert 403 == witness.add_checkpoint(submission(9, [], note)).status
    assert 200 == witness.add_checkpoint(body(3, 7)).status


def test_a_failing_signature_of_a_trusted_key_is_403(
    witness: Witness,
) -> None:
    """It is not outvoted by the other key's, which holds."""
    sound = note_of(7, signers=(SIGNER, LOG)).splitlines(keepends=True)
    other = note_of(8, signers=(SIGNER, LOG)).splitlines(keepends=True)
    for mixed in (
        [*sound[:-1], other[-1]],
        [*sound[:-2], other[-2], sound[-1]],
    ):
        found = witness.add_checkpoint(submission(0, [], "".join(mixed)))
        assert 403 == found.status
    both = note_of(7, signers=(SIGNER, LOG, FOREIGN))
    assert 200 == witness.add_checkpoint(submission(0, [], both)).status


def test_each_key_of_the_log_is_enough(witness: Witness) -> None:
    """A log that signs with ML-DSA-44 alone is followed too."""
    note = note_of(7, signers=(LOG,))

    assert 200 == witness.add_checkpoint(submission(0, [], note)).status


def test_an_old_size_beyond_the_checkpoint_is_400(witness: Witness) -> None:
    """Before the old size is held against what was cosigned."""
    cosigned(witness, 3)

    assert 400 == witness.add_checkpoint(submission(8, [], note_of(7))).status


@pytest.mark.parametrize("old", [0, 2, 4, 7])
def test_another_old_size_is_409(witness: Witness, old: int) -> None:
    """With the size that was cosigned, so that the log can try again."""
    cosigned(witness, 3)
    found = witness.add_checkpoint(body(old, 7))

    assert (409, "3\n", SIZE) == (found.status, found.body, found.media_type)
    assert "text/x.tlog.size" == found.media_type


def test_the_first_old_size_is_0(witness: Witness) -> None:
    """Where nothing was cosigned, the size is 0."""
    found = witness.add_checkpoint(body(3, 7))

    assert (409, "0\n") == (found.status, found.body)


def test_an_empty_tree_has_one_root(witness: Witness) -> None:
    """A checkpoint of size 0 with another root is 422."""
    wrong = submission(0, [], note_of(0, root=bytes(32)))
    right = submission(0, [], note_of(0, root=EMPTY_ROOT))

    assert 422 == witness.add_checkpoint(wrong).status
    assert 200 == witness.add_checkpoint(right).status
    assert 200 == witness.add_checkpoint(right).status
    assert 200 == witness.add_checkpoint(body(0, 4)).status


def test_nothing_is_proved_from_nothing(witness: Witness) -> None:
    """From old size 0 the proof is empty, else 422."""
    sent = submission(0, [bytes(32)], note_of(7))

    assert 422 == witness.add_checkpoint(sent).status


def test_a_proof_that_does_not_hold_is_422(witness: Witness) -> None:
    """Too short, too long, changed, of other sizes."""
    cosigned(witness, 3)
    sound = proof_of(3, 7)
    for proof in (
        [],
        sound[:-1],
        [*sound, bytes(32)],
        [bytes(32), *sound[1:]],
        [sound[0][:31], *sound[1:]],
        proof_of(2, 7),
        proof_of(3, 8),
    ):
        sent = submission(3, proof, note_of(7))
        assert 422 == witness.add_checkpoint(sent).status
    assert (
        200 == witness.add_checkpoint(submission(3, sound, note_of(7))).status
    )


def test_a_fork_of_the_same_size_is_422(witness: Witness) -> None:
    """Attack 24, split view: a second root of one size is refused."""
    cosigned(witness, 7)
    sent = submission(7, [], note_of(7, FORKED))

    assert 422 == witness.add_checkpoint(sent).status
    assert 200 == witness.add_checkpoint(body(7, 7)).status


def test_a_fork_that_grows_is_422(witness: Witness) -> None:
    """Attack 24, fork: no proof leads from one history to the other."""
    cosigned(witness, 7)
    for proof in (proof_of(7, 20, FORKED), proof_of(7, 20)):
        sent = submission(7, proof, note_of(20, FORKED))
        assert 422 == witness.add_checkpoint(sent).status


def test_a_reordered_ledger_is_422(witness: Witness) -> None:
    """Attack 24, re-ordered entries: two leaves change places."""
    swapped = [LEAVES[1], LEAVES[0], *LEAVES[2:]]
    cosigned(witness, 7)
    sent = submission(7, proof_of(7, 9, swapped), note_of(9, swapped))

    assert 422 == witness.add_checkpoint(sent).status


def test_a_truncated_ledger_is_refused(witness: Witness) -> None:
    """Attack 24, rollback: no smaller size comes after a larger one."""
    cosigned(witness, 7)

    assert 409 == witness.add_checkpoint(body(0, 5)).status
    assert 409 == witness.add_checkpoint(body(5, 5)).status
    assert 400 == witness.add_checkpoint(submission(7, [], note_of(5))).status


# --- The form of a submission -----------------------------------------------

GOOD = body(3, 7)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\n\n",
        GOOD.replace(b"old 3", b"old 03"),
        GOOD.replace(b"old 3", b"old  3"),
        GOOD.replace(b"old 3", b"old"),
        GOOD.replace(b"old 3", b"old -3"),
        GOOD.replace(b"old 3", b"new 3"),
        GOOD.replace(b"old 3", b"old 3 "),
        GOOD.replace(b"old 3\n", b""),
        GOOD.replace(b"old 3", b"old 9223372036854775808"),
        GOOD.replace(b"old 3", "old \u0663".encode()),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD[:-1],
        GOOD + b"\n",
        GOOD.replace(b"\n\n", b"\n", 1),
        submission(3, [bytes(32)] * 64, note_of(7)),
        b"old 3\n!\n\n" + note_of(7).encode(),
        b"old 3\n\n" + note_of(7).encode().replace(b"7\n", b"7\n\n", 1),
        b"old 3\n\n\xff" + note_of(7).encode(),
    ],
)
def test_malformed_submissions_are_400(witness: Witness, sent: bytes) -> None:
    """Anything but the one exact form."""
    assert 400 == witness.add_checkpoint(sent).status


def test_63_lines_of_proof_are_read(witness: Witness) -> None:
    """They prove nothing here, so the answer is that of a false proof."""
    cosigned(witness, 3)
    sent = submission(3, [bytes(32)] * 63, note_of(7))

    assert 422 == witness.add_checkpoint(sent).status


@given(st.data())
def test_submissions_are_not_malleable(data: st.DataObject) -> None:
    """What parses is written back to the same bytes."""
    place = data.draw(st.integers(0, len(GOOD) - 1))
    mangled = (
        GOOD[:place] + data.draw(st.binary(max_size=2)) + GOOD[place + 1 :]
    )
    try:
        found = Submission.parse(mangled)
    except NoteMalformed:
        return

    assert mangled == bytes(found)


def test_the_specifications_example_parses() -> None:
    """Its example request, with two signatures, is read."""
    hashes = "".join(f"{encode_base64(bytes([n] * 32))}\n" for n in range(4))
    line = str(sign_note("x\n", [FOREIGN]).signatures[0])
    sent = (
        f"old 20852014\n{hashes}\nexample.com/behind-the-sofa\n20852163\n"
        f"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n{line}{line}"
    ).encode()
    found = Submission.parse(sent)

    assert (20852014, 20852163) == (found.old, found.checkpoint.size)
    assert (4, 2) == (len(found.proof), len(found.note.signatures))


def test_extension_lines_are_taken(witness: Witness) -> None:
    """Other makers' logs may have them; none may be empty."""
    text = note_of(7).partition("\n\n")[0] + "\nmore\n"
    note = str(sign_note(text, [SIGNER]))

    assert 200 == witness.add_checkpoint(submission(0, [], note)).status


# --- State ------------------------------------------------------------------


def test_what_was_cosigned_survives(
    store: WitnessStore,
    witness: Witness,
    keys: tuple[CosignatureSigner, ...],
    tmp_path: Path,
) -> None:
    """Another process goes on where this one was."""
    cosigned(witness, 7)
    again = Witness(
        signers=keys,
        logs={ORIGIN: [SIGNER.verifier]},
        state=WitnessStore(tmp_path / "state.db"),
    )

    assert 409 == again.add_checkpoint(body(0, 5)).status
    assert [7] == [one.size for one in store.all()]


def test_two_logs_do_not_meet(store: WitnessStore) -> None:
    """Each origin has a history of its own."""
    witness = Witness(
        signers=[LOG],
        logs={ORIGIN: [SIGNER.verifier], FOREIGN.name: [FOREIGN.verifier]},
        state=store,
    )
    other = Checkpoint(origin=FOREIGN.name, size=2, root=bytes(32))
    note = str(sign_checkpoint(other, [FOREIGN]))

    assert 200 == witness.add_checkpoint(body(0, 7)).status
    assert 200 == witness.add_checkpoint(submission(0, [], note)).status
    assert {ORIGIN: 7, FOREIGN.name: 2} == {
        one.origin: one.size for one in store.all()
    }


def test_a_race_cannot_take_it_back(
    store: WitnessStore, keys: tuple[CosignatureSigner, ...]
) -> None:
    """Attack 24, rollback by a race: of many at once one wins each size.

    All threads submit from the same old size; whoever comes second is told
    the new size, and what is kept is the largest that was answered.
    """

    def slow_clock() -> int:
        # It is read while a checkpoint is signed: the window of the race.
        time.sleep(0.05)
        return NOON

    slow = CosignatureSigner(NAME, keys[1]._key, slow_clock)
    witness = Witness(
        signers=[slow], logs={ORIGIN: [SIGNER.verifier]}, state=store
    )
    cosigned(witness, 2)
    sizes = list(range(3, 35))
    start = threading.Barrier(8)

    def submit(part: int) -> list[tuple[int, int]]:
        start.wait()
        return [
            (witness.add_checkpoint(body(2, size)).status, size)
            for size in sizes[part::8]
        ]

    with ThreadPoolExecutor(max_workers=8) as threads:
        found = [one for part in threads.map(submit, range(8)) for one in part]
    won = [size for status, size in found if status == 200]

    assert 1 == len(won)
    assert {200, 409} == {status for status, _ in found}
    assert won == [one.size for one in store.all()]


def test_a_race_between_reading_and_writing_is_seen(
    store: WitnessStore, tmp_path: Path
) -> None:
    """Even without the lock no row is replaced that was not the one read."""
    first = Checkpoint(origin=ORIGIN, size=3, root=bytes(32))
    later = Checkpoint(origin=ORIGIN, size=9, root=bytes(32))
    with store.locked(ORIGIN) as held:
        held.advance(first)
    moved = Checkpoint(origin=ORIGIN, size=4, root=bytes(32))
    with store.locked(ORIGIN) as held:
        held._db.execute("UPDATE cosigned SET size = 5")
        with pytest.raises(WitnessStateInvalid):
            held.advance(moved)
    with store.locked(ORIGIN) as held:
        held.advance(later)
    with (
        store.locked(ORIGIN) as held,
        pytest.raises(WitnessStateInvalid),
    ):
        held.advance(first)

    assert [9] == [one.size for one in store.all()]
    assert (tmp_path / "state.db").exists()


def test_nothing_leaves_that_was_not_kept(
    witness: Witness, store: WitnessStore, tmp_path: Path
) -> None:
    """Where the state cannot be written, there is no cosignature."""
    cosigned(witness, 3)
    with closing(sqlite3.connect(tmp_path / "state.db")) as db:
        db.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON cosigned BEGIN"
            " SELECT RAISE(FAIL, 'disk is full'); END"
        )
    with pytest.raises(WitnessStateInvalid):
        witness.add_checkpoint(body(3, 7))

    assert [3] == [one.size for one in store.all()]


def test_keys_are_for_their_owner_and_never_replaced(tmp_path: Path) -> None:
    """Mode 0600; a second creation fails; a damaged file opens nothing."""
    path = tmp_path / "keys.json"
    create_witness_keys(path, NAME, random=lambda length: b"w" * length)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        create_witness_keys(path, NAME, random=lambda length: b"v" * length)
    assert before == path.read_bytes()
    assert 0o600 == path.stat().st_mode & 0o777
    with pytest.raises(NoteMalformed):
        create_witness_keys(tmp_path / "b", "a b", random=bytes)
    for damaged in (b"", b"{}", b"[]", before[:-9], b"\xff"):
        path.write_bytes(damaged)
        with pytest.raises(WitnessStateInvalid):
            load_witness_keys(path, lambda: NOON)


def test_a_witness_is_known_by_either_key(
    keys: tuple[CosignatureSigner, ...],
) -> None:
    """What it publishes is what others read."""
    for key in keys:
        assert key.verifier == CosignatureKey.parse(str(key.verifier))
