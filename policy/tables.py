"""The gate's own tables: credentials, restraints, decisions, releases."""

from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, MetaData, Text
from sqlmodel import Field, SQLModel

METADATA = MetaData()


class PolicyTable(SQLModel):
    """Base that keeps the gate's tables in a metadata of their own."""

    metadata = METADATA


class CredentialRow(PolicyTable, table=True):
    """One credential: one service, one purpose (see DESIGN, service).

    Only a hash of the secret is kept. The secret has 256 random bits, so a
    plain SHA-256 cannot be searched; a slow hash would add nothing.
    """

    __tablename__ = "policy_credential"

    client_id: str = Field(primary_key=True, max_length=64)
    tenant: str = Field(max_length=64)
    service: str = Field(max_length=128)
    purpose: str = Field(max_length=128)
    assurance: int = 1
    secret_hash: bytes = Field(sa_type=LargeBinary)
    created_at: int = Field(sa_type=BigInteger)
    revoked_at: int | None = Field(default=None, sa_type=BigInteger)


class RestraintRow(PolicyTable, table=True):
    """A restriction (GDPR 18) or an objection (GDPR 21) of a person."""

    __tablename__ = "policy_restraint"
    __table_args__ = (Index("policy_restraint_person", "tenant", "subject"),)

    id: UUID = Field(primary_key=True)
    tenant: str = Field(max_length=64)
    subject: UUID
    kind: str = Field(max_length=16)
    purpose: str = Field(default="", max_length=128)
    since: int = Field(sa_type=BigInteger)
    until: int | None = Field(default=None, sa_type=BigInteger)


class DecisionRow(PolicyTable, table=True):
    """What a later replay needs, sealed under the person's log key.

    `tag` finds a person's decisions for as long as their log key lives.
    """

    __tablename__ = "policy_decision"
    __table_args__ = (Index("policy_decision_tag", "tag"),)

    id: UUID = Field(primary_key=True)
    tenant: str = Field(max_length=64)
    tag: bytes | None = Field(default=None, sa_type=LargeBinary)
    at: int = Field(sa_type=BigInteger)
    revision: str = Field(max_length=64)
    sealed: bytes | None = Field(default=None, sa_type=LargeBinary)


class ReleaseRow(PolicyTable, table=True):
    """One request for an extract, how it ended, and the manifest's hash."""

    __tablename__ = "policy_release"

    id: UUID = Field(primary_key=True)
    tenant: str = Field(max_length=64)
    service: str = Field(max_length=128)
    purpose: str = Field(max_length=128)
    recipient: str = Field(max_length=128)
    officer: str = Field(max_length=128)
    at: int = Field(sa_type=BigInteger)
    outcome: str = Field(max_length=16)
    request: str = Field(sa_type=Text)
    rows: int = 0
    manifest: str = Field(default="", max_length=64)
