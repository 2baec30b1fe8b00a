"""Sessions and form tokens: what is not ours is not believed."""

from http.cookies import SimpleCookie
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from api.pages.errors import Forbidden
from api.pages.sessions import SESSION_SECONDS, Session, Sessions
from tests.pages_fake import FIRST, NOW, SECRET, counter


def make(*, secure: bool = False, secret: bytes = SECRET) -> Sessions:
    """Return sessions at a fixed time."""
    return Sessions(
        secret=secret, secure=secure, clock=lambda: NOW, random=counter()
    )


def request_with(name: str, value: str) -> Request:
    """Return a request that carries one cookie."""
    header = (b"cookie", f"{name}={value}".encode())
    return Request({"type": "http", "headers": [header]})


def cookie_of(sessions: Sessions, session: Session) -> str:
    """Return the whole Set-Cookie header of a session."""
    response = Response()
    sessions.write(response, session)
    return response.headers["set-cookie"]


def value_of(sessions: Sessions, session: Session) -> str:
    """Return the value of a session's cookie."""
    jar = SimpleCookie(cookie_of(sessions, session))
    return jar[sessions.cookie].value


def test_written_session_is_read_again() -> None:
    """What was written comes back as it was."""
    sessions = make()
    session = sessions.draw(FIRST, flash="preset")
    request = request_with(sessions.cookie, value_of(sessions, session))

    assert session == sessions.read(request)


@pytest.mark.parametrize("secure", [True, False])
def test_cookie_keeps_to_this_host(*, secure: bool) -> None:
    """HttpOnly, Strict, whole path, no domain; __Host- only over https."""
    sessions = make(secure=secure)
    header = cookie_of(sessions, sessions.draw())

    assert secure == header.startswith("__Host-")
    assert secure == ("; Secure" in header)
    assert "; HttpOnly" in header
    assert "; Path=/" in header
    assert "; SameSite=strict" in header
    assert "domain" not in header.lower()


@given(at=st.integers(min_value=0), flip=st.integers(1, 127))
def test_changed_cookie_is_no_session(at: int, flip: int) -> None:
    """Any other byte in the cookie ends the session."""
    sessions = make()
    value = value_of(sessions, sessions.draw(FIRST))
    at %= len(value)
    changed = value[:at] + chr(ord(value[at]) ^ flip) + value[at + 1 :]
    request = Request({"type": "http", "headers": []})
    request._cookies = {sessions.cookie: changed}

    read = sessions.read(request)

    assert read is None or read == sessions.read(
        request_with(sessions.cookie, value)
    )


def test_cookie_of_another_secret_is_no_session() -> None:
    """A session signed elsewhere is not ours."""
    other = make(secret=bytes(32))
    value = value_of(other, other.draw(FIRST))
    sessions = make()

    assert sessions.read(request_with(sessions.cookie, value)) is None


def test_form_token_is_no_session() -> None:
    """Tokens and cookies are signed apart."""
    sessions = make()
    token = sessions.token(sessions.draw(FIRST))

    assert sessions.read(request_with(sessions.cookie, token)) is None


@pytest.mark.parametrize(
    ("age", "holds"),
    [
        (-1, False),
        (0, True),
        (SESSION_SECONDS - 1, True),
        (SESSION_SECONDS, False),
    ],
)
def test_session_runs_out(*, age: int, holds: bool) -> None:
    """A session holds for its time, and none comes from the future."""
    sessions = make()
    session = Session(nonce="00" * 16, issued_at=NOW - age, subject=FIRST)
    request = request_with(sessions.cookie, value_of(sessions, session))

    assert holds == (sessions.read(request) is not None)


def test_ended_session_stays_ended() -> None:
    """A copy of a signed-out cookie is worth nothing."""
    sessions = make()
    session = sessions.draw(FIRST)
    request = request_with(sessions.cookie, value_of(sessions, session))
    sessions.end(session)

    assert sessions.read(request) is None


def test_ended_sessions_are_forgotten_when_they_ran_out() -> None:
    """The memory of signed-out sessions does not grow for ever."""
    now = [NOW]
    sessions = Sessions(
        secret=SECRET, secure=False, clock=lambda: now[0], random=counter()
    )
    for _ in range(3):
        sessions.end(sessions.draw())
        now[0] += SESSION_SECONDS

    assert 1 == len(sessions._ended)


def test_token_belongs_to_its_session_alone() -> None:
    """A token of another session, a changed one and none are refused."""
    sessions = make()
    mine, other = sessions.draw(FIRST), sessions.draw(FIRST)
    sessions.check(mine, sessions.token(mine))

    for token in (sessions.token(other), "", "ü", None):
        with pytest.raises(Forbidden):
            sessions.check(mine, token)
    with pytest.raises(Forbidden):
        sessions.check(None, sessions.token(mine))


def test_session_names_nobody_until_sign_in() -> None:
    """A drawn session is nobody's."""
    assert make().draw().subject is None
    assert UUID(int=1) == make().draw(UUID(int=1)).subject
