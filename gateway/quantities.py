"""The vocabulary of instruments: kinds, events, canonical quantities and their units.

One table that decoders, stores and exports share.  Units are UCUM codes; ``CUR`` stands for the
currency of the reading.  An exported key is the quantity's name and the suffix of its unit
(``energy_import`` in kWh becomes ``energy_import_kwh``); a pure number has no suffix.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Event = Literal["periodic", "transaction", "trip", "session", "alarm"]
EVENTS: Final = ("periodic", "transaction", "trip", "session", "alarm")

Type = Literal["number", "money", "text", "flag", "time"]


class Quantity(NamedTuple):
    """A canonical quantity: its name, UCUM unit ("1" for a pure number) and type.

    ``money`` is stored as DECIMAL(18,6) so that amounts compare exactly; ``number`` is a double,
    which keeps the 15 significant digits that a register or a sensor can show.
    """

    name: str
    unit: str
    type: Type = "number"


def _q(spec: str, type_: Type = "number") -> list[Quantity]:
    """Reads ``"name name [unit]; name [unit]"``."""
    found = []
    for part in spec.split(";"):
        names, _, unit = part.strip().partition("[")
        found += [Quantity(name, unit.rstrip("]") or "1", type_) for name in names.split()]
    return found


_SPAN = _q("started_at ended_at", "time")

KINDS: Final[dict[str, tuple[Quantity, ...]]] = {
    "fuel_dispenser": (
        *_q("volume [L]"),
        *_q("unit_price [CUR/L]; amount [CUR]", "money"),
        *_q("product", "text"),
        *_SPAN,
        *_q("flow_rate [L/min]; temperature [Cel]; density [kg/m3]; pulses; k_factor [1/L]"),
        *_q("totaliser_volume [L]"),
        *_q("totaliser_amount [CUR]", "money"),
        *_q("firmware_checksum", "text"),
        *_q("tank_volume [L]; tank_temperature [Cel]; water_height [mm]"),
    ),
    "taximeter": (
        *_q("distance [km]; waiting_time [s]"),
        *_q("fare surcharge [CUR]", "money"),
        *_SPAN,
        *_q("k_constant [1/km]; gps_distance [km]; max_speed [km/h]"),
        *_q("tariff", "text"),
        *_q("total_distance occupied_distance [km]; speed [km/h]; longitude latitude [deg]"),
        *_q("occupied", "flag"),
        *_q("pulses"),
    ),
    "electricity_meter": (
        *_q("energy_import energy_export [kWh]"),
        *_q("energy_reactive_import energy_reactive_export [kvar.h]"),
        *_q("power_active [kW]; power_reactive [kvar]; power_apparent [kVA]; power_factor"),
        *_q("voltage [V]; amperage [A]; frequency [Hz]; demand_max [kW]; battery_voltage [V]"),
    ),
    "water_meter": (
        *_q("volume volume_reverse [m3]; flow_rate [m3/h]; temperature [Cel]; pressure [kPa]"),
        *_q("battery_voltage [V]"),
        *_q("valve", "text"),
    ),
    "gas_meter": (
        *_q("volume volume_base [m3]; flow_rate [m3/h]; temperature [Cel]; pressure [kPa]"),
        *_q("conversion_factor; battery_voltage [V]; energy_import [kWh]"),
        *_q("valve", "text"),
    ),
    "heat_meter": (
        *_q("energy [kWh]; volume [m3]; power [kW]; flow_rate [m3/h]"),
        *_q("flow_temperature return_temperature [Cel]; temperature_difference [K]"),
    ),
    "ev_charger": (
        *_q("energy energy_start energy_end [kWh]"),
        *_q("energy_price [CUR/kWh]; energy_amount service_fee amount [CUR]", "money"),
        *_SPAN,
        *_q("energy_import [kWh]; power_active [kW]; voltage [V]; amperage [A]"),
        *_q("state_of_charge [%]"),
    ),
}
"""Quantities of each kind in the order of the store's columns."""

STATUS_WORDS: Final = (
    "seal_broken",
    "cover_open",
    "terminal_cover_open",
    "magnetic_field",
    "memory_fault",
    "battery_low",
    "reverse_flow",
    "leak",
    "burst",
    "tilt",
    "clock_fault",
    "sensor_fault",
    "communication_fault",
    "power_failure",
    "valve_fault",
    "overload",
    "air_in_pipe",
    "frost",
    "reverse_energy",
    "phase_loss",
    "program_changed",
    "tamper",
    "signature_invalid",
    "signature_unverified",
)
"""Words that a profile may map an instrument's status bits to."""

_SUFFIX: Final = {
    "L": "l", "L/min": "l_per_min", "1/L": "per_l", "Cel": "cel", "kg/m3": "kg_per_m3",
    "mm": "mm", "km": "km", "s": "s", "1/km": "per_km", "km/h": "km_per_h", "deg": "deg",
    "kWh": "kwh", "kvar.h": "kvarh", "kW": "kw", "kvar": "kvar", "kVA": "kva", "V": "v",
    "A": "a", "Hz": "hz", "m3": "m3", "m3/h": "m3_per_h", "kPa": "kpa", "K": "k",
    "%": "percent", "1": "",
}  # fmt: skip

BY_NAME: Final[dict[str, dict[str, Quantity]]] = {
    kind: {quantity.name: quantity for quantity in quantities} for kind, quantities in KINDS.items()
}


def export_key(quantity: Quantity, currency: str = "CNY") -> str:
    """The exported key: ``unit_price`` in CUR/L with "CNY" is ``unit_price_cny_per_l``."""
    unit = quantity.unit
    if unit.startswith("CUR"):
        per = unit[4:].lower()
        suffix = currency.lower() + (f"_per_{per}" if per else "")
    else:
        suffix = _SUFFIX[unit]
    return f"{quantity.name}_{suffix}" if suffix else quantity.name
