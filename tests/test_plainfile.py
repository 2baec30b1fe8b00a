"""One file in, one de-identified file out, and what is refused."""

from pathlib import Path

import polars as pl
import pytest

from anonymize import (
    AnonymizeError,
    CriteriaNotMet,
    InvalidRows,
    InvalidSpec,
    OutputExists,
    ValueNotCovered,
    build_extract,
    extract_plain,
    read_spec,
)

SPEC = """
recipient: office
k: 2
l: 2
columns:
  age: {role: quasi, weight: 2, hierarchy: {intervals: {low: 0, high: 99,
        widths: [10, 50]}}}
  sex: {role: quasi, hierarchy: {flat: [f, m]}}
  x: {role: sensitive}
"""
ROWS = "age,sex,x\n" + "".join(
    f"{age},{sex},{x}\n"
    for age in (31, 33, 38)
    for sex in ("f", "m")
    for x in ("flu", "gout")
)


def files(folder: Path, rows: str = ROWS, spec: str = SPEC) -> Path:
    """Write rows and specification."""
    (folder / "rows.csv").write_text(rows, "utf-8")
    (folder / "spec.yaml").write_text(spec, "utf-8")
    return folder


def test_csv_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    """Whatever the form of either side, the rows are those checked."""
    files(tmp_path)
    pl.read_csv(tmp_path / "rows.csv").write_parquet(tmp_path / "in.parquet")
    spec = tmp_path / "spec.yaml"
    extract_plain(
        tmp_path / "rows.csv", spec, tmp_path / "a.csv", tmp_path / "a.md"
    )
    table = pl.read_csv(tmp_path / "rows.csv", infer_schema=False)
    read = read_spec(SPEC.encode(), folder=tmp_path)
    one = build_extract(read, table.to_dicts())
    extract_plain(tmp_path / "in.parquet", spec, tmp_path / "b.parquet")

    written = pl.read_csv(tmp_path / "a.csv", infer_schema=False)
    assert [*one.rows] == written.rows()
    assert [*one.rows] == pl.read_parquet(tmp_path / "b.parquet").rows()
    assert (tmp_path / "a.md").read_text("utf-8").startswith("# De-identified")
    assert not [*tmp_path.glob(".*")]


def test_no_file_is_written_over(tmp_path: Path) -> None:
    """A taken name is refused, and so is one name for two files."""
    files(tmp_path)
    names = (tmp_path / "rows.csv", tmp_path / "spec.yaml")
    for out, report in (
        (tmp_path / "rows.csv", None),
        (tmp_path / "a.csv", tmp_path / "a.csv"),
        (tmp_path / "nowhere" / "a.csv", None),
    ):
        with pytest.raises(OutputExists):
            extract_plain(*names, out, report)
    assert ROWS == (tmp_path / "rows.csv").read_text("utf-8")


@pytest.mark.parametrize(
    ("rows", "spec", "error"),
    [
        ("age,sex,x\n", SPEC, CriteriaNotMet),
        ("age,sex,x\n31,f,flu\n", SPEC, CriteriaNotMet),
        ("age,sex,x\n" + "31,f,flu\n" * 9, SPEC, CriteriaNotMet),
        (ROWS, SPEC.replace("k: 2", "k: 500"), CriteriaNotMet),
        ("age,sex,x\n" + ",f,\n" * 9, SPEC, CriteriaNotMet),
        (ROWS + "31,f,flu\nold,f,flu\n", SPEC, ValueNotCovered),
        (ROWS + "120,f,flu\n", SPEC, ValueNotCovered),
        ("a,sex,x\n31,f,flu\n", SPEC, InvalidRows),
        (",".join(f"c{n}" for n in range(10_000)) + "\n", SPEC, InvalidRows),
        ("age,sex,x\n31,f\n", SPEC, InvalidRows),
        ('age,sex,x\n31,f,"flu\n', SPEC, InvalidRows),
        ("", SPEC, InvalidRows),
        (ROWS, SPEC.replace("l: 2", "l: 1"), InvalidSpec),
        (ROWS, SPEC.replace("weight: 2", "weight: -1"), InvalidSpec),
        (ROWS, SPEC.replace("weight: 2", "weight: nan"), InvalidSpec),
        (ROWS, SPEC.replace("l: 2", "mode: slow"), InvalidSpec),
        (ROWS, SPEC + "models: [{model: luck, column: x}]\n", InvalidSpec),
        (ROWS, SPEC + "models: [{model: alpha-k, column: x}]\n", InvalidSpec),
        (
            ROWS,
            SPEC + "models: [{model: entropy-l, column: sex, l: 2}]\n",
            InvalidSpec,
        ),
    ],
)
def test_bad_input_is_one_error_and_no_file(
    tmp_path: Path, rows: str, spec: str, error: type[AnonymizeError]
) -> None:
    """Each has an error of one line, and nothing is left behind."""
    files(tmp_path, rows, spec)
    with pytest.raises(error) as caught:
        extract_plain(
            tmp_path / "rows.csv",
            tmp_path / "spec.yaml",
            tmp_path / "out.csv",
            tmp_path / "out.json",
        )
    assert "\n" not in str(caught.value)
    assert {"rows.csv", "spec.yaml"} == {p.name for p in tmp_path.iterdir()}


def test_an_extract_is_attacked_where_a_report_is_asked_for(
    tmp_path: Path,
) -> None:
    """The attacks are for the report; the same rows come without one."""
    files(tmp_path)
    rows, spec = tmp_path / "rows.csv", tmp_path / "spec.yaml"
    one = extract_plain(rows, spec, tmp_path / "a.csv")
    other = extract_plain(rows, spec, tmp_path / "b.csv", tmp_path / "b.json")

    assert one.report.trials is None
    assert other.report.trials is not None
    assert one.checked == other.checked


def test_what_is_not_text_or_parquet_is_told(tmp_path: Path) -> None:
    """Wrong encoding and a false suffix are errors with the file's name."""
    files(tmp_path)
    (tmp_path / "rows.csv").write_bytes(b"age,sex,x\n31,f,\xff\n")
    (tmp_path / "rows.parquet").write_bytes(b"age,sex,x\n31,f,flu\n")
    for name in ("rows.csv", "rows.parquet"):
        with pytest.raises(InvalidRows, match=name):
            extract_plain(
                tmp_path / name, tmp_path / "spec.yaml", tmp_path / "out.csv"
            )
