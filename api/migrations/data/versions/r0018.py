"""Codes of the rows that decide who learns what (`consent.row_macs`).

What stood there before has none: `curtilage vouch` makes them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("consent_revision", "parts"),
    ("consent_revision", "mac"),
    ("consent_registry", "mac"),
    ("policy_credential", "mac"),
)


def upgrade() -> None:
    """Add the columns, empty."""
    for table, column in _COLUMNS:
        op.add_column(
            table, sa.Column(column, sa.LargeBinary(), nullable=True)
        )


def downgrade() -> None:
    """Take them away; nothing is checked any more."""
    for table, column in reversed(_COLUMNS):
        op.drop_column(table, column)
