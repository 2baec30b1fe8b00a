"""Codes of emergency access: its grants, and the alerts about them.

What stood there before has none: `curtilage vouch` makes them. An alert of
before names no officer beside its grant.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_GRANTS, _ALERTS = "policy_glass", "policy_glass_alert"
_OFFICER = "policy_glass_alert_officer"


def upgrade() -> None:
    """Add the columns, empty."""
    for table in (_GRANTS, _ALERTS):
        op.add_column(table, sa.Column("mac", sa.LargeBinary(), nullable=True))
    op.add_column(
        _ALERTS, sa.Column("officer", sa.String(length=128), nullable=True)
    )
    op.create_index(_OFFICER, _ALERTS, ["tenant", "officer"])


def downgrade() -> None:
    """Take them away; nothing is checked any more."""
    op.drop_index(_OFFICER, _ALERTS)
    op.drop_column(_ALERTS, "officer")
    for table in (_ALERTS, _GRANTS):
        op.drop_column(table, "mac")
