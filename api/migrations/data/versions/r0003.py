"""Pending entries, and who may see an entry when."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add pending and withheld entries, the latest time, and the rules."""
    with op.batch_alter_table("ledger_head") as head:
        head.add_column(
            sa.Column(
                "latest",
                sa.BigInteger(),
                server_default=sa.text("0"),
                nullable=False,
            )
        )
    op.create_table(
        "ledger_pending",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("ledger", sa.Integer(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("tag", sa.LargeBinary(), nullable=True),
        sa.Column("service", sa.String(length=128), nullable=False),
        sa.Column("purpose", sa.String(length=128), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("own", sa.LargeBinary(), nullable=True),
        sa.Column("audit", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "ledger_pending_order", "ledger_pending", ["ledger", "number"]
    )
    op.create_index("ledger_pending_tag", "ledger_pending", ["ledger", "tag"])
    op.create_table(
        "ledger_withheld",
        sa.Column("ledger", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("place", sa.LargeBinary(), nullable=False),
        sa.Column("whose", sa.LargeBinary(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("opened", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("ledger", "place"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ledger_withheld_whose", "ledger_withheld", ["ledger", "whose", "due"]
    )
    op.create_index(
        "ledger_withheld_due", "ledger_withheld", ["ledger", "opened", "due"]
    )
    op.create_table(
        "policy_visibility",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("service", sa.String(length=128), nullable=False),
        sa.Column("purpose", sa.String(length=128), nullable=False),
        sa.Column("visibility", sa.String(length=16), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("basis", sa.String(length=32), nullable=False),
        sa.Column("law", sa.String(length=500), nullable=False),
        sa.Column("proposer", sa.String(length=128), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("officer", sa.String(length=128), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "number"),
    )


def downgrade() -> None:
    """Take them away again.

    Raises:
        RuntimeError: entries are withheld or wait for their index; going
            down would lose or disclose them.

    """
    bound = op.get_bind()
    for table in ("ledger_pending", "ledger_withheld"):
        if bound.execute(sa.text(f"SELECT 1 FROM {table} LIMIT 1")).scalar():
            msg = f"{table} is not empty: going down would lose entries"
            raise RuntimeError(msg)
    op.drop_table("policy_visibility")
    op.drop_index("ledger_withheld_due", table_name="ledger_withheld")
    op.drop_index("ledger_withheld_whose", table_name="ledger_withheld")
    op.drop_table("ledger_withheld")
    op.drop_index("ledger_pending_tag", table_name="ledger_pending")
    op.drop_index("ledger_pending_order", table_name="ledger_pending")
    op.drop_table("ledger_pending")
    with op.batch_alter_table("ledger_head") as head:
        head.drop_column("latest")
