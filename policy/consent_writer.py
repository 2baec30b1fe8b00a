"""How a change of consent is written: its event and its entry, together.

Each event has one ledger entry in the person's chain, committed in its
transaction. The entry names the event, what it refers to and what was
served by their hashes, and holds subject and actor apart: the subject is
the chain's own, the actor stands in the detail.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection

from consent import (
    Appended,
    Commit,
    ConsentEvent,
    ConsentStore,
    Draft,
    EntryKind,
    GroupCommit,
    LedgerUnavailable,
    LogKeyMoved,
    Preferences,
)
from policy.decisions import Json
from policy.errors import PersonUnknown
from policy.gate import Gate
from policy.pdp import Cause, NoDecision
from policy.retrying import look_again
from vault import Holding, Vault


class ConsentWriter:
    """Writes what people and officers do with consents."""

    def __init__(
        self,
        *,
        gate: Gate,
        vault: Vault,
        consents: ConsentStore,
        commits: GroupCommit,
        clock: Callable[[], int],
    ) -> None:
        self._gate = gate
        self._vault = vault
        self._consents = consents
        self._commits = commits
        self.clock = clock

    def known(self, subject: UUID) -> Holding:
        """Look a person up.

        Raises:
            PersonUnknown: there is no such person.

        """
        holding = self._vault.holding(subject)
        if not holding.known:
            msg = f"person {subject} is not known here"
            raise PersonUnknown(msg)
        return holding

    def new_id(self) -> UUID:
        """Draw a random id."""
        return self._gate.new_id()

    async def record(
        self,
        subject: UUID,
        events: Sequence[ConsentEvent],
        *,
        more: Mapping[str, Json] | None = None,
    ) -> None:
        """Record one act: all of its events with their entries, or none.

        Args:
            subject: the person, as the caller knows them.
            events: what happened.
            more: what else the entries say, such as a justification.

        Raises:
            ConsentError: an event cannot be evidence; nothing is written.

        """
        drafts = [
            self.draft(
                subject,
                EntryKind.CONSENT,
                service=event.service,
                purpose=event.purpose,
                attributes=event.attributes,
                outcome=event.type.value,
                detail=entry_of(event) | dict(more or {}),
            )
            for event in events
        ]
        await self.write(
            drafts,
            lambda conn: self._consents.record_act(conn, events),
        )

    def draft(
        self,
        subject: UUID,
        kind: EntryKind,
        *,
        service: str,
        purpose: str,
        attributes: tuple[str, ...] = (),
        outcome: str,
        detail: Mapping[str, Json],
    ) -> Draft:
        """Draft an entry about a person."""
        holding = self.known(subject)
        return Draft(
            kind=kind,
            subject=holding.subject,
            log_key=self._vault.log_key(holding),
            service=service,
            purpose=purpose,
            attributes=attributes,
            outcome=outcome,
            at=self.clock(),
            decision=self._gate.new_id(),
            detail=dict(detail),
        )

    async def write(
        self, drafts: Sequence[Draft], write: Callable[[Connection], object]
    ) -> None:
        """Commit entries and what they are about in one transaction.

        Raises:
            NoDecision: the ledger cannot be written.

        """
        tried = list(drafts)

        def after(conn: Connection, _appended: Sequence[Appended]) -> None:
            write(conn)

        async def submit() -> None:
            try:
                await self._commits.submit(
                    Commit(drafts=tuple(tried), after=after)
                )
            except LogKeyMoved:
                # Nothing was written; it stands for them all the same.
                tried[:] = [self._again(one) for one in tried]
                raise

        try:
            await look_again(submit)
        except LedgerUnavailable:
            raise NoDecision(Cause.LEDGER) from None

    def _again(self, draft: Draft) -> Draft:
        if draft.subject is None:
            return draft
        key = self._vault.log_key(self.known(draft.subject))
        return replace(draft, log_key=key)


def entry_of(event: ConsentEvent) -> dict[str, Json]:
    """Return what the person's entry says of an event."""
    return {
        "statement": event.statement,
        "event": str(event.id),
        "declaration": event.declaration,
        "notice": event.notice,
        "served": event.served,
        "actor": event.actor,
        "mandate": "" if event.mandate is None else str(event.mandate),
        "officer": event.officer,
        "channel": event.channel,
        "since": event.at,
        "until": event.expires_at,
        "language": event.language,
        "recorded": event.known_at,
    }


def rules_of(version: int, preferences: Preferences) -> dict[str, Json]:
    """Return what the person's entry says of a version of their rules."""
    digest = hashlib.sha256(preferences.text().encode()).hexdigest()
    return {"version": version, "rules": digest}
