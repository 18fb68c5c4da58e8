"""Capture files: JSON Lines of messages as they came, plain, ``.gz`` or ``.zst``.

A line is ``{"received_at": RFC 3339 with zone, "topic": "…", "payload": "text"}``, or in place of
``payload`` one of ``payload_base64`` and ``payload_hex``.  Other keys are ignored.  Reading costs
about 0.5 µs a line, so that a replay is bound by the pipeline and not by its input.
"""

from __future__ import annotations

import base64
import gzip
import sys
import zlib
from contextlib import nullcontext
from typing import IO, TYPE_CHECKING, Final, Self, cast

import msgspec
import zstandard

from gateway.errors import ConfigError, GatewayError
from gateway.records import Batch
from gateway.times import TimeReader, nanoseconds, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

CHUNK_BYTES: Final = 2 * 1024 * 1024
MAX_LINE_BYTES: Final = 32 * 1024 * 1024
_ZSTD_STEP_BYTES: Final = 2048  # of input at a time: zstd makes at most 64 MiB out of it


class CaptureError(GatewayError):
    """A capture cannot be read or written; the message says file and line."""


class _Line(msgspec.Struct, gc=False):
    received_at: str
    topic: str
    payload: str | None = None
    payload_base64: str | None = None
    payload_hex: str | None = None


_PAYLOADS: Final = ("payload", "payload_base64", "payload_hex")
_DECODER: Final = msgspec.json.Decoder(_Line)


class _ZstdReader:
    """Reads all frames of a zstd file; its end in the middle of a frame is an error.

    The library's own reader takes a file that was cut off, and one of several frames (``cat``),
    for one that ends early: messages would be missing in silence.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._input = b""

    def read(self, size: int) -> bytes:
        """At least ``size`` bytes, fewer at the end, at most one step's output more."""
        parts, length = [], 0
        while length < size:
            piece = self._step()
            if piece is None:
                break
            parts.append(piece)
            length += len(piece)
        return b"".join(parts)

    def _step(self) -> bytes | None:
        data = self._input or self._file.read(_ZSTD_STEP_BYTES)
        self._input = b""
        if not data:
            if self._frame is not None:
                raise EOFError("the file ends in the middle of a zstd frame: it was cut off")
            return None
        frame = self._frame or self._decompressor.decompressobj()
        piece = frame.decompress(data)
        self._frame = None if frame.eof else frame
        self._input = frame.unused_data if frame.eof else b""
        return piece

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        self._file.close()


def _open_to_read(path: Path) -> IO[bytes] | _ZstdReader:
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if path.suffix == ".zst":
        return _ZstdReader(path)
    return path.open("rb", buffering=0)  # reads are large already


def _open_to_write(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "wb"))
    if path.suffix == ".zst":
        return cast("IO[bytes]", zstandard.open(path, "wb"))
    return path.open("wb")


class CaptureReader:
    """Reads one capture as batches of at most ``batch_messages``.

    Args:
        path: the file, or None for standard input.
        batch_messages: the most messages in a batch.
        skip_bad: count and skip lines that are not messages, instead of stopping there.
        max_line_bytes: a longer line is bad; it bounds the memory that a file can take.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        batch_messages: int = 5_000,
        skip_bad: bool = False,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self.path = path
        self.skipped = 0
        self.first_skipped: str | None = None
        self._batch_messages = batch_messages
        self._skip_bad = skip_bad
        self._max_line_bytes = max_line_bytes
        self._times = TimeReader()
        self._line = 1

    @property
    def name(self) -> str:
        """What messages call the file."""
        return str(self.path) if self.path is not None else "<stdin>"

    def batches(self) -> Iterator[Batch]:
        """The messages in the order of the file.

        Raises:
            CaptureError: the file cannot be read, or a line is bad (the messages before that
                line have been given).
        """
        for chunk in self._chunks():
            yield from self._batches_of(chunk, self._line)
            self._line += chunk.count(b"\n")

    def _chunks(self) -> Iterator[bytes]:
        """Whole lines, about ``CHUNK_BYTES`` at a time."""
        rest = b""
        self._line = 1
        try:
            opened = _open_to_read(self.path) if self.path else nullcontext(sys.stdin.buffer)
            with opened as stream:
                while piece := stream.read(max(CHUNK_BYTES, len(rest))):
                    end = piece.rfind(b"\n") + 1
                    if end:
                        whole = b"".join((rest, memoryview(piece)[:end]))
                        rest = piece[end:]
                        yield whole
                    else:
                        rest += piece
                    if len(rest) > self._max_line_bytes:
                        raise CaptureError(
                            f"{self.name}:{self._line}: a line of more than "
                            f"{self._max_line_bytes:,} bytes; not a capture, or a damaged one"
                        )
                if rest:
                    yield rest
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CaptureError(
                f"{self.name}: cannot be read after line {self._line}: {reason}"
            ) from error

    def _batches_of(self, chunk: bytes, first_line: int) -> Iterator[Batch]:
        try:
            batch = self._columns(_DECODER.decode_lines(chunk))
        except (msgspec.MsgspecError, ValueError):
            yield from self._line_by_line(chunk, first_line)
            return
        yield from self._split(batch)

    def _columns(self, lines: list[_Line]) -> Batch:
        times = self._times.read([line.received_at for line in lines])
        if any([line.payload_base64 or line.payload_hex for line in lines]):  # noqa: C419 - a list is faster
            payloads = [_payload(line) for line in lines]
        else:
            try:
                payloads = [line.payload.encode() for line in lines]  # type: ignore[union-attr]
            except AttributeError:
                raise ValueError("payload is missing") from None
        return Batch([line.topic for line in lines], payloads, times)

    def _split(self, batch: Batch) -> Iterator[Batch]:
        size = self._batch_messages
        if len(batch) <= size:
            if len(batch):
                yield batch
            return
        for at in range(0, len(batch), size):
            part = slice(at, at + size)
            yield Batch(batch.topics[part], batch.payloads[part], batch.received_at[part])

    def _line_by_line(self, chunk: bytes, first_line: int) -> Iterator[Batch]:
        """Finds the bad line: gives what is before it, then stops or skips."""
        good = Batch([], [], [])
        for number, text in enumerate(chunk.split(b"\n"), first_line):
            if not text.strip():
                continue
            try:
                line = _DECODER.decode(text)
                payload, at = _payload(line), nanoseconds(line.received_at)
            except (msgspec.MsgspecError, ValueError) as error:
                fault = f"{self.name}:{number}: {error}"
                if not self._skip_bad:
                    yield from self._split(good)
                    raise CaptureError(
                        f"{fault}; mend the line, or leave such lines out with --skip-bad"
                    ) from None
                self.skipped += 1
                self.first_skipped = self.first_skipped or fault
            else:
                good.topics.append(line.topic)
                good.payloads.append(payload)
                good.received_at.append(at)
        yield from self._split(good)


def _payload(line: _Line) -> bytes:
    given = [
        key
        for key in ("payload", "payload_base64", "payload_hex")
        if getattr(line, key) is not None
    ]
    if len(given) != 1:
        raise ValueError(
            f"exactly one of {', '.join(_PAYLOADS)} is needed, got {' and '.join(given) or 'none'}"
        )
    if line.payload is not None:
        return line.payload.encode()
    if line.payload_base64 is not None:
        try:
            return base64.b64decode(line.payload_base64, validate=True)
        except ValueError as error:
            raise ValueError(f"payload_base64 is not base64: {error}") from None
    try:
        return bytes.fromhex(str(line.payload_hex))
    except ValueError as error:
        raise ValueError(f"payload_hex is not hexadecimal: {error}") from None


class CaptureWriter:
    """Writes a capture; a context manager.

    Args:
        path: the file (``.gz`` and ``.zst`` are compressed), or None for standard output.

    Raises:
        ConfigError: there can be no such file.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.written = 0
        self._encoder = msgspec.json.Encoder()
        try:
            self._stream = sys.stdout.buffer if path is None else _open_to_write(path)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error

    def write(
        self, topics: Sequence[str], payloads: Sequence[bytes], received_at: Sequence[int]
    ) -> None:
        """Appends messages given in columns of equal length.

        Raises:
            CaptureError: the disk is full or the file gone.
        """
        lines = []
        for topic, payload, at in zip(topics, payloads, received_at, strict=True):
            line = {"received_at": rfc3339(at), "topic": topic}
            try:
                line["payload"] = payload.decode()
            except UnicodeDecodeError:
                line["payload_base64"] = base64.b64encode(payload).decode()
            lines.append(line)
        try:
            self._stream.write(self._encoder.encode_lines(lines))
        except OSError as error:
            raise CaptureError(f"{self.path}: cannot be written: {error.strerror}") from error
        self.written += len(lines)

    def flush(self) -> None:
        """Hands what is written to the system."""
        self._stream.flush()

    def close(self) -> None:
        """Ends the file; standard output stays open."""
        if self.path is None:
            self._stream.flush()
        else:
            self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
