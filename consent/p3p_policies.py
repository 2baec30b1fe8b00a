"""P3P 1.0 files as declarations.

A file is a META (a reference file, perhaps with policies in line), a
POLICIES or a bare POLICY; the web of the day served all three in each
other's place. Every POLICY becomes one declaration. P3P knows no legal
basis and no version: the basis is read as consent, which must be asked, and
the version is 1.

An EXTENSION that is not optional says that who does not understand it has
not understood the policy; none is understood yet, so that is an error. A
policy marked TEST must not be acted on and is left out unless asked for.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from consent.declarations import Controller, Declaration
from consent.errors import DeclarationInvalid
from consent.findings import Finding
from consent.p3p_statements import Note, notes_in, read_statement
from consent.p3p_xml import DRAFTS, SUCCESSOR, Element, read_xml
from consent.vocabulary import Category

_IMPORTED = "imported"


@dataclass(frozen=True, slots=True, kw_only=True)
class P3PReading:
    """What a P3P file says.

    Attributes:
        root: the name of its outermost element.
        declarations: its policies, in their order.
        findings: what was noticed, in the order of reading.
    """

    root: str
    declarations: tuple[Declaration, ...]
    findings: tuple[Finding, ...]


def load_p3p(text: bytes, *, where: str) -> tuple[Declaration, ...]:
    """Read the declarations of a P3P file.

    Args:
        text: the bytes of the file, at most 1 MiB.
        where: what to call the source in an error.

    Returns:
        One declaration a POLICY; none for a reference file without any.

    Raises:
        DeclarationInvalid: the file cannot be read safely, or leaves no
            safe reading; one error, with line and column.
    """
    return read_p3p(text, where=where).declarations


def read_p3p(
    text: bytes,
    *,
    where: str,
    service: str | None = None,
    include_tests: bool = False,
) -> P3PReading:
    """Read a P3P file, and say what was noticed.

    Args:
        text: the bytes of the file, at most 1 MiB.
        where: what to call the source in errors and findings.
        service: the id of the service that declares; by default the host
            of the human-readable policy.
        include_tests: whether policies marked TEST are read too.

    Returns:
        The declarations and the findings.

    Raises:
        DeclarationInvalid: as `load_p3p`.
    """
    root = read_xml(text, where=where)
    findings: list[Finding] = []
    reader = _PolicyReader(where, service, notes_in(where, findings))
    reader.note_namespace(root)
    policies = [
        policy
        for policy in _policies(root, where)
        if include_tests or not reader.is_test(policy)
    ]
    return P3PReading(
        root=root.name,
        declarations=tuple(map(reader.policy, policies)),
        findings=tuple(findings),
    )


def _policies(root: Element, where: str) -> Iterator[Element]:
    if root.name == "POLICY":
        yield root
    elif root.name == "POLICIES":
        yield from _in_group(root)
    elif root.name == "META":
        for group in root.all("POLICIES"):
            yield from _in_group(group)
    else:
        _refuse(
            root,
            where,
            f"the file begins with {root.name[:64]}",
            "pass a META, a POLICIES or a POLICY",
        )


def _in_group(group: Element) -> Iterator[Element]:
    for policy in group.all("POLICY"):
        # What is said for all policies holds for each of them.
        policy.attributes.setdefault("lang", group.attributes.get("lang", ""))
        policy.children.extend(group.all("DATASCHEMA"))
        yield policy


def _refuse(at: Element, where: str, what: str, remedy: str) -> None:
    raise DeclarationInvalid(
        where=where,
        line=at.line,
        column=at.column,
        what=what,
        remedy=remedy,
    )


class _PolicyReader:
    def __init__(self, where: str, service: str | None, note: Note) -> None:
        self._where = where
        self._service = service
        self._note = note
        self._names: set[str] = set()

    def note_namespace(self, root: Element) -> None:
        if root.namespace in DRAFTS:
            self._note(
                root,
                "old-namespace",
                "the file has no namespace or that of a draft of P3P",
            )
        elif root.namespace == SUCCESSOR:
            self._note(root, "p3p-1.1", "the file is read as P3P 1.0")

    def is_test(self, policy: Element) -> bool:
        if policy.first("TEST") is None:
            return False
        self._note(policy, "test", "the policy is for testing; left out")
        return True

    def policy(self, policy: Element) -> Declaration:
        for extension in _extensions(policy):
            if extension.attributes.get("optional") == "no":
                _refuse(
                    extension,
                    self._where,
                    "a mandatory EXTENSION is not understood",
                    "ask the author for a policy without it",
                )
        statements = list(policy.all("STATEMENT"))
        if not statements:
            _refuse(
                policy,
                self._where,
                "the policy has no STATEMENT",
                "ask the author for a complete policy",
            )
        language = policy.attributes.get("lang") or "en"
        local = _local_schema(policy)
        read = tuple(
            read_statement(
                statement,
                name=f"s{number}",
                language=language,
                local=local,
                note=self._note,
            )
            for number, statement in enumerate(statements, start=1)
        )
        said = [text for s in read for text in s.consequence.values()]
        name = policy.attributes.get("name", "")
        if not name:
            self._note(policy, "no-name", "the policy has no name")
        return Declaration(
            service=self._service or _host(policy),
            purpose=self._unique(name),
            version=1,
            title={language: name or "policy"},
            purpose_text={language: " ".join(said) or name or "policy"},
            statements=read,
            controller=_controller(policy),
        )

    def _unique(self, name: str) -> str:
        words = re.findall(r"[a-z0-9]+", name.lower())
        base = "-".join(words)[:56] or "policy"
        found, number = base, 1
        while found in self._names:
            number += 1
            found = f"{base}-{number}"
        self._names.add(found)
        return found


def _extensions(element: Element) -> Iterator[Element]:
    for child in element.children:
        if child.name == "EXTENSION":
            yield child
        else:
            yield from _extensions(child)


def _host(policy: Element) -> str:
    try:
        host = urlsplit(policy.attributes.get("discuri", "")).hostname
    except ValueError:
        host = None
    words = re.findall(r"[a-z0-9]+", host or "")
    return ".".join(words)[:64] or _IMPORTED


def _local_schema(policy: Element) -> Mapping[str, frozenset[Category]]:
    words = {category.value for category in Category}
    return {
        definition.attributes.get("name", ""): frozenset(
            Category(word.name)
            for group in definition.all("CATEGORIES")
            for word in group.children
            if word.name in words
        )
        for group in policy.all("DATASCHEMA")
        for definition in group.all("DATA-DEF")
    }


def _controller(policy: Element) -> Controller:
    said = {
        data.attributes.get("ref", "").rpartition("#")[2]: data.text.strip()
        for entity in policy.all("ENTITY")
        for group in entity.all("DATA-GROUP")
        for data in group.all("DATA")
    }
    contact = "business.contact-info."

    def first(*names: str) -> str:
        return next((said[name] for name in names if said.get(name)), "")

    return Controller(
        name=first("business.name", contact + "postal.organization"),
        address=", ".join(
            said[contact + "postal." + part]
            for part in ("street", "city", "postalcode", "country")
            if said.get(contact + "postal." + part)
        ),
        contact=first(
            contact + "online.email",
            contact + "online.uri",
            contact + "telecom.telephone.number",
        ),
        type="website",
    )
