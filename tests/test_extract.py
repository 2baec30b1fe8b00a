"""Extracts: rows in, checked bytes and report out."""

import itertools
import json
import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anonymize
from anonymize import (
    CriteriaNotMet,
    ExtractSpec,
    Intervals,
    InvalidRows,
    InvalidSpec,
    KnownValue,
    Role,
    TableHierarchy,
    Terms,
    ValueNotCovered,
    build_extract,
    check_bytes,
    extract_file,
    flat,
)
from anonymize.csvfile import read_csv
from anonymize.extract import Extract

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
ADULT = SHARED / "corpus" / "adult"
KEY = bytes(range(32))
AGE = Intervals(low=0, high=99, widths=(5, 10, 20))
SEX = flat(["f", "m"], where="sex")
NAMES = ["Ann Lee", "Bob Ray", "Cid Fox", "Dan Orr", "Eve Poe", "Fay Roe"]


def spec_of(**changes: object) -> ExtractSpec:
    """State the usual terms, with changes."""
    values: dict[str, object] = {
        "columns": {
            "name": Role.DIRECT,
            "age": Role.QUASI,
            "sex": Role.QUASI,
            "illness": Role.SENSITIVE,
            "ward": Role.OTHER,
            "note": Role.TEXT,
        },
        "hierarchies": {"age": AGE, "sex": SEX},
        "entities": {"name": "PERSON"},
        "person": "id",
        "k": 3,
        "l": 2,
        "suppression_limit": 0.1,
        "recipient": "statistics-office",
        "purpose": "study",
        "pseudonym_key": KEY,
    }
    return ExtractSpec(**(values | changes))  # type: ignore[arg-type] - by hand


def only(**columns: Role) -> dict[str, object]:
    """State terms of these columns alone."""
    quasi = {n: AGE for n, role in columns.items() if role is Role.QUASI}
    terms = {"columns": columns, "hierarchies": quasi, "entities": {}}
    return {"l": 1, **terms}


def people(count: int = 24) -> dict[str, list[str]]:
    """Make up people."""
    names = [NAMES[n % 6] + f" {n}" for n in range(count)]
    return {
        "id": [f"p{n:03}" for n in range(count)],
        "name": names,
        "age": [str(20 + n * 7 % 40) for n in range(count)],
        "sex": ["fm"[n % 2] for n in range(count)],
        "illness": [["flu", "cold", "gout"][n % 3] for n in range(count)],
        "ward": ["=1+1" if n % 5 == 0 else "w" for n in range(count)],
        "note": [f"{name} rang 1381234{n:04}" for n, name in enumerate(names)],
    }


def test_an_extract_holds_what_was_asked_for() -> None:
    """Criteria hold on the bytes, and neither name nor key is in them."""
    extract = build_extract(spec_of(), people())
    data = extract.files["data.csv"]

    assert ("pseudonym", "age", "sex", "illness", "ward", "note") == (
        extract.columns
    )
    assert extract.checked.k >= 3
    assert extract.checked.l is not None
    assert extract.checked.l >= 2
    everything = b"".join(extract.files.values()).decode()
    for secret in (*people()["name"], *people()["id"], "1381234"):
        assert secret not in everything
    assert b"<PERSON_1> rang <PHONE_1>" in data
    assert b"'=1+1" in data
    assert len(extract.rows) == extract.report.rows_out


def test_rows_as_mappings_give_the_same_extract() -> None:
    """Columns of cells and rows of cells are two forms of one thing."""
    table = people()
    rows = [
        dict(zip(table, row, strict=True))
        for row in zip(*table.values(), strict=True)
    ]
    one = build_extract(spec_of(), table)
    other = build_extract(spec_of(), iter(rows))
    assert one.files == other.files


@settings(max_examples=15, deadline=None)
@given(st.integers())
def test_the_order_of_rows_leaves_no_trace(seed: int) -> None:
    """Shuffled input gives the same bytes, labels in text included."""
    table = people()
    order = [*range(24)]
    random.Random(seed).shuffle(order)  # noqa: S311 - an order to test with
    shuffled = {n: [cells[at] for at in order] for n, cells in table.items()}
    assert ORDERED.files == build_extract(spec_of(), shuffled).files


ORDERED = build_extract(spec_of(), people())


def test_two_recipients_get_unrelated_pseudonyms() -> None:
    """With another key no pseudonym is the same, and rows still agree."""
    one = build_extract(spec_of(), people())
    other = build_extract(spec_of(pseudonym_key=KEY[::-1]), people())
    assert set() == {r[0] for r in one.rows} & {r[0] for r in other.rows}
    assert all(re.fullmatch("[0-9a-f]{32}", row[0]) for row in one.rows)


def test_without_a_key_there_is_no_pseudonym() -> None:
    """The person's column is used for the count of people and dropped."""
    extract = build_extract(spec_of(pseudonym_key=None), people())
    assert "pseudonym" not in extract.columns
    assert "id" not in extract.columns


def test_what_else_is_known_of_a_person_is_found_in_their_text() -> None:
    """Values that the caller adds are looked for in that person's text."""
    table = people()
    table["note"][3] = "seen at Rose Cottage with Zoe"
    table["note"][4] = "it was zoe"
    known = {"p003": [KnownValue(entity="ADDRESS", text="Rose Cottage"),
                      KnownValue(entity="PERSON", text="Zoe")]}  # fmt: skip
    extract = build_extract(spec_of(), table, known=known)
    notes = {row[-1] for row in extract.rows}
    assert "it was zoe" in notes
    assert any(
        re.fullmatch(r"seen at <ADDRESS_1> with <PERSON_\d+>", n)
        for n in notes
    )


def test_a_quasi_identifier_is_not_given_away_in_text() -> None:
    """The exact age that generalization hides is masked in the note too."""
    table = people()
    table["note"] = [f"aged {age}." for age in table["age"]]
    extract = build_extract(spec_of(), table)
    assert all(
        re.fullmatch(r"aged <ATTRIBUTE_\d+>\.", row[-1])
        for row in extract.rows
    )


def test_labels_are_numbered_without_collision() -> None:
    """In one release a label stands for one value."""
    table = people()
    extract = build_extract(spec_of(), table)
    labels = re.findall(r"<PHONE_\d+>", extract.files["data.csv"].decode())
    assert len(extract.rows) == len({*labels}) == len(labels)


def test_singling_out_by_predicates_over_quasi_identifiers_fails() -> None:
    """No conjunction of published labels isolates fewer than k rows."""
    extract = build_extract(spec_of(), people(60))
    quasi = [extract.columns.index(n) for n in ("age", "sex")]
    for size in (1, 2):
        for chosen in itertools.combinations(quasi, size):
            seen = Counter(
                tuple(row[at] for at in chosen) for row in extract.rows
            )
            assert min(seen.values()) >= 3


def test_linkage_by_true_values_succeeds_no_better_than_one_in_k() -> None:
    """Whoever knows a member's true values finds k candidates or more."""
    table = people(60)
    extract = build_extract(spec_of(), table)
    age, sex = (extract.columns.index(n) for n in ("age", "sex"))
    for true_age, true_sex in zip(table["age"], table["sex"], strict=True):
        path = AGE.path(true_age)
        assert path is not None
        candidates = [
            row
            for row in extract.rows
            if row[age] in path and row[sex] in {true_sex, "*"}
        ]
        assert len(candidates) == 0 or len(candidates) >= 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"k": 1}, "k must be"),
        ({**only(age=Role.QUASI), "l": 2}, "no column is sensitive"),
        ({"hierarchies": {"age": AGE}}, "at fault: sex"),
        ({"delimiter": "x"}, "delimiter"),
        ({"language": "fr"}, "language"),
        ({"recipient": ""}, "recipient"),
        ({"person": None}, "pseudonyms need"),
        ({"person": "name"}, "never leaves"),
        ({"entities": {"gone": "X"}}, "not there"),
        (only(a=Role.DIRECT), "no column would be"),
        (only(**{"=a": Role.OTHER}), "formula"),
        (only(pseudonym=Role.OTHER), "is taken"),
    ],
)
def test_terms_that_contradict_one_another_are_refused(
    changes: dict[str, object], words: str
) -> None:
    """A specification that cannot be meant raises when it is made."""
    with pytest.raises(InvalidSpec, match=words):
        spec_of(**changes)


def test_the_key_is_not_printed() -> None:
    """The terms can be logged without giving the key away."""
    assert repr(KEY) not in repr(spec_of())


def test_bad_rows_are_refused_without_their_values() -> None:
    """Columns, cells and people that do not fit raise, by place only."""
    table = people()
    cases = [
        table | {"extra": ["x"] * 24},
        {n: c for n, c in table.items() if n != "ward"},
        table | {"ward": ["x"]},
        table | {"ward": [1] * 24},
        table | {"ward": ["secret\0"] * 24},
        table | {"ward": ["secret\ud800"] * 24},
        table | {"id": ["secret"] * 24},
        table | {"id": ["", *table["id"][1:]]},
    ]
    for case in cases:
        with pytest.raises(InvalidRows) as caught:
            build_extract(spec_of(), case)  # type: ignore[arg-type] - on purpose
        assert "secret" not in str(caught.value)


def test_a_value_outside_its_hierarchy_refuses_by_place() -> None:
    """The error has the column and the row, and not the value."""
    table = people()
    table["age"][6] = "104"
    with pytest.raises(ValueNotCovered) as caught:
        build_extract(spec_of(), table)
    assert ("age", 1, 7) == (
        caught.value.column,
        caught.value.count,
        caught.value.first_row,
    )
    assert "104" not in str(caught.value)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_rows_than_k_give_no_extract(count: int) -> None:
    """An empty cohort, and one smaller than k, miss the criteria."""
    with pytest.raises(CriteriaNotMet) as caught:
        build_extract(spec_of(), people(count))
    assert (3, 0, count) == (
        caught.value.k_asked,
        caught.value.k_reached,
        caught.value.suppressed,
    )


def test_nothing_is_published_where_all_would_be_suppressed() -> None:
    """People without anything in common are not published as stars."""
    table = {"age": ["1", "99"], "sex": ["f", "m"]}
    spec = spec_of(
        columns={"age": Role.QUASI, "sex": Role.QUASI},
        entities={}, person=None, pseudonym_key=None,
        k=2, l=1, suppression_limit=0.9,
    )  # fmt: skip
    with pytest.raises(CriteriaNotMet):
        build_extract(spec, table)


def test_l_that_nobody_can_reach_gives_no_extract() -> None:
    """Four different illnesses in each class cannot be had of three."""
    with pytest.raises(CriteriaNotMet):
        build_extract(spec_of(l=4), people())


def test_an_extract_without_quasi_identifiers_is_one_class() -> None:
    """All rows are one class; k counts them, and the penalty is none."""
    spec = spec_of(
        columns={"illness": Role.SENSITIVE}, hierarchies={}, entities={},
        person=None, pseudonym_key=None,
    )  # fmt: skip
    extract = build_extract(spec, {"illness": ["flu", "", "cold"]})
    assert (3, 2, 0.0) == (
        extract.checked.k, extract.checked.l, extract.report.ncp
    )  # fmt: skip


def test_progress_is_told() -> None:
    """Each stage begins and ends with its total."""
    told: list[tuple[str, int, int]] = []
    build_extract(
        spec_of(), people(), progress=lambda *stage: told.append(stage)
    )
    assert ("classes", 24, 24) in told
    assert ("check", 24, 24) in told
    assert any(
        stage == "text" and done == total for stage, done, total in told
    )


def test_the_manifest_binds_the_files() -> None:
    """Hashes, criteria, roles and hierarchies are there, and no value."""
    extract = build_extract(spec_of(), people())
    manifest = json.loads(extract.files["manifest.json"])
    assert {"data.csv", "report.json", "report.md"} == {*manifest["files"]}
    assert extract.checked.sha256 == manifest["files"]["data.csv"]
    assert ["name", "id"] == manifest["withheld"]
    assert {"age", "sex"} == {*manifest["hierarchies"]}
    assert 64 == len(extract.manifest_digest)


def test_the_root_imports_without_the_extra() -> None:
    """No library of the extra is loaded by importing the package."""
    code = (
        "import sys, anonymize; print([m for m in ('numpy', 'polars', "
        "'presidio_analyzer', 'ahocorasick_rs', 'spacy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True,
        text=True, cwd=ROOT,
    )  # fmt: skip
    assert "[]" == done.stdout.strip()


@pytest.mark.parametrize(
    ("library", "name"),
    [
        ("numpy", "build_extract"),
        ("polars", "check_bytes"),
        ("presidio_analyzer", "Scrubber"),
        ("ahocorasick_rs", "KnownValue"),
        ("polars", "extract_file"),
    ],
)
def test_a_missing_library_names_the_extra(library: str, name: str) -> None:
    """Without the extra the first use is one clear error."""
    code = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "import anonymize\n"
        f"try:\n    anonymize.{name}\n"
        "except anonymize.MissingExtra as problem:\n    print(problem)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True,
        text=True, cwd=ROOT,
    )  # fmt: skip
    assert "curtilage[analytics]" in done.stdout


def test_every_name_of_the_contract_is_there() -> None:
    """What the root lists can be had from it, and nothing else."""
    assert all(hasattr(anonymize, name) for name in anonymize.__all__)
    with pytest.raises(AttributeError):
        anonymize.nothing  # noqa: B018 - asked for on purpose


QUASI = [
    "age", "sex", "race", "marital-status", "education", "native-country",
    "workclass", "occupation",
]  # fmt: skip


def adult(diversity: int = 1) -> Extract:
    """De-identify Adult with k = 5."""
    if not ADULT.is_dir():
        pytest.skip("the Adult corpus is not beside the project")
    table = read_csv(
        (ADULT / "adult.csv").read_bytes(), where="adult", delimiter=";"
    )
    hierarchies = {
        name: TableHierarchy.from_file(
            ADULT / f"adult_hierarchy_{name}.csv",
            domain=(17, 90) if name == "age" else None,
        )
        for name in QUASI
    }
    spec = ExtractSpec(
        columns={**dict.fromkeys(QUASI, Role.QUASI),
                 "salary-class": Role.SENSITIVE},
        hierarchies=hierarchies, k=5, l=diversity, suppression_limit=0.05,
        recipient="statistics-office", delimiter=";",
    )  # fmt: skip
    return build_extract(spec, table)


PYCANON = """
import json, sys
import pandas as pd
from pycanon import anonymity
data = pd.read_csv(sys.argv[1], sep=";", dtype=str, keep_default_na=False)
quasi = sys.argv[2].split(",")
print(json.dumps([int(anonymity.k_anonymity(data, quasi)),
    int(anonymity.l_diversity(data, quasi, ["salary-class"]))]))
"""


@pytest.mark.corpus
@pytest.mark.parametrize(("diversity", "penalty"), [(1, 0.05335), (2, 0.1145)])
def test_adult_end_to_end(
    tmp_path: Path, diversity: int, penalty: float
) -> None:
    """k, l and NCP hold by pycanon and by an evaluator of the file."""
    extract = adult(diversity)
    path = tmp_path / "data.csv"
    path.write_bytes(extract.files["data.csv"])

    assert extract.report.ncp <= penalty
    assert 0 == extract.report.suppressed
    assert (5, diversity) == (extract.checked.k, extract.checked.l)
    theirs = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PYCANON, str(path),
         ",".join(QUASI)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert [5, diversity] == json.loads(theirs.stdout.splitlines()[-1])
    evaluated = subprocess.run(
        [sys.executable, "-W", "ignore", str(SHARED / "tools" / "ncp.py"),
         str(path)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(evaluated.stdout)
    assert (round(extract.report.ncp, 4), 0, 5, diversity) == (
        found["ncp"], found["suppressed_rows"], found["k"],
        found["l_distinct"],
    )  # fmt: skip


@pytest.mark.corpus
def test_homogeneous_classes_are_why_l_is_asked_for() -> None:
    """With k alone whole classes of Adult share a salary; with l none."""

    def homogeneous(extract: Extract) -> int:
        values: dict[tuple[str, ...], set[str]] = {}
        for row in extract.rows:
            values.setdefault(row[:-1], set()).add(row[-1])
        return sum(1 for each in values.values() if len(each) == 1)

    assert homogeneous(adult(1)) > 2000
    assert 0 == homogeneous(adult(2))


SPEC = """
recipient: statistics-office
purpose: study
delimiter: ";"
k: 3
l: 2
suppression_limit: 0.1
person: id
columns:
  name: {role: direct, entity: PERSON}
  age: {role: quasi, hierarchy: {intervals: {low: 0, high: 99,
        widths: [5, 10, 20]}}}
  sex: {role: quasi, hierarchy: {file: sex.csv}}
  illness: {role: sensitive}
  ward: {role: other}
  note: {role: text}
"""


def test_spec_and_table_in_memory_equal_those_from_files(
    tmp_path: Path,
) -> None:
    """The command's way and the library's way give the same data."""
    table = people()
    lines = [";".join(table)] + [
        ";".join(row) for row in zip(*table.values(), strict=True)
    ]
    (tmp_path / "people.csv").write_text("\n".join(lines), "utf-8")
    (tmp_path / "spec.yaml").write_text(SPEC, "utf-8")
    (tmp_path / "sex.csv").write_text("f;*\nm;*\n", "utf-8")
    written = extract_file(
        tmp_path / "people.csv", tmp_path / "spec.yaml", tmp_path / "out",
        pseudonym_key=KEY,
    )  # fmt: skip
    expected = build_extract(spec_of(delimiter=";"), table)

    assert expected.files == written.files
    assert {*expected.files} == {p.name for p in (tmp_path / "out").iterdir()}
    for name, content in expected.files.items():
        assert content == (tmp_path / "out" / name).read_bytes()


def test_the_check_would_catch_an_engine_that_lies() -> None:
    """The bytes of a good extract fail terms they were not made for."""
    extract = build_extract(spec_of(), people())
    terms = Terms(
        quasi=("age", "sex"), sensitive=("illness",), k=3, l=2, rows_in=24,
        allowed=2, delimiter=",",
    )  # fmt: skip
    check_bytes(extract.files["data.csv"], terms)
    with pytest.raises(CriteriaNotMet):
        check_bytes(
            extract.files["data.csv"], replace(terms, k=extract.checked.k + 1)
        )
