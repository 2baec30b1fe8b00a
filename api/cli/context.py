"""What every command shares: which instance, who acts, which voice."""

import getpass
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from api.bootstrap import bootstrap
from api.platform import Platform
from api.settings import (
    CONFIG_NAME,
    Settings,
    home_folder,
    read_settings,
)
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


# An option may be spelled as it once was; help shows one spelling.
KEY_IS_VKEY: dict[str, Any] = {
    "token_normalize_func": lambda name: "vkey" if name == "key" else name
}
VKEY_IS_KEY: dict[str, Any] = {
    "token_normalize_func": lambda name: "key" if name == "vkey" else name
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """Which instance the command line was pointed at."""

    home: Path | None

    def settings(self) -> Settings:
        """Read its settings.

        Raises:
            ValueError: no instance stands there, or a setting is wrong.

        """
        self._refuse_none()
        return read_settings(self.home)

    @contextmanager
    def platform(
        self,
        *,
        clock_was_ahead: bool = False,
        changes: Mapping[str, str] | None = None,
    ) -> Iterator[Platform]:
        """Open it for one command, with some settings changed."""
        self._refuse_none()
        settings = read_settings(self.home, **(changes or {}))
        platform = bootstrap(settings, clock_was_ahead=clock_was_ahead)
        try:
            yield platform
        finally:
            platform.close()

    def _refuse_none(self) -> None:
        """Refuse a place where no instance stands, before it is asked why."""
        home = home_folder(self.home)
        stands = (home / CONFIG_NAME, home / "secrets")
        if any(one.exists() for one in stands) or (
            "CURTILAGE_CONFIG" in os.environ and not home.is_file()
        ):
            return
        if home.is_file():
            why, make = "it is a file", "FOLDER"
        elif home.is_dir():
            why, make = f"it has no {CONFIG_NAME}", f"{home}"
        else:
            why, make = "there is no such folder", f"{home}"
        msg = (
            f"no instance in {home}: {why}. Name the folder of one with "
            f"--home or CURTILAGE_HOME, or make one: curtilage --home {make} "
            "init"
        )
        raise ValueError(msg)


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
