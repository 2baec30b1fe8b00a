"""Who was in which class of which extract; who approved it, until when."""

import sqlalchemy as sa
from alembic import op

from api.migrations import Chain, metadata
from api.migrations.isolation import isolate

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, isolated like the others, and add the columns."""
    op.create_table(
        "policy_released",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("recipient", sa.String(length=128), nullable=False),
        sa.Column("dataset", sa.String(length=300), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("sizes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "policy_released_person",
        sa.Column("release", sa.Uuid(), nullable=False),
        sa.Column("tag", sa.LargeBinary(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("release", "tag"),
    )
    op.add_column(
        "policy_release",
        sa.Column("approver", sa.String(length=128), nullable=True),
    )
    op.add_column(
        "policy_release",
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
    )
    isolate(metadata(Chain.DATA))


def downgrade() -> None:
    """Take them away; the next extract is made as if it were the first."""
    op.drop_column("policy_release", "expires_at")
    op.drop_column("policy_release", "approver")
    op.drop_table("policy_released_person")
    op.drop_table("policy_released")
