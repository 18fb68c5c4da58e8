"""The embedded store: one DuckDB file, readings in a wide table a kind.

One process has the file; threads share it (one writing connection under a lock, a connection for
each query in progress).  A commit is one transaction, on disk when it returns.  The measurements
behind its shape are in DECISIONS.md beside this file.
"""
# ruff: noqa: S608 - what is put into statements is our own names; users' values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import zstandard

from gateway.errors import StoreError, StoreUnavailable
from gateway.records import Checkpoint, Counters
from gateway.store import (
    FlagStates,
    FlagTail,
    Prepared,
    Reprocessing,
    columns,
    rebuild,
    removal,
    rows,
    schema,
)
from gateway.store.connections import Connections, chosen_table, one, translated
from gateway.store.reading import StoreReader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from gateway.records import Quarantined, Reading, Results
    from gateway.store import Removed

_PART: Final = 256 * 1024
_FLAGS: Final = 1_000
"""Flags of one statement: DuckDB has no memory for a storm of them in one piece."""
_UPSERT: Final = (
    "MERGE INTO flags USING incoming USING (id) "
    "WHEN MATCHED THEN UPDATE BY NAME WHEN NOT MATCHED THEN INSERT BY NAME"
)


class DuckDBStore(StoreReader):
    """Readings, flags, quarantine and checkpoint in one file, queryable by people with DuckDB.

    Args:
        path: the store's file, made when it is missing (unless ``read_only``).
        read_only: other processes may read at the same time, none may write.
        memory_limit: what DuckDB may keep in memory; beyond it spills to a folder beside the file.
            At least four times the size of a compressed snapshot; DECISIONS.md, 3.
        threads: worker threads of DuckDB.
        wal_limit: size of the write-ahead log at which it is folded into the file.

    Raises:
        StoreLocked: another process has the file.
        StoreUnavailable: the disk is full or does not answer.
        StoreError: not a store, or one of a newer version.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        memory_limit: str = "48MB",
        threads: int = 1,
        wal_limit: str = "16MB",
    ) -> None:
        self.path = path
        self._next_offset = self._position = self._commits = self._change = 0
        self._attempt: tuple[int, int] | None = None
        if read_only and not path.exists():
            raise StoreError(f"store: there is no {path}: has the gateway ever run on this data?")
        config = {
            "memory_limit": memory_limit,
            "threads": threads,
            "wal_autocheckpoint": wal_limit,
            "autoinstall_known_extensions": False,
        }
        prepare = self._load if read_only else self._prepare
        self._connections = Connections(path, read_only=read_only, config=config, prepare=prepare)

    def _prepare(self, writer: duckdb.DuckDBPyConnection) -> None:
        if one(writer, "SELECT count(*) FROM duckdb_tables()")[0] == 0:
            writer.begin()
            writer.execute(schema.statements())
            writer.commit()
        self._upgrade(writer)
        self._load(writer)

    @staticmethod
    def _upgrade(writer: duckdb.DuckDBPyConnection) -> None:
        """Brings an older layout up to this one; what is no store is `_load`'s to refuse."""
        tables = writer.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        if ("schema_version",) not in tables:
            return
        layout = "SELECT version FROM schema_version"
        while upgrade := schema.UPGRADES.get(one(writer, layout)[0]):
            writer.begin()
            writer.execute(upgrade)
            writer.commit()

    def _load(self, connection: duckdb.DuckDBPyConnection) -> None:
        tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        if ("schema_version",) not in tables:
            raise StoreError(f"store: {self.path} is a DuckDB file but not a store of the gateway")
        (version,) = one(connection, "SELECT version FROM schema_version")
        if version in schema.UPGRADES:
            raise StoreError(
                f"store: {self.path} has layout {version}, this gateway reads {schema.VERSION}: "
                "start the gateway on it once, which brings it up to date"
            )
        if version != schema.VERSION:
            raise StoreError(
                f"store: {self.path} has layout {version}, this gateway knows {schema.VERSION}: "
                "use the gateway that made it, or move it away and run gateway reprocess"
            )
        self._next_offset, self._position, self._commits = one(
            connection, "SELECT next_offset, position, commits FROM checkpoint"
        )
        (self._change,) = one(connection, "SELECT coalesce(max(change), 0) FROM flags")

    def close(self) -> None:
        """Closes the store; queries in progress end with StoreUnavailable."""
        self._connections.close()

    # Writing

    @property
    def position(self) -> int:
        """The position of the last reading; 0 when there is none."""
        return self._position

    def prepare(self, readings: list[Reading], before: Sequence[Prepared]) -> Prepared:
        """Makes Arrow tables of readings of the next commit, behind those prepared before.

        Raises:
            StoreRefused: a record cannot be stored for what it is.
        """
        first = sum(part.count for part in before)
        return Prepared(first, len(readings), list(columns.reading_tables(readings, first)))

    def commit(self, results: Results) -> None:
        """Stores everything of ``results`` in one transaction, durable on return.

        Giving the same results again after a StoreUnavailable stores them once, also when the
        first attempt had reached the disk and only its confirmation failed.

        Raises:
            StoreUnavailable: nothing of it is certain; give the same results again.
            StoreRefused: a record cannot be stored for what it is; nothing was stored.
            StoreError: the results do not follow the checkpoint.
        """
        with self._connections.lock:
            self._connections.ready()
            if self._attempt_was_durable(results.next_offset):
                return
            if results.next_offset < self._next_offset:
                raise StoreError(
                    f"store: results up to offset {results.next_offset}, but everything below "
                    f"{self._next_offset} is decided: read the checkpoint again"
                )
            try:
                with self._connections.transaction() as writer:
                    position, change = self._insert(writer, results)
                    self._move(writer, results, position)
            except StoreUnavailable:
                self._attempt = (self._commits + 1, results.next_offset)
                raise
            self._commits += 1
            self._position = position
            self._change = change
            self._next_offset = results.next_offset

    def _attempt_was_durable(self, next_offset: int) -> bool:
        """Whether the attempt that failed is on disk all the same, so these results are done."""
        attempt, self._attempt = self._attempt, None
        if attempt is None or attempt[0] != self._commits:
            return False
        if attempt[1] != next_offset:
            raise StoreError(
                f"store: the commit up to offset {attempt[1]} is on disk although it failed: "
                "read the checkpoint again"
            )
        return True

    def _insert(self, writer: duckdb.DuckDBPyConnection, results: Results) -> tuple[int, int]:
        """Puts in all records; returns the position of the last reading and the last change."""
        parts: list[Prepared] = list(results.prepared)
        if results.readings:
            parts.append(self.prepare(results.readings, parts))
        count = 0
        for part in parts:
            if part.first != count:
                raise StoreError(
                    f"store: readings prepared as number {part.first} of a commit come as number "
                    f"{count}: prepare them again"
                )
            count += part.count
        behind = self._position + 1
        for kind, table in columns.joined(pair for part in parts for pair in part.held):
            self._take(
                writer,
                table,
                f"INSERT INTO {schema.table(kind)} BY NAME "
                f"SELECT * REPLACE (position + {behind} AS position) FROM incoming",
            )
        change = self._change
        for table in columns.flag_tables(results.flags, change + 1, _FLAGS):
            change += table.num_rows
            self._take(writer, table, _UPSERT)
        self._quarantine(writer, results.quarantined)
        return self._position + count, change

    def _quarantine(
        self, writer: duckdb.DuckDBPyConnection, quarantined: Sequence[Quarantined]
    ) -> None:
        if quarantined:
            self._take(
                writer,
                columns.quarantine_table(quarantined),
                "INSERT INTO quarantine BY NAME SELECT * FROM incoming",
            )

    @staticmethod
    def _take(writer: duckdb.DuckDBPyConnection, incoming: pa.Table, sql: str) -> None:  # noqa: ARG004
        # DuckDB finds the table by the name of this variable: a registered view costs 0.5 ms more.
        writer.execute(sql)

    def _move(self, writer: duckdb.DuckDBPyConnection, results: Results, position: int) -> None:
        counters = msgspec.json.encode(results.counters).decode()
        writer.execute(
            "UPDATE checkpoint SET next_offset = ?, position = ?, commits = ?, counters = ?",
            [
                results.next_offset,
                position,
                self._commits + 1,
                counters,
            ],
        )
        if results.snapshot is not None:
            writer.execute("DELETE FROM snapshot; DELETE FROM retried")
            # In parts: DuckDB needs several times a value's size in one piece of memory.
            packed = zstandard.compress(results.snapshot, 1)
            for part, start in enumerate(range(0, len(packed), _PART)):
                writer.execute(
                    "INSERT INTO snapshot VALUES (?, ?, ?)",
                    [results.next_offset, part, packed[start : start + _PART]],
                )

    def replace_quarantined(
        self, offsets: Collection[int], results: Results, progress: Reprocessing | None = None
    ) -> None:
        """Puts the results of reprocessed messages in the place of their quarantine rows.

        One transaction, which also takes the ``progress`` of the order that this is for.  Counters
        of ``results`` are the new totals; its ``next_offset`` and ``snapshot`` are not looked at.
        Rows that a sink refused are not touched.

        Raises:
            StoreError: an offset is not in quarantine (it may have been replaced before).
        """
        wanted = sorted(set(offsets))
        with self._connections.lock:
            with self._connections.transaction() as writer:
                held = one(
                    writer,
                    "SELECT count(DISTINCT ledger_offset) FROM quarantine "
                    "WHERE stage NOT LIKE 'sink:%' AND ledger_offset IN (SELECT unnest(?))",
                    [wanted],
                )[0]
                if held != len(wanted):
                    raise StoreError(
                        f"store: {len(wanted) - held} of {len(wanted)} offsets to replace are not "
                        "in quarantine: list the quarantine again"
                    )
                writer.execute(
                    "DELETE FROM quarantine "
                    "WHERE stage NOT LIKE 'sink:%' AND ledger_offset IN (SELECT unnest(?))",
                    [wanted],
                )
                position, change = self._insert(writer, results)
                writer.execute(
                    "INSERT INTO retried SELECT unnest(?), ?", [wanted, self._next_offset]
                )
                if progress is not None:
                    writer.execute("DELETE FROM reprocessing")
                    writer.execute(
                        "INSERT INTO reprocessing VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        list(msgspec.structs.astuple(progress)),
                    )
                kept = msgspec.structs.replace(
                    results, next_offset=self._next_offset, snapshot=None
                )
                self._move(writer, kept, position)
            self._commits += 1
            self._position = position
            self._change = change

    def remove(self, kind: str, before: int, *, most: int, below: int | None = None) -> int:
        """Removes rows of a kind of readings, or of ``quarantine``, received before a time.

        The flags that rest on them stay as they are, and no counter of decisions changes.

        Args:
            kind: of `KINDS`, or ``quarantine``.
            before: ns UTC.
            most: rows of one transaction.
            below: of quarantine, only messages below this ledger offset.

        Returns:
            How many were removed; fewer than ``most`` when these were the last.
        """
        with self._connections.transaction() as writer:
            return removal.remove(writer, kind, before, most=most, below=below)

    def removed(self) -> list[Removed]:
        """What `remove` has removed of each kind."""
        return removal.read(self._all(removal.ALL))

    def removal_told(self, kind: str) -> None:
        """Notes that the audit has what was removed of a kind."""
        with self._connections.transaction() as writer:
            writer.execute("UPDATE removed SET told = true WHERE kind = ?", [kind])

    def copy_before(self, offset: int, other: DuckDBStore) -> None:
        """Fills this empty store with what ``other`` has of messages below ``offset``.

        For a full reprocess over a ledger whose beginning has been pruned: what was decided of
        the pruned messages is kept, the checkpoint becomes ``offset``.  Whether a message without
        reading was ignored or a duplicate is not known any more: all of them count as ignored.
        There is no snapshot (the checks begin anew), and sinks deliver everything again.

        Raises:
            StoreError: this store is not empty.
        """
        if self._commits or self._position:
            raise StoreError(f"store: {self.path} is not empty: copy into a new file")
        with self._connections.lock:
            with self._connections.transaction() as writer:
                position = rebuild.copy_before(writer, other._connections, offset)
                (self._change,) = one(writer, "SELECT coalesce(max(change), 0) FROM flags")
            self._next_offset, self._position, self._commits = offset, position, 1

    # Questions: most of them are the reader's

    def _all(
        self, sql: str, parameters: Sequence[Any] = (), chosen: Sequence[str] | None = None
    ) -> list[tuple[Any, ...]]:
        if chosen is None:
            return self._connections.all(sql, parameters)
        with (
            self._connections.query() as connection,
            translated(self.path),
            chosen_table(connection, chosen),
        ):
            return connection.execute(sql, parameters).fetchall()

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        return self._connections.rows(sql, parameters)

    def query(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection of its own, for who answers the questions of other processes."""
        return self._connections.query()

    def checkpoint(self) -> Checkpoint:
        """Where processing stands, with the last snapshot of the checks' state."""
        with self._connections.snapshot() as connection:
            next_offset, counters = one(connection, "SELECT next_offset, counters FROM checkpoint")
            parts, taken_at = one(connection, "SELECT count(*), max(next_offset) FROM snapshot")
            # One part a query: DuckDB would hold a batch of them in one piece of memory.
            packed = b"".join(
                one(connection, "SELECT state FROM snapshot WHERE part = ?", [part])[0]
                for part in range(parts)
            )
        totals = msgspec.json.decode(counters, type=Counters)
        if not parts:
            return Checkpoint(next_offset, totals, 0, None)
        return Checkpoint(next_offset, totals, taken_at, zstandard.decompress(packed))

    def retried(self) -> list[tuple[int, int]]:
        """The messages that were reprocessed since the last snapshot, in that order.

        Each is a ledger offset, and where the checkpoint was then.
        """
        found = self._all("SELECT ledger_offset, decided_at FROM retried ORDER BY rowid")
        return [(offset, decided_at) for offset, decided_at in found]

    def reprocessing(self) -> Reprocessing | None:
        """How far the latest order has come; None before the first."""
        found = self._all(rows.REPROCESSING)
        return Reprocessing(*found[0]) if found else None

    # Sinks

    @property
    def change(self) -> int:
        """The number of the latest change of a flag; 0 when there is none."""
        return self._change

    def flag_tail(self, after: int, limit: int = 500) -> FlagTail:
        """At most ``limit`` flags that have changed since the change ``after``, as they are now."""
        # First of all: what is committed while this runs may be missing from the answer.
        next_offset, last = self._next_offset, self._change
        found: list[tuple[Any, ...]] = []
        if last > after:
            found = self._connections.all(
                f"SELECT {rows.FLAG_COLUMNS}, change FROM flags WHERE change > ? "
                "ORDER BY change LIMIT ?",
                [after, limit],
            )
        reached = found[-1][-1] if found else after
        caught_up = reached >= last
        flags = [rows.flag(row[:-1]) for row in found]
        return FlagTail(flags, reached, next_offset if caught_up else None)

    def flag_states(self) -> FlagStates:
        """The state of every flag, and the change up to which these are all."""
        next_offset = self._next_offset
        found = self._connections.all(
            "SELECT id, severity, status, ledger_offset, change FROM flags"
        )
        states = [(id_, grave, how, offset) for id_, grave, how, offset, _ in found]
        return FlagStates(states, max((row[-1] for row in found), default=0), next_offset)

    def sink_position(self, name: str) -> int:
        """How far the sink ``name`` came; 0 for a new one."""
        found = self._connections.all("SELECT position FROM sinks WHERE name = ?", [name])
        return int(found[0][0]) if found else 0

    def advance_sink(self, name: str, position: int, refused: Sequence[Quarantined] = ()) -> None:
        """Remembers how far a sink came and quarantines what its database refused, atomically.

        A position that the sink has already passed changes nothing, so a repeated call cannot
        quarantine a row twice.
        """
        with self._connections.transaction() as writer:
            known = writer.execute("SELECT position FROM sinks WHERE name = ?", [name]).fetchone()
            if known is not None and known[0] >= position:
                return
            writer.execute("DELETE FROM sinks WHERE name = ?", [name])
            writer.execute("INSERT INTO sinks VALUES (?, ?)", [name, position])
            self._quarantine(writer, refused)
