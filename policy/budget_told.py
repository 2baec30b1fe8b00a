"""What the entries of the ledger say was spent of privacy budgets.

What was spent is a row, and a row that is taken away or lowered would be
budget that is there again. Each reservation is an entry, which takes nothing
back: so whoever asks for more has every one of the window to be there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy import Connection

from consent import AuditEntry, EntryKind, Ledger, RowForged
from policy.entry_walk import EntryWalk

SPENT = "numbers"
_ONCE_MORE = 60  # seconds, within which both were written


class SpentRow(Protocol):
    """A row of what was spent."""

    @property
    def id(self) -> UUID:
        """Its own."""

    @property
    def recipient(self) -> str:
        """By whom."""

    @property
    def rho(self) -> int:
        """How much, in units."""

    @property
    def everybody(self) -> int:
        """How much of it counts against all recipients."""

    @property
    def query(self) -> str:
        """What was asked."""

    @property
    def snapshot(self) -> str:
        """Of which state of the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    at: int
    columns: dict[str, str]


@dataclass(slots=True)
class _Spending:
    told: dict[UUID, _Told] = field(default_factory=dict)

    def take(self, entry: AuditEntry) -> bool:
        body = entry.body
        if (
            body is None
            or body.kind is not EntryKind.RELEASE
            or body.outcome != SPENT
        ):
            return False
        named = ("recipient", "rho", "everybody", "query", "snapshot")
        self.told[body.decision] = _Told(
            at=body.at,
            # Entries of before name the first two alone.
            columns={
                one: str(body.detail[one])
                for one in named
                if one in body.detail
            },
        )
        return True


class SpendingTold:
    """What was spent on a data set within a window, by its entries.

    Args:
        ledgers: those of former names first, the present one last.
        service: whose data set.
        purpose: which.
        since: start of the window, POSIX seconds.
    """

    def __init__(
        self,
        ledgers: Sequence[Ledger],
        *,
        service: str,
        purpose: str,
        since: int,
    ) -> None:
        self.since = since
        self._found = _Spending()
        self._walk = EntryWalk(
            ledgers,
            service=service,
            purpose=purpose,
            day_from=datetime.fromtimestamp(since, UTC).date(),
        )

    def read(self, conn: Connection | None = None) -> None:
        """Read what was entered since the last call.

        Args:
            conn: the transaction of whoever holds the ledger's lock.

        Raises:
            LedgerInconsistent: a stored entry was changed.
            EntryUnreadable: likewise.
        """
        self._walk.on(self._found.take, conn=conn)

    def demand(self, rows: Iterable[SpentRow]) -> None:
        """Make sure that all that was entered is there, as it was entered.

        What is there beside it counts as spent, and nothing counts for less
        than nothing.

        Args:
            rows: of the window.

        Raises:
            RowForged: a row is missing, or is another one.
        """
        stored = {row.id: row for row in rows}
        for one in stored.values():
            cost: object = one.rho
            if (
                not isinstance(cost, int)
                or cost < 0
                or one.everybody not in {0, cost}
            ):
                raise _forged(one.id)
        for identity, told in self._found.told.items():
            # Of before, the clock was asked once more for the row.
            late = 0 if "everybody" in told.columns else _ONCE_MORE
            if told.at - late < self.since:
                continue
            row = stored.get(identity)
            if row is None or any(
                str(getattr(row, name)) != value
                for name, value in told.columns.items()
            ):
                raise _forged(identity)


def _forged(identity: object) -> RowForged:
    what = f"policy_budget {identity}"
    return RowForged(what, told=True, sweep="ledger")
