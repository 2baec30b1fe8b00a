"""The pages of a person's own rules in a real browser, without a fake desk."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from api.app import create_app
from api.pages.desk import CAST_NAME
from tests.test_browser import ARGUMENTS, LANGUAGES, WIDTHS, violations
from tests.worlds import MOBILE, build_world

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the pages of a small world on a loopback port."""
    home = tmp_path_factory.mktemp("rules") / "home"
    with build_world(home) as world:
        cast = [
            {
                "subject": str(world.cast[name]),
                "label": {"en": name, "zh-Hans": name},
                "description": None,
            }
            for name in ("limited", "consenting")
        ]
        (home / CAST_NAME).write_text(json.dumps(cast), "utf-8")
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(world.platform), log_level="error", ws="none"
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


@pytest.fixture(scope="module")
def browser(chromium_executable: Path, site: str) -> Iterator[Browser]:
    """Run one Chromium for all pages, once the site stands."""
    assert site
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium_executable, args=list(ARGUMENTS)
        )
        yield opened
        opened.close()


def signed_in(page: Page, site: str, place: int) -> None:
    """Sign a member of the cast in."""
    page.goto(f"{site}/")
    page.check(f"input[name=person][value='{place}']")
    page.click("main button[type=submit]")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_of_rules_are_accessible(
    browser: Browser, site: str, language: str, width: int
) -> None:
    """Rules, an answer to who sees what, a fault, and the look ahead."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        locale=language,
        extra_http_headers={"Sec-GPC": "1"},
    )
    page = context.new_page()
    signed_in(page, site, 0)
    found = []
    page.goto(f"{site}/me/rules?who={MOBILE}")
    found += violations(page)
    page.click("button[name=move][value=pause] >> nth=0")
    found += violations(page)
    page.goto(f"{site}/me/rules")
    page.click("summary >> nth=5")
    page.fill("#times", "3")
    page.check("#behavior-2")
    page.click("button[name=move][value=add]")
    found += violations(page)
    sideways = page.evaluate(
        "document.documentElement.scrollWidth > window.innerWidth"
    )
    context.close()
    assert not found
    assert not sideways


def test_a_rule_is_made_without_scripts(browser: Browser, site: str) -> None:
    """Tick, look ahead, put in force, with JavaScript switched off."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    signed_in(page, site, 1)
    page.goto(f"{site}/me/rules")
    page.click("summary >> nth=0")
    page.check(f"input[name=attributes][value='{MOBILE}']")
    page.click("button[name=move][value=add]")
    assert "Moving house" in page.inner_text("main")
    page.click("main form[action='/me/rules'] button")
    assert "Your rules are in force." in page.inner_text("main")
    assert "Refuse: this data: mobile number" in page.inner_text("main")
    context.close()
