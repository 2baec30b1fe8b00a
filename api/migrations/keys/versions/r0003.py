"""Legal holds, and the mark of the erasure journal."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BEFORE = "state <> 'live' AND settled_at IS NULL"
_AFTER = "state NOT IN ('live', 'held') AND settled_at IS NULL"


def upgrade() -> None:
    """Let a key be held, and keep what the journal is compared with."""
    _index(_BEFORE, _AFTER)
    op.create_table(
        "vault_hold",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column(
            "review_at", sa.BigInteger(), autoincrement=False, nullable=False
        ),
        sa.Column("proposer", sa.String(length=128), nullable=False),
        sa.Column(
            "proposed_at",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("confirmer", sa.String(length=128), nullable=True),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("lift_proposer", sa.String(length=128), nullable=True),
        sa.Column("lifter", sa.String(length=128), nullable=True),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.Column("erasure_asked_at", sa.BigInteger(), nullable=True),
        sa.Column("erasure_proposer", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "vault_hold_subject", "vault_hold", ["tenant", "subject"], unique=False
    )
    op.create_table(
        "vault_keys_mark",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column(
            "number", sa.BigInteger(), autoincrement=False, nullable=False
        ),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )


def downgrade() -> None:
    """Forget the holds; a key that was held is live again."""
    op.drop_table("vault_keys_mark")
    op.drop_index("vault_hold_subject", table_name="vault_hold")
    op.drop_table("vault_hold")
    op.execute("UPDATE vault_dek SET state = 'live' WHERE state = 'held'")
    _index(_AFTER, _BEFORE)


def _index(before: str, after: str) -> None:
    """Build the index of unsettled erasures anew, for other rows."""
    op.drop_index(
        "vault_dek_unsettled",
        table_name="vault_dek",
        sqlite_where=sa.text(before),
        postgresql_where=sa.text(before),
    )
    op.create_index(
        "vault_dek_unsettled",
        "vault_dek",
        ["tenant", "subject"],
        unique=False,
        sqlite_where=sa.text(after),
        postgresql_where=sa.text(after),
    )
