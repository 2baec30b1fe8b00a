"""`curtilage policy`: the compiled policies, checked and explained."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.context import Json
from api.cli.impact import impact
from api.cli.output import Output, speaks
from api.cli.policy_doc import doc
from api.cli.policy_life import add_life
from api.cli.tracing import trace
from api.opa_sidecar import make_signing_key
from policy import (
    EmbeddedPdp,
    SigningKey,
    build_bundle,
    build_server_bundle,
    load_bundle,
    policies_folder,
)


def policy_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="The policies in Rego and their compiled plan.",
        no_args_is_help=True,
    )
    group.command("show")(show)
    group.command("build")(build)
    group.command("sign")(sign)
    group.command("decide")(decide)
    add_life(group)
    group.command("impact")(impact)
    group.command("doc")(doc)
    group.command("trace")(trace)
    return group


@speaks
def show(*, as_json: Json = False) -> None:
    """Show the bundle in force: revision and entrypoints.

    Example: curtilage policy show
    """
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
def sign(
    opa: Annotated[Path, typer.Option(exists=True, help="The OPA binary.")],
    key: Annotated[
        Path,
        typer.Option(
            help="PEM file of the signing key (EC, P-256); made if there is "
            "none, its public half beside it."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The bundle to write.")] = Path(
        "bundle.tar.gz"
    ),
    *,
    as_json: Json = False,
) -> None:
    """Build and sign the bundle of these policies for OPA servers.

    Give the servers the public key, and they load nothing that is not signed
    with it; they report the revision that the gate demands.

    Example: curtilage policy sign --opa /usr/bin/opa --key signing.pem
    """
    public = key.with_suffix(".pub.pem")
    if not key.exists():
        public.write_text(make_signing_key(key), "ascii")
    revision = load_bundle().revision
    build_server_bundle(
        opa,
        policies_folder(),
        out,
        revision=revision,
        signing=SigningKey(path=key),
    )
    Output(as_json=as_json).result(
        {"revision": revision, "bundle": str(out), "public_key": str(public)}
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
