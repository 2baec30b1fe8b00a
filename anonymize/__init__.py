"""De-identification: rows in, a checked extract and its report out.

This package knows nothing of people or of storage. Rows come as text, with
a role for each column; what leaves has been checked by code that did not
make it::

    spec = ExtractSpec(
        columns={"name": Role.DIRECT, "age": Role.QUASI,
                 "income": Role.SENSITIVE},
        hierarchies={"age": Intervals(low=0, high=120, widths=(5, 10, 20))},
        k=5, l=2, suppression_limit=0.05,
        recipient="statistics-office", purpose="commuting-study",
    )
    extract = build_extract(spec, rows)
    write_extract(extract, Path("release-7"))

That `build_extract` returns means: each published row shares its
quasi-identifier labels with k - 1 others or more, each class has l values
or more in each sensitive column, and no more rows than allowed were left
out. Where that cannot be had it raises `CriteriaNotMet` and gives no rows.

What this does not protect against stands in `anonymize.criteria`, and in
each report: an extract is *de-identified*, not anonymous.

The package imports without its libraries. What needs NumPy, Polars,
Presidio or Aho-Corasick is loaded when its name is first asked for, and
raises `MissingExtra` where ``curtilage[analytics]`` is not installed.
"""

from typing import TYPE_CHECKING

from anonymize.criteria import Criteria
from anonymize.declared import Dates, Intervals, Prefixes
from anonymize.errors import (
    AnonymizeError,
    CriteriaNotMet,
    ExtractTampered,
    InvalidHierarchy,
    InvalidRows,
    InvalidSpec,
    MissingExtra,
    OutputExists,
    TextTooLong,
    ValueNotCovered,
)
from anonymize.hierarchies import Hierarchy, TableHierarchy, flat
from anonymize.pseudonyms import Pseudonyms
from anonymize.report import ReleaseReport
from anonymize.risk import Risks, measure_risks
from anonymize.roles import Role
from anonymize.spec import ExtractSpec
from anonymize.specfile import read_spec

if TYPE_CHECKING:
    from types import ModuleType

    from anonymize.checker import Checked, Terms, check_bytes, check_folder
    from anonymize.extract import Extract, build_extract
    from anonymize.files import (
        descriptions,
        extract_file,
        write_extract,
    )
    from anonymize.known import KnownValue
    from anonymize.text import Scrubber

__all__ = [
    "AnonymizeError",
    "Checked",
    "Criteria",
    "CriteriaNotMet",
    "Dates",
    "Extract",
    "ExtractSpec",
    "ExtractTampered",
    "Hierarchy",
    "Intervals",
    "InvalidHierarchy",
    "InvalidRows",
    "InvalidSpec",
    "KnownValue",
    "MissingExtra",
    "OutputExists",
    "Prefixes",
    "Pseudonyms",
    "ReleaseReport",
    "Risks",
    "Role",
    "Scrubber",
    "TableHierarchy",
    "Terms",
    "TextTooLong",
    "ValueNotCovered",
    "build_extract",
    "check_bytes",
    "check_folder",
    "descriptions",
    "extract_file",
    "flat",
    "measure_risks",
    "read_spec",
    "write_extract",
]


def __getattr__(name: str) -> object:
    """Load what needs the extra when it is first asked for."""
    # ruff: noqa: PLC0415 - the extra is loaded here and not before
    home: ModuleType
    if name in {"Checked", "Terms", "check_bytes", "check_folder"}:
        from anonymize import checker

        home = checker
    elif name in {"Extract", "build_extract"}:
        from anonymize import extract

        home = extract
    elif name in {"descriptions", "extract_file", "write_extract"}:
        from anonymize import files

        home = files
    elif name == "KnownValue":
        from anonymize import known

        home = known
    elif name == "Scrubber":
        from anonymize import text

        home = text
    else:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    found: object = getattr(home, name)
    return found
