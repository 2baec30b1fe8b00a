"""The verifier: it stands alone, is strict, and agrees with the ledger."""

import ast
import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from consent import entries, verifier
from consent.errors import ProofInvalid
from consent.ledger import Ledger
from consent.merkle import (
    consistency_proof,
    hash_leaf,
    inclusion_proof,
    over_leaves,
    verify_consistency,
    verify_inclusion,
)
from consent.verifier import Failed, check_consistency, check_inclusion, main
from tests.ledger_vectors import FOLDER
from tests.ledgers import (
    ORIGIN,
    VKEY,
    draft,
    fill,
    make_ledger,
    open_empty,
    person,
)
from tests.test_merkle import cases, decoded, defined_root, flip, tree_of
from tests.test_signed_notes import signer

SOURCE = Path(verifier.__file__)
ANNA = person(1)[1]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Open an empty database."""
    opened = open_empty("sqlite", tmp_path_factory.mktemp("verifier"))
    yield opened
    opened.dispose()


@pytest.fixture(scope="module")
def papers(engine: Engine) -> tuple[Ledger, list[str]]:
    """Return a ledger of 12 entries, and what one person took away.

    Their first three proofs are from when it had 7 entries.
    """
    made = make_ledger(engine)
    fill(made, 7, people=3)
    early = [made.disclosure_proof(index, ANNA) for index in (0, 3, 6)]
    fill(made, 5, people=3)
    late = [made.disclosure_proof(index, ANNA) for index in (7, 10)]
    return made, early + late


@pytest.fixture
def ledger(papers: tuple[Ledger, list[str]]) -> Ledger:
    """Return that ledger."""
    return papers[0]


@pytest.fixture
def proofs(papers: tuple[Ledger, list[str]], tmp_path: Path) -> list[Path]:
    """Write the proofs of all entries about one person."""
    paths = []
    for number, paper in enumerate(papers[1], start=1):
        path = tmp_path / f"proof-{number}.json"
        path.write_text(paper)
        paths.append(path)
    return paths


def check(*arguments: object) -> int:
    """Run the verifier in this process with the ledger's key."""
    return main(["--vkey", VKEY, *map(str, arguments)])


def check_json(
    capsys: pytest.CaptureFixture[str], *arguments: object
) -> dict[str, Any]:
    """Run the verifier and read its answer."""
    code = check("--json", *arguments)
    report: dict[str, Any] = json.loads(capsys.readouterr().out)

    assert report["ok"] is (code == 0)
    return report


def test_it_stands_alone() -> None:
    """It imports the standard library and cryptography, nothing of ours."""
    tree = ast.parse(SOURCE.read_text())
    roots = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert {"cryptography"} == roots - set(sys.stdlib_module_names)


def test_it_runs_elsewhere(proofs: list[Path], tmp_path: Path) -> None:
    """Copied into another folder it verifies, without the project."""
    there = tmp_path / "elsewhere"
    there.mkdir()
    shutil.copy(SOURCE, there / "verifier.py")
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "verifier.py",
            *map(str, proofs[:3]),
            "--vkey",
            VKEY,
            "--complete",
        ],
        cwd=there,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "" == done.stderr
    assert 0 == done.returncode
    assert "ok   all files: entries 1 to 3" in done.stdout


@pytest.mark.corpus
def test_it_agrees_on_the_published_vectors(corpus: Path) -> None:
    """Its own algorithms give the same answer in all 196 cases."""
    wrong = []
    for name, case in cases(corpus, "inclusion"):
        try:
            check_inclusion(
                index=case["leafIdx"],
                size=case["treeSize"],
                leaf=decoded(case["leafHash"]),
                proof=[decoded(each) for each in case["proof"] or ()],
                root=decoded(case["root"]),
            )
            failed = False
        except Failed:
            failed = True
        if failed != case["wantErr"]:
            wrong.append(name)
    for name, case in cases(corpus, "consistency"):
        try:
            check_consistency(
                old=case["size1"],
                new=case["size2"],
                proof=[decoded(each) for each in case["proof"] or ()],
                old_root=decoded(case["root1"]),
                new_root=decoded(case["root2"]),
            )
            failed = False
        except Failed:
            failed = True
        if failed != case["wantErr"]:
            wrong.append(name)

    assert [] == wrong


@given(st.data())
def test_it_agrees_with_the_ledger(data: st.DataObject) -> None:
    """On sound and on spoiled proofs both say the same."""
    size = data.draw(st.integers(1, 300))
    index = data.draw(st.integers(0, size - 1))
    hashes = tree_of(size)
    subtree = over_leaves(hashes)
    parts = [
        hashes[index],
        *inclusion_proof(index, size, subtree),
        defined_root(hashes),
    ]
    if data.draw(st.booleans()):
        parts = flip(data, parts)
    claimed = data.draw(st.sampled_from([size, size + 1, max(size - 1, 0)]))
    ours = theirs = True
    try:
        verify_inclusion(
            index=index,
            size=claimed,
            leaf_hash=parts[0],
            proof=parts[1:-1],
            root=parts[-1],
        )
    except ProofInvalid:
        ours = False
    try:
        check_inclusion(
            index=index,
            size=claimed,
            leaf=parts[0],
            proof=parts[1:-1],
            root=parts[-1],
        )
    except Failed:
        theirs = False

    assert ours == theirs


@given(st.data())
def test_it_agrees_on_consistency(data: st.DataObject) -> None:
    """On sound and on spoiled proofs both say the same."""
    new = data.draw(st.integers(1, 300))
    old = data.draw(st.integers(1, new))
    hashes = tree_of(new)
    parts = [
        defined_root(hashes[:old]),
        *consistency_proof(old, new, over_leaves(hashes)),
        defined_root(hashes),
    ]
    if data.draw(st.booleans()):
        parts = flip(data, parts)
    claimed = data.draw(st.sampled_from([old, old + 1, old - 1]))
    sizes: dict[str, Any] = {
        "old": claimed,
        "new": new,
        "proof": parts[1:-1],
        "old_root": parts[0],
        "new_root": parts[-1],
    }
    ours = theirs = True
    try:
        verify_consistency(**sizes)
    except ProofInvalid:
        ours = False
    try:
        check_consistency(**sizes)
    except Failed:
        theirs = False

    assert ours == theirs


def vectors() -> list[dict[str, str]]:
    """Read the documents that LEDGER.md points to."""
    found = json.loads((FOLDER / "ledger_proofs.json").read_text("utf-8"))
    assert VKEY == found["vkey"]
    tests: list[dict[str, str]] = found["tests"]
    return tests


@pytest.mark.parametrize("vector", vectors(), ids=lambda v: v["comment"])
def test_vectors(vector: dict[str, str], tmp_path: Path) -> None:
    """Each document comes out as it says."""
    path = tmp_path / "document.json"
    path.write_text(vector["document"], "utf-8")

    assert {"valid": 0, "invalid": 1}[vector["result"]] == check(path)


def test_what_it_says(
    proofs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A person reads what happened, when, who asked, and what it rests on."""
    assert 0 == check(proofs[0])
    said = capsys.readouterr().out

    for words in (
        "ok   ",
        f"{ORIGIN}, entry 0 of 7",
        "2026-09-21 14:13:20 UTC",
        "disclosure: partial",
        "moving-house for address-change",
        "user.name.given, user.home-info.postal.city",
        "number    1",
        "not_declared",
    ):
        assert words in said


def test_what_programs_read(
    proofs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The JSON answer holds the same facts."""
    report = check_json(capsys, proofs[1])
    facts = report["findings"][0]["facts"]

    assert ("disclosure", 2, 3, str(person(1)[0])) == (
        facts["kind"],
        facts["counter"],
        facts["index"],
        facts["subject"],
    )


@given(st.data())
def test_every_byte_of_a_document_counts(data: st.DataObject) -> None:
    """No change of one character keeps a proof sound, but in white space."""
    text = vectors()[0]["document"]
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(codec="utf-8"))
    mangled = text[:place] + letter + text[place + 1 :]
    try:
        before, after = json.loads(text), json.loads(mangled)
    except ValueError:
        return
    if before == after:
        return
    run = verifier.Run(keys=[verifier.LedgerKey.parse(VKEY)], receipt_keys=[])

    if after.get("format") == verifier.DISCLOSURE:
        with pytest.raises(Failed):
            verifier.check_disclosure(after, run)


def change(path: Path, **parts: object) -> Path:
    """Change top-level members of a document."""
    document = json.loads(path.read_text())
    changed = path.with_name("changed.json")
    changed.write_text(json.dumps({**document, **parts}))
    return changed


@pytest.mark.parametrize(
    "parts",
    [
        {"more": 1},
        {"subject": "text"},
        {"subject": {"salt": "00" * 16}},
        {"subject": {"salt": "xy" * 16, "body": "{}"}},
        {"subject": {"salt": "00" * 16, "body": 7}},
        {"subject": {"salt": "00" * 16, "body": "\ud800"}},
        {"audit": None},
        {"proof": 7},
        {"proof": "c2sp.org/tlog-proof@v2\nindex 0\n\nx"},
        {"proof": "c2sp.org/tlog-proof@v1\nnumber 0\n\nx"},
        {"proof": "c2sp.org/tlog-proof@v1\nindex -1\n\nx"},
        {"proof": "c2sp.org/tlog-proof@v1\nindex 0\n*\n\nx"},
        {"proof": "c2sp.org/tlog-proof@v1\nindex 0\n\nx"},
    ],
)
def test_malformed_documents_fail(
    proofs: list[Path], parts: dict[str, object]
) -> None:
    """A document of the right name and the wrong form does not hold."""
    assert 1 == check(change(proofs[0], **parts))


def test_parts_must_agree(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts that state another kind, or not what they must, do not hold.

    Only the ledger itself could have signed such an entry.
    """
    other = signer("odd.example")
    ledger = make_ledger(engine, origin="odd.example", signer=other)
    with engine.begin() as conn:
        ledger.append(conn, [draft(1)])
    good = json.loads(ledger.disclosure_proof(0, ANNA))
    run = verifier.Run(
        keys=[verifier.LedgerKey.parse(str(other.verifier))], receipt_keys=[]
    )
    assert verifier.check_disclosure(good, run)

    monkeypatch.setattr(verifier, "check_inclusion", lambda **_: None)
    for old, new, said in (
        ("disclosure", "refusal", "disagree"),
        ('"counter":1', '"counter":"1"', "does not state its counter"),
        ('"subject":', '"object":', "does not state its subject"),
    ):
        body = good["subject"]["body"].replace(old, new)
        bad = {**good, "subject": {**good["subject"], "body": body}}
        with pytest.raises(Failed, match=said):
            verifier.check_disclosure(bad, run)


def test_the_key_decides(proofs: list[Path], tmp_path: Path) -> None:
    """Another key, the right key under another name, and none at all."""
    other = str(signer(ORIGIN, 77).verifier)

    assert 1 == main([str(proofs[0]), "--vkey", other])
    assert 0 == main([str(proofs[0]), "--vkey", other, "--vkey", VKEY])
    assert 2 == main([str(proofs[0])])
    for malformed in ("", "x", VKEY[:-4], VKEY.replace("+", "-"), VKEY + "="):
        assert 2 == main([str(proofs[0]), "--vkey", malformed])


def test_a_second_failing_signature_of_a_known_key(
    proofs: list[Path],
) -> None:
    """A known key's signature that fails spoils the checkpoint."""
    text = json.loads(proofs[0].read_text())["proof"]
    line = text.split("\n")[-2]
    forged = line[:-8] + "AAAAAAA="
    forged_last = text + forged + "\n"

    assert 1 == check(change(proofs[0], proof=forged_last))
    assert 1 == check(change(proofs[0], proof=text + "— x\n"))


def test_a_split_view_is_found(
    proofs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two checkpoints of one size and different roots prove a fork."""
    engine = open_empty("sqlite", tmp_path)
    fork = make_ledger(engine)
    fill(fork, 7, people=3)
    fork.checkpoint()
    path = tmp_path / "fork.json"
    path.write_text(fork.disclosure_proof(0, ANNA))
    engine.dispose()

    assert 0 == check(path)
    assert 1 == check(proofs[0], path)
    assert "two histories of 7 entries" in capsys.readouterr().out


def test_completeness(
    ledger: Ledger,
    proofs: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All from the first on, each following the last, in one history."""
    joined = tmp_path / "joined.json"
    joined.write_text(ledger.consistency_file(7, 12))

    assert 1 == check("--complete", *proofs)
    assert "checkpoints of several sizes" in capsys.readouterr().out
    assert 0 == check("--complete", *proofs, joined)
    assert 0 == check("--complete", *proofs, proofs[0], joined)
    assert 0 == check("--complete", *reversed(proofs[:3]))
    assert 1 == check("--complete", proofs[0], *proofs[2:], joined)
    assert "entry number 2 about this person" in capsys.readouterr().out
    assert 1 == check("--complete", *proofs[1:], joined)
    assert 1 == check("--complete", joined)


def test_a_chain_that_does_not_link() -> None:
    """An entry that names another one before it breaks the chain."""
    entry = {
        "origin": ORIGIN,
        "subject": "a",
        "size": 9,
        "index": 3,
        "counter": 1,
        "previous": "",
        "leaf": "aa",
    }
    second = {
        **entry,
        "counter": 2,
        "index": 5,
        "previous": "bb",
        "leaf": "cc",
    }
    earlier = {**second, "index": 2, "previous": "aa"}
    twin = {**entry, "index": 4}
    run = verifier.Run(keys=[], receipt_keys=[])

    for theirs in ([entry, second], [entry, earlier], [entry, twin]):
        assert not verifier.check_complete(theirs, run)[0].ok


def test_consistency_documents(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two checkpoints of one ledger, joined by hashes, and nothing else."""
    path = tmp_path / "grown.json"
    path.write_text(ledger.consistency_file(7, 12))
    good = json.loads(path.read_text())

    assert 0 == check(path)
    assert "7 to 12 entries" in capsys.readouterr().out
    other = signer("b.example")
    foreign = good["old"].replace(ORIGIN, "b.example")
    for parts in (
        {"proof": good["proof"][:-1]},
        {"proof": []},
        {"proof": [*good["proof"], good["proof"][0]]},
        {"proof": "text"},
        {"proof": [7]},
        {"old": good["new"], "new": good["old"]},
        {"old": foreign},
        {"new": "x"},
        {"new": "x\n\n— y z\n"},
        {"new": f"{ORIGIN}\n12\nAAAA\n\n— y z\n"},
        {"new": good["new"].replace("\n12\n", "\n012\n")},
        {"new": good["new"].replace("\n12\n", "\n12\nmore\n")},
    ):
        assert 1 == main(
            [
                str(change(path, **parts)),
                *("--vkey", VKEY, "--vkey", str(other.verifier)),
            ]
        )


def test_checkpoints_of_two_ledgers_are_not_compared(tmp_path: Path) -> None:
    """Even if both are signed."""
    engine = open_empty("sqlite", tmp_path)
    other = signer("b.example")
    theirs = make_ledger(engine, origin="b.example", signer=other)
    ours = make_ledger(engine)
    for each in (ours, theirs):
        fill(each, 2)
        each.checkpoint()
    path = tmp_path / "grown.json"
    path.write_text(ours.consistency_file(2, 2))
    mixed = change(path, new=theirs.checkpoint())
    engine.dispose()

    assert 0 == check(path)
    assert 1 == check(mixed, "--vkey", str(other.verifier))


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"text", b"[]", b"{}", b'{"format":"x"}', b'{"a":1,"a":1}'],
)
def test_files_that_are_nothing(content: bytes, tmp_path: Path) -> None:
    """What is neither proof nor receipt is a mistake of the asker."""
    path = tmp_path / "file"
    path.write_bytes(content)

    assert 2 == check(path)
    assert 2 == check(tmp_path / "absent")


def test_files_that_are_too_long(tmp_path: Path) -> None:
    """A file of many megabytes is not parsed."""
    path = tmp_path / "file"
    path.write_bytes(b" " * (verifier.LARGEST_FILE + 1))

    assert 2 == check(path)


def test_deep_nesting_does_no_harm(proofs: list[Path], tmp_path: Path) -> None:
    """A body nested a million deep is refused like any other."""
    path = tmp_path / "file"
    path.write_text("[" * 1_000_000)

    assert 2 == check(path)


def test_a_terminal_is_told_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Control characters in names do not reach the terminal."""
    engine = open_empty("sqlite", tmp_path)
    ledger = make_ledger(engine)
    with engine.begin() as conn:
        odd = draft(1, service="\x1b[2Jevil\u202e", detail={})
        ledger.append(conn, [odd])
    path = tmp_path / "proof.json"
    path.write_text(ledger.disclosure_proof(0, ANNA))
    engine.dispose()

    assert 0 == check(path)
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "evil" in said
    assert "9" * 20 == verifier._when(int("9" * 20))
    assert "detail" not in said


def test_asked_wrongly(capsys: pytest.CaptureFixture[str]) -> None:
    """No file at all ends with 2, and with how to ask."""
    with pytest.raises(SystemExit) as ended:
        main([])

    assert 2 == ended.value.code
    assert "usage" in capsys.readouterr().err


KEY = Ed25519PrivateKey.from_private_bytes(b"r" * 32)
CONTENT = {
    "schema": "curtilage/receipt/1",
    "record_id": "record-1",
    "processing": {
        "service": "library",
        "statement": "s1",
        "pii_information": ["user.name.given"],
        "privacy_notice": {
            "sha256": (
                "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
            ),
            "text": "test",
        },
    },
    "event": [
        {"event_state": "ConsentGiven", "event_time": "2026-09-21T14:13:20Z"}
    ],
}


def encoded(data: bytes) -> str:
    """Write base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def receipt(
    content: object = CONTENT,
    key: Ed25519PrivateKey = KEY,
    **header: object,
) -> str:
    """Sign a receipt by hand."""
    stated = {"alg": "Ed25519", "typ": "consent-receipt+jws", **header}
    signed = ".".join(
        encoded(json.dumps(each).encode()) for each in (stated, content)
    )
    return f"{signed}.{encoded(key.sign(signed.encode()))}"


def pem(key: Any, path: Path) -> Path:  # noqa: ANN401 - any kind of key
    """Write a public key."""
    path.write_bytes(
        key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
    )
    return path


def test_receipts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A receipt verifies under the body's key, as file or in hexadecimal."""
    path = tmp_path / "receipt.jws"
    path.write_text(receipt() + "\n")
    raw = KEY.public_key().public_bytes_raw().hex()
    key = pem(KEY, tmp_path / "key.pem")

    assert 0 == main([str(path), "--receipt-key", str(key)])
    said = capsys.readouterr().out
    for words in ("ConsentGiven", "library", "user.name.given", "record-1"):
        assert words in said
    assert 0 == main([str(path), "--receipt-key", raw])
    assert 0 == main([str(path), "--receipt-key", raw, "--json"])
    path.write_text(receipt({**CONTENT, "event": ["odd"]}))
    assert 0 == main([str(path), "--receipt-key", raw])
    assert 2 == main([str(path)])


def test_receipts_that_do_not_hold(tmp_path: Path) -> None:
    """Another key, algorithm, type, schema or notice; any changed part."""
    processing: dict[str, Any] = CONTENT["processing"]  # type: ignore[assignment]  # as it stands above
    other_notice = {"privacy_notice": {"sha256": "00", "text": "test"}}
    header, payload, signature = receipt().split(".")
    wrong = [
        receipt(key=Ed25519PrivateKey.from_private_bytes(b"x" * 32)),
        receipt(alg="none"),
        receipt(alg="HS256"),
        receipt(crit=["b64"]),
        receipt(typ="JWT"),
        receipt({**CONTENT, "schema": "other"}),
        receipt({**CONTENT, "processing": {**processing, **other_notice}}),
        receipt({**CONTENT, "processing": {"privacy_notice": 7}}),
        receipt({"schema": "curtilage/receipt/1"}),
        receipt(["list"]),
        f"{header}.{payload}.{encoded(bytes(64))}",
        f"{header}.{payload}.{signature[:-1]}B",
        f"{header}.{encoded(b'{}')}.{signature}",
        f"{encoded(b'[]')}.{payload}.{signature}",
        f"{encoded(bytes([255]))}.{payload}.{signature}",
        f"{header[:-1]}.{payload}.{signature}",
    ]
    raw = KEY.public_key().public_bytes_raw().hex()
    path = tmp_path / "receipt.jws"
    for each in wrong:
        path.write_text(each)
        assert 1 == main([str(path), "--receipt-key", raw])


def test_receipt_keys_that_are_none(tmp_path: Path) -> None:
    """A missing file, one that is no key, and a key of another kind."""
    path = tmp_path / "receipt.jws"
    path.write_text(receipt())
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    curve = pem(generate_private_key(SECP256R1()), tmp_path / "ec.pem")

    for key in (junk, curve, tmp_path / "absent.pem", "00"):
        assert 2 == main([str(path), "--receipt-key", str(key)])


def test_it_hashes_as_the_ledger_does() -> None:
    """Its constants are its own; they must be the same."""
    assert (
        entries.LEAF_DOMAIN,
        entries.SUBJECT_DOMAIN,
        entries.AUDIT_DOMAIN,
    ) == (
        verifier.LEAF_DOMAIN,
        verifier.SUBJECT_DOMAIN,
        verifier.AUDIT_DOMAIN,
    )
    assert hash_leaf(b"x") == verifier.leaf_hash(b"x")
