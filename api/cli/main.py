"""The `curtilage` command and its groups."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.backup import backup_commands, restore_commands
from api.cli.compact import compact_commands
from api.cli.consent import consent_commands
from api.cli.context import Instance
from api.cli.decision import decision_commands
from api.cli.declaration import declaration_commands
from api.cli.demo import demo
from api.cli.erasure import (
    erase,
    erasure_commands,
    hold_commands,
    retention_commands,
)
from api.cli.extract import extract_commands
from api.cli.glass import glass_commands
from api.cli.hierarchy import hierarchy_commands
from api.cli.instance import init, serve
from api.cli.keys import keys_commands
from api.cli.ledger import ledger_commands, receipt_commands
from api.cli.mandate import mandate_commands
from api.cli.numbers import numbers_commands
from api.cli.officer import officer_commands
from api.cli.person import person_commands
from api.cli.policy import policy_commands
from api.cli.preferences import preferences_commands
from api.cli.release import release_commands
from api.cli.scrub import scrub
from api.cli.service import service_commands
from api.cli.vault import vault_commands
from api.cli.vouch import vouch
from api.cli.webhooks import webhooks_commands
from api.cli.witness import witness_commands

_HELP = """Personal data behind consent, law and policy.

Start with `curtilage init`, then `curtilage declaration propose` and
`approve`, `curtilage service add` and `curtilage serve`; or see everything
at once with `curtilage demo`.
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
                help="Folder of the instance; if left out, CURTILAGE_HOME "
                "or var/instance.",
            ),
        ] = None,
    ) -> None:
        context.obj = Instance(home=home)

    for function in (init, serve, demo, erase, scrub, vouch):
        app.command()(function)
    for name, group in (
        ("vault", vault_commands()),
        ("keys", keys_commands()),
        ("declaration", declaration_commands()),
        ("compact", compact_commands()),
        ("preferences", preferences_commands()),
        ("consent", consent_commands()),
        ("mandate", mandate_commands()),
        ("person", person_commands()),
        ("service", service_commands()),
        ("webhooks", webhooks_commands()),
        ("officer", officer_commands()),
        ("glass", glass_commands()),
        ("extract", extract_commands()),
        ("hierarchy", hierarchy_commands()),
        ("release", release_commands()),
        ("numbers", numbers_commands()),
        ("ledger", ledger_commands()),
        ("receipt", receipt_commands()),
        ("policy", policy_commands()),
        ("decision", decision_commands()),
        ("witness", witness_commands()),
        ("erasure", erasure_commands()),
        ("hold", hold_commands()),
        ("retention", retention_commands()),
        ("backup", backup_commands()),
        ("restore", restore_commands()),
    ):
        app.add_typer(group, name=name)
    return app


def main() -> None:
    """Run the command line; the entry point of the installed script."""
    build()()
