"""k-member clusters hold k rows, and nothing is left over."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymize import Hierarchy, Intervals, flat
from anonymize.criteria import Criteria
from anonymize.cube import Cube, make_cube
from anonymize.members import _neighbours, _placed, members
from anonymize.rules import Rules
from anonymize.sets import set_costs

ROWS = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from("abcde")),
    min_size=12,
    max_size=120,
)


def cube_of(rows: list[tuple[int, str]]) -> Cube:
    """Count rows of a number and a letter."""
    forms: dict[str, Hierarchy] = {
        "x": Intervals(low=0, high=60, widths=(10,)),
        "y": flat([*"abcde"], where="y"),
    }
    columns = {
        "x": [str(one) for one, _ in rows],
        "y": [other for _, other in rows],
    }
    return make_cube(
        {name: (columns[name], form) for name, form in forms.items()},
        {},
        len(rows),
    )


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(2, 6))
def test_every_cluster_holds_k_rows(
    rows: list[tuple[int, str]], k: int
) -> None:
    """Every tuple has a cluster, and each has k rows or more."""
    cube = cube_of(rows)
    member = members(cube, Rules(cube, Criteria(k=k)))

    sizes = np.bincount(member[member >= 0], cube.weights[member >= 0])
    assert (sizes >= k).all()
    left = cube.weights[member < 0].sum()
    assert left < k


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_what_is_left_over_goes_where_it_costs_least(
    rows: list[tuple[int, str]],
) -> None:
    """As trying every cluster of the part one after the other finds it."""
    cube = cube_of(rows)
    count = len(cube.weights)
    if count < 7:
        return
    part = np.arange(count) % 2
    member = np.where(np.arange(count) < 6, np.arange(count), -1)
    lost = count - 1
    inner = np.flatnonzero((member >= 0) | (np.arange(count) == lost))

    tried = []
    for cluster in range(6):
        if part[cluster] != part[lost]:
            continue
        joined = member.copy()
        joined[lost] = cluster
        kept = joined[inner]
        cost = set_costs(
            type(cube)(
                axes=cube.axes,
                leaves=cube.leaves[inner],
                weights=cube.weights[inner],
                tuples=np.arange(len(inner)),
                counts=cube.counts[inner],
                spans=(),
                values={},
            ),
            kept,
        )
        weight = np.bincount(kept, cube.weights[inner])
        tried.append((round(float(cost @ weight), 9), cluster))
    placed = _placed(cube, part, member)

    best = min(tried)[0]
    assert best == {at: cost for cost, at in tried}[int(placed[lost])]


def test_neighbours_on_a_scale_are_clusters() -> None:
    """The narrowest first; none with other letters, or without a number."""
    numbers = ["20", "30", "31", "32", "38", "40", "", "3", "55", "1", "2"]
    letters = "aaaaaabbbcd"
    cube = make_cube(
        {
            "x": (numbers, Intervals(low=0, high=60, widths=(10,))),
            "y": ([*letters], flat([*"abcd"], where="y")),
        },
        {},
        len(numbers),
    )
    member = np.full(len(cube.weights), -1, dtype=np.int64)
    places = cube.axes[0].places
    assert places is not None
    _neighbours(cube, 0, places, member, 2)

    found: dict[int, list[str]] = {}
    for row, cluster in enumerate(member[cube.tuples].tolist()):
        found.setdefault(cluster, []).append(numbers[row])
    assert ["20", "32", "", "3", "55", "1", "2"] == found.pop(-1)
    assert [["30", "31"], ["38", "40"]] == sorted(found.values())
