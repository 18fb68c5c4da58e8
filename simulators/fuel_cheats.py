"""What can be wrong with fuel dispensers, and with the dispensers and the gauge of a station."""

from __future__ import annotations

from typing import Final

from simulators.billing_faults import AmountRaised, DoubleBooking
from simulators.cheats import ANY, Cheat, set_back
from simulators.fuel_dispenser import AMOUNT_SCALE, VOLUME_SCALE
from simulators.fuel_faults import (
    BelowMinimum,
    ConstantSilent,
    ConstantTold,
    FlowBeyondRating,
    PriceRaised,
    ProgramChanged,
    PulsesInjected,
    RoundAmounts,
    SalesHidden,
    SalesUnbooked,
    TotaliserSlow,
)
from simulators.station import SIZE
from simulators.tank_faults import TankLeak, TankTheft

_BOOKS: Final = ("totaliser_mismatch", "unbilled_delivery")
_FACTOR: Final = "delivery_factor_shift"

_DISPENSER: Final = {
    "amount_raised": Cheat("amount_mismatch", AmountRaised),
    "totaliser_set_back": set_back(
        2,
        {"totaliser_volume": VOLUME_SCALE, "totaliser_amount": AMOUNT_SCALE},
        channel="nozzle",
        also=_BOOKS,
    ),
    "sales_hidden": Cheat("sequence_gap", SalesHidden, _BOOKS),
    "double_booking": Cheat("conflicting_duplicate", DoubleBooking, _BOOKS),
    "constant_raised": Cheat("constant_changed", ConstantTold, (_FACTOR,)),
    "constant_secret": Cheat(_FACTOR, ConstantSilent),
    "pulses_injected": Cheat("wet_stock_surplus", PulsesInjected),
    "round_amounts_short": Cheat("round_amount_shortfall", RoundAmounts, (_FACTOR,)),
    "sales_unbooked": Cheat("unbilled_delivery", SalesUnbooked, ("totaliser_mismatch",)),
    "totaliser_slow": Cheat("totaliser_mismatch", TotaliserSlow),
    "price_raised": Cheat("price_mismatch", PriceRaised),
    "flow_beyond_rating": Cheat("flow_rate_out_of_range", FlowBeyondRating),
    "below_minimum": Cheat("below_minimum_quantity", BelowMinimum),
    "program_changed": Cheat("firmware_changed", ProgramChanged),
}
_TANK: Final = {
    "tank_leak": Cheat("wet_stock_loss", TankLeak),
    "tank_theft": Cheat("wet_stock_loss", TankTheft),
}

FUEL: Final = {**_DISPENSER, **_TANK, **ANY}
"""Of a dispenser with tanks of its own."""

_TOLD: Final = ("tampered", "faulty", "certificate_expired")


def _at_dispenser(index: int) -> bool:
    return index % SIZE != SIZE - 1


def _at_gauge(index: int) -> bool:
    return index % SIZE == SIZE - 1


STATION: Final = {
    **{name: cheat._replace(fits=_at_dispenser) for name, cheat in _DISPENSER.items()},
    **{name: cheat._replace(fits=_at_gauge) for name, cheat in _TANK.items()},
    **{name: ANY[name]._replace(fits=_at_dispenser) for name in _TOLD},
}
"""Of a station."""
