"""What the consent pages show: services, their parts, and the choices.

A part is one statement. Where the legal basis is not consent there is no
choice, and none is drawn. Where it is, giving and withdrawing take the same
number of steps: one press on the page of the service.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote

from api.pages.i18n import Language, Localized, localized
from api.pages.labels import Labels
from api.pages.port import Choice, ServiceView, State, StatementView

CONSENT = "consent"
OBJECTIONABLE = frozenset({"public-task", "legitimate-interests"})
"""Bases whose processing a person may object to (GDPR, article 21)."""


class ChoiceButton(NamedTuple):
    """One button: the answer that it sends, and the key of its label."""

    value: Choice
    key: str


_GIVE = ChoiceButton(Choice.GIVE, "consent.give")
_REFUSE = ChoiceButton(Choice.REFUSE, "consent.refuse")
_WITHDRAW = ChoiceButton(Choice.WITHDRAW, "consent.withdraw")
_CHANGE = ChoiceButton(Choice.GIVE, "consent.change")

CHOICES = MappingProxyType(
    {
        State.NONE: frozenset({Choice.GIVE, Choice.REFUSE}),
        State.GIVEN: frozenset({Choice.GIVE, Choice.WITHDRAW}),
        State.REFUSED: frozenset({Choice.GIVE}),
        State.WITHDRAWN: frozenset({Choice.GIVE}),
        State.EXPIRED: frozenset({Choice.GIVE, Choice.REFUSE}),
    }
)
"""What can be answered in which state."""

MEANS = MappingProxyType(
    {
        State.NONE: "consent.refuse_means",
        State.GIVEN: "consent.withdraw_means",
        State.REFUSED: "consent.give_means",
        State.WITHDRAWN: "consent.give_means",
        State.EXPIRED: "consent.refuse_means",
    }
)
"""The key of what the buttons mean, by state."""


class Option(NamedTuple):
    """One optional attribute, and whether it is allowed now."""

    name: str
    label: Localized
    ticked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One statement as the pages show it."""

    number: int
    id: str
    basis: str
    asks: bool
    may_object: bool
    state: State
    given: bool
    since: int | None
    until: int | None
    receipt: str | None
    consequence: Localized
    essential: tuple[Localized, ...]
    optional: tuple[Localized, ...]
    allowed: tuple[Localized, ...]
    recipients: tuple[str, ...]
    retention: str
    retention_days: int | None
    options: tuple[Option, ...]
    choices: tuple[ChoiceButton, ...]
    means: str
    error: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service and purpose as the pages show it."""

    href: str
    title: Localized
    controller: Localized
    purpose_text: Localized
    declaration_digest: str
    parts: tuple[Part, ...]
    asks: bool
    answered: bool


def href(view: ServiceView) -> str:
    """Return the address of a service's page."""
    service, purpose = quote(view.service, ""), quote(view.purpose, "")
    return f"/me/consents/{service}/{purpose}"


def service_of(
    view: ServiceView,
    labels: Labels,
    language: Language,
    *,
    error_in: str | None = None,
) -> Service:
    """Turn a service into words.

    Args:
        view: the service.
        labels: the attributes' names.
        language: the language of the page.
        error_in: the statement whose form was sent with nothing to allow.

    Returns:
        What the pages show.

    """
    parts = tuple(
        _part(number, statement, labels, language, error_in=error_in)
        for number, statement in enumerate(view.statements, start=1)
    )
    return Service(
        href=href(view),
        title=localized(view.title, language),
        controller=localized(view.controller, language),
        purpose_text=localized(view.purpose_text, language),
        declaration_digest=view.declaration_digest,
        parts=parts,
        asks=any(part.asks for part in parts),
        answered=all(
            part.state is not State.NONE for part in parts if part.asks
        ),
    )


def _part(
    number: int,
    view: StatementView,
    labels: Labels,
    language: Language,
    *,
    error_in: str | None,
) -> Part:
    def words(names: tuple[str, ...]) -> tuple[Localized, ...]:
        return tuple(
            labels.attribute(name, language) for name in labels.in_order(names)
        )

    asks = view.basis == CONSENT
    given = view.state is State.GIVEN
    return Part(
        number=number,
        id=view.id,
        basis=view.basis,
        asks=asks,
        may_object=view.basis in OBJECTIONABLE,
        state=view.state,
        given=given,
        since=view.since,
        until=view.until,
        receipt=None
        if view.event_id is None
        else f"/me/receipts/{view.event_id}",
        consequence=localized(view.consequence, language),
        essential=words(view.essential),
        optional=words(view.optional),
        allowed=words(view.given_attributes) if given else (),
        recipients=view.recipients,
        retention=view.retention
        if view.retention_days != 0
        else "no-retention",
        retention_days=view.retention_days or None,
        options=_options(view, labels, language) if asks else (),
        choices=_buttons(view) if asks else (),
        means=MEANS[view.state],
        error=view.id == error_in,
    )


def _options(
    view: StatementView, labels: Labels, language: Language
) -> tuple[Option, ...]:
    """Offer the optional attributes; only what is allowed now is ticked."""
    allowed = view.given_attributes if view.state is State.GIVEN else ()
    return tuple(
        Option(name, labels.attribute(name, language), name in allowed)
        for name in labels.in_order(view.optional)
    )


def _buttons(view: StatementView) -> tuple[ChoiceButton, ...]:
    if view.state is State.GIVEN:
        return (_CHANGE, _WITHDRAW) if view.optional else (_WITHDRAW,)
    allowed = CHOICES[view.state]
    return tuple(b for b in (_GIVE, _REFUSE) if b.value in allowed)
