"""The tables of declarations, notices, answers and preferences.

Every key begins with the tenant, so no query crosses tenants. An answer's
key is (person, service, purpose, the person's fact revision at the time):
one range of one index holds what a decision reads, in the order in which it
was said. The foreign key from an answer to its declaration is what makes a
declaration immutable once answered, whatever the code above does. Columns
that may be empty are those that answers of earlier revisions lack.
"""

from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlmodel import Field, SQLModel


class ConsentTable(SQLModel):
    """Base of the tables, with their own metadata."""

    metadata = MetaData()


class DeclarationRow(ConsentTable, table=True):
    """One version of a declaration, as canonical JSON."""

    __tablename__ = "consent_declaration"
    __table_args__ = (
        UniqueConstraint("tenant", "service", "purpose", "version"),
    )

    tenant: str = Field(primary_key=True, max_length=64)
    digest: str = Field(primary_key=True, max_length=64)
    service: str = Field(max_length=64)
    purpose: str = Field(max_length=64)
    version: int
    text: str = Field(sa_type=Text)


class RegistryRow(ConsentTable, table=True):
    """Counts the changes of a tenant's declarations.

    `mac` is the code of which declarations there are (`consent.row_macs`).
    """

    __tablename__ = "consent_registry"

    tenant: str = Field(primary_key=True, max_length=64)
    revision: int = Field(sa_type=BigInteger)
    mac: bytes | None = Field(default=None, sa_type=LargeBinary)


class NoticeRow(ConsentTable, table=True):
    """The exact text of a notice, under its own hash."""

    __tablename__ = "consent_notice"

    tenant: str = Field(primary_key=True, max_length=64)
    digest: str = Field(primary_key=True, max_length=64)
    declaration: str = Field(max_length=64)
    language: str = Field(max_length=16)
    text: str = Field(sa_type=Text)
    statement: str | None = Field(default=None, max_length=64)


class ServedRow(ConsentTable, table=True):
    """That one person was shown one notice, under the hash of saying so."""

    __tablename__ = "consent_served"
    __table_args__ = ({"sqlite_with_rowid": False},)

    tenant: str = Field(primary_key=True, max_length=64)
    subject: UUID = Field(primary_key=True, sa_type=Uuid)
    digest: str = Field(primary_key=True, max_length=64)
    at: int = Field(sa_type=BigInteger)
    text: str = Field(sa_type=Text)


class MandateRow(ConsentTable, table=True):
    """One mandate to act for a person; ended once, never otherwise changed."""

    __tablename__ = "consent_mandate"
    __table_args__ = ({"sqlite_with_rowid": False},)

    tenant: str = Field(primary_key=True, max_length=64)
    subject: UUID = Field(primary_key=True, sa_type=Uuid)
    id: UUID = Field(primary_key=True, sa_type=Uuid)
    text: str = Field(sa_type=Text)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
    ended_recorded_at: int | None = Field(default=None, sa_type=BigInteger)


class EventRow(ConsentTable, table=True):
    """One answer; never updated, deleted only when its person is erased."""

    __tablename__ = "consent_event"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant", "declaration"],
            ["consent_declaration.tenant", "consent_declaration.digest"],
        ),
        Index("consent_event_declaration", "tenant", "declaration"),
        {"sqlite_with_rowid": False},
    )

    tenant: str = Field(primary_key=True, max_length=64)
    subject: UUID = Field(primary_key=True, sa_type=Uuid)
    service: str = Field(primary_key=True, max_length=64)
    purpose: str = Field(primary_key=True, max_length=64)
    revision: int = Field(primary_key=True, sa_type=BigInteger)
    id: UUID = Field(sa_type=Uuid, unique=True)
    statement: str = Field(max_length=64)
    declaration: str = Field(max_length=64)
    notice: str = Field(max_length=64)
    language: str = Field(max_length=16)
    type: str = Field(max_length=16)
    attributes: str = Field(sa_type=Text)
    at: int = Field(sa_type=BigInteger)
    expires_at: int | None = Field(default=None, sa_type=BigInteger)
    actor: str = Field(max_length=128)
    channel: str = Field(max_length=64)
    record: UUID | None = Field(default=None, sa_type=Uuid)
    recorded_at: int | None = Field(default=None, sa_type=BigInteger)
    served: str | None = Field(default=None, max_length=64)
    mandate: UUID | None = Field(default=None, sa_type=Uuid)
    officer: str | None = Field(default=None, max_length=128)


class RevisionRow(ConsentTable, table=True):
    """Counts the facts about a person that a decision may rest on.

    `parts` are digests of what those facts are, and `mac` is the code of
    both (`consent.fact_macs`).
    """

    __tablename__ = "consent_revision"
    __table_args__ = ({"sqlite_with_rowid": False},)

    tenant: str = Field(primary_key=True, max_length=64)
    subject: UUID = Field(primary_key=True, sa_type=Uuid)
    revision: int = Field(sa_type=BigInteger)
    parts: bytes | None = Field(default=None, sa_type=LargeBinary)
    mac: bytes | None = Field(default=None, sa_type=LargeBinary)


class PreferencesRow(ConsentTable, table=True):
    """One version of a person's rules, as canonical JSON."""

    __tablename__ = "consent_preferences"

    tenant: str = Field(primary_key=True, max_length=64)
    subject: UUID = Field(primary_key=True, sa_type=Uuid)
    version: int = Field(primary_key=True)
    at: int = Field(sa_type=BigInteger)
    text: str = Field(sa_type=Text)


class UseRow(ConsentTable, table=True):
    """How often one service used data under one rule of a person's.

    `recent` holds POSIX seconds of the last uses; `consent.rule_terms`
    bounds how many.
    """

    __tablename__ = "consent_use"
    __table_args__ = ({"sqlite_with_rowid": False},)

    tenant: str = Field(primary_key=True, max_length=64)
    subject: UUID = Field(primary_key=True, sa_type=Uuid)
    service: str = Field(primary_key=True, max_length=64)
    purpose: str = Field(primary_key=True, max_length=64)
    rule: str = Field(primary_key=True, max_length=64)
    total: int = Field(sa_type=BigInteger)
    recent: str = Field(sa_type=Text)
