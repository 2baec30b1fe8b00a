"""Rego's numbers.

OPA keeps a number as its text and computes on arbitrary-precision integers,
or, where an operand is not integral, on binary floats with a mantissa of 64
bits whose results are written as the shortest decimal that reads back. Both
are reproduced here digit by digit, so that `0.1 + 0.2` is `0.3`.

Four Python types stand for a number:

=============  ==============================================================
`int`          every integer
`float`        below 2**53, meaning the decimal that `repr` shows
`SpelledFloat` the same, where the text that Rego would show is another
`Real`         a `Decimal` with its text: what no float can stand for
=============  ==============================================================

A float and a `Real` are never equal: `number` gives a `Real` only where no
float has that shortest decimal.
"""

import re
from decimal import Context, Decimal
from functools import lru_cache

from policy.engine.errors import BudgetExceeded, BuiltinFailed

MAX_DIGITS = 4000
"""Longest integer, in digits; also the largest decimal exponent."""

MAX_FLOAT = float(2**53)
"""At and beyond this magnitude a float stands for too many integers."""

_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_NUMBER = re.compile(
    r"([+-]?)(?=[0-9]|\.[0-9])([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?\Z"
)
_MAX_BITS = 13_288  # MAX_DIGITS decimal digits
_EXACT = Context(prec=2 * MAX_DIGITS + 100, Emax=10**6, Emin=-(10**6))


class SpelledFloat(float):
    """A float whose Rego text is not what `repr` shows."""

    __slots__ = ("text",)
    text: str


class Real(Decimal):
    """A number that no float stands for, with its Rego text."""

    __slots__ = ("text",)
    text: str


Number = int | float | Decimal


def _spelled(value: float, text: str) -> float:
    if repr(value) == text:
        return value
    spelled = SpelledFloat(value)
    spelled.text = text
    return spelled


def number(text: str) -> Number:
    """The number that a text stands for.

    Args:
        text: a JSON number, or what Go's `ParseFloat` takes as a decimal.

    Returns:
        The number, with its spelling where that would be lost.

    Raises:
        BuiltinFailed: it is no number.
        BudgetExceeded: it has too many digits.
    """
    match = _NUMBER.match(text)
    if match is None:
        msg = "not a number"
        raise BuiltinFailed(msg)
    exponent = match[4] or "0"
    if len(text) > MAX_DIGITS or abs(int(exponent[:9])) > MAX_DIGITS:
        msg = "number beyond the limit"
        raise BudgetExceeded(msg)
    if _INTEGER.match(text):
        value = int(text)
        if value or text[0] != "-":
            return value
        return _spelled(-0.0, text)
    exact = Decimal(text)
    near = float(text)
    if abs(near) < MAX_FLOAT and Decimal(repr(near)) == exact:
        return _spelled(near, text)
    real = Real(exact)
    real.text = text
    return real


def spelling(value: Number) -> str:
    """The text that Rego shows for a number."""
    if isinstance(value, (SpelledFloat, Real)):
        return value.text
    if isinstance(value, int):
        return str(value)
    return repr(value)


def exact(value: Number) -> Decimal:
    """The number as a decimal, without loss."""
    if isinstance(value, float):
        return Decimal(repr(float(value)))
    return Decimal(value)


def compare_numbers(a: Number, b: Number) -> int:
    """Order two numbers: negative, zero or positive."""
    if isinstance(a, Decimal) or isinstance(b, Decimal):
        x, y = exact(a), exact(b)
        return (x > y) - (x < y)
    return (a > b) - (a < b)


def integer(value: Number) -> int | None:
    """The number as an exact integer, or None where it is fractional."""
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    whole = value.to_integral_value(context=_EXACT)
    return int(whole) if whole == value else None


def small_integer(value: Number) -> int | None:
    """The number as Go's `int`, judged by its spelling as OPA does.

    A trailing `.0` is allowed, an exponent is not, nor more than 19
    characters or what overflows 64 bits.
    """
    if type(value) is int and -(10**18) < value < 10**18:
        return value
    text = spelling(value).lstrip("+-")
    head, _, tail = text.partition(".")
    if len(text) > 19 or tail.strip("0") or not (head + tail).isdigit():
        return None
    whole = int(head or "0")
    whole = -whole if spelling(value).startswith("-") else whole
    return whole if -(2**63) <= whole < 2**63 else None


def bounded(value: int) -> int:
    """An integer result, refused beyond the limit of digits."""
    if value.bit_length() > _MAX_BITS:
        msg = "integer beyond the limit"
        raise BudgetExceeded(msg)
    return value


# Binary floats: (mantissa, exponent) stands for mantissa * 2**exponent.
_Big = tuple[int, int]
_PRECISION = 64
_EXACT_IN_BIG = 1 << 62  # smaller integers pass a float of 64 bits unchanged


def _round(mantissa: int, exponent: int, precision: int) -> _Big:
    """Round to nearest, ties to even."""
    excess = abs(mantissa).bit_length() - precision
    if excess <= 0:
        return mantissa, exponent
    size = abs(mantissa)
    kept, lost = size >> excess, size & ((1 << excess) - 1)
    half = 1 << (excess - 1)
    if lost > half or (lost == half and kept & 1):
        kept += 1
    return (kept if mantissa > 0 else -kept), exponent + excess


def _multiply(x: _Big, y: _Big, precision: int) -> _Big:
    return _round(x[0] * y[0], x[1] + y[1], precision)


def _divide(x: _Big, y: _Big, precision: int) -> _Big:
    if x[0] == 0:
        return 0, 0
    shift = (
        precision + 2 + max(0, abs(y[0]).bit_length() - abs(x[0]).bit_length())
    )
    quotient, rest = divmod(abs(x[0]) << shift, abs(y[0]))
    # A sticky bit below the rounding position stands for the remainder.
    quotient = (quotient << 1) | bool(rest)
    sign = -1 if (x[0] < 0) != (y[0] < 0) else 1
    return _round(sign * quotient, x[1] - y[1] - shift - 1, precision)


@lru_cache(maxsize=1024)
def _power_of_five(n: int, precision: int) -> _Big:
    """5**n as OPA's arithmetic rounds it."""
    if n <= 27:
        return 5**n, 0
    result: _Big = (5**27, 0)
    n -= 27
    factor: _Big = (5, 0)
    while n:
        if n & 1:
            result = _multiply(result, factor, precision)
        factor = _multiply(factor, factor, precision + 64)
        n >>= 1
    return result


def _big(value: Number) -> _Big:
    """A number as a float of 64 bits, read as OPA reads its text."""
    match = _NUMBER.match(spelling(value))
    if match is None:  # every spelling is a number
        msg = "not a number"
        raise BuiltinFailed(msg)
    fraction = match[3] or ""
    mantissa = int((match[2] + fraction) or "0")
    if match[1] == "-":
        mantissa = -mantissa
    ten = int(match[4] or "0") - len(fraction)
    if mantissa == 0:
        return 0, 0
    if ten == 0:
        return _round(mantissa, 0, _PRECISION)
    power = _power_of_five(abs(ten), _PRECISION + 64)
    combine = _divide if ten < 0 else _multiply
    m, e = combine((mantissa, 0), power, _PRECISION)
    return m, e + ten


def _decimal(mantissa: int, exponent: int) -> tuple[str, int]:
    """Digits and decimal exponent (0.digits * 10**exp) of a positive."""
    if exponent >= 0:
        text, shift = str(mantissa << exponent), 0
    else:
        text, shift = str(mantissa * 5**-exponent), exponent
    return text.rstrip("0"), len(text) + shift


def _shortest(mantissa: int, exponent: int, precision: int) -> tuple[str, int]:
    """The shortest digits that read back as this positive float."""
    digits, point = _decimal(mantissa, exponent)
    # lsb(scaled) is half a unit in the last place of the precision.
    scale = precision + 1 - mantissa.bit_length()
    scaled, scaled_exponent = mantissa << scale, exponent - scale
    lower, _ = _decimal(scaled - 1, scaled_exponent)
    upper, _ = _decimal(scaled + 1, scaled_exponent)
    inclusive = not scaled & 2
    for i, digit in enumerate(digits):
        low = lower[i] if i < len(lower) else "0"
        up = upper[i] if i < len(upper) else "0"
        down_ok = low != digit or (inclusive and i + 1 == len(lower))
        up_ok = digit != up and (
            inclusive or ord(digit) + 1 < ord(up) or i + 1 < len(upper)
        )
        if down_ok or up_ok:
            return _cut(digits, point, i + 1, down_ok=down_ok, up_ok=up_ok)
    return digits, point


def _cut(
    digits: str, point: int, n: int, *, down_ok: bool, up_ok: bool
) -> tuple[str, int]:
    if n >= len(digits):
        return digits, point
    rest = digits[n:]
    up = not down_ok
    if down_ok and up_ok:
        tie = rest == "5"
        up = int(digits[n - 1]) % 2 == 1 if tie else rest[0] >= "5"
    if not up:
        return digits[:n].rstrip("0"), point
    kept = str(int(digits[:n]) + 1)
    return kept.rstrip("0"), point + (len(kept) > n)


def _number(big: _Big, precision: int = _PRECISION) -> Number:
    """A float's shortest decimal as a number, spelled as OPA spells it."""
    mantissa, exponent = big
    if mantissa == 0:
        return 0
    zeros = (mantissa & -mantissa).bit_length() - 1
    if exponent + abs(mantissa).bit_length() > _MAX_BITS:
        msg = "number beyond the limit"
        raise BudgetExceeded(msg)
    digits, point = _shortest(abs(mantissa), exponent, precision)
    sign = "-" if mantissa < 0 else ""
    if exponent + zeros >= 0:  # integral: written out
        return int(sign + digits.ljust(point, "0"))
    power = point - 1
    if power < -4 or power >= 6:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        text = f"{digits[0]}{tail}e{'-' if power < 0 else '+'}{abs(power):02}"
    elif point <= 0:
        text = "0." + "0" * -point + digits
    else:
        text = f"{digits[:point]}.{digits[point:]}"
    return number(sign + text)


def add(a: Number, b: Number) -> Number:
    """The sum, exact on integers."""
    if type(a) is int and type(b) is int:
        return bounded(a + b)
    x, y = integer(a), integer(b)
    if x is not None and y is not None:
        return bounded(x + y)
    (m, e), (n, f) = _big(a), _big(b)
    low = min(e, f)
    return _number(
        _round((m << (e - low)) + (n << (f - low)), low, _PRECISION)
    )


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
        bounded(1 << min(x.bit_length() + y.bit_length(), _MAX_BITS + 8))
        return x * y
    return _number(_multiply(_big(a), _big(b), _PRECISION))


def divide(a: Number, b: Number) -> Number:
    """The quotient, rounded to 64 bits.

    Raises:
        BuiltinFailed: the divisor is zero.
    """
    y = _big(b)
    if y[0] == 0:
        msg = "div: divide by zero"
        raise BuiltinFailed(msg)
    return _number(_divide(_big(a), y, _PRECISION))


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
    result: _Big = (1, 0)
    for value in values:
        result = _multiply(result, _big(value), 53)
    return _number(result, 53)


def total(values: list[Number]) -> Number:
    """The sum of many: exact on integers, else on 64 bits."""
    parts = [integer(value) for value in values]
    if None not in parts:
        return bounded(sum(p for p in parts if p is not None))
    low, mantissa = 0, 0
    for value in values:
        n, f = _big(value)
        base = min(low, f)
        mantissa, low = _round(
            (mantissa << (low - base)) + (n << (f - base)), base, _PRECISION
        )
    return _number((mantissa, low))


def _truncate(big: _Big) -> int:
    mantissa, exponent = big
    if exponent >= 0:
        return mantissa << exponent
    size = abs(mantissa) >> -exponent
    return -size if mantissa < 0 else size


def _whole(value: int, precision: int = _PRECISION) -> Number:
    """An integer as OPA writes it when it comes out of a float."""
    return _number((value, 0), max(precision, abs(value).bit_length()))


def absolute(a: Number) -> Number:
    """The magnitude, on 64 bits as OPA computes it."""
    if type(a) is int and -_EXACT_IN_BIG < a < _EXACT_IN_BIG:
        return abs(a)
    m, e = _big(a)
    return _number((abs(m), e))


def rounded(a: Number) -> Number:
    """The nearest integer, halves away from zero."""
    if type(a) is int and -_EXACT_IN_BIG < a < _EXACT_IN_BIG:
        return a
    m, e = _big(a)
    half = (-1 if m < 0 else 1, -1)
    low = min(e, half[1])
    moved = _round(
        (m << (e - low)) + (half[0] << (half[1] - low)), low, _PRECISION
    )
    return _whole(_truncate(moved))


def _fractional(big: _Big, whole: int) -> bool:
    mantissa, exponent = big
    return exponent < 0 and (whole << -exponent) != mantissa


def ceiling(a: Number) -> Number:
    """The least integer that is not less; between -1 and 0, as OPA, 1."""
    if type(a) is int and -_EXACT_IN_BIG < a < _EXACT_IN_BIG:
        return a
    big = _big(a)
    whole = _truncate(big)
    up = whole >= 0 and _fractional(big, whole)
    return _whole(whole + 1 if up else whole)


def floor(a: Number) -> Number:
    """The greatest integer that is not more; between -1 and 0, as OPA, 0."""
    if type(a) is int and -_EXACT_IN_BIG < a < _EXACT_IN_BIG:
        return a
    big = _big(a)
    whole = _truncate(big)
    down = whole < 0 and _fractional(big, whole)
    return _whole(whole - 1 if down else whole)


def truncated(a: Number) -> int:
    """The integer part, on 64 bits where the number is fractional."""
    whole = integer(a) if isinstance(a, int) else None
    return _truncate(_big(a)) if whole is None else whole
