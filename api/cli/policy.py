"""`curtilage policy`: the compiled policies, checked and explained."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.context import Json
from api.cli.output import Output, speaks
from policy import EmbeddedPdp, build_bundle, load_bundle


def policy_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="The policies in Rego and their compiled plan.",
        no_args_is_help=True,
    )
    group.command("show")(show)
    group.command("build")(build)
    group.command("decide")(decide)
    return group


@speaks
def show(*, as_json: Json = False) -> None:
    """Show the bundle in force: revision and entrypoints."""
    bundle = load_bundle()
    Output(as_json=as_json).result(
        {
            "revision": bundle.revision,
            "entrypoints": sorted(EmbeddedPdp(bundle).entrypoints),
        }
    )


@speaks
def build(
    opa: Annotated[Path, typer.Option(exists=True, help="The OPA binary.")],
    source: Annotated[
        Path, typer.Option(exists=True, help="Folder of the Rego.")
    ] = Path("policies"),
    target: Annotated[
        Path, typer.Option(help="Folder of the compiled bundle.")
    ] = Path("policies/bundle"),
    *,
    as_json: Json = False,
) -> None:
    """Compile the Rego to a plan with OPA's own compiler.

    Example: curtilage policy build --opa .tools/bin/opa
    """
    bundle = build_bundle(opa, source, target)
    Output(as_json=as_json).result(
        {"revision": bundle.revision, "target": str(target)}
    )


@speaks
def decide(
    entrypoint: Annotated[
        str,
        typer.Argument(help="Such as curtilage/disclosure/decision."),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="Input document (JSON)."
        ),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Decide an input document on the embedded engine and print the answer.

    The document holds facts and no values, so this opens nothing.

    Example: curtilage policy decide curtilage/api/decision question.json
    """
    document = _document(file)
    answer = EmbeddedPdp(load_bundle()).evaluate(entrypoint, document)
    if not isinstance(answer, Mapping):
        msg = f"{entrypoint} is no decision"
        raise ValueError(msg)  # noqa: TRY004 - wrong input, exit code 2
    Output(as_json=as_json).result(
        answer, json.dumps(answer, ensure_ascii=False, indent=2)
    )


def _document(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_bytes())
    except json.JSONDecodeError as error:
        msg = f"{file}:{error.lineno}:{error.colno}: no JSON ({error.msg})"
        raise ValueError(msg) from None
    if not isinstance(document, dict):
        msg = f"{file}:1: an input document is a JSON object"
        raise ValueError(msg)  # noqa: TRY004 - wrong input, exit code 2
    return document
