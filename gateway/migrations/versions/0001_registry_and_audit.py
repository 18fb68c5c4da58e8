"""The registry of devices, and the audit of what people did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates ``device`` and ``audit``."""
    op.create_table(
        "device",
        sa.Column("device_id", sa.Text, primary_key=True),
        *(
            sa.Column(name, sa.Text)
            for name in ("kind", "profile", "vendor", "model", "serial_number", "owner", "site")
        ),
        sa.Column("region", sa.Text, index=True),
        sa.Column("longitude", sa.Float),
        sa.Column("latitude", sa.Float),
        sa.Column("commissioned_at", sa.BigInteger),
        sa.Column("verified_at", sa.BigInteger),
        sa.Column("verified_until", sa.BigInteger),
        sa.Column("certificate", sa.Text),
        sa.Column("parameters", sa.JSON, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Drops both."""
    op.drop_table("audit")
    op.drop_table("device")
