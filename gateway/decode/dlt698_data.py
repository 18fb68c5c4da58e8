"""The data of DL/T 698.45: A-XDR types, object attribute descriptors, and their scalers.

An OAD has four bytes: the object (OI, two bytes), attribute and feature, and the element (00: all
of them).  Attributes 2 of energies, currents, voltages and so on are integers, whose scaler the
standard gives with the object; `put` applies it.
"""

from __future__ import annotations

import datetime as dt
import math
import struct
from collections.abc import Callable
from typing import Any, Final

from gateway.errors import DecodeError

MAX_DEPTH: Final = 16
"""Arrays and structures within each other."""

_SCALERS: Final[tuple[tuple[int, int, dict[int, int]], ...]] = (
    (0x0000, 0x05FF, {2: 2, 4: 4}),  # energy: kWh, kvarh, kVAh; attribute 4 with more digits
    (0x1000, 0x11FF, {2: 4}),  # maximum demand: kW, kvar, kVA
    (0x2000, 0x2000, {2: 1}),  # voltage, V
    (0x2001, 0x2001, {2: 3, 4: 3, 5: 3}),  # current, of the neutral, sum of the phases: A
    (0x2002, 0x2003, {2: 1}),  # angles of voltage, of voltage and current: degrees
    (0x2004, 0x2009, {2: 1}),  # power: W, var, VA, and their means of one minute
    (0x200A, 0x200A, {2: 3}),  # power factor
    (0x200B, 0x200D, {2: 2, 3: 2, 4: 2}),  # harmonics, %
    (0x200F, 0x200F, {2: 2}),  # frequency, Hz
    (0x2010, 0x2010, {2: 1}),  # temperature in the meter, Cel
    (0x2011, 0x2012, {2: 2}),  # batteries, V
    (0x2017, 0x2019, {2: 4}),  # demand in force: kW, kvar, kVA
    (0x2026, 0x2027, {2: 2}),  # imbalance of voltage, of current, %
    (0x2031, 0x2032, {2: 2}),  # used this month, this period: kWh
)
"""First and last OI, and the decimals of its attributes (annex with the objects' tables)."""

_DEMAND: Final = range(0x1000, 0x1200)

CLOCK: Final = "40000200"
TARGET: Final = "202A0200"
"""OAD of the address of the meter that a row of a concentrator is about."""


class Cursor:
    """Bytes that are read from front to end.

    Args:
        data: the bytes.
        where: what they are, for messages.
    """

    def __init__(self, data: bytes, where: str) -> None:
        self.data = data
        self.at = 0
        self._where = where

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        """The next bytes.

        Raises:
            DecodeError: ``unparseable``, there are not so many.
        """
        end = self.at + count
        if end > len(self.data):
            raise self.fault(f"{count} bytes must follow, {self.left} are there")
        found = self.data[self.at : end]
        self.at = end
        return found

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def number(self, size: int, *, signed: bool = False) -> int:
        """An integer, high byte first."""
        return int.from_bytes(self.take(size), "big", signed=signed)

    def length(self) -> int:
        """A length of A-XDR: one byte, or 81 to 84 and as many bytes."""
        first = self.byte()
        if first < 0x80:
            return first
        if not 0x81 <= first <= 0x84:
            raise self.fault(f"no length: {first:02X}H")
        return self.number(first - 0x80)

    def oad(self) -> str:
        """An object attribute descriptor, in hexadecimal."""
        return self.take(4).hex().upper()

    def count(self) -> int:
        """How many items follow; each has one byte at least."""
        count = self.length()
        if count > self.left:
            raise self.fault(f"{count} items must follow, {self.left} bytes are there")
        return count

    def fault(self, problem: str) -> DecodeError:
        """What is wrong at this place."""
        return DecodeError("unparseable", f"{self._where}, byte {self.at}: {problem}")


def read_data(cursor: Cursor, depth: int = 0) -> Any:  # noqa: ANN401 - any of the types
    """One value of type ``Data``; None where it says that there is none.

    Raises:
        DecodeError: ``unparseable`` or ``too_deep``.
    """
    if depth > MAX_DEPTH:
        raise DecodeError("too_deep", f"arrays and structures deeper than {MAX_DEPTH}")
    tag = cursor.byte()
    if tag in (1, 2):  # array, structure
        return [read_data(cursor, depth + 1) for _ in range(cursor.count())]
    read = _TYPES.get(tag)
    if read is None:
        cursor.at -= 1
        raise cursor.fault(f"data type {tag} is not known")
    return read(cursor)


def columns(cursor: Cursor) -> list[str]:
    """The OADs of the columns of a record (RCSD): plain, or those of a related object (ROAD)."""
    found = []
    for _ in range(cursor.count()):
        choice = cursor.byte()
        if choice > 1:
            raise cursor.fault(f"a column is an OAD (0) or a ROAD (1), got {choice}")
        oad = cursor.oad()
        found += [cursor.oad() for _ in range(cursor.count())] if choice else [oad]
    return found


def put(values: dict[str, Any], oad: str, value: Any) -> None:  # noqa: ANN401 - any of the types
    """Puts an attribute's value, scaled, under its OAD; nothing where there is no value."""
    if value is None:
        return
    oi, attribute = int(oad[:4], 16), int(oad[4:6], 16) & 0x1F
    decimals = next(
        (rows.get(attribute, 0) for low, high, rows in _SCALERS if low <= oi <= high), 0
    )
    value = _scaled(value, 10**decimals)
    if oi in _DEMAND and attribute == 2 and isinstance(value, list):
        several = value if oad.endswith("00") else [value]
        pairs = [
            pair if isinstance(pair, list) and len(pair) == 2 else [None, None] for pair in several
        ]
        for i, suffix in ((0, ""), (1, "_time")):
            part = [pair[i] for pair in pairs]
            if oad.endswith("00"):
                values[oad + suffix] = part
            elif part[0] is not None:
                values[oad + suffix] = part[0]
        return
    values[oad] = value


def _scaled(value: Any, scale: int) -> Any:  # noqa: ANN401 - any of the types
    if isinstance(value, list):
        return [_scaled(item, scale) for item in value]
    if scale > 1 and type(value) is int:
        # One division of two integers gives the double nearest to what the display shows.
        return value / scale
    return value


def target_address(data: bytes) -> str:
    """The address in a TSA: after the byte of its features, and one of a logical address."""
    return data[2 if data and data[0] & 0x20 else 1 :].hex()


def _null(_: Cursor) -> None:
    return None


def _integer(size: int, *, signed: bool) -> Callable[[Cursor], int]:
    def read(cursor: Cursor) -> int:
        return cursor.number(size, signed=signed)

    return read


def _bool(cursor: Cursor) -> bool:
    return cursor.byte() != 0


def _bit_string(cursor: Cursor) -> str:
    """Its bits in the order sent, as text of 0 and 1."""
    count = cursor.length()
    data = cursor.take((count + 7) // 8)
    return "".join(f"{byte:08b}" for byte in data)[:count]


def _octets(cursor: Cursor) -> str:
    return cursor.take(cursor.length()).hex()


def _text(cursor: Cursor) -> str:
    data = cursor.take(cursor.length()).strip(b"\x00 ")
    return data.decode("utf-8", "backslashreplace")


def _float32(cursor: Cursor) -> float | None:
    (value,) = struct.unpack(">f", cursor.take(4))
    if not math.isfinite(value):
        return None
    # The shortest decimal that is this number in 32 bits: what the meter shows.
    for digits in range(6, 9):
        text = f"{value:.{digits}g}"
        if struct.pack(">f", float(text)) == struct.pack(">f", value):
            return float(text)
    return float(f"{value:.9g}")


def _float64(cursor: Cursor) -> float | None:
    (value,) = struct.unpack(">d", cursor.take(8))
    return float(value) if math.isfinite(value) else None


def _local(year: int, *parts: int) -> dt.datetime | None:
    """A local time; None where it is not set (FF) or impossible."""
    try:
        return dt.datetime(year, *parts)  # type: ignore[arg-type]  # noqa: DTZ001 - local by the standard
    except ValueError:
        return None


def _date_time(cursor: Cursor) -> str | None:
    year, rest = cursor.number(2), cursor.take(8)
    moment = _local(year, rest[0], rest[1], rest[3], rest[4], rest[5])
    return None if moment is None else moment.isoformat()


def _date(cursor: Cursor) -> str | None:
    year, rest = cursor.number(2), cursor.take(3)
    moment = _local(year, rest[0], rest[1])
    return None if moment is None else moment.date().isoformat()


def _time(cursor: Cursor) -> str | None:
    moment = _local(2000, 1, 1, *cursor.take(3))
    return None if moment is None else moment.time().isoformat()


def date_time_s(cursor: Cursor) -> str | None:
    """Year (two bytes), month, day, hour, minute, second: local ISO 8601."""
    moment = _local(cursor.number(2), *cursor.take(5))
    return None if moment is None else moment.isoformat()


def _hexadecimal(size: int) -> Callable[[Cursor], str]:
    def read(cursor: Cursor) -> str:
        return cursor.take(size).hex().upper()

    return read


def _interval(cursor: Cursor) -> list[int]:
    """A TI: its unit's number (0 s, 1 min, 2 h, 3 d, 4 month, 5 year) and how many."""
    return [cursor.byte(), cursor.number(2)]


def _scaler_unit(cursor: Cursor) -> list[int]:
    return [cursor.number(1, signed=True), cursor.byte()]


def _target(cursor: Cursor) -> str:
    return target_address(cursor.take(cursor.length()))


def _related(cursor: Cursor) -> list[str]:
    return [cursor.oad(), *(cursor.oad() for _ in range(cursor.count()))]


_TYPES: Final[dict[int, Callable[[Cursor], Any]]] = {
    0: _null,
    3: _bool,
    4: _bit_string,
    5: _integer(4, signed=True),  # double-long
    6: _integer(4, signed=False),
    9: _octets,
    10: _text,
    12: _text,
    15: _integer(1, signed=True),  # integer
    16: _integer(2, signed=True),  # long
    17: _integer(1, signed=False),
    18: _integer(2, signed=False),
    20: _integer(8, signed=True),  # long64
    21: _integer(8, signed=False),
    22: _integer(1, signed=False),  # enum
    23: _float32,
    24: _float64,
    25: _date_time,
    26: _date,
    27: _time,
    28: date_time_s,
    80: _hexadecimal(2),  # OI
    81: _hexadecimal(4),  # OAD
    82: _related,  # ROAD
    83: _hexadecimal(4),  # OMD
    84: _interval,  # TI
    85: _target,  # TSA
    86: _octets,  # MAC
    87: _octets,  # random number
    89: _scaler_unit,
    95: _hexadecimal(5),  # settings of a port
    96: columns,  # RCSD
}
"""The types of ``Data`` by their tag, without array and structure."""
