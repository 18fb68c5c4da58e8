"""CJ/T 188 frames of water, gas and heat meters (editions 2004 and 2018, the common part).

A frame::

    (FE)* 68 T A0..A6 C L DATA CS 16

T: type of meter, 10 to 19 water, 20 to 29 heat and cooling, 30 to 39 gas.  A: address, BCD, low
byte first, the last two bytes are the maker's code.  C: bit 7 from the meter, bit 6 error, bits 0
to 5 function.  L: length of DATA.  CS: sum of all bytes from 68, modulo 256.  DATA of an answer
begins with the data identifier, whose two bytes come in either order from different makers, and the
number SER of the question.  CR, LF and zero bytes behind a frame are a data terminal's and are left
out.

The document::

    {"meters": [{"address": "78330011223344", "type": "10", "di": "901F", "volume": 556677.0,
                 "volume_settlement": 556677.0, "time": "2015-05-11T22:01:31", "valve": "closed",
                 "battery_low": False, "status": 33825}]}

Each answer is an item.  Volumes are m3, energies kWh, flow m3/h, power kW, temperatures Cel,
``operating_hours`` h, ``time`` local without zone.  ``status`` is both status words as one integer,
the standard's byte in bits 0 to 7, the maker's in bits 8 to 15.  A history answer (D120 to D12B:
the last to the twelfth last month) has the settlement value only.  An error answer has ``error``:
what the meter sent, in hexadecimal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

from gateway.decode.document import Context, Document, Parse
from gateway.errors import DecodeError
from gateway.profiles.formats import Cjt188

MAX_BYTES: Final = 1024 * 1024
MAX_FRAMES: Final = 10_000

_WAKE_UP: Final = 0xFE
_BEHIND: Final = frozenset(b"\xfe\r\n\0")
"""What may stand behind a frame: wake-up bytes of the next, and the line end of a data terminal."""
_SHORTEST: Final = 13

_READ: Final = 0x81
_ERROR: Final = 0xC0
_ADDRESS: Final = 0x83

_UNITS: Final[dict[int, tuple[str, int, int]]] = {
    0x01: ("energy", 1, 3_600_000),  # J
    0x02: ("energy", 1, 1_000),  # Wh
    0x05: ("energy", 1, 1),  # kWh
    0x08: ("energy", 1_000, 1),  # MWh
    0x0A: ("energy", 100_000, 1),  # MWh x 100
    0x0B: ("energy", 1, 3_600),  # kJ
    0x0E: ("energy", 10, 36),  # MJ
    0x11: ("energy", 10_000, 36),  # GJ
    0x13: ("energy", 1_000_000, 36),  # GJ x 100
    0x14: ("power", 1, 1_000),  # W
    0x17: ("power", 1, 1),  # kW
    0x1A: ("power", 1_000, 1),  # MW
    0x29: ("volume", 1, 1_000),  # L
    0x2C: ("volume", 1, 1),  # m3
    0x32: ("flow_rate", 1, 1_000),  # L/h
    0x35: ("flow_rate", 1, 1),  # m3/h
}
"""Unit codes: what is measured, and the factor to kWh, kW, m3, m3/h as a fraction."""

Item = dict[str, Any]
Field = tuple[str, int, Callable[[Item, str, bytes], None]]


def compile_cjt188(settings: Cjt188) -> Parse:
    """A parser of one or several CJ/T 188 frames.

    Returns:
        A function that raises DecodeError with reason ``too_large``, ``bad_checksum``,
        ``unparseable`` or ``unknown_word`` (a unit that the standard does not name).
    """
    limit = settings.max_bytes or MAX_BYTES
    layouts = _layouts(settings.flow_decimals)

    def parse(payload: bytes, _: Context) -> Document:
        if len(payload) > limit:
            raise DecodeError("too_large", f"payload of {len(payload)} bytes, at most {limit}")
        meters = []
        for frame in _frames(payload):
            item = _item(frame, layouts)
            if item is not None:
                meters.append(item)
        return {"meters": meters}

    return parse


def _frames(payload: bytes) -> list[bytes]:
    """The frames without wake-up bytes, each checked."""
    found: list[bytes] = []
    at, end = 0, len(payload)
    while at < end:
        if payload[at] == _WAKE_UP or (found and payload[at] in _BEHIND):
            at += 1
            continue
        problem = _fault(payload, at)
        if problem is not None:
            raise DecodeError("unparseable", f"byte {at}: {problem}")
        stop = at + _SHORTEST + payload[at + 10]
        frame = payload[at:stop]
        total = sum(frame[:-2]) & 0xFF
        if total != frame[-2]:
            raise DecodeError(
                "bad_checksum",
                f"frame at byte {at}: its bytes sum to {total:02X}H, it says {frame[-2]:02X}H",
            )
        found.append(frame)
        at = stop
    if not found:
        empty = "nothing but wake-up bytes (FEH)" if payload else "the payload is empty"
        raise DecodeError("unparseable", empty)
    if len(found) > MAX_FRAMES:
        raise DecodeError("too_large", f"{len(found)} frames in one message, at most {MAX_FRAMES}")
    return found


def _fault(payload: bytes, at: int) -> str | None:
    """Why no whole frame stands at this place, or None."""
    left = len(payload) - at
    if payload[at] != 0x68:
        return f"{payload[at]:02X}H where a frame (68H) or a wake-up byte (FEH) must begin"
    if left < _SHORTEST:
        return f"the frame is cut off after {left} bytes; the shortest has {_SHORTEST}"
    size = _SHORTEST + payload[at + 10]
    if left < size:
        return f"the frame is cut off: {size} bytes by its length, {left} are there"
    if payload[at + size - 1] != 0x16:
        got = payload[at + size - 1]
        return f"the frame ends with {got:02X}H where 16H must be: a wrong length, or garbage"
    return None


def _item(frame: bytes, layouts: dict[str, list[Field]]) -> Item | None:
    """What an answer says; None for requests, and for answers that carry no reading."""
    kind, control, data = frame[1], frame[9], frame[11:-2]
    item: Item = {"address": frame[8:1:-1].hex(), "type": f"{kind:02X}"}
    if control & _ERROR == _ERROR:
        item["error"] = data[1:].hex()
        if len(data) == 3:  # SER and the status words
            _status(item, "status", data[1:])
        return item
    if control == _ADDRESS:
        return item
    if control != _READ:
        return None
    if len(data) < 3:
        raise DecodeError("unparseable", f"an answer with {len(data)} bytes of data, at least 3")
    di = _identifier(data)
    item["di"] = di
    layout = _layout(di, kind, layouts)
    if layout is None:
        return item
    wanted, sent = sum(size for _, size, _ in layout), len(data) - 3
    if sent != wanted:
        raise DecodeError(
            "unparseable",
            f"DI {di} of meter type {kind:02X}H has {wanted} bytes after SER, got {sent}",
        )
    at = 3
    for name, size, read in layout:
        read(item, name, data[at : at + size])
        at += size
    return item


def _identifier(data: bytes) -> str:
    """The DI, high byte first: it is 81 to DF there, and both orders are sent."""
    first, second = data[0], data[1]
    if (first, second) == (0x90, 0x1F) or (first == 0xD1 and 0x20 <= second <= 0x2B):
        return f"{first:02X}{second:02X}"
    return f"{second:02X}{first:02X}"


def _layout(di: str, kind: int, layouts: dict[str, list[Field]]) -> list[Field] | None:
    if di == "901F":
        if not 0x10 <= kind <= 0x39:
            raise DecodeError(
                "unparseable",
                f"meter type {kind:02X}H: only water (1x), heat (2x) and gas (3x) are"
                " laid out in CJ/T 188",
            )
        return layouts["heat" if kind & 0xF0 == 0x20 else "volume"]
    if di.startswith("D12") and di[3] in "0123456789AB":
        return layouts["history"]
    return None


def _layouts(flow_decimals: int) -> dict[str, list[Field]]:
    """The fields of each answer, in their order: name, bytes, reader."""
    volume, energy = _quantity(2, "volume"), _quantity(2, "energy")
    power, flow = _quantity(2, "power"), _quantity(flow_decimals, "flow_rate")
    return {
        "volume": [
            ("volume", 5, volume),
            ("volume_settlement", 5, volume),
            ("time", 7, _time),
            ("status", 2, _status),
        ],
        "heat": [
            ("energy_settlement", 5, energy),
            ("energy", 5, energy),
            ("power", 5, power),
            ("flow_rate", 5, flow),
            ("volume", 5, volume),
            ("flow_temperature", 3, _temperature),
            ("return_temperature", 3, _temperature),
            ("operating_hours", 3, _hours),
            ("time", 7, _time),
            ("status", 2, _status),
        ],
        "history": [("", 5, _quantity(2, "volume", "energy"))],
    }


def _quantity(decimals: int, *measures: str) -> Callable[[Item, str, bytes], None]:
    """Four bytes of BCD and the code of their unit, which must be one of what is measured."""
    scale = 10**decimals

    def read(item: Item, name: str, data: bytes) -> None:
        digits = data[3::-1].hex()
        if not digits.isdecimal():
            return
        if data[4] not in _UNITS:
            raise DecodeError(
                "unknown_word",
                f"{name or 'the value'} has unit {data[4]:02X}H, which CJ/T 188 does not name",
            )
        measured, numerator, denominator = _UNITS[data[4]]
        key = name or f"{measured}_settlement"
        if measured not in measures:
            raise DecodeError(
                "unknown_word",
                f"{name or 'the settlement value'} has unit {data[4]:02X}H, a unit of {measured}",
            )
        item[key] = int(digits) * numerator / (scale * denominator)

    return read


def _temperature(item: Item, name: str, data: bytes) -> None:
    digits = data[::-1].hex()
    if digits.isdecimal():
        item[name] = int(digits) / 100


def _hours(item: Item, name: str, data: bytes) -> None:
    digits = data[::-1].hex()
    if digits.isdecimal():
        item[name] = int(digits)


def _time(item: Item, name: str, data: bytes) -> None:
    """Ss mm hh DD MM YY YY."""
    digits = data[::-1].hex()
    text = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[8:10]}:{digits[10:12]}:{digits[12:]}"
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:  # no BCD, or no such day
        return
    if moment.isoformat() == text:
        item[name] = text


def _status(item: Item, name: str, data: bytes) -> None:
    """The standard's byte: bits 0 and 1 the valve, bit 2 the battery; then the maker's."""
    item[name] = data[0] | data[1] << 8
    valve = {0: "open", 1: "closed", 3: "fault"}.get(data[0] & 3)
    if valve is not None:
        item["valve"] = valve
    item["battery_low"] = bool(data[0] & 4)
