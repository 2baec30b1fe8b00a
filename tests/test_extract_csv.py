"""CSV as it is read and as it is published."""

import csv
import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymize import InvalidRows
from anonymize.csvfile import guarded, read_csv, unguarded, write_csv

CELLS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
)
DELIMITERS = st.sampled_from(",;\t|")


@given(st.lists(st.tuples(CELLS, CELLS), max_size=5), DELIMITERS)
def test_what_is_written_reads_back(
    rows: list[tuple[str, str]], delimiter: str
) -> None:
    """Two readers of CSV, and the undone guard, give the cells again."""
    data = write_csv(["a", "b"], rows, delimiter=delimiter)
    ours = read_csv(data, where="x", delimiter=delimiter)
    theirs = pl.read_csv(
        io.BytesIO(data),
        separator=delimiter,
        infer_schema=False,
        empty_string_is_null=False,
    )

    for at, name in enumerate(("a", "b")):
        expected = [row[at] for row in rows]
        assert expected == [unguarded(cell) for cell in ours[name]]
        assert expected == [unguarded(cell) for cell in theirs[name]]


@given(CELLS, CELLS)
def test_the_guard_keeps_different_cells_different(a: str, b: str) -> None:
    """Defusing is undone exactly, so it joins no two cells."""
    assert (a == b) == (guarded(a) == guarded(b))
    assert a == unguarded(guarded(a))


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "=cmd|'/C calc'!A0",
        "＝1+1",
        "＋1",
        "－1+1",
        "＠x",
    ],
)
def test_formulas_are_defused(cell: str) -> None:
    """A spreadsheet shows the cell and does not run it."""
    data = write_csv(["a"], [[cell]], delimiter=",")
    written = [*csv.reader(io.StringIO(data.decode(), newline=""))][1][0]
    assert "'" + cell == written


@pytest.mark.parametrize("cell", ["-5", "+3.5", "20-39", "*", "", "a=b"])
def test_numbers_and_labels_stay_as_they_are(cell: str) -> None:
    """What no spreadsheet would run is not changed."""
    assert cell == guarded(cell)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "line 1: the header"),
        (b"a,\n1,2\n", "line 1: the header"),
        (b"a,a\n1,2\n", "line 1: the header"),
        (b"a,b\n1,2\n3\n", "line 3: 1 cells where the header has 2"),
        (b"a\nx\nsecret\xff\n", "line 3: not UTF-8"),
        (b"a\nsecret\x00\n", "line 2: a NUL character"),
        (b'a\n"secret"x\n', "line 2: not CSV"),
        (b'a\n"secret', "not CSV"),
        (b"a\n" + b"x" * 200_000 + b"\n", "line 2: not CSV"),
    ],
)
def test_malformed_files_are_told_by_line(data: bytes, words: str) -> None:
    """The error has file and line, and nothing of the cells."""
    with pytest.raises(InvalidRows) as caught:
        read_csv(data, where="people.csv", delimiter=",")
    assert words in str(caught.value)
    assert "people.csv" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_byte_order_mark_is_passed_over() -> None:
    """The first column's name does not begin with one."""
    assert {"a": ["1"]} == read_csv(
        b"\xef\xbb\xbfa\n1\n", where="x", delimiter=","
    )
