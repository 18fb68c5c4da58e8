"""What can be wrong with taximeters."""

from __future__ import annotations

from typing import Final

from simulators.billing_faults import NightRateByDay, Overcharge
from simulators.cheats import ANY, Cheat, set_back
from simulators.faults import Hidden
from simulators.taxi_faults import (
    ConstantSilent,
    ConstantTold,
    FlagfallTwice,
    Overlapping,
    PulsesInjected,
    SpeedAbsurd,
    WaitingInflated,
)
from simulators.taximeter import FULL_SCALE

_TRACK: Final = ("distance_mismatch", "distance_factor_shift")

TAXI: Final = {
    "overcharge": Cheat("fare_mismatch", Overcharge),
    "night_rate_by_day": Cheat("fare_mismatch", NightRateByDay),
    "flagfall_twice": Cheat("fare_mismatch", FlagfallTwice),
    "trips_hidden": Cheat("sequence_gap", lambda case: Hidden(case, ("trip",), 0.2)),
    "odometer_set_back": set_back(2, {"total_distance": FULL_SCALE}),
    "constant_lowered": Cheat("constant_changed", ConstantTold, _TRACK),
    "constant_lowered_secretly": Cheat("distance_factor_shift", ConstantSilent, _TRACK[:1]),
    "distance_inflated": Cheat("distance_mismatch", PulsesInjected),
    "waiting_inflated": Cheat("waiting_time_mismatch", WaitingInflated),
    "speed_absurd": Cheat("impossible_speed", SpeedAbsurd),
    "trips_overlapping": Cheat("trip_overlap", Overlapping),
    **ANY,
}
"""Of a taxi."""
