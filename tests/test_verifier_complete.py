"""The stand-alone verifier on quorums, second keys, heads and completeness.

It runs as a file copied elsewhere, isolated, without our packages.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from sqlalchemy import Engine, text

from consent import verifier
from consent.checkpoint import Checkpoint, sign_checkpoint
from consent.cosignatures import CosignatureSigner
from consent.errors import LedgerInconsistent, TrustPolicyInvalid
from consent.ledger import Ledger
from consent.ledger_proofs import head_document, head_text
from consent.signed_notes import sign_note
from consent.tlog_policy import read_trust_policy
from tests.ledgers import (
    NOON,
    ORIGIN,
    SIGNER,
    VKEY,
    draft,
    make_ledger,
    open_empty,
    person,
)
from tests.test_signed_notes import signer
from tests.test_tlog_policy import EXAMPLE, LINES, WITNESSES, X1

SOURCE = Path(verifier.__file__)
ANNA, ANNA_KEY = person(1)
LOG = CosignatureSigner(
    ORIGIN, MLDSA44PrivateKey.from_seed_bytes(b"l" * 32), lambda: NOON
)
HOUR = 3600


@dataclass(frozen=True)
class Elsewhere:
    """A folder with the verifier in it and nothing else of ours."""

    folder: Path

    def write(self, name: str, content: str) -> Path:
        """Put a file there."""
        path = self.folder / name
        path.write_text(content)
        return path

    def run(self, *arguments: object) -> tuple[int, dict[str, Any]]:
        """Run the copy, isolated; return its exit code and its report."""
        done = subprocess.run(
            [
                *(sys.executable, "-I", "verifier.py", "--json"),
                *map(str, arguments),
            ],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 2:
            return 2, {"error": done.stderr}
        assert "" == done.stderr
        return done.returncode, json.loads(done.stdout)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    """Copy the verifier into another folder."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    shutil.copy(SOURCE, folder / "verifier.py")
    return Elsewhere(folder)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Open an empty database."""
    opened = open_empty("sqlite", tmp_path_factory.mktemp("complete"))
    yield opened
    opened.dispose()


@pytest.fixture(scope="module")
def ledger(engine: Engine) -> Ledger:
    """Return a ledger of ten entries, five of them about one person.

    Each is an hour after the one before.
    """
    made = make_ledger(engine, clock=lambda: NOON + 10 * HOUR)
    with engine.begin() as conn:
        made.append(
            conn, [draft(n % 2 + 1, at=NOON + n * HOUR) for n in range(10)]
        )
    made.checkpoint()
    return made


@pytest.fixture
def papers(ledger: Ledger, elsewhere: Elsewhere) -> dict[int, Path]:
    """Write the person's five proofs, by counter."""
    return {
        counter: elsewhere.write(
            f"proof-{counter}.json",
            ledger.disclosure_proof(2 * counter - 2, ANNA_KEY),
        )
        for counter in range(1, 6)
    }


@pytest.fixture
def head(ledger: Ledger, elsewhere: Elsewhere) -> Path:
    """Write the person's head."""
    return elsewhere.write("head.json", ledger.person_head(ANNA, ANNA_KEY))


def completeness(report: dict[str, Any]) -> dict[str, Any]:
    """Pick what was found about completeness."""
    (found,) = [f for f in report["findings"] if f["what"] == "completeness"]
    chosen: dict[str, Any] = found
    return chosen


def test_it_needs_nothing_of_ours(elsewhere: Elsewhere) -> None:
    """Where it runs, none of our packages can be imported."""
    program = "import consent"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        cwd=elsewhere.folder,
        capture_output=True,
        check=False,
    )

    assert 0 != done.returncode


def test_all_entries_and_the_head(
    elsewhere: Elsewhere, papers: dict[int, Path], head: Path
) -> None:
    """With the head it is shown that there is no later one."""
    code, report = elsewhere.run(
        *papers.values(), head, "--vkey", VKEY, "--complete"
    )
    found = completeness(report)

    assert 0 == code
    assert (10, 5, []) == (
        found["facts"]["head"],
        found["facts"]["last"],
        found["facts"]["missing"],
    )
    assert "at size 10 there were 5" in found["says"]


def test_without_a_head_it_says_what_is_not_shown(
    elsewhere: Elsewhere, papers: dict[int, Path]
) -> None:
    """All up to the last one given, and no word about a later one."""
    code, report = elsewhere.run(
        *papers.values(), "--vkey", VKEY, "--complete"
    )

    assert 0 == code
    assert (
        "no later one is shown by a head alone"
        in (completeness(report)["says"])
    )


@pytest.mark.parametrize(
    ("gone", "missing"),
    [
        ((1,), [[1, 1]]),
        ((3,), [[3, 3]]),
        ((5,), [[5, 5]]),
        ((2, 3), [[2, 3]]),
        ((1, 3, 5), [[1, 1], [3, 3], [5, 5]]),
        ((1, 2, 3, 4, 5), [[1, 5]]),
    ],
)
def test_every_missing_entry_is_named(
    elsewhere: Elsewhere,
    papers: dict[int, Path],
    head: Path,
    gone: tuple[int, ...],
    missing: list[list[int]],
) -> None:
    """The last one too, which only the head shows."""
    kept = [path for n, path in papers.items() if n not in gone]
    code, report = elsewhere.run(*kept, head, "--vkey", VKEY, "--complete")

    assert 1 == code
    assert missing == completeness(report)["facts"]["missing"]


def forge(
    folder: Path, change: Callable[[Engine, Ledger], None]
) -> tuple[list[str], str]:
    """Have a ledger that lies issue five proofs and a head.

    It signs whatever it holds, with the same key and the same persons.
    """
    engine = open_empty("sqlite", folder)
    lying = make_ledger(engine)
    with engine.begin() as conn:
        lying.append(conn, [draft(1) for _ in range(3)])
    change(engine, lying)
    with engine.begin() as conn:
        lying.append(conn, [draft(1) for _ in range(2)])
    lying.checkpoint()
    proofs = [lying.disclosure_proof(n, ANNA_KEY) for n in range(5)]
    found = lying.person_head(ANNA, ANNA_KEY)
    engine.dispose()
    return proofs, found


def set_person(**columns: object) -> Callable[[Engine, Ledger], None]:
    """Change what the ledger believes of the person's chain."""

    def change(engine: Engine, _ledger: Ledger) -> None:
        names = ", ".join(f"{name} = :{name}" for name in columns)
        with engine.begin() as conn:
            conn.execute(text(f"UPDATE ledger_person SET {names}"), columns)

    return change


def test_a_counter_that_stands_twice_is_named(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    """Two different entries with one counter prove that the ledger lied."""
    proofs, _ = forge(tmp_path, set_person(counter=2))
    paths = [elsewhere.write(f"p{n}", each) for n, each in enumerate(proofs)]
    code, report = elsewhere.run(*paths, "--vkey", VKEY, "--complete")

    assert 1 == code
    assert [3] == completeness(report)["facts"]["duplicated"]
    assert "keep both files" in completeness(report)["says"]


def test_a_chain_that_was_cut_is_named(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    """An entry whose `previous` is not the one before breaks the chain."""
    proofs, _ = forge(tmp_path, set_person(previous=bytes(32)))
    paths = [elsewhere.write(f"p{n}", each) for n, each in enumerate(proofs)]
    code, report = elsewhere.run(*paths, "--vkey", VKEY, "--complete")

    assert 1 == code
    assert [4] == completeness(report)["facts"]["broken"]


def statement(
    *,
    counter: int,
    leaf: bytes,
    size: int = 10,
    root: bytes = b"",
    by: Any = SIGNER,  # noqa: ANN401 - whoever signs
    origin: str = ORIGIN,
) -> str:
    """Sign a statement, true or not."""
    checkpoint = Checkpoint(origin=origin, size=size, root=root)
    said = head_text(
        checkpoint, subject=ANNA, counter=counter, leaf=leaf, at=NOON
    )
    return str(sign_note(said, [by]))


def test_a_head_that_leaves_an_entry_out_is_proof(
    ledger: Ledger, elsewhere: Elsewhere, papers: dict[int, Path]
) -> None:
    """A lower count, or another last entry, contradicts the proofs."""
    note = ledger.checkpoint()
    root = json.loads(papers[1].read_text())
    fourth = json.loads(papers[5].read_text())["subject"]["body"]
    leaf = bytes.fromhex(json.loads(fourth)["previous"])
    signed = Checkpoint.parse(note.rpartition("\n\n")[0] + "\n")
    for counter, named, said in (
        (4, leaf, "leaves out entry number 5"),
        (5, bytes(32), "names another entry"),
    ):
        lie = head_document(
            statement(counter=counter, leaf=named, root=signed.root), note
        )
        path = elsewhere.write("lie.json", lie)
        code, report = elsewhere.run(
            *papers.values(), path, "--vkey", VKEY, "--complete"
        )

        assert 1 == code
        assert said in completeness(report)["says"]
    assert root


def test_two_heads_that_differ_are_proof(
    ledger: Ledger, elsewhere: Elsewhere, head: Path
) -> None:
    """Of one size there is one count; later it is never less."""
    note = ledger.checkpoint()
    signed = Checkpoint.parse(note.rpartition("\n\n")[0] + "\n")
    lie = statement(counter=6, leaf=bytes(32), root=signed.root)
    path = elsewhere.write("lie.json", head_document(lie, note))
    code, report = elsewhere.run(head, path, "--vkey", VKEY, "--complete")

    assert 1 == code
    assert "keep both files" in completeness(report)["says"]


def test_a_head_is_signed_and_about_its_checkpoint(
    ledger: Ledger, elsewhere: Elsewhere
) -> None:
    """Another key, size, root, origin or form is refused."""
    note = ledger.checkpoint()
    root = Checkpoint.parse(note.rpartition("\n\n")[0] + "\n").root
    good = statement(counter=5, leaf=bytes(32), root=root)
    cases = [
        statement(counter=5, leaf=bytes(32), root=root, by=signer(ORIGIN, 9)),
        statement(counter=5, leaf=bytes(32), root=bytes(32)),
        statement(counter=5, leaf=bytes(32), root=root, size=9),
        statement(counter=5, leaf=b"", root=root),
        statement(counter=0, leaf=bytes(32), root=root),
        good.replace("\n5\n", "\n4\n"),
        good.replace(str(ANNA), str(person(2)[0])),
        note,
        "",
    ]
    for number, lie in enumerate(cases):
        path = elsewhere.write(f"{number}.json", head_document(lie, note))
        assert 1 == elsewhere.run(path, "--vkey", VKEY)[0], number
    sound = elsewhere.write("sound.json", head_document(good, note))
    assert 0 == elsewhere.run(sound, "--vkey", VKEY)[0]


def test_a_head_is_no_checkpoint(ledger: Ledger, elsewhere: Elsewhere) -> None:
    """The same key signs both, and neither is taken for the other."""
    found = json.loads(ledger.person_head(ANNA, ANNA_KEY))
    swapped = elsewhere.write(
        "swapped.json",
        head_document(found["checkpoint"], found["statement"]),
    )

    assert 1 == elsewhere.run(swapped, "--vkey", VKEY)[0]


def test_nobody_yet(ledger: Ledger, elsewhere: Elsewhere) -> None:
    """A person without entries has a head that says so."""
    stranger, key = person(77)
    path = elsewhere.write("head.json", ledger.person_head(stranger, key))
    code, report = elsewhere.run(path, "--vkey", VKEY, "--complete")

    assert 0 == code
    assert 0 == completeness(report)["facts"]["last"]


def test_the_ledger_signs_no_head_over_a_hidden_entry(tmp_path: Path) -> None:
    """Who takes the tag off the latest entry gets no statement signed."""
    engine = open_empty("sqlite", tmp_path)
    made = make_ledger(engine)
    with engine.begin() as conn:
        made.append(conn, [draft(1), draft(1)])
    made.checkpoint()
    with engine.begin() as conn:
        conn.execute(text("UPDATE ledger_entry SET tag = NULL WHERE idx = 1"))

    with pytest.raises(LedgerInconsistent):
        made.person_head(ANNA, ANNA_KEY)
    engine.dispose()


@pytest.mark.parametrize(
    ("span", "counters"),
    [
        ((NOON, NOON + 10 * HOUR), [1, 2, 3, 4, 5]),
        ((NOON + 1, NOON + 6 * HOUR), [2, 3, 4]),
        ((NOON + 2 * HOUR, NOON + 2 * HOUR), [2]),
        ((NOON + 2 * HOUR + 1, NOON + 3 * HOUR), []),
        (("2026-09-21", "2026-09-21"), [1, 2, 3, 4, 5]),
        (("2026-09-22T00:00:00", "2026-09-22T00:00:00+00:00"), []),
    ],
)
def test_which_entries_lie_in_a_time(
    elsewhere: Elsewhere,
    papers: dict[int, Path],
    head: Path,
    span: tuple[object, object],
    counters: list[int],
) -> None:
    """Bounds included; a date is the whole of its day, UTC."""
    code, report = elsewhere.run(
        *(*papers.values(), head, "--vkey", VKEY),
        *("--from", span[0], "--to", span[1]),
    )
    window = report["findings"][-1]

    assert 0 == code
    assert "window" == window["what"]
    assert counters == [one["counter"] for one in window["facts"]["entries"]]


def test_a_time_is_not_answered_for_where_entries_are_missing(
    elsewhere: Elsewhere, papers: dict[int, Path], head: Path
) -> None:
    """It still lists what is there, and says so."""
    code, report = elsewhere.run(
        *(papers[1], papers[3], head, "--vkey", VKEY),
        *("--from", "0", "--to", "9999999999"),
    )

    assert 1 == code
    assert "others may be missing" in report["findings"][-1]["says"]
    for wrong in (
        ("--from", "1"),
        ("--to", "1"),
        ("--from", "x", "--to", "1"),
    ):
        assert 2 == elsewhere.run(head, "--vkey", VKEY, *wrong)[0]


# --- Keys and quorums -------------------------------------------------------


def resigned(proof: str, *signers: Any) -> str:  # noqa: ANN401 - whoever signs
    """Sign the checkpoint of a document anew, by others."""
    document = json.loads(proof)
    front, _, note = document["proof"].partition("\n\n")
    said = Checkpoint.parse(note.rpartition("\n\n")[0] + "\n")
    document["proof"] = f"{front}\n\n{sign_checkpoint(said, signers)}"
    return json.dumps(document)


def test_the_second_key_is_enough(
    ledger: Ledger, elsewhere: Elsewhere
) -> None:
    """ML-DSA-44 alone, and both where both are demanded."""
    proof = ledger.disclosure_proof(0, ANNA_KEY)
    both = elsewhere.write("both", resigned(proof, SIGNER, LOG))
    one = elsewhere.write("one", resigned(proof, SIGNER))
    new = str(LOG.verifier)
    keys = ("--vkey", VKEY, "--vkey", new)

    assert 0 == elsewhere.run(both, "--vkey", new)[0]
    assert 1 == elsewhere.run(one, "--vkey", new)[0]
    assert 0 == elsewhere.run(one, *keys)[0]
    assert 0 == elsewhere.run(both, *keys, "--every-key")[0]
    assert 1 == elsewhere.run(one, *keys, "--every-key")[0]


def test_a_forged_second_signature_fails(
    ledger: Ledger, elsewhere: Elsewhere
) -> None:
    """It is not outvoted by the first, if its key is known."""
    proof = ledger.disclosure_proof(0, ANNA_KEY)
    other = CosignatureSigner(
        ORIGIN, MLDSA44PrivateKey.from_seed_bytes(b"x" * 32), lambda: NOON
    )

    class Forger:
        name = ORIGIN
        key_id = LOG.key_id
        verifier = other.verifier
        sign = other.sign

    path = elsewhere.write("forged", resigned(proof, SIGNER, Forger()))

    assert 0 == elsewhere.run(path, "--vkey", VKEY)[0]
    keys = ("--vkey", VKEY, "--vkey", LOG.verifier)
    assert 1 == elsewhere.run(path, *keys)[0]


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ((), 1),
        (("X1", "X2"), 1),
        (("X1", "Y1"), 1),
        (("X1", "X2", "Y1"), 0),
        (("X2", "X3", "Y3"), 0),
        (("Y1", "Y2", "Y3", "X1"), 1),
        (tuple(WITNESSES), 0),
    ],
)
def test_a_quorum_by_a_policy_file(
    ledger: Ledger, elsewhere: Elsewhere, names: tuple[str, ...], code: int
) -> None:
    """Two of X and one of Y, of either kind of key."""
    signers = [SIGNER, *(WITNESSES[name] for name in names)]
    proof = resigned(ledger.disclosure_proof(0, ANNA_KEY), *signers)
    path = elsewhere.write("proof", proof)
    policy = elsewhere.write("policy", EXAMPLE)
    found, report = elsewhere.run(path, "--policy", policy)

    assert code == found
    assert ("quorum X-and-Y is missed" in str(report)) is bool(code)


def test_a_forged_cosignature_fails(
    ledger: Ledger, elsewhere: Elsewhere
) -> None:
    """A known witness's line that does not hold spoils the checkpoint."""

    class Forger:
        name = WITNESSES["Y2"].name
        key_id = WITNESSES["Y2"].key_id
        verifier = WITNESSES["Y2"].verifier
        sign = WITNESSES["Y3"].sign

    signers = [SIGNER, *(WITNESSES[name] for name in ("X1", "X2", "Y1"))]
    proof = ledger.disclosure_proof(0, ANNA_KEY)
    path = elsewhere.write("proof", resigned(proof, *signers, Forger()))
    policy = elsewhere.write("policy", EXAMPLE)

    assert 1 == elsewhere.run(path, "--policy", policy)[0]


def test_an_old_checkpoint_needs_no_quorum_of_its_own(
    ledger: Ledger, elsewhere: Elsewhere
) -> None:
    """The newer one does, and a proof that leads there from it."""
    note = ledger.checkpoint()
    said = Checkpoint.parse(note.rpartition("\n\n")[0] + "\n")
    policy = elsewhere.write("policy", EXAMPLE)
    signers = [SIGNER, *(WITNESSES[name] for name in ("X1", "X2", "Y1"))]
    for new, code in (
        (str(sign_checkpoint(said, signers)), 0),
        (note, 1),
    ):
        document = {
            "format": "curtilage.consistency-proof/1",
            "old": note,
            "new": new,
            "proof": [],
        }
        path = elsewhere.write("grown", json.dumps(document))
        assert code == elsewhere.run(path, "--policy", policy)[0]


BAD_POLICIES = [
    "",
    "quorum none\nquorum none\n",
    "quorum X1\n",
    LINES + "group g 7 X1\nquorum g\n",
    LINES + "group g 0 X1\nquorum g\n",
    LINES + "group g 01 X1\nquorum g\n",
    LINES + "group g any X1 X1\nquorum g\n",
    LINES + "group g any g\nquorum g\n",
    LINES + "group X1 any X2\nquorum X1\n",
    f"witness a {X1}\nwitness b {X1}\nquorum none\n",
    f"witness none {X1}\nquorum none\n",
    f"witness a {VKEY}\nquorum none\n",
    f"log {X1}\nquorum none\n",
    f"log {VKEY}\nlog {VKEY}\nquorum none\n",
    "quorum none\r\n",
    "quorum none # comment\n",
]


@pytest.mark.parametrize("policy", BAD_POLICIES)
def test_both_readers_refuse_the_same_policies(
    elsewhere: Elsewhere, head: Path, policy: str
) -> None:
    """The verifier asks for another file where the ledger does."""
    with pytest.raises(TrustPolicyInvalid):
        read_trust_policy(policy.encode(), where="policy")
    path = elsewhere.folder / "policy"
    path.write_bytes(policy.encode())

    code, said = elsewhere.run(head, "--vkey", VKEY, "--policy", path)
    assert 2 == code
    assert "policy:" in said["error"]


# --- Attack 24 --------------------------------------------------------------


def fork_of(folder: Path, entries: list[int]) -> tuple[Engine, Ledger]:
    """Make another history under the same key."""
    engine = open_empty("sqlite", folder)
    fork = make_ledger(engine)
    with engine.begin() as conn:
        fork.append(conn, [draft(n) for n in entries])
    return engine, fork


def test_attack_24_split_view(
    elsewhere: Elsewhere, papers: dict[int, Path], tmp_path: Path
) -> None:
    """Two people compare: one size, two roots, both files prove it."""
    engine, fork = fork_of(tmp_path, [1] * 10)
    other = elsewhere.write("fork", fork.disclosure_proof(0, ANNA_KEY))
    code, report = elsewhere.run(papers[1], other, "--vkey", VKEY)
    engine.dispose()

    assert 1 == code
    assert "two histories of 10 entries" in str(report)


def test_attack_24_truncated_ledger(
    elsewhere: Elsewhere, papers: dict[int, Path], tmp_path: Path
) -> None:
    """Entries cut off the end: the head that is left contradicts the proofs.

    Rewritten to the same size, it is a split view.
    """
    engine, back = fork_of(tmp_path, [1, 2, 1, 2, 1])
    head = elsewhere.write("head", back.person_head(ANNA, ANNA_KEY))
    code, report = elsewhere.run(
        *papers.values(), head, "--vkey", VKEY, "--complete"
    )
    engine.dispose()

    assert 1 == code
    assert not completeness(report)["ok"]


def test_attack_24_reordered_entries(
    ledger: Ledger, elsewhere: Elsewhere, papers: dict[int, Path]
) -> None:
    """An entry does not verify in another's place."""
    for index in (0, 1, 3, 9):
        document = json.loads(papers[2].read_text())
        document["proof"] = document["proof"].replace(
            "index 2\n", f"index {index}\n"
        )
        path = elsewhere.write("moved", json.dumps(document))
        assert 1 == elsewhere.run(path, "--vkey", VKEY)[0]
    assert 10 == ledger.size()


def test_attack_24_forged_checkpoint(
    ledger: Ledger, elsewhere: Elsewhere
) -> None:
    """A checkpoint that the ledger's key did not sign proves nothing."""
    proof = ledger.disclosure_proof(0, ANNA_KEY)
    stranger = elsewhere.write("f1", resigned(proof, signer(ORIGIN, 9)))
    witness = elsewhere.write("f2", resigned(proof, WITNESSES["X1"]))
    renamed = elsewhere.write("f3", proof.replace(ORIGIN, "city.example/x"))

    for path in (stranger, witness, renamed):
        assert 1 == elsewhere.run(path, "--vkey", VKEY)[0]
