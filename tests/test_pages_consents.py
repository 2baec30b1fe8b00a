"""The pages of choices: symmetric, unticked, and exactly what was shown."""

import asyncio
import html
import re
from dataclasses import replace
from hashlib import sha256

import pytest

from api.pages import Choice, State
from api.pages.consent_views import CHOICES, MEANS, service_of
from api.pages.desk import _by_language
from api.pages.i18n import Language
from api.pages.labels import load_labels
from api.pages.rendering import pieces
from api.pages.sessions import TOKEN_FIELD
from tests.pages_fake import (
    CONTACT,
    FIRST,
    FakeDesk,
    Visitor,
    fake_desk,
    make_fake_app,
    services,
)

MOVING = "moving-house/address-change"
LIBRARY = "library/reminders"


def visitor_at(desk: FakeDesk) -> Visitor:
    """Return the first person, signed in."""
    return Visitor(make_fake_app(desk)).sign_in()


def buttons(page: str) -> list[tuple[str, str]]:
    """Return the class and value of each button that answers."""
    pattern = (
        r'<button type="submit" name="choice" value="(\w+)" class="([^"]+)"'
    )
    return re.findall(pattern, page)


def test_nothing_is_ticked_beforehand() -> None:
    """No preset and no optional attribute is chosen for the person."""
    visitor = visitor_at(fake_desk())

    assert " checked" not in visitor.get("/me/consents").text
    assert " checked" not in visitor.get(f"/me/consents/{MOVING}").text


def test_giving_records_exactly_what_was_shown_and_ticked() -> None:
    """The answer names the declaration, the notice and its language."""
    desk = fake_desk()
    visitor = visitor_at(desk)
    ticked = ["user.home-info.online.email"]
    visitor.answer(MOVING, "s1", "give", optional=ticked)

    assert "Your consent was recorded." in visitor.page
    (decided,) = desk.decided
    assert FIRST == decided["subject"]
    assert ("s1", Choice.GIVE) == (decided["statement"], decided["choice"])
    assert tuple(ticked) == decided["optional"]
    assert visitor.hidden("declaration") == decided["declaration"]
    assert visitor.hidden("notice") == decided["notice"]
    assert "en" == decided["language"]


def test_the_notice_is_shown_word_for_word() -> None:
    """Its hash is of what is read; where a line may end is no word of it."""
    visitor = visitor_at(fake_desk())
    page = visitor.get(f"/me/consents/{MOVING}").text
    (shown,) = re.findall(
        r'class="app-notice__text">(.*?)</div>', page, re.DOTALL
    )
    read = html.unescape(shown.replace("<wbr>", ""))

    assert visitor.hidden("notice") == sha256(read.encode()).hexdigest()
    assert CONTACT in read
    assert "officer@<wbr>privacy.<wbr>demonstration." in shown


@pytest.mark.parametrize(
    "cut",
    [
        ["Write to a.", "b@", "c.", "example.\nOr not."],
        ["See <https://a.", "example/b.", "html>, 2.5 days, at a.b"],
        ["a@ b"],
        [""],
    ],
)
def test_only_addresses_are_cut(cut: list[str]) -> None:
    """A number and the end of a sentence stay whole."""
    assert cut == pieces("".join(cut))


def test_only_what_is_allowed_now_is_ticked_later() -> None:
    """After giving with one option, that one is ticked and no other."""
    visitor = visitor_at(fake_desk())
    visitor.answer(
        MOVING, "s1", "give", optional=["user.home-info.online.email"]
    )
    ticked = re.findall(r'value="([^"]+)" checked', visitor.page)

    assert ["user.home-info.online.email"] == ticked


def test_after_withdrawing_nothing_is_ticked() -> None:
    """A withdrawn consent leaves no tick behind for the next giving."""
    visitor = visitor_at(fake_desk())
    visitor.answer(
        MOVING, "s1", "give", optional=["user.home-info.online.email"]
    )
    visitor.answer(MOVING, "s1", "withdraw")

    assert "Your consent is withdrawn." in visitor.page
    assert " checked" not in visitor.page


@pytest.mark.parametrize("choice", ["refuse", "give"])
def test_refusing_is_recorded_like_giving(choice: str) -> None:
    """Both answers take one press and both are kept, with a receipt."""
    desk = fake_desk()
    visitor = visitor_at(desk)
    visitor.answer(MOVING, "s1", choice)

    assert [choice] == [each["choice"] for each in desk.decided]
    assert "Download the receipt" in visitor.page


def test_withdrawing_ignores_ticks() -> None:
    """A tick sent along with a withdrawal allows nothing."""
    desk = fake_desk()
    visitor_at(desk).answer(
        LIBRARY, "s1", "withdraw", optional=["user.home-info.telecom.mobile"]
    )

    assert [()] == [each["optional"] for each in desk.decided]


def test_choices_look_alike() -> None:
    """All buttons of all choices share one class, and none is disabled."""
    visitor = visitor_at(fake_desk())
    for service in (MOVING, LIBRARY):
        page = visitor.get(f"/me/consents/{service}").text

        assert 1 == len({classes for _, classes in buttons(page)})
        assert "disabled" not in page


@pytest.mark.parametrize("state", list(State))
def test_every_state_offers_a_way_out_in_one_press(state: State) -> None:
    """Given can be withdrawn, all else can be given, nothing is final."""
    view = services()[0]
    view = replace(
        view, statements=(replace(view.statements[0], state=state),)
    )
    (part,) = service_of(view, load_labels(), Language.EN).parts
    offered = {button.value for button in part.choices}

    assert offered == CHOICES[state]
    assert (Choice.WITHDRAW in offered) == (
        state in {State.GIVEN, State.PAUSED}
    )
    assert (Choice.RESUME if state is State.PAUSED else Choice.GIVE) in offered
    assert state in MEANS


def test_law_offers_no_choice() -> None:
    """Where the basis is the law there is a badge and no button."""
    visitor = visitor_at(fake_desk())
    page = visitor.get("/me/consents/tax/assessment").text

    assert [] == buttons(page)
    assert "A legal duty" in page
    assert "The law says so." in page
    assert 'href="/help#object"' not in page
    page = visitor.get("/me/consents/planning/statistics").text
    assert 'href="/help#object"' in page
    for view in services()[2:]:
        parts = service_of(view, load_labels(), Language.EN).parts
        assert [((), ())] == [(p.choices, p.options) for p in parts]


def test_what_a_wider_declaration_asks_is_told_and_can_be_allowed() -> None:
    """The difference alone is named, beside what stands (invariant 8)."""
    desk = fake_desk()
    first, *others = services()
    (statement,) = first.statements
    more = replace(
        statement,
        state=State.GIVEN,
        given_attributes=("user.name.given", "user.name.family"),
        asked_again=("user.home-info.postal.city",),
    )
    desk.offered[FIRST] = [replace(first, statements=(more,)), *others]
    visitor = visitor_at(desk)
    page = visitor.get(f"/me/consents/{MOVING}").text
    (view,) = service_of(
        desk.offered[FIRST][0], load_labels(), Language("en")
    ).parts

    assert "New since you answered" in page
    assert 1 == len(view.asked_again)
    assert ["give", "withdraw"] == [value for value, _ in buttons(page)]
    assert "Allow this as well" in page
    visitor.answer(MOVING, "s1", "give")
    assert Choice.GIVE == desk.decided[-1]["choice"]


def test_law_takes_no_answer() -> None:
    """A forged answer to a statement that the law settles is refused."""
    desk = fake_desk()
    visitor = visitor_at(desk)
    visitor.get(f"/me/consents/{MOVING}")
    answer = visitor.post(
        "/me/consents/tax/assessment",
        {
            "statement": "s1",
            "choice": "refuse",
            "declaration": services()[2].declaration_digest,
            "notice": asyncio.run(
                desk.notice("tax", "assessment", "en", "")
            ).digest,
            "language": "en",
            "served": "0" * 64,
            TOKEN_FIELD: visitor.hidden(TOKEN_FIELD),
        },
    )

    assert 409 == answer.status_code
    assert [] == desk.decided


def test_changed_notice_records_nothing() -> None:
    """An answer to a notice that no longer stands is a conflict."""
    desk = fake_desk()
    visitor = visitor_at(desk)
    visitor.get(f"/me/consents/{MOVING}")
    shown = visitor.hidden("notice")
    desk.edition = "2"
    answer = visitor.answer(MOVING, "s1", "give", notice=shown)

    assert 409 == answer.status_code
    assert "Nothing was recorded" in visitor.page
    assert [] == desk.decided


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"declaration": "0" * 64}, 409),
        ({"notice": "0" * 64}, 409),
        ({"language": "zh-Hans"}, 409),
        ({"statement": "s9"}, 409),
        ({"choice": "withdraw"}, 409),
        ({"choice": "take"}, 400),
        ({"language": "nl"}, 400),
        ({"optional": "user.health.note"}, 400),
        ({"choice": ["give", "refuse"]}, 400),
    ],
)
def test_answer_that_was_not_on_the_page_records_nothing(
    changes: dict[str, str | list[str]], status: int
) -> None:
    """What the page did not offer cannot be answered."""
    desk = fake_desk()
    visitor = visitor_at(desk)
    fields = {"service": MOVING, "statement": "s1", "choice": "give"}
    answer = visitor.answer(**(fields | changes))  # type: ignore[arg-type]  # a table of cases

    assert status == answer.status_code
    assert [] == desk.decided


def test_giving_nothing_is_told_on_the_page() -> None:
    """Consent to no attribute at all is an error, not a record."""
    desk = fake_desk()
    visitor = visitor_at(desk)
    answer = visitor.answer(LIBRARY, "s2", "give")

    assert 422 == answer.status_code
    assert 'href="#optional-2-0"' in visitor.page
    assert [] == desk.decided


def test_preferences_take_the_version_that_was_shown() -> None:
    """Preferences changed elsewhere meanwhile are not overwritten."""
    desk = fake_desk()
    visitor = visitor_at(desk)
    visitor.get("/me/consents")
    fields = {"preset": "strict", "version": visitor.hidden("version")}
    fields[TOKEN_FIELD] = visitor.hidden(TOKEN_FIELD)
    assert 200 == visitor.post("/me/preferences", fields).status_code
    assert "In force now: Only what the law requires" in visitor.page
    again = fields | {"preset": "ask"}

    assert 409 == visitor.post("/me/preferences", again).status_code
    assert {FIRST: "strict"} == desk.preset


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"version": "0"}, 422),
        ({"preset": "all", "version": "0"}, 400),
        ({"preset": "ask"}, 400),
    ],
)
def test_preference_that_was_not_offered_is_refused(
    fields: dict[str, str], status: int
) -> None:
    """No choice, an unknown one, and a missing version change nothing."""
    desk = fake_desk()
    visitor = visitor_at(desk)
    visitor.get("/me/consents")
    token = {TOKEN_FIELD: visitor.hidden(TOKEN_FIELD)}
    answer = visitor.post("/me/preferences", fields | token)

    assert status == answer.status_code
    assert {} == desk.preset


def test_receipt_is_a_file_of_ones_own() -> None:
    """A receipt downloads for its person and is unknown to others."""
    app = make_fake_app(fake_desk())
    visitor = Visitor(app).sign_in()
    visitor.get(f"/me/consents/{LIBRARY}")
    path = re.findall(r'href="(/me/receipts/[^"]+)"', visitor.page)[0]
    answer = visitor.get(path)

    assert "application/jose" == answer.headers["content-type"]
    assert answer.headers["content-disposition"].startswith("attachment")
    assert 404 == Visitor(app).sign_in(1).get(path).status_code
    assert 404 == visitor.get("/me/receipts/x").status_code


def test_page_of_a_service_shows_all_that_is_asked() -> None:
    """Who, why, what, how long, to whom, and what refusing costs."""
    page = visitor_at(fake_desk()).get(f"/me/consents/{MOVING}").text
    for words in (
        "Demonstration Municipality",
        "To tell the bodies you choose that you have moved.",
        "Your new address is passed on once.",
        "Given name",
        "Mobile number",
        "at most 90 days",
        "Others with the same practices",
        "Edition 1, moving-house, address-change.",
    ):
        assert words in page


def test_text_without_a_translation_is_marked() -> None:
    """English on a Chinese page says that it is English."""
    visitor = Visitor(make_fake_app(fake_desk()), language="zh-CN").sign_in()
    page = visitor.get(f"/me/consents/{LIBRARY}").text

    assert '<span lang="en">Suggestions by your age group' in page


def test_unknown_service_is_no_page() -> None:
    """Neither an unknown service nor another purpose of a known one."""
    visitor = visitor_at(fake_desk())

    assert 404 == visitor.get("/me/consents/x/y").status_code
    assert 404 == visitor.get("/me/consents/tax/reminders").status_code


@pytest.mark.parametrize(
    ("name", "english", "chinese"),
    [
        ("Demo Town / 演示市", "Demo Town", "演示市"),
        ("演示市 / Demo Town", "Demo Town", "演示市"),
        ("Demo Town", "Demo Town", "Demo Town"),
        ("Parks / Roads", "Parks / Roads", "Parks / Roads"),
        ("甲 / 乙", "甲 / 乙", "甲 / 乙"),
        ("A / 甲 / B", "A / 甲 / B", "A / 甲 / B"),
    ],
)
def test_a_body_with_two_names_is_called_by_one(
    name: str, english: str, chinese: str
) -> None:
    """Each in its own language; any other name stays whole in both."""
    assert {"en": english, "zh-Hans": chinese} == _by_language(name)
