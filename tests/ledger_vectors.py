"""Makes the ledger's vectors: ``python -m tests.ledger_vectors`` writes them.

They are what LEDGER.md points to. A test makes them again and compares, so
that the format cannot change unnoticed; the stand-alone verifier reads the
documents among them.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from sqlalchemy import text

from api.databases import open_database
from consent.checkpoint import Checkpoint
from consent.cosignatures import (
    CosignatureSigner,
    cosigned_message,
    timed_text,
)
from consent.entries import (
    AUDIT_DOMAIN,
    SUBJECT_DOMAIN,
    Draft,
    EntryKind,
    commit,
)
from consent.ledger import Ledger
from consent.ledger_keys import EntryFields
from consent.merkle import (
    consistency_proof,
    hash_leaf,
    inclusion_proof,
    over_leaves,
    subtree_root,
)
from consent.signed_notes import sign_note
from consent.tables import ConsentTable
from consent.witness import submission
from tests.ledgers import (
    NOON,
    ORIGIN,
    SIGNER,
    VKEY,
    draft,
    make_ledger,
    person,
)

FOLDER = Path(__file__).parent / "vectors"
WITNESS = "witness.example/w1"
SIZES = (1, 2, 3, 5, 8, 13)
DRAFTS: tuple[Draft, ...] = (
    draft(1),
    draft(
        2,
        kind=EntryKind.REFUSAL,
        outcome="refused",
        detail={"user.bdate": ["consent_missing", "no_value"]},
    ),
    draft(
        1,
        kind=EntryKind.CONSENT,
        service="bibliothèque",
        purpose="prêt",
        attributes=(),
        outcome="withdrawn",
        decision=UUID(int=8),
        detail={"渠道": "柜台", "statement": "s1"},
    ),
    draft(
        0,
        kind=EntryKind.RELEASE,
        service="statistics",
        purpose="health-report",
        outcome="released",
        decision=UUID(int=9),
        detail={"manifest": "00" * 32, "rows": 120},
    ),
    draft(1, kind=EntryKind.OWN_VIEW, at=NOON + 86_400, detail={}),
)


def counted() -> Iterator[bytes]:
    """Give blocks of bytes that look random and are the same each time."""
    for number in count():
        yield hashlib.sha256(b"vector %d" % number).digest()


def fixed_random() -> Callable[[int], bytes]:
    """Make a source of randomness that repeats itself."""
    blocks = counted()

    def random(length: int) -> bytes:
        drawn = b""
        while len(drawn) < length:
            drawn += next(blocks)
        return drawn[:length]

    return random


def example(folder: Path) -> Ledger:
    """Build the ledger that the vectors are about."""
    engine = open_database(f"sqlite:///{folder}/vectors.db")
    ConsentTable.metadata.create_all(engine)
    ledger = make_ledger(engine, random=fixed_random())
    for each in DRAFTS[:2], DRAFTS[2:]:
        with engine.begin() as conn:
            ledger.append(conn, each)
        ledger.checkpoint()
    return ledger


def entry_vectors(ledger: Ledger) -> dict[str, object]:
    """Describe each entry of the example, opened and sealed."""
    with ledger.engine.begin() as conn:
        rows = conn.execute(text("SELECT * FROM ledger_entry ORDER BY idx"))
        fields = [EntryFields(*row[1:9]) for row in rows]
        seals = list(
            conn.execute(
                text("SELECT seal FROM ledger_entry ORDER BY idx")
            ).scalars()
        )
    return {
        "source": "made by tests/ledger_vectors.py",
        "origin": ledger.origin,
        "audit_key": (b"a" * 32).hex(),
        "mark_key": (b"m" * 32).hex(),
        "entries": [
            entry_vector(ledger, row, seal.hex(), made)
            for row, seal, made in zip(fields, seals, DRAFTS, strict=True)
        ],
    }


def entry_vector(
    ledger: Ledger, row: EntryFields, seal: str, made: Draft
) -> dict[str, object]:
    """Describe one entry."""
    shown: dict[str, object] = {
        "index": row.idx,
        "leaf": row.leaf.hex(),
        "leaf_hash": hash_leaf(row.leaf).hex(),
        "service": row.service,
        "purpose": row.purpose,
        "day": row.day,
        "tag": row.tag.hex() if row.tag else None,
        "own": row.own.hex() if row.own else None,
        "audit": row.audit.hex() if row.audit else None,
        "seal": seal,
    }
    if made.log_key is None or made.subject is None:
        return shown
    document = json.loads(ledger.disclosure_proof(row.idx, made.log_key))
    for part, domain in (("subject", SUBJECT_DOMAIN), ("audit", AUDIT_DOMAIN)):
        salt, body = document[part]["salt"], document[part]["body"]
        commitment = commit(domain, bytes.fromhex(salt), body.encode())
        shown[f"{part}_salt"] = salt
        shown[f"{part}_body"] = body
        shown[f"{part}_commitment"] = commitment.hex()
    return shown | {
        "log_key": made.log_key.hex(),
        "mark": ledger.mark(made.subject, made.at),
    }


def tree_vectors() -> dict[str, object]:
    """Give roots and proofs of small trees."""
    hashes = [hash_leaf(bytes([n]) * 32) for n in range(max(SIZES))]
    subtree = over_leaves(hashes)
    return {
        "source": "made by tests/ledger_vectors.py",
        "leaves": "leaf n is 32 bytes of value n",
        "roots": {str(n): subtree_root(hashes[:n]).hex() for n in (0, *SIZES)},
        "inclusion": [
            {
                "index": index,
                "size": size,
                "proof": [
                    each.hex()
                    for each in inclusion_proof(index, size, subtree)
                ],
            }
            for size in SIZES
            for index in sorted({0, size // 2, size - 1})
        ],
        "consistency": [
            {
                "old": old,
                "new": new,
                "proof": [
                    each.hex() for each in consistency_proof(old, new, subtree)
                ],
            }
            for new in SIZES
            for old in SIZES
            if old <= new
        ],
    }


def proof_vectors(ledger: Ledger) -> dict[str, object]:
    """Give documents, sound ones and spoiled ones, with what is expected."""
    anna = person(1)[1]
    proof = ledger.disclosure_proof(2, anna)
    grown = ledger.consistency_file(2, 5)
    head = ledger.person_head(*person(1))
    cases = [
        ("valid", "an entry in the middle of the ledger", proof),
        ("valid", "the first entry", ledger.disclosure_proof(0, anna)),
        ("valid", "the ledger grew from 2 to 5 entries", grown),
        ("valid", "a person's head", head),
        (
            "invalid",
            "a head of another count",
            head.replace("\\n3\\n", "\\n2\\n"),
        ),
        ("invalid", "a word changed", proof.replace("withdrawn", "given", 1)),
        ("invalid", "another index", proof.replace("index 2", "index 1")),
        ("invalid", "another size", proof.replace("\\n5\\n", "\\n6\\n")),
        ("invalid", "a salt changed", swap_salts(proof)),
        ("invalid", "another origin", proof.replace("town.", "city.")),
        (
            "invalid",
            "the older root twice",
            grown.replace("\\n2\\n", "\\n3\\n"),
        ),
    ]
    return {
        "source": "made by tests/ledger_vectors.py",
        "vkey": VKEY,
        "tests": [
            {"comment": comment, "result": result, "document": document}
            for result, comment, document in cases
        ],
    }


def cosignature_vectors() -> dict[str, object]:
    """Give both kinds of cosignature over one checkpoint."""
    checkpoint = Checkpoint(
        origin=ORIGIN, size=5, root=hash_leaf(bytes([1]) * 32)
    )
    text = checkpoint.text()
    log = CosignatureSigner(
        ORIGIN, MLDSA44PrivateKey.from_seed_bytes(b"l" * 32), lambda: NOON
    )
    new = CosignatureSigner(
        WITNESS, MLDSA44PrivateKey.from_seed_bytes(b"w" * 32), lambda: NOON
    )
    old = CosignatureSigner(
        WITNESS, Ed25519PrivateKey.from_private_bytes(b"w" * 32), lambda: NOON
    )
    note = str(sign_note(text, [SIGNER]))
    return {
        "source": "made by tests/ledger_vectors.py",
        "text": text,
        "time": NOON,
        "cosignatures": [
            cosignature_vector(
                log, cosigned_message(ORIGIN, checkpoint, NOON)
            ),
            cosignature_vector(
                new, cosigned_message(WITNESS, checkpoint, NOON)
            ),
            cosignature_vector(old, timed_text(text, NOON)),
        ],
        "submission": submission(2, [bytes(32)], note).decode(),
    }


def cosignature_vector(
    signer: CosignatureSigner, message: bytes
) -> dict[str, object]:
    """Describe one cosignature over the text of the vectors."""
    return {
        "vkey": str(signer.verifier),
        "message": message.hex(),
        "signature": kept_signature(signer).hex(),
    }


def kept_signature(signer: CosignatureSigner) -> bytes:
    """Return the signature that was written before, if it still holds.

    ML-DSA-44 draws randomness for each, so a new one is another.
    """
    path = FOLDER / "ledger_cosignatures.json"
    text = Checkpoint(
        origin=ORIGIN, size=5, root=hash_leaf(bytes([1]) * 32)
    ).text()
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for vector in known.get("cosignatures", ()):
        signature = bytes.fromhex(vector["signature"])
        if vector["vkey"] == str(signer.verifier):
            signer.verifier.verify(text, signature)
            return signature
    return signer.sign(text)


def swap_salts(proof: str) -> str:
    """Let the two parts of a document change their salts."""
    document = json.loads(proof)
    own, audit = document["subject"], document["audit"]
    own["salt"], audit["salt"] = audit["salt"], own["salt"]
    return json.dumps(document, ensure_ascii=False)


def make() -> dict[str, str]:
    """Make all files; return their texts by name."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = example(Path(folder))
        files = {
            "ledger_cosignatures.json": cosignature_vectors(),
            "ledger_entries.json": entry_vectors(ledger),
            "ledger_proofs.json": proof_vectors(ledger),
            "ledger_trees.json": tree_vectors(),
        }
        ledger.engine.dispose()
    return {
        name: json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        for name, content in files.items()
    }


if __name__ == "__main__":
    for name, written in make().items():
        (FOLDER / name).write_text(written, encoding="utf-8")
