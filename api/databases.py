"""The two databases: how they are opened, and the guarantees asked of them.

SQLite runs with a write-ahead log and ``synchronous=FULL``: a commit has
returned only when its log frames are on disk (`PRAGMA synchronous` in
SQLite's documentation). ``secure_delete`` overwrites what is deleted, so a
destroyed key leaves no copy on the free list. Each connection keeps up to
64 MiB of pages in memory, where SQLite's default is 2, so that the upper
levels of a large table's index are not read from the file at every look-up. A
PostgreSQL with ``fsync`` or ``synchronous_commit`` off is refused.

Transactions are begun by hand (``BEGIN IMMEDIATE`` on SQLite) so that a
writer never finds at its commit that it was only a reader. What is bound to
a statement stays out of the text of its errors.

On PostgreSQL every connection says at its start whose rows it may touch
(`Rows`), in settings that the policies of row-level security compare with
each row. They are start-up options of the connection: nothing that resets a
session takes them away, and a pooler between that drops them leaves a
connection that sees nothing. A superuser is refused, because no policy
binds one.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, ExceptionContext, event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.engine.characteristics import ConnectionCharacteristic
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlmodel import create_engine

from api.faults import note_database
from api.turns import turn

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA secure_delete=ON",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=10000",
    # In KiB, as it is below zero.
    "PRAGMA cache_size=-65536",
)
# As long as SQLite waits for a lock, and for a server that does not answer.
_LOCK_MS = 10_000
_CONNECT_SECONDS = 10
_LOOK_UPS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
# A connection is not used longer than this: servers and the networks
# between forget idle ones, and a role's rights are read when it connects.
_RECYCLE_SECONDS = 1_800


class UnsafeDatabaseError(Exception):
    """The database is set up so that a promise could not be kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Whose rows a connection may see and write.

    Attributes:
        tenant: the public body.
        ledger: the number of its ledger (`consent.ledger_number`).
        past: numbers of the ledgers that it had before a restore.
    """

    tenant: str
    ledger: int
    past: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """How many connections a process keeps to one PostgreSQL database.

    Attributes:
        size: kept open.
        overflow: opened beyond that under load, and closed again.
    """

    size: int = 8
    overflow: int = 8


class LookUps(ConnectionCharacteristic):
    """Execution option ``look_ups``: ids in, their rows out, by indexes.

    What is read or written for an answer names its rows by their keys, so
    there is nothing to choose: such connections follow indexes, and keep one
    plan of each statement. Planning a list of ids anew costs several times
    what the look-up does. What reads much at once has connections without
    it. The pool takes it back.
    """

    def set_characteristic(
        self,
        dialect: Dialect,
        dbapi_conn: DBAPIConnection,
        value: bool,  # noqa: FBT001 - SQLAlchemy's signature
    ) -> None:
        """Switch it on, outside any transaction."""
        del dialect
        if value:
            _say(
                dbapi_conn,
                [f"SET {name} = {to}" for name, to in _LOOK_UPS.items()],
            )

    def reset_characteristic(
        self, dialect: Dialect, dbapi_conn: DBAPIConnection
    ) -> None:
        """Switch it off again."""
        del dialect
        _say(dbapi_conn, [f"RESET {name}" for name in _LOOK_UPS])

    def get_characteristic(
        self, dialect: Dialect, dbapi_conn: DBAPIConnection
    ) -> bool:
        """Say whether it is on."""
        del dialect
        cursor = dbapi_conn.cursor()
        cursor.execute("SHOW enable_seqscan")
        [shown] = cursor.fetchone() or ("on",)
        cursor.close()
        dbapi_conn.commit()
        return bool(shown == "off")


def count_rows(*engines: Engine) -> None:
    """Have PostgreSQL count what was just put in, for how it will look it up.

    It does so by itself within minutes. Until then it plans as if the tables
    were as small as before, which an import or a restore makes very wrong.

    Args:
        engines: of the databases; of SQLite nothing is asked.

    """
    for engine in engines:
        if engine.dialect.name != "postgresql":
            continue
        quoted = engine.dialect.identifier_preparer.quote
        names = ", ".join(map(quoted, inspect(engine).get_table_names()))
        with engine.begin() as conn:
            conn.exec_driver_sql(f"ANALYZE {names}")


def _offer_look_ups(engine: Engine) -> None:
    dialect = engine.dialect
    if isinstance(dialect, DefaultDialect):
        known = dialect.connection_characteristics
        dialect.connection_characteristics = known.union(
            {"look_ups": LookUps()}
        )


def _say(connection: DBAPIConnection, statements: list[str]) -> None:
    cursor = connection.cursor()
    cursor.execute("; ".join(statements))
    cursor.close()
    connection.commit()


def open_database(
    url: str,
    *,
    rows: Rows | None = None,
    pool: Pool | None = None,
    name: str = "",
    turns: bool = False,
) -> Engine:
    """Open a database for durable writes.

    Args:
        url: an SQLAlchemy address, ``sqlite:///path`` or
            ``postgresql+psycopg://...``.
        rows: whose rows every connection may touch; None touches none of
            the tables that belong to somebody. PostgreSQL only.
        pool: how many connections; PostgreSQL only.
        name: what errors call this database.
        turns: whether who waits to write is let in before who wrote last
            (`api.turns`), for which a thread is held. SQLite only.

    Returns:
        An engine. On SQLite every transaction begins with
        ``BEGIN IMMEDIATE``, unless the connection carries the execution
        option ``read_only=True``, which begins a deferred one.

    Raises:
        UnsafeDatabaseError: PostgreSQL runs with ``fsync`` or
            ``synchronous_commit`` off, or `rows` is given and the role
            stands above row-level security.

    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = _open_sqlite(url, turns=turns)
        _name_errors(engine, name)
        return engine
    sized = pool or Pool()
    engine = create_engine(
        url,
        connect_args={
            "options": _options(parsed, rows),
            "connect_timeout": _CONNECT_SECONDS,
        },
        pool_size=sized.size,
        max_overflow=sized.overflow,
        pool_pre_ping=True,
        pool_recycle=_RECYCLE_SECONDS,
        hide_parameters=True,
    )
    _offer_look_ups(engine)
    _name_errors(engine, name)
    _refuse_unsafe(engine)
    if rows is not None:
        _refuse_unbound(engine)
    return engine


def _options(url: URL, rows: Rows | None) -> str:
    """The start-up options: the address's own, and after them ours."""
    given = url.query.get("options", "")
    own = [given] if isinstance(given, str) else list(given)
    # Writers queue at the row that they lock first. At a stricter level the
    # next in the queue would be ended and run again, time after time.
    settings = {
        "lock_timeout": str(_LOCK_MS),
        "default_transaction_isolation": "read committed",
    }
    if rows is not None:
        settings["curtilage.tenant"] = rows.tenant
        settings["curtilage.ledger"] = ",".join(
            str(one) for one in (rows.ledger, *rows.past)
        )
    return " ".join(
        [one for one in own if one]
        + [f"-c{name}={_quoted(value)}" for name, value in settings.items()]
    )


def _quoted(value: str) -> str:
    """Quote a value for ``options`` (PostgreSQL 15, section 34.1.2)."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def _open_sqlite(url: str, *, turns: bool) -> Engine:
    file = make_url(url).database
    folder = Path(file).absolute().parent if turns and file else None
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
        options = connection.get_execution_options()
        if options.get("begun"):
            return
        if options.get("read_only"):
            connection.exec_driver_sql("BEGIN")
            return
        with nullcontext() if folder is None else turn(folder):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _name_errors(engine: Engine, name: str) -> None:
    """Write on each error which database it came from."""
    if not name:
        return

    @event.listens_for(engine, "handle_error")
    def _note(context: ExceptionContext) -> None:
        if context.sqlalchemy_exception is not None:
            note_database(context.sqlalchemy_exception, name)


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


def _refuse_unbound(engine: Engine) -> None:
    """Refuse a role that row-level security does not bind."""
    with engine.connect() as connection:
        role = connection.exec_driver_sql(
            "SELECT rolname FROM pg_roles WHERE rolname = current_user"
            " AND (rolsuper OR rolbypassrls)"
        ).scalar()
    if role is not None:
        engine.dispose()
        msg = (
            f"the PostgreSQL role {role} is a superuser or has BYPASSRLS: "
            "rows of several tenants would not be kept apart. Connect as "
            "an ordinary role that owns the database."
        )
        raise UnsafeDatabaseError(msg)
