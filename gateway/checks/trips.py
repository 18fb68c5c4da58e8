"""What a single trip says of itself: distance, waiting time and speed that can be.

``distance_mismatch`` and ``waiting_time_mismatch`` (JJG 517-2016; the track as a witness:
JJG(京)177-2025).  Arithmetic on one reading, whatever came before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.checks.findings import finding, occasion_of
from gateway.checks.parameters import NotNegative, Positive, Settings
from gateway.checks.series import Series, SeriesCheck
from gateway.devices import valid_at

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

DISTANCE: Final = "distance_mismatch"
WAITING: Final = "waiting_time_mismatch"
_ALONE: Final = "trips"
_SECOND: Final = 10**9
_HOUR: Final = 3_600.0


class DistanceSettings(Settings):
    """How far a trip's distance may be from what else tells it.

    Attributes:
        track_share: of the track's length; an ordinary track is 1 to 2 % short on bends, and worse
            between high buildings.
        track_floor: km, where the share is less: fixes a few seconds apart, a corner that was cut.
        pulse_share: of the distance by pulses (MID MI-007: 0.2 %).
        interval: km, one step of the distance as shown.
    """

    track_share: Positive = 0.10
    track_floor: NotNegative = 0.15
    pulse_share: NotNegative = 0.002
    interval: Positive = 0.01


class WaitingSettings(Settings):
    """When waiting time cannot be.

    Attributes:
        speed: km/h, no taxi's mean speed while it drives.
        top_share: by how much the mean while driving may pass the trip's own ``max_speed``.
        switching_speed: km/h, below which waiting is counted: so fast it may go meanwhile.
        time_interval: s, one step of the times as shown.
        interval: km, one step of the distance as shown.
    """

    speed: Positive = 130.0
    top_share: NotNegative = 0.10
    switching_speed: NotNegative = 12.0
    time_interval: NotNegative = 1.0
    interval: NotNegative = 0.01


class Nothing(msgspec.Struct, array_like=True):
    """A trip is judged alone: nothing is remembered, under one name for all such checks."""


class Times:
    """Where a layout has the beginning and the end of a trip."""

    __slots__ = ("_end", "_start")

    def __init__(self, names: tuple[str, ...]) -> None:
        self._start, self._end = names.index("started_at"), names.index("ended_at")

    def duration(self, reading: Reading) -> float | None:
        """Seconds from the beginning to the end; None where one of them is missing."""
        start, end = reading.values[self._start], reading.values[self._end]
        if not isinstance(start, int) or not isinstance(end, int):
            return None
        return (end - start) / _SECOND


def number(reading: Reading, place: int | None) -> float | None:
    """A number of a reading; None where it has none."""
    value = None if place is None else reading.values[place]
    return value if isinstance(value, float) else None


def place_of(names: tuple[str, ...], name: str) -> int | None:
    """Where a layout has a quantity."""
    return names.index(name) if name in names else None


def trip_flag(
    reading: Reading,
    code: str,
    evidence: dict[str, Any],
    *,
    quantity: str,
    late: bool,
    severity: str | None = None,
) -> Flag:
    """A flag of a whole trip."""
    started = reading.quantities.get("started_at")
    return finding(
        reading,
        code,
        evidence | {"judged_late": late},
        occasion=occasion_of(reading),
        quantity=quantity,
        channel=reading.channel,
        severity=severity,
        since=started if isinstance(started, int) and started <= reading.measured_at else None,
    )


# -- distance ----------------------------------------------------------------------------------


def _distance(bound: Bound) -> SeriesCheck | None:
    names = bound.layout.names
    track, pulses = place_of(names, "gps_distance"), place_of(names, "pulses")
    if bound.layout.event != "trip" or "distance" not in names or track == pulses:
        return None
    at_distance, at_constant = names.index("distance"), place_of(names, "k_constant")
    settings = bound.settings.of(DISTANCE, DistanceSettings)

    def run(
        _memory: Nothing, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        distance = number(reading, at_distance)
        if distance is None:
            return
        length = number(reading, track)
        if length is not None:
            if length <= 0.0 < distance:
                bound.not_judged(DISTANCE, "no track")
            else:
                tolerance = max(settings.track_share * length, settings.track_floor)
                tolerance += settings.interval
                if abs(distance - length) > tolerance:
                    flag = _against_track(reading, distance, length, tolerance, late=late)
                    bound.emit(flag, flags)
        counted = number(reading, pulses)
        if counted is not None:
            constant = _constant(bound, reading, at) or number(reading, at_constant)
            if not constant or constant <= 0:
                bound.not_judged(DISTANCE, "no k_constant")
                return
            driven = counted / constant
            tolerance = settings.pulse_share * driven + settings.interval + 1 / constant
            if abs(distance - driven) > tolerance:
                flag = _against_pulses(
                    reading, distance, counted, constant, tolerance=tolerance, late=late
                )
                bound.emit(flag, flags)

    return SeriesCheck(_ALONE, Nothing, False, run)


def _constant(bound: Bound, reading: Reading, at: int) -> float | None:
    """The constant that the registry knows for the time of the trip."""
    device = valid_at(bound.devices, reading.device_id, at)
    told = device.parameters.get("k_constant") if device is not None else None
    return float(told) if isinstance(told, float | int) and not isinstance(told, bool) else None


def _against_track(
    reading: Reading, distance: float, length: float, tolerance: float, *, late: bool
) -> Flag:
    return trip_flag(
        reading,
        DISTANCE,
        {
            "observed": distance,
            "expected": length,
            "tolerance": tolerance,
            "unit": "km",
            "difference": distance - length,
            "formula": "distance - gps_distance",
            "inputs": {"distance": distance, "gps_distance": length},
        },
        quantity="gps_distance",
        late=late,
        severity="major" if distance > length else "minor",
    )


def _against_pulses(
    reading: Reading,
    distance: float,
    counted: float,
    constant: float,
    *,
    tolerance: float,
    late: bool,
) -> Flag:
    driven = counted / constant
    return trip_flag(
        reading,
        DISTANCE,
        {
            "observed": distance,
            "expected": driven,
            "tolerance": tolerance,
            "unit": "km",
            "difference": distance - driven,
            "formula": "distance - pulses / k_constant",
            "inputs": {"distance": distance, "pulses": counted, "k_constant": constant},
        },
        quantity="pulses",
        late=late,
        severity="critical" if distance > driven else "major",
    )


# -- waiting time ------------------------------------------------------------------------------


def _waiting(bound: Bound) -> SeriesCheck | None:
    names = bound.layout.names
    if bound.layout.event != "trip" or not {"waiting_time", "started_at", "ended_at"} <= set(names):
        return None
    times = Times(names)
    at_waiting = names.index("waiting_time")
    at_distance, at_top = place_of(names, "distance"), place_of(names, "max_speed")
    settings = bound.settings.of(WAITING, WaitingSettings)
    # Both ends and the waiting time are rounded.
    tolerance = 2 * settings.time_interval

    def run(
        _memory: Nothing, _track: Track, reading: Reading, _at: int, late: bool, flags: list[Flag]
    ) -> None:
        waiting, duration = number(reading, at_waiting), times.duration(reading)
        if waiting is None or waiting <= 0:
            return
        if duration is None or duration < 0:
            bound.not_judged(WAITING, "no beginning and end")
            return
        if waiting > duration + tolerance:
            flag = _longer(reading, waiting, duration, tolerance, late=late)
            bound.emit(flag, flags)
            return
        distance = number(reading, at_distance) or 0.0
        top = number(reading, at_top)
        speed = settings.speed
        if top is not None and top > settings.switching_speed:
            speed = min(speed, top * (1 + settings.top_share))
        # What cannot have been driven even without waiting is no matter of waiting.
        crept = settings.switching_speed * waiting / _HOUR
        left = max(0.0, distance - settings.interval - crept)
        driving = left / speed * _HOUR
        whole = max(0.0, distance - settings.interval) / speed * _HOUR
        if waiting + driving > duration + tolerance >= whole:
            flag = _no_time(
                reading, waiting, duration, driving, settings, speed=speed, distance=distance,
                late=late,
            )  # fmt: skip
            bound.emit(flag, flags)

    return SeriesCheck(_ALONE, Nothing, False, run)


def _longer(
    reading: Reading, waiting: float, duration: float, tolerance: float, *, late: bool
) -> Flag:
    return trip_flag(
        reading,
        WAITING,
        {
            "observed": waiting,
            "expected": {"high": duration},
            "tolerance": tolerance,
            "unit": "s",
            "difference": waiting - duration,
            "formula": "waiting_time <= ended_at - started_at",
            "inputs": {"waiting_time": waiting, "duration": duration},
        },
        quantity="waiting_time",
        late=late,
        severity="critical",
    )


def _no_time(
    reading: Reading,
    waiting: float,
    duration: float,
    driving: float,
    settings: WaitingSettings,
    *,
    speed: float,
    distance: float,
    late: bool,
) -> Flag:
    return trip_flag(
        reading,
        WAITING,
        {
            "observed": waiting,
            "expected": {"high": max(0.0, duration - driving)},
            "tolerance": 2 * settings.time_interval,
            "unit": "s",
            "difference": waiting + driving - duration,
            "formula": "waiting_time + 3600 * max(0, distance - interval"
            " - switching_speed * waiting_time / 3600) / speed <= ended_at - started_at",
            "inputs": {
                "waiting_time": waiting,
                "duration": duration,
                "distance": distance,
                "speed": speed,
                "switching_speed": settings.switching_speed,
                "interval": settings.interval,
            },
        },
        quantity="waiting_time",
        late=late,
    )


DISTANCE_MISMATCH: Final = Series(DISTANCE, DistanceSettings, _distance)
WAITING_TIME_MISMATCH: Final = Series(WAITING, WaitingSettings, _waiting)
