"""`curtilage vault index`: which attributes can be looked up, and how."""

from typing import Annotated

import typer

from api.cli.context import Json, instance
from api.cli.output import Output, speaks

Name = Annotated[
    str, typer.Argument(help="Attribute, such as user.name.family.")
]
Prefix = Annotated[
    int,
    typer.Option(
        min=0, max=64, help="Index the first so many characters; 0 for all."
    ),
]
Domain = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Logarithm of how many values there can be; measured from what "
        "is held, if left out.",
    ),
]


def index_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Blind indexes: plan, add, rotate, retire and drop them.",
        no_args_is_help=True,
    )
    group.command("list")(listed)
    group.command("plan")(plan)
    group.command("add")(add)
    group.command("rotate")(rotate)
    group.command("retire")(retire)
    group.command("drop")(drop)
    return group


@speaks
def listed(context: typer.Context, *, as_json: Json = False) -> None:
    """List the indexes with their widths, states and key versions.

    Example: curtilage vault index list
    """
    with instance(context).platform() as platform:
        catalogue = platform.vault.catalogue
        rows = [
            (
                catalogue.numbered(one.attribute).name,
                one.prefix,
                one.bits,
                one.state.value,
                one.key_version,
                one.other_version,
            )
            for one in platform.vault.index.listed()
        ]
    Output(as_json=as_json).table(
        "indexes",
        ("attribute", "prefix", "bits", "state", "key_version", "other"),
        rows,
    )


@speaks
def plan(
    context: typer.Context,
    name: Name,
    prefix: Prefix = 0,
    domain_bits: Domain = None,
    *,
    as_json: Json = False,
) -> None:
    """Say how wide an index may be, or why there may be none.

    Opens and counts every value of the attribute; keeps none.

    Example: curtilage vault index plan user.name.family --prefix 3
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        total = platform.vault.index.holders(name)
        with out.progress("Measuring", total) as advance:
            found = platform.vault.index.plan(
                name,
                prefix=prefix,
                domain_bits=domain_bits,
                progress=advance,
            )
    refused = found.refusal is not None
    out.result(
        {
            "attribute": name,
            "prefix": prefix,
            "bits": found.bits,
            "least": found.least,
            "most": found.most,
            "coincidences": round(found.coincidences, 2),
            "refusal": found.refusal,
            "reason": found.reason,
        },
        f"no index: {found.reason}"
        if refused
        else f"{found.bits} bits ({found.least} to {found.most}); a look-up "
        f"finds {found.coincidences:.1f} people on average",
    )
    if refused:
        raise typer.Exit(1)


@speaks
def add(
    context: typer.Context,
    name: Name,
    prefix: Prefix = 0,
    domain_bits: Domain = None,
    *,
    as_json: Json = False,
) -> None:
    """Declare an index as planned and fill it; run again to take it up.

    Example: curtilage vault index add user.name.family --prefix 3
    """
    out = Output(as_json=as_json)
    with (
        instance(context).platform() as platform,
        out.progress("Filling the index", None) as advance,
    ):
        spec = platform.vault.index.add(
            name, prefix=prefix, domain_bits=domain_bits, progress=advance
        )
    out.result(
        {"attribute": name, "prefix": prefix, "bits": spec.bits},
        f"{name} is indexed by {spec.bits} bits",
    )


@speaks
def rotate(
    context: typer.Context,
    name: Name,
    prefix: Prefix = 0,
    *,
    as_json: Json = False,
) -> None:
    """Give an index a new key beside the old one, then switch to it.

    Look-ups are served throughout. Run again to take it up; `retire` drops
    the old entries a minute later.

    Example: curtilage vault index rotate user.identity.number
    """
    out = Output(as_json=as_json)
    with (
        instance(context).platform() as platform,
        out.progress("Filling under the new key", None) as advance,
    ):
        spec = platform.vault.index.rotate(
            name, prefix=prefix, progress=advance
        )
    out.result(
        {"attribute": name, "key_version": spec.key_version},
        f"{name} is served under key version {spec.key_version}; retire the "
        "old one in a minute",
    )


@speaks
def retire(
    context: typer.Context,
    name: Name,
    prefix: Prefix = 0,
    *,
    as_json: Json = False,
) -> None:
    """Drop the entries under the key before the last rotation.

    Example: curtilage vault index retire user.identity.number
    """
    with instance(context).platform() as platform:
        spec = platform.vault.index.retire(name, prefix=prefix)
    Output(as_json=as_json).result(
        {"attribute": name, "key_version": spec.key_version},
        f"{name} has entries under key version {spec.key_version} alone",
    )


@speaks
def drop(
    context: typer.Context,
    name: Name,
    prefix: Prefix = 0,
    *,
    as_json: Json = False,
) -> None:
    """Take a declared index away, with all its entries.

    Example: curtilage vault index drop user.name.family --prefix 3
    """
    with instance(context).platform() as platform:
        platform.vault.index.drop(name, prefix=prefix)
    Output(as_json=as_json).result(
        {"attribute": name, "prefix": prefix, "dropped": True},
        f"the index of {name} is gone",
    )
