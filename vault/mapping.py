"""How the columns of a file become attributes: the import mapping.

A mapping is a YAML file::

    version: 1
    encoding: utf-8          # or gb18030, big5, iso-8859-1, windows-1252
    delimiter: ";"
    source: census-1996      # optional; the file's name otherwise
    columns:
      given: user.name.given
      sex:
        attribute: user.gender
        values: {M: male, F: female}   # anything else rejects the row
    constants:
      user.home-info.postal.country: CN
    ignore: [row id]         # every other column must be mapped

Read without constructing anything but text, lists and mappings. Anchors,
tags, repeated keys and unknown keys are refused; an error names file, line,
what is wrong and what to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import yaml

from vault.catalogue import Attribute, Catalogue, validate
from vault.errors import InvalidValue, MappingInvalid, UnknownAttribute

ENCODINGS = ("utf-8", "gb18030", "big5", "iso-8859-1", "windows-1252")
_LARGEST = 256 * 1024
_KEYS = (
    "version",
    "encoding",
    "delimiter",
    "source",
    "columns",
    "constants",
    "ignore",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Where one column goes.

    Attributes:
        attribute: the attribute that it fills.
        values: what each cell text stands for; None takes the text itself.

    """

    attribute: Attribute
    values: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportMapping:
    """A checked mapping.

    Attributes:
        delimiter: one character.
        encoding: of the file.
        source: what the values' source will be, if the mapping says.
        columns: by column name.
        constants: canonical values for everybody, by attribute name.
        ignored: columns deliberately left out.

    """

    delimiter: str
    encoding: str
    source: str | None
    columns: Mapping[str, Column]
    constants: Mapping[str, str]
    ignored: frozenset[str]


def load_mapping(path: Path, catalogue: Catalogue) -> ImportMapping:
    """Read and check a mapping.

    Raises:
        MappingInvalid: it cannot be used; says where and what to do.

    """
    where = path.name
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        what = f"cannot be read ({type(error).__name__})"
        remedy = "Name a readable file."
        raise MappingInvalid(where, 1, what, remedy) from None
    if len(raw) > _LARGEST:
        what = "is larger than 256 KiB"
        raise MappingInvalid(where, 1, what, "Split it, or map less.")
    return _Reader(where, catalogue).mapping(raw)


class _Reader:
    """Walks the nodes of one mapping, so that every error has a line."""

    def __init__(self, where: str, catalogue: Catalogue) -> None:
        self._where = where
        self._catalogue = catalogue

    def mapping(self, raw: bytes) -> ImportMapping:
        root = self._compose(raw)
        parts = self._pairs(root, "the mapping")
        for name, (key, _) in parts.items():
            if name not in _KEYS:
                self._fail(
                    key,
                    "an unknown key stands here",
                    f"Use only {', '.join(_KEYS)}.",
                )
        for name in ("version", "columns"):
            if name not in parts:
                self._fail(root, f"'{name}' is missing", f"Add '{name}'.")
        version = parts["version"][1]
        if self._text(version) != "1":
            self._fail(version, "the version is not 1", "Write 'version: 1'.")
        columns = self._columns(parts["columns"][1])
        constants: dict[str, str] = {}
        if "constants" in parts:
            constants = self._constants(parts["constants"][1])
        self._refuse_twice(root, columns, constants)
        return ImportMapping(
            delimiter=self._delimiter(parts),
            encoding=self._encoding(parts),
            source=self._source(parts),
            columns=MappingProxyType(columns),
            constants=MappingProxyType(constants),
            ignored=self._ignored(parts, columns),
        )

    def _compose(self, raw: bytes) -> yaml.Node:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            what = "is not UTF-8"
            remedy = "Save the mapping as UTF-8."
            raise MappingInvalid(self._where, line, what, remedy) from None
        try:
            for event in yaml.parse(text, Loader=yaml.SafeLoader):
                if isinstance(event, yaml.AliasEvent) or (
                    getattr(event, "anchor", None)
                    or getattr(event, "tag", None)
                ):
                    self._fail(
                        event,
                        "an anchor, alias or tag stands here",
                        "Write the text out.",
                    )
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            what = "is not well-formed YAML here"
            remedy = "Look for a missing quote, colon or indent."
            raise MappingInvalid(self._where, line, what, remedy) from None
        except (yaml.YAMLError, RecursionError):
            what = "is not well-formed YAML"
            remedy = "Look for control characters and deep nesting."
            raise MappingInvalid(self._where, 1, what, remedy) from None
        if root is None:
            what = "is empty"
            raise MappingInvalid(self._where, 1, what, "Map some columns.")
        return root

    def _columns(self, node: yaml.Node) -> dict[str, Column]:
        columns = {}
        for name, (key, value) in self._pairs(node, "'columns'").items():
            if not name:
                self._fail(key, "a column has no name", "Name the column.")
            columns[name] = self._column(value)
        if not columns:
            self._fail(node, "no column is mapped", "Map at least one.")
        return columns

    def _column(self, node: yaml.Node) -> Column:
        if isinstance(node, yaml.ScalarNode):
            return Column(attribute=self._attribute(node))
        parts = self._pairs(node, "a column")
        for name, (key, _) in parts.items():
            if name not in {"attribute", "values"}:
                self._fail(
                    key,
                    "an unknown key stands here",
                    "A column takes 'attribute' and 'values'.",
                )
        if "attribute" not in parts:
            self._fail(
                node, "'attribute' is missing", "Say what the column fills."
            )
        attribute = self._attribute(parts["attribute"][1])
        if "values" not in parts:
            return Column(attribute=attribute)
        values = {
            cell: self._value(attribute, value)
            for cell, (_, value) in self._pairs(
                parts["values"][1], "'values'"
            ).items()
        }
        return Column(attribute=attribute, values=MappingProxyType(values))

    def _constants(self, node: yaml.Node) -> dict[str, str]:
        constants = {}
        for name, (key, value) in self._pairs(node, "'constants'").items():
            attribute = self._attribute(key)
            if attribute.index:
                self._fail(
                    key,
                    "an identifier cannot be the same for everybody",
                    "Map it from a column.",
                )
            constants[name] = self._value(attribute, value)
        return constants

    def _refuse_twice(
        self,
        root: yaml.Node,
        columns: dict[str, Column],
        constants: dict[str, str],
    ) -> None:
        filled = [column.attribute.name for column in columns.values()]
        filled += constants
        for name in filled:
            if filled.count(name) > 1:
                self._fail(
                    root, f"{name} is filled twice", "Keep one of the two."
                )

    def _delimiter(self, parts: dict[str, tuple[yaml.Node, yaml.Node]]) -> str:
        if "delimiter" not in parts:
            return ","
        node = parts["delimiter"][1]
        text = self._text(node)
        if len(text) != 1 or text in '"\r\n\0' or not text.isascii():
            self._fail(
                node,
                "the delimiter is not one ASCII character",
                'Write "," or ";" or "\\t" in double quotes.',
            )
        return text

    def _encoding(self, parts: dict[str, tuple[yaml.Node, yaml.Node]]) -> str:
        if "encoding" not in parts:
            return "utf-8"
        node = parts["encoding"][1]
        text = self._text(node).lower()
        if text not in ENCODINGS:
            self._fail(
                node,
                "the encoding is not supported",
                f"Use one of {', '.join(ENCODINGS)}.",
            )
        return text

    def _source(
        self, parts: dict[str, tuple[yaml.Node, yaml.Node]]
    ) -> str | None:
        if "source" not in parts:
            return None
        node = parts["source"][1]
        text = self._text(node)
        if not text or not text.isprintable() or len(text.encode()) > 255:
            self._fail(
                node,
                "the source is empty, too long or not printable",
                "Give it a short name.",
            )
        return text

    def _ignored(
        self,
        parts: dict[str, tuple[yaml.Node, yaml.Node]],
        columns: dict[str, Column],
    ) -> frozenset[str]:
        if "ignore" not in parts:
            return frozenset()
        node = parts["ignore"][1]
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node, "'ignore' is not a list", "Write [a, b].")
        names = set()
        for item in node.value:
            name = self._text(item)
            if name in columns:
                self._fail(
                    item, "a mapped column is ignored", "Choose one of both."
                )
            names.add(name)
        return frozenset(names)

    def _attribute(self, node: yaml.Node) -> Attribute:
        try:
            return self._catalogue[self._text(node)]
        except UnknownAttribute:
            self._fail(
                node,
                "the catalogue has no such attribute",
                "Use a name of the attribute catalogue.",
            )

    def _value(self, attribute: Attribute, node: yaml.Node) -> str:
        try:
            return validate(attribute, self._text(node))
        except InvalidValue as error:
            self._fail(
                node,
                f"no value of {attribute.name} ({error.reason})",
                "Write a value that the attribute takes.",
            )

    def _text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._fail(node, "a list or mapping stands here", "Write a text.")
        return str(node.value)

    def _pairs(
        self, node: yaml.Node, what: str
    ) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._fail(
                node,
                f"{what} is not a mapping",
                "Write 'name: value' lines.",
            )
        pairs: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            name = self._text(key)
            if name in pairs:
                self._fail(key, "a key is repeated", "Keep one of the two.")
            pairs[name] = key, value
        return pairs

    def _fail(
        self, node: yaml.Node | yaml.Event, what: str, remedy: str
    ) -> NoReturn:
        mark = node.start_mark
        line = mark.line + 1 if mark else 1
        raise MappingInvalid(self._where, line, what, remedy)
