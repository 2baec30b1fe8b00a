"""The specification of an extract as a YAML file.

::

    recipient: statistics-office
    purpose: commuting-study
    delimiter: ";"
    k: 5
    l: 2
    suppression_limit: 0.05
    mode: full
    labels: hierarchy
    models:
      - {model: t-closeness, column: income, t: 0.2, reference: input}
    population: {file: voters.csv}
    columns:
      name: {role: direct, entity: PERSON}
      age: {role: quasi, hierarchy: {intervals: {low: 0, high: 120,
            widths: [5, 10, 20]}}}
      district: {role: quasi, weight: 2, hierarchy: {file: district.csv}}
      postcode: {role: quasi, hierarchy: {prefixes: {length: 6,
            keep: [4, 2]}}}
      born: {role: quasi, hierarchy: {dates: {first: 1900-01-01,
            last: 2030-12-31}}}
      sex: {role: quasi, hierarchy: {flat: [female, male]}}
      trade: {role: quasi, hierarchy: {taxonomy: {office: [clerk, judge],
            works: {metal: [smith, turner], wood: [joiner]}}}}
      income: {role: sensitive}
      note: {role: text}

Every scalar is read as text, so ``no`` is a word and ``01`` keeps its zero;
numbers are taken from text where numbers are meant. Repeated keys and
unknown keys are refused. The forms of models stand in `modelfile`. Where
columns are sensitive, l is 2 unless something else is asked; a file that
asks for k alone says why in ``k_alone``.
"""

import datetime as dt
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from anonymize.declared import Dates, Intervals, Prefixes
from anonymize.errors import InvalidSpec
from anonymize.hierarchies import (
    Hierarchy,
    TableHierarchy,
    flat,
    taxonomy,
)
from anonymize.modelfile import read_model
from anonymize.models import PopulationMap, Presence
from anonymize.population import Population
from anonymize.roles import Role
from anonymize.spec import ExtractSpec

OF_PEOPLE = (PopulationMap, Presence)
"""Models that need a population."""
MAX_BYTES = 1_000_000
"""Largest specification that is read."""
_DEEPEST = 100
_TOP_KEYS = frozenset(
    {
        "recipient",
        "purpose",
        "delimiter",
        "k",
        "l",
        "suppression_limit",
        "models",
        "k_alone",
        "labels",
        "mode",
        "person",
        "population",
        "language",
        "shift_dates",
        "columns",
    }
)


class _Loader(yaml.CBaseLoader):
    """All scalars are text, and no key stands twice."""

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - PyYAML's signature
    ) -> dict[Hashable, Any]:
        """Build a mapping, and refuse a repeated key."""
        found = super().construct_mapping(node, deep=deep)
        if len(found) != len(node.value):
            line = node.start_mark.line + 1
            msg = f"a key stands twice in the mapping at line {line}"
            raise InvalidSpec(msg)
        return found


def read_spec(
    data: bytes, *, folder: Path, pseudonym_key: bytes | None = None
) -> ExtractSpec:
    """Read a specification.

    Args:
        data: the YAML text, UTF-8.
        folder: where the names of hierarchy files are looked up.
        pseudonym_key: derived key for pseudonyms; it is never in a file.

    Raises:
        InvalidSpec: the text is no specification.
        InvalidHierarchy: a hierarchy in it is malformed.
    """
    found = _parsed(data)
    top = _mapping(found, "the specification", _TOP_KEYS)
    columns = _mapping(top.get("columns"), "columns")
    kinds = {
        name: _mapping(
            each, f"column {name}", {"role", "hierarchy", "entity", "weight"}
        )
        for name, each in columns.items()
    }
    models = top.get("models", [])
    if not isinstance(models, list):
        msg = "models: a list is needed"
        raise InvalidSpec(msg)
    read = [read_model(each, folder) for each in models]
    spec = ExtractSpec(
        columns={name: _role(name, each) for name, each in kinds.items()},
        hierarchies={
            name: _hierarchy(name, each["hierarchy"], folder)
            for name, each in kinds.items()
            if "hierarchy" in each
        },
        entities={
            name: _text(each["entity"], f"column {name}: entity")
            for name, each in kinds.items()
            if "entity" in each
        },
        weights={
            name: _number(each["weight"], f"column {name}: weight")
            for name, each in kinds.items()
            if "weight" in each
        },
        k=_whole(top.get("k"), "k"),
        l=_whole(top.get("l", _default_l(top, kinds)), "l"),
        suppression_limit=_share(top.get("suppression_limit", "0")),
        models=tuple(m for m in read if not isinstance(m, OF_PEOPLE)),
        of_people=tuple(m for m in read if isinstance(m, OF_PEOPLE)),
        population=_population(top, kinds, folder),
        k_alone=_text(top.get("k_alone", ""), "k_alone"),
        fast=_either(top.get("mode", "full"), "mode", "full", "fast"),
        sets=_either(
            top.get("labels", "hierarchy"), "labels", "hierarchy", "sets"
        ),
        recipient=_text(top.get("recipient"), "recipient"),
        purpose=_text(top.get("purpose", ""), "purpose"),
        person=_text(top["person"], "person") if "person" in top else None,
        pseudonym_key=pseudonym_key,
        language=_text(top.get("language", "en"), "language"),
        shift_dates=_whole(top.get("shift_dates", "0"), "shift_dates"),
        delimiter=_text(top.get("delimiter", ","), "delimiter"),
    )
    _demand_reason(spec)
    return spec


def read_hierarchy(data: bytes, *, where: str, folder: Path) -> Hierarchy:
    """Read one hierarchy, in the form that a specification has it.

    Args:
        data: the YAML text, UTF-8.
        where: what it is of, for error messages.
        folder: where the names of hierarchy files are looked up.

    Raises:
        InvalidSpec: the text is no hierarchy.
        InvalidHierarchy: the hierarchy is malformed.
    """
    return _hierarchy(where, _parsed(data), folder)


def _parsed(data: bytes) -> object:
    if len(data) > MAX_BYTES:
        msg = f"the specification has more than {MAX_BYTES} bytes"
        raise InvalidSpec(msg)
    try:
        _refuse_deep(data)
        return yaml.load(data, Loader=_Loader)  # noqa: S506 - text only
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        msg = f"the specification is not YAML{where}"
        raise InvalidSpec(msg) from None


def _refuse_deep(data: bytes) -> None:
    """Refuse what would fill the stack of the loader, which is in C."""
    depth = 0
    for event in yaml.parse(data, Loader=yaml.CBaseLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            msg = "nested too deep"
            raise yaml.YAMLError(msg)


def _population(
    top: Mapping[str, object],
    columns: Mapping[str, Mapping[str, object]],
    folder: Path,
) -> Population | None:
    if "population" not in top:
        return None
    given = _mapping(top["population"], "population", {"file"})
    return Population.from_file(
        folder / _text(given.get("file"), "population: file"),
        [n for n, each in columns.items() if each.get("role") == Role.QUASI],
        delimiter=_text(top.get("delimiter", ","), "delimiter"),
    )


def _default_l(
    top: Mapping[str, object], columns: Mapping[str, Mapping[str, object]]
) -> str:
    """Two values, where there are sensitive ones and nothing else is asked."""
    sensitive = any(
        each.get("role") == Role.SENSITIVE for each in columns.values()
    )
    asked = top.get("models") or top.get("k_alone")
    return "2" if sensitive and not asked else "1"


def _demand_reason(spec: ExtractSpec) -> None:
    """Refuse k alone where nobody says why."""
    alone = spec.l == 1 and not spec.models
    if alone and spec.of_role(Role.SENSITIVE) and not spec.k_alone.strip():
        msg = (
            "k alone protects no sensitive value; ask for l of 2 or more or "
            "for a model, or say in k_alone why k is enough"
        )
        raise InvalidSpec(msg)


def _either(value: object, where: str, one: str, other: str) -> bool:
    """Tell which of two words it is: whether it is the other."""
    word = _text(value, where)
    if word not in {one, other}:
        msg = f"{where}: {one} or {other}"
        raise InvalidSpec(msg)
    return word == other


def _mapping(
    value: object, where: str, keys: frozenset[str] | set[str] | None = None
) -> Mapping[str, object]:
    if not isinstance(value, Mapping) or not all(
        isinstance(key, str) for key in value
    ):
        msg = f"{where}: a mapping is needed"
        raise InvalidSpec(msg)
    if keys is not None and {*value} - keys:
        unknown = ", ".join(sorted({*value} - keys))
        msg = (
            f"{where}: unknown {unknown}; known are {', '.join(sorted(keys))}"
        )
        raise InvalidSpec(msg)
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        msg = f"{where}: a text is needed"
        raise InvalidSpec(msg)
    return value


def _texts(value: object, where: str) -> Sequence[str]:
    if not isinstance(value, list):
        msg = f"{where}: a list is needed"
        raise InvalidSpec(msg)
    return [_text(each, where) for each in value]


def _whole(value: object, where: str) -> int:
    try:
        return int(_text(value, where))
    except ValueError:
        msg = f"{where}: a whole number is needed"
        raise InvalidSpec(msg) from None


def _number(value: object, where: str) -> float:
    try:
        return float(_text(value, where))
    except ValueError:
        msg = f"{where}: a number is needed"
        raise InvalidSpec(msg) from None


def _share(value: object) -> float:
    try:
        return float(_text(value, "suppression_limit"))
    except ValueError:
        msg = "suppression_limit: a number from 0 to below 1 is needed"
        raise InvalidSpec(msg) from None


def _role(name: str, column: Mapping[str, object]) -> Role:
    try:
        return Role(_text(column.get("role"), f"column {name}: role"))
    except ValueError:
        roles = ", ".join(Role)
        msg = f"column {name}: the role is one of {roles}"
        raise InvalidSpec(msg) from None


def _hierarchy(name: str, value: object, folder: Path) -> Hierarchy:
    where = f"column {name}: hierarchy"
    given = _mapping(value, where)
    forms: dict[str, Callable[[], Hierarchy]] = {
        "file": lambda: _of_file(given, where, folder),
        "taxonomy": lambda: taxonomy(given["taxonomy"], where=where),
        "flat": lambda: flat(_texts(given["flat"], where), where=where),
        "intervals": lambda: _of_intervals(given["intervals"], where),
        "prefixes": lambda: _of_prefixes(given["prefixes"], where),
        "dates": lambda: _of_dates(given["dates"], where),
    }
    chosen = [form for form in forms if form in given]
    if len(chosen) != 1 or (chosen != ["file"] and len(given) != 1):
        msg = f"{where}: give one of {', '.join(forms)}"
        raise InvalidSpec(msg)
    return forms[chosen[0]]()


def _of_file(
    given: Mapping[str, object], where: str, folder: Path
) -> Hierarchy:
    _mapping(given, where, {"file", "numeric", "domain"})
    domain = None
    if "domain" in given:
        bounds = [_whole(n, where) for n in _texts(given["domain"], where)]
        if len(bounds) != 2:
            msg = f"{where}: the domain has two numbers"
            raise InvalidSpec(msg)
        domain = (bounds[0], bounds[1])
    return TableHierarchy.from_file(
        folder / _text(given["file"], where),
        domain=domain,
        numeric=given.get("numeric", "false") == "true",
    )


def _of_intervals(value: object, where: str) -> Hierarchy:
    rule = _mapping(value, where, {"low", "high", "widths"})
    widths = _texts(rule.get("widths"), where)
    return Intervals(
        low=_whole(rule.get("low"), where),
        high=_whole(rule.get("high"), where),
        widths=tuple(_whole(width, where) for width in widths),
    )


def _of_prefixes(value: object, where: str) -> Hierarchy:
    rule = _mapping(value, where, {"length", "keep", "alphabet"})
    keep = _texts(rule.get("keep"), where)
    return Prefixes(
        length=_whole(rule.get("length"), where),
        keep=tuple(_whole(each, where) for each in keep),
        alphabet=_whole(rule.get("alphabet", "10"), where),
    )


def _of_dates(value: object, where: str) -> Hierarchy:
    rule = _mapping(value, where, {"first", "last"})
    try:
        return Dates(
            first=dt.date.fromisoformat(_text(rule.get("first"), where)),
            last=dt.date.fromisoformat(_text(rule.get("last"), where)),
        )
    except ValueError:
        msg = f"{where}: first and last are dates such as 1984-05-17"
        raise InvalidSpec(msg) from None
