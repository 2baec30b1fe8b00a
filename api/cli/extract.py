"""`curtilage extract`: de-identify a plain file; no vault is involved."""

from pathlib import Path
from typing import Annotated

import typer

import anonymize
from api.cli.context import Json
from api.cli.output import Output, speaks


def extract_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="De-identify a CSV file by a specification.",
        no_args_is_help=True,
    )
    group.command("run")(run)
    group.command("check")(check)
    return group


@speaks
def run(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV file.")
    ],
    spec: Annotated[
        Path,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="YAML: roles of columns, hierarchies, k, l, limit.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder to make for the result.")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Write data.csv, report and manifest; nothing if the criteria fail.

    Example: curtilage extract run people.csv --spec people.yaml --out out
    """
    voice = Output(as_json=as_json)
    with voice.progress("De-identifying", None) as advance:
        extract = anonymize.extract_file(
            file, spec, out, lambda _stage, _done, _total: advance(0)
        )
    report = extract.report
    voice.result(
        {
            "folder": str(out),
            "rows_in": report.rows_in,
            "rows_out": report.rows_out,
            "k": report.k_reached,
            "l": report.l_reached,
            "ncp": round(report.ncp, 4),
            "manifest": extract.manifest_digest,
        }
    )


@speaks
def check(
    folder: Annotated[
        Path,
        typer.Argument(exists=True, file_okay=False, help="An extract."),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Check an extract's files against its manifest and criteria again.

    Example: curtilage extract check out
    """
    checked = anonymize.check_folder(folder, None)
    Output(as_json=as_json).result(
        {"folder": str(folder), "k": checked.k, "l": checked.l}
    )
