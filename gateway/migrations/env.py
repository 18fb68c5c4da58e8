"""Alembic's entry: the casebook hands its open connection over, so there is no URL to configure."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
