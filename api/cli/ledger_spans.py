"""`curtilage ledger spans`: the processing log, row by row."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from api.cli.context import Json, instance
from api.cli.output import Output, speaks
from api.processing_log import ProcessingRow, rows
from api.spans import activities


@speaks
def spans(
    context: typer.Context,
    *,
    after: Annotated[
        int, typer.Option(help="only entries above this index")
    ] = -1,
    limit: Annotated[int, typer.Option(min=1, help="at most so many")] = 100,
    as_json: Json = False,
) -> None:
    """Show the processing log that a collector gets, oldest first.

    One row for each processing, as Logboek Dataverwerkingen has it: what was
    done, under which processing activity, about whom by a code of one month,
    and whose call it served. No value and no officer is in it.

    Example: curtilage ledger spans --limit 20 --json
    """
    out = Output(as_json=as_json)
    found: list[ProcessingRow] = []
    with instance(context).platform() as platform:
        for _last, page in rows(
            platform.ledger, activity=activities(platform), after=after
        ):
            found += page
            if len(found) >= limit:
                break
    shown = found[:limit]
    out.result(
        {"rows": [_members(one) for one in shown]},
        "\n".join(_line(one) for one in shown) or "Nothing was processed.",
    )


def _members(row: ProcessingRow) -> dict[str, Any]:
    told = asdict(row)
    for name in ("activity", "data_subject", "foreign"):
        told.pop(name)
    return told | {"attributes": row.attributes()}


def _line(row: ProcessingRow) -> str:
    subject = row.data_subject or "nobody named"
    return f"{row.index:>8}  {row.name:<13} {row.activity}  {subject}"
