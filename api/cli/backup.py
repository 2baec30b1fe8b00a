"""`curtilage backup` and `curtilage restore`: copies, and the way back."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from api.backups import back_up
from api.bootstrap import wall_clock
from api.cli.context import Json, instance
from api.cli.instance import only_server
from api.cli.output import Output, speaks
from api.migrations import Chain
from api.restoring import Restored, Steps, Surroundings, replay, restore

Folder = Annotated[
    Path, typer.Argument(file_okay=False, help="Folder for the backup.")
]
File = Annotated[
    Path,
    typer.Argument(
        exists=True, dir_okay=False, help="The backup, or its manifest."
    ),
]


def backup_commands() -> typer.Typer:
    """The group of `curtilage backup`."""
    group = typer.Typer(
        help="Back the data or the keys up, each into a folder of its own. "
        "Keep backups of the keys for days only, and copy the erasure "
        "journal elsewhere as often as you can: a restore demands the "
        "newest. KEKs, passphrase and secrets are in no backup.",
        no_args_is_help=True,
    )
    group.command("data")(backup_data)
    group.command("keys")(backup_keys)
    return group


def restore_commands() -> typer.Typer:
    """The group of `curtilage restore`."""
    group = typer.Typer(
        help="Put a backup in place, offline. Every erasure of the journal "
        "is carried out on it before anything opens; where the ledger is "
        "older than a checkpoint that was given away, it goes on under a "
        "new name. Restore the data first, then the keys.",
        no_args_is_help=True,
    )
    group.command("data")(restore_data)
    group.command("keys")(restore_keys)
    group.command("replay")(replay_journal)
    return group


@speaks
def backup_data(
    context: typer.Context, folder: Folder, *, as_json: Json = False
) -> None:
    """Back the data database up while the server runs.

    Example: curtilage backup data /backups/data
    """
    _back_up(context, Chain.DATA, folder, as_json=as_json)


@speaks
def backup_keys(
    context: typer.Context, folder: Folder, *, as_json: Json = False
) -> None:
    """Back the keys database up while the server runs.

    Example: curtilage backup keys /other-backups/keys
    """
    _back_up(context, Chain.KEYS, folder, as_json=as_json)


def _back_up(
    context: typer.Context, chain: Chain, folder: Path, *, as_json: bool
) -> None:
    out = Output(as_json=as_json)
    with (
        instance(context).platform() as platform,
        _bar(out, "Copying") as steps,
    ):
        made = back_up(
            platform,
            chain,
            folder,
            lambda done, total: steps("Copying", done, total),
        )
    out.result(
        {"backup": str(made), "manifest": str(made.with_suffix(".json"))},
        f"{made}\nKeep beside it what has its name. The erasure journal is no "
        f"part of it: copy {platform.settings.journal_path} elsewhere, and "
        "often.",
    )


@speaks
def restore_data(
    context: typer.Context, file: File, *, as_json: Json = False
) -> None:
    """Put a backup of the data database in place, with the server stopped.

    Example: curtilage restore data /backups/data/main-data-....db
    """
    _restore(context, Chain.DATA, file, as_json=as_json)


@speaks
def restore_keys(
    context: typer.Context, file: File, *, as_json: Json = False
) -> None:
    """Put a backup of the keys database in place, with the server stopped.

    Example: curtilage restore keys /other-backups/keys/main-keys-....db
    """
    _restore(context, Chain.KEYS, file, as_json=as_json)


@speaks
def replay_journal(context: typer.Context, *, as_json: Json = False) -> None:
    """Carry the journal out on databases put back by other means.

    For snapshots of a disk or a server, with the server stopped.

    Example: curtilage restore replay
    """
    out = Output(as_json=as_json)
    settings = instance(context).settings()
    with only_server(settings), _bar(out, "Erasing again") as steps:
        done = replay(settings, around=_around(), steps=steps)
    _tell(out, done)


def _restore(
    context: typer.Context, chain: Chain, file: Path, *, as_json: bool
) -> None:
    out = Output(as_json=as_json)
    settings = instance(context).settings()
    with only_server(settings), _bar(out, "Checking") as steps:
        done = restore(settings, chain, file, around=_around(), steps=steps)
    _tell(out, done)


def _around() -> Surroundings:
    return Surroundings(clock=wall_clock, random=os.urandom)


@contextmanager
def _bar(out: Output, label: str) -> Iterator[Steps]:
    """One bar for the whole, in percent of each stage."""
    with out.progress(label, 100) as advance:
        at = 0

        def step(_stage: str, done: int, total: int) -> None:
            nonlocal at
            reached = 100 * done // max(total, 1)
            advance(reached - at)
            at = reached

        yield step


def _tell(out: Output, done: Restored) -> None:
    renamed = (
        f"\nThe ledger was older than a checkpoint that was given away: it "
        f"goes on as {done.origin}. Tell witnesses and services the new key "
        "(curtilage ledger key)."
        if done.renamed
        else ""
    )
    warnings = "".join(
        f"\nWarning: {one}; whether it knows a later checkpoint was not "
        "compared."
        for one in done.unasked
    )
    out.result(
        {
            "restored": done.kind,
            "origin": done.origin,
            "renamed": done.renamed,
            "erasures": done.erasures,
            "brought_back": done.brought_back,
            "entry": done.index,
            "warnings": list(done.unasked),
        },
        f"Restored: {done.kind}. {done.erasures} erasures of the journal "
        f"were carried out again; {done.brought_back} of them had come "
        f"back.{renamed}{warnings}",
    )
