"""What holds on every page: headers, tokens, errors told as pages."""

import re

import pytest
from fastapi.testclient import TestClient

from api.pages import Conflict, Forbidden, NoDecision, NotFound, PagesError
from api.pages.headers import CONTENT_SECURITY_POLICY
from api.pages.sessions import TOKEN_FIELD
from api.pages.visits import STATUS
from tests.pages_fake import FIRST, Visitor, fake_desk, make_fake_app

PAGES = (
    "/",
    "/sign-in",
    "/me/data",
    "/me/consents",
    "/me/consents/moving-house/address-change",
    "/me/consents/planning/statistics",
    "/me/uses",
    "/me/uses?before=1010",
    "/help",
    "/accessibility",
    "/nowhere",
)
POSTS = (
    "/sign-in",
    "/sign-out",
    "/me/preferences",
    "/me/consents/moving-house/address-change",
)


@pytest.mark.parametrize("path", [*PAGES, "/me/uses/1001/proof"])
def test_every_answer_carries_the_headers(path: str) -> None:
    """Policy, referrer, sniffing and storing are settled on each answer."""
    headers = Visitor(make_fake_app(fake_desk())).sign_in().get(path).headers

    assert CONTENT_SECURITY_POLICY == headers["content-security-policy"]
    assert "no-referrer" == headers["referrer-policy"]
    assert "nosniff" == headers["x-content-type-options"]
    assert "no-store" == headers["cache-control"]


def test_policy_is_the_strict_one() -> None:
    """The policy allows this origin, no inline code, and no frames."""
    assert CONTENT_SECURITY_POLICY == (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )


@pytest.mark.parametrize("path", PAGES)
def test_no_page_names_the_person_by_id(path: str) -> None:
    """No address and no field on a page holds a person's identifier."""
    visitor = Visitor(make_fake_app(fake_desk())).sign_in()
    page = visitor.get(path).text

    assert str(FIRST) not in page
    assert FIRST.hex not in page


@pytest.mark.parametrize("path", PAGES)
def test_no_page_holds_code_or_style_of_its_own(path: str) -> None:
    """Nothing on a page needs more than the policy allows."""
    page = Visitor(make_fake_app(fake_desk())).sign_in().get(path).text

    assert [] == re.findall(r"\s(?:style|on[a-z]+)=", page)
    assert [] == re.findall(r"<style|javascript:", page)
    assert [] == re.findall(r"<script(?![^>]* src=\"/static/)", page)
    assert [] == re.findall(r"(?:href|src|action)=\"(?!/|#|mailto:)", page)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_its_parts_in_order(path: str) -> None:
    """One title, one main heading, one main part, help last in the menu."""
    page = Visitor(make_fake_app(fake_desk())).sign_in().get(path).text

    assert 1 == page.count("<h1")
    assert 1 == page.count("<main")
    assert re.search(r"<title>[^<]+ – Curtilage</title>", page)
    menu = re.findall(
        r'class="govuk-service-navigation__link" href="([^"]+)"', page
    )
    assert "/help" == menu[-1]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("token", [None, "", "forged", "another"])
def test_form_without_this_sessions_token_changes_nothing(
    path: str, token: str | None
) -> None:
    """A form from elsewhere is refused on every address that takes one."""
    desk = fake_desk()
    app = make_fake_app(desk)
    visitor = Visitor(app).sign_in()
    if token == "another":
        other = Visitor(app).sign_in()
        other.get("/")
        token = other.hidden(TOKEN_FIELD)
    fields = {"person": "1", "preset": "strict", "version": "0"}
    fields |= {} if token is None else {TOKEN_FIELD: token}
    answer = visitor.post(path, fields)

    assert 403 == answer.status_code
    assert [] == desk.decided
    assert {} == desk.preset
    assert "Signed in as Person 0001" in visitor.get("/").text


def test_form_without_a_session_is_refused() -> None:
    """A token without the cookie that it belongs to is worth nothing."""
    app = make_fake_app(fake_desk())
    visitor = Visitor(app)
    visitor.get("/")
    token = visitor.hidden(TOKEN_FIELD)
    answer = TestClient(app).post(
        "/sign-in", data={TOKEN_FIELD: token, "person": "0"}
    )

    assert 403 == answer.status_code


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Forbidden("x"), 403),
        (NotFound("x"), 404),
        (Conflict("x"), 409),
        (NoDecision("x"), 503),
        (RuntimeError("Example Lane 12"), 500),
    ],
)
def test_error_is_a_page_in_the_visitors_language(
    error: Exception, status: int, language: str
) -> None:
    """Each error has its status and its page, without the error's text."""
    desk = fake_desk()
    visitor = Visitor(make_fake_app(desk), language=language).sign_in()
    desk.failure = error
    answer = visitor.get("/me/data")

    assert status == answer.status_code
    assert ("zh-Hans" if language == "zh-CN" else "en") in answer.text[:60]
    assert "Example Lane 12" not in answer.text
    assert "no-store" == answer.headers["cache-control"]


def test_every_error_on_purpose_has_a_status() -> None:
    """A leaf of the tree without a row of its own would be a 500."""
    leaves = set(PagesError.__subclasses__())

    assert {"PagesMisconfigured"} == {
        leaf.__name__ for leaf in leaves - STATUS.keys()
    }


def test_no_decision_says_when_to_come_back() -> None:
    """The page of a missing decision names a time to try again."""
    desk = fake_desk()
    visitor = Visitor(make_fake_app(desk)).sign_in()
    desk.failure = NoDecision("pdp down")
    answer = visitor.get("/me/uses")

    assert "60" == answer.headers["retry-after"]
    assert "No decision could be made" in answer.text


def test_unforeseen_error_is_logged_without_its_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The log and the page share a reference; neither quotes the error."""
    desk = fake_desk()
    visitor = Visitor(make_fake_app(desk)).sign_in()
    desk.failure = RuntimeError("Example Lane 12")
    page = visitor.get("/me/data").text
    logged = "".join(capsys.readouterr())
    found = re.search(r"give this reference: ([0-9a-f]{12})", page)

    assert found
    assert found[1] in logged
    assert "RuntimeError" in logged
    assert "Example Lane" not in logged


def test_unknown_address_and_method_are_told_as_pages() -> None:
    """What no page answers is explained in the same frame."""
    visitor = Visitor(make_fake_app(fake_desk())).sign_in()

    assert 404 == visitor.get("/nowhere").status_code
    assert "There is no such page" in visitor.page
    assert 405 == visitor.post("/me/data", {}).status_code
    assert "This cannot be done here" in visitor.page


def test_link_from_elsewhere_does_not_sign_out() -> None:
    """A request without the strict cookie gets no cookie in its place."""
    visitor = Visitor(make_fake_app(fake_desk())).sign_in()
    cookie = visitor.client.cookies["curtilage"]
    visitor.client.cookies.delete("curtilage")
    answer = visitor.get("/me/data", Sec_Fetch_Site="cross-site")

    assert 200 == answer.status_code
    assert "set-cookie" not in answer.headers
    assert 'http-equiv="refresh" content="0; url=/me/data"' in answer.text
    visitor.client.cookies.set("curtilage", cookie)
    assert "Example Lane 12" in visitor.get("/me/data").text


def test_form_from_elsewhere_leaves_the_session_alone() -> None:
    """A foreign form is refused and does not overwrite the cookie."""
    client = TestClient(make_fake_app(fake_desk()))
    answer = client.post(
        "/sign-out", data={"a": "b"}, headers={"Sec-Fetch-Site": "cross-site"}
    )

    assert 403 == answer.status_code
    assert "set-cookie" not in answer.headers


def test_message_is_shown_once() -> None:
    """What was done is said on the next page and not on the one after."""
    visitor = Visitor(make_fake_app(fake_desk())).sign_in()
    visitor.get("/me/consents")
    fields = {"preset": "strict", "version": "0"}
    fields[TOKEN_FIELD] = visitor.hidden(TOKEN_FIELD)
    visitor.post("/me/preferences", fields)

    assert "What you generally want was saved." in visitor.page
    assert "was saved" not in visitor.get("/me/consents").text


def test_other_body_than_a_form_is_refused() -> None:
    """JSON and files are no forms of ours."""
    visitor = Visitor(make_fake_app(fake_desk())).sign_in()
    answer = visitor.client.post("/sign-out", json={})

    assert 400 == answer.status_code
