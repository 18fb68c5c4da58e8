"""Orders of people to processing: messages in quarantine to be decided again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates ``reprocess_order``."""
    op.create_table(
        "reprocess_order",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("vendor", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("profile", sa.Text),
        sa.Column("messages", sa.Integer, nullable=False),
        sa.Column("below", sa.BigInteger),
        sa.Column("begun_at", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("stuck_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, index=True),
        sa.Column("outcome", sa.JSON),
        sa.Column("fault", sa.Text),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Drops it; the audit still tells who ordered what."""
    op.drop_table("reprocess_order")
