"""Wired M-Bus (EN 13757-2, -3): the long frame of an answer with variable data (CI 72H).

Values are records of DIF, VIF and data: registers as 12-digit BCD, other values as 32-bit integers,
temperatures 16-bit.  The time is of type I, to the second, of the meter's own clock.

What it can't carry here: numbers of messages (the access number only counts to 255), milliseconds,
power factor, battery, valve; pressures come in steps of 0.1 kPa, powers of 0.1 W.  A number that
does not fit is sent as the invalid value of its size.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from simulators.protocols.fields import bcd, checksum, in_china, is_periodic, low_first, scaled
from simulators.protocols.packet import Encode, Packet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulators.instrument import Body, Setting

PROFILES: Final = {
    "electricity_meter": "mbus-electricity-meter",
    "water_meter": "mbus-water-meter",
    "gas_meter": "mbus-gas-meter",
    "heat_meter": "mbus-heat-meter",
}
CARRIES: Final = frozenset({"time", "register", "power", "tariffs", "voltage", "frequency"})

_MEDIA: Final = {
    # kind: medium (EN 13757-3, table 3), digit in the identification number
    "electricity_meter": (0x02, 2),
    "gas_meter": (0x03, 3),
    "heat_meter": (0x04, 4),
    "water_meter": (0x07, 7),
}
_BCD12, _INT16, _INT32, _TIME_I = 0x0E, 0x02, 0x04, 0x06
_SIZES: Final = {_BCD12: 6, _INT16: 2, _INT32: 4}

_Record = tuple[str, str, int, int]
"""Path in the body; DIFE, VIF and VIFEs in hexadecimal behind the DIF; DIF; parts of the unit."""

_ELECTRICITY: Final[tuple[_Record, ...]] = (
    ("energy.import", "04", _BCD12, 100),
    ("energy.T1", "8e10 04", _BCD12, 100),
    ("energy.T2", "8e20 04", _BCD12, 100),
    ("energy.T3", "8e30 04", _BCD12, 100),
    ("energy.T4", "8e8010 04", _BCD12, 100),
    ("energy.export", "843c", _BCD12, 100),
    ("power.active", "2a", _INT32, 10_000),
    ("frequency", "fb2d", _INT16, 100),
    ("voltage.L1", "fdc8fc01", _INT16, 10),
    ("voltage.L2", "fdc8fc02", _INT16, 10),
    ("voltage.L3", "fdc8fc03", _INT16, 10),
    ("amperage.L1", "fdd9fc01", _INT32, 1000),
    ("amperage.L2", "fdd9fc02", _INT32, 1000),
    ("amperage.L3", "fdd9fc03", _INT32, 1000),
)
_WATER: Final[tuple[_Record, ...]] = (
    ("volume", "13", _BCD12, 1000),
    ("volume_reverse", "933c", _BCD12, 1000),
    ("flow_rate", "3b", _INT32, 1000),
    ("temperature", "5a", _INT16, 10),
    ("pressure", "68", _INT16, 10),
)
_GAS: Final[tuple[_Record, ...]] = (
    ("volume", "13", _BCD12, 1000),
    ("volume_base", "933e", _BCD12, 1000),
    ("flow_rate", "3b", _INT32, 1000),
    ("temperature", "5a", _INT16, 10),
    ("pressure", "68", _INT16, 10),
)
_HEAT: Final[tuple[_Record, ...]] = (
    ("energy.heating", "04", _BCD12, 100),
    ("volume", "13", _BCD12, 1000),
    ("power", "2b", _INT32, 1000),
    ("flow_rate", "3b", _INT32, 1000),
    ("flow_temperature", "59", _INT16, 100),
    ("return_temperature", "5d", _INT16, 100),
    ("temperature_difference", "61", _INT16, 100),
)
_RECORDS: Final = {
    "electricity_meter": _ELECTRICITY,
    "water_meter": _WATER,
    "gas_meter": _GAS,
    "heat_meter": _HEAT,
}


def manufacturer(region: str) -> str:
    """Three letters for the meters of a region, so that numbers of regions don't meet."""
    number = zlib.crc32(region.encode())
    return "".join(chr(65 + number // 26**place % 26) for place in range(3))


def identity(kind: str, region: str, index: int) -> str:
    """Manufacturer and identification number: a digit of the kind, and the device's number."""
    return f"{manufacturer(region)}-{_MEDIA[kind][1]}{index + 1:07d}"


def encoder(kind: str, region: str, setting: Setting) -> Encode:
    """Telegrams of one meter, one message a reading."""
    topic = f"mbus/converter-{region}-{setting.index // 250 + 1:04d}/up"
    maker, number = setting.device_id.split("-")
    packed = sum((ord(letter) - 64) << 5 * place for place, letter in enumerate(maker[::-1]))
    header = (
        bytes.fromhex(number)[::-1] + packed.to_bytes(2, "little") + bytes([1, _MEDIA[kind][0]])
    )
    primary = setting.index % 250 + 1
    access = 0

    def encode(body: Body) -> Iterable[Packet]:
        nonlocal access
        if not is_periodic(body):
            return ()
        access = (access + 1) % 256
        data = bytes([0x08, primary, 0x72]) + header + bytes([access, 0, 0, 0])
        data += _time(body["ts"])
        data += b"".join(_record(body, *record) for record in _RECORDS[kind])
        length = len(data)
        frame = bytes([0x68, length, length, 0x68]) + data + bytes([checksum(data), 0x16])
        return (Packet(topic, frame),)

    return encode


def _record(body: Body, path: str, codes: str, form: int, parts: int) -> bytes:
    number = scaled(body, path, parts)
    if number is None:
        return b""
    dif, _, vif = codes.rpartition(" ")
    head = bytes.fromhex(dif or f"{form:02x}") + bytes.fromhex(vif)
    size = _SIZES[form]
    if form == _BCD12:
        return head + (bcd(number, size) or b"\xff" * size)
    return head + (low_first(number, size) or bytes(size - 1) + b"\x80")


def _time(at: int) -> bytes:
    """Type I (EN 13757-3, annex A): second, minute, hour, day and year, month and year, week."""
    clock = in_china(at)
    year = clock.year - 2000
    return bytes(
        [
            _TIME_I,
            0x6D,
            clock.second,
            clock.minute,
            clock.isoweekday() << 5 | clock.hour,
            (year & 0x07) << 5 | clock.day,
            (year & 0x78) << 1 | clock.month,
            0,
        ]
    )
