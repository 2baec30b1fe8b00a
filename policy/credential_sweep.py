"""The sweep over credentials: rows of the register against the ledger.

A row's code shows that this instance wrote it, and not that it wrote nothing
after: whoever kept a copy of a live row can put it back once it has ended,
code and all. The entry of the end is in the ledger, which takes nothing
back. So the last entry about a client id says what its row has to be.

What this rests on is `Ledger.verify`: an entry that was taken out of the
ledger together with its row is for that sweep to name. Of a credential that
was made before there were such entries, only its end is told of: one that
was deleted before it ended cannot be missed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from consent import AuditBody, AuditEntry, EntryKind, Ledger, RowMacs
from policy.credential_desk import CredentialAct
from policy.entry_walk import EntryWalk
from policy.registry import Issued, Registry


class CredentialFault(StrEnum):
    """What the sweep can find; the last is not wrong, and not proved."""

    ADDED = "added"
    MISSING = "missing"
    ALTERED = "altered"
    REVIVED = "revived"
    OF_BEFORE = "of-before"


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialFinding:
    """One credential that is not as the ledger tells it.

    Attributes:
        fault: what is wrong with it.
        client_id: which.
        service: whose it is, by the ledger; of one without an entry, by the
            row.
        purpose: likewise.
        entry: index of the entry that tells of it last, or None.
        columns: of one that was altered, what differs.

    """

    fault: CredentialFault
    client_id: str
    service: str
    purpose: str
    entry: int | None = None
    columns: tuple[str, ...] = ()

    @property
    def is_wrong(self) -> bool:
        """Whether somebody has to look at it."""
        return self.fault is not CredentialFault.OF_BEFORE


@dataclass(slots=True)
class _Told:
    """What the ledgers tell, as far as they were read.

    Attributes:
        last: by client id, the index and the body of the last entry.
        since: when the first entry about any credential was made.
    """

    last: dict[str, tuple[int, AuditBody]] = field(default_factory=dict)
    since: int | None = None

    def take(self, entry: AuditEntry) -> bool:
        """Take an entry in; say whether it is about a credential."""
        body = entry.body
        if body is None or body.kind is not EntryKind.CREDENTIAL:
            return False
        self.last[str(body.detail.get("client_id"))] = entry.index, body
        if self.since is None:
            self.since = body.at
        return True


class CredentialSweep:
    """Holds the credentials of a tenant against its ledgers.

    Args:
        registry: has the rows.
        ledgers: those of former names first, the present one last.
        macs: say whether a row without its code is refused.
    """

    def __init__(
        self, *, registry: Registry, ledgers: Sequence[Ledger], macs: RowMacs
    ) -> None:
        self._registry = registry
        self._ledgers = ledgers
        self._macs = macs

    def run(
        self, progress: Callable[[int], None] = lambda _: None
    ) -> list[CredentialFinding]:
        """Compare every row with the last entry about it.

        Runs beside a writer: rows are read again until no entry about a
        credential was made meanwhile.

        Args:
            progress: told how many entries about nobody a page had.

        Returns:
            Findings by client id, never a secret or its hash.

        Raises:
            LedgerInconsistent: a stored entry was changed.
            EntryUnreadable: likewise.

        """
        told = _Told()
        walk = EntryWalk(self._ledgers)
        walk.on(told.take, progress)
        while True:
            rows = self._registry.issued(revoked=True)
            if not walk.on(told.take, progress):
                break
        return [*self._found(told, rows)]

    def _found(
        self, told: _Told, rows: Sequence[Issued]
    ) -> Iterator[CredentialFinding]:
        left = dict(told.last)
        for row in rows:
            entry = left.pop(row.credential.client_id, None)
            if entry is None:
                yield self._without_entry(told, row)
                continue
            index, body = entry
            if columns := (*_differing(row, body), *self._code(row, body)):
                fault = CredentialFault.ALTERED
                if row.revoked_at is None and "revoked_at" in columns:
                    fault = CredentialFault.REVIVED
                yield _finding(fault, index, body, columns)
        for index, body in left.values():
            yield _finding(CredentialFault.MISSING, index, body)

    def _without_entry(self, told: _Told, row: Issued) -> CredentialFinding:
        """Tell what was added from what was made before there were entries.

        The row's time is believed for its code, or where none is demanded.
        """
        early = told.since is None or row.at <= told.since
        believed = row.genuine or not self._macs.required
        return CredentialFinding(
            fault=CredentialFault.OF_BEFORE
            if early and believed
            else CredentialFault.ADDED,
            client_id=row.credential.client_id,
            service=row.credential.service,
            purpose=row.credential.purpose,
        )

    def _code(self, row: Issued, body: AuditBody) -> tuple[str, ...]:
        """Name the code where it is wrong and was right at the entry."""
        wrong = self._macs.required and not row.genuine
        return ("mac",) if wrong and body.detail.get("genuine") else ()


def _differing(row: Issued, body: AuditBody) -> Iterator[str]:
    """Name the columns that the last entry about a row contradicts."""
    issued = body.outcome == CredentialAct.ISSUED
    stored = {
        "service": (row.credential.service, body.service),
        "purpose": (row.credential.purpose, body.purpose),
        "assurance": (
            row.credential.assurance,
            body.detail.get("assurance"),
        ),
        "created_at": (row.at, body.at if issued else row.at),
        "revoked_at": (row.revoked_at, None if issued else body.at),
    }
    return (name for name, (one, other) in stored.items() if one != other)


def _finding(
    fault: CredentialFault,
    index: int,
    body: AuditBody,
    columns: tuple[str, ...] = (),
) -> CredentialFinding:
    return CredentialFinding(
        fault=fault,
        client_id=str(body.detail.get("client_id")),
        service=body.service,
        purpose=body.purpose,
        entry=index,
        columns=columns,
    )
