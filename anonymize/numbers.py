"""Numbers under differential privacy: budget first, then data, then noise.

1. The cost of the question is reserved, durably (`BudgetLedger`). Where the
   budget is used up, that is the answer, before any row is read, and it
   depends on nothing in the data.
2. The rows are read, and aggregated exactly.
3. Noise comes from OpenDP, which says what it cost; it never costs more than
   was reserved.
4. The answer is kept, and whoever asks the same of the same gets the same.
   A crash in between counts as spent.

Each number comes with its error bar. What is made of noisy numbers
afterwards (no count below zero, no mean out of its bounds) costs nothing.
"""

import json
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from anonymize.budget import (
    BudgetLedger,
    Charge,
    Reservation,
    epsilon_of,
    rho_of,
)
from anonymize.errors import InvalidQuery
from anonymize.exact import Exact, exact, middle_of
from anonymize.noise import Noisy, least, noisy
from anonymize.queries import Kind, Query

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl


LEAST = 1000
"""Least cost that is counted, in units of rho."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A noisy answer.

    Attributes:
        cells: names and values; a question for one number has one cell.
        errors: by cell: the truth lies within this of the value, but in 5
            of 100 cases. A quantile has none.
        rank_error: of a quantile: by how many rows it may be off its rank,
            but in 5 of 100 cases; else None.
        epsilon: what it cost, at `delta`.
        delta: of the budget.
        again: whether it was given before, and cost nothing now.
    """

    cells: dict[str, float]
    errors: dict[str, float]
    rank_error: int | None
    epsilon: float
    delta: float
    again: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question whose cost is reserved, and which may now read data.

    Attributes:
        query: what is asked.
        ledger: where the cost is reserved.
        reservation: of the cost.
        rho: the cost, in units.
        delta: at which the question's epsilon is meant.
    """

    query: Query
    ledger: BudgetLedger
    reservation: Reservation
    rho: int
    delta: Fraction

    def answer(self, frame: "pl.DataFrame") -> Answer:
        """Aggregate, add noise, keep the answer and return it.

        Args:
            frame: the data.

        Raises:
            InvalidQuery: a column is missing. What was reserved stays spent.
        """
        parts = exact(frame, self.query)
        answer = _answer(self.query, parts, self.rho, self.delta)
        self.ledger.commit(self.reservation, _written(answer))
        return answer


def prepare(
    query: Query,
    ledger: BudgetLedger,
    *,
    delta: Fraction,
    context: tuple[str, ...],
) -> Answer | Question:
    """Reserve the cost of a question.

    Args:
        query: the question.
        ledger: the budget.
        delta: at which the question's epsilon is meant.
        context: names the data set and its snapshot.

    Returns:
        The answer that was given to the same before, or leave to read.

    Raises:
        BudgetExhausted: there is not enough left.
        InvalidQuery: the epsilon is too small to be counted.
    """
    rho = rho_of(query.epsilon, delta)
    if rho < LEAST:
        msg = "the epsilon is too small"
        raise InvalidQuery(msg)
    reservation = ledger.reserve(
        Charge(query=query.digest(*context, str(delta)), rho=rho)
    )
    if reservation.answer is not None:
        return _read(reservation.answer)
    return Question(
        query=query,
        ledger=ledger,
        reservation=reservation,
        rho=rho,
        delta=delta,
    )


def ask(
    query: Query,
    rows: "Callable[[], pl.DataFrame]",
    ledger: BudgetLedger,
    *,
    delta: Fraction,
    context: tuple[str, ...],
) -> Answer:
    """Answer a question.

    Args:
        query: the question.
        rows: reads the data; called only once the budget is reserved.
        ledger: the budget.
        delta: at which the question's epsilon is meant.
        context: names the data set and its snapshot.

    Raises:
        BudgetExhausted: there is not enough left; nothing was read.
        InvalidQuery: a column is missing. What was reserved stays spent:
            that a column is missing is told by the data.
    """
    asked = prepare(query, ledger, delta=delta, context=context)
    return asked.answer(rows()) if isinstance(asked, Question) else asked


def _answer(
    query: Query, parts: tuple[Exact, ...], rho: int, delta: Fraction
) -> Answer:
    share = rho // len(parts)
    if query.kind is Kind.QUANTILE:
        return _quantile(query, parts[0], share, delta)
    found = [
        noisy(part.values, sensitivity=part.sensitivity, rho=share)
        for part in parts
    ]
    unit = 10**query.digits
    error = found[0].error / unit
    if query.kind is Kind.MEAN:
        value, error = _mean(query, found[0], found[1])
        cells = {query.kind.value: value}
    elif query.kind is Kind.SUM:
        cells = {query.kind.value: found[0].values[0] / unit}
    else:
        names = query.keys or (query.kind.value,)
        cells = {
            name: float(max(0, each))
            for name, each in zip(names, found[0].values, strict=True)
        }
    return Answer(
        cells=cells,
        errors=dict.fromkeys(cells, error),
        rank_error=None,
        epsilon=epsilon_of(sum(each.rho for each in found), delta),
        delta=float(delta),
        again=False,
    )


def _mean(query: Query, total: Noisy, count: Noisy) -> tuple[float, float]:
    """Divide, stay in bounds, and carry both errors along."""
    unit = 10**query.digits
    low, high = float(query.low or 0), float(query.high or 0)
    people = max(1, count.values[0])
    off = total.values[0] / people
    mean = min(high, max(low, (middle_of(query) + off) / unit))
    fewest = max(1, people - count.error)
    error = (total.error + abs(off) * count.error) / fewest / unit
    return mean, min(error, high - low)


def _quantile(
    query: Query, scores: Exact, rho: int, delta: Fraction
) -> Answer:
    found = least(scores.values, sensitivity=scores.sensitivity, rho=rho)
    value = sorted(query.candidates)[found.values[0]]
    at = (query.at or Fraction(1, 2)).limit_denominator(1000)
    return Answer(
        cells={query.kind.value: float(value)},
        errors={},
        rank_error=-(-found.error // at.denominator),
        epsilon=epsilon_of(found.rho, delta),
        delta=float(delta),
        again=False,
    )


def _written(answer: Answer) -> str:
    return json.dumps(
        {
            "cells": answer.cells,
            "errors": answer.errors,
            "rank_error": answer.rank_error,
            "epsilon": answer.epsilon,
            "delta": answer.delta,
        },
        ensure_ascii=False,
    )


def _read(text: str) -> Answer:
    return Answer(**json.loads(text), again=True)
