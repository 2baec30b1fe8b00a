"""JSON Schema: `json.match_schema` and `json.verify_schema`.

`jsonschema` says whether a schema is one; the walk over the document is that
of the library which OPA uses, since its errors are part of the answer. OPA
takes the properties of a schema in no order; here it is that of their names.

No reference ever leaves the schema: one that would has no answer, and so has
`format`, on which validators differ.
"""

from collections.abc import Callable, Iterator, Mapping

import jsonschema
from jsonschema.exceptions import SchemaError

from policy.engine.builtins.encoding import read_json
from policy.engine.builtins.schema_walk import DEEPEST, walked
from policy.engine.errors import BudgetExceeded, BuiltinFailed, OutsideProfile
from policy.engine.metering import at_once, spend
from policy.engine.spelling import json_key
from policy.engine.values import (
    Raw,
    Set,
    Value,
    elements,
    is_number,
    weigh,
)

_SCHEMA = 8  # steps of each value of a schema, which is checked itself

_TYPES = "array boolean integer number null object string"
_KNOWN = frozenset(
    {
        "$schema",
        "title",
        "description",
        "default",
        "examples",
        "$comment",
        "definitions",
        "$defs",
        "type",
        "properties",
        "patternProperties",
        "additionalProperties",
        "propertyNames",
        "required",
        "minProperties",
        "maxProperties",
        "dependencies",
        "items",
        "additionalItems",
        "minItems",
        "maxItems",
        "uniqueItems",
        "contains",
        "minLength",
        "maxLength",
        "pattern",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "enum",
        "const",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "if",
        "then",
        "else",
        "$ref",
    }
)


def _document(value: Value) -> Value:
    if type(value) is str:
        return read_json(value)
    if type(value) is dict or type(value) is list:
        return _json(weigh(value))
    msg = "wrong type, expected string or object"
    raise BuiltinFailed(msg)


def _json(value: Value) -> Value:
    """A value as JSON has it."""
    kind = type(value)
    if kind is dict:
        return {json_key(k): _json(v) for k, v in value.items()}
    if kind is list or kind is Set:
        found = elements(value) if kind is Set else value
        return [_json(v) for v in found]
    if kind is Raw:
        msg = "a string that is not UTF-8"
        raise OutsideProfile(msg)
    return value


class _UnknownType(Exception):
    """A schema names a type that there is not."""


def _count(value: Value) -> int:
    if type(value) is dict:
        return 1 + sum(map(_count, value.values()))
    return 1 + sum(map(_count, value)) if type(value) is list else 1


def _checked(schema: Value, depth: int = DEEPEST) -> None:
    """Refuse what has no answer here, and types that there are not."""
    if depth < 0:
        msg = "json: a schema nested too deeply"
        raise BudgetExceeded(msg)
    spend(1)
    if type(schema) is not dict:
        return
    unknown = schema.keys() - _KNOWN
    bounds = (schema.get(f"exclusive{m}imum") for m in ("Min", "Max"))
    if unknown or any(type(bound) is bool for bound in bounds):
        msg = "json: a keyword of the schema outside the profile"
        raise OutsideProfile(msg)
    ref = schema.get("$ref", "#")
    if type(ref) is not str or not ref.startswith("#"):
        msg = "json: a reference that leaves its schema"
        raise OutsideProfile(msg)
    types = schema.get("type", [])
    if type(types) is list:
        # Whether they differ is found out by comparing each with each.
        at_once(len(types) ** 2 // _SCHEMA)
    for name in types if type(types) is list else [types]:
        if type(name) is str and name not in _TYPES.split():
            raise _UnknownType(name)
    for inner in _inner(schema):
        _checked(inner, depth - 1)


def _inner(schema: dict[str, Value]) -> Iterator[Value]:
    for word in ("additionalProperties", "propertyNames", "additionalItems"):
        yield schema.get(word)
    for word in ("contains", "not", "if", "then", "else", "items"):
        yield schema.get(word)
    for word in ("anyOf", "oneOf", "allOf", "items"):
        if type(schema.get(word)) is list:
            yield from schema[word]
    for word in ("properties", "patternProperties", "dependencies"):
        if type(schema.get(word)) is dict:
            yield from schema[word].values()
    for word in ("definitions", "$defs"):
        if type(schema.get(word)) is dict:
            yield from schema[word].values()


def _compiled(schema: Value) -> Value:
    """A schema that is one; raises otherwise."""
    if type(schema) is not dict and type(schema) is not bool:
        msg = "json: a schema is neither object nor boolean"
        raise BuiltinFailed(msg)
    at_once(_count(schema) * _SCHEMA)
    _checked(schema)
    try:
        jsonschema.Draft7Validator.check_schema(_plain(schema))
    except SchemaError as error:
        msg = "json: malformed schema"
        raise BuiltinFailed(msg) from error
    return schema


def _plain(value: Value) -> Value:
    """With numbers as `jsonschema` takes them."""
    if type(value) is dict:
        return {k: _plain(v) for k, v in value.items()}
    if type(value) is list:
        return [_plain(v) for v in value]
    if is_number(value) and type(value) not in (int, float):
        return float(value)
    return value


def _match(a: Value, b: Value) -> Value:
    document, schema = _document(a), _document(b)
    try:
        known = _compiled(schema)
    except _UnknownType as error:
        msg = "json.match_schema: a type of the schema is not one"
        raise BuiltinFailed(msg) from error
    errors = walked(known, document)
    return [not errors, errors]


def _verify(a: Value) -> Value:
    if type(a) is str:
        try:
            schema = read_json(a)
        except BuiltinFailed:
            return [False, "jsonschema: invalid JSON string"]
    elif type(a) is dict or type(a) is list:
        schema = _json(weigh(a))
    else:
        return [
            False,
            "jsonschema: wrong type, expected string or object",
        ]
    try:
        _compiled(schema)
    except _UnknownType as error:
        problem = f"given: /{error}/ Expected valid values are:[{_TYPES}]"
        return [
            False,
            f"jsonschema: has a primitive type that is NOT VALID -- {problem}",
        ]
    except BuiltinFailed as error:
        msg = "json.verify_schema: a schema that is none"
        raise OutsideProfile(msg) from error
    return [True, None]


SCHEMAS: Mapping[str, Callable[..., Value]] = {
    "json.match_schema": _match,
    "json.verify_schema": _verify,
}
