"""Arithmetic on Rego's numbers, as OPA does it.

Integers are exact. Where an operand is fractional, the result is computed on
binary floats (`bigfloat`) and is the shortest decimal that reads back.
"""

from policy.engine.bigfloat import (
    PRECISION,
    Big,
    is_fractional,
    plus,
    quotient,
    read,
    times,
    truncate,
    written,
)
from policy.engine.errors import BudgetExceeded, BuiltinFailed
from policy.engine.metering import spend
from policy.engine.numbers import (
    MAX_BITS,
    Number,
    bounded,
    integer,
    number,
    parts,
    spelling,
)

_FLOAT = 8  # steps of an operation on binary floats, among many
_EXACT = 1 << 62  # smaller integers pass a float of 64 bits unchanged


def _big(value: Number) -> Big:
    mantissa, ten = parts(spelling(value))
    return read(mantissa, ten)


def _made(big: Big, precision: int = PRECISION) -> Number:
    mantissa, exponent = big
    if exponent + abs(mantissa).bit_length() > MAX_BITS:
        msg = "number beyond the limit"
        raise BudgetExceeded(msg)
    return number(written(big, precision))


def add(a: Number, b: Number) -> Number:
    """The sum, exact on integers."""
    if type(a) is int and type(b) is int:
        return bounded(a + b)
    x, y = integer(a), integer(b)
    if x is not None and y is not None:
        return bounded(x + y)
    return _made(plus(_big(a), _big(b)))


def negate(a: Number) -> Number:
    """The number with the other sign."""
    if isinstance(a, int):
        return -a
    text = spelling(a)
    return number(text[1:] if text[0] == "-" else "-" + text.lstrip("+"))


def subtract(a: Number, b: Number) -> Number:
    """The difference, exact on integers."""
    return add(a, negate(b))


def multiply(a: Number, b: Number) -> Number:
    """The product, exact on integers."""
    x, y = integer(a), integer(b)
    if x is not None and y is not None:
        bounded(1 << min(x.bit_length() + y.bit_length(), MAX_BITS + 8))
        return x * y
    return _made(times(_big(a), _big(b), PRECISION))


def divide(a: Number, b: Number) -> Number:
    """The quotient, rounded to 64 bits.

    Raises:
        BuiltinFailed: the divisor is zero.
    """
    y = _big(b)
    if y[0] == 0:
        msg = "div: divide by zero"
        raise BuiltinFailed(msg)
    return _made(quotient(_big(a), y, PRECISION))


def remainder(a: Number, b: Number) -> int:
    """The remainder with the dividend's sign, on integers alone.

    Raises:
        BuiltinFailed: an operand is fractional, or the divisor is zero.
    """
    x, y = integer(a), integer(b)
    if x is None or y is None:
        msg = "rem: modulo on floating-point number"
        raise BuiltinFailed(msg)
    if y == 0:
        msg = "rem: modulo by zero"
        raise BuiltinFailed(msg)
    rest = abs(x) % abs(y)
    return -rest if x < 0 else rest


def product(values: list[Number]) -> Number:
    """The product of many: exact on integers, else on 53 bits."""
    whole = 1
    for value in values:
        part = integer(value)
        if part is None:
            break
        whole = bounded(whole * part)
    else:
        return whole
    result: Big = (1, 0)
    for value in values:
        spend(_FLOAT)
        result = times(result, _big(value), 53)
    return _made(result, 53)


def total(values: list[Number]) -> Number:
    """The sum of many: exact on integers, else on 64 bits."""
    whole = [integer(value) for value in values]
    if None not in whole:
        return bounded(sum(p for p in whole if p is not None))
    result: Big = (0, 0)
    for value in values:
        spend(_FLOAT)
        result = plus(result, _big(value))
    return _made(result)


def _whole(value: int, precision: int = PRECISION) -> Number:
    """An integer as OPA writes it when it comes out of a float."""
    return _made((value, 0), max(precision, abs(value).bit_length()))


def absolute(a: Number) -> Number:
    """The magnitude, on 64 bits as OPA computes it."""
    if type(a) is int and -_EXACT < a < _EXACT:
        return abs(a)
    m, e = _big(a)
    return _made((abs(m), e))


def rounded(a: Number) -> Number:
    """The nearest integer, halves away from zero."""
    if type(a) is int and -_EXACT < a < _EXACT:
        return a
    big = _big(a)
    half = (-1 if big[0] < 0 else 1, -1)
    return _whole(truncate(plus(big, half)))


def ceiling(a: Number) -> Number:
    """The least integer that is not less; between -1 and 0, as OPA, 1."""
    if type(a) is int and -_EXACT < a < _EXACT:
        return a
    big = _big(a)
    whole = truncate(big)
    up = whole >= 0 and is_fractional(big, whole)
    return _whole(whole + 1 if up else whole)


def floor(a: Number) -> Number:
    """The greatest integer that is not more; between -1 and 0, as OPA, 0."""
    if type(a) is int and -_EXACT < a < _EXACT:
        return a
    big = _big(a)
    whole = truncate(big)
    down = whole < 0 and is_fractional(big, whole)
    return _whole(whole - 1 if down else whole)


def truncated(a: Number) -> int:
    """The integer part, on 64 bits where the number is fractional."""
    whole = integer(a) if isinstance(a, int) else None
    return truncate(_big(a)) if whole is None else whole
