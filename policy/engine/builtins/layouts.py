"""Go's layouts of dates and times, and times written in them.

A layout is an example: the reference time `Mon Jan 2 15:04:05 MST 2006`
written as the text shall be. Layouts are walked as Go walks them.
"""

import re
from dataclasses import dataclass
from datetime import date

from policy.engine.metering import READ, spend

_ELEMENT = 8  # steps of one element of a layout

NAMED = {
    "ANSIC": "Mon Jan _2 15:04:05 2006",
    "UnixDate": "Mon Jan _2 15:04:05 MST 2006",
    "RubyDate": "Mon Jan 02 15:04:05 -0700 2006",
    "RFC822": "02 Jan 06 15:04 MST",
    "RFC822Z": "02 Jan 06 15:04 -0700",
    "RFC850": "Monday, 02-Jan-06 15:04:05 MST",
    "RFC1123": "Mon, 02 Jan 2006 15:04:05 MST",
    "RFC1123Z": "Mon, 02 Jan 2006 15:04:05 -0700",
    "RFC3339": "2006-01-02T15:04:05Z07:00",
    "RFC3339Nano": "2006-01-02T15:04:05.999999999Z07:00",
}
"""Layouts that have a name."""

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)
SHORT_MONTHS = tuple(name[:3] for name in MONTHS)
SHORT_DAYS = tuple(name[:3] for name in DAYS)

# In the order in which Go tries what begins alike.
_CHUNK = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST"
    r"|0[1-6]|002|15|1|2006|2|_2006|_2|__2|3|4|5|PM|pm"
    r"|[-Z]070000|[-Z]07:00:00|[-Z]0700|[-Z]07:00|[-Z]07"
    r"|[.,](?:0+|9+)(?![0-9])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time as a clock on a wall shows it, and what the zone is called."""

    year: int
    month: int
    day: int
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    offset: int = 0
    """Seconds east of UTC."""

    zone: str = "UTC"


def next_element(layout: str) -> tuple[str, str, str]:
    """What stands before the next element, the element, and the rest."""
    found = _CHUNK.search(layout)
    if found is None:
        return layout, "", ""
    start, element = found.start(), found[0]
    if element == "_2006":
        start, element = start + 1, "2006"
    return layout[:start], element, layout[found.end() :]


def _offset(element: str, offset: int) -> str:
    if element[0] == "Z" and offset == 0:
        return "Z"
    minutes = int(offset / 60)
    sign = "-" if minutes < 0 else "+"
    minutes = abs(minutes)
    colon = ":" if ":" in element else ""
    made = f"{sign}{minutes // 60:02}"
    if len(element) > 3:
        made += f"{colon}{minutes % 60:02}"
    if len(element) > 6:
        made += f"{colon}{_rest(offset, sign):02}"
    return made


def _rest(offset: int, sign: str) -> int:
    absolute = -offset if sign == "-" else offset
    rest = abs(absolute) % 60
    return -rest if absolute < 0 else rest


def _fraction(element: str, nanosecond: int) -> str:
    digits = f"{nanosecond:09}"[: len(element) - 1].ljust(
        min(len(element) - 1, 9), "0"
    )
    if element[1] == "9":
        digits = digits.rstrip("0")
        return element[0] + digits if digits else ""
    return element[0] + digits


def _shown(element: str, at: Moment) -> str:
    hour12 = at.hour % 12 or 12
    day = date(at.year, at.month, at.day)
    yday = day.timetuple().tm_yday
    simple = {
        "2006": f"{at.year:04}",
        "06": f"{at.year % 100:02}",
        "January": MONTHS[at.month - 1],
        "Jan": SHORT_MONTHS[at.month - 1],
        "1": str(at.month),
        "01": f"{at.month:02}",
        "Monday": DAYS[day.weekday()],
        "Mon": SHORT_DAYS[day.weekday()],
        "2": str(at.day),
        "_2": f"{at.day:2}",
        "02": f"{at.day:02}",
        "__2": f"{yday:3}",
        "002": f"{yday:03}",
        "15": f"{at.hour:02}",
        "3": str(hour12),
        "03": f"{hour12:02}",
        "4": str(at.minute),
        "04": f"{at.minute:02}",
        "5": str(at.second),
        "05": f"{at.second:02}",
        "PM": "PM" if at.hour >= 12 else "AM",
        "pm": "pm" if at.hour >= 12 else "am",
        "MST": at.zone or _offset("-0700", at.offset),
    }
    if element in simple:
        return simple[element]
    if element[0] in ".,":
        return _fraction(element, at.nanosecond)
    return _offset(element, at.offset)


def written(layout: str, at: Moment) -> str:
    """A time in a layout.

    Args:
        layout: Go's layout; not a name of one.
        at: the time.

    Returns:
        The text.
    """
    pieces: list[str] = []
    while layout:
        spend(_ELEMENT + len(layout) // READ)
        before, element, layout = next_element(layout)
        pieces.append(before)
        if element:
            pieces.append(_shown(element, at))
    return "".join(pieces)
