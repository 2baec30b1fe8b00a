"""The page of what is held: everything, once, and recorded."""

import re

from httpx2 import Response

from api.pages import HeldAttribute
from api.pages.held import grouped
from api.pages.i18n import Language
from api.pages.labels import load_labels
from api.pages.sessions import TOKEN_FIELD
from tests.pages_fake import FIRST, HELD, Visitor, fake_desk, make_fake_app
from vault import standard_catalogue


def test_every_attribute_appears_once_with_its_origin() -> None:
    """Label, value, source and date stand once for each attribute."""
    visitor = Visitor(make_fake_app(fake_desk())).sign_in()
    page = visitor.get("/me/data").text
    labels = load_labels()
    for name, _, source in HELD:
        label = labels.attribute(name, Language.EN).text
        pattern = rf'summary-list__key">{re.escape(label)}</dt>'

        assert 1 == len(re.findall(pattern, page))
        assert labels.source(source, Language.EN).text in page
    assert "14 details are held about you" in page
    assert len(HELD) == page.count('class="app-value"')
    assert len(HELD) == page.count(">Correct this<")


def test_whole_catalogue_can_be_shown() -> None:
    """Each attribute of the catalogue falls into exactly one group."""
    names = set(standard_catalogue())
    held = [
        HeldAttribute(attribute=n, value="v", source="s", recorded_at=0)
        for n in names
    ]
    for language in Language:
        groups = grouped(held, load_labels(), language)

        assert len(names) == sum(len(group.rows) for group in groups)
        assert all(group.rows for group in groups)


def test_one_of_a_few_values_is_in_the_language_of_the_page() -> None:
    """A code of a register is no word of the person's."""
    desk = fake_desk()
    desk.held[FIRST] = [
        HeldAttribute(
            attribute="user.gender", value="female", source="s", recorded_at=0
        )
    ]
    for language, shown in ((Language.EN, "Female"), (Language.ZH_HANS, "女")):
        visitor = Visitor(make_fake_app(desk), language=language)
        page = visitor.sign_in().get("/me/data").text
        assert f'app-value">{shown}</span>' in page


def test_an_address_breaks_behind_its_sign_and_stays_text() -> None:
    """And behind its dots, on a narrow page; markup in it is none."""
    desk = fake_desk()
    desk.held[FIRST] = [
        HeldAttribute(
            attribute="user.home-info.online.email",
            value="<b>@example.org",
            source="s",
            recorded_at=0,
        )
    ]
    page = Visitor(make_fake_app(desk)).sign_in().get("/me/data").text

    assert "&lt;b&gt;@<wbr>example.<wbr>org</span>" in page


def test_value_is_text_and_never_markup() -> None:
    """What a register holds cannot become part of the page."""
    page = Visitor(make_fake_app(fake_desk())).sign_in().get("/me/data").text

    assert "&lt;b&gt;parking&lt;/b&gt; &amp; moving." in page
    assert "<b>parking" not in page


def test_viewing_is_asked_of_the_desk_once() -> None:
    """One page is one viewing, so it is one entry."""
    desk = fake_desk()
    Visitor(make_fake_app(desk)).sign_in().get("/me/data")

    assert {FIRST: 1} == desk.views


def test_other_pages_open_no_value() -> None:
    """Looking at choices and uses opens nothing that is held."""
    desk = fake_desk()
    visitor = Visitor(make_fake_app(desk)).sign_in()
    for path in ("/", "/me/consents", "/me/uses", "/help"):
        visitor.get(path)

    assert {} == desk.views


def test_views_do_not_print_values() -> None:
    """Neither a held attribute nor a row shows its value by accident."""
    held = HeldAttribute(
        attribute="user.bdate", value="1984-03-02", source="s", recorded_at=0
    )
    rows = grouped([held], load_labels(), Language.EN)

    assert "1984" not in repr(held) + repr(rows)


CITY = "user.home-info.postal.city"
WRONG = f"/me/data/{CITY}/wrong"


def say(
    visitor: Visitor, path: str, fields: dict[str, str] | None = None
) -> Response:
    """Send a form with the token of the page with the form."""
    visitor.get(WRONG)
    token = {TOKEN_FIELD: visitor.hidden(TOKEN_FIELD)}
    return visitor.post(path, token | (fields or {}))


def test_a_person_says_that_a_detail_is_wrong() -> None:
    """The words stand beside it as text, until they are withdrawn."""
    desk = fake_desk()
    visitor = Visitor(make_fake_app(desk)).sign_in()
    form = visitor.get(WRONG).text
    assert "City" in form
    assert {} == desk.views
    say(visitor, WRONG, {"statement": "Never <i>there</i>.\r\nAsk me."})
    page = visitor.get("/me/data").text

    assert 1 == page.count("You say this is wrong")
    assert "Never &lt;i&gt;there&lt;/i&gt;.\nAsk me." in page
    (action,) = re.findall(r'action="(/me/data/[^"]*/withdraw)"', page)
    say(visitor, action)
    page = visitor.get("/me/data").text
    assert "You say this is wrong" not in page
    assert "You withdrew this" in page
    assert 404 == say(visitor, action).status_code


def test_what_is_no_statement_is_asked_again() -> None:
    """Empty, blank, too long, or no text: the form with what was written."""
    desk = fake_desk()
    visitor = Visitor(make_fake_app(desk)).sign_in()
    for said in ("", "  \r\n", "x" * 2001, "\0"):
        answer = say(visitor, WRONG, {"statement": said})

        assert 422 == answer.status_code
        assert "govuk-error-summary" in answer.text
    assert all(not each.disputes for each in desk.held[FIRST])


def test_no_other_detail_can_be_disputed() -> None:
    """An unknown name, one that is not held, an id that is none."""
    visitor = Visitor(make_fake_app(fake_desk())).sign_in()
    assert 404 == visitor.get("/me/data/no.such.thing/wrong").status_code
    for path, fields in (
        ("/me/data/user.tax.number/wrong", {"statement": "x"}),
        (f"/me/data/{CITY}/disputes/none/withdraw", {}),
    ):
        assert 404 == say(visitor, path, fields).status_code
    assert 403 == visitor.post(WRONG, {"statement": "x"}).status_code
