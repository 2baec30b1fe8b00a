"""One visit to a page: who comes, in which language, and what may go wrong.

`Doorman.page` wraps every handler, so that none can forget a part: the
session is read, the form of a POST is parsed and its token checked, a page
that is about a person asks for one who is signed in, an error becomes a page
in the visitor's language, and the security headers are set.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from uuid import UUID

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.logs import place_of
from api.pages.errors import (
    Conflict,
    Forbidden,
    FormInvalid,
    NoDecision,
    NotFound,
    PagesError,
)
from api.pages.forms import Form, read_form
from api.pages.headers import guard_headers
from api.pages.i18n import Language, LanguageChoice
from api.pages.rendering import Frame, Renderer
from api.pages.sessions import TOKEN_FIELD, Session, Sessions, without_flash
from api.pages.settings import CastMember

RETRY_AFTER_SECONDS = "60"
STATUS: Mapping[type[PagesError], int] = MappingProxyType(
    {
        FormInvalid: 400,
        Forbidden: 403,
        NotFound: 404,
        Conflict: 409,
        NoDecision: 503,
    }
)
"""The only table from an error to a status; anything else is a 500."""

_EXPLAINED = frozenset({400, 403, 404, 405, 409, 503})


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What a handler is given.

    Attributes:
        request: the request.
        session: the session of the browser.
        language: the language to answer in.
        member: the person signed in, or None.
        form: the form of a POST, whose token was checked.

    """

    request: Request
    session: Session
    language: Language
    member: CastMember | None
    form: Form

    @property
    def subject(self) -> UUID:
        """The person signed in.

        Raises:
            Forbidden: nobody is.

        """
        if self.member is None:
            msg = "nobody is signed in"
            raise Forbidden(msg)
        return self.member.subject

    @property
    def here(self) -> str:
        """The path of this page, with its query."""
        url = self.request.url
        return f"{url.path}?{url.query}" if url.query else url.path


Handler = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]
Noted = Callable[[Request, UUID], Awaitable[None]]


class Doorman:
    """Opens and closes every visit.

    Args:
        sessions: draws and reads sessions.
        languages: finds the language of a request.
        renderer: renders pages.
        cast: who may be signed in.
        random: gives that many random bytes.
        p3p: the value of the ``P3P`` header of every page; empty for none.
        noted: hears of each request of a person who is signed in, before
            it is handled.

    """

    def __init__(
        self,
        *,
        sessions: Sessions,
        languages: LanguageChoice,
        renderer: Renderer,
        cast: Sequence[CastMember],
        random: Callable[[int], bytes],
        p3p: str = "",
        noted: Noted | None = None,
    ) -> None:
        self._noted = noted
        self._sessions = sessions
        self._languages = languages
        self._renderer = renderer
        self._cast = {member.subject: member for member in cast}
        self._random = random
        self._p3p = p3p

    def page(self, handler: Handler, *, signed_in: bool) -> Endpoint:
        """Wrap a handler.

        Args:
            handler: makes the answer.
            signed_in: whether the page is about the person signed in.

        Returns:
            The endpoint for the router.

        """

        async def endpoint(request: Request) -> Response:
            known = self._sessions.read(request)
            session = known or self._sessions.draw()
            visit = self._visit(request, session)
            try:
                if request.method == "POST":
                    visit = await self._with_form(visit, known)
                if known is None and _from_elsewhere(request):
                    response: Response = self.render(visit, "arrive.html")
                elif signed_in and visit.member is None:
                    response = RedirectResponse("/", 303)
                else:
                    if self._noted is not None and visit.member is not None:
                        await self._noted(request, visit.subject)
                    response = await handler(visit)
            except Exception as error:  # noqa: BLE001 - every error is told as a page, none escapes with its message
                response = self.error_page(visit, error)
            return self._close(request, response, known, session)

        return endpoint

    async def explain(self, request: Request, error: Exception) -> Response:
        """Tell an error that no page raised, such as an unknown address.

        Args:
            request: the request.
            error: why; an `HTTPException` keeps its status.

        Returns:
            The page, in the shape of an exception handler's answer.

        """
        session = self._sessions.read(request)
        visit = self._visit(request, session or self._sessions.draw())
        return self._guarded(self.error_page(visit, error))

    def render(
        self,
        visit: Visit,
        template: str,
        *,
        status: int = 200,
        **values: object,
    ) -> Response:
        """Render a page of this visit.

        Args:
            visit: the visit.
            template: the file under ``api/templates``.
            status: the HTTP status.
            values: what the template asks for.

        Returns:
            The answer.

        """
        frame = Frame(
            language=visit.language,
            here=visit.here,
            token=self._sessions.token(visit.session),
            person=None if visit.member is None else visit.member.label,
            flash=visit.session.flash,
        )
        return self._renderer.page(template, frame, status=status, **values)

    def leave(
        self, visit: Visit, where: str, *, flash: str | None = None
    ) -> Response:
        """Send the browser on with GET, with a message for the next page."""
        response = RedirectResponse(where, 303)
        if flash is not None:
            session = visit.session
            self._sessions.write(
                response,
                Session(
                    nonce=session.nonce,
                    issued_at=session.issued_at,
                    subject=session.subject,
                    flash=flash,
                ),
            )
        return response

    def error_page(self, visit: Visit, error: Exception) -> Response:
        """Tell an error as a page in the visitor's language.

        Args:
            visit: the visit that failed.
            error: why.

        Returns:
            The page. An error that nobody foresaw is logged by its type and
            place alone, under a reference that the page names.

        """
        status = _status(error)
        reference = None
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            reference = self._random(6).hex()
            structlog.get_logger().error(
                "page failed",
                request=reference,
                error=type(error).__name__,
                place=place_of(error),
            )
        response = self.render(
            visit,
            "error.html",
            status=status,
            reference=reference,
        )
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = RETRY_AFTER_SECONDS
        return response

    def _visit(self, request: Request, session: Session) -> Visit:
        subject = session.subject
        return Visit(
            request=request,
            session=session,
            language=self._languages.of(request),
            member=None if subject is None else self._cast.get(subject),
            form=Form(fields={}),
        )

    async def _with_form(self, visit: Visit, known: Session | None) -> Visit:
        form = await read_form(visit.request)
        self._sessions.check(known, form.one(TOKEN_FIELD))
        return Visit(
            request=visit.request,
            session=visit.session,
            language=visit.language,
            member=visit.member,
            form=form,
        )

    def _close(
        self,
        request: Request,
        response: Response,
        known: Session | None,
        session: Session,
    ) -> Response:
        """Keep the session: a new one is sent, a shown message is dropped."""
        if "set-cookie" not in response.headers:
            if known is None:
                if not _from_elsewhere(request):
                    self._sessions.write(response, session)
            elif known.flash is not None and response.status_code < 300:
                self._sessions.write(response, without_flash(known))
        return self._guarded(response)

    def _guarded(self, response: Response) -> Response:
        if self._p3p:
            response.headers["P3P"] = self._p3p
        return guard_headers(response)


def _from_elsewhere(request: Request) -> bool:
    """Tell whether another site's page sent the browser here.

    Such a request comes without the SameSite=Strict cookie. It must get no
    new session, which would overwrite the one that the browser did not
    send; a page of ours that goes on to the same address asks again.
    """
    site = request.headers.get("sec-fetch-site", "none")
    return site not in {"none", "same-origin"}


def _status(error: Exception) -> int:
    if isinstance(error, HTTPException) and error.status_code in _EXPLAINED:
        return error.status_code
    kinds = [kind for kind in type(error).__mro__ if kind in STATUS]
    return STATUS[kinds[0]] if kinds else HTTPStatus.INTERNAL_SERVER_ERROR
