"""What every built-in asks of its operands.

An operand of the wrong type is a built-in's error, which the generated code
turns into undefined outside strict mode.
"""

from typing import Any

from policy.engine.errors import BudgetExceeded, BuiltinFailed, OutsideProfile
from policy.engine.numbers import Number, integer, small_integer
from policy.engine.values import Raw, Set, Value, elements, is_number

MAX_TEXT = 1 << 20
"""Longest string that a built-in makes, in characters."""

MAX_ITEMS = 100_000
"""Longest array or set that a built-in makes, in elements."""


def _wrong(position: int, wanted: str) -> BuiltinFailed:
    return BuiltinFailed(f"operand {position} must be {wanted}")


def text(value: Value, position: int) -> str:
    """The operand, which must be a string."""
    if type(value) is not str:
        if type(value) is Raw:
            msg = "a string that is not UTF-8"
            raise OutsideProfile(msg)
        raise _wrong(position, "string")
    return value


def array(value: Value, position: int) -> list[Value]:
    """The operand, which must be an array."""
    if type(value) is not list:
        raise _wrong(position, "array")
    return value


def mapping(value: Value, position: int) -> dict[Any, Value]:
    """The operand, which must be an object."""
    if type(value) is not dict:
        raise _wrong(position, "object")
    return value


def a_set(value: Value, position: int) -> Set:
    """The operand, which must be a set."""
    if type(value) is not Set:
        raise _wrong(position, "set")
    return value


def numeric(value: Value, position: int) -> Number:
    """The operand, which must be a number."""
    if not is_number(value):
        raise _wrong(position, "number")
    return value  # type: ignore[no-any-return] # just checked


def whole(value: Value, position: int) -> int:
    """The operand, which must be an integer of any size."""
    found = integer(numeric(value, position))
    if found is None:
        raise _wrong(position, "integer number")
    return found


def index(value: Value, position: int) -> int:
    """The operand, which must be an integer that is spelled as one."""
    found = small_integer(numeric(value, position))
    if found is None:
        raise _wrong(position, "integer number")
    return found


def collection(value: Value, position: int) -> list[Value]:
    """The elements, in order, of an array or a set."""
    if type(value) is list:
        return value
    if type(value) is Set:
        return elements(value)
    raise _wrong(position, "array or set")


def texts(value: Value, position: int) -> list[str]:
    """The elements of an array or set, which must all be strings."""
    found = collection(value, position)
    for element in found:
        if type(element) is not str:
            text(element, position)
    return found


def numbers(value: Value, position: int) -> list[Number]:
    """The elements of an array or set, which must all be numbers."""
    found = collection(value, position)
    for element in found:
        if not is_number(element):
            raise _wrong(position, "array or set of numbers")
    return found


def sized_text(result: str) -> str:
    """A string result, within the limit."""
    if len(result) > MAX_TEXT:
        msg = "a built-in made a string beyond the limit"
        raise BudgetExceeded(msg)
    return result


def sized(count: int) -> None:
    """Refuse a result of more elements than the limit."""
    if count > MAX_ITEMS:
        msg = "a built-in made a collection beyond the limit"
        raise BudgetExceeded(msg)
