"""Receipts: what a person takes home, verifiable with a public key alone.

The content has the fields of ISO/IEC TS 27560:2023: a header, a copy of the
record (processing, personal data, parties) and its events, all of them. It is
JSON-LD: the context, in the receipt itself, says what each field is in the
Data Privacy Vocabulary. It names the declaration by its digest and holds the
notice, word for word, beside its hash, with the hash of its being served: the
proof of what was answered does not depend on anybody's archive. Where the
ledger's proof is passed, it holds that too: the answer is an entry, and the
entry is in the tree whose root was signed.

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
from collections.abc import Callable, Mapping, Sequence
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
    notice_for,
    withdrawal_method,
)
from consent.receipt_context import CONTEXT, STATES
from consent.records import ConsentEvent
from consent.separation import SENSITIVE, SPECIAL, separate_grounds
from consent.statements import DataItem, Statement
from consent.terms import BASIS_TERMS, PURPOSE_TERMS, sensitive_terms
from consent.vocabulary import RecipientClass

SCHEMA = "curtilage/receipt/1"
_ALGORITHM = "Ed25519"
TYPE = "consent-receipt+jws"
_LARGEST = 256 * 1024


def issue_receipt(
    event: ConsentEvent,
    declaration: Declaration,
    signer: Ed25519PrivateKey,
    *,
    now: int,
    random: Callable[[int], bytes],
    notice: Notice | None = None,
    log: Sequence[ConsentEvent] = (),
    proof: str | None = None,
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
        log: every event of the answer's record, in order; by default the
            answer alone.
        proof: the disclosure proof of the answer's ledger entry.

    Returns:
        The receipt: one line of ASCII.

    Raises:
        RecordInvalid: the event is not about this declaration, names another
            notice, or is not in its own record's log.
        NoticeUnavailable: no notice was passed, and none can be rendered.
    """
    statement = declaration.statement(event.statement)
    if event.declaration != declaration.digest or statement is None:
        msg = f"event {event.id} is about another declaration"
        raise RecordInvalid(msg)
    shown = notice or notice_for(declaration, event.language, event.statement)
    if event.notice not in {"", shown.digest}:
        msg = f"event {event.id} names another notice"
        raise RecordInvalid(msg)
    record = event.record or event.id
    if log and (
        event.id not in {one.id for one in log}
        or {one.record or one.id for one in log} != {record}
    ):
        msg = f"event {event.id} is of another record"
        raise RecordInvalid(msg)
    document: dict[str, Json] = {
        **header(now, random, kind="dpv:ConsentReceipt"),
        "schema": SCHEMA,
        "pii_principal_id": str(event.subject),
        "record_id": str(record),
        "event_id": str(event.id),
        "declaration": declared(declaration),
        "processing": _processing(event, declaration, statement, shown),
        "pii": [_pii(item, event) for item in statement.data],
        "party": [party(declaration)],
        "event": [_event(one) for one in log or [event]],
        "ledger": entry_proof(proof),
    }
    return sign(document, signer, TYPE)


def header(
    now: int, random: Callable[[int], bytes], *, kind: str
) -> dict[str, Json]:
    """Return the header that every receipt begins with.

    Args:
        now: POSIX seconds.
        random: returns that many random bytes.
        kind: the term of what it is.
    """
    name = str(uuid.UUID(bytes=random(16), version=4))
    return {
        "@context": dict(CONTEXT),
        "@id": f"urn:uuid:{name}",
        "@type": kind,
        "schema_version": "ISO/IEC TS 27560:2023",
        "receipt_id": name,
        "receipt_created": instant(now),
    }


def declared(declaration: Declaration) -> dict[str, Json]:
    """Return how a receipt names a declaration."""
    return {
        "digest": declaration.digest,
        "service": declaration.service,
        "purpose": declaration.purpose,
        "version": declaration.version,
    }


def entry_proof(proof: str | None) -> Json:
    """Return a ledger's disclosure proof as a receipt holds it, or None."""
    if proof is None:
        return None
    found: Json = json.loads(proof)
    return found


def sign(
    document: Mapping[str, Json], signer: Ed25519PrivateKey, kind: str
) -> str:
    """Sign a document as a receipt.

    Args:
        document: the content.
        signer: the body's key for receipts.
        kind: the type that the header names.

    Returns:
        A JSON Web Signature in compact form.
    """
    return jws.serialize_compact(
        _header(OKPKey.import_key(signer.public_key()), kind),
        canonical(document),
        OKPKey.import_key(signer),
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
        document = _verified(text, key, TYPE)
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


def _header(key: OKPKey, kind: str) -> dict[str, str]:
    return {"alg": _ALGORITHM, "kid": key.thumbprint(), "typ": kind}


def _verified(text: str, key: OKPKey, kind: str) -> dict[str, Json]:
    if len(text) > _LARGEST:
        raise ValueError(text[:0])
    found = jws.deserialize_compact(text, key, algorithms=[_ALGORITHM])
    document = json.loads(found.payload)
    # One spelling: the same header and content, written anew, give the
    # same text. This also refuses base64url with stray bits or padding.
    again = ".".join(
        _base64url(part)
        for part in (
            json.dumps(_header(key, kind), separators=(",", ":")).encode(),
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


def instant(at: int) -> str:
    """Return POSIX seconds as the standard writes them: ISO 8601, UTC."""
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
            "served": event.served or None,
        },
        "language": language,
        "service": declaration.service,
        "statement": statement.id,
        "purpose": declaration.purpose_text[language],
        "purpose_type": [use.purpose.value for use in statement.purposes],
        "purpose_term": sorted(
            {
                term
                for use in statement.purposes
                for term in PURPOSE_TERMS[use.purpose]
            }
        ),
        "lawful_basis": statement.basis.value,
        "lawful_basis_term": list(BASIS_TERMS[statement.basis]),
        "separate_consent": sorted(separate_grounds(declaration, statement)),
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
        "sensitive_pii_category": bool(item.categories & SENSITIVE),
        "special_pii_category": bool(item.categories & SPECIAL),
        "pii_term": [
            "dpv:SpecialCategoryPersonalData"
            if item.categories & SPECIAL
            else "dpv:SensitivePersonalData"
            if item.categories & SENSITIVE
            else "dpv:PersonalData",
            *sensitive_terms(item.categories),
        ],
        "pii_necessity": "dpv:Optional" if item.optional else "dpv:Required",
    }


def party(declaration: Declaration) -> dict[str, Json]:
    """Return who answers for the processing, as the standard has parties."""
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
        "event_time": instant(event.at),
        "validity_duration": "until withdrawn"
        if end is None
        else f"until {instant(end)}",
        "entity_id": event.actor,
        "event_id": str(event.id),
        "subject": str(event.subject),
        "recorded_at": instant(event.known_at),
        "event_type": "ExplicitlyExpressed",
        "event_type_term": "dpv:ExplicitlyExpressedConsent",
        "event_state": STATES[event.type],
        "event_state_term": f"dpv:{STATES[event.type]}",
        "event_word": event.type.value,
        "allowed": list(event.attributes),
        "channel": event.channel,
        "mandate": None if event.mandate is None else str(event.mandate),
        "officer": event.officer or None,
        "served": event.served or None,
    }
