"""The session of one browser: a signed cookie, and the token in its forms.

The cookie is HttpOnly and SameSite=Strict; over https its name begins with
``__Host-`` (RFC 6265bis, section 4.1.3.2), which ties it to this host, the
whole path and https. A browser has a session before anyone signs in, so that
the sign-in form is bound to it too; signing in and out draw a new one, so a
planted session is worth nothing.

A cookie that is signed but kept nowhere cannot be called back. What was
signed out is therefore remembered until it would have run out, by this
object: by one process, which is enough for demo mode and for nothing more.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from itsdangerous import BadSignature, URLSafeSerializer
from starlette.requests import Request
from starlette.responses import Response

from api.pages.errors import Forbidden

SESSION_SECONDS = 8 * 3600
"""How long a session holds after it was drawn."""

TOKEN_FIELD = "form_token"  # noqa: S105 - a field's name, not a secret
_SIGNER = {"key_derivation": "hmac", "digest_method": hashlib.sha256}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the cookie says.

    Attributes:
        nonce: 128 random bits in hex, the session's own name.
        issued_at: when it was drawn, in POSIX seconds.
        subject: the person signed in, or None.
        flash: a message to show once on the next page, by its key.

    """

    nonce: str
    issued_at: int
    subject: UUID | None = None
    flash: str | None = None


class Sessions:
    """Draws, reads and ends sessions.

    Args:
        secret: signs the cookie and the form tokens, under separate salts.
        secure: whether the pages are reached over https.
        clock: tells POSIX seconds.
        random: gives that many random bytes.

    """

    def __init__(
        self,
        *,
        secret: bytes,
        secure: bool,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self.cookie = "__Host-curtilage" if secure else "curtilage"
        self._secure = secure
        self._clock = clock
        self._random = random
        self._cookies = URLSafeSerializer(
            secret, salt="curtilage/pages/session/1", signer_kwargs=_SIGNER
        )
        self._tokens = URLSafeSerializer(
            secret, salt="curtilage/pages/form/1", signer_kwargs=_SIGNER
        )
        self._ended: dict[str, int] = {}

    def draw(
        self, subject: UUID | None = None, flash: str | None = None
    ) -> Session:
        """Draw a new session."""
        return Session(
            nonce=self._random(16).hex(),
            issued_at=self._clock(),
            subject=subject,
            flash=flash,
        )

    def read(self, request: Request) -> Session | None:
        """Return the session that a request carries, if it holds.

        Args:
            request: the request.

        Returns:
            The session; None without a cookie, or where the cookie is
            forged, has run out or was signed out.

        """
        text = request.cookies.get(self.cookie)
        if text is None:
            return None
        try:
            nonce, issued_at, subject, flash = self._cookies.loads(text)
        except BadSignature:
            return None
        age = self._clock() - issued_at
        if nonce in self._ended or not 0 <= age < SESSION_SECONDS:
            return None
        return Session(
            nonce=nonce,
            issued_at=issued_at,
            subject=None if subject is None else UUID(hex=subject),
            flash=flash,
        )

    def write(self, response: Response, session: Session) -> None:
        """Put a session into an answer's cookie."""
        subject = None if session.subject is None else session.subject.hex
        text = self._cookies.dumps(
            [session.nonce, session.issued_at, subject, session.flash]
        )
        response.set_cookie(
            self.cookie,
            text,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )

    def end(self, session: Session) -> None:
        """Remember that a session was signed out, until it runs out."""
        now = self._clock()
        for nonce in [n for n, at in self._ended.items() if at <= now]:
            del self._ended[nonce]
        self._ended[session.nonce] = session.issued_at + SESSION_SECONDS

    def token(self, session: Session) -> str:
        """Return the token that this session's forms carry."""
        return self._tokens.dumps(session.nonce)

    def check(self, session: Session | None, token: str | None) -> None:
        """Check that a form came from this session's own page.

        Args:
            session: the session that the request carries.
            token: the token that the form carries.

        Raises:
            Forbidden: either is missing, or they do not belong
                together.

        """
        if session is None or token is None:
            msg = "the form came without a session or a token"
            raise Forbidden(msg)
        if not hmac.compare_digest(
            token.encode(), self.token(session).encode()
        ):
            msg = "the form's token is not of this session"
            raise Forbidden(msg)


def without_flash(session: Session) -> Session:
    """Return the session with its one-time message taken out."""
    return replace(session, flash=None)
