"""Elements that a P3P file defines itself: DATASCHEMA.

P3P 1.0, section 5. A DATA-DEF names an element and perhaps the structure
that it has; DATA-STRUCTs name the members of structures, which may be
structures again, of this file or of the base data schema. A name is looked
up by walking its path, so nothing is ever unfolded: a schema of structures
in structures costs no more than it is long.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from consent.elements import base_categories_of, structure_categories
from consent.findings import Note
from consent.p3p_xml import Element
from consent.vocabulary import Category

_Categories = frozenset[Category]
_NONE: _Categories = frozenset()
_DEEPEST = 16
_LONGEST = 255
_MOST = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A DATA-DEF or a DATA-STRUCT.

    Attributes:
        name: the element, or the structure and its member.
        structure: the structure that it has; with what stands before ``#``
            where that is another schema's.
        categories: its kinds; empty where it leaves them open.
        text: a description in a few words.
        long: a description.
    """

    name: str
    structure: str = ""
    categories: _Categories = _NONE
    text: str = ""
    long: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSchema:
    """The DATASCHEMA of a file; empty where there is none.

    Attributes:
        elements: its DATA-DEFs.
        structures: its DATA-STRUCTs.
    """

    elements: tuple[Definition, ...] = ()
    structures: tuple[Definition, ...] = ()
    _by_name: dict[str, Definition] = field(
        init=False, repr=False, compare=False
    )
    _parts: dict[str, Definition] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "_by_name", {each.name: each for each in self.elements}
        )
        object.__setattr__(
            self, "_parts", {each.name: each for each in self.structures}
        )

    def __bool__(self) -> bool:
        """Whether anything is defined."""
        return bool(self.elements or self.structures)

    def categories(self, name: str) -> _Categories | None:
        """Return the categories of an element.

        Args:
            name: the full path.

        Returns:
            Its own, or those of the nearest step above that has some, or
            those of its structure; the empty set where all leave it open;
            None where the file does not define it.
        """
        above = list(_steps(name))
        for step in above:
            definition = self._by_name.get(step)
            if definition is not None:
                rest = name[len(step) + 1 :]
                return self._below(definition, rest, _NONE, _DEEPEST)
        within = [
            self._below(each, "", _NONE, _DEEPEST) or _NONE
            for each in self.elements
            if each.name.startswith(name + ".")
        ]
        return _NONE.union(*within) if within else None

    def _below(
        self, at: Definition, rest: str, above: _Categories, left: int
    ) -> _Categories | None:
        """Return the categories of what lies at a path below a definition."""
        holds = at.categories or above
        base, _, structure = at.structure.rpartition("#")
        if left == 0:
            return holds
        if not rest:
            return holds or self._of_structure(base, structure)
        if base:
            below = structure_categories(structure, rest)
            return None if below is None else below or holds
        for step in _steps(f"{structure}.{rest}"):
            part = self._parts.get(step)
            if part is not None and step != structure:
                tail = f"{structure}.{rest}"[len(step) + 1 :]
                return self._below(part, tail, holds, left - 1)
        return self._of_step(f"{structure}.{rest}.", holds)

    def _of_step(self, path: str, holds: _Categories) -> _Categories | None:
        """Return the categories of a mere step on the way to members."""
        within = [
            part for part in self.structures if part.name.startswith(path)
        ]
        if not within:
            return None
        return holds or _NONE.union(*(part.categories for part in within))

    def _of_structure(self, base: str, structure: str) -> _Categories:
        """Return the union of what the members of a structure are."""
        found, seen, waiting = _NONE, set[str](), [(base, structure)]
        while waiting:
            of, name = waiting.pop()
            if of:
                found |= structure_categories(name, "") or _NONE
            elif name and name not in seen:
                seen.add(name)
                for part in self.structures:
                    if part.name.startswith(name + "."):
                        found |= part.categories
                        if part.structure and not part.categories:
                            inner, _, member = part.structure.rpartition("#")
                            waiting.append((inner, member))
        return found

    def joined(self, other: "DataSchema") -> "DataSchema":
        """Return both schemas as one; this one's definitions win."""
        if not other:
            return self
        if not self:
            return other
        return DataSchema(
            elements=self.elements
            + tuple(e for e in other.elements if e.name not in self._by_name),
            structures=self.structures
            + tuple(s for s in other.structures if s.name not in self._parts),
        )


def _steps(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


def known_categories(name: str, local: DataSchema) -> _Categories | None:
    """Return the categories of an element, by the base schema or the file's.

    Args:
        name: the full path.
        local: the file's own schema.

    Returns:
        The base schema's where they are fixed, else the file's; the empty
        set where whoever refers to the element must say; None where neither
        knows it.
    """
    fixed = base_categories_of(name)
    if fixed:
        return fixed
    own = local.categories(name)
    return fixed if own is None else own


def read_schema(parent: Element, note: Note) -> DataSchema:
    """Read the DATASCHEMAs of a POLICIES or a POLICY.

    Args:
        parent: the element that they stand in.
        note: where to report findings.

    Returns:
        What they define.
    """
    elements: list[Definition] = []
    structures: list[Definition] = []
    for group in parent.all("DATASCHEMA"):
        for each in group.children:
            if each.name in {"DATA-DEF", "DATA-STRUCT"}:
                definition = _definition(each, note)
                if not 0 < len(definition.name) <= _LONGEST:
                    note(each, "no-reference", "the definition has no name")
                elif len(elements) + len(structures) >= _MOST:
                    note(each, "too-many", "the schema defines too much")
                    break
                elif each.name == "DATA-DEF":
                    elements.append(definition)
                else:
                    structures.append(definition)
    return DataSchema(elements=tuple(elements), structures=tuple(structures))


def _definition(element: Element, note: Note) -> Definition:
    words = {category.value: category for category in Category}
    said = []
    for group in element.all("CATEGORIES"):
        for word in group.children:
            if word.name in words:
                said.append(words[word.name])
            elif word.name != "EXTENSION":
                note(
                    word,
                    "unknown-word",
                    f"{word.name[:64]} is no Category; it is other-category",
                )
                said.append(Category.OTHER)
    long = element.first("LONG-DESCRIPTION")
    return Definition(
        name=element.attributes.get("name", ""),
        structure=element.attributes.get("structref", ""),
        categories=frozenset(said),
        text=element.attributes.get("short-description", ""),
        long="" if long is None else " ".join(long.text.split()),
    )
