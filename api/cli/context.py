"""What every command shares: which instance, who acts, which voice."""

import getpass
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from api.bootstrap import bootstrap
from api.platform import Platform
from api.settings import Settings, read_settings
from policy import Caller, CallerKind

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead.")
]
Actor = Annotated[
    str,
    typer.Option(
        "--as",
        envvar="CURTILAGE_OFFICER",
        help="Id of the officer who acts; the operating system's user "
        "name if left out. It is recorded in the ledger.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """Which instance the command line was pointed at."""

    home: Path | None

    def settings(self) -> Settings:
        """Read its settings."""
        return read_settings(self.home)

    @contextmanager
    def platform(
        self,
        *,
        clock_was_ahead: bool = False,
        changes: Mapping[str, str] | None = None,
    ) -> Iterator[Platform]:
        """Open it for one command, with some settings changed."""
        settings = read_settings(self.home, **(changes or {}))
        platform = bootstrap(settings, clock_was_ahead=clock_was_ahead)
        try:
            yield platform
        finally:
            platform.close()


def instance(context: typer.Context) -> Instance:
    """The instance chosen by ``--home``."""
    found = context.find_object(Instance)
    return found or Instance(home=None)


def officer(name: str, *roles: str) -> Caller:
    """The officer who acts, with the roles that this command stands for.

    Whoever can run the command line on the host holds the instance's
    passphrase, so the roles here say what the act is, and the record says
    who did it; identity and real roles come with the identity provider.
    """
    return Caller(
        kind=CallerKind.OFFICER,
        id=name or getpass.getuser(),
        roles=tuple(roles),
    )
