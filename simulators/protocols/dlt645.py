"""DL/T 645-2007: an electricity meter's answers to reads, as a data terminal passes them on.

A frame is ``68 A0..A5 68 91 L DATA CS 16``; DATA begins with the data identifier, low byte first,
and 33H is added to each of its bytes.  A message has a frame for each of: date, time, energies with
tariffs (block 0001FF00), combined reactive energy, voltages and currents (blocks), powers, power
factor, frequency, demand, battery.

What it can't carry: numbers of messages, milliseconds, export of the tariffs; a number too large
for its digits is sent as FF, "not available".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulators.protocols.fields import bcd, checksum, digits, in_china, is_periodic, scaled
from simulators.protocols.packet import Encode, Packet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from simulators.instrument import Body, Setting

PROFILES: Final = {"electricity_meter": "dlt645-2007-meter"}
CARRIES: Final = frozenset({"time", "register", "power", "tariffs", "voltage", "frequency"})

_BLOCKS: Final = (
    # DI, the parts in their order, digits after the point, bytes of each
    (
        0x0001FF00,
        ("energy.import", "energy.T1", "energy.T2", "energy.T3", "energy.T4"),
        2,
        4,
    ),
    (0x0201FF00, ("voltage.L1", "voltage.L2", "voltage.L3"), 1, 2),
    (0x0202FF00, ("amperage.L1", "amperage.L2", "amperage.L3"), 3, 3),
)
_ITEMS: Final = (
    (0x00020000, "energy.export", 2, 4),
    (0x00030000, "energy.reactive_import", 2, 4),
    (0x00040000, "energy.reactive_export", 2, 4),
    (0x02030000, "power.active", 4, 3),
    (0x02040000, "power.reactive", 4, 3),
    (0x02050000, "power.apparent", 4, 3),
    (0x02060000, "power.factor", 3, 2),
    (0x02800002, "frequency", 2, 2),
    (0x02800008, "battery_voltage", 2, 2),
)
_SIGNED: Final = frozenset({0x0202FF00, 0x00030000, 0x00040000, *range(0x02030000, 0x02070000)})
"""Whose top bit is the sign (table A.1, A.3)."""


def identity(kind: str, region: str, index: int) -> str:
    """The communication address, 12 digits: region and number."""
    del kind
    return f"{region}{index + 1:06d}"


def encoder(kind: str, region: str, setting: Setting) -> Encode:
    """Frames of one meter, one message a reading."""
    del kind
    topic = f"dlt645-2007/terminal-{region}-{setting.index // 64 + 1:04d}/up"
    address = digits(setting.device_id)

    def encode(body: Body) -> Iterable[Packet]:
        if not is_periodic(body):
            return ()
        frames = (_frame(address, di, data) for di, data in _data(body))
        return (Packet(topic, b"\xfe\xfe\xfe\xfe" + b"".join(frames)),)

    return encode


def _frame(address: bytes, di: int, data: bytes) -> bytes:
    coded = bytes((byte + 0x33) & 0xFF for byte in di.to_bytes(4, "little") + data)
    frame = b"\x68" + address + b"\x68\x91" + bytes([len(coded)]) + coded
    return frame + bytes([checksum(frame), 0x16])


def _data(body: Body) -> Iterator[tuple[int, bytes]]:
    clock = in_china(body["ts"])
    yield 0x04000101, digits(f"{clock:%y%m%d}{clock.isoweekday() % 7:02d}")
    yield 0x04000102, digits(f"{clock:%H%M%S}")
    for di, paths, decimals, size in _BLOCKS:
        found = [scaled(body, path, 10**decimals) for path in paths]
        if any(number is not None for number in found):
            yield di, b"".join(_coded(number, size, signed=di in _SIGNED) for number in found)
    for di, path, decimals, size in _ITEMS:
        number = scaled(body, path, 10**decimals)
        if number is not None:
            yield di, _coded(number, size, signed=di in _SIGNED)
    demand = scaled(body, "demand_max", 10_000)
    if demand is not None:
        # the instrument does not tell when the demand was highest
        yield 0x01010000, _coded(demand, 3, signed=False) + b"\xff" * 5


def _coded(number: int | None, size: int, *, signed: bool) -> bytes:
    """BCD, or FF for what is absent or has too many digits; the sign takes a bit of the first."""
    found = None if number is None else bcd(abs(number) if signed else number, size)
    if found is None or (signed and found[-1] & 0x80):
        return b"\xff" * size
    if signed and number is not None and number < 0:
        return found[:-1] + bytes([found[-1] | 0x80])
    return found
