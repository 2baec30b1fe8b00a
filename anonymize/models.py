"""Privacy models beside k: what each class must hold for a column.

Shares are of the rows of a class that hold a value; ``p`` is the share of a
sensitive value in the class, ``q`` its share in the reference. Sources:
Machanavajjhala et al. 2007 (l-diversity), Li et al. 2007 (t-closeness), Wong
et al. 2006 (alpha, k), Cao and Karras 2012 (beta-likeness), Nergiz et al.
2007 (delta-presence), Sweeney 2002 (k-map). The last two are of people: they
compare with a population, which the table's people are part of.

The reference of closeness and likeness has a name: *input* is the whole
table handed in, suppressed rows too; *published* are the rows that leave.
The two differ where rows are suppressed, and a class can be close to one
and not to the other.

A missing value is no value: it does not count towards diversity. For
closeness and likeness it is a value of its own, since a reader sees it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from anonymize.errors import InvalidSpec
from anonymize.hierarchies import TableHierarchy


class Reference(StrEnum):
    """What a class's distribution is compared with."""

    INPUT = "input"
    PUBLISHED = "published"


class Distance(StrEnum):
    """How far one sensitive value is from another."""

    EQUAL = "equal"
    ORDERED = "ordered"
    HIERARCHICAL = "hierarchical"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntropyDiversity:
    """The exponential of the entropy of each class is l or more.

    Attributes:
        column: the sensitive column.
        l: least effective number of values, 1 or more.
    """

    model: ClassVar[str] = "entropy-l"
    column: str
    l: float  # noqa: E741 - the literature's own name for it

    def __post_init__(self) -> None:
        """Refuse what asks for nothing."""
        _demand(
            self.l >= 1 and math.isfinite(self.l), "entropy l is 1 or more"
        )

    def describe(self) -> Mapping[str, object]:
        """Return the model as data."""
        return {"model": self.model, "column": self.column, "l": repr(self.l)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecursiveDiversity:
    """The most frequent value has fewer rows than c times the rare ones.

    With counts falling, r1 < c (rl + ... + rm).

    Attributes:
        column: the sensitive column.
        l: from which value on they count as rare, 2 or more.
        c: the factor, above 0.
    """

    model: ClassVar[str] = "recursive-l"
    column: str
    l: int  # noqa: E741 - the literature's own name for it
    c: float

    def __post_init__(self) -> None:
        """Refuse what asks for nothing."""
        _demand(self.l >= 2, "recursive l is 2 or more")
        _demand(self.c > 0 and math.isfinite(self.c), "c is above 0")

    def describe(self) -> Mapping[str, object]:
        """Return the model as data."""
        return {
            "model": self.model,
            "column": self.column,
            "l": self.l,
            "c": repr(self.c),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Closeness:
    """Each class is no further than t from the reference distribution.

    Attributes:
        column: the sensitive column.
        t: largest earth mover's distance, from above 0 to 1.
        distance: between values.
        reference: the distribution that is compared with.
        order: the values in their order, for the ordered distance; a
            missing value stands before them.
        hierarchy: of the values, for the hierarchical distance.
    """

    model: ClassVar[str] = "t-closeness"
    column: str
    t: float
    distance: Distance = Distance.EQUAL
    reference: Reference = Reference.INPUT
    order: tuple[str, ...] = ()
    hierarchy: TableHierarchy | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what asks for nothing, or cannot be measured."""
        _demand(0 < self.t <= 1, "t is above 0 and at most 1")
        _demand(
            (self.distance is Distance.ORDERED) == bool(self.order)
            and len({*self.order}) == len(self.order),
            "the ordered distance, and no other, has an order of values, "
            "each once",
        )
        _demand(
            (self.distance is Distance.HIERARCHICAL)
            == (self.hierarchy is not None),
            "the hierarchical distance, and no other, has a hierarchy",
        )

    def describe(self) -> Mapping[str, object]:
        """Return the model as data."""
        tree = self.hierarchy
        return {
            "model": self.model,
            "column": self.column,
            "t": repr(self.t),
            "distance": self.distance.value,
            "reference": self.reference.value,
            "order": [*self.order],
            "hierarchy": None if tree is None else tree.describe(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """Named values have no more than a share alpha of a class: (alpha, k).

    Attributes:
        column: the sensitive column.
        alpha: largest share, above 0 and below 1.
        values: the values; empty means each of the column's.
    """

    model: ClassVar[str] = "alpha-k"
    column: str
    alpha: float
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what asks for nothing."""
        _demand(0 < self.alpha < 1, "alpha is above 0 and below 1")
        _demand("" not in self.values, "a missing value has no ceiling")

    def describe(self) -> Mapping[str, object]:
        """Return the model as data."""
        return {
            "model": self.model,
            "column": self.column,
            "alpha": repr(self.alpha),
            "values": sorted({*self.values}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """No value's share grows by more than beta of what it was.

    For each v with p > q, (p - q)/q is at most beta, and enhanced at most
    the smaller of beta and -ln q.

    Attributes:
        column: the sensitive column.
        beta: largest relative gain, above 0.
        enhanced: whether frequent values have the tighter bound.
        reference: the distribution that is compared with.
    """

    model: ClassVar[str] = "beta-likeness"
    column: str
    beta: float
    enhanced: bool = False
    reference: Reference = Reference.INPUT

    def __post_init__(self) -> None:
        """Refuse what asks for nothing."""
        _demand(self.beta > 0 and math.isfinite(self.beta), "beta is above 0")

    def describe(self) -> Mapping[str, object]:
        """Return the model as data."""
        return {
            "model": self.model,
            "column": self.column,
            "beta": repr(self.beta),
            "enhanced": self.enhanced,
            "reference": self.reference.value,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationMap:
    """Each label matches k people or more of the population: k-map.

    Attributes:
        k: fewest people, 2 or more.
    """

    model: ClassVar[str] = "k-map"
    column: ClassVar[None] = None
    k: int

    def __post_init__(self) -> None:
        """Refuse what asks for nothing."""
        _demand(self.k >= 2, "k-map needs a k of 2 or more")

    def describe(self) -> Mapping[str, object]:
        """Return the model as data."""
        return {"model": self.model, "k": self.k}


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """The share of a label's people who are in the release is bounded.

    Attributes:
        low: least share, from 0.
        high: largest share, below 1.
    """

    model: ClassVar[str] = "delta-presence"
    column: ClassVar[None] = None
    low: float = 0.0
    high: float

    def __post_init__(self) -> None:
        """Refuse what asks for nothing."""
        _demand(
            0 <= self.low < self.high < 1,
            "delta-presence needs 0 <= low < high < 1",
        )

    def describe(self) -> Mapping[str, object]:
        """Return the model as data."""
        return {
            "model": self.model,
            "low": repr(self.low),
            "high": repr(self.high),
        }


OfValues = (
    EntropyDiversity | RecursiveDiversity | Closeness | Ceiling | Likeness
)
"""Models of the sensitive values of a class."""
OfPeople = PopulationMap | Presence
"""Models of the people of the population that a class's label matches."""
Model = OfValues | OfPeople
"""A privacy model beside k and distinct l."""


def _demand(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - a plain test
    if not holds:
        raise InvalidSpec(otherwise)
