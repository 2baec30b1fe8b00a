"""Mondrian's parts hold what is asked, however their rows are counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymize import Intervals, flat
from anonymize.criteria import Criteria
from anonymize.cube import make_cube
from anonymize.mondrian import mondrian
from anonymize.rules import Rules

ROWS = st.lists(
    st.tuples(
        st.integers(0, 60), st.sampled_from("abcde"), st.sampled_from("+-")
    ),
    min_size=1,
    max_size=80,
)


@settings(max_examples=80, deadline=None)
@given(ROWS, st.integers(2, 4), st.integers(1, 2), st.sampled_from([0, 20]))
def test_parts_hold_all_rules_and_are_counted_in_two_ways(
    rows: list[tuple[int, str, str]], k: int, diversity: int, leaf: int
) -> None:
    """A table of values and a sorted list of them give the same parts."""
    cube = make_cube(
        {
            "x": (
                [str(one) for one, _, _ in rows],
                Intervals(low=0, high=60, widths=(10,)),
            ),
            "y": ([two for _, two, _ in rows], flat([*"abcde"], where="y")),
        },
        {"s": [three for _, _, three in rows]},
        len(rows),
    )
    rules = Rules(cube, Criteria(k=k, l=diversity))
    parts = []
    for room in (0, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("anonymize.mondrian._ROOM", room)
            parts.append(mondrian(cube, rules, leaf=leaf))

    assert np.array_equal(*parts)
    weights = np.bincount(parts[0], cube.weights)
    counts = np.stack([np.bincount(parts[0], row) for row in cube.counts.T])
    assert len(weights) == 1 or rules.passes(weights, counts).all()
