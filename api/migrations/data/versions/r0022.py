"""Entries that are about nobody have an index: officers' acts look there."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; it is of few entries."""
    op.create_index(
        "ledger_entry_nobody",
        "ledger_entry",
        ["ledger", "service", "purpose", "idx"],
        sqlite_where=sa.text("tag IS NULL"),
        postgresql_where=sa.text("tag IS NULL"),
    )


def downgrade() -> None:
    """Take it away."""
    op.drop_index("ledger_entry_nobody", table_name="ledger_entry")
