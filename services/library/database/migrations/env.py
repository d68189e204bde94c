"""Run migrations on the connection that `migration` hands over."""

from alembic import context

from services.library.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
