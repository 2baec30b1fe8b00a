"""Laying a new instance down: folder, passphrase, settings file, tables."""

import os
import secrets as tokens
from pathlib import Path

import yaml

from api.bootstrap import initialise, refuse_taken
from api.secrets import Costs
from api.settings import CONFIG_NAME, Settings, read_settings


def create_instance(
    home: Path,
    *,
    tenant: str,
    origin: str,
    passphrase_file: Path,
    costs: Costs | None = None,
    **more: object,
) -> Settings:
    """Lay a new instance down and write its settings file.

    Raises:
        FileExistsError: there is one already; it is left alone.
        ValueError: the data database has rows of another instance's making;
            nothing was written.

    """
    config = home / CONFIG_NAME
    if config.exists():
        msg = f"{config} exists: this is an instance already"
        raise FileExistsError(msg)
    written = {
        "tenant": tenant,
        "origin": origin,
        "passphrase_file": str(passphrase_file.resolve()),
        **more,
    }
    settings = read_settings(home, **written)
    refuse_taken(settings)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not passphrase_file.exists():
        descriptor = os.open(
            passphrase_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600
        )
        with os.fdopen(descriptor, "w") as file:
            file.write(tokens.token_urlsafe(32) + "\n")
    initialise(settings, costs=costs)
    config.write_text(yaml.safe_dump(written), "utf-8")
    config.chmod(0o600)
    return settings
