"""A taxi and its meter: trips by the hour, a speed profile, a track through the city, the fare.

The wheel gives pulses, somewhat more a kilometre the more its tyre is worn; the meter divides them
by K and counts steps of 10 m, of which its odometer and the trips are integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from simulators import tariffs
from simulators.clock import DAY, HOUR, LOCAL_OFFSET, MINUTE, SECOND, local_day, local_hour, rfc3339
from simulators.instrument import Body, Setting, Version, day_curve, shown, start_register
from simulators.streets import Drive

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

FULL_SCALE: Final = 10**9
"""Odometers have 7 digits before the point and 2 after it, in km."""

_STEP: Final = 20 * SECOND
_LONGEST: Final = 4 * HOUR
_SHORTEST: Final = 80
"""Nobody takes a taxi for less, in 10 m."""

_YEAR: Final = 365 * DAY
_DEMAND: Final = day_curve(
    (3, 2, 1, 1, 1, 2, 4, 8, 10, 8, 7, 7, 8, 7, 7, 7, 8, 10, 10, 9, 9, 8, 7, 5)
)  # fmt: skip
_SPEED: Final = (55, 58, 60, 60, 60, 55, 45, 28, 24, 30, 34, 34, 34, 34, 34, 33, 29, 22, 22, 30, 36, 40, 45, 50)  # fmt: skip  # noqa: E501
"""Usual speed while moving, km/h, by hour."""


class Tuning(NamedTuple):
    """How the meter measures a stretch: what a cheat may alter.

    It divides pulses by ``k_used`` and tells ``k_told``, both a km; ``pulses`` are given for each
    true one, and ``idle`` ms of waiting are added to each ms driven.
    """

    k_used: float
    k_told: int
    pulses: float = 1.0
    idle: float = 0.0


class Taximeter:
    """One taxi.  It works one shift of 10 to 14 hours a day and stands still otherwise.

    Half of them are verified anew within two months, with other tyres and so another K.
    """

    def __init__(self, setting: Setting) -> None:
        rng = setting.random("make")
        self._setting = setting
        self._rng = setting.random("trips")
        first = rng.choice((1000, 1000, 1000, 800, 1200))
        self._odometer = start_register(rng, (2 * 10**6, 4 * 10**7), FULL_SCALE, 5_000)
        self._occupied = self._odometer * rng.randint(55, 70) // 100
        self._pulses = self._odometer * first // 100
        self._shift = (rng.choice((5, 6, 7, 16, 17)), rng.randint(10, 14))
        self._drive = Drive(setting.seed, setting.random("way"), rng.uniform(0.010, 0.016))
        self._due = setting.start + rng.randrange(setting.interval)
        # error of the installed meter, within the -4 to +1 % of JJG 517, and what wear adds a year
        self._error = rng.uniform(-0.012, 0.002)
        self._wear = rng.uniform(0.0, 0.02)
        self._parts = [0.0, 0.0]
        self._speed = 0.0
        self._step = min(_STEP, setting.interval)
        # the longest stretch of one step that still counts as waiting, in 10 m
        self._crawl = int(tariffs.SWITCHING_SPEED / 3.6 * self._step / SECOND / 10)
        self._constants = [(0, first), *self._later(first)]
        self.tune: Callable[[int, Tuning], Tuning] = _leave
        """Set by a cheat; called with the begin of a trip or ride and how the meter measures."""

    def _later(self, first: int) -> list[tuple[int, int]]:
        """A verification in the hours off duty: since when another K holds."""
        rng = self._setting.random("visit")
        day = local_day(self._setting.start) + rng.randint(3, 60)
        constant = round(first * (1 + rng.choice((-1, 1)) * rng.uniform(0.004, 0.012)))
        if rng.random() < 0.5:
            return []
        return [(day * DAY - LOCAL_OFFSET + (self._shift[0] - 2) % 24 * HOUR, constant)]

    def parameters(self) -> Body:
        """K, tariff, zone and currency."""
        return {
            "time_zone": "Asia/Shanghai",
            "currency": "CNY",
            "k_constant": self._constants[0][1],
            "tariff": tariffs.NAME,
        }

    def versions(self) -> list[Version]:
        """The verification with another K."""
        return [
            Version(
                since,
                {
                    "verified_at": rfc3339(since),
                    "verified_until": rfc3339(since + _YEAR),
                    "certificate": f"SIM-{self._setting.device_id}-2",
                },
                self.parameters() | {"k_constant": constant},
            )
            for since, constant in self._constants[1:]
        ]

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

    def _tuning(self, at: int) -> Tuning:
        constant = self._certified(at)
        return self.tune(at, Tuning(constant, constant))

    def _certified(self, at: int) -> int:
        return next(k for since, k in reversed(self._constants) if since <= at)

    def _reports(self, until: int, *, occupied: bool) -> Iterator[tuple[int, Body]]:
        """The periodic messages due before ``until``; under the ground there is no position."""
        while self._due < until:
            position = self._drive.position
            place = {} if position is None else {"longitude": position[0], "latitude": position[1]}
            yield (
                self._due,
                {
                    "type": "periodic",
                    "seq": 0,
                    "ts": self._due,
                    "total_distance": shown(self._odometer, 2, FULL_SCALE),
                    "occupied_distance": shown(self._occupied, 2, FULL_SCALE),
                    "speed": self._speed,
                    **place,
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
        tuning = self._tuning(now)
        while now < until:
            if self._drive.arrived:
                self._drive.head_for(2_000)
            self._leg(now, tuning)
            now += self._step
            yield from self._reports(now, occupied=False)
        return now

    def _leg(self, now: int, tuning: Tuning) -> int:
        """Drives one step, a stop, a crawl or a drive; gives what the meter counts, in 10 m."""
        rng = self._rng
        draw = rng.random()
        if draw < 0.14:
            metres = 0.0
        elif draw < 0.22:
            metres = rng.randint(0, self._crawl) * 10.0
        else:
            metres_a_second = _SPEED[local_hour(now)] / 3.6 * rng.uniform(0.6, 1.4)
            metres = max(self._crawl * 10.0 + 10, metres_a_second * self._step / SECOND)
        driven = self._drive.go(metres)
        return self._count(driven, now, tuning)

    def _count(self, metres: float, now: int, tuning: Tuning) -> int:
        """Turns the wheel: pulses, and the meter's steps of 10 m."""
        worn = self._error + self._wear * (now - self._setting.start) / _YEAR
        pulses = metres / 1000 * self._certified(now) * (1 + worn) * tuning.pulses
        self._parts[0] += pulses
        self._parts[1] += pulses * 100 / tuning.k_used
        whole, steps = int(self._parts[0]), int(self._parts[1])
        self._parts[0] -= whole
        self._parts[1] -= steps
        self._pulses += whole
        self._odometer += steps
        self._speed = round(steps * 36 * SECOND / self._step, 1)
        return steps

    def _trip(self, now: int) -> Generator[tuple[int, Body], None, int]:
        rng = self._rng
        # mostly short trips, now and then to the airport
        target = rng.uniform(16e3, 35e3) if rng.random() < 0.06 else rng.uniform(1.2e3, 14e3)
        self._drive.head_for(target)
        started, fastest, fare, tuning = now, 0.0, tariffs.Fare(), self._tuning(now)
        tracked = self._drive.tracked
        while now < started + _LONGEST:
            if self._drive.arrived:
                if fare.distance >= _SHORTEST:
                    break
                self._drive.head_for(2_000)
            steps = self._leg(now, tuning)
            waited = self._step if self._speed < tariffs.SWITCHING_SPEED else 0
            fare.add(steps, waited + round(self._step * tuning.idle), now)
            self._occupied += steps
            fastest = max(fastest, self._speed)
            now += self._step
            yield from self._reports(now, occupied=True)
        tracked = (self._drive.tracked - tracked) * (1 + rng.uniform(-0.003, 0.003))
        yield (
            now,
            self._receipt(
                started, now, fare, fastest=fastest, tracked=tracked, constant=tuning.k_told
            ),
        )
        return now + SECOND

    def _receipt(
        self,
        started: int,
        ended: int,
        fare: tariffs.Fare,
        *,
        fastest: float,
        tracked: float,
        constant: int,
    ) -> Body:
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
            "k_constant": constant,
            "gps_distance": round(tracked / 1000, 2),
            "max_speed": fastest,
            "tariff": tariffs.NAME,
        }


def _leave(at: int, tuning: Tuning) -> Tuning:
    """An honest meter measures as it was verified."""
    del at
    return tuning
