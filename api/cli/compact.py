"""`curtilage compact`: the compact policies of P3P headers."""

from typing import Annotated

import typer

from api.cli.context import Json
from api.cli.output import Output, speaks
from api.cli.p3p_views import finding_row
from consent import read_compact


def compact_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Compact policies, as P3P headers carry them.",
        no_args_is_help=True,
    )

    @group.callback()
    def _group() -> None:
        """Keep `lint` a command of its own, though it is the only one."""

    group.command("lint")(lint)
    return group


@speaks
def lint(
    tokens: Annotated[
        str,
        typer.Argument(help='The tokens, CP="...", or a whole P3P header.'),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Say what a compact policy says, and what is wrong with it.

    It exits with 2 where it is no compact policy at all.

    Example: curtilage compact lint 'CP="NOI DSP COR CURa OUR IND"'
    """
    reading = read_compact(tokens, where="compact policy")
    said = reading.policy
    output = Output(as_json=as_json)
    for finding in reading.findings:
        output.say(str(finding))
    output.result(
        {
            "valid": reading.valid,
            "compact": said.text(),
            "policyref": reading.policyref,
            "access": sorted(said.access),
            "disputes": said.disputes,
            "remedies": sorted(said.remedies),
            "non_identifiable": said.non_identifiable,
            "purposes": dict(said.purposes),
            "recipients": dict(said.recipients),
            "retention": sorted(said.retentions),
            "categories": sorted(said.categories),
            "test": said.test,
            "findings": [finding_row(each) for each in reading.findings],
        },
        f'CP="{said.text()}"',
    )
    if not reading.valid:
        raise typer.Exit(2)
