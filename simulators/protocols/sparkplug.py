"""Sparkplug B (Eclipse Sparkplug 3.0.0): an edge node a meter, births first, then data by alias.

Payloads are Protocol Buffers, written field by field as the specification's schema numbers them
(6.4): payload timestamp 1, metrics 2, seq 3; metric name 1, alias 2, timestamp 3, datatype 4,
double value 13.  Metric names are those of the gateway's profiles.

What it can't carry: numbers of messages (seq only counts to 255 and is the node's), reactive
energies, apparent and reactive power, battery of an electricity meter, the valve's word.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from simulators.protocols.fields import is_periodic
from simulators.protocols.packet import Encode, Packet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from simulators.instrument import Body, Setting

PROFILES: Final = {
    "electricity_meter": "sparkplug-electricity-meter",
    "water_meter": "sparkplug-water-meter",
    "gas_meter": "sparkplug-gas-meter",
    "heat_meter": "sparkplug-heat-meter",
}
CARRIES: Final = frozenset({"time", "register", "power", "tariffs", "voltage", "frequency"})

_DOUBLE: Final = 10
_UINT64: Final = 8
_METRICS: Final[dict[str, dict[str, str]]] = {
    "electricity_meter": {
        "electricity/energy_import": "energy.import",
        **{f"electricity/T{n}/energy_import": f"energy.T{n}" for n in range(1, 5)},
        "electricity/energy_export": "energy.export",
        "electricity/power_active": "power.active",
        **{f"electricity/L{n}/voltage": f"voltage.L{n}" for n in range(1, 4)},
        **{f"electricity/L{n}/amperage": f"amperage.L{n}" for n in range(1, 4)},
        "electricity/frequency": "frequency",
        "electricity/power_factor": "power.factor",
    },
    "water_meter": {
        f"water/{name}": name
        for name in (
            "volume", "volume_reverse", "flow_rate", "temperature", "pressure", "battery_voltage",
        )
    },
    "gas_meter": {
        f"gas/{name}": name
        for name in (
            "volume", "volume_base", "flow_rate", "temperature", "pressure", "conversion_factor",
            "battery_voltage",
        )
    },
    "heat_meter": {
        "heat/energy": "energy.heating",
        "heat/cooling/energy": "energy.cooling",
        **{
            f"heat/{name}": name
            for name in ("volume", "flow_rate", "power", "flow_temperature", "return_temperature")
        },
    },
}  # fmt: skip


def encoder(kind: str, region: str, setting: Setting) -> Encode:
    """Messages of one edge node and its meter: births with the first reading, then data."""
    node = f"edge-{setting.device_id}"
    seq = -1

    def packet(sort: str, at: int, metrics: bytes, device: str = "") -> Packet:
        nonlocal seq
        seq = (seq + 1) % 256
        payload = _varint_field(1, at) + metrics + _varint_field(3, seq)
        topic = f"spBv1.0/region-{region}/{sort}/{node}"
        return Packet(f"{topic}/{device}" if device else topic, payload)

    def encode(body: Body) -> Iterable[Packet]:
        if not is_periodic(body):
            return ()
        at, device = body["ts"], setting.device_id
        values = list(_values(_METRICS[kind], body))
        if seq >= 0:
            named = (_metric(at, value, alias=alias) for alias, _, value in values)
            return (packet("DDATA", at, b"".join(named), device),)
        node_birth = _metric(at, 0, name="bdSeq", kind=_UINT64)
        named = (_metric(at, value, name=name, alias=alias) for alias, name, value in values)
        return (
            packet("NBIRTH", at, node_birth),
            packet("DBIRTH", at, b"".join(named), device),
        )

    return encode


def _values(names: dict[str, str], body: Body) -> Iterator[tuple[int, str, float]]:
    """Alias, name and number of what the reading has."""
    for alias, (name, path) in enumerate(names.items(), 1):
        found: Any = body
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if found is not None:
            yield alias, name, found


def _metric(
    at: int, value: float, *, name: str = "", alias: int | None = None, kind: int = _DOUBLE
) -> bytes:
    """A metric as field 2 of the payload: named in births, by its alias alone in data."""
    inner = _bytes_field(1, name.encode()) if name else b""
    if alias is not None:
        inner += _varint_field(2, alias)
    inner += _varint_field(3, at)
    if name:
        inner += _varint_field(4, kind)
    if kind == _DOUBLE:
        inner += bytes([13 << 3 | 1]) + struct.pack("<d", value)
    else:
        inner += _varint_field(11, int(value))
    return _bytes_field(2, inner)


def _bytes_field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _varint_field(number: int, value: int) -> bytes:
    return bytes([number << 3]) + _varint(value)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
