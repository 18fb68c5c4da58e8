"""The data of M-Bus records (EN 13757-3, annex A): integers, BCD, reals, texts, dates and times.

A value is absent (None) where the meter says so: digits that are none, the most negative binary
number, a real number that is none, a date of zero or an impossible one.
"""

from __future__ import annotations

import datetime as dt
import math
import struct
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from gateway.decode.mbus_vif import Meaning
from gateway.errors import DecodeError

Read = Callable[[bytes], Any]

VARIABLE: Final = 0x0D
"""Data field of a DIF: the data tell their own length."""

_SIZES: Final = (0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, 0, 6, 0)
_REAL: Final = 0x05
_FIRST_BCD: Final = 0x09
_TIMES_KEPT: Final = 4096
_INTEGER_BITS: Final = 64
_SMALL: Final = 10**6 + 1
"""Factors up to which a number stays an integer that JSON can say."""


def reader(kind: int, meaning: Meaning) -> tuple[int, Read]:
    """How many bytes of data a DIF's low bits say (-1: the data tell), and what reads them."""
    size = _SIZES[kind]
    if kind == VARIABLE:
        return -1, nothing
    if size == 0:
        return 0, nothing
    if meaning.sort in {"time", "date"}:
        return size, _TIMES.get(size, nothing) if kind < _FIRST_BCD and kind != _REAL else nothing
    if kind == _REAL:
        return size, _real(meaning.factor)
    if kind >= _FIRST_BCD:
        return size, _digits(meaning)
    return size, _binary(size, meaning)


def nothing(_: bytes) -> None:
    """Reads data that say no value."""


def _binary(size: int, meaning: Meaning) -> Read:
    numerator, denominator = meaning.factor.as_integer_ratio()
    from_bytes = int.from_bytes
    if meaning.sort == "label":
        return lambda data: str(from_bytes(data, "little"))
    bits = 8 * size + (numerator - 1).bit_length()
    exact = denominator == 1 and bits <= _INTEGER_BITS
    if meaning.sort == "unsigned":
        if exact:
            return lambda data: from_bytes(data, "little") * numerator
        return lambda data: from_bytes(data, "little") * numerator / denominator
    none = -(1 << 8 * size - 1)

    def whole(data: bytes) -> int | None:
        number = from_bytes(data, "little", signed=True)
        return None if number == none else number * numerator

    def scaled(data: bytes) -> float | None:
        number: int = from_bytes(data, "little", signed=True)
        return None if number == none else number * numerator / denominator

    return whole if exact else scaled


def _digits(meaning: Meaning) -> Read:
    """BCD, low byte first; F in the highest digit is a minus, another letter no value."""
    numerator, denominator = meaning.factor.as_integer_ratio()
    exact = denominator == 1 and numerator < _SMALL

    def label(data: bytes) -> str | None:
        digits = data[::-1].hex()
        return digits if digits.isdecimal() else None

    def number(data: bytes) -> float | None:
        digits = data[::-1].hex()
        try:
            found = int(digits)
        except ValueError:
            if digits[0] != "f" or not digits[1:].isdecimal():
                return None
            found = -int(digits[1:])
        return found * numerator if exact else found * numerator / denominator

    return label if meaning.sort == "label" else number


def _real(factor: Fraction) -> Read:
    """IEEE 754, 32 bits: the shortest decimal that is this number, so that 12.3 stays 12.3."""
    numerator, denominator = factor.as_integer_ratio()
    unpack, pack = struct.Struct("<f").unpack, struct.Struct("<f").pack

    def read(data: bytes) -> float | None:
        sent: float = unpack(data)[0]
        if not math.isfinite(sent):
            return None
        number = sent
        for digits in (6, 7, 8, 9):
            near = float(f"{sent:.{digits}g}")
            try:
                same = pack(near) == data
            except OverflowError:  # rounded beyond the largest
                continue
            if same:
                number = near
                break
        if numerator == denominator:
            return number
        return float(f"{number * numerator / denominator:.15g}")

    return read


def read_variable(data: bytes, at: int, end: int, meaning: Meaning) -> tuple[Any, int]:
    """Data that tell their own length (LVAR), and where they end."""
    if at >= end:
        raise DecodeError("unparseable", f"byte {at}: the length of a record is cut off")
    told = data[at]
    sort, size = _variable_size(told, at)
    stop = at + 1 + size
    if stop > end:
        raise DecodeError(
            "unparseable",
            f"byte {at}: length {told:02X}H is {size} bytes of data, {end - at - 1} follow",
        )
    raw = data[at + 1 : stop]
    if size == 0:
        return None, stop
    if sort == "text":
        text = raw[::-1].decode("latin-1").strip(" \x00")
        return (text or None), stop
    if meaning.sort in {"time", "date"}:
        return (_TIMES.get(size, nothing)(raw) if sort == "binary" else None), stop
    if sort == "binary":
        if size > 8:
            return raw[::-1].hex(), stop
        return _binary(size, meaning)(raw), stop
    found = _digits(meaning)(raw)
    if sort == "minus" and isinstance(found, int | float):
        found = -found
    return found, stop


def _variable_size(told: int, at: int) -> tuple[str, int]:
    if told < 0xC0:
        return "text", told
    if told < 0xCA:
        return "plus", told - 0xC0
    if 0xD0 <= told < 0xDA:
        return "minus", told - 0xD0
    if 0xE0 <= told < 0xF0:
        return "binary", told - 0xE0
    if 0xF0 <= told < 0xF5:
        return "binary", 4 * (told - 0xEC)
    if told in {0xF5, 0xF6}:
        return "binary", {0xF5: 48, 0xF6: 64}[told]
    raise DecodeError("unparseable", f"byte {at}: a length of {told:02X}H is reserved")


# -- times ---------------------------------------------------------------------------------------


def _year(century: int, year: int) -> int:
    """A year of seven bits; without a century, those after 80 are of the last."""
    if century:
        return 1900 + 100 * century + year
    return 1900 + year if year > 80 else 2000 + year


# Remembered: due dates stay, and the meters of a fleet show the same minute.
@lru_cache(maxsize=_TIMES_KEPT)
def _date_g(data: bytes) -> str | None:
    """Type G: a day."""
    year = data[0] >> 5 | data[1] >> 4 << 3
    return _day(_year(0, year), data[1] & 0x0F, data[0] & 0x1F) if year < 100 else None


def _day(year: int, month: int, day: int) -> str | None:
    try:
        return dt.date(year, month, day).isoformat()
    except ValueError:  # zero or impossible: not set
        return None


@lru_cache(maxsize=_TIMES_KEPT)
def _time_f(data: bytes) -> str | None:
    """Type F: to the minute; bit 7 of the first byte says that it is invalid."""
    minute, hour, low, high = data
    year = low >> 5 | high >> 4 << 3
    if minute & 0x80 or year >= 100:
        return None
    year = _year(hour >> 5 & 3, year)
    return _moment((year, high & 0x0F, low & 0x1F), (hour & 0x1F, minute & 0x3F, 0))


def _time_i(data: bytes) -> str | None:
    """Type I: to the second; bit 7 of the second byte says that it is invalid."""
    second, minute, hour, low, high, _ = data
    year = low >> 5 | high >> 4 << 3
    if minute & 0x80 or year >= 100:
        return None
    clock = hour & 0x1F, minute & 0x3F, second & 0x3F
    return _moment((_year(0, year), high & 0x0F, low & 0x1F), clock)


def _moment(day: tuple[int, int, int], clock: tuple[int, int, int]) -> str | None:
    try:
        return dt.datetime(*day, *clock).isoformat()  # noqa: DTZ001 - the meter tells no zone
    except ValueError:
        return None


def _time_j(data: bytes) -> str | None:
    """Type J: a time of day."""
    second, minute, hour = data
    try:
        return dt.time(hour & 0x1F, minute & 0x3F, second & 0x3F).isoformat()
    except ValueError:
        return None


_TIMES: Final[dict[int, Read]] = {2: _date_g, 3: _time_j, 4: _time_f, 6: _time_i}
