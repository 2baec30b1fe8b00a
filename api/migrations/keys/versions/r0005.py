"""Keys have no index by epoch: every move of one paid for it.

What asks by epoch goes through all keys once. A server that has not counted
its rows also took that index for a look-up of one person's.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_NAME, _TABLE = "vault_dek_by_epoch", "vault_dek"


def upgrade() -> None:
    """Drop the index."""
    op.drop_index(_NAME, table_name=_TABLE)


def downgrade() -> None:
    """Make it again."""
    op.create_index(_NAME, _TABLE, ["tenant", "kek_epoch", "subject"])
