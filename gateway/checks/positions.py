"""Steps from one position of a taxi to the next that cannot be driven: ``impossible_speed``.

The great circle is the shortest way between two positions (mean radius of the earth, 6371.0088 km;
the ellipsoid differs by 0.6 % at most).  Satellite positions jump by themselves, so a step is not
believed by its size alone:

* a jump and back is a bad fix: a position is dropped when the next one is nearer to where the car
  was before it;
* the new place counts once ``confirm`` more positions continue from it at speeds that can be;
* a receiver without satellites repeats its last fix: the time of a position is that of the first
  reading that had it, so that what was driven in a tunnel is spread over the tunnel;
* the time between is that of the device or that of receipt, whichever is longer, so that a clock
  that was set back makes no speed;
* 0, 0 is no position, ``accuracy`` is taken off each step, and steps of more than ``gap`` seconds
  are not judged.
"""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from pydantic import Field

from gateway.checks.findings import finding
from gateway.checks.parameters import NotNegative, Positive, Settings
from gateway.checks.series import SeriesCheck
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

CODE: Final = "impossible_speed"
EARTH_KM: Final = 6371.0088
_SECOND: Final = 10**9
_HOUR: Final = 3_600.0
_DEGREE_KM: Final = 111.2


class SpeedSettings(Settings):
    """Speeds in km/h that a taxi does not reach.

    Attributes:
        mean: of a whole trip.
        top: at any moment, and between two positions.
        own_share: by how much the mean of a trip may pass its own ``max_speed``.
        time_interval: s, one step of a trip's times as shown.
        interval: km, one step of the distance as shown.
        accuracy: km, how far two positions of one place may be apart.
        gap: s, two positions farther apart in time are not compared.
        confirm: positions that must follow from a new place before it is believed.
    """

    mean: Positive = 130.0
    top: Positive = 160.0
    own_share: NotNegative = 0.10
    time_interval: NotNegative = 1.0
    interval: NotNegative = 0.01
    accuracy: NotNegative = 0.1
    gap: Positive = 1_800.0
    confirm: Annotated[int, Field(ge=1, le=20)] = 2


class Place(msgspec.Struct, array_like=True, gc=False):
    """A position in degrees, since when it was shown, and when that was received, ns.

    ``at`` is the instrument's word, whatever its place in the order: of a clock that is ahead the
    differences are right.
    """

    at: int
    received: int
    longitude: float
    latitude: float


class Way(msgspec.Struct, array_like=True):
    """Where the car was surely, where it may have jumped to, and where it went from there.

    ``followed`` counts the positions since the jump; ``seen`` is the time of the last reading.
    """

    last: Place | None = None
    jumped: Place | None = None
    newest: Place | None = None
    followed: int = 0
    seen: int = 0


def great_circle(a: Place, b: Place) -> float:
    """The shortest way between two positions, km (haversine)."""
    north_a, north_b = radians(a.latitude), radians(b.latitude)
    h = (
        sin((north_b - north_a) / 2) ** 2
        + cos(north_a) * cos(north_b) * sin(radians(b.longitude - a.longitude) / 2) ** 2
    )
    return 2 * EARTH_KM * asin(min(1.0, sqrt(h)))


def seconds_between(a: Place, b: Place) -> float:
    """From one position to a later one, by the clock that says more."""
    return max(b.at - a.at, b.received - a.received) / _SECOND


def positions_check(bound: Bound) -> SeriesCheck:
    """The check of a layout that has longitude and latitude."""
    names = bound.layout.names
    at_longitude, at_latitude = names.index("longitude"), names.index("latitude")
    settings = bound.settings.of(CODE, SpeedSettings)
    gap = round(settings.gap * _SECOND)
    follow = _Follower(settings).follow
    near = settings.accuracy / 2 / _DEGREE_KM

    def run(
        way: Way, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        longitude, latitude = reading.values[at_longitude], reading.values[at_latitude]
        if late or not isinstance(longitude, float) or not isinstance(latitude, float):
            return
        last = way.last
        if (
            last is not None
            and way.jumped is None
            and way.seen < at <= way.seen + gap
            and -near < latitude - last.latitude < near
            and -near < longitude - last.longitude < near
            and _on_earth(longitude, latitude)
        ):
            # Most steps are far below the accuracy, and worth no great circle.
            way.seen = at
            if last.longitude != longitude or last.latitude != latitude:
                last.at, last.received = reading.measured_at, reading.received_at
                last.longitude, last.latitude = longitude, latitude
            return
        if not _on_earth(longitude, latitude) or (last is not None and at <= way.seen):
            return
        here = Place(reading.measured_at, reading.received_at, longitude, latitude)
        fresh = last is None or at - way.seen > gap
        way.seen = at
        if fresh or last is None:
            way.last, way.jumped = here, None
        elif way.jumped is not None or last.longitude != longitude or last.latitude != latitude:
            jump = follow(way, last, here)
            if jump is not None:
                bound.emit(_flag(reading, last, jump, settings), flags)

    return SeriesCheck(CODE, Way, False, run)


def _on_earth(longitude: float, latitude: float) -> bool:
    return (longitude != 0.0 or latitude != 0.0) and abs(latitude) <= 90 and abs(longitude) <= 180


class _Follower:
    """Takes a way one position on."""

    def __init__(self, settings: SpeedSettings) -> None:
        self._accuracy = settings.accuracy
        self._top = settings.top
        self._confirm = settings.confirm

    def follow(self, way: Way, last: Place, here: Place) -> Place | None:
        """Tells where the way jumped to, once that is sure."""
        jumped, newest = way.jumped, way.newest
        if jumped is None or newest is None:
            if self._possible(last, here):
                way.last = here
            else:
                _doubt(way, here)
        elif great_circle(last, here) < great_circle(newest, here):
            # Back where it was: the jump was none of the car's.
            way.jumped = None
            if self._possible(last, here):
                way.last = here
        elif not self._possible(newest, here):
            _doubt(way, here)
        else:
            way.newest = here
            way.followed += 1
            if way.followed >= self._confirm:
                way.last, way.jumped = here, None
                return jumped
        return None

    def _possible(self, a: Place, b: Place) -> bool:
        seconds = seconds_between(a, b)
        return seconds <= 0 or great_circle(a, b) - self._accuracy <= self._top * seconds / _HOUR


def _doubt(way: Way, here: Place) -> None:
    way.jumped = way.newest = here
    way.followed = 0


def _flag(reading: Reading, last: Place, here: Place, settings: SpeedSettings) -> Flag:
    way, seconds = great_circle(last, here), seconds_between(last, here)
    return finding(
        reading,
        CODE,
        {
            "observed": (way - settings.accuracy) / seconds * _HOUR,
            "expected": {"high": settings.top},
            "tolerance": settings.accuracy,
            "unit": "km/h",
            "formula": "3600 * (great_circle - tolerance) / seconds; tolerance in km",
            "inputs": {
                "longitude": here.longitude,
                "latitude": here.latitude,
                "at": rfc3339(here.at),
                "other_longitude": last.longitude,
                "other_latitude": last.latitude,
                "other_at": rfc3339(last.at),
                "seconds": seconds,
                "great_circle": way,
                "confirmed_by": settings.confirm,
            },
            "judged_late": False,
        },
        occasion=f"{last.at} {here.at}",
        quantity="longitude",
        channel=reading.channel,
        since=last.at,
        until=here.at,
    )
