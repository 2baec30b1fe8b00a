"""The processing log: a row for each processing, as the Dutch LDV has it.

Logboek dataverwerkingen (Logius) wants one row a processing, never sampled,
with the processing activity by reference, the person by an encrypted code,
and no staff. The ledger is the record; these rows are its echo, made of the
officer's part of each entry after it is durable. So none is lost, none is
made of what did not happen, and a row that was sent twice has the same id.

What is withheld from a person names nobody here: a portal that shows people
their rows must not be faster than the ledger.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from consent import AuditEntry, EntryKind, Visibility

PAGE = 500
# What is done with somebody's data; the rest is the platform's own affair.
PROCESSING = frozenset(EntryKind) - {
    EntryKind.BUNDLE,
    EntryKind.CREDENTIAL,
    EntryKind.DECLARATION,
    EntryKind.KEY,
    EntryKind.RECOVERY,
    EntryKind.VISIBILITY,
}
ERASED = "erased"
MARK_TYPE = "urn:curtilage:mark:month"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignOperation:
    """The caller's own operation, which this processing served."""

    trace_id: str
    span_id: str
    processor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingRow:
    """One row (LDV, component Logboek, interface).

    Times are milliseconds, to the second that the ledger records.

    Attributes:
        index: of the entry in the ledger.
        trace_id: 32 hexadecimal digits; the caller's, else the decision's.
        span_id: 16 hexadecimal digits; the entry's own.
        name: what was done.
        start_time: POSIX milliseconds.
        end_time: POSIX milliseconds.
        activity: URI of the processing activity.
        data_subject: encrypted code of the person, of one month; None where
            nobody is concerned, or not to be told yet.
        foreign: the caller's operation; None where no trace came.

    """

    index: int
    trace_id: str
    span_id: str
    name: str
    start_time: int
    end_time: int
    activity: str
    data_subject: str | None
    foreign: ForeignOperation | None

    def attributes(self) -> dict[str, str]:
        """The row's attributes in the namespace ``dpl.core``."""
        found = {"dpl.core.processing_activity_id": self.activity}
        if self.data_subject is not None:
            found["dpl.core.data_subject_id"] = self.data_subject
            found["dpl.core.data_subject_id_type"] = MARK_TYPE
        if self.foreign is not None:
            prefix = "dpl.core.foreign_operation"
            found[f"{prefix}.trace_id"] = self.foreign.trace_id
            found[f"{prefix}.span_id"] = self.foreign.span_id
            found[f"{prefix}.processor"] = self.foreign.processor
        return found


class Entries(Protocol):
    """Where entries come from: the ledger."""

    def audit_entries(
        self, *, after: int = -1, limit: int = 50
    ) -> list[AuditEntry]:
        """Entries above an index, the oldest first."""
        ...


# URI of the version of a processing activity that was in force; of service,
# purpose and instant.
Activity = Callable[[str, str, int], str]


def rows(
    ledger: Entries, *, activity: Activity, after: int
) -> Iterator[tuple[int, list[ProcessingRow]]]:
    """Rows of all entries above an index, by pages.

    Args:
        ledger: the ledger.
        activity: names processing activities.
        after: index of the last entry that was read; -1 for none.

    Yields:
        Index of the last entry of the page, and the page's rows.

    """
    while page := ledger.audit_entries(after=after, limit=PAGE):
        after = page[-1].index
        made = (row_of(entry, activity) for entry in page)
        yield after, [row for row in made if row is not None]


def row_of(entry: AuditEntry, activity: Activity) -> ProcessingRow | None:
    """The row of one entry; None for what is no processing."""
    body = entry.body
    span, own = entry.leaf[:8].hex(), entry.leaf[8:24].hex()
    if body is None:
        # Erased before it was told of: that something was, and no more.
        began = (entry.day.toordinal() - _EPOCH_ORDINAL) * _SECONDS_A_DAY
        return ProcessingRow(
            index=entry.index,
            trace_id=own,
            span_id=span,
            name=ERASED,
            start_time=began * 1000,
            end_time=began * 1000,
            activity=activity(entry.service, entry.purpose, began),
            data_subject=None,
            foreign=None,
        )
    if body.kind not in PROCESSING:
        return None
    trace, _, parent = (body.trace or "").partition("-")
    told = entry.visibility in {Visibility.IMMEDIATE, Visibility.LIFTED}
    return ProcessingRow(
        index=entry.index,
        # The act of a step of emergency access is the grant: it would name
        # one person over months, and whom a rule withholds.
        trace_id=trace
        or (own if body.kind is EntryKind.GLASS else body.decision.hex),
        span_id=span,
        name=body.kind.value,
        start_time=body.at * 1000,
        end_time=body.at * 1000,
        activity=activity(body.service, body.purpose, body.at),
        data_subject=(body.mark or None) if told else None,
        foreign=(
            ForeignOperation(
                trace_id=trace,
                span_id=parent,
                processor=activity(body.service, "", body.at),
            )
            if trace
            else None
        ),
    )


_EPOCH_ORDINAL = 719_163
_SECONDS_A_DAY = 86_400
