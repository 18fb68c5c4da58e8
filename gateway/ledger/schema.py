"""The file format of a segment: tables, seal, what SQLite's errors mean here."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import struct
from typing import TYPE_CHECKING

from gateway.errors import LedgerCorrupt, LedgerError, LedgerFull
from gateway.ledger.files import UNFINISHED, companions, segment_path, sync_directory

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.ledger.batch import Position

FORMAT = 1
APPLICATION_ID = 0x4D4C4731  # "MLG1"
PAGE_BYTES = 8192

COLUMNS = (
    "first_offset, batch, count, first_received_at, last_received_at, content_size, codec, "
    "content_hash, previous, chain"
)
_TYPES = """
    count INTEGER NOT NULL, first_received_at INTEGER NOT NULL, last_received_at INTEGER NOT NULL,
    content_size INTEGER NOT NULL, codec INTEGER NOT NULL, content_hash BLOB NOT NULL,
    previous BLOB NOT NULL, chain BLOB NOT NULL, content BLOB NOT NULL
"""
_SCHEMA = (
    """CREATE TABLE segment (format INTEGER, next_batch INTEGER, next_offset INTEGER, chain BLOB,
    created_at INTEGER, seal BLOB)""",
    f"CREATE TABLE batches (first_offset INTEGER PRIMARY KEY, batch INTEGER NOT NULL, {_TYPES})",
    f"CREATE TABLE notes (first_offset INTEGER NOT NULL, batch INTEGER PRIMARY KEY, {_TYPES})",
)
_SEAL = struct.Struct(">qqqq")

_REFUSED = {
    sqlite3.SQLITE_FULL: "no room on the disk; free some, the gateway goes on by itself",
    sqlite3.SQLITE_IOERR: "the disk refuses; look at the kernel's log",
    sqlite3.SQLITE_READONLY: "the file can't be written; look at the mount and its permissions",
    sqlite3.SQLITE_CANTOPEN: "the file can't be opened; look at room, permissions, open files",
    sqlite3.SQLITE_PERM: "no permission",
    sqlite3.SQLITE_AUTH: "no permission",
    sqlite3.SQLITE_BUSY: "another program holds the file locked; close it",
    sqlite3.SQLITE_LOCKED: "another program holds the file locked; close it",
    sqlite3.SQLITE_PROTOCOL: "another program holds the file locked; close it",
}
_DAMAGED_READS = {
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_IOERR_CORRUPTFS,
}


def translated(path: Path, error: sqlite3.Error) -> LedgerError:
    """The error of ours that an error of SQLite is: the disk refuses, or the file is damaged."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is not None and code not in _DAMAGED_READS and (code & 0xFF) in _REFUSED:
        return LedgerFull(f"{path}: SQLite says {str(error)!r}: {_REFUSED[code & 0xFF]}")
    return LedgerCorrupt(f"{path}: SQLite says {str(error)!r}")


def seal_of(begins: Position, created_at: int) -> bytes:
    """The hash that ties the fields of a segment's header together."""
    fields = _SEAL.pack(FORMAT, begins.next_batch, begins.next_offset, created_at)
    return hashlib.sha256(fields + begins.chain).digest()


def create_segment(directory: Path, begins: Position, created_at: int) -> Path:
    """Make an empty segment, whole or not at all, and return its file.

    Raises:
        LedgerFull: no room, or the disk refuses.
        LedgerError: a segment that begins there exists.
    """
    path = segment_path(directory, begins.next_offset)
    if path.exists():
        raise LedgerError(f"{path}: a segment that begins at {begins.next_offset} exists already")
    unfinished = directory / UNFINISHED
    for file in (*companions(unfinished), directory / f"{UNFINISHED}-journal"):
        file.unlink(missing_ok=True)
    row = (FORMAT, begins.next_batch, begins.next_offset, begins.chain, created_at)
    try:
        connection = sqlite3.connect(unfinished, isolation_level=None)
        with contextlib.closing(connection):
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={FORMAT}")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN")
            for statement in _SCHEMA:
                connection.execute(statement)
            seal = seal_of(begins, created_at)
            connection.execute("INSERT INTO segment VALUES (?,?,?,?,?,?)", (*row, seal))
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode=WAL")
        unfinished.rename(path)
        sync_directory(directory)
    except sqlite3.Error as error:
        raise translated(unfinished, error) from error
    except OSError as error:
        raise LedgerFull(f"{path}: can't begin a segment: {error}") from error
    return path
