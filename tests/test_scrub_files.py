"""Files of text in, the same without what is personal out, nothing hostile."""

import csv
import datetime as dt
import gc
import io
import json
import os
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymize import (
    DocumentUnreadable,
    InvalidSpec,
    KnownValue,
    LabelBook,
    OutputExists,
    Scrubber,
    ScrubTerms,
    Style,
    TextTooLong,
    ValueIndex,
    read_known,
    scrub_file,
)
from anonymize.dates import DateShift
from anonymize.documents import read_document
from anonymize.documents_child import MEGABYTE, Limits
from anonymize.passages import OVERLAP, PIECE

ROOT = Path(__file__).parents[1]
KEY = bytes(range(32))
SCRUBBER = Scrubber()
KNOWN = (
    KnownValue(entity="PERSON", text="Alfa Bravo"),
    KnownValue(entity="PERSON", text="张伟"),
)


def silent(_stage: str, _done: int, _total: int) -> None:
    """Tell nobody."""


def scrubbed(
    path: Path, terms: ScrubTerms | None = None
) -> tuple[str, dict[str, object]]:
    """Scrub a file; return what was written and the report."""
    out, report = path.with_name("out"), path.with_name("report.json")
    for made in (out, report):
        made.unlink(missing_ok=True)
    summary = scrub_file(
        path,
        out,
        report,
        terms or ScrubTerms(known=KNOWN),
        silent,
        scrubber=SCRUBBER,
    )
    assert summary == json.loads(report.read_bytes())
    return out.read_bytes().decode(), summary


def test_a_text_has_words_for_what_was_in_it(tmp_path: Path) -> None:
    """One value has one number, and the report has counts alone."""
    path = tmp_path / "note.txt"
    path.write_text(
        "Alfa Bravo rang 138-1234-1234.\nALFA BRAVO again; 13812341234.\n",
        "utf-8",
    )

    text, report = scrubbed(path)

    assert text == "Person 1 rang Phone 1.\nPerson 1 again; Phone 1.\n"
    assert report["labels"] == {"PERSON": 1, "PHONE": 1}
    assert report["known_values_found"] == 2
    assert "Alfa" not in json.dumps(report)
    assert 0o600 == (tmp_path / "out").stat().st_mode & 0o777


def test_a_label_that_was_there_does_not_collide(tmp_path: Path) -> None:
    """A text that says Person 1 already does not stand for ours."""
    path = tmp_path / "note.txt"
    path.write_text("Person 1 and <PERSON_1> met Alfa Bravo", "utf-8")

    text, _ = scrubbed(path)

    assert text == "Quotation 1 and Quotation 2 met Person 1"


def test_columns_of_a_csv_file_are_searched(tmp_path: Path) -> None:
    """Only those named; the person's column does not leave."""
    path = tmp_path / "notes.csv"
    path.write_text(
        'id,code,note\r\np1,13812341234,"rang 13812341234, twice"\r\n'
        'p2,7,"张伟\n来访"\r\n',
        "utf-8",
    )
    terms = ScrubTerms(columns=("note",), person="id", known=KNOWN)

    text, _ = scrubbed(path, terms)

    assert [*csv.reader(io.StringIO(text))] == [
        ["code", "note"],
        ["13812341234", "rang Phone 1, twice"],
        ["7", "Person 1\n来访"],
    ]


def test_strings_numbers_and_names_of_json_are_searched(
    tmp_path: Path,
) -> None:
    """A telephone number that is a number goes too; other numbers stay."""
    path = tmp_path / "notes.json"
    path.write_text(
        '{"Alfa Bravo": [13812341234, 7, 1.50, null, true, "to 张伟"]}',
        "utf-8",
    )

    text, _ = scrubbed(path)

    assert json.loads(text) == {
        "Person 1": ["Phone 1", 7, 1.5, None, True, "to Person 2"]
    }


def test_all_places_of_a_docx_file_are_searched(tmp_path: Path) -> None:
    """Paragraphs, tables, headers; its metadata does not leave."""
    path = tmp_path / "letter.docx"
    document = docx.Document()
    document.core_properties.author = "Alfa Bravo"
    document.add_paragraph("Dear ").add_run("Alfa ").bold = True
    document.paragraphs[0].add_run("Bravo,")
    document.add_table(1, 1).cell(0, 0).text = "phone 13812341234"
    document.sections[0].header.paragraphs[0].text = "张伟"
    document.save(str(path))

    text, _ = scrubbed(path)

    assert "Dear Person 1," in text
    assert "phone Phone 1" in text
    assert not {"Alfa", "Bravo", "张伟", "138"} & {
        word for word in ("Alfa", "Bravo", "张伟", "138") if word in text
    }


def pdf(content: bytes, *, flate: bool = False, padding: int = 0) -> bytes:
    """Make a PDF file of one page with a stream, and a comment as padding."""
    packed = zlib.compress(content, 9) if flate else content
    kind = b" /Filter /FlateDecode" if flate else b""
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] %s >>"
        % b"/Contents 4 0 R /Resources << /Font << /F 5 0 R >> >>",
        b"<< /Length %d%s >>\nstream\n%s\nendstream"
        % (len(packed), kind, packed),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    out += b"%" + b"x" * padding + b"\n"
    at = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n"
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + (
        b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % at
    )


def test_the_text_of_a_pdf_file_is_searched(tmp_path: Path) -> None:
    """Its text comes out, and nothing else of it."""
    path = tmp_path / "letter.pdf"
    path.write_bytes(
        pdf(b"BT /F 12 Tf 10 100 Td (Alfa Bravo rang 13812341234) Tj ET")
    )

    text, _ = scrubbed(path)

    assert text == "Person 1 rang Phone 1"


def zip_of(path: Path, parts: dict[str, bytes]) -> Path:
    """Write an archive with the suffix of a DOCX file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


ENTITIES = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(
        b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10)
        for n in range(9)
    )
    + b"]><a>&j;</a>"
)


def hostile(folder: Path) -> dict[str, Path]:
    """Files made to exhaust who reads them, or that are not what they say."""
    bare = folder / "bare.docx"
    docx.Document().save(str(bare))
    with zipfile.ZipFile(bare) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    bomb = {**parts, "word/media/a.bin": bytes(40 * MEGABYTE)}
    many = {f"{number}.xml": b"" for number in range(6_000)}
    laughs = {**parts, "word/document.xml": ENTITIES}
    files = {
        "swollen": zip_of(folder / "swollen.docx", bomb),
        "many": zip_of(folder / "many.docx", many),
        "laughs": zip_of(folder / "laughs.docx", laughs),
    }
    for name, data in {
        "no.docx": b"not a zip",
        "no.pdf": b"not a pdf",
        "bomb.pdf": pdf(b"(" + b"q " * 60 * MEGABYTE + b")", flate=True),
        "no.json": b"{",
        "deep.json": b"[" * 200_000,
        "nested.json": b"[" * 500 + b"]" * 500,
        "ragged.csv": b"a,b\n1\n",
        "empty.csv": b"",
        "utf16.txt": "text".encode("utf-16"),
        "gbk.txt": "张伟".encode("gb18030"),
        "zero.txt": b"a\0b",
        "a.exe": b"MZ",
    }.items():
        (folder / name).write_bytes(data)
        files[name] = folder / name
    return files


def test_hostile_files_end_in_one_clear_error(tmp_path: Path) -> None:
    """Bombs, wrong encodings and lies are refused; nothing is written."""
    limits = Limits(memory_bytes=1_024 * MEGABYTE, seconds=20)
    for name, path in hostile(tmp_path).items():
        out = tmp_path / "out.txt"
        with pytest.raises((TextTooLong, DocumentUnreadable)) as refused:
            scrub_file(
                path,
                out,
                None,
                ScrubTerms(limits=limits),
                silent,
                scrubber=SCRUBBER,
            )
        assert path.name in str(refused.value), name
        assert len(str(refused.value)) < 250, name
        assert not out.exists(), name


def test_the_limits_are_what_refuses_a_swollen_archive(
    tmp_path: Path,
) -> None:
    """Without them the archive would be unfolded: they are no decoration."""
    path = hostile(tmp_path)["swollen"]
    lax = Limits(unpacked_bytes=1 << 40, ratio=1 << 30)

    read = read_document(path, limits=lax)

    assert "".join(read.passages) == ""


def test_the_process_that_reads_is_bound_in_memory(tmp_path: Path) -> None:
    """A file that takes more than is allowed ends in an error, else not."""
    path = tmp_path / "wide.pdf"
    text = b"BT /F 12 Tf 10 100 Td (alfa) Tj ET"
    path.write_bytes(pdf(text, padding=100 * MEGABYTE))

    with pytest.raises(TextTooLong, match="memory"):
        read_document(path, limits=Limits(memory_bytes=150 * MEGABYTE))
    assert read_document(path).passages == ["alfa"]


def test_a_file_above_its_size_is_refused_unread(tmp_path: Path) -> None:
    """What is too large is told by its size."""
    path = tmp_path / "large.txt"
    with path.open("wb") as file:
        file.truncate(200 * MEGABYTE)

    with pytest.raises(TextTooLong, match="split it"):
        read_document(path)


def test_another_encoding_can_be_named(tmp_path: Path) -> None:
    """An older Chinese file is read when its encoding is said."""
    path = tmp_path / "old.txt"
    path.write_bytes("来访人张伟".encode("gb18030"))

    text, _ = scrubbed(path, ScrubTerms(encoding="gb18030", known=KNOWN))

    assert text == "来访人Person 1"


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """An output that exists is left as it is."""
    path = tmp_path / "note.txt"
    path.write_text("Alfa Bravo", "utf-8")

    with pytest.raises(OutputExists):
        scrub_file(path, path, None, ScrubTerms(), silent, scrubber=SCRUBBER)

    assert path.read_text("utf-8") == "Alfa Bravo"


@pytest.mark.parametrize("shift", [0, 1, 7, OVERLAP // 2])
def test_a_value_across_two_pieces_of_a_long_text_is_found(
    shift: int,
) -> None:
    """However a long text is cut, no known value is lost at the cut."""
    value = "13812341234"
    text = "字" * (PIECE - shift) + value + "字" * 2_000
    known = [KnownValue(entity="PHONE", text=value)]

    (found,) = SCRUBBER.find_all([text], language="zh", known=known)

    assert value in {text[each.start : each.end] for each in found}


def test_a_name_found_in_one_passage_is_found_in_all() -> None:
    """A cue in the first of many passages holds for the last, far away."""
    last = "later AB 123456 was shown"
    passages = ["passport no AB123456", *["alfa bravo " * 60] * 100, last]

    found = SCRUBBER.find_all(passages, language="en")

    assert [] == SCRUBBER.find(last, language="en")
    assert ["PASSPORT"] == [each.entity for each in found[-1]]


def test_a_long_text_takes_no_more_than_its_share() -> None:
    """Where everything is found everywhere, six times is no square."""
    line = "来访人张伟，手机13812341234。"

    def cost(lines: int) -> float:
        """Return the processor's seconds of a search."""
        before = os.times().user
        found = SCRUBBER.find_all([line * lines], language="zh")
        assert len(found[0]) >= 2 * lines
        return os.times().user - before

    def least(lines: int) -> float:
        """Return the cost without what a busy machine adds to one search."""
        return min(cost(lines) for _ in range(3))

    gc.collect()
    gc.disable()  # else it goes through all that other tests have left
    try:
        short, long = least(3_000), least(18_000)
    finally:
        gc.enable()

    assert long < 18 * max(short, 0.1), (short, long)


def test_every_value_of_the_vault_is_found() -> None:
    """Whatever its width, case and separators, among 100,000 values."""
    values = [
        KnownValue(entity="PHONE", text=f"139{number:08}")
        for number in range(100_000)
    ]
    values += [
        KnownValue(entity="PERSON", text="Alfa Bravo"),
        KnownValue(entity="PERSON", text="张伟"),
        KnownValue(entity="PERSON", text="高"),
    ]
    index = ValueIndex(values)
    text = "ALFA-bravo,１３９ 0009-9999;张 伟;高速;Alfabravos;139000000001"

    found = {text[m.start : m.end] for m in index.find(text)}

    assert index.count == 100_002
    assert {"ALFA-bravo", "１３９ 0009-9999", "张 伟"} <= found
    assert not {"高", "Alfabravo"} & found


def test_a_form_has_the_key_of_its_value() -> None:
    """A name in the other order is the same person, and has one label."""
    value = KnownValue(entity="PERSON", text="Alfa Bravo")
    index = ValueIndex([value], [(value, "Bravo Alfa"), (value, "高")])

    found = index.find("Alfa Bravo; BRAVO, ALFA; 高速")

    assert ["alfabravo"] * 2 == [match.key for match in found]
    assert {"PERSON"} == {match.entity for match in found}


@settings(max_examples=200, deadline=None)
@given(
    st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)),
    st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)),
    st.text(min_size=1, max_size=8),
    st.integers(1, 3650),
)
def test_dates_of_a_person_keep_their_order_and_distance(
    one: dt.date, other: dt.date, person: str, within: int
) -> None:
    """Both move by the same days, not by none, and not beyond what is said."""
    shift = DateShift(KEY, person, within=within)
    first, second = shift.move(one.isoformat()), shift.move(str(other))

    assert first is not None
    assert second is not None
    moved = dt.date.fromisoformat(first) - one
    assert moved == dt.date.fromisoformat(second) - other
    assert 1 <= abs(moved.days) <= within


def test_dates_move_in_every_form_and_by_the_key() -> None:
    """Each form is kept; another key or person moves by other days."""
    shift = DateShift(KEY, "p1", within=3650, day_first=True)
    plain = shift.move("2021-03-04")
    forms = ("2021年3月4日", "4 March 2021", "March 4, 2021", "04/03/2021")
    moved = {shift.move(form) for form in forms}

    assert plain is not None
    date = dt.date.fromisoformat(plain)
    assert f"{date.year}年{date.month}月{date.day}日" in moved
    assert f"{date:%d/%m/%Y}" in moved
    assert len(moved) == 4
    assert None not in moved
    others = {
        DateShift(key, person, within=3650).move("2021-03-04")
        for key, person in ((KEY[::-1], "p1"), (KEY, "p2"), (KEY, "p3"))
    }
    assert plain not in others
    assert DateShift(KEY, "p1", within=9).move("03/04/2021") is None
    assert shift.move("May 2021") is None
    assert shift.move("9999-12-31") in {None, shift.move("9999-12-31")}
    with pytest.raises(InvalidSpec):
        DateShift(b"short", "p1", within=9)


def test_dates_in_a_file_move_by_person(tmp_path: Path) -> None:
    """The distance of two dates of a row stays, and days are gone."""
    path = tmp_path / "visits.csv"
    path.write_text("id,note\np1,2021-03-01 and 2021-03-11\np2,2021-03-01\n")
    terms = ScrubTerms(columns=("note",), person="id", shift_key=KEY)

    text, report = scrubbed(path, terms)

    first, second = text.splitlines()[1].split(" and ")
    days = dt.date.fromisoformat(second) - dt.date.fromisoformat(first)
    assert days.days == 10
    assert "2021-03-01" not in text
    assert text.splitlines()[2] != first
    assert report["dates_moved"] == 3


def test_labels_in_words_have_no_two_values() -> None:
    """Two people never share a number, whatever the style."""
    text = SCRUBBER.scrub("张伟 rang; Alfa Bravo", language="zh", known=KNOWN)

    assert LabelBook(Style.WORDS).write(text) == "Person 1 rang; Person 2"
    assert LabelBook(Style.TAGS).write(text) == "<PERSON_1> rang; <PERSON_2>"


def test_known_values_are_read_and_never_quoted(tmp_path: Path) -> None:
    """A malformed line is named by its number."""
    path = tmp_path / "known.tsv"
    path.write_text("PERSON\tAlfa Bravo\nphone\t13812341234\n", "utf-8")
    assert [each.entity for each in read_known(path)] == ["PERSON", "PHONE"]

    path.write_text("PERSON\tAlfa Bravo\nSECRET VALUE\n", "utf-8")
    with pytest.raises(DocumentUnreadable, match="line 2") as refused:
        read_known(path)
    assert "SECRET" not in str(refused.value)


@pytest.mark.slow
def test_the_command_scrubs_without_a_socket(tmp_path: Path) -> None:
    """`curtilage scrub` works where every socket is refused."""
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\n"
        "def refuse(*a, **k):\n    raise SystemExit('a socket')\n"
        "socket.socket.connect = refuse\n"
        "socket.getaddrinfo = refuse\n"
    )
    source, out = tmp_path / "note.txt", tmp_path / "out.txt"
    register = tmp_path / "register.tsv"
    register.write_text("CASE\tqz7000001\nCASE\tqz7000002\n", "utf-8")
    source.write_text(
        "mail a@example.com, ring 13812341234, case QZ-7000001", "utf-8"
    )
    command = [
        str(Path(sys.executable).with_name("curtilage")),
        "scrub", "--input", str(source), "--out", str(out), "--json",
        "--everybody", str(register),
    ]  # fmt: skip
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
    )

    assert out.read_text("utf-8") == (
        "mail Mail address 1, ring Phone 1, case Case 1"
    )
    assert json.loads(done.stdout)["findings"] == {
        "CASE": 1,
        "EMAIL": 1,
        "PHONE": 1,
    }
    again = subprocess.run(command, check=False, capture_output=True)
    assert again.returncode in {1, 2}
    assert b"exists" in again.stderr
