"""The appending side of the SQLite ledger."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec
import structlog

from gateway.errors import LedgerCorrupt, LedgerError, LedgerFull
from gateway.ledger import LedgerFault, LedgerNote, Pruned
from gateway.ledger.batch import Packer
from gateway.ledger.files import (
    HeadFile,
    Reserve,
    WriterLock,
    companions,
    remove_segment,
    segment_paths,
    sync_directory,
)
from gateway.ledger.recovery import begin_after_damage, open_to_append
from gateway.ledger.segment import Segment, begin_segment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.ledger.batch import Position
    from gateway.ledger.recovery import Opened
    from gateway.ledger.segment import SegmentInfo
    from gateway.records import Batch

log = structlog.get_logger(__name__)

HEAD_SYNC_BATCHES = 256


class Writer:
    """The appending side: one lock, one open segment, one position; see ``SqliteLedger``."""

    def __init__(
        self,
        directory: Path,
        max_batch: int,
        segment_bytes: int,
        segment_age: int,
        clock: Callable[[], int],
    ) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._segment_age = segment_age
        self._clock = clock
        self._packer = Packer(max_batch)
        self._reserve = Reserve(directory)
        self._closed = False
        try:
            self._lock = WriterLock(directory)
            self._open()
        except OSError as error:
            raise LedgerFull(f"{directory}: can't open the ledger: {error}") from error

    def _open(self) -> None:
        with contextlib.ExitStack() as undo:
            undo.callback(self._lock.release)
            opened = self._opened()
            undo.callback(opened.segment.close)
            self._head = HeadFile(self._directory)
            undo.pop_all()
        self._segment = opened.segment
        self.position: Position = opened.position
        self.recovery = opened.faults
        self._size = self._segment.path.stat().st_size
        self._unsynced = 0
        self._head_failed = False
        self._reserve.fill()
        self._remember(durable=True)

    def _opened(self) -> Opened:
        try:
            return open_to_append(self._directory, self._clock())
        except LedgerFull:  # SQLite needs a little room even to open a file
            self._reserve.release()
            return open_to_append(self._directory, self._clock())

    def append(self, batch: Batch) -> int:
        """Make the messages durable; see ``Ledger.append``."""
        self._check_open()
        if not batch.topics and not batch.payloads:
            return self.position.next_offset
        self._rotate_if_due()
        rows = self._packer.batch(batch, self.position)
        try:
            self._segment.insert(rows)
        except LedgerCorrupt as error:
            self._leave_damaged_segment(error)
            rows = self._packer.batch(batch, self.position)
            self._segment.insert(rows)
        self._size += sum(len(row.content) + 256 for row in rows)
        self.position = rows[-1].after
        self._unsynced += len(rows)
        self._remember(durable=self._unsynced >= HEAD_SYNC_BATCHES)
        return self.position.next_offset

    def prune(self, keep_from_offset: int, max_age: int | None, max_bytes: int | None) -> Pruned:
        """Delete old segments; see ``SqliteLedger.prune``."""
        self._check_open()
        with contextlib.suppress(LedgerFull):  # a full disk is what pruning is for
            self._rotate_if_due()
        listing = segment_paths(self._directory)
        due = self._due(listing, keep_from_offset, max_age, max_bytes)
        infos = [_info(path) for _, path in listing[: len(due) + 1]]
        while due and infos[len(due)] is None:
            due.pop()  # the chain must go on from a segment that says what was before it
        left = infos[len(due)]
        if not due or left is None:
            return Pruned(listing[0][0])
        begins, first = left.begins, infos[0]
        pruned = Pruned(
            first_offset=begins.next_offset,
            segments=len(due),
            batches=begins.next_batch - first.begins.next_batch if first else 0,
            messages=begins.next_offset - listing[0][0],
            bytes=sum(_size_of(path) for path in due),
        )
        detail = {
            "next_batch": begins.next_batch,
            "next_offset": begins.next_offset,
            "chain": begins.chain,
            "segments": pruned.segments,
            "batches": pruned.batches,
            "messages": pruned.messages,
            "bytes": pruned.bytes,
            "max_age": max_age,
            "max_bytes": max_bytes,
        }
        note = LedgerNote("pruned", self._clock(), detail)
        try:
            self._note(note)
        except LedgerFull:
            self._reserve.release()
            self._note(note)
        for path in due:
            remove_segment(path)
        sync_directory(self._directory)
        self._reserve.fill()
        log.info("ledger pruned", first_offset=pruned.first_offset, messages=pruned.messages)
        return pruned

    def advance_to(self, offset: int, reason: str) -> int:
        """Pass over offsets; see ``SqliteLedger.advance_to``."""
        self._check_open()
        if offset <= self.position.next_offset:
            return self.position.next_offset
        fault = LedgerFault(
            batch=self.position.next_batch,
            first_offset=self.position.next_offset,
            last_offset=offset - 1,
            what="missing",
            expected=f"messages up to offset {offset - 1}: {reason}",
            got=f"a ledger that ends at {self.position.next_offset - 1}",
        )
        target = msgspec.structs.replace(self.position, next_offset=offset)
        self._begin(target, [fault])
        log.error("ledger is behind its store", fault=str(fault))
        return self.position.next_offset

    def close(self) -> None:
        """Close cleanly; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._segment.close()
        self._remember(durable=True, clean=True)
        self._head.close()
        self._lock.release()

    def _check_open(self) -> None:
        if self._closed:
            raise LedgerError(f"{self._directory}: this ledger is closed")

    def _remember(self, *, durable: bool, clean: bool = False) -> None:
        """Write the head; the batch is durable without it, so a failure must not undo it."""
        try:
            self._head.write(self.position, durable=durable, clean=clean)
        except OSError as error:
            if not self._head_failed:
                log.warning("ledger head file not written", error=str(error))
            self._head_failed = True
            return
        self._head_failed = False
        if durable:
            self._unsynced = 0

    def _note(self, note: LedgerNote) -> None:
        row = self._packer.note(note, self.position)
        self._segment.insert_note(row)
        self.position = row.after
        self._remember(durable=True)

    def _rotate_if_due(self) -> None:
        age = self._clock() - self._segment.info.created_at
        if self._size < self._segment_bytes and age < self._segment_age:
            return
        if self.position.next_offset == self._segment.info.begins.next_offset:
            return  # no message yet
        self._use(begin_segment(self._directory, self.position, self._clock()))

    def _use(self, fresh: Segment) -> None:
        self._segment.close()
        self._segment = fresh
        self._size = fresh.path.stat().st_size
        self._remember(durable=True)

    def _leave_damaged_segment(self, error: LedgerCorrupt) -> None:
        fault = LedgerFault(
            batch=self.position.next_batch,
            first_offset=self.position.next_offset,
            last_offset=self.position.next_offset - 1,
            what="unreadable",
            expected="a segment that takes batches",
            got=str(error),
        )
        self._begin(self.position, [fault])
        log.error("ledger segment damaged; going on in a new one", fault=str(fault))

    def _begin(self, target: Position, faults: list[LedgerFault]) -> None:
        # closed before a file of the same name is made: closing unlinks the log by its name
        damaged, now = self._segment, self._clock()
        opened = begin_after_damage(self._directory, damaged, target, faults, now)
        self.recovery += tuple(faults)
        self.position = opened.position
        self._use(opened.segment)

    def _due(
        self,
        listing: list[tuple[int, Path]],
        keep_from_offset: int,
        max_age: int | None,
        max_bytes: int | None,
    ) -> list[Path]:
        sizes = [_size_of(path) for _, path in listing]
        total, due = sum(sizes), []
        for (_, path), (end, following), size in zip(listing, listing[1:], sizes, strict=False):
            too_large = max_bytes is not None and total > max_bytes
            if end > keep_from_offset or not (
                too_large or (max_age is not None and self._is_older(path, following, max_age))
            ):
                break
            due.append(path)
            total -= size
        return due

    def _is_older(self, path: Path, following: Path, age: int) -> bool:
        before = self._clock() - age
        try:
            segment = Segment(path, read_only=True)
            try:
                received_at = segment.last_received_at()
            finally:
                segment.close()
        except LedgerCorrupt:
            received_at = None
        if received_at is None:  # it was left when the one behind it was begun
            info = _info(following)
            received_at = info.created_at if info else None
        return received_at is not None and received_at < before


def _info(path: Path) -> SegmentInfo | None:
    """Where a segment begins; None where its header is damaged."""
    try:
        segment = Segment(path, read_only=True)
    except LedgerCorrupt:
        return None
    segment.close()
    return segment.info


def _size_of(path: Path) -> int:
    return sum(file.stat().st_size for file in companions(path) if file.exists())
