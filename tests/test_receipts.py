"""Receipts: complete, bound, and of one spelling."""

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from consent import (
    ConsentEvent,
    EventType,
    NoticeUnavailable,
    ReceiptInvalid,
    RecordInvalid,
    issue_receipt,
    load_yaml,
    notice_for,
    read_public_key,
    verify_receipt,
)
from consent.canonical import canonical

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key()
NOW = 1_790_000_000
DECLARED = load_yaml(
    b"""\
service: moving-house
purpose: address-change
version: 1
title: {en: Moving house, zh-Hans: "\xe6\x90\xac\xe5\xae\xb6"}
purpose_text: {en: To change it., zh-Hans: "\xe5\x8f\x98\xe6\x9b\xb4"}
controller:
  id: sample-city
  name: Sample City
  address: 1 Market Square
  contact: privacy@sample.example
  jurisdiction: DE
  storage: [Sample City computing centre]
statements:
  - id: s1
    basis: consent
    purposes: [current]
    recipients: [ours, same]
    retention: stated-purpose
    retention_days: 90
    data:
      - user.name.given
      - {attribute: user.health.note, optional: true}
""",
    where="moving.yml",
)
EVENT = ConsentEvent(
    id=UUID("11111111-1111-4111-8111-111111111111"),
    subject=UUID("22222222-2222-4222-8222-222222222222"),
    service="moving-house",
    purpose="address-change",
    statement="s1",
    declaration=DECLARED.digest,
    notice=notice_for(DECLARED, "en", "s1").digest,
    language="en",
    type=EventType.GIVEN,
    attributes=("user.name.given",),
    at=NOW - 10,
    expires_at=NOW + 86_400,
)

# ISO/IEC TS 27560: what is mandatory, by group.
MANDATORY = {
    "": ["schema_version", "record_id", "receipt_id", "pii_principal_id"],
    "processing": [
        "privacy_notice",
        "language",
        "purpose",
        "lawful_basis",
        "pii_information",
        "pii_controllers",
        "storage_locations",
        "retention_period",
        "jurisdiction",
        "recipient_third_parties",
        "withdrawal_method",
    ],
    "pii": ["pii_type"],
    "party": [
        "party_id",
        "party_name",
        "party_address",
        "party_contact",
        "party_type",
    ],
    "event": [
        "event_time",
        "validity_duration",
        "entity_id",
        "event_type",
        "event_state",
    ],
}


def issue(event: ConsentEvent = EVENT) -> str:
    """Issue a receipt with fixed time and randomness."""
    return issue_receipt(
        event, DECLARED, KEY, now=NOW, random=lambda count: b"\7" * count
    )


def encode(data: bytes) -> str:
    """Write base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: Mapping[str, object], payload: bytes) -> str:
    """Sign anything with the true key, by hand."""
    text = f"{encode(canonical(header))}.{encode(payload)}"  # type: ignore[arg-type] # headers of our own
    return f"{text}.{encode(KEY.sign(text.encode()))}"


def parts(text: str) -> tuple[dict[str, str], dict[str, object]]:
    """Take header and payload out of a receipt without verifying it."""
    header, payload, _ = text.split(".")
    return tuple(  # type: ignore[return-value] # two of them
        json.loads(base64.urlsafe_b64decode(part + "=="))
        for part in (header, payload)
    )


def test_a_receipt_verifies_with_the_public_key_alone() -> None:
    """The content comes back, bound to declaration, notice and event."""
    found = verify_receipt(issue(), PUBLIC)
    notice = notice_for(DECLARED, "en", "s1")
    assert found["declaration"] == {
        "digest": DECLARED.digest,
        "service": "moving-house",
        "purpose": "address-change",
        "version": 1,
    }
    processing = found["processing"]
    assert isinstance(processing, dict)
    assert processing["privacy_notice"] == {
        "sha256": hashlib.sha256(notice.text.encode()).hexdigest(),
        "text": notice.text,
        "served": None,
    }
    assert processing["pii_information"] == ["user.name.given"]
    assert processing["recipient_third_parties"] == ["same"]
    assert processing["retention_period"] == {
        "class": "stated-purpose",
        "days": 90,
    }
    (event,) = found["event"]  # type: ignore[misc,union-attr] # a list
    assert isinstance(event, dict)
    assert (
        event
        | {
            "allowed": ["user.name.given"],
            "channel": "portal",
            "entity_id": "self",
            "event_state": "ConsentGiven",
            "event_time": "2026-09-21T14:13:10Z",
            "event_type": "ExplicitlyExpressed",
            "subject": str(EVENT.subject),
            "validity_duration": "until 2026-09-22T14:13:20Z",
        }
        == event
    )
    assert found["pii"] == [
        {
            "pii_allowed": name == "user.name.given",
            "pii_attribute_id": name,
            "pii_optional": name != "user.name.given",
            "pii_type": categories,
            "sensitive_pii_category": "health" in categories,
            "special_pii_category": "health" in categories,
            "pii_term": terms,
            "pii_necessity": need,
        }
        for name, categories, terms, need in (
            (
                "user.name.given",
                ["physical"],
                ["dpv:PersonalData"],
                "dpv:Required",
            ),
            (
                "user.health.note",
                ["content", "health"],
                ["dpv:SpecialCategoryPersonalData", "pipl:MedicalHealth"],
                "dpv:Optional",
            ),
        )
    ]


@pytest.mark.parametrize("group", MANDATORY)
def test_every_mandatory_field_of_the_standard_is_there(group: str) -> None:
    """No mandatory field is absent or empty."""
    found = verify_receipt(issue(), PUBLIC)
    place = found[group] if group else found
    if isinstance(place, list):
        place = place[0]
    assert isinstance(place, dict)
    assert all(place[name] for name in MANDATORY[group])


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (EventType.REFUSED, "ConsentRefused"),
        (EventType.WITHDRAWN, "ConsentWithdrawn"),
        (EventType.EXPIRED, "ConsentExpired"),
    ],
)
def test_a_no_has_a_receipt_too(kind: EventType, state: str) -> None:
    """Refusals and withdrawals are evidence as much as a yes."""
    event = replace(
        EVENT, type=kind, attributes=(), expires_at=None, notice=""
    )
    (found,) = verify_receipt(issue(event), PUBLIC)["event"]  # type: ignore[misc,union-attr] # shape is tested above
    assert found["event_state"] == state  # type: ignore[index,call-overload] # as above
    assert found["validity_duration"] == "until withdrawn"  # type: ignore[index,call-overload] # as above


def test_a_receipt_is_issued_only_for_what_the_event_is_about() -> None:
    """Another declaration, statement or notice gives no receipt."""
    for change in (
        {"declaration": "0" * 64},
        {"statement": "s9"},
        {"notice": "0" * 64},
    ):
        with pytest.raises(RecordInvalid):
            issue(replace(EVENT, **change))
    with pytest.raises(NoticeUnavailable):
        issue(replace(EVENT, language="tlh"))


def test_the_stored_notice_is_used_where_one_is_passed() -> None:
    """A notice of an older layout stays the one that was shown."""
    text = "The old layout."
    digest = hashlib.sha256(text.encode()).hexdigest()
    old = replace(notice_for(DECLARED, "en", "s1"), text=text, digest=digest)
    receipt = issue_receipt(
        replace(EVENT, notice=digest),
        DECLARED,
        KEY,
        now=NOW,
        random=lambda count: b"\7" * count,
        notice=old,
    )
    found = verify_receipt(receipt, PUBLIC)["processing"]
    assert found["privacy_notice"]["text"] == text  # type: ignore[index,call-overload] # shape is tested above


def test_another_key_does_not_verify_it() -> None:
    """A receipt is the body's own."""
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    with pytest.raises(ReceiptInvalid):
        verify_receipt(issue(), other)


@given(st.data())
def test_no_single_character_can_be_changed(data: st.DataObject) -> None:
    """Every other text of the same length is refused."""
    text = issue()
    at = data.draw(st.integers(0, len(text) - 1))
    alphabet = st.characters(codec="ascii")
    char = data.draw(alphabet.filter(lambda c: c != text[at]))
    with pytest.raises(ReceiptInvalid):
        verify_receipt(text[:at] + char + text[at + 1 :], PUBLIC)


@given(st.text(max_size=60))
def test_nothing_but_the_one_error_escapes(noise: str) -> None:
    """Whatever is passed for a receipt, there is one kind of error."""
    with pytest.raises(ReceiptInvalid):
        verify_receipt(noise, PUBLIC)


HEADER, PAYLOAD = parts(issue())


@pytest.mark.parametrize(
    "text",
    [
        signed({**HEADER, "alg": "EdDSA"}, canonical(PAYLOAD)),  # type: ignore[arg-type] # JSON
        signed({**HEADER, "alg": "none"}, canonical(PAYLOAD)),  # type: ignore[arg-type] # JSON
        signed({**HEADER, "kid": "another"}, canonical(PAYLOAD)),  # type: ignore[arg-type] # JSON
        signed({**HEADER, "crit": ["b64"], "b64": False}, b"{}"),
        signed({**HEADER, "typ": "JWT"}, canonical(PAYLOAD)),  # type: ignore[arg-type] # JSON
        signed(HEADER, json.dumps(PAYLOAD).encode()),
        signed(HEADER, b"[]"),
        signed(HEADER, b"{}"),
        signed(HEADER, canonical({**PAYLOAD, "schema": "x"})),  # type: ignore[dict-item] # JSON
        signed(HEADER, canonical({**PAYLOAD, "processing": []})),  # type: ignore[dict-item] # JSON
        signed(HEADER, b"[" * 100_000),
        issue() + "=",
        issue() + "\n",
        issue() + ".x",
        "x" * 300_000,
    ],
    ids=range(15),
)
def test_even_the_true_key_signs_no_other_spelling(text: str) -> None:
    """One header, one canonical content, one encoding."""
    with pytest.raises(ReceiptInvalid):
        verify_receipt(text, PUBLIC)


def test_a_notice_that_does_not_match_its_hash_is_refused() -> None:
    """Even a signed receipt holds the text that it names."""
    payload = json.loads(json.dumps(PAYLOAD))
    payload["processing"]["privacy_notice"]["text"] += " "
    with pytest.raises(ReceiptInvalid):
        verify_receipt(signed(HEADER, canonical(payload)), PUBLIC)


def test_a_public_key_is_read_from_pem() -> None:
    """Ed25519 is read, anything else is refused."""
    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    found = read_public_key(PUBLIC.public_bytes(*form))
    assert found.public_bytes_raw() == PUBLIC.public_bytes_raw()
    curve = generate_private_key(SECP256R1()).public_key()
    for wrong in (b"", b"x", curve.public_bytes(*form)):
        with pytest.raises(ReceiptInvalid):
            read_public_key(wrong)


def test_the_receipt_id_is_random() -> None:
    """Two receipts of one answer are two receipts."""
    first, second = (
        issue_receipt(
            EVENT,
            DECLARED,
            KEY,
            now=NOW,
            random=lambda _count, byte=byte: bytes([byte]) * 16,  # type: ignore[misc] # bound by default
        )
        for byte in (1, 2)
    )
    ids = {
        verify_receipt(text, PUBLIC)["receipt_id"] for text in (first, second)
    }
    assert len(ids) == 2
    assert all(UUID(str(one)).version == 4 for one in ids)
    assert uuid.RFC_4122 == UUID(str(ids.pop())).variant
