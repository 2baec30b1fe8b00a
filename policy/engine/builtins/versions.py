"""Semantic versions, UUIDs, and amounts with units."""

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from uuid import UUID

from policy.engine.bigfloat import PRECISION, read, times, truncate
from policy.engine.builtins.operands import text
from policy.engine.builtins.strings import lower
from policy.engine.errors import BudgetExceeded, BuiltinFailed, OutsideProfile
from policy.engine.metering import at_once
from policy.engine.numbers import MAX_DIGITS, bounded, number, parts
from policy.engine.values import Value

_IDENTIFIERS = re.compile(r"[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*\Z")
_WHOLE = re.compile(r"[+-]?[0-9]+\Z")
_MOST = 2**63 - 1

_CHARS = 16  # characters that are read in a step

_Version = tuple[tuple[int, int, int], str]


def _part(source: str) -> int:
    if not _WHOLE.match(source) or not -(2**63) <= int(source[:40]) <= _MOST:
        msg = "not a semantic version"
        raise BuiltinFailed(msg)
    return int(source)


def _version(source: str) -> _Version:
    at_once(len(source) // _CHARS)
    source, _, metadata = source.removeprefix("v").partition("+")
    source, _, prerelease = source.partition("-")
    for named in (metadata, prerelease):
        if named and not _IDENTIFIERS.match(named):
            msg = "not a semantic version"
            raise BuiltinFailed(msg)
    if source.count(".") != 2:
        msg = "not a semantic version"
        raise BuiltinFailed(msg)
    major, minor, patch = map(_part, source.split("."))
    return (major, minor, patch), prerelease


def _compare(a: Value, b: Value) -> Value:
    (x, before), (y, after) = _version(text(a, 1)), _version(text(b, 2))
    if x != y:
        return 1 if x > y else -1
    if before == after:
        return 0
    if not before or not after:
        return -1 if before else 1
    return _compare_releases(before.split("."), after.split("."))


def _compare_releases(x: list[str], y: list[str]) -> int:
    for a, b in zip(x, y, strict=False):
        first, second = _numeric(a), _numeric(b)
        if (first is None) != (second is None):
            return 1 if first is None else -1
        if first is not None and second is not None:
            if first != second:
                return 1 if first > second else -1
        elif a != b:
            return 1 if a > b else -1
    if len(x) == len(y):
        msg = "semver.compare: OPA finds no end to these"
        raise OutsideProfile(msg)
    return 1 if len(x) > len(y) else -1


def _numeric(identifier: str) -> int | None:
    if not identifier.isdigit():
        return None
    return min(int(identifier[:40]) if len(identifier) < 40 else _MOST, _MOST)


def _is_valid(a: Value) -> Value:
    if type(a) is not str:
        return False
    try:
        _version(a)
    except BuiltinFailed:
        return False
    return True


_DIGITS = re.compile("[0-9]*")
_BARE = re.compile(r"[0-9a-fA-F]{32}\Z")
_DASHED = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_GREGORIAN = 122_192_928_000_000_000  # 100 ns from 1582-10-15 to 1970-01-01


def _uuid(source: str) -> UUID | None:
    size = len(source.encode())
    if size == 32:
        return UUID(source) if _BARE.match(source) else None
    if size == 45 and source[:9].lower() == "urn:uuid:":
        source = source[9:]
    elif size == 38:
        # What encloses it is not looked at.
        if not source.isascii():
            msg = "uuid.parse: an enclosure beyond ASCII"
            raise OutsideProfile(msg)
        source = source[1:37]
    elif size != 36:
        return None
    return UUID(source) if _DASHED.fullmatch(source) else None


def _variant(byte: int) -> str:
    if byte & 0xC0 == 0x80:
        return "RFC4122"
    if byte & 0xE0 == 0xC0:
        return "Microsoft"
    return "Future" if byte & 0xE0 == 0xE0 else "Reserved"


_CASTS = {3: "local:multicast", 1: "global:multicast", 2: "local:unicast"}
_DOMAINS = ("Person", "Group", "Org")


def _uuid_parse(a: Value) -> Value:
    found = _uuid(text(a, 1))
    if found is None:
        return ...
    raw = found.bytes
    version = raw[6] >> 4
    result: dict[str, Value] = {
        "version": version,
        "variant": _variant(raw[8]),
    }
    if version in (1, 2):
        node = raw[10:]
        result |= {
            "time": (found.time - _GREGORIAN) * 100,
            "nodeid": node.hex("-"),
            "macvariables": _CASTS.get(node[0] & 3, "global:unicast"),
            "clocksequence": int.from_bytes(raw[8:10]) & 0x3FFF,
        }
    if version == 2:
        domain = raw[9]
        known = domain < len(_DOMAINS)
        result["id"] = int.from_bytes(raw[:4])
        result["domain"] = _DOMAINS[domain] if known else f"Domain{domain}"
    return result


_AMOUNT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
_POWERS = ("", "k", "m", "g", "t", "p", "e")


def _units_table() -> dict[str, Fraction]:
    table = {"": Fraction(1), "m": Fraction(0.001), "M": Fraction(10**6)}
    for power, prefix in enumerate(_POWERS[1:], 1):
        for name in {prefix, prefix.upper()} - {"m", "M"}:
            table[name] = Fraction(1000**power)
        for name in (f"{prefix}i", f"{prefix.upper()}i"):
            table[name] = Fraction(1024**power)
    return table


def _bytes_table() -> dict[str, int]:
    table = {"": 1}
    for power, prefix in enumerate(_POWERS[1:], 1):
        table |= {prefix: 1000**power, f"{prefix}b": 1000**power}
        table |= {f"{prefix}i": 1024**power, f"{prefix}ib": 1024**power}
    return table


_UNITS: Mapping[str, Fraction] = _units_table()
_BYTES: Mapping[str, int] = _bytes_table()


def _split(source: str) -> tuple[str, str]:
    """Amount and unit, as OPA finds where one ends and the other begins."""
    at_once(len(source) // _CHARS * 4)
    at = 0
    while at < len(source):
        char = source[at]
        if char not in "0123456789.eE+-":
            break
        if char in "eE":
            after = source[at + 1 : at + 2]
            if not after or after not in "0123456789+-":
                break
            at += after in "+-"
            digits = _DIGITS.match(source, at + 1)
            if digits is not None and len(digits[0]) > 6:
                msg = "units: exponent too large"
                raise BuiltinFailed(msg)
        at += 1
    return source[:at], source[at:]


def _amount(source: str) -> tuple[str, str]:
    if " " in source:
        msg = "units: spaces not allowed in resource strings"
        raise BuiltinFailed(msg)
    amount, unit = _split(source)
    if not amount:
        msg = "units: no amount provided"
        raise BuiltinFailed(msg)
    return amount, unit


def _beyond() -> BudgetExceeded:
    return BudgetExceeded("units: number beyond the limit")


def _checked(amount: str) -> tuple[int, int]:
    if not _AMOUNT.match(amount):
        msg = "units: could not parse amount to a number"
        raise BuiltinFailed(msg)
    if len(amount) > MAX_DIGITS:
        raise _beyond()
    mantissa, ten = parts(amount)
    if abs(ten) > MAX_DIGITS:
        raise _beyond()
    at_once((len(amount) + abs(ten)) // 4)
    return mantissa, ten


def _units(a: Value) -> Value:
    amount, unit = _amount(text(a, 1).replace('"', ""))
    unit = unit[:1] + lower(unit[1:])
    if unit not in _UNITS:
        msg = "units.parse: unit not recognized"
        raise BuiltinFailed(msg)
    mantissa, ten = _checked(amount)
    exact = mantissa * Fraction(10) ** ten * _UNITS[unit]
    if exact.denominator == 1:
        return bounded(exact.numerator)
    scaled = abs(exact) * 10**10
    digits = (2 * scaled.numerator + scaled.denominator) // (
        2 * scaled.denominator
    )
    sign = "-" if exact < 0 else ""
    head, tail = divmod(digits, 10**10)
    return number(f"{sign}{head}.{tail:010}")


def _units_bytes(a: Value) -> Value:
    amount, unit = _amount(lower(text(a, 1)).replace('"', ""))
    if unit not in _BYTES:
        msg = "units.parse_bytes: unit not recognized"
        raise BuiltinFailed(msg)
    mantissa, ten = _checked(amount)
    big = times(read(mantissa, ten), (_BYTES[unit], 0), PRECISION)
    return bounded(truncate(big))


VERSIONS: Mapping[str, Callable[..., Value]] = {
    "semver.compare": _compare,
    "semver.is_valid": _is_valid,
    "uuid.parse": _uuid_parse,
    "units.parse": _units,
    "units.parse_bytes": _units_bytes,
}
