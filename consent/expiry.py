"""How long a P3P file is good for: EXPIRY (P3P 1.0, section 2.3.2.3)."""

from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

from consent.findings import Note
from consent.p3p_xml import Element

DAY = 86400
"""Seconds that a file is good for where it does not say how long."""

_LONGEST = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """How long a policy or reference file is good for.

    Attributes:
        max_age: seconds from when it was fetched.
        date: POSIX seconds.
    """

    max_age: int | None = None
    date: int | None = None

    def ends(self, fetched: int) -> int:
        """Return when it ends, in POSIX seconds.

        Args:
            fetched: when the file was fetched, in POSIX seconds.
        """
        if self.date is not None:
            return self.date
        return fetched + (DAY if self.max_age is None else self.max_age)

    def attributes(self) -> dict[str, str]:
        """Return it as the attributes of an EXPIRY."""
        if self.date is not None:
            return {"date": formatdate(self.date, usegmt=True)}
        return {"max-age": str(DAY if self.max_age is None else self.max_age)}


def read_expiry(parent: Element, note: Note) -> Expiry | None:
    """Read the EXPIRY of an element.

    Args:
        parent: the element that it may stand in.
        note: where to report findings.

    Returns:
        What it says; None where there is none. One that cannot be read is
        the shortest: the file is good for nothing beyond its first use.
    """
    found = parent.first("EXPIRY")
    if found is None:
        return None
    age, date = found.attributes.get("max-age"), found.attributes.get("date")
    if date is not None:
        if age is not None:
            note(found, "bad-expiry", "EXPIRY says an age and a date")
        try:
            moment = parsedate_to_datetime(date)
            return Expiry(date=int(moment.timestamp()))
        except (ValueError, TypeError, IndexError, OverflowError):
            note(found, "bad-expiry", "the date of EXPIRY is no HTTP date")
            return Expiry(date=0)
    digits = (age or "").strip()
    if digits.isascii() and digits.isdigit() and len(digits) < 13:
        return Expiry(max_age=min(int(digits), _LONGEST))
    note(found, "bad-expiry", "EXPIRY has neither an age nor a date")
    return Expiry(max_age=0)
