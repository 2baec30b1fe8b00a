"""The two databases of an instance, looked at, opened and migrated.

Nothing is written before both have been looked at: what is missing,
damaged, read-only, of another kind or of a newer version is named, and left
as it was. An embedded file is checked page by page while that takes less
than a moment; a larger one is checked by the reads themselves.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import Engine, column, inspect, literal, select, table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from api.databases import Pool, Rows, UnsafeDatabaseError, open_database
from api.faults import DatabaseFaultError, is_sound, sentence
from api.migrations import (
    Chain,
    revisions,
    stands,
    upgrade,
    version_table,
)
from api.migrations.isolation import open_tables
from api.settings import Settings
from consent import ledger_number
from vault import DATA_METADATA, KEYS_METADATA

_CHECKED_BYTES = 64 << 20


class WrongDatabaseError(Exception):
    """An address leads to no database, or to another one than it says."""


def addresses(settings: Settings) -> Mapping[str, str]:
    """The address of each database, by its name."""
    return {Chain.DATA: settings.data, Chain.KEYS: settings.keys}


def open_databases(
    settings: Settings, past: Sequence[str] = (), *, new: bool = False
) -> tuple[Engine, Engine]:
    """Open the data and the keys database at the newest revision.

    Args:
        settings: of the instance; every connection touches the rows of its
            tenant and its ledger only.
        past: names that the ledger had before a restore.
        new: whether the databases may be made here.

    Raises:
        WrongDatabaseError: one is missing, empty, the other one, of
            another instance, or of a newer version.
        DatabaseFaultError: one is damaged, read-only, locked, full or out
            of reach.
        UnsafeDatabaseError: a commit could be lost, or rows of several
            tenants would not be kept apart.

    """
    rows = Rows(
        tenant=settings.tenant,
        ledger=ledger_number(settings.origin),
        past=tuple(ledger_number(one) for one in past),
    )
    pool = Pool(size=settings.pool_size, overflow=settings.pool_overflow)
    places = addresses(settings)
    for chain in Chain:
        _look(chain, places[chain], new=new)
    with ExitStack() as stack:
        opened: dict[Chain, Engine] = {}
        for chain in Chain:
            with _worded(settings, chain):
                engine = open_database(
                    places[chain],
                    rows=rows,
                    pool=pool,
                    name=chain,
                    # Jobs over everybody's keys run beside desks and
                    # servers. The ledger's writer may not be held.
                    turns=chain is Chain.KEYS,
                )
                stack.callback(engine.dispose)
                shared = len(set(places.values())) == 1
                _recognise(engine, chain, new=new, shared=shared)
            opened[chain] = engine
        for chain, engine in opened.items():
            with _worded(settings, chain):
                upgrade(engine, chain)
                _refuse_open_tables(engine, chain)
        if not new:
            _refuse_strangers(opened, settings.tenant)
        stack.pop_all()
    return opened[Chain.DATA], opened[Chain.KEYS]


def has_rows(settings: Settings, tables: Collection[str]) -> bool:
    """Say whether the data database holds rows of the tenant already.

    Nothing is written for it, and no database made.

    Args:
        settings: of an instance that is yet to be made.
        tables: that are looked at, where they are there.

    Raises:
        WrongDatabaseError, DatabaseFaultError, UnsafeDatabaseError: as
            `open_databases`.

    """
    _look(Chain.DATA, settings.data, new=True)
    path = _file(settings.data)
    if path is not None and not (path.exists() and path.stat().st_size):
        return False
    rows = Rows(tenant=settings.tenant, ledger=ledger_number(settings.origin))
    with _worded(settings, Chain.DATA), ExitStack() as stack:
        engine = open_database(settings.data, rows=rows, name=Chain.DATA)
        stack.callback(engine.dispose)
        conn = stack.enter_context(
            engine.connect().execution_options(read_only=True)
        )
        there = set(inspect(conn).get_table_names()).intersection(tables)
        return any(
            conn.execute(
                select(literal(1))
                .select_from(table(name))
                .where(column("tenant") == settings.tenant)
                .limit(1)
            ).first()
            for name in sorted(there)
        )


def _file(url: str) -> Path | None:
    """Give the file of an embedded database; None of any other."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return Path(parsed.database)


def _look(chain: Chain, url: str, *, new: bool) -> None:
    """Look at an embedded file without opening it."""
    path = _file(url)
    if path is None:
        return
    if not path.exists() or not path.stat().st_size:
        if new:
            return
        what = "empty" if path.exists() else "missing"
        msg = (
            f"the {chain} database ({path}) is {what}: put its newest "
            "backup in place, or correct the settings. A new instance is "
            "made by `curtilage init`"
        )
        raise WrongDatabaseError(msg)
    for place in (path, path.parent):
        if not os.access(place, os.R_OK | os.W_OK):
            msg = (
                f"the {chain} database ({path}) cannot be written: "
                f"{place} is read-only for this account. Let it write to "
                "the file and to its folder, and try again"
            )
            raise DatabaseFaultError(msg)
    if path.stat().st_size <= _CHECKED_BYTES and not is_sound(str(path)):
        msg = (
            f"the {chain} database ({path}) is damaged: PRAGMA quick_check "
            "finds pages that are not in order. Stop every process, keep a "
            "copy of the file, and restore the last good backup"
        )
        raise DatabaseFaultError(msg)


def _recognise(
    engine: Engine, chain: Chain, *, new: bool, shared: bool
) -> None:
    """Refuse the other database, an empty one, and a newer one."""
    where = engine.url.render_as_string(hide_password=True)
    with engine.connect().execution_options(read_only=True) as conn:
        tables = set(inspect(conn).get_table_names())
        own = version_table(chain)
        others = {version_table(one) for one in Chain if one is not chain}
        if own not in tables:
            if tables & others and not shared:
                msg = (
                    f"the {chain} database ({where}) is another one of an "
                    "instance: data and keys are mixed up. Correct data_url "
                    "and keys_url"
                )
                raise WrongDatabaseError(msg)
            if not new:
                msg = (
                    f"the {chain} database ({where}) holds no instance: put "
                    "its newest backup in place, or correct the settings"
                )
                raise WrongDatabaseError(msg)
            return
        unknown = sorted(stands(conn, chain) - revisions(chain))
    if unknown:
        msg = (
            f"the {chain} database ({where}) is of a newer version "
            f"(revision {unknown[0]}; this one knows {max(revisions(chain))} "
            "and before): run that version, or restore a backup of before it"
        )
        raise WrongDatabaseError(msg)


def _refuse_open_tables(engine: Engine, chain: Chain) -> None:
    with engine.connect().execution_options(read_only=True) as conn:
        found = open_tables(conn)
    if found:
        msg = (
            f"the {chain} database keeps rows of several tenants apart in "
            f"all tables but {', '.join(found)}: somebody took the "
            "row-level security off. Put it back and restart."
        )
        raise UnsafeDatabaseError(msg)


def _refuse_strangers(opened: Mapping[Chain, Engine], tenant: str) -> None:
    """Refuse keys that are not the keys of this data.

    Each tenant has one record that stands in for unknown people. It is made
    with the keys, and its key and its values never part.
    """
    where = KEYS_METADATA.tables["vault_tenant"].c
    with (
        opened[Chain.KEYS].connect().execution_options(read_only=True) as conn
    ):
        decoy = conn.execute(
            select(where.decoy).where(where.tenant == tenant)
        ).scalar()
    if decoy is None:
        msg = (
            f"the keys database holds no keys of tenant {tenant}: put its "
            "newest backup in place, or correct the settings"
        )
        raise WrongDatabaseError(msg)
    here = DATA_METADATA.tables["vault_subject"].c
    with (
        opened[Chain.DATA].connect().execution_options(read_only=True) as conn
    ):
        there = conn.execute(
            select(here.epoch).where(
                here.tenant == tenant, here.subject == decoy
            )
        ).scalar()
    if there is None:
        msg = (
            "the keys database holds the keys of other data than the data "
            "database has: they are of two instances. Correct data_url and "
            "keys_url, or restore both"
        )
        raise WrongDatabaseError(msg)


@contextmanager
def _worded(settings: Settings, chain: Chain) -> Iterator[None]:
    """Say what a driver's failure means, and where it was."""
    try:
        yield
    except DBAPIError as error:
        told = sentence(error, addresses(settings), known=chain)
        if not told:
            raise
        raise DatabaseFaultError(told) from None
