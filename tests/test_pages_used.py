"""The page of uses: all of them, refusals too, in plain words."""

import re
from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pages.errors import NotFound
from api.pages.i18n import Language, load_strings
from api.pages.labels import load_labels
from api.pages.port import Outcome, ReleaseView, Reply
from api.pages.used import PAGE_SIZE, Wording, download, whole_number
from tests.pages_fake import FIRST, Visitor, fake_desk, make_fake_app, uses


def test_every_use_is_listed_once_over_the_pages() -> None:
    """Following "older" shows each entry once, newest first, and ends."""
    visitor = Visitor(make_fake_app(fake_desk())).sign_in()
    path, seen = "/me/uses", []
    for _ in range(9):
        page = visitor.get(path).text
        seen += [int(at) for at in re.findall(r'id="use-(\d+)"', page)]
        older = re.findall(r'href="(/me/uses\?before=\d+)" rel="next"', page)
        if not older:
            break
        path = older[0]

    assert [use.index for use in uses(27)] == seen
    assert 27 > PAGE_SIZE


def test_refusal_is_told_with_its_reason() -> None:
    """A refused request names what was asked, and why it was refused."""
    page = Visitor(make_fake_app(fake_desk())).sign_in().get("/me/uses").text

    assert "Not given" in page
    assert "This needs your consent, and you have given" in page
    assert "Given less exactly" in page
    assert "user.shoe-size" in page


def test_every_outcome_is_told_in_words() -> None:
    """No two outcomes of an entry read alike, in either language."""
    assert set(Outcome) == {use.outcome for use in uses(27)}
    for language, strings in load_strings().items():
        page = Visitor(make_fake_app(fake_desk()), language=language)
        text = page.sign_in().get("/me/uses").text
        words = {strings(f"outcome.{outcome}") for outcome in Outcome}

        assert len(Outcome) == len(words)
        assert all(f"{word}</strong>" in text for word in words)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "The rules could not be applied just then"),
        ("zh-Hans", "当时无法依规则作出决定"),
    ],
)
def test_no_decision_is_told_without_a_code(language: str, words: str) -> None:
    """Where nothing was decided, a sentence stands for the reason."""
    visitor = Visitor(make_fake_app(fake_desk()), language=language)

    assert words in visitor.sign_in().get("/me/uses").text


def test_codes_do_not_show() -> None:
    """A person reads words, not the names that machines use."""
    page = Visitor(make_fake_app(fake_desk())).sign_in().get("/me/uses").text

    for code in ("consent_missing", "legal_basis", "address-change", "s1"):
        assert f">{code}<" not in page
    assert "user.bdate" not in page


def test_reason_without_words_is_not_passed_over() -> None:
    """A code that the vocabulary does not know fails the page."""
    desk = fake_desk()
    desk.used[FIRST] = [
        replace(
            use,
            attributes=tuple(
                replace(each, reason="brand_new") for each in use.attributes
            ),
        )
        for use in desk.used[FIRST]
    ]
    visitor = Visitor(make_fake_app(desk)).sign_in()

    assert 500 == visitor.get("/me/uses").status_code


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["2026: fewer than ten", "2025: 14"]),
        ("zh-Hans", ["2026 年：少于十条", "2025 年：14 条"]),
    ],
)
def test_what_is_not_shown_yet_is_counted(
    language: str, words: list[str]
) -> None:
    """By year and for everybody; a small number is not told."""
    desk = replace(fake_desk(), undisclosed=((2026, None), (2025, 14)))
    visitor = Visitor(make_fake_app(desk)).sign_in()
    visitor.get(f"/language/{language}?back=/me/uses")
    page = visitor.get("/me/uses").text
    (counted,) = re.findall(
        r'(?s)<section[^>]*aria-labelledby="undisclosed">.*?</section>', page
    )

    assert words == [
        one.strip() for one in re.findall(r"<li>(.*?)</li>", counted)
    ]


def test_sentences_end_as_their_language_ends_them() -> None:
    """No Chinese sentence ends in a Latin full stop."""
    visitor = Visitor(make_fake_app(fake_desk()), language="zh-Hans")
    page = visitor.sign_in().get("/me/uses").text

    assert "记录总数</a>。凭此" in page


def test_nothing_is_counted_where_nothing_is_withheld() -> None:
    """The section is left out."""
    page = Visitor(make_fake_app(fake_desk())).sign_in().get("/me/uses").text

    assert "undisclosed" not in page


def test_the_count_is_a_file_of_ones_own() -> None:
    """The signed count of one's entries downloads from the page."""
    visitor = Visitor(make_fake_app(fake_desk())).sign_in()

    answer = visitor.get("/me/uses/count")
    assert "/me/uses/count" in visitor.get("/me/uses").text
    assert {"counter"} == set(answer.json())
    assert (
        'attachment; filename="curtilage-entries-count.json"'
        == answer.headers["content-disposition"]
    )


def test_proof_is_a_file_of_ones_own() -> None:
    """A proof downloads for its person and is unknown to others."""
    app = make_fake_app(fake_desk())
    answer = Visitor(app).sign_in().get("/me/uses/1001/proof")

    assert {"index": 1001} == answer.json()
    assert (
        'attachment; filename="curtilage-proof-1001.json"'
        == answer.headers["content-disposition"]
    )
    assert (
        404 == Visitor(app).sign_in(1).get("/me/uses/1001/proof").status_code
    )


@pytest.mark.parametrize("text", ["", "-1", "1.0", "١", "x", "9" * 30])
def test_cursor_is_a_whole_number(text: str) -> None:
    """What is no index is no page."""
    with pytest.raises(NotFound):
        whole_number(text)
    visitor = Visitor(make_fake_app(fake_desk())).sign_in()

    assert 404 == visitor.get(f"/me/uses?before={text}").status_code


@given(st.integers(0, 2**63 - 1))
def test_any_index_is_read(index: int) -> None:
    """Every index that a ledger can have is understood."""
    assert index == whole_number(str(index))


def test_past_the_end_there_is_nothing() -> None:
    """A cursor below all entries says that there are no older ones."""
    visitor = Visitor(make_fake_app(fake_desk())).sign_in()

    assert (
        "There are no older entries." in visitor.get("/me/uses?before=0").text
    )


def test_person_without_uses_is_told_so() -> None:
    """An empty history is said in words."""
    visitor = Visitor(make_fake_app(fake_desk())).sign_in(1)

    assert "Nobody has asked for your data." in visitor.get("/me/uses").text


def test_download_is_named_by_what_it_is() -> None:
    """JSON and compact JWS carry their own types."""
    assert "application/json" == download("{}", name="a").media_type
    assert "application/jose" == download("e30.e30.x", name="a").media_type


def test_every_reply_of_a_service_is_told_in_words() -> None:
    """Who was told of a no and what they did, late ones named as late."""
    for language, strings in load_strings().items():
        visitor = Visitor(make_fake_app(fake_desk()), language=language)
        page = visitor.sign_in().get("/me/uses").text
        words = {strings(f"reply.{reply}") for reply in Reply}

        assert len(Reply) == len(words)
        assert all(f"{word}</strong>" in page for word in words)
        assert 1 == page.count(strings("told.late"))
        older = visitor.get("/me/uses?before=1010").text
        assert strings("told.title") not in older


def test_extracts_that_had_the_person_are_listed() -> None:
    """To whom, since when, until when; a recalled one is said to be so."""
    for language, strings in load_strings().items():
        visitor = Visitor(make_fake_app(fake_desk()), language=language)
        page = visitor.sign_in().get("/me/uses").text

        assert page.count(strings("released.title")) >= 2
        assert strings("released.hint") in page
        office = {Language.EN: "Statistics office", Language.ZH_HANS: "统计局"}
        assert 2 == page.count(f'">{office[language]}</td>')
        assert "statistics-office" not in page
        assert 1 == page.count(strings("released.recalled"))
        older = visitor.get("/me/uses?before=1010").text
        assert strings("released.title") not in older


def test_a_recipient_without_a_name_is_told_by_title_or_id() -> None:
    """The title is that of the service that is the recipient."""
    wording = Wording(labels=load_labels(), reasons={}, zone=UTC)
    title = {"en": "Buses", "zh-Hans": "公交"}
    for told, shown in ((title, "公交"), (None, "bus-company")):
        one = ReleaseView(
            title=title,
            recipient="bus-company",
            at=0,
            until=None,
            recalled=False,
            recipient_title=told,
        )
        assert shown == wording.recipient(one, Language.ZH_HANS).text
