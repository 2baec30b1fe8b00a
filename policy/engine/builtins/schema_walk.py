"""A document against a JSON schema, walked as OPA's library walks it.

What it complains of, in which words and in which order is part of the answer
of `json.match_schema`. Where that order is a map's, it is that of the names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from policy.engine.builtins.operands import numeric, sized
from policy.engine.builtins.regex import compiled
from policy.engine.builtins.verbs import general
from policy.engine.errors import BudgetExceeded, BuiltinFailed
from policy.engine.metering import MADE, spend
from policy.engine.numbers import number, spelling
from policy.engine.spelling import json_text
from policy.engine.values import Value, is_number

_TURN = 8  # steps of a value against a schema
DEEPEST = 64
"""How deeply a schema and a document may nest."""

_Schema = Any  # an object or a boolean, checked before


def _rounded(value: Value) -> Value:
    if type(value) is dict:
        return {k: _rounded(v) for k, v in value.items()}
    if type(value) is list:
        return [_rounded(v) for v in value]
    if not is_number(value):
        return value
    numeric(value, 1)
    near = float(spelling(value))
    if near.is_integer() and abs(near) < 1e21:
        return int(near)
    return number(repr(near).replace("e-0", "e-"))


def _canonical(value: Value) -> str:
    """A value's text with its numbers as floats, as enumerations compare."""
    return json_text(_rounded(value))


def _kind(value: Value) -> str:
    names = {bool: "boolean", str: "string", list: "array", dict: "object"}
    if value is None:
        return "null"
    if type(value) in names:
        return names[type(value)]
    exact = Fraction(spelling(value))
    return "integer" if exact.denominator == 1 else "number"


@dataclass(frozen=True, slots=True)
class _Place:
    """A part of the document, and where it stands."""

    value: Value
    field: str
    depth: int

    def part(self, name: str | int, value: Value) -> "_Place":
        if len(self.field) >= MADE:
            spend(len(self.field) // MADE)
        return _Place(value, f"{self.field}.{name}", self.depth)

    def shown(self) -> str:
        return self.field.removeprefix("(Root).")


class _Outcome:
    """The errors of one walk, and how well it went."""

    def __init__(self) -> None:
        self.errors: list[Value] = []
        self.score = 0

    def add(self, kind: str, at: _Place, description: str) -> None:
        spend(1 + (2 * len(at.field) + 2 * len(description)) // MADE)
        self.errors.append(
            {
                "type": kind,
                "field": at.shown(),
                "desc": description,
                "error": f"{at.shown()}: {description}",
            }
        )
        sized(len(self.errors))
        self.score -= 2

    def merge(self, other: "_Outcome | None") -> None:
        if other is not None:
            self.errors += other.errors
            self.score += other.score


@dataclass(frozen=True, slots=True)
class _Bound:
    """A keyword that bounds a number."""

    word: str
    kind: str
    misses: Callable[[Fraction, Fraction], bool]
    message: str


_NUMBERS = (
    _Bound(
        "multipleOf",
        "multiple_of",
        lambda v, m: (v / m).denominator != 1,
        "Must be a multiple of {}",
    ),
    _Bound(
        "maximum",
        "number_lte",
        lambda v, m: v > m,
        "Must be less than or equal to {}",
    ),
    _Bound(
        "exclusiveMaximum",
        "number_lt",
        lambda v, m: v >= m,
        "Must be less than {}",
    ),
    _Bound(
        "minimum",
        "number_gte",
        lambda v, m: v < m,
        "Must be greater than or equal to {}",
    ),
    _Bound(
        "exclusiveMinimum",
        "number_gt",
        lambda v, m: v <= m,
        "Must be greater than {}",
    ),
)


def _sizes(
    noun: str, kinds: tuple[str, str], messages: tuple[str, str]
) -> tuple[_Bound, _Bound]:
    return (
        _Bound(f"min{noun}", kinds[0], lambda v, m: v < m, messages[0]),
        _Bound(f"max{noun}", kinds[1], lambda v, m: v > m, messages[1]),
    )


_LENGTHS = _sizes(
    "Length",
    ("string_gte", "string_lte"),
    (
        "String length must be greater than or equal to {}",
        "String length must be less than or equal to {}",
    ),
)
_ITEMS = _sizes(
    "Items",
    ("array_min_items", "array_max_items"),
    (
        "Array must have at least {} items",
        "Array must have at most {} items",
    ),
)
_FIELDS = _sizes(
    "Properties",
    ("array_min_properties", "array_max_properties"),
    ("Must have at least {} properties", "Must have at most {} properties"),
)


def _measured(
    bounds: tuple[_Bound, ...],
    schema: _Schema,
    size: Fraction,
    at: _Place,
    outcome: _Outcome,
) -> None:
    for bound in bounds:
        if bound.word not in schema:
            continue
        limit = Fraction(spelling(schema[bound.word]))
        if bound.misses(size, limit):
            shown = general(abs(float(limit)), "g", 10)
            sign = "-" if limit < 0 else ""
            outcome.add(bound.kind, at, bound.message.format(sign + shown))


class _Walk:
    """One document against one schema."""

    def __init__(self, root: _Schema) -> None:
        self.root = root
        self.turns = 0

    def of(self, schema: _Schema, at: _Place) -> _Outcome:
        outcome = _Outcome()
        self.turns += 1
        spend(_TURN)
        sized(self.turns)
        if at.depth < 0:
            msg = "json: a document nested too deeply for its schema"
            raise BudgetExceeded(msg)
        below = replace(at, depth=at.depth - 1)
        if type(schema) is bool:
            if not schema:
                outcome.add("false", at, "False always fails validation")
        elif "$ref" in schema:
            return self.of(self.target(schema["$ref"]), below)
        else:
            self.typed(schema, below, outcome)
        return outcome

    def target(self, ref: str) -> _Schema:
        found = self.root
        for part in ref[1:].split("/")[1:]:
            step = part.replace("~1", "/").replace("~0", "~")
            if "%" in step or type(found) is not dict or step not in found:
                msg = "json: a reference that is not found"
                raise BuiltinFailed(msg)
            found = found[step]
        if type(found) is not dict and type(found) is not bool:
            msg = "json: a reference to no schema"
            raise BuiltinFailed(msg)
        return found

    def typed(self, schema: _Schema, at: _Place, outcome: _Outcome) -> None:
        kind = _kind(at.value)
        types = schema.get("type", [])
        listed = types if type(types) is list else [types]
        fits = {kind, "number"} if kind == "integer" else {kind}
        if listed and fits.isdisjoint(listed):
            several = f"[{','.join(listed)}]"
            expected = listed[0] if len(listed) == 1 else several
            outcome.add(
                "invalid_type",
                at,
                f"Invalid type. Expected: {expected}, given: {kind}",
            )
            return
        self.combined(schema, at, outcome)
        if kind == "object":
            self.fields(schema, at, outcome)
        elif kind == "array":
            self.items(schema, at, outcome)
        elif kind in ("integer", "number"):
            exact = Fraction(spelling(numeric(at.value, 1)))
            _measured(_NUMBERS, schema, exact, at, outcome)
            outcome.score += 1
        self.common(schema, at, outcome)
        if kind == "string":
            self.text(schema, at, outcome)
        elif kind == "object":
            for name, inner in sorted(schema.get("properties", {}).items()):
                if name in at.value:
                    part = at.part(name, at.value[name])
                    outcome.merge(self.of(inner, part))
        outcome.score += 1

    def best(
        self, schemas: list[_Schema], at: _Place
    ) -> tuple[int, _Outcome | None]:
        """How many fit, and the best of those before the first that does."""
        fitting = 0
        best: _Outcome | None = None
        for schema in schemas:
            outcome = self.of(schema, at)
            if not outcome.errors:
                fitting += 1
            elif not fitting and (best is None or outcome.score > best.score):
                best = outcome
        return fitting, best

    def combined(self, schema: _Schema, at: _Place, outcome: _Outcome) -> None:
        for word, kind, message in (
            ("anyOf", "any", "at least one schema"),
            ("oneOf", "one", "one and only one schema"),
        ):
            if word not in schema:
                continue
            fitting, best = self.best(schema[word], at)
            if fitting == 0 or (fitting > 1 and word == "oneOf"):
                text = f"Must validate {message} ({word})"
                outcome.add(f"number_{kind}_of", at, text)
                outcome.merge(None if fitting else best)
        if "allOf" in schema:
            every = [self.of(inner, at) for inner in schema["allOf"]]
            for one in every:
                outcome.merge(one)
            if any(one.errors for one in every):
                text = "Must validate all the schemas (allOf)"
                outcome.add("number_all_of", at, text)
        if "not" in schema and not self.of(schema["not"], at).errors:
            outcome.add("number_not", at, "Must not validate the schema (not)")
        self.dependent(schema, at, outcome)
        self.conditional(schema, at, outcome)
        outcome.score += 1

    def dependent(
        self, schema: _Schema, at: _Place, outcome: _Outcome
    ) -> None:
        if type(at.value) is not dict:
            return
        for name, needed in sorted(schema.get("dependencies", {}).items()):
            if name not in at.value:
                continue
            if type(needed) is not list:
                outcome.merge(self.of(needed, at))
                continue
            for other in needed:
                if other not in at.value:
                    text = f"Has a dependency on {other}"
                    outcome.add("missing_dependency", at, text)

    def conditional(
        self, schema: _Schema, at: _Place, outcome: _Outcome
    ) -> None:
        if "if" not in schema:
            return
        holds = not self.of(schema["if"], at).errors
        word = "then" if holds else "else"
        if word not in schema:
            return
        inner = self.of(schema[word], at)
        if inner.errors:
            was = "valid" if holds else "not valid"
            text = f'Must validate "{word}" as "if" was {was}'
            outcome.add(f"condition_{word}", at, text)
            outcome.merge(inner)

    def common(self, schema: _Schema, at: _Place, outcome: _Outcome) -> None:
        if "const" in schema:
            allowed = _canonical(schema["const"])
            if _canonical(at.value) != allowed:
                text = f"{at.shown()} does not match: {allowed}"
                outcome.add("const", at, text)
        if "enum" in schema:
            spend(len(schema["enum"]))
            choices = [_canonical(one) for one in schema["enum"]]
            if _canonical(at.value) not in choices:
                listed = ", ".join(choices)
                text = f"{at.shown()} must be one of the following: {listed}"
                outcome.add("enum", at, text)
        outcome.score += 1

    def text(self, schema: _Schema, at: _Place, outcome: _Outcome) -> None:
        length = Fraction(len(at.value))
        _measured(_LENGTHS, schema, length, at, outcome)
        pattern = schema.get("pattern")
        if pattern is not None and not compiled(pattern).found(at.value):
            text = f"Does not match pattern '{pattern}'"
            outcome.add("pattern", at, text)
        outcome.score += 1

    def items(self, schema: _Schema, at: _Place, outcome: _Outcome) -> None:
        items, values = schema.get("items"), at.value
        if type(items) is list and items:
            more = schema.get("additionalItems", True)
            for i, part in enumerate(values):
                inner = items[i] if i < len(items) else more
                if inner is False and i >= len(items):
                    text = "No additional items allowed on array"
                    outcome.add("array_no_additional_items", at, text)
                    break
                if i < len(items) or type(more) is dict:
                    outcome.merge(self.of(inner, at.part(i, part)))
        elif items is not None and type(items) is not list:
            for i, part in enumerate(values):
                outcome.merge(self.of(items, at.part(i, part)))
        _measured(_ITEMS, schema, Fraction(len(values)), at, outcome)
        self.unique(schema, at, outcome)
        if "contains" in schema:
            self.contains(schema["contains"], at, outcome)
        outcome.score += 1

    def unique(self, schema: _Schema, at: _Place, outcome: _Outcome) -> None:
        if schema.get("uniqueItems") is not True:
            return
        seen: dict[str, int] = {}
        for j, part in enumerate(at.value):
            shown = _canonical(part)
            if shown in seen:
                text = f"array items[{seen[shown]},{j}] must be unique"
                outcome.add("unique", at, text)
            seen[shown] = j

    def contains(self, schema: _Schema, at: _Place, outcome: _Outcome) -> None:
        best: _Outcome | None = None
        for i, part in enumerate(at.value):
            one = self.of(schema, at.part(i, part))
            if not one.errors:
                return
            if best is None or one.score > best.score:
                best = one
        outcome.add("contains", at, "At least one of the items must match")
        outcome.merge(best)

    def fields(self, schema: _Schema, at: _Place, outcome: _Outcome) -> None:
        _measured(_FIELDS, schema, Fraction(len(at.value)), at, outcome)
        for name in schema.get("required", ()):
            if name in at.value:
                outcome.score += 1
            else:
                outcome.add("required", at, f"{name} is required")
        for name in sorted(at.value):
            self.field(schema, name, at, outcome)
        if "propertyNames" in schema:
            for name in sorted(at.value):
                one = self.of(schema["propertyNames"], replace(at, value=name))
                if one.errors:
                    text = f'Property name of "{name}" does not match'
                    outcome.add("invalid_property_name", at, text)
                    outcome.merge(one)
        outcome.score += 1

    def field(
        self, schema: _Schema, name: str, at: _Place, outcome: _Outcome
    ) -> None:
        """What patterns and the rest of a schema say of one field."""
        part = at.part(name, at.value[name])
        patterns: Mapping[str, _Schema] = schema.get("patternProperties", {})
        matching = [
            inner
            for pattern, inner in sorted(patterns.items())
            if compiled(pattern).found(name)
        ]
        for inner in matching:
            outcome.merge(self.of(inner, part))
        if matching:
            outcome.score += 1
            return
        more = schema.get("additionalProperties", True)
        if name in schema.get("properties", {}):
            return
        if more is False:
            text = f"Additional property {name} is not allowed"
            outcome.add("additional_property_not_allowed", at, text)
        elif type(more) is dict:
            outcome.merge(self.of(more, part))


def walked(schema: _Schema, document: Value) -> list[Value]:
    """What a schema finds wrong with a document.

    Args:
        schema: one that was checked, an object or a boolean.
        document: plain JSON.

    Returns:
        The errors, as `json.match_schema` lists them.

    Raises:
        BuiltinFailed: a reference does not lead to a schema.
        BudgetExceeded: the walk is larger than the limits.
    """
    place = _Place(document, "(Root)", DEEPEST)
    return _Walk(schema).of(schema, place).errors
