"""The sweep over emergency access: grants and alerts against the ledger.

A row's code shows that this instance wrote it, and not that it wrote nothing
after, nor that another row was there that is gone. Each step is an entry. So
the entries say how every grant stands, which steps were refused, and which
alerts there are to be.

Of whom is erased no entry can be read any more, also of records that were one
person's for a time. So of a row that this instance wrote it is asked whether
entries go on after it, and of any other whether it is as they tell; where
they tell nothing, codes alone are asked. Officer, person and times of a grant
are its code's. What this rests on is `Ledger.verify`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Engine

from consent import Ledger, RowMacs
from policy.entry_walk import EntryWalk
from policy.glass_store import (
    DEADLINE,
    REFUSED,
    Alert,
    AlertKind,
    Glass,
    GlassStore,
)
from policy.glass_told import LAPSED, GlassFate, GlassTold
from policy.proposal_sweep import ProposalFault
from policy.visibility import OFFICE


class GlassRowKind(StrEnum):
    """What a row of emergency access is."""

    GRANT = "grant"
    REFUSAL = "refusal"
    ALERT = "alert"


@dataclass(frozen=True, slots=True, kw_only=True)
class GlassFinding:
    """One row that is not as the ledger tells it.

    Attributes:
        fault: what is wrong with it.
        kind: what it is.
        id: its own; of an alert that is missing, the grant's.
        entry: index of the last entry about it, or None.
        columns: of one that was altered, what differs; of alerts that are
            missing, of which kind.
    """

    fault: ProposalFault
    kind: GlassRowKind
    id: UUID
    entry: int | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    grants: Sequence[Glass]
    alerts: Sequence[Alert]


class GlassSweep:
    """Holds emergency access of a tenant to its ledgers.

    Args:
        engine: the data database.
        store: has the rows.
        ledgers: those of former names first, the present one last.
        macs: say whether a row without its code is refused.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        store: GlassStore,
        ledgers: Sequence[Ledger],
        macs: RowMacs,
    ) -> None:
        self._engine = engine
        self._store = store
        self._ledgers = ledgers
        self._macs = macs

    def run(
        self, progress: Callable[[int], None] = lambda _: None
    ) -> list[GlassFinding]:
        """Compare every row with the entries about it.

        Runs beside a writer: rows are read again until no entry about one
        was made meanwhile. Entries that wait for their index get it.

        Args:
            progress: told how many entries of officers a page had.

        Raises:
            LedgerInconsistent: a stored entry was changed.
            EntryUnreadable: likewise.
        """
        told = GlassTold()
        walk = EntryWalk(self._ledgers, service=OFFICE, about_nobody=False)
        while True:
            rows = self._rows()
            # After the rows: what was entered with them can be read then.
            for ledger in self._ledgers:
                ledger.settle()
            if not walk.on(told.take, progress):
                return [*self._grants(rows, told), *self._alerts(rows, told)]

    def _rows(self) -> _Rows:
        with self._engine.connect().execution_options(read_only=True) as conn:
            grants = [
                *self._store.all(conn),
                *self._store.all(conn, refused=True),
            ]
            return _Rows(
                grants=grants, alerts=self._store.alerts(conn, closed=True)
            )

    def _grants(self, rows: _Rows, told: GlassTold) -> Iterator[GlassFinding]:
        left = dict(told.fates)
        unknown = []
        for glass in rows.grants:
            fate = left.pop(glass.id, None)
            if fate is None:
                unknown.append(glass)
            else:
                yield from self._judged(glass, fate)
        before = Counter(
            (fate.refused, fate.likeness) for fate in left.values()
        )
        # Those with a right code first: an entry is not a forged row's.
        for glass in sorted(unknown, key=lambda one: not one.genuine):
            yield from self._untold(glass, before)
        for identity, fate in left.items():
            like = fate.refused, fate.likeness
            if before[like] > 0:
                before[like] -= 1
                yield GlassFinding(
                    fault=ProposalFault.MISSING,
                    kind=_kind(refused=fate.refused),
                    id=identity,
                    entry=fate.entry,
                )

    def _judged(self, glass: Glass, fate: GlassFate) -> Iterator[GlassFinding]:
        sure = self._sure(glass.genuine)
        columns = (
            *(fate.older(glass) if sure else _differing(glass, fate)),
            *self._uncoded(glass.genuine),
        )
        if columns or not fate.fits:
            yield GlassFinding(
                fault=ProposalFault.ALTERED
                if columns
                else ProposalFault.CONTRADICTED,
                kind=_kind(refused=glass.ended_by == REFUSED),
                id=glass.id,
                entry=fate.entry,
                columns=columns,
            )

    def _untold(
        self,
        glass: Glass,
        before: Counter[tuple[bool, tuple[int, str, tuple[str, ...]]]],
    ) -> Iterator[GlassFinding]:
        """Judge a row of which no entry is the act."""
        refused = glass.ended_by == REFUSED
        like = refused, (glass.at, glass.purpose, glass.attributes)
        columns = self._uncoded(glass.genuine)
        if before[like] > 0 and not columns:
            before[like] -= 1
        elif glass.subject is not None and not self._sure(glass.genuine):
            yield GlassFinding(
                fault=ProposalFault.ADDED,
                kind=_kind(refused=refused),
                id=glass.id,
            )
            return
        if columns:
            yield GlassFinding(
                fault=ProposalFault.ALTERED,
                kind=_kind(refused=refused),
                id=glass.id,
                columns=columns,
            )

    def _alerts(self, rows: _Rows, told: GlassTold) -> Iterator[GlassFinding]:
        expected: Counter[tuple[UUID, AlertKind | None]] = Counter()
        for identity, fate in told.fates.items():
            for kind, count in fate.alerts().items():
                expected[identity, kind] = count
        for alert in sorted(rows.alerts, key=lambda one: not one.own):
            about = alert.grant, alert.kind
            columns = (
                *self._uncoded(alert.own),
                *_closed_otherwise(alert, told.closed),
            )
            if expected[about] > 0:
                expected[about] -= 1
            elif alert.grant in told.fates and not self._sure(alert.own):
                yield _of_alert(ProposalFault.ADDED, alert.id)
                continue
            if columns:
                yield _of_alert(
                    ProposalFault.ALTERED,
                    alert.id,
                    columns,
                    told.closed.get(alert.id),
                )
        known = {glass.id for glass in rows.grants}
        for (identity, lacking), count in expected.items():
            # Where the grant is missing, or of before, that says enough.
            if count > 0 and identity in known:
                yield _of_alert(
                    ProposalFault.MISSING,
                    identity,
                    (str(lacking),),
                    told.fates[identity].entry,
                )

    def _sure(self, genuine: bool) -> bool:  # noqa: FBT001 - the column itself
        """Whether a row is one that this instance wrote."""
        return self._macs.required and genuine

    def _uncoded(self, genuine: bool) -> tuple[str, ...]:  # noqa: FBT001 - the column itself
        return ("mac",) if self._macs.required and not genuine else ()


def _differing(glass: Glass, fate: GlassFate) -> tuple[str, ...]:
    """Name the columns of a row that are not as told."""
    refused = glass.ended_by == REFUSED
    same: Mapping[str, bool] = {
        "at": glass.at == fate.at,
        "purpose": glass.purpose == fate.purpose,
        "attributes": glass.attributes == fate.attributes,
        "uses": glass.uses == fate.uses,
        "approver": bool(glass.approver) == fate.approved,
        "ended_by": refused == fate.refused
        and (glass.ended_by == DEADLINE) == (fate.over == LAPSED),
        "ended_at": (glass.ended_at is not None)
        == bool(fate.over or fate.refused),
    }
    return tuple(name for name, is_so in same.items() if not is_so)


def _closed_otherwise(
    alert: Alert, closed: Mapping[UUID, int]
) -> tuple[str, ...]:
    said = alert.id in closed
    return () if (alert.closed_at is not None) == said else ("closed_at",)


def _of_alert(
    fault: ProposalFault,
    identity: UUID,
    columns: tuple[str, ...] = (),
    entry: int | None = None,
) -> GlassFinding:
    return GlassFinding(
        fault=fault,
        kind=GlassRowKind.ALERT,
        id=identity,
        entry=entry,
        columns=columns,
    )


def _kind(*, refused: bool) -> GlassRowKind:
    return GlassRowKind.REFUSAL if refused else GlassRowKind.GRANT
