"""The real desk behind the pages: the person's door of the gate.

It turns the door's values into the views that the pages know, and the
door's errors into theirs. It decides nothing.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from uuid import UUID

import yaml
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from api.pages.errors import NotFound
from api.pages.i18n import LOCALES
from api.pages.labels import load_reasons
from api.pages.port import (
    Choice,
    DisputeMark,
    DisputeView,
    Effect,
    HeldAttribute,
    NoticeView,
    Outcome,
    PreferencesView,
    PresetView,
    ReceiptForm,
    ReleaseView,
    Reply,
    ServiceView,
    State,
    StatementView,
    Text,
    ToldView,
    UsedAttribute,
    UsesPage,
    UseView,
)
from api.pages.router import make_pages_router
from api.pages.rules_desk import GateRulesDesk
from api.pages.sessions import Sessions
from api.pages.settings import CastMember, PagesSettings
from api.pages.translating import translated
from api.pages.unanswered import Outstanding, UnansweredView
from api.platform import Platform
from api.portal import portal_declaration
from api.problems import on_http
from consent import (
    PRESETS,
    ConsentEvent,
    ConsentState,
    Controller,
    Declaration,
    EntryKind,
    EntryUnreadable,
    EventType,
    NoticeUnavailable,
    OwnEntry,
    RecordInvalid,
    Statement,
    UnknownEntry,
    issue_kantara_receipt,
    issue_receipt,
    issue_usage_receipt,
    notice_for,
    odrl_agreement,
    p3p_header,
    preset_title,
    separate_grounds,
    states,
)
from policy import (
    Answer,
    Caller,
    CallerKind,
    Delivery,
    OwnRelease,
    Side,
    reasons_file,
)
from vault import Dispute

CAST_NAME = "cast.json"
_LANGUAGES = ("en", "zh-Hans")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_SECONDS_A_DAY = 86_400
_ANSWERS = {
    Choice.GIVE: EventType.GIVEN,
    Choice.REFUSE: EventType.REFUSED,
    Choice.WITHDRAW: EventType.WITHDRAWN,
    Choice.PAUSE: EventType.PAUSED,
    Choice.RESUME: EventType.RESUMED,
}
_OUTCOMES = {
    "released": Outcome.RELEASED,
    "partial": Outcome.PARTLY,
    "refused": Outcome.REFUSED,
}
_GLASS = {
    "granted": Outcome.GLASS_GRANTED,
    "opened": Outcome.GLASS_OPENED,
    "approved": Outcome.GLASS_APPROVED,
    "ended": Outcome.GLASS_ENDED,
    "lapsed": Outcome.GLASS_LAPSED,
    "looked": Outcome.OFFICER,
    "refused": Outcome.GLASS_REFUSED,
    "no-decision": Outcome.UNDECIDED,
}
# Whoever opens in an emergency does not keep the register.
_EMERGENCY: tuple[Text, Text] = (
    {"en": "An officer, in an emergency", "zh-Hans": "工作人员（紧急情况）"},
    {
        "en": "Emergency access, where life or safety does not wait.",
        "zh-Hans": "在危及生命或安全、刻不容缓时的紧急查阅。",
    },
)
_ACTS = {
    EntryKind.OWN_VIEW: Outcome.OPENED,
    EntryKind.CONSENT: Outcome.ANSWERED,
    EntryKind.PREFERENCE: Outcome.ANSWERED,
    EntryKind.RESTRICTION: Outcome.ANSWERED,
    EntryKind.OBJECTION: Outcome.ANSWERED,
    EntryKind.IMPORT: Outcome.CHANGED,
    EntryKind.CORRECTION: Outcome.CHANGED,
    EntryKind.OFFICER_VIEW: Outcome.OFFICER,
    EntryKind.LOOKUP: Outcome.OFFICER,
    EntryKind.LINK: Outcome.CHANGED,
    EntryKind.MERGE: Outcome.CHANGED,
    EntryKind.DISPUTE: Outcome.CHANGED,
    EntryKind.RELEASE: Outcome.EXTRACT,
    EntryKind.EVALUATION: Outcome.JUDGED,
    EntryKind.NOTIFICATION: Outcome.TOLD,
    EntryKind.NO_DECISION: Outcome.UNDECIDED,
    EntryKind.CONSENT_REQUEST: Outcome.ASKED,
}
# What the platform itself does with a person's data, in plain words.
_OWN_ACTS: Mapping[str, tuple[Text, Text]] = {
    "self": (
        {"en": "You", "zh-Hans": "您本人"},
        {
            "en": "You looked at your data, or changed your choices.",
            "zh-Hans": "您查看了自己的信息或更改了自己的选择。",
        },
    ),
    "registrar": (
        {"en": "The register office", "zh-Hans": "登记部门"},
        {
            "en": "An officer keeps the register, or entered your form.",
            "zh-Hans": "工作人员维护登记信息，或录入您的表格。",
        },
    ),
}


class GateDesk:
    """`PersonDesk` over the gate."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._door = platform.person
        self._presets: Mapping[str, Text] = yaml.safe_load(
            (LOCALES / "presets.yaml").read_text("utf-8")
        )

    async def own_data(self, subject: UUID) -> list[HeldAttribute]:
        """All that is held; the look is itself an entry."""
        async with translated():
            shown = await self._door.own_view(_caller(subject), subject)
        return [
            HeldAttribute(
                attribute=one.attribute,
                value=one.record.value,
                source=one.record.source,
                recorded_at=one.record.recorded_at,
                disputes=tuple(_dispute(each) for each in one.record.disputes),
            )
            for one in shown
        ]

    async def dispute(
        self, subject: UUID, attribute: str, statement: str
    ) -> None:
        """Keep what the person says beside the value; an entry of its own."""
        async with translated():
            await self._platform.records.dispute(
                _caller(subject), subject, attribute, statement
            )

    async def withdraw_dispute(
        self, subject: UUID, attribute: str, dispute: UUID
    ) -> None:
        """Close what the person no longer says; an entry of its own."""
        async with translated():
            await self._platform.records.close_dispute(
                _caller(subject), subject, attribute, dispute
            )

    async def own_services(self, subject: UUID) -> list[ServiceView]:
        """Every service and purpose, with the person's answers."""
        now = self._platform.clock()
        asked = self._platform.asking.waiting(subject)
        found = []
        for one in _in_force(self._platform.consents.declarations()):
            standing = self._platform.consents.standing(
                subject, one.service, one.purpose, now
            )
            more = self._platform.consents.difference(
                subject, one.service, one.purpose, now
            )
            changed = await self._changed(subject, one)
            found.append(_service(one, standing, more, changed, asked))
        return found

    async def _changed(
        self, subject: UUID, live: Declaration
    ) -> Mapping[str, tuple[tuple[bool, str], ...]]:
        """What of the notices is not as it was answered, by statement."""
        service, purpose = live.service, live.purpose
        log = self._platform.consents.events(
            subject, service, purpose, until=None
        )
        if all(event.declaration == live.digest for event in log):
            return {}
        async with translated():
            found = await self._platform.history.difference(
                _caller(subject), subject, service, purpose
            )
        return {
            one.statement: tuple(
                (line[0] == "+", line[1:])
                for line in one.lines[2:]
                if line[0] in "+-" and line[1:].strip()
            )
            for one in found
        }

    async def preferences(self, subject: UUID) -> PreferencesView:
        """The standing preferences, and the presets beside them."""
        stored = self._platform.consents.preferences(subject)
        chosen = next(
            (
                name
                for name, preset in PRESETS.items()
                if preset == stored.preferences
            ),
            None,
        )
        return PreferencesView(
            version=stored.version,
            preset=chosen,
            presets=tuple(
                PresetView(
                    id=name,
                    title={one: preset_title(name, one) for one in _LANGUAGES},
                    text=self._presets[name],
                )
                for name in PRESETS
            ),
        )

    async def set_preferences(
        self, subject: UUID, preset: str, expected_version: int
    ) -> None:
        """Put a preset in force."""
        async with translated():
            await self._door.prefer(
                _caller(subject),
                subject,
                PRESETS[preset],
                expected=expected_version,
            )

    async def decide(  # noqa: PLR0917 - the port's own shape
        self,
        subject: UUID,
        service: str,
        purpose: str,
        statement: str,
        choice: Choice,
        optional: tuple[str, ...],
        declaration_digest: str,
        notice_digest: str,
        language: str,
        served: str,
    ) -> UUID:
        """Record an answer to one statement."""
        answer = self.answer_of(
            service,
            purpose,
            statement,
            choice,
            optional,
            declaration_digest,
            notice_digest,
            language,
            served,
        )
        async with translated():
            event = await self._door.answer(_caller(subject), subject, answer)
        return event.id

    def answer_of(  # noqa: PLR0917 - as above
        self,
        service: str,
        purpose: str,
        statement: str,
        choice: Choice,
        optional: tuple[str, ...],
        declaration_digest: str,
        notice_digest: str,
        language: str,
        served: str,
    ) -> Answer:
        """Put an answer of a form into the door's words."""
        live = self._platform.consents.declaration(service, purpose)
        found = None if live is None else live.statement(statement)
        if found is None:
            msg = f"{service}/{purpose} has no statement {statement}"
            raise NotFound(msg)
        return Answer(
            service=service,
            purpose=purpose,
            statement=statement,
            type=_ANSWERS[choice],
            attributes=tuple(
                item.attribute
                for item in found.data
                if not item.optional or item.attribute in optional
            ),
            declaration=declaration_digest,
            notice=notice_digest,
            language=language,
            channel="portal",
            served=served,
        )

    async def decide_together(
        self, subject: UUID, answers: Sequence[Answer]
    ) -> list[UUID]:
        """Record several answers as one act, all of them or none."""
        async with translated():
            events = await self._platform.consent_desk.answer_together(
                _caller(subject), subject, answers
            )
        return [event.id for event in events]

    async def notice(
        self, service: str, purpose: str, language: str, statement: str
    ) -> NoticeView:
        """The notice in force."""
        live = self._platform.consents.declaration(service, purpose)
        if live is None:
            msg = f"{service}/{purpose} is not declared"
            raise NotFound(msg)
        try:
            notice = notice_for(live, language, statement)
        except NoticeUnavailable:
            msg = f"{service}/{purpose} has no notice in {language}"
            raise NotFound(msg) from None
        return NoticeView(text=notice.text, digest=notice.digest)

    async def serve(
        self,
        subject: UUID,
        service: str,
        purpose: str,
        language: str,
        statement: str,
    ) -> NoticeView:
        """The notice in force, kept as served to this person."""
        notice = await self.notice(service, purpose, language, statement)
        async with translated():
            served = await self._platform.consent_desk.serve(
                _caller(subject),
                subject,
                service,
                purpose,
                statement,
                language,
                channel="portal",
            )
        return NoticeView(
            text=notice.text, digest=notice.digest, served=served.digest
        )

    async def own_uses(
        self, subject: UUID, before: int | None, limit: int
    ) -> UsesPage:
        """Uses of the person's data, newest first."""
        async with translated():
            entries = await self._door.own_uses(
                _caller(subject), subject, before=before, limit=limit + 1
            )
        page = entries[:limit]
        more = len(entries) > limit
        return UsesPage(
            entries=tuple(self._use(one) for one in page),
            older=page[-1].index if more else None,
            undisclosed=tuple(
                (one.year, one.entries) for one in self._door.undisclosed()
            ),
        )

    async def receipt(
        self, subject: UUID, event_id: UUID, form: ReceiptForm
    ) -> str:
        """The receipt of one of the person's own answers, in a form."""
        platform, consents = self._platform, self._platform.consents
        log = consents.all_events(subject)
        event = next((one for one in log if one.id == event_id), None)
        declaration = (
            None
            if event is None
            else consents.declaration_by_digest(event.declaration)
        )
        if event is None or declaration is None:
            msg = f"no event {event_id} of this person"
            raise NotFound(msg)
        if form is ReceiptForm.ODRL:
            return self._odrl(event, log)
        proof = await self._proof_of(subject, event_id)
        if form is ReceiptForm.KANTARA:
            return issue_kantara_receipt(
                event,
                declaration,
                platform.secrets.receipt,
                random=platform.random,
                policy_url=f"/me/consents/{event.service}/{event.purpose}",
                proof=proof,
            )
        record = event.record or event.id
        return issue_receipt(
            event,
            declaration,
            platform.secrets.receipt,
            now=platform.clock(),
            random=platform.random,
            notice=consents.notice(event.notice) if event.notice else None,
            log=[one for one in log if (one.record or one.id) == record],
            proof=proof,
        )

    async def _proof_of(self, subject: UUID, event: UUID) -> str | None:
        """The ledger's proof of an answer; None for one of long ago."""
        async with translated():
            caller = _caller(subject)
            index = await self._door.entry_of(caller, subject, event)
            if index is None:
                return None
            return await self._door.proof(caller, subject, index)

    def _odrl(self, event: ConsentEvent, log: list[ConsentEvent]) -> str:
        of_purpose = [
            one
            for one in log
            if (one.service, one.purpose) == (event.service, event.purpose)
        ]
        state = states(of_purpose, self._platform.clock()).get(event.statement)
        declaration = (
            None
            if state is None
            else self._platform.consents.declaration_by_digest(
                state.declaration
            )
        )
        if state is None or declaration is None or state.event != event.id:
            msg = f"event {event.id} is not what stands now"
            raise NotFound(msg)
        return json.dumps(
            odrl_agreement(event, state, declaration), ensure_ascii=False
        )

    async def usage_receipt(self, subject: UUID, index: int) -> str:
        """The signed receipt of one answer that a service got."""
        try:
            async with translated():
                caller = _caller(subject)
                entry = await self._door.use(caller, subject, index)
                proof = await self._door.proof(caller, subject, index)
        except (EntryUnreadable, UnknownEntry):
            msg = f"entry {index} is not about this person"
            raise NotFound(msg) from None
        try:
            return issue_usage_receipt(
                entry,
                str(subject),
                self._platform.consents.declaration(
                    entry.service, entry.purpose
                ),
                self._platform.secrets.receipt,
                now=self._platform.clock(),
                random=self._platform.random,
                proof=proof,
            )
        except RecordInvalid:
            msg = f"entry {index} is no use"
            raise NotFound(msg) from None

    async def released(self, subject: UUID) -> list[ReleaseView]:
        """The de-identified extracts that the person's row was in."""
        async with translated():
            found = await self._platform.releases.released(
                _caller(subject), subject
            )
        return [self._released(one) for one in found]

    def _released(self, one: OwnRelease) -> ReleaseView:
        live = self._platform.consents.declaration(one.service, one.purpose)
        title: Text = dict.fromkeys(_LANGUAGES, one.service)
        return ReleaseView(
            title=title if live is None else live.title,
            recipient=one.recipient,
            at=one.at,
            until=one.expires_at,
            recalled=one.outcome == "recalled",
            recipient_title=(
                live.title
                if live is not None and one.recipient == one.service
                else None
            ),
        )

    async def told(self, subject: UUID) -> list[ToldView]:
        """Which services were told of a no, and what they answered."""
        async with translated():
            found = await self._platform.webhooks.own(
                _caller(subject), subject
            )
        return [self._told(one) for one in found]

    def _told(self, one: Delivery) -> ToldView:
        live = self._platform.consents.declaration(one.service, one.purpose)
        title: Text = dict.fromkeys(_LANGUAGES, one.service)
        done = one.done_at is not None
        return ToldView(
            title=title if live is None else live.title,
            at=one.at,
            deadline=one.deadline,
            reply=Reply(one.outcome if done else one.standing.value),
            late=not done and one.deadline <= self._platform.clock(),
        )

    async def proof(self, subject: UUID, index: int) -> str:
        """The self-contained proof of one of the person's entries."""
        try:
            async with translated():
                return await self._door.proof(_caller(subject), subject, index)
        except (EntryUnreadable, UnknownEntry):
            msg = f"entry {index} is not about this person"
            raise NotFound(msg) from None

    async def head(self, subject: UUID) -> str:
        """The signed count of the person's entries."""
        async with translated():
            return await self._door.head(_caller(subject), subject)

    def _telling(self, codes: Sequence[str]) -> str:
        """The code that says most: why not, before why."""
        side = self._platform.reasons.side
        against = [one for one in codes if side(one) is not Side.POSITIVE]
        return (against or list(codes))[0]

    def _use(self, entry: OwnEntry) -> UseView:
        live = self._platform.consents.declaration(
            entry.service, entry.purpose
        )
        title: Text = dict.fromkeys(_LANGUAGES, entry.service)
        purpose: Text = dict.fromkeys(_LANGUAGES, entry.purpose)
        if live is not None:
            title, purpose = live.title, live.purpose_text
        elif entry.kind is EntryKind.GLASS:
            title, purpose = _EMERGENCY
        elif entry.service in _OWN_ACTS:
            title, purpose = _OWN_ACTS[entry.service]
        return UseView(
            index=entry.index,
            at=entry.at,
            service=entry.service,
            purpose=entry.purpose,
            title=title,
            purpose_text=purpose,
            outcome=_outcome(entry),
            attributes=tuple(self._used(entry)),
            **_words(entry),
        )

    def _used(self, entry: OwnEntry) -> Iterator[UsedAttribute]:
        """What became of each attribute, where something was to become."""
        if entry.kind is EntryKind.NO_DECISION:
            for name in entry.attributes:
                yield UsedAttribute(
                    attribute=name, effect=Effect.WITHHOLD, reason=""
                )
        if entry.kind is EntryKind.GLASS and entry.outcome == "opened":
            for name in entry.attributes:
                yield UsedAttribute(
                    attribute=name,
                    effect=Effect.RELEASE,
                    reason="legal_basis",
                )
        details = entry.detail.get("attributes", {})
        if isinstance(details, dict):
            for name, found in details.items():
                yield UsedAttribute(
                    attribute=name,
                    effect=Effect(found["effect"]),
                    reason=self._telling(found["reasons"]),
                )


def unanswered(platform: Platform) -> Outstanding:
    """Which services owe an answer, for the page of it.

    Nobody can sign in as an officer yet, so the page asks as one; it names
    services alone, and stands in demo mode alone.
    """
    officer = Caller(
        kind=CallerKind.OFFICER, id="demo-page", roles=("compliance",)
    )

    async def found() -> list[UnansweredView]:
        now = platform.clock()
        async with translated():
            owed = await platform.webhooks.outstanding(officer)
        return [_owed(platform, one, now) for one in owed]

    return found


def _owed(platform: Platform, one: Delivery, now: int) -> UnansweredView:
    live = platform.consents.declaration(one.service, one.purpose)
    title: Text = dict.fromkeys(_LANGUAGES, one.service)
    return UnansweredView(
        delivery=str(one.id),
        title=title if live is None else live.title,
        kind=one.kind.value,
        at=one.at,
        deadline=one.deadline,
        days_late=max(0, now - one.deadline) // _SECONDS_A_DAY,
        reply=Reply(one.standing.value),
    )


def _words(entry: OwnEntry) -> dict[str, str]:
    """Why an officer acted in an emergency, in their own words."""
    if entry.kind is not EntryKind.GLASS:
        return {}
    told = ((name, entry.detail.get(name)) for name in ("reason", "case"))
    return {name: said for name, said in told if isinstance(said, str)}


def _outcome(entry: OwnEntry) -> Outcome:
    """What became of an entry; an unknown kind is an error, not a use."""
    if entry.kind in {EntryKind.DISCLOSURE, EntryKind.REFUSAL}:
        return _OUTCOMES[entry.outcome]
    if entry.kind is EntryKind.GLASS:
        return _GLASS[entry.outcome]
    return _ACTS[entry.kind]


def install_pages(app: FastAPI, platform: Platform) -> Sessions | None:
    """Put the pages into the application, in demo mode.

    Returns:
        The sessions of the pages; None where there are no pages.

    """
    settings = platform.settings
    router = make_pages_router(
        GateDesk(platform),
        PagesSettings(
            demo=settings.demo,
            secret=platform.secrets.session,
            secure=settings.secure_cookies,
            p3p=p3p_header(portal_declaration(Controller())),
        ),
        read_cast(settings.home / CAST_NAME),
        platform.clock,
        rules=GateRulesDesk(platform),
        outstanding=unanswered(platform),
        reasons=load_reasons(reasons_file()),
        random=platform.random,
    )
    app.include_router(router)
    explain = router.explain
    if explain is None:
        return None

    async def on_page_error(request: Request, error: Exception) -> Response:
        """A browser gets a page, a program gets a problem."""
        if "text/html" in request.headers.get("accept", ""):
            return await explain(request, error)
        return await on_http(request, error)

    app.add_exception_handler(HTTPException, on_page_error)
    return router.sessions


def read_cast(path: Path) -> Sequence[CastMember]:
    """Read the synthetic people that may be chosen at sign-in."""
    if not path.is_file():
        return ()
    return [
        CastMember(
            subject=UUID(one["subject"]),
            label=one["label"],
            description=one["description"],
        )
        for one in json.loads(path.read_text("utf-8"))
    ]


def _caller(subject: UUID) -> Caller:
    return Caller(kind=CallerKind.PERSON, id=str(subject))


def _dispute(one: Dispute) -> DisputeView:
    return DisputeView(
        id=one.id,
        statement=one.statement,
        at=one.at,
        state=DisputeMark((one.outcome or one.state).value),
    )


def _in_force(every: Iterable[Declaration]) -> Iterable[Declaration]:
    """The highest version of each service and purpose."""
    live: dict[tuple[str, str], Declaration] = {}
    for one in every:
        key = (one.service, one.purpose)
        if key not in live or live[key].version < one.version:
            live[key] = one
    return live.values()


def _service(
    one: Declaration,
    standing: Mapping[str, ConsentState],
    more: Mapping[str, tuple[str, ...]],
    changed: Mapping[str, tuple[tuple[bool, str], ...]],
    asked: Mapping[tuple[str, str, str], tuple[str, ...]],
) -> ServiceView:
    return ServiceView(
        service=one.service,
        purpose=one.purpose,
        title=one.title,
        controller=_by_language(one.controller.name or one.service),
        purpose_text=one.purpose_text,
        statements=tuple(
            _statement(
                statement,
                standing.get(statement.id),
                more.get(statement.id, ()),
                apart=bool(separate_grounds(one, statement)),
                changed=changed.get(statement.id, ()),
                requested=asked.get(
                    (one.service, one.purpose, statement.id), ()
                ),
            )
            for statement in one.statements
        ),
        declaration_digest=one.digest,
    )


def _by_language(name: str) -> Text:
    """What a body is called in each language.

    P3P knows one name alone, so a body with two writes both, the Chinese one
    after " / " or before it.
    """
    parts = name.split(" / ")
    chinese = [one for one in parts if _HAN.search(one)]
    if len(parts) != len(_LANGUAGES) or len(chinese) != 1:
        return dict.fromkeys(_LANGUAGES, name)
    (other,) = (one for one in parts if one not in chinese)
    return dict(zip(_LANGUAGES, (other, *chinese), strict=True))


def _statement(
    one: Statement,
    state: ConsentState | None,
    more: tuple[str, ...],
    *,
    apart: bool,
    changed: tuple[tuple[bool, str], ...],
    requested: tuple[str, ...],
) -> StatementView:
    return StatementView(
        id=one.id,
        basis=one.basis.value,
        consequence=one.consequence,
        essential=tuple(
            item.attribute for item in one.data if not item.optional
        ),
        optional=tuple(item.attribute for item in one.data if item.optional),
        retention=one.retention.value,
        retention_days=one.retention_days,
        recipients=tuple(name.value for name in one.recipients),
        state=_state(state, requested),
        given_attributes=() if state is None else state.attributes,
        since=None if state is None else state.at,
        until=None if state is None else state.until,
        event_id=None if state is None else state.event,
        asked_again=more,
        apart=apart,
        changed=changed,
        requested=requested,
    )


def _state(state: ConsentState | None, requested: tuple[str, ...]) -> State:
    """How an answer stands; who allows nothing and is asked, is asked."""
    if requested and (state is None or state.state is not EventType.GIVEN):
        return State.REQUESTED
    return State.NONE if state is None else State(state.state.value)
