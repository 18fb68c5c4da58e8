"""Buried tanks of a station: what is in them, how warm it is, and what their gauge shows.

A tank keeps its content as litres at 20 Cel, China's base (GB/T 1885), so that fuel that warms or
cools neither comes nor goes.  The factors are those of API MPMS 11.1 (ASTM D1250).
"""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING, Final, NamedTuple

from simulators.clock import DAY, HOUR, MINUTE, local_day

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from simulators.instrument import Body, Setting

CAPACITY: Final = 30_000
"""Litres of every tank."""

GAUGE_NOISE: Final = 1.5
"""Litres, one standard deviation of a gauge reading."""

_LOW, _FULL = 0.25, 0.95
_RELAX: Final = 2 * DAY
"""Time in which a tank's fuel comes to within 1/e of the temperature of the ground."""


def alpha(density_15: float) -> float:
    """Expansion at 15 Cel, 1/K, by density at 15 Cel in kg/m3 (API MPMS 11.1, refined products)."""
    if density_15 < 770.3:
        return 346.4228 / density_15**2 + 0.4388 / density_15
    if density_15 < 787.5:
        return -0.00336312 + 2680.3206 / density_15**2
    if density_15 < 838.3:
        return 594.5418 / density_15**2
    return 186.9696 / density_15**2 + 0.4862 / density_15


def to_15(temperature: float, density_15: float) -> float:
    """Volume at 15 Cel of one litre at ``temperature``."""
    warmth = alpha(density_15) * (temperature - 15)
    return exp(-warmth * (1 + 0.8 * warmth))


def to_20(temperature: float, density_15: float) -> float:
    """Volume at 20 Cel of one litre at ``temperature``."""
    return to_15(temperature, density_15) / to_15(20.0, density_15)


def ground(at: int) -> float:
    """Buried tanks follow the season slowly: 8 to 24 degrees, warmest at the end of August."""
    day = local_day(at) % 365
    return 16.0 + 8.0 * (1 - abs((day - 240 + 182) % 365 - 182) / 91)


class _Flow(NamedTuple):
    """Litres at 20 Cel that come (or go: negative) evenly within a span."""

    since: int
    until: int
    litres: float


class Tank:
    """One tank.

    Flows may be told before their time; what the tank holds is asked for in the order of time.

    Args:
        name: of the gauge's channel.
        product: what is in it.
        density: at 15 Cel, kg/m3.
        setting: of the device that draws the tank's chances.
    """

    def __init__(self, name: str, product: str, density: float, setting: Setting) -> None:
        self.name = name
        self.product = product
        self.density = density
        self._rng: Random = setting.random(f"tank/{name}")
        self._settled = setting.start
        self._litres = self._rng.uniform(0.4, 0.9) * CAPACITY
        self._flows: list[_Flow] = []
        # what petrol breathes out, litres a day; diesel doesn't
        self._breath = 0.4 if density < 800 else 0.0
        # from when on the fuel was warmer than the ground, and by how much then
        self._warmth = [(setting.start, 0.0)]
        self._watched_from: int | None = None
        self.drawn = 0.0
        """Litres that nozzles took since the tank is watched."""

    def temperature(self, at: int) -> float:
        """Of the fuel: that of the ground, and for some days what a delivery left of its own."""
        mixed, warmer = next((m for m in reversed(self._warmth) if m[0] <= at), self._warmth[0])
        return ground(at) + warmer * exp(-max(0, at - mixed) / _RELAX)

    def flow(self, since: int, until: int, litres: float) -> None:
        """Litres at 20 Cel come, or go when negative, evenly within the span."""
        self._flows.append(_Flow(since, max(until, since + 1), litres))

    def draw(self, since: int, until: int, litres: float, temperature: float) -> None:
        """A nozzle takes litres of this temperature out; petrol loses a little more as vapour."""
        if self._watched_from is not None and since >= self._watched_from:
            self.drawn += litres
        vapour = 1.0002 if self._breath else 1.0
        self.flow(since, until, -litres * to_20(temperature, self.density) * vapour)

    def watch(self, since: int) -> None:
        """Counts in ``drawn`` what nozzles take from now on."""
        self._watched_from = since

    def content(self, at: int) -> float:
        """Litres at 20 Cel that are in it now; ``at`` never falls from call to call."""
        self._litres -= self._breath * (at - self._settled) / DAY
        self._settled = at
        left = []
        under_way = 0.0
        for each in self._flows:
            if each.until <= at:
                self._litres += each.litres
            else:
                left.append(each)
                done = max(0, at - each.since) / (each.until - each.since)
                under_way += each.litres * done
        self._flows = left
        self._fill(at)
        return self._litres + under_way

    def _fill(self, at: int) -> None:
        """A tanker comes some hours after the tank has become low, and empties in half an hour."""
        mixed, before = self._warmth[-1]
        if at < mixed or self._litres > _LOW * CAPACITY:
            return
        rng = self._rng
        begins = at + rng.randint(HOUR, 6 * HOUR)
        ends = begins + rng.randint(15 * MINUTE, 30 * MINUTE)
        room = int(_FULL * CAPACITY - self._litres) // 1000
        litres = rng.randint(12, max(12, min(20, room))) * 1000.0
        # the tanker's fuel is colder or warmer than the ground, and mixes with what is there
        warmer = rng.uniform(-5.0, 5.0)
        rest = max(0.0, self._litres)
        before *= exp(-(ends - mixed) / _RELAX)
        self._warmth = [
            self._warmth[-1],
            (ends, (before * rest + warmer * litres) / (rest + litres)),
        ]
        self.flow(begins, ends, litres)

    def leak(self, since: int, litres_an_hour: float) -> None:
        """From ``since`` on the tank loses fuel through a hole, for good."""
        self.flow(since, since + 1000 * DAY, -litres_an_hour * 24_000)


class Gauge:
    """The probes of some tanks, read together.

    Args:
        tanks: what it reads.
        setting: of the device that sends the readings.
        interval: between two readings, ms.
    """

    def __init__(self, tanks: tuple[Tank, ...], setting: Setting, interval: int) -> None:
        self.tanks = tanks
        self._rng = setting.random("gauge")
        self._first = setting.start + self._rng.randrange(interval)
        self._interval = interval

    def times(self) -> Iterator[int]:
        """When it reads, without end."""
        at = self._first
        while True:
            yield at
            at += self._interval

    def read(self, at: int) -> Iterator[Body]:
        """Gross volume, temperature and water of every tank, with the noise of the probes."""
        rng = self._rng
        for tank in self.tanks:
            content, temperature = tank.content(at), tank.temperature(at)
            gross = content / to_20(temperature, tank.density)
            yield {
                "type": "tank",
                "seq": 0,
                "ts": at,
                "tank": tank.name,
                "volume": round(max(0.0, gross + rng.gauss(0, GAUGE_NOISE)), 1),
                "temperature": round(temperature + rng.gauss(0, 0.03), 1),
                "water_height": round(abs(rng.gauss(8, 0.5)), 1),
            }

    def parameters(self) -> Body:
        """What the registry knows of the tanks, by channel."""
        return {
            tank.name: {
                "product": tank.product,
                "capacity": CAPACITY,
                "density_15": tank.density,
            }
            for tank in self.tanks
        }
