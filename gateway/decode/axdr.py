"""COSEM data in A-XDR (IEC 62056-5-3, IEC 61334-6): a tag, perhaps a length, and the value.

===================  ======================  ==========================================
COSEM type           tag                     here
===================  ======================  ==========================================
null, don't care     0, 255                  None
array, structure     1, 2                    list
compact array        19                      list, or list of lists
boolean              3                       bool
bit string           4                       text of 0 and 1, first bit first
integers             5 6 13 15 16 17 18      int
                     20 21
floats               23 24                   float; None when it is no finite number
octet string         9                       bytes
visible, utf8        10, 12                  text
enum                 22                      `Enumerated`
date-time, date,     25, 26, 27              bytes
time
===================  ======================  ==========================================
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import struct
from collections.abc import Callable
from typing import Any, Final

from gateway.errors import DecodeError

MAX_DEPTH: Final = 16
MAX_ITEMS: Final = 10_000

Data = Any
"""One of the Python values in the table above."""


class Enumerated(int):
    """A COSEM enum, such as the code of a unit; it is told apart from an integer by its class."""

    __slots__ = ()


def length(data: bytes, at: int) -> tuple[int, int]:
    """A length at this byte, and the byte after it: below 128 in one byte, else in 1 to 4 more."""
    first = _byte(data, at)
    if first < 0x80:
        return first, at + 1
    size = first & 0x7F
    if not 1 <= size <= 4:
        raise DecodeError("unparseable", f"byte {at}: {first:02X}H is no length")
    return int.from_bytes(octets(data, at + 1, size), "big"), at + 1 + size


def octets(data: bytes, at: int, size: int) -> bytes:
    """The bytes at this place; raises DecodeError where the message ends before."""
    if at + size > len(data):
        raise DecodeError(
            "unparseable",
            f"byte {at}: cut off, {size} bytes are said to follow and {len(data) - at} do",
        )
    return data[at : at + size]


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise DecodeError("unparseable", f"byte {at}: cut off, a tag or a length must follow")
    return data[at]


class Reader:
    """Reads data of one message; depth and number of items are bounded for all of it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = MAX_ITEMS

    def read(self, at: int, depth: int = 0) -> tuple[Data, int]:
        """The value that begins at this byte, and the byte after it.

        Raises:
            DecodeError: ``unparseable``, ``too_deep`` or ``too_large`` (too many items).
        """
        tag = _byte(self._data, at)
        if tag in {1, 2}:
            count, at = length(self._data, at + 1)
            self._spend(count, at, depth)
            items: list[Data] = []
            for _ in range(count):
                item, at = self.read(at, depth + 1)
                items.append(item)
            return items, at
        if tag == 19:
            return self._compact(at + 1, depth)
        return self._scalar(tag, at + 1)

    def _spend(self, count: int, at: int, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise DecodeError("too_deep", f"byte {at}: nested deeper than {MAX_DEPTH}")
        self._left -= count
        if self._left < 0:
            raise DecodeError("too_large", f"byte {at}: more than {MAX_ITEMS} items")

    def _scalar(self, tag: int, at: int) -> tuple[Data, int]:
        """A value without parts, whose bytes begin here."""
        read = _SCALARS.get(tag)
        if read is None:
            raise DecodeError("unparseable", f"byte {at - 1}: {tag:02X}H is no COSEM type")
        return read(self._data, at)

    def _compact(self, at: int, depth: int) -> tuple[list[Data], int]:
        """A compact array: the type once, then the bytes of the contents."""
        start = at
        tags, at = self._description(at, depth)
        size, at = length(self._data, at)
        end = at + size
        octets(self._data, at, size)
        items: list[Data] = []
        while at < end:
            begin = at
            item, at = self._described(tags, at, depth)
            if at == begin:
                raise DecodeError("unparseable", f"byte {at}: items of a compact array are empty")
            self._spend(1, at, depth)
            items.append(item)
        if at != end:
            raise DecodeError("unparseable", f"byte {start}: a compact array ends within an item")
        return items, at

    def _description(self, at: int, depth: int) -> tuple[Any, int]:
        """The type of a compact array's items: a tag, or a list of types."""
        tag = _byte(self._data, at)
        if tag == 1:
            count = int.from_bytes(octets(self._data, at + 1, 2), "big")
            self._spend(count, at, depth)
            inner, at = self._description(at + 3, depth + 1)
            return [inner] * count, at
        if tag == 2:
            count, at = length(self._data, at + 1)
            self._spend(count, at, depth)
            types = []
            for _ in range(count):
                inner, at = self._description(at, depth + 1)
                types.append(inner)
            return types, at
        return tag, at + 1

    def _described(self, kind: Any, at: int, depth: int) -> tuple[Data, int]:  # noqa: ANN401 - nested
        if not isinstance(kind, list):
            return self._scalar(kind, at)
        self._spend(len(kind), at, depth)
        items = []
        for inner in kind:
            item, at = self._described(inner, at, depth + 1)
            items.append(item)
        return items, at


Scalar = Callable[[bytes, int], tuple[Data, int]]


def _fixed(size: int, value: Callable[[bytes], Data]) -> Scalar:
    """A type of so many bytes."""
    return lambda data, at: (value(octets(data, at, size)), at + size)


def _sized(value: Callable[[bytes], Data]) -> Scalar:
    """A type whose length is sent."""

    def read(data: bytes, at: int) -> tuple[Data, int]:
        size, at = length(data, at)
        return value(octets(data, at, size)), at + size

    return read


def _bits(data: bytes, at: int) -> tuple[Data, int]:
    count, at = length(data, at)
    size = (count + 7) // 8
    text = "".join(f"{byte:08b}" for byte in octets(data, at, size))
    return text[:count], at + size


def _utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DecodeError("unparseable", f"{data[:20].hex()}: no UTF-8") from error


def _shown(layout: struct.Struct, data: bytes) -> float | None:
    """A float as the instrument shows it: one of 32 bits has no more than its shortest digits."""
    number: float = layout.unpack(data)[0]
    if not math.isfinite(number):
        return None
    if layout.size == 8:
        return number
    for digits in range(6, 9):
        short = float(f"{number:.{digits}g}")
        # Rounding may leave the range of 32 bits, where packing raises.
        if abs(short) <= _MAX_FLOAT and layout.pack(short) == data:
            return short
    return number


_MAX_FLOAT: Final = 3.4028234663852886e38

_SIGNED: Final = functools.partial(int.from_bytes, byteorder="big", signed=True)
_UNSIGNED: Final = functools.partial(int.from_bytes, byteorder="big")

_SCALARS: Final[dict[int, Scalar]] = {
    0: lambda _, at: (None, at),
    3: _fixed(1, lambda data: data != b"\x00"),
    4: _bits,
    5: _fixed(4, _SIGNED),
    6: _fixed(4, _UNSIGNED),
    9: _sized(bytes),
    10: _sized(lambda data: data.decode("latin-1")),
    12: _sized(_utf8),
    13: _fixed(1, _SIGNED),
    15: _fixed(1, _SIGNED),
    16: _fixed(2, _SIGNED),
    17: _fixed(1, _UNSIGNED),
    18: _fixed(2, _UNSIGNED),
    20: _fixed(8, _SIGNED),
    21: _fixed(8, _UNSIGNED),
    22: _fixed(1, lambda data: Enumerated(data[0])),
    23: _fixed(4, functools.partial(_shown, struct.Struct(">f"))),
    24: _fixed(8, functools.partial(_shown, struct.Struct(">d"))),
    25: _fixed(12, bytes),
    26: _fixed(5, bytes),
    27: _fixed(4, bytes),
    255: lambda _, at: (None, at),
}


def date_time(data: bytes) -> str | None:
    """A COSEM date-time of 12 bytes as RFC 3339 text.

    Year (2 bytes), month, day, day of the week, hour, minute, second, hundredths, deviation
    (2 bytes: minutes from local time to UTC), status of the clock.  Without a deviation the time
    is local ISO 8601; a date or hour that is not specified gives None.

    Raises:
        DecodeError: ``bad_time``, no such date or time.
    """
    year, month, day, _, hour, minute, second, _, deviation, _ = _DATE_TIME.unpack(data)
    if year == 0xFFFF or month >= 0xFD or day >= 0xFD or hour == 0xFF:
        return None
    try:
        local = dt.datetime(  # noqa: DTZ001 - the zone is set below, where one is told
            year, month, day, hour, _specified(minute), _specified(second)
        )
        if deviation != _NO_DEVIATION:
            # The deviation counts from local time to UTC: Central European time has -60.
            local = local.replace(tzinfo=dt.timezone(dt.timedelta(minutes=-deviation)))
        return local.isoformat()
    except ValueError as error:
        raise DecodeError("bad_time", f"the date-time {data.hex().upper()}: {error}") from error


_DATE_TIME: Final = struct.Struct(">HBBBBBBBhB")
_NO_DEVIATION: Final = -0x8000


def _specified(field: int) -> int:
    return 0 if field == 0xFF else field
