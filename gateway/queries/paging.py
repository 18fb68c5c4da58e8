"""Pages by key: a cursor is the key of the last row, never a number of rows to skip.

So a page costs the same wherever it is, and what comes in between two pages neither repeats nor
hides a row.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final, TypeVar

import msgspec

from gateway.errors import ConfigError

MOST: Final = 1_000
"""Rows of a page."""
_LONGEST: Final = 1_024

Key = TypeVar("Key")


class Page(msgspec.Struct, frozen=True):
    """Some rows, and the cursor of the next page; None where there is none."""

    items: list[dict[str, Any]]
    next_cursor: str | None = None


def written(*key: int | str | None) -> str:
    """A cursor for a key."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(key)).decode().rstrip("=")


def read(cursor: str | None, type_: type[Key]) -> Key | None:
    """The key of a cursor.

    Raises:
        ConfigError: it is none, or one of another list.
    """
    if cursor is None:
        return None
    try:
        text = cursor[:_LONGEST].encode("ascii")
        packed = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
        key = msgspec.msgpack.decode(packed, type=type_)
        numbers = [part for part in msgspec.to_builtins(key) if isinstance(part, int)]
        if any(not -(2**63) < number < 2**63 for number in numbers):
            raise ValueError(numbers)  # noqa: TRY301 - one answer to every wrong cursor
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise ConfigError("cursor: not one that this list gave; begin without one") from None
    return key


def checked_limit(limit: int) -> int:
    """How many rows a page has.

    Raises:
        ConfigError: fewer than one, or more than `MOST`.
    """
    if not 1 <= limit <= MOST:
        raise ConfigError(f"limit: from 1 to {MOST}, got {limit}")
    return limit
