"""The page of uses: who asked for what, why, and what became of it.

Refusals stand in the same list as answers. Pages follow one another by key:
the smallest index on a page is the cursor of the next.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, tzinfo
from itertools import groupby

from starlette.responses import Response

from api.pages.dates import day_of, long_date
from api.pages.errors import NotFound
from api.pages.i18n import Language, Localized, localized
from api.pages.labels import Labels, Reasons
from api.pages.port import (
    Effect,
    Outcome,
    PersonDesk,
    ReleaseView,
    Text,
    UsedAttribute,
    UseView,
)
from api.pages.visits import Doorman, Visit

PAGE_SIZE = 20
_MAX_INDEX = 2**63 - 1
_UNDECIDED: Text = {
    "en": "The rules could not be applied just then, so nothing was given.",
    "zh-Hans": "当时无法依规则作出决定，因此未提供任何信息。",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UseLine:
    """One attribute of a use: what became of it, and why."""

    label: Localized
    effect: Effect
    reason: Localized


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCard:
    """One use as the page shows it."""

    index: int
    at: int
    title: Localized
    purpose_text: Localized
    outcome: Outcome
    reason: str
    case: str
    lines: tuple[UseLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The uses of one day."""

    title: str
    uses: tuple[UseCard, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What turns a use into words.

    Attributes:
        labels: the attributes' names.
        reasons: the reasons' texts; a code without one is an error.
        zone: the time zone that days are counted in.

    """

    labels: Labels
    reasons: Reasons
    zone: tzinfo

    def days(self, uses: Iterable[UseView], language: Language) -> list[Day]:
        """Put uses, newest first, under their days.

        Args:
            uses: the uses.
            language: the language of the page.

        Returns:
            The days, newest first.

        Raises:
            KeyError: a reason has no text.

        """

        def day(use: UseView) -> date:
            return day_of(use.at, self.zone)

        return [
            Day(
                title=long_date(when, language),
                uses=tuple(self.card(use, language) for use in of_day),
            )
            for when, of_day in groupby(uses, key=day)
        ]

    def card(self, use: UseView, language: Language) -> UseCard:
        """Turn one use into words."""
        by_name = {used.attribute: used for used in use.attributes}
        return UseCard(
            index=use.index,
            at=use.at,
            title=localized(use.title, language),
            purpose_text=localized(use.purpose_text, language),
            outcome=use.outcome,
            reason=use.reason,
            case=use.case,
            lines=tuple(
                UseLine(
                    label=self.labels.attribute(name, language),
                    effect=by_name[name].effect,
                    reason=self._why(by_name[name], language),
                )
                for name in self.labels.in_order(by_name)
            ),
        )

    def recipient(self, one: ReleaseView, language: Language) -> Localized:
        """Say who got an extract: by name, else by the service's title."""
        if one.recipient_title and one.recipient not in self.labels.sources:
            return localized(one.recipient_title, language)
        return self.labels.source(one.recipient, language)

    def _why(self, used: UsedAttribute, language: Language) -> Localized:
        """Say why; where nothing was decided there is no code to say it."""
        if not used.reason:
            return localized(_UNDECIDED, language)
        return localized(self.reasons[used.reason], language)


class UsedPages:
    """Handlers of the page of uses and of the proofs.

    Args:
        doorman: renders.
        desk: tells the uses.
        wording: turns them into words.

    """

    def __init__(
        self, *, doorman: Doorman, desk: PersonDesk, wording: Wording
    ) -> None:
        self._doorman = doorman
        self._desk = desk
        self._wording = wording

    async def show(self, visit: Visit) -> Response:
        """Show one page of uses."""
        text = visit.request.query_params.get("before")
        before = None if text is None else whole_number(text)
        page = await self._desk.own_uses(visit.subject, before, PAGE_SIZE)
        # Beside the newest uses alone: it is no part of their pages.
        told = [] if before else await self._desk.told(visit.subject)
        released = [] if before else await self._desk.released(visit.subject)
        return self._doorman.render(
            visit,
            "uses.html",
            released=[
                (
                    localized(one.title, visit.language),
                    self._wording.recipient(one, visit.language),
                    one,
                )
                for one in released
            ],
            days=self._wording.days(page.entries, visit.language),
            older=page.older,
            paged=before is not None,
            undisclosed=page.undisclosed,
            told=[(localized(one.title, visit.language), one) for one in told],
        )

    async def proof(self, visit: Visit) -> Response:
        """Hand over the proof of one entry as a file."""
        index = whole_number(visit.request.path_params["index"])
        return download(
            await self._desk.proof(visit.subject, index),
            name=f"proof-{index}",
        )

    async def receipt(self, visit: Visit) -> Response:
        """Hand over the receipt of one use as a file."""
        index = whole_number(visit.request.path_params["index"])
        return download(
            await self._desk.usage_receipt(visit.subject, index),
            name=f"use-{index}",
        )

    async def head(self, visit: Visit) -> Response:
        """Hand over the signed count of the person's entries as a file."""
        return download(
            await self._desk.head(visit.subject), name="entries-count"
        )


def whole_number(text: str) -> int:
    """Read an index out of an address.

    Args:
        text: decimal digits.

    Returns:
        The number.

    Raises:
        NotFound: anything else, or greater than the ledger can be.

    """
    if text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_INDEX)):
        number = int(text)
        if number <= _MAX_INDEX:
            return number
    msg = "an index is a whole number"
    raise NotFound(msg)


def download(text: str, *, name: str) -> Response:
    """Hand a signed text over as a file.

    Args:
        text: JSON, or a compact JWS (RFC 7515).
        name: the file's name without its ending.

    Returns:
        The answer, which browsers store and do not show.

    """
    is_json = text.lstrip().startswith("{")
    media, ending = (
        ("application/json", "json")
        if is_json
        else ("application/jose", "jws")
    )
    return Response(
        text,
        media_type=media,
        headers={
            "Content-Disposition": (
                f'attachment; filename="curtilage-{name}.{ending}"'
            )
        },
    )
