"""k, l, and the suppression limit."""

import pytest

from anonymize import Criteria, InvalidSpec
from anonymize.criteria import distinct


@pytest.mark.parametrize(
    ("k", "diversity", "limit"),
    [
        (1, 1, 0.0),  # a class of one is a person
        (0, 1, 0.0),
        (5, 0, 0.0),
        (5, 1, -0.1),
        (5, 1, 1.0),
        (5, 1, float("nan")),
    ],
)
def test_criteria_that_protect_nothing_are_refused(
    k: int, diversity: int, limit: float
) -> None:
    """A k of one, an l of none and a limit of everything raise."""
    with pytest.raises(InvalidSpec):
        Criteria(k=k, l=diversity, suppression_limit=limit)


@pytest.mark.parametrize(
    ("limit", "rows", "allowed"),
    [(0.0, 10, 0), (0.05, 100, 5), (0.05, 99, 4), (0.1, 30, 3), (0.3, 10, 3)],
)
def test_the_limit_is_rounded_down(
    limit: float, rows: int, allowed: int
) -> None:
    """The rows that may be left out never exceed the share, 3 of 30 too."""
    criteria = Criteria(k=2, suppression_limit=limit)
    assert allowed == criteria.allowed(rows)


def test_a_missing_sensitive_value_is_no_value() -> None:
    """An empty cell does not make a class diverse."""
    assert 1 == distinct(["flu", "", "flu", ""])
