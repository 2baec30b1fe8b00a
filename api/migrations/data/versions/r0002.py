"""Values in two times, and many identifiers for one person."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_CLUSTERED = {"sqlite_with_rowid": False}


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), autoincrement=False, nullable=False)


def upgrade() -> None:
    """Say where an indexed value stands; make room for declared indexes."""
    op.add_column("vault_index", sa.Column("place", sa.Integer()))
    op.execute("UPDATE vault_index SET place = attribute")
    with op.batch_alter_table("vault_index", table_kwargs=_CLUSTERED) as batch:
        batch.alter_column("place", nullable=False)
    op.create_table(
        "vault_candidate",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        _number("attribute"),
        _number("prefix"),
        _number("key_version"),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        _number("place"),
        sa.PrimaryKeyConstraint(
            "tenant",
            "attribute",
            "prefix",
            "key_version",
            "digest",
            "subject",
            "place",
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "vault_candidate_by_subject",
        "vault_candidate",
        ["tenant", "subject"],
        unique=False,
    )
    op.create_table(
        "vault_index_spec",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        _number("attribute"),
        _number("prefix"),
        _number("bits"),
        sa.Column("state", sa.String(length=16), nullable=False),
        _number("key_version"),
        sa.Column("other_version", sa.Integer()),
        sa.Column("done", sa.Uuid()),
        sa.Column(
            "changed_at", sa.BigInteger(), autoincrement=False, nullable=False
        ),
        sa.PrimaryKeyConstraint("tenant", "attribute", "prefix"),
    )


def downgrade() -> None:
    """Go back to one identifier of a kind, and no declared indexes."""
    op.drop_table("vault_index_spec")
    op.drop_index("vault_candidate_by_subject", table_name="vault_candidate")
    op.drop_table("vault_candidate")
    op.execute("DELETE FROM vault_index WHERE place <> attribute")
    with op.batch_alter_table("vault_index", table_kwargs=_CLUSTERED) as batch:
        batch.drop_column("place")
