"""P3P 1.0 files: the full model, and each policy as a declaration.

A file is a META (a reference file, perhaps with policies in line), a
POLICIES or a bare POLICY; the web of the day served all three in each
other's place. Every POLICY becomes one declaration. P3P knows no legal
basis and no version: the basis is read as consent, which must be asked, and
the version is 1.

An EXTENSION that is not optional says that who does not understand it has
not understood the policy; those of P3P 1.1 are understood, all others are
an error. A policy marked TEST must not be acted on and is left out unless
asked for.

Reading is lenient: what breaks the specification is a finding, read as the
widest that it can mean. A strict reading (`strict=True`) ends at the first
finding that is an error.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from consent.dataschema import DataSchema, read_schema
from consent.declarations import Controller, Declaration
from consent.errors import DeclarationInvalid
from consent.expiry import read_expiry
from consent.findings import Finding, Note, Severity, notes_in
from consent.p3p_extensions import (
    all_extensions,
    extensions_of,
    group_definitions,
    is_mandatory,
    is_understood,
)
from consent.p3p_grammar import note_shape
from consent.p3p_model import (
    Dispute,
    Image,
    P3PDocument,
    P3PPolicy,
    P3PStatement,
)
from consent.p3p_statements import read_statement, statement_of
from consent.p3p_xml import DRAFTS, SUCCESSOR, Element, read_xml
from consent.policy_reference import read_references
from consent.vocabulary import Access, Required

_IMPORTED = "imported"
_RESOLUTIONS = frozenset({"service", "independent", "court", "law"})
_REMEDIES = frozenset({"correct", "money", "law"})
_LEGAL_NAMES = ("business.name", "business.contact-info.postal.organization")
_WHO_REACHES = "business.contact-info."


@dataclass(frozen=True, slots=True, kw_only=True)
class P3PReading:
    """What a P3P file says.

    Attributes:
        root: the name of its outermost element.
        declarations: its policies, in their order; those for testing only
            where they were asked for.
        findings: what was noticed, in the order of the file.
        document: all that it says, those for testing included.
    """

    root: str
    declarations: tuple[Declaration, ...]
    findings: tuple[Finding, ...]
    document: P3PDocument


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
    strict: bool = False,
) -> P3PReading:
    """Read a P3P file, and say what was noticed.

    Args:
        text: the bytes of the file, at most 1 MiB.
        where: what to call the source in errors and findings.
        service: the id of the service that declares; by default the host
            of the human-readable policy.
        include_tests: whether policies marked TEST are read too.
        strict: whether the first breach of the specification ends it.

    Returns:
        The declarations and the findings.

    Raises:
        DeclarationInvalid: as `load_p3p`; where it is strict, also the
            first finding that is an error, by its code.
    """
    root = read_xml(text, where=where)
    findings: list[Finding] = []
    note = notes_in(where, findings)
    document = _document(root, where, note)
    _demand_understood(root, where)
    reader = _Declarations(where, service, note)
    declarations = tuple(
        reader.declaration(policy)
        for policy in document.policies
        if include_tests or not reader.is_test(policy)
    )
    findings.sort(key=lambda found: (found.line, found.column))
    if strict:
        _demand_none(findings)
    return P3PReading(
        root=root.name,
        declarations=declarations,
        findings=tuple(findings),
        document=document,
    )


def read_p3p_document(
    text: bytes, *, where: str
) -> tuple[P3PDocument, tuple[Finding, ...]]:
    """Read what a P3P file says, understood or not.

    Args:
        text: the bytes of the file, at most 1 MiB.
        where: what to call the source in errors and findings.

    Returns:
        The full model and what was noticed. An EXTENSION that must be
        understood and is not is a finding here: never act on such a policy.

    Raises:
        DeclarationInvalid: the file is no P3P file.
    """
    root = read_xml(text, where=where)
    findings: list[Finding] = []
    note = notes_in(where, findings)
    document = _document(root, where, note)
    for extension in all_extensions(root):
        if is_mandatory(extension) and not is_understood(extension):
            note(
                extension,
                "mandatory-extension",
                "a mandatory EXTENSION is not understood",
            )
    return document, tuple(findings)


def policies_in(root: Element) -> Iterator[Element]:
    """Yield the POLICY elements of a file, in their order."""
    if root.name == "POLICY":
        yield root
    elif root.name == "POLICIES":
        yield from root.all("POLICY")
    else:
        for group in root.all("POLICIES"):
            yield from group.all("POLICY")


def _demand_none(findings: list[Finding]) -> None:
    for found in findings:
        if found.severity is Severity.ERROR:
            raise DeclarationInvalid(
                where=found.where,
                line=found.line,
                column=found.column,
                what=found.message,
                remedy="correct it, or read the file leniently",
                code=found.code,
            )


def _demand_understood(root: Element, where: str) -> None:
    for extension in all_extensions(root):
        if is_mandatory(extension) and not is_understood(extension):
            raise DeclarationInvalid(
                where=where,
                line=extension.line,
                column=extension.column,
                what="a mandatory EXTENSION is not understood",
                remedy="ask the author for a policy without it",
                code="mandatory-extension",
            )


def _document(root: Element, where: str, note: Note) -> P3PDocument:
    if root.name not in {"META", "POLICIES", "POLICY"}:
        raise DeclarationInvalid(
            where=where,
            line=root.line,
            column=root.column,
            what=f"the file begins with {root.name[:64]}",
            remedy="pass a META, a POLICIES or a POLICY",
            code="no-p3p",
        )
    if root.namespace in DRAFTS:
        note(
            root,
            "old-namespace",
            "the file has no namespace or that of a draft of P3P",
        )
    elif root.namespace == SUCCESSOR:
        note(root, "p3p-1.1", "the file is one of P3P 1.1")
    note_shape(root, note)
    group = root.first("POLICIES") if root.name == "META" else root
    shared = DataSchema()
    if group is not None and group.name == "POLICIES":
        shared = read_schema(group, note)
    language = root.attributes.get("lang", "") if group is None else ""
    if group is not None and group.name == "POLICIES":
        language = group.attributes.get("lang", "") or root.attributes.get(
            "lang", ""
        )
    return P3PDocument(
        root=root.name,
        language=language,
        expiry=None
        if group is None or group.name == "POLICY"
        else read_expiry(group, note),
        policies=tuple(
            _policy(element, language, shared, where, note)
            for element in policies_in(root)
        ),
        references=read_references(root, note)
        if root.name == "META"
        else None,
    )


def _policy(
    element: Element, language: str, shared: DataSchema, where: str, note: Note
) -> P3PPolicy:
    statements = list(element.all("STATEMENT"))
    if not statements:
        raise DeclarationInvalid(
            where=where,
            line=element.line,
            column=element.column,
            what="the policy has no STATEMENT",
            remedy="ask the author for a complete policy",
            code="no-statement",
        )
    local = read_schema(element, note).joined(shared)
    said = element.attributes
    entity = tuple(_entity(element))
    if element.first("ENTITY") is not None:
        _note_entity(element, dict(entity), note)
    policy = P3PPolicy(
        name=said.get("name", ""),
        discuri=said.get("discuri", ""),
        opturi=said.get("opturi", ""),
        language=said.get("lang") or language,
        test=element.first("TEST") is not None,
        expiry=read_expiry(element, note),
        entity=entity,
        access=_access(element, note),
        disputes=tuple(_disputes(element, note)),
        statements=tuple(
            read_statement(statement, local=local, note=note)
            for statement in statements
        ),
        groups=group_definitions(element),
        schema=local,
        extensions=extensions_of(
            element, "ENTITY", "ACCESS", "DISPUTES-GROUP"
        ),
        line=element.line,
        column=element.column,
    )
    if not policy.opturi and any(map(_has_choice, policy.statements)):
        note(element, "no-opturi", "there is a choice, and no opturi for it")
    return policy


def _has_choice(statement: P3PStatement) -> bool:
    said = {term.required for term in statement.purposes}
    said |= {term.required for term in statement.recipients}
    return bool(said - {Required.ALWAYS})


def _entity(policy: Element) -> Iterator[tuple[str, str]]:
    for entity in policy.all("ENTITY"):
        for group in entity.all("DATA-GROUP"):
            for data in group.all("DATA"):
                name = data.attributes.get("ref", "").rpartition("#")[2]
                yield name.strip(), " ".join(data.text.split())


def _note_entity(policy: Element, said: dict[str, str], note: Note) -> None:
    at = policy.first("ENTITY") or policy
    if not any(said.get(name) for name in _LEGAL_NAMES):
        note(at, "entity-unnamed", "ENTITY does not name the legal entity")
    if not any(
        text
        and name.startswith(_WHO_REACHES)
        and name != _WHO_REACHES + "postal.organization"
        for name, text in said.items()
    ):
        note(at, "entity-unreachable", "ENTITY says no way to reach it")
    for name in said:
        if not name.startswith("business."):
            note(
                at,
                "entity-foreign",
                f"ENTITY holds {name[:64]}, which is not of business",
            )


def _access(policy: Element, note: Note) -> Access | None:
    found: list[Access] = []
    for group in policy.all("ACCESS"):
        words = [c for c in group.children if c.name != "EXTENSION"]
        for child in words:
            try:
                found.append(Access(child.name))
            except ValueError:
                note(
                    child,
                    "unknown-word",
                    f"{child.name[:64]} is no Access; it is read as none",
                )
                found.append(Access.NONE)
        if not words:
            note(group, "no-access", "ACCESS says nothing; read as none")
            found.append(Access.NONE)
        if len(words) > 1:
            note(
                group,
                "several-accesses",
                "ACCESS says more than one thing; it is read as none",
            )
    if not found:
        return None
    return found[0] if len(set(found)) == 1 else Access.NONE


def _disputes(policy: Element, note: Note) -> Iterator[Dispute]:
    for group in policy.all("DISPUTES-GROUP"):
        for element in group.all("DISPUTES"):
            yield _dispute(element, note)


def _dispute(element: Element, note: Note) -> Dispute:
    said = element.attributes
    long = element.first("LONG-DESCRIPTION")
    image = element.first("IMG")
    resolution = said.get("resolution-type", "")
    if resolution not in _RESOLUTIONS:
        note(
            element,
            "unknown-word",
            "the resolution type is none of service, independent, court, law",
        )
    short = said.get("short-description", "")
    if len(short) > 255:
        note(element, "too-long", "the short description is too long")
    words = [
        child
        for remedies in element.all("REMEDIES")
        for child in remedies.children
        if child.name != "EXTENSION"
    ]
    for child in words:
        if child.name not in _REMEDIES:
            note(
                child,
                "unknown-word",
                f"{child.name[:64]} is no remedy; it is ignored",
            )
    if element.first("REMEDIES") is not None and not words:
        note(element, "no-remedy", "REMEDIES names no remedy")
    return Dispute(
        resolution=resolution,
        service=said.get("service", ""),
        verification=said.get("verification", ""),
        short=short,
        long="" if long is None else " ".join(long.text.split()),
        image=None
        if image is None
        else Image(
            src=image.attributes.get("src", ""),
            alt=image.attributes.get("alt", ""),
            width=image.attributes.get("width", ""),
            height=image.attributes.get("height", ""),
        ),
        remedies=tuple(
            dict.fromkeys(c.name for c in words if c.name in _REMEDIES)
        ),
        extensions=extensions_of(element, "REMEDIES"),
    )


class _Declarations:
    """Makes declarations of policies, with names that are told apart."""

    def __init__(self, where: str, service: str | None, note: Note) -> None:
        self._where = where
        self._service = service
        self._note = note
        self._names: set[str] = set()
        self._count: dict[str, int] = {}

    def is_test(self, policy: P3PPolicy) -> bool:
        """Say whether a policy is for testing, and note it."""
        if policy.test:
            self._note(policy, "test", "the policy is for testing; left out")
        return policy.test

    def declaration(self, policy: P3PPolicy) -> Declaration:
        """Return a policy as a declaration."""
        language = policy.language or "en"
        read = tuple(
            statement_of(
                statement,
                name=f"s{number}",
                language=language,
                note=self._note,
            )
            for number, statement in enumerate(policy.statements, start=1)
        )
        said = [text for s in read for text in s.consequence.values()]
        return Declaration(
            service=self._service or _host(policy),
            purpose=self._unique(policy.name),
            version=1,
            title={language: policy.name or "policy"},
            purpose_text={language: " ".join(said) or policy.name or "policy"},
            statements=read,
            controller=_controller(policy),
        )

    def _unique(self, name: str) -> str:
        words = re.findall(r"[a-z0-9]+", name.lower())
        base = "-".join(words)[:56] or "policy"
        found, number = base, self._count.get(base, 1)
        while found in self._names:
            number += 1
            found = f"{base}-{number}"
        self._count[base] = number
        self._names.add(found)
        return found


def _host(policy: P3PPolicy) -> str:
    try:
        host = urlsplit(policy.discuri).hostname
    except ValueError:
        host = None
    words = re.findall(r"[a-z0-9]+", host or "")
    return ".".join(words)[:64] or _IMPORTED


def _controller(policy: P3PPolicy) -> Controller:
    said = dict(policy.entity)
    contact = _WHO_REACHES

    def first(*names: str) -> str:
        return next((said[name] for name in names if said.get(name)), "")

    return Controller(
        name=first(*_LEGAL_NAMES),
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
