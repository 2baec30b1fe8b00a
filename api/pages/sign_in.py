"""The front page, signing in as one of the cast, signing out, the language.

Signing in by choosing a person exists in demo mode only; outside it none of
these addresses exists.
"""

from collections.abc import Sequence

from starlette.responses import RedirectResponse, Response

from api.pages.errors import FormInvalid, NotFound
from api.pages.i18n import Language, LanguageChoice, localized
from api.pages.sessions import Session, Sessions
from api.pages.settings import CastMember
from api.pages.visits import Doorman, Visit

_LANGUAGE_SECONDS = 365 * 86_400


class SignInPages:
    """Handlers of the pages before and after a session.

    Args:
        doorman: renders and leaves.
        sessions: draws and ends sessions.
        languages: names the language cookie.
        cast: who can be chosen.
        secure: whether the pages are reached over https.

    """

    def __init__(
        self,
        *,
        doorman: Doorman,
        sessions: Sessions,
        languages: LanguageChoice,
        cast: Sequence[CastMember],
        secure: bool,
    ) -> None:
        self._doorman = doorman
        self._sessions = sessions
        self._languages = languages
        self._cast = tuple(cast)
        self._secure = secure

    async def front(self, visit: Visit) -> Response:
        """Show the overview, or the sign-in page to who is not signed in."""
        if visit.member is None:
            return self._choose(visit)
        return self._doorman.render(visit, "home.html")

    async def sign_in(self, visit: Visit) -> Response:
        """Sign in as the chosen member of the cast, in a new session."""
        chosen = visit.form.one("person")
        if chosen is None:
            return self._choose(visit, error=True)
        places = {str(at): member for at, member in enumerate(self._cast)}
        if chosen not in places:
            msg = "nobody of the cast stands at that place"
            raise FormInvalid(msg)
        return self._renew(visit, self._sessions.draw(places[chosen].subject))

    async def sign_out(self, visit: Visit) -> Response:
        """End the session and begin one that knows nobody."""
        return self._renew(visit, self._sessions.draw(flash="signed_out"))

    async def language(self, visit: Visit) -> Response:
        """Remember a language and go back to the page it was chosen on."""
        tag = visit.request.path_params["tag"]
        if tag not in set(Language):
            msg = "no such language"
            raise NotFound(msg)
        back = visit.request.query_params.get("back", "/")
        response = RedirectResponse(own_path(back), 303)
        response.set_cookie(
            self._languages.cookie,
            tag,
            max_age=_LANGUAGE_SECONDS,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
        return response

    def _choose(self, visit: Visit, *, error: bool = False) -> Response:
        language = visit.language
        cast = [
            {
                "label": localized(member.label, language),
                "description": None
                if member.description is None
                else localized(member.description, language),
            }
            for member in self._cast
        ]
        return self._doorman.render(
            visit,
            "sign_in.html",
            status=422 if error else 200,
            cast=cast,
            error=error,
        )

    def _renew(self, visit: Visit, session: Session) -> Response:
        self._sessions.end(visit.session)
        response = RedirectResponse("/", 303)
        self._sessions.write(response, session)
        return response


def own_path(path: str) -> str:
    """Return a path of this site, or the front page for anything else.

    Args:
        path: what a query asked for.

    Returns:
        The path where it can only be one of ours: one leading slash, and
        neither a backslash nor a control character, which browsers read as
        another host's address.

    """
    plain = path.isascii() and path.isprintable() and "\\" not in path
    if plain and path.startswith("/") and not path.startswith("//"):
        return path
    return "/"
