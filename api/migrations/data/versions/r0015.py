"""A person's entries follow one another by a link, not by an index.

The index over tags took a page of its own for almost every entry.
"""

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

from api.migrations import Chain, metadata
from api.migrations.isolation import isolate, open_to_owner

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_LINK = """
UPDATE ledger_entry SET before = linked.earlier FROM (
    SELECT ledger, idx,
        lag(idx) OVER (PARTITION BY ledger, tag ORDER BY idx) AS earlier
    FROM ledger_entry WHERE tag IS NOT NULL
) AS linked
WHERE ledger_entry.ledger = linked.ledger AND ledger_entry.idx = linked.idx
AND linked.earlier IS NOT NULL
"""
_NEWER = """
SELECT EXISTS (SELECT 1 FROM ledger_entry WHERE substr(own, 1, 1) = :version)
OR EXISTS (SELECT 1 FROM ledger_pending WHERE substr(own, 1, 1) = :version)
"""
_LAST = """
UPDATE ledger_person SET last = (
    SELECT max(ledger_entry.idx) FROM ledger_entry
    WHERE ledger_entry.ledger = ledger_person.ledger
    AND ledger_entry.tag = ledger_person.tag
)
"""


def upgrade() -> None:
    """Add the links, make those of the entries there are, drop the index."""
    declared = metadata(Chain.DATA)
    for table, column in (
        ("ledger_entry", "before"),
        ("ledger_person", "last"),
    ):
        op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=True))
    open_to_owner(declared)
    op.execute(_LINK)
    op.execute(_LAST)
    isolate(declared)
    op.drop_index("ledger_entry_tag", table_name="ledger_entry")


def downgrade() -> None:
    """Put the index back, where older code can read every entry.

    Raises:
        CommandError: There are entries in the form of version 3, which is
            written since and which older code takes for altered.

    """
    declared = metadata(Chain.DATA)
    open_to_owner(declared)
    newer = sa.text(_NEWER).bindparams(
        sa.bindparam("version", b"\x03", sa.LargeBinary())
    )
    if op.get_bind().execute(newer).scalar():
        msg = (
            "the ledger has entries that older code cannot read, so this "
            "database stays at revision 0015 or later; put a backup of "
            "before the upgrade back instead"
        )
        raise CommandError(msg)
    isolate(declared)
    op.create_index(
        "ledger_entry_tag",
        "ledger_entry",
        ["ledger", "tag", "idx"],
        unique=False,
        sqlite_where=sa.text("tag IS NOT NULL"),
        postgresql_where=sa.text("tag IS NOT NULL"),
    )
    op.drop_column("ledger_person", "last")
    op.drop_column("ledger_entry", "before")
