"""Files: captures, truth and registry, as JSON Lines, plain or compressed by their name."""

from __future__ import annotations

import gzip
import io
import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec
import zstandard

from simulators.clock import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from simulators.line import Message

_LINES_A_WRITE: Final = 1_000
_LONGEST_LINE: Final = 16 * 2**20


class BadLine(ValueError):
    """A line of a file is not what it should be: says file, line, and what was got."""

    def __init__(self, file: str, line: int, what: str) -> None:
        super().__init__(f"{file}, line {line}: {what}")


@contextmanager
def writing(file: str) -> Iterator[BinaryIO]:
    """Opens a file to write: ``-`` is standard output, ``.gz`` and ``.zst`` are compressed."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with Path(file).open("wb") as raw:
        if file.endswith(".gz"):
            # no name and no time inside: the same messages give the same bytes
            with gzip.GzipFile("", "wb", compresslevel=3, fileobj=raw, mtime=0) as packed:
                yield packed  # type: ignore[misc]
        elif file.endswith(".zst"):
            with zstandard.ZstdCompressor(level=3).stream_writer(raw) as packed:
                yield packed
        else:
            yield raw


@contextmanager
def _reading(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as raw:
        if file.endswith(".gz"):
            with gzip.GzipFile(fileobj=raw) as packed:
                yield packed  # type: ignore[misc]
        elif file.endswith(".zst"):
            with zstandard.ZstdDecompressor().stream_reader(raw) as packed:
                yield io.BufferedReader(packed)
        else:
            yield raw


def objects(file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a JSON Lines file with their line numbers; empty lines are passed over.

    Raises:
        BadLine: a line is no JSON object, or longer than 16 MiB.
        OSError: the file can't be read.
    """
    with _reading(file) as stream:
        for number, line in enumerate(iter(lambda: stream.readline(_LONGEST_LINE), b""), 1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except ValueError as error:
                raise BadLine(file, number, f"not JSON: {error}") from error
            if not isinstance(found, dict):
                raise BadLine(file, number, f"not a JSON object but {line[:40]!r}")
            yield number, found


def capture_lines(messages: Iterable[Message]) -> Iterator[bytes]:
    """Messages as blocks of capture lines, a thousand lines a block.

    A payload that is no UTF-8 text is written as ``payload_base64``.
    """
    encode = msgspec.json.Encoder().encode
    block: list[bytes] = []
    for received_at, _, topic, payload in messages:
        key = b"payload"
        try:
            text = encode(payload.decode())
        except UnicodeDecodeError:
            key, text = b"payload_base64", encode(payload)
        block.append(
            b'{"received_at":"%b","topic":%b,"%b":%b}\n'
            % (rfc3339(received_at).encode(), encode(topic), key, text)
        )
        if len(block) == _LINES_A_WRITE:
            yield b"".join(block)
            block.clear()
    yield b"".join(block)


def json_line(item: dict[str, Any]) -> bytes:
    """One line of JSON Lines; text as it is, not escaped."""
    return msgspec.json.encode(item) + b"\n"
