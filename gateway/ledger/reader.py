"""Reading a ledger by offset, also in another process while it is written."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from gateway.errors import LedgerCorrupt, LedgerError, LedgerFull
from gateway.ledger import LedgerFault, UnreadableBatch
from gateway.ledger.batch import Unpacker
from gateway.ledger.files import read_head, segment_paths
from gateway.ledger.segment import Segment
from gateway.records import Batch, RawMessage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway.ledger.batch import Row

READ_BYTES = 32 << 20
"""Payload bytes after which one call of ``read`` returns what it has."""


class LedgerReader:
    """Reads by offset over all segments; one thread at a time.

    Each reader has connections of its own and never blocks the writer.  The last batch that was
    unpacked is kept, so that small reads cost little.  A directory without a ledger reads as an
    empty one until there is something in it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._unpacker = Unpacker()
        self._listing: list[tuple[int, Path]] = []
        self._segment: Segment | None = None
        self._tail: Segment | None = None
        self._last: Batch | None = None

    @property
    def first_offset(self) -> int:
        """The oldest message that is kept."""
        listing = segment_paths(self._directory)
        return listing[0][0] if listing else 0

    @property
    def next_offset(self) -> int:
        """The offset that the next message will have, as of this moment."""
        listing = segment_paths(self._directory)
        if not listing:
            return 0
        first, path = listing[-1]
        try:
            if self._tail is None or self._tail.path != path:
                self._close_tail()
                self._tail = Segment(path, read_only=True)
            return self._tail.next_offset()
        except LedgerCorrupt:
            return max(first, acknowledged(self._directory))

    def read(self, offset: int, max_messages: int = 5000) -> Batch:
        """Return up to ``max_messages`` from ``offset`` on; see ``Ledger.read``."""
        batch = self._batch_at(offset)
        if batch is None:
            return Batch([], [], [], first_offset=offset)
        start = max(offset - batch.first_offset, 0)
        first = batch.first_offset + start
        stop = start + max_messages
        topics = batch.topics[start:stop]
        payloads = batch.payloads[start:stop]
        received_at = batch.received_at[start:stop]
        size = sum(map(len, payloads))
        while len(topics) < max_messages and size < READ_BYTES:
            following = first + len(topics)
            try:
                batch = self._batch_at(following)
            except UnreadableBatch:
                break  # told by the next call, which asks for that very message
            if batch is None or batch.first_offset != following:
                break
            room = max_messages - len(topics)
            topics += batch.topics[:room]
            size += sum(map(len, batch.payloads[:room]))
            payloads += batch.payloads[:room]
            received_at += batch.received_at[:room]
        return Batch(topics, payloads, received_at, first_offset=first)

    def messages(self, first: int, last: int) -> Iterator[RawMessage]:
        """Each message from ``first`` to ``last``, both inclusive, that is in the ledger.

        Raises:
            UnreadableBatch: one of them is damaged.
        """
        offset = first
        while offset <= last:
            batch = self.read(offset, min(last - offset + 1, 1000))
            if not batch.topics:
                return
            columns = zip(batch.received_at, batch.topics, batch.payloads, strict=True)
            for position, (received_at, topic, payload) in enumerate(columns, batch.first_offset):
                if position > last:
                    return
                yield RawMessage(position, received_at, topic, payload)
            offset = batch.first_offset + len(batch)

    def holding(self, offset: int) -> Row | None:
        """The stored batch that holds a message, with its content as it is on disk.

        Raises:
            LedgerError: the segment cannot be read.
        """
        row = self._row_at(offset)
        return row if row is not None and row.first_offset <= offset else None

    def close(self) -> None:
        """Close the connections; the reader may be used again."""
        self._close_tail()
        self._close_segment()

    def _close_tail(self) -> None:
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    def _close_segment(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def _batch_at(self, offset: int) -> Batch | None:
        """The batch that holds the offset, or else the next there is; None at the end."""
        last = self._last
        if last is not None and last.first_offset <= offset < last.first_offset + len(last):
            return last
        row = self._row_at(offset)
        if row is None:
            return None
        try:
            self._last = self._unpacker.batch(row)
        except UnreadableBatch as error:
            raise self._damage(offset, row.first_offset, error) from error
        return self._last

    def _row_at(self, offset: int) -> Row | None:
        refreshed = False
        while True:
            index = max(bisect_right(self._listing, offset, key=lambda entry: entry[0]) - 1, 0)
            if index < len(self._listing):
                limit = self._listing[index + 1][0] if index + 1 < len(self._listing) else None
                row = self._row_in(self._listing[index][1], offset, limit)
                if row is not None:
                    return row
                if limit is not None:
                    offset = max(offset, limit)
                    continue
            if refreshed:
                return None
            # the writer may have begun a segment, or pruned one, since the last look; the
            # segment is then asked once more, as it may have grown before it was left
            self._listing = segment_paths(self._directory)
            refreshed = True

    def _row_in(self, path: Path, offset: int, limit: int | None) -> Row | None:
        last = self._last
        try:
            segment = self._opened(path)
            follows = last is not None and offset == last.first_offset + len(last)
            row = segment.following(offset) if follows else segment.holding(offset)
        except LedgerCorrupt as error:
            raise self._damage(offset, offset, error) from error
        except LedgerFull:
            if path.exists():
                raise
            self._listing = segment_paths(self._directory)  # pruned under our feet
            return self._row_at(offset)
        if row is not None and limit is not None and row.first_offset >= limit:
            return None
        return row

    def _opened(self, path: Path) -> Segment:
        if self._segment is None or self._segment.path != path:
            self._close_segment()
            self._segment = Segment(path, read_only=True)
        return self._segment

    def _damage(self, offset: int, bad: int, error: LedgerCorrupt) -> UnreadableBatch:
        """What can't be read, up to where reading can go on."""
        self._listing = segment_paths(self._directory)
        ends = [first for first, _ in self._listing if first > bad]
        following = self._segment.begins_after(bad) if self._segment is not None else None
        if following is not None:
            ends.append(following)
        if not ends:
            ends.append(acknowledged(self._directory))
        last = max(min(ends) - 1, offset)
        known = error.fault if isinstance(error, UnreadableBatch) else None
        return UnreadableBatch(
            LedgerFault(
                batch=known.batch if known else -1,
                first_offset=offset,
                last_offset=last,
                what=known.what if known else "unreadable",
                expected=known.expected if known else "a readable segment",
                got=known.got if known else str(error),
            )
        )


def acknowledged(directory: Path) -> int:
    """The next offset by the head file's word; 0 where that tells nothing."""
    try:
        head = read_head(directory)
    except LedgerError:
        return 0
    return head.next_offset if head else 0
