"""Runs the migrations on the connection that `serve.storage.migrate` gives."""

from alembic import context

from serve.storage.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,  # SQLite changes a table by making a new one
    transaction_per_migration=False,
)
context.run_migrations()
