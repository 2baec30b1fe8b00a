"""Acts on a person's record as a whole: identifiers, merges, disputes.

Each is authorized by `policies/api`, names who did it, and leaves its ledger
entry in the transaction of the change: one for each person it is about, with
the epoch that their record then has. No identifier and no statement is in an
entry.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Connection

from consent import (
    ConsentStore,
    Draft,
    EntryKind,
    Ledger,
    StoredPreferences,
)
from policy.authority import Action, Caller, CallerKind, authorize
from policy.consent_writer import rules_of
from policy.decisions import Json
from policy.errors import PersonUnknown
from policy.evidence import EPOCH
from policy.gate import Gate
from policy.pdp import PolicyDecisionPoint
from vault import (
    DekState,
    Dispute,
    DisputeOutcome,
    Holding,
    SubjectHeld,
    Transactions,
    Vault,
)

PURPOSE = "register-keeping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What an officer looks people up by.

    Attributes:
        attribute: its name.
        text: an identifier, another value, or its beginning.
        whole: whether `text` is the value, or its beginning.
        limit: at most so many people are given.

    """

    attribute: str
    text: str = field(repr=False)
    whole: bool = True
    limit: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPeople:
    """Who was found, and the first entry that records it."""

    subjects: tuple[UUID, ...]
    index: int


class RecordDesk:
    """What is done to records, by officers and by the person."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        gate: Gate,
        vault: Vault,
        consents: ConsentStore,
        ledger: Ledger,
        pdp: PolicyDecisionPoint,
        clock: Callable[[], int],
        joined: Callable[[Connection, Sequence[UUID], int], None],
    ) -> None:
        """Take the collaborators.

        `joined` is told, in the transaction, which records are one person's
        from now on, the surviving record first, and when.
        """
        self._transactions = transactions
        self._gate = gate
        self._vault = vault
        self._consents = consents
        self._ledger = ledger
        self._pdp = pdp
        self._clock = clock
        self._joined = joined

    async def find(
        self, officer: Caller, sought: Sought, *, justification: str
    ) -> FoundPeople:
        """Find people by an identifier, or by a value of a declared index.

        No value is shown. Each person found has an entry, which they see,
        and where nobody is there is an entry of that; it names the attribute
        and the reason, never what was looked for, and it is durable before
        anybody's id is given.

        Args:
            officer: who looks. Services have no such door.
            sought: what they look for.
            justification: why; recorded.

        Raises:
            NotPermitted: not this officer, or no justification.
            NotIndexed: there is no index that serves the question.
            InvalidValue: the text is no value of the attribute.
            UnknownAttribute: the catalogue has no such attribute.

        """
        await authorize(
            self._pdp,
            officer,
            Action.RECORD_FIND,
            target={},
            justification=justification,
        )
        subjects = await asyncio.to_thread(self._sought, sought)
        keys = {who: self._own_log_key(who) for who in subjects}
        people: list[tuple[UUID, bytes] | tuple[None, None]] = [*keys.items()]

        def write(conn: Connection) -> int:
            self._ledger.lock(conn, *keys.values())
            drafts = [
                self._draft(
                    EntryKind.LOOKUP,
                    officer,
                    person,
                    "found" if subjects else "nobody",
                    {"justification": justification},
                    attributes=(sought.attribute,),
                )
                for person in people or [(None, None)]
            ]
            return self._ledger.append(conn, drafts)[0].numbered()

        index = await asyncio.to_thread(self._transactions.run, write)
        return FoundPeople(subjects=tuple(subjects), index=index)

    def _sought(self, sought: Sought) -> list[UUID]:
        unique = self._vault.catalogue[sought.attribute].index
        if unique and sought.whole:
            found = self._vault.look_up.find(sought.attribute, sought.text)
            return [] if found is None else [found]
        return self._vault.look_up.search(
            sought.attribute,
            sought.text,
            whole=sought.whole,
            limit=sought.limit,
        )

    async def link(
        self,
        officer: Caller,
        subject: UUID,
        identifier: tuple[str, str],
        *,
        source: str,
    ) -> int:
        """Let one more identifier lead to a person.

        Args:
            officer: who links it.
            subject: the person.
            identifier: attribute name and value.
            source: where it comes from, kept with it.

        Returns:
            The ledger index.

        Raises:
            NotPermitted: not this officer.
            PersonUnknown: there is no such person.
            NotIndexed, InvalidValue, DuplicateIdentifier: the identifier
                cannot lead to the person.

        """
        await self._allow(officer, Action.RECORD_LINK, subject)
        return await self._one(
            officer,
            subject,
            lambda conn, who: self._vault.link(
                conn, who, identifier, source=source
            ),
            kind=EntryKind.LINK,
            outcome="linked",
            attribute=identifier[0],
        )

    async def unlink(
        self, officer: Caller, subject: UUID, identifier: tuple[str, str]
    ) -> int:
        """Let an identifier no longer lead to a person. As `link`."""
        await self._allow(officer, Action.RECORD_LINK, subject)
        return await self._one(
            officer,
            subject,
            lambda conn, who: self._vault.unlink(conn, who, identifier),
            kind=EntryKind.LINK,
            outcome="unlinked",
            attribute=identifier[0],
        )

    async def merge(
        self,
        officer: Caller,
        survivor: UUID,
        absorbed: UUID,
        *,
        justification: str,
    ) -> int:
        """Read two records as one from now on.

        Args:
            officer: who found that they are one person.
            survivor: the record that goes on.
            absorbed: the record that is read with it.
            justification: how they found it; recorded with both.

        Returns:
            The ledger index of the survivor's entry.

        Raises:
            NotPermitted: not this officer, or no justification.
            PersonUnknown: there is no such person.
            MergedSubject: they are one already, or one is part of a third.

        """
        return await self._bond(
            officer,
            (survivor, absorbed),
            "merged",
            justification,
            self._vault.merge,
            joined=self._joined,
        )

    async def unmerge(
        self,
        officer: Caller,
        survivor: UUID,
        absorbed: UUID,
        *,
        justification: str,
    ) -> int:
        """Read two merged records apart again. As `merge`.

        Raises:
            SubjectHeld: a legal hold stands on one of them; it holds all of
                them, and apart the others could be erased.

        """

        def part(
            conn: Connection, survivor: UUID, absorbed: UUID
        ) -> Mapping[UUID, int]:
            custody = self._vault.custody
            for member in self._vault.members(survivor):
                if custody.state(member) is DekState.HELD:
                    raise SubjectHeld(member)
            return self._vault.unmerge(conn, survivor, absorbed)

        return await self._bond(
            officer, (survivor, absorbed), "parted", justification, part
        )

    async def dispute(
        self,
        caller: Caller,
        subject: UUID,
        attribute: str,
        statement: str,
        *,
        version: int | None = None,
    ) -> Dispute:
        """Keep what the person says against a value (GDPR 16 and 18).

        Args:
            caller: the person, or an officer who writes it down for them.
            subject: the person.
            attribute: name of what is disputed.
            statement: their words; sealed beside the value.
            version: of the value; the current one if left out.

        Raises:
            NotPermitted: somebody else.
            PersonUnknown: there is no such person.
            InvalidValue: no such version, or the statement is no text.

        """
        await self._allow(caller, Action.DISPUTE, subject)
        made: list[Dispute] = []

        def write(conn: Connection, who: UUID) -> int | None:
            made.append(
                self._vault.disputes.enter(
                    conn,
                    who,
                    attribute,
                    statement,
                    by=_name(caller),
                    version=version,
                )
            )
            return None

        await self._one(
            caller,
            subject,
            write,
            kind=EntryKind.DISPUTE,
            outcome="disputed",
            attribute=attribute,
            held=True,
        )
        return made[-1]

    async def close_dispute(
        self,
        caller: Caller,
        subject: UUID,
        attribute: str,
        dispute: UUID,
        *,
        outcome: DisputeOutcome | None = None,
    ) -> int:
        """Withdraw a dispute, or, as an officer, resolve it.

        Returns:
            The ledger index.

        Raises:
            NotPermitted: somebody else, or the person with an outcome.
            UnknownDispute: no open one has that id.

        """
        action = Action.DISPUTE if outcome is None else Action.DISPUTE_RESOLVE
        await self._allow(caller, action, subject)

        def write(conn: Connection, who: UUID) -> int | None:
            self._vault.disputes.close(
                conn, who, attribute, dispute, outcome=outcome
            )
            return None

        done = "withdrawn" if outcome is None else outcome.value
        return await self._one(
            caller,
            subject,
            write,
            kind=EntryKind.DISPUTE,
            outcome=done,
            attribute=attribute,
            held=True,
        )

    async def _allow(
        self,
        caller: Caller,
        action: Action,
        subject: UUID,
        *,
        justification: str = "",
    ) -> None:
        await authorize(
            self._pdp,
            caller,
            action,
            target={"subject": str(subject)},
            justification=justification,
        )

    async def _one(
        self,
        caller: Caller,
        subject: UUID,
        change: Callable[[Connection, UUID], int | None],
        *,
        kind: EntryKind,
        outcome: str,
        attribute: str,
        held: bool = False,
    ) -> int:
        """Change one person's record and record it.

        With `held` it is the record that holds the attribute, where it is
        one that is read with the person's own.
        """
        holding = self._known(subject)
        members = (holding.subject, *(one.subject for one in holding.others))
        if held:
            which = self._vault.holder(subject, attribute)
            holding = self._vault.own_holding(which)
        log_key = self._vault.log_key(holding)
        who = holding.subject

        def write(conn: Connection) -> int:
            self._ledger.lock(conn, log_key)
            epoch = change(conn, who) or self._vault.epoch(conn, who)
            for member in members:
                self._consents.bump(conn, member)
            draft = self._draft(
                kind,
                caller,
                (who, log_key),
                outcome,
                {EPOCH: epoch},
                attributes=(attribute,),
            )
            return self._ledger.append(conn, [draft])[0].numbered()

        return await asyncio.to_thread(self._transactions.run, write)

    async def _bond(
        self,
        officer: Caller,
        pair: tuple[UUID, UUID],
        outcome: str,
        justification: str,
        change: Callable[[Connection, UUID, UUID], Mapping[UUID, int]],
        *,
        joined: Callable[[Connection, Sequence[UUID], int], None]
        | None = None,
    ) -> int:
        for subject in pair:
            await self._allow(
                officer,
                Action.RECORD_MERGE,
                subject,
                justification=justification,
            )
        keys = {subject: self._own_log_key(subject) for subject in pair}

        def write(conn: Connection) -> int:
            self._ledger.lock(conn, *keys.values())
            members = [
                member
                for subject in pair
                for member in self._vault.members(subject)
            ]
            epochs = change(conn, *pair)
            carried = self._carry_preferences(conn, pair)
            drafts = []
            for subject in pair:
                self._consents.bump(conn, subject)
                other = pair[1] if subject == pair[0] else pair[0]
                drafts.append(
                    self._draft(
                        EntryKind.MERGE,
                        officer,
                        (subject, keys[subject]),
                        outcome,
                        {
                            EPOCH: epochs[subject],
                            "with": str(other),
                            "justification": justification,
                            "preferences": (
                                carried if subject == pair[0] else None
                            ),
                        },
                    )
                )
            if joined is not None:
                # Counted above, so whoever answers now waits for this.
                joined(conn, members, drafts[0].at)
            return self._ledger.append(conn, drafts)[0].numbered()

        return await asyncio.to_thread(self._transactions.run, write)

    def _carry_preferences(
        self, conn: Connection, pair: tuple[UUID, UUID]
    ) -> dict[str, Json] | None:
        """Let standing preferences hold on where the survivor has none.

        Returns:
            What the entry says of the version that was made, if one was.
        """
        survivor, absorbed = (self._preferences(conn, one) for one in pair)
        if not survivor.version and absorbed.version:
            self._consents.set_preferences(
                conn, pair[0], absorbed.preferences, self._clock()
            )
            return rules_of(1, absorbed.preferences)
        return None

    def _preferences(
        self, conn: Connection, subject: UUID
    ) -> StoredPreferences:
        """Read rules that are as they were written, and stay so."""
        self._consents.lock(conn, subject)
        counted = self._consents.counted(conn, subject, known=True)
        return self._consents.preferences(subject, conn, counted.parts)

    def _own_log_key(self, subject: UUID) -> bytes:
        holding = self._vault.own_holding(subject)
        if not holding.known:
            msg = f"person {subject} is not known here"
            raise PersonUnknown(msg)
        return self._vault.log_key(holding)

    def _known(self, subject: UUID) -> Holding:
        holding = self._vault.holding(subject)
        if not holding.known:
            msg = f"person {subject} is not known here"
            raise PersonUnknown(msg)
        return holding

    def _draft(
        self,
        kind: EntryKind,
        caller: Caller,
        person: tuple[UUID, bytes] | tuple[None, None],
        outcome: str,
        detail: Mapping[str, Json],
        *,
        attributes: tuple[str, ...] = (),
    ) -> Draft:
        return Draft(
            kind=kind,
            subject=person[0],
            log_key=person[1],
            service=(
                "self" if caller.kind is CallerKind.PERSON else "registrar"
            ),
            purpose=PURPOSE,
            attributes=attributes,
            outcome=outcome,
            at=self._clock(),
            decision=self._gate.new_id(),
            detail={**detail, "by": _name(caller)},
        )


def _name(caller: Caller) -> str:
    return "self" if caller.kind is CallerKind.PERSON else caller.id
