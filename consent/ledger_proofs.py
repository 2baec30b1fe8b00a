"""The proof documents that people take away, as JSON texts.

Bodies stand in them as strings, word for word, so that a reader hashes what
was committed to and never writes JSON anew. The formats are in `LEDGER.md`;
the stand-alone `verifier` reads them.
"""

import json
from collections.abc import Sequence

from consent.checkpoint import ProofFile
from consent.entries import Opened
from consent.signed_notes import encode_base64

DISCLOSURE_FORMAT = "curtilage.disclosure-proof/1"
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


def disclosure_document(opened: Opened, proof: str) -> str:
    """Write the document about one entry.

    Args:
        opened: Both parts with their salts.
        proof: The proof file's text.

    Returns:
        JSON.

    """
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
