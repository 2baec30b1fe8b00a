"""The errors of de-identification.

::

    AnonymizeError
    |-- MissingExtra      the extra curtilage[analytics] is not there
    |-- InvalidSpec       a release is asked for in terms that clash
    |-- InvalidHierarchy  a hierarchy is malformed (file, line, remedy)
    |-- InvalidRows       rows or a CSV file are malformed
    |-- ValueNotCovered   a value has no place in its hierarchy
    |-- TextTooLong       a free text is above the stated size
    |-- CriteriaNotMet    k, l or the suppression limit is missed
    |-- ExtractTampered   files and manifest of an extract disagree
    `-- OutputExists      the place for an extract is taken

Messages hold names of columns, numbers of rows and counts. They never hold
a value: a value of a quasi-identifier can point at a person.
"""


class AnonymizeError(Exception):
    """Whatever goes wrong while rows are de-identified."""


class MissingExtra(AnonymizeError):
    """A library of the extra ``curtilage[analytics]`` is not installed."""

    def __init__(self, *, library: str) -> None:
        self.library = library
        msg = (
            f"{library} is not installed: de-identification needs the extra "
            "curtilage[analytics] (pip install 'curtilage[analytics]')"
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
        first_row: number of the first such row, from 1.
    """

    def __init__(self, *, column: str, count: int, first_row: int) -> None:
        self.column = column
        self.count = count
        self.first_row = first_row
        msg = (
            f"column {column}: {count} row(s) hold a value that the "
            f"hierarchy does not cover, the first is row {first_row}; add "
            "the value to the hierarchy or correct the row"
        )
        super().__init__(msg)


class TextTooLong(AnonymizeError):
    """A free text is longer than is searched in one piece."""


class CriteriaNotMet(AnonymizeError):
    """The criteria cannot be met, or are not met by what was written.

    Attributes:
        k_asked: smallest class asked for, in rows.
        k_reached: smallest class reached; 0 where nothing is published.
        l_asked: distinct sensitive values asked for in each class.
        l_reached: fewest reached, or None where none was measured.
        suppressed: rows that are not published.
        allowed: rows that may be suppressed.
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
    ) -> None:
        self.k_asked = k_asked
        self.k_reached = k_reached
        self.l_asked = l_asked
        self.l_reached = l_reached
        self.suppressed = suppressed
        self.allowed = allowed
        reached = "unknown" if l_reached is None else str(l_reached)
        msg = (
            f"criteria not met: k asked {k_asked}, reached {k_reached}; "
            f"l asked {l_asked}, reached {reached}; rows suppressed "
            f"{suppressed}, allowed {allowed}; no row is published"
        )
        super().__init__(msg)


class ExtractTampered(AnonymizeError):
    """A file of an extract is not what its manifest says."""


class OutputExists(AnonymizeError):
    """The folder for an extract exists and is not empty."""
