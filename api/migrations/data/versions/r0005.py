"""Cosignatures of witnesses."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what witnesses said about checkpoints."""
    op.create_table(
        "ledger_cosignature",
        sa.Column("ledger", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "size", sa.BigInteger(), autoincrement=False, nullable=False
        ),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("key_id", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("ledger", "size", "name", "key_id"),
    )


def downgrade() -> None:
    """Take it away; witnesses can be asked again."""
    op.drop_table("ledger_cosignature")
