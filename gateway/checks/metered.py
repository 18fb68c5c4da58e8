"""What the checks of consumption know of each kind of meter, and of one layout and device.

A meter has one register of what is consumed and, most of them, the rate at which it grows just now
(m3/h, kW).  Tariff registers and phases are parts of it and are not judged for themselves.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.checks.catalogue import CATALOGUE
from gateway.checks.local_days import Zone, zone_of
from gateway.checks.registered import number_of
from gateway.checks.replacements import resetting
from gateway.devices import valid_at

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.checks.registers import Dial
    from gateway.records import Device, Reading

_PART: Final = re.compile(r"T\d{1,2}|L[123]|N")


class Metered(NamedTuple):
    """One kind of meter; rates are the register's unit an hour.

    Attributes:
        register: what is consumed.
        rate: how fast it grows just now.
        reverse: the register of the other direction.
        ratings: parameters of the registry that tell the largest rate, each with how much of it
            may be passed for a while.
        largest: the largest rate of a common household's meter, where the registry tells none.
        least: a rate below which an instrument need not count (Q1, Qmin, starting current).
        step: the last digit, where the profile does not know it.
    """

    register: str
    rate: str
    reverse: str | None
    ratings: tuple[tuple[str, float], ...]
    largest: float
    least: float
    step: float


METERED: Final[dict[str, Metered]] = {
    "electricity_meter": Metered(
        "energy_import", "power_active", "energy_export", (("rated_power", 1.25),), 70.0, 0.03, 0.01
    ),
    "water_meter": Metered(
        "volume", "flow_rate", "volume_reverse", (("q4", 1.25), ("q3", 1.6)), 5.0, 0.03, 0.001
    ),
    "gas_meter": Metered(
        "volume", "flow_rate", None, (("qmax", 1.25), ("q_max", 1.25)), 10.0, 0.03, 0.001
    ),
    "heat_meter": Metered("energy", "power", None, (("rated_power", 1.25),), 100.0, 0.3, 1.0),
    "ev_charger": Metered(
        "energy_import", "power_active", None, (("rated_power", 1.25),), 400.0, 0.5, 0.01
    ),
}
BURST_RATINGS: Final = ("q3", "qmax", "q_max")
"""The permanent flow rate of a water meter, the largest of a gas meter."""


class Maximum(NamedTuple):
    """The largest rate that can be, and where that is from."""

    rate: float
    source: str


class Meter:
    """What is fixed for one layout.

    Args:
        bound: of the layout; its kind must be among `METERED`, its register among the names.
    """

    def __init__(self, bound: Bound) -> None:
        layout = bound.layout
        self.bound = bound
        self.what = METERED[layout.kind]
        self.register = layout.names.index(self.what.register)
        self.rate = _index(layout.names, self.what.rate)
        self.reverse = _index(layout.names, self.what.reverse)
        self.off = bound.settings.off
        decrease = bound.settings.decrease
        face = layout.registers.get(self.what.register)
        known = face.resolution if face is not None else None
        self.step = known or self.what.step
        self.jitter = decrease.tolerance.get(
            self.what.register, decrease.resolution_steps * (known or 0.0)
        )

    def judges(self, code: str) -> bool:
        """Whether a check is of this kind and on."""
        return code not in self.off and CATALOGUE[code].applies_to(self.bound.layout.kind)

    def device(self, reading: Reading) -> Device | None:
        """What the registry says of the device, as of the reading."""
        return valid_at(self.bound.devices, reading.device_id, reading.measured_at)

    def zone(self, device: Device | None) -> Zone:
        """Whose days its days are."""
        return zone_of(device, self.bound.settings.decrease.time_zone)

    def resetting(self, device: Device | None) -> Zone | None:
        """The zone at whose midnight its register begins anew by design."""
        decrease = self.bound.settings.decrease
        return resetting(device, decrease.resets, decrease.time_zone)

    def dial(self, track: Track) -> Dial | None:
        """The register as it is judged when it comes."""
        for dial in track.dials:
            if dial.quantity == self.what.register:
                return dial
        return None

    def rated(self, device: Device | None, channel: str | None) -> Maximum | None:
        """The largest rate by the registry."""
        if device is not None:
            for name, share in self.what.ratings:
                told = number_of(device.parameters.get(name), channel)
                if told is not None:
                    return Maximum(told * share, f"{share:g} x {name} of the registry")
        return None


def judged_channel(channel: str) -> bool:
    """Whether a channel is no part of another: not a tariff, not a phase."""
    return _PART.fullmatch(channel) is None


def _index(names: tuple[str, ...], name: str | None) -> int | None:
    return names.index(name) if name in names else None
