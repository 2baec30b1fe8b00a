"""A file goes in row by row; what does not is named without a value."""

import csv
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_vault import World, world
from vault import (
    DuplicateIdentifier,
    ImportMapping,
    ImportRefused,
    import_csv,
    load_mapping,
    standard_catalogue,
)

__all__ = ["world"]

MAPPING = """\
version: 1
columns:
  given: user.name.given
  born: user.bdate
  email: user.home-info.online.email
  sex: {attribute: user.gender, values: {M: male, F: female}}
constants: {user.home-info.postal.country: CN}
ignore: [id]
"""
HEADER = "id,given,born,email,sex\n"
Rows = list[dict[str, str]]


def mapping(tmp_path: Path, text: str = MAPPING) -> ImportMapping:
    """Load a mapping."""
    path = tmp_path / "map.yaml"
    path.write_text(text, "utf-8")
    return load_mapping(path, standard_catalogue())


class Run:
    """One import into a list."""

    def __init__(
        self,
        tmp_path: Path,
        content: str | bytes,
        *,
        text: str = MAPPING,
        batch: int = 500,
        write: Callable[[Rows], None] | None = None,
    ) -> None:
        path = tmp_path / "people.csv"
        raw = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(raw)
        self.batches: list[Rows] = []
        self.bytes = 0
        self.rejects = tmp_path / "rejects.csv"
        self.report = import_csv(
            path,
            mapping(tmp_path, text),
            batch=batch,
            write=write or self.batches.append,
            rejects=self.rejects,
            progress=self.add,
        )

    def add(self, count: int) -> None:
        """Count the bytes read."""
        self.bytes += count

    @property
    def rows(self) -> Rows:
        """Give all rows written."""
        return [row for batch in self.batches for row in batch]

    @property
    def rejected(self) -> list[tuple[str, str, str]]:
        """Read the rejects file."""
        with self.rejects.open(encoding="utf-8", newline="") as file:
            _, *rest = csv.reader(file)
        return [(line, column, reason) for line, column, reason in rest]


def test_rows_become_values(tmp_path: Path) -> None:
    """Columns, value maps and constants; empty cells are left out."""
    run = Run(
        tmp_path,
        HEADER
        + "1, Ada ,1980-12-10,Ada@X.org,F\n\n"
        + '2,"Bob, ""Bo""",,,M\r\n',
    )

    assert [
        {
            "user.home-info.postal.country": "CN",
            "user.name.given": "Ada",
            "user.bdate": "1980-12-10",
            "user.home-info.online.email": "Ada@x.org",
            "user.gender": "female",
        },
        {
            "user.home-info.postal.country": "CN",
            "user.name.given": 'Bob, "Bo"',
            "user.gender": "male",
        },
    ] == run.rows
    assert (2, 2, 0, {}) == (
        run.report.rows,
        run.report.accepted,
        run.report.rejected,
        run.report.reasons,
    )
    assert [] == run.rejected


BAD_ROWS = {
    b"9,Ada,1980-13-10,,F": ("born", "not-a-date"),
    b"9,Ada,1980-12-10,nowhere,F": ("email", "not-an-email"),
    b"9,Ada,,,female": ("sex", "unmapped-value"),
    b"9," + b"x" * 101 + b",,,F": ("given", "too-long"),
    b"9,A\0da,,,F": ("given", "control-character"),
    b"9,A\xffda,,,F": ("", "wrong-encoding"),
    b"9,Ada,,": ("", "wrong-column-count"),
    b"9,Ada,,,F,extra": ("", "wrong-column-count"),
    b"9,,,,": ("", "empty-row"),
    b'9,"Ada"x,,,F': ("", "malformed-quotes"),
    b"9,A\rda,,,F": ("", "malformed-quotes"),
    b"9," + b"x" * 140_000 + b",,,F": ("", "line-too-long"),
    b"9,A\xe2\x80\xaeda,,,F": ("given", "forbidden-character"),
}


@pytest.mark.parametrize("bad", BAD_ROWS, ids=lambda bad: bad[:12].hex())
def test_a_bad_row_is_named_and_the_rest_goes_in(
    tmp_path: Path, bad: bytes
) -> None:
    """Line, column, reason; the rows before and after are accepted."""
    content = HEADER.encode() + b"1,Ada,,,F\n" + bad + b"\n2,Bob,,,M\n"

    run = Run(tmp_path, content)

    column, reason = BAD_ROWS[bad]
    assert [("3", column, reason)] == run.rejected
    assert ["Ada", "Bob"] == [row["user.name.given"] for row in run.rows]
    assert {reason: 1} == run.report.reasons
    assert (3, 2, 1) == (
        run.report.rows,
        run.report.accepted,
        run.report.rejected,
    )
    assert len(content) == run.bytes


def test_a_quote_never_closed_costs_its_own_line(tmp_path: Path) -> None:
    """The rows behind it are not swallowed."""
    people = "".join(f"{n},P{n},,,M\n" for n in range(300))

    run = Run(tmp_path, HEADER + '0,"Ada,,,F\n' + people)

    assert [("2", "", "unclosed-quote")] == run.rejected
    assert 300 == len(run.rows)


def test_a_cell_may_span_lines(tmp_path: Path) -> None:
    """Line numbers count the file's lines, and name where a row began."""
    text = "version: 1\ncolumns: {n: user.case.note, b: user.bdate}\n"

    run = Run(tmp_path, 'n,b\n"one\ntwo",\n"x\ny\nz",bad\nw,\n', text=text)

    assert ["one\ntwo", "w"] == [row["user.case.note"] for row in run.rows]
    assert [("4", "b", "not-a-date")] == run.rejected


def test_a_broken_note_does_not_become_rows(tmp_path: Path) -> None:
    """Lines inside a malformed cell are part of its row, whatever they say."""
    text = "version: 1\ncolumns: {n: user.case.note, b: user.bdate}\n"

    run = Run(
        tmp_path,
        b'n,b\n"a\xff\nplanted,1980-01-01\n",\n"c\nplanted,\n"d,\ne,\n',
        text=text,
    )

    assert ["e"] == [row["user.case.note"] for row in run.rows]
    assert [
        ("2", "", "wrong-encoding"),
        ("5", "", "malformed-quotes"),
    ] == run.rejected


def test_the_rejects_file_is_private_and_without_values(
    tmp_path: Path,
) -> None:
    """Mode 0600, even over a file that was open to all; no cell in it."""
    (tmp_path / "rejects.csv").write_text("old")
    (tmp_path / "rejects.csv").chmod(0o644)

    run = Run(tmp_path, HEADER + "1,Secretname,1999-99-99,x@y.org,F\n")

    assert 0o600 == stat.S_IMODE(run.rejects.stat().st_mode)
    text = run.rejects.read_bytes()
    assert b"line,column,reason\r\n2,born,not-a-date\r\n" == text


@pytest.mark.parametrize(
    ("header", "what"),
    [
        (b"", "empty"),
        (b"id,given,born,sex\n", "lacks 1 mapped columns, first 'email'"),
        (b"id;given;born;email;sex\n", "lacks 4 mapped columns"),
        (b"id,given,born,email,sex,sex\n", "column 5 .* twice"),
        (b"id,given,born,email,sex,shoe\n", "column 6 .* neither"),
        (b"id,given,born,email,\xff\n", "cannot be read: wrong-encoding"),
    ],
)
def test_a_header_that_does_not_fit(
    tmp_path: Path, header: bytes, what: str
) -> None:
    """The whole file is refused before anything is written."""
    with pytest.raises(ImportRefused, match=what):
        Run(tmp_path, header + b"1,Ada,,,F\n" * bool(header))


def test_a_file_without_a_header_shows_nobody(tmp_path: Path) -> None:
    """The first person, taken for a header, is not in the message."""
    with pytest.raises(ImportRefused) as caught:
        Run(tmp_path, "1,Secretname,1980-12-10,ada@x.org,F\n")

    assert "ecret" not in str(caught.value)
    assert "ada" not in str(caught.value)


def test_other_encodings_and_a_byte_order_mark(tmp_path: Path) -> None:
    """GB 18030 is read as it is; a mark before the header is dropped."""
    text = "version: 1\nencoding: gb18030\ncolumns: {姓名: user.name.given}\n"
    run = Run(tmp_path, "姓名\n王小明\n".encode("gb18030"), text=text)
    assert ["王小明"] == [row["user.name.given"] for row in run.rows]

    run = Run(tmp_path, b"\xef\xbb\xbf" + HEADER.encode() + b"1,Ada,,,F\n")
    assert ["Ada"] == [row["user.name.given"] for row in run.rows]


def test_batches_have_the_size_asked_for(tmp_path: Path) -> None:
    """Only accepted rows count towards a batch."""
    people = "".join(f"{n},P{n},{'x' * (n == 3)},,M\n" for n in range(8))

    run = Run(tmp_path, HEADER + people, batch=3)

    assert [3, 3, 1] == [len(batch) for batch in run.batches]
    with pytest.raises(ValueError, match="at least one"):
        Run(tmp_path, HEADER, batch=0)


def test_a_duplicate_without_positions_is_found_by_halving(
    tmp_path: Path,
) -> None:
    """A constraint that cannot say who still costs one row only."""
    written: Rows = []

    def write(rows: Rows) -> None:
        name = "user.home-info.online.email"
        if any(row[name] == "p5@x.org" for row in rows):
            raise DuplicateIdentifier(name, ())
        written.extend(rows)

    people = "".join(f"{n},P{n},,p{n}@x.org,M\n" for n in range(9))
    run = Run(tmp_path, HEADER + people, write=write)

    assert [("7", "email", "duplicate-identifier")] == run.rejected
    assert [f"P{n}" for n in (0, 1, 2, 3, 4, 6, 7, 8)] == [
        row["user.name.given"] for row in written
    ]


def test_another_error_of_the_writer_ends_the_import(tmp_path: Path) -> None:
    """Only duplicates are a row's fault."""

    def write(_: Rows) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Run(tmp_path, HEADER + "1,Ada,,,F\n", write=write)


def test_an_import_into_a_vault(world: World, tmp_path: Path) -> None:
    """Duplicates inside the file and against the vault are refused."""
    vault, name = world.vault, "user.home-info.online.email"
    ada = world.person({name: "ada@x.org"})

    def write(rows: Rows) -> None:
        people = vault.enrol_many(len(rows))
        with world.data.begin() as conn:
            vault.put_many(
                conn, zip(people, rows, strict=True), source="census"
            )

    emails = ["b@x.org", "ADA@x.org", "c@x.org", "B@x.org", "d@x.org"]
    people = "".join(
        f"{n},P{n},,{email},M\n" for n, email in enumerate(emails)
    )
    run = Run(
        tmp_path, HEADER + people + "5,P5,,c@x.org,M\n", write=write, batch=5
    )

    assert [
        ("3", "email", "duplicate-identifier"),
        ("5", "email", "duplicate-identifier"),
        ("7", "email", "duplicate-identifier"),
    ] == run.rejected
    assert ada == vault.look_up.find(name, "ada@x.org")
    found = vault.look_up.find(name, "d@x.org")
    assert found is not None
    assert "P4" == world.read(found)["user.name.given"]
    assert 4 == len(list(vault.subjects()))


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_no_file_breaks_the_import(
    tmp_path_factory: pytest.TempPathFactory, body: bytes
) -> None:
    """Whatever the bytes, each row is accepted or named, none twice."""
    run = Run(
        tmp_path_factory.mktemp("fuzz"),
        HEADER.encode() + body + b"\n1,Ada,,,F\n",
    )

    assert run.report.rows == len(run.rows) + len(run.rejected)
    assert run.report.rejected == len(run.rejected)
    lines = [int(line) for line, _, _ in run.rejected]
    assert sorted(set(lines)) == lines
