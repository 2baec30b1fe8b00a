"""The rules that one person chose, in all their versions."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from consent.each import PreparedForEach
from consent.errors import PreferencesInvalid
from consent.fact_parts import Rows
from consent.kept import KeptRules, Owners
from consent.preferences import Preferences, read_preferences
from consent.prepared import PreparedSelect, among
from consent.presets import DEFAULT_PRESET, PRESETS
from consent.tables import PreferencesRow

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
_ALL_RULES = (
    select(
        col(PreferencesRow.version),
        col(PreferencesRow.at),
        col(PreferencesRow.text),
    )
    .where(
        col(PreferencesRow.tenant) == bindparam("tenant"),
        col(PreferencesRow.subject) == bindparam("subject"),
    )
    .order_by(col(PreferencesRow.version))
)
_OTHER = aliased(PreferencesRow)


def _rules_of(
    subject: ColumnElement[Any],
) -> Select[*tuple[Any, ...]]:
    return select(col(PreferencesRow.version), col(PreferencesRow.text)).where(
        col(PreferencesRow.tenant) == bindparam("tenant"),
        col(PreferencesRow.subject) == subject,
        col(PreferencesRow.version)
        == select(func.max(col(_OTHER.version)))
        .where(
            col(_OTHER.tenant) == col(PreferencesRow.tenant),
            col(_OTHER.subject) == col(PreferencesRow.subject),
        )
        .scalar_subquery(),
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

    def rows(self) -> Rows:
        """Give what stands for the rules among a person's facts."""
        if not self.version:
            return ()
        return ((self.version, self.preferences.digest),)


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
        self._all = PreparedSelect(engine, _ALL_RULES)
        table = PreferencesRow.metadata.tables["consent_preferences"]
        self._owners = Owners(engine, table)
        self._of_each = PreparedForEach(engine, _rules_of)
        self._of_many = PreparedSelect(
            engine,
            select(
                col(PreferencesRow.subject),
                col(PreferencesRow.version),
                col(PreferencesRow.text),
            )
            .where(
                col(PreferencesRow.tenant) == bindparam("tenant"),
                among(engine, col(PreferencesRow.subject), "subjects"),
            )
            .order_by(col(PreferencesRow.version)),
        )
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

    def of_many(
        self, conn: Connection, subjects: object
    ) -> dict[Any, StoredPreferences]:
        """Return many people's rules as `latest`, by one statement.

        Args:
            conn: the transaction to read in.
            subjects: what `prepared.listed` made of the people.

        Returns:
            By person, as the driver has their id; nobody who never chose is
            in it, and `Rules.unchosen` holds of them.

        Raises:
            PreferencesInvalid: the stored rules of somebody were changed.
        """
        values = {"tenant": self._tenant, "subjects": subjects}
        rows = self._of_many.rows(values, conn)
        # The versions rise, so the last of each person's stays.
        chosen = {row[0]: row[1:] for row in rows}
        return {who: self._stored([row]) for who, row in chosen.items()}

    def unchosen(self) -> StoredPreferences:
        """Return what holds of people who never chose."""
        return self._stored([])

    def of_each(
        self, conn: Connection, subjects: Sequence[UUID]
    ) -> list[StoredPreferences]:
        """Return several people's rules, as `latest` does."""
        found = self._of_each.rows(conn, subjects, {"tenant": self._tenant})
        return [self._stored(rows) for rows in found]

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

    def kept(self, conn: Connection, subject: UUID) -> list[KeptRules]:
        """Return every version as it is stored, whether or not it reads."""
        rows = self._all.rows(self._person(subject), conn)
        return [KeptRules(*row) for row in rows]

    def owners(self, conn: Connection, after: object, limit: int) -> list[Any]:
        """List who has a row, as `Owners.page` does."""
        return self._owners.page(conn, self._tenant, after, limit)

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
            if type(version) is not int or version < 1:
                msg = "the stored version is none that was written"
                raise PreferencesInvalid(msg)
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
