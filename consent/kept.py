"""What is stored of one person's consent, row by row, for a sweep.

A decision refuses a person whose rows do not read. A sweep has to go on: it
gives what reads, and says of the rest that it is there.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    String,
    Table,
    bindparam,
    select,
    type_coerce,
)

from consent.records import ConsentEvent


class KeptEvent(NamedTuple):
    """One row of the log of answers.

    Attributes:
        revision: where it stands in the person's log.
        id: of the event, as it is stored.
        event: the event; None where the row does not read.
    """

    revision: object
    id: str
    event: ConsentEvent | None


class KeptRules(NamedTuple):
    """One version of a person's rules, as it is stored.

    Attributes:
        version: which.
        at: POSIX seconds when they were set.
        text: the rules, as canonical JSON.
    """

    version: object
    at: object
    text: object


class KeptMandate(NamedTuple):
    """One mandate to act for a person, as it is stored.

    Attributes:
        id: its own.
        text: what was recorded when it was made, as canonical JSON.
        ended_at: POSIX seconds since which it no longer holds, or None.
        ended_recorded_at: when that became known, or None.
    """

    id: str
    text: object
    ended_at: object
    ended_recorded_at: object


class Kept(NamedTuple):
    """All rows of one person's consent.

    Attributes:
        events: their answers, in the order of the log.
        rules: their rules, in the order of their versions.
        mandates: to act for them.
    """

    events: list[KeptEvent]
    rules: list[KeptRules]
    mandates: list[KeptMandate]


class Owners:
    """Lists who has any row in a table of people's rows.

    Args:
        engine: the data database.
        table: with the columns tenant and subject, indexed in this order.
    """

    def __init__(self, engine: Engine, table: Table) -> None:
        who: ColumnElement[Any] = table.c.subject
        if not engine.dialect.supports_native_uuid:
            who = type_coerce(who, String)
        self._who = who
        self._all: Select[Any] = (
            select(who)
            .distinct()
            .where(table.c.tenant == bindparam("tenant"))
            .order_by(who)
        )

    def page(
        self, conn: Connection, tenant: str, after: object, limit: int
    ) -> list[Any]:
        """List some of them, in order.

        Args:
            conn: where to read.
            tenant: whose people.
            after: the last of the page before, or None.
            limit: at most so many.

        Returns:
            Ids in the driver's own form, because a damaged one may be none.
        """
        asked = self._all.limit(limit)
        if after is not None:
            asked = asked.where(self._who > after)
        return list(conn.execute(asked, {"tenant": tenant}).scalars())


Page = Callable[[Connection, object, int], Sequence[Any]]
"""Lists owners of rows after one of them, as `Owners.page` does."""
