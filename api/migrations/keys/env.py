"""Alembic's entry for the keys database: the caller brings the connection."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    transactional_ddl=True,
    version_table="keys_revision",
)
context.run_migrations()
