"""The sweep over what two officers settle: proposals against the ledger.

A row's code shows that this instance wrote it, and not that it wrote nothing
after: whoever kept a copy can put an earlier state back, code and all, and
what was rejected waits again. Each act of an officer is an entry of the
ledger, which takes nothing back. So the entries say what became of every
proposal of policies and of declarations, and which policies are in force.

What this rests on is `Ledger.verify`: an entry that was taken out of the
ledger together with its row is for that sweep to name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from consent import (
    AuditBody,
    AuditEntry,
    DeclarationInvalid,
    EntryKind,
    Ledger,
    RowMacs,
)
from policy.bundle_store import OURS, BundleStore
from policy.coded_rows import Standing
from policy.entry_walk import EntryWalk
from policy.pdp import BundleInvalid
from policy.proposals import DeclarationDesk
from vault import Transactions

_PROPOSED, _PUBLISHED, _REJECTED = "proposed", "published", "rejected"


class ProposalKind(StrEnum):
    """What the sweep looks at."""

    DECLARATION = "declaration"
    POLICIES = "policies"
    IN_FORCE = "in-force"


class ProposalFault(StrEnum):
    """What it can find."""

    ADDED = "added"
    MISSING = "missing"
    ALTERED = "altered"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalFinding:
    """One row that is not as the ledger tells it.

    Attributes:
        fault: what is wrong with it.
        kind: a proposal of either sort, or which policies are in force.
        number: of the proposal; of what is in force, the one that the row
            names.
        entry: index of the entry that tells of it last, or None.
        columns: of one that was altered, what differs.

    """

    fault: ProposalFault
    kind: ProposalKind
    number: int
    entry: int | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fate:
    """What became of a proposal: its columns, and the entry of the last."""

    entry: int
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pointed:
    """Which policies the entries put into force, and into the shadow."""

    entry: int | None = None
    number: int = OURS
    revision: str | None = None
    shadow_revision: str | None = None

    @property
    def columns(self) -> Mapping[str, Any]:
        """What the pointer has to have."""
        return {
            "number": self.number,
            "revision": self.revision,
            "shadow_revision": self.shadow_revision,
        }


@dataclass(slots=True)
class _Told:
    """What the ledgers tell, as far as they were read."""

    fates: dict[tuple[ProposalKind, int], _Fate] = field(default_factory=dict)
    pointed: _Pointed = _Pointed()

    def take(self, entry: AuditEntry) -> bool:
        """Take an entry in; say whether it is about a proposal."""
        body = entry.body
        if body is None:
            return False
        if body.kind is EntryKind.DECLARATION:
            self._settle(ProposalKind.DECLARATION, "digest", entry.index, body)
        elif body.kind is EntryKind.BUNDLE:
            self._settle(ProposalKind.POLICIES, "revision", entry.index, body)
            self._point(entry.index, body)
        else:
            return False
        return True

    def _settle(
        self, kind: ProposalKind, what: str, index: int, body: AuditBody
    ) -> None:
        detail = body.detail
        if body.outcome not in {_PROPOSED, _PUBLISHED, _REJECTED} or (
            "proposal" not in detail
        ):
            return
        key = (kind, int(str(detail["proposal"])))
        if body.outcome == _PROPOSED:
            columns = {
                what: detail[what],
                "proposer": detail["proposer"],
                "proposed_at": body.at,
                "state": _PROPOSED,
                "officer": "",
                "decided_at": None,
            }
        else:
            before = self.fates.get(key)
            columns = {
                **({} if before is None else before.columns),
                what: detail[what],
                "state": body.outcome,
                "officer": detail["officer"],
                "decided_at": body.at,
            }
        self.fates[key] = _Fate(entry=index, columns=columns)

    def _point(self, index: int, body: AuditBody) -> None:
        detail, was = body.detail, self.pointed
        if body.outcome in {_PUBLISHED, "rolled-back"}:
            number = int(str(detail["proposal"]))
            revision = None if number == OURS else str(detail["revision"])
            beside = was.shadow_revision
            self.pointed = _Pointed(
                entry=index,
                number=number,
                revision=revision,
                # What is in force is not its own shadow.
                shadow_revision=None if beside == revision else beside,
            )
        elif body.outcome in {"shadowed", "shadow-ended"}:
            self.pointed = replace(
                was,
                entry=index,
                shadow_revision=str(detail["revision"]) or None,
            )


class ProposalSweep:
    """Holds the proposals of a tenant, and what is in force, to its ledgers.

    Args:
        transactions: of the data database.
        bundles: has the rows of policies.
        proposals: has those of declarations.
        ledgers: those of former names first, the present one last.
        macs: say whether a row without its code is refused.
    """

    def __init__(
        self,
        *,
        transactions: Transactions,
        bundles: BundleStore,
        proposals: DeclarationDesk,
        ledgers: Sequence[Ledger],
        macs: RowMacs,
    ) -> None:
        self._transactions = transactions
        self._bundles = bundles
        self._proposals = proposals
        self._ledgers = ledgers
        self._macs = macs

    def run(
        self, progress: Callable[[int], None] = lambda _: None
    ) -> list[ProposalFinding]:
        """Compare every row with the entries about it.

        Runs beside a writer: rows are read again until no entry about a
        proposal was made meanwhile.

        Args:
            progress: told how many entries about nobody a page had.

        Raises:
            LedgerInconsistent: a stored entry was changed.
            EntryUnreadable: likewise.

        """
        told = _Told()
        walk = EntryWalk(self._ledgers)
        walk.on(told.take, progress)
        while True:
            found = self._transactions.run(
                lambda conn: [*self._found(conn, told)]
            )
            if not walk.on(told.take, progress):
                return found

    def _found(
        self, conn: Connection, told: _Told
    ) -> Iterator[ProposalFinding]:
        left = dict(told.fates)
        for kind, rows in (
            (ProposalKind.DECLARATION, self._proposals.standing(conn)),
            (ProposalKind.POLICIES, self._bundles.proposed(conn)),
        ):
            for row in rows:
                number = row.columns["number"]
                fate = left.pop((kind, number), None)
                yield from self._judged(kind, number, row, fate)
        for (kind, number), fate in left.items():
            yield ProposalFinding(
                fault=ProposalFault.MISSING,
                kind=kind,
                number=number,
                entry=fate.entry,
            )
        row = self._bundles.standing(conn)
        yield from self._altered(
            ProposalKind.IN_FORCE,
            row.columns["number"],
            told.pointed.entry,
            self._differing(row, told.pointed.columns),
        )

    def _judged(
        self,
        kind: ProposalKind,
        number: int,
        row: Standing,
        fate: _Fate | None,
    ) -> Iterator[ProposalFinding]:
        if fate is None:
            added = ProposalFault.ADDED
            yield ProposalFinding(fault=added, kind=kind, number=number)
            return
        columns = self._differing(row, fate.columns)
        yield from self._altered(
            kind, number, fate.entry, columns or self._content(kind, number)
        )

    @staticmethod
    def _altered(
        kind: ProposalKind,
        number: int,
        entry: int | None,
        columns: tuple[str, ...],
    ) -> Iterator[ProposalFinding]:
        if columns:
            yield ProposalFinding(
                fault=ProposalFault.ALTERED,
                kind=kind,
                number=number,
                entry=entry,
                columns=columns,
            )

    def _differing(
        self, row: Standing, told: Mapping[str, Any]
    ) -> tuple[str, ...]:
        columns = [name for name in told if row.columns[name] != told[name]]
        if self._macs.required and not row.genuine:
            columns.append("mac")
        return tuple(columns)

    def _content(self, kind: ProposalKind, number: int) -> tuple[str, ...]:
        """Name what is proposed where it is not of its digest."""
        try:
            if kind is ProposalKind.POLICIES:
                self._bundles.load(number)
            else:
                self._proposals.proposal(number)
        except BundleInvalid:
            return ("files",)
        except DeclarationInvalid:
            return ("text",)
        return ()
