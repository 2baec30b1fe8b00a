"""`curtilage erase`, `erasure`, `hold` and `retention`: the end of data."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from api.certificates import certify, sign_certificate, verify_certificate
from api.cli.context import KEY_IS_VKEY, Actor, Json, instance, officer
from api.cli.output import Output, speaks
from api.platform import Platform
from consent import LedgerSigner, VerifierKey
from policy import PersonUnknown

Subject = Annotated[UUID, typer.Argument(help="Id of the person.")]
HoldId = Annotated[UUID, typer.Argument(help="Id of the hold.")]
Because = Annotated[str, typer.Option("--because", help="Why.")]
_IDENTIFIER = "user.identity.number"
_COLUMNS = ("subject", "attributes", "held")


def erasure_commands() -> typer.Typer:
    """The group of `curtilage erasure`."""
    group = typer.Typer(
        help="What can be said of an erasure.", no_args_is_help=True
    )
    group.command("certificate")(certificate)
    group.command("verify", context_settings=KEY_IS_VKEY)(verify)
    return group


def hold_commands() -> typer.Typer:
    """The group of `curtilage hold`."""
    group = typer.Typer(
        help="Legal holds: while one stands, a person's key is not "
        "destroyed. Putting it in force takes two officers, and so does "
        "lifting it.",
        no_args_is_help=True,
    )
    group.command("propose")(propose)
    group.command("confirm")(confirm)
    group.command("lift")(lift)
    group.command("list")(list_holds)
    return group


def retention_commands() -> typer.Typer:
    """The group of `curtilage retention`."""
    group = typer.Typer(
        help="Values whose time is over. Stop and start it at any point.",
        no_args_is_help=True,
    )
    group.command("plan")(plan)
    group.command("run")(run)
    return group


@speaks
def erase(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    person: Annotated[
        str, typer.Argument(help="Id of the person, or an identifier.")
    ],
    because: Because,
    proposer: Annotated[
        str, typer.Option(help="Who asked; somebody else than --as.")
    ],
    attribute: Annotated[
        str, typer.Option(help="Of which attribute the identifier is.")
    ] = _IDENTIFIER,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Destroy a person's key and everything under it. There is no undo.

    Under a legal hold the request is recorded and waits.

    Example: curtilage erase ID --proposer ID --because "asked for it"
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        subject = _found(platform, attribute, person)
        report = asyncio.run(
            platform.registrar.erase(
                officer(actor, "compliance"),
                subject,
                proposer=proposer,
                justification=because,
            )
        )
    out.result(
        {
            "subject": str(subject),
            "values": report.values,
            "kek_epoch": report.kek_epoch,
        },
        f"Erased: {subject}, {report.values} values.\n"
        f"See curtilage erasure certificate {subject}.",
    )


def _found(platform: Platform, attribute: str, person: str) -> UUID:
    try:
        return UUID(person)
    except ValueError:
        found = platform.vault.look_up.find(attribute, person)
    if found is None:
        # What was typed is an identifier, so it is not repeated.
        msg = "nobody has that identifier"
        raise PersonUnknown(msg)
    return found


@speaks
def certificate(
    context: typer.Context, subject: Subject, *, as_json: Json = False
) -> None:
    """Print the signed certificate of an erasure.

    Issue it again once the key-encryption key is destroyed: until then the
    date of the last copy is a plan.

    Example: curtilage erasure certificate ID > erasure.note
    """
    with instance(context).platform() as platform:
        erasure = platform.journal.find(subject)
        custody = platform.vault.custody
        destroyed_at = custody.destroyed_at(subject)
        if erasure is None or not destroyed_at:
            msg = f"no erasure of {subject} is on record"
            raise PersonUnknown(msg)
        made = certify(
            erasure,
            origin=platform.settings.origin,
            destroyed_at=destroyed_at,
            entry=erasure.entry,
            epochs=platform.vault.keystore.epochs.listed(),
            backup_days=platform.settings.backup_days,
            now=platform.clock(),
        )
        signer = LedgerSigner(
            name=platform.settings.origin, key=platform.secrets.ledger
        )
        note = sign_certificate(made, signer)
    Output(as_json=as_json).result({**made.fields, "note": note}, note)


@speaks
def verify(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="The note.")
    ],
    key: Annotated[
        str,
        typer.Option(
            "--vkey", help="The ledger's key (curtilage ledger key)."
        ),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Verify an erasure certificate offline; needs no instance.

    Example: curtilage erasure verify erasure.note --vkey "$VKEY"
    """
    found = verify_certificate(file.read_bytes(), VerifierKey.parse(key))
    Output(as_json=as_json).result(found.fields)


@speaks
def propose(
    context: typer.Context,
    subject: Subject,
    because: Because,
    review: Annotated[
        datetime,
        typer.Option(formats=["%Y-%m-%d"], help="When to look again."),
    ],
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Propose a hold; another officer confirms it.

    Example: curtilage hold propose ID --because "case 7" --review 2027-01-31
    """
    at = int(review.replace(tzinfo=UTC).timestamp())
    with instance(context).platform() as platform:
        made = asyncio.run(
            platform.holds.propose(
                officer(actor, "compliance"),
                subject,
                reason=because,
                review_at=at,
            )
        )
    Output(as_json=as_json).result({"hold": str(made)})


@speaks
def confirm(
    context: typer.Context,
    hold: HoldId,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Put a hold in force that another officer proposed.

    Example: curtilage hold confirm HOLD --as officer-2
    """
    with instance(context).platform() as platform:
        found = asyncio.run(
            platform.holds.confirm(officer(actor, "compliance"), hold)
        )
    Output(as_json=as_json).result(
        {"hold": str(hold), "subject": str(found.subject), "in_force": True}
    )


@speaks
def lift(
    context: typer.Context,
    hold: HoldId,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Propose to lift a hold; called by a second officer, lift it.

    An erasure that waited for the last hold then runs.

    Example: curtilage hold lift HOLD --as officer-2
    """
    with instance(context).platform() as platform:
        found = asyncio.run(
            platform.holds.lift(officer(actor, "compliance"), hold)
        )
    Output(as_json=as_json).result(
        {
            "hold": str(hold),
            "subject": str(found.subject),
            "in_force": found.in_force,
        }
    )


@speaks
def list_holds(
    context: typer.Context, actor: Actor = "", *, as_json: Json = False
) -> None:
    """List holds that are not over, the next to be reviewed first.

    Example: curtilage hold list
    """
    with instance(context).platform() as platform:
        listed = asyncio.run(
            platform.holds.listed(officer(actor, "compliance"))
        )
    rows = [
        (
            str(one.hold.id),
            str(one.hold.subject),
            datetime.fromtimestamp(one.hold.review_at, UTC).date(),
            one.hold.proposer,
            one.hold.confirmer or "",
            "yes" if one.hold.erasure_proposer else "no",
            one.reason,
        )
        for one in listed
    ]
    columns = (
        *("hold", "subject", "review", "proposer", "confirmer"),
        *("erasure_waits", "reason"),
    )
    Output(as_json=as_json).table("holds", columns, rows)


@speaks
def plan(context: typer.Context, *, as_json: Json = False) -> None:
    """Show what is due today; change nothing.

    Example: curtilage retention plan
    """
    with instance(context).platform() as platform:
        due = platform.retention.due()
    rows = [
        (str(one.subject), ", ".join(one.attributes), one.held) for one in due
    ]
    Output(as_json=as_json).table("due", _COLUMNS, rows)


@speaks
def run(context: typer.Context, *, as_json: Json = False) -> None:
    """Delete what is due; one ledger entry for each person.

    Example: curtilage retention run
    """
    out = Output(as_json=as_json)
    people = values = 0
    held = []
    with instance(context).platform() as platform:
        due = platform.retention.due()
        with out.progress("Deleting", len(due)) as advance:
            for one in due:
                if platform.retention.delete(one) is not None:
                    people += 1
                    values += len(one.attributes)
                elif one.held:
                    held.append(str(one.subject))
                advance(1)
    out.result(
        {"people": people, "values": values, "held": held},
        f"{values} values of {people} people deleted; {len(held)} people "
        "under a legal hold passed over.",
    )
