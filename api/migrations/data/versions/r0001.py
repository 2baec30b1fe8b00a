"""The first schema of the data database."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "vault_history",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column(
            "attribute", sa.Integer(), autoincrement=False, nullable=False
        ),
        sa.Column(
            "version", sa.BigInteger(), autoincrement=False, nullable=False
        ),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", "attribute", "version"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "vault_index",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column(
            "attribute", sa.Integer(), autoincrement=False, nullable=False
        ),
        sa.Column(
            "key_version", sa.Integer(), autoincrement=False, nullable=False
        ),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column(
            "version", sa.BigInteger(), autoincrement=False, nullable=False
        ),
        sa.Column("binding", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant", "attribute", "key_version", "digest"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "vault_index_by_subject",
        "vault_index",
        ["tenant", "subject"],
        unique=False,
    )
    op.create_table(
        "vault_subject",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column(
            "epoch", sa.BigInteger(), autoincrement=False, nullable=False
        ),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "vault_value",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column(
            "attribute", sa.Integer(), autoincrement=False, nullable=False
        ),
        sa.Column(
            "version", sa.BigInteger(), autoincrement=False, nullable=False
        ),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", "attribute"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "consent_declaration",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "digest"),
        sa.UniqueConstraint("tenant", "service", "purpose", "version"),
    )
    op.create_table(
        "consent_notice",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("declaration", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "digest"),
    )
    op.create_table(
        "consent_preferences",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", "version"),
    )
    op.create_table(
        "consent_registry",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )
    op.create_table(
        "consent_revision",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_checkpoint",
        sa.Column("ledger", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "size", sa.BigInteger(), autoincrement=False, nullable=False
        ),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("ledger", "size"),
    )
    op.create_table(
        "ledger_entry",
        sa.Column("ledger", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("tag", sa.LargeBinary(), nullable=True),
        sa.Column("service", sa.String(length=128), nullable=False),
        sa.Column("purpose", sa.String(length=128), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("own", sa.LargeBinary(), nullable=True),
        sa.Column("audit", sa.LargeBinary(), nullable=True),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("ledger", "idx"),
    )
    op.create_index(
        "ledger_entry_day", "ledger_entry", ["ledger", "day"], unique=False
    )
    op.create_index(
        "ledger_entry_side",
        "ledger_entry",
        ["ledger", "service", "purpose", "day"],
        unique=False,
    )
    op.create_index(
        "ledger_entry_tag",
        "ledger_entry",
        ["ledger", "tag", "idx"],
        unique=False,
        sqlite_where=sa.text("tag IS NOT NULL"),
        postgresql_where=sa.text("tag IS NOT NULL"),
    )
    op.create_table(
        "ledger_head",
        sa.Column("ledger", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("origin", sa.String(length=255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("nodes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("ledger"),
    )
    op.create_table(
        "ledger_person",
        sa.Column("ledger", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tag", sa.LargeBinary(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("ledger", "tag"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_tile",
        sa.Column("ledger", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "number", sa.BigInteger(), autoincrement=False, nullable=False
        ),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("ledger", "level", "number"),
    )
    op.create_table(
        "consent_event",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("statement", sa.String(length=64), nullable=False),
        sa.Column("declaration", sa.String(length=64), nullable=False),
        sa.Column("notice", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "declaration"],
            ["consent_declaration.tenant", "consent_declaration.digest"],
        ),
        sa.PrimaryKeyConstraint(
            "tenant", "subject", "service", "purpose", "revision"
        ),
        sa.UniqueConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "consent_event_declaration",
        "consent_event",
        ["tenant", "declaration"],
        unique=False,
    )
    op.create_table(
        "policy_credential",
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=128), nullable=False),
        sa.Column("purpose", sa.String(length=128), nullable=False),
        sa.Column("assurance", sa.Integer(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("client_id"),
    )
    op.create_table(
        "policy_decision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("tag", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "policy_decision_tag", "policy_decision", ["tag"], unique=False
    )
    op.create_table(
        "policy_release",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=128), nullable=False),
        sa.Column("purpose", sa.String(length=128), nullable=False),
        sa.Column("recipient", sa.String(length=128), nullable=False),
        sa.Column("officer", sa.String(length=128), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("manifest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "policy_restraint",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("purpose", sa.String(length=128), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "policy_restraint_person",
        "policy_restraint",
        ["tenant", "subject"],
        unique=False,
    )


def downgrade() -> None:
    """Drop every table."""
    op.drop_index("policy_restraint_person", table_name="policy_restraint")
    op.drop_table("policy_restraint")
    op.drop_table("policy_release")
    op.drop_index("policy_decision_tag", table_name="policy_decision")
    op.drop_table("policy_decision")
    op.drop_table("policy_credential")
    op.drop_index("consent_event_declaration", table_name="consent_event")
    op.drop_table("consent_event")
    op.drop_table("ledger_tile")
    op.drop_table("ledger_person")
    op.drop_table("ledger_head")
    op.drop_index(
        "ledger_entry_tag",
        table_name="ledger_entry",
        sqlite_where=sa.text("tag IS NOT NULL"),
        postgresql_where=sa.text("tag IS NOT NULL"),
    )
    op.drop_index("ledger_entry_side", table_name="ledger_entry")
    op.drop_index("ledger_entry_day", table_name="ledger_entry")
    op.drop_table("ledger_entry")
    op.drop_table("ledger_checkpoint")
    op.drop_table("consent_revision")
    op.drop_table("consent_registry")
    op.drop_table("consent_preferences")
    op.drop_table("consent_notice")
    op.drop_table("consent_declaration")
    op.drop_table("vault_value")
    op.drop_table("vault_subject")
    op.drop_index("vault_index_by_subject", table_name="vault_index")
    op.drop_table("vault_index")
    op.drop_table("vault_history")
