"""Instants and dates as a person reads them.

Instants come as POSIX seconds and are shown in the pages' own time zone,
with its name; the machine-readable form beside them is RFC 3339 in UTC.
"""

from datetime import UTC, date, datetime, tzinfo

from api.pages.i18n import Language

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def long_date(day: date, language: Language) -> str:
    """Write a date out.

    Args:
        day: the date.
        language: the language of the page.

    Returns:
        Such as ``2 March 1984`` or ``1984年3月2日``.

    """
    if language is Language.ZH_HANS:
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def day_of(at: int, zone: tzinfo) -> date:
    """Return the day that an instant falls on in a time zone."""
    return datetime.fromtimestamp(at, zone).date()


def clock_time(at: int, zone: tzinfo) -> str:
    """Return hour, minute and zone of an instant, as ``14:05 UTC``."""
    return datetime.fromtimestamp(at, zone).strftime("%H:%M %Z")


def machine_time(at: int) -> str:
    """Return an instant in RFC 3339, in UTC, as ``1984-03-02T14:05:00Z``."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain_value(value: str, language: Language) -> str:
    """Return a value as a person reads it: dates are written out.

    Args:
        value: the canonical value.
        language: the language of the page.

    Returns:
        The date in words where the whole value is a date as ``1984-03-02``,
        else the value as it is.

    """
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return value
    return long_date(day, language) if day.isoformat() == value else value
