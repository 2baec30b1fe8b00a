"""Privacy budgets: what each recipient spent on noisy numbers."""

import sqlalchemy as sa
from alembic import op

from api.migrations import Chain, metadata
from api.migrations.isolation import isolate

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, isolated like the others."""
    op.create_table(
        "policy_budget",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=300), nullable=False),
        sa.Column("snapshot", sa.String(length=64), nullable=False),
        sa.Column("recipient", sa.String(length=128), nullable=False),
        sa.Column("query", sa.String(length=64), nullable=False),
        sa.Column("rho", sa.BigInteger(), nullable=False),
        sa.Column("everybody", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "policy_budget_spent", "policy_budget", ["tenant", "dataset", "at"]
    )
    op.create_index(
        "policy_budget_query", "policy_budget", ["tenant", "query"]
    )
    isolate(metadata(Chain.DATA))


def downgrade() -> None:
    """Take it away; what was spent is forgotten."""
    op.drop_table("policy_budget")
