"""The real desk behind the pages: the person's door of the gate.

It turns the door's values into the views that the pages know, and the
door's errors into theirs. It decides nothing.
"""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import yaml
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from api.pages.errors import Conflict, NoDecision, NotFound
from api.pages.i18n import LOCALES
from api.pages.labels import load_reasons
from api.pages.port import (
    Choice,
    Effect,
    HeldAttribute,
    NoticeView,
    Outcome,
    PreferencesView,
    PresetView,
    ServiceView,
    State,
    StatementView,
    Text,
    UsedAttribute,
    UsesPage,
    UseView,
)
from api.pages.router import make_pages_router
from api.pages.sessions import Sessions
from api.pages.settings import CastMember, PagesSettings
from api.platform import Platform
from api.problems import on_http
from consent import (
    PRESETS,
    ConsentState,
    Declaration,
    EntryKind,
    EntryUnreadable,
    EventType,
    LedgerUnavailable,
    NoticeUnavailable,
    OwnEntry,
    Statement,
    UnknownEntry,
    issue_receipt,
    preset_title,
    render_notice,
)
from policy import (
    Answer,
    Caller,
    CallerKind,
    FactsChanged,
    PersonUnknown,
    Side,
    reasons_file,
)
from policy import NoDecision as GateNoDecision

CAST_NAME = "cast.json"
_LANGUAGES = ("en", "zh-Hans")
_ANSWERS = {
    Choice.GIVE: EventType.GIVEN,
    Choice.REFUSE: EventType.REFUSED,
    Choice.WITHDRAW: EventType.WITHDRAWN,
}
_OUTCOMES = {
    "released": Outcome.RELEASED,
    "partial": Outcome.PARTLY,
    "refused": Outcome.REFUSED,
}
_ACTS = {
    EntryKind.OWN_VIEW: Outcome.OPENED,
    EntryKind.CONSENT: Outcome.ANSWERED,
    EntryKind.PREFERENCE: Outcome.ANSWERED,
    EntryKind.RESTRICTION: Outcome.ANSWERED,
    EntryKind.OBJECTION: Outcome.ANSWERED,
    EntryKind.IMPORT: Outcome.CHANGED,
    EntryKind.CORRECTION: Outcome.CHANGED,
    EntryKind.OFFICER_VIEW: Outcome.OFFICER,
    EntryKind.RELEASE: Outcome.EXTRACT,
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
        async with _translated():
            shown = await self._door.own_view(_caller(subject), subject)
        return [
            HeldAttribute(
                attribute=one.attribute,
                value=one.record.value,
                source=one.record.source,
                recorded_at=one.record.recorded_at,
            )
            for one in shown
        ]

    async def own_services(self, subject: UUID) -> list[ServiceView]:
        """Every service and purpose, with the person's answers."""
        now = self._platform.clock()
        found = []
        for one in _in_force(self._platform.consents.declarations()):
            standing = self._platform.consents.standing(
                subject, one.service, one.purpose, now
            )
            found.append(_service(one, standing))
        return found

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
        async with _translated():
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
    ) -> UUID:
        """Record an answer to one statement."""
        live = self._platform.consents.declaration(service, purpose)
        found = None if live is None else live.statement(statement)
        if found is None:
            msg = f"{service}/{purpose} has no statement {statement}"
            raise NotFound(msg)
        allowed = tuple(
            item.attribute
            for item in found.data
            if not item.optional or item.attribute in optional
        )
        async with _translated():
            event = await self._door.answer(
                _caller(subject),
                subject,
                Answer(
                    service=service,
                    purpose=purpose,
                    statement=statement,
                    type=_ANSWERS[choice],
                    attributes=allowed,
                    declaration=declaration_digest,
                    notice=notice_digest,
                    language=language,
                    channel="portal",
                ),
            )
        return event.id

    async def notice(
        self, service: str, purpose: str, language: str
    ) -> NoticeView:
        """The notice in force."""
        live = self._platform.consents.declaration(service, purpose)
        if live is None:
            msg = f"{service}/{purpose} is not declared"
            raise NotFound(msg)
        try:
            notice = render_notice(live, language)
        except NoticeUnavailable:
            msg = f"{service}/{purpose} has no notice in {language}"
            raise NotFound(msg) from None
        return NoticeView(text=notice.text, digest=notice.digest)

    async def own_uses(
        self, subject: UUID, before: int | None, limit: int
    ) -> UsesPage:
        """Uses of the person's data, newest first."""
        async with _translated():
            entries = await self._door.own_uses(
                _caller(subject), subject, before=before, limit=limit + 1
            )
        page = entries[:limit]
        more = len(entries) > limit
        return UsesPage(
            entries=tuple(self._use(one) for one in page),
            older=page[-1].index if more else None,
        )

    async def receipt(self, subject: UUID, event_id: UUID) -> str:
        """The signed receipt of one of the person's own answers."""
        consents = self._platform.consents
        for event in consents.all_events(subject):
            if event.id == event_id:
                declaration = consents.declaration_by_digest(event.declaration)
                if declaration is not None:
                    return issue_receipt(
                        event,
                        declaration,
                        self._platform.secrets.receipt,
                        now=self._platform.clock(),
                        random=self._platform.random,
                        notice=(
                            consents.notice(event.notice)
                            if event.notice
                            else None
                        ),
                    )
        msg = f"no event {event_id} of this person"
        raise NotFound(msg)

    async def proof(self, subject: UUID, index: int) -> str:
        """The self-contained proof of one of the person's entries."""
        try:
            async with _translated():
                return await self._door.proof(_caller(subject), subject, index)
        except (EntryUnreadable, UnknownEntry):
            msg = f"entry {index} is not about this person"
            raise NotFound(msg) from None

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
        elif entry.service in _OWN_ACTS:
            title, purpose = _OWN_ACTS[entry.service]
        details = entry.detail.get("attributes", {})
        return UseView(
            index=entry.index,
            at=entry.at,
            service=entry.service,
            purpose=entry.purpose,
            title=title,
            purpose_text=purpose,
            outcome=_outcome(entry),
            attributes=tuple(
                UsedAttribute(
                    attribute=name,
                    effect=Effect(found["effect"]),
                    reason=self._telling(found["reasons"]),
                )
                for name, found in details.items()
            )
            if isinstance(details, dict)
            else (),
        )


def _outcome(entry: OwnEntry) -> Outcome:
    """What became of an entry; an unknown kind is an error, not a use."""
    if entry.kind in {EntryKind.DISCLOSURE, EntryKind.REFUSAL}:
        return _OUTCOMES[entry.outcome]
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
        ),
        read_cast(settings.home / CAST_NAME),
        platform.clock,
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


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (GateNoDecision, LedgerUnavailable):
        msg = "the gate gave no decision"
        raise NoDecision(msg) from None
    except FactsChanged as error:
        raise Conflict(str(error)) from None
    except PersonUnknown as error:
        raise NotFound(str(error)) from None


def _in_force(every: Iterable[Declaration]) -> Iterable[Declaration]:
    """The highest version of each service and purpose."""
    live: dict[tuple[str, str], Declaration] = {}
    for one in every:
        key = (one.service, one.purpose)
        if key not in live or live[key].version < one.version:
            live[key] = one
    return live.values()


def _service(
    one: Declaration, standing: dict[str, ConsentState]
) -> ServiceView:
    name = one.controller.name or one.service
    return ServiceView(
        service=one.service,
        purpose=one.purpose,
        title=one.title,
        controller=dict.fromkeys(_LANGUAGES, name),
        purpose_text=one.purpose_text,
        statements=tuple(
            _statement(statement, standing.get(statement.id))
            for statement in one.statements
        ),
        declaration_digest=one.digest,
    )


def _statement(one: Statement, state: ConsentState | None) -> StatementView:
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
        state=State.NONE if state is None else State(state.state.value),
        given_attributes=() if state is None else state.attributes,
        since=None if state is None else state.at,
        until=None if state is None else state.until,
        event_id=None if state is None else state.event,
    )
