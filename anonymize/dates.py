"""Dates in text, moved by a number of days that is one person's own.

The number comes from HMAC-SHA-256 under a derived key and the person's
opaque key: it is not zero, it is the same for all dates of that person in
that release, and without the key it cannot be computed. So days between two
events, and which came first, stay; the day itself does not. Who knows one
true date of a person knows that person's others: dates are moved for study
of courses over time, not as anonymization, and the report says so.

A date that has no day, or that could be read two ways (03/04/2021) where
nobody said which, is not moved: it gets a label like everything else.
"""

import datetime as dt
import hashlib
import hmac
import re
from typing import NoReturn

from anonymize.errors import InvalidSpec
from anonymize.folding import plain

KEY_BYTES = 32
"""Shortest key that is taken."""
MOST_DAYS = 3650
"""Farthest that dates are moved."""
_DOMAIN = b"curtilage/date-shift/1\x00"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep",
           "oct", "nov", "dec")  # fmt: skip
_FORMS = tuple(
    re.compile(form)
    for form in (
        r"(?P<y>[0-9]{4})(?P<s>[-/.])(?P<m>[0-9]{1,2})(?P=s)(?P<d>[0-9]{1,2})",
        (
            r"(?P<y>[0-9]{4}) ?年 ?(?P<m>[0-9]{1,2}) ?月 ?"
            r"(?P<d>[0-9]{1,2}) ?(?P<z>[日号])"
        ),
        (
            r"(?P<d>[0-9]{1,2})(?:st|nd|rd|th)?(?: of)?[ -]"
            r"(?P<w>[A-Za-z]{3,9})\.?,?[ -](?P<y>[0-9]{4})"
        ),
        (
            r"(?P<w>[A-Za-z]{3,9})\.? (?P<d>[0-9]{1,2})(?:st|nd|rd|th)?,? "
            r"(?P<y>[0-9]{4})"
        ),
        r"(?P<a>[0-9]{1,2})(?P<s>[-/.])(?P<b>[0-9]{1,2})(?P=s)(?P<y>[0-9]{4})",
    )
)
_REST = re.compile(r"(?:[ T][0-9:.]{4,15}Z?)?\Z")


class DateShift:
    """Moves the dates of one person. Neither printable nor picklable."""

    __slots__ = ("_day_first", "_days")

    def __init__(
        self,
        key: bytes,
        person: str,
        *,
        within: int,
        day_first: bool | None = None,
    ) -> None:
        """Derive how far.

        Args:
            key: 32 bytes or more, derived per recipient, data set, release.
            person: the opaque key of the person.
            within: farthest in either direction, from 1 to 3,650 days.
            day_first: how 03/04/2021 is read; None labels what is ambiguous.

        Raises:
            InvalidSpec: the key is too short or the distance out of range.
        """
        if len(key) < KEY_BYTES:
            msg = f"a key for moving dates has {KEY_BYTES} bytes or more"
            raise InvalidSpec(msg)
        if not 1 <= within <= MOST_DAYS:
            msg = f"dates are moved by 1 to {MOST_DAYS} days at most"
            raise InvalidSpec(msg)
        digest = hmac.digest(key, _DOMAIN + person.encode(), hashlib.sha256)
        # 256 bits over at most 7,300 values: no value is favoured visibly.
        place = int.from_bytes(digest, "big") % (2 * within)
        self._days = place - within if place < within else place - within + 1
        self._day_first = day_first

    def move(self, text: str) -> str | None:
        """Return a date moved, in its own form; None where it cannot be.

        Args:
            text: the text of one date, and perhaps a time of day.
        """
        folded = plain(text).text.strip()
        for form in _FORMS:
            match = form.match(folded)
            if match and _REST.match(folded, match.end()):
                date, leads = self._read(match.groupdict())
                moved = _later(date, self._days)
                if moved is None:
                    return None
                written = _written(match, moved, day_leads=leads)
                return written + folded[match.end() :]
        return None

    def _read(
        self, parts: dict[str, str | None]
    ) -> tuple[dt.date | None, bool]:
        """Return the date, and whether its day stands before its month."""
        year, month, day = parts["y"], parts.get("m"), parts.get("d")
        word = parts.get("w")
        if word is not None:
            short = word[:3].lower()
            month = str(_MONTHS.index(short) + 1 if short in _MONTHS else 0)
        first, second = parts.get("a"), parts.get("b")
        leading = False
        if first is not None and second is not None:
            if max(int(first), int(second)) > 12:
                leading = int(first) > 12
            elif first == second or self._day_first is not None:
                leading = self._day_first is not False
            else:
                return None, False
            day, month = (first, second) if leading else (second, first)
        try:
            date = dt.date(int(year or 0), int(month or 0), int(day or 0))
        except ValueError:
            return None, False
        return date, leading

    def __reduce__(self) -> NoReturn:
        msg = "distances of dates are not pickled"
        raise TypeError(msg)


def _later(date: dt.date | None, days: int) -> dt.date | None:
    if date is None:
        return None
    try:
        return date + dt.timedelta(days=days)
    except OverflowError:
        return None


def _written(match: re.Match[str], date: dt.date, *, day_leads: bool) -> str:
    """Write a date in the form that it was found in."""
    parts = match.groupdict()
    year, month, day = f"{date.year:04}", f"{date.month:02}", f"{date.day:02}"
    if parts.get("z"):
        return f"{year}年{date.month}月{date.day}{parts['z']}"
    if parts.get("w"):
        name = _MONTHS[date.month - 1].capitalize()
        if match.start("w") < match.start("d"):
            return f"{name} {date.day}, {year}"
        return f"{date.day} {name} {year}"
    separator = str(parts["s"])
    if parts.get("a") is None:
        return separator.join((year, month, day))
    if day_leads:
        month, day = day, month
    return separator.join((month, day, year))
