"""Consent receipts after the Kantara Initiative's specification 1.1.

The fields and their names are those of the specification's JSON Schema. What
it has no field for, the notice's hash and the ledger's proof, stands beside
them under names of our own. It knows no refusal; one is written as what it
is in `consentType`, so that nobody takes it for a yes.
"""

from collections.abc import Callable
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
)

from consent.canonical import Json
from consent.declarations import Declaration
from consent.errors import RecordInvalid
from consent.notices import notice_for
from consent.receipts import entry_proof, sign
from consent.records import ConsentEvent
from consent.separation import SENSITIVE
from consent.statements import Statement
from consent.vocabulary import EventType, RecipientClass

VERSION = "KI-CR-v1.1.0"
TYPE = "kantara-receipt+jws"


def issue_kantara_receipt(
    event: ConsentEvent,
    declaration: Declaration,
    signer: Ed25519PrivateKey,
    *,
    random: Callable[[int], bytes],
    policy_url: str,
    proof: str | None = None,
) -> str:
    """Write and sign a receipt as Kantara has it.

    Args:
        event: the answer.
        declaration: the version that was answered.
        signer: the body's key for receipts.
        random: returns that many random bytes.
        policy_url: where the notice can be read.
        proof: the disclosure proof of the answer's ledger entry.

    Returns:
        A JSON Web Signature in compact form.

    Raises:
        RecordInvalid: the event is about another declaration.
        NoticeUnavailable: there is no notice in the event's language.
    """
    document = kantara_receipt(
        event,
        declaration,
        receipt=UUID(bytes=random(16), version=4),
        policy_url=policy_url,
    )
    return sign(document | {"ledger": entry_proof(proof)}, signer, TYPE)


def kantara_receipt(
    event: ConsentEvent,
    declaration: Declaration,
    *,
    receipt: UUID,
    policy_url: str,
) -> dict[str, Json]:
    """Write the content of a receipt as Kantara has it.

    Args:
        event: the answer.
        declaration: the version that was answered.
        receipt: the receipt's own id.
        policy_url: where the notice can be read.

    Raises:
        RecordInvalid: the event is about another declaration.
        NoticeUnavailable: there is no notice in the event's language.
    """
    statement = declaration.statement(event.statement)
    if event.declaration != declaration.digest or statement is None:
        msg = f"event {event.id} is about another declaration"
        raise RecordInvalid(msg)
    controller = declaration.controller
    sensitive = sorted(
        {
            one.value
            for item in statement.data
            for one in item.categories & SENSITIVE
        }
    )
    by_mail = "@" in controller.contact
    digest = (
        event.notice
        or notice_for(declaration, event.language, event.statement).digest
    )
    return {
        "version": VERSION,
        "jurisdiction": controller.jurisdiction,
        "consentTimestamp": event.at,
        "collectionMethod": event.channel,
        "consentReceiptID": str(receipt),
        "language": event.language,
        "piiPrincipalId": str(event.subject),
        "piiControllers": [
            {
                "piiController": controller.name,
                "onBehalf": False,
                "contact": controller.contact,
                "address": {"streetAddress": controller.address},
                # A declaration has one contact; the other is empty.
                "email": controller.contact if by_mail else "",
                "phone": "" if by_mail else controller.contact,
            }
        ],
        "policyUrl": policy_url,
        "services": [
            {
                "service": declaration.service,
                "purposes": [_purpose(event, declaration, statement)],
            }
        ],
        "sensitive": bool(sensitive),
        "spiCat": list(sensitive),
        "noticeHash": digest,
        "actor": event.actor,
        "event": str(event.id),
    }


def _purpose(
    event: ConsentEvent, declaration: Declaration, statement: Statement
) -> dict[str, Json]:
    others = [
        one.value
        for one in statement.recipients
        if one is not RecipientClass.OURS
    ]
    kinds = {
        kind.value
        for item in statement.data
        if item.attribute in event.attributes
        for kind in item.categories
    }
    yes = event.type in {EventType.GIVEN, EventType.RENEWED}
    document: dict[str, Json] = {
        "purpose": declaration.purpose_text.get(
            event.language, declaration.purpose
        ),
        "purposeCategory": [one.purpose.value for one in statement.purposes],
        "consentType": "EXPLICIT" if yes else event.type.value.upper(),
        "piiCategory": sorted(kinds),
        "primaryPurpose": True,
        "termination": statement.retention.value
        if statement.retention_days is None
        else f"{statement.retention.value}, {statement.retention_days} days",
        "thirdPartyDisclosure": bool(others),
    }
    if others:
        document["thirdPartyName"] = ", ".join(others)
    return document
