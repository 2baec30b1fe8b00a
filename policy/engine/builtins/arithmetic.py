"""Arithmetic, bits and ranges of numbers."""

import re
from collections.abc import Callable, Mapping
from math import isinf

from policy.engine import arithmetic as n
from policy.engine.builtins.operands import numeric, sized, whole
from policy.engine.errors import BudgetExceeded, BuiltinFailed, OutsideProfile
from policy.engine.metering import PARTS, at_once
from policy.engine.numbers import bounded, number, spelling
from policy.engine.values import Set, Value, difference

_MAX_SHIFT = 13_000
_TEXT = 16  # characters of a number that are read in a step
_JSON_NUMBER = re.compile(
    r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,6})?\Z"
)
_GO_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_.pP+-]+|[0-9.]+(?:[eE][+-]?[0-9]{1,6})?)\Z"
)


def _plus(a: Value, b: Value) -> Value:
    return n.add(numeric(a, 1), numeric(b, 2))


def _minus(a: Value, b: Value) -> Value:
    if type(a) is Set and type(b) is Set:
        return difference(a, b)
    return n.subtract(numeric(a, 1), numeric(b, 2))


def _mul(a: Value, b: Value) -> Value:
    return n.multiply(numeric(a, 1), numeric(b, 2))


def _div(a: Value, b: Value) -> Value:
    return n.divide(numeric(a, 1), numeric(b, 2))


def _rem(a: Value, b: Value) -> Value:
    return n.remainder(numeric(a, 1), numeric(b, 2))


def _abs(a: Value) -> Value:
    return n.absolute(numeric(a, 1))


def _round(a: Value) -> Value:
    return n.rounded(numeric(a, 1))


def _ceil(a: Value) -> Value:
    return n.ceiling(numeric(a, 1))


def _floor(a: Value) -> Value:
    return n.floor(numeric(a, 1))


def _and(a: Value, b: Value) -> Value:
    return whole(a, 1) & whole(b, 2)


def _or(a: Value, b: Value) -> Value:
    return whole(a, 1) | whole(b, 2)


def _xor(a: Value, b: Value) -> Value:
    return whole(a, 1) ^ whole(b, 2)


def _negate(a: Value) -> Value:
    return ~whole(a, 1)


def _shift(b: Value) -> int:
    places = whole(b, 2)
    if places < 0:
        msg = "operand 2 must be an unsigned integer"
        raise BuiltinFailed(msg)
    return places


def _lsh(a: Value, b: Value) -> Value:
    value, places = whole(a, 1), _shift(b)
    if places > _MAX_SHIFT:
        msg = "bits.lsh: shift beyond the limit"
        raise BudgetExceeded(msg)
    return bounded(value << places)


def _rsh(a: Value, b: Value) -> Value:
    value, places = whole(a, 1), _shift(b)
    if places >= 1 << 64:
        msg = "bits.rsh: shift beyond the limit"
        raise BudgetExceeded(msg)
    return value >> places


def _steps(first: int, last: int, step: int) -> Value:
    count = abs(last - first) // step + 1
    sized(count)
    at_once(count // PARTS)
    if first <= last:
        return list(range(first, last + 1, step))
    return list(range(first, last - 1, -step))


def _range(a: Value, b: Value) -> Value:
    return _steps(whole(a, 1), whole(b, 2), 1)


def _range_step(a: Value, b: Value, c: Value) -> Value:
    step = whole(c, 3)
    if step <= 0:
        msg = "numbers.range_step: step must be a positive integer"
        raise BuiltinFailed(msg)
    return _steps(whole(a, 1), whole(b, 2), step)


def _to_number(a: Value) -> Value:
    if a is None or a is False:
        return 0
    if a is True:
        return 1
    if type(a) is not str:
        return numeric(a, 1)
    at_once(len(a) // _TEXT)
    if _JSON_NUMBER.match(a):
        if isinf(float(a)):
            msg = "to_number: out of range"
            raise BuiltinFailed(msg)
        return number(a)
    if _GO_NUMBER.match(a):
        # OPA takes these too, but what it then holds is no JSON number.
        msg = "to_number: a spelling outside the profile"
        raise OutsideProfile(msg)
    msg = "to_number: not a number"
    raise BuiltinFailed(msg)


def _format_int(a: Value, b: Value) -> Value:
    value, base = numeric(a, 1), spelling(numeric(b, 2))
    formats = {"2": "b", "8": "o", "10": "d", "16": "x"}
    if base not in formats:
        msg = "operand 2 must be one of 2, 8, 10, 16"
        raise BuiltinFailed(msg)
    return format(n.truncated(value), formats[base])


ARITHMETIC: Mapping[str, Callable[..., Value]] = {
    "plus": _plus,
    "minus": _minus,
    "mul": _mul,
    "div": _div,
    "rem": _rem,
    "abs": _abs,
    "round": _round,
    "ceil": _ceil,
    "floor": _floor,
    "bits.and": _and,
    "bits.or": _or,
    "bits.xor": _xor,
    "bits.negate": _negate,
    "bits.lsh": _lsh,
    "bits.rsh": _rsh,
    "numbers.range": _range,
    "numbers.range_step": _range_step,
    "to_number": _to_number,
    "format_int": _format_int,
}
