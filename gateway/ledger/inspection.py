"""Verifying and summing up a ledger, also while it is written."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

from gateway.errors import LedgerCorrupt, LedgerError, LedgerFull
from gateway.ledger import LedgerFault, LedgerSummary, UnreadableBatch
from gateway.ledger.batch import GENESIS, KIND_BATCH, KIND_NOTE, Position, Unpacker, chain_hash
from gateway.ledger.files import read_head, segment_paths
from gateway.ledger.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gateway.ledger import LedgerNote
    from gateway.ledger.batch import Row

_ORIGIN = Position(0, 0, GENESIS)


class _Anchor(msgspec.Struct, frozen=True):
    """Where a pruning left the beginning, as its note tells."""

    next_batch: int
    next_offset: int
    chain: bytes


class Verifier:
    """One walk over the whole chain, from the oldest segment to the head; used once."""

    def __init__(self, directory: Path, progress: Callable[[int, int], None] | None) -> None:
        self._directory = directory
        self._progress = progress
        self._unpacker = Unpacker()
        self._head: Position | None = None
        self._head_seen = False
        self._here = _ORIGIN
        # behind an entry whose own word is worth nothing: its number, and the chain hashes that
        # the next entry may name as the one before
        self._doubt: frozenset[bytes] | None = None
        self._lost_track = True
        self._began: Position | None = None
        self._anchors = {_ORIGIN}

    def faults(self) -> Iterator[LedgerFault]:
        """Every fault, in the order of the chain."""
        # the head is read before the segments: a writer can only have gone further since
        try:
            head = read_head(self._directory)
        except LedgerError as error:
            yield self._here_fault("head", "a readable head file", str(error))
        else:
            self._head = head.position if head else None
        listing = segment_paths(self._directory)
        ends = [first for first, _ in listing[1:]]
        ends.append(self._head.next_offset if self._head else 0)
        for (first, path), end in zip(listing, ends, strict=True):
            yield from self._segment(first, end, path)
        yield from self._end()

    def _segment(self, first: int, end: int, path: Path) -> Iterator[LedgerFault]:
        try:
            segment = Segment(path, read_only=True)
        except LedgerFull:
            if path.exists():
                raise
            self._began, self._lost_track = None, True  # pruned since: it now begins further on
            return
        except LedgerCorrupt as error:
            batch = -1 if self._lost_track else self._here.next_batch
            yield LedgerFault(batch, first, end - 1, "segment", "a readable file", str(error))
            self._lost_track = True
            self._began = self._began or _ORIGIN  # no more to be said of the beginning
            return
        try:
            begins = segment.info.begins
            self._began = self._began or begins
            if self._lost_track:
                self._here, self._lost_track = begins, False
            yield from self._reached(begins, "segment")
            yield from self._entries(segment)
            yield from self._structure(segment)
        finally:
            segment.close()

    def _structure(self, segment: Segment) -> Iterator[LedgerFault]:
        findings = segment.structure()
        if segment.header_damage is not None:
            findings.append(segment.header_damage)
        if findings:
            batch, first = segment.info.begins.next_batch, segment.info.begins.next_offset
            got = f"{segment.path.name}: {'; '.join(findings)[:500]}"
            yield LedgerFault(batch, first, first - 1, "structure", "a sound SQLite file", got)

    def _entries(self, segment: Segment) -> Iterator[LedgerFault]:
        try:
            notes = segment.notes()
        except LedgerCorrupt as error:
            notes = []
            yield self._here_fault("unreadable", "the segment's notes", str(error))
        pending = iter(notes)
        note = next(pending, None)
        for header, trouble in _readable_headers(segment):
            if trouble is not None:
                yield self._here_fault("unreadable", "every page of batches", trouble)
            if header is None:
                continue
            while note is not None and note.first_offset <= header.first_offset:
                yield from self._note(note)
                note = next(pending, None)
            yield from self._batch(segment, header)
        while note is not None:
            yield from self._note(note)
            note = next(pending, None)

    def _batch(self, segment: Segment, header: Row) -> Iterator[LedgerFault]:
        fault = _content_fault(segment, header, self._unpacker)
        yield from self._passed(KIND_BATCH, header, fault)
        if self._progress is not None:
            first = self._began.next_offset if self._began else 0
            last = max(self._head.next_offset if self._head else 0, self._here.next_offset)
            self._progress(self._here.next_offset - first, last - first)

    def _note(self, row: Row) -> Iterator[LedgerFault]:
        fault = None
        try:
            note = self._unpacker.note(row)
        except UnreadableBatch as error:
            fault = error.fault
        else:
            anchor = _anchor(note)
            if anchor is not None:
                self._anchors.add(anchor)
        yield from self._passed(KIND_NOTE, row, fault)

    def _passed(self, kind: int, row: Row, fault: LedgerFault | None) -> Iterator[LedgerFault]:
        """Take one entry into the walk, with the fault that its content showed."""
        chain = _chain_or_none(kind, row)
        if chain == row.chain:
            begins = Position(row.batch, row.first_offset, row.previous)
            yield from self._reached(begins, "note" if kind == KIND_NOTE else "batch")
            if fault is not None:
                yield fault
            self._here = row.after
        else:
            # one of its fields is not what was written, so none is built upon
            here = self._here
            number, offset = here.next_batch, here.next_offset
            got = chain.hex() if chain else "fields out of range"
            last = max(offset, row.first_offset + row.count) - 1
            yield LedgerFault(number, offset, last, "header", row.chain.hex(), got)
            self._here = Position(number + 1, offset, row.chain)
            self._doubt = frozenset({row.chain, chain or row.chain})
        yield from self._compared_with_head()

    def _reached(self, begins: Position, what: str) -> Iterator[LedgerFault]:
        """Compare where an entry says it begins with where the one before it ended."""
        here, doubt, self._doubt = self._here, self._doubt, None
        if begins == here or (
            doubt and begins.next_batch == here.next_batch and begins.chain in doubt
        ):
            self._here = begins
            return
        if begins.next_batch < here.next_batch or begins.next_offset < here.next_offset:
            rule = "order"
        elif begins.next_batch > here.next_batch or begins.next_offset > here.next_offset:
            rule = "missing"
        else:
            rule = "chain"
        last = begins.next_offset - 1
        expected, got = _told(here), f"{what} at {_told(begins)}"
        yield LedgerFault(here.next_batch, here.next_offset, last, rule, expected, got)
        self._here = begins

    def _compared_with_head(self) -> Iterator[LedgerFault]:
        head = self._head
        if head is None or self._head_seen or self._here.next_batch != head.next_batch:
            return
        self._head_seen = True
        if self._here != head and self._doubt is None:
            yield self._here_fault("head", _told(head), _told(self._here))

    def _end(self) -> Iterator[LedgerFault]:
        head, here = self._head, self._here
        if head is not None and here.next_batch < head.next_batch and not self._lost_track:
            expected, got = f"acknowledged up to {_told(head)}", f"the end at {_told(here)}"
            last = head.next_offset - 1
            yield LedgerFault(here.next_batch, here.next_offset, last, "missing", expected, got)
        if head is not None and head.next_batch and self._began is None:
            expected = f"acknowledged up to {_told(head)}"
            yield LedgerFault(0, 0, head.next_offset - 1, "missing", expected, "no segment at all")
        # segments that a pruning has noted but not deleted yet may still be there, or some of them
        noted = max(anchor.next_offset for anchor in self._anchors)
        if (
            self._began is not None
            and self._began not in self._anchors
            and self._began.next_offset >= noted
        ):
            last = self._began.next_offset - 1
            expected = "a first segment at the origin, or where a noted pruning left it"
            yield LedgerFault(0, 0, last, "anchor", expected, _told(self._began))

    def _here_fault(self, what: str, expected: str, got: str) -> LedgerFault:
        batch, offset = self._here.next_batch, self._here.next_offset
        return LedgerFault(batch, offset, offset - 1, what, expected, got)


def _content_fault(segment: Segment, header: Row, unpacker: Unpacker) -> LedgerFault | None:
    try:
        row = segment.row(header.first_offset)
        if row is None:
            return header.fault("unreadable", "the batch by its offset", "no row")
        unpacker.batch(row)
    except UnreadableBatch as error:
        return error.fault
    except LedgerCorrupt as error:
        return header.fault("unreadable", "readable content", str(error))
    return None


def _chain_or_none(kind: int, row: Row) -> bytes | None:
    try:
        return chain_hash(kind, row)
    except struct.error:
        return None


def _told(position: Position) -> str:
    return f"batch {position.next_batch}, offset {position.next_offset}, {position.chain.hex()}"


def _anchor(note: LedgerNote) -> Position | None:
    """Where the first segment began after a noted pruning."""
    if note.event != "pruned":
        return None
    try:
        anchor = msgspec.convert(note.detail, _Anchor)
    except msgspec.ValidationError:
        return None
    return Position(anchor.next_batch, anchor.next_offset, anchor.chain)


def _readable_headers(segment: Segment) -> Iterator[tuple[Row | None, str | None]]:
    """Headers in order; past an unreadable page those behind it, found from the other end."""
    last = -1
    try:
        for header in segment.headers():
            last = header.first_offset
            yield header, None
    except LedgerCorrupt as error:
        trouble: str | None = str(error)
    else:
        return
    behind: list[Row] = []
    try:
        for header in segment.headers(backwards=True):
            if header.first_offset <= last:
                break
            behind.append(header)
    except LedgerCorrupt:
        trouble = f"{trouble}; pages behind it are unreadable too"
    yield None, trouble
    for header in reversed(behind):
        yield header, None


def pruned_to(path: Path) -> Position | None:
    """Where the last pruning that a segment notes left the beginning; None where none is."""
    try:
        segment = Segment(path, read_only=True)
    except LedgerCorrupt:
        return None
    anchor = None
    unpacker = Unpacker()
    try:
        for row in segment.notes():
            anchor = _anchor(unpacker.note(row)) or anchor
    except LedgerCorrupt:
        return anchor
    finally:
        segment.close()
    return anchor


def chain_end(directory: Path) -> Position:
    """Where the chain ends, by the last segment whose end can be read."""
    for _, path in reversed(segment_paths(directory)):
        try:
            segment = Segment(path, read_only=True)
        except LedgerCorrupt:
            continue
        try:
            return segment.tail()
        except LedgerCorrupt:
            continue
        finally:
            segment.close()
    return _ORIGIN


def summarise(directory: Path) -> LedgerSummary:
    """Sum up every segment; a segment that can't be read is named, not counted."""
    batches = messages = content = stored = 0
    first_received_at = last_received_at = None
    notes: list[LedgerNote] = []
    unreadable: list[str] = []
    unpacker = Unpacker()
    listing = segment_paths(directory)
    end = Position(0, listing[0][0] if listing else 0, GENESIS)
    for _, path in listing:
        try:
            segment = Segment(path, read_only=True)
        except LedgerError as error:
            unreadable.append(str(error))
            continue
        try:
            figures = segment.totals()
            batches, messages = batches + figures[0], messages + figures[1]
            content, stored = content + figures[2], stored + figures[3]
            if first_received_at is None:
                head = next(segment.headers(), None)
                first_received_at = head.first_received_at if head else None
            received_at = segment.last_received_at()
            last_received_at = last_received_at if received_at is None else received_at
            notes += [unpacker.note(row) for row in segment.notes()]
            end = segment.tail()
        except LedgerCorrupt as error:
            unreadable.append(str(error))
        finally:
            segment.close()
    return LedgerSummary(
        segments=len(listing),
        batches=batches,
        messages=messages,
        first_offset=listing[0][0] if listing else 0,
        next_offset=end.next_offset,
        first_received_at=first_received_at,
        last_received_at=last_received_at,
        content_bytes=content,
        stored_bytes=stored,
        disk_bytes=sum(file.stat().st_size for file in directory.rglob("*") if file.is_file()),
        chain=end.chain.hex(),
        notes=tuple(notes),
        unreadable=tuple(unreadable),
    )
