"""What officers do through the gate: admit, correct, look, erase.

Each act is authorized by `policies/api` and leaves one ledger entry in the
transaction of its change (an import: one entry a batch). An officer's look
at a person names its justification and is an entry that the person sees.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from consent import (
    AuditEntry,
    ConsentEvent,
    ConsentStore,
    Draft,
    EntryKind,
    Ledger,
    Preferences,
    Withheld,
)
from policy.authority import Action, Caller, authorize
from policy.consent_writer import entry_of, rules_of
from policy.decisions import Json
from policy.erasing import Eraser
from policy.errors import PersonUnknown, RequestInvalid
from policy.evidence import EPOCH
from policy.gate import Gate, Shown
from policy.holding import HoldDesk
from policy.pdp import PolicyDecisionPoint
from policy.reading import Reader
from policy.retention import Retention
from policy.retrying import look_again, look_again_now
from policy.visibility import OFFICE
from vault import Confidence, ErasureReport, Holding, Transactions, Vault

IMPORT_PURPOSE = "register-keeping"
VIEW_PURPOSE = "officer-view"


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
        transactions: Transactions,
        gate: Gate,
        vault: Vault,
        consents: ConsentStore,
        eraser: Eraser,
        holds: HoldDesk,
        retention: Retention,
        ledger: Ledger,
        pdp: PolicyDecisionPoint,
        reader: Reader,
        clock: Callable[[], int],
    ) -> None:
        self._transactions = transactions
        self._gate = gate
        self._vault = vault
        self._consents = consents
        self._eraser = eraser
        self._holds = holds
        self._retention = retention
        self._ledger = ledger
        self._pdp = pdp
        self._read = reader
        self._clock = clock

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
        draft = self._draft(
            EntryKind.IMPORT,
            attributes=tuple(names),
            outcome="imported",
            detail={"people": len(people), "source": source},
        )

        def write(conn: Connection) -> int:
            self._ledger.lock(conn)
            self._consents.admit(conn, subjects)
            self._vault.put_many(
                conn, zip(subjects, people, strict=True), source=source
            )
            self._retention.date(conn, zip(subjects, people, strict=True))
            return self._ledger.append(conn, [draft])[0].numbered()

        index = self._transactions.run(write)
        return Admitted(subjects=tuple(subjects), index=index)

    def enter_forms_now(self, forms: Sequence[Form]) -> int:
        """Enter answers that people gave on paper, after `may_import`.

        Returns:
            How many entries were written: one for each answer, and each
            is about its person, who sees it.

        Raises:
            ConsentError: an answer cannot be evidence; nothing is entered.

        """
        now = self._clock()

        def write(conn: Connection) -> None:
            self._ledger.lock(
                conn,
                *(
                    self._vault.log_key(self._known(form.subject))
                    for form in forms
                ),
            )
            with self._ledger.batch(conn) as batch:
                for form in forms:
                    batch.add(self._enter(conn, form, now))

        self._transactions.run(write)
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
                    EntryKind.PREFERENCE,
                    form,
                    log_key,
                    now,
                    outcome="set",
                    detail=rules_of(
                        self._consents.preferences(form.subject, conn).version,
                        form.preferences,
                    ),
                )
            )
        if form.answers:
            # One form is one act: what is asked apart has a form of its own.
            self._consents.record_act(conn, form.answers)
        drafts += [
            self._form_draft(
                EntryKind.CONSENT,
                form,
                log_key,
                now,
                service=event.service,
                purpose=event.purpose,
                attributes=event.attributes,
                outcome=event.type.value,
                detail=entry_of(event),
            )
            for event in form.answers
        ]
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
        detail: Mapping[str, Json] | None = None,
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
            detail={**(detail or {}), "channel": "paper"},
        )

    async def correct(
        self,
        officer: Caller,
        subject: UUID,
        values: Mapping[str, str],
        *,
        source: str,
        valid_from: int | None = None,
        valid_until: int | None = None,
        confidence: Confidence = Confidence.UNSTATED,
    ) -> int:
        """Replace values of one person; the old ones stay as history.

        Args:
            officer: who corrects.
            subject: the person.
            values: by attribute name; others stay.
            source: where they come from.
            valid_from: since when they hold, POSIX seconds; now, if left
                out.
            valid_until: from when they hold no longer; open, if left out.
            confidence: how sure they are.

        Returns:
            The ledger index of the correction.

        """
        await authorize(
            self._pdp,
            officer,
            Action.VAULT_CORRECT,
            target={"subject": str(subject)},
        )

        def write(conn: Connection, holding: Holding) -> int:
            draft = self._draft(
                EntryKind.CORRECTION,
                holding=holding,
                attributes=tuple(sorted(values)),
                outcome="corrected",
            )
            self._ledger.lock(conn, self._vault.log_key(holding))
            epoch = self._vault.put(
                conn,
                holding.subject,
                values,
                source=source,
                valid_from=valid_from,
                valid_until=valid_until,
                confidence=confidence,
            )
            self._retention.date(conn, [(holding.subject, values)])
            self._consents.bump(conn, holding.subject)
            detail: dict[str, Json] = {"source": source, EPOCH: epoch}
            return self._ledger.append(conn, [replace(draft, detail=detail)])[
                0
            ].numbered()

        def look_up_and_write() -> int:
            holding = self._known(subject)
            return self._transactions.run(partial(write, holding=holding))

        return look_again_now(look_up_and_write)

    async def officer_view(
        self,
        officer: Caller,
        subject: UUID,
        attributes: frozenset[str],
        *,
        justification: str,
        purpose: str = VIEW_PURPOSE,
        of: Mapping[str, Json] | None = None,
    ) -> Sequence[Shown]:
        """Open a person's values for an officer who says why.

        Args:
            officer: who looks.
            subject: the person.
            attributes: what is opened, of what is held.
            justification: why; the person sees it with the entry.
            purpose: another than the usual one has a rule of visibility,
                by which the person may learn of the look later.
            of: what was looked at beside values, for the entry's detail.

        Raises:
            NotPermitted: no justification, or not this officer's role.
            PersonUnknown: there is no such person.
            RequestInvalid: no rule is in force about this purpose.

        """
        await authorize(
            self._pdp,
            officer,
            Action.OFFICER_VIEW,
            target={"subject": str(subject)},
            justification=justification,
        )

        async def look() -> Sequence[Shown]:
            holding = self._known(subject)
            granted = attributes & holding.present
            withheld = self._withheld(purpose)
            revision = await self._read(
                lambda conn: self._consents.revision(conn, holding.subject)
            )
            return await self._gate.record_then_show(
                holding=holding,
                revision=revision,
                draft=self._draft(
                    EntryKind.OFFICER_VIEW,
                    holding=holding,
                    purpose=purpose,
                    attributes=tuple(sorted(granted)),
                    outcome="opened",
                    detail={
                        **(of or {}),
                        "officer": officer.id,
                        "justification": justification,
                        EPOCH: self._vault.attest(holding),
                    },
                    withheld=withheld,
                ),
            )

        return await look_again(look)

    def _withheld(self, purpose: str) -> Withheld | None:
        rules = self._gate.visibility
        if purpose != VIEW_PURPOSE and not rules.standing(OFFICE, purpose):
            msg = f"no rule of visibility is in force about {purpose}"
            raise RequestInvalid(msg)
        return rules.withheld_now(OFFICE, purpose, self._clock())

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
        outcome after (`Eraser.recover` finishes an interrupted one).

        Raises:
            NotPermitted: by the policies.
            PersonUnknown: there is no such person.
            ErasureWaits: a legal hold stands; the request is recorded.
            JournalUnavailable: the journal cannot be written; nothing was
                done.

        """
        await authorize(
            self._pdp,
            caller,
            Action.ERASE,
            target={"subject": str(subject), "proposer": proposer},
            justification=justification,
        )
        self._holds.erase(subject, proposer=proposer or caller.id)
        return self._eraser.erase(subject).report

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
        withheld: Withheld | None = None,
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
            withheld=withheld,
        )
