"""The tables of what services must be told, and whether they answered.

A happening waits in the outbox with the person's id, as their consent event
does. A delivery has none: it is found by the tag of the person's log key,
and everything about them is sealed, so that the table tells nobody whose
data a service holds.
"""

from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field

from policy.tables import PolicyTable


class EndpointRow(PolicyTable, table=True):
    """Where one service is told, for one purpose; secrets are sealed."""

    __tablename__ = "policy_webhook_endpoint"

    tenant: str = Field(primary_key=True, max_length=64)
    service: str = Field(primary_key=True, max_length=128)
    purpose: str = Field(primary_key=True, max_length=128)
    id: UUID
    url: str = Field(sa_type=Text)
    sealed: bytes = Field(sa_type=LargeBinary)
    created_at: int = Field(sa_type=BigInteger)
    stopped_at: int | None = Field(default=None, sa_type=BigInteger)


class HappeningRow(PolicyTable, table=True):
    """The outbox: what ended, and is to be told from `at` on."""

    __tablename__ = "policy_webhook_outbox"
    __table_args__ = (
        Index("policy_webhook_outbox_at", "tenant", "at"),
        Index("policy_webhook_outbox_subject", "tenant", "subject"),
    )

    id: UUID = Field(primary_key=True)
    tenant: str = Field(max_length=64)
    subject: UUID
    kind: str = Field(max_length=32)
    service: str = Field(default="", max_length=128)
    purpose: str = Field(default="", max_length=128)
    statement: str = Field(default="", max_length=64)
    declaration: str = Field(default="", max_length=64)
    attributes: str = Field(default="", sa_type=Text)
    cause: UUID | None = None
    at: int = Field(sa_type=BigInteger)


class DeliveryRow(PolicyTable, table=True):
    """What one service is told of one happening, and how that stands."""

    __tablename__ = "policy_webhook_delivery"
    __table_args__ = (
        UniqueConstraint("tenant", "happening", "service", "purpose"),
        Index("policy_webhook_delivery_next", "tenant", "next_at"),
        Index("policy_webhook_delivery_done", "tenant", "done_at", "deadline"),
        Index("policy_webhook_delivery_tag", "tag"),
    )

    id: UUID = Field(primary_key=True)
    tenant: str = Field(max_length=64)
    happening: UUID
    kind: str = Field(max_length=32)
    service: str = Field(max_length=128)
    purpose: str = Field(max_length=128)
    at: int = Field(sa_type=BigInteger)
    deadline: int = Field(sa_type=BigInteger)
    prepared: bool = False
    hidden: bool = False
    attempts: int = 0
    next_at: int | None = Field(default=None, sa_type=BigInteger)
    received_at: int | None = Field(default=None, sa_type=BigInteger)
    given_up_at: int | None = Field(default=None, sa_type=BigInteger)
    done_at: int | None = Field(default=None, sa_type=BigInteger)
    outcome: str = Field(default="", max_length=16)
    ground: str = Field(default="", max_length=32)
    fault: str = Field(default="", max_length=32)
    tag: bytes | None = Field(default=None, sa_type=LargeBinary)
    sealed: bytes = Field(sa_type=LargeBinary)


class LeaseRow(PolicyTable, table=True):
    """Which process delivers now, and until when it may go on."""

    __tablename__ = "policy_webhook_lease"

    tenant: str = Field(primary_key=True, max_length=64)
    holder: str = Field(max_length=32)
    until: int = Field(sa_type=BigInteger)
