"""A city made by the seed: streets that join crossings, some bent, a few of them tunnels.

Crossings stand in a grid of 101 x 101, some 450 m apart and none of them exactly; one street in
twelve is missing.  Positions are metres east and north of the centre.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from math import cos, hypot, pi, sin
from random import Random
from typing import Final, NamedTuple

SPAN: Final = 101
"""Crossings along each side of the city."""

CELL: Final = 450.0
"""Metres between neighbouring crossings, before they are moved about."""

_CENTRE: Final = (116.40, 39.90)
# metres per degree at 39.9 degrees north
_PER_LONGITUDE: Final = 85_400.0
_PER_LATITUDE: Final = 111_000.0
_MISSING: Final = 1 / 12
_TUNNELS: Final = 1 / 40


class Street(NamedTuple):
    """A street between two crossings: metres along the road and as the crow flies."""

    length: float
    chord: float
    tunnel: bool


class City:
    """The streets of one run.

    Args:
        seed: of the run.
    """

    def __init__(self, seed: int) -> None:
        rng = Random(f"{seed}/city")
        half = (SPAN - 1) / 2
        self.crossings = [
            (
                (number % SPAN - half) * CELL + rng.uniform(-90, 90),
                (number // SPAN - half) * CELL + rng.uniform(-90, 90),
            )
            for number in range(SPAN * SPAN)
        ]
        self.streets: list[dict[int, Street]] = [{} for _ in self.crossings]
        for here in range(SPAN * SPAN):
            for there in (here + 1 if (here + 1) % SPAN else -1, here + SPAN):
                if 0 <= there < SPAN * SPAN and rng.random() > _MISSING:
                    self._join(here, there, rng)

    def _join(self, here: int, there: int, rng: Random) -> None:
        chord = self.distance(here, there)
        tunnel = rng.random() < _TUNNELS
        bend = rng.uniform(1.02, 1.10) if tunnel else 1 + rng.random() ** 3 * 0.08
        street = Street(chord * bend, chord, tunnel)
        self.streets[here][there] = self.streets[there][here] = street

    def distance(self, here: int, there: int) -> float:
        """Metres between two crossings as the crow flies."""
        (x, y), (u, v) = self.crossings[here], self.crossings[there]
        return hypot(u - x, v - y)

    def crossing_at(self, x: float, y: float) -> int:
        """A crossing near a position; outside of the city one at its edge."""
        column = min(SPAN - 1, max(0, round(x / CELL + (SPAN - 1) / 2)))
        row = min(SPAN - 1, max(0, round(y / CELL + (SPAN - 1) / 2)))
        return row * SPAN + column


@lru_cache(maxsize=2)
def city(seed: int) -> City:
    """The city of a run: all taxis of a run drive in the same."""
    return City(seed)


class Drive:
    """A car that finds its way through the streets, crossing by crossing.

    ``tracked`` are the metres of its satellite track so far: a little short of the road on bends,
    and the straight line from mouth to mouth where there is no sky.

    Args:
        seed: of the run.
        rng: of the car.
        short: share by which its track is short on open roads.
    """

    def __init__(self, seed: int, rng: Random, short: float) -> None:
        self._city = city(seed)
        self._rng = rng
        self._short = short
        middle = self._city.crossing_at(rng.uniform(-9000, 9000), rng.uniform(-9000, 9000))
        self._here = self._there = middle
        self._street = Street(0.0, 0.0, tunnel=False)
        self._along = 0.0
        self._goal = middle
        self._been: Counter[int] = Counter()
        self._left = 0
        self.tracked = 0.0

    def head_for(self, metres: float) -> None:
        """Chooses a place about so far away by road."""
        x, y = self._city.crossings[self._there]
        angle = self._rng.uniform(0, 2 * pi)
        # a grid's roads are 4/pi times as long as straight lines on average
        straight = metres * pi / 4
        to = self._city.crossing_at(x + straight * cos(angle), y + straight * sin(angle))
        self._goal = to
        self._been = Counter((self._there,))
        self._left = 15 + int(2.5 * self._city.distance(self._there, to) / CELL)

    @property
    def arrived(self) -> bool:
        """Whether it stands at its goal."""
        return self._there == self._goal and self._along >= self._street.length

    def go(self, metres: float) -> float:
        """Drives on, and stops at its goal; gives the metres that it really drove."""
        left = metres
        while left > 0 and not self.arrived:
            step = min(left, self._street.length - self._along)
            self._along += step
            left -= step
            street = self._street
            if step:
                share = street.chord / street.length if street.tunnel else 1 - self._short
                self.tracked += step * share
            if self._along >= street.length and not self.arrived:
                self._turn()
        return metres - left

    def _turn(self) -> None:
        """Takes the street that leads closest to the goal, of those it has been to least."""
        here = self._there
        ways = self._city.streets[here]
        if not ways:
            self._goal = here
            return
        least = min(self._been[there] for there in ways)
        fresh = [there for there in ways if self._been[there] == least]
        distance = self._city.distance
        nearest = min(fresh, key=lambda there: distance(there, self._goal))
        if len(fresh) > 1 and self._rng.random() < 0.05:
            nearest = self._rng.choice(fresh)
        self._been[nearest] += 1
        self._left -= 1
        if not self._left:
            # it is lost: the passenger walks the rest
            self._goal = nearest
        self._here, self._there = here, nearest
        self._street = self._city.streets[here][nearest]
        self._along = 0.0

    @property
    def position(self) -> tuple[float, float] | None:
        """Longitude, latitude in degrees, six decimals (0.1 m); None in a tunnel."""
        if self._street.tunnel and 0 < self._along < self._street.length:
            return None
        share = self._along / self._street.length if self._street.length else 0.0
        (x, y), (u, v) = self._city.crossings[self._here], self._city.crossings[self._there]
        return (
            round(_CENTRE[0] + (x + (u - x) * share) / _PER_LONGITUDE, 6),
            round(_CENTRE[1] + (y + (v - y) * share) / _PER_LATITUDE, 6),
        )
