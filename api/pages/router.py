"""The addresses of the pages, and the one place where they are put together.

Outside demo mode there are none: until people can prove who they are, the
router is empty and every address is unknown to the application.
"""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.pages.about import AboutPages
from api.pages.assets import Assets, load_assets
from api.pages.consents import ConsentPages
from api.pages.errors import NotFound
from api.pages.headers import guard_headers
from api.pages.held import HeldPages
from api.pages.i18n import LanguageChoice, load_strings
from api.pages.labels import Reasons, load_labels
from api.pages.port import PersonDesk
from api.pages.rendering import Renderer
from api.pages.rules import RulesPages
from api.pages.rules_desk import RulesDesk
from api.pages.sessions import Sessions
from api.pages.settings import CastMember, PagesSettings
from api.pages.sign_in import SignInPages
from api.pages.signals import says_no, where_of
from api.pages.unanswered import (
    PATH,
    Outstanding,
    UnansweredPages,
    UnansweredView,
)
from api.pages.used import UsedPages, Wording
from api.pages.visits import Doorman, Handler, Noted

Explain = Callable[[Request, Exception], Awaitable[Response]]


class PagesRouter(APIRouter):
    """The pages' routes, and how errors outside them are told.

    Attributes:
        explain: an exception handler that answers with a page in the
            visitor's language; None outside demo mode.
        sessions: what knows who is signed in and who signed out; whatever
            else takes the pages' cookie must ask this one.

    """

    explain: Explain | None = None
    sessions: Sessions | None = None


def make_pages_router(
    desk: PersonDesk,
    settings: PagesSettings,
    cast: Sequence[CastMember],
    clock: Callable[[], int],
    *,
    reasons: Reasons,
    random: Callable[[int], bytes],
    rules: RulesDesk | None = None,
    outstanding: Outstanding | None = None,
) -> PagesRouter:
    """Put the pages together.

    Args:
        desk: what a person can see and do.
        settings: how the pages behave.
        cast: who can be chosen at sign-in; nobody else can be signed in.
        clock: tells POSIX seconds.
        reasons: reason code to text, by language.
        random: gives that many random bytes.
        rules: shows and changes the person's own rules; without it there
            are no pages of them, and no signal of a browser is heard.
        outstanding: which services owe an answer; without it nobody does.

    Returns:
        The routes; none outside demo mode.

    Raises:
        PagesMisconfigured: an asset, a string or a label is missing.

    """
    router = PagesRouter(include_in_schema=False)
    if not settings.demo:
        return router
    assets = load_assets()
    sessions = Sessions(
        secret=settings.secret,
        secure=settings.secure,
        clock=clock,
        random=random,
    )
    languages = LanguageChoice(secure=settings.secure)
    renderer = Renderer(
        assets=assets,
        strings=load_strings(),
        body=settings.help_desk.body,
        zone=settings.zone,
    )
    doorman = Doorman(
        sessions=sessions,
        languages=languages,
        renderer=renderer,
        cast=cast,
        random=random,
        p3p=settings.p3p,
        noted=None if rules is None else _hearing(rules),
    )
    sign_in = SignInPages(
        doorman=doorman,
        sessions=sessions,
        languages=languages,
        cast=cast,
        secure=settings.secure,
    )
    about = AboutPages(doorman=doorman, help_desk=settings.help_desk)
    _open_to_all(router, doorman, sign_in, about)
    _about_the_person(router, doorman, desk, settings, reasons)
    if rules is not None:
        _own_rules(router, doorman, rules, reasons)
    _at_the_desk(router, doorman, outstanding or _nobody)
    _static(router, assets)
    router.explain = doorman.explain
    router.sessions = sessions
    return router


def _open_to_all(
    router: APIRouter,
    doorman: Doorman,
    sign_in: SignInPages,
    about: AboutPages,
) -> None:
    routes: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "/", sign_in.front),
        ("GET", "/sign-in", sign_in.front),
        ("POST", "/sign-in", sign_in.sign_in),
        ("POST", "/sign-out", sign_in.sign_out),
        ("GET", "/language/{tag}", sign_in.language),
        ("GET", "/help", about.help),
        ("GET", "/accessibility", about.accessibility),
    )
    for method, path, handler in routes:
        router.add_api_route(
            path, doorman.page(handler, signed_in=False), methods=[method]
        )


def _about_the_person(
    router: APIRouter,
    doorman: Doorman,
    desk: PersonDesk,
    settings: PagesSettings,
    reasons: Reasons,
) -> None:
    labels = load_labels()
    held = HeldPages(doorman=doorman, desk=desk, labels=labels)
    consents = ConsentPages(doorman=doorman, desk=desk, labels=labels)
    used = UsedPages(
        doorman=doorman,
        desk=desk,
        wording=Wording(labels=labels, reasons=reasons, zone=settings.zone),
    )
    one = "/me/consents/{service}/{purpose}"
    wrong = "/me/data/{attribute}/wrong"
    routes: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "/me/data", held.show),
        ("GET", wrong, held.ask_wrong),
        ("POST", wrong, held.say_wrong),
        (
            "POST",
            "/me/data/{attribute}/disputes/{dispute}/withdraw",
            held.withdraw,
        ),
        ("GET", "/me/consents", consents.index),
        ("POST", "/me/preferences", consents.prefer),
        ("GET", "/me/receipts/{event}", consents.receipt),
        ("GET", "/me/receipts/{event}/{form}", consents.receipt),
        ("GET", one, consents.show),
        ("POST", one, consents.decide),
        ("GET", f"{one}/{{statement}}", consents.show_alone),
        ("POST", f"{one}/{{statement}}", consents.decide_alone),
        ("GET", "/me/uses", used.show),
        ("GET", "/me/uses/count", used.head),
        ("GET", "/me/uses/{index}/proof", used.proof),
        ("GET", "/me/uses/{index}/receipt", used.receipt),
    )
    for method, path, handler in routes:
        router.add_api_route(
            path, doorman.page(handler, signed_in=True), methods=[method]
        )


def _at_the_desk(
    router: APIRouter, doorman: Doorman, outstanding: Outstanding
) -> None:
    pages = UnansweredPages(doorman=doorman, outstanding=outstanding)
    router.add_api_route(
        PATH, doorman.page(pages.show, signed_in=False), methods=["GET"]
    )


async def _nobody() -> Sequence[UnansweredView]:
    return ()


def _own_rules(
    router: APIRouter, doorman: Doorman, desk: RulesDesk, reasons: Reasons
) -> None:
    pages = RulesPages(
        doorman=doorman, desk=desk, labels=load_labels(), reasons=reasons
    )
    routes: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "/me/rules", pages.show),
        ("POST", "/me/rules", pages.save),
        ("POST", "/me/rules/preview", pages.preview),
        ("POST", "/me/rules/signal", pages.signal),
    )
    for method, path, handler in routes:
        router.add_api_route(
            path, doorman.page(handler, signed_in=True), methods=[method]
        )


def _hearing(desk: RulesDesk) -> Noted:
    """Hear what the browser of a person signals, on any page of theirs."""

    async def noted(request: Request, subject: UUID) -> None:
        if says_no(request):
            await desk.note_signal(subject, where_of(request))

    return noted


def _static(router: APIRouter, assets: Assets) -> None:
    async def static(request: Request) -> Response:
        parameters = request.path_params
        try:
            response = assets.answer(parameters["digest"], parameters["name"])
        except NotFound:
            response = Response("Not found", 404, media_type="text/plain")
        return guard_headers(response)

    router.add_api_route("/static/{digest}/{name:path}", static)
