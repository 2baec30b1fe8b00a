"""The planner gives CipherSweet's widths and refuses what would show."""

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.planner import Column, Refusal, plan


@pytest.mark.parametrize(
    ("rows", "least", "most", "coincidences"),
    [
        (50_000, 8, 14, 3.1),
        (1_300_000, 11, 19, 2.5),
        (10_000_000, 12, 22, 2.4),
        (80_000_000, 14, 25, 2.4),
    ],
)
def test_the_widths_of_a_lone_index(
    rows: int, least: int, most: int, coincidences: float
) -> None:
    """Known answers of the rule, for a wide domain."""
    found = plan(Column(rows=rows, domain_bits=60))

    assert (least, most, most) == (found.least, found.most, found.bits)
    assert coincidences == round(found.coincidences, 1)


@pytest.mark.parametrize(
    ("column", "refusal"),
    [
        (Column(rows=15, domain_bits=60), Refusal.FEW_ROWS),
        (Column(rows=1_300_000, domain_bits=1), Refusal.LOW_ENTROPY),
        (
            Column(rows=1_300_000, domain_bits=log2(36_525)),
            Refusal.LOW_ENTROPY,
        ),
        (
            Column(rows=10_000, domain_bits=40, commonest=101),
            Refusal.SKEWED,
        ),
        (Column(rows=10_000, domain_bits=40, spent=[12.0]), Refusal.BUDGET),
        (
            Column(rows=10_000, domain_bits=40, prefix_bits=3.0),
            Refusal.BUDGET,
        ),
    ],
)
def test_what_gets_no_index(column: Column, refusal: Refusal) -> None:
    """Each refusal has a code and a sentence that gives the numbers."""
    found = plan(column)

    assert (refusal, 0) == (found.refusal, found.bits)
    assert any(letter.isdigit() for letter in found.reason)


def test_an_identifier_has_128_bits() -> None:
    """Unique values show no frequency."""
    found = plan(Column(rows=3, domain_bits=0, unique=True))

    assert (128, None) == (found.bits, found.refusal)


@given(
    st.integers(0, 10**9),
    st.floats(0, 64),
    st.none() | st.floats(0, 64),
    st.integers(1, 10**5),
    st.lists(st.floats(1, 20), max_size=3),
)
def test_no_plan_is_outside_the_rule(
    rows: int,
    domain: float,
    prefix: float | None,
    commonest: int,
    spent: list[float],
) -> None:
    """2 <= C <= sqrt(R), over all indexes of the attribute."""
    found = plan(
        Column(
            rows=rows,
            domain_bits=domain,
            prefix_bits=prefix,
            commonest=commonest,
            spent=spent,
        )
    )
    if found.refusal is not None:
        assert 0 == found.bits
        return
    assert 1 <= found.least <= found.bits == found.most
    assert rows >= 16
    assert commonest**2 <= rows
    assert found.coincidences >= 2 * (1 - 1e-9)
    widest = min(found.bits, domain, 64 if prefix is None else prefix)
    assert rows / 2 ** (widest + sum(spent)) <= (1 + 1e-9) * rows**0.5 * 2
