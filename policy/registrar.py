"""What officers do through the gate: admit, correct, publish, look, erase.

Each act is authorized by `policies/api` and leaves one ledger entry in the
transaction of its change (an import: one entry a batch). An officer's look
at a person names its justification and is an entry that the person sees.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine

from consent import (
    AuditEntry,
    ConsentEvent,
    ConsentStore,
    Declaration,
    Draft,
    EntryKind,
    Ledger,
    Preferences,
)
from policy.authority import Action, Caller, authorize
from policy.decisions import Json
from policy.errors import PersonUnknown
from policy.gate import Gate, Shown
from policy.pdp import PolicyDecisionPoint
from policy.reading import Reader
from policy.restraints import RestraintStore
from policy.store import TAG, DecisionStore
from vault import ErasureReport, Holding, NoteBox, Vault

IMPORT_PURPOSE = "register-keeping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """One batch that went in: the new people, and where it is recorded."""

    subjects: tuple[UUID, ...]
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What one person wrote on paper: answers, and standing preferences."""

    subject: UUID
    answers: tuple[ConsentEvent, ...] = ()
    preferences: Preferences | None = None

    @property
    def entries(self) -> int:
        """How many ledger entries the form makes."""
        return len(self.answers) + (self.preferences is not None)


class RegistrarDoor:
    """The officers' side of the gate."""

    def __init__(
        self,
        *,
        engine: Engine,
        gate: Gate,
        vault: Vault,
        consents: ConsentStore,
        restraints: RestraintStore,
        decisions: DecisionStore,
        ledger: Ledger,
        pdp: PolicyDecisionPoint,
        reader: Reader,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._engine = engine
        self._gate = gate
        self._vault = vault
        self._consents = consents
        self._restraints = restraints
        self._decisions = decisions
        self._ledger = ledger
        self._pdp = pdp
        self._read = reader
        self._clock = clock
        self._random = random

    async def may_import(self, officer: Caller) -> None:
        """Ask once, before a long import, whether this officer may.

        Raises:
            NotPermitted: the policies refuse.

        """
        await authorize(self._pdp, officer, Action.VAULT_IMPORT, target={})

    async def admit(
        self,
        officer: Caller,
        people: Sequence[Mapping[str, str]],
        *,
        source: str,
    ) -> Admitted:
        """Take new people in, all of them or none.

        Args:
            officer: who imports.
            people: canonical or raw values by attribute name.
            source: where the values come from; kept with each.

        Raises:
            NotPermitted: this officer may not import.
            InvalidValue, DuplicateIdentifier: one value is refused; the
                message names the attribute, never the value.

        """
        await self.may_import(officer)
        return self.admit_now(people, source=source)

    def admit_now(
        self, people: Sequence[Mapping[str, str]], *, source: str
    ) -> Admitted:
        """`admit` on the calling thread, after `may_import` was asked."""
        subjects = self._vault.enrol_many(len(people))
        names = sorted({name for person in people for name in person})
        with self._engine.begin() as conn:
            self._ledger.lock(conn)
            self._vault.put_many(
                conn, zip(subjects, people, strict=True), source=source
            )
            appended = self._ledger.append(
                conn,
                [
                    self._draft(
                        EntryKind.IMPORT,
                        attributes=tuple(names),
                        outcome="imported",
                        detail={"people": len(people), "source": source},
                    )
                ],
            )
        return Admitted(subjects=tuple(subjects), index=appended[0].index)

    def enter_forms_now(self, forms: Sequence[Form]) -> int:
        """Enter answers that people gave on paper, after `may_import`.

        Returns:
            How many entries were written: one for each answer, and each
            is about its person, who sees it.

        Raises:
            ConsentError: an answer cannot be evidence; nothing is entered.

        """
        now = self._clock()
        with self._engine.begin() as conn, self._ledger.batch(conn) as batch:
            for form in forms:
                batch.add(self._enter(conn, form, now))
        return sum(form.entries for form in forms)

    def _enter(self, conn: Connection, form: Form, now: int) -> list[Draft]:
        holding = self._known(form.subject)
        log_key = self._vault.log_key(holding)
        drafts = []
        if form.preferences is not None:
            self._consents.set_preferences(
                conn, form.subject, form.preferences, now
            )
            drafts.append(
                self._form_draft(
                    EntryKind.PREFERENCE, form, log_key, now, outcome="set"
                )
            )
        for event in form.answers:
            self._consents.record(conn, event)
            drafts.append(
                self._form_draft(
                    EntryKind.CONSENT,
                    form,
                    log_key,
                    now,
                    service=event.service,
                    purpose=event.purpose,
                    attributes=event.attributes,
                    outcome=event.type.value,
                )
            )
        return drafts

    def _form_draft(
        self,
        kind: EntryKind,
        form: Form,
        log_key: bytes,
        now: int,
        *,
        service: str = "registrar",
        purpose: str = IMPORT_PURPOSE,
        attributes: tuple[str, ...] = (),
        outcome: str,
    ) -> Draft:
        return Draft(
            kind=kind,
            subject=form.subject,
            log_key=log_key,
            service=service,
            purpose=purpose,
            attributes=attributes,
            outcome=outcome,
            at=now,
            decision=self._gate.new_id(),
            detail={"channel": "paper"},
        )

    async def correct(
        self,
        officer: Caller,
        subject: UUID,
        values: Mapping[str, str],
        *,
        source: str,
    ) -> int:
        """Replace values of one person; the old ones stay as history.

        Returns:
            The ledger index of the correction.

        """
        await authorize(
            self._pdp,
            officer,
            Action.VAULT_CORRECT,
            target={"subject": str(subject)},
        )
        holding = self._known(subject)
        draft = self._draft(
            EntryKind.CORRECTION,
            holding=holding,
            attributes=tuple(sorted(values)),
            outcome="corrected",
            detail={"source": source},
        )
        with self._engine.begin() as conn:
            self._ledger.lock(conn)
            self._vault.put(conn, subject, values, source=source)
            self._consents.bump(conn, subject)
            return self._ledger.append(conn, [draft])[0].index

    async def publish(
        self, officer: Caller, declaration: Declaration, *, proposer: str
    ) -> None:
        """Put a declaration into force; proposed by somebody else.

        Raises:
            NotPermitted: the same person proposed and publishes.
            DeclarationFrozen: this version was answered already.

        """
        await authorize(
            self._pdp,
            officer,
            Action.DECLARATION_PUBLISH,
            target={
                "service": declaration.service,
                "purpose": declaration.purpose,
                "proposer": proposer,
            },
        )
        draft = self._draft(
            EntryKind.DECLARATION,
            service=declaration.service,
            purpose=declaration.purpose,
            outcome="published",
            detail={
                "digest": declaration.digest,
                "version": declaration.version,
                "proposer": proposer,
                "officer": officer.id,
            },
        )
        with self._engine.begin() as conn:
            self._ledger.lock(conn)
            self._consents.register(conn, declaration)
            self._ledger.append(conn, [draft])

    async def officer_view(
        self,
        officer: Caller,
        subject: UUID,
        attributes: frozenset[str],
        *,
        justification: str,
    ) -> Sequence[Shown]:
        """Open a person's values for an officer who says why.

        Raises:
            NotPermitted: no justification, or not this officer's role.
            PersonUnknown: there is no such person.

        """
        await authorize(
            self._pdp,
            officer,
            Action.OFFICER_VIEW,
            target={"subject": str(subject)},
            justification=justification,
        )
        holding = self._known(subject)
        granted = attributes & holding.present
        revision = await self._read(
            lambda conn: self._consents.revision(conn, subject)
        )
        return await self._gate.record_then_show(
            holding=holding,
            revision=revision,
            draft=self._draft(
                EntryKind.OFFICER_VIEW,
                holding=holding,
                purpose="officer-view",
                attributes=tuple(sorted(granted)),
                outcome="opened",
                detail={
                    "officer": officer.id,
                    "justification": justification,
                },
            ),
        )

    async def erase(
        self,
        caller: Caller,
        subject: UUID,
        *,
        proposer: str,
        justification: str = "",
    ) -> ErasureReport:
        """Destroy a person's key, values, index entries and openings.

        The ledger keeps the leaves, so it still verifies. The change of
        keys lives in another file: its intent is written before and its
        outcome after (`Vault.recover` finishes an interrupted one).

        Raises:
            NotPermitted: by the policies.
            PersonUnknown: there is no such person.

        """
        await authorize(
            self._pdp,
            caller,
            Action.ERASE,
            target={"subject": str(subject), "proposer": proposer},
            justification=justification,
        )
        holding = self._known(subject)
        log_key = self._vault.log_key(holding)
        tag = NoteBox(log_key, random=self._random).tag(TAG)
        with self._engine.begin() as conn:
            self._ledger.lock(conn)
            report = self._vault.erase(conn, subject)
            self._forget(conn, subject, log_key, tag)
            self._ledger.append(
                conn,
                [
                    self._draft(
                        EntryKind.ERASURE,
                        outcome="erased",
                        detail={"attributes": report.values},
                    )
                ],
            )
        return report

    async def audit(
        self,
        officer: Caller,
        *,
        service: str | None = None,
        purpose: str | None = None,
        after: int = -1,
        limit: int = 100,
    ) -> Sequence[AuditEntry]:
        """Entries of the ledger as officers see them: no person in them.

        Args:
            officer: who looks.
            service: only this one.
            purpose: only this one.
            after: only entries above this index.
            limit: at most so many.

        Raises:
            NotPermitted: neither auditor nor compliance officer.

        """
        await authorize(self._pdp, officer, Action.LEDGER_AUDIT, target={})
        return self._ledger.audit_entries(
            service=service, purpose=purpose, after=after, limit=limit
        )

    def _forget(
        self, conn: Connection, subject: UUID, log_key: bytes, tag: bytes
    ) -> None:
        self._consents.forget(conn, subject)
        self._consents.bump(conn, subject)
        self._restraints.forget(conn, subject)
        self._decisions.forget(conn, tag)
        self._ledger.erase(conn, log_key)

    def _known(self, subject: UUID) -> Holding:
        holding = self._vault.holding(subject)
        if not holding.known:
            msg = f"person {subject} is not known here"
            raise PersonUnknown(msg)
        return holding

    def _draft(
        self,
        kind: EntryKind,
        *,
        holding: Holding | None = None,
        service: str = "registrar",
        purpose: str = IMPORT_PURPOSE,
        attributes: tuple[str, ...] = (),
        outcome: str,
        detail: Mapping[str, Json] | None = None,
    ) -> Draft:
        return Draft(
            kind=kind,
            subject=None if holding is None else holding.subject,
            log_key=None if holding is None else self._vault.log_key(holding),
            service=service,
            purpose=purpose,
            attributes=attributes,
            outcome=outcome,
            at=self._clock(),
            decision=self._gate.new_id(),
            detail=dict(detail or {}),
        )
