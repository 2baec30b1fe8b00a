"""That a service asked for somebody's consent, and what came of it."""

import sqlalchemy as sa
from alembic import op

from api.migrations import Chain, metadata
from api.migrations.isolation import isolate

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, isolated like the others."""
    op.create_table(
        "policy_consent_request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("attribute", sa.String(length=128), nullable=False),
        sa.Column("statement", sa.String(length=64), nullable=False),
        sa.Column("evaluation", sa.Uuid(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("asked", sa.LargeBinary(), nullable=False),
        sa.Column("about", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_at", sa.BigInteger(), nullable=True),
        sa.Column("approval", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.BigInteger(), nullable=True),
        sa.Column("approved_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant", "service", "purpose", "evaluation"),
        sa.UniqueConstraint("tenant", "service", "purpose", "key"),
    )
    op.create_index(
        "policy_consent_request_person",
        "policy_consent_request",
        ["tenant", "subject"],
    )
    op.create_index(
        "policy_consent_request_expiry",
        "policy_consent_request",
        ["tenant", "expires_at"],
    )
    op.create_index(
        "policy_consent_request_about",
        "policy_consent_request",
        ["tenant", "service", "purpose", "about"],
    )
    isolate(metadata(Chain.DATA))


def downgrade() -> None:
    """Drop it; no service has a task any more."""
    op.drop_table("policy_consent_request")
