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
_GIVE_MORE = ChoiceButton(Choice.GIVE, "consent.give_more")
_PAUSE = ChoiceButton(Choice.PAUSE, "consent.pause")
_RESUME = ChoiceButton(Choice.RESUME, "consent.resume")
_CHANGE = ChoiceButton(Choice.GIVE, "consent.change")

CHOICES = MappingProxyType(
    {
        State.NONE: frozenset({Choice.GIVE, Choice.REFUSE}),
        State.REQUESTED: frozenset({Choice.GIVE, Choice.REFUSE}),
        State.GIVEN: frozenset({Choice.GIVE, Choice.WITHDRAW, Choice.PAUSE}),
        State.PAUSED: frozenset({Choice.RESUME, Choice.WITHDRAW}),
        State.REVOKED: frozenset({Choice.GIVE}),
        State.INVALIDATED: frozenset({Choice.GIVE, Choice.REFUSE}),
        State.REFUSED: frozenset({Choice.GIVE}),
        State.WITHDRAWN: frozenset({Choice.GIVE}),
        State.EXPIRED: frozenset({Choice.GIVE, Choice.REFUSE}),
    }
)
"""What can be answered in which state."""

READ_FIRST = frozenset({Choice.GIVE, Choice.REFUSE})
"""The answers before which the notice is read."""

MEANS = MappingProxyType(
    {
        State.NONE: "consent.refuse_means",
        State.REQUESTED: "consent.refuse_means",
        State.GIVEN: "consent.withdraw_means",
        State.PAUSED: "consent.resume_means",
        State.REVOKED: "consent.give_means",
        State.INVALIDATED: "consent.refuse_means",
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
    asked_again: tuple[Localized, ...]
    requested: tuple[Localized, ...]
    recipients: tuple[str, ...]
    retention: str
    retention_days: int | None
    options: tuple[Option, ...]
    choices: tuple[ChoiceButton, ...]
    means: str
    error: bool
    apart: str | None
    changed: tuple[tuple[bool, str], ...]


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
    requested: bool


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
    alone: str = "",
) -> Service:
    """Turn a service into words.

    Args:
        view: the service.
        labels: the attributes' names.
        language: the language of the page.
        error_in: the statement whose form was sent with nothing to allow.
        alone: the one statement that the page is about; nothing for all.

    Returns:
        What the pages show.

    """
    parts = tuple(
        _part(
            number,
            statement,
            labels,
            language,
            error_in=error_in,
            apart=f"{href(view)}/{quote(statement.id, '')}"
            if statement.apart and not alone
            else None,
        )
        for number, statement in enumerate(view.statements, start=1)
        if alone in {"", statement.id}
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
            part.state is not State.NONE
            and not part.asked_again
            and not part.requested
            for part in parts
            if part.asks
        ),
        requested=any(part.requested for part in parts),
    )


def _part(
    number: int,
    view: StatementView,
    labels: Labels,
    language: Language,
    *,
    error_in: str | None,
    apart: str | None,
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
        asked_again=words(view.asked_again) if asks else (),
        requested=words(view.requested) if asks else (),
        recipients=view.recipients,
        retention=view.retention
        if view.retention_days != 0
        else "no-retention",
        retention_days=view.retention_days or None,
        options=_options(view, labels, language)
        if asks and apart is None
        else (),
        choices=_buttons(view, apart=apart is not None) if asks else (),
        means="consent.more_means"
        if given and view.asked_again
        else MEANS[view.state],
        error=view.id == error_in,
        apart=apart if asks else None,
        changed=view.changed,
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


def _buttons(view: StatementView, *, apart: bool) -> tuple[ChoiceButton, ...]:
    buttons: tuple[ChoiceButton, ...]
    if view.state is State.GIVEN and view.asked_again:
        buttons = (_GIVE_MORE, _WITHDRAW)
    elif view.state is State.GIVEN:
        buttons = (
            (_CHANGE, _WITHDRAW, _PAUSE)
            if view.optional
            else (_WITHDRAW, _PAUSE)
        )
    elif view.state is State.PAUSED:
        buttons = (_RESUME, _WITHDRAW)
    else:
        allowed = CHOICES[view.state]
        buttons = tuple(b for b in (_GIVE, _REFUSE) if b.value in allowed)
    if not apart:
        return buttons
    # What is asked apart is answered where its own notice stands.
    return tuple(b for b in buttons if b.value not in READ_FIRST)
