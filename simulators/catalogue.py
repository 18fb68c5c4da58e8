"""Which instruments there are, and which cheats and faults each can have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from simulators import electricity_meter, fuel_dispenser, gas_meter, taximeter, water_meter
from simulators.billing_faults import (
    AmountRaised,
    DoubleBooking,
    NightRateByDay,
    Overcharge,
    TariffShifted,
)
from simulators.clock import HOUR, MINUTE
from simulators.faults import Absurd, Case, ClockAhead, Fault, Hidden, SetBack, Unregistered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from simulators.instrument import Instrument, Setting


def _anyone(index: int) -> bool:
    return index >= 0


class Cheat(NamedTuple):
    """A cheat or fault: the flag code a good check raises, and how to make it.

    ``code`` None is an honest trouble that only looks like one.  ``also`` are codes that may be
    flagged rightly besides.  ``fits`` says for which numbers of devices it is possible.
    """

    code: str | None
    make: Callable[[Case], Fault]
    also: tuple[str, ...] = ()
    fits: Callable[[int], bool] = _anyone


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


_ANY: Final = {
    "clock_ahead": Cheat("future_timestamp", ClockAhead),
    "unregistered_clone": Cheat("unregistered_device", Unregistered),
}
_LOST: Final = Cheat("sequence_gap", lambda case: Hidden(case, ("periodic",), 0.02))
_BELOW_ZERO: Final = -3276.8
"""What a broken 16-bit temperature channel shows; no temperature is below -273.15."""


def _set_back(decimals: int, fields: dict[str, int], channel: str | None = None) -> Cheat:
    return Cheat("register_decrease", lambda case: SetBack(case, fields, decimals, channel))


KINDS: Final[dict[str, Kind]] = {
    "fuel_dispenser": Kind(
        fuel_dispenser.FuelDispenser,
        "fd",
        HOUR,
        {
            "amount_raised": Cheat("amount_mismatch", AmountRaised),
            "totaliser_set_back": _set_back(
                2,
                {
                    "totaliser_volume": fuel_dispenser.VOLUME_SCALE,
                    "totaliser_amount": fuel_dispenser.AMOUNT_SCALE,
                },
                channel="nozzle",
            ),
            "sales_hidden": Cheat(
                "sequence_gap", lambda case: Hidden(case, ("transaction",), 0.15)
            ),
            "double_booking": Cheat("conflicting_duplicate", DoubleBooking),
            **_ANY,
        },
    ),
    "taximeter": Kind(
        taximeter.Taximeter,
        "tx",
        MINUTE,
        {
            "overcharge": Cheat("fare_mismatch", Overcharge),
            "night_rate_by_day": Cheat("fare_mismatch", NightRateByDay),
            "trips_hidden": Cheat("sequence_gap", lambda case: Hidden(case, ("trip",), 0.2)),
            "odometer_set_back": _set_back(2, {"total_distance": taximeter.FULL_SCALE}),
            **_ANY,
        },
    ),
    "electricity_meter": Kind(
        electricity_meter.ElectricityMeter,
        "em",
        15 * MINUTE,
        {
            "register_set_back": _set_back(
                2, dict.fromkeys(("energy.import", "energy.T2"), electricity_meter.FULL_SCALE)
            ),
            "tariff_shifted": Cheat("tariff_sum_mismatch", TariffShifted),
            "overvoltage": Cheat(
                "value_out_of_range", lambda case: Absurd(case, "voltage.L1", 6553.5)
            ),
            "messages_lost": _LOST,
            **_ANY,
        },
    ),
    "water_meter": Kind(
        water_meter.WaterMeter,
        "wm",
        HOUR,
        {
            "register_set_back": _set_back(3, {"volume": water_meter.FULL_SCALE}),
            "sensor_absurd": Cheat(
                "value_out_of_range", lambda case: Absurd(case, "temperature", _BELOW_ZERO)
            ),
            "messages_lost": _LOST,
            **_ANY,
        },
    ),
    "gas_meter": Kind(
        gas_meter.GasMeter,
        "gm",
        HOUR,
        {
            "register_set_back": _set_back(
                3, dict.fromkeys(("volume", "volume_base"), gas_meter.FULL_SCALE)
            ),
            "sensor_absurd": Cheat(
                "value_out_of_range", lambda case: Absurd(case, "temperature", _BELOW_ZERO)
            ),
            "messages_lost": _LOST,
            **_ANY,
        },
    ),
}

MIXTURE: Final = tuple(name for name, kind in KINDS.items() if kind.group == 1)
"""The kinds that ``all`` stands for: those whose devices stand alone."""
