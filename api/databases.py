"""The two databases: how they are opened, and the guarantees asked of them.

SQLite runs with a write-ahead log and ``synchronous=FULL``: a commit has
returned only when its log frames are on disk (`PRAGMA synchronous` in
SQLite's documentation). ``secure_delete`` overwrites what is deleted, so a
destroyed key leaves no copy on the free list. A PostgreSQL with ``fsync``
or ``synchronous_commit`` off is refused.

Transactions are begun by hand (``BEGIN IMMEDIATE`` on SQLite) so that a
writer never finds at its commit that it was only a reader. What is bound to
a statement stays out of the text of its errors.
"""

from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url
from sqlmodel import create_engine

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA secure_delete=ON",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=10000",
)


class UnsafeDatabaseError(Exception):
    """The database is set up so that a commit could be lost."""


def open_database(url: str) -> Engine:
    """Open a database for durable writes.

    Args:
        url: an SQLAlchemy address, ``sqlite:///path`` or
            ``postgresql+psycopg://...``.

    Returns:
        An engine. On SQLite every transaction begins with
        ``BEGIN IMMEDIATE``, unless the connection carries the execution
        option ``read_only=True``, which begins a deferred one.

    Raises:
        UnsafeDatabaseError: PostgreSQL runs with ``fsync`` or
            ``synchronous_commit`` off.

    """
    if make_url(url).get_backend_name() == "sqlite":
        return _open_sqlite(url)
    engine = create_engine(
        url, pool_size=8, max_overflow=8, hide_parameters=True
    )
    _refuse_unsafe(engine)
    return engine


def _open_sqlite(url: str) -> Engine:
    engine = create_engine(
        url,
        connect_args={"check_same_thread": False, "timeout": 10},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own type
        # The driver must not begin transactions behind our back.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's event type
        read_only = connection.get_execution_options().get("read_only")
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _refuse_unsafe(engine: Engine) -> None:
    with engine.connect() as connection:
        off = [
            setting
            for setting in ("fsync", "synchronous_commit")
            if connection.exec_driver_sql(f"SHOW {setting}").scalar() == "off"
        ]
    if off:
        engine.dispose()
        msg = (
            f"PostgreSQL runs with {off[0]}=off: a commit could be lost "
            "after its answer left. Switch it on and restart."
        )
        raise UnsafeDatabaseError(msg)
