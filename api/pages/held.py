"""The page of what is held: every attribute once, in groups.

The desk writes the ledger entry of the viewing before it opens a value. Beside
each value the person can say that it is wrong; the form for it opens none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from starlette.responses import Response

from api.pages.errors import FormInvalid, NotFound
from api.pages.i18n import Language, Localized, localized
from api.pages.labels import Labels
from api.pages.port import DisputeView, HeldAttribute, PersonDesk
from api.pages.visits import Doorman, Visit

LONGEST = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRow:
    """One attribute as the page shows it."""

    name: str
    label: Localized
    value: Localized
    source: Localized
    recorded_at: int
    disputes: tuple[DisputeView, ...] = ()

    def __repr__(self) -> str:
        return "HeldRow()"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldGroup:
    """Attributes that belong together."""

    title: Localized
    rows: tuple[HeldRow, ...]


def grouped(
    held: Sequence[HeldAttribute], labels: Labels, language: Language
) -> list[HeldGroup]:
    """Put attributes into the groups of the page.

    Args:
        held: what is held, in any order.
        labels: groups, labels and sources.
        language: the language of the page.

    Returns:
        The groups that hold something, in the order of the labels.

    Raises:
        KeyError: an attribute has no label, so it has no group.

    """
    by_name = {attribute.attribute: attribute for attribute in held}
    rows: dict[str, list[HeldRow]] = {group: [] for group in labels.groups}
    for name in labels.in_order(by_name):
        attribute = by_name[name]
        rows[labels.attributes[name].group].append(
            HeldRow(
                name=name,
                label=labels.attribute(name, language),
                value=labels.value(name, attribute.value, language),
                source=labels.source(attribute.source, language),
                recorded_at=attribute.recorded_at,
                disputes=attribute.disputes,
            )
        )
    return [
        HeldGroup(title=localized(title, language), rows=tuple(rows[group]))
        for group, title in labels.groups.items()
        if rows[group]
    ]


class HeldPages:
    """Handlers of the page of what is held, and of what is wrong with it.

    Args:
        doorman: renders.
        desk: tells what is held.
        labels: groups, labels and sources.

    """

    def __init__(
        self, *, doorman: Doorman, desk: PersonDesk, labels: Labels
    ) -> None:
        self._doorman = doorman
        self._desk = desk
        self._labels = labels

    async def show(self, visit: Visit) -> Response:
        """Show all that is held about the person."""
        held = await self._desk.own_data(visit.subject)
        return self._doorman.render(
            visit,
            "data.html",
            count=len(held),
            groups=grouped(held, self._labels, visit.language),
        )

    async def ask_wrong(self, visit: Visit) -> Response:
        """Show the form for what is wrong with one detail."""
        return self._form(visit)

    async def say_wrong(self, visit: Visit) -> Response:
        """Keep what the person says beside the detail."""
        name = self._name(visit)
        said = visit.form.need("statement").replace("\r\n", "\n").strip()
        if not 0 < len(said) <= LONGEST:
            return self._form(visit, said=said, error=True)
        try:
            await self._desk.dispute(visit.subject, name, said)
        except FormInvalid:
            return self._form(visit, said=said, error=True)
        return self._doorman.leave(visit, "/me/data", flash="disputed")

    async def withdraw(self, visit: Visit) -> Response:
        """Close what the person no longer says."""
        try:
            dispute = UUID(visit.request.path_params["dispute"])
        except ValueError:
            msg = "not a dispute's id"
            raise NotFound(msg) from None
        await self._desk.withdraw_dispute(
            visit.subject, self._name(visit), dispute
        )
        return self._doorman.leave(
            visit, "/me/data", flash="dispute_withdrawn"
        )

    def _form(
        self, visit: Visit, *, said: str = "", error: bool = False
    ) -> Response:
        return self._doorman.render(
            visit,
            "wrong.html",
            status=422 if error else 200,
            label=self._labels.attribute(self._name(visit), visit.language),
            statement=said,
            longest=LONGEST,
            error=error,
        )

    def _name(self, visit: Visit) -> str:
        """Return the attribute that the address names."""
        name: str = visit.request.path_params["attribute"]
        if name not in self._labels.attributes:
            msg = "no such attribute"
            raise NotFound(msg)
        return name
