"""The generalization hierarchies that extracts have when none is given.

Dates, numbers and codes have hierarchies that follow from their form;
everything else is its own value or nothing. An officer may give a better
one for any column.
"""

import datetime as dt
from collections.abc import Mapping, Sequence

from anonymize import Dates, Hierarchy, Intervals, Prefixes, flat

_FORMS: Mapping[str, Hierarchy] = {
    "user.bdate": Dates(first=dt.date(1880, 1, 1), last=dt.date(2049, 12, 31)),
    "user.age": Intervals(low=0, high=129, widths=(5, 10, 20)),
    "user.household.size": Intervals(low=0, high=29, widths=(3, 6)),
    "user.home-info.postal.postalcode": Prefixes(length=6, keep=(4, 2, 1)),
}


def hierarchies_for(
    columns: Sequence[str],
    rows: Mapping[str, Sequence[str]],
    given: Mapping[str, Hierarchy],
) -> dict[str, Hierarchy]:
    """Choose the hierarchy of each quasi-identifier.

    Args:
        columns: the quasi-identifiers.
        rows: the table, for the values of a column without a form.
        given: what an officer gave, by column; it wins.

    """
    return {
        name: given.get(name)
        or _FORMS.get(name)
        or flat(sorted({*rows[name]} - {""}), where=name)
        for name in columns
    }
