"""`curtilage declaration`: read, show and publish declarations."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.context import Json, instance
from api.cli.declaration_files import (
    File,
    is_xml,
    policies,
    read_all,
)
from api.cli.output import Output, speaks
from api.cli.p3p_views import finding_row, policy_document, reference_document
from api.cli.publication import add_publication
from consent import (
    Access,
    Declaration,
    DeclarationInvalid,
    P3PDocument,
    compact_of,
    drift,
    read_compact,
    read_p3p_document,
    write_p3p,
)


def declaration_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="What services say they do, as YAML or P3P XML.",
        no_args_is_help=True,
    )
    group.command("lint")(lint)
    group.command("show")(show)
    group.command("compact")(compact)
    group.command("write")(write)
    add_publication(group)
    group.command("list")(list_registered)
    return group


@speaks
def lint(
    file: File,
    *,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Stop at the first breach of P3P 1.0."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Say whether a declaration reads, and all that is odd about it.

    A P3P file is read leniently: older namespaces, missing parts and unknown
    words are listed with line, column and a code, and read as the widest
    that they can mean. A file that leaves no safe reading is refused.

    Example: curtilage declaration lint w3c/policy.xml --strict
    """
    output = Output(as_json=as_json)
    try:
        found = read_all(file, strict=strict)
    except DeclarationInvalid as error:
        if as_json:
            output.result(_refused(file, error))
        raise
    for finding in found.findings:
        output.say(str(finding))
    document: dict[str, Any] = {
        "file": str(file),
        "read": True,
        "declarations": len(found.declarations),
        "digests": [one.digest for one in found.declarations],
        "findings": [finding_row(each) for each in found.findings],
    }
    if found.document is not None:
        document["root"] = found.document.root
        document["policies"] = len(found.document.policies)
    errors = sum(each.severity == "error" for each in found.findings)
    output.result(
        document,
        f"{file}: {len(found.declarations)} declaration(s), "
        + (f"{errors} breach(es) of P3P" if errors else "no error"),
    )


def _refused(file: Path, error: DeclarationInvalid) -> dict[str, Any]:
    return {
        "file": str(file),
        "read": False,
        "declarations": 0,
        "digests": [],
        "findings": [
            {
                "where": error.where,
                "line": error.line,
                "column": error.column,
                "code": error.code,
                "severity": "error",
                "message": f"{error.what}; {error.remedy}",
            }
        ],
    }


@speaks
def show(
    file: File,
    *,
    tests: Annotated[
        bool,
        typer.Option("--tests", help="Show policies marked TEST as well."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a declaration does, one row a flow of data.

    As JSON also the whole of a P3P file: who declares, access, disputes,
    statements, and the reference file.

    Example: curtilage declaration show w3c/policy.xml --json
    """
    found = read_all(file, tests=tests)
    columns = (
        "attribute",
        "purpose",
        "recipient",
        "retention",
        "required",
        "need",
        "basis",
    )
    flows = sorted(set(_flows(found.declarations)))
    if not as_json:
        Output(as_json=False).table("flows", columns, flows)
        return
    document: dict[str, Any] = {
        "flows": [
            {
                **dict(zip(columns, row, strict=True)),
                "optional": row[columns.index("need")] == "optional",
            }
            for row in flows
        ]
    }
    document["terms"] = {
        f"{one.service}/{one.purpose}/{statement.id}": list(
            statement.all_terms
        )
        for one in found.declarations
        for statement in one.statements
    }
    if found.document is not None:
        said = found.document
        document["root"] = said.root
        document["policies"] = [
            policy_document(each) for each in said.policies
        ]
        document["references"] = (
            None
            if said.references is None
            else reference_document(said.references)
        )
        document["findings"] = [finding_row(each) for each in found.findings]
    Output(as_json=True).result(document)


def _flows(
    declarations: tuple[Declaration, ...],
) -> Iterator[tuple[str, ...]]:
    for one in declarations:
        for row in one.tuples():
            yield (
                row.attribute,
                row.purpose.value,
                row.recipient.value,
                row.retention.value,
                row.required.value,
                "optional" if row.optional else "essential",
                row.basis.value,
            )


@speaks
def compact(
    file: File,
    against: Annotated[
        str,
        typer.Option(
            help="A compact policy or P3P header that is sent, to compare."
        ),
    ] = "",
    *,
    as_json: Json = False,
) -> None:
    """Say what the compact policy of each policy is, and how a header drifts.

    Example: curtilage declaration compact policy.xml --against "NOI DSP COR"
    """
    rows = []
    for policy in policies(file):
        full = compact_of(policy)
        row: dict[str, Any] = {"policy": policy.name, "compact": full.text()}
        if against:
            sent = read_compact(against, where="--against").policy
            apart = drift(full, sent)
            row |= {
                "drift": bool(apart),
                "policy_only": list(apart.missing),
                "compact_only": list(apart.extra),
            }
        rows.append(row)
    output = Output(as_json=as_json)
    for row in rows:
        output.say(f'{row["policy"]}: CP="{row["compact"]}"')
        if row.get("drift"):
            output.say(f"  only in the policy: {' '.join(row['policy_only'])}")
            output.say(
                f"  only in the header: {' '.join(row['compact_only'])}"
            )
    output.result({"policies": rows}, f"{file}: {len(rows)} policies")


@speaks
def write(
    file: File,
    discuri: Annotated[
        str, typer.Option(help="Where people read it; YAML does not say.")
    ] = "",
    access: Annotated[
        Access | None,
        typer.Option(help="What people may see; YAML does not say."),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Write a declaration as P3P 1.0 XML.

    Example: curtilage declaration write library.yaml --access all
    """
    text = file.read_bytes()
    if is_xml(text, file):
        document, _ = read_p3p_document(text, where=str(file))
    else:
        written_by = (
            replace(each, discuri=discuri, access=access)
            for each in policies(file)
        )
        document = P3PDocument(root="POLICIES", policies=tuple(written_by))
    written = write_p3p(document).decode("utf-8")
    if as_json:
        Output(as_json=True).result({"xml": written})
    else:
        typer.echo(written, nl=False)


@speaks
def list_registered(context: typer.Context, *, as_json: Json = False) -> None:
    """List the declarations in force.

    Example: curtilage declaration list
    """
    with instance(context).platform() as platform:
        rows = [
            (one.service, one.purpose, one.version, one.digest[:16])
            for one in platform.consents.declarations()
        ]
    Output(as_json=as_json).table(
        "declarations", ("service", "purpose", "version", "digest"), rows
    )
