"""`curtilage extract`: de-identify a plain file; no vault is involved."""

from pathlib import Path
from typing import Annotated

import typer

import anonymize
from api.cli.context import Json
from api.cli.output import Output, speaks


def extract_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(invoke_without_command=True)
    group.callback()(plain)
    group.command("run")(run)
    group.command("check")(check)
    return group


@speaks
def plain(
    context: typer.Context,
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            exists=True,
            dir_okay=False,
            help="CSV file, or Parquet by its suffix.",
        ),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="YAML: roles of columns, hierarchies, k, l, models, limit.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to make, CSV or Parquet."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Report to make, JSON or .md."),
    ] = None,
    *,
    spark: Annotated[
        bool,
        typer.Option(
            "--spark",
            help="Count and write with Spark; --out is a folder of Parquet.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """De-identify a CSV or Parquet file; nothing if the criteria fail.

    Files without free text are streamed, so that they may be larger than
    the memory. What is written is read back and checked by code that did
    not make it before it gets its name.

    The specification is YAML: `recipient`, `k`, `l`, `suppression_limit`,
    and under `columns` the role of each (direct, quasi, sensitive, text or
    other; quasi with a hierarchy). README has one under "Running it",
    and `curtilage hierarchy preview` shows what hierarchies make of a file.

    Example: curtilage extract --input people.csv --spec people.yaml
    --out extract.csv --report extract.json
    """
    if context.invoked_subcommand is not None:
        if source or spec or out or report:
            msg = "options of `extract` itself go without a command after it"
            raise typer.BadParameter(msg)
        return
    if not (source or spec or out or report):
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)
    if source is None or spec is None or out is None:
        msg = "give --input, --spec and --out; see curtilage extract --help"
        raise typer.BadParameter(msg)
    if report is not None and report.suffix not in {".json", ".md"}:
        msg = (
            f"{report.name}: a report here is .json or .md; pages and PDF are"
            " made of a release, by curtilage release report"
        )
        raise typer.BadParameter(msg)
    voice = Output(as_json=as_json)
    with voice.progress("De-identifying", None) as advance:
        extract = anonymize.extract_plain(
            source,
            spec,
            out,
            report,
            lambda _stage, _done, _total: advance(0),
            cluster=spark,
        )
    voice.result({"file": str(out), **_figures(extract.report)})


def _figures(report: anonymize.ReleaseReport) -> dict[str, object]:
    return {
        "rows_in": report.rows_in,
        "rows_out": report.rows_out,
        "k": report.k_reached,
        "l": report.l_reached,
        "models": {model: reached for model, reached, _ in report.models},
        "ncp": round(report.ncp, 4),
    }


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
    voice.result(
        {
            "folder": str(out),
            **_figures(extract.report),
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
