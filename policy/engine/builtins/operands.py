"""What every built-in asks of its operands, and charges for them.

An operand of the wrong type is a built-in's error, which the generated code
turns into undefined outside strict mode. Who asks for an operand is charged
for going through it once, unless it only glances at it; a built-in that does
more with it charges the rest itself.
"""

from collections.abc import Sized
from typing import Any

from policy.engine.errors import BudgetExceeded, BuiltinFailed, OutsideProfile
from policy.engine.metering import MADE, PARTS, READ, at_once, spend
from policy.engine.numbers import Number, digits, integer, small_integer
from policy.engine.values import Raw, Set, Value, elements, is_number

MAX_TEXT = 1 << 20
"""Longest string that a built-in makes, in characters."""

MAX_ITEMS = 100_000
"""Longest array or set that a built-in makes, in elements."""

_DIGITS = 4  # digits that are computed with in a step


def _wrong(position: int, wanted: str) -> BuiltinFailed:
    return BuiltinFailed(f"operand {position} must be {wanted}")


def text(value: Value, position: int) -> str:
    """The operand, which must be a string and is read through."""
    if len(glanced(value, position)) > READ:
        at_once(len(value) // READ)
    return value  # type: ignore[no-any-return] # a string


def glanced(value: Value, position: int) -> str:
    """The operand, which must be a string, for what reads little of it."""
    if type(value) is not str:
        if type(value) is Raw:
            msg = "a string that is not UTF-8"
            raise OutsideProfile(msg)
        raise _wrong(position, "string")
    return value


def passed(source: Sized) -> None:
    """Charge going through a collection once."""
    if len(source) >= PARTS:
        spend(len(source) // PARTS)


def an_array(value: Value, position: int) -> list[Value]:
    """The operand, which must be an array, for what reads little of it."""
    if type(value) is not list:
        raise _wrong(position, "array")
    return value


def array(value: Value, position: int) -> list[Value]:
    """The operand, which must be an array and is gone through."""
    if type(value) is not list:
        raise _wrong(position, "array")
    if len(value) >= PARTS:
        spend(len(value) // PARTS)
    return value


def an_object(value: Value, position: int) -> dict[Any, Value]:
    """The operand, which must be an object, for what reads little of it."""
    if type(value) is not dict:
        raise _wrong(position, "object")
    return value


def mapping(value: Value, position: int) -> dict[Any, Value]:
    """The operand, which must be an object and is gone through."""
    if type(value) is not dict:
        raise _wrong(position, "object")
    if len(value) >= PARTS:
        spend(len(value) // PARTS)
    return value


def a_set(value: Value, position: int) -> Set:
    """The operand, which must be a set; set operations charge themselves."""
    if type(value) is not Set:
        raise _wrong(position, "set")
    return value


def numeric(value: Value, position: int) -> Number:
    """The operand, which must be a number; many digits are charged."""
    if not is_number(value):
        raise _wrong(position, "number")
    if type(value) is not float and (many := digits(value)):
        spend(many // _DIGITS)
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
        passed(value)
        return value
    if type(value) is Set:
        passed(value)
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
    many = 0
    for element in found:
        if not is_number(element):
            raise _wrong(position, "array or set of numbers")
        many += digits(element)
    at_once(many // _DIGITS)
    return found


def made(result: str) -> str:
    """A string result, paid for."""
    if len(result) >= MADE:
        spend(len(result) // MADE)
    return result


def sized_text(result: str) -> str:
    """A string result, within the limit and paid for."""
    if len(result) > MAX_TEXT:
        msg = "a built-in made a string beyond the limit"
        raise BudgetExceeded(msg)
    return made(result)


def sized(count: int) -> None:
    """Refuse a result of more elements than the limit."""
    if count > MAX_ITEMS:
        msg = "a built-in made a collection beyond the limit"
        raise BudgetExceeded(msg)
