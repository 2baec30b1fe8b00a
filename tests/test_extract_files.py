"""Extracts in folders, specifications in files."""

from pathlib import Path

import pytest

from anonymize import (
    AnonymizeError,
    CriteriaNotMet,
    Dates,
    ExtractTampered,
    Intervals,
    InvalidHierarchy,
    InvalidRows,
    InvalidSpec,
    OutputExists,
    Prefixes,
    Role,
    build_extract,
    extract_file,
    read_spec,
    write_extract,
)

SPEC = """
recipient: office
k: 2
columns:
  age: {role: quasi, hierarchy: {intervals: {low: 0, high: 99, widths: [10]}}}
  born: {role: quasi, hierarchy: {dates: {first: 1900-01-01,
         last: 2030-12-31}}}
  code: {role: quasi, hierarchy: {prefixes: {length: 3, keep: [1]}}}
  answer: {role: quasi, hierarchy: {flat: [yes, no, 01]}}
  area: {role: quasi, hierarchy: {file: area.csv}}
"""
CSV = (
    "age,born,code,answer,area\n"
    "11,1984-05-17,123,yes,north\n"
    "12,1984-05-18,124,yes,north\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lay out a table, a specification and a hierarchy."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "area.csv").write_text("north;*\nsouth;*\n")
    (tmp_path / "people.csv").write_text(CSV)
    return tmp_path


def run(folder: Path) -> None:
    """Run the command's engine."""
    extract_file(folder / "people.csv", folder / "spec.yaml", folder / "out")


def test_a_specification_is_read_with_every_form(folder: Path) -> None:
    """Words that YAML takes for other things stay words."""
    spec = read_spec(SPEC.encode(), folder=folder)
    assert {"quasi"} == {role.value for role in spec.columns.values()}
    assert isinstance(spec.hierarchies["age"], Intervals)
    assert isinstance(spec.hierarchies["born"], Dates)
    assert isinstance(spec.hierarchies["code"], Prefixes)
    for word in ("yes", "no", "01"):
        assert (word, "*") == spec.hierarchies["answer"].path(word)


def test_a_file_becomes_a_folder(folder: Path) -> None:
    """Four files, readable by their owner alone, and nothing aside."""
    run(folder)
    out = folder / "out"
    assert ["data.csv", "manifest.json", "report.json", "report.md"] == sorted(
        path.name for path in out.iterdir()
    )
    assert 0o700 == out.stat().st_mode & 0o777
    expected = b"age,born,code,answer,area\n" + (
        b"10-19,1984-05,1**,yes,north\n" * 2
    )
    assert expected == (out / "data.csv").read_bytes()
    assert {"area.csv", "out", "people.csv", "spec.yaml"} == {
        path.name for path in folder.iterdir()
    }


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("people.csv", CSV + "13,1984-05-18,124,yes\n", InvalidRows),
        ("people.csv", "", InvalidRows),
        ("people.csv", CSV.replace("answer", "reply"), InvalidRows),
        ("people.csv", CSV.replace("11,", "111,"), AnonymizeError),
        ("people.csv", "age,born,code,answer,area\n", CriteriaNotMet),
        ("area.csv", "north;*\nsouth\n", InvalidHierarchy),
        ("spec.yaml", SPEC.replace("k: 2", "k: 3"), CriteriaNotMet),
        ("spec.yaml", SPEC.replace("k: 2", "k: two"), InvalidSpec),
    ],
)
def test_whatever_goes_wrong_nothing_is_left(
    folder: Path, name: str, content: str, error: type[Exception]
) -> None:
    """After an error there is neither the folder nor one aside."""
    (folder / name).write_text(content)
    before = {path.name for path in folder.iterdir()}
    with pytest.raises(error):
        run(folder)
    assert before == {path.name for path in folder.iterdir()}


def test_what_is_read_back_is_what_counts(folder: Path) -> None:
    """Files that do not agree with their manifest are not published."""
    spec = read_spec(SPEC.encode(), folder=folder)
    columns = [line.split(",") for line in CSV.splitlines()]
    table = {name: [*cells] for name, *cells in zip(*columns, strict=True)}
    extract = build_extract(spec, table)
    damaged = {**extract.files, "data.csv": b"age\n11\n"}
    object.__setattr__(extract, "files", damaged)
    with pytest.raises(ExtractTampered):
        write_extract(extract, folder / "out")
    assert {"area.csv", "people.csv", "spec.yaml"} == {
        path.name for path in folder.iterdir()
    }


def test_an_existing_folder_is_not_touched(folder: Path) -> None:
    """A folder with something in it, a file or a link is refused."""
    out = folder / "out"
    out.mkdir()
    (out / "kept").write_text("kept")
    with pytest.raises(OutputExists):
        run(folder)
    assert "kept" == (out / "kept").read_text()
    (out / "kept").unlink()
    run(folder)
    for path in out.iterdir():
        path.unlink()
    out.rmdir()
    out.symlink_to(folder)
    with pytest.raises(OutputExists):
        run(folder)
    with pytest.raises(OutputExists):
        extract_file(
            folder / "people.csv", folder / "spec.yaml", folder / "no" / "out"
        )


def test_missing_files_are_told_by_name(folder: Path) -> None:
    """The error names the file, not the machine's folders."""
    (folder / "people.csv").unlink()
    with pytest.raises(InvalidRows, match=r"^people\.csv cannot be read"):
        run(folder)
    (folder / "spec.yaml").unlink()
    with pytest.raises(InvalidSpec, match=r"^spec\.yaml cannot be read"):
        run(folder)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("k: 2", "k: 2\nk: 5", "stands twice"),
        ("  age:", "  born: {role: other}\n  age:", "stands twice"),
        ("k: 2", "k: 2\nkey: x", "unknown key"),
        ("k: 2", "k: [", "not YAML"),
        ("k: 2", "k: 2\n? [a]\n: b", "not YAML"),
        ("role: quasi, hier", "role: quasy, hier", "role is one of"),
        (
            "{role: quasi, hierarchy: {flat: [yes, no, 01]}}",
            "quasi",
            "mapping",
        ),
        ("flat: [yes, no, 01]", "flat: yes", "list"),
        ("flat: [yes, no, 01]", "tree: x", "give one of"),
        ("flat: [yes, no, 01]", "flat: [a], file: b", "give one of"),
        ("file: area.csv", "file: area.csv, domain: [1]", "two numbers"),
        ("file: area.csv", "file: area.csv, mode: x", "unknown mode"),
        ("first: 1900-01-01", "first: 1900", "dates such as"),
        ("length: 3", "length: x", "whole number"),
        ("k: 2", "k: 2\nsuppression_limit: x", "number from 0"),
        ("recipient: office", "recipient: [office]", "a text is needed"),
        ("recipient: office\n", "", "a text is needed"),
    ],
)
def test_a_malformed_specification_is_one_clear_error(
    folder: Path, old: str, new: str, words: str
) -> None:
    """What is wrong is said in words, with the place where there is one."""
    text = SPEC.replace(old, new, 1)
    assert text != SPEC
    with pytest.raises(InvalidSpec, match=words):
        read_spec(text.encode(), folder=folder)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"\xff\xfe\x00", b"a: &a [*a]", b"x" * 1_000_001]
)
def test_what_is_no_specification_is_refused(
    folder: Path, data: bytes
) -> None:
    """Bytes that are no mapping, or too many, raise and nothing else."""
    with pytest.raises(InvalidSpec):
        read_spec(data, folder=folder)


def test_a_column_keeps_the_order_of_the_specification(folder: Path) -> None:
    """Columns are published as the specification lists them."""
    spec = read_spec(SPEC.encode(), folder=folder)
    assert ["age", "born", "code", "answer", "area"] == [*spec.columns]
    assert ("age", "born", "code", "answer", "area") == spec.of_role(
        Role.QUASI
    )
