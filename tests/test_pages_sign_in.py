"""Signing in and out, the language, and that there is nothing without demo."""

from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Route

from api.pages import PagesMisconfigured, PagesSettings
from api.pages.sessions import TOKEN_FIELD
from api.pages.sign_in import own_path
from tests.pages_fake import (
    CAST,
    FIRST,
    NOW,
    SECRET,
    Visitor,
    fake_desk,
    make_fake_app,
)


def test_without_demo_mode_there_are_no_pages() -> None:
    """Outside demo mode every address is unknown, sign-in above all."""
    live = make_fake_app(fake_desk())
    client = TestClient(make_fake_app(fake_desk(), demo=False))
    paths = [
        route.path_format
        for route in live.routes[-1].original_router.routes
        if isinstance(route, Route)
    ]

    assert paths
    for path in paths:
        for method in ("GET", "POST"):
            assert 404 == client.request(method, path).status_code


def test_nobody_is_chosen_beforehand() -> None:
    """The sign-in page ticks no person."""
    visitor = Visitor(make_fake_app(fake_desk()))
    visitor.get("/sign-in")

    assert len(CAST) == visitor.page.count('type="radio"')
    assert " checked" not in visitor.page


def test_signing_in_opens_the_persons_own_pages() -> None:
    """The chosen person's pages open, and the person is named."""
    visitor = Visitor(make_fake_app(fake_desk())).sign_in()
    visitor.get("/me/data")

    assert "Signed in as Person 0001" in visitor.page
    assert "Example Lane 12" in visitor.page


def test_nobody_sees_another_persons_data() -> None:
    """Another member of the cast sees nothing of the first."""
    visitor = Visitor(make_fake_app(fake_desk())).sign_in(1)
    visitor.get("/me/data")

    assert "Example Lane 12" not in visitor.page
    assert "Nothing is held about you." in visitor.page


@pytest.mark.parametrize(
    "path",
    [
        "/me/data",
        "/me/consents",
        "/me/consents/library/reminders",
        "/me/receipts/00000000-0000-0000-0000-00000000004d",
        "/me/uses",
        "/me/uses/1001/proof",
    ],
)
def test_pages_about_a_person_ask_for_one(path: str) -> None:
    """Whoever is not signed in is sent to sign in, and nothing is opened."""
    desk = fake_desk()
    client = TestClient(make_fake_app(desk), follow_redirects=False)
    answer = client.get(path)

    assert (303, "/") == (answer.status_code, answer.headers["location"])
    assert {} == desk.views


def test_signing_in_without_a_choice_says_so() -> None:
    """An empty choice is an error on the page, tied to its field."""
    visitor = Visitor(make_fake_app(fake_desk()))
    visitor.get("/")
    answer = visitor.post(
        "/sign-in", {TOKEN_FIELD: visitor.hidden(TOKEN_FIELD)}
    )

    assert 422 == answer.status_code
    assert "<title>Error: " in visitor.page
    assert 'href="#person-0"' in visitor.page


@pytest.mark.parametrize("person", ["6", "-1", "01", str(FIRST), ""])
def test_only_the_cast_can_be_signed_in(person: str) -> None:
    """A place outside the cast, or an id, signs nobody in."""
    visitor = Visitor(make_fake_app(fake_desk()))
    visitor.get("/")
    fields = {TOKEN_FIELD: visitor.hidden(TOKEN_FIELD), "person": person}

    assert 400 == visitor.post("/sign-in", fields).status_code
    assert "Signed in" not in visitor.get("/").text


def test_signing_in_draws_a_new_session() -> None:
    """A session planted before signing in is worth nothing after it."""
    app = make_fake_app(fake_desk())
    visitor = Visitor(app)
    visitor.get("/")
    planted = visitor.client.cookies["curtilage"]
    visitor.sign_in()
    attacker = Visitor(app)
    attacker.client.cookies.set("curtilage", planted)

    assert planted != visitor.client.cookies["curtilage"]
    assert "Signed in" not in attacker.get("/").text


def test_signing_out_ends_every_copy() -> None:
    """After signing out, a stolen copy of the cookie opens nothing."""
    app = make_fake_app(fake_desk())
    visitor = Visitor(app).sign_in()
    thief = Visitor(app)
    thief.client.cookies.set("curtilage", visitor.client.cookies["curtilage"])
    assert "Signed in" in thief.get("/").text
    visitor.get("/")
    visitor.post("/sign-out", {TOKEN_FIELD: visitor.hidden(TOKEN_FIELD)})

    assert "You are signed out." in visitor.page
    assert "Signed in" not in thief.get("/").text


def test_session_of_one_who_left_the_cast_is_nobodys() -> None:
    """Only a member of the cast is ever signed in."""
    app = make_fake_app(fake_desk())
    visitor = Visitor(app).sign_in()
    other = make_fake_app(fake_desk(), cast=CAST[1:])
    stranger = Visitor(other)
    stranger.client.cookies.set(
        "curtilage", visitor.client.cookies["curtilage"]
    )

    assert "Signed in" not in stranger.get("/").text


def test_language_is_remembered_and_leads_back() -> None:
    """A switch of language shows the same page in it, and later ones too."""
    visitor = Visitor(make_fake_app(fake_desk())).sign_in()
    answer = visitor.get("/language/zh-Hans?back=/me/uses%3Fbefore%3D1020")

    assert "/me/uses?before=1020" == answer.url.raw_path.decode()
    assert '<html lang="zh-Hans"' in visitor.page
    assert '<html lang="zh-Hans"' in visitor.get("/help").text


def test_language_follows_the_browser_at_first() -> None:
    """Without a choice the browser's language counts."""
    visitor = Visitor(make_fake_app(fake_desk()), language="zh-CN")

    assert '<html lang="zh-Hans"' in visitor.get("/").text
    assert 404 == visitor.get("/language/xx").status_code


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "",
        "/\t/evil.example",
        "evil",
        "/é",
    ],
)
def test_language_leads_nowhere_else(path: str) -> None:
    """No address leads from the language switch to another site."""
    assert "/" == own_path(path)


@given(st.text())
def test_no_text_leads_to_another_host(path: str) -> None:
    """Whatever is asked for, the result has no scheme and no host."""
    parts = urlsplit(own_path(path))

    assert ("", "") == (parts.scheme, parts.netloc)


def test_short_secret_is_refused() -> None:
    """A secret that can be guessed stops the start, unprinted."""
    with pytest.raises(PagesMisconfigured):
        PagesSettings(demo=True, secret=b"short", secure=True)
    settings = PagesSettings(demo=True, secret=SECRET, secure=True)

    assert "secret" not in repr(settings)


def test_session_runs_out_for_the_visitor() -> None:
    """After its time a session opens nothing any more."""
    now = [NOW]
    app = make_fake_app(fake_desk(), clock=lambda: now[0])
    visitor = Visitor(app).sign_in()
    now[0] += 9 * 3600

    assert "Signed in" not in visitor.get("/me/data").text
