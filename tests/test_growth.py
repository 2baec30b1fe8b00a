"""Clusters that grow many at a time hold k rows, each in its part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymize import Hierarchy, Intervals, flat
from anonymize.cube import Cube, Whole, make_cube
from anonymize.growth import _rareness, grow

ROWS = st.lists(
    st.tuples(st.integers(0, 64), st.sampled_from("abcde")),
    min_size=12,
    max_size=120,
)
K = st.integers(2, 6)


def cube_of(rows: list[tuple[int, str]], k: int = 1_000) -> Cube:
    """Count rows of a number and a letter, each fewer than k times.

    What a value adds to a cost is a power of two, so that sums are exact.
    """
    few = [row for at, row in enumerate(rows) if rows[:at].count(row) < k - 1]
    forms: dict[str, Hierarchy] = {
        "x": Intervals(low=0, high=64, widths=(8,)),
        "y": flat([*"abcde"], where="y"),
    }
    columns = {
        "x": [str(one) for one, _ in few],
        "y": [other for _, other in few],
    }
    return make_cube(
        {name: (columns[name], form) for name, form in forms.items()},
        {},
        len(few),
    )


def values_of(cube: Cube) -> list[tuple[int, str]]:
    """Return number and letter of each tuple."""
    x, y = (axis.labels[0] for axis in cube.axes)
    return [(int(x[one]), y[other]) for one, other in cube.leaves.tolist()]


@settings(max_examples=80, deadline=None)
@given(ROWS, K, st.sampled_from([1, 3, 12]))
def test_every_cluster_holds_k_rows_of_one_part(
    rows: list[tuple[int, str]], k: int, seeds: int
) -> None:
    """And no part has k rows left."""
    cube = cube_of(rows, k)
    part = cube.leaves[:, 1] % 2
    part = np.unique(part, return_inverse=True)[1]

    member = grow(cube, part, k, seeds=seeds)

    grown = member >= 0
    sizes = np.bincount(member[grown], cube.weights[grown])
    assert (sizes >= k).all()
    homes = {
        (int(one), int(other))
        for one, other in zip(member[grown], part[grown], strict=True)
    }
    assert len(sizes) == len(homes)
    left = np.bincount(part[~grown], cube.weights[~grown])
    assert (left < k).all()


def by_hand(cube: Cube, k: int) -> list[set[int]]:
    """Grow clusters one after the other, around the rarest tuples."""
    values, weights = values_of(cube), cube.weights.tolist()
    rare = _rareness(cube, np.zeros(len(weights), dtype=np.int64))
    open_ = sorted(range(len(weights)), key=lambda at: (-rare[at], at))
    clusters = []
    while sum(weights[at] for at in open_) >= k:
        cluster = [open_.pop(0)]
        near = sorted(open_, key=lambda at: cost(values, [*cluster, at]))
        near = near[: 8 * k]
        while sum(weights[at] for at in cluster) < k:
            held = sum(weights[at] for at in cluster)
            before = cost(values, cluster)
            scores = []
            for at in near:
                add = cost(values, [*cluster, at]) - before
                rise = np.float32((held + weights[at]) * add)
                rise += np.float32(weights[at] * before)
                scores.append(rise / np.float32(min(weights[at], k - held)))
            taken = near.pop(int(np.argmin(scores)))
            cluster.append(taken)
            open_.remove(taken)
        clusters.append({*cluster})
    return clusters


def cost(values: list[tuple[int, str]], cluster: list[int]) -> float:
    """Return what the set labels of a cluster cost."""
    numbers = [values[at][0] for at in cluster]
    letters = {values[at][1] for at in cluster}
    return (max(numbers) - min(numbers)) / 64 + (len(letters) - 1) / 4


@settings(max_examples=60, deadline=None)
@given(ROWS, K)
def test_one_at_a_time_takes_what_costs_least(
    rows: list[tuple[int, str]], k: int
) -> None:
    """As looking at every tuple one after the other finds it."""
    cube = cube_of(rows, k)
    part = np.zeros(len(cube.weights), dtype=np.int64)

    member = grow(cube, part, k, seeds=1)

    found = [{*np.flatnonzero(member == at)} for at in range(member.max() + 1)]
    assert by_hand(cube, k) == found


@settings(max_examples=40, deadline=None)
@given(ROWS, K)
def test_seeds_look_around_some_at_a_time(
    rows: list[tuple[int, str]], k: int
) -> None:
    """How many look at once, for want of memory, decides nothing."""
    cube = cube_of(rows, k)
    part = np.unique(cube.leaves[:, 1], return_inverse=True)[1]
    at_once = grow(cube, part, k, seeds=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("anonymize.growth._CELLS", 1)
        one_by_one = grow(cube, part, k, seeds=5)

    assert np.array_equal(at_once, one_by_one)


@pytest.mark.parametrize(
    ("wanted", "winner"), [(31, 0), (33, 64)], ids=["first", "second"]
)
def test_of_two_that_want_one_the_cheaper_has_it(
    monkeypatch: pytest.MonkeyPatch, wanted: int, winner: int
) -> None:
    """The other takes what is next."""
    monkeypatch.setattr("anonymize.growth._APART", 1)
    cube = cube_of([(0, "a"), (wanted, "a"), (64, "a"), (32, "b")])
    values = values_of(cube)

    member: Whole = grow(cube, np.zeros(4, dtype=np.int64), 2, seeds=2)

    of = {value[0]: int(member[at]) for at, value in enumerate(values)}
    assert of[winner] == of[wanted]
    assert of[64 - winner] == of[32] != of[wanted]


def test_those_that_fail_together_are_grown_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two that list the same four, and want three each, take two each."""
    monkeypatch.setattr("anonymize.growth._APART", 1)
    monkeypatch.setattr("anonymize.growth._LISTED", 1)
    rows = [(at, "a") for at in (0, 30, 31, 33, 34, 64)]
    cube = cube_of([*rows, (32, "b"), (32, "c")])
    values = values_of(cube)

    member = grow(cube, np.zeros(8, dtype=np.int64), 4, seeds=2)

    first = {values[at][0] for at in np.flatnonzero(member == 0)}
    assert {0, 30, 31, 33} == first
    assert [4, 4] == np.bincount(member).tolist()
