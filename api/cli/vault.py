"""`curtilage vault`: bring people in, and sweep what is stored."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import Actor, Json, instance, officer
from api.cli.indexes import index_commands
from api.cli.output import Output, Tally, counted, everybody, speaks
from api.cli.records import add_record_commands
from api.databases import count_rows
from policy import EpochWitness
from vault import import_csv, load_mapping, standard_catalogue

File = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="CSV file.")
]


def vault_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="The encrypted vault: import and verify.", no_args_is_help=True
    )
    group.command("import")(import_file)
    group.command("verify")(verify)
    add_record_commands(group)
    group.add_typer(index_commands(), name="index")
    return group


@speaks
def import_file(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    file: File,
    mapping: Annotated[
        Path,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="YAML file that says which column is which attribute.",
        ),
    ],
    rejects: Annotated[
        Path | None,
        typer.Option(
            help="File for rejected rows: line and reason, no values. "
            "Default: FILE.rejects.csv"
        ),
    ] = None,
    batch: Annotated[
        int, typer.Option(min=1, max=5000, help="People a transaction.")
    ] = 500,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Import people from a CSV file; a bad row is set aside, the rest goes in.

    Example: curtilage vault import people.csv --mapping people.yaml
    """
    out = Output(as_json=as_json)
    meaning = load_mapping(mapping, standard_catalogue())
    target = rejects or file.with_name(file.name + ".rejects.csv")
    registrar = officer(actor, "registrar")
    with instance(context).platform() as platform:
        asyncio.run(platform.registrar.may_import(registrar))

        def write(people: Sequence[Mapping[str, str]]) -> None:
            platform.registrar.admit_now(
                people, source=meaning.source or file.name
            )

        with out.progress("Importing", file.stat().st_size) as advance:
            report = import_csv(
                file,
                meaning,
                batch=batch,
                write=write,
                rejects=target,
                progress=advance,
            )
        count_rows(platform.data, platform.keys)
    out.result(
        {
            "imported": report.accepted,
            "rejected": report.rejected,
            "rejects": str(target) if report.rejected else None,
        },
        f"{counted(report.accepted, 'person', 'people')} imported, "
        f"{counted(report.rejected, 'row', 'rows')} rejected"
        + (f"; see {target}" if report.rejected else ""),
    )


@speaks
def verify(context: typer.Context, *, as_json: Json = False) -> None:
    """Sweep the vault; name every row altered, moved, dropped or set back.

    The last epoch that the ledger has of each person is the witness: a
    record set back as a whole is found too.

    Example: curtilage vault verify
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        witness = EpochWitness(vault=platform.vault, ledger=platform.ledger)
        with out.progress("Verifying the vault", None) as advance:
            tally = Tally(advance)
            findings = list(
                platform.vault.verify(witness=witness, progress=tally)
            )
    if not findings and not as_json:
        out.say(
            f"Nothing is wrong: the values of {everybody(tally.seen)} are as "
            "they were written."
        )
        return
    out.table(
        "findings",
        ("kind", "subject", "attribute", "version"),
        [
            (one.kind.value, str(one.subject), one.attribute, one.version)
            for one in findings
        ],
    )
    if findings:
        raise typer.Exit(1)
