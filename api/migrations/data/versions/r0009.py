"""Counted uses of a person's rules, and what a signal was seen on."""

import sqlalchemy as sa
from alembic import op

from api.migrations import Chain, metadata
from api.migrations.isolation import isolate

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the counts, and the evidence of a restraint."""
    op.create_table(
        "consent_use",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("recent", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant", "subject", "service", "purpose", "rule"
        ),
        sqlite_with_rowid=False,
    )
    op.add_column(
        "policy_restraint",
        sa.Column("evidence", sa.String(length=200), nullable=True),
    )
    isolate(metadata(Chain.DATA))


def downgrade() -> None:
    """Take both away; uses are counted from nothing then."""
    op.drop_column("policy_restraint", "evidence")
    op.drop_table("consent_use")
