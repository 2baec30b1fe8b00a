"""What the entries of the ledger say that officers settled.

Rows can be put back to what they were, code and all; of an entry that is
changed or gone `Ledger.verify` tells. So an officer's act looks here, under
the ledger's lock, whether a proposal still waits, and the sweep
(`policy.proposal_sweep`) whether every row is as told.

Entries that do not fit each other are told, too: a proposal that was made or
decided twice was made out of a row that somebody put back.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection

from consent import (
    AuditBody,
    AuditEntry,
    Declaration,
    EntryKind,
    Ledger,
    RowForged,
)
from policy.bundle_store import NONE, OURS, Live
from policy.entry_walk import EntryWalk

_PROPOSED, _PUBLISHED, _REJECTED = "proposed", "published", "rejected"
_DECIDED = {_PUBLISHED, _REJECTED}
_BACK = "rolled-back"
# In the entry of a rollback that went on from the entries, as the pointer was
# elsewhere: the number that its row had.
PUT_RIGHT = "instead_of"
# What helps where entries contradict each other.
_ANEW = (
    "propose or request it anew: its entries contradict each other, which no "
    "backup mends"
)
# What a request asks for; `differing` looks into it.
_REQUEST = "request"
# What the entry of an extract says of its row.
_TAKEN = ("approver", "rows", "manifest", "expires_at")
# What may become of a request for an extract, by what it is.
_NEXT = {
    "requested": {"approved", "taken", "unmet"},
    "approved": {"recalled", "taken", "unmet"},
    "taken": {"recalled"},
}


class ProposalKind(StrEnum):
    """What officers settle: proposals of either sort, requests for extracts.

    The last is what came of those of policies.
    """

    DECLARATION = "declaration"
    POLICIES = "policies"
    RELEASE = "release"
    IN_FORCE = "in-force"


_DIGEST = {
    ProposalKind.DECLARATION: "digest",
    ProposalKind.POLICIES: "revision",
}


class Key(NamedTuple):
    """What a fate is of.

    Service and purpose are of proposed declarations alone: of these, entries
    of before tell of one number more than once, each time elsewhere.
    """

    kind: ProposalKind
    number: int | str
    service: str = ""
    purpose: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of a proposal or a request.

    Attributes:
        entry: index of the last entry about it.
        columns: what its row has to have.
        fits: whether the entries about it fit each other.
    """

    entry: int
    columns: Mapping[str, Any]
    fits: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointed:
    """Which policies the entries put into force, and into the shadow.

    Attributes:
        entry: index of the last entry about it; None where there is none.
        number: of the bundle in force.
        revision: its revision; None where it is the software's own.
        shadow_revision: of the one in the shadow, or None.
        shadow_told: whether the entries say. Those of before, about the same
            policies under two numbers, leave open whether the shadow ended.
        changes: how often the pointer was moved; None where entries of
            before do not say.
        most: the highest such count, going on from what is not said.
        fits: whether each entry counted on from the one before, or since
            then an officer put the pointer right.
    """

    entry: int | None = None
    number: int = OURS
    revision: str | None = None
    shadow_revision: str | None = None
    shadow_told: bool = True
    changes: int | None = None
    most: int = 0
    fits: bool = True

    @property
    def live(self) -> Live:
        """Where the pointer stood, for whoever goes on without its row.

        Nothing is in the shadow.
        """
        return Live(
            changes=self.most,
            number=self.number,
            shadow=NONE,
            revision=self.revision or "",
        )

    @property
    def columns(self) -> Mapping[str, Any]:
        """What the pointer has to have."""
        told: dict[str, Any] = {
            "number": self.number,
            "revision": self.revision,
        }
        if self.shadow_told:
            told["shadow_revision"] = self.shadow_revision
        if self.changes is not None:
            told["changes"] = self.changes
        return told


@dataclass(slots=True)
class Settled:
    """What the ledgers tell, as far as they were read."""

    fates: dict[Key, Fate] = field(default_factory=dict)
    published: dict[tuple[str, str], str] = field(default_factory=dict)
    pointed: Pointed = Pointed()

    def take(self, entry: AuditEntry) -> bool:
        """Take an entry in; say whether it is about anything of this."""
        body = entry.body
        if body is None:
            return False
        if body.kind is EntryKind.DECLARATION:
            self._settle(ProposalKind.DECLARATION, entry.index, body)
        elif body.kind is EntryKind.BUNDLE:
            self._settle(ProposalKind.POLICIES, entry.index, body)
            self._point(entry.index, body)
        elif body.kind is EntryKind.RELEASE:
            return self._release(entry.index, body)
        else:
            return False
        return True

    def highest(self, kind: ProposalKind) -> int:
        """The highest number that a proposal of a kind had; 0 if none."""
        return max(
            (int(one.number) for one in self.fates if one.kind is kind),
            default=0,
        )

    def demand(self, key: Key, row: Mapping[str, Any]) -> None:
        """Make sure that a row is as the entries about it tell.

        Raises:
            RowForged: they tell otherwise, or not at all.
        """
        fate = self.fates.get(key)
        what = f"{key.kind} {key.number}"
        if fate is not None and not fate.fits:
            raise RowForged(what, told=True, remedy=_ANEW)
        if fate is None or differing(row, fate.columns):
            raise RowForged(what, told=True)

    def demand_pointer(self, live: Live) -> None:
        """Make sure that the pointer is where the entries put it.

        What runs in the shadow decides nothing, and holds up no act.

        Raises:
            RowForged: it is not.
        """
        row = {
            "number": live.number,
            "revision": live.revision or None,
            "changes": live.changes,
        }
        if (
            not self.pointed.fits
            or type(live.changes) is not int  # of a row, anything
            or differing(row, self.pointed.columns)
        ):
            raise self.misplaced()

    def misplaced(self) -> RowForged:
        """What to say where the pointer is not as told."""
        what, number = "policy_live", self.pointed.number
        return RowForged(
            what,
            told=True,
            remedy="let an officer put into force what it tells: `curtilage "
            f"policy rollback --to {number}`",
        )

    def demand_published(self, declaration: Declaration, base: str) -> None:
        """Make sure that the version in force is the last one published.

        Where the entries know of none, nothing is demanded.

        Args:
            declaration: names service and purpose.
            base: digest of the version in force; empty where none is.

        Raises:
            RowForged: it is another one.
        """
        key = (declaration.service, declaration.purpose)
        if self.published.get(key, base) != base:
            what = "consent_declaration"
            raise RowForged(what, told=True)

    def _settle(self, kind: ProposalKind, index: int, body: AuditBody) -> None:
        detail, what = body.detail, _DIGEST[kind]
        if body.outcome not in {_PROPOSED, *_DECIDED} or (
            "proposal" not in detail
        ):
            return
        key = Key(kind, int(str(detail["proposal"])))
        if kind is ProposalKind.DECLARATION:
            key = key._replace(service=body.service, purpose=body.purpose)
        before = self.fates.get(key)
        if body.outcome == _PROPOSED:
            columns = {
                what: detail.get(what),
                "proposer": detail.get("proposer"),
                "proposed_at": body.at,
                "state": _PROPOSED,
                "officer": "",
                "decided_at": None,
                **({"base": detail["base"]} if "base" in detail else {}),
            }
            self.fates[key] = Fate(
                entry=index, columns=columns, fits=before is None
            )
            return
        if kind is ProposalKind.DECLARATION and body.outcome == _PUBLISHED:
            self.published[body.service, body.purpose] = str(detail[what])
        was = {} if before is None else before.columns
        decided = {
            "state": body.outcome,
            "officer": detail.get("officer"),
            "decided_at": body.at,
        }
        fits = (
            before is not None
            and before.fits
            and was["state"] == _PROPOSED
            and detail.get(what) == was[what]
            and (
                body.outcome == _REJECTED
                or detail.get("officer") != was["proposer"]
            )
        )
        self.fates[key] = Fate(
            entry=index, columns={**was, **decided}, fits=fits
        )

    def _release(self, index: int, body: AuditBody) -> bool:
        """Take in what became of a request; answers to numbers are none."""
        detail, key = (
            body.detail,
            Key(ProposalKind.RELEASE, str(body.decision)),
        )
        before = self.fates.get(key)
        if body.outcome in {"requested", "refused"}:
            columns = {
                "service": body.service,
                "purpose": body.purpose,
                "officer": detail.get("officer"),
                _REQUEST: _asked(body),
                "outcome": body.outcome,
                "approver": None,
                "rows": 0,
                "manifest": "",
                "expires_at": None,
            }
            self.fates[key] = Fate(
                entry=index, columns=columns, fits=before is None
            )
        elif body.outcome in {"approved", "taken", "recalled", "unmet"}:
            was = {} if before is None else before.columns
            columns = {**was, "outcome": body.outcome}
            if body.outcome == "approved":
                columns["approver"] = detail.get("officer")
            if body.outcome == "taken":
                columns |= {
                    name: detail[name] for name in _TAKEN if name in detail
                }
            fits = before is not None and before.fits
            self.fates[key] = Fate(
                entry=index,
                columns=columns,
                fits=fits
                and body.outcome in _NEXT.get(str(was["outcome"]), ()),
            )
        else:
            return False
        return True

    def _point(self, index: int, body: AuditBody) -> None:
        detail, was = body.detail, self.pointed
        # It went on from the entries, and from no row.
        anew = body.outcome == _BACK and PUT_RIGHT in detail
        if body.outcome in {_PUBLISHED, _BACK}:
            number = int(str(detail["proposal"]))
            revision = str(detail["revision"])
            beside = None if anew else was.shadow_revision
            now = replace(
                was,
                number=number,
                revision=None if number == OURS else revision,
                # What is in force is not its own shadow.
                shadow_revision=None if beside == revision else beside,
                shadow_told=anew
                or (
                    was.shadow_told
                    and (beside != revision or "changes" in detail)
                ),
            )
        elif body.outcome in {"shadowed", "shadow-ended"}:
            now = replace(
                was,
                shadow_revision=str(detail["revision"]) or None,
                shadow_told=True,
            )
        else:
            return
        said = detail.get("changes")
        changes = said if isinstance(said, int) else None
        before = was.most if anew else was.changes
        self.pointed = replace(
            now,
            entry=index,
            changes=changes,
            most=max(was.most, was.most + 1 if changes is None else changes),
            fits=(was.fits or anew)
            and (before is None or changes is None or changes == before + 1),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAhead:
    """What the entries told before a lock was taken, and how far they go.

    Attributes:
        told: by all that was read.
        walk: goes on where it ended.
    """

    told: Settled
    walk: EntryWalk

    def on(
        self,
        progress: Callable[[int], None] = lambda _: None,
        *,
        conn: Connection | None = None,
    ) -> bool:
        """Read what was appended since; say whether any of it matters.

        Args:
            progress: told how many entries a page had.
            conn: the transaction to read in; see `EntryWalk.on`.

        Raises:
            LedgerInconsistent: a stored entry was changed.
            EntryUnreadable: likewise.

        """
        return self.walk.on(self.told.take, progress, conn=conn)


def read_ahead(
    ledgers: Sequence[Ledger],
    progress: Callable[[int], None] = lambda _: None,
    *,
    service: str | None = None,
    purpose: str | None = None,
) -> ReadAhead:
    """Read the entries that there are.

    They are many, and whoever holds the ledger's lock keeps everybody
    waiting: so this comes before it.

    Args:
        ledgers: those of former names first, the present one last.
        progress: told how many entries about nobody a page had.
        service: only what is about this service; None reads everything.
        purpose: only about this purpose of it.

    Raises:
        LedgerInconsistent: a stored entry was changed.
        EntryUnreadable: likewise.

    """
    walk = EntryWalk(ledgers, service=service, purpose=purpose)
    ahead = ReadAhead(told=Settled(), walk=walk)
    ahead.on(progress)
    return ahead


def settled(
    ledgers: Sequence[Ledger],
    *,
    service: str | None = None,
    purpose: str | None = None,
    conn: Connection | None = None,
) -> Settled:
    """Read what the ledgers tell.

    Args:
        ledgers: those of former names first, the present one last.
        service: only what is about this service; None reads everything.
        purpose: only about this purpose of it.
        conn: the transaction to read in; see `EntryWalk.on`.

    Raises:
        LedgerInconsistent: a stored entry was changed.
        EntryUnreadable: likewise.
    """
    told = Settled()
    walk = EntryWalk(ledgers, service=service, purpose=purpose)
    walk.on(told.take, conn=conn)
    return told


def differing(
    row: Mapping[str, Any], told: Mapping[str, Any]
) -> tuple[str, ...]:
    """Name the columns of a row that are not as told."""
    return tuple(
        name
        for name in told
        if name in row
        and (
            not _asks(row, told[name])
            if name == _REQUEST
            else row[name] != told[name]
        )
    )


def _asked(body: AuditBody) -> Mapping[str, Any]:
    """What a request asks for, as far as its entry tells.

    Those of before tell service, purpose and columns alone.
    """
    terms = body.detail.get(_REQUEST)
    return {
        **(terms if isinstance(terms, Mapping) else {}),
        "service": body.service,
        "purpose": body.purpose,
        "columns": list(body.attributes),
    }


def _asks(row: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether a row asks for what is told, and says the same beside it."""
    try:
        asked = json.loads(row[_REQUEST])
        return (
            bool(told.items() <= asked.items())
            and asked["recipient"] == row["recipient"]
        )
    except (AttributeError, LookupError, TypeError, ValueError):
        return False
    except RecursionError:  # nested deeper than anybody writes
        return False
