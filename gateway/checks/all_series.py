"""Every check of a series: what a layout is offered when its profile is bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.checks import (
    certified,
    consumption,
    conversion,
    deliveries,
    delivery_factor,
    distance_factor,
    energy_balance,
    heat_balance,
    identity,
    overlaps,
    phases,
    power_energy,
    prices,
    round_amounts,
    sessions,
    speeds,
    status_words,
    supply,
    totalisers,
    trips,
    verification,
    wet_stock,
)
from gateway.checks.catalogue import CATALOGUE

if TYPE_CHECKING:
    from gateway.checks.bound import Bound
    from gateway.checks.series import Series, SeriesCheck

SERIES: Final[tuple[Series, ...]] = (
    identity.IDENTITY_CLASH,
    overlaps.TRIP_OVERLAP,
    overlaps.SESSION_OVERLAP,
    sessions.SESSION_ENERGY_MISMATCH,
    trips.DISTANCE_MISMATCH,
    trips.WAITING_TIME_MISMATCH,
    speeds.IMPOSSIBLE_SPEED,
    distance_factor.DISTANCE_FACTOR_SHIFT,
    status_words.TAMPER_ALARM,
    status_words.DEVICE_FAULT,
    status_words.SIGNATURE_INVALID,
    verification.VERIFICATION_EXPIRED,
    totalisers.TOTALISER_MISMATCH,
    totalisers.UNBILLED_DELIVERY,
    deliveries.FLOW_RATE,
    deliveries.BELOW_MINIMUM,
    prices.PRICE_MISMATCH,
    delivery_factor.DELIVERY_FACTOR,
    round_amounts.ROUND_AMOUNT,
    certified.CONSTANT_CHANGED,
    certified.FIRMWARE_CHANGED,
    certified.PROGRAM_ALARM,
    supply.VOLTAGE_OUT_OF_LIMITS,
    supply.FREQUENCY_OUT_OF_LIMITS,
    phases.PHASE_LOSS,
    conversion.CONVERSION_MISMATCH,
    heat_balance.HEAT_BALANCE_MISMATCH,
    power_energy.POWER_ENERGY_MISMATCH,
    energy_balance.ENERGY_BALANCE,
    wet_stock.WET_STOCK_SURPLUS,
    wet_stock.WET_STOCK_LOSS,
    *consumption.CONSUMPTION,
)


def series_checks(bound: Bound) -> tuple[SeriesCheck, ...]:
    """The checks that a layout has the quantities for and its settings leave on."""
    kind, off = bound.layout.kind, bound.settings.off
    made = (
        series.make(bound)
        for series in SERIES
        if series.code not in off and CATALOGUE[series.code].applies_to(kind)
    )
    return tuple(check for check in made if check is not None)
