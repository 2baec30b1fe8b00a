"""The pages in a real browser: accessible, even-handed, and on their own.

Every page and every state of one is judged by axe-core in both languages at
320 and 1280 pixels, and watched for requests to other hosts, for messages on
the console and for breaches of the Content Security Policy. What axe cannot
see is measured: the focus on every stop of the keyboard, the size of what is
pressed, the evenness of choices, and the number of presses.

Set ``CURTILAGE_SCREENSHOTS`` to a folder to keep a picture of each page.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from api.pages import Conflict, NoDecision, State
from tests.pages_fake import (
    CAST,
    CONTACT,
    FIRST,
    NOW,
    FakeDesk,
    fake_desk,
    make_fake_app,
    services,
    session_cookie,
)

pytestmark = pytest.mark.chromium

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LANGUAGES = ("en", "zh-Hans")
WIDTHS = (320, 1280)
WRONG = "/me/data/user.home-info.postal.city/wrong"
MOVING = "/me/consents/moving-house/address-change"
LIBRARY = "/me/consents/library/reminders"
OWN_STATUS = "Failed to load resource: the server responded with a status of"


@dataclass
class Visit:
    """A page of the browser, the site it is on, and what it let slip."""

    page: Page
    site: str
    desk: FakeDesk
    presses: int = 0
    slips: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", self._request)
        self.page.on("pageerror", lambda e: self.slips.append(str(e)))
        self.page.on("console", lambda m: self._console(m.type, m.text))

    def _request(self, request: Any) -> None:  # noqa: ANN401 - the driver's own type
        if not request.url.startswith((self.site + "/", "data:")):
            self.slips.append(f"request to {request.url}")

    def _console(self, kind: str, text: str) -> None:
        # An error page is an error to the console too; that one is ours.
        if kind in {"error", "warning"} and not text.startswith(OWN_STATUS):
            self.slips.append(f"{kind}: {text}")

    def open(self, path: str) -> None:
        """Open an address of the site."""
        self.page.goto(self.site + path)

    def press(self, selector: str) -> None:
        """Press something and wait for the page that follows."""
        self.presses += 1
        with self.page.expect_navigation():
            self.page.locator(selector).first.click()

    def sign_in(self, person: int = 0) -> None:
        """Be signed in as a member of the cast."""
        cookie = session_cookie(CAST[person].subject)
        self.page.context.add_cookies(
            [{"name": "curtilage", "value": cookie, "url": self.site}]
        )


def at(path: str) -> Callable[[Visit], None]:
    """Return a step that signs in and opens an address."""

    def step(visit: Visit) -> None:
        visit.sign_in()
        visit.open(path)

    return step


def failing(error: Exception) -> Callable[[Visit], None]:
    """Return a step at whose end the desk fails."""

    def step(visit: Visit) -> None:
        visit.sign_in()
        visit.desk.failure = error
        visit.open("/me/data")

    return step


def _sign_in_error(visit: Visit) -> None:
    visit.open("/")
    visit.press("form[action='/sign-in'] button")


def _nothing_held(visit: Visit) -> None:
    visit.sign_in(1)
    visit.open("/me/data")


def _disputed(visit: Visit) -> None:
    at(WRONG)(visit)
    visit.page.fill("#statement", "I have never lived there.")
    visit.press("form[action$='/wrong'] button")


def _said_nothing(visit: Visit) -> None:
    at(WRONG)(visit)
    visit.press("form[action$='/wrong'] button")


def _preference_error(visit: Visit) -> None:
    at("/me/consents")(visit)
    visit.press("form[action='/me/preferences'] button")


def _given(visit: Visit) -> None:
    at(MOVING)(visit)
    visit.press("button[value=give]")


def _nothing_chosen(visit: Visit) -> None:
    at(LIBRARY)(visit)
    visit.press("button[aria-describedby^='part-2 ']")


def _asked_again(visit: Visit) -> None:
    first, *others = services()
    (statement,) = first.statements
    more = replace(
        statement,
        state=State.GIVEN,
        given_attributes=("user.name.given", "user.name.family"),
        since=NOW - 40 * 86_400,
        event_id=UUID(int=79),
        asked_again=("user.home-info.postal.city",),
    )
    visit.desk.offered[FIRST] = [replace(first, statements=(more,)), *others]
    at(MOVING)(visit)


STATES: dict[str, Callable[[Visit], None]] = {
    "sign-in": lambda visit: visit.open("/"),
    "sign-in-error": _sign_in_error,
    "home": at("/"),
    "data": at("/me/data"),
    "data-disputed": _disputed,
    "data-wrong": at(WRONG),
    "data-wrong-error": _said_nothing,
    "data-empty": _nothing_held,
    "choices": at("/me/consents"),
    "choices-error": _preference_error,
    "consent-open": at(MOVING),
    "consent-given": _given,
    "consent-asked-again": _asked_again,
    "consent-parts": at(LIBRARY),
    "consent-error": _nothing_chosen,
    "consent-law": at("/me/consents/planning/statistics"),
    "uses": at("/me/uses"),
    "uses-older": at("/me/uses?before=1007"),
    "unanswered": at("/desk/unanswered"),
    "help": at("/help"),
    "accessibility": at("/accessibility"),
    "error-404": at("/nowhere"),
    "error-409": failing(Conflict("x")),
    "error-500": failing(RuntimeError("x")),
    "error-503": failing(NoDecision("x")),
}


@pytest.fixture(scope="module")
def browser(chromium_executable: Path) -> Iterator[Browser]:
    """Run one Chromium for all pages."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium_executable, args=list(ARGUMENTS)
        )
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def shared_desk() -> FakeDesk:
    """Return the desk behind the one server."""
    return fake_desk()


@pytest.fixture
def desk(shared_desk: FakeDesk) -> FakeDesk:
    """Return the desk as it is at the beginning."""
    fresh = fake_desk()
    for each in fields(FakeDesk):
        setattr(shared_desk, each.name, getattr(fresh, each.name))
    return shared_desk


@pytest.fixture(scope="module")
def site(shared_desk: FakeDesk) -> Iterator[str]:
    """Serve the pages on a loopback port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            make_fake_app(shared_desk), log_level="error", ws="none"
        )
    )
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, daemon=True
    )
    thread.start()
    deadline = time.monotonic() + 240
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=120)
    listener.close()


@pytest.fixture
def visit(
    browser: Browser, site: str, desk: FakeDesk
) -> Iterator[Callable[..., Visit]]:
    """Return a maker of visits, each in a browser context of its own."""
    contexts = []

    def make(
        *,
        language: str = "en",
        width: int = 1280,
        **options: Any,  # noqa: ANN401 - whatever a context takes
    ) -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            locale=language,
            **options,
        )
        contexts.append(context)
        return Visit(page=context.new_page(), site=site, desk=desk)

    yield make
    for context in contexts:
        context.close()


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong, one line a rule."""
    options = {"runOnly": {"type": "tag", "values": [*RULES, "best-practice"]}}
    response = Axe().run(page, options=options).response
    return [
        f"{found['id']}: {[node['target'] for node in found['nodes']]}"
        for found in response["violations"]
    ]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", STATES)
def test_page_is_accessible_and_keeps_to_itself(
    visit: Callable[..., Visit], state: str, language: str, width: int
) -> None:
    """Nothing for axe-core, no other host, a silent console, no sideways."""
    here = visit(language=language, width=width)
    STATES[state](here)
    if folder := os.environ.get("CURTILAGE_SCREENSHOTS"):
        name = f"{state}-{language}-{width}.png"
        here.page.screenshot(path=Path(folder) / name, full_page=True)

    assert language == here.page.locator("html").get_attribute("lang")
    assert [] == violations(here.page)
    assert [] == here.slips
    assert width >= here.page.evaluate("document.documentElement.scrollWidth")


def test_judge_and_watchman_are_awake(visit: Callable[..., Visit]) -> None:
    """A broken page is noticed: by axe, on the console, by its requests."""
    here = visit()
    here.open("/help")
    here.page.evaluate("document.querySelector('main').innerHTML = '<img>'")

    assert any(line.startswith("image-alt") for line in violations(here.page))
    here.page.evaluate(
        """() => {
            const style = document.createElement('style');
            style.textContent = 'main { color: red }';
            document.head.append(style);
        }"""
    )
    assert any("Content Security Policy" in slip for slip in here.slips)
    with pytest.raises(PlaywrightError):
        here.page.goto("http://127.0.0.1:9/")
    assert "request to http://127.0.0.1:9/" in here.slips


ENDS = """(element, word) => {
    const found = [];
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode;
        for (let at = 0; at < node.data.length; at++) {
            const range = document.createRange();
            range.setStart(node, at);
            range.setEnd(node, at + 1);
            found.push([node.data[at], range.getBoundingClientRect().top]);
        }
    }
    const start = found.map(([sign]) => sign).join('').indexOf(word);
    const signs = found.slice(start, start + word.length);
    return signs.slice(1).flatMap(
        ([, top], at) => top > signs[at][1] + 1 ? [signs[at][0]] : []);
}"""


@pytest.mark.parametrize("width", [320, 360])
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_address_in_a_notice_is_not_cut_in_a_word(
    visit: Callable[..., Visit], language: str, width: int
) -> None:
    """On a narrow page its lines end with the @ or a dot."""
    here = visit(language=language, width=width)
    STATES["consent-open"](here)
    ends = here.page.locator(".app-notice__text").evaluate(ENDS, CONTACT)

    assert {"@", "."} >= set(ends) > set()


FOCUS = """() => {
    const looks = (element, pseudo) => {
        if (!element) return '';
        const style = getComputedStyle(element, pseudo);
        return ['outlineStyle', 'outlineWidth', 'outlineColor', 'boxShadow',
            'backgroundColor', 'borderTopColor', 'borderTopWidth',
            'textDecorationLine'].map((name) => style[name]).join('|');
    };
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const label = element.labels && element.labels[0];
    const look = () => looks(element) + looks(label, '::before');
    const focused = look();
    const box = element.getBoundingClientRect();
    const x = box.left + box.width / 2, y = box.top + box.height / 2;
    const top = document.elementFromPoint(x, y);
    const seen = top !== null && (element.contains(top) ||
        top.contains(element) || (label && label.contains(top)));
    element.blur();
    const blurred = look();
    element.focus();
    return {name: element.outerHTML.slice(0, 120), seen,
            visible: focused !== blurred};
}"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "state", ["sign-in", "choices", "consent-parts", "uses", "error-404"]
)
def test_focus_shows_on_every_stop_of_the_keyboard(
    visit: Callable[..., Visit], state: str, width: int
) -> None:
    """Each stop changes its look when focused and is not covered."""
    here = visit(width=width)
    STATES[state](here)
    stops = []
    for _ in range(120):
        here.page.keyboard.press("Tab")
        stop = here.page.evaluate(FOCUS)
        if stop is None:
            break
        stops.append(stop)

    assert len(stops) > 4
    assert "govuk-skip-link" in stops[0]["name"]
    assert [] == [s["name"] for s in stops if not s["visible"]]
    assert [] == [s["name"] for s in stops if not s["seen"]]


SMALL = """() => [...document.querySelectorAll(
        'button, input:not([type=hidden]), summary, nav a, footer a,' +
        '.govuk-summary-list__actions a, .app-card a, .govuk-back-link')]
    .filter((element) => element.offsetParent !== null)
    .map((element) => [element, element.getBoundingClientRect()])
    .filter(([, box]) => box.width < 24 || box.height < 24)
    .map(([element, box]) => `${box.width}x${box.height} ` +
        element.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("state", ["home", "data", "choices", "consent-parts"])
def test_what_is_pressed_is_large_enough(
    visit: Callable[..., Visit], state: str, width: int
) -> None:
    """Buttons, fields and links outside sentences take 24 by 24 pixels."""
    here = visit(width=width)
    STATES[state](here)

    assert [] == here.page.evaluate(SMALL)


LOOKS = """() => [...document.querySelectorAll('.app-choices')].map((group) =>
    [...group.querySelectorAll('button')].map((button) => {
        const style = getComputedStyle(button);
        const box = button.getBoundingClientRect();
        return JSON.stringify([Math.round(box.width), Math.round(box.height),
            ...['backgroundColor', 'color', 'fontSize', 'fontWeight',
                'borderTopWidth', 'borderTopColor', 'paddingTop',
                'paddingLeft', 'boxShadow', 'opacity', 'textDecorationLine',
                'cursor', 'visibility'].map((name) => style[name])]);
    }))"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_choices_are_equal_to_the_eye(
    visit: Callable[..., Visit], language: str, width: int
) -> None:
    """All buttons of choices share size, colours, type and weight."""
    here = visit(language=language, width=width)
    for state, count in (("consent-open", 2), ("consent-given", 3)):
        STATES[state](here)
        groups = here.page.evaluate(LOOKS)

        assert [count] == [len(group) for group in groups]
        assert [1] == [len(set(group)) for group in groups]


def test_withdrawing_takes_no_more_presses_than_giving(
    visit: Callable[..., Visit],
) -> None:
    """From the list of choices: as many presses to withdraw as to give."""
    here = visit()
    at("/me/consents")(here)
    counts = {}
    for choice in ("give", "withdraw", "give", "refuse"):
        if choice == "refuse":
            here.open(LIBRARY)  # a part that stands refused is refused no more
            assert 0 == here.page.locator("button[value=refuse]").count()
            break
        here.open("/me/consents")
        here.presses = 0
        here.press(f"a[href='{MOVING}']")
        here.press(f"button[value={choice}]")
        assert here.page.locator(".govuk-notification-banner--success").count()
        counts[choice] = here.presses

    assert counts["withdraw"] <= counts["give"]
    assert 2 == counts["give"]


def test_refusing_takes_no_more_presses_than_giving(
    visit: Callable[..., Visit],
) -> None:
    """An unanswered request is refused from where it could be given."""
    here = visit()
    at("/me/consents")(here)
    here.presses = 0
    here.press(f"a[href='{MOVING}']")
    here.press("button[value=refuse]")

    assert 2 == here.presses
    assert ["refuse"] == [each["choice"] for each in here.desk.decided]


def test_leaving_a_page_decides_nothing(visit: Callable[..., Visit]) -> None:
    """Opening, ticking, going back and closing record no answer."""
    here = visit()
    at(MOVING)(here)
    here.page.check("#optional-1-0")
    here.page.go_back()
    here.page.close()

    assert [] == here.desk.decided


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_works_without_scripts(
    visit: Callable[..., Visit], language: str, width: int
) -> None:
    """Sign in, prefer, give with an option, withdraw, page on, sign out."""
    here = visit(language=language, width=width, java_script_enabled=False)
    here.open("/")
    here.page.check("#person-0")
    here.press("form[action='/sign-in'] button")
    here.press("a[href='/me/consents']")
    here.page.check("#preset-2")
    here.press("form[action='/me/preferences'] button")
    here.press(f"a[href='{MOVING}']")
    here.page.check("#optional-1-0")
    here.press("button[value=give]")
    here.press("button[value=withdraw]")
    here.press(".govuk-back-link")
    here.press("nav a[href='/me/uses']")
    here.press("a[rel=next]")
    here.press("nav a[href='/help']")
    other = "en" if language != "en" else "zh-Hans"
    here.press(f"a[hreflang={other}]")

    assert other == here.page.locator("html").get_attribute("lang")
    here.press("form[action='/sign-out'] button")
    assert 1 == here.page.locator("#person-0").count()
    assert ["coarse"] == list(here.desk.preset.values())
    assert ["give", "withdraw"] == [e["choice"] for e in here.desk.decided]
    assert ("user.home-info.telecom.mobile",) == here.desk.decided[0][
        "optional"
    ]
    assert [] == here.slips


def test_help_stays_in_its_place(visit: Callable[..., Visit]) -> None:
    """On every page help is the last entry of the menu, at one height."""
    here = visit()
    here.sign_in()
    places = set()
    for path in ("/", "/me/data", "/me/consents", MOVING, "/me/uses", "/help"):
        here.open(path)
        links = here.page.locator(".govuk-service-navigation__link")
        assert "Help" == links.last.inner_text()
        box = links.last.bounding_box()
        assert box is not None
        places.add((round(box["x"]), round(box["y"])))

    assert 1 == len(places)


def test_answer_is_announced_and_takes_the_focus(
    visit: Callable[..., Visit],
) -> None:
    """What was recorded is an alert, and the keyboard goes on from it."""
    here = visit()
    _given(here)
    focused = here.page.evaluate("document.activeElement.getAttribute('role')")

    assert "alert" == focused


def test_error_takes_the_focus_and_leads_to_its_field(
    visit: Callable[..., Visit],
) -> None:
    """The summary of an error is focused; its link goes to the field."""
    here = visit()
    _sign_in_error(here)
    assert here.page.evaluate(
        "document.activeElement.matches('.govuk-error-summary')"
    )
    here.page.locator(".govuk-error-summary a").click()

    assert "person-0" == here.page.evaluate("document.activeElement.id")


def test_link_from_another_site_finds_the_session(
    visit: Callable[..., Visit],
) -> None:
    """Whoever follows a link to the site is still signed in there."""
    here = visit()
    here.sign_in()
    elsewhere = here.site.replace("127.0.0.1", "localhost")
    here.page.goto(f"{elsewhere}/help")
    here.page.evaluate(
        "(address) => { window.location = address; }", f"{here.site}/me/data"
    )
    here.page.wait_for_selector(".app-held")

    assert "Example Lane 12" in here.page.content()


@pytest.mark.parametrize("state", ["choices", "consent-parts", "uses"])
def test_forced_colours_leave_borders(
    visit: Callable[..., Visit], state: str
) -> None:
    """With the reader's own colours axe still finds nothing wrong."""
    here = visit(forced_colors="active", reduced_motion="reduce")
    STATES[state](here)

    assert [] == violations(here.page)
