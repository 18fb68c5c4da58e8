"""The files of a ledger's directory beside the segments: lock, head, reserve, damaged ones."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from typing import TYPE_CHECKING

import msgspec

from gateway.errors import LedgerError, LedgerFull, LedgerLocked
from gateway.ledger.batch import Position

if TYPE_CHECKING:
    from pathlib import Path

SEGMENT_SUFFIX = ".sqlite"
UNFINISHED = "unfinished.tmp"
RESERVE_BYTES = 1 << 20
_HEAD_BYTES = 512
_DIGEST = 64


def segment_path(directory: Path, first_offset: int) -> Path:
    """The file of the segment that begins at an offset; names sort like offsets."""
    return directory / f"{first_offset:020d}{SEGMENT_SUFFIX}"


def segment_paths(directory: Path) -> list[tuple[int, Path]]:
    """First offset and file of every segment, oldest first; empty where nothing is yet."""
    try:
        names = os.listdir(directory)  # noqa: PTH208 - a reader at the tail calls this often
    except FileNotFoundError:
        return []
    stems = (name.removesuffix(SEGMENT_SUFFIX) for name in names if name.endswith(SEGMENT_SUFFIX))
    firsts = sorted(int(stem) for stem in stems if len(stem) == 20 and stem.isdecimal())
    return [(first, segment_path(directory, first)) for first in firsts]


def companions(path: Path) -> list[Path]:
    """A segment's files: the database, its write-ahead log, its shared index."""
    return [path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")]


def sync_directory(directory: Path) -> None:
    """Make names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_segment(path: Path) -> int:
    """Delete a segment's files and return how many bytes that gave back."""
    freed = 0
    for file in companions(path):
        if file.exists():
            freed += file.stat().st_size
            file.unlink()
    return freed


def move_aside(directory: Path, files: list[Path], now: int) -> Path:
    """Move damaged files, which remain evidence, to a directory ``damaged-<time>`` of their own."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now // 1_000_000_000))
    target = directory / f"damaged-{stamp}"
    number = 1
    while target.exists():
        number += 1
        target = directory / f"damaged-{stamp}-{number}"
    target.mkdir()
    for file in files:
        if file.exists():
            file.rename(target / file.name)
    sync_directory(target)
    sync_directory(directory)
    return target


def copy_write_ahead_log(path: Path) -> Path | None:
    """Keep a copy of a segment's write-ahead log, which SQLite is about to cut at its last commit.

    Must be called before the segment is opened: closing a file that SQLite has locked in the same
    process would drop the lock.
    """
    log = path.with_name(path.name + "-wal")
    if not log.exists() or log.stat().st_size == 0:
        return None
    copy = log.with_name(log.name + ".before")
    shutil.copyfile(log, copy)
    return copy


class WriterLock:
    """The right to append, one process (and one ledger object) at a time.

    It is a kernel lock (flock) on a file, so it ends with the process however that ends.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise LedgerLocked(
                f"{directory}: process {holder or 'unknown'} writes this ledger; a ledger has one "
                "writer: stop that process, or use another data directory"
            ) from error
        except OSError:  # a file system without locks
            os.close(self._descriptor)
            raise
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Let the next writer in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Head(msgspec.Struct, frozen=True):
    """What the writer last acknowledged; ``clean`` after an orderly close."""

    next_batch: int
    next_offset: int
    chain: bytes
    clean: bool

    @property
    def position(self) -> Position:
        """The position that was acknowledged."""
        return Position(self.next_batch, self.next_offset, self.chain)


class HeadFile:
    """The end of the chain in a file of its own, written after each batch.

    It is never ahead of the ledger on a disk that keeps its word, so a ledger that ends before
    its head has lost acknowledged messages, and the head says how many.  It also keeps offsets
    from ever being given twice.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / "head"
        if not path.exists():
            fresh = directory / "head.tmp"
            fresh.write_bytes(_packed_head(Position(0, 0, bytes(32)), clean=True))
            fresh.rename(path)
        self._descriptor = os.open(path, os.O_RDWR)

    def write(self, position: Position, *, durable: bool, clean: bool = False) -> None:
        """Overwrite the head in place; ``durable`` waits for the disk."""
        os.pwrite(self._descriptor, _packed_head(position, clean=clean), 0)
        if durable:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _packed_head(position: Position, *, clean: bool) -> bytes:
    head = Head(position.next_batch, position.next_offset, position.chain, clean)
    text = msgspec.json.encode(head).ljust(_HEAD_BYTES - _DIGEST - 2)
    return text + b" " + hashlib.sha256(text).hexdigest().encode("ascii") + b"\n"


def read_head(directory: Path) -> Head | None:
    """Read the head; None where there is none.

    Raises:
        LedgerError: the file is there but is not a head.
    """
    path = directory / "head"
    for _ in range(3):  # a writer may be half way through its overwrite
        try:
            packed = path.read_bytes()
        except FileNotFoundError:
            return None
        text, digest = packed[: _HEAD_BYTES - _DIGEST - 2], packed[-_DIGEST - 1 : -1]
        if hashlib.sha256(text).hexdigest().encode("ascii") == digest:
            return msgspec.json.decode(text, type=Head)
        time.sleep(0.001)
    raise LedgerError(f"{path}: checksum does not match its {len(packed)} bytes")


class Reserve:
    """A little room kept back, so that pruning can be recorded when the disk is full."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "reserve"

    def fill(self) -> bool:
        """Take the room, if it isn't held already; False when the disk has none to give."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            return False
        try:
            os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True

    def release(self) -> None:
        """Give the room back to the disk."""
        self._path.unlink(missing_ok=True)


def make_directory(directory: Path) -> None:
    """Create the ledger's directory.

    Raises:
        LedgerFull: the disk refuses.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerFull(f"{directory}: can't create the ledger's directory: {error}") from error
