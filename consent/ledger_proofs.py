"""The proof documents that people take away, as JSON texts.

Bodies stand in them as strings, word for word, so that a reader hashes what
was committed to and never writes JSON anew. The formats are in `LEDGER.md`;
the stand-alone `verifier` reads them.
"""

import json
from collections.abc import Sequence
from uuid import UUID

from consent.checkpoint import Checkpoint, ProofFile
from consent.entries import Opened
from consent.sealing import AuditOpening
from consent.signed_notes import encode_base64

DISCLOSURE_FORMAT = "curtilage.disclosure-proof/1"
HEAD_FORMAT = "curtilage.person-head/1"
RELEASE_FORMAT = "curtilage.release-proof/1"
CONSISTENCY_FORMAT = "curtilage.consistency-proof/1"


def proof_text(index: int, hashes: Sequence[bytes], checkpoint: str) -> str:
    """Write a proof file (c2sp.org/tlog-proof@v1).

    Args:
        index: Position of the entry.
        hashes: Its inclusion proof.
        checkpoint: The signed note that the proof leads to.

    Returns:
        The file's text.

    """
    return str(
        ProofFile(index=index, hashes=tuple(hashes), checkpoint=checkpoint)
    )


def disclosure_document(opened: Opened, proof: str, *, told: int = 0) -> str:
    """Write the document about one entry.

    Args:
        opened: Both parts with their salts.
        proof: The proof file's text.
        told: Up to which counter a second chain is disclosed; an entry
            that stands further keeps its place to itself.

    Returns:
        JSON.

    """
    place = opened.place
    shown: dict[str, object] = {}
    if place is not None and place.counter <= told:
        shown["place"] = {
            "salt": place.salt.hex(),
            "counter": place.counter,
            "previous": place.previous.hex(),
        }
    return _document(
        {
            "format": DISCLOSURE_FORMAT,
            "subject": {
                "salt": opened.subject_salt.hex(),
                "body": opened.subject_body.decode(),
            },
            "audit": {
                "salt": opened.audit_salt.hex(),
                "body": opened.audit_body.decode(),
            },
            **shown,
            "proof": proof,
        }
    )


def head_text(
    checkpoint: Checkpoint,
    *,
    subject: UUID,
    counter: int,
    leaf: bytes,
    at: int,
) -> str:
    """Write what the ledger states about one person's entries.

    It is no checkpoint and cannot be taken for one: where that has its size,
    this has the ledger's origin.

    Args:
        checkpoint: The ledger at which the statement holds.
        subject: The person.
        counter: How many entries of their first chain stand below its size.
        leaf: Leaf data of the last of them; empty for none.
        at: When this is stated, POSIX seconds.

    Returns:
        The note text that is signed.

    """
    return (
        f"{HEAD_FORMAT}\n{checkpoint.origin}\n{subject}\n{counter}\n"
        f"{leaf.hex() or 'none'}\n{checkpoint.size}\n"
        f"{encode_base64(checkpoint.root)}\n{at}\n"
    )


def head_document(statement: str, checkpoint: str) -> str:
    """Write the document about how many entries there are about a person.

    Args:
        statement: The signed note over `head_text`.
        checkpoint: The signed note of the checkpoint that it names.

    Returns:
        JSON.

    """
    return _document(
        {
            "format": HEAD_FORMAT,
            "statement": statement,
            "checkpoint": checkpoint,
        }
    )


def release_text(origin: str, release: UUID, manifest: str) -> str:
    """Write what the ledger states about an extract.

    Args:
        origin: The ledger's.
        release: The extract.
        manifest: SHA-256 of its manifest, in hexadecimal.

    Returns:
        The note text that is signed.

    """
    return f"{RELEASE_FORMAT}\n{origin}\n{release}\n{manifest}\n"


def release_document(statement: str, opening: AuditOpening, proof: str) -> str:
    """Write the document about an extract.

    Args:
        statement: The signed note over `release_text`.
        opening: The audit part of its entry.
        proof: The proof file's text.

    Returns:
        JSON.

    """
    return _document(
        {
            "format": RELEASE_FORMAT,
            "statement": statement,
            "audit": {
                "salt": opening.salt.hex(),
                "body": opening.body.decode(),
            },
            "subject": opening.subject.hex(),
            "proof": proof,
        }
    )


def consistency_document(old: str, new: str, hashes: Sequence[bytes]) -> str:
    """Write the document about two checkpoints.

    Args:
        old: The earlier signed note.
        new: The later one.
        hashes: The consistency proof between them.

    Returns:
        JSON.

    """
    return _document(
        {
            "format": CONSISTENCY_FORMAT,
            "old": old,
            "new": new,
            "proof": [encode_base64(each) for each in hashes],
        }
    )


def _document(content: dict[str, object]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"
