"""`curtilage witness`: watch other people's ledgers, without an instance."""

import os
from pathlib import Path
from typing import Annotated

import typer

from api.bootstrap import wall_clock
from api.cli.context import Json
from api.cli.instance import run_server
from api.cli.output import Output, speaks
from api.logs import configure_logs
from api.witness_app import WitnessApp
from consent import (
    TrustPolicy,
    Witness,
    WitnessStore,
    create_witness_keys,
    load_witness_keys,
    read_trust_policy,
)

KEYS, STATE, LOGS = "keys.json", "state.db", "logs.policy"
Folder = Annotated[
    Path, typer.Argument(help="The witness's folder.", file_okay=False)
]
_HEAD = """# The logs that this witness follows: one line each,
#   log <verifier key>
# and no other. Change it, then start the witness again.
"""


def witness_commands() -> typer.Typer:
    """The witness group."""
    group = typer.Typer(
        help="Vouch for ledgers that you follow: they cannot show you, and "
        "so nobody who trusts you, two histories. Needs no instance.",
        no_args_is_help=True,
    )
    group.command("init")(init)
    group.command("serve")(serve)
    group.command("show")(show)
    return group


@speaks
def init(
    folder: Folder,
    name: Annotated[
        str,
        typer.Option(
            help="Name of the witness, a URL without scheme such as "
            "witness.example/w1. It cannot be changed."
        ),
    ],
    log: Annotated[
        list[str] | None,
        typer.Option(
            help="A verifier key that a log signs with; may be given again."
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Make a witness: its keys, and the list of logs that it follows.

    Example: curtilage witness init w1 --name witness.example/w1
    --log "$(curtilage ledger key | head -1)"
    """
    text = _HEAD + "".join(f"log {each}\n" for each in log or ())
    text += "quorum none\n"
    read_trust_policy(text.encode(), where="--log")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    create_witness_keys(folder / KEYS, name, random=os.urandom)
    (folder / LOGS).write_text(text, "utf-8")
    WitnessStore(folder / STATE)
    _say(folder, as_json=as_json)


@speaks
def serve(
    folder: Folder,
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to bind.")] = 8421,
    prefix: Annotated[
        str, typer.Option(help="Path before /add-checkpoint.")
    ] = "",
) -> None:
    """Serve the witness until SIGTERM.

    Logs send their checkpoints to <prefix>/add-checkpoint. Nobody needs to
    be let in: only what a followed log signed is answered.

    Example: curtilage witness serve w1 --host 0.0.0.0
    """
    configure_logs("info")
    witness = Witness(
        signers=load_witness_keys(folder / KEYS, wall_clock),
        logs={
            origin: policy.keys_of(origin)
            for policy in [_followed(folder)]
            for origin in policy.origins()
        },
        state=WitnessStore(folder / STATE),
    )
    run_server(WitnessApp(witness, prefix=prefix), host=host, port=port)


@speaks
def show(folder: Folder, *, as_json: Json = False) -> None:
    """Print the witness's keys, what it follows, and where it stands.

    The lines `witness NAME KEY` go into the trust policies of those who
    trust it; either key is enough, ML-DSA-44 first.

    Example: curtilage witness show w1
    """
    _say(folder, as_json=as_json)


def _say(folder: Path, *, as_json: bool) -> None:
    signers = load_witness_keys(folder / KEYS, wall_clock)
    policy = _followed(folder)
    held = {each.origin: each for each in WitnessStore(folder / STATE).all()}
    document = {
        "name": signers[0].name,
        "keys": [str(each.verifier) for each in signers],
        "logs": [
            {
                "origin": origin,
                "size": held[origin].size if origin in held else 0,
                "root": held[origin].root.hex() if origin in held else None,
            }
            for origin in policy.origins()
        ],
    }
    if as_json:
        Output(as_json=True).result(document)
        return
    # Not through the console, which would wrap a key of 1,760 characters.
    for key in document["keys"]:
        typer.echo(key)
    for log in document["logs"]:
        assert isinstance(log, dict)  # noqa: S101 - made so just above
        typer.echo(f"follows {log['origin']}: {log['size']} entries cosigned")


def _followed(folder: Path) -> TrustPolicy:
    path = folder / LOGS
    return read_trust_policy(path.read_bytes(), where=str(path))
