"""Retention dates, and the mark of the erasure journal."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "vault_data_mark",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column(
            "number", sa.BigInteger(), autoincrement=False, nullable=False
        ),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )
    op.create_table(
        "vault_retention",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column(
            "attribute", sa.Integer(), autoincrement=False, nullable=False
        ),
        sa.Column(
            "delete_by", sa.Integer(), autoincrement=False, nullable=False
        ),
        sa.PrimaryKeyConstraint("tenant", "subject", "attribute"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "vault_retention_due",
        "vault_retention",
        ["tenant", "delete_by"],
        unique=False,
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_index("vault_retention_due", table_name="vault_retention")
    op.drop_table("vault_retention")
    op.drop_table("vault_data_mark")
