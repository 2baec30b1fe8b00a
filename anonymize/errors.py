"""The errors of de-identification.

::

    AnonymizeError
    |-- MissingExtra      the extra curtilage[analytics] is not there
    |-- InvalidSpec       a release is asked for in terms that clash
    |-- InvalidHierarchy  a hierarchy is malformed (file, line, remedy)
    |-- InvalidRows       rows or a CSV file are malformed
    |-- ValueNotCovered   a value has no place in its hierarchy
    |-- TextTooLong       a text or document is above the stated size
    |-- DocumentUnreadable  a document is not what it says it is
    |-- InvalidQuery      a question for a noisy number is malformed
    |-- BudgetExhausted   the privacy budget does not allow an answer now
    |-- CriteriaNotMet    a model or the suppression limit is missed
    |-- SuccessionRefused  earlier releases leave too few rows to publish
    |-- ExtractTampered   files and manifest of an extract disagree
    `-- OutputExists      the place for an extract is taken

Messages hold names of columns, numbers of rows and counts. They never hold
a value: a value of a quasi-identifier can point at a person.
"""

import datetime as dt

_EXTRAS = {
    "docx": "documents",
    "opendp": "noise",
    "pypdf": "documents",
    "pyspark": "spark",
    "reportlab": "reports",
}


class AnonymizeError(Exception):
    """Whatever goes wrong while rows are de-identified."""


class MissingExtra(AnonymizeError):
    """A library of an extra, ``curtilage[analytics]``, is not installed."""

    def __init__(self, *, library: str) -> None:
        self.library = library
        extra = _EXTRAS.get(library, "analytics")
        msg = (
            f"{library} is not installed: this needs the extra "
            f"curtilage[{extra}] (pip install 'curtilage[{extra}]')"
        )
        super().__init__(msg)


class InvalidSpec(AnonymizeError):
    """The specification of a release contradicts itself or its rows."""


class InvalidHierarchy(AnonymizeError):
    """A generalization hierarchy is malformed.

    Attributes:
        where: file or name of the form.
        line: line number from 1, or None where no line is at fault.
        what: what is wrong.
        remedy: what to do about it.
    """

    def __init__(
        self, *, where: str, line: int | None, what: str, remedy: str
    ) -> None:
        self.where = where
        self.line = line
        self.what = what
        self.remedy = remedy
        place = where if line is None else f"{where}, line {line}"
        super().__init__(f"{place}: {what}; {remedy}")


class InvalidRows(AnonymizeError):
    """Rows, or the file that holds them, are malformed."""


class ValueNotCovered(AnonymizeError):
    """Values of a quasi-identifier have no place in its hierarchy.

    Attributes:
        column: the quasi-identifier.
        count: rows whose value is not covered.
        first_row: number of the first such row, from 1; 0 where the rows
            have no order.
    """

    def __init__(self, *, column: str, count: int, first_row: int) -> None:
        self.column = column
        self.count = count
        self.first_row = first_row
        first = f", the first is row {first_row}" if first_row else ""
        msg = (
            f"column {column}: {count} row(s) hold a value that the "
            f"hierarchy does not cover{first}; add the value to the "
            "hierarchy or correct the row"
        )
        super().__init__(msg)


class TextTooLong(AnonymizeError):
    """A free text is longer than is searched in one piece."""


class DocumentUnreadable(AnonymizeError):
    """A document is not what its name says, or not in that encoding."""


class InvalidQuery(AnonymizeError):
    """A question for a number under differential privacy is malformed."""


class BudgetExhausted(AnonymizeError):
    """The privacy budget does not allow an answer now.

    Attributes:
        scope: ``recipient``, ``colluding`` for the cap over recipients who
            share what they get, or ``everybody`` for that over all
            recipients of a data set.
        refreshes_at: POSIX seconds from which as much as was asked for is
            there again, or None where it is more than the whole allowance.
    """

    def __init__(self, *, scope: str, refreshes_at: int | None) -> None:
        self.scope = scope
        self.refreshes_at = refreshes_at
        when = (
            "asks for more than the whole allowance: ask for a smaller epsilon"
            if refreshes_at is None
            else f"can be asked again from {_utc(refreshes_at)}"
        )
        whose = {
            "recipient": "of the recipient",
            "colluding": "of the recipients who share what they get",
        }.get(scope, "of all recipients of the data set together")
        msg = f"the privacy budget {whose} is used up; this {when}"
        super().__init__(msg)


def _utc(at: int) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


class CriteriaNotMet(AnonymizeError):
    """The criteria cannot be met, or are not met by what was written.

    Attributes:
        k_asked: smallest class asked for, in rows.
        k_reached: smallest class reached; 0 where nothing is published.
        l_asked: distinct sensitive values asked for in each class.
        l_reached: fewest reached, or None where none was measured.
        suppressed: rows that are not published.
        allowed: rows that may be suppressed.
        missed: further models that are missed, by name and column.
    """

    def __init__(
        self,
        *,
        k_asked: int,
        k_reached: int,
        l_asked: int = 1,
        l_reached: int | None = None,
        suppressed: int = 0,
        allowed: int = 0,
        missed: tuple[str, ...] = (),
    ) -> None:
        self.k_asked = k_asked
        self.k_reached = k_reached
        self.l_asked = l_asked
        self.l_reached = l_reached
        self.suppressed = suppressed
        self.allowed = allowed
        self.missed = missed
        further = "; missed " + ", ".join(missed) if missed else ""
        reached = "unknown" if l_reached is None else str(l_reached)
        msg = (
            f"criteria not met: k asked {k_asked}, reached {k_reached}; "
            f"l asked {l_asked}, reached {reached}; rows suppressed "
            f"{suppressed}, allowed {allowed}{further}; no row is published"
        )
        super().__init__(msg)


class SuccessionRefused(AnonymizeError):
    """Beside the earlier releases too few rows could be published.

    Attributes:
        withheld: rows that would have to be withheld.
        allowed: rows that may be.
    """

    def __init__(self, *, withheld: int, allowed: int) -> None:
        self.withheld = withheld
        self.allowed = allowed
        msg = (
            f"beside the earlier releases {withheld} row(s) would have to be "
            f"withheld, {allowed} may be; no row is published: wait until "
            "more people have joined or left, allow more suppression, or ask "
            "for numbers under differential privacy"
        )
        super().__init__(msg)


class ExtractTampered(AnonymizeError):
    """A file of an extract is not what its manifest says."""


class OutputExists(AnonymizeError):
    """The folder for an extract exists and is not empty."""
