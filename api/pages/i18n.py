"""The pages' strings in English and Simplified Chinese.

One YAML catalogue a language in ``api/locales``: flat keys, and values in
which ``{name}`` is filled in. Tags are BCP 47 (RFC 5646). A string that is
missing is an error and not an empty place: both catalogues hold the same
keys with the same gaps, which is checked when they are loaded, and a test
finds every key that a template asks for. Legal texts are notices, not
strings of these catalogues.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from starlette.requests import Request

from api.pages.errors import PagesMisconfigured
from api.pages.port import Text

LOCALES = Path(__file__).parents[1] / "locales"


class Language(StrEnum):
    """The languages of the pages, by tag."""

    EN = "en"
    ZH_HANS = "zh-Hans"


NAMES: Mapping[Language, str] = MappingProxyType(
    {Language.EN: "English", Language.ZH_HANS: "简体中文"}
)
"""What each language calls itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Localized:
    """A text in the language asked for, or in the one there is.

    Attributes:
        text: the text.
        language: its tag.

    """

    text: str
    language: str


def localized(text: Text, language: Language) -> Localized:
    """Choose the version of a text to show.

    Args:
        text: the versions by tag; at least one.
        language: the language of the page.

    Returns:
        The version in that language, else in English, else the first,
        always with its tag, so that the page can mark it.

    """
    tag = next(
        (tag for tag in (language, Language.EN) if tag in text),
        None,
    ) or next(iter(text))
    return Localized(text=text[tag], language=str(tag))


class Strings:
    """The catalogue of one language.

    Args:
        language: the language.
        entries: key to string.

    """

    def __init__(self, language: Language, entries: Text) -> None:
        self.language = language
        self._entries = entries

    def __call__(self, key: str, **values: object) -> str:
        """Return a string with its gaps filled.

        Args:
            key: the string's key; with ``count`` among the values, the key
                of its singular or plural form is made from it.
            values: what fills the gaps.

        Returns:
            The string; not escaped, which is the template's part.

        Raises:
            KeyError: no such string, or a gap without a value.

        """
        if "count" in values:
            key = f"{key}.{'one' if values['count'] == 1 else 'other'}"
        return self._entries[key].format_map(values)


def gaps(text: str) -> set[str]:
    """Return the names of the gaps in a string."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Read a YAML file of our own, with libyaml where there is one.

    Args:
        path: the file.

    Returns:
        Plain objects; the loader makes no others.

    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506 - both are safe loaders


def load_strings(folder: Path = LOCALES) -> Mapping[Language, Strings]:
    """Load the catalogues of all languages.

    Args:
        folder: where they lie, one ``<tag>.yaml`` each.

    Returns:
        Language to catalogue.

    Raises:
        PagesMisconfigured: the catalogues differ in a key or in a gap.

    """
    entries: dict[Language, dict[str, str]] = {
        language: read_yaml(folder / f"{language}.yaml")
        for language in Language
    }
    source = entries[Language.EN]
    for language, other in entries.items():
        for key in sorted(source.keys() ^ other.keys()):
            msg = f"the string {key} is missing in one language ({language})"
            raise PagesMisconfigured(msg)
        for key, text in source.items():
            if gaps(text) != gaps(other[key]):
                msg = f"the string {key} has other gaps in {language}"
                raise PagesMisconfigured(msg)
    return MappingProxyType(
        {
            language: Strings(language, entries[language])
            for language in entries
        }
    )


class LanguageChoice:
    """Finds the language of a request: the cookie first, then the header.

    Args:
        secure: whether the pages are reached over https.

    """

    def __init__(self, *, secure: bool) -> None:
        name = "curtilage-language"
        self.cookie = f"__Host-{name}" if secure else name

    def of(self, request: Request) -> Language:
        """Return the language to answer a request in."""
        chosen = request.cookies.get(self.cookie)
        if chosen in set(Language):
            return Language(chosen)
        return accepted(request.headers.get("accept-language", ""))


def accepted(header: str) -> Language:
    """Choose a language by ``Accept-Language`` (RFC 9110, section 12.5.4).

    Args:
        header: the header's value; what cannot be read in it is passed over.

    Returns:
        The language with the greatest weight; English where none fits. Any
        Chinese is answered in Simplified Chinese.

    """
    best, weight = Language.EN, 0.0
    for part in header.split(","):
        tag, _, parameter = part.strip().partition(";")
        quality = _quality(parameter)
        if quality > weight:
            primary = tag.strip().lower().partition("-")[0]
            if primary in {"en", "zh"}:
                best = Language.EN if primary == "en" else Language.ZH_HANS
                weight = quality
    return best


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name == "q" else 0.0
    except ValueError:
        return 0.0
