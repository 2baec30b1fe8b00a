"""What a database knows of the erasure journal: its last record then.

The journal's own file cannot tell that its end was cut off. Each database
keeps the number and the chain value of the last record that it knows, moved
forward in the transaction of each erasure and at every start.
"""

from sqlalchemy import Connection, Table, select, text

from vault.journal import Position


def read_mark(conn: Connection, table: Table, tenant: str) -> Position | None:
    """Read the last record of the journal that a database knows."""
    row = conn.execute(
        select(table.c.number, table.c.mac).where(table.c.tenant == tenant)
    ).one_or_none()
    return None if row is None else Position(number=row.number, mac=row.mac)


def move_mark(
    conn: Connection, table: Table, tenant: str, position: Position
) -> None:
    """Move a database's mark forward; never back."""
    conn.execute(
        text(
            f"INSERT INTO {table.name} (tenant, number, mac)"
            " VALUES (:tenant, :number, :mac)"
            " ON CONFLICT (tenant) DO UPDATE SET number = excluded.number,"
            f" mac = excluded.mac WHERE {table.name}.number"
            " < excluded.number"
        ),
        {"tenant": tenant, "number": position.number, "mac": position.mac},
    )
