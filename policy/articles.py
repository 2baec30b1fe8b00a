"""Which article of law each rule serves, as a table that a lawyer reads.

The Rego says it itself, in the METADATA above a rule (OPA, "Annotations"). A
rule without METADATA helps others: it serves what the nearest annotated rules
that use it serve. Packages and entrypoints hand nothing down, because
everything helps them. A rule with neither has no article, and is named.

This reads the text of the rules and runs nothing. It knows as much of Rego as
`opa fmt` makes regular: a rule begins in the first column.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_HEAD = re.compile(r"(?:default )?([a-z_][a-z0-9_]*)")
_NO_RULES = frozenset({"package", "import", "else"})
_MARK = "# METADATA"
_TEXTS = re.compile(r'"((?:[^"\\]|\\.)*)"|`([^`]*)`')
_NAMES = re.compile(r"(?<![\w.])[a-z_][a-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalRule:
    """One rule, with what it serves.

    Attributes:
        name: within its package.
        place: file and row of its METADATA, or of itself.
        title: what it is about; empty where it only helps.
        description: more of it.
        entrypoint: whether it can be asked.
        articles: of law; inherited where it only helps.
        helps: the annotated rules that use it; empty where it is one.
        helpers: the rules that help it alone or it and others.
        codes: reasons that it can give, its helpers' among them.
        remedies: what would help, one for each code.
    """

    name: str
    place: str
    title: str
    description: str
    entrypoint: bool
    articles: tuple[str, ...]
    helps: tuple[str, ...]
    helpers: tuple[str, ...]
    codes: tuple[str, ...]
    remedies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalPackage:
    """One package of rules.

    Attributes:
        name: such as ``curtilage.disclosure``.
        title: what it decides.
        description: more of it.
        owner: who answers for it.
        articles: of law that it serves as a whole.
        rules: in the order of the text.
    """

    name: str
    title: str
    description: str
    owner: str
    articles: tuple[str, ...]
    rules: tuple[LegalRule, ...]


@dataclass(slots=True, kw_only=True)
class _Rule:
    """A rule as its text has it; several bodies are one rule."""

    name: str
    place: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    bodies: list[str] = field(default_factory=list)

    @property
    def hands_down(self) -> bool:
        return bool(self.metadata) and not self.metadata.get("entrypoint")


def legal_packages(folder: Path) -> list[LegalPackage]:
    """Read the rules of a folder of policies.

    Args:
        folder: with a folder for each package; tests are left out.

    Returns:
        The packages by name.

    Raises:
        ValueError: METADATA is no YAML of the expected form.
    """
    sides = json.loads((folder / "vocabulary" / "reasons.json").read_bytes())
    remedies = {one["code"]: one["remedy"] for one in sides}
    heads: dict[str, Mapping[str, Any]] = {}
    rules: dict[str, dict[str, _Rule]] = {}
    for path in sorted(folder.glob("*/*.rego")):
        if path.stem.endswith("_test"):
            continue
        text = path.read_text("utf-8")
        package = re.search(r"^package (\S+)", text, re.MULTILINE)
        if package is None:
            continue
        where = path.relative_to(folder).as_posix()
        found = rules.setdefault(package[1], {})
        head = _read(text, where, found)
        heads[package[1]] = head or heads.get(package[1], {})
    return [
        _package(name, heads[name], found, remedies)
        for name, found in sorted(rules.items())
    ]


def without_article(packages: Sequence[LegalPackage]) -> list[str]:
    """Name the rules that serve no article of law."""
    return [
        f"{package.name}.{rule.name}"
        for package in packages
        for rule in package.rules
        if not rule.articles
    ]


def _read(text: str, where: str, rules: dict[str, _Rule]) -> Mapping[str, Any]:
    """Read one file into `rules`; give the METADATA of its package."""
    head: Mapping[str, Any] = {}
    pending: Mapping[str, Any] = {}
    marked = 0
    rule: _Rule | None = None
    lines = text.splitlines()
    for row, line in enumerate(lines, start=1):
        if line == _MARK:
            pending, marked, rule = _metadata(lines, row, where), row, None
        elif line.startswith("package "):
            head, pending = pending, {}
        elif _is_head(line):
            rule = _begun(line, f"{where}:{marked or row}", rules)
            if pending:
                rule.metadata = pending
            pending, marked = {}, 0
        if rule is not None and not line.lstrip().startswith("#"):
            rule.bodies.append(line)
    return head


def _is_head(line: str) -> bool:
    found = _HEAD.match(line)
    return found is not None and found[1] not in _NO_RULES


def _begun(line: str, place: str, rules: dict[str, _Rule]) -> _Rule:
    found = _HEAD.match(line)
    name = "" if found is None else found[1]
    return rules.setdefault(name, _Rule(name=name, place=place))


def _metadata(lines: Sequence[str], row: int, where: str) -> Mapping[str, Any]:
    """The YAML in the comment that begins after a row."""
    taken = []
    for line in lines[row:]:
        if not line.startswith("#"):
            break
        taken.append(line[1:].removeprefix(" "))
    try:
        found = yaml.safe_load("\n".join(taken))
    except yaml.YAMLError as error:
        msg = f"{where}:{row}: this METADATA is no YAML"
        raise ValueError(msg) from error
    if not isinstance(found, dict):
        msg = f"{where}:{row}: METADATA is a mapping"
        raise ValueError(msg)  # noqa: TRY004 - wrong text, not a wrong type
    return found


def _package(
    name: str,
    head: Mapping[str, Any],
    rules: Mapping[str, _Rule],
    remedies: Mapping[str, str],
) -> LegalPackage:
    uses = {
        one.name: _named(one, rules) - {one.name} for one in rules.values()
    }
    owners = {one: sorted(_owners(one, rules, uses)) for one in rules}
    return LegalPackage(
        name=name,
        title=str(head.get("title", "")),
        description=_line(head.get("description")),
        owner=str(head.get("custom", {}).get("owner", "")),
        articles=_law(head),
        rules=tuple(
            _legal(one, rules, owners, remedies) for one in rules.values()
        ),
    )


def _legal(
    one: _Rule,
    rules: Mapping[str, _Rule],
    owners: Mapping[str, Sequence[str]],
    remedies: Mapping[str, str],
) -> LegalRule:
    helps = [] if one.metadata else owners[one.name]
    helpers = [
        name
        for name, served in owners.items()
        if one.name in served and not rules[name].metadata
    ]
    codes = sorted(
        {
            code
            for name in (one.name, *helpers)
            for code in _codes(rules[name])
            if code in remedies
        }
    )
    inherited = (_law(rules[name].metadata) for name in helps)
    return LegalRule(
        name=one.name,
        place=one.place,
        title=str(one.metadata.get("title", "")),
        description=_line(one.metadata.get("description")),
        entrypoint=bool(one.metadata.get("entrypoint")),
        articles=_law(one.metadata)
        or tuple(dict.fromkeys(law for found in inherited for law in found)),
        helps=tuple(helps),
        helpers=tuple(helpers),
        codes=tuple(codes),
        remedies=tuple(remedies[code] for code in codes),
    )


def _owners(
    name: str, rules: Mapping[str, _Rule], uses: Mapping[str, set[str]]
) -> set[str]:
    """The nearest annotated rules that use a rule, itself left out."""
    found: set[str] = set()
    seen, waiting = {name}, [name]
    while waiting:
        used = waiting.pop()
        for user in (one for one, named in uses.items() if used in named):
            if rules[user].hands_down:
                found.add(user)
            elif not rules[user].metadata and user not in seen:
                seen.add(user)
                waiting.append(user)
    return found


def _named(one: _Rule, rules: Mapping[str, _Rule]) -> set[str]:
    """The rules of the package that a rule's text names."""
    text = _TEXTS.sub(" ", "\n".join(one.bodies))
    return {name for name in _NAMES.findall(text) if name in rules}


def _codes(one: _Rule) -> Iterator[str]:
    for found in _TEXTS.finditer("\n".join(one.bodies)):
        yield found[1] or ""


def _law(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(map(str, metadata.get("custom", {}).get("law", ())))


def _line(text: object) -> str:
    return " ".join(str(text or "").split())
