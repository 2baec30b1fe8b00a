"""A walk through a tenant's ledgers, for whoever holds rows against them."""

from collections.abc import Callable, Sequence
from datetime import date

from sqlalchemy import Connection

from consent import AuditEntry, Ledger

_PAGE = 500


class EntryWalk:
    """Reads entries as an officer does, and goes on where it ended.

    Args:
        ledgers: those of former names first, the present one last.
        service: only entries of this service; None for all.
        purpose: only of this purpose of it.
        about_nobody: only those that are about no person.
        day_from: only from this day on: few entries, found by their side
            (those about nobody have an order of their own).
    """

    def __init__(
        self,
        ledgers: Sequence[Ledger],
        *,
        service: str | None = None,
        purpose: str | None = None,
        about_nobody: bool = True,
        day_from: date | None = None,
    ) -> None:
        self._ledgers = ledgers
        self._service = service
        self._purpose = purpose
        self._about_nobody = about_nobody
        self._day_from = day_from
        self._read: dict[int, int] = {}

    def on(
        self,
        take: Callable[[AuditEntry], bool],
        progress: Callable[[int], None] = lambda _: None,
        *,
        conn: Connection | None = None,
    ) -> bool:
        """Read what came since the last call.

        Args:
            take: given each entry; says whether it was of interest.
            progress: told how many entries a page had.
            conn: the transaction to read in, of whoever holds the ledger's
                lock and has appended nothing yet: what is read is not read
                again.

        Returns:
            Whether any was of interest: whoever compares rows that they
            read before reads them again.

        Raises:
            LedgerInconsistent: a stored entry was changed.
            EntryUnreadable: likewise.

        """
        more = False
        for number, ledger in enumerate(self._ledgers):
            after = self._read.get(number, -1)
            while page := ledger.audit_entries(
                service=self._service,
                purpose=self._purpose,
                about_nobody=self._about_nobody,
                day_from=self._day_from,
                few=self._day_from is not None and not self._about_nobody,
                after=after,
                limit=_PAGE,
                conn=conn,
            ):
                after = self._read[number] = page[-1].index
                for entry in page:
                    more |= take(entry)
                progress(len(page))
        return more
