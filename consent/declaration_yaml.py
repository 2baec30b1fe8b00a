"""Declarations as their authors write them: YAML, read strictly.

    service: moving-house
    purpose: address-change
    version: 1
    title: {en: Moving house, zh-Hans: 搬家}
    purpose_text: {en: To change your address., zh-Hans: 变更您的住址。}
    controller:
      id: sample-city
      name: Sample City
      address: 1 Market Square, 12345 Sample City
      contact: privacy@sample.example
      jurisdiction: DE
      storage: [Sample City computing centre]
    valid_from: 2026-01-01        # UTC; optional
    valid_until: 2030-01-01       # UTC, first day it is not; optional
    assurance: 1                  # optional
    obligations: [delete_by]      # optional
    statements:
      - id: new-address
        basis: consent            # always said, never assumed
        purposes:
          - current
          - {purpose: contact, required: opt-in}
        recipients: [ours, {recipient: same, required: opt-in}]
        retention: stated-purpose
        retention_days: 90        # optional
        consequence: {en: Without it ..., zh-Hans: ...}   # optional
        non_identifiable: false   # optional
        terms: [dpv-ps:PublicServiceProvision]   # optional: DPV, PIPL
        separate: [abroad]        # optional: asked for apart, and why
        data:
          - user.name.given
          - {attribute: user.bdate, optional: true}
          - {attribute: dynamic.miscdata, categories: [content]}
    release:                      # optional: terms of extracts
      {recipient: statistics, k: 5, l: 2, suppression_limit: 0.05,
       sensitive: [user.income.annual], epsilon_thousandths: 500}

Terms say what a statement is in the Data Privacy Vocabulary, in its sector
extension for public services, or in ours for the PIPL (`consent.terms`).
Texts are in every language that people are addressed in. Categories are
given exactly where the data schema leaves them open.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import yaml

from consent.declarations import Controller, Declaration, ReleaseTerms
from consent.elements import categories_of, schema
from consent.statements import DataItem, Statement, StatementPurpose
from consent.terms import BASIS_TERMS, is_term, known_terms
from consent.vocabulary import (
    Category,
    Language,
    LegalBasis,
    Purpose,
    RecipientClass,
    Required,
    Retention,
    SeparateGround,
)
from consent.yaml_reader import YamlReader, closest

_LONGEST_DAYS = 36525  # a hundred years
_UNBOUNDED = {Retention.NONE, Retention.INDEFINITELY}
_IDENTIFYING = {
    Category.PHYSICAL,
    Category.ONLINE,
    Category.UNIQUEID,
    Category.FINANCIAL,
    Category.GOVERNMENT,
}


def load_yaml(text: bytes, *, where: str) -> Declaration:
    """Read a declaration from YAML.

    Args:
        text: UTF-8 bytes, at most 256 KiB.
        where: what to call the source in an error, such as a file name.

    Returns:
        The declaration.

    Raises:
        DeclarationInvalid: anything is not as this module says; one error,
            the first one met, with its line and column.
    """
    reader = _DeclarationReader(where)
    return reader.declaration(reader.root(text))


class _DeclarationReader(YamlReader):
    def declaration(self, node: yaml.Node) -> Declaration:
        keys = self.mapping(
            node,
            (
                "service",
                "purpose",
                "version",
                "title",
                "purpose_text",
                "controller",
                "statements",
            ),
            (
                "valid_from",
                "valid_until",
                "assurance",
                "obligations",
                "release",
            ),
        )
        return Declaration(
            service=self.name(keys["service"]),
            purpose=self.name(keys["purpose"]),
            version=self.integer(keys["version"], 1, 1_000_000),
            title=self.texts(keys["title"]),
            purpose_text=self.texts(keys["purpose_text"]),
            controller=self.controller(keys["controller"]),
            statements=self.items(
                keys["statements"], self.statement, key=lambda s: s.id
            ),
            obligations=self.names(keys.get("obligations")),
            assurance=self.integer(keys["assurance"], 0, 4)
            if "assurance" in keys
            else 0,
            release=self.release(keys["release"])
            if "release" in keys
            else None,
            **self.validity(keys),
        )

    def texts(self, node: yaml.Node) -> dict[str, str]:
        keys = self.mapping(node, [language.value for language in Language])
        return {name: self.text(value) for name, value in keys.items()}

    def names(self, node: yaml.Node | None) -> tuple[str, ...]:
        return () if node is None else self.items(node, self.name)

    def controller(self, node: yaml.Node) -> Controller:
        keys = self.mapping(
            node,
            ("id", "name", "address", "contact", "jurisdiction", "storage"),
            ("type",),
        )
        kind = keys.get("type")
        return Controller(
            id=self.name(keys["id"]),
            name=self.text(keys["name"]),
            address=self.text(keys["address"]),
            contact=self.text(keys["contact"]),
            type="public-body" if kind is None else self.name(kind),
            jurisdiction=self.text(keys["jurisdiction"]),
            storage=self.items(keys["storage"], self.text),
        )

    def validity(self, keys: dict[str, yaml.Node]) -> dict[str, int]:
        found: dict[str, int] = {
            name: self.day(keys[name])
            for name in ("valid_from", "valid_until")
            if name in keys
        }
        until = found.get("valid_until")
        if until is not None and until <= found.get("valid_from", 0):
            self.fail(
                keys["valid_until"],
                "the declaration ends before it begins",
                "write a later day",
            )
        return found

    def day(self, node: yaml.Node) -> int:
        value = node.value if isinstance(node, yaml.ScalarNode) else ""
        try:
            day = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            day = None
        if day is None or f"{day:%Y-%m-%d}" != value:
            self.fail(node, "a day is expected here", "such as 2026-01-31")
        return int(day.timestamp())

    def statement(self, node: yaml.Node) -> Statement:
        keys = self.mapping(
            node,
            ("id", "basis", "purposes", "recipients", "retention", "data"),
            (
                "retention_days",
                "consequence",
                "non_identifiable",
                "terms",
                "separate",
            ),
        )
        recipients = self.items(
            keys["recipients"], self.recipient, key=lambda item: item[0]
        )
        statement = Statement(
            id=self.name(keys["id"]),
            basis=self.word(keys["basis"], LegalBasis),
            purposes=self.items(
                keys["purposes"], self.purpose, key=lambda use: use.purpose
            ),
            recipients=tuple(name for name, _ in recipients),
            recipient_choices={
                name: choice
                for name, choice in recipients
                if choice is not Required.ALWAYS
            },
            retention=self.word(keys["retention"], Retention),
            retention_days=self.integer(
                keys["retention_days"], 1, _LONGEST_DAYS
            )
            if "retention_days" in keys
            else None,
            consequence=self.texts(keys["consequence"])
            if "consequence" in keys
            else {},
            non_identifiable="non_identifiable" in keys
            and self.truth(keys["non_identifiable"]),
            terms=self.items(keys["terms"], self.term)
            if "terms" in keys
            else (),
            separate=self.items(
                keys["separate"], lambda one: self.word(one, SeparateGround)
            )
            if "separate" in keys
            else (),
            data=self.items(
                keys["data"], self.item, key=lambda item: item.attribute
            ),
        )
        for key, what in _contradictions(statement):
            self.fail(keys[key], what, "change one of the two")
        return statement

    def term(self, node: yaml.Node) -> str:
        term = self.text(node)
        if not is_term(term):
            self.fail(
                node,
                f"{term[:64]!r} is no term that is known",
                closest(iter(sorted(known_terms())), term),
            )
        return term

    def purpose(self, node: yaml.Node) -> StatementPurpose:
        if isinstance(node, yaml.ScalarNode):
            return StatementPurpose(purpose=self.word(node, Purpose))
        keys = self.mapping(node, ("purpose", "required"))
        purpose = self.word(keys["purpose"], Purpose)
        required = self.word(keys["required"], Required)
        if purpose is Purpose.CURRENT and required is not Required.ALWAYS:
            self.fail(
                keys["required"],
                "nobody can choose about the purpose current",
                "leave required out, or use another purpose",
            )
        return StatementPurpose(purpose=purpose, required=required)

    def recipient(self, node: yaml.Node) -> tuple[RecipientClass, Required]:
        if isinstance(node, yaml.ScalarNode):
            return self.word(node, RecipientClass), Required.ALWAYS
        keys = self.mapping(node, ("recipient", "required"))
        recipient = self.word(keys["recipient"], RecipientClass)
        required = self.word(keys["required"], Required)
        if recipient is RecipientClass.OURS and required != Required.ALWAYS:
            self.fail(
                keys["required"],
                "nobody can choose about the recipient ours",
                "leave required out, or use another recipient",
            )
        return recipient, required

    def item(self, node: yaml.Node) -> DataItem:
        if isinstance(node, yaml.ScalarNode):
            keys: dict[str, yaml.Node] = {"attribute": node}
        else:
            keys = self.mapping(
                node, ("attribute",), ("optional", "categories")
            )
        attribute = self.attribute(keys["attribute"])
        open_to_us = not categories_of(attribute)
        if open_to_us != ("categories" in keys):
            self.fail(
                node,
                f"the schema leaves the categories of {attribute} open"
                if open_to_us
                else f"the schema fixes the categories of {attribute}",
                "add categories: [...]" if open_to_us else "remove them",
            )
        return DataItem(
            attribute=attribute,
            optional="optional" in keys and self.truth(keys["optional"]),
            categories=frozenset(
                self.items(
                    keys["categories"], lambda one: self.word(one, Category)
                )
            )
            if "categories" in keys
            else frozenset(),
        )

    def attribute(self, node: yaml.Node) -> str:
        name = self.name(node)
        if categories_of(name) is None:
            self.fail(
                node,
                f"the data schema has no element {name}",
                closest(iter(schema()), name),
            )
        return name

    def release(self, node: yaml.Node) -> ReleaseTerms:
        keys = self.mapping(
            node,
            ("recipient", "k", "l", "suppression_limit"),
            ("sensitive", "epsilon_thousandths"),
        )
        return ReleaseTerms(
            recipient=self.name(keys["recipient"]),
            k=self.integer(keys["k"], 2, 1_000_000),
            l=self.integer(keys["l"], 1, 1_000_000),
            suppression_limit=self.share(keys["suppression_limit"]),
            sensitive=self.items(keys["sensitive"], self.attribute)
            if "sensitive" in keys
            else (),
            epsilon_thousandths=self.integer(
                keys["epsilon_thousandths"], 1, 100_000
            )
            if "epsilon_thousandths" in keys
            else None,
        )


def _contradictions(statement: Statement) -> Iterator[tuple[str, str]]:
    for term in statement.terms:
        of = [basis for basis, terms in BASIS_TERMS.items() if term in terms]
        if of and statement.basis not in of:
            yield "terms", f"{term} is not the basis {statement.basis}"
    if statement.separate and statement.basis is not LegalBasis.CONSENT:
        yield "separate", f"nobody is asked where {statement.basis} is the law"
    days = statement.retention_days
    if days is not None and statement.retention in _UNBOUNDED:
        yield "retention_days", f"{statement.retention} has no bound in days"
    uses = {use.purpose for use in statement.purposes}
    keeping = uses & {Purpose.HISTORICAL, Purpose.INDIVIDUAL_ANALYSIS}
    if statement.retention is Retention.NONE and keeping:
        yield "retention", f"{min(keeping)} cannot be done without retention"
    if statement.non_identifiable and any(
        item.categories & _IDENTIFYING for item in statement.data
    ):
        yield "non_identifiable", "some of this data identifies people"
