"""Successive releases: what two of them tell together (differencing).

The attacker has two published tables and knows who left in between. The
release of today is made with the guard and, to show that the attack would
work, without it.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymize import (
    Criteria,
    ExtractSpec,
    Hierarchy,
    Intervals,
    Past,
    Role,
    SuccessionRefused,
    build_extract,
)
from anonymize.crossing import Pair, crossing_effect
from anonymize.csvfile import read_csv
from anonymize.partition import Plan, Published, published_labels
from anonymize.succession import ABSENT, succeeding_labels
from tests.bench.adults import ADULT, QUASI, SENSITIVE, hierarchies

K = 5
SEED = 11
WITHDRAWALS = 300
UNGUARDED = 20

Columns = Mapping[str, Sequence[str]]


def spec(**changes: object) -> ExtractSpec:
    """The terms of a small release."""
    fields: dict[str, object] = {
        "columns": {"age": Role.QUASI, "illness": Role.SENSITIVE},
        "hierarchies": {
            "age": Intervals(low=0, high=99, widths=(5, 10, 20, 40))
        },
        "k": K,
        "l": 2,
        "suppression_limit": 0.3,
        "recipient": "reader",
    }
    return ExtractSpec(**{**fields, **changes})  # type: ignore[arg-type]  # as given


def made_up(count: int, seed: int) -> dict[str, list[str]]:
    """Make rows of people who are not."""
    dice = random.Random(seed)  # noqa: S311 - test data
    return {
        "age": [str(dice.randrange(100)) for _ in range(count)],
        "illness": [dice.choice("abcd") for _ in range(count)],
    }


def test_the_same_people_are_published_alike() -> None:
    """Nobody came or went: the next release has the same rows."""
    rows = made_up(300, 1)
    first = build_extract(spec(), rows)
    again = build_extract(spec(), rows, past=past_of([first.classes], 300))

    assert first.rows == again.rows


def past_of(releases: Sequence[Mapping[int, int]], people: int) -> Past:
    """Tell what releases had of people who are all still there."""
    return past_for(releases, range(people))


def past_for(
    releases: Sequence[Mapping[int, int]],
    present: Sequence[int],
    illnesses: Sequence[str] | None = None,
) -> Past:
    """Tell what releases had of people who are present."""
    return Past(
        classes=tuple(
            [one.get(person, ABSENT) for person in present] for one in releases
        ),
        sizes=tuple(Counter(one.values()) for one in releases),
        values=(
            ()
            if illnesses is None
            else tuple(values_of(one, illnesses) for one in releases)
        ),
    )


def values_of(
    release: Mapping[int, int], illnesses: Sequence[str]
) -> dict[int, dict[str, Counter[str]]]:
    """Count the illnesses of each class of a release."""
    found: dict[int, dict[str, Counter[str]]] = {}
    for person, number in release.items():
        counted = found.setdefault(number, {"illness": Counter()})
        counted["illness"][illnesses[person]] += 1
    return found


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_small_sets_over_many_releases(data: st.DataObject) -> None:
    """People come and go over four releases; no two make a small set."""
    everybody = made_up(260, data.draw(st.integers(0, 999)))
    dice = random.Random(data.draw(st.integers(0, 999)))  # noqa: S311 - test
    present = [*range(200)]
    released: list[dict[int, int]] = []
    for turn in range(4):
        rows = {
            name: [column[person] for person in present]
            for name, column in everybody.items()
        }
        past = past_for(released, present, everybody["illness"])
        try:
            found = build_extract(
                spec(suppression_limit=0.9), rows, past=past
            ).classes
        except SuccessionRefused:
            continue
        finally:
            leave = {*dice.sample(present, dice.randrange(9))}
            come = range(200 + turn * 15, 200 + turn * 15 + 15)
            before = present
            present = [p for p in [*present, *come] if p not in leave]
        now = {before[row]: number for row, number in found.items()}
        for old in released:
            people = sorted({*old, *now})
            effect = crossing_effect(
                Pair(
                    sizes=Counter(old.values()),
                    before=[old.get(person) for person in people],
                    now=[now.get(person) for person in people],
                    had=values_of(old, everybody["illness"]),
                    has={"illness": [everybody["illness"][p] for p in people]},
                ),
                K,
                2,
            )
            assert (0, 0) == (effect.small, effect.uniform)
        released.append(now)


def blocks(*sizes: int) -> dict[str, list[str]]:
    """People in blocks of one age each, with two illnesses in turn."""
    return {
        "age": [
            str(5 * block)
            for block, size in enumerate(sizes)
            for _ in range(size)
        ],
        "illness": ["ab"[at % 2] for size in sizes for at in range(size)],
    }


def released_again(
    rows: Mapping[str, Sequence[str]], gone: set[int], limit: float
) -> tuple[Mapping[int, int], Mapping[int, int]]:
    """Release people, and again without some of them; by their numbers."""
    terms = spec(suppression_limit=limit)
    first = build_extract(terms, rows).classes
    left = [at for at in range(len(rows["age"])) if at not in gone]
    again = build_extract(
        terms,
        {name: [cells[at] for at in left] for name, cells in rows.items()},
        past=past_for([first], left, rows["illness"]),
    )
    return first, {left[row]: n for row, n in again.classes.items()}


def test_classes_that_lost_too_few_are_published_as_one() -> None:
    """Three left one class and two another: coarsened, nobody is withheld."""
    rows = blocks(12, 12, 12, 12)
    first, second = released_again(rows, {0, 1, 2, 12, 13}, 0.0)

    assert 4 == len({*first.values()})
    assert 48 - 5 == len(second)
    assert 3 == len({*second.values()})
    assert second[3] == second[14] != second[24]


def test_one_who_leaves_alone_takes_the_class_along() -> None:
    """There is nobody to be missing with: the class is withheld."""
    rows = blocks(12, 12, 12, 12)
    _, second = released_again(rows, {0}, 0.3)

    assert {*range(12, 48)} == {*second}
    with pytest.raises(SuccessionRefused):
        released_again(rows, {0}, 0.0)


def test_who_leaves_together_can_have_had_more_than_one_value() -> None:
    """Six leave who all had one illness: it is not told by their absence.

    By number they would be enough; so the class goes whole, or is joined
    with one from which people left who had another illness.
    """
    rows = blocks(24, 24, 24, 24)
    alike = {*range(0, 12, 2)}
    _, second = released_again(rows, alike, 0.3)
    assert {*range(24, 96)} == {*second}

    both = alike | {*range(25, 37, 2)}
    _, joined = released_again(rows, both, 0.0)
    # Those of the first class are known to have had what it lost: joined
    # with the second, only values of both classes are in question.
    assert 96 - 12 == len(joined)
    assert joined[1] == joined[24]


def test_sets_of_one_value_are_found_by_counting() -> None:
    """The check sees what is left over, whoever made the release."""
    before = [0] * 12 + [1] * 12
    illness = [*"aaaaaabbbbbb", *"ababababcccc"]
    now: list[int | None] = [None] * 6 + [0] * 6 + [1] * 12
    pair = Pair(
        sizes={0: 12, 1: 12},
        before=before,
        now=now,
        had=values_of(dict(enumerate(before)), illness),
        has={"illness": illness},
    )
    effect = crossing_effect(pair, K, 2)

    assert 0 == effect.small
    # The six who are missing, and the six who are left.
    assert 2 == effect.uniform
    assert 0 == crossing_effect(pair, K).uniform


def test_too_few_newcomers_wait() -> None:
    """Fewer than k new people are in no class, neither alone nor among."""
    rows = made_up(300, 2)
    first = build_extract(spec(), rows)
    more = {name: [*column, *column[:4]] for name, column in rows.items()}
    second = build_extract(spec(), more, past=past_of([first.classes], 304))

    assert {*second.classes} <= {*first.classes}


def test_a_release_that_would_withhold_too_much_is_refused() -> None:
    """With no suppression allowed one withdrawal refuses the release."""
    rows = made_up(300, 3)
    first = build_extract(spec(suppression_limit=0.0), rows)
    left = {name: column[1:] for name, column in rows.items()}
    past = Past(
        classes=([first.classes.get(row, ABSENT) for row in range(1, 300)],),
        sizes=(Counter(first.classes.values()),),
    )

    with pytest.raises(SuccessionRefused) as caught:
        build_extract(spec(suppression_limit=0.0), left, past=past)

    assert caught.value.withheld >= K - 1
    assert 0 == caught.value.allowed


@cache
def adult() -> dict[str, list[str]]:
    """Read Adult."""
    return read_csv(
        (ADULT / "adult.csv").read_bytes(), where="adult.csv", delimiter=";"
    )


@cache
def trees() -> dict[str, Hierarchy]:
    """Read ARX's hierarchies once."""
    return hierarchies()


def release(table: Columns, past: Past | None = None) -> Published:
    """Release Adult at k = 5, guarded where the past is given."""
    count = len(table[SENSITIVE])
    quasi = {name: (table[name], trees()[name]) for name in QUASI}
    criteria = Criteria(k=K, suppression_limit=0.05)
    if past is None:
        return published_labels(quasi, {}, criteria, count, Plan(fast=True))
    return succeeding_labels(quasi, {}, criteria, past)


def table_of(found: Published, table: Columns) -> Counter[tuple[str, ...]]:
    """Return the published table, as a reader has it."""
    labels = zip(*(found.labels[name] for name in QUASI), strict=True)
    return Counter(
        (*label, table[SENSITIVE][row])
        for label, row in zip(labels, found.rows, strict=True)
    )


def penalty(found: Published, count: int) -> float:
    """NCP; a withheld row counts 1."""
    lost = float((count - len(found.rows)) * len(QUASI))
    for name in QUASI:
        paths = {
            label: trees()[name].penalty(path, level)
            for value in {*adult()[name]}
            if (path := trees()[name].path(value)) is not None
            for level, label in enumerate(path)
        }
        lost += sum(paths[label] for label in found.labels[name])
    return lost / (count * len(QUASI))


@pytest.mark.corpus
@pytest.mark.long
@pytest.mark.slow
def test_withdrawals_cannot_be_read_off_two_releases(
    record_property: Callable[[str, object], None],
) -> None:
    """Of 300 people who leave none is read off; unguarded many are."""
    table = adult()
    count = len(table[SENSITIVE])
    first = release(table)
    before = table_of(first, table)
    labels = [*zip(*first.labels.values(), strict=True)]
    numbers = {label: at for at, label in enumerate(sorted({*labels}))}
    classes = {
        row: numbers[label]
        for row, label in zip(first.rows, labels, strict=True)
    }
    sizes = Counter(classes.values())
    leavers = random.Random(SEED).sample(first.rows, WITHDRAWALS)  # noqa: S311 - a draw, not a secret
    readable = refused = 0
    worst = 0.0
    for leaver in leavers:
        rest = {
            name: [*column[:leaver], *column[leaver + 1 :]]
            for name, column in table.items()
        }
        past = Past(
            classes=(
                [classes.get(r, ABSENT) for r in range(count) if r != leaver],
            ),
            sizes=(sizes,),
        )
        try:
            second = release(rest, past)
        except SuccessionRefused:
            refused += 1
            continue
        missing = before - table_of(second, rest)
        readable += 0 < missing.total() < K
        worst = max(worst, (count - 1 - len(second.rows)) / count)
    cost = penalty(second, count - 1) - penalty(first, count)
    unguarded = 0
    for leaver in leavers[:UNGUARDED]:
        rest = {
            name: [*column[:leaver], *column[leaver + 1 :]]
            for name, column in table.items()
        }
        unguarded += 1 == (before - table_of(release(rest), rest)).total()
    record_property("refused", refused)
    record_property("cost in NCP", cost)
    record_property("unguarded", unguarded)
    record_property("withheld at most", worst)

    assert 0 == readable
    assert refused <= 0.05 * WITHDRAWALS
    assert cost < 0.01
    assert unguarded > UNGUARDED / 4
