"""`curtilage service`: credentials, one for each (service, purpose)."""

from typing import Annotated

import typer

from api.cli.context import Json, instance
from api.cli.output import Output, counted, speaks


def service_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Credentials of services: one for each purpose.",
        no_args_is_help=True,
    )
    group.command("add")(add)
    group.command("list")(listed)
    group.command("revoke")(revoke)
    group.command("verify")(verify)
    return group


@speaks
def add(
    context: typer.Context,
    service: Annotated[str, typer.Argument(help="Id of the service.")],
    purpose: Annotated[str, typer.Argument(help="Id of the purpose.")],
    assurance: Annotated[
        int, typer.Option(help="Assurance level of the credential.")
    ] = 1,
    *,
    as_json: Json = False,
) -> None:
    """Make a credential and show its secret, this once.

    Example: curtilage service add moving-house address-change
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        declared = platform.consents.declaration(service, purpose)
        if declared is None:
            msg = (
                f"{service}/{purpose} is not declared; run "
                "`curtilage declaration propose FILE` and approve it first"
            )
            raise ValueError(msg)
        client_id, secret = platform.credentials.issue(
            service=service, purpose=purpose, assurance=assurance
        )
    out.result({"client_id": client_id, "client_secret": secret})


@speaks
def listed(
    context: typer.Context,
    *,
    revoked: Annotated[
        bool, typer.Option("--revoked", help="Also those that ended.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the credentials; no secret can be shown again.

    Each is genuine or not: whether its row is as this instance wrote it.
    Where codes are demanded, one that is not is refused.

    Example: curtilage service list
    """
    columns = (
        *("client_id", "service", "purpose", "assurance", "since"),
        *(("revoked_at",) if revoked else ()),
        "genuine",
    )
    with instance(context).platform() as platform:
        found = platform.registry.issued(revoked=revoked)
        demanded = platform.macs.required
    out = Output(as_json=as_json)
    out.table(
        "credentials",
        columns,
        [
            (
                one.credential.client_id,
                one.credential.service,
                one.credential.purpose,
                one.credential.assurance,
                one.at,
                *((one.revoked_at,) if revoked else ()),
                out.whether(genuine=one.genuine, demanded=demanded),
            )
            for one in found
        ],
    )


@speaks
def revoke(
    context: typer.Context,
    client_id: Annotated[
        str,
        typer.Argument(
            help="Id of the credential; see `curtilage service list`."
        ),
    ],
    *,
    as_json: Json = False,
) -> None:
    """End a credential; its tokens stop working at once.

    Example: curtilage service revoke CLIENT_ID
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        platform.credentials.revoke(client_id)
    out.result({"client_id": client_id, "revoked": True})


@speaks
def verify(context: typer.Context, *, as_json: Json = False) -> None:
    """Hold the credentials to their ledger entries.

    Names each that was added without an entry, is missing, was altered, or
    came back to life after its end. Ends with 1 where there is one. An entry
    that is gone too is for `curtilage ledger verify`.

    One without an entry is `of-before` where it was made before the first
    entry about any credential: whether it is sound, the ledger cannot tell.
    Where codes are demanded, it also needs its own; else it was added.

    Example: curtilage service verify
    """
    out = Output(as_json=as_json)
    with (
        instance(context).platform() as platform,
        out.progress("Verifying credentials", None) as advance,
    ):
        found = platform.credential_sweep.run(advance)
        told = len(platform.registry.issued(revoked=True)) - len(found)
        size = platform.ledger.size()
    wrong = any(one.is_wrong for one in found)
    if not wrong:
        out.say(
            "Nothing is wrong: "
            f"{counted(told, 'credential is', 'credentials are')} as the "
            f"ledger's {size} entries tell it."
        )
    if found or as_json:
        out.table(
            "findings",
            ("fault", "client_id", "service", "purpose", "entry", "columns"),
            [
                (
                    one.fault.value,
                    one.client_id,
                    one.service,
                    one.purpose,
                    one.entry,
                    list(one.columns) if as_json else ", ".join(one.columns),
                )
                for one in found
            ],
        )
    if wrong:
        raise typer.Exit(1)
