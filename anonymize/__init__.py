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

A file of any size goes to a file by `extract_plain`, which streams it, or
has Spark count it. Labels are nodes of the hierarchies, or sets of values
(``sets=True``). Hierarchies: `TableHierarchy` (ARX's CSV form), `Intervals`,
`Dates`, `Prefixes`, `taxonomy`, `flat`. Models beside k and l:
`EntropyDiversity`, `RecursiveDiversity`, `Closeness`, `Ceiling`, `Likeness`,
and with a `Population` `PopulationMap` and `Presence`.

What this does not protect against stands in `anonymize.criteria`, and in
each report: an extract is *de-identified*, not anonymous.

The package imports without its libraries. What needs NumPy, Polars,
Presidio or Aho-Corasick is loaded when its name is first asked for, and
raises `MissingExtra` where ``curtilage[analytics]`` is not installed.
"""

from typing import TYPE_CHECKING

from anonymize.budget import (
    BudgetLedger,
    Charge,
    Reservation,
    epsilon_of,
    rho_of,
)
from anonymize.criteria import Criteria
from anonymize.declared import Dates, Intervals, Prefixes
from anonymize.errors import (
    AnonymizeError,
    BudgetExhausted,
    CriteriaNotMet,
    DocumentUnreadable,
    ExtractTampered,
    InvalidHierarchy,
    InvalidQuery,
    InvalidRows,
    InvalidSpec,
    MissingExtra,
    OutputExists,
    SuccessionRefused,
    TextTooLong,
    ValueNotCovered,
)
from anonymize.hierarchies import Hierarchy, TableHierarchy, flat, taxonomy
from anonymize.labels import LabelBook, Style
from anonymize.models import (
    Ceiling,
    Closeness,
    Distance,
    EntropyDiversity,
    Likeness,
    PopulationMap,
    Presence,
    RecursiveDiversity,
    Reference,
)
from anonymize.population import Population
from anonymize.preview import LevelPreview, hierarchy_csv, preview_levels
from anonymize.pseudonyms import Pseudonyms
from anonymize.queries import Kind, Query
from anonymize.report import Basis, ReleaseReport
from anonymize.report_page import (
    OFFICERS,
    Copy,
    report_html,
    report_parts,
)
from anonymize.report_pdf import report_pdf
from anonymize.risk import Risks, measure_risks
from anonymize.roles import Role
from anonymize.spec import ExtractSpec
from anonymize.specfile import read_hierarchy, read_spec

if TYPE_CHECKING:
    from types import ModuleType

    from anonymize.bulk import Written
    from anonymize.checker import Checked, Terms, check_bytes, check_folder
    from anonymize.exact import frame_of
    from anonymize.extract import Extract, build_extract, for_recipient
    from anonymize.files import (
        descriptions,
        extract_file,
        write_extract,
    )
    from anonymize.known import KnownValue
    from anonymize.numbers import Answer, Question, ask, prepare
    from anonymize.plainfile import extract_plain
    from anonymize.scrubfile import ScrubTerms, read_known, scrub_file
    from anonymize.succession import Past
    from anonymize.tablefile import count_values
    from anonymize.text import Scrubber
    from anonymize.value_index import ValueIndex

__all__ = [
    "OFFICERS",
    "AnonymizeError",
    "Answer",
    "Basis",
    "BudgetExhausted",
    "BudgetLedger",
    "Ceiling",
    "Charge",
    "Checked",
    "Closeness",
    "Copy",
    "Criteria",
    "CriteriaNotMet",
    "Dates",
    "Distance",
    "DocumentUnreadable",
    "EntropyDiversity",
    "Extract",
    "ExtractSpec",
    "ExtractTampered",
    "Hierarchy",
    "Intervals",
    "InvalidHierarchy",
    "InvalidQuery",
    "InvalidRows",
    "InvalidSpec",
    "Kind",
    "KnownValue",
    "LabelBook",
    "LevelPreview",
    "Likeness",
    "MissingExtra",
    "OutputExists",
    "Past",
    "Population",
    "PopulationMap",
    "Prefixes",
    "Presence",
    "Pseudonyms",
    "Query",
    "Question",
    "RecursiveDiversity",
    "Reference",
    "ReleaseReport",
    "Reservation",
    "Risks",
    "Role",
    "ScrubTerms",
    "Scrubber",
    "Style",
    "SuccessionRefused",
    "TableHierarchy",
    "Terms",
    "TextTooLong",
    "ValueIndex",
    "ValueNotCovered",
    "Written",
    "ask",
    "build_extract",
    "check_bytes",
    "check_folder",
    "count_values",
    "descriptions",
    "epsilon_of",
    "extract_file",
    "extract_plain",
    "flat",
    "for_recipient",
    "frame_of",
    "hierarchy_csv",
    "measure_risks",
    "prepare",
    "preview_levels",
    "read_hierarchy",
    "read_known",
    "read_spec",
    "report_html",
    "report_parts",
    "report_pdf",
    "rho_of",
    "scrub_file",
    "taxonomy",
    "write_extract",
]


def __getattr__(name: str) -> object:
    """Load what needs the extra when it is first asked for."""
    # ruff: noqa: PLC0415 - the extra is loaded here and not before
    home: ModuleType
    if name in {"Checked", "Terms", "check_bytes", "check_folder"}:
        from anonymize import checker

        home = checker
    elif name in {"Extract", "build_extract", "for_recipient"}:
        from anonymize import extract

        home = extract
    elif name in {"descriptions", "extract_file", "write_extract"}:
        from anonymize import files

        home = files
    elif name == "Written":
        from anonymize import bulk

        home = bulk
    elif name == "extract_plain":
        from anonymize import plainfile

        home = plainfile
    elif name == "Past":
        from anonymize import succession

        home = succession
    elif name == "count_values":
        from anonymize import tablefile

        home = tablefile
    else:
        home = _text_or_numbers(name)
    found: object = getattr(home, name)
    return found


def _text_or_numbers(name: str) -> "ModuleType":
    """Load what scrubs text or adds noise."""
    home: ModuleType
    if name in {"Answer", "Question", "ask", "prepare"}:
        from anonymize import numbers

        home = numbers
    elif name == "frame_of":
        from anonymize import exact

        home = exact
    elif name == "KnownValue":
        from anonymize import known

        home = known
    elif name in {"ScrubTerms", "read_known", "scrub_file"}:
        from anonymize import scrubfile

        home = scrubfile
    elif name == "ValueIndex":
        from anonymize import value_index

        home = value_index
    elif name == "Scrubber":
        from anonymize import text

        home = text
    else:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return home
