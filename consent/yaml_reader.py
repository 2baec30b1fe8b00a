"""Strict YAML: a small subset, and one clear error with its place.

A declaration is written by hand and then agreed to by people, so nothing in
it may be guessed. There are no anchors, aliases, tags or second documents,
no duplicate keys, and none of YAML 1.1's second spellings of truth and
numbers (``yes``, ``1_000``, ``1:30``). Everything that is wrong is a
`DeclarationInvalid` with line, column, fault and remedy; the first one met.
"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn, Protocol, TypeVar

import yaml

from consent.errors import DeclarationInvalid

T = TypeVar("T")
W = TypeVar("W", bound=StrEnum)

LARGEST = 256 * 1024
"""Bytes in one declaration at most."""

_DEEPEST = 16
_LONGEST_TEXT = 4000
_NAME = re.compile(r"[a-z0-9]+(?:[-._][a-z0-9]+)*")
_TAG = "tag:yaml.org,2002:"


class Place(Protocol):
    """Where something stands in a text, counted from 0."""

    @property
    def line(self) -> int:
        """The line."""

    @property
    def column(self) -> int:
        """The column."""


@dataclass(frozen=True, slots=True)
class _Found:
    line: int
    column: int


class YamlReader:
    """Reads the nodes of one text, and raises at the first fault.

    Attributes:
        where: the file or other source that the text came from.
    """

    def __init__(self, where: str) -> None:
        self.where = where

    def fail(
        self, at: yaml.Node | Place | None, what: str, remedy: str
    ) -> NoReturn:
        """Raise the one error.

        Args:
            at: the node or place that is wrong; None for the whole text.
            what: what is wrong.
            remedy: what to do about it.

        Raises:
            DeclarationInvalid: always.
        """
        mark = at.start_mark if isinstance(at, yaml.Node) else at
        raise DeclarationInvalid(
            where=self.where,
            line=0 if mark is None else mark.line + 1,
            column=0 if mark is None else mark.column + 1,
            what=what,
            remedy=remedy,
        )

    def root(self, text: bytes) -> yaml.Node:
        """Parse a text to its one document.

        Args:
            text: UTF-8 bytes, at most `LARGEST`.

        Returns:
            The node of the document.

        Raises:
            DeclarationInvalid: the text is too large, is not UTF-8, is not
                YAML, or uses what this subset leaves out.
        """
        source = self._decode(text)
        try:
            self._inspect(source)
            # The safe loader builds nodes only; nothing is constructed.
            root = yaml.compose(source, Loader=yaml.CSafeLoader)
        except yaml.MarkedYAMLError as error:
            self.fail(
                error.problem_mark or error.context_mark,
                f"this is not YAML: {error.problem}",
                "correct the YAML at this place",
            )
        except yaml.YAMLError:
            self.fail(
                None,
                "the text holds a character that YAML forbids",
                "remove control characters",
            )
        if root is None:
            self.fail(
                None,
                "it is empty, or holds comments alone",
                "write a declaration, as README does under "
                '"A service of your own"',
            )
        return root

    def _decode(self, text: bytes) -> str:
        if len(text) > LARGEST:
            self.fail(
                None,
                f"the text has {len(text)} bytes, more than {LARGEST}",
                "split it into several declarations",
            )
        try:
            source = text.decode("utf-8")
        except UnicodeDecodeError as error:
            self.fail(
                _after(text[: error.start].decode("utf-8")),
                "the text is not UTF-8",
                "save the file as UTF-8",
            )
        if "\0" in source:
            self.fail(
                _after(source[: source.index("\0")]),
                "there is a NUL character",
                "remove it",
            )
        return source

    def _inspect(self, source: str) -> None:
        depth = documents = 0
        for event in yaml.parse(source, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
            if documents > 1:
                self.fail(
                    event.start_mark,
                    "a second document begins here",
                    "write one declaration a file",
                )
            if isinstance(event, yaml.AliasEvent) or getattr(
                event, "anchor", None
            ):
                self.fail(
                    event.start_mark,
                    "anchors and aliases are not allowed",
                    "write the text out",
                )
            tag = getattr(event, "tag", None)
            if tag is not None:
                self.fail(
                    event.start_mark,
                    f"the tag {tag} is not allowed",
                    "remove it",
                )
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            if isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > _DEEPEST:
                self.fail(
                    event.start_mark,
                    f"this is nested deeper than {_DEEPEST} levels",
                    "a declaration needs less",
                )

    def mapping(
        self,
        node: yaml.Node,
        required: Collection[str],
        optional: Collection[str] = (),
    ) -> dict[str, yaml.Node]:
        """Read a mapping with known keys.

        Args:
            node: the node.
            required: the keys that must be there.
            optional: the keys that may be there.

        Returns:
            The node of each key that is there.

        Raises:
            DeclarationInvalid: it is no mapping, or a key is unknown,
                missing or there twice.
        """
        if not isinstance(node, yaml.MappingNode):
            self.fail(
                node,
                "keys with values are expected here",
                "write them as key: value",
            )
        known = (*required, *optional)
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name not in known:
                self.fail(
                    key,
                    f"the key {name[:64]!r} is unknown",
                    f"use one of {', '.join(known)}",
                )
            if name in found:
                self.fail(
                    key, f"the key {name!r} is here twice", "keep one of them"
                )
            found[name] = value
        for name in required:
            if name not in found:
                self.fail(
                    node, f"the key {name!r} is missing", f"add {name}: ..."
                )
        return found

    def items(
        self,
        node: yaml.Node,
        read: Callable[[yaml.Node], T],
        *,
        key: Callable[[T], object] = lambda item: item,
    ) -> tuple[T, ...]:
        """Read a list of at least one item, none of them twice.

        Args:
            node: the node.
            read: what reads one item.
            key: what of an item may not be there twice.

        Returns:
            The items.

        Raises:
            DeclarationInvalid: it is no list, is empty, or repeats an item.
        """
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self.fail(
                node,
                "a list with at least one item is expected here",
                "write items behind dashes, or leave the key out",
            )
        found: dict[object, T] = {}
        for child in node.value:
            item = read(child)
            if key(item) in found:
                self.fail(
                    child,
                    f"{key(item)} is in the list twice",
                    "keep one of them",
                )
            found[key(item)] = item
        return tuple(found.values())

    def text(self, node: yaml.Node) -> str:
        """Read a text of 1 to 4000 characters."""
        value = self._scalar(node, "str", "a text", "put it in quotes")
        if not value.strip() or len(value) > _LONGEST_TEXT:
            self.fail(
                node,
                f"a text has 1 to {_LONGEST_TEXT} characters",
                "write one, or leave the key out",
            )
        return value

    def name(self, node: yaml.Node) -> str:
        """Read an identifier of at most 64 characters."""
        value = self.text(node)
        if len(value) > 64 or not _NAME.fullmatch(value):
            self.fail(
                node,
                "an identifier has small letters, digits and single . - _",
                "choose one of at most 64 characters, such as change-address",
            )
        return value

    def word(self, node: yaml.Node, words: type[W]) -> W:
        """Read a word of a vocabulary."""
        value = self._scalar(node, "str", "a word", "put it in quotes")
        try:
            return words(value)
        except ValueError:
            self.fail(
                node,
                f"{value[:64]!r} is not a {words.__name__}",
                f"use one of {', '.join(words)}",
            )

    def integer(self, node: yaml.Node, least: int, most: int) -> int:
        """Read a whole number in decimal digits, within bounds."""
        value = self._scalar(node, "int", "a whole number", "write digits")
        plain = re.fullmatch(r"0|[1-9][0-9]{0,9}", value)
        if not plain or not least <= int(value) <= most:
            self.fail(
                node,
                f"a whole number from {least} to {most} is expected here",
                "write it in decimal digits",
            )
        return int(value)

    def share(self, node: yaml.Node) -> float:
        """Read a share from 0 to 1."""
        value = node.value if isinstance(node, yaml.ScalarNode) else ""
        if not re.fullmatch(r"0|1|[01]\.[0-9]{1,6}", value):
            self.fail(
                node, "a share from 0 to 1 is expected here", "such as 0.05"
            )
        if float(value) > 1:
            self.fail(node, "this is more than 1", "write a share, as 0.05")
        return float(value)

    def truth(self, node: yaml.Node) -> bool:
        """Read ``true`` or ``false``."""
        value = node.value if isinstance(node, yaml.ScalarNode) else ""
        if value not in {"true", "false"}:
            self.fail(
                node, "true or false is expected here", "write true or false"
            )
        return bool(value == "true")

    def _scalar(
        self, node: yaml.Node, kind: str, noun: str, remedy: str
    ) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag != _TAG + kind:
            self.fail(node, f"{noun} is expected here", remedy)
        return str(node.value)


def _after(before: str) -> Place:
    newline = before.rfind("\n")
    return _Found(before.count("\n"), len(before) - newline - 1)


def closest(names: Iterator[str], wanted: str) -> str:
    """Return a remedy that names what was perhaps meant."""
    import difflib  # noqa: PLC0415 - needed for an error message alone

    found = difflib.get_close_matches(wanted, list(names), n=1)
    return f"did you mean {found[0]}?" if found else "see consent/elements.py"
