"""Questions that are answered by a noisy number.

A question names everything that its noise depends on: bounds, keys and
candidates are part of it and come from the data dictionary, never from the
data, for a bound that was looked up in the data gives a value away. Two
questions are the same when their canonical forms are, whatever the order
their parts were written in.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from anonymize.errors import InvalidQuery

MOST_CELLS = 100_000
"""Most keys of a histogram, or candidates of a quantile."""
MOST_DIGITS = 6
"""Most decimal places that sums are taken with."""
_LARGEST = 10**12


class Kind(StrEnum):
    """What is asked."""

    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    QUANTILE = "quantile"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question.

    Attributes:
        kind: what is asked.
        epsilon: how much it may cost, at the delta of the budget.
        column: what is summed, ranked or counted by; a count has none.
        keys: of a histogram all its cells, empty ones too.
        low: of a sum, mean or quantile the least value; below is clipped.
        high: the largest value; above is clipped.
        digits: decimal places of the values, 0 to 6.
        at: of a quantile which one, above 0 and below 1.
        candidates: of a quantile the values that it can be.
        where: only rows with these values in these columns.
        contribution: most rows of one person; further ones are left out.
    """

    kind: Kind
    epsilon: Fraction
    column: str = ""
    keys: tuple[str, ...] = ()
    low: Fraction | None = None
    high: Fraction | None = None
    digits: int = 0
    at: Fraction | None = None
    candidates: tuple[Fraction, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    contribution: int = 1

    def __post_init__(self) -> None:
        """Refuse what has no answer, or none whose cost is known.

        Raises:
            InvalidQuery: with what is missing or out of range.
        """
        for fault in self._faults():
            raise InvalidQuery(fault)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the answer is made of, in order."""
        asked = {*self.where, *([self.column] if self.column else [])}
        return tuple(sorted(asked))

    def canonical(self) -> bytes:
        """Return the one form of this question."""
        form = {
            "kind": self.kind,
            "epsilon": str(self.epsilon),
            "column": self.column,
            "keys": sorted(self.keys),
            "low": str(self.low),
            "high": str(self.high),
            "digits": self.digits,
            "at": str(self.at),
            "candidates": [str(each) for each in sorted(self.candidates)],
            "where": dict(self.where),
            "contribution": self.contribution,
        }
        return json.dumps(form, sort_keys=True, ensure_ascii=False).encode()

    def digest(self, *context: str) -> str:
        """Return a digest of the question and of what it is asked of.

        Args:
            context: data set, snapshot and the like, in order.
        """
        parts = [*(each.encode() for each in context), self.canonical()]
        framed = b"".join(
            len(each).to_bytes(8, "big") + each for each in parts
        )
        return hashlib.sha256(b"curtilage/query/1" + framed).hexdigest()

    def grid(self, value: Fraction) -> int:
        """Return a value as a whole number of the last decimal place."""
        return round(value * Fraction(10**self.digits))

    def _faults(self) -> list[str]:
        faults = []
        if not 0 < self.epsilon <= 10:
            faults.append("epsilon is above 0 and at most 10")
        if not 1 <= self.contribution <= 1000:
            faults.append("a person contributes 1 to 1,000 rows")
        if not 0 <= self.digits <= MOST_DIGITS:
            faults.append(f"digits are 0 to {MOST_DIGITS}")
        if (self.kind is Kind.COUNT) != (not self.column):
            faults.append("a count has no column, and everything else has one")
        return faults + self._own_faults()

    def _own_faults(self) -> list[str]:
        faults = []
        if self.kind is Kind.HISTOGRAM:
            if not 1 <= len({*self.keys}) == len(self.keys) <= MOST_CELLS:
                faults.append(
                    f"a histogram has 1 to {MOST_CELLS} keys, each once"
                )
        elif self.keys:
            faults.append("only a histogram has keys")
        numeric = self.kind in {Kind.SUM, Kind.MEAN, Kind.QUANTILE}
        bounded = self.low is not None and self.high is not None
        given = self.low is not None or self.high is not None
        if numeric != given or given != bounded:
            faults.append("low and high are of a sum, a mean or a quantile")
        elif (
            self.low is not None
            and self.high is not None
            and not -_LARGEST <= self.low < self.high <= _LARGEST
        ):
            faults.append(f"low is below high, both within {_LARGEST}")
        if self.kind is Kind.QUANTILE:
            inside = bounded and all(
                self.low <= each <= self.high  # type: ignore[operator] # not None: see above
                for each in self.candidates
            )
            if self.at is None or not 0 < self.at < 1:
                faults.append("a quantile lies above 0 and below 1")
            if not inside or not 2 <= len(self.candidates) <= MOST_CELLS:
                faults.append(
                    f"a quantile has 2 to {MOST_CELLS} candidates in bounds"
                )
        elif self.at is not None or self.candidates:
            faults.append("only a quantile has a place and candidates")
        return faults
