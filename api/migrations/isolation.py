"""Row-level tenant isolation on PostgreSQL, table by table.

A table with a tenant's column shows and takes only rows of the tenant that
its connection was opened for; a table of the ledger, only rows of that
ledger (`api.databases.Rows`). A connection that names nobody sees nothing.
The policies are forced, so they bind the owner of the tables too.

It is a second lock. Every statement of ours names its tenant already; this
holds for one that forgot, and for one that somebody typed. It does not hold
against whoever may change the settings of a session: who shall not reach
another tenant's rows at all gets a database, or a server, of their own.

A later revision that adds a table isolates it in the same revision, and one
that moves rows of all tenants calls `open_to_owner` before and
`isolate` after, within its one transaction.
"""

from collections.abc import Iterable, Iterator

from alembic import op
from sqlalchemy import Connection, MetaData, inspect

POLICY = "curtilage_own_rows"
_TENANT = "tenant = current_setting('curtilage.tenant', true)"
_LEDGER = (
    "ledger = ANY (string_to_array("
    "nullif(current_setting('curtilage.ledger', true), ''), ',')::integer[])"
)
_OPEN = """
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
            AND a.attname IN ('tenant', 'ledger') AND NOT a.attisdropped)
AND NOT (c.relrowsecurity AND c.relforcerowsecurity
         AND (SELECT array_agg(p.polname::text) = %(policies)s
              FROM pg_policy p WHERE p.polrelid = c.oid))
ORDER BY c.relname
"""


def isolate(declared: Iterable[MetaData]) -> None:
    """Isolate the tables that are declared and there already.

    Args:
        declared: what the packages declare for this database. Two chains
            may share one, and each has its own tables only.

    """
    connection = op.get_bind()
    for table, condition in _conditions(connection, declared):
        _run(connection, f"DROP POLICY IF EXISTS {POLICY} ON {table}")
        _run(
            connection,
            f"CREATE POLICY {POLICY} ON {table}"
            f" USING ({condition}) WITH CHECK ({condition})",
        )
        _run(connection, f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        _run(connection, f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def open_to_owner(declared: Iterable[MetaData]) -> None:
    """Take the isolation away again, as `isolate` put it."""
    connection = op.get_bind()
    for table, _ in _conditions(connection, declared):
        _run(connection, f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        _run(connection, f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        _run(connection, f"DROP POLICY IF EXISTS {POLICY} ON {table}")


def open_tables(connection: Connection) -> list[str]:
    """Name the tables with somebody's rows that are not isolated.

    Args:
        connection: to either database; on SQLite, whose files belong to
            one instance, there are none.

    Returns:
        Their names, sorted: none after `isolate`.

    """
    if connection.dialect.name != "postgresql":
        return []
    found = connection.exec_driver_sql(_OPEN, {"policies": [POLICY]})
    return list(found.scalars())


def _conditions(
    connection: Connection, declared: Iterable[MetaData]
) -> Iterator[tuple[str, str]]:
    if connection.dialect.name != "postgresql":
        return
    there = set(inspect(connection).get_table_names())
    for one in declared:
        for table in one.sorted_tables:
            if table.name not in there:
                continue
            if "tenant" in table.columns:
                yield table.name, _TENANT
            elif "ledger" in table.columns:
                yield table.name, _LEDGER


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)
