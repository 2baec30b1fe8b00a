"""The gate's own tables: credentials, restraints, decisions, releases."""

from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Index,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel

METADATA = MetaData()


class PolicyTable(SQLModel):
    """Base that keeps the gate's tables in a metadata of their own."""

    metadata = METADATA


class CredentialRow(PolicyTable, table=True):
    """One credential: one service, one purpose (see DESIGN, service).

    Only a hash of the secret is kept. The secret has 256 random bits, so a
    plain SHA-256 cannot be searched; a slow hash would add nothing. `mac` is
    the code of the other columns (`consent.row_macs`).
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
    mac: bytes | None = Field(default=None, sa_type=LargeBinary)


class RestraintRow(PolicyTable, table=True):
    """A restriction (GDPR 18), an objection (GDPR 21) or a signal (GPC).

    `evidence` says where a signal was seen.
    """

    __tablename__ = "policy_restraint"
    __table_args__ = (Index("policy_restraint_person", "tenant", "subject"),)

    id: UUID = Field(primary_key=True)
    tenant: str = Field(max_length=64)
    subject: UUID
    kind: str = Field(max_length=16)
    purpose: str = Field(default="", max_length=128)
    since: int = Field(sa_type=BigInteger)
    until: int | None = Field(default=None, sa_type=BigInteger)
    evidence: str | None = Field(default=None, max_length=200)


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


class ConsentRequestRow(PolicyTable, table=True):
    """That a service asked for somebody's consent (ARAP's task).

    One for nobody, or for somebody erased, has the decoy as its subject and
    is as long as any other. `asked` and `body` are keyed digests of what the
    service sent.
    """

    __tablename__ = "policy_consent_request"
    __table_args__ = (
        Index("policy_consent_request_person", "tenant", "subject"),
        Index("policy_consent_request_expiry", "tenant", "expires_at"),
        Index(
            "policy_consent_request_about",
            "tenant",
            "service",
            "purpose",
            "about",
        ),
        UniqueConstraint("tenant", "service", "purpose", "evaluation"),
        UniqueConstraint("tenant", "service", "purpose", "key"),
    )

    id: UUID = Field(primary_key=True)
    tenant: str = Field(max_length=64)
    service: str = Field(max_length=64)
    purpose: str = Field(max_length=64)
    subject: UUID
    attribute: str = Field(max_length=128)
    statement: str = Field(max_length=64)
    evaluation: UUID
    key: bytes | None = Field(default=None, sa_type=LargeBinary)
    body: bytes = Field(sa_type=LargeBinary)
    asked: bytes = Field(sa_type=LargeBinary)
    about: bytes = Field(sa_type=LargeBinary)
    at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger)
    cancelled_at: int | None = Field(default=None, sa_type=BigInteger)
    approval: UUID | None = None
    approved_at: int | None = Field(default=None, sa_type=BigInteger)
    approved_until: int | None = Field(default=None, sa_type=BigInteger)


class ReleaseRow(PolicyTable, table=True):
    """One request for an extract, how it ended, and the manifest's hash.

    `mac` is over the whole row (`policy.coded_rows`).
    """

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
    approver: str | None = Field(default=None, max_length=128)
    expires_at: int | None = Field(default=None, sa_type=BigInteger)
    mac: bytes | None = Field(default=None, sa_type=LargeBinary)


class ReleasedRow(PolicyTable, table=True):
    """An extract that was made: how many people each class had.

    `counted` has for each class, by sensitive column, the rows of each
    value, under keyed tags of column and value; None of older extracts.
    """

    __tablename__ = "policy_released"

    id: UUID = Field(primary_key=True)
    tenant: str = Field(max_length=64)
    recipient: str = Field(max_length=128)
    dataset: str = Field(max_length=300)
    at: int = Field(sa_type=BigInteger)
    sizes: str = Field(sa_type=Text)
    counted: str | None = Field(default=None, sa_type=Text)


class ReleasedPersonRow(PolicyTable, table=True):
    """Somebody's class in an extract; the tag says who to the key alone."""

    __tablename__ = "policy_released_person"

    release: UUID = Field(primary_key=True)
    tag: bytes = Field(primary_key=True, sa_type=LargeBinary)
    tenant: str = Field(max_length=64)
    number: int


class VisibilityRow(PolicyTable, table=True):
    """A rule: when people learn of a kind of use. Never edited or removed.

    The last confirmed one about an activity (service and purpose) holds.
    """

    __tablename__ = "policy_visibility"

    tenant: str = Field(primary_key=True, max_length=64)
    number: int = Field(
        primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    service: str = Field(max_length=128)
    purpose: str = Field(max_length=128)
    visibility: str = Field(max_length=16)
    days: int
    basis: str = Field(max_length=32)
    law: str = Field(max_length=500)
    proposer: str = Field(max_length=128)
    proposed_at: int = Field(sa_type=BigInteger)
    officer: str = Field(default="", max_length=128)
    since: int | None = Field(default=None, sa_type=BigInteger)


class ProposalRow(PolicyTable, table=True):
    """A declaration that an officer proposed, and what became of it.

    The text is never edited; a change is another proposal. `mac` is over
    the whole row (`policy.coded_rows`).
    """

    __tablename__ = "policy_proposal"

    tenant: str = Field(primary_key=True, max_length=64)
    number: int = Field(
        primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    service: str = Field(max_length=64)
    purpose: str = Field(max_length=64)
    version: int
    digest: str = Field(max_length=64)
    base: str = Field(default="", max_length=64)
    text: str = Field(sa_type=Text)
    proposer: str = Field(max_length=128)
    proposed_at: int = Field(sa_type=BigInteger)
    officer: str = Field(default="", max_length=128)
    decided_at: int | None = Field(default=None, sa_type=BigInteger)
    state: str = Field(max_length=16)
    mac: bytes | None = Field(default=None, sa_type=LargeBinary)


class BudgetRow(PolicyTable, table=True):
    """One answer's cost in zCDP, and the noisy answer once it was given.

    Never edited but for its state, and never removed. `rho` counts against
    the recipient and `everybody` against all of them, in units of 1e-12;
    they differ where another recipient had the same answer before.
    """

    __tablename__ = "policy_budget"
    __table_args__ = (
        Index("policy_budget_spent", "tenant", "dataset", "at"),
        Index("policy_budget_query", "tenant", "query"),
    )

    id: UUID = Field(primary_key=True)
    tenant: str = Field(max_length=64)
    dataset: str = Field(max_length=300)
    snapshot: str = Field(max_length=64)
    recipient: str = Field(max_length=128)
    query: str = Field(max_length=64)
    rho: int = Field(sa_type=BigInteger)
    everybody: int = Field(sa_type=BigInteger)
    at: int = Field(sa_type=BigInteger)
    state: str = Field(max_length=16)
    answer: str = Field(default="", sa_type=Text)
