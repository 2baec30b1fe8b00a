"""Which sensitive values the classes of an extract had, under keyed tags."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of extracts that were made before nothing is known."""
    op.add_column(
        "policy_released",
        sa.Column("counted", sa.Text(), nullable=True),
    )


def downgrade() -> None:
    """Take it away; then only sizes are guarded."""
    op.drop_column("policy_released", "counted")
