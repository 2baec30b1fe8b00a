"""What people answered and want, and what they were asked.

Writing takes the caller's transaction. Every answer and every change of
preferences counts up the person's fact revision in that transaction: who
decided under an older revision must decide again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, Engine, Select

from consent.answers import NEEDS_NOTICE, PAPER, check_answer
from consent.comparing import (
    Asked,
    DeclarationPlan,
    compare,
    count_asked,
    difference,
)
from consent.declarations import Declaration
from consent.errors import (
    ConsentDamaged,
    MandateInvalid,
    NoticeNotServed,
    RecordInvalid,
    SeparateConsentNeeded,
    UnknownDeclaration,
    UnknownNotice,
)
from consent.event_log import WIDTH, EventLog, as_event
from consent.fact_parts import (
    MANDATES_PART,
    RULES_PART,
    Parts,
    Rows,
    answers_part,
)
from consent.kept import Kept, Page
from consent.lifecycle import BY_CONTROLLER, IN_FORCE, placed
from consent.mandates import (
    MAY,
    Mandate,
    Mandates,
    changed_alone,
    fitting,
    read_mandates,
    under_age,
)
from consent.many import Answered
from consent.notices import Notice
from consent.people import Rules, StoredPreferences
from consent.preferences import Preferences
from consent.prepared import listed
from consent.records import ConsentEvent, ConsentState, carried, states
from consent.registry import DeclarationRegistry
from consent.registry_rows import Change, Standing
from consent.revisions import Counted, Revisions
from consent.row_macs import RowMacs
from consent.rule_terms import Uses
from consent.separation import check_act, separate_grounds
from consent.serving import KEPT, Served, ServedLog
from consent.use_store import UseCounts
from consent.vocabulary import EventType

Heard: TypeAlias = Callable[
    [Connection, ConsentEvent, Sequence[ConsentEvent]], None
]
"""Hears of each event in its transaction, and of the log before it."""


def _nobody(*_recorded: object) -> None:
    """Hear of an event and write nothing."""


class Told(NamedTuple):
    """What one person allows one service.

    Attributes:
        revision: the fact revision, read before all else.
        parts: vouches for what is read of the person elsewhere.
        events: their answers, in the order of the log.
        preferences: their rules.
        uses: what was used under their counted rules, by rule id.
    """

    revision: int
    parts: Parts
    events: list[ConsentEvent]
    preferences: StoredPreferences
    uses: Mapping[str, Uses]


class ConsentStore:
    """The consent of one tenant's people.

    Args:
        engine: the data database.
        tenant: whose people and declarations.
        macs: vouches for what decides.
        heard: called once an event is appended; what it writes stands or
            falls with the event.
        beside: selects rows of others that stand under the declarations'
            count, by a parameter `tenant`; None where there are none.
    """

    def __init__(
        self,
        engine: Engine,
        tenant: str,
        *,
        macs: RowMacs,
        heard: Heard = _nobody,
        beside: Select[Any] | None = None,
    ) -> None:
        self._heard = heard
        self.macs = macs
        self._engine = engine
        self._native_ids = engine.dialect.name != "sqlite"
        self._registry = DeclarationRegistry(engine, tenant, macs, beside)
        self._log = EventLog(engine, tenant)
        self._revisions = Revisions(engine, tenant, macs)
        self._rules = Rules(engine, tenant)
        self._uses = UseCounts(engine, tenant)
        self._served = ServedLog(engine, tenant)
        self._mandates = Mandates(engine, tenant)

    # --- declarations ---------------------------------------------------

    def register(self, conn: Connection, declaration: Declaration) -> None:
        """Add a version of a declaration, and its notices.

        Args:
            conn: the caller's transaction.
            declaration: the version. Registering it again changes nothing;
                another text of the same version replaces it as long as
                nobody answered.

        Raises:
            DeclarationFrozen: somebody answered another text of it.
            DeclarationInvalid: with its other purposes the service would ask
                so much about an attribute that it tells the value.
        """
        self._registry.register(conn, declaration)

    def demand_open(self, conn: Connection, declaration: Declaration) -> None:
        """Make sure that `register` would take a version.

        Args:
            conn: the caller's transaction, in which nothing is changed.
            declaration: the version.

        Raises:
            DeclarationFrozen: somebody answered another text of it, or a
                higher version is in force.
            DeclarationInvalid: as `register`.
        """
        self._registry.demand_open(conn, declaration)

    def asked_again(
        self, new: Declaration, now: int
    ) -> tuple[DeclarationPlan, Asked]:
        """Say what a version changes, and how many it asks again.

        Args:
            new: the version in question; it need not be registered.
            now: POSIX seconds.

        Returns:
            The plan against the version in force, and the numbers. One pass
            over all answers to the service and purpose.

        Raises:
            DeclarationInvalid: as `register`.
        """
        with self._engine.connect().execution_options(read_only=True) as conn:
            self._registry.demand_few(conn, new)
        old = self._registry.live(new.service, new.purpose)
        plan = compare(old, new)
        if old is None:
            return plan, Asked(people=0, statements={})
        asked = count_asked(
            self._log.everyone(new.service, new.purpose),
            old=old,
            new=new,
            answered=self._registry.by_digest,
            now=now,
        )
        return plan, asked

    def difference(
        self, subject: UUID, service: str, purpose: str, now: int
    ) -> dict[str, tuple[str, ...]]:
        """Say what a person who agreed has to be asked again.

        Args:
            subject: the person.
            service: the service.
            purpose: its purpose.
            now: POSIX seconds.

        Returns:
            Attributes by statement id, only where there are any.
        """
        live = self._registry.live(service, purpose)
        if live is None:
            return {}
        events = self.events(subject, service, purpose, until=now)
        found = {
            name: difference(state, live, self._registry.by_digest)
            for name, state in states(events, now).items()
        }
        return {name: asked for name, asked in found.items() if asked}

    def registry_change(
        self, conn: Connection
    ) -> AbstractContextManager[Change]:
        """Count what is changed inside of what stands under the count.

        Each row that is changed is to be told to the change.

        Args:
            conn: the caller's transaction. Nobody else changes anything of
                it before that ends.

        Raises:
            RowForged: what stands there before was not written by us.
        """
        return self._registry.change(conn)

    def registered(self, conn: Connection) -> Standing:
        """Return what stands under the count, for whoever is to vouch.

        Args:
            conn: the transaction to read in.
        """
        return self._registry.standing(conn)

    def vouch_registry(self, conn: Connection) -> Standing:
        """Vouch for what stands under the count, whoever wrote it.

        Args:
            conn: the caller's transaction.

        Returns:
            What was vouched for.
        """
        return self._registry.vouch(conn)

    def beside(self, *, anew: bool) -> Sequence[tuple[Any, ...]]:
        """Return what stands under the count beside the declarations.

        Args:
            anew: whether to look if anything changed; where not, it is as
                `declaration` last found it.

        Returns:
            The rows; the same object as long as nothing changed.

        Raises:
            RowForged: what stands under the count was not written by us.
        """
        return self._registry.beside(anew=anew)

    def declaration(
        self, service: str, purpose: str, conn: Connection | None = None
    ) -> Declaration | None:
        """Return the version in force: the highest one, or None.

        Args:
            service: the service.
            purpose: its purpose.
            conn: a transaction to read in; None reads what is committed.
        """
        return self._registry.live(service, purpose, conn)

    def declaration_by_digest(self, digest: str) -> Declaration | None:
        """Return the version that has this digest, or None."""
        return self._registry.by_digest(digest)

    def declarations(self) -> tuple[Declaration, ...]:
        """Return every version, by service, purpose and version."""
        return self._registry.all()

    def notice(self, digest: str) -> Notice:
        """Return the notice with this hash.

        Raises:
            UnknownNotice: no such text is stored, or it was changed.
        """
        return self._registry.notice(digest)[0]

    # --- answers --------------------------------------------------------

    def record(self, conn: Connection, event: ConsentEvent) -> int:
        """Append an event to the log, as an act of its own.

        Args:
            conn: the caller's transaction.
            event: what happened. Where it names no record, it goes into the
                one that the log says (`lifecycle.placed`).

        Returns:
            The person's new fact revision.

        Raises:
            UnknownDeclaration: no declaration has the digest it names.
            ConsentNotAsked: the statement's legal basis is not consent.
            SeparateConsentNeeded: its notice is not the statement's own, or
                that view of it was answered already.
            NoticeNotServed: nothing shows that what it refers to was served.
            MandateInvalid: somebody acts for another without a mandate, or
                a minor without a guardian.
            RecordInvalid: it contradicts its declaration, its notice, its
                record, itself or the log.
        """
        return self.record_act(conn, [event])

    def record_act(
        self, conn: Connection, events: Sequence[ConsentEvent]
    ) -> int:
        """Append what one act of one person answers, all of it or nothing.

        Args:
            conn: the caller's transaction.
            events: what happened, in order; never empty.

        Returns:
            The person's new fact revision.

        Raises:
            SeparateConsentNeeded: a yes that takes an act of its own is
                among others.
            ConsentError: as `record`.
        """
        answered = [(self._answered(conn, event), event) for event in events]
        check_act(answered)
        for declaration, event in answered:
            revision = self._record(conn, event, declaration)
        return revision

    def _answered(self, conn: Connection, event: ConsentEvent) -> Declaration:
        declaration = self._registry.by_digest(event.declaration, conn)
        if declaration is None:
            msg = f"event {event.id}: no declaration {event.declaration}"
            raise UnknownDeclaration(msg)
        return declaration

    def _record(
        self, conn: Connection, event: ConsentEvent, declaration: Declaration
    ) -> int:
        revision = self.bump(conn, event.subject)
        about = event.subject, event.service, event.purpose
        before = self._log.rows(*about, conn)
        earlier = [as_event(event.subject, row) for row in before]
        event = self._within_mandate(conn, event)
        check_answer(event, declaration, earlier)
        self._check_notice(conn, event, declaration)
        self._check_served(conn, event, declaration, earlier)
        record, _ = placed(event, earlier)
        self._log.append(conn, replace(event, record=record), revision)
        after = self._log.rows(*about, conn)
        # A server shows here what others committed since, past our lock.
        if [row for row in after if row[WIDTH - 1] != revision] != before:
            raise ConsentDamaged(event.subject)
        part = answers_part(event.service, event.purpose)
        self._revisions.replace(conn, event.subject, part, before, after)
        self._heard(conn, event, earlier)
        return revision

    def _within_mandate(
        self, conn: Connection, event: ConsentEvent
    ) -> ConsentEvent:
        """Check who acts; what a guardian allows ends with the mandate."""
        if event.type in BY_CONTROLLER:
            return event
        mandates = self.mandates(event.subject, conn)
        if event.actor == "self":
            if event.mandate is not None:
                msg = f"event {event.id}: nobody has a mandate for themselves"
                raise MandateInvalid(msg)
            if event.type in IN_FORCE and under_age(mandates, event.known_at):
                msg = f"event {event.id}: a guardian answers for a minor"
                raise MandateInvalid(msg)
            return event
        # In force when it was said, and still when it is written down.
        found = [
            fitting(
                mandates,
                actor=event.actor,
                name=event.mandate,
                service=event.service,
                purpose=event.purpose,
                now=instant,
            )
            for instant in {event.at, event.known_at}
        ]
        mandate = found[0]
        if mandate is None or None in found:
            msg = f"event {event.id}: no mandate in force covers it"
            raise MandateInvalid(msg)
        if event.type not in MAY[mandate.kind]:
            msg = f"event {event.id}: a mandate {mandate.kind} does not do it"
            raise MandateInvalid(msg)
        if event.type in _ALLOWING and mandate.of_age is not None:
            ends = [event.expires_at, mandate.of_age]
            return replace(
                event, expires_at=min(one for one in ends if one is not None)
            )
        return event

    def _check_notice(
        self, conn: Connection, event: ConsentEvent, declaration: Declaration
    ) -> None:
        if not event.notice and event.type not in NEEDS_NOTICE:
            return
        try:
            notice, about = self._registry.notice(event.notice, conn)
        except UnknownNotice:
            msg = f"event {event.id}: its notice is not one that was shown"
            raise RecordInvalid(msg) from None
        if (about, notice.language) != (event.declaration, event.language):
            msg = f"event {event.id}: its notice is about something else"
            raise RecordInvalid(msg)
        if notice.statement not in {"", event.statement}:
            msg = f"event {event.id}: its notice is another statement's own"
            raise RecordInvalid(msg)
        if (
            event.type in _ALLOWING
            and _apart(declaration, event.statement)
            and notice.statement != event.statement
        ):
            msg = (
                f"event {event.id}: statement {event.statement} takes a"
                " notice of its own"
            )
            raise SeparateConsentNeeded(msg)

    def _check_served(
        self,
        conn: Connection,
        event: ConsentEvent,
        declaration: Declaration,
        earlier: Sequence[ConsentEvent],
    ) -> None:
        apart = event.type in _ALLOWING and _apart(
            declaration, event.statement
        )
        if not event.served:
            # A paper form is what was served; nothing else is.
            if apart and event.channel != PAPER:
                msg = f"event {event.id}: its notice was not served"
                raise NoticeNotServed(msg)
            return
        served = self._served.get(event.subject, event.served, conn)
        if (served.notice, served.declaration, served.language) != (
            event.notice,
            event.declaration,
            event.language,
        ) or not served.at <= event.at < served.at + KEPT:
            msg = f"event {event.id}: something else was served"
            raise NoticeNotServed(msg)
        # A request says what was served before; its answer says who read.
        asked = event.type is EventType.REQUESTED
        if served.viewer != event.actor and not asked:
            msg = f"event {event.id}: it was served to somebody else"
            raise NoticeNotServed(msg)
        if apart and any(
            one.served == event.served and one.type in _ALLOWING
            for one in earlier
        ):
            msg = f"event {event.id}: that view was answered already"
            raise SeparateConsentNeeded(msg)

    # --- what was served, and mandates ----------------------------------

    def serve(self, conn: Connection, served: Served) -> str:
        """Keep that a notice was served.

        Args:
            conn: the caller's transaction.
            served: what was shown, to whom.

        Returns:
            The hash that an answer refers to.

        Raises:
            UnknownNotice: no notice of that hash is stored.
        """
        self._registry.notice(served.notice, conn)
        self._served.add(conn, served)
        return served.digest

    def served(self, subject: UUID, digest: str) -> Served:
        """Return what a person was shown.

        Raises:
            NoticeNotServed: this person was shown nothing of that hash.
        """
        return self._served.get(subject, digest)

    def add_mandate(self, conn: Connection, mandate: Mandate) -> int:
        """Keep a new mandate.

        Returns:
            The person's new fact revision.
        """
        revision = self.bump(conn, mandate.subject)
        with self._changing_mandates(conn, mandate.subject, mandate.id):
            self._mandates.add(conn, mandate)
        return revision

    def end_mandate(
        self, conn: Connection, subject: UUID, name: UUID, *, at: int, now: int
    ) -> int:
        """End a mandate, once.

        Args:
            conn: the caller's transaction.
            subject: the person.
            name: the mandate.
            at: POSIX seconds since when it no longer holds.
            now: POSIX seconds when this became known.

        Returns:
            The person's new fact revision.

        Raises:
            MandateInvalid: there is none, or it was ended already.
        """
        revision = self.bump(conn, subject)
        with self._changing_mandates(conn, subject, name):
            self._mandates.end(conn, subject, name, at, now)
        return revision

    @contextmanager
    def _changing_mandates(
        self, conn: Connection, subject: UUID, name: UUID
    ) -> Iterator[None]:
        before = self._mandates.rows(conn, subject)
        yield
        after = self._mandates.rows(conn, subject)
        # A server shows here what others committed since, past our lock.
        if not changed_alone(before, after, name):
            raise ConsentDamaged(subject)
        self._revisions.replace(conn, subject, MANDATES_PART, before, after)

    def mandates(
        self, subject: UUID, conn: Connection | None = None
    ) -> tuple[Mandate, ...]:
        """Return every mandate to act for a person, by when it was made.

        Raises:
            ConsentDamaged: what is stored of them is not as it was written.
        """
        if conn is not None:
            return self._vouched_mandates(subject, conn)
        with self._engine.connect().execution_options(read_only=True) as own:
            for _ in range(_LOOKS):
                # A server shows each statement what is committed by then.
                with suppress(ConsentDamaged):
                    return self._vouched_mandates(subject, own)
            return self._vouched_mandates(subject, own)

    def _vouched_mandates(
        self, subject: UUID, conn: Connection
    ) -> tuple[Mandate, ...]:
        counted = self._revisions.held(conn, subject)
        rows = self._mandates.rows(conn, subject)
        counted.parts.demand(MANDATES_PART, rows)
        return read_mandates(rows)

    # --- reading --------------------------------------------------------

    def events(
        self,
        subject: UUID,
        service: str,
        purpose: str,
        *,
        until: int | None,
        conn: Connection | None = None,
        parts: Parts | None = None,
    ) -> list[ConsentEvent]:
        """Return one person's log for one service and purpose.

        Args:
            subject: the person.
            service: the service.
            purpose: its purpose.
            until: POSIX seconds after which events do not count, or None.
            conn: a transaction to read in; None reads what is committed.
            parts: vouches for the rows, for whoever decides by them.

        Returns:
            The events in the order of the log.

        Raises:
            ConsentDamaged: a row is not as it was written.
        """
        return self._log.of_purpose(
            subject, service, purpose, until=until, conn=conn, parts=parts
        )

    def all_events(self, subject: UUID) -> list[ConsentEvent]:
        """Return one person's whole log, in its order."""
        return self._log.all(subject)

    def logs(
        self, conn: Connection, subjects: Sequence[UUID]
    ) -> dict[UUID, list[ConsentEvent]]:
        """Return many people's whole logs; see `EventLog.of_people`."""
        return self._log.of_people(conn, subjects)

    def standing(  # noqa: PLR0917 - whose answers, to what, and when
        self,
        subject: UUID,
        service: str,
        purpose: str,
        now: int,
        merged: Sequence[UUID] = (),
        conn: Connection | None = None,
    ) -> dict[str, ConsentState]:
        """Say what a person's answers mean now, under the live version.

        Args:
            subject: the person.
            service: the service.
            purpose: its purpose.
            now: POSIX seconds.
            merged: records that are read with the person's; answers count
                in the order they were given.
            conn: a transaction to read answers in; None reads what is
                committed.

        Returns:
            The state by statement id, as `carried` leaves it; nothing where
            no declaration is in force.
        """
        live = self._registry.live(service, purpose)
        if live is None:
            return {}
        events = [
            event
            for one in (subject, *merged)
            for event in self.events(
                one, service, purpose, until=now, conn=conn
            )
        ]
        if merged:
            events.sort(key=lambda event: event.at)
        return carried(states(events, now), live, self._registry.by_digest)

    def as_of(
        self,
        subject: UUID,
        service: str,
        purpose: str,
        *,
        at: int,
        known: int | None,
    ) -> dict[str, ConsentState]:
        """Say what a person's answers meant at an instant.

        Args:
            subject: the person.
            service: the service.
            purpose: its purpose.
            at: POSIX seconds of the time that is asked about.
            known: POSIX seconds: only what was recorded until then counts;
                None counts all that is known now.

        Returns:
            The state by statement id, under the highest version whose
            validity had begun at `at`; where there was none, under the
            version that was answered.
        """
        events = self.events(subject, service, purpose, until=at)
        found = states(events, at, known=known)
        live = self.declared_at(service, purpose, at)
        if live is None:
            return found
        return carried(found, live, self._registry.by_digest)

    def declared_at(
        self, service: str, purpose: str, at: int
    ) -> Declaration | None:
        """Return the highest version whose validity had begun, or None.

        Args:
            service: the service.
            purpose: its purpose.
            at: POSIX seconds.
        """
        versions = [
            one
            for one in self._registry.all()
            if (one.service, one.purpose) == (service, purpose)
            and one.valid_from <= at
        ]
        return max(versions, key=lambda one: one.version, default=None)

    # --- preferences ----------------------------------------------------

    def set_preferences(
        self,
        conn: Connection,
        subject: UUID,
        preferences: Preferences,
        at: int,
    ) -> int:
        """Add a new version of a person's rules.

        Args:
            conn: the caller's transaction.
            subject: the person.
            preferences: the rules.
            at: POSIX seconds.

        Returns:
            The person's new fact revision.
        """
        revision = self.bump(conn, subject)
        stored = self._rules.latest(subject, conn)
        self._rules.add(conn, subject, preferences, at)
        # As it was written, not as it reads by now.
        after = StoredPreferences(
            version=stored.version + 1, preferences=preferences
        )
        if self._rules.latest(subject, conn).rows() != after.rows():
            raise ConsentDamaged(subject)
        self._revisions.replace(
            conn, subject, RULES_PART, stored.rows(), after.rows()
        )
        return revision

    def preferences(
        self,
        subject: UUID,
        conn: Connection | None = None,
        parts: Parts | None = None,
    ) -> StoredPreferences:
        """Return a person's rules; `DEFAULT_PRESET` if they never chose.

        Args:
            subject: the person.
            conn: a transaction to read in; None reads what is committed.
            parts: vouches for the row, for whoever decides by it.

        Raises:
            PreferencesInvalid: the stored rules were changed.
            ConsentDamaged: `parts` does not vouch for them.
        """
        found = self._rules.latest(subject, conn)
        if parts is not None:
            parts.demand(RULES_PART, found.rows())
        return found

    def preferences_at(
        self, subject: UUID, version: int
    ) -> StoredPreferences | None:
        """Return one version of a person's rules, or None.

        Raises:
            PreferencesInvalid: the stored rules were changed.
        """
        return self._rules.at(subject, version)

    # --- counted uses ---------------------------------------------------

    def uses(
        self,
        subjects: Sequence[UUID],
        service: str,
        purpose: str,
        conn: Connection | None = None,
    ) -> Mapping[str, Uses]:
        """Return what was used under a person's counted rules, by rule id.

        Args:
            subjects: the person, and records merged into theirs.
            service: the service.
            purpose: its purpose.
            conn: a transaction to read in; None reads what is committed.
        """
        return self._uses.read(subjects, service, purpose, conn)

    def take_use(
        self,
        conn: Connection,
        subject: UUID,
        service: str,
        purpose: str,
        *,
        rules: Iterable[str],
        now: int,
    ) -> None:
        """Count one use more under each of a person's rules.

        Args:
            conn: the caller's transaction, which called `lock` first.
            subject: the person.
            service: the service.
            purpose: its purpose.
            rules: ids of the rules that count.
            now: POSIX seconds.
        """
        self._uses.take(conn, subject, service, purpose, rules=rules, now=now)

    # --- many people ----------------------------------------------------

    def answered(
        self,
        conn: Connection,
        subjects: Sequence[UUID],
        service: str,
        purpose: str,
    ) -> Iterator[Answered]:
        """Read of many people what may decide about a purpose.

        Four statements, however many they are. Nothing vouches for what is
        read until `vouched` was asked.

        Args:
            conn: a transaction to read in.
            subjects: the people; some hundreds at a time.
            service: the service.
            purpose: its purpose.

        Yields:
            What each person answered, in the order of `subjects`.

        Raises:
            PreferencesInvalid: the stored rules of somebody were changed.
        """
        own: Sequence[Any] = subjects
        if not self._native_ids:
            own = [one.hex for one in subjects]
        people = listed(own, native=self._native_ids)
        revisions = self._revisions.counted_many(conn, people)
        rows = self._log.of_many(conn, people, service, purpose)
        rules = self._rules.of_many(conn, people)
        uses = self._uses.of_many(conn, people, service, purpose)
        unchosen = self._rules.unchosen()
        for subject, key in zip(subjects, own, strict=True):
            yield Answered(
                subject,
                rows.get(key, ()),
                rules.get(key, unchosen) if rules else unchosen,
                uses.get(key, _NONE_USED) if uses else _NONE_USED,
                revisions.get(key),
            )

    def vouched(self, answered: Answered, service: str, purpose: str) -> Parts:
        """Make sure that what was read of a known person is as written.

        Args:
            answered: what `answered` gave.
            service: the service that it was asked for.
            purpose: its purpose.

        Returns:
            What vouches for what is read of the person elsewhere.

        Raises:
            ConsentDamaged: it is not; or it changed while it was read.
        """
        parts = self._revisions.checked(
            answered.subject, answered.revision
        ).parts
        part = answers_part(service, purpose)
        parts.demand(part, [row[:WIDTH] for row in answered.rows])
        parts.demand(RULES_PART, answered.preferences.rows())
        return parts

    # --- as it is stored --------------------------------------------------

    def kept(self, conn: Connection, subject: UUID) -> Kept:
        """Return every row of a person's consent, for a sweep.

        Args:
            conn: the transaction to read in.
            subject: the person.
        """
        return Kept(
            events=self._log.kept(conn, subject),
            rules=self._rules.kept(conn, subject),
            mandates=self._mandates.kept(conn, subject),
        )

    def owners(self) -> tuple[Page, ...]:
        """Return what lists who has a row, by table: somebody, or nobody."""
        return self._log.owners, self._rules.owners, self._mandates.owners

    # --- several people -------------------------------------------------

    def told(
        self,
        conn: Connection,
        subjects: Sequence[UUID],
        service: str,
        purpose: str,
        known: Sequence[bool],
    ) -> list[Told]:
        """Return what several people allow one service, in few statements.

        Args:
            conn: the transaction to read in.
            subjects: the people; merged records are not followed.
            service: the service.
            purpose: its purpose.
            known: of each, whether the vault knows them.

        Returns:
            One for each person, in order. The revisions are read first, so
            what was read of somebody may be newer, never older.

        Raises:
            PreferencesInvalid: somebody's stored rules were changed.
            ConsentDamaged: somebody's rows are not as they were written.
        """
        counted = self._revisions.counted_each(conn, subjects, known)
        parts = [one.parts for one in counted]
        events = self._log.of_each(conn, subjects, service, purpose, parts)
        rules = self._rules.of_each(conn, subjects)
        for vouched, stored in zip(parts, rules, strict=True):
            vouched.demand(RULES_PART, stored.rows())
        uses = self._uses.of_each(conn, subjects, service, purpose)
        return [
            Told(one.revision, one.parts, said, wanted, used)
            for one, said, wanted, used in zip(
                counted, events, rules, uses, strict=True
            )
        ]

    def revisions(
        self, conn: Connection, subjects: Sequence[UUID]
    ) -> list[int]:
        """Return several people's fact revisions, as `revision` does."""
        return self._revisions.of_each(conn, subjects)

    # --- the person -----------------------------------------------------

    def revision(self, conn: Connection | None, subject: UUID) -> int:
        """Return a person's fact revision; 0 if nothing was ever recorded.

        Args:
            conn: a transaction to read in; None reads what is committed.
            subject: the person.
        """
        return self._revisions.read(conn, subject)

    def counted(
        self, conn: Connection, subject: UUID, *, known: bool
    ) -> Counted:
        """Return a person's fact revision, and what vouches for their facts.

        Args:
            conn: the transaction to read in.
            subject: the person.
            known: whether the vault knows them; of nobody else anything is
                demanded.

        Raises:
            ConsentDamaged: what vouches is missing, or was changed.
        """
        return self._revisions.counted(conn, subject, known=known)

    def admit(self, conn: Connection, subjects: Sequence[UUID]) -> None:
        """Begin the record of new people's facts, of which there are none.

        Args:
            conn: the caller's transaction.
            subjects: the people.
        """
        self._revisions.admit(conn, subjects)

    def replace_part(
        self,
        conn: Connection,
        subject: UUID,
        name: bytes,
        before: Rows,
        after: Rows,
    ) -> None:
        """Vouch for facts that are kept elsewhere and are being changed.

        Args:
            conn: the caller's transaction.
            subject: the person.
            name: of the part (`consent.fact_parts`).
            before: its rows before the change.
            after: its rows after it.

        Raises:
            ConsentDamaged: what stood there before was not as written.
        """
        self._revisions.lock(conn, subject)
        self._revisions.replace(conn, subject, name, before, after)

    def vouch(
        self, conn: Connection, subject: UUID, parts: Mapping[bytes, Rows]
    ) -> None:
        """Take what is stored of a person for what they said, unchecked.

        Args:
            conn: the caller's transaction.
            subject: the person.
            parts: the rows of facts that are kept elsewhere, by part.
        """
        self._revisions.vouch(conn, subject, self._parts(conn, subject, parts))

    def demand_vouched(
        self, conn: Connection, subject: UUID, parts: Mapping[bytes, Rows]
    ) -> None:
        """Make sure that all that is stored of a known person is as written.

        Args:
            conn: the transaction to read in.
            subject: the person.
            parts: as `vouch`.

        Raises:
            ConsentDamaged, PreferencesInvalid: it is not.
        """
        counted = self._revisions.counted(conn, subject, known=True)
        counted.parts.demand_all(self._parts(conn, subject, parts))

    def _parts(
        self, conn: Connection, subject: UUID, parts: Mapping[bytes, Rows]
    ) -> dict[bytes, Rows]:
        return {
            **self._log.parts(conn, subject),
            RULES_PART: self._rules.latest(subject, conn).rows(),
            MANDATES_PART: self._mandates.rows(conn, subject),
            **parts,
        }

    def bump(self, conn: Connection, subject: UUID) -> int:
        """Count up a person's fact revision.

        Args:
            conn: the caller's transaction; the row stays locked until its
                end.
            subject: the person.

        Returns:
            The new revision.
        """
        return self._revisions.count(conn, subject)

    def lock(self, conn: Connection, subject: UUID) -> int:
        """Keep a person's facts from changing, and return their revision.

        Args:
            conn: the caller's transaction, which keeps the lock to its end.
            subject: the person.
        """
        return self._revisions.lock(conn, subject)

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Delete what is known of an erased person.

        The revision is counted up and stays: a random id and a number, so
        that a decision made before the erasure is noticed as outdated.

        Args:
            conn: the caller's transaction.
            subject: the person.
        """
        self._revisions.forget(conn, subject)
        self._log.forget(conn, subject)
        self._rules.forget(conn, subject)
        self._uses.forget(conn, subject)
        self._served.forget(conn, subject)
        self._mandates.forget(conn, subject)


_LOOKS = 3
_ALLOWING = frozenset({EventType.GIVEN, EventType.RENEWED})
_NONE_USED: Mapping[str, Uses] = MappingProxyType({})


def _apart(declaration: Declaration, statement: str) -> bool:
    found = declaration.statement(statement)
    return found is not None and bool(separate_grounds(declaration, found))
