"""One STATEMENT of a P3P file: what it says, and the widest it can mean.

P3P 1.0, section 3.3. `read_statement` reads what stands there. What a
statement leaves out may be anything, and `statement_of` says so: without a
PURPOSE it is for other purposes, without a RECIPIENT it is public, without a
RETENTION it is kept indefinitely, without data it is about unnamed data.
Unknown words are read the same way. Each such reading is a finding.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

from consent.dataschema import DataSchema, known_categories
from consent.elements import (
    base_categories_of,
    categories_of,
    covers,
    in_base_schema,
    schema,
)
from consent.findings import Note
from consent.p3p_extensions import (
    all_extensions,
    extensions_of,
    jurisdictions_in,
    primary_in,
    statement_group,
)
from consent.p3p_model import (
    DataTerm,
    P3PStatement,
    PurposeTerm,
    RecipientTerm,
)
from consent.p3p_xml import Element
from consent.statements import DataItem, Statement, StatementPurpose
from consent.vocabulary import (
    REQUIRED_ORDER,
    RETENTION_ORDER,
    Category,
    Purpose,
    RecipientClass,
    Required,
    Retention,
)

W = TypeVar("W", bound=StrEnum)
T = TypeVar("T", PurposeTerm, RecipientTerm)

BASE_SCHEMA = re.compile(
    r"https?://www\.w3\.org/TR/(?:\d{4}/\w+-)?P3P(?:-\d+|11)?/base(?:\.xsd)?"
)
_REFERENCE = re.compile(r"[A-Za-z_][\w.-]{0,254}", re.ASCII)
_SETS = frozenset({"user", "thirdparty", "business", "dynamic"})
_IDENTIFYING = {
    Category.PHYSICAL,
    Category.ONLINE,
    Category.UNIQUEID,
    Category.FINANCIAL,
    Category.GOVERNMENT,
}


def read_statement(
    element: Element, *, local: DataSchema, note: Note
) -> P3PStatement:
    """Read one STATEMENT as it stands.

    Args:
        element: the STATEMENT.
        local: the elements that the file itself defines.
        note: where to report findings.

    Returns:
        What it says. A word said twice is one, with the least choice.
    """
    inside = tuple(all_extensions(element))
    consequence = element.first("CONSEQUENCE")
    text = "" if consequence is None else " ".join(consequence.text.split())
    return P3PStatement(
        consequence=text,
        non_identifiable=element.first("NON-IDENTIFIABLE") is not None,
        purposes=tuple(_purposes(element, note)),
        recipients=tuple(_recipients(element, note)),
        retentions=tuple(
            dict.fromkeys(
                _word(child, Retention, Retention.INDEFINITELY, note)
                for child in _words(element, "RETENTION")
            )
        ),
        data=_data(element, local, note),
        primary=primary_in(inside),
        jurisdictions=jurisdictions_in(inside),
        group=statement_group(inside),
        extensions=extensions_of(
            element, "PURPOSE", "RECIPIENT", "RETENTION", "DATA-GROUP"
        ),
        line=element.line,
        column=element.column,
    )


def statement_of(
    said: P3PStatement, *, name: str, language: str, note: Note
) -> Statement:
    """Return the widest that a statement can mean.

    Args:
        said: what it says.
        name: the id to give it.
        language: the language of its texts.
        note: where to report findings.

    Returns:
        The statement. P3P says nothing of legal bases, so it must be asked.
    """
    purposes = said.purposes or _unsaid(
        said, "PURPOSE", PurposeTerm(purpose=Purpose.OTHER), note
    )
    recipients = said.recipients or _unsaid(
        said, "RECIPIENT", RecipientTerm(recipient=RecipientClass.PUBLIC), note
    )
    statement = Statement(
        id=name,
        purposes=tuple(
            StatementPurpose(purpose=term.purpose, required=term.required)
            for term in purposes
        ),
        recipients=tuple(term.recipient for term in recipients),
        recipient_choices={
            term.recipient: term.required
            for term in recipients
            if term.required is not Required.ALWAYS
        },
        retention=_retention(said, note),
        data=tuple(
            DataItem(
                attribute=term.attribute,
                optional=term.optional,
                categories=term.categories,
            )
            for term in said.data
        ),
        consequence={language: said.consequence} if said.consequence else {},
        non_identifiable=said.non_identifiable,
    )
    if not said.data:
        note(
            said,
            "unsaid" if said.non_identifiable else "no-data",
            "the statement names no data; it may be about anything",
        )
    _note_conflicts(said, statement, note)
    return statement


def _words(element: Element, name: str) -> Iterator[Element]:
    for group in element.all(name):
        for child in group.children:
            if child.name not in {"EXTENSION", "recipient-description"}:
                yield child


def _purposes(element: Element, note: Note) -> Iterator[PurposeTerm]:
    found: dict[Purpose, PurposeTerm] = {}
    for child in _words(element, "PURPOSE"):
        word = _word(child, Purpose, Purpose.OTHER, note)
        text = " ".join(child.text.split())
        if child.name == Purpose.OTHER and not text:
            note(child, "no-text", "other-purpose does not say which")
        term = PurposeTerm(
            purpose=word,
            required=_required(child, word, note),
            text=text if word is Purpose.OTHER else "",
        )
        before = found.get(word)
        if before is not None:
            both = dict.fromkeys(t for t in (before.text, term.text) if t)
            term = replace(
                term,
                required=_least(before.required, term.required),
                text="; ".join(both),
            )
        found[word] = term
    yield from found.values()


def _recipients(element: Element, note: Note) -> Iterator[RecipientTerm]:
    found: dict[RecipientClass, RecipientTerm] = {}
    for child in _words(element, "RECIPIENT"):
        word = _word(child, RecipientClass, RecipientClass.PUBLIC, note)
        said = (
            " ".join(each.text.split())
            for each in child.all("recipient-description")
        )
        term = RecipientTerm(
            recipient=word,
            required=_required(child, word, note),
            descriptions=tuple(text for text in said if text),
        )
        before = found.get(word)
        if before is not None:
            term = replace(
                term,
                required=_least(before.required, term.required),
                descriptions=before.descriptions + term.descriptions,
            )
        found[word] = term
    yield from found.values()


def _least(one: Required, other: Required) -> Required:
    """Return the lesser choice: it is what can happen to the person."""
    return max(one, other, key=REQUIRED_ORDER.index)


def _unsaid(said: P3PStatement, name: str, term: T, note: Note) -> tuple[T]:
    word = getattr(term, name.lower())
    note(
        said,
        "unsaid" if said.non_identifiable else f"no-{name.lower()}",
        f"the statement has no {name}; it is read as {word}",
    )
    return (term,)


def _word(child: Element, words: type[W], widest: W, note: Note) -> W:
    if words is Purpose and child.name == "customization":
        note(child, "draft-word", "customization is read as tailoring")
        return words(Purpose.TAILORING.value)
    try:
        return words(child.name)
    except ValueError:
        note(
            child,
            "unknown-word",
            f"{child.name[:64]} is no {words.__name__};"
            f" it is read as {widest}",
        )
        return widest


def _required(child: Element, word: StrEnum, note: Note) -> Required:
    said = child.attributes.get("required")
    if said is None:
        return Required.ALWAYS
    if word in {Purpose.CURRENT, RecipientClass.OURS}:
        note(
            child,
            "no-choice",
            f"there is no choice about {word}; required is read as always",
        )
        return Required.ALWAYS
    try:
        return Required(said)
    except ValueError:
        note(
            child,
            "unknown-word",
            f"required says {said[:32]!r}; it is read as always",
        )
        return Required.ALWAYS


def _retention(said: P3PStatement, note: Note) -> Retention:
    widest = Retention.INDEFINITELY
    if not said.retentions:
        note(
            said,
            "unsaid" if said.non_identifiable else "no-retention-said",
            f"the statement has no RETENTION; it is read as {widest}",
        )
        return widest
    if len(said.retentions) > 1:
        note(
            said,
            "several-retentions",
            "the statement has several retentions; the longest holds",
        )
    return max(said.retentions, key=RETENTION_ORDER.index)


def _data(
    element: Element, local: DataSchema, note: Note
) -> tuple[DataTerm, ...]:
    found: dict[str, DataTerm] = {}
    for group in element.all("DATA-GROUP"):
        for child in group.children:
            if child.name == "DATA":
                term = _term(child, group, local, note)
                _keep(found, term, child, note)
            elif child.name in _SETS or child.name.lower() == "datatype":
                note(child, "p3p-1.1", "data is written as in P3P 1.1")
                for path, leaf in _paths(child):
                    term = _spelled(path, leaf, local, note)
                    _keep(found, term, leaf, note)
            elif child.name != "EXTENSION":
                note(
                    child,
                    "unknown-part",
                    f"{child.name[:64]} does not belong in DATA-GROUP;"
                    " it is ignored",
                )
    return tuple(found.values())


def _keep(
    found: dict[str, DataTerm], term: DataTerm, at: Element, note: Note
) -> None:
    before = found.get(term.attribute)
    if before is None:
        found[term.attribute] = term
        return
    if before.optional != term.optional:
        note(
            at,
            "both-optional",
            f"{term.attribute} is optional and not; it is not",
        )
    found[term.attribute] = replace(
        before,
        optional=before.optional and term.optional,
        categories=before.categories | term.categories,
        other="; ".join(
            dict.fromkeys(text for text in (before.other, term.other) if text)
        ),
    )


def _paths(top: Element) -> Iterator[tuple[str, Element]]:
    """Yield the innermost elements of a tree of data, with their paths."""
    waiting = [("", top)]
    while waiting:
        above, element = waiting.pop()
        is_set = element.name.lower() != "datatype"
        path = f"{above}.{element.name}".lstrip(".") if is_set else above
        inner = [c for c in element.children if c.name != "CATEGORIES"]
        if inner:
            waiting.extend((path, child) for child in reversed(inner))
        elif path:
            yield path, element


def _spelled(
    path: str, leaf: Element, local: DataSchema, note: Note
) -> DataTerm:
    said = Element(
        name="DATA",
        namespace=leaf.namespace,
        line=leaf.line,
        column=leaf.column,
        attributes={**leaf.attributes, "ref": f"#{path}"},
        children=leaf.children,
    )
    return _term(said, None, local, note)


def _term(
    child: Element, group: Element | None, local: DataSchema, note: Note
) -> DataTerm:
    name, base = _name(child, note)
    own = local.categories(name) is not None
    _note_base(child, group, own=own, note=note)
    optional = child.attributes.get("optional", "no")
    if optional not in {"yes", "no"}:
        note(child, "unknown-word", "optional is neither yes nor no; it is no")
    words = tuple(_words(child, "CATEGORIES")) if child.children else ()
    said = frozenset(
        _word(word, Category, Category.OTHER, note) for word in words
    )
    odd = [
        " ".join(word.text.split())
        for word in words
        if word.name == Category.OTHER
    ]
    if not all(odd):
        note(child, "no-category-text", "other-category does not say which")
    other = "; ".join(text for text in odd if text)
    return DataTerm(
        attribute=name,
        optional=optional == "yes",
        categories=_categories(child, name, said, local, note),
        base=base,
        local=own and not in_base_schema(name),
        other="" if categories_of(name) else other,
    )


def _note_base(
    child: Element, group: Element | None, *, own: bool, note: Note
) -> None:
    base = None if group is None else group.attributes.get("base")
    if base is None or BASE_SCHEMA.fullmatch(base.rstrip("#")):
        return
    if base:
        note(
            child,
            "foreign-schema",
            "the DATA-GROUP is of another schema; it is read by its name",
        )
    elif not own:
        note(
            child,
            "other-base",
            "the file does not define this element, yet its base says so",
        )


def _name(child: Element, note: Note) -> tuple[str, str]:
    """Return a reference as a name of our schema, and whose it was."""
    base, mark, name = child.attributes.get("ref", "").strip().rpartition("#")
    if name and not mark:
        note(
            child,
            "no-fragment",
            "the reference has no #; it is read as if it had",
        )
    if not base or BASE_SCHEMA.fullmatch(base):
        base = ""
    else:
        note(
            child,
            "foreign-schema",
            f"{name[:64]} is of another schema; it is read by its name",
        )
    if not _REFERENCE.fullmatch(name):
        note(
            child,
            "no-reference",
            "the reference names no element; it is miscellaneous data",
        )
        return "dynamic.miscdata", ""
    return name, base


def _categories(
    child: Element,
    name: str,
    said: frozenset[Category],
    local: DataSchema,
    note: Note,
) -> frozenset[Category]:
    known = known_categories(name, local)
    if categories_of(name) and said - (known or said):
        note(
            child,
            "fixed-categories",
            f"the schema fixes the categories of {name}; others are ignored",
        )
        said = frozenset()
    if known is None or (
        categories_of(name) is not None
        and not in_base_schema(name)
        and local.categories(name) is None
    ):
        note(
            child,
            "unknown-element",
            f"the data schema has no element {name}",
        )
    if known is None:
        # The nearest element that is known says what kind of data it is.
        above = [ref for ref in schema() if covers(ref, name)]
        if above:
            known = base_categories_of(max(above, key=len))
    if not known and not said:
        note(
            child,
            "no-categories",
            f"{name} says no category; it counts as other-category",
        )
    return said | (known or frozenset())


def _note_conflicts(
    said: P3PStatement, statement: Statement, note: Note
) -> None:
    uses = {use.purpose for use in statement.purposes}
    if statement.retention is Retention.NONE and uses & {
        Purpose.HISTORICAL,
        Purpose.INDIVIDUAL_ANALYSIS,
    }:
        note(
            said,
            "kept-and-not-kept",
            "what is not retained cannot be archived or analysed",
        )
    if statement.non_identifiable and any(
        item.categories & _IDENTIFYING for item in statement.data
    ):
        note(
            said,
            "identifiable",
            "the statement is NON-IDENTIFIABLE, yet its data identifies",
        )
