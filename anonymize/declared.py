"""Hierarchies declared by a rule: intervals, prefixes, dates.

Their labels can be read without a table, which is how the independent check
recomputes their penalties:

* `Intervals`: ``34``, ``30-34``, ``30-39``, ``*``; penalty as for numbers.
* `Prefixes`: ``201203``, ``2012**``, ``20****``, ``*``; the leaves are all
  codes of that length, so a penalty is ``(a^stars - 1) / (a^length - 1)``
  for an alphabet of a characters. Where few of all possible codes exist, a
  table of those that do measures better.
* `Dates`: ``1984-05-17``, ``1984-05``, ``1984``, ``1980s``, ``*``; penalty
  as for numbers, in days.
"""

import calendar
import datetime as dt
import re
from dataclasses import dataclass
from itertools import pairwise

from anonymize.errors import InvalidHierarchy
from anonymize.hierarchies import TOP, Description, Scale, missing_path

_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _fault(*, form: str, what: str, remedy: str) -> InvalidHierarchy:
    return InvalidHierarchy(where=form, line=None, what=what, remedy=remedy)


def _clipped(first: int, last: int, low: int, high: int) -> float:
    return max(0.0, (min(high, last) - max(low, first)) / (high - low))


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """Whole numbers from 0, in intervals that start at multiples of a width.

    Attributes:
        low: smallest number of the domain, 0 or more.
        high: largest number of the domain.
        widths: widths of the intervals, each a multiple of the one before.
    """

    low: int
    high: int
    widths: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse intervals that do not nest."""
        if not 0 <= self.low < self.high:
            raise _fault(
                form="intervals",
                what="the domain is empty or starts below 0",
                remedy="give 0 <= low < high",
            )
        steps = (1, *self.widths)
        if any(b <= a or b % a for a, b in pairwise(steps)):
            raise _fault(
                form="intervals",
                what="the widths do not nest",
                remedy="give rising widths, each a multiple of the one before",
            )

    @property
    def levels(self) -> int:
        """Number of levels, the number and ``*`` included."""
        return len(self.widths) + 2

    @property
    def leaves(self) -> int:
        """Number of numbers in the domain."""
        return self.high - self.low + 1

    @property
    def scale(self) -> Scale:
        """The domain."""
        return Scale(low=self.low, high=self.high, place=int)

    def path(self, value: str) -> tuple[str, ...] | None:
        """Return the labels of a number; see `Hierarchy.path`."""
        if not value:
            return missing_path(self.levels)
        if not _WHOLE.fullmatch(value):
            return None
        number = int(value)
        if not self.low <= number <= self.high:
            return None
        starts = [(number - number % width, width) for width in self.widths]
        labels = [f"{start}-{start + width - 1}" for start, width in starts]
        return (value, *labels, TOP)

    def penalty(self, path: tuple[str, ...], level: int) -> float:
        """Return the NCP of a label; see `Hierarchy.penalty`."""
        if path[level] == TOP:
            return 1.0
        if not path[0] or level == 0:
            return 0.0
        first, last = path[level].split("-")
        return _clipped(int(first), int(last), self.low, self.high)

    def describe(self) -> Description:
        """Return the rule as data."""
        return {
            "form": "intervals",
            "low": self.low,
            "high": self.high,
            "widths": list(self.widths),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefixes:
    """Codes of one length, cut from the right.

    Attributes:
        length: characters of every code.
        keep: characters kept at each level, falling.
        alphabet: how many characters may stand in each place.
    """

    length: int
    keep: tuple[int, ...]
    alphabet: int = 10

    def __post_init__(self) -> None:
        """Refuse prefixes that do not get shorter."""
        steps = (self.length, *self.keep, 0)
        if any(b >= a for a, b in pairwise(steps)):
            raise _fault(
                form="prefixes",
                what="the kept lengths do not fall from the length towards 0",
                remedy="give falling lengths between the code's length and 0",
            )
        if not 2 <= self.alphabet <= 0x110000 or self.length > 64:
            raise _fault(
                form="prefixes",
                what="the alphabet or the length is out of range",
                remedy="give an alphabet from 2 and at most 64 places",
            )

    @property
    def levels(self) -> int:
        """Number of levels, the code and ``*`` included."""
        return len(self.keep) + 2

    @property
    def leaves(self) -> int:
        """Number of codes of that length."""
        size: int = self.alphabet**self.length
        return size

    @property
    def scale(self) -> None:
        """Codes have no scale."""
        return

    def path(self, value: str) -> tuple[str, ...] | None:
        """Return the labels of a code; see `Hierarchy.path`."""
        if not value:
            return missing_path(self.levels)
        if len(value) != self.length or TOP in value:
            return None
        cut = [value[:n] + TOP * (self.length - n) for n in self.keep]
        return (value, *cut, TOP)

    def penalty(self, path: tuple[str, ...], level: int) -> float:
        """Return the NCP of a label; see `Hierarchy.penalty`."""
        if path[level] == TOP:
            return 1.0
        if not path[0] or level == 0:
            return 0.0
        hidden: int = self.alphabet ** (self.length - self.keep[level - 1])
        everything: int = self.alphabet**self.length
        return (hidden - 1) / (everything - 1)

    def describe(self) -> Description:
        """Return the rule as data."""
        return {
            "form": "prefixes",
            "length": self.length,
            "keep": list(self.keep),
            "alphabet": self.alphabet,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """Days, then months, years and decades. Text is ``YYYY-MM-DD``.

    Attributes:
        first: first day of the domain.
        last: last day of the domain.
    """

    first: dt.date
    last: dt.date

    def __post_init__(self) -> None:
        """Refuse an empty domain."""
        if self.last <= self.first:
            raise _fault(
                form="dates",
                what="the domain is empty",
                remedy="give a last day after the first",
            )

    @property
    def levels(self) -> int:
        """Number of levels: day, month, year, decade, ``*``."""
        return 5

    @property
    def leaves(self) -> int:
        """Number of days in the domain."""
        return (self.last - self.first).days + 1

    @property
    def scale(self) -> Scale:
        """The domain, in days."""
        return Scale(
            low=self.first.toordinal(),
            high=self.last.toordinal(),
            place=lambda value: dt.date.fromisoformat(value).toordinal(),
        )

    def path(self, value: str) -> tuple[str, ...] | None:
        """Return the labels of a day; see `Hierarchy.path`."""
        if not value:
            return missing_path(self.levels)
        if not _DAY.fullmatch(value):
            return None
        try:
            day = dt.date.fromisoformat(value)
        except ValueError:
            return None
        if not self.first <= day <= self.last:
            return None
        return (value, value[:7], value[:4], value[:3] + "0s", TOP)

    def penalty(self, path: tuple[str, ...], level: int) -> float:
        """Return the NCP of a label; see `Hierarchy.penalty`."""
        if path[level] == TOP:
            return 1.0
        if not path[0] or level == 0:
            return 0.0
        first, last = _days(path[0], level)
        low, high = self.first.toordinal(), self.last.toordinal()
        return _clipped(first, last, low, high)

    def describe(self) -> Description:
        """Return the rule as data."""
        return {
            "form": "dates",
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
        }


def _days(value: str, level: int) -> tuple[int, int]:
    """First and last day of a month (1), a year (2), a decade (3)."""
    day = dt.date.fromisoformat(value)
    if level == 1:
        start = day.replace(day=1).toordinal()
        return start, start + calendar.monthrange(day.year, day.month)[1] - 1
    years = 1 if level == 2 else 10
    start_year = max(day.year - day.year % years, 1)
    end_year = day.year - day.year % years + years - 1
    return (
        dt.date(start_year, 1, 1).toordinal(),
        dt.date(end_year, 12, 31).toordinal(),
    )
