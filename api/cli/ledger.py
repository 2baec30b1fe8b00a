"""`curtilage ledger` and `curtilage receipt`: evidence, checked."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import KEY_IS_VKEY, VKEY_IS_KEY, Json, instance
from api.cli.ledger_export import export
from api.cli.ledger_spans import spans
from api.cli.output import Output, speaks
from api.cli.visibility import clock, review_commands, visibility_commands
from api.witnesses import WitnessFailedError, witness_clients
from consent import read_public_key, run_verifier, verify_receipt


def ledger_commands() -> typer.Typer:
    """The ledger group."""
    group = typer.Typer(
        help="The tamper-evident ledger of every use.", no_args_is_help=True
    )
    group.command("verify")(verify)
    group.command("checkpoint")(checkpoint)
    group.command("key")(key)
    group.command("export")(export)
    group.command("spans")(spans)
    group.command("witness")(witness)
    group.command("proof-verify", context_settings=KEY_IS_VKEY)(proof_verify)
    group.command("clock")(clock)
    group.add_typer(review_commands(), name="review")
    group.add_typer(visibility_commands(), name="visibility")
    return group


def receipt_commands() -> typer.Typer:
    """The receipt group."""
    group = typer.Typer(
        help="Consent receipts, verified offline.", no_args_is_help=True
    )
    group.command("verify", context_settings=VKEY_IS_KEY)(receipt_verify)
    group.command("key")(receipt_key)
    return group


@speaks
def verify(context: typer.Context, *, as_json: Json = False) -> None:
    """Recompute every leaf and every root; name the first that is wrong.

    Example: curtilage ledger verify
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        size = platform.ledger.size()
        with out.progress("Verifying the ledger", size) as advance:
            seen = 0

            def progress(done: int, _total: int) -> None:
                nonlocal seen
                advance(done - seen)
                seen = done

            found = platform.ledger.verify(progress)
    out.result(
        {"entries": found.size, "root": found.root.hex(), "verified": True},
        f"{found.size} entries verified; root {found.root.hex()}",
    )


@speaks
def checkpoint(context: typer.Context, *, as_json: Json = False) -> None:
    """Print a signed checkpoint over everything committed.

    Example: curtilage ledger checkpoint > checkpoint.note
    """
    with instance(context).platform() as platform:
        note = platform.ledger.checkpoint()
        key = platform.ledger_vkey
    # Not through the console, which would wrap the note's long lines.
    if as_json:
        Output(as_json=True).result({"checkpoint": note, "key": key})
    else:
        typer.echo(note, nl=False)


@speaks
def key(context: typer.Context, *, as_json: Json = False) -> None:
    """Print the keys that sign this ledger's checkpoints, one a line.

    The first is Ed25519, the second ML-DSA-44. Publish both where people
    can find them apart from this server: who verifies needs either.

    Example: curtilage ledger key > ledger.vkey
    """
    with instance(context).platform() as platform:
        keys = platform.ledger_vkeys
    # Not through the console, which would wrap a key of 1,760 characters.
    if as_json:
        Output(as_json=True).result({"keys": list(keys)})
    else:
        typer.echo("\n".join(keys))


@speaks
def witness(context: typer.Context, *, as_json: Json = False) -> None:
    """Sign a checkpoint and have it cosigned by every witness, once.

    `curtilage serve` does so by itself. The witnesses and their quorum stand
    in the file that CURTILAGE_WITNESS_POLICY names. Ends with 1 where the
    quorum is missed.

    Example: curtilage ledger witness
    """
    rows: list[tuple[str, object, str]] = []
    with instance(context).platform() as platform:
        clients = witness_clients(platform.ledger)
        if not clients:
            msg = (
                "no witness has a URL: name some in the file of "
                "CURTILAGE_WITNESS_POLICY"
            )
            raise ValueError(msg)
        platform.ledger.checkpoint()
        for client in clients:
            try:
                rows.append((client.name, client.submit().size, "cosigned"))
            except WitnessFailedError as error:
                rows.append((client.name, "", str(error)))
        shown = platform.ledger.publication.newest()
    Output(as_json=as_json).table(
        "witnesses", ("witness", "size", "says"), rows
    )
    if shown is None or not shown.quorum:
        raise typer.Exit(1)


@speaks
def proof_verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    key: Annotated[
        str, typer.Option("--vkey", help="The ledger's verifier key (vkey).")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Verify a disclosure proof with the ledger's public key alone.

    Example: curtilage ledger proof-verify proof.json --vkey "$VKEY"
    """
    arguments = [str(file), "--vkey", key, *(["--json"] if as_json else [])]
    raise typer.Exit(run_verifier(arguments))


@speaks
def receipt_key(context: typer.Context, *, as_json: Json = False) -> None:
    """Print the public key that this body's receipts verify under.

    Example: curtilage receipt key > receipts.pem
    """
    with instance(context).platform() as platform:
        key = platform.secrets.receipt_public_key()
    Output(as_json=as_json).result({"key": key}, key.rstrip())


@speaks
def receipt_verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    key: Annotated[
        Path,
        typer.Option(
            exists=True, help="Public key of the body's receipts (PEM)."
        ),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Verify a consent receipt with a public key alone.

    Example: curtilage receipt verify receipt.jws --key receipts.pem
    """
    found = verify_receipt(
        file.read_text("utf-8").strip(), read_public_key(key.read_bytes())
    )
    Output(as_json=as_json).result({"verified": True, "receipt": found})
