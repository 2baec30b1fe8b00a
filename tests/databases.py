"""Databases for tests: fresh copies, as files or on a PostgreSQL server.

Files are copied from two that were migrated once a process.

On PostgreSQL each instance of a test gets a database of its own, copied
from one that was migrated once a process, with a schema for the data and
one for the keys. The role that owns them is an ordinary one, as in
production: row-level security does not bind a superuser.
"""

import atexit
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from api.databases import open_database
from api.migrations import Chain, upgrade

ADDRESS = "CURTILAGE_TEST_POSTGRESQL"
OWNER = "curtilage_owner"
_VACUUM_LOOKS = 150
_numbers = itertools.count(1)


class Kind(StrEnum):
    """Which database an instance stands on."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


KINDS = [
    pytest.param(Kind.SQLITE),
    pytest.param(Kind.POSTGRESQL, marks=pytest.mark.postgresql),
]


def with_options(url: str, *settings: str) -> str:
    """An address whose connections carry server settings."""
    options = quote(" ".join(f"-c{one}" for one in settings))
    return f"{url}{'&' if '?' in url else '?'}options={options}"


def connect(url: str) -> Any:  # noqa: ANN401 - the driver's own type
    """Open a plain connection of the driver, each statement by itself."""
    import psycopg  # noqa: PLC0415 - an extra: needed with a server only

    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def create_owner(server: str) -> str:
    """Create the ordinary role on a cluster; return its address there."""
    with connect(server) as connection:
        connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEDB")
    address = make_url(server).set(username=OWNER)
    return address.render_as_string(hide_password=False)


def create_database(server: str, name: str, template: str = "") -> str:
    """Create a database on the server and return its address."""
    copied = f" TEMPLATE {template}" if template else ""
    with connect(server) as connection:
        connection.execute(f"CREATE DATABASE {name}{copied}")
    address = make_url(server).set(database=name)
    return address.render_as_string(hide_password=False)


@contextmanager
def fresh(kind: Kind) -> Iterator[Mapping[str, str]]:
    """Give the settings that name two migrated, empty databases.

    Yields:
        ``data_url`` and ``keys_url``; nothing for SQLite, whose files an
        instance makes in its own folder.

    """
    if kind is Kind.SQLITE:
        yield {}
        return
    server = os.environ.get(ADDRESS, "")
    if not server:
        pytest.skip(f"{ADDRESS} names no server")
    template = _template(server)
    name = f"{template}_{next(_numbers)}"
    url = create_database(server, name, template)
    try:
        yield {
            f"{chain}_url": with_options(url, f"search_path={chain}")
            for chain in Chain
        }
    finally:
        _drop(server, name)


def _drop(server: str, name: str) -> None:
    """Drop a database, and wait for the vacuum that may be in it.

    The owner can end every session there but that of the server itself.
    """
    import psycopg  # noqa: PLC0415 - an extra: needed with a server only

    for _ in range(_VACUUM_LOOKS):
        with (
            connect(server) as connection,
            suppress(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            return
        time.sleep(0.2)
    msg = f"{name} is still vacuumed"
    raise TimeoutError(msg)


def drop_template() -> None:
    """Drop what the copies were taken from, when the process ends."""
    server = os.environ.get(ADDRESS, "")
    if server and _template.cache_info().currsize:
        with connect(server) as connection:
            connection.execute(f"DROP DATABASE {_template(server)}")
        _template.cache_clear()


@cache
def _template(server: str) -> str:
    """Migrate a database once, for all that are copied from it."""
    name = f"{make_url(server).database}_{os.getpid()}"
    url = create_database(server, name)
    for chain in Chain:
        with connect(url) as connection:
            connection.execute(f"CREATE SCHEMA {chain}")
        engine = open_database(with_options(url, f"search_path={chain}"))
        upgrade(engine, chain)
        engine.dispose()
    return name


def lay_files(home: Path) -> None:
    """Put migrated, empty files where an instance would make its own."""
    for chain in Chain:
        folder = home / chain
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        shutil.copy(_files() / f"{chain}.db", folder)


@cache
def _files() -> Path:
    """Migrate two files once, for all that are copied from them."""
    folder = Path(tempfile.mkdtemp(prefix="curtilage-files-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for chain in Chain:
        engine = open_database(f"sqlite:///{folder}/{chain}.db")
        upgrade(engine, chain)
        engine.dispose()
    return folder


def counted(engine: Engine) -> set[str]:
    """The tables whose rows the server has counted."""
    with engine.connect() as conn:
        return set(
            conn.execute(
                text(
                    "SELECT relname FROM pg_class WHERE relkind = 'r'"
                    " AND reltuples >= 0"
                    " AND relnamespace = current_schema::regnamespace"
                )
            ).scalars()
        )
