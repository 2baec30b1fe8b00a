"""Times read in Go's layouts, as `time.Parse` reads them.

Oddities included: a fraction behind seconds is read though no layout names
it, and an unknown abbreviation of a zone counts as UTC.
"""

import re
from calendar import isleap, monthrange
from dataclasses import dataclass
from datetime import date

from policy.engine.builtins.layouts import (
    DAYS,
    MONTHS,
    SHORT_DAYS,
    SHORT_MONTHS,
    Moment,
    next_element,
)
from policy.engine.errors import BuiltinFailed
from policy.engine.metering import PARTS, READ, at_once, spend

_ELEMENT = 8  # steps of one element of a layout
_RUNS = re.compile(" +|[^ ]+")
_BLANKS = re.compile(" *")
_DIGITS = re.compile("[0-9]*")


def _end(run: re.Pattern[str], text: str, at: int) -> int:
    """Where a run that begins here ends, which may be here."""
    found = run.match(text, at)
    assert found is not None  # noqa: S101 - it matches the empty text
    return found.end()


def _bad() -> BuiltinFailed:
    return BuiltinFailed("the time does not fit its layout")


@dataclass(slots=True)
class _Reading:
    """What has been read of a time."""

    rest: str
    year: int = 0
    month: int = -1
    day: int = -1
    yday: int = -1
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    half: str = ""
    utc: bool = False
    offset: int = -1
    zone: str = ""

    def literal(self, expected: str) -> None:
        """What stands between the elements; blanks match blanks."""
        at_once(len(expected) // PARTS)
        at, rest = 0, self.rest
        for run in _RUNS.findall(expected):
            blank = run[0] == " "
            if blank and rest[at : at + 1] in ("", " "):
                at = _end(_BLANKS, rest, at)
            elif not blank and rest.startswith(run, at):
                at += len(run)
            else:
                raise _bad()
        self.rest = rest[at:]

    def take(self, count: int) -> str:
        if len(self.rest) < count:
            raise _bad()
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def number(self, *, fixed: bool) -> int:
        """One digit or two; two where they are fixed."""
        size = 2 if _digits(self.rest[1:2]) else 1
        taken = self.take(size)
        if not _digits(taken) or (fixed and size != 2):
            raise _bad()
        return int(taken)

    def name(self, names: tuple[str, ...]) -> int:
        for i, name in enumerate(names):
            if _same(self.rest[: len(name)], name):
                self.rest = self.rest[len(name) :]
                return i
        raise _bad()


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _same(given: str, name: str) -> bool:
    return given.isascii() and given.lower() == name.lower()


def _within(value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise _bad()
    return value


def _signed(text: str) -> int:
    body = text[1:] if text[:1] in ("-", "+") else text
    if not _digits(body):
        raise _bad()
    return -int(body) if text[0] == "-" else int(body)


def _read_date(found: _Reading, element: str) -> bool:
    if element == "06":
        year = _signed(found.take(2))
        found.year = year + (1900 if year >= 69 else 2000)
    elif element == "2006":
        if len(found.rest) < 4 or not _digits(found.rest[0]):
            raise _bad()
        found.year = _signed(found.take(4))
    elif element in ("Jan", "January"):
        names = MONTHS if element == "January" else SHORT_MONTHS
        found.month = found.name(names) + 1
    elif element in ("1", "01"):
        found.month = _within(found.number(fixed=element == "01"), 1, 12)
    elif element in ("Mon", "Monday"):
        found.name(DAYS if element == "Monday" else SHORT_DAYS)
    elif element in ("2", "_2", "02"):
        if element == "_2" and found.rest.startswith(" "):
            found.rest = found.rest[1:]
        found.day = found.number(fixed=element == "02")
    elif element in ("__2", "002"):
        _read_year_day(found, element)
    else:
        return False
    return True


def _read_year_day(found: _Reading, element: str) -> None:
    if element == "__2":
        for _ in range(2):
            found.rest = found.rest.removeprefix(" ")
    size = 0
    while size < 3 and _digits(found.rest[size : size + 1]):
        size += 1
    if not size or (element == "002" and size != 3):
        raise _bad()
    found.yday = int(found.take(size))


def _read_clock(found: _Reading, element: str, layout: str) -> bool:
    fixed = element.startswith("0")
    if element == "15":
        found.hour = _within(found.number(fixed=False), 0, 23)
    elif element in ("3", "03"):
        found.hour = _within(found.number(fixed=fixed), 0, 12)
    elif element in ("4", "04"):
        found.minute = _within(found.number(fixed=fixed), 0, 59)
    elif element in ("5", "05"):
        found.second = _within(found.number(fixed=fixed), 0, 59)
        if next_element(layout)[1][:1] not in (".", ","):
            _read_fraction(found)
    elif element in ("PM", "pm"):
        half = found.take(2)
        if half not in (("PM", "AM") if element == "PM" else ("pm", "am")):
            raise _bad()
        found.half = half.upper()
    elif element[0] not in ".,":
        return False
    elif element[1] == "0":
        _nanoseconds(found, found.take(len(element)))
    else:
        _read_fraction(found)
    return True


def _read_fraction(found: _Reading) -> None:
    """A fraction of a second, if one stands here."""
    if not re.match(r"[.,][0-9]", found.rest):
        return
    _nanoseconds(found, found.take(_end(_DIGITS, found.rest, 1)))


def _nanoseconds(found: _Reading, text: str) -> None:
    if text[0] not in ".,":
        raise _bad()
    text = text[:10]
    value = _signed(text[1:])
    if value < 0:
        raise _bad()
    found.nanosecond = value * 10 ** (10 - len(text))


def _read_zone(found: _Reading, element: str) -> None:
    if element == "MST":
        if found.rest.startswith("UTC"):
            found.utc = True
            found.rest = found.rest[3:]
            return
        size = _abbreviation(found.rest)
        found.zone = found.take(size)
        return
    if element[0] == "Z" and found.rest.startswith("Z"):
        found.utc = True
        found.rest = found.rest[1:]
        return
    taken = found.take(len(element))
    places = [i for i, char in enumerate(element) if char == ":"]
    if any(taken[i] != ":" for i in places):
        raise _bad()
    digits = taken[1:].replace(":", "") if places else taken[1:]
    if not _digits(digits) or len(digits) % 2 or taken[0] not in "+-":
        raise _bad()
    hours, minutes, seconds = (
        int(digits[i : i + 2] or "0") for i in (0, 2, 4)
    )
    if hours > 24 or minutes > 60 or seconds > 60:
        raise _bad()
    offset = (hours * 60 + minutes) * 60 + seconds
    found.offset = -offset if taken[0] == "-" else offset


def _abbreviation(value: str) -> int:
    """How long the abbreviation of a zone is, as far as Go knows one."""
    if len(value) < 3:
        raise _bad()
    if value[:4] in ("ChST", "MeST"):
        return 4
    if value.startswith("GMT"):
        return 3 + _signed_hours(value[3:])
    if value[0] in "+-":
        size = _signed_hours(value)
        if not size:
            raise _bad()
        return size
    size = 0
    while size < 6 and "A" <= value[size : size + 1] <= "Z":
        size += 1
    if size == 5 and value[4] == "T":
        return 5
    if size == 4 and (value[3] == "T" or value[:4] == "WITA"):
        return 4
    if size == 3:
        return 3
    raise _bad()


def _signed_hours(value: str) -> int:
    found = re.match(r"[+-]([0-9]+)", value)
    if found is None or int(found[1][:20]) > 23:
        return 0
    return found.end()


def _from_year_day(found: _Reading) -> None:
    yday, leap = found.yday, isleap(found.year)
    if not 1 <= yday <= 365 + leap:
        raise _bad()
    day = date.fromordinal(
        date(2000 if leap else 2001, 1, 1).toordinal() + yday - 1
    )
    for stated, follows in ((found.month, day.month), (found.day, day.day)):
        if stated >= 0 and stated != follows:
            raise _bad()
    found.month, found.day = day.month, day.day


def read(layout: str, value: str) -> Moment:
    """Read a time.

    Args:
        layout: Go's layout; not a name of one.
        value: the text.

    Returns:
        The time, with its offset from UTC.

    Raises:
        BuiltinFailed: the text is not in the layout, or no date.
    """
    found = _Reading(value)
    while True:
        spend(_ELEMENT + (len(layout) + len(found.rest)) // READ)
        before, element, layout = next_element(layout)
        found.literal(before)
        if not element:
            break
        if not _read_date(found, element) and not _read_clock(
            found, element, layout
        ):
            _read_zone(found, element)
    if found.rest:
        raise _bad()
    return _moment(found)


def _moment(found: _Reading) -> Moment:
    if found.half == "PM" and found.hour < 12:
        found.hour += 12
    elif found.half == "AM" and found.hour == 12:
        found.hour = 0
    if found.yday >= 0:
        _from_year_day(found)
    month = found.month if found.month >= 0 else 1
    day = found.day if found.day >= 0 else 1
    leap_safe = found.year if found.year > 0 else 2000
    if not 1 <= day <= monthrange(leap_safe, month)[1]:
        raise _bad()
    # The name of a zone alone moves nothing: Go takes it for UTC.
    offset = 0 if found.utc or found.offset == -1 else found.offset
    return Moment(
        year=found.year,
        month=month,
        day=day,
        hour=found.hour,
        minute=found.minute,
        second=found.second,
        nanosecond=found.nanosecond,
        offset=offset,
    )
