"""`curtilage scrub`: take what is personal out of one file of text."""

from pathlib import Path
from typing import Annotated

import typer

import anonymize
from api.cli.context import Json
from api.cli.output import Output, speaks


@speaks
def scrub(  # noqa: PLR0917 - typer reads the options from here
    source: Annotated[
        Path,
        typer.Option(
            "--input",
            exists=True,
            dir_okay=False,
            help="Text, CSV, JSON, DOCX or PDF, by its suffix.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="File to make. Of DOCX and PDF it holds the text alone.",
        ),
    ],
    report: Annotated[
        Path | None,
        typer.Option("--report", help="JSON report to make: counts only."),
    ] = None,
    known: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="What is known of the people concerned: lines of a kind "
            "such as PERSON, a tab, and a value.",
        ),
    ] = None,
    everybody: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="What is known of everybody in a register, in the form of "
            "--known: a million values and more are found in one pass, "
            "however they are spaced or cased.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Column of a CSV file to search; repeat."),
    ] = None,
    person: Annotated[
        str,
        typer.Option(help="Column of a CSV file that says whose row it is."),
    ] = "",
    language: Annotated[
        str, typer.Option(help="en or zh; by default looked up in the text.")
    ] = "",
    encoding: Annotated[
        str, typer.Option(help="Of text, CSV and JSON.")
    ] = "utf-8",
    date_key: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="File of 32 random bytes or more: move each person's dates "
            "by a number of days of their own, rather than label them.",
        ),
    ] = None,
    date_days: Annotated[
        int, typer.Option(help="Farthest that dates are moved.")
    ] = 365,
    day_first: Annotated[
        bool | None,
        typer.Option(
            "--day-first/--month-first", help="How 03/04/2021 is read."
        ),
    ] = None,
    *,
    tags: Annotated[
        bool, typer.Option("--tags", help="Write <PERSON_3>, not Person 3.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Replace names, numbers and addresses in a file by numbered labels.

    The same value has the same label throughout. What rules can find is
    found; only what is handed in with --known or --everybody is found for
    certain: of --known also in other forms, such as initials and the last
    digits.

    Example: curtilage scrub --input note.docx --out note.txt
    --report note.json --known people.tsv
    """
    voice = Output(as_json=as_json)
    terms = anonymize.ScrubTerms(
        columns=tuple(column or ()),
        person=person or None,
        language=language,
        encoding=encoding,
        style=anonymize.Style.TAGS if tags else anonymize.Style.WORDS,
        known=() if known is None else anonymize.read_known(known),
        everybody=(
            None
            if everybody is None
            else anonymize.ValueIndex(anonymize.read_known(everybody))
        ),
        shift_key=None if date_key is None else date_key.read_bytes(),
        shift_within=date_days,
        day_first=day_first,
    )
    with voice.progress("Searching", None) as advance:
        done = 0

        def tell(_stage: str, now: int, _total: int) -> None:
            nonlocal done
            advance(max(0, now - done))
            done = now

        summary = anonymize.scrub_file(source, out, report, terms, tell)
    voice.result({"out": str(out), **summary})
