"""Speeds that no taxi drives: ``impossible_speed`` (JJG 517-2016), of trips and between positions.

A trip is arithmetic: its distance in its time, and the highest speed that it shows.  Positions are
judged by `gateway.checks.positions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.checks.positions import CODE, SpeedSettings, Way, positions_check
from gateway.checks.series import Series, SeriesCheck
from gateway.checks.trips import Times, number, place_of, trip_flag

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

_HOUR: Final = 3_600.0


def _make(bound: Bound) -> SeriesCheck | None:
    names = bound.layout.names
    if bound.layout.event == "trip":
        return _of_trips(bound) if {"started_at", "ended_at"} <= set(names) else None
    if bound.layout.event == "periodic" and {"longitude", "latitude"} <= set(names):
        return positions_check(bound)
    return None


# -- trips -------------------------------------------------------------------------------------


def _of_trips(bound: Bound) -> SeriesCheck:
    names = bound.layout.names
    times = Times(names)
    at_distance, at_top = place_of(names, "distance"), place_of(names, "max_speed")
    settings = bound.settings.of(CODE, SpeedSettings)

    def run(
        _way: Way, _track: Track, reading: Reading, _at: int, late: bool, flags: list[Flag]
    ) -> None:
        top = number(reading, at_top)
        if top is not None and top > settings.top:
            flag = _shown(reading, top, settings.top, late=late)
            bound.emit(flag, flags)
            return
        distance, duration = number(reading, at_distance), times.duration(reading)
        if not distance:
            return
        if duration is None or duration < 0:
            bound.not_judged(CODE, "no beginning and end")
            return
        limit = settings.mean
        if top is not None and top > 0:
            limit = min(limit, top * (1 + settings.own_share))
        # Both ends and the distance are rounded.
        possible = limit * (duration + 2 * settings.time_interval) / _HOUR + settings.interval
        if distance > possible:
            flag = _mean(reading, distance, duration, limit, settings, late=late)
            bound.emit(flag, flags)

    return SeriesCheck(CODE, Way, False, run)


def _shown(reading: Reading, top: float, limit: float, *, late: bool) -> Flag:
    return trip_flag(
        reading,
        CODE,
        {
            "observed": top,
            "expected": {"high": limit},
            "tolerance": 0.0,
            "unit": "km/h",
            "formula": "max_speed <= top",
            "inputs": {"max_speed": top},
        },
        quantity="max_speed",
        late=late,
    )


def _mean(
    reading: Reading,
    distance: float,
    duration: float,
    limit: float,
    settings: SpeedSettings,
    *,
    late: bool,
) -> Flag:
    least = (distance - settings.interval) / (duration + 2 * settings.time_interval) * _HOUR
    return trip_flag(
        reading,
        CODE,
        {
            "observed": least,
            "expected": {"high": limit},
            "tolerance": 0.0,
            "unit": "km/h",
            "formula": "3600 * (distance - interval) / (ended_at - started_at + 2 * time_interval)",
            "inputs": {
                "distance": distance,
                "duration": duration,
                "max_speed": reading.quantities.get("max_speed"),
                "interval": settings.interval,
                "time_interval": settings.time_interval,
            },
        },
        quantity="distance",
        late=late,
    )


IMPOSSIBLE_SPEED: Final = Series(CODE, SpeedSettings, _make)
