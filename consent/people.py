"""One person's fact revision, and the rules that they chose.

The revision counts everything about a person that a decision may rest on.
Whoever writes such a fact counts first: the row's lock then puts the facts
of one person into one order, also between processes.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Engine,
    Uuid,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
)
from sqlmodel import col

from consent.preferences import Preferences, read_preferences
from consent.prepared import PreparedSelect
from consent.presets import DEFAULT_PRESET, PRESETS
from consent.tables import PreferencesRow, RevisionRow

_REVISION = select(col(RevisionRow.revision)).where(
    col(RevisionRow.tenant) == bindparam("tenant"),
    col(RevisionRow.subject) == bindparam("subject"),
)
_COUNT = text(
    "INSERT INTO consent_revision (tenant, subject, revision)"
    " VALUES (:tenant, :subject, 1) ON CONFLICT (tenant, subject) DO UPDATE"
    " SET revision = consent_revision.revision + 1 RETURNING revision"
).bindparams(bindparam("subject", type_=Uuid()))
_RULES = select(col(PreferencesRow.version), col(PreferencesRow.text)).where(
    col(PreferencesRow.tenant) == bindparam("tenant"),
    col(PreferencesRow.subject) == bindparam("subject"),
)
_RULES_AT = _RULES.where(col(PreferencesRow.version) == bindparam("version"))
_LAST_VERSION = select(func.max(col(PreferencesRow.version))).where(
    col(PreferencesRow.tenant) == bindparam("tenant"),
    col(PreferencesRow.subject) == bindparam("subject"),
)
_LATEST_RULES = _RULES.where(
    col(PreferencesRow.version)
    == _LAST_VERSION.correlate(None).scalar_subquery()
)
_PARSED = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPreferences:
    """A person's rules, and which version of them this is.

    Attributes:
        version: counts up from 1; 0 where the person never chose.
        preferences: the rules.
    """

    version: int
    preferences: Preferences


class Revisions:
    """The fact revisions of one tenant's people.

    Args:
        engine: the data database.
        tenant: whose people.
    """

    def __init__(self, engine: Engine, tenant: str) -> None:
        self._tenant = tenant
        self._read = PreparedSelect(engine, _REVISION)

    def read(self, conn: Connection | None, subject: UUID) -> int:
        """Return a person's fact revision; 0 if nothing was ever recorded.

        Args:
            conn: a transaction to read in; None reads what is committed.
            subject: the person.
        """
        values = {"tenant": self._tenant, "subject": subject}
        rows = self._read.rows(values, conn)
        return int(rows[0][0]) if rows else 0

    def count(self, conn: Connection, subject: UUID) -> int:
        """Count up a person's fact revision, and return it.

        Args:
            conn: the caller's transaction; the row stays locked to its end.
            subject: the person.
        """
        values = {"tenant": self._tenant, "subject": subject}
        return int(conn.execute(_COUNT, values).scalar_one())


class Rules:
    """The rules that one tenant's people chose, in all their versions.

    Args:
        engine: the data database.
        tenant: whose people.
    """

    def __init__(self, engine: Engine, tenant: str) -> None:
        self._tenant = tenant
        self._latest = PreparedSelect(engine, _LATEST_RULES)
        self._at = PreparedSelect(engine, _RULES_AT)
        # Most people have a preset, so few texts are parsed.
        self._parsed: OrderedDict[str, Preferences] = OrderedDict()

    def add(
        self,
        conn: Connection,
        subject: UUID,
        preferences: Preferences,
        at: int,
    ) -> None:
        """Add a new version of a person's rules.

        Args:
            conn: the caller's transaction, which has counted the revision.
            subject: the person.
            preferences: the rules.
            at: POSIX seconds.
        """
        last = conn.execute(_LAST_VERSION, self._person(subject)).scalar()
        conn.execute(
            insert(PreferencesRow).values(
                tenant=self._tenant,
                subject=subject,
                version=(last or 0) + 1,
                at=at,
                text=preferences.text(),
            )
        )

    def latest(
        self, subject: UUID, conn: Connection | None
    ) -> StoredPreferences:
        """Return a person's rules; `DEFAULT_PRESET` if they never chose.

        Raises:
            PreferencesInvalid: the stored rules were changed.
        """
        return self._stored(self._latest.rows(self._person(subject), conn))

    def at(self, subject: UUID, version: int) -> StoredPreferences | None:
        """Return one version of a person's rules, or None.

        Raises:
            PreferencesInvalid: the stored rules were changed.
        """
        if version == 0:
            return self._stored([])
        values = {**self._person(subject), "version": version}
        rows = self._at.rows(values)
        return self._stored(rows) if rows else None

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Delete every version of an erased person's rules."""
        conn.execute(
            delete(PreferencesRow).where(
                col(PreferencesRow.tenant) == self._tenant,
                col(PreferencesRow.subject) == subject,
            )
        )

    def _person(self, subject: UUID) -> Mapping[str, Any]:
        return {"tenant": self._tenant, "subject": subject}

    def _stored(self, rows: list[tuple[Any, ...]]) -> StoredPreferences:
        for version, body in rows:
            return StoredPreferences(
                version=version, preferences=self._parse(body)
            )
        return StoredPreferences(
            version=0, preferences=PRESETS[DEFAULT_PRESET]
        )

    def _parse(self, body: str) -> Preferences:
        known = self._parsed.get(body)
        if known is None:
            known = read_preferences(body)
            self._parsed[body] = known
            while len(self._parsed) > _PARSED:
                self._parsed.popitem(last=False)
        return known
