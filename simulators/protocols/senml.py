"""SenML (RFC 8428) as JSON: a pack a reading, a record a quantity.

Names are those of the gateway's profiles, as SenML names no quantities of meters.  Units are of
RFC 8428 and RFC 8798.

What it can't carry: numbers of messages, tariffs and reactive energies (the profiles have no names
for them), the valve's word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from simulators.protocols.fields import is_periodic
from simulators.protocols.packet import Encode, Packet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from simulators.instrument import Body, Setting

PROFILES: Final = {
    "electricity_meter": "senml-electricity-meter",
    "water_meter": "senml-water-meter",
    "gas_meter": "senml-gas-meter",
    "heat_meter": "senml-heat-meter",
}
CARRIES: Final = frozenset({"time", "register", "power", "voltage", "frequency"})

_Name = tuple[str, str, str, float]
"""Path in the body, name, unit, and what the body's number is multiplied with."""

_NAMES: Final[dict[str, tuple[_Name, ...]]] = {
    "electricity_meter": (
        ("energy.import", "energy", "kWh", 1),
        ("energy.export", "energy_export", "kWh", 1),
        ("power.active", "power", "kW", 1),
        ("power.factor", "power_factor", "/", 1),
        ("frequency", "frequency", "Hz", 1),
        *((f"voltage.{each}", f"voltage_{each}", "V", 1) for each in ("L1", "L2", "L3")),
        *((f"amperage.{each}", f"current_{each}", "A", 1) for each in ("L1", "L2", "L3")),
    ),
    "water_meter": (
        ("volume", "volume", "m3", 1),
        ("volume_reverse", "volume_reverse", "m3", 1),
        ("flow_rate", "flow", "l/s", 1 / 3.6),
        ("temperature", "temperature", "Cel", 1),
        ("pressure", "pressure", "Pa", 1000),
        ("battery_voltage", "battery", "V", 1),
    ),
    "gas_meter": (
        ("volume", "volume", "m3", 1),
        ("volume_base", "volume_base", "m3", 1),
        ("flow_rate", "flow", "m3/h", 1),
        ("temperature", "temperature", "Cel", 1),
        ("pressure", "pressure", "Pa", 1000),
        ("battery_voltage", "battery", "V", 1),
    ),
    "heat_meter": (
        ("energy.heating", "energy", "kWh", 1),
        ("energy.cooling", "cooling_energy", "kWh", 1),
        ("volume", "volume", "m3", 1),
        ("flow_rate", "flow", "m3/h", 1),
        ("power", "power", "kW", 1),
        ("flow_temperature", "flow_temperature", "Cel", 1),
        ("return_temperature", "return_temperature", "Cel", 1),
    ),
}


def encoder(kind: str, region: str, setting: Setting) -> Encode:
    """Packs of one meter, one message a reading."""
    del region
    topic = f"senml/{kind}/{setting.device_id}"
    base = f"{setting.device_id}:"
    encode_json = msgspec.json.Encoder().encode

    def encode(body: Body) -> Iterable[Packet]:
        if not is_periodic(body):
            return ()
        records = list(_records(_NAMES[kind], body))
        if not records:
            return ()
        # "bver" may be left out: 10 is the version when nothing is said
        records[0] = {"bn": base, "bt": body["ts"] / 1000, **records[0]}
        return (Packet(topic, encode_json(records)),)

    return encode


def _records(names: tuple[_Name, ...], body: Body) -> Iterator[dict[str, Any]]:
    for path, name, unit, factor in names:
        found: Any = body
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if found is not None:
            yield {"n": name, "u": unit, "v": found if factor == 1 else round(found * factor, 6)}
