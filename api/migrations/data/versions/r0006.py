"""Rows of one tenant are that tenant's alone, on PostgreSQL."""

from api.migrations import Chain, metadata
from api.migrations.isolation import isolate, open_to_owner

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Isolate every table that has a tenant's or a ledger's rows."""
    isolate(metadata(Chain.DATA))


def downgrade() -> None:
    """Let the owner of the tables see all rows again."""
    open_to_owner(metadata(Chain.DATA))
