"""EXTENSIONs: what P3P 1.1 put into them, and what nobody knows.

P3P 1.1 adds to 1.0 by EXTENSIONs alone: primary purposes that refine
``current`` (PPURPOSE), groups of statements, the jurisdiction of a
recipient, and OUR-HOST. Those are understood. Whatever else stands in an
EXTENSION is carried along, and where the EXTENSION is not optional, the
policy is not understood (P3P 1.0, section 3.5).
"""

from collections.abc import Iterable, Iterator

from consent.p3p_model import Extension, Markup
from consent.p3p_xml import Element

PRIMARY_PURPOSES = frozenset(
    {
        "account",
        "arts",
        "browsing",
        "charity",
        "communicate",
        "custom",
        "delivery",
        "downloads",
        "education",
        "feedback",
        "finmgt",
        "gambling",
        "gaming",
        "government",
        "health",
        "login",
        "marketing",
        "news",
        "payment",
        "sales",
        "search",
        "state",
        "surveys",
    }
)
"""The primary purposes of P3P 1.1, section 3.3.5.1."""

_UNDERSTOOD = frozenset(
    {
        "PPURPOSE",
        "STATEMENT-GROUP",
        "STATEMENT-GROUP-DEF",
        "JURISDICTION",
        "OUR-HOST",
    }
)


def is_understood(extension: Element) -> bool:
    """Say whether all that an EXTENSION holds is understood."""
    return bool(extension.children) and all(
        child.name in _UNDERSTOOD
        and (
            child.name != "PPURPOSE"
            or all(word.name in PRIMARY_PURPOSES for word in child.children)
        )
        for child in extension.children
    )


def is_mandatory(extension: Element) -> bool:
    """Say whether a reader must understand it; ``yes`` is the default."""
    return extension.attributes.get("optional", "yes").strip() != "yes"


def all_extensions(root: Element) -> Iterator[Element]:
    """Yield every EXTENSION under an element, in document order."""
    waiting = list(reversed(root.children))
    while waiting:
        element = waiting.pop()
        if element.name == "EXTENSION":
            yield element
        else:
            waiting.extend(reversed(element.children))


def primary_in(extensions: Iterable[Element]) -> tuple[str, ...]:
    """Return the known primary purposes in EXTENSIONs, in order."""
    return tuple(
        dict.fromkeys(
            word.name
            for group in _within(extensions, "PPURPOSE")
            for word in group.children
            if word.name in PRIMARY_PURPOSES
        )
    )


def jurisdictions_in(extensions: Iterable[Element]) -> tuple[Markup, ...]:
    """Return the JURISDICTIONs in the EXTENSIONs of a STATEMENT."""
    return tuple(map(markup, _within(extensions, "JURISDICTION")))


def statement_group(extensions: Iterable[Element]) -> str:
    """Return the name of the group that a STATEMENT belongs to."""
    for found in _within(extensions, "STATEMENT-GROUP"):
        return found.attributes.get("name", "")
    return ""


def group_definitions(policy: Element) -> tuple[Markup, ...]:
    """Return the STATEMENT-GROUP-DEFs of a POLICY."""
    return tuple(
        markup(child)
        for extension in policy.all("EXTENSION")
        for child in extension.all("STATEMENT-GROUP-DEF")
    )


def _within(extensions: Iterable[Element], name: str) -> Iterator[Element]:
    for extension in extensions:
        yield from extension.all(name)


def extensions_of(element: Element, *inner: str) -> tuple[Extension, ...]:
    """Return the EXTENSIONs of an element that are not understood.

    Args:
        element: the element.
        inner: children of it whose EXTENSIONs are taken too.

    Returns:
        Each with the name of the element that it stands in.
    """
    places = [element, *(c for c in element.children if c.name in inner)]
    return tuple(
        Extension(
            place=place.name,
            optional=not is_mandatory(extension),
            content=content,
        )
        for place in places
        for extension in place.all("EXTENSION")
        if (content := tuple(_rest(extension))) or not extension.children
    )


def _rest(extension: Element) -> Iterator[Markup]:
    for child in extension.children:
        if not is_understood_part(child):
            yield markup(child)


def is_understood_part(child: Element) -> bool:
    """Say whether one thing in an EXTENSION is kept elsewhere."""
    if child.name == "PPURPOSE":
        return all(word.name in PRIMARY_PURPOSES for word in child.children)
    return child.name in _UNDERSTOOD - {"OUR-HOST"}


def markup(element: Element) -> Markup:
    """Return an element as what is carried along."""
    return Markup(
        name=element.name.rpartition("}")[2],
        namespace=element.namespace,
        attributes=tuple(
            sorted({**element.attributes, **element.foreign}.items())
        ),
        text=" ".join(element.text.split()),
        children=tuple(map(markup, element.children)),
    )
