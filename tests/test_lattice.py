"""Cube, lattice walk, classes and repair, against independent oracles."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymize import (
    Criteria,
    CriteriaNotMet,
    Hierarchy,
    Intervals,
    InvalidSpec,
    TableHierarchy,
    ValueNotCovered,
    flat,
)
from anonymize.classes import make_classes
from anonymize.cube import make_cube
from anonymize.lattice import OPEN, walk
from anonymize.pairing import _Pairs, pair_classes
from anonymize.partition import _with_open, published_labels
from anonymize.repair import repair
from anonymize.rules import Rules
from anonymize.sweep import sweep

AREA = TableHierarchy.from_rows(
    [
        ["a1", "A", "*"],
        ["a2", "A", "*"],
        ["b1", "B", "*"],
        ["b2", "B", "*"],
        ["b3", "B", "*"],
    ],
    where="area",
)
AGE = Intervals(low=0, high=39, widths=(5, 10, 20))
SEX = flat(["f", "m"], where="sex")
HIERARCHIES: dict[str, Hierarchy] = {"area": AREA, "age": AGE, "sex": SEX}

Row = tuple[str, str, str, str]
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a1", "a2", "b1", "b2", "b3", ""]),
        st.integers(0, 39).map(str),
        st.sampled_from(["f", "m"]),
        st.sampled_from(["flu", "cold", "gout", ""]),
    ),
    min_size=1,
    max_size=40,
)


def columns(rows: list[Row]) -> dict[str, list[str]]:
    """Turn rows into columns."""
    area, age, sex, illness = zip(*rows, strict=True)
    return {
        "area": [*area],
        "age": [*age],
        "sex": [*sex],
        "illness": [*illness],
    }


def lowest_common(hierarchy: Hierarchy, values: set[str]) -> str:
    """Find by trial the first label that all values have at one level."""
    paths = [hierarchy.path(value) for value in values]
    for labels in zip(*paths, strict=True):
        if len({*labels}) == 1:
            return labels[0]
    raise AssertionError


@settings(max_examples=100, deadline=None)
@given(ROWS, st.integers(2, 4), st.integers(1, 3), st.sampled_from([0, 0.3]))
def test_what_is_published_holds_by_brute_force(
    rows: list[Row], k: int, diversity: int, limit: float
) -> None:
    """Classes read off the labels hold k and l, and labels are lowest."""
    table = columns(rows)
    criteria = Criteria(k=k, l=diversity, suppression_limit=limit)
    quasi = {name: (table[name], h) for name, h in HIERARCHIES.items()}
    try:
        found = published_labels(
            quasi, {"illness": table["illness"]}, criteria, len(rows)
        )
    except CriteriaNotMet:
        # A single class of everything says nothing, unless the rows agree
        # in something; so only then could there have been an extract.
        everything = [lowest_common(h, {*c}) for c, h in quasi.values()]
        values = {*table["illness"]} - {""}
        assert (
            everything == ["*"] * 3 or len(rows) < k or len(values) < diversity
        )
        return

    classes: dict[tuple[str, ...], list[int]] = {}
    for at, row in enumerate(found.rows):
        label = tuple(found.labels[name][at] for name in HIERARCHIES)
        classes.setdefault(label, []).append(row)
    for label, members in classes.items():
        illnesses = {table["illness"][row] for row in members} - {""}
        lowest = tuple(
            lowest_common(h, {table[name][row] for row in members})
            for name, h in HIERARCHIES.items()
        )
        assert len(members) >= k
        assert diversity == 1 or len(illnesses) >= diversity
        assert lowest == label
        assert ("*", "*", "*") != label
    assert len(rows) - len(found.rows) <= limit * len(rows)
    assert found.rows


@settings(max_examples=50, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    rows: list[Row], random: "object"
) -> None:
    """Shuffled rows are published under the same labels, one by one."""
    table = columns(rows)
    shuffled = [*range(len(rows))]
    random.shuffle(shuffled)  # type: ignore[attr-defined] - a Random

    def labels(order: list[int]) -> dict[int, tuple[str, ...]] | None:
        quasi = {
            name: ([table[name][row] for row in order], h)
            for name, h in HIERARCHIES.items()
        }
        illness = {"illness": [table["illness"][row] for row in order]}
        criteria = Criteria(k=2, l=2, suppression_limit=0.5)
        try:
            found = published_labels(quasi, illness, criteria, len(rows))
        except CriteriaNotMet:
            return None
        return {
            order[row]: tuple(found.labels[name][at] for name in HIERARCHIES)
            for at, row in enumerate(found.rows)
        }

    assert labels([*range(len(rows))]) == labels(shuffled)


@settings(max_examples=100, deadline=None)
@given(ROWS, st.integers(2, 4))
def test_the_walk_is_the_greedy_of_the_reference(
    rows: list[Row], k: int
) -> None:
    """Visiting every node with plain dictionaries closes the same groups."""
    table = columns(rows)
    quasi = {name: (table[name], h) for name, h in HIERARCHIES.items()}
    cube = make_cube(quasi, {}, len(rows))
    member = walk(cube, k)

    paths = [
        [h.path(table[name][row]) for name, h in HIERARCHIES.items()]
        for row in range(len(rows))
    ]
    counted = set(map(str, paths))
    small = [p for p in paths if paths.count(p) < k]
    distinct = [p for n, p in enumerate(small) if p not in small[:n]]
    if not distinct:
        distinct = [p for n, p in enumerate(paths) if p not in paths[:n]]
    kept = [useful_levels(paths, at) for at in range(3)]
    nodes = []
    for node in itertools.product(*(range(len(levels)) for levels in kept)):
        levels = [kept[at][n] for at, n in enumerate(node)]
        cost = sum(
            h.penalty(p[at], levels[at])  # type: ignore[arg-type] - covered
            for p in distinct
            for at, h in enumerate(HIERARCHIES.values())
        )
        cost = round(cost / len(distinct), 9)
        if [h.levels - 1 for h in HIERARCHIES.values()] != levels:
            nodes.append((cost, sum(node), node, levels))
    still = [*range(len(rows))]
    closed: dict[int, tuple[str, ...]] = {}
    for _, _, _, levels in sorted(nodes):
        groups: dict[tuple[str, ...], list[int]] = {}
        for row in still:
            key = tuple(
                paths[row][at][level]  # type: ignore[index] - covered
                for at, level in enumerate(levels)
            )
            groups.setdefault(key, []).append(row)
        for key, members in groups.items():
            if len(members) >= k:
                closed |= dict.fromkeys(members, (*map(str, levels), *key))
        still = [row for row in still if row not in closed]

    ours = [int(member[cube.tuples[row]]) for row in range(len(rows))]
    theirs = [closed.get(row) for row in range(len(rows))]
    assert counted
    assert [each is None for each in theirs] == [n == OPEN for n in ours]
    pairs = {*zip(ours, theirs, strict=True)} - {(OPEN, None)}
    assert len(pairs) == len({one for one, _ in pairs})
    assert len(pairs) == len({other for _, other in pairs})


def useful_levels(
    paths: list[list[tuple[str, ...] | None]], at: int
) -> list[int]:
    """List the levels that group the leaves of an axis anew."""
    kept, last = [], 0
    column = [path[at] for path in paths]
    for level in range(len(column[0] or ())):
        groups = len({path[level] for path in column if path is not None})
        if level == 0 or groups != last:
            kept.append(level)
        last = groups
    return kept


@settings(max_examples=100, deadline=None)
@given(ROWS, st.integers(1, 6))
def test_merging_never_breaks_k_or_l(rows: list[Row], parts: int) -> None:
    """A coarser partition has classes no smaller and no less diverse."""
    table = columns(rows)
    quasi = {name: (table[name], h) for name, h in HIERARCHIES.items()}
    cube = make_cube(quasi, {"illness": table["illness"]}, len(rows))
    tuples = len(cube.weights)
    fine = make_classes(cube, np.arange(tuples))
    member = np.unique(np.arange(tuples) % parts, return_inverse=True)[1]
    coarse = make_classes(cube, member)

    for here, there in zip(fine.member, coarse.member, strict=True):
        assert coarse.weights[there] >= fine.weights[here]
        assert np.all(coarse.counts[there] >= fine.counts[here])
        assert coarse.costs[there] >= fine.costs[here] - 1e-12
    assert len(rows) == coarse.weights.sum() == fine.weights.sum()


def test_two_failing_classes_cure_one_another() -> None:
    """Two homogeneous neighbours become one diverse class."""
    rows = [("a1", "1", "f", "flu")] * 2 + [("a2", "1", "f", "cold")] * 2
    rows += [("b1", "30", "m", "flu"), ("b1", "30", "m", "cold")]
    table = columns(rows)
    found = published_labels(
        {name: (table[name], h) for name, h in HIERARCHIES.items()},
        {"illness": table["illness"]},
        Criteria(k=2, l=2),
        len(rows),
    )
    assert ("A", "A", "A", "A", "b1", "b1") == found.labels["area"]


def test_repair_is_left_alone_where_all_passes() -> None:
    """A partition that meets the criteria comes back as it is."""
    table = columns([("a1", "1", "f", "flu")] * 3)
    quasi = {name: (table[name], h) for name, h in HIERARCHIES.items()}
    cube = make_cube(quasi, {}, 3)
    classes = make_classes(cube, np.array([0]))
    repaired = repair(cube, classes, Rules(cube, Criteria(k=3)), 0)
    assert classes.member.tolist() == repaired.member.tolist()
    assert 0.0 == repaired.costs[0]


def test_a_class_that_would_blank_its_partner_is_suppressed() -> None:
    """One stranger goes, within the limit; without it the release fails."""
    rows = [("a1", "1", "f", "x")] * 5 + [("b1", "39", "m", "x")]
    table = columns(rows)
    quasi = {name: (table[name], h) for name, h in HIERARCHIES.items()}

    found = published_labels(
        quasi, {}, Criteria(k=2, suppression_limit=0.2), 6
    )
    assert (0, 1, 2, 3, 4) == found.rows
    with pytest.raises(CriteriaNotMet) as caught:
        published_labels(quasi, {}, Criteria(k=2), 6)
    assert (2, 5, 1, 0) == (
        caught.value.k_asked,
        caught.value.k_reached,
        caught.value.suppressed,
        caught.value.allowed,
    )


def test_the_top_of_a_level_of_its_own_is_published() -> None:
    """People who share a district keep its label while the rest blurs."""
    rows = [("a1", str(age), "f", "x") for age in (0, 39)]
    table = columns(rows)
    found = published_labels(
        {name: (table[name], h) for name, h in HIERARCHIES.items()},
        {},
        Criteria(k=2),
        2,
    )
    assert ("a1", "a1") == found.labels["area"]
    assert ("*", "*") == found.labels["age"]


def test_a_value_outside_its_hierarchy_is_told_without_it() -> None:
    """The error has column, count and first row, and not the value."""
    with pytest.raises(ValueNotCovered) as caught:
        make_cube({"area": (["a1", "Atlantis", "Atlantis"], AREA)}, {}, 3)

    assert ("area", 2, 2) == (
        caught.value.column,
        caught.value.count,
        caught.value.first_row,
    )
    assert "Atlantis" not in str(caught.value)


def test_wide_keys_are_told_apart_by_several_words() -> None:
    """Domains whose product passes 64 bits still give exact groups."""
    count = 3000
    wide = TableHierarchy.from_rows(
        [[f"v{n}", f"g{n // 2}", "*"] for n in range(count)], where="wide"
    )
    column = [f"v{n}" for n in range(count)]
    quasi = {f"q{n}": (column, wide) for n in range(7)}  # 3000^7 > 2^64
    cube = make_cube(quasi, {}, count)
    member = walk(cube, 2)

    assert count == len(cube.weights)
    assert count // 2 == len({*member.tolist()})
    for n in range(0, count, 2):
        assert member[cube.tuples[n]] == member[cube.tuples[n + 1]]


@pytest.mark.parametrize("give", [False, True])
def test_classes_are_cured_together_as_one_by_one(
    monkeypatch: pytest.MonkeyPatch, *, give: bool
) -> None:
    """Blocks of failing classes all come to pass, at about the same loss."""
    dice = random.Random(7)  # noqa: S311 - made-up rows
    areas = [*AREA.paths]
    rows = [
        (
            dice.choice(areas),
            str(dice.randrange(40)),
            dice.choice("fm"),
            dice.choice(["flu"] * 5 + ["cold"]),
        )
        for _ in range(900)
    ]
    table = columns(rows)
    quasi = {name: (table[name], h) for name, h in HIERARCHIES.items()}
    cube = make_cube(quasi, {"illness": table["illness"]}, len(rows))
    rules = Rules(cube, Criteria(k=2, l=2))
    before = make_classes(cube, _with_open(sweep(cube, 2)))
    failing = ~rules.passes(before.weights, before.counts.T)
    losses = []
    for block in (1, 5, 64):
        monkeypatch.setattr("anonymize.merger._BLOCK", block)
        after = repair(cube, before, rules, 0, give=give)
        assert rules.passes(after.weights, after.counts.T).all()
        assert len(rows) == after.weights.sum()
        losses.append(float(after.weights @ after.costs))

    assert np.count_nonzero(failing) > 64
    assert max(losses) < 1.05 * min(losses)


@pytest.mark.parametrize("k", [2, 5])
def test_what_the_sweep_leaves_out_could_not_be_closed(
    monkeypatch: pytest.MonkeyPatch, k: int
) -> None:
    """Leaving out what too few open rows have changes no class."""
    dice = random.Random(k)  # noqa: S311 - made-up rows
    areas, ages = [*AREA.paths], range(40)
    rows = [
        (dice.choice(areas), str(dice.choice(ages)), dice.choice("fm"), "flu")
        for _ in range(400)
    ]
    table = columns(rows)
    quasi = {name: (table[name], h) for name, h in HIERARCHIES.items()}
    cube = make_cube(quasi, {}, len(rows))
    monkeypatch.setattr("anonymize.sweep._SHRUNK", 0.0)
    kept = sweep(cube, k, pairs=1)
    monkeypatch.setattr("anonymize.sweep._SHRUNK", 1.0)
    pruned = sweep(cube, k, pairs=1)

    assert np.unique(kept).tolist() == np.unique(pruned).tolist()
    assert len({*zip(kept.tolist(), pruned.tolist(), strict=True)}) == len(
        np.unique(kept)
    )
    assert len(np.unique(kept)) > 20


@pytest.mark.parametrize("share", [0.7, 1.0])
def test_a_hasty_sweep_forms_classes_that_are_little_dearer(
    share: float,
) -> None:
    """Passing over labels that few rows have costs little, and never k."""
    dice = random.Random(0)  # noqa: S311 - made-up rows
    areas = [*AREA.paths]
    rows = [
        (
            areas[min(int(dice.expovariate(0.5)), len(areas) - 1)],
            str(min(int(dice.expovariate(0.12)), 39)),
            dice.choice("fffffm"),
            "flu",
        )
        for _ in range(300)
    ]
    table = columns(rows)
    quasi = {name: (table[name], h) for name, h in HIERARCHIES.items()}
    cube = make_cube(quasi, {}, len(rows))
    member, hasty = sweep(cube, 3), sweep(cube, 3, share=share)
    rows_of = np.bincount(hasty[hasty >= 0], cube.weights[hasty >= 0])
    slow, quick = (
        make_classes(cube, _with_open(each)) for each in (member, hasty)
    )

    assert rows_of.min() >= 3
    assert not np.array_equal(member, hasty)
    assert quick.weights @ quick.costs < 1.2 * (slow.weights @ slow.costs)


def test_a_lattice_that_is_too_large_is_refused() -> None:
    """A walk that would take hours is not begun."""
    column = ["0", "1", "5", "12", "25"]
    cube = make_cube({f"q{n}": (column, AGE) for n in range(10)}, {}, 5)
    with pytest.raises(InvalidSpec, match="more than 1000000 nodes"):
        walk(cube, 2)


def test_many_failing_classes_find_partners_nearby() -> None:
    """Pairs pass, no row is lost, and few are left to the other repair."""
    chance = random.Random(3)  # noqa: S311 - made-up rows
    rows = 6_000
    one, two = (
        [str(chance.randrange(40)) for _ in range(rows)] for _ in range(2)
    )
    ills = [chance.choice(["flu"] * 5 + ["gout"]) for _ in range(rows)]
    quasi = {"one": (one, AGE), "two": (two, AGE)}
    cube = make_cube(quasi, {"illness": ills}, rows)
    rules = Rules(cube, Criteria(k=4, l=2))
    before = make_classes(cube, np.arange(len(cube.weights)))
    failing = np.count_nonzero(~rules.passes(before.weights, before.counts.T))
    assert failing > 250

    pairs = _Pairs(cube, before, rules)
    assert pairs.round(pairs.failing())
    member = np.unique(pairs.member(), return_inverse=True)[1]
    after = make_classes(cube, member)
    assert rows == after.weights.sum()
    assert failing > 2 * len(pairs.failing())
    for number in range(len(after.weights)):
        tuples = np.flatnonzero(after.member == number)
        assert after.weights[number] == cube.weights[tuples].sum()
    done = repair(cube, pair_classes(cube, before, rules), rules, 0)
    assert rules.passes(done.weights, done.counts.T).all()
