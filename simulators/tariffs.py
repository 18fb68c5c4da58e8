"""The taxi tariff of Beijing since 2013-06-10, in integers, as a meter computes it.

13 CNY for the first 3 km, then 2.30 CNY/km; beyond 15 km half as much again (empty return); from
23:00 to 5:00 a fifth more; each full 5 minutes of waiting or driving below 12 km/h cost the base
price of 1 km, of 2 km from 7 to 9 and from 17 to 19 h.  The flagfall has no night rate, and
waiting has no empty-return rate ("租价, 不含空驶费").  The fare shown is rounded half up to
1 CNY and leaves out the fuel surcharge of 1 CNY a trip, which is sent beside it.

Distances are integers of 10 m, times milliseconds, money integers of 1e-6 CNY.
"""

from __future__ import annotations

from typing import Final

from simulators.clock import SECOND, local_hour
from simulators.instrument import half_up

NAME: Final = "beijing-2013"
SURCHARGE: Final = 1.0
SWITCHING_SPEED: Final = 12.0
"""km/h; below it time is charged instead of nothing."""

_CNY: Final = 1_000_000
_FLAGFALL: Final = 13 * _CNY
_INCLUDED: Final = 300
_RETURN: Final = 1500
_BASE: Final = 23_000
"""2.30 CNY/km for 10 m."""
_WAIT: Final = 300 * SECOND


def is_night(at: int) -> bool:
    """23:00 to 5:00 at the instruments."""
    hour = local_hour(at)
    return hour >= 23 or hour < 5


def is_peak(at: int) -> bool:
    """7 to 9 and 17 to 19 h, when waiting costs double."""
    return local_hour(at) in (7, 8, 17, 18)


class Fare:
    """A running fare: the meter adds each stretch as it is driven, at the rate of that moment."""

    def __init__(self) -> None:
        self.distance = 0
        self.waiting = 0
        self._charged = 0

    def add(self, distance: int, waiting: int, at: int, *, night: bool | None = None) -> None:
        """Adds a stretch that begins at ``at``.

        Args:
            distance: driven, in 10 m.
            waiting: of this, time below the switching speed, in ms.
            at: begin of the stretch; it decides night and peak rates.
            night: overrides the clock: what a meter does whose night switch is abused.
        """
        rate = 6 if (is_night(at) if night is None else night) else 5
        before, after = self.distance, self.distance + distance
        single = max(0, min(after, _RETURN) - max(before, _INCLUDED))
        beyond = max(0, after - max(before, _RETURN))
        self._charged += (2 * single + 3 * beyond) * _BASE * rate // 10
        self.distance = after
        units = (self.waiting + waiting) // _WAIT - self.waiting // _WAIT
        self.waiting += waiting
        self._charged += units * (2 if is_peak(at) else 1) * 100 * _BASE * rate // 5

    @property
    def exact(self) -> int:
        """The fare before rounding, in 1e-6 CNY."""
        return _FLAGFALL + self._charged

    @property
    def shown(self) -> int:
        """The fare as displayed: whole CNY, halves upward."""
        return half_up(self.exact, _CNY)


def whole_trip(distance: int, waiting: int, at: int, *, night: bool) -> int:
    """The displayed fare of a trip taken in one piece, in whole CNY."""
    fare = Fare()
    fare.add(distance, waiting, at, night=night)
    return fare.shown
