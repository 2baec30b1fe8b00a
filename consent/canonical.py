"""The JSON Canonicalization Scheme, RFC 8785.

Equal values have equal bytes, so that a digest over them names the value.
Stricter than the RFC: integers beyond 2**53 are refused, not rounded.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence

_LARGEST_EXACT = 2**53
_encode = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":")
).encode

Json = (
    None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
)


def canonical(value: Json) -> bytes:
    """Serialize a JSON value in its one canonical form.

    Args:
        value: null, booleans, numbers, strings, sequences and mappings with
            string keys, to any depth.

    Returns:
        UTF-8 bytes.

    Raises:
        ValueError: a number is not finite or not exact, a string holds half
            of a surrogate pair, or the value is no JSON at all.
    """
    text = _encode(value) if _is_plain(value) else _write(value)
    return text.encode("utf-8")


def _is_plain(value: object) -> bool:
    """Whether Python's own encoder writes the value as the RFC does.

    It does for everything but floats, and but for keys beyond ASCII, which
    it sorts by code points. This runs on the gated path for every entry.
    """
    kind = type(value)
    if kind is dict:
        return _is_plain_object(value)  # type: ignore[arg-type] # a dict
    if kind is list or kind is tuple:
        # Loops, and no call for a text: generators cost twice as much.
        for item in value:  # type: ignore[attr-defined] # a sequence
            if type(item) is not str and not _is_plain(item):
                return False
        return True
    if kind is int:
        return -_LARGEST_EXACT <= value <= _LARGEST_EXACT  # type: ignore[operator] # an int
    return kind is str or kind is bool or value is None


def _is_plain_object(value: dict[object, object]) -> bool:
    for key, item in value.items():
        if type(key) is not str or not key.isascii():
            return False
        if type(item) is not str and not _is_plain(item):
            return False
    return True


def digest(value: Json) -> str:
    """Return the SHA-256 of the canonical form.

    Args:
        value: any JSON value.

    Returns:
        64 lower-case hexadecimal digits.

    Raises:
        ValueError: as `canonical` does.
    """
    return hashlib.sha256(canonical(value)).hexdigest()


def _write(value: object) -> str:
    text: str
    match value:
        case None:
            text = "null"
        case bool():
            text = "true" if value else "false"
        case int():
            text = _integer(value)
        case float():
            text = _number(value)
        case str():
            text = json.dumps(str(value), ensure_ascii=False)
        case Mapping():
            text = _object(value)
        case Sequence() if not isinstance(value, bytes | bytearray):
            text = "[" + ",".join(_write(item) for item in value) + "]"
        case _:
            msg = f"{type(value).__name__} has no JSON form"
            raise ValueError(msg)
    return text


def _object(value: Mapping[object, object]) -> str:
    keys = [key for key in value if isinstance(key, str)]
    if len(keys) != len(value):
        msg = "an object's keys are strings"
        raise ValueError(msg)
    # The RFC sorts by UTF-16 code units, which differs from code points.
    keys.sort(key=lambda key: key.encode("utf-16-be"))
    members = (f"{_write(key)}:{_write(value[key])}" for key in keys)
    return "{" + ",".join(members) + "}"


def _integer(value: int) -> str:
    if abs(value) > _LARGEST_EXACT:
        msg = "an integer beyond 2**53 is not exact in JSON"
        raise ValueError(msg)
    return str(int(value))


def _number(value: float) -> str:
    """Write a number as ECMAScript does (ECMA-262, Number::toString)."""
    if not math.isfinite(value):
        msg = "JSON knows finite numbers only"
        raise ValueError(msg)
    if value == 0:
        return "0"
    # repr gives the same shortest digits; only their layout differs.
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    return ("-" if value < 0 else "") + _layout(digits, point)


def _layout(digits: str, point: int) -> str:
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    exponent = f"{point - 1:+d}"
    rest = f".{digits[1:]}" if count > 1 else ""
    return f"{digits[0]}{rest}e{exponent}"
