"""Versions of devices, sites and owners, each with its beginning; certificates as their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

EVER = -(2**63)
"""What stands for 'since ever': a version without a beginning."""

_DEVICE = (
    "device_id, kind, profile, vendor, model, serial_number, owner, site, region, longitude, "
    "latitude, commissioned_at, verified_at, verified_until, certificate, parameters"
)


def upgrade() -> None:
    """Takes each device over as a version since ever, and its certificate as a record."""
    op.create_table(
        "device_version",
        sa.Column("device_id", sa.Text, primary_key=True),
        *_texts("kind", "profile", "vendor", "model", "serial_number", "owner", "site", "region"),
        sa.Column("longitude", sa.Float),
        sa.Column("latitude", sa.Float),
        sa.Column("commissioned_at", sa.BigInteger),
        sa.Column("verified_at", sa.BigInteger),
        sa.Column("verified_until", sa.BigInteger),
        sa.Column("certificate", sa.Text),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("valid_from", sa.BigInteger, primary_key=True),
        sa.Column("audit_id", sa.Integer),
    )
    op.create_table(
        "site_version",
        sa.Column("site", sa.Text, primary_key=True),
        *_texts("name", "owner", "region", "address"),
        sa.Column("longitude", sa.Float),
        sa.Column("latitude", sa.Float),
        sa.Column("valid_from", sa.BigInteger, primary_key=True),
        sa.Column("audit_id", sa.Integer),
    )
    op.create_table(
        "owner_version",
        sa.Column("owner", sa.Text, primary_key=True),
        *_texts("name", "credit_code", "address"),
        sa.Column("valid_from", sa.BigInteger, primary_key=True),
        sa.Column("audit_id", sa.Integer),
    )
    op.create_table(
        "certificate",
        sa.Column("device_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("verified_at", sa.BigInteger),
        sa.Column("issued_at", sa.BigInteger),
        sa.Column("valid_until", sa.BigInteger),
        *_texts("laboratory", "result"),
        sa.Column("errors", sa.JSON, nullable=False),
        sa.Column("source", sa.JSON, nullable=False),
        sa.Column("audit_id", sa.Integer),
    )
    op.execute(
        f"INSERT INTO device_version ({_DEVICE}, valid_from) SELECT {_DEVICE}, {EVER} FROM device"  # noqa: S608 - constants of this module
    )
    op.execute(
        "INSERT INTO certificate (device_id, number, verified_at, valid_until, errors, source) "
        "SELECT device_id, certificate, verified_at, verified_until, '[]', '{}' FROM device "
        "WHERE certificate IS NOT NULL"
    )
    op.drop_table("device")
    op.create_index("ix_device_version_site", "device_version", ["site"])
    op.create_index("ix_device_version_serial_number", "device_version", ["serial_number"])
    op.create_index("ix_audit_subject", "audit", ["subject"])


def downgrade() -> None:
    """Keeps the latest version of each device; all else of the history is lost."""
    op.create_table(
        "device",
        sa.Column("device_id", sa.Text, primary_key=True),
        *_texts("kind", "profile", "vendor", "model", "serial_number", "owner", "site"),
        sa.Column("region", sa.Text, index=True),
        sa.Column("longitude", sa.Float),
        sa.Column("latitude", sa.Float),
        sa.Column("commissioned_at", sa.BigInteger),
        sa.Column("verified_at", sa.BigInteger),
        sa.Column("verified_until", sa.BigInteger),
        sa.Column("certificate", sa.Text),
        sa.Column("parameters", sa.JSON, nullable=False),
    )
    op.execute(
        f"INSERT INTO device ({_DEVICE}) SELECT {_DEVICE} FROM device_version v WHERE valid_from = "  # noqa: S608 - constants of this module
        "(SELECT max(valid_from) FROM device_version WHERE device_id = v.device_id)"
    )
    op.drop_index("ix_audit_subject", "audit")
    for table in ("device_version", "site_version", "owner_version", "certificate"):
        op.drop_table(table)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text) for name in names]
