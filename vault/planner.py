"""How wide an index may be, and which columns get none.

The rule is CipherSweet's (paragonie/ciphersweet, "Blind Index Planning"):
with R rows and, for each index on a field, a width of L bits over a domain
of K bits, the expected coincidences are C = R / 2^(sum of min(L, K)). With
2 <= C <= sqrt(R) an index finds few people and still hides which of them
share a value. All indexes of an attribute, one for each declared prefix
length too, draw on the one budget.

Three things are refused with the reason: too few rows, a column of so few
values that the values themselves make groups (birth dates of a country), and
one value so common that its group would stand out whatever the width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import floor, isqrt, log2

from vault.specs import UNIQUE_BITS

LEAST_ROWS = 16


class Refusal(StrEnum):
    """Why there is no index."""

    FEW_ROWS = "few-rows"
    LOW_ENTROPY = "low-entropy"
    SKEWED = "skewed"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What is known of a column.

    Attributes:
        rows: people who hold a value.
        domain_bits: logarithm of how many values there can be.
        prefix_bits: the same of what is indexed, where that is a prefix.
        commonest: how many people share the commonest indexed form.
        unique: whether a value belongs to one person.
        spent: min(L, K) of each other index of the attribute.

    """

    rows: int
    domain_bits: float
    prefix_bits: float | None = None
    commonest: int = 1
    unique: bool = False
    spent: Sequence[float] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the planner says.

    Attributes:
        bits: the width to take; 0 if refused.
        least: the smallest width allowed.
        most: the largest.
        coincidences: people whom a look-up finds on average, at `bits`.
        refusal: why there is no index, or none.
        reason: the same in a sentence.

    """

    bits: int = 0
    least: int = 0
    most: int = 0
    coincidences: float = 0.0
    refusal: Refusal | None = None
    reason: str = ""


def plan(column: Column) -> Plan:
    """Plan one index.

    Returns:
        The widest index that the rule allows, because it finds fewest; or
        a refusal.

    """
    if column.unique:
        return Plan(
            bits=UNIQUE_BITS,
            least=UNIQUE_BITS,
            most=UNIQUE_BITS,
            coincidences=1.0,
        )
    rows = column.rows
    if rows < LEAST_ROWS:
        return _refused(
            Refusal.FEW_ROWS,
            f"{rows} people hold it; below {LEAST_ROWS} no width both finds "
            "and hides",
        )
    shared = rows / 2**column.domain_bits
    if shared > 2:
        return _refused(
            Refusal.LOW_ENTROPY,
            f"2^{column.domain_bits:.1f} values for {rows} people: "
            f"{shared:.0f} share one on average, so equal entries would show "
            "how often each value occurs",
        )
    if column.commonest > isqrt(rows):
        return _refused(
            Refusal.SKEWED,
            f"{column.commonest} of {rows} people share the commonest form; "
            f"a group above {isqrt(rows)} stands out at any width",
        )
    return _within(column)


def _within(column: Column) -> Plan:
    domain = column.domain_bits
    if column.prefix_bits is not None:
        domain = min(domain, column.prefix_bits)
    spent = sum(column.spent)
    # C >= 2 bounds the sum of bits from above, C <= sqrt(R) from below.
    most = log2(column.rows / 2) - spent
    least = log2(column.rows) / 2 - spent
    widest = min(floor(most), floor(domain))
    if widest < 1 or min(most, domain) < least:
        return _refused(
            Refusal.BUDGET,
            f"{max(most, 0):.1f} bits are left of the attribute's "
            f"{log2(column.rows / 2):.1f}, and the form has {domain:.1f}; an "
            f"index needs at least {max(least, 1):.1f}",
        )
    return Plan(
        bits=widest,
        least=max(1, -floor(-least)),
        most=widest,
        coincidences=column.rows / 2 ** (spent + widest),
    )


def _refused(refusal: Refusal, reason: str) -> Plan:
    return Plan(refusal=refusal, reason=reason)
