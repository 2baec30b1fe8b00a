"""Receipts: what a person takes home, verifiable with a public key alone.

The content has the fields of ISO/IEC TS 27560:2023: a header, a copy of the
record (processing, personal data, parties) and the event. It names the
declaration by its digest and holds the notice, word for word, beside its
hash: the proof of what was answered does not depend on anybody's archive.

It is a JSON Web Signature in compact form (RFC 7515) over canonical JSON
(RFC 8785), signed with Ed25519. The algorithm is called ``Ed25519``, which
RFC 9864 puts in the place of the vaguer ``EdDSA``.

Stricter than the RFCs: the header is one exact text for one key, so there is
no choice of algorithm, no ``crit`` and no key from the receipt itself; and a
receipt has exactly one spelling, so no two texts are the same receipt.
"""

import base64
import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from consent.canonical import Json, canonical
from consent.declarations import Declaration
from consent.errors import ReceiptInvalid, RecordInvalid
from consent.notices import (
    Notice,
    notice_digest,
    render_notice,
    withdrawal_method,
)
from consent.records import ConsentEvent
from consent.statements import DataItem, Statement
from consent.vocabulary import Category, EventType, RecipientClass

SCHEMA = "curtilage/receipt/1"
_ALGORITHM = "Ed25519"
_TYPE = "consent-receipt+jws"
_LARGEST = 256 * 1024
# The states of the Data Privacy Vocabulary for records of ISO/IEC TS 27560.
_STATES = {
    EventType.GIVEN: "ConsentGiven",
    EventType.REFUSED: "ConsentRefused",
    EventType.WITHDRAWN: "ConsentWithdrawn",
    EventType.EXPIRED: "ConsentExpired",
}
# GDPR 9 and 10; PIPL 28.
_SPECIAL = frozenset({Category.HEALTH, Category.POLITICAL})
_SENSITIVE = _SPECIAL | {
    Category.FINANCIAL,
    Category.GOVERNMENT,
    Category.LOCATION,
}


def issue_receipt(
    event: ConsentEvent,
    declaration: Declaration,
    signer: Ed25519PrivateKey,
    *,
    now: int,
    random: Callable[[int], bytes],
    notice: Notice | None = None,
) -> str:
    """Write and sign the receipt of one answer.

    Args:
        event: the answer.
        declaration: the version that was answered.
        signer: the body's key for receipts.
        now: POSIX seconds.
        random: returns that many random bytes.
        notice: the notice that was shown, as it is stored; by default it is
            rendered again.

    Returns:
        The receipt: one line of ASCII.

    Raises:
        RecordInvalid: the event is not about this declaration, or names
            another notice.
        NoticeUnavailable: no notice was passed, and none can be rendered.
    """
    statement = declaration.statement(event.statement)
    if event.declaration != declaration.digest or statement is None:
        msg = f"event {event.id} is about another declaration"
        raise RecordInvalid(msg)
    shown = notice or render_notice(declaration, event.language)
    if event.notice not in {"", shown.digest}:
        msg = f"event {event.id} names another notice"
        raise RecordInvalid(msg)
    document: dict[str, Json] = {
        "schema": SCHEMA,
        "schema_version": "ISO/IEC TS 27560:2023",
        "receipt_id": str(uuid.UUID(bytes=random(16), version=4)),
        "receipt_created": _time(now),
        "pii_principal_id": str(event.subject),
        "record_id": str(event.id),
        "declaration": {
            "digest": declaration.digest,
            "service": declaration.service,
            "purpose": declaration.purpose,
            "version": declaration.version,
        },
        "processing": _processing(event, declaration, statement, shown),
        "pii": [_pii(item, event) for item in statement.data],
        "party": [_party(declaration)],
        "event": [_event(event)],
    }
    key = OKPKey.import_key(signer)
    return jws.serialize_compact(
        _header(OKPKey.import_key(signer.public_key())),
        canonical(document),
        key,
        algorithms=[_ALGORITHM],
    )


def verify_receipt(text: str, public_key: Ed25519PublicKey) -> dict[str, Json]:
    """Verify a receipt, with nothing but a public key.

    Args:
        text: what `issue_receipt` returned.
        public_key: the body's public key for receipts, from elsewhere than
            the receipt.

    Returns:
        The receipt's content.

    Raises:
        ReceiptInvalid: it was not signed with that key, was changed, or is
            not a receipt. The cause is not told apart.
    """
    key = OKPKey.import_key(public_key)
    try:
        document = _verified(text, key)
        _check_content(document)
    except (
        JoseError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ):
        msg = "the receipt does not verify under this key"
        raise ReceiptInvalid(msg) from None
    return document


def read_public_key(pem: bytes) -> Ed25519PublicKey:
    """Read the public key that receipts are verified with.

    Args:
        pem: the key as PEM (SubjectPublicKeyInfo).

    Returns:
        The key.

    Raises:
        ReceiptInvalid: it is not an Ed25519 public key.
    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        msg = "this is not an Ed25519 public key in PEM form"
        raise ReceiptInvalid(msg) from None
    return key


def _header(key: OKPKey) -> dict[str, str]:
    return {"alg": _ALGORITHM, "kid": key.thumbprint(), "typ": _TYPE}


def _verified(text: str, key: OKPKey) -> dict[str, Json]:
    if len(text) > _LARGEST:
        raise ValueError(text[:0])
    found = jws.deserialize_compact(text, key, algorithms=[_ALGORITHM])
    document = json.loads(found.payload)
    # One spelling: the same header and content, written anew, give the
    # same text. This also refuses base64url with stray bits or padding.
    again = ".".join(
        _base64url(part)
        for part in (
            json.dumps(_header(key), separators=(",", ":")).encode(),
            canonical(document),
            _signature(text),
        )
    )
    if again != text or not isinstance(document, dict):
        raise ValueError(text[:0])
    return document


def _signature(text: str) -> bytes:
    encoded = text.rpartition(".")[2]
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _check_content(document: Mapping[str, Json]) -> None:
    if document["schema"] != SCHEMA:
        raise ValueError(SCHEMA)
    notice = document["processing"]["privacy_notice"]  # type: ignore[index,call-overload] # a wrong shape is a ReceiptInvalid
    if notice_digest(notice["text"]) != notice["sha256"]:  # type: ignore[index,call-overload,arg-type] # as above
        raise ValueError(SCHEMA)


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _processing(
    event: ConsentEvent,
    declaration: Declaration,
    statement: Statement,
    notice: Notice,
) -> dict[str, Json]:
    language = notice.language
    controller = declaration.controller
    return {
        "privacy_notice": {
            "sha256": notice.digest,
            "text": notice.text,
        },
        "language": language,
        "service": declaration.service,
        "statement": statement.id,
        "purpose": declaration.purpose_text[language],
        "purpose_type": [use.purpose.value for use in statement.purposes],
        "lawful_basis": statement.basis.value,
        "pii_information": list(event.attributes),
        "pii_controllers": [controller.id or controller.name],
        "storage_locations": list(controller.storage),
        "retention_period": {
            "class": statement.retention.value,
            "days": statement.retention_days,
        },
        "jurisdiction": controller.jurisdiction,
        "recipient_third_parties": [
            name.value
            for name in statement.recipients
            if name is not RecipientClass.OURS
        ],
        "withdrawal_method": withdrawal_method(language),
    }


def _pii(item: DataItem, event: ConsentEvent) -> dict[str, Json]:
    return {
        "pii_type": [category.value for category in sorted(item.categories)],
        "pii_attribute_id": item.attribute,
        "pii_optional": item.optional,
        "pii_allowed": item.attribute in event.attributes,
        "sensitive_pii_category": bool(item.categories & _SENSITIVE),
        "special_pii_category": bool(item.categories & _SPECIAL),
    }


def _party(declaration: Declaration) -> dict[str, Json]:
    controller = declaration.controller
    return {
        "party_id": controller.id or controller.name,
        "party_name": controller.name,
        "party_address": controller.address,
        "party_contact": controller.contact,
        "party_type": controller.type,
        "party_role": "pii-controller",
    }


def _event(event: ConsentEvent) -> dict[str, Json]:
    end = event.expires_at
    return {
        "event_time": _time(event.at),
        "validity_duration": "until withdrawn"
        if end is None
        else f"until {_time(end)}",
        "entity_id": event.actor,
        "event_type": "ExplicitlyExpressed",
        "event_state": _STATES[event.type],
        "channel": event.channel,
    }
