"""The vault's tables, in two databases that are backed up apart.

`KEYS_METADATA` belongs to the keys database (wrapped keys, short-lived
backups), `DATA_METADATA` to the data database (ciphertext, useless without
the other). No column of either holds a value, a source or a time of
recording in the clear; ``vault/FORMAT.md`` says what each blob is.

On SQLite the tables that are read by person are clustered by their key
(``WITHOUT ROWID``), so that one person's rows lie side by side.
"""

from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Uuid,
    text,
)
from sqlmodel import Field, SQLModel

KEYS_METADATA = MetaData()
DATA_METADATA = MetaData()

_CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}
_STATE = 16


class KekState(StrEnum):
    """States of a KEK, after SP 800-57 part 1 revision 5, section 7."""

    PRE_ACTIVE = "pre-active"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DEACTIVATED = "deactivated"
    COMPROMISED = "compromised"
    DESTROYED = "destroyed"


class DekState(StrEnum):
    """States of a DEK: live, held, next, in erasure, or gone, dates kept.

    A held key opens as a live one, and is not destroyed: a legal hold
    stands against its erasure. The next one is there while a person is
    re-encrypted: whatever is sealed under it opens, and it becomes live, or
    held, when the one before is destroyed.
    """

    LIVE = "live"
    HELD = "held"
    NEXT = "next"
    ERASING = "erasing"
    DESTROYED = "destroyed"


OPENS = frozenset({DekState.LIVE, DekState.HELD})
"""States in which a DEK may open what it sealed."""
_UNSETTLED = "state NOT IN ('live', 'held') AND settled_at IS NULL"


def _tenant() -> Column[str]:
    return Column("tenant", String(64), primary_key=True)


def _subject(*, key: bool = True) -> Column[UUID]:
    return Column("subject", Uuid, primary_key=key, nullable=False)


def _number(name: str, *, key: bool = False) -> Column[int]:
    return Column(
        name, Integer, primary_key=key, nullable=False, autoincrement=False
    )


def _big(name: str, *, key: bool = False) -> Column[int]:
    return Column(
        name, BigInteger, primary_key=key, nullable=False, autoincrement=False
    )


def _instant(name: str) -> Column[int | None]:
    return Column(name, BigInteger, nullable=True)


def _bytes(name: str, length: int | None = None) -> Column[bytes]:
    return Column(name, LargeBinary(length), nullable=False)


class KeysTable(SQLModel):
    """Base of the tables in the keys database."""

    metadata: ClassVar[MetaData] = KEYS_METADATA


class DataTable(SQLModel):
    """Base of the tables in the data database."""

    metadata: ClassVar[MetaData] = DATA_METADATA


class KekRow(KeysTable, table=True):
    """One KEK epoch: its state and dates. The KEK is in the provider."""

    __tablename__ = "vault_kek"
    __table_args__ = (
        Index(
            "vault_kek_one_active",
            "tenant",
            unique=True,
            sqlite_where=text("state = 'active'"),
            postgresql_where=text("state = 'active'"),
        ),
    )

    tenant: str = Field(sa_column=_tenant())
    epoch: int = Field(sa_column=_number("epoch", key=True))
    key_id: UUID = Field(sa_column=Column("key_id", Uuid, nullable=False))
    state: str = Field(
        sa_column=Column("state", String(_STATE), nullable=False)
    )
    created_at: int = Field(sa_column=_big("created_at"))
    activated_at: int | None = Field(sa_column=_instant("activated_at"))
    deactivated_at: int | None = Field(sa_column=_instant("deactivated_at"))
    suspended_at: int | None = Field(sa_column=_instant("suspended_at"))
    compromised_at: int | None = Field(sa_column=_instant("compromised_at"))
    destroyed_at: int | None = Field(sa_column=_instant("destroyed_at"))
    # When no custodian can undo the destruction any more.
    gone_at: int | None = Field(sa_column=_instant("gone_at"))
    # While a compromise is dealt with: DEKs made up to then are exposed.
    exposed_until: int | None = Field(sa_column=_instant("exposed_until"))
    # The KEK as a custodian sealed it; none where it is in a file.
    blob: bytes | None = Field(
        sa_column=Column("blob", LargeBinary, nullable=True)
    )


class DekRow(KeysTable, table=True):
    """One person's wrapped DEK; after an erasure, its dates alone."""

    __tablename__ = "vault_dek"
    __table_args__ = (
        Index(
            "vault_dek_unsettled",
            "tenant",
            "subject",
            sqlite_where=text(_UNSETTLED),
            postgresql_where=text(_UNSETTLED),
        ),
        _CLUSTERED,
    )

    tenant: str = Field(sa_column=_tenant())
    subject: UUID = Field(sa_column=_subject())
    gen: int = Field(sa_column=_number("gen", key=True))
    kek_epoch: int = Field(sa_column=_number("kek_epoch"))
    state: str = Field(
        sa_column=Column("state", String(_STATE), nullable=False)
    )
    commitment: bytes = Field(sa_column=_bytes("commitment", 32))
    blob: bytes = Field(sa_column=_bytes("blob", 61))
    created_at: int = Field(sa_column=_big("created_at"))
    erasure_began_at: int | None = Field(
        sa_column=_instant("erasure_began_at")
    )
    destroyed_at: int | None = Field(sa_column=_instant("destroyed_at"))
    settled_at: int | None = Field(sa_column=_instant("settled_at"))


class HoldRow(KeysTable, table=True):
    """One legal hold: who proposed, confirmed and lifted it, and when.

    The reason is sealed for the person's own log key; ids of officers are
    those that the ledger has.
    """

    __tablename__ = "vault_hold"
    __table_args__ = (Index("vault_hold_subject", "tenant", "subject"),)

    id: UUID = Field(sa_column=Column("id", Uuid, primary_key=True))
    tenant: str = Field(sa_column=Column("tenant", String(64), nullable=False))
    subject: UUID = Field(sa_column=_subject(key=False))
    reason: bytes = Field(sa_column=_bytes("reason"))
    review_at: int = Field(sa_column=_big("review_at"))
    proposer: str = Field(
        sa_column=Column("proposer", String(128), nullable=False)
    )
    proposed_at: int = Field(sa_column=_big("proposed_at"))
    confirmer: str | None = Field(
        sa_column=Column("confirmer", String(128), nullable=True)
    )
    confirmed_at: int | None = Field(sa_column=_instant("confirmed_at"))
    lift_proposer: str | None = Field(
        sa_column=Column("lift_proposer", String(128), nullable=True)
    )
    lifter: str | None = Field(
        sa_column=Column("lifter", String(128), nullable=True)
    )
    lifted_at: int | None = Field(sa_column=_instant("lifted_at"))
    erasure_asked_at: int | None = Field(
        sa_column=_instant("erasure_asked_at")
    )
    erasure_proposer: str | None = Field(
        sa_column=Column("erasure_proposer", String(128), nullable=True)
    )


class KeysMarkRow(KeysTable, table=True):
    """The last record of the erasure journal that this database knows."""

    __tablename__ = "vault_keys_mark"

    tenant: str = Field(sa_column=_tenant())
    number: int = Field(sa_column=_big("number"))
    mac: bytes = Field(sa_column=_bytes("mac", 32))


class TenantRow(KeysTable, table=True):
    """One tenant: its decoy, and the wrapped root of its index keys."""

    __tablename__ = "vault_tenant"

    tenant: str = Field(sa_column=_tenant())
    decoy: UUID = Field(sa_column=Column("decoy", Uuid, nullable=False))
    kek_epoch: int = Field(sa_column=_number("kek_epoch"))
    blob: bytes = Field(sa_column=_bytes("blob", 61))
    created_at: int = Field(sa_column=_big("created_at"))
    # Counts the changes of KEK rows; `seal` authenticates them together.
    revision: int = Field(
        sa_column=Column(
            "revision", BigInteger, nullable=False, server_default="0"
        )
    )
    seal: bytes | None = Field(
        sa_column=Column("seal", LargeBinary(32), nullable=True)
    )


class SubjectRow(DataTable, table=True):
    """One person's state: a MAC, and the list of values that must be."""

    __tablename__ = "vault_subject"
    __table_args__ = (_CLUSTERED,)

    tenant: str = Field(sa_column=_tenant())
    subject: UUID = Field(sa_column=_subject())
    epoch: int = Field(sa_column=_big("epoch"))
    state: bytes = Field(sa_column=_bytes("state"))


class ValueRow(DataTable, table=True):
    """The current version of one attribute of one person."""

    __tablename__ = "vault_value"
    __table_args__ = (_CLUSTERED,)

    tenant: str = Field(sa_column=_tenant())
    subject: UUID = Field(sa_column=_subject())
    attribute: int = Field(sa_column=_number("attribute", key=True))
    version: int = Field(sa_column=_big("version"))
    sealed: bytes = Field(sa_column=_bytes("sealed"))


class HistoryRow(DataTable, table=True):
    """A superseded version; still sealed, still erased with the person."""

    __tablename__ = "vault_history"
    __table_args__ = (_CLUSTERED,)

    tenant: str = Field(sa_column=_tenant())
    subject: UUID = Field(sa_column=_subject())
    attribute: int = Field(sa_column=_number("attribute", key=True))
    version: int = Field(sa_column=_big("version", key=True))
    sealed: bytes = Field(sa_column=_bytes("sealed"))


class DataMarkRow(DataTable, table=True):
    """The last record of the erasure journal that this database knows."""

    __tablename__ = "vault_data_mark"

    tenant: str = Field(sa_column=_tenant())
    number: int = Field(sa_column=_big("number"))
    mac: bytes = Field(sa_column=_bytes("mac", 32))


class RetentionRow(DataTable, table=True):
    """The day by which one attribute of one person is to be deleted.

    A day, not an instant, so that the time of recording does not stand in
    the clear.
    """

    __tablename__ = "vault_retention"
    __table_args__ = (
        Index("vault_retention_due", "tenant", "delete_by"),
        _CLUSTERED,
    )

    tenant: str = Field(sa_column=_tenant())
    subject: UUID = Field(sa_column=_subject())
    attribute: int = Field(sa_column=_number("attribute", key=True))
    delete_by: int = Field(sa_column=_number("delete_by"))


class IndexRow(DataTable, table=True):
    """One blind-index entry of an identifier."""

    __tablename__ = "vault_index"
    __table_args__ = (
        Index("vault_index_by_subject", "tenant", "subject"),
        _CLUSTERED,
    )

    tenant: str = Field(sa_column=_tenant())
    attribute: int = Field(sa_column=_number("attribute", key=True))
    key_version: int = Field(sa_column=_number("key_version", key=True))
    digest: bytes = Field(
        sa_column=Column("digest", LargeBinary(16), primary_key=True)
    )
    subject: UUID = Field(sa_column=_subject(key=False))
    version: int = Field(sa_column=_big("version"))
    binding: bytes = Field(sa_column=_bytes("binding", 16))
    place: int = Field(sa_column=_number("place"))


class CandidateRow(DataTable, table=True):
    """One entry of an index that many people may share."""

    __tablename__ = "vault_candidate"
    __table_args__ = (
        Index("vault_candidate_by_subject", "tenant", "subject"),
        _CLUSTERED,
    )

    tenant: str = Field(sa_column=_tenant())
    attribute: int = Field(sa_column=_number("attribute", key=True))
    prefix: int = Field(sa_column=_number("prefix", key=True))
    key_version: int = Field(sa_column=_number("key_version", key=True))
    digest: bytes = Field(
        sa_column=Column("digest", LargeBinary(16), primary_key=True)
    )
    subject: UUID = Field(sa_column=_subject())
    place: int = Field(sa_column=_number("place", key=True))


class IndexSpecRow(DataTable, table=True):
    """One declared index: its width, and the key versions in use."""

    __tablename__ = "vault_index_spec"

    tenant: str = Field(sa_column=_tenant())
    attribute: int = Field(sa_column=_number("attribute", key=True))
    prefix: int = Field(sa_column=_number("prefix", key=True))
    bits: int = Field(sa_column=_number("bits"))
    state: str = Field(
        sa_column=Column("state", String(_STATE), nullable=False)
    )
    key_version: int = Field(sa_column=_number("key_version"))
    other_version: int | None = Field(
        sa_column=Column("other_version", Integer, nullable=True)
    )
    done: UUID | None = Field(sa_column=Column("done", Uuid, nullable=True))
    changed_at: int = Field(sa_column=_big("changed_at"))


KEK = KEYS_METADATA.tables["vault_kek"]
DEK = KEYS_METADATA.tables["vault_dek"]
TENANT = KEYS_METADATA.tables["vault_tenant"]
HOLD = KEYS_METADATA.tables["vault_hold"]
KEYS_MARK = KEYS_METADATA.tables["vault_keys_mark"]
SUBJECT = DATA_METADATA.tables["vault_subject"]
VALUE = DATA_METADATA.tables["vault_value"]
HISTORY = DATA_METADATA.tables["vault_history"]
INDEX = DATA_METADATA.tables["vault_index"]
DATA_MARK = DATA_METADATA.tables["vault_data_mark"]
RETENTION = DATA_METADATA.tables["vault_retention"]
CANDIDATE = DATA_METADATA.tables["vault_candidate"]
SPEC = DATA_METADATA.tables["vault_index_spec"]
