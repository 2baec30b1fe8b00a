"""The tables of emergency access: what was granted, and who is to look at it.

Why it was asked for, and in which case, is sealed under the person's log key
and goes with them; the row stays counted. An alert names a grant and its
officer, and nobody else. Each row has a code over all of it
(`policy.coded_rows`).
"""

from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field

from policy.tables import PolicyTable


class GlassRow(PolicyTable, table=True):
    """One grant; nothing of it is edited but how it went on.

    `once` is what a request is recognized by when it comes again: a tag under
    the person's log key, and after their erasure random bytes. `seen` is the
    last instant at which the grant was acted on.
    """

    __tablename__ = "policy_glass"
    __table_args__ = (
        UniqueConstraint("tenant", "once", name="policy_glass_once"),
        Index("policy_glass_subject", "tenant", "subject"),
        Index("policy_glass_officer", "tenant", "officer", "at"),
    )

    id: UUID = Field(primary_key=True)
    tenant: str = Field(max_length=64)
    subject: UUID | None = None
    once: bytes = Field(sa_type=LargeBinary)
    officer: str = Field(max_length=128)
    purpose: str = Field(max_length=128)
    attributes: str = Field(sa_type=Text)
    at: int = Field(sa_type=BigInteger)
    deadline: int = Field(sa_type=BigInteger)
    ends: int = Field(sa_type=BigInteger)
    seen: int = Field(sa_type=BigInteger)
    uses: int = 0
    approver: str = Field(default="", max_length=128)
    ended_by: str = Field(default="", max_length=128)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
    sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    mac: bytes | None = Field(default=None, sa_type=LargeBinary)


class GlassAlertRow(PolicyTable, table=True):
    """One alert to the compliance officers, open until one closes it.

    `officer` is whose grant it is about, so that it counts for them also
    where the grant's row was changed; empty in alerts of before codes.
    """

    __tablename__ = "policy_glass_alert"
    __table_args__ = (
        Index("policy_glass_alert_grant", "tenant", "glass"),
        Index("policy_glass_alert_officer", "tenant", "officer"),
    )

    id: UUID = Field(primary_key=True)
    tenant: str = Field(max_length=64)
    glass: UUID
    kind: str = Field(max_length=16)
    at: int = Field(sa_type=BigInteger)
    closed_by: str = Field(default="", max_length=128)
    closed_at: int | None = Field(default=None, sa_type=BigInteger)
    officer: str | None = Field(default=None, max_length=128)
    mac: bytes | None = Field(default=None, sa_type=LargeBinary)
