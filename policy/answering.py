"""What people do with their consents: be served, answer, act for another.

A person answers for themselves, or for somebody whose mandate they hold.
Subject and actor are two fields throughout, and what a mandate covers is a
fact that `policies/api` judges. Whoever gives or refuses refers to the hash
of what was served to them; a question that is asked apart takes a view and
an act of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from consent import (
    ConsentEvent,
    ConsentStore,
    Declaration,
    EventType,
    Mandate,
    NoticeNotServed,
    Served,
    fitting,
    notice_for,
)
from policy.authority import Action, Caller, authorize
from policy.consent_writer import ConsentWriter
from policy.errors import FactsChanged
from policy.pdp import PolicyDecisionPoint

NEEDS_VIEW = frozenset({EventType.GIVEN, EventType.REFUSED, EventType.RENEWED})
_ALLOWING = frozenset({EventType.GIVEN, EventType.RENEWED})
# Nothing need be read, or be as it was, before one of these.
_ALWAYS = frozenset({EventType.WITHDRAWN, EventType.PAUSED, EventType.RESUMED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered to one statement of one declaration.

    `declaration` and `notice` are digests of what was shown, `served` the
    hash of its being served; an answer to something else is refused.
    `attributes` names what is allowed (all essential ones, and the optional
    ones that were chosen). `expires_at` is POSIX seconds, or None.
    """

    service: str
    purpose: str
    statement: str
    type: EventType
    attributes: tuple[str, ...]
    declaration: str
    notice: str
    language: str
    channel: str = "web"
    served: str = ""
    expires_at: int | None = None


class ConsentDesk:
    """The person's consents, at the gate."""

    def __init__(
        self,
        *,
        consents: ConsentStore,
        writer: ConsentWriter,
        pdp: PolicyDecisionPoint,
    ) -> None:
        self._consents = consents
        self._writer = writer
        self._pdp = pdp

    async def serve(  # noqa: PLR0917 - what was shown, to whom
        self,
        caller: Caller,
        subject: UUID,
        service: str,
        purpose: str,
        statement: str,
        language: str,
        *,
        mandate: UUID | None = None,
        channel: str = "web",
    ) -> Served:
        """Serve the notice that an answer has to refer to, and prove it.

        Args:
            caller: who reads it.
            subject: the person whom it is about.
            service: the service.
            purpose: its purpose.
            statement: the statement that will be answered; nothing for all
                that are answered together.
            language: ``en`` or ``zh-Hans``.
            mandate: under which the caller acts for the person.
            channel: where.

        Returns:
            What was served; its digest goes into the answer.

        Raises:
            NotPermitted: `caller` is somebody else without a mandate.
            FactsChanged: nothing of the kind is declared.
            NoticeUnavailable: there is no notice in that language.

        """
        actor = await self._allow(
            caller, subject, [(service, purpose)], mandate
        )
        holding = self._writer.known(subject)
        live = self._live(service, purpose)
        served = served_now(
            live,
            statement,
            language,
            subject=holding.subject,
            viewer=actor,
            channel=channel,
            writer=self._writer,
        )
        await self._writer.write(
            [], lambda conn: self._consents.serve(conn, served)
        )
        return served

    async def answer(
        self,
        caller: Caller,
        subject: UUID,
        answer: Answer,
        *,
        mandate: UUID | None = None,
    ) -> ConsentEvent:
        """Record one answer; in force when this returns.

        Raises:
            NotPermitted: `caller` is somebody else without a mandate.
            FactsChanged: the declaration or the notice is not what was
                shown.
            ConsentError: the statement is not open to consent, or to this
                answer.

        """
        return (
            await self.answer_together(
                caller, subject, [answer], mandate=mandate
            )
        )[0]

    async def answer_together(
        self,
        caller: Caller,
        subject: UUID,
        answers: Sequence[Answer],
        *,
        mandate: UUID | None = None,
    ) -> list[ConsentEvent]:
        """Record several answers as one act: all of them, or none.

        Raises:
            SeparateConsentNeeded: a yes among them takes an act of its own.
            ConsentError: as `answer`.

        """
        places = [(one.service, one.purpose) for one in answers]
        actor = await self._allow(caller, subject, places, mandate)
        holding = self._writer.known(subject)
        now = self._writer.clock()
        events = [
            ConsentEvent(
                id=self._writer.new_id(),
                subject=holding.subject,
                service=one.service,
                purpose=one.purpose,
                statement=one.statement,
                declaration=self._shown(one),
                notice=one.notice,
                language=one.language,
                type=one.type,
                attributes=one.attributes if one.type in _ALLOWING else (),
                at=now,
                expires_at=one.expires_at if one.type in _ALLOWING else None,
                recorded_at=now,
                actor=actor,
                mandate=mandate,
                channel=one.channel,
                served=one.served if one.type in NEEDS_VIEW else "",
            )
            for one in answers
        ]
        await self._writer.record(subject, events)
        return events

    def mandates(self, subject: UUID) -> tuple[Mandate, ...]:
        """Return the mandates to act for a person, whoever asks inside."""
        return self._consents.mandates(subject)

    async def _allow(
        self,
        caller: Caller,
        subject: UUID,
        places: Sequence[tuple[str, str]],
        mandate: UUID | None,
    ) -> str:
        """Ask whether the caller may act; return who the actor is."""
        for service, purpose in dict.fromkeys(places):
            target = {
                "subject": str(subject),
                "service": service,
                "purpose": purpose,
            }
            if mandate is None:
                await authorize(
                    self._pdp, caller, Action.CONSENT_WRITE, target=target
                )
                continue
            found = fitting(
                self._consents.mandates(self._writer.known(subject).subject),
                actor=caller.id,
                name=mandate,
                service=service,
                purpose=purpose,
                now=self._writer.clock(),
            )
            await authorize(
                self._pdp,
                caller,
                Action.CONSENT_REPRESENT,
                target={
                    **target,
                    "actor": caller.id,
                    "mandate": "none" if found is None else "in-force",
                },
            )
        return "self" if mandate is None else caller.id

    def _live(self, service: str, purpose: str) -> Declaration:
        live = self._consents.declaration(service, purpose)
        if live is None:
            msg = f"{service}/{purpose} is not declared"
            raise FactsChanged(msg)
        return live

    def _shown(self, answer: Answer) -> str:
        """Return the digest of what was answered, if that is what stands."""
        live = self._live(answer.service, answer.purpose)
        if live.digest != answer.declaration:
            msg = f"{answer.service}/{answer.purpose} was declared anew"
            raise FactsChanged(msg)
        if answer.type in _ALWAYS:
            return live.digest
        notice = notice_for(live, answer.language, answer.statement)
        if answer.type in NEEDS_VIEW and notice.digest != answer.notice:
            msg = "the answer is to another notice than the one in force"
            raise FactsChanged(msg)
        if answer.type in NEEDS_VIEW and not answer.served:
            msg = f"{answer.service}/{answer.purpose}: no notice was served"
            raise NoticeNotServed(msg)
        return live.digest


def served_now(
    declaration: Declaration,
    statement: str,
    language: str,
    *,
    subject: UUID,
    viewer: str,
    channel: str,
    writer: ConsentWriter,
    officer: str = "",
) -> Served:
    """Say that the notice about a statement is served now."""
    notice = notice_for(declaration, language, statement)
    return Served(
        id=writer.new_id(),
        subject=subject,
        viewer=viewer,
        declaration=declaration.digest,
        notice=notice.digest,
        statement=notice.statement,
        language=language,
        channel=channel,
        officer=officer,
        at=writer.clock(),
    )
