"""Risk of re-identification from class sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymize import InvalidSpec, measure_risks
from anonymize.risk import histogram

SIZES = st.lists(st.integers(1, 2000), min_size=1, max_size=30)


def test_the_three_attackers_by_hand() -> None:
    """Two classes, of 2 and 8 rows, in a population of 4 and 40."""
    risks = measure_risks([2, 8], population=[4, 40], threshold=0.2)

    assert 0.5 == risks.prosecutor.highest
    assert 0.125 == risks.prosecutor.lowest
    assert 0.2 == risks.prosecutor.average
    assert 0.2 == risks.prosecutor.above
    assert 0.25 == risks.journalist.highest
    assert 0.07 == pytest.approx(risks.journalist.average)
    assert 0.2 == risks.journalist.above
    assert 0.07 == pytest.approx(risks.marketer)
    assert risks.population


@given(SIZES)
def test_without_a_population_all_are_the_prosecutor(
    sizes: list[int],
) -> None:
    """Journalist and marketer are bounded by the prosecutor's figures."""
    risks = measure_risks(sizes)
    assert risks.prosecutor.highest == risks.journalist.highest
    assert risks.prosecutor.average == pytest.approx(risks.journalist.average)
    assert risks.prosecutor.average == pytest.approx(risks.marketer)
    assert not risks.population


@given(SIZES)
def test_the_average_is_the_mean_over_rows(sizes: list[int]) -> None:
    """The prosecutor's average equals the mean of 1/f taken row by row."""
    rows = [1 / size for size in sizes for _ in range(size)]
    expected = sum(rows) / len(rows)
    assert expected == pytest.approx(measure_risks(sizes).prosecutor.average)


@pytest.mark.parametrize(
    ("sizes", "population"),
    [([], None), ([3], [2]), ([3], [3, 3]), ([0], None)],
)
def test_sizes_that_cannot_be_are_refused(
    sizes: list[int], population: list[int] | None
) -> None:
    """No class, an empty class, or fewer people than rows raise."""
    with pytest.raises(InvalidSpec):
        measure_risks(sizes, population=population)


@given(SIZES)
def test_the_histogram_counts_every_class_and_row(sizes: list[int]) -> None:
    """Classes and rows of the ranges sum to those of the extract."""
    ranges = histogram(sizes)
    assert len(sizes) == sum(classes for _, classes, _ in ranges)
    assert sum(sizes) == sum(rows for _, _, rows in ranges)


def test_the_histogram_names_its_ranges() -> None:
    """Small sizes stand alone, large ones in ranges, in rising order."""
    expected = [("2", 1, 2), ("5-9", 2, 12), ("1000+", 1, 1000)]
    assert expected == histogram([1000, 5, 7, 2])
