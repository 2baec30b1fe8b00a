"""Hierarchies from tables and from rules."""

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymize import (
    Dates,
    Hierarchy,
    Intervals,
    InvalidHierarchy,
    Prefixes,
    TableHierarchy,
    flat,
    taxonomy,
)
from anonymize.hierarchies import hierarchy_digest

WORK = b"Private;Free;*\nFederal;State;*\nLocal;State;*\n"
ADULT = Path(__file__).parents[2] / "shared" / "corpus" / "adult"
DATES = Dates(first=dt.date(1900, 1, 1), last=dt.date(2029, 12, 31))


def test_a_table_gives_paths_and_penalties() -> None:
    """A label costs its other leaves over all other leaves."""
    table = TableHierarchy.from_csv(WORK, where="work.csv")
    path = table.path("Local")

    assert ("Local", "State", "*") == path
    assert [0.0, 0.5, 1.0] == [table.penalty(path, n) for n in range(3)]
    assert table.path("Unheard of") is None


def test_numbers_cost_their_width_within_the_domain() -> None:
    """Adult's figures: 20-39 costs 19 of 73, 0-19 clipped costs 2 of 73."""
    rows = [
        [str(n), f"{n // 20 * 20}-{n // 20 * 20 + 19}", "*"]
        for n in range(1, 100)
    ]
    table = TableHierarchy.from_rows(rows, where="age", domain=(17, 90))
    path, young = table.path("25"), table.path("18")

    assert path is not None
    assert young is not None
    assert 19 / 73 == table.penalty(path, 1)
    assert 2 / 73 == table.penalty(young, 1)
    assert 0.0 == table.penalty(path, 0)


def test_a_missing_value_stays_itself_until_the_top() -> None:
    """An empty cell is a leaf of its own, in tables and in rules."""
    table = TableHierarchy.from_csv(WORK, where="work.csv")
    expected = ("", "", "*")
    assert expected == table.path("")
    assert expected == Intervals(low=0, high=9, widths=(5,)).path("")
    assert 0.0 == table.penalty(expected, 1)
    assert 1.0 == table.penalty(expected, 2)


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"", None, "no leaf"),
        (b"a;*\nb;x;*\n", 2, "3 cells where the first row has 2"),
        (b"a;x\n", 1, "last cell is not *"),
        (b"*\n", 1, "last cell is not *"),
        (b"a;*;*\n", 1, "below the top"),
        (b"a;*\na;*\n", 2, "stands twice"),
        (b"a;x;y;*\nb;x;z;*\n", 2, "two parents"),
        (b"a;x;*\nx;y;*\n", None, "also stands for other leaves"),
        (b"a;*\n\xff;*\n", 2, "not UTF-8"),
        (b"a;*\nb\x00;*\n", 2, "NUL"),
    ],
)
def test_a_malformed_file_is_one_clear_error(
    data: bytes, line: int | None, words: str
) -> None:
    """The error tells file, line, what is wrong and what to do."""
    with pytest.raises(InvalidHierarchy) as caught:
        TableHierarchy.from_csv(data, where="h.csv")

    assert line == caught.value.line
    assert words in caught.value.what
    assert str(caught.value).startswith("h.csv")
    assert caught.value.remedy in str(caught.value)


def test_leaves_of_numbers_are_numbers() -> None:
    """A numeric hierarchy with a word as leaf is refused."""
    with pytest.raises(InvalidHierarchy, match="whole number"):
        TableHierarchy.from_csv(b"a;*\nb;*\n", where="h.csv", numeric=True)


def test_an_empty_domain_is_refused() -> None:
    """A domain of one number has no width to measure by."""
    with pytest.raises(InvalidHierarchy, match="domain is empty"):
        TableHierarchy.from_csv(b"1;*\n", where="h.csv", domain=(1, 1))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error names the file and not the machine's folders."""
    with pytest.raises(InvalidHierarchy) as caught:
        TableHierarchy.from_file(tmp_path / "gone.csv")
    assert str(caught.value).startswith("gone.csv: cannot be read")


@pytest.mark.parametrize(
    ("hierarchy", "value", "expected"),
    [
        (
            Intervals(low=0, high=99, widths=(5, 10)),
            "34",
            ("34", "30-34", "30-39", "*"),
        ),
        (
            Prefixes(length=6, keep=(4, 2)),
            "201203",
            ("201203", "2012**", "20****", "*"),
        ),
        (
            DATES,
            "1984-05-17",
            ("1984-05-17", "1984-05", "1984", "1980s", "*"),
        ),
        (flat(["f", "m"], where="sex"), "m", ("m", "*")),
    ],
)
def test_rules_give_paths(
    hierarchy: Hierarchy, value: str, expected: tuple[str, ...]
) -> None:
    """Each declared form generalizes as its documentation shows."""
    assert expected == hierarchy.path(value)
    assert hierarchy.levels == len(expected)


@pytest.mark.parametrize(
    ("hierarchy", "value"),
    [
        (Intervals(low=10, high=99, widths=(5,)), "9"),
        (Intervals(low=0, high=99, widths=(5,)), "100"),
        (Intervals(low=0, high=99, widths=(5,)), "07"),
        (Intervals(low=0, high=99, widths=(5,)), "-1"),
        (Intervals(low=0, high=99, widths=(5,)), "٣"),
        (Prefixes(length=6, keep=(4,)), "20120"),
        (Prefixes(length=6, keep=(4,)), "2012**"),
        (DATES, "1984-02-30"),
        (DATES, "1984-5-17"),
        (DATES, "1899-12-31"),
        (DATES, "2030-01-01"),
        (flat(["f", "m"], where="sex"), "x"),
    ],
)
def test_rules_do_not_cover_other_values(
    hierarchy: Hierarchy, value: str
) -> None:
    """What is outside the domain, or written otherwise, has no path."""
    assert hierarchy.path(value) is None


def test_rules_have_penalties() -> None:
    """A rule's penalties follow from its domain."""
    ages = Intervals(low=17, high=90, widths=(20,))
    codes = Prefixes(length=3, keep=(1,))
    days = (DATES.last - DATES.first).days
    path = DATES.path("1984-02-17")

    assert path is not None
    assert 2 / 73 == ages.penalty(("17", "0-19", "*"), 1)
    assert 99 / 999 == codes.penalty(("201", "2**", "*"), 1)
    assert [0.0, 28 / days, 365 / days, 3652 / days, 1.0] == [
        DATES.penalty(path, level) for level in range(5)
    ]


@given(st.integers(0, 120))
def test_labels_of_intervals_nest_and_contain_the_number(age: int) -> None:
    """Each interval holds the number and lies within the next one."""
    path = Intervals(low=0, high=120, widths=(5, 10, 20)).path(str(age))
    assert path is not None
    inner = (age, age)
    for label in path[1:-1]:
        low, high = map(int, label.split("-"))
        assert low <= inner[0] <= inner[1] <= high
        inner = (low, high)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Intervals(low=-1, high=9, widths=(5,)),
        lambda: Intervals(low=9, high=9, widths=(5,)),
        lambda: Intervals(low=0, high=9, widths=(5, 8)),
        lambda: Intervals(low=0, high=9, widths=(1,)),
        lambda: Prefixes(length=6, keep=(2, 4)),
        lambda: Prefixes(length=6, keep=(6,)),
        lambda: Prefixes(length=6, keep=(4,), alphabet=1),
        lambda: Dates(first=dt.date(2000, 1, 1), last=dt.date(2000, 1, 1)),
        lambda: flat([], where="sex"),
        lambda: flat(["m", "m"], where="sex"),
    ],
)
def test_rules_that_do_not_nest_are_refused(make: object) -> None:
    """A rule whose levels do not widen raises when it is made."""
    with pytest.raises(InvalidHierarchy):
        make()  # type: ignore[operator] - a table of constructors


def test_a_digest_is_of_the_content_not_of_its_order() -> None:
    """The rows' order does not matter, a changed label does."""
    one = TableHierarchy.from_csv(WORK, where="a")
    lines = sorted(WORK.splitlines(keepends=True))
    same = TableHierarchy.from_csv(b"".join(lines), where="b")
    other = TableHierarchy.from_csv(WORK.replace(b"Free", b"Other"), where="c")

    assert hierarchy_digest(one) == hierarchy_digest(same)
    assert hierarchy_digest(one) != hierarchy_digest(other)


@pytest.mark.corpus
def test_the_hierarchies_of_adult_are_well_formed() -> None:
    """ARX's example hierarchies load, with the known numbers of leaves."""
    if not ADULT.is_dir():
        pytest.skip("the Adult corpus is not beside the project")
    found = {
        path.stem.removeprefix("adult_hierarchy_"): TableHierarchy.from_file(
            path
        )
        for path in ADULT.glob("adult_hierarchy_*.csv")
    }
    assert {
        "age": (100, 5),
        "sex": (2, 2),
        "race": (5, 2),
        "marital-status": (7, 3),
        "education": (16, 4),
        "native-country": (41, 3),
        "workclass": (8, 3),
        "occupation": (14, 3),
        "salary-class": (2, 2),
    } == {name: (len(h.paths), h.levels) for name, h in found.items()}


def test_a_taxonomy_may_be_of_uneven_depth() -> None:
    """A leaf of a short branch is its own label for longer."""
    tree = {"office": ["clerk"], "works": {"metal": ["smith", "turner"]}}
    found = taxonomy(tree, where="trade")
    assert ("clerk", "clerk", "office", "*") == found.path("clerk")
    assert ("smith", "metal", "works", "*") == found.path("smith")
    assert 3 == found.leaves


@pytest.mark.parametrize(
    "tree",
    [
        {},
        [],
        "smith",
        {"metal": []},
        {"metal": ["smith"], "wood": ["smith"]},
        {"metal": {"metal": ["smith", "turner"]}, "wood": ["metal"]},
        {"metal": [["smith"]]},
        {"*": ["smith"]},
    ],
)
def test_what_is_no_tree_is_refused(tree: object) -> None:
    """Names that stand twice, branches without leaves, leaves of lists."""
    with pytest.raises(InvalidHierarchy):
        taxonomy(tree, where="trade")


def test_a_taxonomy_is_not_endlessly_deep() -> None:
    """One clear error rather than a full stack."""
    tree: object = ["smith"]
    for number in range(5_000):
        tree = {f"n{number}": tree}
    with pytest.raises(InvalidHierarchy, match="deeper"):
        taxonomy(tree, where="trade")
