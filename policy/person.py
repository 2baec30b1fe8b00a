"""What the person does through the gate: look, answer, prefer, restrain.

Every look at values is authorized by `policies/api`, recorded, and only
then opened. A change of consent, preference or restraint commits together
with its ledger entry and bumps the fact revision in the same transaction,
so a decision made before it cannot be acted on after it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from consent import (
    Appended,
    Commit,
    ConsentEvent,
    ConsentStore,
    Declaration,
    Draft,
    EntryKind,
    EventType,
    GroupCommit,
    Ledger,
    LedgerUnavailable,
    OwnEntry,
    Preferences,
    render_notice,
)
from policy.authority import Action, Caller, authorize
from policy.errors import FactsChanged, PersonUnknown
from policy.gate import Gate, Shown
from policy.pdp import Cause, NoDecision, PolicyDecisionPoint
from policy.reading import Reader
from policy.restraints import RestraintKind, RestraintStore
from vault import Holding, Vault

OWN_PURPOSE = "own-view"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the person answers to one statement of one declaration.

    `declaration` and `notice` are digests of what they were shown; an
    answer to something else is refused. `attributes` names what is allowed
    (all essential ones, and the optional ones that were chosen).
    """

    service: str
    purpose: str
    statement: str
    type: EventType
    attributes: tuple[str, ...]
    declaration: str
    notice: str
    language: str
    channel: str = "web"


class PersonDoor:
    """The person's side of the gate."""

    def __init__(
        self,
        *,
        gate: Gate,
        vault: Vault,
        consents: ConsentStore,
        restraints: RestraintStore,
        ledger: Ledger,
        commits: GroupCommit,
        pdp: PolicyDecisionPoint,
        reader: Reader,
        clock: Callable[[], int],
    ) -> None:
        self._gate = gate
        self._vault = vault
        self._consents = consents
        self._restraints = restraints
        self._ledger = ledger
        self._commits = commits
        self._pdp = pdp
        self._read = reader
        self._clock = clock

    async def own_view(self, caller: Caller, subject: UUID) -> Sequence[Shown]:
        """Everything held about the person, each attribute once.

        Raises:
            NotPermitted: `caller` is somebody else.
            PersonUnknown: there is no such person any more.

        """
        await self._allow(caller, Action.OWN_VIEW, subject)
        holding = self._known(subject)
        return await self._gate.record_then_show(
            holding=holding,
            revision=self._revision(subject),
            draft=self._draft(
                holding,
                EntryKind.OWN_VIEW,
                purpose=OWN_PURPOSE,
                attributes=tuple(sorted(holding.present)),
                outcome="opened",
            ),
        )

    async def answer(
        self, caller: Caller, subject: UUID, answer: Answer
    ) -> ConsentEvent:
        """Record what the person answers; in force when this returns.

        Raises:
            NotPermitted: `caller` is somebody else.
            FactsChanged: the declaration or the notice is not what was
                shown.
            ConsentError: the statement is not open to consent.

        """
        await self._allow(
            caller,
            Action.CONSENT_WRITE,
            subject,
            service=answer.service,
            purpose=answer.purpose,
        )
        holding = self._known(subject)
        declaration = self._shown(answer)
        given = answer.type is EventType.GIVEN
        event = ConsentEvent(
            id=self._gate.new_id(),
            subject=subject,
            service=answer.service,
            purpose=answer.purpose,
            statement=answer.statement,
            declaration=declaration.digest,
            notice=answer.notice,
            language=answer.language,
            type=answer.type,
            attributes=answer.attributes if given else (),
            at=self._clock(),
            expires_at=None,
            actor="self",
            channel=answer.channel,
        )
        draft = self._draft(
            holding,
            EntryKind.CONSENT,
            service=answer.service,
            purpose=answer.purpose,
            attributes=answer.attributes,
            outcome=answer.type.value,
            detail={
                "statement": answer.statement,
                "event": str(event.id),
                "declaration": declaration.digest,
                "notice": answer.notice,
            },
        )
        await self._write(
            draft, lambda conn: self._consents.record(conn, event)
        )
        return event

    async def prefer(
        self,
        caller: Caller,
        subject: UUID,
        preferences: Preferences,
        *,
        expected: int,
    ) -> int:
        """Set the person's standing preferences.

        Args:
            caller: who acts.
            subject: the person.
            preferences: the rules, in the order they are tried.
            expected: the version that the person saw, 0 for none.

        Raises:
            FactsChanged: somebody set them in between.

        """
        await self._allow(caller, Action.PREFERENCE_WRITE, subject)
        holding = self._known(subject)
        draft = self._draft(
            holding,
            EntryKind.PREFERENCE,
            purpose=OWN_PURPOSE,
            outcome="set",
        )
        now = draft.at

        def check(_conn: Connection) -> None:
            if self._consents.preferences(subject).version != expected:
                msg = "the preferences were set by another answer since"
                raise FactsChanged(msg)

        await self._write(
            draft,
            lambda conn: self._consents.set_preferences(
                conn, subject, preferences, now
            ),
            check=check,
        )
        return self._consents.preferences(subject).version

    async def restrain(
        self,
        caller: Caller,
        subject: UUID,
        kind: RestraintKind,
        *,
        purpose: str = "",
    ) -> UUID:
        """Restrict all use (GDPR 18) or object to a purpose (GDPR 21)."""
        await self._allow(caller, Action.PREFERENCE_WRITE, subject)
        holding = self._known(subject)
        draft = self._draft(
            holding,
            EntryKind.RESTRICTION
            if kind is RestraintKind.RESTRICTION
            else EntryKind.OBJECTION,
            purpose=purpose or OWN_PURPOSE,
            outcome="imposed",
        )
        made: list[UUID] = []

        def write(conn: Connection) -> None:
            made.append(
                self._restraints.impose(
                    conn, subject, kind, purpose=purpose, now=draft.at
                )
            )
            self._consents.bump(conn, subject)

        await self._write(draft, write)
        return made[0]

    async def own_uses(
        self, caller: Caller, subject: UUID, *, before: int | None, limit: int
    ) -> Sequence[OwnEntry]:
        """Entries about the person, newest first, refusals included."""
        await self._allow(caller, Action.OWN_VIEW, subject)
        key = self._vault.log_key(self._known(subject))
        return self._ledger.own_entries(key, before=before, limit=limit)

    async def proof(self, caller: Caller, subject: UUID, index: int) -> str:
        """A self-contained proof of one entry, for offline verification."""
        await self._allow(caller, Action.OWN_VIEW, subject)
        key = self._vault.log_key(self._known(subject))
        # Signed between two batches, so that the proof need not sign.
        await self._commits.checkpoint()
        return self._ledger.disclosure_proof(index, key)

    async def _allow(
        self,
        caller: Caller,
        action: Action,
        subject: UUID,
        **target: str,
    ) -> None:
        await authorize(
            self._pdp,
            caller,
            action,
            target={"subject": str(subject), **target},
        )

    def _known(self, subject: UUID) -> Holding:
        holding = self._vault.holding(subject)
        if not holding.known:
            msg = f"person {subject} is not known here"
            raise PersonUnknown(msg)
        return holding

    def _revision(self, subject: UUID) -> int:
        return self._read.now(
            lambda conn: self._consents.revision(conn, subject)
        )

    def _shown(self, answer: Answer) -> Declaration:
        declaration = self._consents.declaration(
            answer.service, answer.purpose
        )
        if declaration is None or declaration.digest != answer.declaration:
            msg = f"{answer.service}/{answer.purpose} was declared anew"
            raise FactsChanged(msg)
        notice = render_notice(declaration, answer.language)
        if answer.type is EventType.WITHDRAWN:
            # Nothing need be read again before a withdrawal.
            return declaration
        if notice.digest != answer.notice:
            msg = "the answer is to another notice than the one in force"
            raise FactsChanged(msg)
        return declaration

    def _draft(
        self,
        holding: Holding,
        kind: EntryKind,
        *,
        purpose: str,
        outcome: str,
        service: str = "self",
        attributes: tuple[str, ...] = (),
        detail: Mapping[str, str] | None = None,
    ) -> Draft:
        return Draft(
            kind=kind,
            subject=holding.subject,
            log_key=self._vault.log_key(holding),
            service=service,
            purpose=purpose,
            attributes=attributes,
            outcome=outcome,
            at=self._clock(),
            decision=self._gate.new_id(),
            detail=dict(detail or {}),
        )

    async def _write(
        self,
        draft: Draft,
        write: Callable[[Connection], object],
        *,
        check: Callable[[Connection], None] | None = None,
    ) -> None:
        def after(conn: Connection, _appended: Sequence[Appended]) -> None:
            write(conn)

        try:
            await self._commits.submit(
                Commit(check=check, drafts=(draft,), after=after)
            )
        except LedgerUnavailable:
            raise NoDecision(Cause.LEDGER) from None
