"""Usage receipts: one for each answer that a service got about a person.

In the form of a consent receipt: the same header, parties and context, the
same signature, and the ledger's proof. It says which service asked for which
purpose, when, what became of each attribute and why, and under which
declaration. What the ledger's entry commits to is taken from the entry alone,
and the stand-alone verifier compares the two.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
)

from consent.declarations import Declaration
from consent.entries import EntryKind
from consent.entry_views import OwnEntry
from consent.errors import RecordInvalid
from consent.receipts import (
    declared,
    entry_proof,
    header,
    instant,
    party,
    sign,
)

if TYPE_CHECKING:
    from consent.canonical import Json

SCHEMA = "curtilage/usage-receipt/1"
TYPE = "usage-receipt+jws"
_USES = frozenset({EntryKind.DISCLOSURE, EntryKind.REFUSAL})


def issue_usage_receipt(
    entry: OwnEntry,
    subject: str,
    declaration: Declaration | None,
    signer: Ed25519PrivateKey,
    *,
    now: int,
    random: Callable[[int], bytes],
    proof: str,
) -> str:
    """Write and sign the receipt of one answer to a service.

    Args:
        entry: the ledger's entry, as the person sees it.
        subject: the person's id, as the entry has it.
        declaration: the service's declaration, for the words; None where it
            is gone.
        signer: the body's key for receipts.
        now: POSIX seconds.
        random: returns that many random bytes.
        proof: the disclosure proof of the entry.

    Returns:
        The receipt: one line of ASCII.

    Raises:
        RecordInvalid: the entry is about something else than a use.
    """
    if entry.kind not in _USES:
        msg = f"entry {entry.index} is no answer to a service"
        raise RecordInvalid(msg)
    effects = entry.detail.get("attributes", {})
    document: dict[str, Json] = {
        **header(now, random, kind="curtilage:UsageReceipt"),
        "schema": SCHEMA,
        "pii_principal_id": subject,
        "record_id": str(entry.decision),
        "declaration": None if declaration is None else declared(declaration),
        "processing": {
            "service": entry.service,
            "purpose": entry.purpose,
            "purpose_text": {}
            if declaration is None
            else dict(declaration.purpose_text),
            "pii_information": list(entry.attributes),
            "outcome": entry.outcome,
        },
        "pii": [
            {"pii_attribute_id": name, **found}
            for name, found in sorted(effects.items())
            if isinstance(found, dict)
        ]
        if isinstance(effects, dict)
        else [],
        "party": [] if declaration is None else [party(declaration)],
        "event": [
            {
                "event_time": instant(entry.at),
                "entity_id": entry.service,
                "event_type": "Disclose",
                "event_state": entry.outcome,
            }
        ],
        "ledger": entry_proof(proof),
    }
    return sign(document, signer, TYPE)
