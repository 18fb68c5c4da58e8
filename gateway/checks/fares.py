"""A taxi fare against the tariff in force: ``fare_mismatch``."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gateway.checks.amounts import EXACT, shown
from gateway.checks.findings import finding, occasion_of
from gateway.checks.tariffs import Fare, Tariff, Trip, fare
from gateway.devices import valid_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.checks.bound import Bound, Track
    from gateway.checks.settings import FareSettings
    from gateway.records import Device, Flag, Reading

NEEDED = ("fare", "distance", "waiting_time", "started_at", "ended_at")
CODE = "fare_mismatch"


def fare_check(
    bound: Bound,
    settings: FareSettings,
    devices: Mapping[str, Device],
    tariffs: Mapping[str, Tariff],
) -> Callable[[Track, Reading, list[Flag]], None]:
    """The comparison of each trip with its tariff.

    The tariff is the one that the registry named for the device at the time of the trip (what the
    authority knew), else the one that the reading names.  What cannot be judged is counted, never
    flagged.
    """
    distance_step = shown(settings.distance_interval)
    time_step = shown(settings.time_interval)

    def check(_track: Track, reading: Reading, flags: list[Flag]) -> None:
        values = dict(zip(reading.names, reading.values, strict=True))
        device = valid_at(devices, reading.device_id, reading.measured_at)
        name = (device.parameters.get("tariff") if device else None) or values.get("tariff")
        tariff = tariffs.get(str(name))
        reason = _cannot_judge(values, reading, name, tariff)
        if tariff is None or reason:
            bound.not_judged(CODE, reason)
            return
        charged = shown(_number(values, "fare"))
        if settings.surcharge_included:
            charged = EXACT.subtract(charged, shown(_number(values, "surcharge")))
        if charged in tariff.flat_fares:
            bound.not_judged(CODE, "a flat fare: the reading does not tell the route")
            return
        allowed = fare(tariff, _trip(values, distance_step, time_step))
        tolerance = tariff.tolerance.amount
        if not allowed.low - tolerance <= charged <= allowed.high + tolerance:
            flags.append(_flag(reading, values, charged, allowed, tariff))

    return check


def _number(values: Mapping[str, Any], name: str) -> float:
    return float(values.get(name) or 0.0)


def _cannot_judge(
    values: Mapping[str, Any], reading: Reading, name: object, tariff: Tariff | None
) -> str:
    """Why the trip cannot be judged; empty where it can."""
    for needed in NEEDED:
        if values.get(needed) is None:
            return f"{needed} is missing"
    if name is None:
        return "no tariff is named"
    if tariff is None:
        return "the tariff is not known"
    if reading.currency is not None and reading.currency != tariff.currency:
        return "the tariff has another currency"
    if not tariff.in_force(int(values["started_at"])):
        return "the tariff was not in force"
    return ""


def _trip(values: Mapping[str, Any], distance_step: Decimal, time_step: Decimal) -> Trip:
    """What the instrument may have measured inside: up to one shown interval to either side."""
    distance, waiting = shown(values["distance"]), shown(values["waiting_time"])
    zero = Decimal(0)
    return Trip(
        (max(zero, distance - distance_step), distance + distance_step),
        (max(zero, waiting - time_step), waiting + time_step),
        int(values["started_at"]),
        int(values["ended_at"]),
    )


def _flag(
    reading: Reading,
    values: Mapping[str, Any],
    charged: Decimal,
    allowed: Fare,
    tariff: Tariff,
) -> Flag:
    over = charged > allowed.high
    return finding(
        reading,
        CODE,
        {
            "observed": float(charged),
            "expected": {"low": float(allowed.low), "high": float(allowed.high)},
            "tolerance": float(tariff.tolerance.amount),
            "unit": tariff.currency,
            "difference": float(charged - (allowed.high if over else allowed.low)),
            "tariff": tariff.tariff,
            "tariff_named": values.get("tariff"),
            "source": tariff.sources[0],
            "formula": "fare by the tariff, from distance, waiting_time, started_at and ended_at",
            "inputs": {name: values[name] for name in NEEDED[1:]},
        },
        occasion=occasion_of(reading),
        quantity="fare",
        channel=reading.channel,
        severity="critical" if over else "major",
        since=int(values["started_at"]),
    )
