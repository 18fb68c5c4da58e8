"""The weather that all devices of a run share: Beijing's seasons, days of their own, the sun."""

from __future__ import annotations

from functools import lru_cache
from math import cos, pi
from random import Random
from typing import Final

from simulators.clock import DAY, LOCAL_OFFSET, local_day, local_hour

_MEAN: Final = 12.5
_SWING: Final = 16.0
_COLDEST: Final = 15
_BY_HOUR: Final = tuple(4.0 * cos(2 * pi * (hour - 15) / 24) for hour in range(24))
_SUN: Final = (0, 0, 0, 0, 0, 0, 0.02, 0.1, 0.28, 0.48, 0.65, 0.76, 0.8, 0.76, 0.65, 0.48, 0.28, 0.1, 0.02, 0, 0, 0, 0, 0)  # fmt: skip  # noqa: E501


@lru_cache(maxsize=4096)
def _day(seed: int, day: int) -> tuple[float, float]:
    """Mean temperature and clearness of a local day."""
    rng = Random(f"{seed}/weather/{day}")
    usual = _MEAN - _SWING * cos(2 * pi * (day % 365.25 - _COLDEST) / 365.25)
    return usual + rng.gauss(0, 2.5), rng.uniform(0.15, 1.0)


def outdoors(seed: int, at: int) -> float:
    """The outdoor temperature, degrees Celsius."""
    return _day(seed, local_day(at))[0] + _BY_HOUR[local_hour(at)]


def sunshine(seed: int, at: int) -> float:
    """The output of solar panels in parts of what they can do at most."""
    return _SUN[local_hour(at)] * _day(seed, local_day(at))[1]


@lru_cache(maxsize=4096)
def _heated(day: int) -> bool:
    # day of the year, good to a day: where the season's end falls matters to nobody
    return not 74 <= day % 365.25 < 319


def heating_season(at: int) -> bool:
    """Whether houses are heated: from the middle of November to the middle of March."""
    return _heated(local_day(at))


def midnight(at: int) -> int:
    """The last local midnight at or before a time."""
    return (at + LOCAL_OFFSET) // DAY * DAY - LOCAL_OFFSET
