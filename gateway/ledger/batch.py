"""Batches as they are stored: packed, compressed, hashed and chained.

The content hash is SHA-256 over the canonical content, before compression, so that a ledger may
be recompressed without touching the evidence.  The chain hash covers the chain hash before it,
every header field and the content hash: neither a byte of a payload nor a count, an offset, a
time, an order or an omission can change unseen.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

import msgspec
import zstandard

from gateway.errors import LedgerError
from gateway.ledger import LedgerFault, LedgerNote, UnreadableBatch
from gateway.records import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator

GENESIS = bytes(32)
"""The chain hash before the first batch ever."""
MAX_PAYLOAD = 64 << 20
"""Bytes; the bound of one message's payload."""
MAX_TOPIC = 65_535
"""Bytes of UTF-8; MQTT 5 section 1.5.4."""
MAX_ROW = 16 << 20
"""Payload and topic characters one stored batch takes before the next one is begun."""
MAX_CONTENT = 160 << 20
"""Bytes; nothing larger is ever decompressed (a row at its bound, then one largest message)."""

CONTENT_VERSION = 1
CODEC_ZSTD = 1
LEVEL = 1

KIND_BATCH = 1
KIND_NOTE = 2

# kind, number, first offset, count, first and last time of receipt, bytes of content
_HEADER = struct.Struct(">Bqqqqqq")
_encoder = msgspec.msgpack.Encoder()


class Position(msgspec.Struct, frozen=True):
    """Where the chain ends: number and offset of what comes next, chain hash before it."""

    next_batch: int
    next_offset: int
    chain: bytes


class Row(msgspec.Struct, frozen=True, array_like=True):
    """One stored entry of the chain, a batch or a note, in the order of the table's columns.

    ``content_size`` is the length before compression.  A note has ``count`` 0.
    """

    first_offset: int
    batch: int
    count: int
    first_received_at: int
    last_received_at: int
    content_size: int
    codec: int
    content_hash: bytes
    previous: bytes
    chain: bytes
    content: bytes = b""

    @property
    def after(self) -> Position:
        """The position behind this entry, by its own word."""
        return Position(self.batch + 1, self.first_offset + self.count, self.chain)

    def fault(self, what: str, expected: str, got: str) -> LedgerFault:
        """A fault of this entry."""
        last = self.first_offset + max(self.count, 0) - 1
        return LedgerFault(self.batch, self.first_offset, last, what, expected, got)


class _Content(msgspec.Struct, array_like=True):
    """Content version 1; later versions add fields at the end, which older readers pass over."""

    version: int
    first_offset: int
    topics: list[str]
    payloads: list[bytes]
    received_at: list[int]


_content_decoder = msgspec.msgpack.Decoder(_Content)
_note_decoder = msgspec.msgpack.Decoder(LedgerNote)


def chain_preimage(kind: int, row: Row) -> bytes:
    """What the chain hash of a row is made of: previous hash, header fields, content hash."""
    header = _HEADER.pack(
        kind,
        row.batch,
        row.first_offset,
        row.count,
        row.first_received_at,
        row.last_received_at,
        row.content_size,
    )
    return row.previous + header + row.content_hash


def chain_hash(kind: int, row: Row) -> bytes:
    """The chain hash that the header fields, content hash and previous hash of a row give."""
    return hashlib.sha256(chain_preimage(kind, row)).digest()


class Packer:
    """Turns batches and notes into rows; used by one thread at a time."""

    def __init__(self, max_batch: int) -> None:
        self._max_batch = max_batch
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False)

    def batch(self, batch: Batch, position: Position) -> list[Row]:
        """Pack messages at a position, in as many rows as the bounds ask for.

        Raises:
            LedgerError: columns of unequal length, or a message beyond the bounds.
        """
        count = len(batch.topics)
        if len(batch.payloads) != count or len(batch.received_at) != count:
            raise LedgerError(
                f"batch columns must be equally long: {count} topics, {len(batch.payloads)} "
                f"payloads, {len(batch.received_at)} times"
            )
        rows = []
        for start, stop in self._spans(batch):
            topics, times = batch.topics[start:stop], batch.received_at[start:stop]
            content = _encoder.encode(
                _Content(
                    CONTENT_VERSION,
                    position.next_offset,
                    topics,
                    batch.payloads[start:stop],
                    times,
                )
            )
            row = self._row(KIND_BATCH, position, len(topics), (times[0], times[-1]), content)
            rows.append(row)
            position = row.after
        return rows

    def note(self, note: LedgerNote, position: Position) -> Row:
        """Pack a note at a position."""
        return self._row(KIND_NOTE, position, 0, (note.at, note.at), _encoder.encode(note))

    def _row(
        self, kind: int, position: Position, count: int, times: tuple[int, int], content: bytes
    ) -> Row:
        row = Row(
            first_offset=position.next_offset,
            batch=position.next_batch,
            count=count,
            first_received_at=times[0],
            last_received_at=times[1],
            content_size=len(content),
            codec=CODEC_ZSTD,
            content_hash=hashlib.sha256(content).digest(),
            previous=position.chain,
            chain=b"",
            content=self._compressor.compress(content),
        )
        return msgspec.structs.replace(row, chain=chain_hash(kind, row))

    def _spans(self, batch: Batch) -> Iterator[tuple[int, int]]:
        count = len(batch.topics)
        total = sum(map(len, batch.payloads)) + sum(map(len, batch.topics))
        if count <= self._max_batch and total <= MAX_ROW and max(map(len, batch.topics)) < 16_384:
            yield 0, count
            return
        start = size = 0
        for index, (topic, payload) in enumerate(zip(batch.topics, batch.payloads, strict=True)):
            _check_bounds(index, topic, payload)
            if index > start and (size > MAX_ROW or index - start >= self._max_batch):
                yield start, index
                start, size = index, 0
            size += len(topic) + len(payload)
        yield start, count


def _check_bounds(index: int, topic: str, payload: bytes) -> None:
    if len(payload) > MAX_PAYLOAD:
        raise LedgerError(
            f"message {index} of the batch, topic {topic[:80]!r}: payload of {len(payload)} bytes "
            f"is over the bound of {MAX_PAYLOAD}; lower the source's maximum packet size"
        )
    if len(topic) > MAX_TOPIC // 4 and len(topic.encode()) > MAX_TOPIC:
        raise LedgerError(
            f"message {index} of the batch: topic {topic[:80]!r}... is over the bound of "
            f"{MAX_TOPIC} bytes (MQTT 5 section 1.5.4)"
        )


class Unpacker:
    """Turns rows back, checking hash and bounds; used by one thread at a time."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor()

    def batch(self, row: Row) -> Batch:
        """Return the messages of a row.

        Raises:
            UnreadableBatch: the row is not what was written; its ``fault`` says which part.
        """
        content = self._content(KIND_BATCH, row)
        try:
            columns = _content_decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnreadableBatch(row.fault("content", "packed columns", str(error))) from error
        lengths = {len(columns.topics), len(columns.payloads), len(columns.received_at)}
        if columns.first_offset != row.first_offset or lengths != {row.count}:
            stated = f"{row.count} messages at {row.first_offset}"
            got = f"{sorted(lengths)} messages at {columns.first_offset}"
            raise UnreadableBatch(row.fault("content", stated, got))
        return Batch(
            topics=columns.topics,
            payloads=columns.payloads,
            received_at=columns.received_at,
            first_offset=columns.first_offset,
        )

    def note(self, row: Row) -> LedgerNote:
        """Return the note of a row.

        Raises:
            UnreadableBatch: the row is not what was written.
        """
        content = self._content(KIND_NOTE, row)
        try:
            return _note_decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnreadableBatch(row.fault("content", "a packed note", str(error))) from error

    def content(self, row: Row) -> bytes:
        """Return the content of a batch as it was hashed: before compression.

        Raises:
            UnreadableBatch: the row is not what was written.
        """
        return self._content(KIND_BATCH, row)

    def _content(self, kind: int, row: Row) -> bytes:
        try:
            chain = chain_hash(kind, row)
        except struct.error as error:
            raise UnreadableBatch(row.fault("header", "64-bit fields", str(error))) from error
        if chain != row.chain:
            raise UnreadableBatch(row.fault("header", row.chain.hex(), chain.hex()))
        content = self._decompressed(row)
        content_hash = hashlib.sha256(content).digest()
        if content_hash != row.content_hash:
            fault = row.fault("content", row.content_hash.hex(), content_hash.hex())
            raise UnreadableBatch(fault)
        return content

    def _decompressed(self, row: Row) -> bytes:
        if row.codec != CODEC_ZSTD:
            fault = row.fault("header", f"codec {CODEC_ZSTD} (zstd)", f"codec {row.codec}")
            raise UnreadableBatch(fault)
        try:
            # the frame's own word decides how much is allocated, so it is looked at first
            size = zstandard.frame_content_size(row.content)
            if size != row.content_size or not 0 <= size <= MAX_CONTENT:
                stated = f"{row.content_size} bytes, at most {MAX_CONTENT}"
                fault = row.fault("content", stated, f"a frame of {size} bytes")
                raise UnreadableBatch(fault)
            content: bytes = self._decompressor.decompress(
                row.content, max_output_size=MAX_CONTENT, allow_extra_data=False
            )
        except zstandard.ZstdError as error:
            raise UnreadableBatch(row.fault("content", "a zstd frame", str(error))) from error
        return content
