"""A desk in memory for the pages, with a cast made for the tests.

It keeps the contract of `PersonDesk`: own entries only, a conflict where a
digest or a version is not the one that stands, an entry for every viewing of
what is held. Nothing in it is about a real person.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from http.cookies import SimpleCookie
from pathlib import Path
from uuid import UUID

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

from api.pages import (
    CastMember,
    Choice,
    Conflict,
    DisputeMark,
    DisputeView,
    Effect,
    FormInvalid,
    HeldAttribute,
    NotFound,
    NoticeView,
    Outcome,
    PagesRouter,
    PagesSettings,
    PreferencesView,
    PresetView,
    ReceiptForm,
    ServiceView,
    State,
    StatementView,
    UsedAttribute,
    UsesPage,
    UseView,
    load_reasons,
    make_pages_router,
)
from api.pages.port import ReleaseView, Reply, ToldView
from api.pages.sessions import TOKEN_FIELD, Sessions
from api.pages.unanswered import UnansweredView
from policy import HappeningKind

ROOT = Path(__file__).parents[1]
NOW = 1_795_000_000
SECRET = bytes(range(32))
FIRST = UUID("00000000-0000-4000-8000-000000000001")
SECOND = UUID("00000000-0000-4000-8000-000000000002")
CONTACT = "data.protection.officer@privacy.demonstration.municipality.example"

CAST = (
    CastMember(
        subject=FIRST,
        label={"en": "Person 0001", "zh-Hans": "人物 0001"},
        description={
            "en": "Moved last month; has answered some services.",
            "zh-Hans": "上个月搬家；已答复部分服务。",
        },
    ),
    CastMember(
        subject=SECOND,
        label={"en": "Person 0002", "zh-Hans": "人物 0002"},
        description={
            "en": "New here; nothing is held and nothing was asked.",
            "zh-Hans": "新来者；没有任何数据，也没有任何请求。",
        },
    ),
    *(
        CastMember(
            subject=UUID(f"00000000-0000-4000-8000-00000000000{at}"),
            label={"en": f"Person 000{at}", "zh-Hans": f"人物 000{at}"},
        )
        for at in range(3, 7)
    ),
)

HELD = (
    ("user.name.given", "Wei", "population-register"),
    ("user.name.family", "Example", "population-register"),
    ("user.bdate", "1984-03-02", "population-register"),
    ("user.nationality", "NL", "population-register"),
    ("user.identity.number", "DEMO-0001-4711", "population-register"),
    ("user.home-info.postal.street", "Example Lane 12", "self"),
    ("user.home-info.postal.postalcode", "1234 AB", "self"),
    ("user.home-info.postal.city", "Exampleville", "self"),
    ("user.home-info.telecom.mobile", "+31600000001", "self"),
    (
        "user.home-info.online.email",
        "person.0001.with.a.rather.long.name@mail.municipality.example",
        "self",
    ),
    ("user.household.size", "3", "population-register"),
    ("user.income.annual", "41200", "tax-office"),
    ("user.case.note", "Asked about <b>parking</b> & moving.", "counter"),
    ("user.benefit.status", "none", "Register of the Northern District"),
)


def _service(  # noqa: PLR0917 - a table's columns, in order
    service: str,
    purpose: str,
    title: tuple[str, str],
    sentence: tuple[str, str],
    statements: tuple[StatementView, ...],
    controller: tuple[str, str] = ("Demonstration Municipality", "演示市政府"),
) -> ServiceView:
    return ServiceView(
        service=service,
        purpose=purpose,
        title={"en": title[0], "zh-Hans": title[1]},
        controller={"en": controller[0], "zh-Hans": controller[1]},
        purpose_text={"en": sentence[0], "zh-Hans": sentence[1]},
        statements=statements,
        declaration_digest=sha256(f"{service}/{purpose}".encode()).hexdigest(),
    )


def services() -> list[ServiceView]:
    """Return one service a situation."""
    return [
        _service(
            "moving-house",
            "address-change",
            ("Moving house", "搬家服务"),
            (
                "To tell the bodies you choose that you have moved.",
                "将您已搬家一事告知您选择的机构。",
            ),
            (
                StatementView(
                    id="s1",
                    basis="consent",
                    consequence={
                        "en": "Your new address is passed on once. If you "
                        "refuse, you tell each body yourself.",
                        "zh-Hans": "您的新地址只转告一次。如果拒绝，"
                        "您需自行通知各机构。",
                    },
                    essential=(
                        "user.name.given",
                        "user.name.family",
                        "user.home-info.postal.street",
                        "user.home-info.postal.city",
                    ),
                    optional=(
                        "user.home-info.telecom.mobile",
                        "user.home-info.online.email",
                    ),
                    retention="stated-purpose",
                    retention_days=90,
                    recipients=("ours", "same"),
                    state=State.NONE,
                ),
            ),
        ),
        _service(
            "library",
            "reminders",
            ("City library", "市图书馆"),
            (
                "To remind you before a loan is due.",
                "在借阅到期前提醒您。",
            ),
            (
                StatementView(
                    id="s1",
                    basis="consent",
                    consequence={
                        "en": "A message two days before the due date. If "
                        "you refuse, nothing else changes.",
                        "zh-Hans": "到期前两天发送消息。如果拒绝，"
                        "其他一切照旧。",
                    },
                    essential=("user.home-info.online.email",),
                    optional=("user.home-info.telecom.mobile",),
                    retention="stated-purpose",
                    retention_days=1,
                    recipients=("ours", "delivery"),
                    state=State.GIVEN,
                    given_attributes=("user.home-info.online.email",),
                    since=NOW - 40 * 86_400,
                    until=NOW + 325 * 86_400,
                    event_id=UUID(int=77),
                ),
                StatementView(
                    id="s2",
                    basis="consent",
                    consequence={
                        "en": "Suggestions by your age group and interests.",
                    },
                    essential=(),
                    optional=("user.bdate", "user.interests"),
                    retention="no-retention",
                    retention_days=None,
                    recipients=("ours",),
                    state=State.REFUSED,
                    since=NOW - 40 * 86_400,
                    event_id=UUID(int=78),
                ),
            ),
        ),
        _service(
            "tax",
            "assessment",
            ("Income tax", "个人所得税"),
            (
                "To work out what tax you owe.",
                "计算您应缴的税款。",
            ),
            (
                StatementView(
                    id="s1",
                    basis="legal-obligation",
                    consequence={
                        "en": "The tax act requires it.",
                        "zh-Hans": "税法如此要求。",
                    },
                    essential=("user.tax.number", "user.income.annual"),
                    optional=(),
                    retention="legal-requirement",
                    retention_days=None,
                    recipients=("ours",),
                    state=State.NONE,
                ),
            ),
            ("Tax office", "税务局"),
        ),
        _service(
            "planning",
            "statistics",
            ("Town planning", "城市规划"),
            (
                "To plan schools and homes by counting households.",
                "通过统计家庭数来规划学校和住房。",
            ),
            (
                StatementView(
                    id="s1",
                    basis="public-task",
                    consequence={
                        "en": "Only counts are used, nobody is named.",
                        "zh-Hans": "只使用计数，不涉及任何姓名。",
                    },
                    essential=("user.household.size",),
                    optional=(),
                    retention="business-practices",
                    retention_days=None,
                    recipients=("ours",),
                    state=State.NONE,
                ),
            ),
        ),
    ]


OWN_LOOK = _service(
    "self",
    "own-view",
    ("You", "您本人"),
    ("To see what is held about you.", "查看保存了您的哪些数据。"),
    (),
)


def uses(count: int) -> list[UseView]:
    """Return that many uses, newest first, of every outcome in turn."""
    kinds: tuple[
        tuple[ServiceView, Outcome, tuple[tuple[str, str, str], ...]], ...
    ] = (
        (
            services()[1],
            Outcome.PARTLY,
            (
                ("user.home-info.online.email", "release", "consent_given"),
                ("user.bdate", "generalize", "preference_limits"),
                ("user.interests", "withhold", "consent_refused"),
            ),
        ),
        (
            services()[2],
            Outcome.RELEASED,
            (
                ("user.tax.number", "release", "legal_basis"),
                ("user.income.annual", "release", "legal_basis"),
            ),
        ),
        (
            services()[0],
            Outcome.REFUSED,
            (
                (
                    "user.home-info.postal.street",
                    "withhold",
                    "consent_missing",
                ),
                ("user.shoe-size", "withhold", "unknown_attribute"),
            ),
        ),
        *(
            (OWN_LOOK, outcome, ())
            for outcome in (
                Outcome.OPENED,
                Outcome.ANSWERED,
                Outcome.CHANGED,
                Outcome.OFFICER,
                Outcome.EXTRACT,
                Outcome.JUDGED,
                Outcome.TOLD,
                Outcome.ASKED,
            )
        ),
        *(
            (OWN_LOOK, outcome, ())
            for outcome in (
                Outcome.GLASS_GRANTED,
                Outcome.GLASS_OPENED,
                Outcome.GLASS_APPROVED,
                Outcome.GLASS_ENDED,
                Outcome.GLASS_LAPSED,
                Outcome.GLASS_REFUSED,
            )
        ),
        (
            services()[2],
            Outcome.UNDECIDED,
            (("user.tax.number", "withhold", ""),),
        ),
    )
    return [
        UseView(
            index=1000 + at,
            at=NOW - (count - at) * 9 * 3600,
            service=view.service,
            purpose=view.purpose,
            title=view.title,
            purpose_text=view.purpose_text,
            outcome=outcome,
            attributes=tuple(
                UsedAttribute(
                    attribute=name, effect=Effect(effect), reason=reason
                )
                for name, effect, reason in attributes
            ),
        )
        for at in reversed(range(count))
        for view, outcome, attributes in (kinds[at % len(kinds)],)
    ]


def presets() -> tuple[PresetView, ...]:
    """Return four presets, as the platform has them."""
    words = (
        (
            "ask",
            ("Ask me every time", "每次都询问我"),
            (
                "Nothing is shared until you have answered the service.",
                "在您答复该服务之前，不提供任何数据。",
            ),
        ),
        (
            "contact",
            ("Contact details only", "仅限联系方式"),
            (
                "How to reach you may be shared. All else waits for you.",
                "可以提供您的联系方式，其余一律等待您的答复。",
            ),
        ),
        (
            "coarse",
            ("Less exactly where possible", "尽可能粗略"),
            (
                (
                    "Where a coarser form will do, only that is shared: the "
                    "year of birth and not the day."
                ),
                "凡粗略形式足够的，只提供粗略形式：例如出生年份而非日期。",
            ),
        ),
        (
            "strict",
            ("Only what the law requires", "仅限法律要求"),
            (
                (
                    "Every use that needs your consent is refused, whatever "
                    "you answered before."
                ),
                "凡需您同意的使用一律拒绝，无论您以前如何答复。",
            ),
        ),
    )
    return tuple(
        PresetView(
            id=key,
            title={"en": title[0], "zh-Hans": title[1]},
            text={"en": text[0], "zh-Hans": text[1]},
        )
        for key, title, text in words
    )


@dataclass(slots=True)
class FakeDesk:
    """A `PersonDesk` over dictionaries.

    Attributes:
        views: how often what is held was opened, by person.
        decided: every answer recorded, as it was asked for.
        failure: raised by the next call instead of an answer, if set.
        undisclosed: by year, what is counted for everybody together.

    """

    held: dict[UUID, list[HeldAttribute]] = field(default_factory=dict)
    offered: dict[UUID, list[ServiceView]] = field(default_factory=dict)
    used: dict[UUID, list[UseView]] = field(default_factory=dict)
    undisclosed: tuple[tuple[int, int | None], ...] = ()
    preset: dict[UUID, str] = field(default_factory=dict)
    version: dict[UUID, int] = field(default_factory=dict)
    views: dict[UUID, int] = field(default_factory=dict)
    decided: list[dict[str, object]] = field(default_factory=list)
    failure: Exception | None = None
    edition: str = "1"

    def _may_fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def own_data(self, subject: UUID) -> list[HeldAttribute]:
        """Return what is held, and count the viewing."""
        self._may_fail()
        self.views[subject] = self.views.get(subject, 0) + 1
        return list(self.held.get(subject, []))

    async def dispute(
        self, subject: UUID, attribute: str, statement: str
    ) -> None:
        """Keep a statement beside what is held."""
        self._may_fail()
        if "\0" in statement:
            msg = "no text"
            raise FormInvalid(msg)
        made = DisputeView(
            id=UUID(int=2000),
            statement=statement,
            at=NOW,
            state=DisputeMark.OPEN,
        )
        self._redispute(subject, attribute, (made,))

    async def withdraw_dispute(
        self, subject: UUID, attribute: str, dispute: UUID
    ) -> None:
        """Close a statement."""
        self._may_fail()
        found = [
            one
            for each in self.held.get(subject, [])
            for one in each.disputes
            if one.id == dispute and one.state is DisputeMark.OPEN
        ]
        if not found:
            msg = "no such dispute"
            raise NotFound(msg)
        closed = replace(found[0], state=DisputeMark.WITHDRAWN)
        self._redispute(subject, attribute, (closed,))

    def _redispute(
        self, subject: UUID, name: str, disputes: tuple[DisputeView, ...]
    ) -> None:
        held = self.held.get(subject, [])
        if all(each.attribute != name for each in held):
            msg = "not held"
            raise NotFound(msg)
        self.held[subject] = [
            replace(each, disputes=disputes)
            if each.attribute == name
            else each
            for each in held
        ]

    async def own_services(self, subject: UUID) -> list[ServiceView]:
        """Return the services of the person."""
        self._may_fail()
        return list(self.offered.get(subject, []))

    async def preferences(self, subject: UUID) -> PreferencesView:
        """Return the preset in force."""
        self._may_fail()
        return PreferencesView(
            version=self.version.get(subject, 0),
            preset=self.preset.get(subject),
            presets=presets(),
        )

    async def set_preferences(
        self, subject: UUID, preset: str, expected_version: int
    ) -> None:
        """Put a preset in force, if the version still stands."""
        self._may_fail()
        if expected_version != self.version.get(subject, 0):
            msg = "version"
            raise Conflict(msg)
        self.preset[subject] = preset
        self.version[subject] = expected_version + 1

    async def decide(  # noqa: PLR0917 - as in `PersonDesk`
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
        """Record an answer and change the state of the statement."""
        self._may_fail()
        self.decided.append(
            {
                "subject": subject,
                "service": service,
                "purpose": purpose,
                "statement": statement,
                "choice": choice,
                "optional": optional,
                "declaration": declaration_digest,
                "notice": notice_digest,
                "language": language,
                "served": served,
            }
        )
        event = UUID(int=1000 + len(self.decided))
        self.offered[subject] = [
            replace(
                view,
                statements=tuple(
                    _answered(each, choice, optional, event)
                    if (view.service, view.purpose, each.id)
                    == (service, purpose, statement)
                    else each
                    for each in view.statements
                ),
            )
            for view in self.offered[subject]
        ]
        return event

    async def serve(
        self,
        subject: UUID,
        service: str,
        purpose: str,
        language: str,
        statement: str,
    ) -> NoticeView:
        """Return the notice, under a hash that names its person."""
        notice = await self.notice(service, purpose, language, statement)
        served = sha256(subject.bytes + notice.digest.encode()).hexdigest()
        return replace(notice, served=served)

    async def notice(
        self, service: str, purpose: str, language: str, statement: str
    ) -> NoticeView:
        """Return a notice that names its edition."""
        self._may_fail()
        text = {
            "en": "The Demonstration Municipality asks for the details named "
            f"below.\n\nContact: {CONTACT}\n\n"
            "You may refuse, and you may withdraw at any time. "
            f"Edition {self.edition}, {service}, {purpose}{statement}.",
            "zh-Hans": "演示市政府请求下列项目。\n\n"
            f"联系方式：{CONTACT}\n\n您可以拒绝，也可以随时"
            f"撤回。第 {self.edition} 版，{service}，{purpose}。",
        }[language]
        return NoticeView(text=text, digest=sha256(text.encode()).hexdigest())

    async def own_uses(
        self, subject: UUID, before: int | None, limit: int
    ) -> UsesPage:
        """Return a page of uses."""
        self._may_fail()
        all_uses = self.used.get(subject, [])
        rest = [u for u in all_uses if before is None or u.index < before]
        entries = tuple(rest[:limit])
        more = len(rest) > limit
        return UsesPage(
            entries=entries,
            older=entries[-1].index if more else None,
            undisclosed=self.undisclosed,
        )

    async def usage_receipt(self, subject: UUID, index: int) -> str:
        """Return a stand-in receipt of an own entry."""
        await self.proof(subject, index)
        return "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl"

    async def receipt(
        self, subject: UUID, event_id: UUID, form: ReceiptForm
    ) -> str:
        """Return a stand-in receipt of an own event."""
        self._may_fail()
        own = {
            statement.event_id
            for view in self.offered.get(subject, [])
            for statement in view.statements
        }
        if event_id not in own:
            msg = "event"
            raise NotFound(msg)
        if form is ReceiptForm.ODRL:
            return "{}"
        return "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl"

    async def released(self, subject: UUID) -> list[ReleaseView]:
        """Return two extracts, one of them recalled."""
        self._may_fail()
        if not self.used.get(subject):
            return []
        return [
            ReleaseView(
                title=view.title,
                recipient="statistics-office",
                at=NOW - 86_400,
                until=NOW + 86_400,
                recalled=recalled,
            )
            for view in services()[:1]
            for recalled in (False, True)
        ]

    async def told(self, subject: UUID) -> list[ToldView]:
        """Return a service for each reply, the last of them late."""
        self._may_fail()
        if not self.used.get(subject):
            return []
        return [
            ToldView(
                title=view.title,
                at=NOW - 86_400,
                deadline=NOW + 86_400,
                reply=reply,
                late=reply is Reply.RECEIVED,
            )
            for view in services()[:1]
            for reply in Reply
        ]

    async def proof(self, subject: UUID, index: int) -> str:
        """Return a stand-in proof of an own entry."""
        self._may_fail()
        if index not in {use.index for use in self.used.get(subject, [])}:
            msg = "entry"
            raise NotFound(msg)
        return f'{{"index": {index}}}'

    async def head(self, subject: UUID) -> str:
        """Return a stand-in count of own entries."""
        self._may_fail()
        return f'{{"counter": {len(self.used.get(subject, []))}}}'


def _answered(
    view: StatementView,
    choice: Choice,
    optional: tuple[str, ...],
    event: UUID,
) -> StatementView:
    given = choice is Choice.GIVE
    return replace(
        view,
        state={
            Choice.GIVE: State.GIVEN,
            Choice.REFUSE: State.REFUSED,
            Choice.WITHDRAW: State.WITHDRAWN,
            Choice.PAUSE: State.PAUSED,
            Choice.RESUME: State.GIVEN,
        }[choice],
        given_attributes=(*view.essential, *optional) if given else (),
        since=NOW,
        until=NOW + 365 * 86_400 if given else None,
        event_id=event,
    )


def fake_desk() -> FakeDesk:
    """Return a desk at which the first person has data, services and uses."""
    return FakeDesk(
        held={
            FIRST: [
                HeldAttribute(
                    attribute=name,
                    value=value,
                    source=source,
                    recorded_at=NOW - (30 + at) * 86_400,
                )
                for at, (name, value, source) in enumerate(HELD)
            ]
        },
        offered={FIRST: services()},
        used={FIRST: uses(27)},
    )


def reasons() -> bytes:
    """Return the policies' vocabulary of reasons, as it is committed."""
    return (ROOT / "policies/vocabulary/reasons.json").read_bytes()


def counter() -> Callable[[int], bytes]:
    """Return a source of bytes that never repeats and is no secret."""
    drawn = [0]

    def random(size: int) -> bytes:
        drawn[0] += 1
        return sha256(drawn[0].to_bytes(8, "big")).digest()[:size]

    return random


def session_cookie(subject: UUID) -> str:
    """Return the cookie of a session in which a person is signed in."""
    sessions = Sessions(
        secret=SECRET, secure=False, clock=lambda: NOW, random=os.urandom
    )
    answer = PlainTextResponse("")
    sessions.write(answer, sessions.draw(subject))
    jar = SimpleCookie(answer.headers["set-cookie"])
    return jar[sessions.cookie].value


async def owed() -> list[UnansweredView]:
    """Return services that owe an answer: one late, the others in time."""
    return [
        UnansweredView(
            delivery=f"delivery-{at}",
            title=services()[at % 3].title,
            kind=kind.value,
            at=NOW - (20 - at) * 86_400,
            deadline=NOW - (6 - at) * 86_400,
            days_late=max(0, 6 - at),
            reply=(Reply.WAITING, Reply.UNREACHABLE, Reply.RECEIVED)[at % 3],
        )
        for at, kind in enumerate(HappeningKind)
    ]


def make_fake_app(
    desk: FakeDesk,
    *,
    demo: bool = True,
    secure: bool = False,
    clock: Callable[[], int] = lambda: NOW,
    cast: Sequence[CastMember] = CAST,
) -> FastAPI:
    """Return an application of the pages alone over a fake desk."""
    router: PagesRouter = make_pages_router(
        desk,
        PagesSettings(demo=demo, secret=SECRET, secure=secure),
        cast,
        clock,
        reasons=load_reasons(reasons()),
        random=counter(),
        outstanding=owed,
    )
    app = FastAPI(openapi_url=None)
    app.include_router(router)
    if router.explain is not None:
        app.add_exception_handler(HTTPException, router.explain)
    return app


class Visitor:
    """A browser without scripts: keeps cookies, fills in forms.

    Attributes:
        client: the client beneath.
        page: the last page, as text.

    """

    def __init__(self, app: FastAPI, *, language: str = "en") -> None:
        self.client = TestClient(
            app,
            base_url="http://testserver",
            headers={"Accept-Language": language},
        )
        self.page = ""

    def get(self, path: str, **headers: str) -> Response:
        """Open a page."""
        answer = self.client.get(
            path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        self.page = answer.text
        return answer

    def post(
        self, path: str, fields: Mapping[str, str | list[str]]
    ) -> Response:
        """Send fields just as they are."""
        answer = self.client.post(path, data=fields)
        self.page = answer.text
        return answer

    def hidden(self, name: str, nth: int = 0) -> str:
        """Return the value of a hidden field of the last page."""
        pattern = rf'<input type="hidden" name="{name}" value="([^"]*)"'
        found: list[str] = re.findall(pattern, self.page)
        return found[nth]

    def sign_in(self, person: int = 0) -> "Visitor":
        """Sign in as a member of the cast."""
        self.get("/")
        fields = {TOKEN_FIELD: self.hidden(TOKEN_FIELD), "person": str(person)}
        self.post("/sign-in", fields)
        return self

    def answer(
        self,
        service: str,
        statement: str,
        choice: str,
        **changes: str | list[str],
    ) -> Response:
        """Open a service's page and press one of its buttons."""
        path = f"/me/consents/{service}"
        self.get(path)
        fields = {
            "statement": statement,
            "choice": choice,
            TOKEN_FIELD: self.hidden(TOKEN_FIELD),
            **{
                name: self.hidden(name)
                for name in ("declaration", "notice", "language", "served")
            },
        }
        return self.post(path, fields | changes)
