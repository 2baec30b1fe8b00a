"""Questions about a value's type."""

from collections.abc import Callable, Mapping

from policy.engine.values import Raw, Set, Value, is_number, type_name


def _is(kind: type) -> Callable[[Value], Value]:
    def check(value: Value) -> Value:
        return type(value) is kind

    return check


def _is_string(value: Value) -> Value:
    return type(value) in (str, Raw)


TYPES: Mapping[str, Callable[..., Value]] = {
    "is_array": _is(list),
    "is_boolean": _is(bool),
    "is_null": _is(type(None)),
    "is_number": is_number,
    "is_object": _is(dict),
    "is_set": _is(Set),
    "is_string": _is_string,
    "type_name": type_name,
}
