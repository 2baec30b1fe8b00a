"""Class repair: any partition becomes one that meets the rules.

The classes that fail are taken in turn, cheapest labels first, and of equal
ones the largest, which is dearest to generalize; some of them together, as
`merger` says. Each is either merged with
another class, or is given a tuple of a class that can do without it: the
donor stays within the rules, and only the receiver's label widens. What
raises the summed cost of labels least is done. Where nothing cures at once,
what comes nearest for its price is done, until the class passes.

Merging breaks no rule that held, so a class that passes goes on passing,
and giving is done only where it breaks none. Two failing classes may cure
one another.

A class that can only be merged into a label that says nothing is suppressed
instead where the limit has room: it would drag its partner down with it.

Giving is left out above `GIVING` classes, where it would take long; there
failing classes first look for partners nearby, all together (`pairing`).
"""

from anonymize.classes import Classes, make_classes
from anonymize.cube import Cube, number_columns
from anonymize.errors import MissingExtra
from anonymize.merger import Merger
from anonymize.pairing import pair_classes
from anonymize.rules import Rules

try:
    import numpy as np
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

GIVING = 12_000
"""Classes up to which tuples may change their class."""
_DECIMALS = 9


def repair(
    cube: Cube,
    classes: Classes,
    rules: Rules,
    allowed: int,
    *,
    give: bool = True,
    join: bool = True,
) -> Classes:
    """Merge failing classes until all pass, where that is possible.

    Args:
        cube: the counted tuples; at least one axis.
        classes: the partition; tuples that are still open stand in it as
            classes of their own.
        rules: what a class must hold.
        allowed: rows that may be suppressed.
        give: whether tuples may change their class.
        join: whether classes labelled alike are one, as in `make_classes`.

    Returns:
        A partition. Classes that still fail, or whose label says nothing,
        are for the caller to suppress.
    """
    if len(classes.weights) > GIVING:
        classes = pair_classes(cube, classes, rules, join=join)
    failing = np.flatnonzero(~rules.passes(classes.weights, classes.counts.T))
    if not len(failing):
        return classes
    cost = classes.costs[failing].round(_DECIMALS)
    order = np.lexsort((failing, -classes.weights[failing], cost))
    give = give and len(classes.weights) <= GIVING
    merger = Merger(cube, classes, rules, allowed, give=give)
    merger.cure(failing[order].tolist())
    member = number_columns(merger.member()[None])
    return make_classes(cube, member, join=join)
