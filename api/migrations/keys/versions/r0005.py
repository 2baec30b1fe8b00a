"""An index for each question about keys, so that no server takes another."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_NAME, _TABLE = "vault_dek_by_epoch", "vault_dek"


def upgrade() -> None:
    """Put the epoch first: a look-up of a person has no use for that."""
    op.drop_index(_NAME, table_name=_TABLE)
    op.create_index(_NAME, _TABLE, ["kek_epoch", "tenant", "subject"])


def downgrade() -> None:
    """Put the tenant first again."""
    op.drop_index(_NAME, table_name=_TABLE)
    op.create_index(_NAME, _TABLE, ["tenant", "kek_epoch", "subject"])
