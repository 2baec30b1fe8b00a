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

from policy.engine.errors import BudgetExceeded, BuiltinFailed

MAX_DIGITS = 4000
"""Longest integer, in digits; also the largest decimal exponent."""

_FEW = 1 << 256

MAX_FLOAT = float(2**53)
"""At and beyond this magnitude a float stands for too many integers."""

_DIGITS = re.compile(r"[0-9]+\Z")
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_NUMBER = re.compile(
    r"([+-]?)(?=[0-9]|\.[0-9])([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?\Z"
)
MAX_BITS = 13_288  # MAX_DIGITS decimal digits
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


def digits(value: Number) -> int:
    """How many digits it takes to write a number; 0 where they are few."""
    if isinstance(value, int):
        return 0 if -_FEW < value < _FEW else value.bit_length() * 3 // 10
    if isinstance(value, Real):
        return len(value.text) + abs(value.adjusted())
    return 0


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
    return spelled_integer(spelling(value))


def spelled_integer(spelled: str) -> int | None:
    """What `small_integer` gives for a number that is spelled like this."""
    text = spelled.lstrip("+-")
    head, _, tail = text.partition(".")
    if len(text) > 19 or tail.strip("0") or not _DIGITS.match(head + tail):
        return None
    whole = int(head or "0")
    whole = -whole if spelled.startswith("-") else whole
    return whole if -(2**63) <= whole < 2**63 else None


def bounded(value: int) -> int:
    """An integer result, refused beyond the limit of digits."""
    if value.bit_length() > MAX_BITS:
        msg = "integer beyond the limit"
        raise BudgetExceeded(msg)
    return value


def parts(text: str) -> tuple[int, int]:
    """Mantissa and decimal exponent of a number's text.

    Raises:
        BuiltinFailed: it is no number.
    """
    match = _NUMBER.match(text)
    if match is None:
        msg = "not a number"
        raise BuiltinFailed(msg)
    fraction = match[3] or ""
    mantissa = int((match[2] + fraction) or "0")
    ten = int(match[4] or "0") - len(fraction)
    return (-mantissa if match[1] == "-" else mantissa), ten
