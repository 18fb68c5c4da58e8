"""One segment: an SQLite file with the batches and notes of a stretch of the chain."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.errors import LedgerCorrupt, LedgerError, LedgerFull
from gateway.ledger.batch import Position, Row, Unpacker
from gateway.ledger.files import (
    companions,
    remove_segment,
    segment_path,
)
from gateway.ledger.schema import COLUMNS, FORMAT, PAGE_BYTES, create_segment, seal_of, translated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHECKPOINT_PAGES = 512
BUSY_SECONDS = 10.0
HEADERS_AT_ONCE = 1000

_VALUES = f"({COLUMNS}, content) VALUES (?,?,?,?,?,?,?,?,?,?,?)"
_INSERT_BATCH, _INSERT_NOTE = f"INSERT INTO batches {_VALUES}", f"INSERT INTO notes {_VALUES}"
_SELECT = f"SELECT {COLUMNS}, content FROM "  # noqa: S608 - names of columns, no input
_SELECT_HEADERS = f"SELECT {COLUMNS} FROM batches "  # noqa: S608 - names of columns, no input


class SegmentInfo(msgspec.Struct, frozen=True):
    """Where a segment begins: the position behind the segment before it."""

    begins: Position
    created_at: int


def begin_segment(directory: Path, begins: Position, now: int, note: Row | None = None) -> Segment:
    """Make a segment and open it to write, with its first note where there is one.

    Raises:
        LedgerFull: the disk refuses; no new segment is left behind.
        LedgerError: a segment that begins there exists.
    """
    path = create_segment(directory, begins, now)
    segment = None
    try:
        segment = Segment(path)
        if note is not None:
            segment.insert_note(note)
    except LedgerError:
        if segment is not None:
            segment.close()
        remove_segment(path)
        raise
    return segment


class Segment:
    """An open segment.  A connection of its own, so one thread at a time.

    ``header_damage`` says what is wrong with its header row, if ``info`` had to be taken from the
    first batch instead.

    Raises:
        LedgerCorrupt: the file is no segment, or its header is damaged.
        LedgerError: a newer gateway wrote it.
        LedgerFull: the file can't be opened for now.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._unpacker = Unpacker()
        self.header_damage: str | None = None
        self._connection = self._connected(read_only)
        try:
            self.info = self._stated_info()
        except BaseException:
            self._connection.close()
            raise

    def _connected(self, read_only: bool) -> sqlite3.Connection:
        uri = self.path.absolute().as_uri()
        try:
            return self._connect(f"{uri}?mode={'ro' if read_only else 'rw'}", read_only)
        except LedgerFull:
            log = companions(self.path)[1]
            if not read_only or not self.path.exists() or (log.exists() and log.stat().st_size):
                raise
            # read-only media: SQLite can't make its shared index there, and needs none
            return self._connect(f"{uri}?mode=ro&immutable=1", read_only)

    def _connect(self, uri: str, read_only: bool) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                uri,
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=BUSY_SECONDS,
            )
        except sqlite3.Error as error:
            raise translated(self.path, error) from error
        try:
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA cell_size_check=ON")
            if not read_only:
                connection.execute("PRAGMA synchronous=FULL")
                if sys.platform == "darwin":
                    connection.execute("PRAGMA fullfsync=ON")
                connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
                connection.execute(f"PRAGMA journal_size_limit={CHECKPOINT_PAGES * PAGE_BYTES}")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        except sqlite3.Error as error:
            connection.close()
            raise translated(self.path, error) from error
        return connection

    def _query(self, statement: str, arguments: tuple[Any, ...] = ()) -> list[Any]:
        # all rows at once: a statement left half read would hold back the checkpoint
        try:
            return self._connection.execute(statement, arguments).fetchall()
        except (sqlite3.Error, OverflowError) as error:
            if isinstance(error, OverflowError):
                raise LedgerCorrupt(f"{self.path}: {error}") from error
            raise translated(self.path, error) from error

    def _rows(self, statement: str, arguments: tuple[Any, ...] = ()) -> list[Row]:
        found = self._query(statement, arguments)
        try:
            return [msgspec.convert(row, Row) for row in found]
        except msgspec.ValidationError as error:
            raise LedgerCorrupt(f"{self.path}: a row has a column of another type: {error}") from (
                error
            )

    def _stated_info(self) -> SegmentInfo:
        try:
            return self._read_info()
        except LedgerCorrupt as error:
            # batches say themselves what was before them, so a damaged header costs none of them
            rows = self._rows(_SELECT_HEADERS + "ORDER BY first_offset LIMIT 1")
            if not rows or segment_path(self.path.parent, rows[0].first_offset) != self.path:
                raise
            self.header_damage = str(error)
            row = rows[0]
            begins = Position(row.batch, row.first_offset, row.previous)
            return SegmentInfo(begins, row.first_received_at)

    def _read_info(self) -> SegmentInfo:
        found = self._query(
            "SELECT next_batch, next_offset, chain, created_at, format, seal FROM segment LIMIT 2"
        )
        if len(found) != 1:
            raise LedgerCorrupt(f"{self.path}: expected one header row, got {len(found)}")
        batch, offset, chain, created_at, version, seal = found[0]
        try:
            begins = msgspec.convert((batch, offset, chain), tuple[int, int, bytes])
            info = SegmentInfo(Position(*begins), msgspec.convert(created_at, int))
            expected = seal_of(info.begins, info.created_at)
        except (msgspec.ValidationError, struct.error) as error:
            raise LedgerCorrupt(f"{self.path}: segment header: {error}") from error
        if isinstance(version, int) and version > FORMAT:
            raise LedgerError(
                f"{self.path}: format {version} was written by a newer gateway, this one reads up "
                f"to {FORMAT}; start the newer version again"
            )
        if seal != expected or segment_path(self.path.parent, offset) != self.path:
            raise LedgerCorrupt(f"{self.path}: segment header does not match its seal and name")
        return info

    def insert(self, rows: list[Row]) -> None:
        """Make batches durable, all or none.

        Raises:
            LedgerFull: the disk refused; nothing is in the segment.
            LedgerCorrupt: the segment can't take them: it is damaged.
        """
        self._insert(_INSERT_BATCH, rows)

    def insert_note(self, row: Row) -> None:
        """Make a note durable; raises like ``insert``."""
        self._insert(_INSERT_NOTE, [row])

    def _insert(self, statement: str, rows: list[Row]) -> None:
        connection = self._connection
        try:
            if len(rows) == 1:  # its own transaction
                connection.execute(statement, msgspec.structs.astuple(rows[0]))
                return
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, map(msgspec.structs.astuple, rows))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise translated(self.path, error) from error

    def tail(self) -> Position:
        """The position behind the last entry, whose hashes are checked.

        Raises:
            LedgerCorrupt: the last entry is damaged (UnreadableBatch) or can't be found.
        """
        batches = self._rows(_SELECT + "batches ORDER BY first_offset DESC LIMIT 1")
        notes = self._rows(_SELECT + "notes ORDER BY batch DESC LIMIT 1")
        ends = [self.info.begins]
        for row in batches:
            self._unpacker.batch(row)
            ends.append(row.after)
        for row in notes:
            self._unpacker.note(row)
            ends.append(row.after)
        return max(ends, key=lambda end: end.next_batch)

    def stated_tail(self) -> Position:
        """The position behind the last entry that can be found, by its own unchecked word."""
        ends = [self.info.begins]
        with contextlib.suppress(LedgerCorrupt):
            ends += [row.after for row in self.notes()]
        for backwards in (True, False):
            with contextlib.suppress(LedgerCorrupt):  # as far as it can be read
                for row in self.headers(backwards=backwards):
                    ends.append(row.after)
                    if backwards:
                        break
        return max(ends, key=lambda end: (end.next_offset, end.next_batch))

    def next_offset(self) -> int:
        """The offset behind the last batch, by its header's word."""
        found = self._query(
            "SELECT first_offset + count FROM batches ORDER BY first_offset DESC LIMIT 1"
        )
        if not found:
            return self.info.begins.next_offset
        return int(found[0][0])

    def holding(self, offset: int) -> Row | None:
        """The batch that holds an offset, or else the first one behind it."""
        rows = self._rows(
            _SELECT + "batches WHERE first_offset <= ? ORDER BY first_offset DESC LIMIT 1",
            (offset,),
        )
        if rows and offset < rows[0].first_offset + rows[0].count:
            return rows[0]
        return self.following(offset)

    def following(self, offset: int) -> Row | None:
        """The first batch that begins at an offset or behind it."""
        rows = self._rows(
            _SELECT + "batches WHERE first_offset >= ? ORDER BY first_offset LIMIT 1", (offset,)
        )
        return rows[0] if rows else None

    def begins_after(self, offset: int) -> int | None:
        """Where the first batch behind an offset begins that can be found, from either end."""
        try:
            found = self._query(
                "SELECT first_offset FROM batches WHERE first_offset > ? "
                "ORDER BY first_offset LIMIT 1",
                (offset,),
            )
        except LedgerCorrupt:
            return self._begins_after_hole(offset)
        return int(found[0][0]) if found else None

    def _begins_after_hole(self, offset: int) -> int | None:
        nearest = None
        with contextlib.suppress(LedgerCorrupt):  # the far side of the hole
            for header in self.headers(backwards=True):
                if header.first_offset <= offset:
                    break
                nearest = header.first_offset
        return nearest

    def headers(self, *, backwards: bool = False) -> Iterator[Row]:
        """Every batch without its content, in order of offset or against it.

        Raises:
            LedgerCorrupt: after the last one that can be reached from this end.
        """
        step, order, after = ("<", "DESC", (1 << 63) - 1) if backwards else (">", "ASC", -(1 << 63))
        statement = _SELECT_HEADERS + f"WHERE first_offset {step} ? ORDER BY first_offset {order} "
        at_once = HEADERS_AT_ONCE
        while True:
            try:
                rows = self._rows(statement + f"LIMIT {at_once}", (after,))
            except LedgerCorrupt:
                if at_once == 1:
                    raise
                at_once = 1  # up to the very edge of the hole
                continue
            yield from rows
            if len(rows) < at_once:
                return
            after = rows[-1].first_offset

    def row(self, first_offset: int) -> Row | None:
        """The batch that begins at an offset, whole."""
        rows = self._rows(_SELECT + "batches WHERE first_offset = ?", (first_offset,))
        return rows[0] if rows else None

    def notes(self) -> list[Row]:
        """Every note, in the order of the chain."""
        return self._rows(_SELECT + "notes ORDER BY batch")

    def last_received_at(self) -> int | None:
        """When the last message here was received; None in an empty segment."""
        found = self._query(
            "SELECT last_received_at FROM batches ORDER BY first_offset DESC LIMIT 1"
        )
        return int(found[0][0]) if found else None

    def totals(self) -> tuple[int, int, int, int]:
        """Batches, messages, bytes of content, bytes stored."""
        found = self._query(
            "SELECT count(*), total(count), total(content_size), total(length(content)) "
            "FROM batches"
        )
        batches, messages, content, stored = (int(figure) for figure in found[0])
        return batches, messages, content, stored

    def structure(self) -> list[str]:
        """What SQLite itself finds wrong with the file; empty when nothing."""
        try:
            found = self._query("PRAGMA quick_check(20)")
        except LedgerCorrupt as error:
            return [str(error)]
        return [str(line) for (line,) in found if line != "ok"]

    def close(self) -> None:
        """Close the connection; the last one of all processes folds the write-ahead log in."""
        with contextlib.suppress(sqlite3.Error):  # what is committed stays committed
            self._connection.close()
