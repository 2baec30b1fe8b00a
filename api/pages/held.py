"""The page of what is held: every attribute once, in groups.

The desk writes the ledger entry of the viewing before it opens a value.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from api.pages.dates import plain_value
from api.pages.i18n import Language, Localized, localized
from api.pages.labels import Labels
from api.pages.port import HeldAttribute, PersonDesk
from api.pages.visits import Doorman, Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRow:
    """One attribute as the page shows it."""

    label: Localized
    value: str
    source: Localized
    recorded_at: int

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
                label=labels.attribute(name, language),
                value=plain_value(attribute.value, language),
                source=labels.source(attribute.source, language),
                recorded_at=attribute.recorded_at,
            )
        )
    return [
        HeldGroup(title=localized(title, language), rows=tuple(rows[group]))
        for group, title in labels.groups.items()
        if rows[group]
    ]


class HeldPages:
    """Handler of the page of what is held.

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
