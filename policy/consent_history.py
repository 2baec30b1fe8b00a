"""Looking back at consents: as of a day, and against what is declared now.

An officer's look names its justification and is an entry that the person
sees; the person looks for free. Nothing of it opens a value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from consent import (
    Agreed,
    ConsentRecord,
    ConsentState,
    ConsentStore,
    EntryKind,
    agreed,
    group_records,
    states,
)
from policy.authority import Action, Caller, CallerKind, authorize
from policy.consent_writer import ConsentWriter
from policy.pdp import PolicyDecisionPoint

LOOK_PURPOSE = "consent-records"


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf:
    """What a person's answers meant at an instant, twice.

    Attributes:
        at: POSIX seconds of the time that is asked about.
        known: POSIX seconds: what `then` knew; usually equal to `at`.
        then: the states by what was known at `known`.
        now: the states by what is known today.

    """

    at: int
    known: int
    then: dict[str, ConsentState]
    now: dict[str, ConsentState]


class ConsentHistory:
    """Reads the records of consents."""

    def __init__(
        self,
        *,
        consents: ConsentStore,
        writer: ConsentWriter,
        pdp: PolicyDecisionPoint,
        clock: Callable[[], int],
    ) -> None:
        self._consents = consents
        self._writer = writer
        self._pdp = pdp
        self._clock = clock

    async def as_of(  # noqa: PLR0917 - who, whose, of what, when
        self,
        caller: Caller,
        subject: UUID,
        service: str,
        purpose: str,
        at: int,
        known: int | None = None,
        *,
        justification: str = "",
    ) -> AsOf:
        """Say what was allowed, by what was known then and is known now.

        Args:
            caller: who asks.
            subject: the person.
            service: the service.
            purpose: its purpose.
            at: POSIX seconds of the time that is asked about.
            known: POSIX seconds of what was known "then"; `at` if left out.
            justification: why; officers have to say.

        Raises:
            NotPermitted: somebody else, or an officer without a reason.
            PersonUnknown: there is no such person.

        """
        person = await self._look(caller, subject, justification)
        before = at if known is None else known

        def read(upto: int | None) -> dict[str, ConsentState]:
            return self._consents.as_of(
                person, service, purpose, at=at, known=upto
            )

        return AsOf(at=at, known=before, then=read(before), now=read(None))

    async def records(
        self, caller: Caller, subject: UUID, *, justification: str = ""
    ) -> tuple[ConsentRecord, ...]:
        """Every consent record of a person, with all of its events.

        Raises:
            NotPermitted, PersonUnknown: as `as_of`.

        """
        person = await self._look(caller, subject, justification)
        return group_records(self._consents.all_events(person))

    async def difference(
        self,
        caller: Caller,
        subject: UUID,
        service: str,
        purpose: str,
        *,
        justification: str = "",
    ) -> tuple[Agreed, ...]:
        """What the person agreed to, beside what is declared now.

        Returns:
            One comparison for each answer; none where nothing is declared.

        Raises:
            NotPermitted, PersonUnknown: as `as_of`.

        """
        person = await self._look(caller, subject, justification)
        live = self._consents.declaration(service, purpose)
        if live is None:
            return ()
        events = self._consents.events(person, service, purpose, until=None)
        by_id = {event.id: event for event in events}
        found = []
        for state in states(events, self._clock()).values():
            event = by_id[state.event]
            old = self._consents.declaration_by_digest(state.declaration)
            if old is not None:
                found.append(agreed(event, state, old, live, self._text))
        return tuple(found)

    def _text(self, digest: str) -> str:
        return self._consents.notice(digest).text

    async def _look(
        self, caller: Caller, subject: UUID, justification: str
    ) -> UUID:
        officer = caller.kind is CallerKind.OFFICER
        await authorize(
            self._pdp,
            caller,
            Action.CONSENT_READ if officer else Action.OWN_VIEW,
            target={"subject": str(subject)},
            justification=justification,
        )
        person = self._writer.known(subject).subject
        if officer:
            draft = self._writer.draft(
                subject,
                EntryKind.OFFICER_VIEW,
                service="registrar",
                purpose=LOOK_PURPOSE,
                outcome="read",
                detail={"officer": caller.id, "justification": justification},
            )
            await self._writer.write([draft], lambda _conn: None)
        return person
