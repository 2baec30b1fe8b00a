"""Codes of proposals, and of which policies are in force.

What stood there before has none: `curtilage vouch` makes them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_TABLES = ("policy_bundle", "policy_live", "policy_proposal")


def upgrade() -> None:
    """Add the columns, empty."""
    for table in _TABLES:
        op.add_column(table, sa.Column("mac", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Take them away; nothing is checked any more."""
    for table in reversed(_TABLES):
        op.drop_column(table, "mac")
