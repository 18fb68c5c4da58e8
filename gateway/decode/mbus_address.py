"""Who an M-Bus meter is (EN 13757-7): manufacturer, identification number, version, device type."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

_METERS_KEPT: Final = 16384

MEDIA: Final[dict[int, str]] = {
    0x00: "other", 0x01: "oil", 0x02: "electricity", 0x03: "gas", 0x04: "heat", 0x05: "steam",
    0x06: "warm_water", 0x07: "water", 0x08: "heat_cost_allocator", 0x09: "compressed_air",
    0x0A: "cooling", 0x0B: "cooling_inlet", 0x0C: "heat_inlet", 0x0D: "heat_cooling",
    0x0E: "bus_system", 0x0F: "unknown", 0x10: "irrigation_water", 0x11: "water_logger",
    0x12: "gas_logger", 0x13: "gas_converter", 0x14: "calorific_value", 0x15: "hot_water",
    0x16: "cold_water", 0x17: "dual_water", 0x18: "pressure", 0x19: "ad_converter",
    0x1A: "smoke_detector", 0x1B: "room_sensor", 0x1C: "gas_detector", 0x20: "breaker",
    0x21: "valve", 0x25: "customer_unit", 0x28: "waste_water", 0x29: "garbage",
    0x2A: "carbon_dioxide", 0x31: "communication_controller", 0x32: "unidirectional_repeater",
    0x33: "bidirectional_repeater", 0x36: "radio_converter_system",
    0x37: "radio_converter_meter", 0x38: "bus_converter",
}  # fmt: skip
"""Device types; ``heat`` and ``cooling`` have their flow sensor in the return, ``*_inlet`` in the
flow pipe; ``warm_water`` is 30 to 90 °C, ``hot_water`` above."""


class Meter(NamedTuple):
    """The four parts of an address, and its eight bytes as the ciphers take them.

    Attributes:
        id: identification number, eight digits.
        manufacturer: three letters.
        version: its generation, by which a maker tells telegrams apart.
        medium: device type, a word of `MEDIA`, or two hexadecimal digits where it has none.
        raw: M-field and A-field as they are sent.
    """

    id: str
    manufacturer: str
    version: int
    medium: str
    raw: bytes

    @property
    def name(self) -> str:
        """What the profiles call the device: ``KAM-12345678``."""
        return f"{self.manufacturer}-{self.id}"


@lru_cache(maxsize=_METERS_KEPT)
def read_meter(manufacturer: bytes, address: bytes) -> Meter:
    """A meter by its M-field (2 bytes) and A-field (id, version, device type: 6 bytes)."""
    return Meter(
        id=address[3::-1].hex().upper(),
        manufacturer=read_manufacturer(manufacturer),
        version=address[4],
        medium=MEDIA.get(address[5]) or f"{address[5]:02X}",
        raw=manufacturer + address,
    )


def read_manufacturer(field: bytes) -> str:
    """Three letters of five bits (A is 1), or four hexadecimal digits where they are none."""
    code = int.from_bytes(field, "little")
    letters = [code >> shift & 0x1F for shift in (10, 5, 0)]
    if all(1 <= letter <= 26 for letter in letters):
        return "".join(chr(64 + letter) for letter in letters)
    return f"{code:04X}"
