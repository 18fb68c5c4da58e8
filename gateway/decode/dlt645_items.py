"""What the data identifiers (DI) of DL/T 645 mean: tables of layouts, and a reader made of each.

A pattern is the DI in hexadecimal, high byte first, with a range where a byte counts tariffs,
phases or days: ``0001[00-3F][00-0C]`` is import active energy, total and tariffs 1 to 63, now and
at the last twelve settlements.  FF (F in the 1997 edition) in the place of such a range names the
block of all its items; a range in parentheses has no block.

A layout is written as in the standard's tables:

| layout | value |
|---|---|
| ``XXXX.XX`` | BCD, low byte first; an integer where there is no point |
| ``±XX.XXXX`` | the same, the top bit is the sign |
| ``YYMMDDhhmm`` ``YYMMDDhhmmss`` | local time, ISO 8601 without zone, years from 2000 |
| ``YYMMDDWWhhmmss`` | the same; WW, the day of the week, is not read |
| ``YYMMDDWW`` ``hhmmss`` | date, time of day |
| ``MMDDhhmm`` | the 1997 edition's time without a year: ``05-28T14:30`` |
| ``A10`` ``H6`` ``B2`` | bytes as ASCII text, BCD digits as text, bits as an integer |
| ``a+b`` | two values; the second is a time, kept under ``DI_time`` |
| ``a*`` | a list of them, as many as were sent |

Whatever is not BCD or no possible time means that there is no value: the key is absent (in a list:
None).  Sources: DL/T 645-2007 annex A, DL/T 645-1997 annex A.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from gateway.errors import DecodeError

Values = dict[str, Any]
Reader = Callable[[Values, bytes], None]
"""Puts what an answer's data (DI in front, 33H taken off) say into the values."""

_ENERGY: Final = "XXXXXX.XX"
_DEMAND: Final = "XX.XXXX+YYMMDDhhmm"

# Second bytes of energies and demands. Combined values have a sign (annex A, notes): the active
# total, and both reactive combinations of the meter and of each phase.
_SIGNED: Final = ("00", "03", "04", "17", "18", "2B", "2C", "3F", "40")
_UNSIGNED: Final = (
    "01", "02", "(05-0A)", "15", "16", "(19-1E)", "29", "2A", "(2D-32)", "3D", "3E", "(41-46)",
    "(80-86)", "(94-9A)", "(A8-AE)", "(BC-C2)",
)  # fmt: skip

ITEMS_2007: Final[dict[str, str]] = {
    # Table A.1, energy: kWh, kvarh, kVAh
    **{f"00{quantity}[00-3F][00-0C]": f"±{_ENERGY}" for quantity in _SIGNED},
    **{f"00{quantity}[00-3F][00-0C]": _ENERGY for quantity in _UNSIGNED},
    "000B0000": _ENERGY, "000B0001": _ENERGY,  # used in this, in the last settlement period
    "000C0000": _ENERGY, "000C0001": _ENERGY,  # used in this, in the last month
    # Table A.2, maximum demand and its time: kW, kvar, kVA
    **{f"01{quantity}[00-3F][00-0C]": f"±{_DEMAND}" for quantity in _SIGNED[1:]},
    **{f"01{quantity}[00-3F][00-0C]": _DEMAND for quantity in _UNSIGNED},
    # Table A.3, variables: V, A, kW, kvar, kVA, power factor, degrees, percent
    "0201[01-03]00": "XXX.X",
    "0202[01-03]00": "±XXX.XXX",
    "0203[00-03]00": "±XX.XXXX",
    "0204[00-03]00": "±XX.XXXX",
    "0205[00-03]00": "±XX.XXXX",
    "0206[00-03]00": "±X.XXX",
    "0207[01-03]00": "XXX.X",
    "0208[01-03]00": "XX.XX",
    "0209[01-03]00": "XX.XX",
    "020A[01-03][01-15]": "XX.XX",
    "020B[01-03][01-15]": "XX.XX",
    "02800001": "XXX.XXX",  # neutral current, A
    "02800002": "XX.XX",  # frequency, Hz
    "02800003": "±XX.XXXX",  # mean active power of one minute, kW
    "0280000(4-6)": "±XX.XXXX",  # demand in force: kW, kvar, kVA
    "02800007": "±XXX.X",  # temperature in the meter, Cel
    "0280000(8-9)": "XX.XX",  # battery of the clock, of reading without power, V
    "0280000A": "XXXXXXXX",  # time that the clock's battery worked, min
    "0280000B": "XXXX.XXXX",  # price of the step in force, CUR/kWh
    # Table A.4, counts of events (their records are as the makers wrote them)
    "03110000": "XXXXXX",  # power failures
    "0330(00-0E)00": "XXXXXX",  # programming, clearing, setting the clock, 0D cover, 0E terminals
    "03350000": "XXXXXX",  # magnetic field
    # Table A.5, parameters
    "04000101": "YYMMDDWW",
    "04000102": "hhmmss",
    "0400010(3-4)": "XX",  # demand period and its step, min
    "0400010C": "YYMMDDWWhhmmss",
    "0400020(1-6)": "XX",
    "0400030(1-5)": "XX",
    "0400030(6-7)": "XXXXXX",  # ratios of current and voltage transformers
    "0400040(1-2)": "H6",  # communication address, meter number
    "04000403": "A32",  # asset number
    "0400040(4-6)": "A6",  # rated voltage, rated and largest current
    "0400040(7-8)": "A4",  # accuracy classes, active and reactive
    "04000409": "XXXXXX",  # constants: imp/kWh
    "0400040A": "XXXXXX",  # imp/kvarh
    "0400040(B-C)": "A10",  # model, date of making
    "0400040D": "A16",  # version of the protocol
    "0400040E": "H6",  # customer
    "040005[01-07]": "B2",  # words of state
    "04800001": "A32", "04800002": "A32",  # versions of software and hardware
    "04800003": "A32",  # maker's code
    # Table A.6, frozen values: timed, on command, three switchings, hourly is 04, daily 06
    "05(00-07)00(01-FE)": "YYMMDDhhmm",
    "0504(01-02)(01-FE)": _ENERGY,
    "05(00-07)(01-02)(01-FE)": f"{_ENERGY}*",
    "05(00-07)(03-04)(01-FE)": f"±{_ENERGY}*",
    "05(00-07)(05-08)(01-FE)": f"{_ENERGY}*",
    "05(00-07)(09-0A)(01-FE)": f"{_DEMAND}*",
    "05(00-07)10(01-FE)": "±XX.XXXX*",
}  # fmt: skip
"""Layouts of the 2007 edition; the first pattern that fits holds."""

# The low half of the first byte: now, last month, the month before that.
_1997_MONTHS: Final = (0, 4, 8)

ITEMS_1997: Final[dict[str, str]] = {
    # 9: energy, kWh and kvarh: import, export; total and tariffs 1 to 14
    **{f"9{month:X}(1-2)[0-E]": _ENERGY for month in _1997_MONTHS},
    **{f"9{month + 1:X}(1-6)[0-E]": _ENERGY for month in _1997_MONTHS},
    # A and B: maximum demand, kW and kvar, and its time
    **{f"A{month:X}(1-2)[0-E]": "XX.XXXX" for month in _1997_MONTHS},
    **{f"A{month + 1:X}(1-6)[0-E]": "XX.XXXX" for month in _1997_MONTHS},
    "B21(0-1)": "MMDDhhmm",  # last programming, last clearing of demand
    "B21(2-3)": "XXXX",
    "B214": "XXXXXX",
    "B31[0-3]": "XXXX", "B32[0-3]": "XXXXXX",  # phase failures, their minutes
    "B33[0-3]": "MMDDhhmm", "B34[0-3]": "MMDDhhmm",
    **{f"B{month:X}(1-2)[0-E]": "MMDDhhmm" for month in _1997_MONTHS},
    **{f"B{month + 1:X}(1-6)[0-E]": "MMDDhhmm" for month in _1997_MONTHS},
    "B61[1-3]": "XXX",  # V
    "B62[1-3]": "XX.XX",  # A
    "B63[0-3]": "XX.XXXX",  # kW
    "B64[0-3]": "XX.XX",  # kvar
    "B65[0-3]": "X.XXX",
    "C010": "YYMMDDWW", "C011": "hhmmss",
    "C020": "B1", "C021": "B1",
    "C03(0-1)": "XXXXXX",  # constants: imp/kWh, imp/kvarh
    "C03(2-4)": "H6",  # meter number, customer, device
    "C11(1-2)": "XX",
}  # fmt: skip
"""Layouts of the 1997 edition."""

CLOCKS: Final = {"2007": ("04000101", "04000102"), "1997": ("C010", "C011")}
"""The DIs of date and of time of day."""

_RANGE: Final = re.compile(r"([\[(])([0-9A-F]+)-([0-9A-F]+)[\])]|[0-9A-F]")
_MOST_KNOWN: Final = 4096
_MOST_IN_A_LIST: Final = 64  # a total and 63 tariffs


class Readers(dict[bytes, Reader]):
    """Readers by the DI's bytes as on the wire (low byte first), made when a DI is first met.

    Args:
        edition: ``2007`` or ``1997``.
        own: layouts by DI that come before the standard's.
    """

    def __init__(self, edition: str, own: dict[str, str]) -> None:
        super().__init__()
        table = ITEMS_2007 if edition == "2007" else ITEMS_1997
        self._width = 4 if edition == "2007" else 2
        both = {**own, **{pattern: table[pattern] for pattern in table if pattern not in own}}
        self._rows = [(_parts(pattern), layout) for pattern, layout in both.items()]

    def __missing__(self, wire: bytes) -> Reader:
        """The reader of a DI; that of an unknown one keeps the data as hexadecimal text."""
        di, items, layout = self._found(wire)
        reader = _reader(di, items, layout) if items else _unknown(di)
        if len(self) < _MOST_KNOWN:  # whoever sends all DIs there are shall not fill the memory
            self[wire] = reader
        return reader

    def size(self, wire: bytes) -> int:
        """Bytes of one item of a DI's block; 1 where it is not known."""
        _, items, layout = self._found(wire)
        return width(layout.rstrip("*")) if items else 1

    def _found(self, wire: bytes) -> tuple[str, list[str], str]:
        """A DI in hexadecimal, the DIs that it stands for, and their layout."""
        if len(wire) < self._width:
            raise DecodeError(
                "unparseable", f"an answer with {len(wire)} bytes of data, its DI has {self._width}"
            )
        di = wire[::-1].hex().upper()
        for parts, layout in self._rows:
            items = list(_items(di, parts))
            if items:
                return di, items, layout
        return di, [], ""


class _Part(NamedTuple):
    """A part of a pattern: its digits, lowest and highest value, and whether it has a block."""

    digits: int
    low: int
    high: int
    unfolds: bool


def _parts(pattern: str) -> list[_Part]:
    parts = []
    for match in _RANGE.finditer(pattern):
        low, high = match.group(2) or match.group(), match.group(3) or match.group()
        parts.append(_Part(len(low), int(low, 16), int(high, 16), match.group(1) == "["))
    return parts


def _items(di: str, parts: list[_Part]) -> Iterator[str]:
    """The DIs that a DI stands for by this row: itself, those of a block, or none.

    A row fits a block only if all the rest fits and exactly one range is asked for.
    """
    at, block = 0, None
    for digits, low, high, unfolds in parts:
        part = int(di[at : at + digits], 16)
        if not low <= part <= high:
            if block is not None or not unfolds or part != 16**digits - 1:
                return
            block = (at, digits, low, high)
        at += digits
    if block is None:
        yield di
        return
    at, digits, low, high = block
    for part in range(low, high + 1):
        yield f"{di[:at]}{part:0{digits}X}{di[at + digits :]}"


def width(layout: str) -> int:
    """Bytes of one item of this layout."""
    if "+" in layout:
        return sum(width(part) for part in layout.split("+"))
    if layout[0] in "ABH":
        return int(layout[1:].rstrip("*"))
    return (sum(sign not in "±.*" for sign in layout) + 1) // 2


def _reader(di: str, items: list[str], layout: str) -> Reader:
    """The reader of an item, a list or a block."""
    size, start = width(layout), len(di) // 2
    if layout.endswith("*"):
        return _list_reader(di, layout.rstrip("*"), size, start)
    readers = [_one(item, layout, start + i * size) for i, item in enumerate(items)]
    if len(items) == 1 and layout[0] == "X" and "+" not in layout:
        return _number_reader(di, items[0], size, _scale(layout))
    if len(items) == 1:
        return _item_reader(di, readers[0], start + size)
    return _block_reader(di, readers, size, start)


def _item_reader(di: str, read: Reader, whole: int) -> Reader:
    def item(values: Values, data: bytes) -> None:
        if len(data) != whole:
            raise _wrong_length(di, f"{whole - len(di) // 2} bytes", data)
        read(values, data)

    return item


def _number_reader(di: str, key: str, size: int, scale: int) -> Reader:
    """The reader of one number without a sign: most answers are one, so it is one call."""
    start = len(di) // 2
    whole, before = start + size, start - 1

    def number(values: Values, data: bytes) -> None:
        if len(data) != whole:
            raise _wrong_length(di, f"{size} bytes", data)
        try:
            digits = int(data[:before:-1].hex())
        except ValueError:  # a digit above 9: not available
            return
        # One division of two integers gives the double nearest to what the display shows.
        values[key] = digits if scale == 1 else digits / scale

    return number


def _scale(layout: str) -> int:
    scale: int = 10 ** len(layout.partition(".")[2])
    return scale


def _block_reader(di: str, readers: list[Reader], size: int, start: int) -> Reader:
    def block(values: Values, data: bytes) -> None:
        count = _count(di, data, size, start, len(readers))
        for read in readers[:count]:
            read(values, data)

    return block


def _list_reader(di: str, layout: str, size: int, start: int) -> Reader:
    readers = [_one(str(i), layout, start + i * size) for i in range(_MOST_IN_A_LIST)]
    timed = "+" in layout

    def several(values: Values, data: bytes) -> None:
        found: Values = {}
        places = range(_count(di, data, size, start, _MOST_IN_A_LIST))
        for i in places:
            readers[i](found, data)
        values[di] = [found.get(str(i)) for i in places]
        if timed:
            values[f"{di}_time"] = [found.get(f"{i}_time") for i in places]

    return several


def _unknown(di: str) -> Reader:
    start = len(di) // 2

    def kept(values: Values, data: bytes) -> None:
        if len(data) > start:
            values[di] = data[start:].hex()

    return kept


def _count(di: str, data: bytes, size: int, start: int, most: int) -> int:
    """How many items a block has; AA may close it, as in the 1997 edition."""
    sent = len(data) - start
    count, rest = divmod(sent, size)
    if rest == 1 and data[-1] == 0xAA:
        rest = 0
    if rest or not 1 <= count <= most:
        raise _wrong_length(di, f"1 to {most} items of {size} bytes", data)
    return count


def _wrong_length(di: str, wanted: str, data: bytes) -> DecodeError:
    sent = len(data) - len(di) // 2
    return DecodeError(
        "unparseable",
        f"DI {di} has {wanted}, got {sent} bytes; a maker's own layout is told by decode.items",
    )


def _one(key: str, layout: str, at: int) -> Reader:
    """The reader of one value under a key, ``at`` bytes into the data."""
    if "+" in layout:
        first, second = layout.split("+")
        read, then = _one(key, first, at), _one(f"{key}_time", second, at + width(first))

        def both(values: Values, data: bytes) -> None:
            read(values, data)
            then(values, data)

        return both
    size = width(layout)
    if layout[0] in "±X":
        make = _signed if layout[0] == "±" else _number
        return make(key, at, size, _scale(layout))
    return _text(key, at, size, _TEXTS[layout if layout[0] not in "ABH" else layout[0]])


def _number(key: str, at: int, size: int, scale: int) -> Reader:
    last, before = at + size - 1, at - 1

    def number(values: Values, data: bytes) -> None:
        try:
            digits = int(data[last:before:-1].hex())
        except ValueError:  # a digit above 9: not available
            return
        # One division of two integers gives the double nearest to what the display shows.
        values[key] = digits if scale == 1 else digits / scale

    return number


def _signed(key: str, at: int, size: int, scale: int) -> Reader:
    last, before = at + size - 1, at - 1

    def signed(values: Values, data: bytes) -> None:
        top = data[last]
        try:
            if top < 0x80:
                digits = int(data[last:before:-1].hex())
            else:
                digits = -int(bytes((top & 0x7F, *data[last - 1 : before : -1])).hex())
        except ValueError:
            return
        values[key] = digits if scale == 1 else digits / scale

    return signed


def _text(key: str, at: int, size: int, make: Callable[[bytes], str | int | None]) -> Reader:
    end = at + size

    def text(values: Values, data: bytes) -> None:
        value = make(data[at:end])
        if value is not None:
            values[key] = value

    return text


def _ascii(data: bytes) -> str | None:
    """ASCII is sent last character first, as numbers are; what fills it up goes."""
    if not any(0x20 <= byte < 0x7F for byte in data):
        return None
    text = data[::-1].strip(b"\x00\xff ")
    return text.decode("ascii", "backslashreplace") or None


def _digits(data: bytes) -> str | None:
    digits = data[::-1].hex()
    return digits if digits.isdecimal() else None


def _bits(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _moment(data: bytes) -> str | None:
    """YYMMDDhhmm or YYMMDDhhmmss, sent low byte first."""
    digits = data[::-1].hex()
    pairs = [digits[i : i + 2] for i in range(0, 12, 2)]
    text = f"20{'-'.join(pairs[:3])}T{':'.join((*pairs[3:5], pairs[5] or '00'))}"
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:  # no BCD, or no such day
        return None
    return text if moment.isoformat() == text else None


def _moment_with_weekday(data: bytes) -> str | None:
    return _moment(data[:3] + data[4:])


def _date(data: bytes) -> str | None:
    moment = _moment(b"\x00\x00" + data[1:])
    return None if moment is None else moment[:10]


def _time_of_day(data: bytes) -> str | None:
    moment = _moment(data + b"\x01\x01\x00")
    return None if moment is None else moment[11:]


def _yearless(data: bytes) -> str | None:
    moment = _moment(data + b"\x00")  # 2000 had a 29th of February
    return None if moment is None else moment[5:16]


_TEXTS: Final[dict[str, Callable[[bytes], str | int | None]]] = {
    "A": _ascii, "B": _bits, "H": _digits,
    "YYMMDDhhmm": _moment, "YYMMDDhhmmss": _moment, "YYMMDDWWhhmmss": _moment_with_weekday,
    "YYMMDDWW": _date, "hhmmss": _time_of_day, "MMDDhhmm": _yearless,
}  # fmt: skip
