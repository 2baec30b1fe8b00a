"""The attacks that are run on every release, and what they would find."""

import json
import random
from collections.abc import Mapping, Sequence

import pytest

from anonymize import ExtractSpec, Intervals, Role, build_extract
from anonymize.partition import Published, published_labels
from anonymize.trials import (
    NO_QUASI,
    TARGETS,
    Trials,
    count_rows,
    draw,
    try_release,
)

K = 5
DIGEST = "ab" * 32
PEOPLE = 3_000

Columns = Mapping[str, Sequence[str]]


def spec(**changes: object) -> ExtractSpec:
    """The terms of a small release."""
    fields: dict[str, object] = {
        "columns": {
            "age": Role.QUASI,
            "place": Role.QUASI,
            "illness": Role.SENSITIVE,
        },
        "hierarchies": {
            "age": Intervals(low=0, high=99, widths=(5, 10, 20, 40)),
            "place": Intervals(low=0, high=999, widths=(10, 100, 500)),
        },
        "k": K,
        "l": 2,
        "suppression_limit": 0.3,
        "recipient": "reader",
    }
    return ExtractSpec(**{**fields, **changes})  # type: ignore[arg-type]  # as given


@pytest.fixture(scope="module")
def people() -> dict[str, list[str]]:
    """People who are not; whoever lives in one place has one illness."""
    dice = random.Random(4)  # noqa: S311 - test data
    places = [dice.randrange(1000) for _ in range(PEOPLE)]
    return {
        "age": [str(dice.randrange(100)) for _ in range(PEOPLE)],
        "place": [str(place) for place in places],
        "illness": ["abcdefgh"[place * 7 % 8] for place in places],
    }


def attack(
    people: Columns, found: Published, terms: ExtractSpec | None = None
) -> Trials:
    """Attack a release."""
    table = {name: [*column] for name, column in people.items()}
    terms = terms or spec()
    return try_release(terms, count_rows(terms, table, found), DIGEST)


def guarded(people: Columns) -> Published:
    """Release them as the engine does."""
    terms = spec()
    return published_labels(
        {
            name: (people[name], each)
            for name, each in terms.hierarchies.items()
        },
        {"illness": people["illness"]},
        terms.criteria,
        PEOPLE,
    )


def bare(people: Columns) -> Published:
    """Release them as they are."""
    return Published(
        rows=tuple(range(PEOPLE)),
        labels={name: tuple(people[name]) for name in ("age", "place")},
    )


def test_a_release_withstands_what_reads_raw_rows(people: Columns) -> None:
    """With the engine's classes all attacks pass; on raw rows none does."""
    held = attack(people, guarded(people))
    raw = attack(people, bare(people))

    assert held.passed
    assert not raw.passed
    assert 0 == held.alone < 100 < raw.alone
    assert held.linkage.share <= 1 / K < 0.9 < raw.linkage.share
    one = raw.guesses[0]
    assert one.control is not None
    assert one.members.beyond(one.control)
    assert one.members.share > 0.9 > one.naive.share


def test_labels_that_only_members_match_are_found_out(
    people: Columns,
) -> None:
    """Sets of values that occur tell who is there; hierarchies do not."""
    columns = {name: [*column[:400]] for name, column in people.items()}
    held = build_extract(spec(), columns).report.trials
    told = build_extract(spec(sets=True, k=2, l=1), columns).report.trials

    assert held is not None
    assert told is not None
    assert held.control is not None
    assert told.control is not None
    assert not held.members.beyond(held.control)
    assert held.passed
    assert told.members.beyond(told.control)
    assert not told.passed


def test_the_same_bytes_are_attacked_alike(people: Columns) -> None:
    """Draws follow from the hash of what is published and nothing else."""
    assert attack(people, guarded(people)) == attack(people, guarded(people))
    drawn = draw(b"seed", 50, 20)
    assert drawn == draw(b"seed", 50, 20) != draw(b"other", 50, 20)
    assert 20 == len({*drawn}) <= 50 > max(drawn)
    assert sorted(draw(b"seed", 7, 20)) == [*range(7)]


def test_no_more_are_attacked_than_is_said(people: Columns) -> None:
    """The number of attempts is bounded, of members and of the control."""
    tried = attack(people, guarded(people))

    assert tried.linkage.attempts <= TARGETS
    assert tried.control is not None
    assert tried.control.attempts <= min(TARGETS, PEOPLE // 10)


def test_too_few_rows_have_no_control() -> None:
    """Nine rows: members are attacked, and the report says the rest."""
    rows = {"age": ["3"] * 9, "place": ["4"] * 9, "illness": [*"abcabcabc"]}
    report = build_extract(spec(), rows).report

    assert report.trials is not None
    assert report.trials.control is None
    assert report.trials.passed
    assert "too few rows" in report.to_markdown()


@pytest.mark.parametrize("most", [50_000, 500])
def test_the_order_of_the_rows_changes_no_attack(
    people: Columns, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items are in an order of their own, in a release and in its control."""
    monkeypatch.setattr("anonymize.trials._MOST", most)
    order = [*range(PEOPLE)]
    random.Random(9).shuffle(order)  # noqa: S311 - test data
    mixed = {name: [cells[n] for n in order] for name, cells in people.items()}
    assert attack(people, guarded(people)) == attack(mixed, guarded(mixed))


def test_other_columns_are_in_predicates_where_rows_are_given() -> None:
    """A column that differs in every row singles everybody out, as stated."""
    columns = {**spec().columns, "note": Role.OTHER}
    rows = {
        "age": ["3"] * 20,
        "place": ["4"] * 20,
        "illness": [*"ab"] * 10,
        "note": [f"n{at}" for at in range(20)],
    }
    terms = spec(columns=columns)
    report = build_extract(terms, rows).report
    assert report.trials is not None
    # By itself, and beside each of the three others.
    assert 4 * 20 == report.trials.alone_over_all
    assert () == report.trials.aside

    labels = {"age": ("3",) * 20, "place": ("4",) * 20}
    found = Published(rows=tuple(range(20)), labels=labels)
    tried = try_release(terms, count_rows(terms, rows, found), DIGEST)
    assert 0 == tried.alone_over_all
    assert ("note",) == tried.aside


def test_without_quasi_identifiers_there_is_nothing_to_attack_by() -> None:
    """No attack is made up, and the report says why there is none."""
    terms = spec(columns={"illness": Role.SENSITIVE}, hierarchies={}, k=2, l=1)
    report = build_extract(terms, {"illness": [*"aabb"]}).report
    assert report.trials is None
    assert {"untried": NO_QUASI} == json.loads(report.to_json())["attacks"]
    assert f"None were run: {NO_QUASI}." in report.to_markdown()
