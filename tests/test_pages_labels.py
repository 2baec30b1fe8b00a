"""The words for attributes, sources and reasons cover what can be shown."""

from pathlib import Path

import pytest

from api.demo.people import synthetic_people
from api.pages.errors import PagesMisconfigured
from api.pages.i18n import Language
from api.pages.labels import load_labels, load_reasons
from consent.labels import label as notice_label
from tests.pages_fake import reasons
from vault import standard_catalogue

HEAD = (
    "groups:\n  g: {en: Group, zh-Hans: 组}\n"
    "sources: {}\nvalues: {}\nattributes:\n"
)


def test_labels_are_those_of_the_catalogue() -> None:
    """Each attribute of the catalogue has a label, and nothing else has."""
    assert set(standard_catalogue()) == set(load_labels().attributes)


@pytest.mark.parametrize("language", list(Language))
def test_labels_are_those_of_the_notices(language: Language) -> None:
    """A page and the notice on it call an attribute by the same words."""
    for name, label in load_labels().attributes.items():
        assert notice_label(name, language) in {
            label.text[language],
            label.text[language][0].lower() + label.text[language][1:],
        }


def test_no_two_attributes_share_a_label() -> None:
    """A person can tell any two attributes apart in each language."""
    labels = load_labels()
    for language in Language:
        words = [each.text[language] for each in labels.attributes.values()]

        assert len(words) == len(set(words))


def test_values_of_the_demo_have_a_name_in_each_language() -> None:
    """Where it writes one of a few words, nobody reads a code."""
    labels = load_labels()
    assert set(labels.values) <= set(labels.attributes)
    people = list(synthetic_people(200, seed=7))
    few = {
        *("user.gender", "user.marital-status", "user.education"),
        *("user.jobtitle", "user.benefit.status"),
    }
    for name in few:
        for value in {one.values[name] for one in people}:
            chinese = labels.value(name, value, Language.ZH_HANS)
            assert not chinese.text.isascii()
            english = labels.value(name, value, Language.EN)
            assert value in english.text.lower()


def test_a_value_without_a_name_is_shown_as_it_is() -> None:
    """Dates are written out; a word of another attribute is no name."""
    labels = load_labels()
    for name, value, shown in (
        ("user.gender", "male ", "male "),
        ("user.name.given", "male", "male"),
        ("user.bdate", "1984-03-02", "1984年3月2日"),
    ):
        assert shown == labels.value(name, value, Language.ZH_HANS).text


def test_unknown_attribute_shows_as_it_was_asked() -> None:
    """The ledger may name what the catalogue does not; it is not hidden."""
    label = load_labels().attribute("user.shoe-size", Language.EN)

    assert "user.shoe-size" == label.text


def test_order_is_that_of_the_page_and_total() -> None:
    """Known attributes come in the page's order, unknown ones after them."""
    labels = load_labels()

    assert ["user.name.given", "user.bdate", "a", "b"] == labels.in_order(
        ["b", "user.bdate", "a", "user.name.given"]
    )


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("  a: {group: g, en: A}\n", "not in every language"),
        ("  a: {group: h, en: A, zh-Hans: 甲}\n", "in no group"),
    ],
)
def test_unfinished_label_stops_the_start(
    tmp_path: Path, line: str, what: str
) -> None:
    """A label without a language or a group is refused."""
    path = tmp_path / "attributes.yaml"
    path.write_text(HEAD + line, "utf-8")

    with pytest.raises(PagesMisconfigured, match=what):
        load_labels(path)


def test_reason_without_a_language_stops_the_start() -> None:
    """A reason that is not in every language is refused."""
    with pytest.raises(PagesMisconfigured, match="objected"):
        load_reasons(b'[{"code": "objected", "text": {"en": "Words."}}]')


def test_reasons_of_the_policies_are_read() -> None:
    """The committed vocabulary has a text for what a person can be told."""
    texts = load_reasons(reasons())

    assert {"en", "zh-Hans"} == set(texts["essential_incomplete"])
