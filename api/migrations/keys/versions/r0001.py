"""The first schema of the keys database."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "vault_dek",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("gen", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "kek_epoch", sa.Integer(), autoincrement=False, nullable=False
        ),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("commitment", sa.LargeBinary(length=32), nullable=False),
        sa.Column("blob", sa.LargeBinary(length=61), nullable=False),
        sa.Column(
            "created_at", sa.BigInteger(), autoincrement=False, nullable=False
        ),
        sa.Column("erasure_began_at", sa.BigInteger(), nullable=True),
        sa.Column("destroyed_at", sa.BigInteger(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "subject", "gen"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "vault_dek_by_epoch",
        "vault_dek",
        ["tenant", "kek_epoch", "subject"],
        unique=False,
    )
    op.create_index(
        "vault_dek_unsettled",
        "vault_dek",
        ["tenant", "subject"],
        unique=False,
        sqlite_where=sa.text("state <> 'live' AND settled_at IS NULL"),
        postgresql_where=sa.text("state <> 'live' AND settled_at IS NULL"),
    )
    op.create_table(
        "vault_kek",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column(
            "created_at", sa.BigInteger(), autoincrement=False, nullable=False
        ),
        sa.Column("activated_at", sa.BigInteger(), nullable=True),
        sa.Column("deactivated_at", sa.BigInteger(), nullable=True),
        sa.Column("destroyed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "epoch"),
    )
    op.create_index(
        "vault_kek_one_active",
        "vault_kek",
        ["tenant"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_table(
        "vault_tenant",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("decoy", sa.Uuid(), nullable=False),
        sa.Column(
            "kek_epoch", sa.Integer(), autoincrement=False, nullable=False
        ),
        sa.Column("blob", sa.LargeBinary(length=61), nullable=False),
        sa.Column(
            "created_at", sa.BigInteger(), autoincrement=False, nullable=False
        ),
        sa.PrimaryKeyConstraint("tenant"),
    )


def downgrade() -> None:
    """Drop every table."""
    op.drop_table("vault_tenant")
    op.drop_index(
        "vault_kek_one_active",
        table_name="vault_kek",
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.drop_table("vault_kek")
    op.drop_index(
        "vault_dek_unsettled",
        table_name="vault_dek",
        sqlite_where=sa.text("state <> 'live' AND settled_at IS NULL"),
        postgresql_where=sa.text("state <> 'live' AND settled_at IS NULL"),
    )
    op.drop_index("vault_dek_by_epoch", table_name="vault_dek")
    op.drop_table("vault_dek")
