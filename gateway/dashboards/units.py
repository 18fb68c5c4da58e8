"""Grafana's names of our units, and which quantities are registers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.quantities import Quantity

_UNITS: Final = {
    "1": "none", "L": "litre", "L/min": "flowlpm", "1/L": "suffix: /L", "Cel": "celsius",
    "kg/m3": "suffix: kg/m³", "mm": "lengthmm", "km": "lengthkm", "s": "s", "1/km": "suffix: /km",
    "km/h": "velocitykmh", "deg": "degree", "kWh": "kwatth", "kvar.h": "suffix: kvar·h",
    "kW": "kwatt", "kvar": "kvoltampreact", "kVA": "kvoltamp", "V": "volt", "A": "amp",
    "Hz": "hertz", "m3": "m3", "m3/h": "suffix: m³/h", "kPa": "pressurekpa", "K": "suffix: K",
    "%": "percent",
}  # fmt: skip

REGISTERS: Final = frozenset({
    "volume", "volume_reverse", "volume_base", "energy", "energy_import", "energy_export",
    "energy_reactive_import", "energy_reactive_export", "totaliser_volume", "totaliser_amount",
    "total_distance", "occupied_distance", "pulses", "demand_max", "energy_start", "energy_end",
    "occupied",
})  # fmt: skip
"""Quantities of which the latest in an interval is shown, and of the others the mean."""


def unit(quantity: Quantity) -> str:
    """Grafana's name of a quantity's unit; money in the default currency."""
    if quantity.type == "time":
        return "dateTimeAsIso"
    if quantity.unit.startswith("CUR"):
        per = quantity.unit[3:]
        return f"suffix: CNY{per}" if per else "currencyCNY"
    return _UNITS[quantity.unit]
