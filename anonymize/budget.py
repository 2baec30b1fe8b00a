"""What noisy numbers cost, in zero-concentrated differential privacy (zCDP).

Costs are rho (Bun and Steinke 2016), because rho adds: who answers questions
of rho 1/100 and 2/100 has spent 3/100, whatever the questions were. People
are shown epsilon at a stated delta: ``rho + 2 * sqrt(rho * ln(1 / delta))``.

Rho is counted in whole units of `UNIT`, rounded up where it is spent and
down where it is allowed, and never as a float: a sum of parts is exactly the
sum.

`BudgetLedger` is what this package wants of whoever keeps the count. It
knows nothing of where that is kept.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol
from uuid import UUID

UNIT = 10**12
"""Units of a rho of 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What one answer would cost.

    Attributes:
        query: digest of the canonical question and of what it is asked of.
        rho: cost in units.
    """

    query: str
    rho: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Budget that is set aside, and counts as spent from now on.

    Attributes:
        id: of the reservation.
        answer: the answer that was given to the same question before, to
            be given again at no cost; None where it is a new one.
    """

    id: UUID
    answer: str | None


class BudgetLedger(Protocol):
    """Keeps what recipients have spent."""

    def reserve(self, charge: Charge) -> Reservation:
        """Set budget aside, durably, before anything is read.

        Raises:
            BudgetExhausted: there is not enough; nothing was set aside.
        """

    def commit(self, reservation: Reservation, answer: str) -> None:
        """Keep the answer for whoever asks the same again."""


def rho_of(epsilon: Fraction, delta: Fraction) -> int:
    """Return the most rho that stays within an epsilon, in units, down.

    Args:
        epsilon: above 0.
        delta: above 0 and below 1.
    """
    depth = math.log(1 / delta)
    # The root of the formula above, then down to where it holds for sure.
    rho = (math.sqrt(depth + float(epsilon)) - math.sqrt(depth)) ** 2
    units = math.floor(rho * UNIT)
    while units and Fraction(epsilon_of(units, delta)) > epsilon:
        units -= max(1, units // 10**9)
    return max(units, 0)


def epsilon_of(units: int, delta: Fraction) -> float:
    """Return the epsilon of a rho at a delta, rounded up.

    Args:
        units: rho in units.
        delta: above 0 and below 1.
    """
    rho = units / UNIT
    exact = rho + 2 * math.sqrt(rho * math.log(1 / delta))
    return math.nextafter(exact * (1 + 2**-50), math.inf)
