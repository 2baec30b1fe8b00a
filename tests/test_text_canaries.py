"""Canaries in text: values of the vault are planted, and none leaves.

Every file of an extract, and a scrubbed file with its report, is searched
for every value of everybody by `ValueIndex`, which shares nothing with how a
person's own values are found but the folding.
"""

import datetime as dt
import re
from pathlib import Path

import pytest

from anonymize import (
    ExtractSpec,
    Intervals,
    KnownValue,
    Role,
    Scrubber,
    ScrubTerms,
    ValueIndex,
    build_extract,
    scrub_file,
)
from anonymize.known import KnownValues

KEY = bytes(range(32))
PEOPLE = 24
SURNAMES = "王李张刘陈杨赵黄"


def values_of(number: int) -> list[KnownValue]:
    """What the vault knows of a made-up person."""
    return [
        KnownValue(
            entity="PERSON",
            text=SURNAMES[number % 8]
            + "翀玥瀛旸"[number % 4]
            + "筑垚堃"[number % 3],
        ),
        KnownValue(entity="PHONE", text=f"139{number:04}7731"),
        KnownValue(entity="EMAIL", text=f"canary.{number}@town.example"),
        KnownValue(entity="CASE", text=f"QX{number:03}-LL-{number * 7:04}"),
    ]


KNOWN = {f"p{number:02}": values_of(number) for number in range(PEOPLE)}
EVERYTHING = [each for values in KNOWN.values() for each in values]


def note(number: int) -> str:
    """A note in which a person's values stand in several forms."""
    name, phone, mail, case = (each.text for each in values_of(number))
    wide = "".join(chr(ord(char) + 0xFEE0) for char in phone)
    return (
        f"{name}于2021-03-{1 + number % 20:02}来访，电话{wide}，"
        f"{phone[:3]}-{phone[3:7]}-{phone[7:]}，{mail.upper()}，"
        f"卷宗{case.lower().replace('-', ' ')}已转；{name[0]} {name[1:]}同意。"
    )


def extract_files(shift: int = 0) -> dict[str, bytes]:
    """Make an extract with those notes in a column of text."""
    spec = ExtractSpec(
        columns={"age": Role.QUASI, "note": Role.TEXT},
        hierarchies={"age": Intervals(low=0, high=99, widths=(10, 50))},
        k=3,
        recipient="r",
        person="id",
        pseudonym_key=KEY,
        language="zh",
        shift_dates=shift,
    )
    table = {
        "id": [*KNOWN],
        "age": [str(20 + number % 30) for number in range(PEOPLE)],
        "note": [note(number) for number in range(PEOPLE)],
    }
    return dict(build_extract(spec, table, known=KNOWN).files)


def canaries(files: dict[str, bytes]) -> int:
    """Count the values of anybody in files."""
    index = ValueIndex(EVERYTHING)
    return sum(len(index.find(data.decode())) for data in files.values())


def test_the_search_for_canaries_finds_them() -> None:
    """In the notes as they were, every value of everybody is found."""
    plain = "\n".join(note(number) for number in range(PEOPLE))
    found = {match.key for match in ValueIndex(EVERYTHING).find(plain)}

    assert ValueIndex(EVERYTHING).count == len(found)


def test_no_canary_leaves_in_an_extract() -> None:
    """Data, report and manifest hold nobody's value in any form."""
    assert canaries(extract_files()) == 0


def test_canaries_leave_where_known_values_are_not_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the layer of known values the case numbers get out."""
    monkeypatch.setattr(KnownValues, "find", lambda *_: [])

    assert canaries(extract_files()) > 0


def test_no_canary_leaves_in_a_scrubbed_file(tmp_path: Path) -> None:
    """Neither the text, nor the report, nor an error holds a value."""
    source, out = tmp_path / "notes.txt", tmp_path / "out.txt"
    report = tmp_path / "report.json"
    source.write_text("\n".join(map(note, range(PEOPLE))), "utf-8")
    terms = ScrubTerms(everybody=ValueIndex(EVERYTHING))

    scrub_file(
        source, out, report, terms, lambda *_: None, scrubber=Scrubber()
    )

    files = {path.name: path.read_bytes() for path in (out, report)}
    assert canaries(files) == 0


def test_dates_in_an_extract_move_by_person() -> None:
    """The days of visits are gone; each is a date of the same form."""
    data = extract_files(shift=200)["data.csv"].decode()
    dates = re.findall(r"于(\d{4}-\d\d-\d\d)来访", data)

    assert len(dates) >= PEOPLE - 3
    assert all(dt.date.fromisoformat(each) for each in dates)
    assert len({*dates}) > 10
    assert sum(each.startswith("2021-03") for each in dates) < PEOPLE / 2
