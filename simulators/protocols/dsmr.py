"""DSMR P1 (companion standard 5.0.2): an electricity meter's telegram with its CRC.

The clock is that of the Netherlands, with its summer time; the meter is named by 0-0:96.1.1.

What it can't carry: numbers of messages, milliseconds, reactive energy and power, power factor,
frequency, battery; amperage comes in whole amperes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from simulators.protocols.fields import is_periodic, scaled
from simulators.protocols.packet import Encode, Packet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from simulators.instrument import Body, Setting

PROFILES: Final = {"electricity_meter": "dsmr-nl"}
CARRIES: Final = frozenset({"time", "register", "power", "tariffs", "voltage"})

_ZONE: Final = ZoneInfo("Europe/Amsterdam")
_REGISTERS: Final = (
    ("1-0:1.8.0", "energy.import"),
    ("1-0:1.8.1", "energy.T1"),
    ("1-0:1.8.2", "energy.T2"),
    ("1-0:1.8.3", "energy.T3"),
    ("1-0:1.8.4", "energy.T4"),
    ("1-0:2.8.0", "energy.export"),
)
_PHASES: Final = (("L1", "32", "31"), ("L2", "52", "51"), ("L3", "72", "71"))


def encoder(kind: str, region: str, setting: Setting) -> Encode:
    """Telegrams of one meter, one message a reading."""
    del kind, region
    topic = f"dsmr-nl/p1-{setting.device_id}/up"
    serial = setting.device_id.encode().hex().upper()

    def encode(body: Body) -> Iterable[Packet]:
        if not is_periodic(body):
            return ()
        text = "\r\n".join(("/SIM5\\2METERING-1", "", *_lines(body, serial), "!")).encode()
        return (Packet(topic, text + f"{crc(text):04X}\r\n".encode()),)

    return encode


def _lines(body: Body, serial: str) -> Iterator[str]:
    clock = datetime.fromtimestamp(body["ts"] // 1000, UTC).astimezone(_ZONE)
    yield "1-3:0.2.8(50)"
    yield f"0-0:1.0.0({clock:%y%m%d%H%M%S}{'S' if clock.dst() else 'W'})"
    yield f"0-0:96.1.1({serial})"
    for obis, path in _REGISTERS:
        watt_hours = scaled(body, path, 1000)
        if watt_hours is not None:
            yield f"{obis}({_decimals(watt_hours, 6)}*kWh)"
    power = scaled(body, "power.active", 1000)
    if power is not None:
        yield f"1-0:1.7.0({_decimals(max(0, power), 2)}*kW)"
        yield f"1-0:2.7.0({_decimals(max(0, -power), 2)}*kW)"
    voltage: dict[str, Any] = body.get("voltage", {})
    amperage: dict[str, Any] = body.get("amperage", {})
    for phase, volts, amperes in _PHASES:
        if phase in voltage:
            yield f"1-0:{volts}.7.0({voltage[phase]:05.1f}*V)"
        if phase in amperage:
            yield f"1-0:{amperes}.7.0({round(amperage[phase]):03d}*A)"


def _decimals(thousandths: int, whole: int) -> str:
    return f"{thousandths // 1000:0{whole}d}.{thousandths % 1000:03d}"


def crc(data: bytes) -> int:
    """CRC-16/ARC (polynomial 8005H, reflected) of everything from ``/`` to ``!``."""
    found = 0
    for byte in data:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ 0xA001 if found & 1 else found >> 1
    return found
