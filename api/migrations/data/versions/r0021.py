"""Codes of requests for extracts.

What stood there before has none: `curtilage vouch` makes them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, empty."""
    op.add_column(
        "policy_release", sa.Column("mac", sa.LargeBinary(), nullable=True)
    )


def downgrade() -> None:
    """Take it away; nothing is checked any more."""
    op.drop_column("policy_release", "mac")
