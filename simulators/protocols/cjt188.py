"""CJ/T 188-2004: answers of water, gas and heat meters to a read of data identifier 901F.

A frame is ``68 T A0..A6 81 L 1F 90 SER DATA CS 16``.  Volumes have two decimals, energies are in
kWh with two.

What it can't carry: numbers of messages, milliseconds, litres, flow, pressure and temperature of
water and gas, reverse volume, base conditions of gas, cooling energy.  The settlement values are
0: no settlement day has passed since the meter was put in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulators.protocols.fields import bcd, checksum, digits, in_china, is_periodic, scaled
from simulators.protocols.packet import Encode, Packet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulators.instrument import Body, Setting

PROFILES: Final = {
    "water_meter": "cjt188-water-meter",
    "gas_meter": "cjt188-gas-meter",
    "heat_meter": "cjt188-heat-meter",
}
CARRIES: Final = frozenset({"time", "register"})

_TYPES: Final = {
    # kind: type of meter, digit in the address, level of the topic
    "water_meter": (0x10, 1, "water"),
    "gas_meter": (0x30, 3, "gas"),
    "heat_meter": (0x20, 2, "heat"),
}
_CUBIC_METRES, _KWH, _KW, _CUBIC_METRES_PER_HOUR = 0x2C, 0x05, 0x17, 0x35
_VALVES: Final = {"open": 0, "closed": 1, "fault": 3}


def identity(kind: str, region: str, index: int) -> str:
    """The address, 14 digits: region, a digit of the kind, number."""
    return f"{region}{_TYPES[kind][1]}{index + 1:07d}"


def encoder(kind: str, region: str, setting: Setting) -> Encode:
    """Frames of one meter, one message a reading."""
    meter_type, _, level = _TYPES[kind]
    topic = f"cjt188/terminal-{region}-{setting.index // 64 + 1:04d}/{level}/up"
    begin = bytes([0x68, meter_type]) + digits(setting.device_id)
    serial = 0

    def encode(body: Body) -> Iterable[Packet]:
        nonlocal serial
        if not is_periodic(body):
            return ()
        serial = (serial + 1) % 256
        data = b"\x1f\x90" + bytes([serial])
        data += (_heat(body) if kind == "heat_meter" else _volumes(body)) + _clock(body["ts"])
        data += bytes([_VALVES.get(body.get("valve", ""), 0), 0])
        frame = begin + bytes([0x81, len(data)]) + data
        return (Packet(topic, b"\xfe\xfe" + frame + bytes([checksum(frame), 0x16])),)

    return encode


def _number(body: Body, path: str, decimals: int, size: int) -> bytes:
    """BCD, or FF where the reading has no such value or it does not fit."""
    number = scaled(body, path, 10**decimals)
    return (None if number is None else bcd(number, size)) or b"\xff" * size


def _cut(body: Body, path: str) -> bytes:
    """A register of thousandths as its display of hundredths shows it: cut, not rounded."""
    number = scaled(body, path, 1000)
    return (None if number is None else bcd(number // 10 % 10**8, 4)) or b"\xff" * 4


def _kilowatt_hours(body: Body) -> bytes:
    """Energy in six digits before the point: what goes beyond them begins again at zero."""
    number = scaled(body, "energy.heating", 100)
    return (None if number is None else bcd(number % 10**8, 4)) or b"\xff" * 4


def _volumes(body: Body) -> bytes:
    unit = bytes([_CUBIC_METRES])
    return _cut(body, "volume") + unit + bytes(4) + unit


def _heat(body: Body) -> bytes:
    return b"".join(
        (
            bytes(4),
            bytes([_KWH]),
            _kilowatt_hours(body),
            bytes([_KWH]),
            _number(body, "power", 2, 4),
            bytes([_KW]),
            _number(body, "flow_rate", 4, 4),
            bytes([_CUBIC_METRES_PER_HOUR]),
            _cut(body, "volume"),
            bytes([_CUBIC_METRES]),
            _number(body, "flow_temperature", 2, 3),
            _number(body, "return_temperature", 2, 3),
            bytes(3),
        )
    )


def _clock(at: int) -> bytes:
    return digits(f"{in_china(at):%Y%m%d%H%M%S}")
