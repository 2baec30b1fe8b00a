"""`curtilage hierarchy`: look at hierarchies, and build tables of them."""

from pathlib import Path
from typing import Annotated

import typer

import anonymize
from api.cli.context import Json
from api.cli.output import Output, speaks

_Input = Annotated[
    Path,
    typer.Option(
        "--input",
        exists=True,
        dir_okay=False,
        help="CSV file, or Parquet by its suffix.",
    ),
]


def hierarchy_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Preview and build hierarchies for extracts.",
        no_args_is_help=True,
    )
    group.command("preview")(preview)
    group.command("build")(build)
    return group


@speaks
def preview(
    source: _Input,
    spec: Annotated[
        Path,
        typer.Option(
            exists=True, dir_okay=False, help="The specification, YAML."
        ),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Show each level of each quasi-identifier over the values of a file.

    For every level: labels that occur, rows under the rarest of them, the
    mean penalty (0 exact, 1 nothing left) and some labels.

    Example: curtilage hierarchy preview --input people.csv --spec s.yaml
    """
    terms = anonymize.read_spec(spec.read_bytes(), folder=spec.parent)
    voice = Output(as_json=as_json)
    rows = [
        (name, *row)
        for name, hierarchy in terms.hierarchies.items()
        for row in _levels(source, name, hierarchy, terms.delimiter)
    ]
    voice.table("levels", ("column", *_HEADS), rows)


@speaks
def build(
    source: _Input,
    column: Annotated[str, typer.Option(help="The column.")],
    rule: Annotated[
        str,
        typer.Option(help="A hierarchy as in a specification, YAML."),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Table to make, one row a value.")
    ],
    *,
    delimiter: Annotated[
        str, typer.Option(help="What stands between cells of the input.")
    ] = ",",
    as_json: Json = False,
) -> None:
    """Write a rule's labels of a column's values as a table, and preview it.

    The table has a value and its labels up to * in each row, `;` between
    them: the form that `hierarchy: {file: ...}` and ARX read. Edit it where
    the rule does not fit.

    Example: curtilage hierarchy build --input people.csv --column age
    --rule '{intervals: {low: 0, high: 99, widths: [5, 20]}}' --out age.csv
    """
    hierarchy = anonymize.read_hierarchy(
        rule.encode(), where=f"column {column}", folder=Path()
    )
    counts = anonymize.count_values(source, column, delimiter=delimiter)
    data = anonymize.hierarchy_csv(column, hierarchy, counts)
    rows = _levels(source, column, hierarchy, delimiter)
    with out.open("xb") as file:
        file.write(data)
    Output(as_json=as_json).table("levels", _HEADS, rows)


_HEADS = ("level", "labels", "rarest", "penalty", "examples")


def _levels(
    source: Path, column: str, hierarchy: anonymize.Hierarchy, delimiter: str
) -> list[tuple[object, ...]]:
    counts = anonymize.count_values(source, column, delimiter=delimiter)
    return [
        (
            each.level,
            each.labels,
            each.smallest,
            f"{each.penalty:.4f}",
            ", ".join(each.examples),
        )
        for each in anonymize.preview_levels(column, hierarchy, counts)
    ]
