"""`curtilage webhooks`: who must be told, and who has not answered."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

import typer

from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, speaks
from api.webhook_addresses import allowed
from api.webhook_delivery import deliverer
from api.webhook_sending import instant
from api.webhook_signing import shown_secret
from policy import OVERLAP_SECONDS, Delivery, Endpoint, Scheme

Service = Annotated[str, typer.Argument(help="Id of the service.")]
Purpose = Annotated[str, typer.Argument(help="Id of the purpose.")]
_COLUMNS = (
    *("delivery", "service", "purpose", "type", "at", "deadline"),
    *("overdue_seconds", "standing", "attempts", "fault", "outcome"),
    "ground",
)


def webhooks_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Tell services that somebody said no, and see who has not "
        "answered.",
        no_args_is_help=True,
    )
    for function in (register, rotate, endpoints, deliver, outstanding):
        group.command(function.__name__)(function)
    group.command("list")(list_all)
    group.command("redeliver")(redeliver)
    return group


@speaks
def register(
    context: typer.Context,
    service: Service,
    purpose: Purpose,
    url: Annotated[str, typer.Argument(help="Where it is told.")],
    scheme: Annotated[
        Scheme,
        typer.Option(help="v1: a shared secret; v1a: an Ed25519 key."),
    ] = Scheme.SYMMETRIC,
    *,
    as_json: Json = False,
) -> None:
    """Set where a service is told; shows the secret, this once.

    The host must be in the setting webhook_hosts. With v1a the public key
    is shown, and the private one never.

    Example: curtilage webhooks register moving-house address-change
    https://moving.town.example/hooks
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        settings = platform.settings
        allowed(settings.webhook_hosts, settings.webhook_networks).target(url)
        made = platform.webhooks.register(service, purpose, url, scheme)
    out.result(_with_secret(made))


@speaks
def rotate(
    context: typer.Context,
    service: Service,
    purpose: Purpose,
    overlap: Annotated[
        int,
        typer.Option(
            min=0, help="Seconds that the secret before signs as well."
        ),
    ] = OVERLAP_SECONDS,
    scheme: Annotated[
        Scheme | None, typer.Option(help="By default as before.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Make a new secret; with --overlap 0 the one before ends at once.

    Example: curtilage webhooks rotate moving-house address-change
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        made = platform.webhooks.rotate(
            service, purpose, scheme=scheme, overlap=overlap
        )
    out.result(_with_secret(made))


@speaks
def endpoints(context: typer.Context, *, as_json: Json = False) -> None:
    """List where services are told; secrets are not shown.

    Example: curtilage webhooks endpoints
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        found = platform.webhooks.endpoints()
    out.table(
        "endpoints",
        ("service", "purpose", "url", "scheme", "secrets", "stopped"),
        [
            (
                one.service,
                one.purpose,
                one.url,
                one.secrets[0].scheme.value,
                len(one.secrets),
                one.stopped_at is not None,
            )
            for one in found
        ],
    )


@speaks
def deliver(context: typer.Context, *, as_json: Json = False) -> None:
    """Send what is due now, as `curtilage serve` does by itself.

    Does nothing while another process sends.

    Example: curtilage webhooks deliver
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        worker = deliverer(platform)
        told = received = failed = 0
        held = True
        with out.progress("Delivering", None) as advance:
            while True:
                done = worker.run()
                told, held = told + done.told, done.held
                received += done.received
                failed += done.failed
                advance(done.received + done.failed)
                if not done.received:
                    break
    out.result(
        {
            "sending_elsewhere": not held,
            "made": told,
            "received": received,
            "failed": failed,
        }
    )


@speaks
def outstanding(
    context: typer.Context, actor: Actor = "", *, as_json: Json = False
) -> None:
    """List who has not said what they did, the most overdue first.

    Example: curtilage webhooks outstanding
    """
    _list(context, actor, as_json=as_json, everything=False)


@speaks
def list_all(
    context: typer.Context, actor: Actor = "", *, as_json: Json = False
) -> None:
    """List everything that services were told, and what they answered.

    Example: curtilage webhooks list
    """
    _list(context, actor, as_json=as_json, everything=True)


@speaks
def redeliver(
    context: typer.Context,
    delivery: Annotated[UUID, typer.Argument(help="Id of the delivery.")],
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Have a delivery sent once more, under the same id.

    It goes out with the next pass of `serve`, or of `webhooks deliver`.

    Example: curtilage webhooks redeliver ID
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        asyncio.run(
            platform.webhooks.send_again(
                officer(actor, "compliance"), delivery
            )
        )
    out.result({"delivery": str(delivery), "due": "now"})


def _list(
    context: typer.Context, actor: str, *, as_json: bool, everything: bool
) -> None:
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        found = asyncio.run(
            platform.webhooks.outstanding(
                officer(actor, "compliance"), everything=everything
            )
        )
        now = platform.clock()
    out.table("deliveries", _COLUMNS, [row(one, now) for one in found])


def row(one: Delivery, now: int) -> tuple[object, ...]:
    """Show one delivery as the officer sees it: of whom is not in it."""
    late = 0 if one.done_at is not None else max(0, now - one.deadline)
    return (
        str(one.id),
        one.service,
        one.purpose,
        one.kind.value,
        instant(one.at),
        instant(one.deadline),
        late,
        one.standing.value,
        one.attempts,
        one.fault,
        one.outcome,
        one.ground,
    )


def _with_secret(made: Endpoint) -> dict[str, Any]:
    return {
        "service": made.service,
        "purpose": made.purpose,
        "url": made.url,
        "scheme": made.secrets[0].scheme.value,
        "secret": shown_secret(made.secrets[0]),
    }
