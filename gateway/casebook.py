"""The casebook: what people do (the registry, the audit), apart from what the ledger tells.

SQLite by SQLAlchemy Core.  Its schema is migrated by Alembic when it is opened; an older program
refuses a casebook of a newer schema instead of guessing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
import sqlalchemy as sa

from gateway.errors import ConfigError, GatewayError
from gateway.records import Device

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

HEAD: Final = "0001"
FILE_NAME: Final = "casebook.sqlite"
_BUSY_TIMEOUT_S: Final = 10.0
_ROWS_A_STATEMENT: Final = 1_000

_METADATA: Final = sa.MetaData()

DEVICE: Final = sa.Table(
    "device",
    _METADATA,
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

AUDIT: Final = sa.Table(
    "audit",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)


class ImportSummary(msgspec.Struct, frozen=True):
    """What an import did, or would do, by number of devices."""

    added: int
    changed: int
    unchanged: int


class AuditEntry(msgspec.Struct, frozen=True):
    """One thing a person did; ``at`` in nanoseconds UTC."""

    at: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class Casebook:
    """An open casebook; a context manager.

    Args:
        directory: the data directory; the file is ``casebook.sqlite`` in it, made when missing.
        clock: nanoseconds UTC, for the audit.

    Raises:
        ConfigError: the schema is newer than this program.
        GatewayError: the file cannot be opened or is no database.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self.path = directory / FILE_NAME
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{directory}: cannot be made: {error.strerror}") from None
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(self.path)),
            connect_args={"timeout": _BUSY_TIMEOUT_S, "isolation_level": None},
        )
        sa.event.listen(self._engine, "begin", _begin_immediately)
        try:
            self._migrate()
        except sa.exc.DatabaseError as error:
            self._engine.dispose()
            raise GatewayError(f"{self.path}: cannot be opened: {error.orig}") from None
        except ConfigError:
            self._engine.dispose()
            raise

    def _migrate(self) -> None:
        with self._engine.begin() as connection:
            version = None
            if sa.inspect(connection).has_table("alembic_version"):
                version = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
            if version == HEAD:
                return
            # Imported here: most openings find nothing to do, and Alembic is slow to import.
            from alembic import command  # noqa: PLC0415
            from alembic.config import Config  # noqa: PLC0415
            from alembic.script import ScriptDirectory  # noqa: PLC0415

            config = Config()
            config.set_main_option("path_separator", "os")
            config.set_main_option(
                "script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%")
            )
            known = {
                script.revision for script in ScriptDirectory.from_config(config).walk_revisions()
            }
            if version is not None and version not in known:
                raise ConfigError(
                    f"{self.path}: its schema is {version}, this program knows up to {HEAD}; "
                    "use the newer program, or restore the casebook from before the upgrade"
                )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def import_devices(
        self, devices: Sequence[Device], *, source: str, actor: str, dry_run: bool = False
    ) -> ImportSummary:
        """Adds new devices and replaces changed ones, with one row of audit, all or nothing.

        Devices that are not among ``devices`` stay.  Nothing is written, and nothing audited,
        when nothing changes.
        """
        with self._engine.begin() as connection:
            known = _devices(connection)
            added = [device for device in devices if device.device_id not in known]
            changed = [
                device
                for device in devices
                if device.device_id in known and known[device.device_id] != device
            ]
            summary = ImportSummary(
                len(added), len(changed), len(devices) - len(added) - len(changed)
            )
            if dry_run or not (added or changed):
                return summary
            for at in range(0, len(changed), _ROWS_A_STATEMENT):
                ids = [device.device_id for device in changed[at : at + _ROWS_A_STATEMENT]]
                connection.execute(sa.delete(DEVICE).where(DEVICE.c.device_id.in_(ids)))
            rows = [msgspec.structs.asdict(device) for device in (*added, *changed)]
            connection.execute(sa.insert(DEVICE), rows)
            connection.execute(
                sa.insert(AUDIT),
                {
                    "at": self._clock(),
                    "actor": actor,
                    "action": "device.import",
                    "subject": source,
                    "detail": msgspec.structs.asdict(summary)
                    | {"changed_ids": [device.device_id for device in changed][:_ROWS_A_STATEMENT]},
                },
            )
            return summary

    def devices(self) -> dict[str, Device]:
        """Every registered device by its id, in the order of the ids."""
        with self._engine.begin() as connection:
            return _devices(connection)

    def audit(self, limit: int = 100) -> list[AuditEntry]:
        """The latest entries, newest first."""
        query = sa.select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
        with self._engine.begin() as connection:
            return [
                AuditEntry(row.at, row.actor, row.action, row.subject, row.detail)
                for row in connection.execute(query)
            ]

    def record(self, *, actor: str, action: str, subject: str, detail: dict[str, Any]) -> None:
        """Adds a row to the audit."""
        row = {
            "at": self._clock(), "actor": actor, "action": action, "subject": subject,
            "detail": detail,
        }  # fmt: skip
        with self._engine.begin() as connection:
            connection.execute(sa.insert(AUDIT), row)

    def last(self, action: str) -> AuditEntry | None:
        """The latest entry of an action; None when there is none."""
        query = sa.select(AUDIT).where(AUDIT.c.action == action).order_by(AUDIT.c.id.desc())
        with self._engine.begin() as connection:
            row = connection.execute(query.limit(1)).first()
        if row is None:
            return None
        return AuditEntry(row.at, row.actor, row.action, row.subject, row.detail)

    def close(self) -> None:
        """Closes the file."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _begin_immediately(connection: sa.Connection) -> None:
    """Takes the write lock first: two openers cannot both decide to migrate."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _devices(connection: sa.Connection) -> dict[str, Device]:
    rows = connection.execute(sa.select(DEVICE).order_by(DEVICE.c.device_id))
    return {row.device_id: Device(**row._asdict()) for row in rows}
