"""The strings of the pages: none missing, none dead, none guessed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, nodes

from api.pages.errors import PagesMisconfigured
from api.pages.i18n import (
    LOCALES,
    Language,
    accepted,
    gaps,
    load_strings,
    localized,
)
from api.pages.port import Choice, Effect, Outcome, State
from api.pages.rendering import TEMPLATES
from consent import LegalBasis, RecipientClass, Retention

PAGES = Path(__file__).parents[1] / "api" / "pages"


def asked_for() -> Iterator[tuple[str, bool]]:
    """Yield what the templates ask of `t`: a key, or the start of keys."""
    environment = Environment(autoescape=True)
    for path in sorted(TEMPLATES.glob("*.html")):
        tree = environment.parse(path.read_text("utf-8"))
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "t":
                yield from _keys(call)


def _keys(call: nodes.Call) -> Iterator[tuple[str, bool]]:
    first = call.args[0]
    if isinstance(first, nodes.Concat):
        start = first.nodes[0]
        assert isinstance(start, nodes.Const)
        yield start.value, True
    elif isinstance(first, nodes.Const):
        counted = any(each.key == "count" for each in call.kwargs)
        for ending in (".one", ".other") if counted else ("",):
            yield first.value + ending, False


def in_python() -> set[str]:
    """Return every string constant of the pages' modules."""
    return {
        node.value
        for path in PAGES.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def entries(language: Language) -> dict[str, str]:
    """Return a catalogue as it is written."""
    text = (LOCALES / f"{language}.yaml").read_text("utf-8")
    loaded: dict[str, str] = yaml.safe_load(text)
    return loaded


def test_every_string_that_a_template_asks_for_is_there() -> None:
    """A template asks for no key that the catalogues do not hold."""
    keys = entries(Language.EN).keys()
    missing = {
        key
        for key, is_start in asked_for()
        if not (
            any(each.startswith(key) for each in keys)
            if is_start
            else key in keys
        )
    }

    assert set() == missing


def test_no_string_is_dead() -> None:
    """Every key is asked for by a template or named by a module."""
    asked = set(asked_for())
    exact = {key for key, is_start in asked if not is_start} | in_python()
    starts = tuple(key for key, is_start in asked if is_start)
    dead = {
        key
        for key in entries(Language.EN)
        if key not in exact and not key.startswith(starts)
    }

    assert set() == dead


def test_languages_hold_the_same_keys_and_gaps() -> None:
    """Each string stands in both languages, with the same gaps."""
    en, zh = entries(Language.EN), entries(Language.ZH_HANS)

    assert en.keys() == zh.keys()
    assert {key: gaps(en[key]) for key in en} == {
        key: gaps(zh[key]) for key in zh
    }


def test_no_string_is_left_in_the_other_language() -> None:
    """A Chinese string holds Chinese, or is one of the few that do not."""
    same = {
        key
        for key, text in entries(Language.ZH_HANS).items()
        if not any("\u4e00" <= letter <= "\u9fff" for letter in text)
    }

    assert {"site.name", "site.comma", "site.colon", "site.stop"} == same


@pytest.mark.parametrize(
    ("start", "codes"),
    [
        ("basis", LegalBasis),
        ("recipient", RecipientClass),
        ("retention", Retention),
        ("state", State),
        ("effect", Effect),
        ("outcome", Outcome),
        ("flash", Choice),
    ],
)
def test_every_code_of_a_vocabulary_has_words(start: str, codes: type) -> None:
    """No code that a view can carry is without its string."""
    keys = entries(Language.EN).keys()

    assert set() == {str(code) for code in codes} - {
        key.removeprefix(f"{start}.") for key in keys
    }


def test_missing_string_stops_the_start(tmp_path: Path) -> None:
    """Catalogues that differ in a key are refused when they are loaded."""
    (tmp_path / "en.yaml").write_text("a: one\nb: two\n", "utf-8")
    (tmp_path / "zh-Hans.yaml").write_text("a: 一\n", "utf-8")

    with pytest.raises(PagesMisconfigured, match="string b"):
        load_strings(tmp_path)


def test_other_gap_stops_the_start(tmp_path: Path) -> None:
    """A translation that lost a gap is refused when it is loaded."""
    (tmp_path / "en.yaml").write_text('a: "{name}!"\n', "utf-8")
    (tmp_path / "zh-Hans.yaml").write_text('a: "{nane}！"\n', "utf-8")

    with pytest.raises(PagesMisconfigured, match="other gaps"):
        load_strings(tmp_path)


def test_unknown_key_is_an_error() -> None:
    """A string that is not there is never an empty place."""
    with pytest.raises(KeyError):
        load_strings()[Language.EN]("no.such.key")


def test_plural_follows_the_count() -> None:
    """One day and many days are told apart in English."""
    t = load_strings()[Language.EN]

    assert "at most one day" == t("consent.days", count=1)
    assert "at most 90 days" == t("consent.days", count=90)


def test_braces_in_a_value_are_not_filled() -> None:
    """What fills a gap is not looked at for gaps of its own."""
    t = load_strings()[Language.EN]

    assert "Welcome, {person}" == t("home.title", person="{person}")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", Language.EN),
        ("nl, fr;q=0.8", Language.EN),
        ("zh-CN,zh;q=0.9,en;q=0.8", Language.ZH_HANS),
        ("zh-TW", Language.ZH_HANS),
        ("en-GB;q=0.5, zh;q=0.6", Language.ZH_HANS),
        ("zh;q=0, en;q=0.1", Language.EN),
        ("zh;q=high", Language.EN),
    ],
)
def test_accept_language_chooses(header: str, language: Language) -> None:
    """The language with the greatest weight is answered in."""
    assert language is accepted(header)


@given(st.text())
def test_any_accept_language_is_survived(header: str) -> None:
    """No header stops a page."""
    assert accepted(header) in set(Language)


def test_text_in_another_language_keeps_its_tag() -> None:
    """A text that is not translated is shown and marked."""
    shown = localized({"nl": "Verhuizen"}, Language.EN)

    assert ("Verhuizen", "nl") == (shown.text, shown.language)
