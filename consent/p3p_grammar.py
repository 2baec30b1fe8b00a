"""The shape of a P3P file: what may stand where, how often, in which order.

P3P 1.0, appendix 5 (the DTD), as far as a reader needs it. What a choice of
words allows (the children of PURPOSE and its like) is looked at where the
words are read. An EXTENSION may stand anywhere; what is in it is its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from consent.findings import Note
from consent.p3p_xml import Element


@dataclass(frozen=True, slots=True)
class _Shape:
    """What an element may hold.

    Attributes:
        parts: children in order, each with ``?``, ``*``, ``+`` or nothing;
            ``#words`` for a choice that is checked elsewhere.
        attributes: names, the required ones with ``!``.
        text: whether text may stand in it.
    """

    parts: str = ""
    attributes: str = ""
    text: bool = False


_SHAPES: Mapping[str, _Shape] = {
    "META": _Shape("POLICY-REFERENCES POLICIES?", "lang"),
    "POLICY-REFERENCES": _Shape("EXPIRY? POLICY-REF* HINT*"),
    "POLICY-REF": _Shape(
        "INCLUDE* EXCLUDE* COOKIE-INCLUDE* COOKIE-EXCLUDE* METHOD*", "about!"
    ),
    "INCLUDE": _Shape(text=True),
    "EXCLUDE": _Shape(text=True),
    "METHOD": _Shape(text=True),
    "COOKIE-INCLUDE": _Shape("", "name value domain path"),
    "COOKIE-EXCLUDE": _Shape("", "name value domain path"),
    "HINT": _Shape("", "scope! path!"),
    "EXPIRY": _Shape("", "max-age date"),
    "POLICIES": _Shape("EXPIRY? DATASCHEMA? POLICY*", "lang"),
    "POLICY": _Shape(
        "TEST? EXPIRY? DATASCHEMA? ENTITY ACCESS DISPUTES-GROUP? STATEMENT+",
        "name! discuri! opturi lang",
    ),
    "TEST": _Shape(),
    "ENTITY": _Shape("DATA-GROUP"),
    "ACCESS": _Shape("#words"),
    "DISPUTES-GROUP": _Shape("DISPUTES+"),
    "DISPUTES": _Shape(
        "LONG-DESCRIPTION? IMG? REMEDIES?",
        "resolution-type! service! verification short-description",
    ),
    "LONG-DESCRIPTION": _Shape(text=True),
    "IMG": _Shape("", "src! width height alt!"),
    "REMEDIES": _Shape("#words"),
    "STATEMENT": _Shape(
        "CONSEQUENCE? NON-IDENTIFIABLE? PURPOSE? RECIPIENT? RETENTION?"
        " DATA-GROUP*"
    ),
    "CONSEQUENCE": _Shape(text=True),
    "NON-IDENTIFIABLE": _Shape(),
    "PURPOSE": _Shape("#words"),
    "RECIPIENT": _Shape("#words"),
    "RETENTION": _Shape("#words"),
    "DATA-GROUP": _Shape("#words", "base"),
    "DATA": _Shape("CATEGORIES?", "ref! optional", text=True),
    "CATEGORIES": _Shape("#words"),
    "DATASCHEMA": _Shape("#words", "lang"),
    "DATA-DEF": _Shape(
        "CATEGORIES? LONG-DESCRIPTION?",
        "name! structref short-description",
    ),
    "DATA-STRUCT": _Shape(
        "CATEGORIES? LONG-DESCRIPTION?",
        "name! structref short-description",
    ),
}
# Faults that are named for what is missing, because everybody looks for it.
_MISSING = {
    ("POLICY", "name"): "no-name",
    ("POLICY", "discuri"): "no-discuri",
    ("POLICY", "ENTITY"): "no-entity",
    ("POLICY", "ACCESS"): "no-access",
    ("DATA", "ref"): "no-reference",
}
# What the readers of statements report themselves, with how it was read.
_ELSEWHERE = {("DATA", "ref"), ("POLICY", "STATEMENT")}


def note_shape(root: Element, note: Note) -> None:
    """Report where a file is not shaped as P3P 1.0 says.

    Args:
        root: its outermost element.
        note: where to report findings.
    """
    for element in _walk(root):
        shape = _SHAPES.get(element.name)
        if shape is not None:
            _note_attributes(element, shape, note)
            if shape.parts != "#words" and (element.children or shape.parts):
                _note_parts(element, shape, note)
            if not shape.text and element.text.strip():
                note(
                    element,
                    "stray-text",
                    f"text stands in {element.name}; it is ignored",
                )


def _walk(root: Element) -> Iterator[Element]:
    waiting = [root]
    while waiting:
        element = waiting.pop()
        yield element
        if element.name != "EXTENSION":
            waiting.extend(reversed(element.children))


def _note_attributes(element: Element, shape: _Shape, note: Note) -> None:
    required, known = _names(shape.attributes)
    for name in element.attributes:
        if name not in known:
            note(
                element,
                "unknown-attribute",
                f"{element.name} has no attribute {name[:64]}; it is ignored",
            )
    for name in required:
        place = (element.name, name)
        if not element.attributes.get(name) and place not in _ELSEWHERE:
            note(
                element,
                _MISSING.get(place, "missing-attribute"),
                f"{element.name} has no {name}",
            )


@cache
def _order(
    parts: str,
) -> tuple[Mapping[str, str], Mapping[str, int], tuple[str, ...]]:
    """How often each part may stand, where, and which must stand."""
    times = {part.rstrip("?*+"): part[-1] for part in parts.split()}
    return (
        times,
        {name: number for number, name in enumerate(times)},
        tuple(name for name, often in times.items() if often not in "?*"),
    )


@cache
def _names(attributes: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """The attributes that must be there, and all that may."""
    names = attributes.split()
    return (
        tuple(name.rstrip("!") for name in names if name.endswith("!")),
        frozenset({"lang", *(name.rstrip("!") for name in names)}),
    )


def _note_parts(element: Element, shape: _Shape, note: Note) -> None:
    parts, order, needed = _order(shape.parts)
    count: dict[str, int] = {}
    furthest = 0
    for child in element.children:
        if child.name == "EXTENSION":
            continue
        if child.name not in order:
            note(
                child,
                "unknown-part",
                f"{child.name[:64]} does not belong in {element.name};"
                " it is ignored",
            )
            continue
        count[child.name] = count.get(child.name, 0) + 1
        if count[child.name] == 2 and parts[child.name] not in "*+":
            note(
                child,
                "repeated-part",
                f"{element.name} has more than one {child.name}",
            )
        if order[child.name] < furthest:
            note(
                child,
                "out-of-order",
                f"{child.name} stands too late in {element.name}",
            )
        furthest = max(furthest, order[child.name])
    for name in needed:
        place = (element.name, name)
        if name not in count and place not in _ELSEWHERE:
            note(
                element,
                _MISSING.get(place, "missing-part"),
                f"{element.name} has no {name}",
            )
