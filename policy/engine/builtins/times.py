"""Time, from instants that are given. None of this reads a clock.

An instant is a number of nanoseconds since 1970 that fits 64 bits, so the
years run from 1677 to 2262. Zones come from the IANA data that Python has;
the zone `Local` is UTC, since a decision must not depend on the host.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from fractions import Fraction
from functools import lru_cache
from zoneinfo import ZoneInfo

from policy.engine.builtins.clocks import read
from policy.engine.builtins.layouts import DAYS, NAMED, Moment, written
from policy.engine.builtins.operands import index, numeric, sized_text, text
from policy.engine.errors import BuiltinFailed
from policy.engine.metering import spend
from policy.engine.numbers import integer
from policy.engine.values import Value

_SECOND = 10**9
_LEAST, _MOST = -(2**63), 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_ZERO = date(1970, 1, 1).toordinal()


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    if name in ("", "UTC", "Local"):
        return UTC
    if name[0] in "/\\" or ".." in name:
        msg = "unknown time zone"
        raise BuiltinFailed(msg)
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        msg = "unknown time zone"
        raise BuiltinFailed(msg) from error


def _instant(value: Value) -> int:
    found = integer(numeric(value, 1))
    if found is None or not _LEAST <= found <= _MOST:
        msg = "timestamp too big"
        raise BuiltinFailed(msg)
    return found


def _placed(value: Value) -> tuple[int, tzinfo, str]:
    """Instant, zone and layout of an operand that has them all or some."""
    if type(value) is not list:
        return _instant(value), UTC, ""
    if not value:
        msg = "operand 1 must be a number, or a number and a zone"
        raise BuiltinFailed(msg)
    instant = numeric(value[0], 1)
    zone = _zone(text(value[1], 1)) if len(value) > 1 else UTC
    layout = text(value[2], 1) if len(value) > 2 else ""
    return _instant(instant), zone, layout


def _local(instant: int, zone: tzinfo) -> datetime:
    at = _EPOCH + timedelta(seconds=instant // _SECOND)
    return at.astimezone(zone)


def _shown(instant: int, zone: tzinfo) -> Moment:
    at = _local(instant, zone)
    return Moment(
        year=at.year,
        month=at.month,
        day=at.day,
        hour=at.hour,
        minute=at.minute,
        second=at.second,
        nanosecond=instant % _SECOND,
        offset=_offset(at),
        zone=at.tzname() or "",
    )


def _offset(at: datetime) -> int:
    found = at.utcoffset()
    return 0 if found is None else int(found.total_seconds())


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970 of a date whose month and day may run over."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    # The calendar repeats every 400 years, so any year is within reach.
    cycles, year = divmod(year, 400)
    first = date(year + 400, month, 1).toordinal() - _DAY_ZERO
    return first + (cycles - 1) * 146_097 + day - 1


def _nanoseconds(seconds: int, rest: int) -> int:
    whole = seconds * _SECOND + rest
    if not _LEAST <= whole <= _MOST:
        msg = "time outside of valid range"
        raise BuiltinFailed(msg)
    return whole


def _of(at: Moment) -> int:
    days = _days(at.year, at.month, at.day)
    seconds = ((days * 24 + at.hour) * 60 + at.minute) * 60 + at.second
    return _nanoseconds(seconds - at.offset, at.nanosecond)


def _parse(a: Value, b: Value) -> Value:
    layout, value = text(a, 1), text(b, 2)
    return _of(read(NAMED.get(layout, layout), value))


def _parse_rfc3339(a: Value) -> Value:
    return _of(read(NAMED["RFC3339"], text(a, 1)))


def _format(a: Value) -> Value:
    instant, zone, layout = _placed(a)
    layout = NAMED.get(layout, layout) or NAMED["RFC3339Nano"]
    return sized_text(written(layout, _shown(instant, zone)))


def _date(a: Value) -> Value:
    instant, zone, _ = _placed(a)
    at = _local(instant, zone)
    return [at.year, at.month, at.day]


def _clock(a: Value) -> Value:
    instant, zone, _ = _placed(a)
    at = _local(instant, zone)
    return [at.hour, at.minute, at.second]


def _weekday(a: Value) -> Value:
    instant, zone, _ = _placed(a)
    return DAYS[_local(instant, zone).weekday()]


def _offset_at(seconds: int, zone: tzinfo) -> int:
    try:
        at = _EPOCH + timedelta(seconds=seconds)
    except OverflowError as error:
        msg = "time outside of valid range"
        raise BuiltinFailed(msg) from error
    return _offset(at.astimezone(zone))


def _add_date(a: Value, b: Value, c: Value, d: Value) -> Value:
    instant, zone, _ = _placed(a)
    years, months, days = index(b, 2), index(c, 3), index(d, 4)
    at = _shown(instant, zone)
    moved = _days(at.year + years, at.month + months, at.day + days)
    seconds = ((moved * 24 + at.hour) * 60 + at.minute) * 60 + at.second
    # Go looks up the zone as if the wall clock were UTC, then once more.
    guess = _offset_at(seconds, zone)
    offset = _offset_at(seconds - guess, zone) if guess else 0
    return _nanoseconds(seconds - offset, at.nanosecond)


def _diff(a: Value, b: Value) -> Value:
    first, zone, _ = _placed(a)
    second, _, _ = _placed(b)
    if first > second:
        first, second = second, first
    x, y = _local(first, zone), _local(second, zone)
    parts = [
        y.year - x.year,
        y.month - x.month,
        y.day - x.day,
        y.hour - x.hour,
        y.minute - x.minute,
        y.second - x.second,
    ]
    month = (date(x.year, x.month, 1) + timedelta(days=31)).replace(day=1)
    length = (month - date(x.year, x.month, 1)).days
    for place, base in ((5, 60), (4, 60), (3, 24), (2, length), (1, 12)):
        if parts[place] < 0:
            parts[place] += base
            parts[place - 1] -= 1
    return parts


_HOURS = 16  # steps of a number of days, weeks or years
_UNITS = {
    "ns": 1,
    "us": 1000,
    "\xb5s": 1000,
    "\u03bcs": 1000,
    "ms": 10**6,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "h": 3600 * _SECOND,
}
_LONG = {"d": 24, "w": 7 * 24, "y": 365 * 24}
_PIECE = re.compile(r"([0-9]*)(\.[0-9]*)?([^0-9.]*)")
_LONG_PIECE = re.compile(r"([0-9.]+)(ms|us|\xb5s|ns|[a-z])")


def _malformed() -> BuiltinFailed:
    return BuiltinFailed("invalid duration")


def _duration(source: str) -> int:
    negative = source[:1] == "-"
    rest = source[1:] if source[:1] in ("-", "+") else source
    if rest == "0":
        return 0
    if not rest:
        raise _malformed()
    total = at = 0
    while at < len(rest):
        spend(1)
        found = _PIECE.match(rest, at)
        assert found is not None  # noqa: S101 - it matches the empty text
        whole, fraction, unit = found[1], found[2] or "", found[3]
        if not whole and not fraction[1:]:
            raise _malformed()
        if unit not in _UNITS:
            raise _malformed()
        total += _piece(int(whole[:30] or "0"), fraction[1:], _UNITS[unit])
        if total > 2**63:
            raise _malformed()
        at = found.end()
    if not negative and total > _MOST:
        raise _malformed()
    return -total if negative else total


def _piece(whole: int, fraction: str, unit: int) -> int:
    if whole > 2**63 // unit:
        raise _malformed()
    value, scale = 0, 1.0
    for digit in fraction:
        # Digits that 63 bits do not hold are passed over.
        if value > _MOST // 10 or value * 10 + int(digit) > 2**63:
            break
        value = value * 10 + int(digit)
        scale *= 10
    made = whole * unit
    if value:
        made += int(float(value) * (float(unit) / scale))
    if made > 2**63:
        raise _malformed()
    return made


def _hours(digits: str, unit: str) -> str:
    if unit not in _LONG:
        return digits + unit
    if digits.count(".") > 1 or digits == ".":
        raise _malformed()
    hours = float(digits) * float(_LONG[unit])
    return f"{_plain(hours)}h"


def _plain(hours: float) -> str:
    """The shortest digits without an exponent."""
    shown = repr(hours)
    if "e" in shown:
        exact = Fraction(shown)
        if exact.denominator == 1:
            return str(exact.numerator)
        shown = f"{hours:.340f}".rstrip("0")
    return shown.removesuffix(".0")


def _parse_duration(a: Value) -> Value:
    source = text(a, 1)
    if not source or not set("dwy") & set(source):
        return _duration(source)
    sign = source[0] if source[0] in "+-" else ""
    pieces: list[str] = []
    at = len(sign)
    while at < len(source):
        spend(_HOURS)
        found = _LONG_PIECE.match(source, at)
        if found is None:
            raise _malformed()
        pieces.append(_hours(found[1], found[2]))
        at = found.end()
    return _duration(sign + "".join(pieces))


TIME: Mapping[str, Callable[..., Value]] = {
    "time.parse_ns": _parse,
    "time.parse_rfc3339_ns": _parse_rfc3339,
    "time.parse_duration_ns": _parse_duration,
    "time.format": _format,
    "time.date": _date,
    "time.clock": _clock,
    "time.weekday": _weekday,
    "time.add_date": _add_date,
    "time.diff": _diff,
}
