"""The tables of the policies' life: bundles, which is in force, what flips."""

from sqlalchemy import BigInteger, LargeBinary, Text
from sqlmodel import Field

from policy.tables import PolicyTable


class BundleRow(PolicyTable, table=True):
    """A compiled bundle that somebody wants in force; it never changes.

    `mac` is over all but the three files, which the revision is over.
    """

    __tablename__ = "policy_bundle"

    tenant: str = Field(primary_key=True, max_length=64)
    number: int = Field(
        primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    revision: str = Field(max_length=64)
    base: str = Field(max_length=64)
    manifest: str = Field(sa_type=Text)
    plan: str = Field(sa_type=Text)
    data: str = Field(sa_type=Text)
    archive: bytes | None = Field(default=None, sa_type=LargeBinary)
    proposer: str = Field(max_length=128)
    proposed_at: int = Field(sa_type=BigInteger)
    officer: str = Field(default="", max_length=128)
    decided_at: int | None = Field(default=None, sa_type=BigInteger)
    state: str = Field(max_length=16)
    mac: bytes | None = Field(default=None, sa_type=LargeBinary)


class LiveRow(PolicyTable, table=True):
    """Which bundle is in force, and which runs in its shadow; 0 is ours.

    `changes` counts every change of either, so that a process that decides
    sees one by one small read. `mac` is over them and both revisions, and
    stands there from the instance's first day on: none is not ours.
    """

    __tablename__ = "policy_live"

    tenant: str = Field(primary_key=True, max_length=64)
    changes: int
    number: int
    shadow: int
    mac: bytes | None = Field(default=None, sa_type=LargeBinary)


class FlipRow(PolicyTable, table=True):
    """How often a candidate decided otherwise; nobody's id is in it."""

    __tablename__ = "policy_flip"

    tenant: str = Field(primary_key=True, max_length=64)
    number: int = Field(
        primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    service: str = Field(primary_key=True, max_length=128)
    purpose: str = Field(primary_key=True, max_length=128)
    attribute: str = Field(primary_key=True, max_length=256)
    was: str = Field(primary_key=True, max_length=32)
    becomes: str = Field(primary_key=True, max_length=32)
    times: int
