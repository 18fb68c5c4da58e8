"""A taxi and its meter: trips by the hour, a speed profile, a track on a street grid, the fare.

The meter counts steps of 10 m; its odometer and the trips are integers of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulators import tariffs
from simulators.clock import HOUR, MINUTE, SECOND, local_hour
from simulators.instrument import Body, Setting, day_curve, shown, start_register

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from random import Random

FULL_SCALE: Final = 10**9
"""Odometers have 7 digits before the point and 2 after it, in km."""

_STEP: Final = 20 * SECOND
_DEMAND: Final = day_curve(
    (3, 2, 1, 1, 1, 2, 4, 8, 10, 8, 7, 7, 8, 7, 7, 7, 8, 10, 10, 9, 9, 8, 7, 5)
)  # fmt: skip
_SPEED: Final = (55, 58, 60, 60, 60, 55, 45, 28, 24, 30, 34, 34, 34, 34, 34, 33, 29, 22, 22, 30, 36, 40, 45, 50)  # fmt: skip  # noqa: E501
"""Usual speed while moving, km/h, by hour."""


class _Track:
    """A point that drives along the lines of a street grid about the city's centre."""

    _CELL: Final = 400.0
    _CENTRE: Final = (116.40, 39.90)
    _REACH: Final = 40
    # metres per degree at 39.9 degrees north
    _PER_LONGITUDE: Final = 85_400.0
    _PER_LATITUDE: Final = 111_000.0

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._x = rng.randint(-20, 20)
        self._y = rng.randint(-20, 20)
        self._heading = rng.choice(((1, 0), (-1, 0), (0, 1), (0, -1)))
        self._along = 0.0

    def drive(self, metres: float) -> None:
        self._along += metres
        while self._along >= self._CELL:
            self._along -= self._CELL
            self._x += self._heading[0]
            self._y += self._heading[1]
            self._turn()

    def _turn(self) -> None:
        dx, dy = self._heading
        if abs(self._x) >= self._REACH or abs(self._y) >= self._REACH:
            # at the edge of the city: straight back towards its centre
            far_east = abs(self._x) >= abs(self._y)
            sign = -1 if (self._x if far_east else self._y) > 0 else 1
            self._heading = (sign, 0) if far_east else (0, sign)
        elif self._rng.random() < 0.35:
            self._heading = (dy, dx) if self._rng.random() < 0.5 else (-dy, -dx)

    @property
    def position(self) -> tuple[float, float]:
        """Longitude, latitude in degrees, six decimals (0.1 m)."""
        east = self._x * self._CELL + self._heading[0] * self._along
        north = self._y * self._CELL + self._heading[1] * self._along
        return (
            round(self._CENTRE[0] + east / self._PER_LONGITUDE, 6),
            round(self._CENTRE[1] + north / self._PER_LATITUDE, 6),
        )


class Taximeter:
    """One taxi.  It works one shift of 10 to 14 hours a day and stands still otherwise."""

    def __init__(self, setting: Setting) -> None:
        rng = setting.random("make")
        self._setting = setting
        self._rng = setting.random("trips")
        self._k = rng.choice((1000, 1000, 1000, 800, 1200))
        self._odometer = start_register(rng, (2 * 10**6, 4 * 10**7), FULL_SCALE, 5_000)
        self._occupied = self._odometer * rng.randint(55, 70) // 100
        self._pulses = self._odometer * self._k // 100
        self._shift = (rng.choice((5, 6, 7, 16, 17)), rng.randint(10, 14))
        self._short = rng.uniform(0.010, 0.017)
        self._track = _Track(rng)
        self._due = setting.start + rng.randrange(setting.interval)
        self._speed = 0.0
        self._step = min(_STEP, setting.interval)
        # the longest stretch of one step that still counts as waiting, in 10 m
        self._crawl = int(tariffs.SWITCHING_SPEED / 3.6 * self._step / SECOND / 10)

    def parameters(self) -> Body:
        """K, tariff, zone and currency."""
        return {
            "time_zone": "Asia/Shanghai",
            "currency": "CNY",
            "k_constant": self._k,
            "tariff": tariffs.NAME,
        }

    def readings(self) -> Iterator[tuple[int, Body]]:
        """A position every interval, a trip when it ends."""
        now = self._setting.start + self._rng.randrange(MINUTE)
        while True:
            if self._on_duty(now):
                # thinning: a fare is found sooner in the busy hours
                wait = self._rng.expovariate(_DEMAND[local_hour(now)] / (14 * MINUTE))
                pause = now + max(2 * MINUTE, min(HOUR, round(wait)))
                now = yield from self._cruise(now, pause)
                now = yield from self._trip(now)
            else:
                now = yield from self._stand(now)

    def _on_duty(self, at: int) -> bool:
        begin, hours = self._shift
        return (local_hour(at) - begin) % 24 < hours

    def _move(self, steps: int, speed: float) -> None:
        """Advances by a number of 10 m steps."""
        self._odometer += steps
        self._pulses = self._odometer * self._k // 100
        self._track.drive(steps * 10.0)
        self._speed = speed

    def _reports(self, until: int, *, occupied: bool) -> Iterator[tuple[int, Body]]:
        """The periodic messages due before ``until``."""
        while self._due < until:
            longitude, latitude = self._track.position
            yield (
                self._due,
                {
                    "type": "periodic",
                    "seq": 0,
                    "ts": self._due,
                    "total_distance": shown(self._odometer, 2, FULL_SCALE),
                    "occupied_distance": shown(self._occupied, 2, FULL_SCALE),
                    "speed": self._speed,
                    "longitude": longitude,
                    "latitude": latitude,
                    "occupied": occupied,
                    "pulses": self._pulses,
                },
            )
            self._due += self._setting.interval

    def _stand(self, now: int) -> Generator[tuple[int, Body], None, int]:
        until = now + 10 * MINUTE
        self._speed = 0.0
        yield from self._reports(until, occupied=False)
        return until

    def _cruise(self, now: int, until: int) -> Generator[tuple[int, Body], None, int]:
        while now < until:
            self._leg(now)
            now += self._step
            yield from self._reports(now, occupied=False)
        return now

    def _leg(self, now: int) -> int:
        """Drives one step and returns its length in 10 m: a stop, a crawl or a drive."""
        rng = self._rng
        draw = rng.random()
        if draw < 0.14:
            steps = 0
        elif draw < 0.22:
            steps = rng.randint(0, self._crawl)
        else:
            metres_a_second = _SPEED[local_hour(now)] / 3.6 * rng.uniform(0.6, 1.4)
            steps = max(self._crawl + 1, round(metres_a_second * self._step / SECOND / 10))
        self._move(steps, round(steps * 36 * SECOND / self._step, 1))
        return steps

    def _trip(self, now: int) -> Generator[tuple[int, Body], None, int]:
        rng = self._rng
        # mostly short trips, now and then to the airport
        target = rng.randint(1_600, 4_500) if rng.random() < 0.06 else rng.randint(120, 1_400)
        started, fastest, fare = now, 0.0, tariffs.Fare()
        while fare.distance < target:
            steps = self._leg(now)
            fare.add(steps, self._step if self._speed < tariffs.SWITCHING_SPEED else 0, now)
            self._occupied += steps
            fastest = max(fastest, self._speed)
            now += self._step
            yield from self._reports(now, occupied=True)
        yield now, self._receipt(started, now, fare, fastest)
        return now + SECOND

    def _receipt(self, started: int, ended: int, fare: tariffs.Fare, fastest: float) -> Body:
        return {
            "type": "trip",
            "seq": 0,
            "ts": ended,
            "started_at": started,
            "ended_at": ended,
            "distance": fare.distance / 100,
            "waiting_time": fare.waiting // SECOND,
            "fare": float(fare.shown),
            "surcharge": tariffs.SURCHARGE,
            "k_constant": self._k,
            # a track cuts corners: 1 to 2 % short of the road
            "gps_distance": round(
                fare.distance / 100 * (1 - self._short - self._rng.uniform(-0.002, 0.003)), 2
            ),
            "max_speed": fastest,
            "tariff": tariffs.NAME,
        }
