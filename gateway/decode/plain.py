"""From what a binary parser made to a plain document: text keys, bounded, nothing but data."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import math
from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import DecodeError

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 64
MAX_ITEMS: Final = 100_000
"""Of all arrays and maps of a document."""

_MAX_WHOLE: Final = 2**64


def bounded(payload: bytes, max_bytes: int | None) -> None:
    """Refuses a payload over the bound; raises DecodeError ``too_large``."""
    limit = max_bytes or MAX_BYTES
    if len(payload) > limit:
        raise DecodeError("too_large", f"payload of {len(payload)} bytes, at most {limit}")


def few(payload: bytes, value: Any) -> None:  # noqa: ANN401 - what a parser made
    """Refuses a document of more items than any measurement has.

    One byte can be an item, and each takes a hundred in memory and a microsecond to look at.

    Raises:
        DecodeError: ``too_large``.
    """
    if len(payload) <= MAX_ITEMS or not isinstance(value, Mapping | list | tuple):
        return
    count, left = 0, [value]
    while left:
        each = left.pop()
        count += len(each)
        if count > MAX_ITEMS:
            raise DecodeError("too_large", f"more than {MAX_ITEMS} items in arrays and maps")
        inner = each.values() if isinstance(each, Mapping) else each
        left.extend(item for item in inner if isinstance(item, Mapping | list | tuple))


def plain(value: Any, depth: int = 0) -> Any:  # noqa: ANN401, PLR0911 - one line a type
    """A value as JSON could say it: byte strings in hexadecimal, times in RFC 3339.

    Raises:
        DecodeError: ``too_deep``, ``duplicate_key`` (two keys are one as text), ``absurd_number``
            (NaN, an infinity, a number no instrument shows), ``unparseable`` (a type that is no
            data).
    """
    if depth > MAX_DEPTH:
        raise DecodeError("too_deep", f"nested deeper than {MAX_DEPTH} levels")
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise DecodeError("absurd_number", f"{value} is no number that an instrument shows")
        return value
    if isinstance(value, int):
        if not -_MAX_WHOLE < value < _MAX_WHOLE:
            raise DecodeError("absurd_number", "a whole number beyond ±2^64")
        return value
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    return _scalar(value)


def _mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(key, bytes):
            name = key.hex()
        elif isinstance(key, str | int) and not isinstance(key, bool):
            name = str(key)
        else:
            raise DecodeError("unparseable", f"a key of type {type(key).__name__} is no name")
        if name in found:
            raise DecodeError("duplicate_key", f"the key {name[:80]!r} stands twice")
        found[name] = plain(inner, depth + 1)
    return found


def _scalar(value: Any) -> Any:  # noqa: ANN401 - what a tag made
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise DecodeError("bad_time", f"{value} has no zone")
        return value.isoformat()
    if isinstance(value, decimal.Decimal | fractions.Fraction):
        try:
            number = float(value)
        except (OverflowError, ValueError, ZeroDivisionError):
            number = math.inf
        return plain(number)
    raise DecodeError("unparseable", f"a value of type {type(value).__name__} is no data")
