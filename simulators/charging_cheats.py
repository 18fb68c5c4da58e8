"""What can be wrong with EV chargers."""

from __future__ import annotations

from typing import Final

from simulators.charging_faults import (
    AmountRaised,
    CountsTooMuch,
    EnergyInflated,
    Forged,
    Overlapping,
    PriceRaised,
)
from simulators.cheats import ANY, LOST, Cheat
from simulators.faults import Hidden

CHARGING: Final = {
    "charge_raised": Cheat("amount_mismatch", AmountRaised),
    "energy_inflated": Cheat("session_energy_mismatch", EnergyInflated, ("power_energy_mismatch",)),
    "tariff_raised": Cheat("price_mismatch", PriceRaised),
    # a session told to begin earlier may so fall into another price window
    "sessions_overlapping": Cheat("session_overlap", Overlapping, ("price_mismatch",)),
    "counts_too_much": Cheat("power_energy_mismatch", CountsTooMuch),
    "record_forged": Cheat("signature_invalid", Forged),
    "sessions_hidden": Cheat("sequence_gap", lambda case: Hidden(case, ("session",), 0.2)),
    "messages_lost": LOST,
    **ANY,
}
"""Of a charger."""
