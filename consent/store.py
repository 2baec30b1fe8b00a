"""What people answered and want, and what they were asked.

Writing takes the caller's transaction. Every answer and every change of
preferences counts up the person's fact revision in that transaction: who
decided under an older revision must decide again.
"""

from uuid import UUID

from sqlalchemy import Connection, Engine

from consent.answers import NEEDS_NOTICE, check_answer
from consent.declarations import Declaration
from consent.errors import RecordInvalid, UnknownDeclaration, UnknownNotice
from consent.event_log import EventLog
from consent.notices import Notice
from consent.people import Revisions, Rules, StoredPreferences
from consent.preferences import Preferences
from consent.records import ConsentEvent, ConsentState, carried, states
from consent.registry import DeclarationRegistry


class ConsentStore:
    """The consent of one tenant's people.

    Args:
        engine: the data database.
        tenant: whose people and declarations.
    """

    def __init__(self, engine: Engine, tenant: str) -> None:
        self._registry = DeclarationRegistry(engine, tenant)
        self._log = EventLog(engine, tenant)
        self._revisions = Revisions(engine, tenant)
        self._rules = Rules(engine, tenant)

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
        """
        self._registry.register(conn, declaration)

    def declaration(self, service: str, purpose: str) -> Declaration | None:
        """Return the version in force: the highest one, or None."""
        return self._registry.live(service, purpose)

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
        """Append an event to the log.

        Args:
            conn: the caller's transaction.
            event: what happened.

        Returns:
            The person's new fact revision.

        Raises:
            UnknownDeclaration: no declaration has the digest it names.
            ConsentNotAsked: the statement's legal basis is not consent.
            RecordInvalid: it contradicts its declaration, its notice,
                itself or the log.
        """
        declaration = self._registry.by_digest(event.declaration, conn)
        if declaration is None:
            msg = f"event {event.id}: no declaration {event.declaration}"
            raise UnknownDeclaration(msg)
        revision = self.bump(conn, event.subject)
        earlier = self.events(
            event.subject, event.service, event.purpose, until=None, conn=conn
        )
        check_answer(event, declaration, earlier)
        self._check_notice(conn, event)
        self._log.append(conn, event, revision)
        return revision

    def _check_notice(self, conn: Connection, event: ConsentEvent) -> None:
        if not event.notice and event.type not in NEEDS_NOTICE:
            return
        try:
            notice, declaration = self._registry.notice(event.notice, conn)
        except UnknownNotice:
            msg = f"event {event.id}: its notice is not one that was shown"
            raise RecordInvalid(msg) from None
        if (declaration, notice.language) != (
            event.declaration,
            event.language,
        ):
            msg = f"event {event.id}: its notice is about something else"
            raise RecordInvalid(msg)

    def events(
        self,
        subject: UUID,
        service: str,
        purpose: str,
        *,
        until: int | None,
        conn: Connection | None = None,
    ) -> list[ConsentEvent]:
        """Return one person's log for one service and purpose.

        Args:
            subject: the person.
            service: the service.
            purpose: its purpose.
            until: POSIX seconds after which events do not count, or None.
            conn: a transaction to read in; None reads what is committed.

        Returns:
            The events in the order of the log.
        """
        return self._log.of_purpose(
            subject, service, purpose, until=until, conn=conn
        )

    def all_events(self, subject: UUID) -> list[ConsentEvent]:
        """Return one person's whole log, in its order."""
        return self._log.all(subject)

    def standing(
        self, subject: UUID, service: str, purpose: str, now: int
    ) -> dict[str, ConsentState]:
        """Say what a person's answers mean now, under the live version.

        Args:
            subject: the person.
            service: the service.
            purpose: its purpose.
            now: POSIX seconds.

        Returns:
            The state by statement id, as `carried` leaves it; nothing where
            no declaration is in force.
        """
        live = self._registry.live(service, purpose)
        if live is None:
            return {}
        events = self.events(subject, service, purpose, until=now)
        return carried(states(events, now), live, self._registry.by_digest)

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
        self._rules.add(conn, subject, preferences, at)
        return revision

    def preferences(
        self, subject: UUID, conn: Connection | None = None
    ) -> StoredPreferences:
        """Return a person's rules; `DEFAULT_PRESET` if they never chose.

        Raises:
            PreferencesInvalid: the stored rules were changed.
        """
        return self._rules.latest(subject, conn)

    def preferences_at(
        self, subject: UUID, version: int
    ) -> StoredPreferences | None:
        """Return one version of a person's rules, or None.

        Raises:
            PreferencesInvalid: the stored rules were changed.
        """
        return self._rules.at(subject, version)

    # --- the person -----------------------------------------------------

    def revision(self, conn: Connection | None, subject: UUID) -> int:
        """Return a person's fact revision; 0 if nothing was ever recorded.

        Args:
            conn: a transaction to read in; None reads what is committed.
            subject: the person.
        """
        return self._revisions.read(conn, subject)

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

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Delete what is known of an erased person.

        The revision is counted up and stays: a random id and a number, so
        that a decision made before the erasure is noticed as outdated.

        Args:
            conn: the caller's transaction.
            subject: the person.
        """
        self.bump(conn, subject)
        self._log.forget(conn, subject)
        self._rules.forget(conn, subject)
