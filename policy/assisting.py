"""What officers do with people's consents: write down, ask, end, mandate.

At the counter or by phone an officer reads the notice out, and writes down
what the person says, with the channel and their own name. A no counts at
once. A yes waits: it is a request until the person has been handed, sent or
read back what was written down, and that is confirmed; until then the gate
gives nothing. What the person said meanwhile, by any channel, is not
overruled by the confirmation.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from consent import (
    ConsentEvent,
    ConsentStore,
    Declaration,
    Draft,
    EntryKind,
    EventType,
    Mandate,
    RecordInvalid,
    Served,
)
from policy.answering import NEEDS_VIEW, Answer, served_now
from policy.authority import Action, Caller, authorize
from policy.consent_writer import ConsentWriter
from policy.decisions import Json
from policy.errors import FactsChanged, RecordUnknown
from policy.pdp import PolicyDecisionPoint

MANDATE_PURPOSE = "mandate"
_SAID = frozenset(
    {
        EventType.GIVEN,
        EventType.REFUSED,
        EventType.WITHDRAWN,
        EventType.PAUSED,
        EventType.RESUMED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One statement of one purpose of one service."""

    service: str
    purpose: str
    statement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenDown:
    """What an officer wrote down, and what the person is to be given.

    Attributes:
        event: what is recorded: the answer, or the request that waits.
        summary: the text to hand, send or read to the person.
        pending: whether it waits for the confirmation.

    """

    event: ConsentEvent
    summary: str
    pending: bool


class AssistDesk:
    """The officers' side of consent."""

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

    async def serve(
        self,
        officer: Caller,
        subject: UUID,
        place: Place,
        *,
        language: str,
        channel: str,
    ) -> Served:
        """Serve the notice by an officer: read out, or handed over.

        Raises:
            NotPermitted: not this officer's role.

        """
        await self._allow(officer, Action.CONSENT_ASSIST, subject)
        served = served_now(
            self._live(place),
            place.statement,
            language,
            subject=self._writer.known(subject).subject,
            viewer="self",
            channel=channel,
            writer=self._writer,
            officer=officer.id,
        )
        await self._writer.write(
            [], lambda conn: self._consents.serve(conn, served)
        )
        return served

    async def write_down(
        self, officer: Caller, subject: UUID, answer: Answer
    ) -> WrittenDown:
        """Write down what a person said to an officer.

        Args:
            officer: who writes.
            subject: the person.
            answer: what they said; its channel is where.

        Returns:
            What was recorded. A yes waits for `confirm`.

        Raises:
            NotPermitted: not this officer's role.
            FactsChanged: the declaration is another one by now.
            ConsentError: it cannot be recorded, such as where what was
                served is something else.

        """
        await self._allow(officer, Action.CONSENT_ASSIST, subject)
        place = Place(
            service=answer.service,
            purpose=answer.purpose,
            statement=answer.statement,
        )
        live = self._live(place)
        if live.digest != answer.declaration:
            msg = f"{answer.service}/{answer.purpose} was declared anew"
            raise FactsChanged(msg)
        if answer.type not in _SAID:
            msg = f"an officer does not write {answer.type} down"
            raise RecordInvalid(msg)
        pending = answer.type is EventType.GIVEN
        event = self._event(
            officer,
            subject,
            live,
            place,
            EventType.REQUESTED if pending else answer.type,
            attributes=answer.attributes if pending else (),
            actor="controller" if pending else "self",
            channel=answer.channel,
            notice=answer.notice,
            language=answer.language,
            served=answer.served if answer.type in NEEDS_VIEW else "",
        )
        await self._writer.record(subject, [event])
        return WrittenDown(
            event=event, summary=summary_of(event, live), pending=pending
        )

    async def confirm(
        self, officer: Caller, subject: UUID, request: UUID, *, how: str
    ) -> ConsentEvent:
        """Let a yes count that was written down: the person was told.

        Args:
            officer: who confirms.
            subject: the person.
            request: the event that waits.
            how: how the summary reached the person: ``handed``, ``read
                back``, ``sent``.

        Raises:
            NotPermitted: not this officer's role.
            RecordUnknown: nothing of that id waits.
            RecordInvalid: it was answered meanwhile, or is declared anew.

        """
        await self._allow(officer, Action.CONSENT_ASSIST, subject)
        holding = self._writer.known(subject)
        for asked in self._consents.all_events(holding.subject):
            if asked.id == request and asked.type is EventType.REQUESTED:
                break
        else:
            msg = f"no request {request} of person {subject} waits"
            raise RecordUnknown(msg)
        place = Place(
            service=asked.service,
            purpose=asked.purpose,
            statement=asked.statement,
        )
        live = self._live(place)
        if live.digest != asked.declaration:
            msg = f"{asked.service}/{asked.purpose} was declared anew"
            raise FactsChanged(msg)
        event = self._event(
            officer,
            subject,
            live,
            place,
            EventType.GIVEN,
            attributes=asked.attributes,
            actor="self",
            channel=asked.channel,
            notice=asked.notice,
            language=asked.language,
            served=asked.served,
            record=asked.id,
        )
        summary = hashlib.sha256(summary_of(asked, live).encode()).hexdigest()
        await self._writer.record(
            subject, [event], more={"confirmed": how, "summary": summary}
        )
        return event

    async def ask(
        self, officer: Caller, subject: UUID, place: Place
    ) -> ConsentEvent:
        """Ask a person anew: an open request, which they see and answer."""
        await self._allow(officer, Action.CONSENT_ASSIST, subject)
        live = self._live(place)
        statement = live.statement(place.statement)
        event = self._event(
            officer,
            subject,
            live,
            place,
            EventType.REQUESTED,
            attributes=() if statement is None else statement.attributes,
            actor="controller",
            channel="portal",
        )
        await self._writer.record(subject, [event])
        return event

    async def end(
        self,
        officer: Caller,
        subject: UUID,
        place: Place,
        *,
        justification: str,
        void_since: int | None = None,
    ) -> ConsentEvent:
        """Revoke a consent, or have it stand as void since a time.

        Args:
            officer: who decides.
            subject: the person.
            place: which consent.
            justification: why; the person sees it.
            void_since: POSIX seconds since when it is void; None revokes
                it from now on.

        Raises:
            NotPermitted: no justification, or not this officer's role.
            RecordInvalid: there is nothing that could be ended.

        """
        await self._allow(
            officer,
            Action.CONSENT_REVOKE,
            subject,
            justification=justification,
        )
        event = self._event(
            officer,
            subject,
            self._live(place),
            place,
            EventType.REVOKED if void_since is None else EventType.INVALIDATED,
            actor="controller",
            channel="office",
            at=void_since,
        )
        await self._writer.record(
            subject, [event], more={"justification": justification}
        )
        return event

    async def mandate(
        self, officer: Caller, mandate: Mandate, *, justification: str
    ) -> None:
        """Record a mandate whose proof an officer has seen.

        Raises:
            NotPermitted: no justification, or not this officer's role.
            PersonUnknown: there is no such person.

        """
        await self._allow(
            officer,
            Action.MANDATE_WRITE,
            mandate.subject,
            justification=justification,
        )
        # Answers are the surviving record's, and so is who may give them.
        subject = self._writer.known(mandate.subject).subject
        mandate = replace(mandate, subject=subject)
        draft = self._mandate_draft(
            officer,
            mandate,
            "recorded",
            justification,
            {
                "since": mandate.valid_from,
                "until": mandate.valid_until,
                "of_age": mandate.of_age,
                "recorded": mandate.recorded_at,
            },
        )
        await self._writer.write(
            [draft],
            lambda conn: self._consents.add_mandate(conn, mandate),
        )

    async def end_mandate(
        self,
        officer: Caller,
        subject: UUID,
        name: UUID,
        *,
        at: int,
        justification: str,
    ) -> None:
        """End a mandate, now or since a time that lies before.

        Raises:
            NotPermitted: no justification, or not this officer's role.
            RecordUnknown: there is none.
            MandateInvalid: it was ended already.

        """
        await self._allow(
            officer,
            Action.MANDATE_WRITE,
            subject,
            justification=justification,
        )
        holding = self._writer.known(subject)
        found = {
            one.id: one for one in self._consents.mandates(holding.subject)
        }
        if name not in found:
            msg = f"person {subject} has no mandate {name}"
            raise RecordUnknown(msg)
        draft = self._mandate_draft(
            officer,
            found[name],
            "ended",
            justification,
            {"until": at},
        )
        await self._writer.write(
            [draft],
            lambda conn: self._consents.end_mandate(
                conn, holding.subject, name, at=at, now=draft.at
            ),
        )

    def _mandate_draft(
        self,
        officer: Caller,
        mandate: Mandate,
        outcome: str,
        why: str,
        more: Mapping[str, Json],
    ) -> Draft:
        return self._writer.draft(
            mandate.subject,
            EntryKind.CONSENT,
            service="registrar",
            purpose=MANDATE_PURPOSE,
            outcome=outcome,
            detail={
                "mandate": str(mandate.id),
                "actor": mandate.actor,
                "kind": mandate.kind.value,
                "proof": mandate.proof,
                "scope": list(mandate.scope),
                "officer": officer.id,
                "justification": why,
                **more,
            },
        )

    def _event(
        self,
        officer: Caller,
        subject: UUID,
        live: Declaration,
        place: Place,
        kind: EventType,
        *,
        actor: str,
        channel: str,
        attributes: tuple[str, ...] = (),
        notice: str = "",
        language: str = "",
        served: str = "",
        record: UUID | None = None,
        at: int | None = None,
    ) -> ConsentEvent:
        now = self._writer.clock()
        return ConsentEvent(
            id=self._writer.new_id(),
            subject=self._writer.known(subject).subject,
            service=place.service,
            purpose=place.purpose,
            statement=place.statement,
            declaration=live.digest,
            notice=notice,
            language=language,
            type=kind,
            attributes=attributes,
            at=now if at is None else at,
            recorded_at=now,
            actor=actor,
            channel=channel,
            record=record,
            served=served,
            officer=officer.id,
        )

    def _live(self, place: Place) -> Declaration:
        live = self._consents.declaration(place.service, place.purpose)
        if live is None or live.statement(place.statement) is None:
            msg = f"{place.service}/{place.purpose} asks no {place.statement}"
            raise RecordUnknown(msg)
        return live

    async def _allow(
        self,
        officer: Caller,
        action: Action,
        subject: UUID,
        *,
        justification: str = "",
    ) -> None:
        await authorize(
            self._pdp,
            officer,
            action,
            target={"subject": str(subject)},
            justification=justification,
        )


_SUMMARY = {
    "en": (
        "Written down: {answer}\nService: {place}\nQuestion: {statement}\n"
        "Data: {attributes}\nNotice: {notice}\nChannel: {channel}\n"
        "Reference: {id}\nYou can change this at any time, by any channel.\n"
    ),
    "zh-Hans": (
        "已记录：{answer}\n服务：{place}\n问题：{statement}\n"
        "信息：{attributes}\n告知书：{notice}\n渠道：{channel}\n"
        "编号：{id}\n您可随时通过任何渠道更改。\n"
    ),
}
_WORDS = {
    EventType.REQUESTED: ("yes, once confirmed", "同意（待确认）"),
    EventType.REFUSED: ("no", "不同意"),
    EventType.WITHDRAWN: ("taken back", "撤回"),
    EventType.PAUSED: ("paused", "暂停"),
    EventType.RESUMED: ("resumed", "恢复"),
}


def summary_of(event: ConsentEvent, declaration: Declaration) -> str:
    """Write what the person is given of what was written down."""
    language = event.language if event.language in _SUMMARY else "en"
    return _SUMMARY[language].format(
        answer=_WORDS[event.type][language != "en"],
        place=declaration.title.get(language, event.service),
        statement=event.statement,
        attributes=", ".join(event.attributes) or "-",
        notice=event.notice or "-",
        channel=event.channel,
        id=event.id,
    )
