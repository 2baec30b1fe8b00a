"""Receipts of records and of uses, checked by the file that stands alone."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
)
from jsonschema import Draft202012Validator

from api.pages.desk import GateDesk
from api.pages.errors import NotFound
from api.pages.port import Choice, ReceiptForm
from consent import EventType, is_term, run_verifier
from consent.receipt_context import CONTEXT, STATES
from consent.receipts import TYPE, sign
from tests.worlds import (
    ADDRESS,
    PURPOSE,
    SERVICE,
    World,
    build_world,
)

# Kantara Consent Receipt 1.1: what its JSON Schema requires.
KANTARA: Mapping[str, Any] = {
    "type": "object",
    "required": [
        *("version", "jurisdiction", "consentTimestamp", "collectionMethod"),
        *("consentReceiptID", "piiPrincipalId", "piiControllers"),
        *("policyUrl", "services", "sensitive", "spiCat"),
    ],
    "properties": {
        "version": {"const": "KI-CR-v1.1.0"},
        "jurisdiction": {"type": "string"},
        "consentTimestamp": {"type": "integer"},
        "collectionMethod": {"type": "string"},
        "consentReceiptID": {"type": "string"},
        "piiPrincipalId": {"type": "string"},
        "policyUrl": {"type": "string"},
        "sensitive": {"type": "boolean"},
        "spiCat": {"type": "array", "items": {"type": "string"}},
        "piiControllers": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": [
                    *("piiController", "contact", "address"),
                    *("email", "phone"),
                ],
            },
        },
        "services": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["service", "purposes"],
                "properties": {
                    "purposes": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "required": [
                                *("consentType", "purposeCategory"),
                                *("piiCategory", "termination"),
                                "thirdPartyDisclosure",
                            ],
                            "properties": {
                                "purposeCategory": {"type": "array"},
                                "piiCategory": {"type": "array"},
                                "thirdPartyDisclosure": {"type": "boolean"},
                            },
                            "if": {
                                "properties": {
                                    "thirdPartyDisclosure": {"const": True}
                                }
                            },
                            "then": {"required": ["thirdPartyName"]},
                        },
                    }
                },
            },
        },
    },
}
# ISO/IEC TS 27560: every field, mandatory ones as True.
ISO: Mapping[str, Mapping[str, bool]] = {
    "": {
        "schema_version": True,
        "record_id": True,
        "receipt_id": True,
        "pii_principal_id": True,
    },
    "processing": {
        "privacy_notice": True,
        "language": True,
        "purpose": True,
        "purpose_type": False,
        "lawful_basis": True,
        "pii_information": True,
        "pii_controllers": True,
        "storage_locations": True,
        "retention_period": True,
        "service": False,
        "jurisdiction": True,
        "recipient_third_parties": True,
        "withdrawal_method": True,
    },
    "pii": {
        "pii_type": True,
        "pii_attribute_id": False,
        "pii_optional": False,
        "sensitive_pii_category": False,
        "special_pii_category": False,
    },
    "party": {
        "party_id": True,
        "party_name": True,
        "party_address": True,
        "party_contact": True,
        "party_type": True,
        "party_role": False,
    },
    "event": {
        "event_time": True,
        "validity_duration": True,
        "entity_id": True,
        "event_type": True,
        "event_state": True,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a person took home, and the keys that it is checked with."""

    world: World
    folder: Path
    texts: Mapping[str, str]
    person: UUID
    other: UUID

    def check(self, text: str, *more: str, ledger: bool = True) -> int:
        """Run the verifier over a text; return how it ends."""
        path = self.folder / "checked"
        path.write_text(text)
        key = self.folder / "receipts.pem"
        arguments = [str(path), "--receipt-key", str(key), *more]
        if ledger:
            arguments += ["--vkey", self.world.platform.ledger_vkey]
        return run_verifier(arguments)

    def forged(
        self, name: str, change: Callable[[dict[str, Any]], None]
    ) -> str:
        """Sign a changed receipt with the body's own key."""
        head, payload, _ = self.texts[name].split(".")
        kind = json.loads(base64.urlsafe_b64decode(head + "=="))["typ"]
        document = json.loads(base64.urlsafe_b64decode(payload + "=="))
        change(document)
        return sign(document, self.world.platform.secrets.receipt, kind)


def content(text: str) -> dict[str, Any]:
    """Read a receipt's payload."""
    payload = text.split(".")[1]
    found: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return found


@pytest.fixture(scope="module")
def evidence(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Evidence]:
    """Give, pause, resume, be used, and take every receipt home."""
    folder = tmp_path_factory.mktemp("receipts")
    with build_world(folder / "home") as world:
        desk = GateDesk(world.platform)
        name, subject = "silent", world.cast["silent"]
        other = world.cast["refusing"]

        async def say(whom: UUID, choice: Choice) -> UUID:
            world.clock.now += 5
            shown = await desk.serve(whom, SERVICE, PURPOSE, "en", "")
            return await desk.decide(
                whom,
                SERVICE,
                PURPOSE,
                "address",
                choice,
                (),
                world.declaration.digest,
                shown.digest,
                "en",
                shown.served,
            )

        async def story() -> dict[str, str]:
            given = await say(subject, Choice.GIVE)
            await say(subject, Choice.PAUSE)
            resumed = await say(subject, Choice.RESUME)
            asked = world.request(name, *ADDRESS)
            used = await world.platform.gate.disclose(asked)
            assert used.ledger_index is not None
            theirs = await say(other, Choice.GIVE)
            return {
                "given": await desk.receipt(subject, given, ReceiptForm.ISO),
                "resumed": await desk.receipt(
                    subject, resumed, ReceiptForm.ISO
                ),
                "kantara": await desk.receipt(
                    subject, given, ReceiptForm.KANTARA
                ),
                "odrl": await desk.receipt(subject, resumed, ReceiptForm.ODRL),
                "use": await desk.usage_receipt(subject, used.ledger_index),
                "theirs": await desk.receipt(other, theirs, ReceiptForm.ISO),
            }

        texts = world.run(story())
        (folder / "receipts.pem").write_bytes(
            world.platform.secrets.receipt.public_key().public_bytes(
                Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
            )
        )
        yield Evidence(
            world=world,
            folder=folder,
            texts=texts,
            person=subject,
            other=other,
        )


@pytest.mark.parametrize("name", ["given", "resumed", "kantara", "use"])
def test_a_receipt_is_checked_down_to_the_ledger(
    evidence: Evidence, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Signature, notice and the entry's place, with two public keys."""
    assert evidence.check(evidence.texts[name], "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert isinstance(found["facts"]["in_ledger"], int)


def test_without_the_ledgers_key_the_proof_is_not_claimed(
    evidence: Evidence, capsys: pytest.CaptureFixture[str]
) -> None:
    """The signature is checked, and what was not checked is said."""
    assert evidence.check(evidence.texts["given"], ledger=False) == 0
    assert "not checked: give --vkey" in capsys.readouterr().out


@pytest.mark.parametrize("group", ISO)
def test_the_fields_are_those_of_the_standard(
    evidence: Evidence, group: str
) -> None:
    """Every field that the table has is there; mandatory ones are filled."""
    found = content(evidence.texts["given"])
    place = found[group] if group else found
    rows = place if isinstance(place, list) else [place]
    for row in rows:
        assert ISO[group].keys() <= row.keys()
        for name, mandatory in ISO[group].items():
            if mandatory and name != "recipient_third_parties":
                assert row[name] not in (None, "", [])


def test_all_events_of_the_record_are_in_the_receipt(
    evidence: Evidence,
) -> None:
    """Given, paused and resumed are one record, and each has its actor."""
    found = content(evidence.texts["resumed"])
    assert [one["event_word"] for one in found["event"]] == [
        "given",
        "paused",
        "resumed",
    ]
    assert {one["entity_id"] for one in found["event"]} == {"self"}
    assert {one["subject"] for one in found["event"]} == {str(evidence.person)}
    assert len(found["event"][0]["served"]) == 64


def test_the_context_stands_in_the_receipt() -> None:
    """Nothing is fetched: no context is an address, all prefixes are known."""

    def texts(value: object) -> Iterator[str]:
        if isinstance(value, Mapping):
            for one in value.values():
                yield from texts(one)
        elif isinstance(value, str):
            yield value

    assert isinstance(CONTEXT["@vocab"], str)
    for term in texts({k: v for k, v in CONTEXT.items() if k[0] != "@"}):
        prefix = term.partition(":")[0]
        assert prefix in {*CONTEXT, "https", "http", "@id", "@list"}
    assert set(STATES) == set(EventType)


def test_terms_of_purpose_and_basis_are_known(evidence: Evidence) -> None:
    """What a receipt calls a term is one."""
    processing = content(evidence.texts["given"])["processing"]
    terms = processing["purpose_term"] + processing["lawful_basis_term"]
    assert terms
    assert all(is_term(one) for one in terms)


def test_kantaras_schema_is_fulfilled(evidence: Evidence) -> None:
    """Required fields and their types, as the specification has them."""
    found = content(evidence.texts["kantara"])
    assert not list(Draft202012Validator(KANTARA).iter_errors(found))
    assert (
        found["noticeHash"]
        == (
            content(evidence.texts["given"])["processing"]["privacy_notice"][
                "sha256"
            ]
        )
    )


def test_a_consent_is_an_agreement_of_odrl(evidence: Evidence) -> None:
    """Whom, who, what, for which purpose, and what is to be deleted."""
    found = json.loads(evidence.texts["odrl"])
    assert found["@type"] == "Agreement"
    assert found["assigner"] == f"urn:uuid:{evidence.person}"
    targets = [one["target"] for one in found["permission"]]
    assert sorted(targets) == sorted(
        f"urn:curtilage:attribute:{name}" for name in ADDRESS
    )
    for rule in found["permission"]:
        assert rule["constraint"][0]["rightOperand"] == [
            "dpv:RequestedServiceProvision"
        ]
        assert rule["duty"][0]["action"] == "delete"
    assert isinstance(found["@context"], dict)


def _another_notice(document: dict[str, Any]) -> None:
    text = "You allow everything."
    document["processing"]["privacy_notice"] |= {
        "text": text,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def _another_person(document: dict[str, Any]) -> None:
    document["pii_principal_id"] = str(UUID(int=7))


def _more_data(document: dict[str, Any]) -> None:
    for one in document["event"]:
        one["allowed"] = [*one["allowed"], "user.bdate"]


def _another_actor(document: dict[str, Any]) -> None:
    document["event"][0]["entity_id"] = str(UUID(int=8))


def _another_time(document: dict[str, Any]) -> None:
    document["event"][0]["event_time"] = "2020-01-01T00:00:00Z"


def _another_served(document: dict[str, Any]) -> None:
    document["event"][0]["served"] = "0" * 64


def _another_answer(document: dict[str, Any]) -> None:
    document["event"][0]["event_word"] = "refused"


def _broken_proof(document: dict[str, Any]) -> None:
    body = document["ledger"]["audit"]["body"]
    document["ledger"]["audit"]["body"] = body.replace("given", "taken")


@pytest.mark.parametrize(
    "change",
    [
        _another_notice,
        _another_person,
        _more_data,
        _another_actor,
        _another_time,
        _another_served,
        _another_answer,
        _broken_proof,
    ],
)
def test_even_the_bodys_key_cannot_contradict_the_ledger(
    evidence: Evidence, change: Callable[[dict[str, Any]], None]
) -> None:
    """A changed receipt, truly signed, does not fit the entry it carries."""
    assert evidence.check(evidence.forged("given", change)) == 1


def test_the_proof_of_another_persons_answer_does_not_serve(
    evidence: Evidence,
) -> None:
    """An entry about somebody else, in an own receipt, is noticed."""
    theirs = content(evidence.texts["theirs"])["ledger"]

    def swap(document: dict[str, Any]) -> None:
        document["ledger"] = theirs

    for name in ("given", "kantara", "use"):
        assert evidence.check(evidence.forged(name, swap)) == 1


@pytest.mark.parametrize(
    "field", ["service", "purpose", "outcome", "pii_information"]
)
def test_a_use_is_what_the_entry_says(evidence: Evidence, field: str) -> None:
    """Neither who asked, nor why, nor what left can be rewritten."""

    def change(document: dict[str, Any]) -> None:
        document["processing"][field] = (
            [] if field == "pii_information" else "another"
        )

    assert evidence.check(evidence.forged("use", change)) == 1


def test_a_use_names_what_became_of_each_attribute(
    evidence: Evidence,
) -> None:
    """Effect, level and reasons, as in the entry."""
    found = content(evidence.texts["use"])
    assert {one["pii_attribute_id"] for one in found["pii"]} == set(ADDRESS)
    assert {one["effect"] for one in found["pii"]} == {"release"}

    def change(document: dict[str, Any]) -> None:
        document["pii"][0]["effect"] = "withhold"

    assert evidence.check(evidence.forged("use", change)) == 1


def test_one_kind_of_receipt_is_not_another(evidence: Evidence) -> None:
    """The type in the header is part of what is checked."""
    document = content(evidence.texts["use"])
    signer = evidence.world.platform.secrets.receipt
    assert evidence.check(sign(document, signer, TYPE)) == 1
    assert evidence.check(sign(document, signer, "JWT")) == 1


def test_nobody_gets_anothers_receipt(evidence: Evidence) -> None:
    """Neither an answer nor a use of somebody else is handed over."""
    desk = GateDesk(evidence.world.platform)
    mine = UUID(content(evidence.texts["given"])["event_id"])

    async def ask() -> None:
        for form in ReceiptForm:
            with pytest.raises(NotFound):
                await desk.receipt(evidence.other, mine, form)

    asyncio.run(ask())
