"""One STATEMENT of a P3P file, read as the widest that it can mean.

P3P 1.0, section 3.3. What a statement leaves out may be anything: without a
PURPOSE it is for other purposes, without a RECIPIENT it is public, without a
RETENTION it is kept indefinitely, without data it is about unnamed data.
Unknown words are read the same way. Each such reading is a finding.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

from consent.elements import categories_of, covers, schema
from consent.findings import Finding
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

Note = Callable[[Element, str, str], None]
"""Reports a finding: at which element, its code, its message."""

BASE_SCHEMA = re.compile(
    r"https?://www\.w3\.org/TR/(?:\d{4}/\w+-)?P3P(?:-\d+)?/base"
)
_REFERENCE = re.compile(r"[A-Za-z_][\w.-]*")
_IDENTIFYING = {
    Category.PHYSICAL,
    Category.ONLINE,
    Category.UNIQUEID,
    Category.FINANCIAL,
    Category.GOVERNMENT,
}


def notes_in(where: str, found: list[Finding]) -> Note:
    """Return what reports findings of one file into a list.

    Args:
        where: what to call the file.
        found: the list that grows.

    Returns:
        A function of an element, a code and a message.
    """

    def note(at: Element, code: str, message: str) -> None:
        found.append(
            Finding(
                where=where,
                line=at.line,
                column=at.column,
                code=code,
                message=message,
            )
        )

    return note


def read_statement(
    element: Element,
    *,
    name: str,
    language: str,
    local: Mapping[str, frozenset[Category]],
    note: Note,
) -> Statement:
    """Read one STATEMENT.

    Args:
        element: the STATEMENT.
        name: the id to give it.
        language: the language of its texts.
        local: the elements that the file itself defines.
        note: where to report findings.

    Returns:
        The statement. P3P says nothing of legal bases, so it must be asked.
    """
    recipients = _choices(
        element, "RECIPIENT", RecipientClass, RecipientClass.PUBLIC, note
    )
    purposes = _choices(element, "PURPOSE", Purpose, Purpose.OTHER, note)
    consequence = element.first("CONSEQUENCE")
    text = "" if consequence is None else " ".join(consequence.text.split())
    statement = Statement(
        id=name,
        purposes=tuple(
            StatementPurpose(purpose=purpose, required=required)
            for purpose, required in purposes.items()
        ),
        recipients=tuple(recipients),
        recipient_choices={
            recipient: required
            for recipient, required in recipients.items()
            if required is not Required.ALWAYS
        },
        retention=_retention(element, note),
        data=_data(element, local, note),
        consequence={language: text} if text else {},
        non_identifiable=element.first("NON-IDENTIFIABLE") is not None,
    )
    _note_conflicts(element, statement, note)
    return statement


def _words(element: Element, name: str) -> list[Element]:
    return [
        child
        for group in element.all(name)
        for child in group.children
        if child.name not in {"EXTENSION", "recipient-description"}
    ]


def _choices(
    element: Element, name: str, words: type[W], widest: W, note: Note
) -> dict[W, Required]:
    found: dict[W, Required] = {}
    for child in _words(element, name):
        word = _word(child, words, widest, note)
        required = _required(child, word, note)
        before = found.get(word, required)
        # The least choice wins: it is what can happen to the person.
        found[word] = max(before, required, key=REQUIRED_ORDER.index)
    if not found:
        note(
            element,
            f"no-{name.lower()}",
            f"the statement has no {name}; it is read as {widest}",
        )
        found[widest] = Required.ALWAYS
    return found


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
            f"{child.name} is no {words.__name__}; it is read as {widest}",
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


def _retention(element: Element, note: Note) -> Retention:
    widest = Retention.INDEFINITELY
    found = [
        _word(child, Retention, widest, note)
        for child in _words(element, "RETENTION")
    ]
    if not found:
        note(
            element,
            "no-retention-said",
            f"the statement has no RETENTION; it is read as {widest}",
        )
        return widest
    if len(found) > 1:
        note(
            element,
            "several-retentions",
            "the statement has several retentions; the longest holds",
        )
    return max(found, key=RETENTION_ORDER.index)


def _data(
    element: Element, local: Mapping[str, frozenset[Category]], note: Note
) -> tuple[DataItem, ...]:
    found: dict[str, DataItem] = {}
    for group in element.all("DATA-GROUP"):
        for child in group.all("DATA"):
            item = _item(child, local, note)
            before = found.get(item.attribute)
            if before is not None and before.optional != item.optional:
                note(
                    child,
                    "both-optional",
                    f"{item.attribute} is optional and not; it is not",
                )
            found[item.attribute] = (
                item if before is None else _joined(before, item)
            )
    if not found:
        note(
            element,
            "no-data",
            "the statement names no data; it may be about anything",
        )
    return tuple(found.values())


def _joined(one: DataItem, other: DataItem) -> DataItem:
    return DataItem(
        attribute=one.attribute,
        optional=one.optional and other.optional,
        categories=one.categories | other.categories,
    )


def _item(
    child: Element, local: Mapping[str, frozenset[Category]], note: Note
) -> DataItem:
    name = _name(child, note)
    said = frozenset(
        _word(word, Category, Category.OTHER, note)
        for word in _words(child, "CATEGORIES")
    )
    optional = child.attributes.get("optional", "no")
    if optional not in {"yes", "no"}:
        note(child, "unknown-word", "optional is neither yes nor no; it is no")
    return DataItem(
        attribute=name,
        optional=optional == "yes",
        categories=said | _known(child, name, said, local, note),
    )


def _name(child: Element, note: Note) -> str:
    """Return a reference as a name of our schema."""
    base, _, name = child.attributes.get("ref", "").partition("#")
    if base and not BASE_SCHEMA.fullmatch(base):
        note(
            child,
            "foreign-schema",
            f"{name} is of another schema; it is read by its name",
        )
    if not _REFERENCE.fullmatch(name):
        note(
            child,
            "no-reference",
            "the reference names no element; it is miscellaneous data",
        )
        return "dynamic.miscdata"
    return name


def _known(
    child: Element,
    name: str,
    said: frozenset[Category],
    local: Mapping[str, frozenset[Category]],
    note: Note,
) -> frozenset[Category]:
    fixed = categories_of(name)
    if fixed and said - fixed:
        note(
            child,
            "fixed-categories",
            f"the schema fixes the categories of {name}; others are ignored",
        )
    if fixed is None and name not in local:
        # The nearest element that is known says what kind of data it is.
        above = [ref for ref in schema() if covers(ref, name)]
        note(
            child,
            "unknown-element",
            f"the data schema has no element {name}",
        )
        if above:
            return categories_of(max(above, key=len)) or said
    if not fixed and not said and not local.get(name):
        note(
            child,
            "no-categories",
            f"{name} says no category; it counts as other-category",
        )
    return fixed or local.get(name, frozenset())


def _note_conflicts(
    element: Element, statement: Statement, note: Note
) -> None:
    uses = {use.purpose for use in statement.purposes}
    if statement.retention is Retention.NONE and uses & {
        Purpose.HISTORICAL,
        Purpose.INDIVIDUAL_ANALYSIS,
    }:
        note(
            element,
            "kept-and-not-kept",
            "what is not retained cannot be archived or analysed",
        )
    if statement.non_identifiable and any(
        item.categories & _IDENTIFYING for item in statement.data
    ):
        note(
            element,
            "identifiable",
            "the statement is NON-IDENTIFIABLE, yet its data identifies",
        )
