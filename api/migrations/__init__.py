"""Schema migrations, from revision 1 on: one chain for each database.

`upgrade` brings a database to the newest revision in one transaction; it is
run by ``curtilage init`` and at every start. A test holds the newest
revision equal to the tables that the packages declare, on SQLite and on
PostgreSQL.
"""

from enum import StrEnum
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, inspect, text

import consent
import policy
import vault


class Chain(StrEnum):
    """Which database a chain of revisions is for."""

    DATA = "data"
    KEYS = "keys"


def metadata(chain: Chain) -> list[MetaData]:
    """The tables that the packages declare for a database."""
    if chain is Chain.KEYS:
        return [vault.KEYS_METADATA]
    return [
        vault.DATA_METADATA,
        consent.ConsentTable.metadata,
        policy.METADATA,
    ]


def head(chain: Chain) -> str:
    """The newest revision of a chain."""
    return _scripts(chain).get_current_head() or ""


def upgrade(engine: Engine, chain: Chain, revision: str = "head") -> None:
    """Bring a database up to `revision`, all of it or nothing."""
    with engine.begin() as connection:
        if revision == "head" and stands(connection, chain) == {head(chain)}:
            return
        config = _config(chain)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def downgrade(engine: Engine, chain: Chain, revision: str) -> None:
    """Take a database back to `revision`; ``base`` empties it."""
    with engine.begin() as connection:
        config = _config(chain)
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def version_table(chain: Chain) -> str:
    """The table in which a database keeps its own revision."""
    return f"{chain}_revision"


def revisions(chain: Chain) -> frozenset[str]:
    """Every revision that is known here."""
    return frozenset(one.revision for one in _scripts(chain).walk_revisions())


def stands(connection: Connection, chain: Chain) -> frozenset[str]:
    """At which revisions a database stands; none where it was never made."""
    own = version_table(chain)
    if not inspect(connection).has_table(own):
        return frozenset()
    return frozenset(
        connection.execute(text(f"SELECT version_num FROM {own}")).scalars()
    )


@cache
def _scripts(chain: Chain) -> ScriptDirectory:
    """The revisions of a chain; they are files of the package."""
    return ScriptDirectory.from_config(_config(chain))


def _config(chain: Chain) -> Config:
    config = Config()
    config.set_main_option(
        "script_location", str(Path(__file__).parent / chain.value)
    )
    config.set_main_option("path_separator", "os")
    return config
