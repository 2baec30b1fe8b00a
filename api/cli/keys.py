"""`curtilage keys`: the life of key-encryption keys."""

from typing import Annotated

import typer

from api.bootstrap import bootstrap
from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, moment, speaks
from api.platform import Platform
from policy import KEPT

Number = Annotated[int, typer.Argument(min=1, help="The epoch's number.")]
_DATES = (
    "created_at",
    "activated_at",
    "deactivated_at",
    "suspended_at",
    "compromised_at",
    "destroyed_at",
    "gone_at",
)


def keys_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Key-encryption keys: one active epoch, and how each ends. "
        "Every change is recorded in the ledger before and after.",
        no_args_is_help=True,
    )
    for command in (
        status,
        rotate,
        rewrap,
        suspend,
        reinstate,
        compromise,
        destroy,
        adopt,
    ):
        group.command()(command)
    return group


@speaks
def status(context: typer.Context, *, as_json: Json = False) -> None:
    """Show each epoch: its state, what it still wraps, its dates.

    Example: curtilage keys status
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        epochs = platform.keys_desk.epochs()
        stale = platform.keys_desk.stale()
    out.table(
        "epochs",
        ("epoch", "state", "wraps", *_DATES),
        [
            (
                one.number,
                one.state.value,
                one.wraps,
                *(_shown(one.dates[name], as_json) for name in _DATES),
            )
            for one in epochs
        ],
    )
    if stale:
        keys = "1 key is" if stale == 1 else f"{stale} keys are"
        out.say(f"{keys} under past epochs: curtilage keys rewrap")


@speaks
def rotate(
    context: typer.Context, actor: Actor = "", *, as_json: Json = False
) -> None:
    """Begin a new epoch; the one before only unwraps from now on.

    Example: curtilage keys rotate
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        epoch = platform.keys_desk.rotate(officer(actor).id)
    out.result(
        {"epoch": epoch},
        f"Epoch {epoch} is active. Next: curtilage keys rewrap",
    )


@speaks
def rewrap(
    context: typer.Context, actor: Actor = "", *, as_json: Json = False
) -> None:
    """Move every key to the active epoch, while people read.

    Stopped at any moment, it goes on where it was when called again.

    Example: curtilage keys rewrap
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        desk = platform.keys_desk
        with out.progress("Re-wrapping", desk.stale()) as advance:
            done = desk.rewrap(officer(actor).id, advance)
        drained = [
            one.number
            for one in desk.epochs()
            if not one.wraps and one.state in {"deactivated", "compromised"}
        ]
    more = "".join(f" Now: curtilage keys destroy {one}" for one in drained)
    out.result(
        {"rewrapped": done, "drained": drained},
        f"{done} keys were re-wrapped.{more}",
    )


@speaks
def suspend(
    context: typer.Context,
    epoch: Number,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Let a past epoch open nothing while something is investigated.

    What it still wraps cannot be read until `reinstate`, but with
    CURTILAGE_OPEN_SUSPENDED.

    Example: curtilage keys suspend 3
    """
    with instance(context).platform() as platform:
        platform.keys_desk.suspend(officer(actor).id, epoch)
    Output(as_json=as_json).result(
        {"epoch": epoch, "state": "suspended"}, f"Epoch {epoch} is suspended."
    )


@speaks
def reinstate(
    context: typer.Context,
    epoch: Number,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Let a suspended epoch open again what it wrapped.

    Example: curtilage keys reinstate 3
    """
    with instance(context).platform() as platform:
        platform.keys_desk.reinstate(officer(actor).id, epoch)
    Output(as_json=as_json).result(
        {"epoch": epoch, "state": "deactivated"},
        f"Epoch {epoch} opens again what it wrapped.",
    )


@speaks
def compromise(
    context: typer.Context,
    epoch: Number,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Declare an epoch's key lost: new keys for all whom it covered.

    Rotates if the epoch is active, moves its keys away, marks it, then
    gives each person whose key it had wrapped a new one and seals their
    data anew. Stopped at any moment, it goes on when called again.

    The index root stays: whoever has the epoch's key and a copy of the keys
    database can still test guesses against the index entries of a copy of
    the data, and could seal key states. Rotating an index does not change
    that, as all its keys hang on the root.

    Example: curtilage keys compromise 3
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        desk = platform.keys_desk
        with out.progress("Re-encrypting", desk.exposed(epoch)) as advance:
            done = desk.compromise(officer(actor).id, epoch, advance)
    refused = [str(one) for one in done.refused]
    out.result(
        {
            "epoch": epoch,
            "people": done.people,
            "refused": refused,
            "keeps": [KEPT],
        },
        f"{done.people} people have new keys. Now: curtilage keys destroy "
        f"{epoch}\nThe index root is the same: whoever has the lost key and "
        "a copy of the keys database can still test guesses against index "
        "entries, also those that `curtilage vault index rotate` makes. Keep "
        "copies of the data database from them."
        + (
            f"\n{len(refused)} records do not verify and keep their old key: "
            "curtilage vault verify"
            if refused
            else ""
        ),
    )
    if refused:
        raise typer.Exit(1)


@speaks
def destroy(
    context: typer.Context,
    epoch: Number,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Destroy a past epoch's key, and with it every backup made under it.

    Refused while it still wraps something.

    Example: curtilage keys destroy 2
    """
    with instance(context).platform() as platform:
        desk = platform.keys_desk
        desk.destroy(officer(actor).id, epoch)
        (found,) = (one for one in desk.epochs() if one.number == epoch)
    gone = found.dates["gone_at"]
    Output(as_json=as_json).result(
        {"epoch": epoch, "gone_at": gone},
        f"The key of epoch {epoch} is destroyed. Nothing wrapped by it opens "
        f"after {_shown(gone, as_json=False)}.",
    )


@speaks
def adopt(
    context: typer.Context,
    actor: Actor = "",
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Seal without asking.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Seal the key states of an instance of before there were seals.

    Shows the states and asks. Look that each is what it should be: an epoch
    shown as deactivated opens again what it wrapped. Refused wherever there
    is a seal, or the ledger knows that there was one.

    Example: curtilage keys adopt
    """
    out = Output(as_json=as_json)
    sealed: list[dict[str, object]] = []

    def first(platform: Platform) -> None:
        shown = platform.keys_desk.unsealed()
        for one in shown:
            dates = ", ".join(
                f"{name.removesuffix('_at')} {_shown(at, as_json=False)}"
                for name, at in one.dates.items()
                if at is not None
            )
            told = f"epoch {one.number}: {one.state} ({dates})"
            typer.echo(told, err=True)
            sealed.append({"epoch": one.number, "state": one.state.value})
        if not yes:
            typer.confirm("Seal these states?", abort=True, err=True)
        platform.keys_desk.adopt(officer(actor).id, shown)

    bootstrap(instance(context).settings(), first=first).close()
    out.result({"sealed": sealed}, "The states are sealed.")


def _shown(at: int | None, as_json: bool) -> int | str | None:  # noqa: FBT001 - passed on
    if as_json:
        return at
    if at is None:
        return ""
    return moment(at)
