"""The casebook: what people do (registry, decisions, audit), apart from what the ledger tells.

SQLite by SQLAlchemy Core.  Its schema is migrated by Alembic when it is opened; an older program
refuses a casebook of a newer schema instead of guessing.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
import sqlalchemy as sa

from gateway.audit import AUDIT, AuditEntry, append, entry_of, verify
from gateway.devices import Registry
from gateway.errors import ConfigError, GatewayError
from gateway.records import Device
from gateway.registry import Entry, Read, RegistryError, changes, relations, tables
from gateway.registry.binding import bind, numbers_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from gateway.audit import Head, Verdict
    from gateway.registry import Record

HEAD: Final = "0005"
FILE_NAME: Final = "casebook.sqlite"
_BUSY_TIMEOUT_S: Final = 30.0


class ImportSummary(msgspec.Struct, frozen=True):
    """What an import did, or would do, by number of records."""

    added: int
    changed: int
    unchanged: int
    corrected: int = 0


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
            json_serializer=lambda value: msgspec.json.encode(value).decode(),
            json_deserializer=msgspec.json.decode,
        )
        sa.event.listen(self._engine, "begin", _begin)
        try:
            self._migrate()
        except sa.exc.DatabaseError as error:
            self._engine.dispose()
            raise GatewayError(f"{self.path}: cannot be opened: {error.orig}") from None
        except ConfigError:
            self._engine.dispose()
            raise

    def _migrate(self) -> None:
        with self._begun(reading=True) as connection:
            if _schema(connection) == HEAD:
                return
        with self._begun(reading=False) as connection:
            version = _schema(connection)
            if version == HEAD:
                return  # another process was quicker
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

    @contextmanager
    def _begun(self, *, reading: bool) -> Iterator[sa.Connection]:
        with self._engine.connect() as connection:
            connection.execution_options(casebook_reading=reading)
            with connection.begin():
                yield connection

    @contextmanager
    def transaction(self, *, reading: bool = False) -> Iterator[sa.Connection]:
        """A transaction; one that only reads does not wait until another has decided what to write.

        Raises:
            GatewayError: the database refuses, or another process writes for too long.
        """
        try:
            with self._begun(reading=reading) as connection:
                yield connection
        except sa.exc.DatabaseError as error:
            raise GatewayError(f"{self.path}: {error.orig}") from None

    def import_read(
        self,
        read: Read,
        *,
        source: str,
        actor: str,
        dry_run: bool = False,
        correct: bool = False,
        device_id: str | None = None,
    ) -> changes.Plan:
        """Takes what files say into the registry, all or nothing, with rows of audit.

        Records that are not in the files stay.  Nothing is written, and nothing audited, when
        nothing changes, or when anything is wrong: the plan tells every fault.

        Args:
            read: of one or several files.
            source: the files, for the audit.
            actor: who.
            dry_run: judge and tell only.
            correct: replace what versions say, instead of beginning new ones.
            device_id: the device that the only certificate is of, whatever its numbers.
        """
        now = self._clock()
        with self.transaction() as connection:
            bound = changes.Plan()
            entries = read.entries + self._bound(connection, read, bound, device_id)
            known = tables.read_known(connection, entries)
            made = changes.plan(entries, known, now=now, correct=correct)
            verdict = relations.check(entries, known, read.refused)
            made.faults = read.faults + bound.faults + made.faults + verdict.faults
            made.warnings = read.warnings + bound.warnings + made.warnings + verdict.warnings
            if dry_run or made.faults or not made.changes:
                return made
            detail: dict[str, Any] = msgspec.structs.asdict(summary(made))
            if read.digests:
                detail["sha256"] = read.digests
            row = {"at": now, "actor": actor, "action": "device.import", "subject": source}
            audit_id = append(connection, [row | {"detail": detail}])
            tables.write(connection, made.changes, audit_id)
            rows = [
                {
                    "at": now,
                    "actor": actor,
                    "action": f"{change.key[0]}.{change.action}",
                    "subject": change.name,
                    "detail": {"import": audit_id, "fields": change.fields}
                    | changes.beginning(change.after),
                }
                for change in made.changes
                if change.action != "add"
            ]
            if rows:
                append(connection, rows)
            return made

    @staticmethod
    def _bound(
        connection: sa.Connection, read: Read, made: changes.Plan, device_id: str | None
    ) -> list[Entry]:
        """The certificates of the documents, each with the device that it is of."""
        if not read.documents and device_id is None:
            return []
        numbers = numbers_in(read.documents) | ({device_id} if device_id is not None else set())
        known = changes.Known(tables.read_numbered(connection, numbers))
        for _, record in read.entries:
            if isinstance(record, Device) and numbers & {record.device_id, record.serial_number}:
                known.put(record)
        return bind(
            read.documents,
            Registry(v for name in known.names("device") for v in known.devices(name)),
            made.faults,
            made.warnings,
            device_id=device_id,
        )

    def import_devices(
        self,
        devices: Sequence[Device],
        *,
        source: str,
        actor: str,
        dry_run: bool = False,
        correct: bool = False,
    ) -> ImportSummary:
        """Takes devices as `import_read` does.

        Raises:
            RegistryError: with every fault; nothing was written.
        """
        read = Read(entries=[Entry(source, device) for device in devices])
        made = self.import_read(read, source=source, actor=actor, dry_run=dry_run, correct=correct)
        if made.faults:
            raise RegistryError(made.faults)
        return summary(made)

    def devices(self) -> Registry:
        """Every registered device with its history, in the order of the ids."""
        with self.transaction(reading=True) as connection:
            return tables.read_registry(connection)

    def records(self, kind: str, **of: str) -> list[Record]:
        """Records of a kind with all versions, in the order of their names.

        Args:
            kind: ``device``, ``site``, ``owner`` or ``certificate``.
            of: values of fields that the records must have, such as ``device_id="w1"``.
        """
        with self.transaction(reading=True) as connection:
            return tables.read_records(connection, kind, **of)

    def naming(self, device_id: str) -> Registry:
        """The devices that name this one as their parent or tank, in the versions that do."""
        with self.transaction(reading=True) as connection:
            return Registry(tables.read_naming(connection, device_id))

    def audit_of(self, device_id: str) -> list[AuditEntry]:
        """What people did about a device, newest first: imports, changes, certificates."""
        with self.transaction(reading=True) as connection:
            ids, subjects = tables.audited(connection, device_id)
            kinds = [AUDIT.c.action.startswith(f"{kind}.") for kind in ("device", "certificate")]
            named = sa.and_(AUDIT.c.subject.in_(subjects), sa.or_(*kinds))
            mine = sa.or_(named, AUDIT.c.id.in_(ids))
            query = sa.select(AUDIT).where(mine).order_by(AUDIT.c.id.desc())
            return [entry_of(row) for row in connection.execute(query)]

    def audit(self, limit: int = 100) -> list[AuditEntry]:
        """The latest entries, newest first."""
        query = sa.select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
        with self.transaction(reading=True) as connection:
            return [entry_of(row) for row in connection.execute(query)]

    def now(self) -> int:
        """The time of the casebook's clock, in nanoseconds UTC."""
        return self._clock()

    @staticmethod
    def audited(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Adds rows to the audit within a transaction: at, actor, action, subject, detail."""
        if rows:
            append(connection, rows)

    def record(self, *, actor: str, action: str, subject: str, detail: dict[str, Any]) -> None:
        """Adds a row to the audit."""
        self.record_each(actor=actor, action=action, subjects=[subject], detail=detail)

    def record_each(
        self, *, actor: str, action: str, subjects: Sequence[str], detail: dict[str, Any]
    ) -> None:
        """Adds a row to the audit for each of some subjects: all of them or none."""
        if not subjects:
            return
        at = self._clock()
        rows = [
            {"at": at, "actor": actor, "action": action, "subject": each, "detail": detail}
            for each in subjects
        ]
        with self.transaction() as connection:
            self.audited(connection, rows)

    def verify_audit(self, kept: Head | None = None) -> Verdict:
        """Whether the audit is what was written; see `gateway.audit.verify`."""
        with self.transaction(reading=True) as connection:
            return verify(connection, kept)

    def last(self, action: str) -> AuditEntry | None:
        """The latest entry of an action; None when there is none."""
        query = sa.select(AUDIT).where(AUDIT.c.action == action).order_by(AUDIT.c.id.desc())
        with self.transaction(reading=True) as connection:
            row = connection.execute(query.limit(1)).first()
        if row is None:
            return None
        return entry_of(row)

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


def _schema(connection: sa.Connection) -> str | None:
    """The revision of the schema; None of an empty file."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return revision


def _begin(connection: sa.Connection) -> None:
    """Takes the lock for writing first: two cannot both decide by what they have read."""
    reading = connection.get_execution_options().get("casebook_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def summary(made: changes.Plan) -> ImportSummary:
    """The numbers of a plan; a certificate that a row of a device brings along does not count."""
    counts = Counter(change.action for change in made.changes if not change.implied)
    return ImportSummary(
        added=counts["add"],
        changed=counts["change"],
        corrected=counts["correct"],
        unchanged=made.unchanged,
    )
