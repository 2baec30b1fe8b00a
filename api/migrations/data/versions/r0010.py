"""Records of several events, what was served, and mandates."""

import sqlalchemy as sa
from alembic import op

from api.migrations import Chain, metadata
from api.migrations.isolation import isolate, open_to_owner

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_EVENT = "consent_event"
# An answer begins a record; what ended one belongs to the answer before it.
_GROUP = """
UPDATE consent_event SET record = CASE
    WHEN type IN ('given', 'refused') THEN id
    ELSE coalesce((
        SELECT earlier.id FROM consent_event AS earlier
        WHERE earlier.tenant = consent_event.tenant
        AND earlier.subject = consent_event.subject
        AND earlier.service = consent_event.service
        AND earlier.purpose = consent_event.purpose
        AND earlier.statement = consent_event.statement
        AND earlier.revision < consent_event.revision
        AND earlier.type IN ('given', 'refused')
        ORDER BY earlier.revision DESC LIMIT 1
    ), id)
END, recorded_at = at
"""


def upgrade() -> None:
    """Add the columns and tables, and group the events there are."""
    declared = metadata(Chain.DATA)
    for column in (
        sa.Column("record", sa.Uuid(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=True),
        sa.Column("served", sa.String(length=64), nullable=True),
        sa.Column("mandate", sa.Uuid(), nullable=True),
        sa.Column("officer", sa.String(length=128), nullable=True),
    ):
        op.add_column(_EVENT, column)
    op.add_column(
        "consent_notice",
        sa.Column("statement", sa.String(length=64), nullable=True),
    )
    op.create_table(
        "consent_served",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", "digest"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "consent_mandate",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_recorded_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "subject", "id"),
        sqlite_with_rowid=False,
    )
    open_to_owner(declared)
    op.execute(_GROUP)
    isolate(declared)


def downgrade() -> None:
    """Take them away; what only they can say is lost."""
    op.drop_table("consent_mandate")
    op.drop_table("consent_served")
    op.drop_column("consent_notice", "statement")
    for name in ("officer", "mandate", "served", "recorded_at", "record"):
        op.drop_column(_EVENT, name)
