"""Users, sessions and tokens; the audit becomes a chain of hashes that the database protects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.audit import BEGINNING, entry_hash

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the tables, and computes the chain over the entries there are."""
    op.create_table(
        "person",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("vendor", sa.Text),
        sa.Column("password", sa.Text),
        sa.Column("must_change", sa.Boolean, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "session",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("person_id", sa.Integer, nullable=False, index=True),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
        sa.Column("address", sa.Text, nullable=False),
    )
    op.create_table(
        "api_token",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("person_id", sa.Integer, nullable=False, index=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("permissions", sa.JSON, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "login_failure",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "secret",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.add_column("audit", sa.Column("hash", sa.Text, nullable=False, server_default=""))
    # Whether an import has changed the registry is asked every few seconds.
    op.create_index("device_version_audit_id", "device_version", ["audit_id"])
    _chain(op.get_bind())
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END"
            )


def _chain(connection: sa.Connection) -> None:
    query = "SELECT id, at, actor, action, subject, detail FROM audit ORDER BY id"
    before, made = BEGINNING, []
    for row in connection.execute(sa.text(query)):
        before = entry_hash(before, tuple(row))
        made.append({"of": row.id, "hash": before})
    if made:
        connection.execute(sa.text("UPDATE audit SET hash = :hash WHERE id = :of"), made)


def downgrade() -> None:
    """Drops all of it; the entries of the audit stay."""
    for verb in ("update", "delete"):
        op.execute(f"DROP TRIGGER IF EXISTS audit_no_{verb}")
    op.drop_index("device_version_audit_id")
    op.drop_column("audit", "hash")
    for table in ("secret", "login_failure", "api_token", "session", "person"):
        op.drop_table(table)
