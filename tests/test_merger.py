"""Repair merges alike, however it looks up what joint labels cost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymize import Intervals, flat
from anonymize.classes import make_classes
from anonymize.criteria import Criteria
from anonymize.cube import Cube, make_cube
from anonymize.merger import Merger, _Kinds, _Ladder, _Register
from anonymize.repair import repair
from anonymize.rules import Rules

ROWS = st.lists(
    st.tuples(
        st.integers(0, 60), st.sampled_from("abcde"), st.sampled_from("+-")
    ),
    min_size=4,
    max_size=60,
)


def cube_of(rows: list[tuple[int, str, str]]) -> Cube:
    """Count rows of a number, a letter and a sign, which is sensitive."""
    return make_cube(
        {
            "x": (
                [str(one) for one, _, _ in rows],
                Intervals(low=0, high=60, widths=(5, 20)),
            ),
            "y": ([two for _, two, _ in rows], flat([*"abcde"], where="y")),
        },
        {"s": [three for _, _, three in rows]},
        len(rows),
    )


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sampled_from([False, True]))
def test_tables_and_rows_of_costs_lead_to_the_same_classes(
    rows: list[tuple[int, str, str]],
    give: bool,  # noqa: FBT001 - drawn
) -> None:
    """And all of them pass, wherever the whole table does."""
    cube = cube_of(rows)
    rules = Rules(cube, Criteria(k=2, l=2))
    classes = make_classes(cube, np.arange(len(cube.weights)))
    found = []
    for listed in (0, 10**6):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("anonymize.merger._LISTED", listed)
            found.append(repair(cube, classes, rules, 0, give=give))

    assert np.array_equal(*(each.member for each in found))
    if len({sign for _, _, sign in rows}) == 2:
        assert rules.passes(found[0].weights, found[0].counts.T).all()


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_joint_labels_cost_what_the_lowest_common_one_does(
    rows: list[tuple[int, str, str]],
) -> None:
    """Every pair of labels, as going up from both finds it."""
    for axis in cube_of(rows).axes:
        ladder = _Ladder(axis)
        costs = ladder.costs(np.arange(ladder.labels))
        width = axis.groups.shape[1]
        for one in range(axis.levels * width):
            for other in range(axis.levels * width):
                level = max(one // width, other // width)
                leaves = one % width, other % width
                while len({*axis.groups[level, [*leaves]].tolist()}) > 1:
                    level += 1
                found = costs[ladder.numbers[one], ladder.numbers[other]]
                wanted = np.float32(axis.costs[level, leaves[0]])
                assert wanted == found


@settings(max_examples=40, deadline=None)
@given(ROWS, st.sampled_from([False, True]))
def test_what_classes_hold_is_known_after_they_have_changed(
    rows: list[tuple[int, str, str]],
    give: bool,  # noqa: FBT001 - drawn
) -> None:
    """Merged, given a tuple or robbed of one."""
    cube = cube_of(rows)
    rules = Rules(cube, Criteria(k=3, l=2))
    classes = make_classes(cube, np.arange(len(cube.weights)))
    merger = Merger(cube, classes, rules, 0, give=give)
    passes = rules.passes(classes.weights, classes.counts.T)
    merger.cure(np.flatnonzero(~passes).tolist())

    live = np.flatnonzero(merger._alive)
    kinds = merger._register.of(live)
    assert np.array_equal(
        merger._counts[:, live], kinds.counts[:, kinds.number]
    )
    assert np.array_equal(merger._weights[live], kinds.weights[kinds.number])
    numbers = merger._numbered(merger._places[:, live])
    assert np.array_equal(numbers, merger._numbers[:, live])


COUNTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=3)


@given(COUNTS, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3))))
def test_classes_that_change_are_of_the_kind_of_their_counts(
    counts: list[tuple[int, int]], changes: list[tuple[int, int]]
) -> None:
    """Whatever they were before; equal ones are of one kind."""
    table = np.array(counts, dtype=np.float64).T
    weights = table.sum(axis=0)
    register = _Register(weights, table)
    for at, change in enumerate(changes):
        some = np.array([at % len(counts), (at + 1) % len(counts)])
        table[:, some] = np.array(change, dtype=np.float64)[:, None]
        weights = table.sum(axis=0)
        register.recount(some, weights[some], table[:, some])

    kinds = register.of(np.arange(len(counts)))
    assert np.array_equal(table, kinds.counts[:, kinds.number])
    assert np.array_equal(weights, kinds.weights[kinds.number])
    again = _Kinds.of(weights, table)
    assert len({*again.number.tolist()}) == len({*kinds.number.tolist()})
