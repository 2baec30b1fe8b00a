"""`curtilage service`: credentials, one for each (service, purpose)."""

from typing import Annotated

import typer

from api.cli.context import Json, instance
from api.cli.output import Output, speaks

_REFUSED = "no, refused"
_OF_BEFORE = "not vouched for"


def service_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Credentials of services: one for each purpose.",
        no_args_is_help=True,
    )
    group.command("add")(add)
    group.command("list")(listed)
    group.command("revoke")(revoke)
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
        client_id, secret = platform.transactions.run(
            lambda conn: platform.registry.issue(
                conn, service=service, purpose=purpose, assurance=assurance
            )
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
        otherwise = _REFUSED if platform.macs.required else _OF_BEFORE
    Output(as_json=as_json).table(
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
                one.genuine
                if as_json
                else ("yes" if one.genuine else otherwise),
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
        platform.transactions.run(
            lambda conn: platform.registry.revoke(conn, client_id)
        )
    out.result({"client_id": client_id, "revoked": True})
