"""The messages that a draft looks at, in whatever form a vendor has them.

A capture file of ours; what ``mosquitto_sub -v`` prints (``TOPIC PAYLOAD``, one a line) or its JSON
(``-F '%J'``); JSON Lines that have ``topic`` and ``payload``; or files with one payload each, whose
topic is told.
"""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from gateway.capture import CaptureError, CaptureReader
from gateway.errors import DecodeError
from gateway.moments import moment
from gateway.records import RawMessage
from gateway.times import nanoseconds

MOST_MESSAGES: Final = 500
"""More tell nothing new, and are not looked at."""
UNTOLD: Final = nanoseconds("2026-01-01T00:00:00Z")
"""The time of receipt of messages that do not tell it: a case of a profile has the same."""
MOST_BYTES: Final = 32 * 1024 * 1024
_PACKED: Final = frozenset((".gz", ".zst"))
_PRINTED: Final = re.compile(r"(?P<topic>[^\s{}\[\]]*/[^\s{}\[\]]*) (?P<payload>.+)")
_TIMES: Final = ("received_at", "tst", "timestamp", "time")
_FORMS: Final = (
    "one of: a capture (`gateway capture TOPIC -o FILE`), what `mosquitto_sub -v` prints "
    '(TOPIC PAYLOAD), a JSON object with "topic" and "payload". One payload alone? '
    "Say its topic: --topic acme/W20-0001/up"
)


def captured(paths: Sequence[Path], topic: str | None = None) -> list[RawMessage]:
    """The first messages of the files; ``-`` is standard input.

    Args:
        paths: the files.
        topic: of each file, which is then one payload (hexadecimal if it ends in ``.hex``).

    Raises:
        CaptureError: a file cannot be read, is of no known form, or there is no message.
    """
    found = [message for path in paths for message in _of_file(path, topic)][:MOST_MESSAGES]
    if not found:
        raise CaptureError(f"{paths[0]}: no message in it; it may be {_FORMS}")
    return [RawMessage(i, m.received_at, m.topic, m.payload) for i, m in enumerate(found)]


def _of_file(path: Path, topic: str | None) -> Iterator[RawMessage]:
    if topic is not None:
        yield RawMessage(0, UNTOLD, topic, _payload(path))
        return
    if path.suffix in _PACKED:
        yield from itertools.islice(_of_capture(path), MOST_MESSAGES)
        return
    data = _read(path)
    for number, line in enumerate(data.split(b"\n")[: 2 * MOST_MESSAGES], 1):
        if line.strip():
            yield _of_line(f"{path}:{number}", line.rstrip(b"\r"))


def _of_capture(path: Path) -> Iterator[RawMessage]:
    for batch in CaptureReader(path).batches():
        columns = zip(batch.topics, batch.payloads, batch.received_at, strict=True)
        yield from (RawMessage(0, at, topic, payload) for topic, payload, at in columns)


def _payload(path: Path) -> bytes:
    data = _read(path)
    if path.suffix != ".hex":
        return data.removesuffix(b"\n")
    try:
        return bytes.fromhex(data.decode("ascii"))
    except ValueError as error:
        raise CaptureError(f"{path}: not hexadecimal: {error}") from None


def _read(path: Path) -> bytes:
    try:
        if str(path) == "-":
            return sys.stdin.buffer.read(MOST_BYTES)
        with path.open("rb") as file:
            return file.read(MOST_BYTES)
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read: {error.strerror}") from None


def _of_line(place: str, line: bytes) -> RawMessage:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise CaptureError(
            f"{place}: bytes that are no text; `gateway capture TOPIC -o FILE` keeps them"
        ) from None
    printed = _PRINTED.fullmatch(text)
    if printed is not None:
        return RawMessage(0, UNTOLD, printed["topic"], printed["payload"].encode())
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    message = _of_object(data) if isinstance(data, dict) else None
    if message is None:
        raise CaptureError(f"{place}: no message of a form that is known here: {_FORMS}")
    return message


def _of_object(data: dict[str, Any]) -> RawMessage | None:
    topic = data.get("topic")
    if not isinstance(topic, str):
        return None
    try:
        payload = _bytes_of(data)
    except (ValueError, TypeError):
        return None
    if payload is None:
        return None
    return RawMessage(0, _time_of(data), topic, payload)


def _bytes_of(data: dict[str, Any]) -> bytes | None:
    if "payload_base64" in data:
        return base64.b64decode(data["payload_base64"], validate=True)
    if "payload_hex" in data:
        return bytes.fromhex(data["payload_hex"])
    if "payload" not in data:
        return None
    payload = data["payload"]
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return text.encode()


def _time_of(data: dict[str, Any]) -> int:
    """When it came; `mosquitto_sub` writes offsets without a colon."""
    for key in _TIMES:
        try:
            return moment(dt.datetime.fromisoformat(data[key]), dt.UTC)
        except (KeyError, DecodeError, TypeError, ValueError):
            continue
    return UNTOLD
