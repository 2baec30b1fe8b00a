"""Models of the people that a label matches."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymize import (
    CriteriaNotMet,
    ExtractSpec,
    Intervals,
    InvalidSpec,
    Population,
    PopulationMap,
    Presence,
    Role,
    TableHierarchy,
    Terms,
    build_extract,
    check_bytes,
    read_spec,
)

AGE = Intervals(low=0, high=99, widths=(5, 20))
AREA = TableHierarchy.from_rows(
    [["a1", "A", "*"], ["a2", "A", "*"], ["b1", "B", "*"]], where="area"
)
PEOPLE = st.lists(
    st.tuples(
        st.sampled_from(["", "3", "7", "31", "33", "64"]),
        st.sampled_from(["a1", "a2", "b1"]),
        st.booleans(),
    ),
    min_size=4,
    max_size=40,
)


def covers(label: str, value: str) -> bool:
    """Tell by hand whether a label stands for a value."""
    if label in {"*", value}:
        return True
    if label in {"A", "B"}:
        return value.startswith(label.lower())
    if label.startswith("{"):
        return value in label[1:-1].split("|")
    if "-" in label and value.isdigit():
        low, high = map(int, label.split("-"))
        return low <= int(value) <= high
    return False


@settings(max_examples=80, deadline=None)
@given(
    people=PEOPLE,
    sets=st.booleans(),
    asked=st.sampled_from(
        [PopulationMap(k=6), PopulationMap(k=20), Presence(high=0.5)]
    ),
)
def test_labels_match_as_many_people_as_asked(
    people: list[tuple[str, str, bool]],
    sets: bool,  # noqa: FBT001 - drawn
    asked: PopulationMap | Presence,
) -> None:
    """Counted by hand over the population, or no rows."""
    inside = [(age, area) for age, area, among in people if among]
    spec = ExtractSpec(
        columns={"age": Role.QUASI, "area": Role.QUASI},
        hierarchies={"age": AGE, "area": AREA},
        k=2,
        suppression_limit=0.2,
        of_people=(asked,),
        population=Population.of_table(
            {"age": [p[0] for p in people], "area": [p[1] for p in people]},
            ("age", "area"),
        ),
        sets=sets,
        recipient="office",
    )
    table = {
        "age": [age for age, _ in inside],
        "area": [area for _, area in inside],
    }
    try:
        extract = build_extract(spec, table)
    except CriteriaNotMet:
        return
    for labels, rows in Counter(extract.rows).items():
        matched = sum(
            all(map(covers, labels, person[:2])) for person in people
        )
        assert rows >= 2
        if isinstance(asked, PopulationMap):
            assert matched >= asked.k
        else:
            assert rows / matched <= asked.high + 1e-9
    assert extract.report.risks.population


def test_the_check_counts_people_without_the_engine() -> None:
    """A class whose label matches too few people is refused by name."""
    terms = Terms(
        quasi=("age", "area"),
        sensitive=(),
        k=2,
        l=1,
        rows_in=2,
        allowed=0,
        delimiter=",",
        people=(PopulationMap(k=4).describe(),),
        population=((("3", "a1"), 2), (("4", "a2"), 1), (("64", "a1"), 9)),
    )
    hierarchies = {"age": AGE.describe(), "area": AREA.describe()}
    with pytest.raises(CriteriaNotMet) as caught:
        check_bytes(b"age,area\n0-4,A\n0-4,A\n", terms, hierarchies)
    assert ("k-map",) == caught.value.missed
    found = check_bytes(b"age,area\n*,a1\n*,a1\n", terms, hierarchies)
    assert (11,) == found.people


def test_a_population_that_lacks_people_is_refused(tmp_path: Path) -> None:
    """Whoever is in the table is in the population; so say both doors."""
    table = {"age": ["3", "7"], "area": ["a1", "a1"]}
    population = Population.of_table(
        {"age": ["3"], "area": ["a1"]}, ("age", "area")
    )
    terms: dict[str, Any] = {
        "columns": {"age": Role.QUASI, "area": Role.QUASI},
        "hierarchies": {"age": AGE, "area": AREA},
        "k": 2,
        "of_people": (PopulationMap(k=2),),
        "recipient": "office",
    }
    with pytest.raises(InvalidSpec, match="population"):
        build_extract(ExtractSpec(**terms, population=population), table)
    with pytest.raises(InvalidSpec, match="population"):
        ExtractSpec(**terms)
    (tmp_path / "voters.csv").write_text("name,age\nAlfa,3\nBravo,3\n")
    text = (
        "recipient: r\nk: 2\npopulation: {file: voters.csv}\n"
        "models: [{model: k-map, k: 9}, {model: delta-presence, high: 0.5}]\n"
        "columns:\n  age: {role: quasi, hierarchy: {intervals: {low: 0,"
        " high: 9, widths: [5]}}}\n"
    )
    spec = read_spec(text.encode(), folder=tmp_path)
    assert (PopulationMap(k=9), Presence(high=0.5)) == spec.of_people
    assert spec.population is not None
    assert ((("3",), 2),) == spec.population.people
