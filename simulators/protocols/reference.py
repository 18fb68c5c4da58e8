"""The open reference format: JSON, and the same in CBOR (RFC 8949) and MessagePack.

All three carry a reading whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cbor2
import msgspec

from simulators.protocols.packet import Encode, Packet, reference_json

if TYPE_CHECKING:
    from simulators.instrument import Setting

PROFILES: Final = {
    kind: f"{kind.replace('_', '-')}-reference"
    for kind in (
        "fuel_dispenser", "taximeter", "electricity_meter", "water_meter", "gas_meter",
        "heat_meter", "ev_charger",
    )
}  # fmt: skip
CBOR_PROFILES: Final = {
    kind: f"{PROFILES[kind]}-cbor"
    for kind in ("electricity_meter", "water_meter", "gas_meter", "heat_meter")
}
MSGPACK_PROFILES: Final = {
    kind: f"{PROFILES[kind]}-msgpack" for kind in ("electricity_meter", "water_meter", "ev_charger")
}


def json(kind: str, region: str, setting: Setting) -> Encode:
    """The body as a JSON object."""
    return reference_json(region, kind, setting.device_id)


def cbor(kind: str, region: str, setting: Setting) -> Encode:
    """The body as a CBOR map."""
    topic = f"meters/{region}/{kind}/{setting.device_id}/cbor"
    return lambda body: (Packet(topic, cbor2.dumps(body)),)


def msgpack(kind: str, region: str, setting: Setting) -> Encode:
    """The body as a MessagePack map."""
    topic = f"meters/{region}/{kind}/{setting.device_id}/msgpack"
    encode = msgspec.msgpack.Encoder().encode
    return lambda body: (Packet(topic, encode(body)),)
