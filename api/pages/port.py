"""What the pages need of the platform: the person's desk, and its views.

The pages know this module and nothing behind it. Every method is about the
one person named by ``subject`` and acts for that person; an adapter over the
gate writes the ledger entries that its views and changes call for
(DESIGN.md, invariants 1, 6, 7 and 8). Texts in languages are mappings from a
BCP 47 tag to a string; instants are POSIX seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

Text = Mapping[str, str]
"""One text in several languages: tag to string."""


class State(StrEnum):
    """How the person's answer to one statement stands now."""

    NONE = "none"
    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Choice(StrEnum):
    """What the person can answer to one statement."""

    GIVE = "give"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"


class Effect(StrEnum):
    """What became of one attribute in one use."""

    RELEASE = "release"
    GENERALIZE = "generalize"
    WITHHOLD = "withhold"


class Outcome(StrEnum):
    """What one entry is: the end of a request, or another act on the data.

    The first three end a service's request. The others tell, in the same
    list, of the person's own look, of their answer or preference, of a
    change to what is held, of an officer's look, and of a de-identified
    extract.
    """

    RELEASED = "released"
    PARTLY = "partly"
    REFUSED = "refused"
    OPENED = "opened"
    ANSWERED = "answered"
    CHANGED = "changed"
    OFFICER = "officer"
    EXTRACT = "extract"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAttribute:
    """One attribute as the vault holds it now.

    Attributes:
        attribute: its name in the catalogue.
        value: its plain value; never printed by ``repr``.
        source: the register or channel that it came from.
        recorded_at: when it was recorded, in POSIX seconds.

    """

    attribute: str
    value: str
    source: str
    recorded_at: int

    def __repr__(self) -> str:
        return f"HeldAttribute({self.attribute})"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementView:
    """One statement of a declaration, and the person's answer to it.

    Attributes:
        id: the statement's id within its declaration.
        basis: the legal basis; ``consent`` alone offers a choice.
        consequence: what the statement is for and what refusing costs.
        essential: attributes that are granted together.
        optional: attributes that are granted one by one.
        retention: the P3P retention of the statement, such as
            ``stated-purpose``.
        retention_days: days until deletion, where a number is declared.
        recipients: P3P recipients, such as ``ours``.
        state: how the person's answer stands.
        given_attributes: what exactly is allowed now.
        since: when that answer was recorded, in POSIX seconds.
        until: when it runs out, in POSIX seconds.
        event_id: the event that the receipt is about, if there is one.

    """

    id: str
    basis: str
    consequence: Text
    essential: tuple[str, ...]
    optional: tuple[str, ...]
    retention: str
    retention_days: int | None
    recipients: tuple[str, ...]
    state: State
    given_attributes: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    event_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """One service with one purpose, as its live declaration states it.

    Attributes:
        service: the service's id.
        purpose: the purpose's id.
        title: what the service is called.
        controller: the body that answers for it.
        purpose_text: the purpose in one plain sentence.
        statements: what is asked, statement by statement.
        declaration_digest: SHA-256 of the declaration, in hex.

    """

    service: str
    purpose: str
    title: Text
    controller: Text
    purpose_text: Text
    statements: tuple[StatementView, ...]
    declaration_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeView:
    """The exact notice that an answer refers to.

    Attributes:
        text: the notice, word for word.
        digest: SHA-256 of its bytes, in hex.

    """

    text: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetView:
    """One set of standing preferences that can be chosen as a whole."""

    id: str
    title: Text
    text: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferencesView:
    """The person's standing preferences.

    Attributes:
        version: counts up with every change; 0 if never set.
        preset: the preset in force, or None where none was chosen.
        presets: what can be chosen.

    """

    version: int
    preset: str | None
    presets: tuple[PresetView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedAttribute:
    """What became of one attribute in one use, and the reason's code."""

    attribute: str
    effect: Effect
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UseView:
    """One use of the person's data, or one refusal of it.

    Attributes:
        index: the entry's index in the ledger.
        at: when, in POSIX seconds.
        service: the service's id.
        purpose: the purpose's id.
        title: what the service is called.
        purpose_text: the purpose in one plain sentence.
        outcome: what became of the use as a whole.
        attributes: what became of each attribute; empty where that tells
            nothing, as in a person's own look.

    """

    index: int
    at: int
    service: str
    purpose: str
    title: Text
    purpose_text: Text
    outcome: Outcome
    attributes: tuple[UsedAttribute, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsesPage:
    """Some uses, newest first, and where the older ones begin.

    Attributes:
        entries: the uses.
        older: pass as ``before`` for the next page; None at the end.

    """

    entries: tuple[UseView, ...]
    older: int | None


class PersonDesk(Protocol):
    """What one person can see and do.

    Every method may raise `NoDecision` when the policies cannot be
    asked, and must then have shown and changed nothing.
    """

    async def own_data(self, subject: UUID) -> list[HeldAttribute]:
        """Return all that is held about the person, each attribute once."""

    async def own_services(self, subject: UUID) -> list[ServiceView]:
        """Return every service and purpose with the person's answers."""

    async def preferences(self, subject: UUID) -> PreferencesView:
        """Return the person's standing preferences."""

    async def set_preferences(
        self, subject: UUID, preset: str, expected_version: int
    ) -> None:
        """Put a preset in force.

        Raises:
            Conflict: the preferences are no longer at the version
                that the person saw.

        """

    async def decide(  # noqa: PLR0917 - the parts of one answer, always named
        self,
        subject: UUID,
        service: str,
        purpose: str,
        statement: str,
        choice: Choice,
        optional: tuple[str, ...],
        declaration_digest: str,
        notice_digest: str,
        language: str,
    ) -> UUID:
        """Record an answer to one statement.

        Args:
            subject: the person.
            service: the service's id.
            purpose: the purpose's id.
            statement: the statement's id.
            choice: the answer.
            optional: with `Choice.GIVE`, the optional attributes allowed.
            declaration_digest: the declaration that was shown.
            notice_digest: the notice that was shown.
            language: the language that the notice was shown in.

        Returns:
            The id of the recorded event.

        Raises:
            Conflict: the declaration or the notice has changed.

        """

    async def notice(
        self, service: str, purpose: str, language: str
    ) -> NoticeView:
        """Return the notice of a service and purpose in a language."""

    async def own_uses(
        self, subject: UUID, before: int | None, limit: int
    ) -> UsesPage:
        """Return uses of the person's data, newest first.

        Args:
            subject: the person.
            before: only entries with a smaller index.
            limit: how many at most.

        Returns:
            The entries and the next cursor.

        """

    async def receipt(self, subject: UUID, event_id: UUID) -> str:
        """Return the signed receipt of one of the person's own answers.

        Raises:
            NotFound: this person has no such event.

        """

    async def proof(self, subject: UUID, index: int) -> str:
        """Return the self-contained proof of one of the person's entries.

        Raises:
            NotFound: this person has no such entry.

        """
