"""What a cheat or fault is to the catalogue, and those that any kind of device can have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from simulators.device_faults import Alarmed, Backlog, ClockDrift, Silent
from simulators.faults import Case, ClockAhead, Fault, Hidden, SetBack, Unregistered
from simulators.identity_faults import Clone, Expired

if TYPE_CHECKING:
    from collections.abc import Callable


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


_SEALS: Final = ("cover_open", "seal_broken", "magnetic_field")
_FAULTS: Final = ("battery_low", "memory_fault", "sensor_fault", "clock_fault")

_CLASH: Final = (
    # two devices under one id: registers, numbers, constants and spans of both take turns
    "sequence_gap", "conflicting_duplicate", "burst_after_silence", "register_decrease",
    "register_rollover", "register_spike", "register_stuck", "constant_changed",
    "firmware_changed", "delivery_factor_shift", "distance_factor_shift", "distance_mismatch",
    "impossible_speed", "totaliser_mismatch", "unbilled_delivery", "wet_stock_surplus",
    "wet_stock_loss", "trip_overlap", "session_overlap", "session_energy_mismatch",
    "power_energy_mismatch", "consumption_drop", "heat_balance_mismatch", "conversion_mismatch",
    "energy_balance_mismatch", "backflow", "reverse_energy",
)  # fmt: skip

ANY: Final = {
    "clock_ahead": Cheat("future_timestamp", ClockAhead),
    "unregistered_clone": Cheat("unregistered_device", Unregistered),
    # rates by the hour no longer agree with stamps that are minutes behind
    "clock_drift": Cheat("clock_drift", ClockDrift, also=("fare_mismatch", "price_mismatch")),
    "silent": Cheat("silent_device", Silent),
    "backlog": Cheat("burst_after_silence", Backlog, also=("silent_device",)),
    "tampered": Cheat("tamper_alarm", lambda case: Alarmed(case, _SEALS, (2, 30))),
    "faulty": Cheat("device_fault", lambda case: Alarmed(case, _FAULTS)),
    "certificate_expired": Cheat("verification_expired", Expired),
    "cloned": Cheat("identity_clash", Clone, also=_CLASH),
}
"""What any kind of device can have."""

LOST: Final = Cheat("sequence_gap", lambda case: Hidden(case, ("periodic",), 0.02))
"""Periodic messages that never arrive."""

BELOW_ZERO: Final = -3276.8
"""What a broken 16-bit temperature channel shows; no temperature is below -273.15."""


def set_back(
    decimals: int,
    fields: dict[str, int],
    channel: str | None = None,
    also: tuple[str, ...] = (),
) -> Cheat:
    """Registers that fall once: see ``SetBack``."""
    return Cheat("register_decrease", lambda case: SetBack(case, fields, decimals, channel), also)
