"""P3P files as a small tree, read from bytes that nobody has to trust.

`xml.parsers.expat` is a tokenizer; what it must not do is decided here. A
document type, an entity, more than 64 levels and more than 1 MiB are refused
where they are met, so there is nothing to expand, to fetch or to blow the
stack with.

Namespaces are looked at, not enforced: the files of the day have five
different ones or none. An element of a foreign namespace is kept apart by
its name, so it can never be taken for P3P's, and so is an attribute of one.
"""

from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from consent.errors import DeclarationInvalid

LARGEST = 1024 * 1024
"""Bytes in one P3P file at most."""

DEEPEST = 64
"""Levels of elements at most."""

RECOMMENDATION = "http://www.w3.org/2002/01/P3Pv1"
DRAFTS = frozenset(
    {
        "",
        "http://www.w3.org/2001/09/P3Pv1",
        "http://www.w3.org/2000/12/P3Pv1",
        "http://www.w3.org/2000/10/18/P3Pv1",
        "http://www.w3.org/2000/09/15/P3Pv1",
        "http://www.w3.org/2000/P3Pv1",
    }
)
MOST = 50_000
"""Elements in one P3P file at most."""

SUCCESSOR = "http://www.w3.org/2006/01/P3Pv11"
_OURS = DRAFTS | {RECOMMENDATION, SUCCESSOR}
_XML = "http://www.w3.org/XML/1998/namespace"


@dataclass(slots=True, kw_only=True)
class Element:
    """One element of a P3P file.

    Attributes:
        name: its local name; with its namespace in braces before it where
            that is none of P3P's.
        namespace: its namespace, or the empty string.
        line: where its tag begins, from 1.
        column: where its tag begins, from 1.
        attributes: its attributes; ``lang`` is ``xml:lang``.
        foreign: attributes of other namespaces, each by its namespace in
            braces and its name.
        children: the elements in it.
        text: all text directly in it.
    """

    name: str
    namespace: str
    line: int
    column: int
    attributes: dict[str, str]
    foreign: dict[str, str] = field(default_factory=dict)
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    def all(self, name: str) -> list["Element"]:
        """Return the children of a name."""
        return [child for child in self.children if child.name == name]

    def first(self, name: str) -> "Element | None":
        """Return the first child of a name, or None."""
        for child in self.children:
            if child.name == name:
                return child
        return None


def read_xml(text: bytes, *, where: str) -> Element:
    """Read a P3P file into a tree.

    Args:
        text: the bytes of the file, at most 1 MiB.
        where: what to call the source in an error.

    Returns:
        The root element.

    Raises:
        DeclarationInvalid: the bytes are too many, are not XML, or use what
            is refused; with line and column.
    """
    return _Reader(where).read(text)


class _Reader:
    def __init__(self, where: str) -> None:
        self._where = where
        # Stands for the document, so that every element has a parent.
        self._document = Element(
            name="", namespace="", line=0, column=0, attributes={}
        )
        self._open = [self._document]
        self._texts: list[list[str]] = [[]]
        self._count = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype
        # Unreachable without a document type; refused all the same.
        self._parser.EntityDeclHandler = self._entity
        self._parser.ExternalEntityRefHandler = self._entity
        self._parser.SkippedEntityHandler = self._entity

    def read(self, text: bytes) -> Element:
        if len(text) > LARGEST:
            raise DeclarationInvalid(
                where=self._where,
                line=0,
                column=0,
                what=f"the file has {len(text)} bytes, more than {LARGEST}",
                remedy="no P3P file needs as much",
            )
        try:
            self._parser.Parse(text, True)  # noqa: FBT003 - expat takes no names
        except expat.ExpatError as error:
            raise DeclarationInvalid(
                where=self._where,
                line=error.lineno,
                column=error.offset + 1,
                what=f"this is not XML: {expat.errors.messages[error.code]}",
                remedy="correct the XML at this place",
            ) from None
        except (LookupError, ValueError):
            # Raised by the codec that the XML declaration names.
            self._fail("the encoding is not known", "save it as UTF-8")
        # Well-formed XML has exactly one.
        return self._document.children[0]

    def _fail(self, what: str, remedy: str) -> NoReturn:
        raise DeclarationInvalid(
            where=self._where,
            line=self._parser.CurrentLineNumber,
            column=self._parser.CurrentColumnNumber + 1,
            what=what,
            remedy=remedy,
        )

    def _doctype(self, *_: object) -> None:
        self._fail("a document type is not allowed", "remove the DOCTYPE")

    def _entity(self, *_: object) -> NoReturn:
        self._fail("an entity is not allowed", "write the text out")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._open) > DEEPEST:
            self._fail(
                f"elements are nested deeper than {DEEPEST} levels",
                "no P3P file needs as many",
            )
        self._count += 1
        if self._count > MOST:
            self._fail(
                f"the file has more than {MOST} elements",
                "no P3P file needs as many",
            )
        namespace, _, local = tag.rpartition(" ")
        parser = self._parser
        plain: dict[str, str] = {}
        foreign: dict[str, str] = {}
        for attribute, value in attributes.items():
            about, space, said = attribute.rpartition(" ")
            if not space or about in _OURS or about == _XML:
                plain[said] = value
            else:
                foreign[f"{{{about}}}{said}"] = value
        element = Element(
            name=local if namespace in _OURS else f"{{{namespace}}}{local}",
            namespace=namespace,
            line=parser.CurrentLineNumber,
            column=parser.CurrentColumnNumber + 1,
            attributes=plain,
            foreign=foreign,
            children=[],
        )
        self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])

    def _end(self, _tag: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def _characters(self, text: str) -> None:
        self._texts[-1].append(text)
