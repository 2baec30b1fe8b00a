"""The sweep over what two officers settle: proposals against the ledger.

A row's code shows that this instance wrote it, and not that it wrote nothing
after: whoever kept a copy can put an earlier state back, code and all, and
what was rejected waits again, and an extract that was recalled is handed
out. Each act of an officer is an entry of the ledger, which takes nothing
back. So the entries say what became of every proposal of policies and of
declarations, and of every request for an extract, and which policies are in
force.

What this rests on is `Ledger.verify`: an entry that was taken out of the
ledger together with its row is for that sweep to name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine

from consent import DeclarationInvalid, Ledger, RowMacs
from policy.bundle_store import BundleStore
from policy.coded_rows import Standing
from policy.errors import RecordUnknown
from policy.facts import is_damage
from policy.pdp import BundleInvalid
from policy.proposals import DeclarationDesk
from policy.release import ReleaseDesk
from policy.settled import (
    Key,
    ProposalKind,
    ReadAhead,
    Settled,
    differing,
    read_ahead,
)


class ProposalFault(StrEnum):
    """What it can find.

    `CONTRADICTED` is where entries about one proposal do not fit each other:
    an act was made out of a row that somebody had put back.
    """

    ADDED = "added"
    MISSING = "missing"
    ALTERED = "altered"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalFinding:
    """One row that is not as the ledger tells it.

    Attributes:
        fault: what is wrong with it.
        kind: a proposal of either sort, a request for an extract, or which
            policies are in force.
        number: of the proposal; the id of a request; of what is in force,
            the number that the row has. Empty where that does not read.
        entry: index of the entry that tells of it last, or None.
        columns: of one that was altered, what differs.
        service: of a proposed declaration; empty for others.
        purpose: likewise.

    """

    fault: ProposalFault
    kind: ProposalKind
    number: int | str
    entry: int | None = None
    columns: tuple[str, ...] = ()
    service: str = ""
    purpose: str = ""


class ProposalSweep:
    """Holds the proposals of a tenant, and what is in force, to its ledgers.

    Args:
        engine: the data database.
        bundles: has the rows of policies.
        proposals: has those of declarations.
        releases: has the requests for extracts.
        ledgers: those of former names first, the present one last.
        macs: say whether a row without its code is refused.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        bundles: BundleStore,
        proposals: DeclarationDesk,
        releases: ReleaseDesk,
        ledgers: Sequence[Ledger],
        macs: RowMacs,
    ) -> None:
        self._engine = engine
        self._bundles = bundles
        self._proposals = proposals
        self._releases = releases
        self._ledgers = ledgers
        self._macs = macs

    def run(
        self,
        progress: Callable[[int], None] = lambda _: None,
        *,
        codes: bool = True,
    ) -> list[ProposalFinding]:
        """Compare every row with the entries about it.

        Runs beside a writer: rows are read again until no entry about a
        proposal was made meanwhile.

        Args:
            progress: told how many entries about nobody a page had.
            codes: whether a row without its code is named, where codes are
                demanded.

        Raises:
            LedgerInconsistent: a stored entry was changed.
            EntryUnreadable: likewise.

        """
        ahead = self.ahead(progress)
        while True:
            with self._engine.connect().execution_options(
                read_only=True
            ) as conn:
                found = [*self._found(conn, ahead.told, codes=codes)]
            if not ahead.on(progress):
                return found

    def ahead(
        self, progress: Callable[[int], None] = lambda _: None
    ) -> ReadAhead:
        """Read the entries that there are, for `within`.

        They are many, and whoever holds the ledger's lock keeps everybody
        waiting: so this comes before it.

        Raises:
            LedgerInconsistent: a stored entry was changed.
            EntryUnreadable: likewise.

        """
        return read_ahead(self._ledgers, progress)

    def within(
        self, conn: Connection, ahead: ReadAhead, *, codes: bool
    ) -> list[ProposalFinding]:
        """Compare once, in a transaction that keeps officers from acting.

        Args:
            conn: the transaction, which holds the ledger's lock.
            ahead: what was read before; of the entries, only what was
                appended since is read here.
            codes: as `run`.

        Raises:
            LedgerInconsistent: a stored entry was changed.
            EntryUnreadable: likewise.

        """
        ahead.on(conn=conn)
        return [*self._found(conn, ahead.told, codes=codes)]

    def _found(
        self, conn: Connection, told: Settled, *, codes: bool
    ) -> Iterator[ProposalFinding]:
        left = dict(told.fates)
        for kind, name, rows in (
            (ProposalKind.DECLARATION, "number", self._proposals),
            (ProposalKind.POLICIES, "number", self._bundles),
            (ProposalKind.RELEASE, "id", self._releases),
        ):
            for row in rows.standing(conn):
                key = Key(kind, _named(row, name))
                if kind is ProposalKind.DECLARATION:
                    key = key._replace(
                        service=str(_named(row, "service")),
                        purpose=str(_named(row, "purpose")),
                    )
                fate = left.pop(key, None)
                if fate is None:
                    yield _finding(ProposalFault.ADDED, key)
                    continue
                columns = self._differing(row, fate.columns, codes=codes)
                yield from _judged(
                    key,
                    fate.entry,
                    columns or self._content(conn, key),
                    fits=fate.fits,
                )
        for key, fate in left.items():
            yield _finding(ProposalFault.MISSING, key, fate.entry)
        row, pointed = self._bundles.pointer(conn), told.pointed
        yield from _judged(
            Key(ProposalKind.IN_FORCE, _named(row, "number")),
            pointed.entry,
            self._differing(row, pointed.columns, codes=codes),
            fits=pointed.fits,
        )

    def _differing(
        self, row: Standing, told: Mapping[str, Any], *, codes: bool
    ) -> tuple[str, ...]:
        wrong = codes and self._macs.required and not row.genuine
        legible = {
            name: value
            for name, value in row.columns.items()
            if name not in row.unread
        }
        found = (*differing(legible, told), *row.unread)
        return (*found, "mac") if wrong and "mac" not in found else found

    def _content(self, conn: Connection, key: Key) -> tuple[str, ...]:
        """Name what is proposed where it is not of its digest."""
        try:
            if key.kind is ProposalKind.POLICIES:
                self._bundles.intact(conn, int(key.number))
            elif key.kind is ProposalKind.DECLARATION:
                self._proposals.intact(conn, int(key.number))
        except (BundleInvalid, RecordUnknown):
            return ("files",)
        except DeclarationInvalid:
            return ("text",)
        except Exception as error:
            if not is_damage(error):
                raise
            return ("files" if key.kind is ProposalKind.POLICIES else "text",)
        return ()


def _named(row: Standing, name: str) -> int | str:
    """Give what a row is found by, or nothing where that does not read."""
    found: int | str = "" if name in row.unread else row.columns[name]
    return found


def _judged(
    key: Key, entry: int | None, columns: tuple[str, ...], *, fits: bool
) -> Iterator[ProposalFinding]:
    if columns:
        yield _finding(ProposalFault.ALTERED, key, entry, columns)
    elif not fits:
        yield _finding(ProposalFault.CONTRADICTED, key, entry)


def _finding(
    fault: ProposalFault,
    key: Key,
    entry: int | None = None,
    columns: tuple[str, ...] = (),
) -> ProposalFinding:
    return ProposalFinding(
        fault=fault,
        kind=key.kind,
        number=key.number,
        entry=entry,
        columns=columns,
        service=key.service,
        purpose=key.purpose,
    )
