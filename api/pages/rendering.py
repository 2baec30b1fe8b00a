"""Turns views into HTML: one Jinja environment, strict and escaping.

Everything that is filled in is escaped, and a name that a template asks for
and does not get is an error. Templates hold no script and no style of their
own (the Content Security Policy would stop both).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from api.pages.assets import Assets
from api.pages.dates import clock_time, day_of, long_date, machine_time
from api.pages.i18n import NAMES, Language, Localized, Strings, localized
from api.pages.port import Text
from api.pages.sessions import TOKEN_FIELD

TEMPLATES = Path(__file__).parents[1] / "templates"
_PLACE = re.compile(r"(?<=[@.])(?=\w)")
SIGNED_OUT_PAGES = (("nav.sign_in", "/"), ("nav.help", "/help"))
SIGNED_IN_PAGES = (
    ("nav.data", "/me/data"),
    ("nav.consents", "/me/consents"),
    ("nav.uses", "/me/uses"),
    ("nav.help", "/help"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NavigationItem:
    """One entry of the navigation; help is always the last."""

    key: str
    href: str
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What every page shows around its own content.

    Attributes:
        language: the language of the page.
        here: the path of the page that a reload or a language switch shows.
        token: the token of the session's forms.
        person: what the person signed in is called, or None.
        flash: the key of a message to show once, or None.

    """

    language: Language
    here: str
    token: str
    person: Text | None
    flash: str | None


class Renderer:
    """Renders the templates.

    Args:
        assets: the static files, for their addresses.
        strings: the catalogues by language.
        body: the public body's name.
        zone: the time zone of the instants shown.
        templates: where the templates lie.

    """

    def __init__(
        self,
        *,
        assets: Assets,
        strings: Mapping[Language, Strings],
        body: Text,
        zone: tzinfo,
        templates: Path = TEMPLATES,
    ) -> None:
        self._strings = strings
        self._body = body
        self._zone = zone
        self._environment = Environment(
            loader=FileSystemLoader(templates),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["pieces"] = pieces
        self._environment.globals.update(
            asset=assets.url,
            languages={str(tag): name for tag, name in NAMES.items()},
            machine_time=machine_time,
            token_field=TOKEN_FIELD,
        )

    def page(
        self,
        template: str,
        frame: Frame,
        *,
        status: int = 200,
        **values: Any,  # noqa: ANN401 - whatever the template names
    ) -> HTMLResponse:
        """Render a page.

        Args:
            template: the file under ``api/templates``.
            frame: what stands around the content.
            status: the HTTP status.
            values: what the template asks for.

        Returns:
            The answer.

        """
        text = self._environment.get_template(template).render(
            self._around(frame) | {"status": status} | values
        )
        return HTMLResponse(text, status_code=status)

    def _around(self, frame: Frame) -> dict[str, object]:
        language = frame.language
        return {
            "language": str(language),
            "t": self._strings[language],
            "here": frame.here,
            "token": frame.token,
            "flash": frame.flash,
            "person": _chosen(frame.person, language),
            "body": localized(self._body, language),
            "navigation": _navigation(frame),
            "date_of": lambda at: self.date(at, language),
            "time_of": lambda at: clock_time(at, self._zone),
        }

    def date(self, at: int, language: Language) -> str:
        """Return the day of an instant in words, in the pages' time zone."""
        return long_date(day_of(at, self._zone), language)


def pieces(text: str) -> list[str]:
    """Cut a text where an address in it may go on in the next line.

    That is behind the @ and the dots of a mail address and behind the dots
    of a web address. Joined, the pieces are the text.

    Args:
        text: the text.

    """
    found = [""]
    for word in re.split(r"(\s+)", text):
        address = "@" in word or "://" in word
        first, *rest = _PLACE.split(word) if address else (word,)
        found[-1] += first
        found += rest
    return found


def _chosen(text: Text | None, language: Language) -> Localized | None:
    return None if text is None else localized(text, language)


def _navigation(frame: Frame) -> Sequence[NavigationItem]:
    pages = SIGNED_OUT_PAGES if frame.person is None else SIGNED_IN_PAGES
    path = frame.here.partition("?")[0]
    return [
        NavigationItem(
            key=key,
            href=href,
            active=path == href
            or (href != "/" and path.startswith(f"{href}/")),
        )
        for key, href in pages
    ]
