"""The `curtilage` command and its groups."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import Instance
from api.cli.declaration import declaration_commands
from api.cli.demo import demo
from api.cli.extract import extract_commands
from api.cli.instance import init, serve
from api.cli.ledger import ledger_commands, receipt_commands
from api.cli.officer import officer_commands
from api.cli.policy import policy_commands
from api.cli.release import release_commands
from api.cli.service import service_commands
from api.cli.vault import vault_commands

_HELP = """Personal data behind consent, law and policy.

Start with `curtilage init`, then `curtilage declaration register`,
`curtilage service add` and `curtilage serve`; or see everything at once
with `curtilage demo`.
"""


def build() -> typer.Typer:
    """Assemble the command line."""
    app = typer.Typer(
        help=_HELP, no_args_is_help=True, pretty_exceptions_enable=False
    )

    @app.callback()
    def choose(
        context: typer.Context,
        home: Annotated[
            Path | None,
            typer.Option(
                help="Folder of the instance [env: CURTILAGE_HOME; "
                "default: var/instance].",
            ),
        ] = None,
    ) -> None:
        context.obj = Instance(home=home)

    for function in (init, serve, demo):
        app.command()(function)
    for name, group in (
        ("vault", vault_commands()),
        ("declaration", declaration_commands()),
        ("service", service_commands()),
        ("officer", officer_commands()),
        ("extract", extract_commands()),
        ("release", release_commands()),
        ("ledger", ledger_commands()),
        ("receipt", receipt_commands()),
        ("policy", policy_commands()),
    ):
        app.add_typer(group, name=name)
    return app


def main() -> None:
    """Run the command line; the entry point of the installed script."""
    build()()
