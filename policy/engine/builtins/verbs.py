"""One operand under one verb, as Go's `fmt` shows it.

A number that is an integer of 64 bits is Go's `int64`, a larger one a
`*big.Int`, one with a point a `float64`; every other value but a string is
its Rego notation.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from math import copysign
from typing import Any

from policy.engine.builtins.operands import MAX_TEXT, numeric
from policy.engine.errors import BudgetExceeded, OutsideProfile
from policy.engine.metering import at_once
from policy.engine.numbers import spelling
from policy.engine.spelling import notation, quoted
from policy.engine.values import Value, is_number

_MOST_DIGITS = 1000
_BYTES = 8  # bytes that are written one by one in a step
_INT64 = re.compile(r"-?[0-9]{1,19}\Z")
_BIG = re.compile(r"[+-]?[0-9]+\Z")


class _Big(int):
    """An integer beyond 64 bits: Go's `*big.Int`."""


@dataclass(slots=True)
class Flags:
    """What stands between `%` and the verb."""

    sharp: bool = False
    zero: bool = False
    plus: bool = False
    minus: bool = False
    space: bool = False
    width: int | None = None
    precision: int | None = None

    def pad(self, made: str, *, zero: bool | None = None) -> str:
        """Fill up to the width; with zeros where they are asked for."""
        if self.width is None or len(made) >= self.width:
            return made
        if self.width > MAX_TEXT:
            msg = "sprintf: result beyond the limit"
            raise BudgetExceeded(msg)
        if self.minus:
            return made.ljust(self.width)
        zeros = self.zero if zero is None else zero
        return made.rjust(self.width, "0" if zeros else " ")


def argument(value: Value) -> Any:  # noqa: ANN401 - as Go would have it
    """A value as what OPA hands to Go."""
    if type(value) is str:
        return value
    if not is_number(value):
        return notation(value)
    shown = spelling(numeric(value, 1))
    if _INT64.match(shown) and -(2**63) <= int(shown) < 2**63:
        return int(shown)
    if "." in shown:
        near = float(shown)
        return shown if near in (float("inf"), float("-inf")) else near
    return _Big(shown) if _BIG.match(shown) else shown


TYPES = {int: "int64", _Big: "*big.Int", float: "float64", str: "string"}


def shown(flags: Flags, verb: str, arg: Any) -> str:  # noqa: ANN401 - as above
    """One operand under one verb."""
    if verb == "T":
        return flags.pad(cut(flags, TYPES[type(arg)]))
    if verb == "p" and type(arg) is _Big:
        msg = "sprintf: an address"
        raise OutsideProfile(msg)
    given, sharp_v = flags, False
    if verb == "v":
        sharp_v = flags.sharp
        given = replace(flags, sharp=False, plus=False)
        if type(arg) is _Big:  # it asks for the flags and finds them
            given = flags
    made = formed(given, verb, arg, sharp_v=sharp_v)
    if made is not None:
        return made
    if type(arg) is _Big:
        return f"%!{verb}(big.Int={int(arg)})"
    plain = formed(flags, "v", arg)
    return f"%!{verb}({TYPES[type(arg)]}={plain})"


def formed(
    flags: Flags,
    verb: str,
    arg: Any,  # noqa: ANN401 - as above
    *,
    sharp_v: bool = False,
) -> str | None:
    """A string, integer or float under one verb.

    Args:
        flags: what stands before the verb; of `%#v` and `%+v`, without that.
        verb: the verb.
        arg: an operand of exactly such a type.
        sharp_v: whether it is `%#v`.

    Returns:
        What is shown; None where the verb is none of the type's.
    """
    return _FORMS[type(arg)](flags, verb, arg, sharp_v)


_BASES = {"v": 10, "d": 10, "b": 2, "o": 8, "O": 8, "x": 16, "X": 16}
_DIGITS = {10: "d", 2: "b", 8: "o", 16: "x"}


def _integer_verb(
    flags: Flags,
    verb: str,
    value: int,
    _sharp_v: bool,  # noqa: FBT001 - one shape of all four
) -> str | None:
    if verb in _BASES:
        return _integer(flags, verb, value)
    if verb == "c":
        return flags.pad(_rune(value))
    if verb == "q":
        return flags.pad(quoted(_rune(value), mark="'", ascii_only=flags.plus))
    if verb == "U":
        return _unicode(flags, value)
    return None


def _rune(value: int) -> str:
    value &= (1 << 64) - 1
    if value > 0x10FFFF or 0xD800 <= value < 0xE000:
        return "\ufffd"
    return chr(value)


def _unicode(flags: Flags, value: int) -> str:
    code = value & ((1 << 64) - 1)
    precision = max(4, flags.precision or 0)
    made = f"U+{code:0{precision}X}"
    if flags.sharp and code <= 0x10FFFF and chr(code).isprintable():
        made += f" '{chr(code)}'"
    return flags.pad(made, zero=False)


def _integer(flags: Flags, verb: str, value: int) -> str:
    size = abs(value)
    least = 0
    if flags.precision is not None:
        least = flags.precision
        if least == 0 and size == 0:
            return flags.pad("", zero=False)
    elif flags.zero and not flags.minus and flags.width is not None:
        least = flags.width - (value < 0 or flags.plus or flags.space)
    base = _BASES[verb]
    digits = format(size, _DIGITS[base]).rjust(min(least, MAX_TEXT), "0")
    if verb == "X":
        digits = digits.upper()
    if flags.sharp:
        digits = _prefix(base, verb, digits) + digits
    if verb == "O":
        digits = "0o" + digits
    return flags.pad(_sign(flags, negative=value < 0) + digits, zero=False)


def _prefix(base: int, verb: str, digits: str) -> str:
    if base == 8:
        return "" if digits[0] == "0" else "0"
    return {2: "0b", 16: "0X" if verb == "X" else "0x"}.get(base, "")


def _sign(flags: Flags, *, negative: bool) -> str:
    if negative:
        return "-"
    return "+" if flags.plus else " " if flags.space else ""


def _big(
    flags: Flags,
    verb: str,
    value: int,
    _sharp_v: bool,  # noqa: FBT001 - as above
) -> str | None:
    """Go's `big.Int` formats itself, not quite as an integer is."""
    if verb not in "bodxXOsv":
        return None
    base = _BASES.get(verb, 10)
    digits = format(abs(value), _DIGITS[base])
    if verb == "X":
        digits = digits.upper()
    prefix = "0o" if verb == "O" else ""
    if flags.sharp and not prefix:
        marks = {2: "0b", 8: "0", 16: "0X" if verb == "X" else "0x"}
        prefix = marks.get(base, "")
    left = right = zeros = 0
    if flags.precision is not None:
        zeros = max(0, flags.precision - len(digits))
    sign = _sign(flags, negative=value < 0)
    size = len(sign) + len(prefix) + zeros + len(digits)
    if flags.width is not None and size < flags.width:
        missing = flags.width - size
        if flags.minus:
            right = missing
        elif flags.zero and flags.precision is None:
            zeros = missing
        else:
            left = missing
    return f"{' ' * left}{sign}{prefix}{'0' * zeros}{digits}{' ' * right}"


def cut(flags: Flags, value: str) -> str:
    """A text, no longer than the precision."""
    return value if flags.precision is None else value[: flags.precision]


def _string(
    flags: Flags,
    verb: str,
    value: str,
    sharp_v: bool,  # noqa: FBT001 - as above
) -> str | None:
    if verb == "q" or sharp_v:
        short = cut(flags, value)
        if flags.sharp and _backquotable(short):
            return flags.pad(f"`{short}`")
        return flags.pad(quoted(short, mark='"', ascii_only=flags.plus))
    if verb in "vs":
        return flags.pad(cut(flags, value))
    if verb in "xX":
        return _hexadecimal(flags, verb, value.encode())
    return None


def _backquotable(value: str) -> bool:
    return not any(
        c in "`\x7f\ufeff" or (c < " " and c != "\t") for c in value
    )


def _hexadecimal(flags: Flags, verb: str, content: bytes) -> str:
    if flags.precision is not None:
        content = content[: flags.precision]
    at_once(len(content) // _BYTES)
    mark = f"0{verb}" if flags.sharp else ""
    pairs = [f"{byte:02{verb}}" for byte in content]
    if not pairs:
        made = ""
    elif flags.space:
        made = " ".join(mark + pair for pair in pairs)
    else:
        made = mark + "".join(pairs)
    return flags.pad(made)


def _float(
    flags: Flags,
    verb: str,
    value: float,
    _sharp_v: bool,  # noqa: FBT001 - as above
) -> str | None:
    kind = {"v": "g", "F": "f"}.get(verb, verb)
    if kind not in ("e", "E", "f", "g", "G"):
        if kind in ("b", "x", "X"):
            msg = "sprintf: a binary spelling of a float"
            raise OutsideProfile(msg)
        return None
    precision = flags.precision
    if precision is None and kind in "eEf":
        precision = 6
    if precision is not None and precision > _MOST_DIGITS:
        msg = "sprintf: more digits than the limit"
        raise BudgetExceeded(msg)
    digits = _digits(abs(value), kind, precision)
    if flags.sharp:
        digits = _pointed(digits, kind, precision)
    sign = _sign(flags, negative=copysign(1.0, value) < 0)
    if flags.zero and not flags.minus and flags.width is not None:
        return flags.pad(
            sign + digits.rjust(min(flags.width, MAX_TEXT) - len(sign), "0")
        )
    return flags.pad(sign + digits)


_FORMS: Mapping[type, Callable[[Flags, str, Any, bool], str | None]] = {
    str: _string,
    float: _float,
    _Big: _big,
    int: _integer_verb,
}


def _digits(value: float, kind: str, precision: int | None) -> str:
    if kind in "gG":
        return general(value, kind, precision)
    return format(value, f".{precision}{kind}")


def general(value: float, kind: str, precision: int | None) -> str:
    """The shorter of two forms: with an exponent where it is large."""
    if precision is None:
        shown = f"{Decimal(repr(value)):e}"
    else:
        precision = precision or 1
        shown = format(value, f".{precision - 1}e")
    mantissa, _, power = shown.partition("e")
    digits = mantissa.replace(".", "").rstrip("0") or "0"
    exponent = int(power) if value else 0
    limit = 6 if precision is None else precision
    if precision is not None and limit > len(digits) > exponent:
        limit = len(digits)
    if exponent < -4 or exponent >= limit:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        sign = "-" if exponent < 0 else "+"
        mark = "E" if kind == "G" else "e"
        return f"{digits[0]}{tail}{mark}{sign}{abs(exponent):02}"
    if exponent < 0:
        return f"0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    rest = digits[exponent + 1 :]
    return f"{whole}.{rest}" if rest else whole


def _pointed(shown: str, kind: str, precision: int | None) -> str:
    """With `#`: a decimal point always, and the zeros behind it."""
    wanted = 0
    if kind in "gG":
        wanted = 6 if precision is None else precision
    at = next((i for i, c in enumerate(shown) if c in "eE"), len(shown))
    digits, tail = shown[:at], shown[at:]
    significant = digits.replace(".", "").lstrip("0")
    wanted -= len(significant)
    if "." not in digits:
        wanted -= digits == "0"
        digits += "."
    return digits + "0" * max(wanted, 0) + tail
