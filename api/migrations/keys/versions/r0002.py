"""Key states that are authenticated, and KEKs that a custodian sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what a custodian sealed, and the seal over the states."""
    for name in (
        "suspended_at",
        "compromised_at",
        "gone_at",
        "exposed_until",
    ):
        op.add_column(
            "vault_kek", sa.Column(name, sa.BigInteger(), nullable=True)
        )
    op.add_column(
        "vault_kek", sa.Column("blob", sa.LargeBinary(), nullable=True)
    )
    op.add_column(
        "vault_tenant",
        sa.Column(
            "revision", sa.BigInteger(), nullable=False, server_default="0"
        ),
    )
    op.add_column(
        "vault_tenant",
        sa.Column("seal", sa.LargeBinary(length=32), nullable=True),
    )


def downgrade() -> None:
    """Drop them; KEKs that a custodian sealed are lost with the column."""
    for table, name in (
        ("vault_tenant", "seal"),
        ("vault_tenant", "revision"),
        ("vault_kek", "blob"),
        ("vault_kek", "exposed_until"),
        ("vault_kek", "gone_at"),
        ("vault_kek", "compromised_at"),
        ("vault_kek", "suspended_at"),
    ):
        op.drop_column(table, name)
