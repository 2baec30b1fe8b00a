"""What rule sets of the time are matched against: completed policies.

APPEL and XPref both look at the XML of a policy, and both go wrong where the
XML leaves out what the specification fills in: an absent ``required`` means
``always``, an absent ``optional`` means ``no``, and the categories of an
element stand in a data schema. So a policy is completed before any rule sees
it. What a statement leaves out altogether stays left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from consent.dataschema import DataSchema, read_schema
from consent.errors import DeclarationInvalid
from consent.findings import Finding, notes_in
from consent.p3p_policies import policies_in
from consent.p3p_statements import read_statement
from consent.p3p_xml import Element, read_xml
from consent.vocabulary import Purpose, RecipientClass

if TYPE_CHECKING:
    from consent.findings import Note

_WITHOUT_CHOICE = {Purpose.CURRENT.value, RecipientClass.OURS.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One completed policy.

    Attributes:
        name: the policy's name.
        policy: its POLICY; never change it.
    """

    name: str
    policy: Element


def read_evidence(text: bytes, *, where: str) -> tuple[Evidence, ...]:
    """Read the policies of a P3P file as evidence for rules.

    Args:
        text: the bytes of the file, at most 1 MiB.
        where: what to call the source in an error.

    Returns:
        Every policy of the file, those for testing too.

    Raises:
        DeclarationInvalid: the file cannot be read safely, or is no P3P.
    """
    root = read_xml(text, where=where)
    if root.name not in {"META", "POLICIES", "POLICY"}:
        raise DeclarationInvalid(
            where=where,
            line=root.line,
            column=root.column,
            what=f"the file begins with {root.name[:64]}",
            remedy="pass a META, a POLICIES or a POLICY",
            code="no-p3p",
        )
    ignored: list[Finding] = []
    note = notes_in(where, ignored)
    group = root.first("POLICIES") if root.name == "META" else root
    shared = DataSchema() if group is None else read_schema(group, note)
    return tuple(
        Evidence(
            name=policy.attributes.get("name", ""),
            policy=_completed(policy, shared, note),
        )
        for policy in policies_in(root)
    )


def _completed(policy: Element, shared: DataSchema, note: "Note") -> Element:
    local = read_schema(policy, note).joined(shared)
    for statement in policy.all("STATEMENT"):
        said = read_statement(statement, local=local, note=note)
        kinds = {term.attribute: term.categories for term in said.data}
        for name in ("PURPOSE", "RECIPIENT"):
            for group in statement.all(name):
                for word in group.children:
                    if word.name not in _WITHOUT_CHOICE | {"EXTENSION"}:
                        word.attributes.setdefault("required", "always")
        for data in _data(statement):
            data.attributes.setdefault("optional", "no")
            ref = data.attributes.get("ref", "").rpartition("#")[2].strip()
            _add_categories(data, {c.value for c in kinds.get(ref, ())})
    return policy


def _data(statement: Element) -> Iterator[Element]:
    for group in statement.all("DATA-GROUP"):
        yield from group.all("DATA")


def _add_categories(data: Element, words: set[str]) -> None:
    group = data.first("CATEGORIES")
    if group is None and words:
        group = Element(
            name="CATEGORIES",
            namespace=data.namespace,
            line=data.line,
            column=data.column,
            attributes={},
        )
        data.children.append(group)
    if group is not None:
        said = {child.name for child in group.children}
        group.children.extend(
            Element(
                name=word,
                namespace=data.namespace,
                line=data.line,
                column=data.column,
                attributes={},
            )
            for word in sorted(words - said)
        )


def as_tree(element: Element) -> ET.Element:
    """Return evidence as a tree without namespaces, for XPath.

    Args:
        element: the POLICY.

    Returns:
        A new tree; P3P's names have no namespace, others keep theirs.
    """
    node = ET.Element(element.name, element.attributes)
    node.text = element.text
    node.extend(as_tree(child) for child in element.children)
    return node
