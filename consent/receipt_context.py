"""The JSON-LD context of receipts: which field is which term of DPV.

The fields keep the names that ISO/IEC TS 27560 gives them; the context says
what they mean in the Data Privacy Vocabulary, as its guide for the standard
maps them (w3id.org/dpv/guides/consent-27560, tables of terms). It stands in
the receipt itself, as an object and never as an address, so reading a receipt
as linked data needs no network. What DPV has no term for is in our own
namespace.
"""

from collections.abc import Mapping
from types import MappingProxyType

from consent.canonical import Json
from consent.terms import PREFIXES
from consent.vocabulary import EventType

NAMESPACE = "https://curtilage.example/ns/receipt#"

_TERMS: Mapping[str, Json] = {
    # header
    "receipt_id": "dct:identifier",
    "receipt_created": {"@id": "dct:created", "@type": "xsd:dateTime"},
    "schema_version": "dct:conformsTo",
    "pii_principal_id": "dpv:hasDataSubject",
    # processing
    "processing": "dpv:hasProcess",
    "privacy_notice": "dpv:hasNotice",
    "language": "dct:language",
    "purpose": "dpv:hasPurpose",
    "purpose_term": {"@id": "dpv:hasPurpose", "@type": "@id"},
    "lawful_basis_term": {"@id": "dpv:hasLegalBasis", "@type": "@id"},
    "pii_information": "dpv:hasPersonalData",
    "pii_controllers": "dpv:hasDataController",
    "service": "dpv:hasService",
    "storage_locations": "dpv:hasStorageCondition",
    "retention_period": "dpv:hasStorageCondition",
    "jurisdiction": "dpv:hasJurisdiction",
    "recipient_third_parties": "dpv:hasRecipient",
    "withdrawal_method": "dpv:hasConsentControl",
    # personal data
    "pii": "dpv:hasPersonalData",
    "pii_attribute_id": "dct:identifier",
    "pii_term": {"@id": "rdf:type", "@type": "@id"},
    "pii_necessity": {"@id": "dpv:hasNecessity", "@type": "@id"},
    # party
    "party": "dpv:hasDataController",
    "party_id": "dct:identifier",
    "party_name": "dpv:hasName",
    "party_address": "dpv:hasAddress",
    "party_contact": "dpv:hasContact",
    # event
    "event": {"@id": "curtilage:event", "@container": "@list"},
    "event_time": {"@id": "dct:date", "@type": "xsd:dateTime"},
    "validity_duration": "dct:valid",
    "entity_id": "dpv:isImplementedByEntity",
    "event_type_term": {"@id": "dpv:hasLegalBasis", "@type": "@id"},
    "event_state_term": {"@id": "dpv:hasConsentStatus", "@type": "@id"},
}

CONTEXT: Mapping[str, Json] = MappingProxyType(
    {
        "@version": 1.1,
        "@vocab": NAMESPACE,
        **PREFIXES,
        "curtilage": NAMESPACE,
        "dct": "http://purl.org/dc/terms/",
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
        **_TERMS,
    }
)
"""The context, as it stands in every receipt."""

STATES: Mapping[EventType, str] = MappingProxyType(
    {
        EventType.REQUESTED: "ConsentRequested",
        EventType.GIVEN: "ConsentGiven",
        EventType.REFUSED: "ConsentRefused",
        # DPV has no pause. It is no valid state, and not an end either.
        EventType.PAUSED: "ConsentRequestDeferred",
        EventType.RESUMED: "RenewedConsentGiven",
        EventType.RENEWED: "RenewedConsentGiven",
        EventType.WITHDRAWN: "ConsentWithdrawn",
        EventType.REVOKED: "ConsentRevoked",
        EventType.EXPIRED: "ConsentExpired",
        EventType.INVALIDATED: "ConsentInvalidated",
    }
)
"""The state that DPV has for each event of a record."""
