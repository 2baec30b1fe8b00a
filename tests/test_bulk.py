"""Files that are streamed give the rows that memory gives."""

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymize import (
    AnonymizeError,
    Closeness,
    CriteriaNotMet,
    ExtractSpec,
    Intervals,
    InvalidRows,
    ReleaseReport,
    Role,
    TableHierarchy,
    build_extract,
    extract_plain,
    flat,
    read_spec,
)
from anonymize.bulk import extract_file_in_bulk
from anonymize.partition import published_labels
from anonymize.tablefile import TableFile
from anonymize.trials import Trials, count_rows, try_release
from tests.bench.adults import ADULT, QUASI, SENSITIVE, hierarchies

AREA = TableHierarchy.from_rows(
    [["a1", "A", "*"], ["a2", "A", "*"], ["b1", "B", "*"], ["b2", "B", "*"]],
    where="area",
)
AGE = Intervals(low=0, high=99, widths=(5, 20))
COLUMNS = {
    "age": Role.QUASI,
    "area": Role.QUASI,
    "x": Role.SENSITIVE,
    "note": Role.OTHER,
    "name": Role.DIRECT,
}


def spec(**more: object) -> ExtractSpec:
    """Return terms over the small table."""
    terms: dict[str, Any] = {
        "columns": COLUMNS,
        "hierarchies": {"age": AGE, "area": AREA},
        "k": 3,
        "l": 2,
        "suppression_limit": 0.1,
        "recipient": "office",
    }
    terms |= more
    given = terms["hierarchies"].items()
    terms["hierarchies"] = {n: h for n, h in given if n in terms["columns"]}
    return ExtractSpec(**terms)


def people(count: int, seed: int) -> dict[str, list[str]]:
    """Make rows up."""
    chance = random.Random(seed)  # noqa: S311 - made-up rows
    return {
        "age": [str(chance.choice([3, 31, 33, 38, 64])) for _ in range(count)],
        "area": [chance.choice(["a1", "a2", "b1", ""]) for _ in range(count)],
        "x": [chance.choice(["flu", "gout", "=1+1"]) for _ in range(count)],
        "note": [chance.choice(["-", "+a", "q,r"]) for _ in range(count)],
        "name": [f"person {n}" for n in range(count)],
    }


def streamed(terms: ExtractSpec, table: object, folder: Path) -> pl.DataFrame:
    """De-identify a table as a file, and read what was written."""
    source, target = folder / "in.parquet", folder / "out.parquet"
    pl.DataFrame(table).write_parquet(source)
    extract_file_in_bulk(
        terms,
        TableFile(source, delimiter=","),
        target,
        suffix=".parquet",
        progress=lambda _stage, _done, _total: None,
    )
    return pl.read_parquet(target)


@pytest.mark.parametrize("sets", [False, True])
@pytest.mark.parametrize("without", ["", "note"])
@pytest.mark.parametrize("seed", range(3))
def test_a_file_gives_the_rows_that_memory_gives(
    tmp_path: Path,
    seed: int,
    without: str,
    sets: bool,  # noqa: FBT001 - parametrized
) -> None:
    """Same rows in the same order, whichever columns there are."""
    columns = {n: r for n, r in COLUMNS.items() if n != without}
    terms = spec(columns=columns, sets=sets)
    table = {n: c for n, c in people(60, seed).items() if n != without}
    extract = build_extract(terms, table)
    found = streamed(terms, table, tmp_path)
    assert [*extract.columns] == found.columns
    assert [*extract.rows] == found.rows()


def test_csv_holds_defused_formulas(tmp_path: Path) -> None:
    """What a spreadsheet would run begins with an apostrophe, in CSV only."""
    table = people(60, 1)
    pl.DataFrame(table).write_csv(tmp_path / "in.csv")
    target = tmp_path / "out.csv"
    extract = build_extract(spec(), table)
    written = extract_file_in_bulk(
        spec(),
        TableFile(tmp_path / "in.csv", delimiter=","),
        target,
        suffix=".csv",
        progress=lambda _stage, _done, _total: None,
    )
    ours, theirs = (
        pl.read_csv(each, infer_schema=False, empty_string_is_null=False)
        for each in (target, extract.files["data.csv"])
    )
    assert theirs.equals(ours)
    assert "'=1+1" in {*ours["x"]}
    assert "'+a" in {*ours["note"]}
    # Of a file in bulk no losses of columns are reported, and attacks are
    # drawn from the hash of its own bytes.
    assert ("note",) == trials_of(written.report).aside
    same = replace(extract.report, trials=written.report.trials, losses={})
    assert same.to_json() == written.report.to_json()


def trials_of(report: ReleaseReport) -> Trials:
    """What attacks came to; some were run."""
    assert report.trials is not None
    return report.trials


@pytest.mark.parametrize("without", ["", "note"])
def test_a_file_is_attacked_as_a_table_is(
    tmp_path: Path, without: str
) -> None:
    """By the counts alone, and by the same draws, attacks end alike."""
    columns = {n: r for n, r in COLUMNS.items() if n != without}
    terms = spec(columns=columns)
    table = {n: c for n, c in people(600, 3).items() if n != without}
    pl.DataFrame(table).write_parquet(tmp_path / "in.parquet")
    written = extract_file_in_bulk(
        terms,
        TableFile(tmp_path / "in.parquet", delimiter=","),
        tmp_path / "out.parquet",
        suffix=".parquet",
        progress=lambda _stage, _done, _total: None,
    )
    found = trials_of(written.report)
    cells = {n: [str(one) for one in c] for n, c in table.items()}
    inside = published_labels(
        {
            name: (cells[name], each)
            for name, each in terms.hierarchies.items()
        },
        {"x": cells["x"]},
        terms.criteria,
        600,
    )
    again = try_release(terms, count_rows(terms, cells, inside), found.seed)
    assert again == found
    assert found.control is not None
    assert found.linkage.attempts == 540


def test_what_is_too_large_to_attack_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason and the size stand in the report, in both its forms."""
    monkeypatch.setattr("anonymize.bulk.MOST_ATTACKED", 3)
    pl.DataFrame(people(60, 1)).write_parquet(tmp_path / "in.parquet")
    report = extract_file_in_bulk(
        spec(),
        TableFile(tmp_path / "in.parquet", delimiter=","),
        tmp_path / "out.parquet",
        suffix=".parquet",
        progress=lambda _stage, _done, _total: None,
    ).report
    told = json.loads(report.to_json())["attacks"]["untried"]
    assert "attacked up to 3 of them" in told
    assert told in report.to_markdown()


TABLES = st.lists(
    st.tuples(
        st.sampled_from(["", "0", "7", "31", "33", "99"]),
        st.sampled_from(["", "a1", "a2", "b1", "b2"]),
        st.sampled_from(["", "flu", "gout", "ache"]),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(
    rows=TABLES,
    k=st.integers(2, 6),
    l=st.integers(1, 3),
    limit=st.sampled_from([0.0, 0.1, 0.5]),
    t=st.sampled_from([None, 0.3, 0.6]),
    sets=st.booleans(),
    fast=st.booleans(),
)
def test_any_table_holds_its_terms_or_gives_no_rows(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    **terms: Any,  # noqa: ANN401 - what Hypothesis draws
) -> None:
    """Counted here by hand, from the file that was written."""
    names = ("age", "area", "x")
    asked = spec(
        columns={name: COLUMNS[name] for name in names},
        k=terms["k"],
        l=terms["l"],
        suppression_limit=terms["limit"],
        sets=terms["sets"],
        fast=terms["fast"],
        models=()
        if terms["t"] is None
        else (Closeness(column="x", t=terms["t"]),),
    )
    table = {
        name: pl.Series([row[at] for row in rows], dtype=pl.String)
        for at, name in enumerate(names)
    }
    folder = tmp_path_factory.mktemp("any")
    try:
        found = streamed(asked, table, folder)
    except CriteriaNotMet:
        return
    classes: dict[tuple[str, str], list[str]] = {}
    for age, area, value in found.rows():
        assert (age, area) != ("*", "*")
        classes.setdefault((age, area), []).append(value)
    everyone = Counter(table["x"].to_list())
    for values in classes.values():
        assert len(values) >= terms["k"]
        if terms["l"] > 1:
            assert len({*values} - {""}) >= terms["l"]
        if terms["t"] is not None:
            far = sum(
                abs(values.count(v) / len(values) - n / len(rows))
                for v, n in everyone.items()
            )
            assert far / 2 <= terms["t"] + 1e-9
    assert len(rows) - found.height <= terms["limit"] * len(rows) + 1e-9


BAD = {
    "gzip": b"\x1f\x8b\x08\x00" + b"\0" * 40,
    "zip": b"PK\x03\x04" + b"\0" * 40,
    "wide": b",".join(b"c%d" % n for n in range(10_000)) + b"\n",
    "short row": b"age,area,x\n31,a1\n" + b"31,a1,flu\n31,a1,gout\n" * 4,
    "long row": b"age,area,x\n31,a1,flu,gout\n",
    "latin": b"age,area,x\n31,a1,gr\xfcn\n",
    "latin header": b"\xe4ge,area,x\n31,a1,flu\n",
    "open quote": b'age,area,x\n31,a1,"flu\n' + b"31,a1,flu\n" * 50,
    "one name twice": b"age,age,x\n31,a1,flu\n",
    "NUL": b"age,area,x\n" + b"31,a1,f\0lu\n31,a1,gout\n" * 4,
    "nothing": b"",
    "an endless line": b"a" * 3_000_000,
}


@pytest.mark.parametrize("name", [*BAD])
def test_bad_files_are_one_clear_error(tmp_path: Path, name: str) -> None:
    """Of one line, with the file or the column and no cell; no file made."""
    text = "recipient: r\nk: 2\nl: 2\ncolumns:\n  x: {role: sensitive}\n"
    text += "  age: {role: quasi, hierarchy: {intervals: {low: 0, high: 99,"
    text += " widths: [10]}}}\n  area: {role: quasi, hierarchy:"
    text += " {flat: [a1, a2]}}\n"
    (tmp_path / "in.csv").write_bytes(BAD[name])
    (tmp_path / "s.yaml").write_text(text, "utf-8")
    with pytest.raises(InvalidRows) as caught:
        extract_plain(
            tmp_path / "in.csv", tmp_path / "s.yaml", tmp_path / "out.csv"
        )
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)
    assert {"in.csv", "s.yaml"} == {p.name for p in tmp_path.iterdir()}


def test_empty_lines_and_empty_last_cells_are_read_by_the_letter(
    tmp_path: Path,
) -> None:
    """Neither becomes a row or a cell that was not there."""
    rows = "age,area,x\n\n" + "31,a1,flu\n31,a1,gout\n31,a1,\n\n" * 4
    (tmp_path / "in.csv").write_text(rows, "utf-8")
    file = TableFile(tmp_path / "in.csv", delimiter=",")
    counted = file.counted(["age", "area", "x"])
    assert 12 == counted["\0count"].sum()
    assert 3 == counted.height


@pytest.mark.parametrize(
    "column",
    [
        ["31"] * 30,  # all equal
        [""] * 30,  # nothing but nulls
        [str(n) for n in range(30)],  # all different
    ],
)
def test_odd_columns_hold_or_give_no_rows(
    tmp_path: Path, column: list[str]
) -> None:
    """All rows equal, a column of nulls, unique values."""
    table = {"age": column, "x": ["flu", "gout"] * 15}
    terms = spec(
        columns={"age": Role.QUASI, "x": Role.SENSITIVE}, k=5, fast=True
    )
    found = streamed(terms, table, tmp_path)
    sizes = found.group_by("age").len()["len"]
    assert sizes.min() >= 5
    assert found.height >= 27


def test_a_value_outside_its_hierarchy_is_told_by_row(tmp_path: Path) -> None:
    """Column, number of rows and the first, never the value."""
    table = {
        "age": ["31", "elderly", "33", "elderly"],
        "x": ["flu", "gout"] * 2,
    }
    terms = spec(
        columns={"age": Role.QUASI, "x": Role.SENSITIVE}, k=2, fast=True
    )
    with pytest.raises(AnonymizeError, match=r"2 row.* first is row 2") as got:
        streamed(terms, table, tmp_path)
    assert "elderly" not in str(got.value)


def test_people_with_two_rows_are_refused(tmp_path: Path) -> None:
    """What k counts is people."""
    table = people(20, 3)
    terms = spec(person="key")
    table["key"] = [str(n // 2) for n in range(20)]
    with pytest.raises(InvalidRows, match="10 row"):
        streamed(terms, table, tmp_path)


def test_set_labels_are_of_the_spec_file(tmp_path: Path) -> None:
    """`labels: sets` asks for them, and no other word."""
    text = "recipient: r\nk: 2\nlabels: {}\ncolumns:\n  area: {{role: quasi,"
    text += " hierarchy: {{flat: [a1, a2]}}}}\n"
    assert read_spec(text.format("sets").encode(), folder=tmp_path).sets
    assert not read_spec(
        text.format("hierarchy").encode(), folder=tmp_path
    ).sets
    with pytest.raises(AnonymizeError, match="labels"):
        read_spec(text.format("rags").encode(), folder=tmp_path)


def test_values_that_sets_are_written_with_are_refused(
    tmp_path: Path,
) -> None:
    """A brace in a value could be read as a set."""
    terms = spec(
        columns={"area": Role.QUASI, "x": Role.SENSITIVE},
        hierarchies={"area": flat(["a|b", "c"], where="area")},
        sets=True,
    )
    table = {"area": ["a|b", "c"] * 9, "x": ["flu", "gout", "ache"] * 6}
    with pytest.raises(AnonymizeError, match="set labels"):
        streamed(terms, table, tmp_path)


def test_a_specification_nested_without_end_is_refused(
    tmp_path: Path,
) -> None:
    """One clear error rather than a full stack."""
    with pytest.raises(AnonymizeError, match="not YAML"):
        read_spec(b"[" * 50_000, folder=tmp_path)


@pytest.mark.corpus
def test_set_labels_of_adult_lose_little(tmp_path: Path) -> None:
    """NCP of 0.0205 and less, by the check's own reading of the labels."""
    terms = ExtractSpec(
        columns=dict.fromkeys(QUASI, Role.QUASI) | {SENSITIVE: Role.SENSITIVE},
        hierarchies=hierarchies(),
        k=5,
        sets=True,
        recipient="office",
    )
    found = extract_file_in_bulk(
        terms,
        TableFile(ADULT / "adult.csv", delimiter=";"),
        tmp_path / "out.csv",
        suffix=".csv",
        progress=lambda _stage, _done, _total: None,
    )
    assert found.checked.k >= 5
    assert found.report.ncp <= 0.0205
    assert 0 == found.report.suppressed
