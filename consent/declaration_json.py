"""Declarations as they are stored: canonical JSON, read back exactly.

What is read must have the bytes that were stored, or it is not read: a row
that somebody edited does not become a declaration.
"""

import json
from collections.abc import Mapping
from typing import Any

from consent.canonical import canonical
from consent.declarations import Controller, Declaration, ReleaseTerms
from consent.errors import DeclarationInvalid
from consent.statements import DataItem, Statement, StatementPurpose
from consent.vocabulary import (
    Category,
    LegalBasis,
    Purpose,
    RecipientClass,
    Required,
    Retention,
    SeparateGround,
)


def write_declaration(declaration: Declaration) -> str:
    """Return the text whose SHA-256 is the declaration's digest.

    Args:
        declaration: any declaration.

    Returns:
        Canonical JSON.
    """
    return canonical(declaration.document()).decode("utf-8")


def read_declaration(text: str, *, where: str) -> Declaration:
    """Read a declaration back from its stored text.

    Args:
        text: what `write_declaration` returned.
        where: what to call the source in an error.

    Returns:
        An equal declaration, with an equal digest.

    Raises:
        DeclarationInvalid: the text is anything else, down to one space.
    """
    try:
        declaration = _declaration(json.loads(text))
        same = write_declaration(declaration) == text
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        same = False
    if not same:
        raise DeclarationInvalid(
            where=where,
            line=0,
            column=0,
            what="the stored text is not the canonical form of a declaration",
            remedy="restore it from a backup; it was changed",
        )
    return declaration


def _declaration(document: Mapping[str, Any]) -> Declaration:
    terms = document["release"]
    controller = document["controller"]
    return Declaration(
        service=document["service"],
        purpose=document["purpose"],
        version=document["version"],
        title=document["title"],
        purpose_text=document["purpose_text"],
        statements=tuple(map(_statement, document["statements"])),
        controller=Controller(
            **{**controller, "storage": tuple(controller["storage"])}
        ),
        obligations=tuple(document["obligations"]),
        assurance=document["assurance"],
        release=None
        if terms is None
        else ReleaseTerms(**{**terms, "sensitive": tuple(terms["sensitive"])}),
        valid_from=document["valid_from"],
        valid_until=document["valid_until"],
    )


def _statement(document: Mapping[str, Any]) -> Statement:
    recipients = {
        RecipientClass(item["recipient"]): Required(item["required"])
        for item in document["recipients"]
    }
    return Statement(
        id=document["id"],
        basis=LegalBasis(document["basis"]),
        purposes=tuple(
            StatementPurpose(
                purpose=Purpose(item["purpose"]),
                required=Required(item["required"]),
            )
            for item in document["purposes"]
        ),
        recipients=tuple(recipients),
        recipient_choices={
            name: choice
            for name, choice in recipients.items()
            if choice is not Required.ALWAYS
        },
        retention=Retention(document["retention"]),
        retention_days=document["retention_days"],
        consequence=document["consequence"],
        non_identifiable=document["non_identifiable"],
        terms=tuple(document.get("terms", ())),
        separate=tuple(map(SeparateGround, document.get("separate", ()))),
        data=tuple(
            DataItem(
                attribute=item["attribute"],
                optional=item["optional"],
                categories=frozenset(map(Category, item["categories"])),
            )
            for item in document["data"]
        ),
    )
