"""Which instruments there are, and which cheats and faults each can have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from simulators import (
    charging_cheats,
    electricity_meter,
    ev_charger,
    feeder,
    fuel_cheats,
    fuel_dispenser,
    gas_meter,
    heat_meter,
    station,
    taxi_cheats,
    taximeter,
    utility_cheats,
    water_meter,
)
from simulators.cheats import Cheat
from simulators.clock import HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from simulators.instrument import Instrument, Setting


class Kind(NamedTuple):
    """A kind of instrument: how to make one, how often it reports, what can be wrong with it.

    ``prefix`` begins its device ids; ``interval`` is the usual one in milliseconds.  ``group`` is
    how many devices belong together: there are only whole groups.  ``registered_as`` is the kind
    in topics and the registry where it is another one.  ``together`` makes the instruments of one
    group that share something.
    """

    make: Callable[[Setting], Instrument]
    prefix: str
    interval: int
    cheats: dict[str, Cheat]
    group: int = 1
    registered_as: str | None = None
    together: Callable[[Sequence[Setting]], Sequence[Instrument]] | None = None

    def instruments(self, settings: Sequence[Setting]) -> Iterator[Instrument]:
        """The instruments of whole groups, one a setting."""
        if self.together is None:
            yield from map(self.make, settings)
            return
        for first in range(0, len(settings), self.group):
            yield from self.together(settings[first : first + self.group])


KINDS: Final[dict[str, Kind]] = {
    "fuel_dispenser": Kind(fuel_dispenser.FuelDispenser, "fd", HOUR, fuel_cheats.FUEL),
    "fuel_station": Kind(
        fuel_dispenser.FuelDispenser,
        "fs",
        HOUR,
        fuel_cheats.STATION,
        group=station.SIZE,
        registered_as="fuel_dispenser",
        together=station.station,
    ),
    "taximeter": Kind(taximeter.Taximeter, "tx", MINUTE, taxi_cheats.TAXI),
    "electricity_meter": Kind(
        electricity_meter.ElectricityMeter, "em", 15 * MINUTE, utility_cheats.ELECTRICITY
    ),
    "water_meter": Kind(water_meter.WaterMeter, "wm", HOUR, utility_cheats.WATER),
    "gas_meter": Kind(gas_meter.GasMeter, "gm", HOUR, utility_cheats.GAS),
    "heat_meter": Kind(heat_meter.HeatMeter, "hm", HOUR, utility_cheats.HEAT),
    "ev_charger": Kind(ev_charger.EvCharger, "ev", 15 * MINUTE, charging_cheats.CHARGING),
    "feeder": Kind(
        electricity_meter.ElectricityMeter,
        "fe",
        15 * MINUTE,
        utility_cheats.FEEDER,
        group=feeder.SIZE,
        registered_as="electricity_meter",
        together=feeder.feeder,
    ),
    "district": Kind(
        water_meter.WaterMeter,
        "dw",
        HOUR,
        utility_cheats.DISTRICT,
        group=feeder.SIZE,
        registered_as="water_meter",
        together=feeder.district,
    ),
}

MIXTURE: Final = tuple(name for name, kind in KINDS.items() if kind.group == 1)
"""The kinds that ``all`` stands for: those whose devices stand alone."""
