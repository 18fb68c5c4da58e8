"""Conditions that last while readings say so: values out of range, and a clock that is ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.checks.findings import end_condition, finding, prolong, unit_of
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Range, Track
    from gateway.records import Flag, Reading

_SECOND = 10**9


def out_of_range(
    track: Track, span: Range, reading: Reading, value: float, flags: list[Flag]
) -> None:
    """A value is outside its physical limits: a flag at the first, a count at the others."""
    bound = track.bound
    index, low, high = span
    quantity = bound.layout.names[index]
    conditions = track.conditions
    if quantity in conditions:
        extreme = conditions[quantity].evidence["extreme"]
        farther = value if _outside(value, low, high) > _outside(extreme, low, high) else extreme
        prolong(conditions, quantity, reading, {"extreme": farther})
        return
    conditions[quantity] = finding(
        reading,
        "value_out_of_range",
        {
            "observed": value,
            "expected": {
                "low": None if low == float("-inf") else low,
                "high": None if high == float("inf") else high,
            },
            "tolerance": 0,
            "unit": unit_of(reading, quantity),
            "extreme": value,
            "count": 1,
        },
        occasion=f"@{reading.measured_at}",
        quantity=quantity,
        channel=reading.channel,
    )
    bound.emit(conditions[quantity], flags)


def back_in_range(track: Track, reading: Reading, flags: list[Flag]) -> None:
    """Ends the conditions whose quantity is back within its limits."""
    bound = track.bound
    for index, low, high in bound.ranges:
        quantity = bound.layout.names[index]
        value = reading.values[index]
        if (
            quantity in track.conditions
            and isinstance(value, (int, float))
            and low <= value <= high
        ):
            bound.emit(end_condition(track.conditions, quantity, reading.measured_at), flags)


def clock_ahead(track: Track, reading: Reading, flags: list[Flag]) -> None:
    """The instrument's time is after the time of receipt by more than the tolerance."""
    bound, conditions = track.bound, track.device.conditions
    ahead = (reading.measured_at - reading.received_at) / _SECOND
    severity = "major" if ahead > bound.clock_major / _SECOND else "minor"
    known = conditions.get("future_timestamp")
    if known is not None:
        extreme = max(known.evidence["extreme"], ahead)
        changes = {"extreme": extreme}
        bound.emit(prolong(conditions, "future_timestamp", reading, changes, severity), flags)
        return
    conditions["future_timestamp"] = finding(
        reading,
        "future_timestamp",
        {
            "observed": ahead,
            "expected": 0,
            "tolerance": bound.clock_minor / _SECOND,
            "unit": "s",
            "received_at": rfc3339(reading.received_at),
            "extreme": ahead,
            "count": 1,
        },
        occasion=f"@{reading.measured_at}",
        channel=None,
        severity=severity,
    )
    bound.emit(conditions["future_timestamp"], flags)


def clock_back(track: Track, flags: list[Flag]) -> None:
    """The instrument's time is no longer ahead of the time of receipt."""
    conditions = track.device.conditions
    if "future_timestamp" in conditions:
        until = conditions["future_timestamp"].until
        track.bound.emit(end_condition(conditions, "future_timestamp", until), flags)


def _outside(value: float, low: float, high: float) -> float:
    return max(low - value, value - high)
