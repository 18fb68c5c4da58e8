"""A household's water meter: draws by the hour into a register of litres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulators.clock import HOUR, local_hour
from simulators.instrument import Body, Setting, day_curve, start_register

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL_SCALE: Final = 10**9
"""Registers have 6 digits before the point and 3 after it, in m3."""

Q3: Final = 2.5
"""Permanent flow rate of a DN15 meter, m3/h."""

_USE: Final = day_curve(
    (1, 0.5, 0.3, 0.3, 0.5, 2, 6, 10, 8, 5, 4, 5, 6, 4, 3, 3, 4, 7, 10, 11, 10, 8, 5, 2)
)  # fmt: skip
_DRAWS: Final = (
    *((2, 8, 360),) * 10,
    *((5, 12, 420),) * 6,
    *((30, 90, 540),) * 2,
    (40, 70, 700),
)
"""What people draw: least and most litres, litres an hour; taps often, baths seldom."""


class WaterMeter:
    """One DN15 meter (Q3 2.5 m3/h), in the right way round and without a leak."""

    def __init__(self, setting: Setting) -> None:
        rng = setting.random("make")
        self._setting = setting
        self._rng = setting.random("use")
        self._show = setting.random("show").random
        self._register = start_register(rng, (5_000, 2_500_000), FULL_SCALE, 300)
        self._draws_a_day = rng.uniform(15, 50)
        self._battery = round(rng.uniform(3.5, 3.65), 2)
        self._pressure = rng.uniform(240, 360)
        self._season = rng.uniform(9, 16)
        # pressure shocks let a few litres back over the years
        self._reverse = rng.randrange(200) / 1000
        self._draw_until = 0.0
        self._draw_rate = 0.0
        self._litres = 0.0

    def parameters(self) -> Body:
        """Zone and the meter's flow rates: R 100 (ISO 4064: Q2/Q1 1.6, Q4/Q3 1.25)."""
        return {"time_zone": "Asia/Shanghai", "q1": 0.025, "q2": 0.04, "q3": Q3, "q4": 3.125}

    def readings(self) -> Iterator[tuple[int, Body]]:
        """Register and flow every interval."""
        interval = self._setting.interval
        at = self._setting.start + self._rng.randrange(interval)
        while True:
            self.consume(at - interval, at)
            yield at, self.report(at)
            at += interval

    def consume(self, since: int, until: int) -> int:
        """Whole litres by which the register moves in the span."""
        litres = self._litres + self._drawn(since, until)
        whole = int(litres)
        self._register += whole
        self._litres = litres - whole
        return whole

    def _drawn(self, since: int, until: int) -> float:
        """Litres that run through in the span; a draw may reach past its end."""
        rng = self._rng
        litres = 0.0
        now = float(since)
        while True:
            if self._draw_until > now:
                end = min(self._draw_until, until)
                litres += self._draw_rate * (end - now) / HOUR
                now = end
            if now >= until:
                return litres
            rate = self._draws_a_day * _USE[local_hour(int(now))] / (24 * HOUR)
            # the next draw, or the end of this hour, where another rate begins
            now = min(now + rng.expovariate(rate), (int(now) // HOUR + 1) * float(HOUR))
            if now < until and now % HOUR:
                low, high, self._draw_rate = _DRAWS[int(rng.random() * len(_DRAWS))]
                self._draw_until = now + rng.uniform(low, high) / self._draw_rate * HOUR

    def report(self, at: int) -> Body:
        """The message of a moment."""
        show = self._show
        flowing = self._draw_until > at
        return {
            "type": "periodic",
            "seq": 0,
            "ts": at,
            "volume": self._register % FULL_SCALE / 1000,
            "volume_reverse": self._reverse,
            "flow_rate": round(self._draw_rate / 1000, 3) if flowing else 0.0,
            "temperature": round(self._season + (show() - 0.5) * 2, 1),
            "pressure": round(self._pressure - (25 if flowing else 0) + show() * 6, 1),
            "battery_voltage": self._battery,
            "valve": "open",
        }
