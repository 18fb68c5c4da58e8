"""What encoders share: binary-coded decimals, checksums, and times as meters' clocks tell them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulators.instrument import Body

_CHINA = timedelta(hours=8)


def bcd(number: int, size: int) -> bytes | None:
    """A whole number as BCD of ``size`` bytes, low byte first; None where it does not fit."""
    text = f"{number:0{2 * size}d}"
    if number < 0 or len(text) > 2 * size:
        return None
    return bytes.fromhex(text)[::-1]


def digits(text: str) -> bytes:
    """Decimal digits as packed BCD, low byte first."""
    return bytes.fromhex(text)[::-1]


def low_first(number: int, size: int) -> bytes | None:
    """A signed integer, low byte first, or None where it does not fit.

    The smallest one of a size is left out: it means "no value" in M-Bus.
    """
    if abs(number) >= 1 << (8 * size - 1):
        return None
    return number.to_bytes(size, "little", signed=True)


def in_china(at: int) -> datetime:
    """A moment (ms) as clocks in China show it, without zone, cut to the second."""
    return datetime.fromtimestamp(at // 1000, UTC).replace(tzinfo=None) + _CHINA


def scaled(body: Body, path: str, factor: int) -> int | None:
    """The number under a dotted path as a whole number of 1/``factor``; None where it is absent."""
    found: Any = body
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return None if found is None else round(found * factor)


def is_periodic(body: Body) -> bool:
    """Whether a body is a meter's usual report, the only one that most protocols know."""
    return bool(body["type"] == "periodic")


def checksum(data: bytes) -> int:
    """The sum of all bytes, modulo 256."""
    return sum(data) & 0xFF
