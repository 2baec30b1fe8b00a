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
    REQUESTED = "requested"
    PAUSED = "paused"
    REVOKED = "revoked"
    INVALIDATED = "invalidated"


class Choice(StrEnum):
    """What the person can answer to one statement."""

    GIVE = "give"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    PAUSE = "pause"
    RESUME = "resume"


class ReceiptForm(StrEnum):
    """In which form a receipt is handed over."""

    ISO = "iso"
    KANTARA = "kantara"
    ODRL = "odrl"


class Effect(StrEnum):
    """What became of one attribute in one use."""

    RELEASE = "release"
    GENERALIZE = "generalize"
    WITHHOLD = "withhold"


class Outcome(StrEnum):
    """What one entry is: the end of a request, or another act on the data.

    The first three end a service's request. The others tell, in the same
    list, of the person's own look, of their answer or preference, of a
    change to what is held, of an officer's look, of a de-identified extract,
    of a service that asked whether it may read, and read nothing, of a
    service that was told of a no, of a request on which the policies could
    not decide, so that nothing was given, of a service that had the person
    asked, and of the steps of emergency access.
    """

    RELEASED = "released"
    PARTLY = "partly"
    REFUSED = "refused"
    OPENED = "opened"
    ANSWERED = "answered"
    CHANGED = "changed"
    OFFICER = "officer"
    EXTRACT = "extract"
    JUDGED = "judged"
    TOLD = "told"
    UNDECIDED = "undecided"
    ASKED = "asked"
    GLASS_GRANTED = "glass-granted"
    GLASS_OPENED = "glass-opened"
    GLASS_APPROVED = "glass-approved"
    GLASS_ENDED = "glass-ended"
    GLASS_LAPSED = "glass-lapsed"
    GLASS_REFUSED = "glass-refused"


class DisputeMark(StrEnum):
    """How what the person says against a value stands."""

    OPEN = "open"
    WITHDRAWN = "withdrawn"
    CORRECTED = "corrected"
    CONFIRMED = "confirmed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeView:
    """What the person says against the current value of one attribute.

    Attributes:
        id: its own.
        statement: the person's words; never printed by ``repr``.
        at: when it was made, in POSIX seconds.
        state: how it stands.

    """

    id: UUID
    statement: str
    at: int
    state: DisputeMark

    def __repr__(self) -> str:
        return f"DisputeView({self.id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAttribute:
    """One attribute as the vault holds it now.

    Attributes:
        attribute: its name in the catalogue.
        value: its plain value; never printed by ``repr``.
        source: the register or channel that it came from.
        recorded_at: when it was recorded, in POSIX seconds.
        disputes: what the person says against it, oldest first.

    """

    attribute: str
    value: str
    source: str
    recorded_at: int
    disputes: tuple[DisputeView, ...] = ()

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
        asked_again: what the person is asked now because the declaration
            does more than what they agreed to; nothing else is asked.
        apart: whether it takes a notice and an act of its own.
        requested: what services had the person asked for, that they have
            not answered.
        changed: lines of the notice that are no longer as they were
            answered: whether a line is new, and the line.

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
    asked_again: tuple[str, ...] = ()
    apart: bool = False
    changed: tuple[tuple[bool, str], ...] = ()
    requested: tuple[str, ...] = ()


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
        served: the hash of its having been served; nothing where it is only
            looked up.

    """

    text: str
    digest: str
    served: str = ""


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
    """What became of one attribute in one use.

    Attributes:
        attribute: its name.
        effect: what became of it.
        reason: the reason's code; empty where the policies did not decide.

    """

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
        reason: why an officer acted, in their own words; else empty.
        case: the reference of the case that they named; else empty.

    """

    index: int
    at: int
    service: str
    purpose: str
    title: Text
    purpose_text: Text
    outcome: Outcome
    attributes: tuple[UsedAttribute, ...]
    reason: str = ""
    case: str = ""


class Reply(StrEnum):
    """What a service that was told of a no has said by now."""

    WAITING = "waiting"
    UNREACHABLE = "unreachable"
    RECEIVED = "received"
    DELETED = "deleted"
    STOPPED = "stopped"
    KEPT = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldView:
    """One service that was told of a no, and what it answered.

    Attributes:
        title: what the service is called.
        at: when the person said no, in POSIX seconds.
        deadline: until when the service has to say what it did.
        reply: what it has said.
        late: whether the deadline has passed without an answer.

    """

    title: Text
    at: int
    deadline: int
    reply: Reply
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseView:
    """One de-identified extract that the person's row was in.

    Attributes:
        title: what the service that asked for it is called.
        recipient: who got it.
        recipient_title: what the recipient is called, or None.
        at: when, in POSIX seconds.
        until: until when it may be used, or None.
        recalled: whether it was called back since.

    """

    title: Text
    recipient: str
    at: int
    until: int | None
    recalled: bool
    recipient_title: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsesPage:
    """Some uses, newest first, and where the older ones begin.

    Attributes:
        entries: the uses.
        older: pass as ``before`` for the next page; None at the end.
        undisclosed: by year, how many entries about anybody are not shown
            yet; None for fewer than ten, which may be none.

    """

    entries: tuple[UseView, ...]
    older: int | None
    undisclosed: tuple[tuple[int, int | None], ...] = ()


class PersonDesk(Protocol):
    """What one person can see and do.

    Every method may raise `NoDecision` when the policies cannot be
    asked, and must then have shown and changed nothing.
    """

    async def own_data(self, subject: UUID) -> list[HeldAttribute]:
        """Return all that is held about the person, each attribute once."""

    async def dispute(
        self, subject: UUID, attribute: str, statement: str
    ) -> None:
        """Keep what the person says against a value beside it.

        Raises:
            NotFound: nothing of that name is held.
            FormInvalid: the statement is no text, or there are too many.

        """

    async def withdraw_dispute(
        self, subject: UUID, attribute: str, dispute: UUID
    ) -> None:
        """Close what the person no longer says.

        Raises:
            NotFound: none of that id is open.

        """

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
        served: str,
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
            served: the hash of the notice's having been served.

        Returns:
            The id of the recorded event.

        Raises:
            Conflict: the declaration or the notice has changed.

        """

    async def notice(
        self, service: str, purpose: str, language: str, statement: str
    ) -> NoticeView:
        """Return the notice that an answer to a statement refers to."""

    async def serve(
        self,
        subject: UUID,
        service: str,
        purpose: str,
        language: str,
        statement: str,
    ) -> NoticeView:
        """Return the notice, and keep that this person was shown it.

        Args:
            subject: the person.
            service: the service's id.
            purpose: the purpose's id.
            language: the language.
            statement: the statement that is asked apart; nothing for all
                others.

        """

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

    async def receipt(
        self, subject: UUID, event_id: UUID, form: ReceiptForm
    ) -> str:
        """Return the receipt of one of the person's own answers.

        Raises:
            NotFound: this person has no such event.

        """

    async def usage_receipt(self, subject: UUID, index: int) -> str:
        """Return the signed receipt of one answer that a service got.

        Raises:
            NotFound: there is no such entry about this person.

        """

    async def released(self, subject: UUID) -> list[ReleaseView]:
        """Return the extracts that had the person, the latest first."""

    async def told(self, subject: UUID) -> list[ToldView]:
        """Return which services were told of a no, the latest first."""

    async def proof(self, subject: UUID, index: int) -> str:
        """Return the self-contained proof of one of the person's entries.

        Raises:
            NotFound: this person has no such entry.

        """

    async def head(self, subject: UUID) -> str:
        """Return the signed count of the person's entries, as a document."""
