"""The days by which values are to be deleted, in the data database."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection, Engine, bindparam, delete, insert, select

from vault.tables import RETENTION


class RetentionDays:
    """Delete-by days of one tenant's values.

    Args:
        engine: the data database.
        tenant: whose.

    """

    def __init__(self, *, engine: Engine, tenant: str) -> None:
        self._engine = engine
        self._tenant = tenant

    def write(
        self,
        conn: Connection,
        days: Iterable[tuple[UUID, int, int | None]],
    ) -> None:
        """Set days, or take them away.

        Args:
            conn: the transaction of the values.
            days: person, attribute's number, and days since 1970-01-01 UTC,
                or None for no end.

        """
        listed = list(days)
        if not listed:
            return
        conn.execute(
            delete(RETENTION).where(
                RETENTION.c.tenant == self._tenant,
                RETENTION.c.subject == bindparam("who"),
                RETENTION.c.attribute == bindparam("which"),
            ),
            [{"who": who, "which": which} for who, which, _ in listed],
        )
        dated = [
            {
                "tenant": self._tenant,
                "subject": who,
                "attribute": which,
                "delete_by": day,
            }
            for who, which, day in listed
            if day is not None
        ]
        if dated:
            conn.execute(insert(RETENTION), dated)

    def due(self, day: int) -> dict[UUID, list[int]]:
        """List what is due on a day, by person."""
        asked = (
            select(RETENTION.c.subject, RETENTION.c.attribute)
            .where(
                RETENTION.c.tenant == self._tenant,
                RETENTION.c.delete_by <= day,
            )
            .order_by(RETENTION.c.subject, RETENTION.c.attribute)
        )
        found: dict[UUID, list[int]] = {}
        with self._engine.connect().execution_options(read_only=True) as conn:
            for row in conn.execute(asked):
                found.setdefault(row.subject, []).append(row.attribute)
        return found
