"""What the entries of the ledger say of emergency access.

A grant's row can be put back to what it was, code and all; the entries take
nothing back. Each step about a grant is an entry whose act is the grant, so
they say whether it has ended, how often it was used, and whether anybody
approved it. Who did is sealed with the person, and is not asked here.

Entries of before that was so name acts of their own. They say that some grant
was made, at that instant for those attributes, and no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from uuid import UUID

from sqlalchemy import Connection

from consent import AuditBody, AuditEntry, EntryKind, Ledger, RowForged
from policy.entry_walk import EntryWalk
from policy.glass_store import DAY, AlertKind, Glass
from policy.visibility import OFFICE

GRANTED, OPENED, APPROVED = "granted", "opened", "approved"
ENDED, LAPSED, REFUSED = "ended", "lapsed", "refused"
ALERT_CLOSED = "alert-closed"
_MADE, _OVER = {GRANTED, REFUSED}, {ENDED, LAPSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class GlassFate:
    """What became of a grant, or of a step that was refused.

    Attributes:
        entry: index of the last entry about it.
        refused: whether it is such a step, and no grant.
        at: POSIX seconds when it was made.
        purpose: for what.
        attributes: what may be opened.
        uses: how often something was opened.
        approved: whether somebody approved it.
        over: how it ended, ``ended`` or ``lapsed``; empty while it did not.
        unapproved: whether it was used, and ended with nobody's approval.
        fits: whether the entries about it fit each other.
    """

    entry: int
    refused: bool
    at: int
    purpose: str
    attributes: tuple[str, ...]
    uses: int = 0
    approved: bool = False
    over: str = ""
    unapproved: bool = False
    fits: bool = True

    @property
    def likeness(self) -> tuple[int, str, tuple[str, ...]]:
        """What entries of before tell a grant by."""
        return self.at, self.purpose, self.attributes

    def alerts(self) -> dict[AlertKind, int]:
        """How many alerts of each kind are to be there."""
        if self.refused:
            return {}
        lapsed = self.over == LAPSED or self.unapproved
        counts = {
            AlertKind.GRANTED: 1,
            AlertKind.OPENED: self.uses,
            AlertKind.LAPSED: int(lapsed),
        }
        return {kind: count for kind, count in counts.items() if count}

    def after(self, index: int, step: str) -> "GlassFate":
        """What became of it by one more step."""
        going = self.fits and not self.refused and not self.over
        now = replace(self, entry=index, fits=going)
        if step == OPENED:
            return replace(now, uses=self.uses + 1)
        if step == APPROVED:
            return replace(
                now, approved=True, fits=going and not self.approved
            )
        return replace(
            now,
            over=step,
            unapproved=bool(self.uses) and not self.approved,
            fits=going and not (step == LAPSED and self.approved),
        )

    def older(self, glass: Glass) -> tuple[str, ...]:
        """Name the columns that a row has from before the last entry."""
        behind = {
            "uses": glass.uses < self.uses,
            "approver": self.approved and not glass.approver,
            "ended_at": bool(self.over) and glass.ended_at is None,
        }
        return tuple(name for name, is_so in behind.items() if is_so)


@dataclass(slots=True)
class GlassTold:
    """What the ledgers tell, as far as they were read."""

    fates: dict[UUID, GlassFate] = field(default_factory=dict)
    closed: dict[UUID, int] = field(default_factory=dict)

    def take(self, entry: AuditEntry) -> bool:
        """Take an entry in; say whether it is about anything of this."""
        body = entry.body
        if body is None or body.kind is not EntryKind.GLASS:
            return False
        if body.outcome == ALERT_CLOSED:
            self.closed[UUID(str(body.detail["alert"]))] = entry.index
            return True
        before = self.fates.get(body.decision)
        if body.outcome in _MADE:
            made = _made(entry.index, body)
            self.fates[body.decision] = replace(made, fits=before is None)
        elif before is not None and body.outcome in {OPENED, APPROVED, *_OVER}:
            self.fates[body.decision] = before.after(entry.index, body.outcome)
        else:
            return False
        return True

    def may_lapse(self, grant: UUID) -> bool:
        """Say whether a grant waits for its approval, by the entries.

        How often it was used is not asked: it lapses all the same.
        """
        fate = self.fates.get(grant)
        return fate is None or not (fate.over or fate.approved)

    def demand_newest(self, glass: Glass) -> None:
        """Make sure that a grant is not one of before its last entry.

        An entry that waits for its index is not told yet, so a row may be
        newer than they are. Where they tell nothing of it, nothing is
        demanded.

        Raises:
            RowForged: it is.
        """
        fate = self.fates.get(glass.id)
        if fate is not None and (not fate.fits or fate.older(glass)):
            what = f"policy_glass {glass.id}"
            raise RowForged(
                what,
                told=True,
                sweep="glass",
                remedy="ask anew in another case",
            )


def glass_told(
    ledgers: Sequence[Ledger], glass: Glass, conn: Connection
) -> GlassTold:
    """Read what the ledgers tell since a grant was made, for its purpose.

    Args:
        ledgers: those of former names first, the present one last.
        glass: the grant.
        conn: the transaction to read in.

    Raises:
        LedgerInconsistent: a stored entry was changed.
        EntryUnreadable: likewise.
    """
    told = GlassTold()
    walk = EntryWalk(
        ledgers,
        service=OFFICE,
        purpose=glass.purpose,
        about_nobody=False,
        day_from=_day_before(glass.at),
    )
    walk.on(told.take, conn=conn)
    return told


def _day_before(at: int) -> date | None:
    """The day before an instant, if there is one.

    An entry can be dated a little before one that it follows.
    """
    try:
        return datetime.fromtimestamp(at - DAY, UTC).date()
    except (ValueError, OverflowError, OSError):
        return None  # of a row that somebody wrote: all entries are read


def _made(index: int, body: AuditBody) -> GlassFate:
    return GlassFate(
        entry=index,
        refused=body.outcome == REFUSED,
        at=body.at,
        purpose=body.purpose,
        attributes=body.attributes,
    )
