"""What a release must hold, and what that does and does not protect.

**k-anonymity** (Sweeney 2002). *Precondition*: one row a person, and every
column that an attacker may know has the role `quasi`. *Guarantee*: each
published row shares its quasi-identifier labels with at least k - 1 others.
*Not guaranteed*: that a class does not give its sensitive value away, nor
that two releases cannot be subtracted from one another, nor that minimal
generalization cannot be refined (downcoding, Cohen 2022).

**Distinct l-diversity** (Machanavajjhala et al. 2007). *Guarantee*: each
class has at least l different sensitive values, in each sensitive column.
*Not guaranteed*: that they are equally likely; with two values and l = 2 an
attacker can still be almost sure. Stricter than the definition here: a
missing value is no value and does not count towards l.

Merging two classes breaks neither, which is what repair relies on.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from anonymize.errors import InvalidSpec

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """k, l and the share of rows that may be left out.

    Attributes:
        k: smallest class, in rows; 2 or more.
        l: fewest distinct sensitive values in a class; 1 asks for nothing.
        suppression_limit: share of the rows handed in, from 0 to below 1.
    """

    k: int
    l: int = 1  # noqa: E741 - the literature's own name for it
    suppression_limit: float = 0.0

    def __post_init__(self) -> None:
        """Refuse criteria that protect nothing or cannot be meant."""
        if self.k < 2:
            msg = "k must be 2 or more: a class of one is a person"
            raise InvalidSpec(msg)
        if self.l < 1:
            msg = "l must be 1 or more"
            raise InvalidSpec(msg)
        if not 0 <= self.suppression_limit < 1:
            msg = "suppression_limit must be at least 0 and below 1"
            raise InvalidSpec(msg)

    def allowed(self, rows: int) -> int:
        """Number of rows that may be suppressed.

        Args:
            rows: rows handed in.
        """
        return math.floor(self.suppression_limit * rows + _ROUNDING)


def distinct(values: Iterable[str]) -> int:
    """Count distinct sensitive values; an empty one is no value.

    Args:
        values: the sensitive values of one class, as published.
    """
    return len({value for value in values if value})
