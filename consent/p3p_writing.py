"""P3P XML, written: files, policies, and declarations of today.

What is written is P3P 1.0 by the letter, and read again it says the same.
Elements that P3P's base data schema does not have are defined in the file,
since nobody else would know them. A legal basis and a number of days have no
place in P3P and are not written.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from consent.dataschema import DataSchema, Definition
from consent.declarations import Declaration
from consent.elements import categories_of, in_base_schema
from consent.expiry import Expiry
from consent.p3p_model import (
    DataTerm,
    Dispute,
    Extension,
    Markup,
    P3PDocument,
    P3PPolicy,
    P3PStatement,
    PurposeTerm,
    RecipientTerm,
)
from consent.p3p_xml import RECOMMENDATION, SUCCESSOR
from consent.policy_reference import CookiePattern, ReferenceFile
from consent.statements import Statement
from consent.vocabulary import Category, Purpose, RecipientClass, Required

_Attributes = Mapping[str, str | None]


class _Xml:
    """Lines of XML, indented."""

    def __init__(self) -> None:
        self.lines = ['<?xml version="1.0" encoding="UTF-8"?>']
        self._depth = 0

    def leaf(
        self, name: str, attributes: _Attributes | None = None, text: str = ""
    ) -> None:
        """Write an element without children."""
        tag = _tag(name, attributes or {})
        self._line(
            f"<{tag}>{escape(_legal(text))}</{name}>" if text else f"<{tag}/>"
        )

    def open(self, name: str, attributes: _Attributes | None = None) -> None:
        """Begin an element."""
        self._line(f"<{_tag(name, attributes or {})}>")
        self._depth += 1

    def close(self, name: str) -> None:
        """End an element."""
        self._depth -= 1
        self._line(f"</{name}>")

    def words(self, name: str, words: Iterable[str]) -> None:
        """Write an element that holds words, if there are any."""
        found = list(words)
        if found:
            self.open(name)
            for word in found:
                self.leaf(word)
            self.close(name)

    def _line(self, text: str) -> None:
        self.lines.append("  " * self._depth + text)


def _tag(name: str, attributes: _Attributes) -> str:
    said = "".join(
        f" {key}={quoteattr(_legal(value))}"
        for key, value in attributes.items()
        if value is not None
    )
    return name + said


def _legal(text: str) -> str:
    """Leave out what XML 1.0 has no way to write."""
    return "".join(
        c
        for c in text
        if c in "\t\n\r"
        or " " <= c <= "\ud7ff"
        or "\ue000" <= c <= "\ufffd"
        or c >= "\U00010000"
    )


def write_p3p(document: P3PDocument) -> bytes:
    """Write a P3P file.

    Args:
        document: what it says.

    Returns:
        UTF-8 XML. Read again it has the same policies and references.
    """
    xml = _Xml()
    space = {"xmlns": RECOMMENDATION}
    if document.root == "META":
        xml.open("META", space)
        _write_references(xml, document.references or ReferenceFile())
        if document.policies:
            _write_policies(xml, document, {})
        xml.close("META")
    elif document.root == "POLICY":
        _write_policy(xml, document.policies[0], space)
    else:
        _write_policies(xml, document, space)
    return ("\n".join(xml.lines) + "\n").encode("utf-8")


def _write_policies(
    xml: _Xml, document: P3PDocument, space: _Attributes
) -> None:
    xml.open("POLICIES", {**space, "xml:lang": document.language or None})
    _write_expiry(xml, document.expiry)
    for policy in document.policies:
        _write_policy(xml, policy, {})
    xml.close("POLICIES")


def _write_expiry(xml: _Xml, expiry: Expiry | None) -> None:
    if expiry is not None:
        xml.leaf("EXPIRY", expiry.attributes())


def _write_references(xml: _Xml, file: ReferenceFile) -> None:
    xml.open("POLICY-REFERENCES")
    _write_expiry(xml, file.expiry)
    for each in file.references:
        xml.open("POLICY-REF", {"about": each.about})
        for name, patterns in (
            ("INCLUDE", each.includes),
            ("EXCLUDE", each.excludes),
        ):
            for pattern in patterns:
                xml.leaf(name, text=pattern)
        for name, cookies in (
            ("COOKIE-INCLUDE", each.cookie_includes),
            ("COOKIE-EXCLUDE", each.cookie_excludes),
        ):
            for cookie in cookies:
                xml.leaf(name, _cookie(cookie))
        for method in each.methods:
            xml.leaf("METHOD", text=method)
        xml.close("POLICY-REF")
    for hint in file.hints:
        xml.leaf("HINT", {"scope": hint.scope, "path": hint.path})
    xml.close("POLICY-REFERENCES")


def _cookie(cookie: CookiePattern) -> _Attributes:
    return {
        "name": cookie.name,
        "value": cookie.value,
        "domain": cookie.domain,
        "path": cookie.path,
    }


def _write_policy(xml: _Xml, policy: P3PPolicy, space: _Attributes) -> None:
    xml.open(
        "POLICY",
        {
            **space,
            "name": policy.name or None,
            "discuri": policy.discuri or None,
            "opturi": policy.opturi or None,
            "xml:lang": policy.language or None,
        },
    )
    if policy.groups:
        xml.open("EXTENSION", {"optional": "yes"})
        for group in policy.groups:
            _write_markup(xml, group)
        xml.close("EXTENSION")
    _write_extensions(xml, policy.extensions, "POLICY")
    if policy.test:
        xml.leaf("TEST")
    _write_expiry(xml, policy.expiry)
    _write_schema(xml, policy.schema)
    _write_entity(xml, policy)
    if policy.access is not None:
        xml.open("ACCESS")
        xml.leaf(policy.access.value)
        _write_extensions(xml, policy.extensions, "ACCESS")
        xml.close("ACCESS")
    if policy.disputes:
        xml.open("DISPUTES-GROUP")
        for dispute in policy.disputes:
            _write_dispute(xml, dispute)
        _write_extensions(xml, policy.extensions, "DISPUTES-GROUP")
        xml.close("DISPUTES-GROUP")
    for statement in policy.statements:
        _write_statement(xml, statement)
    xml.close("POLICY")


def _write_entity(xml: _Xml, policy: P3PPolicy) -> None:
    if policy.entity:
        xml.open("ENTITY")
        xml.open("DATA-GROUP")
        for name, text in policy.entity:
            xml.leaf("DATA", {"ref": f"#{name}"}, text)
        xml.close("DATA-GROUP")
        _write_extensions(xml, policy.extensions, "ENTITY")
        xml.close("ENTITY")


def _write_schema(xml: _Xml, schema: DataSchema) -> None:
    if not schema:
        return
    xml.open("DATASCHEMA")
    for tag, definitions in (
        ("DATA-DEF", schema.elements),
        ("DATA-STRUCT", schema.structures),
    ):
        for each in definitions:
            attributes = {
                "name": each.name,
                "structref": each.structure or None,
                "short-description": each.text or None,
            }
            if each.categories or each.long:
                xml.open(tag, attributes)
                _write_categories(xml, each.categories)
                if each.long:
                    xml.leaf("LONG-DESCRIPTION", text=each.long)
                xml.close(tag)
            else:
                xml.leaf(tag, attributes)
    xml.close("DATASCHEMA")


def _write_categories(
    xml: _Xml, categories: Iterable[Category], *, other: str = ""
) -> None:
    words = sorted(category.value for category in categories)
    if not words:
        return
    xml.open("CATEGORIES")
    for word in words:
        xml.leaf(word, text=other if word == Category.OTHER else "")
    xml.close("CATEGORIES")


def _write_dispute(xml: _Xml, dispute: Dispute) -> None:
    xml.open(
        "DISPUTES",
        {
            "resolution-type": dispute.resolution or None,
            "service": dispute.service or None,
            "verification": dispute.verification or None,
            "short-description": dispute.short or None,
        },
    )
    _write_extensions(xml, dispute.extensions, "DISPUTES")
    if dispute.long:
        xml.leaf("LONG-DESCRIPTION", text=dispute.long)
    if dispute.image is not None:
        image = dispute.image
        xml.leaf(
            "IMG",
            {
                "src": image.src,
                "width": image.width or None,
                "height": image.height or None,
                "alt": image.alt,
            },
        )
    inner = [e for e in dispute.extensions if e.place == "REMEDIES"]
    if dispute.remedies or inner:
        xml.open("REMEDIES")
        for remedy in dispute.remedies:
            xml.leaf(remedy)
        _write_extensions(xml, dispute.extensions, "REMEDIES")
        xml.close("REMEDIES")
    xml.close("DISPUTES")


def _write_statement(xml: _Xml, said: P3PStatement) -> None:
    xml.open("STATEMENT")
    if said.group:
        xml.open("EXTENSION", {"optional": "yes"})
        xml.leaf("STATEMENT-GROUP", {"xmlns": SUCCESSOR, "name": said.group})
        xml.close("EXTENSION")
    _write_extensions(xml, said.extensions, "STATEMENT")
    if said.consequence:
        xml.leaf("CONSEQUENCE", text=said.consequence)
    if said.non_identifiable:
        xml.leaf("NON-IDENTIFIABLE")
    _write_purposes(xml, said)
    _write_recipients(xml, said)
    inner = [e for e in said.extensions if e.place == "RETENTION"]
    if said.retentions or inner:
        xml.open("RETENTION")
        for retention in said.retentions:
            xml.leaf(retention.value)
        _write_extensions(xml, said.extensions, "RETENTION")
        xml.close("RETENTION")
    _write_data(xml, said)
    xml.close("STATEMENT")


def _write_purposes(xml: _Xml, said: P3PStatement) -> None:
    inner = [e for e in said.extensions if e.place == "PURPOSE"]
    if not (said.purposes or said.primary or inner):
        return
    xml.open("PURPOSE")
    for term in said.purposes:
        xml.leaf(term.purpose.value, _choice(term.required), term.text)
    if said.primary:
        xml.open("EXTENSION", {"optional": "yes"})
        xml.open("PPURPOSE", {"xmlns": SUCCESSOR})
        for word in said.primary:
            xml.leaf(word)
        xml.close("PPURPOSE")
        xml.close("EXTENSION")
    _write_extensions(xml, said.extensions, "PURPOSE")
    xml.close("PURPOSE")


def _write_recipients(xml: _Xml, said: P3PStatement) -> None:
    inner = [e for e in said.extensions if e.place == "RECIPIENT"]
    if not (said.recipients or said.jurisdictions or inner):
        return
    xml.open("RECIPIENT")
    for term in said.recipients:
        name = term.recipient.value
        if term.descriptions:
            xml.open(name, _choice(term.required))
            for text in term.descriptions:
                xml.leaf("recipient-description", text=text)
            xml.close(name)
        else:
            xml.leaf(name, _choice(term.required))
    if said.jurisdictions:
        xml.open("EXTENSION", {"optional": "yes"})
        for each in said.jurisdictions:
            _write_markup(xml, each)
        xml.close("EXTENSION")
    _write_extensions(xml, said.extensions, "RECIPIENT")
    xml.close("RECIPIENT")


def _choice(required: Required) -> _Attributes:
    return {
        "required": None if required is Required.ALWAYS else required.value
    }


def _write_data(xml: _Xml, said: P3PStatement) -> None:
    groups = [list(g) for _, g in groupby(said.data, lambda t: t.local)]
    inner = [e for e in said.extensions if e.place == "DATA-GROUP"]
    for number, terms in enumerate(groups or ([[]] if inner else [])):
        xml.open("DATA-GROUP", {"base": "" if _is_own(terms) else None})
        for term in terms:
            attributes = {
                "ref": f"{term.base}#{term.attribute}",
                "optional": "yes" if term.optional else None,
            }
            own = () if categories_of(term.attribute) else term.categories
            if own:
                xml.open("DATA", attributes)
                _write_categories(xml, own, other=term.other)
                xml.close("DATA")
            else:
                xml.leaf("DATA", attributes)
        if number == 0:
            _write_extensions(xml, inner, "DATA-GROUP")
        xml.close("DATA-GROUP")


def _is_own(terms: list[DataTerm]) -> bool:
    return any(term.local for term in terms)


def _write_extensions(
    xml: _Xml, extensions: Iterable[Extension], place: str
) -> None:
    for extension in extensions:
        if extension.place == place:
            xml.open(
                "EXTENSION",
                {"optional": "yes" if extension.optional else "no"},
            )
            for content in extension.content:
                _write_markup(xml, content)
            xml.close("EXTENSION")


def _write_markup(xml: _Xml, markup: Markup) -> None:
    attributes: dict[str, str] = {"xmlns": markup.namespace}
    for key, value in markup.attributes:
        space, _, local = key.rpartition("}")
        if space:
            prefix = f"a{len(attributes)}"
            attributes[f"xmlns:{prefix}"] = space[1:]
            attributes[f"{prefix}:{local}"] = value
        else:
            attributes["xml:lang" if key == "lang" else key] = value
    if not markup.children:
        xml.leaf(markup.name, attributes, markup.text)
        return
    xml.open(markup.name, attributes)
    if markup.text:
        xml.lines.append(escape(_legal(markup.text)))
    for child in markup.children:
        _write_markup(xml, child)
    xml.close(markup.name)


def policy_of(declaration: Declaration, *, language: str = "en") -> P3PPolicy:
    """Return a declaration as a P3P policy.

    Args:
        declaration: any declaration.
        language: the language of the texts, where it has it.

    Returns:
        The policy. Elements that are not P3P's are defined in it. It has no
        address of its own, so it names none for people to read.
    """
    who = declaration.controller
    entity = (
        ("business.name", who.name or who.id or declaration.service),
        ("business.contact-info.postal.street", who.address),
        (_way_to_reach(who.contact), who.contact),
    )
    own = {
        item.attribute: item.categories
        for statement in declaration.statements
        for item in statement.data
        if not in_base_schema(item.attribute)
    }
    return P3PPolicy(
        name=declaration.purpose,
        language=language,
        entity=tuple((name, text) for name, text in entity if text),
        statements=tuple(
            _statement(statement, language)
            for statement in declaration.statements
        ),
        schema=DataSchema(
            elements=tuple(
                Definition(name=name, categories=categories)
                for name, categories in sorted(own.items())
            )
        ),
    )


def _way_to_reach(contact: str) -> str:
    """Return the element of ``business`` that a contact is of."""
    if "@" in contact:
        return "business.contact-info.online.email"
    if "://" in contact or not any(c.isdigit() for c in contact):
        return "business.contact-info.online.uri"
    return "business.contact-info.telecom.telephone.number"


def _statement(statement: Statement, language: str) -> P3PStatement:
    return P3PStatement(
        consequence=" ".join(statement.consequence.get(language, "").split()),
        non_identifiable=statement.non_identifiable,
        purposes=tuple(_purposes(statement)),
        recipients=tuple(
            RecipientTerm(
                recipient=name,
                required=Required.ALWAYS
                if name is RecipientClass.OURS
                else statement.recipient_choices.get(name, Required.ALWAYS),
            )
            for name in dict.fromkeys(statement.recipients)
        ),
        retentions=(statement.retention,),
        data=tuple(
            DataTerm(
                attribute=item.attribute,
                optional=item.optional,
                categories=item.categories,
                local=not in_base_schema(item.attribute),
            )
            for item in statement.data
        ),
    )


def _purposes(statement: Statement) -> Iterator[PurposeTerm]:
    for use in statement.purposes:
        always = use.purpose is Purpose.CURRENT
        yield PurposeTerm(
            purpose=use.purpose,
            required=Required.ALWAYS if always else use.required,
            text="other purpose" if use.purpose is Purpose.OTHER else "",
        )
